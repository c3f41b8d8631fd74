//! Questions about the cloud's tree that are under way or were just answered, and what an answer may still change.
//!
//! Invariants:
//! - A question notes the generation at which it is asked; its answer clears only marks that are not newer.
//! - An answer never overwrites what was observed by a question that was asked later (unless the item's own count of changes orders the two).
//! - "Not found" and "not in a complete listing of its parent" are two observations; only both together say that an item
//!   is gone. So it is with "in the trash", where no event told that: it may be there with a folder above the watched one.
//!
//! All of it is memory: after a restart no question is under way, whatever was marked is marked still, and what is expected is read back, and so are
//! former names.

mod former;
mod told;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub(in crate::engine) use told::Way;

pub(in crate::engine) use former::FormerNames;
use told::ToldByPath;

use crate::id::{FolderId, Generation, ItemId, NodeId, PageToken, VersionId};
use crate::provider::ProviderError;
use crate::store::expected::Expectation;
use crate::store::work::Priority;
use crate::tree::Wall;

/// Entries of a memory that may be forgotten at the price of a question more.
const REMEMBERED_MOST: usize = 50_000;
/// Ids of a listing that are remembered; what a larger one lacks is found by counting.
pub(in crate::engine) const SHOWN_MOST: usize = 10_000;
/// When an answer that shows nothing of what an event told is asked for again.
const ASKED_AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(30)];

/// The listing of one remote folder, page by page.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Listing {
    /// The remote folder.
    pub node: NodeId,
    /// Its watched folder.
    pub folder: FolderId,
    /// Which of all listings it is.
    number: u64,
    /// For whom it is made.
    pub priority: Priority,
    /// Where to read on.
    pub page: Option<PageToken>,
}

/// A remote folder that is being listed.
#[derive(Debug)]
struct Listed {
    folder: FolderId,
    number: u64,
    /// For whom it is made: news that concerns the folder makes a listing of bulk work its own.
    priority: Priority,
    /// When its first page was asked for.
    asked: Option<(Generation, Wall)>,
    shown: Shown,
    /// An entry of one of its pages could not be read.
    unread: Option<ProviderError>,
    /// It came to its end, and how far what it showed has been taken.
    taken: Option<Taken>,
}

/// How far a listing that came to its end has been compared with what was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Taken {
    /// The marks on items up to this one.
    Marks(NodeId),
    /// All marks, and the known children up to this one.
    Children(NodeId),
}

/// What the pages of a listing have shown so far.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Shown {
    /// The ids; nothing once there are more than are remembered.
    pub ids: Option<BTreeSet<ItemId>>,
    /// How many entries there were.
    pub count: usize,
}

/// A listing that came to its end.
#[derive(Debug)]
pub(in crate::engine) struct Complete {
    /// The remote folder.
    pub node: NodeId,
    /// Its watched folder.
    pub folder: FolderId,
    /// For whom it was made.
    pub priority: Priority,
    /// How far it has been taken.
    pub taken: Taken,
    /// When its first page was asked for.
    pub asked: Generation,
    /// The same, by the clock on the wall.
    pub at: Wall,
    /// What it showed.
    pub shown: Shown,
}

/// What an event said of something that we did not know yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Named {
    /// The version that it named.
    pub version: Option<VersionId>,
}

/// An item that events named before we knew it.
#[derive(Debug)]
struct Heard {
    /// When the last one did.
    at: Generation,
    /// The version that they named; nothing if they do not agree.
    version: Option<VersionId>,
    /// A write of ours was under way, whose answer may bring the item in.
    is_sent: bool,
}

