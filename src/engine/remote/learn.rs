//! What the cloud says of an item becomes what we know of the cloud: newer facts win, and what they change is marked as work.
//!
//! What follows for others than the questions is returned: the folder's counts, and directories that went or came back.

use super::ground::Ground;
use super::heard::{ask_below, mark_look};
use super::questions::Questions;
use crate::engine::codes::{NAME_TAKEN, NETWORK, OUTCOME_UNKNOWN, VERSION_GONE};
use crate::engine::ctx::Ctx;
use crate::engine::sides::plan_under;
use crate::id::{FolderId, Generation, JournalId, NodeId};
use crate::plan::{Action, Policy};
use crate::store::Result;
use crate::store::expected::{Expectation, Told};
use crate::store::former::FormerName;
use crate::store::items::{ItemRow, Presence, RemoteRow};
use crate::store::work::{Ask, Priority};
use crate::tree::RemoteItem;

/// Where a description of an item comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Source {
    /// An event that carries the whole item and its count of changes.
    Event {
        /// Its entry in the journal.
        journal: Option<JournalId>,
        /// Something that happened later was told before it.
        late: bool,
    },
    /// A listing of its parent, for whom that was made, and when it was asked for.
    Listing(Priority, Generation),
    /// A look at it.
    Look {
        /// The event that asked for the look.
        journal: Option<JournalId>,
        /// When it was asked for.
        asked: Generation,
    },
    /// The answer to our own write.
    Own,
}

impl Source {
    /// The entry in the journal whose outcome is to be written when the item is settled.
    pub fn journal(self) -> Option<JournalId> {
        match self {
            Self::Event { journal, .. } | Self::Look { journal, .. } => journal,
            Self::Listing(..) | Self::Own => None,
        }
    }

    /// When the question was asked whose answer it is.
    fn asked(self) -> Option<Generation> {
        match self {
            Self::Listing(_, asked) | Self::Look { asked, .. } => Some(asked),
            Self::Event { .. } | Self::Own => None,
        }
    }

    /// Whether the cloud showed the item itself, as it is.
    pub fn is_sight(self) -> bool {
        !matches!(self, Self::Event { .. })
    }

    fn priority(self) -> Priority {
        match self {
            Self::Event { .. } | Self::Look { .. } | Self::Own => Priority::News,
            Self::Listing(priority, _) => priority,
        }
    }
}

/// What became of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Learned {
    /// Older than what we know.
    Stale,
    /// It was asked for before what we know: it is to be asked for again.
    Overtaken,
    /// It says what we know, and the disk agrees.
    Same,
    /// A pattern keeps it out.
    FilteredOut,
    /// It lies outside of the folder, and we never had it.
    Outside,
    /// It lies in the folder, below one that we do not know yet and that is now listed.
    Unlisted,
    /// There is something to do, and it is marked.
    Marked,
}

/// What an observation changes for others than the questions about the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::engine) struct Change {
    /// By how many the files grew that are on disk and gone from the cloud.
    pub removals: i64,
    /// A directory is there again that was not.
    pub came_back: bool,
    /// When a directory was observed to be gone that was there.
    pub went: Option<Generation>,
}

/// Weighs a description against the row of its item. Nothing if it is to be taken; else what became of it.
pub(in crate::engine) fn weigh(
    ctx: &mut Ctx,
    questions: &mut Questions,
    ground: &Ground<'_>,
    known: &ItemRow,
    item: &RemoteItem,
    source: Source,
) -> Result<Option<Learned>> {
    if is_stale(known, item, source) {
        // Old news does not show that it is still there; what was shown does, whatever became known of it since.
        let comparison = ground.seen_mark(source.is_sight());
        if source.is_sight() && comparison > known.remote.seen && known.remote.presence == Presence::Present {
            met(ctx, known, comparison)?;
        }
        if tells_of_absence(ground, known, item, source) {
            was_away(ctx, questions, known)?;
        }
        return Ok(Some(Learned::Stale));
    }
    let is_newer = known.remote.sequence.zip(item.sequence).is_some_and(|(had, has)| has > had);
    if let Some(asked) = source.asked()
        && !is_newer
        && questions.is_overtaken(known.node, asked)
    {
        was_shown_elsewhere(ctx, questions, known, item)?;
        mark_look(ctx, known.node, known.folder, source.journal())?;
        return Ok(Some(Learned::Overtaken));
    }
    if matches!(source, Source::Event { .. }) && (known.remote.presence != Presence::Present || !is_newer) {
        // It was gone, and the event may be older than its end; or its count says nothing. It stays as it is until it was asked for.
        was_shown_elsewhere(ctx, questions, known, item)?;
        mark_look(ctx, known.node, known.folder, source.journal())?;
        return Ok(Some(Learned::Marked));
    }
    Ok(None)
}