/// What is under way, and what was just answered.
#[derive(Debug, Default)]
pub(in crate::engine) struct Questions {
    looks: BTreeMap<NodeId, Generation>,
    listings: VecDeque<Listing>,
    listed: BTreeMap<NodeId, Listed>,
    /// Listings that came to their end, the first one first.
    ended: VecDeque<Listing>,
    begun: u64,
    /// The place in line of the last listing of each priority that was read from the database.
    loaded: [i64; 2],
    /// Items that were observed while a question was under way that had been asked before.
    observed: BTreeMap<NodeId, Generation>,
    /// Items that we do not know and that events named while a listing was under way, or a write of ours.
    unknown: BTreeMap<ItemId, Heard>,
    /// Items that we are making, and whose name an event said was left.
    left: BTreeSet<NodeId>,
    /// Items that were not found by a look that was asked at this generation.
    not_found: BTreeMap<NodeId, Generation>,
    /// Items that a complete listing of their parent did not show that was asked for at this generation.
    unlisted: BTreeMap<NodeId, Generation>,
    /// What events make us expect, and how often an answer did not show it.
    expected: BTreeMap<NodeId, (Expectation, usize)>,
    /// Names that events make us expect in a folder, and how often a listing did not show one of them.
    names: BTreeMap<NodeId, (BTreeSet<String>, usize)>,
    /// What events told of with a name of `names` on the way to it.
    pub told_by_path: ToldByPath,
    /// The names that folders had until lately.
    pub former: FormerNames,
    /// Items that wait for the listing of a folder before they are looked at.
    waiting: BTreeMap<NodeId, Vec<NodeId>>,
}

impl Questions {
    /// Notes that an item is looked at.
    pub fn look_begins(&mut self, node: NodeId, asked: Generation) {
        self.looks.insert(node, asked);
    }

    /// A look is answered; when it was asked.
    pub fn look_ends(&mut self, node: NodeId) -> Option<Generation> {
        self.looks.remove(&node)
    }

    /// Whether a question is under way whose answer may show an item, or what a folder holds, as it was before now.
    pub fn may_show(&self, node: NodeId, parents: [Option<NodeId>; 2]) -> bool {
        self.looks.contains_key(&node) || parents.into_iter().flatten().any(|parent| self.listed.contains_key(&parent))
    }

    /// Notes that an item was observed at a generation.
    pub fn note_observed(&mut self, node: NodeId, at: Generation) {
        if self.oldest_asked().is_none_or(|oldest| oldest >= at) {
            self.observed.remove(&node);
            return;
        }
        if self.observed.len() >= REMEMBERED_MOST {
            let oldest = self.oldest_asked().unwrap_or(at);
            self.observed.retain(|_, at| *at > oldest);
        }
        let known = self.observed.entry(node).or_insert(at);
        *known = at.max(*known);
    }

    /// Whether an item was observed by a question that was asked after `asked`.
    pub fn is_overtaken(&self, node: NodeId, asked: Generation) -> bool {
        self.observed.get(&node).is_some_and(|at| *at > asked)
    }

    fn oldest_asked(&self) -> Option<Generation> {
        let listings = self.listed.values().filter_map(|listed| listed.asked.map(|(asked, _)| asked));
        self.looks.values().copied().chain(listings).min()
    }

    fn forget_answered(&mut self) {
        if self.looks.is_empty() && self.listed.is_empty() {
            self.observed.clear();
            self.unknown.retain(|_, heard| heard.is_sent);
        }
    }

    /// The name of an item that we are making was left.
    pub fn may_have_left(&mut self, node: NodeId) {
        self.left.insert(node);
    }

    /// Whether an event said that the name of an item was left while we were making it. Says so once.
    pub fn take_left(&mut self, node: NodeId) -> bool {
        self.left.remove(&node)
    }

    /// No write of ours is under way any more.
    pub fn nothing_is_sent(&mut self) {
        self.left.clear();
        self.unknown.values_mut().for_each(|heard| heard.is_sent = false);
        self.forget_answered();
    }

    /// Remembers that an event named an item that we do not know, if a question is under way that may bring it in as it was before.
    pub fn note_unknown(&mut self, id: &ItemId, version: Option<&VersionId>, at: Generation, is_sent: bool) {
        if (self.listed.is_empty() && !is_sent) || self.unknown.len() >= REMEMBERED_MOST {
            return;
        }
        let heard = self.unknown.entry(id.clone()).or_insert(Heard { at, version: version.cloned(), is_sent });
        // Example: what we make is moved away, and that is told before it is told that we made it: the second is not all that happened.
        if heard.version.as_ref() != version {
            heard.version = None;
        }
        (heard.at, heard.is_sent) = (at, heard.is_sent || is_sent);
    }