/// Whether old news of a directory tells that it was out of the watched folder, and came back before we heard of it. What happened in it
/// meanwhile was told of something outside, and passed over. One that is not on disk yet was listed since it came in, or will be.
///
/// Example: `a` moves out, `f` moves into it, and `a` comes back. A listing shows `a` where it was before any of it is told.
fn tells_of_absence(ground: &Ground<'_>, known: &ItemRow, item: &RemoteItem, source: Source) -> bool {
    let is_outside = || match (&item.ancestors, ground.root_item) {
        (Some(above), Some(root)) => above.iter().all(|above| above.id != *root),
        _ => false,
    };
    let is_event = matches!(source, Source::Event { .. });
    is_event
        && known.id.is_folder()
        && known.synced.is_some()
        && known.remote.presence == Presence::Present
        && is_outside()
}

/// A directory is there that was hidden or away, though nobody saw that it was: of what happened in it meanwhile the stream told us nothing.
pub(in crate::engine) fn was_away(ctx: &mut Ctx, questions: &mut Questions, dir: &ItemRow) -> Result<()> {
    questions.forget_not_found();
    ask_below(ctx, dir)
}

/// An item that was told to be gone is shown, or told to be, in another folder than the one with which it went since: whether it went with that,
/// only a look tells.
///
/// Examples: `mv d/f e/f; mv e d/e`, where `e` was not ours before, and `d` leaves. The first is told as a deletion. `f` is looked at and found in
/// `e`, and before that comes in, `d` is found to be gone, with `f` in it for all that is known. Or `f` and `d` go to the trash, and `f` is
/// restored into `e`, which is told after `d` was found to be gone.
fn was_shown_elsewhere(ctx: &mut Ctx, questions: &mut Questions, known: &ItemRow, item: &RemoteItem) -> Result<()> {
    let is_told_gone = questions.expected(known.node).is_some_and(|expected| expected.told == Told::Gone);
    let above = known.remote.parent.map(|above| ctx.store.item(above)).transpose()?.flatten();
    let is_elsewhere = item.parent.is_some() && item.parent != above.map(|above| above.id);
    if !is_told_gone || !is_elsewhere {
        return Ok(());
    }
    questions.await_state(ctx, known.node, Expectation { told: Told::Left, ..Expectation::default() })
}

/// What a description makes of the row of an item in one of our folders.
pub(in crate::engine) fn row_of(
    ground: &Ground<'_>,
    known: Option<&ItemRow>,
    parent: NodeId,
    item: &RemoteItem,
    source: Source,
) -> RemoteRow {
    RemoteRow {
        presence: Presence::Present,
        parent: Some(parent),
        name: item.name.clone(),
        content: item.content.clone(),
        etag: item.etag.clone(),
        sequence: item.sequence.or(known.and_then(|known| known.remote.sequence)),
        seen: ground.seen_mark(source.is_sight()),
    }
}