    /// Whether an event named an item, before it was known, after a question was asked that now brings it in. Says so once.
    pub fn was_named(&mut self, id: &ItemId, asked: Generation) -> bool {
        self.unknown.remove(id).is_some_and(|heard| heard.at > asked)
    }

    /// The version that an event named, if one named what we made before the answer to our write came. Says so once.
    pub fn take_named(&mut self, id: &ItemId) -> Option<Named> {
        self.unknown.remove(id).map(|heard| Named { version: heard.version })
    }

    /// Remembers what an event makes us expect of an item. The newest event counts. False if there is no room for it.
    pub fn expect(&mut self, node: NodeId, expected: Expectation) -> bool {
        let has_room = self.expected.len() < REMEMBERED_MOST || self.expected.contains_key(&node);
        if has_room {
            self.expected.insert(node, (expected, 0));
        }
        has_room
    }

    /// What events make us expect of an item.
    pub fn expected(&self, node: NodeId) -> Option<&Expectation> {
        self.expected.get(&node).map(|(expected, _)| expected)
    }

    /// An answer showed nothing new, and not what was expected: when to ask again, if it is worth it.
    pub fn ask_again_after(&mut self, node: NodeId) -> Option<Duration> {
        let (_, times) = self.expected.get_mut(&node)?;
        let wait = ASKED_AGAIN_AFTER.get(*times).copied();
        *times += 1;
        if wait.is_none() {
            self.expected.remove(&node);
        }
        wait
    }

    /// Nothing is expected of an item any more. False if nothing was.
    pub fn forget_expected(&mut self, node: NodeId) -> bool {
        self.expected.remove(&node).is_some()
    }

    /// Remembers a name that an event makes us expect in a folder. False if it was expected already, or there is no room for it.
    pub fn expect_name(&mut self, dir: NodeId, name: &str) -> bool {
        let (names, times) = self.names.entry(dir).or_default();
        *times = 0;
        names.len() < SHOWN_MOST && names.insert(name.to_owned())
    }

    /// The names that are expected in a folder.
    pub fn expected_names(&mut self, dir: NodeId) -> Option<&mut BTreeSet<String>> {
        self.names.get_mut(&dir).map(|(names, _)| names)
    }

    /// The names that were expected in a folder, which are expected there no longer.
    pub fn forget_names(&mut self, dir: NodeId) -> BTreeSet<String> {
        self.names.remove(&dir).map(|(names, _)| names).unwrap_or_default()
    }

    /// Whether a name is expected in a folder.
    pub fn expects_name(&self, dir: NodeId, name: &str) -> bool {
        self.names.get(&dir).is_some_and(|(names, _)| names.contains(name))
    }

    /// A name was seen in a folder. False if it was not expected there.
    pub fn saw_name(&mut self, dir: NodeId, name: &str) -> bool {
        self.names.get_mut(&dir).is_some_and(|(names, _)| names.remove(name))
    }

    /// A listing did not show all names that were expected: when to list again, if it is worth it.
    pub fn list_again_after(&mut self, dir: NodeId) -> Option<Duration> {
        let (names, times) = self.names.get_mut(&dir)?;
        let wait = ASKED_AGAIN_AFTER.get(*times).copied().filter(|_| !names.is_empty());
        *times += 1;
        if wait.is_none() {
            self.names.remove(&dir);
        }
        wait
    }

    /// A look did not find an item, or found it in the trash. Says whether it is gone: a listing of its parent, not
    /// older than the mark, did not show it either.
    pub fn note_not_found(&mut self, node: NodeId, asked: Generation, mark: Option<Generation>) -> bool {
        self.not_found.insert(node, asked);
        self.is_gone(node, mark)
    }

    /// A complete listing of its parent did not show an item. Says whether it is gone: a look, not older than the mark, did not find it either.
    pub fn note_unlisted(&mut self, node: NodeId, asked: Generation, mark: Option<Generation>) -> bool {
        if self.unlisted.len() < REMEMBERED_MOST {
            self.unlisted.insert(node, asked);
        }
        self.is_gone(node, mark)
    }

    fn is_gone(&self, node: NodeId, mark: Option<Generation>) -> bool {
        let is_new = |asked: &Generation| mark.is_none_or(|mark| *asked >= mark);
        // A mark that is older than the listing and newer than the look (or the other way round) asks for that one again.
        self.not_found.get(&node).is_some_and(is_new) && self.unlisted.contains_key(&node)
    }

    /// Whether a look did not find an item, and nothing was observed of it since.
    pub fn is_missing(&self, node: NodeId) -> bool {
        self.not_found.contains_key(&node)
    }

    /// Something with what it holds is back in sight: what was not found before may have been out of sight with it.
    pub fn forget_not_found(&mut self) {
        self.not_found.clear();
    }

    /// An item was seen, or is known to be gone: what was missed of it before counts no more.
    pub fn settle(&mut self, node: NodeId) {
        self.not_found.remove(&node);
        self.unlisted.remove(&node);
    }

    /// An item waits for the listing of a folder.
    pub fn wait_for_listing(&mut self, dir: NodeId, node: NodeId) {
        self.waiting.entry(dir).or_default().push(node);
    }

    /// The folders whose listings are waited for.
    pub fn awaited(&self) -> Vec<NodeId> {
        self.waiting.keys().copied().collect()
    }

    /// The items that waited for the listing of a folder, and wait no more.
    pub fn released(&mut self, dir: NodeId) -> Vec<NodeId> {
        self.waiting.remove(&dir).unwrap_or_default()
    }

    /// Puts a listing in line. One that is there already, or under way, comes forward if it is news now.
    pub fn enqueue(&mut self, node: NodeId, folder: FolderId, priority: Priority) {
        if let Some(listed) = self.listed.get_mut(&node) {
            if (listed.priority, priority) == (Priority::Bulk, Priority::News) {
                listed.priority = Priority::News;
                let at = self.listings.iter().position(|listing| listing.node == node);
                if let Some(listing) = at.and_then(|at| self.listings.remove(at)) {
                    self.listings.push_front(Listing { priority: Priority::News, ..listing });
                }
            }
            return;
        }
        self.begun += 1;
        let number = self.begun;
        let shown = Shown { ids: Some(BTreeSet::new()), count: 0 };
        self.listed.insert(node, Listed { folder, number, priority, asked: None, shown, unread: None, taken: None });
        let listing = Listing { node, folder, number, priority, page: None };
        match priority {
            Priority::News => self.listings.push_front(listing),
            Priority::Bulk => self.listings.push_back(listing),
        }
    }

    /// After which place in line listings of a priority are read from the database; nothing while there are some in line.
    pub fn to_load(&self, priority: Priority) -> Option<i64> {
        let is_idle = self.listings.iter().all(|listing| listing.priority != priority);
        is_idle.then_some(self.loaded[priority as usize])
    }

    /// A listing was read from the database.
    pub fn note_loaded(&mut self, priority: Priority, pos: i64) {
        self.loaded[priority as usize] = pos;
    }

    /// All listings are read from the database again.
    pub fn reload(&mut self) {
        self.loaded = [0; 2];
    }

    /// The next listing that is still wanted.
    pub fn next(&mut self) -> Option<Listing> {
        loop {
            let listing = self.listings.pop_front()?;
            if self.is_wanted(&listing) {
                return Some(listing);
            }
        }
    }

    /// Puts listings back that found no room, before those that are in line.
    pub fn put_back(&mut self, mut kept: VecDeque<Listing>) {
        kept.append(&mut self.listings);
        self.listings = kept;
    }

    /// A page of a listing is asked for.
    pub fn page_begins(&mut self, listing: &Listing, asked: Generation, at: Wall) {
        if let Some(listed) = self.listed.get_mut(&listing.node) {
            listed.asked.get_or_insert((asked, at));
        }
    }