/// An item that no row knew. `newest_first`: a first sync may take days.
pub(in crate::engine) fn add(
    ctx: &mut Ctx,
    questions: &mut Questions,
    folder: FolderId,
    item: &RemoteItem,
    row: &RemoteRow,
    source: Source,
    newest_first: bool,
) -> Result<()> {
    let node = ctx.store.add_item(folder, &item.id, row)?;
    observed(ctx, questions, node, source);
    if item.id.is_folder() {
        want_listing(ctx, node, folder, source.priority())?;
        // Example: `d` moves into the new folder `k`, and `k/d/e/f` is told before either was observed: `d` is found in `k`, and is
        // listed with all below.
        if row.parent.map(|parent| ctx.store.is_wanted_below(parent)).transpose()?.unwrap_or_default() {
            ctx.store.deepen_listing(node)?;
        }
    }
    let ask = if may_have_gone_since(questions, item, source) { Ask::State } else { Ask::Nothing };
    ctx.store.mark(node, folder, source.priority(), ask, source.journal(), ctx.now.wall)?;
    let modified = item.content.as_ref().and_then(|content| content.modified);
    if let (Source::Listing(Priority::Bulk, _), Some(modified), true) = (source, modified, newest_first) {
        ctx.store.order_by_age(node, modified)?;
    }
    Ok(())
}

/// Notes when an item was observed, for answers to questions that were asked before.
fn observed(ctx: &mut Ctx, questions: &mut Questions, node: NodeId, source: Source) {
    let at = match source.asked() {
        Some(asked) => asked,
        None => ctx.store.generation(),
    };
    questions.note_observed(node, at);
    questions.settle(node);
}

/// Whether an item that no row knew may have been told to have left again before this description of it came.
///
/// Example: `d` comes back from the trash and moves out of the folder, and the first is told after the second. It is asked for, whether or
/// not the disk has a `d` of its own by then.
pub(in crate::engine) fn may_have_gone_since(questions: &mut Questions, item: &RemoteItem, source: Source) -> bool {
    matches!(source, Source::Event { late: true, .. })
        || source.asked().is_some_and(|asked| questions.was_named(&item.id, asked))
}

/// Whether an event met an item in a comparison, and something that happened later was told before it.
///
/// Example: `a` becomes `b` and leaves, the place in the stream is lost, and a comparison hears of the first. The second was passed over.
pub(in crate::engine) fn is_met_late(known: &ItemRow, row: &RemoteRow, source: Source) -> bool {
    row.seen > known.remote.seen && matches!(source, Source::Event { late: true, .. })
}

fn want_listing(ctx: &mut Ctx, node: NodeId, folder: FolderId, priority: Priority) -> Result<()> {
    match priority {
        Priority::News => ctx.store.want_listing_now(node, folder),
        Priority::Bulk => ctx.store.want_listing(node, folder),
    }
}

/// A description of an item that we have a row of. The version that it has until now is remembered before, if it is to be.
pub(in crate::engine) fn again(
    ctx: &mut Ctx,
    questions: &mut Questions,
    ground: &Ground<'_>,
    known: &ItemRow,
    row: &RemoteRow,
    source: Source,
) -> Result<(Learned, Change)> {
    let returned = known.remote.presence != Presence::Present;
    observed(ctx, questions, known.node, source);
    let is_folder = known.id.is_folder();
    let placed = returned || row.parent != known.remote.parent || row.name != known.remote.name;
    let differs = placed || row.content != known.remote.content;
    if differs || row.etag != known.remote.etag || row.sequence != known.remote.sequence {
        ctx.store.set_remote(known.node, row)?;
    }
    if row.seen > known.remote.seen {
        met(ctx, known, row.seen)?;
    }
    if placed && is_folder {
        was_placed(ctx, questions, ground, known, returned)?;
    }
    let mut change = Change::default();
    if returned {
        change = Change { came_back: is_folder, ..presence_changed(known, Presence::Present) };
        if is_folder {
            questions.forget_not_found();
        }
        came_back(ctx, known)?;
    }
    // A folder that we made is empty. Events may have named what is in another one by a path that led to no place.
    let is_made = source == Source::Own && returned && known.is_local_only();
    let found = placed && source.is_sight() && row.parent.is_some() && !ground.events_carry_items;
    if is_folder && (found || returned) && !is_made {
        want_listing(ctx, known.node, known.folder, source.priority())?;
    }
    // Example: `mv d k/d; mv k/d/e k/d/f`, and the second event comes before the first was observed: it leads below `k` only.
    if found
        && is_folder
        && let Some(parent) = row.parent
        && ctx.store.is_wanted_below(parent)?
    {
        ctx.store.deepen_listing(known.node)?;
        ctx.store.want_sweep(known.node, known.folder, Presence::Present)?;
        ctx.more = true;
    }
    // Marked also when nothing differs and there is a deed under way: its outcome is compared with the newest facts anyway.
    let agreed = !differs && known.synced.is_some() && is_settled(ctx, ground.policy, known.node)?;
    if agreed {
        return Ok((Learned::Same, change));
    }
    // The work that asked for the look goes on; its failures still count. So do those of a new name that the cloud says is taken.
    // Example: `x` is renamed to `a` on disk, and a file that is hidden from us has that name: the listing that is to show who has it
    // shows `x` as it was, and is no reason to try `a` again at once, and for ever. Nor is it where writes end without telling how.
    let goes_on = match source {
        Source::Look { .. } => true,
        Source::Listing(..) => waits_as_it_was(ctx, known.node)?,
        Source::Event { .. } | Source::Own => false,
    };
    if differs || !goes_on {
        ctx.store.mark(known.node, known.folder, source.priority(), Ask::Nothing, source.journal(), ctx.now.wall)?;
    }
    Ok((Learned::Marked, change))
}