    /// When the listing that an answer belongs to was begun; nothing if it is no longer wanted.
    pub fn asked(&self, listing: &Listing) -> Option<Generation> {
        let listed = self.listed.get(&listing.node).filter(|listed| listed.number == listing.number)?;
        listed.asked.map(|(asked, _)| asked)
    }

    /// Whether a listing is still the one that its folder waits for.
    pub fn is_wanted(&self, listing: &Listing) -> bool {
        self.listed.get(&listing.node).is_some_and(|listed| listed.number == listing.number)
    }

    /// Notes what a page showed.
    pub fn page_showed<'a>(&mut self, node: NodeId, ids: impl ExactSizeIterator<Item = &'a ItemId>) {
        let Some(listed) = self.listed.get_mut(&node) else { return };
        listed.shown.count += ids.len();
        if let Some(shown) = &mut listed.shown.ids {
            shown.extend(ids.cloned());
        }
        listed.shown.ids.take_if(|shown| shown.len() > SHOWN_MOST);
    }

    /// A page of a listing held an entry that could not be read.
    pub fn note_unread(&mut self, node: NodeId, error: ProviderError) {
        if let Some(listed) = self.listed.get_mut(&node) {
            listed.unread.get_or_insert(error);
        }
    }

    /// Why a listing that was read to its end is not whole.
    pub fn take_unread(&mut self, node: NodeId) -> Option<ProviderError> {
        self.listed.get_mut(&node)?.unread.take()
    }

    /// The next page of a listing is to be asked for.
    pub fn read_on(&mut self, listing: &Listing, page: PageToken) {
        let priority = self.listed.get(&listing.node).map_or(listing.priority, |listed| listed.priority);
        self.listings.push_front(Listing { page: Some(page), priority, ..listing.clone() });
    }

    /// A listing came to its end: what it showed is to be taken.
    pub fn end(&mut self, listing: &Listing) {
        if let Some(listed) = self.listed.get_mut(&listing.node).filter(|listed| listed.number == listing.number) {
            listed.taken = Some(Taken::Marks(NodeId(0)));
            self.ended.push_back(listing.clone());
        }
    }

    /// Whether a listing is to be taken.
    pub fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// The listing that is taken now. It stays a question under way until it is closed.
    pub fn take_ended(&mut self) -> Option<Complete> {
        while let Some(listing) = self.ended.front() {
            let (node, folder) = (listing.node, listing.folder);
            if self.is_wanted(listing)
                && let Some(listed) = self.listed.get_mut(&node)
                && let (Some(taken), Some((asked, at))) = (listed.taken, listed.asked)
            {
                let shown = std::mem::take(&mut listed.shown);
                return Some(Complete { node, folder, priority: listed.priority, taken, asked, at, shown });
            }
            self.ended.pop_front();
        }
        None
    }

    /// There is more to take of a listing.
    pub fn take_on(&mut self, complete: Complete, taken: Taken) {
        if let Some(listed) = self.listed.get_mut(&complete.node) {
            listed.shown = complete.shown;
            listed.taken = Some(taken);
        }
    }

    /// All that a listing showed is taken.
    pub fn close(&mut self, node: NodeId) {
        self.listed.remove(&node);
        self.forget_answered();
    }

    /// A folder is not listed any more: what a listing under way brings is not wanted.
    pub fn drop_listing(&mut self, node: NodeId) {
        self.listed.remove(&node);
        self.listings.retain(|listing| listing.node != node);
        self.reload();
    }

    /// No folder of a watched folder is listed any more.
    pub fn drop_listings_of(&mut self, folder: FolderId) {
        self.listed.retain(|_, listed| listed.folder != folder);
        self.listings.retain(|listing| listing.folder != folder);
        self.reload();
    }

    /// All questions are forgotten, but for looks under way: their answers will come.
    pub fn clear(&mut self) {
        self.listings.clear();
        self.listed.clear();
        self.ended.clear();
        self.waiting.clear();
        self.reload();
    }

    /// An item is no more.
    pub fn forget(&mut self, node: NodeId) {
        self.settle(node);
        self.forget_expected(node);
        self.observed.remove(&node);
        self.names.remove(&node);
        self.told_by_path.forget(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: NodeId = NodeId(7);
    const DIR: NodeId = NodeId(3);
    const WATCHED: FolderId = FolderId(1);

    fn at(number: i64) -> Generation {
        Generation(number)
    }

    #[test]
    fn an_answer_does_not_overwrite_what_a_later_question_showed() {
        let mut questions = Questions::default();
        questions.enqueue(DIR, WATCHED, Priority::News);
        let listing = questions.next().unwrap();
        questions.page_begins(&listing, at(10), Wall(0));
        questions.look_begins(X, at(20));
        assert_eq!(questions.look_ends(X), Some(at(20)));
        questions.note_observed(X, at(20));
        assert!(questions.is_overtaken(X, at(10)), "the listing was asked for before the look");
        assert!(!questions.is_overtaken(X, at(20)));
        questions.end(&listing);
        let complete = questions.take_ended().unwrap();
        assert!(questions.is_overtaken(X, at(10)), "what it showed is still being taken");
        questions.take_on(complete, Taken::Children(X));
        assert_eq!(questions.take_ended().unwrap().taken, Taken::Children(X));
        questions.close(DIR);
        assert!(!questions.is_overtaken(X, at(10)), "nothing that was asked before is under way any more");
        assert!(questions.take_ended().is_none());
    }

    #[test]
    fn gone_takes_a_look_and_a_listing_and_neither_older_than_the_mark() {
        let mut questions = Questions::default();
        assert!(!questions.note_not_found(X, at(10), Some(at(9))));
        assert!(!questions.note_unlisted(X, at(12), Some(at(11))), "the look is older than the mark");
        assert!(questions.note_not_found(X, at(13), Some(at(11))));
        questions.settle(X);
        assert!(!questions.note_unlisted(X, at(14), None));
        assert!(questions.note_not_found(X, at(15), None));
    }

    #[test]
    fn what_is_expected_is_asked_for_again_a_few_times_and_no_more() {
        let mut questions = Questions::default();
        questions.expect(X, Expectation::of_gone());
        let waits: Vec<_> = std::iter::from_fn(|| questions.ask_again_after(X)).collect();
        assert_eq!(waits, ASKED_AGAIN_AFTER);
        assert_eq!(questions.ask_again_after(X), None);
        questions.expect_name(DIR, "a");
        let waits: Vec<_> = std::iter::from_fn(|| questions.list_again_after(DIR)).collect();
        assert_eq!(waits, ASKED_AGAIN_AFTER);
    }

    #[test]
    fn an_event_on_an_unknown_item_is_remembered_as_long_as_a_listing_may_bring_it_in() {
        let mut questions = Questions::default();
        let id = ItemId::file("1");
        questions.note_unknown(&id, None, at(5), false);
        assert!(!questions.was_named(&id, at(1)), "no listing is under way");
        questions.enqueue(DIR, WATCHED, Priority::Bulk);
        questions.note_unknown(&id, None, at(5), false);
        assert!(questions.was_named(&id, at(4)));
        assert!(!questions.was_named(&id, at(4)), "once");
    }

    #[test]
    fn a_listing_of_bulk_work_comes_forward_when_news_asks_for_it() {
        let mut questions = Questions::default();
        let other = NodeId(4);
        questions.enqueue(other, WATCHED, Priority::Bulk);
        questions.enqueue(DIR, WATCHED, Priority::Bulk);
        assert_eq!(questions.to_load(Priority::Bulk), None);
        assert_eq!(questions.to_load(Priority::News), Some(0), "bulk in line does not keep news out");
        questions.enqueue(DIR, WATCHED, Priority::News);
        let first = questions.next().unwrap();
        assert_eq!((first.node, first.priority), (DIR, Priority::News));
        // What is under way for bulk work goes on for news.
        let under_way = questions.next().unwrap();
        questions.enqueue(other, WATCHED, Priority::News);
        questions.read_on(&under_way, PageToken::new("2"));
        assert_eq!(questions.next().unwrap().priority, Priority::News);
    }
}