/// A folder is at another place in the cloud than was known.
fn was_placed(
    ctx: &mut Ctx,
    questions: &mut Questions,
    ground: &Ground<'_>,
    known: &ItemRow,
    returned: bool,
) -> Result<()> {
    ctx.paths.moved_in_cloud();
    questions.told_by_path.was_placed(known.node, known.folder);
    if let Some(parent) = known.remote.parent.filter(|_| !returned && !ground.events_carry_items) {
        let (name, until) = (known.remote.name.clone(), ctx.now.wall);
        let former = FormerName { dir: parent, name, node: known.node, until };
        ctx.store.note_former_name(&former)?;
        questions.former.note(former);
    }
    Ok(())
}

/// What was gone is there again. What became of what is in one that was held meanwhile, or away before that was told of what is in it,
/// nobody told.
///
/// Example: `d` moves out of `p`, and `p` goes to the trash. A look at `p` is answered before one at `d`: what `d` holds went with both, and
/// is not to be removed before the listing of `d` shows it again.
fn came_back(ctx: &mut Ctx, known: &ItemRow) -> Result<()> {
    let is_folder = known.id.is_folder();
    let was_held = is_folder && ctx.store.is_tree_held(known.node)?;
    ctx.store.leave_holds(known.node)?;
    let was_untold = ctx.store.swept(known.node)?;
    if was_held || was_untold || is_folder && ctx.store.has_absent_children(known.node)? {
        ctx.store.want_sweep(known.node, known.folder, Presence::Present)?;
        ctx.more = true;
    }
    Ok(())
}

/// Whether nothing is left to do for an item, and nothing is marked.
pub(in crate::engine) fn is_settled(ctx: &Ctx, policy: Policy, node: NodeId) -> Result<bool> {
    if ctx.store.work(node)?.is_some() {
        return Ok(false);
    }
    Ok(ctx.store.item(node)?.is_some_and(|item| plan_under(policy, &item) == Action::InSync))
}

/// Whether a call for an item failed for a reason that a listing which shows the item as it was does not lift, and is made again later.
fn waits_as_it_was(ctx: &Ctx, node: NodeId) -> Result<bool> {
    let problem = ctx.store.work(node)?.and_then(|work| work.problem);
    Ok(problem.is_some_and(|(code, _)| [NAME_TAKEN, NETWORK, OUTCOME_UNKNOWN, VERSION_GONE].contains(&&*code)))
}

/// A full comparison met an item, by whatever way. A folder that counts as met is listed: its children must be met too.
fn met(ctx: &mut Ctx, known: &ItemRow, comparison: i64) -> Result<()> {
    ctx.store.set_seen(known.node, comparison)?;
    let is_first = known.remote.seen < (comparison & !1);
    if known.id.is_folder() && is_first {
        ctx.store.want_listing(known.node, known.folder)?;
    }
    Ok(())
}

/// The watched folder itself: its name and place in the cloud do not concern the disk.
pub(in crate::engine) fn root(ctx: &mut Ctx, known: &ItemRow, item: &RemoteItem) -> Result<Learned> {
    if known.remote.name != item.name || known.remote.sequence != item.sequence {
        let row = RemoteRow {
            name: item.name.clone(),
            etag: item.etag.clone(),
            sequence: item.sequence,
            ..known.remote.clone()
        };
        ctx.store.set_remote(known.node, &row)?;
    }
    Ok(Learned::Same)
}

/// An event has an item of ours outside of the folder. It may be old, and a removal is destructive: the item's own state decides.
pub(in crate::engine) fn told_outside(
    ctx: &mut Ctx,
    questions: &mut Questions,
    known: &ItemRow,
    source: Source,
) -> Result<Learned> {
    questions.await_state(ctx, known.node, Expectation::of_gone())?;
    mark_look(ctx, known.node, known.folder, source.journal())?;
    Ok(Learned::Marked)
}

/// An item lies in the folder, and where is not known before what is above it was listed. Whatever is believed of
/// it until then is doubtful, as it may be that it is gone.
pub(in crate::engine) fn unlisted(ctx: &mut Ctx, known: Option<&ItemRow>, source: Source) -> Result<Learned> {
    let Some(known) = known else { return Ok(Learned::Same) };
    match source {
        Source::Event { .. } => {
            mark_look(ctx, known.node, known.folder, source.journal())?;
            Ok(Learned::Marked)
        }
        Source::Own => {
            mark_look(ctx, known.node, known.folder, source.journal())?;
            Ok(Learned::Unlisted)
        }
        Source::Look { .. } | Source::Listing(..) => Ok(Learned::Unlisted),
    }
}

/// An item left the folder (or is filtered out), with everything below it.
pub(in crate::engine) fn gone(
    ctx: &mut Ctx,
    questions: &mut Questions,
    ground: &Ground<'_>,
    known: &ItemRow,
    presence: Presence,
    source: Source,
) -> Result<Change> {
    let mut change = Change::default();
    if known.remote.presence != presence {
        ctx.store.set_presence(known.node, presence)?;
        change = presence_changed(known, presence);
    }
    if known.id.is_folder() {
        if known.remote.presence == Presence::Present {
            change.went = Some(ctx.store.generation());
        }
        ctx.paths.moved_in_cloud();
        ctx.store.want_sweep(known.node, known.folder, presence)?;
        ctx.store.unwant_listing(known.node)?;
        ctx.store.unobserve(known.node)?;
        questions.drop_listing(known.node);
        questions.told_by_path.was_placed(known.node, known.folder);
        questions.follow_names(ctx, ground, known.node)?;
    }
    observed(ctx, questions, known.node, source);
    ctx.store.mark(known.node, known.folder, source.priority(), Ask::Nothing, source.journal(), ctx.now.wall)?;
    Ok(change)
}

/// How the count of files changes that are on disk and gone from the cloud.
fn presence_changed(known: &ItemRow, now: Presence) -> Change {
    if known.synced.is_none() || known.id.is_folder() {
        return Change::default();
    }
    let waits = |presence| i64::from(presence == Presence::Absent);
    Change { removals: waits(now) - waits(known.remote.presence), ..Change::default() }
}

/// Box's own rule: an event on an item whose count of changes is below the known one is old news, and so is one that is not above it and
/// says nothing else. A listing or a look shows the present state, which is older only if an event overtook it.
fn is_stale(known: &ItemRow, item: &RemoteItem, source: Source) -> bool {
    let (Some(had), Some(has)) = (known.remote.sequence, item.sequence) else { return false };
    match source {
        Source::Event { .. } if has == had => {
            known.remote.presence == Presence::Present
                && known.remote.name == item.name
                && known.remote.content == item.content
        }
        _ => has < had,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::id::ItemId;
    use crate::store::Store;
    use crate::store::folders::NewFolder;

    const FOLDER: FolderId = FolderId(1);

    fn add(ctx: &mut Ctx, id: &ItemId, parent: Option<NodeId>) -> NodeId {
        let row = RemoteRow {
            presence: Presence::Present,
            parent,
            name: id.raw().to_owned(),
            content: None,
            etag: None,
            sequence: None,
            seen: 0,
        };
        ctx.store.add_item(FOLDER, id, &row).unwrap()
    }

    fn shown_in(parent: &ItemId) -> RemoteItem {
        RemoteItem {
            id: ItemId::folder("f"),
            parent: Some(parent.clone()),
            name: "f".into(),
            content: None,
            etag: None,
            sequence: None,
            ancestors: None,
            path: None,
        }
    }

    #[test]
    fn what_was_shown_elsewhere_does_not_go_with_its_folder() {
        let (here, there, id) = (ItemId::folder("d"), ItemId::folder("e"), ItemId::folder("f"));
        let cases = [
            (&there, false, Told::Left),
            (&here, false, Told::Gone),
            (&there, true, Told::Left),
            (&here, true, Told::Gone),
        ];
        for (parent, is_event, expected) in cases {
            let mut ctx = Ctx::new(Store::in_memory().unwrap());
            let account = ctx.store.account("a", "egnyte").unwrap().account;
            let local = Path::new("/f");
            let new = NewFolder { name: "f", account, mark: "m", remote: "/", local, filters: "" };
            assert_eq!(ctx.store.add_folder(&new).unwrap().folder, FOLDER);
            let dir = add(&mut ctx, &here, None);
            let node = add(&mut ctx, &id, Some(dir));
            let known = ctx.store.item(node).unwrap().unwrap();
            let mut questions = Questions::default();
            questions.await_state(&mut ctx, node, Expectation::of_gone()).unwrap();
            let asked = ctx.store.generation();
            questions.look_begins(node, asked);
            let gone = ctx.store.generation();
            questions.note_observed(node, gone);
            let item = shown_in(parent);
            let look = Source::Look { journal: None, asked };
            let source = if is_event { Source::Event { journal: None, late: false } } else { look };
            let ground = Ground {
                id: FOLDER,
                root: None,
                root_item: None,
                root_path: None,
                filter: None,
                watches_top: false,
                events_carry_items: false,
                comparison: 0,
                is_compared: false,
                policy: Policy::default(),
            };
            let learned = weigh(&mut ctx, &mut questions, &ground, &known, &item, source).unwrap();
            assert_eq!(learned, Some(if is_event { Learned::Marked } else { Learned::Overtaken }));
            assert_eq!(questions.expected(node).map(|expected| expected.told), Some(expected), "shown in {parent}");
        }
    }

    fn known(sequence: Option<u64>, presence: Presence) -> ItemRow {
        let remote = RemoteRow {
            presence,
            parent: Some(NodeId(1)),
            name: "f".into(),
            content: None,
            etag: None,
            sequence,
            seen: 0,
        };
        let id = ItemId::folder("f");
        ItemRow { node: NodeId(2), folder: FOLDER, id, remote, synced: None, local: None }
    }

    #[test]
    fn a_description_is_old_by_its_count_of_changes() {
        let event = Source::Event { journal: None, late: false };
        let listing = Source::Listing(Priority::News, Generation(1));
        let there = Presence::Present;
        let cases = [
            (Some(4), there, Some(3), "f", event, true),
            (Some(4), there, Some(3), "f", listing, true),
            (Some(4), there, Some(5), "f", event, false),
            // An event with the known count says what is known, or it is not old.
            (Some(4), there, Some(4), "f", event, true),
            (Some(4), there, Some(4), "g", event, false),
            (Some(4), Presence::Absent, Some(4), "f", event, false),
            // What was shown is how it is, whatever an event said with the same count.
            (Some(4), there, Some(4), "f", listing, false),
            // Without a count nothing is known of the order.
            (None, there, Some(4), "f", event, false),
            (Some(4), there, None, "f", event, false),
        ];
        for (had, presence, has, name, source, expected) in cases {
            let item = RemoteItem { name: name.into(), sequence: has, ..shown_in(&ItemId::folder("d")) };
            assert_eq!(is_stale(&known(had, presence), &item, source), expected, "{had:?} {has:?} {name} {source:?}");
        }
    }
}
