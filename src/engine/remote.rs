//! What the cloud has, as last observed, and what must be asked again: events become marks here, and marks become questions.

mod hints;
mod questions;
mod readings;
mod rolling;
mod root;
mod strays;

pub(in crate::engine) use hints::{Facts, Location, Mark, marks};
pub(in crate::engine) use questions::{Complete, Listing, Questions, Taken, Way};
pub(in crate::engine) use readings::Named;
pub(in crate::engine) use rolling::{Verification, may_compare_again, verification_calls};
pub(in crate::engine) use root::{REMOTE_GONE, RootAnswer, RootState, looked_at_every};
pub(in crate::engine) use strays::{StrayAnswer, Strays};

use std::collections::BTreeSet;

use readings::readings;

use super::Engine;
use super::learn::Source;
use crate::events::{EventKind, RemoteEvent, Subject};
use crate::id::{AccountId, FolderId, NodeId, VersionId};
use crate::store::Result;
use crate::store::expected::{Expectation, Told};
use crate::store::items::{ItemRow, Presence, RemoteRow};
use crate::store::work::{Ask, Lane};
use crate::tree::Wall;

/// Children of a folder whose listing is one call: where events carry no items, it answers for all of them together.
const LISTED_AT_ONCE: u32 = 200;

impl Engine {
    /// The folders of an account that paths concern: those that a path lies in, and those that lie below it.
    pub(super) fn folders_by_path(&self, id: AccountId, paths: [Option<&str>; 2]) -> Vec<FolderId> {
        let concerns = |folder: &super::Folder| {
            let Some(root) = folder.row.root_path.as_deref().filter(|_| folder.account == id) else { return false };
            paths.into_iter().flatten().any(|path| below(root, path).is_some() || below(path, root).is_some())
        };
        self.folders.iter().filter(|(_, folder)| concerns(folder)).map(|(folder, _)| *folder).collect()
    }

    /// Where a whole path leads, in a watched folder.
    pub(super) fn locate(&self, folder: FolderId, path: &str) -> Result<Location> {
        let found = self.read_path(folder, path, |dir, folded| {
            Ok(Named { now: self.folders_called(dir, folded)?, before: Vec::new() })
        })?;
        Ok(found.into_iter().next().unwrap_or(Location::Outside))
    }

    /// Where a whole path may lead that was told of something that happened at a moment, if anybody knows when that was: first where
    /// [`Self::locate`] has it.
    fn locate_all(&self, folder: FolderId, path: &str, at: Option<Wall>) -> Result<Vec<Location>> {
        self.read_path(folder, path, |dir, folded| {
            Ok(Named { now: self.folders_called(dir, folded)?, before: self.former_folders(folder, dir, folded, at)? })
        })
    }

    /// The same of a place that something left, which may have been in a folder that is known to be gone by now.
    ///
    /// Example: `a/b` moves to `c/b`, and `a` goes to the trash. `a` is looked at before the first of the two is told: until `b` is looked at, what
    /// is in it is not known to be gone.
    fn locate_left(&self, folder: FolderId, path: &str, at: Option<Wall>) -> Result<Vec<Location>> {
        self.read_path(folder, path, |dir, folded| {
            let (mut now, mut before) =
                (self.folders_called(dir, folded)?, self.former_folders(folder, dir, folded, at)?);
            let gone = self.ctx.store.gone_folders_in(dir)?;
            let gone = gone.into_iter().filter(|(_, name)| name.to_lowercase() == folded).map(|(node, _)| node);
            let is_there = self.ctx.store.item(dir)?.is_some_and(|dir| dir.remote.presence == Presence::Present);
            // What was in one that is gone is where it was, as far as is known.
            if is_there {
                before.extend(gone);
            } else {
                now.extend(gone);
            }
            Ok(Named { now, before })
        })
    }

    /// The folders that had a name in a folder at a moment.
    fn former_folders(&self, folder: FolderId, dir: NodeId, folded: &str, at: Option<Wall>) -> Result<Vec<NodeId>> {
        let mut before = Vec::new();
        for node in self.questions.former.had(dir, folded, at) {
            let item = self.ctx.store.item(node)?;
            if item.is_some_and(|item| item.folder == folder && item.remote.presence == Presence::Present) {
                before.push(node);
            }
        }
        Ok(before)
    }

    /// Where a path of an event may lead, the likeliest place first. What has an id is found by that, and one place is enough.
    fn locate_told(
        &self,
        folder: FolderId,
        event: &RemoteEvent,
        path: Option<&str>,
        was_left: bool,
    ) -> Result<impl Iterator<Item = Location> + use<>> {
        let found = match path {
            None => Vec::new(),
            Some(path) if !matches!(event.subject, Subject::Path { .. }) => vec![self.locate(folder, path)?],
            Some(path) if was_left => self.locate_left(folder, path, event.at)?,
            Some(path) => self.locate_all(folder, path, event.at)?,
        };
        Ok(found.into_iter())
    }

    /// The folders of a name in a folder, without regard to case.
    pub(super) fn folders_called(&self, dir: NodeId, folded: &str) -> Result<Vec<NodeId>> {
        let known = self.ctx.store.folders_in(dir)?;
        Ok(known.into_iter().filter(|(_, known)| known.to_lowercase() == folded).map(|(node, _)| node).collect())
    }

    pub(super) fn read_path(
        &self,
        folder: FolderId,
        path: &str,
        folders: impl FnMut(NodeId, &str) -> Result<Named>,
    ) -> Result<Vec<Location>> {
        let Some((root, names)) = self
            .folders
            .get(&folder)
            .and_then(|folder| folder.row.root.zip(folder.row.root_path.as_deref()))
            .and_then(|(root, top)| below(top, path).map(|names| (root, names)))
        else {
            return Ok(vec![Location::Outside]);
        };
        let is_kept_out = |end: usize| {
            let folder = self.folders.get(&folder);
            folder.is_some_and(|folder| !folder.filter.wants(&names[..end].join("/"), true))
        };
        let has_patterns = self.folders.get(&folder).is_some_and(|folder| !folder.filter.is_empty());
        if has_patterns && (1..names.len()).any(is_kept_out) {
            return Ok(vec![Location::FilteredOut]);
        }
        readings(root, &names, folders)
    }

    /// The path from the watched folder on, for people.
    pub(super) fn path_below_root(&self, folder: FolderId, path: &str) -> Option<String> {
        let root = self.folders.get(&folder)?.row.root_path.as_deref()?;
        below(root, path).map(|names| names.join("/"))
    }

    /// What an event that is no observation obliges us to ask; the word for the journal, if no item's work will give one.
    pub(super) fn take_hint(
        &mut self,
        folder: FolderId,
        event: &RemoteEvent,
        source: Source,
    ) -> Result<Option<&'static str>> {
        let subject = &event.subject;
        let (id, version, parent, path, from) = match subject {
            Subject::Item(item) => (
                Some(&item.id),
                item.content.as_ref().map(|content| &content.version),
                item.parent.as_ref(),
                None,
                None,
            ),
            Subject::Gone(id) => (Some(id), None, None, None, None),
            Subject::Id { id, version, parent, path, from } => {
                (Some(id), version.as_ref(), parent.as_ref(), path.as_deref(), from.as_deref())
            }
            Subject::Path { path, from, .. } => (None, None, None, Some(path.as_str()), from.as_deref()),
            Subject::Nothing | Subject::Unreadable => return Ok(None),
        };
        let kind = if matches!(subject, Subject::Gone(_)) { EventKind::Trashed } else { event.kind };
        if self.concerns_root(folder, kind, id, [path, from])? {
            return Ok(Some("watched folder"));
        }
        let known = id.map(|id| self.ctx.store.item_by_id(folder, id)).transpose()?.flatten();
        let parent = match parent {
            Some(parent) => {
                self.ctx.store.item_by_id(folder, parent)?.filter(|row| row.remote.presence == Presence::Present)
            }
            None => None,
        };
        let mut other_to = self.locate_told(folder, event, path, false)?;
        let mut other_from = self.locate_told(folder, event, from, true)?;
        let from_path = from;
        let (to, from) = (other_to.next(), other_from.next());
        let is_open = match &known {
            Some(known) => {
                let target = to.as_ref().and_then(|to| match to {
                    Location::Name { parent, .. } => Some(*parent),
                    Location::Folder { parent, .. } => *parent,
                    _ => None,
                });
                self.questions.may_show(known.node, [known.remote.parent, target])
                    || self.is_unmet(known)
                    || self.ctx.store.work(known.node)?.is_some_and(|work| work.mark.is_some())
                    || self.ctx.store.sent_of(known.node)?.is_some()
            }
            None => true,
        };
        let is_former = match (&known, event.at) {
            (Some(known), Some(at)) => self.is_former(known, version, at)?,
            _ => false,
        };
        let facts = Facts {
            kind,
            id,
            known: known.as_ref(),
            is_open,
            version,
            is_former,
            parent: parent.map(|row| row.node),
            to,
            from,
            top: self.watched_top(folder),
        };
        let (mut marks, mut outcome) = marks(&facts);
        while let (to, from) = (other_to.next(), other_from.next())
            && (to.is_some() || from.is_some())
        {
            marks.extend(hints::marks_otherwise(&facts, to, from));
        }
        // What leaves is told of by the path that it had.
        let told = if facts.leaves() { from_path.map(|from| (from, EventKind::Other)) } else { path.zip(Some(kind)) };
        if let (Subject::Path { .. }, Some((path, kind))) = (subject, told) {
            self.note_unsure(folder, path, kind)?;
        }
        for mark in marks {
            if let (Mark::Left { dir, name, .. }, Some(from), Some(to)) = (&mark, from_path, path) {
                self.follow_below(folder, (*dir, name), from, to)?;
            }
            if self.take_told(folder, mark, told, source)? {
                outcome = outcome.or(Some("listed"));
            }
        }
        Ok(outcome)
    }

    /// What an event obliges us to ask, and where that is a name, by which path the event told of it.
    pub(super) fn take_told(
        &mut self,
        folder: FolderId,
        mark: Mark,
        told: Option<(&str, EventKind)>,
        source: Source,
    ) -> Result<bool> {
        let expected = mark.expected_name().map(|(dir, name)| (dir, name.to_owned()));
        let is_below = matches!(mark, Mark::Below(..));
        let is_listed = self.take_mark(folder, mark, source)?;
        if let (Some((path, kind)), Some((dir, name))) = (told, expected)
            && self.questions.expects_name(dir, &name)
        {
            self.questions.told_by_path.note_path(dir, path, Way { name, is_below, kind, is_sought: false });
        }
        Ok(is_listed)
    }

    /// Whether something later than an event was told of its item, or another version was seen in place of the one that it names.
    ///
    /// Example: two versions are uploaded, and the event of the first comes after that of the second.
    fn is_former(&self, known: &ItemRow, version: Option<&VersionId>, at: Wall) -> Result<bool> {
        let has = known.remote.content.as_ref().map(|content| &content.version);
        if let Some(version) = version.filter(|version| has.is_some_and(|has| has != *version))
            && self.ctx.store.was_replaced_since(known.folder, &known.id, version, at)?
        {
            return Ok(true);
        }
        self.ctx.store.told_later(known.node, at)
    }

    /// The root of a folder that watches the top of its account.
    fn watched_top(&self, folder: FolderId) -> Option<NodeId> {
        self.folders.get(&folder).filter(|folder| folder.watches_top)?.row.root
    }

    /// Whether a listing answers for an item of which there is no row that could tell what became of it.
    fn take_mark(&mut self, folder: FolderId, mark: Mark, source: Source) -> Result<bool> {
        match mark {
            Mark::Node(node, expected) => {
                let parent = expected.place.as_ref().map(|(parent, _)| *parent);
                let is_gone = expected.told == Told::Gone;
                self.expect(node, expected)?;
                self.mark_look(node, folder, source)?;
                let known = self.ctx.store.item(node)?;
                let parent = parent.or(known.and_then(|known| known.remote.parent)).filter(|_| !is_gone);
                if let Some(parent) = parent.filter(|_| !self.events_carry_items(folder)) {
                    self.list_if_small(parent, folder)?;
                }
                Ok(false)
            }
            Mark::New { id, parent, name, version, told } => {
                let at = self.ctx.store.generation();
                let is_sent = self.ctx.store.sent_left(folder)?;
                self.questions.note_unknown(&id, version.as_ref(), at, is_sent);
                if is_sent && self.is_being_made(folder, parent, &name)? {
                    // The answer to our own write will name it.
                    return Ok(false);
                }
                if !self.events_carry_items(folder) && self.list_if_small(parent, folder)? {
                    // Streams that name the item by its id alone do not say what it is called.
                    if !name.is_empty() && told == Told::There {
                        self.expect_name(parent, &name)?;
                        self.questions.told_by_path.note_item(parent, &name, &id, false);
                    }
                    return Ok(true);
                }
                let row = RemoteRow {
                    presence: Presence::Absent,
                    parent: Some(parent),
                    name,
                    content: None,
                    etag: None,
                    sequence: None,
                    seen: 0,
                };
                let node = self.ctx.store.add_item(folder, &id, &row)?;
                self.expect(node, Expectation { version, told, place: None })?;
                self.mark_look(node, folder, source)?;
                Ok(false)
            }
            Mark::Children(dir, name) => {
                if let Some(name) = name {
                    self.expect_name(dir, &name)?;
                }
                self.ctx.store.want_listing_now(dir, folder)?;
                Ok(false)
            }
            Mark::Below(dir, name, id) => {
                if let Some(name) = name {
                    self.expect_name(dir, &name)?;
                    if let Some(id) = id {
                        self.questions.told_by_path.note_item(dir, &name, &id, true);
                    }
                }
                self.ctx.store.want_listing_below(dir, folder)?;
                Ok(false)
            }
            Mark::Left { dir, name, to } => {
                if self.questions.saw_name(dir, &name) {
                    self.ctx.store.forget_name(dir, &name)?;
                }
                self.name_was_left(folder, dir, &name)?;
                self.follow_items(dir, &name, to)?;
                Ok(false)
            }
            Mark::Subtree(dir) => {
                // What is in one that is gone is told that, and listed if the folder comes back.
                if self.ctx.store.item(dir)?.is_some_and(|dir| dir.remote.presence == Presence::Present) {
                    self.ctx.store.want_listing(dir, folder)?;
                    self.ctx.store.want_sweep(dir, folder, Presence::Present)?;
                    self.ctx.more = true;
                }
                Ok(false)
            }
            Mark::Unknown(id) => {
                let at = self.ctx.store.generation();
                let is_sent = self.ctx.store.sent_left(folder)?;
                // Where it is told to be, no write of ours has put it: this is no echo.
                self.questions.note_unknown(&id, None, at, is_sent);
                Ok(false)
            }
        }
    }

    /// What an event makes us expect of an item, as durable as the mark that it leaves.
    pub(super) fn expect(&mut self, node: NodeId, expected: Expectation) -> Result<()> {
        let expected = expected.after(self.questions.expected(node));
        if self.questions.expect(node, expected.clone()) { self.ctx.store.expect(node, &expected) } else { Ok(()) }
    }

    /// A folder is gone, and no listing of it will show the names that are expected in it. Each path that seemed to lead there is read again:
    /// by now it may lead into another folder. If it does not, one that is yet to be found under the name of the first is listed with all below.
    ///
    /// Example: `a` goes to the trash, `b` becomes `a`, and `a/new` is told before the first was observed. It was looked for in the former `a`.
    pub(super) fn follow_names(&mut self, gone: &ItemRow) -> Result<()> {
        let names = self.questions.forget_names(gone.node);
        if names.is_empty() {
            return Ok(());
        }
        self.ctx.store.forget_names(gone.node)?;
        let paths = self.questions.told_by_path.take_paths(gone.node, &names);
        self.questions.told_by_path.forget(gone.node);
        for (path, way) in paths {
            match self.locate(gone.folder, &path)? {
                Location::Name { parent, name } => {
                    self.expect_name(parent, &name)?;
                    self.questions.told_by_path.note_path(parent, &path, Way { name, is_below: false, ..way });
                    self.ctx.store.want_listing_now(parent, gone.folder)?;
                }
                Location::Beyond { nearest, .. } => self.ctx.store.want_listing_below(nearest, gone.folder)?,
                Location::Folder { .. } | Location::Outside | Location::FilteredOut => {}
            }
        }
        Ok(())
    }

    /// A name in a folder was left, and items that we do not know were told of below it: they went with what had the name.
    ///
    /// Example: we rename `d` to `b`, and hear then of the new `d/a/f` and of the rename. No listing is to show a `d` any more, and `b` is
    /// known already, so that nobody lists all below it.
    fn follow_items(&mut self, dir: NodeId, name: &str, to: Option<Location>) -> Result<()> {
        let items = self.questions.told_by_path.take_items_below(dir, name);
        match to {
            _ if items.is_empty() => Ok(()),
            Some(Location::Folder { .. }) => self.look_for(dir, &items),
            // What is found there to be new, or to have moved there, is listed with all below it.
            Some(Location::Name { parent, name } | Location::Beyond { nearest: parent, name }) => {
                let folder = self.ctx.store.item(parent)?.map(|parent| parent.folder);
                for id in &items {
                    self.questions.told_by_path.note_item(parent, &name, id, true);
                }
                folder.map_or(Ok(()), |folder| self.ctx.store.want_listing_below(parent, folder))
            }
            Some(Location::Outside | Location::FilteredOut) | None => Ok(()),
        }
    }

    /// A listing of a folder did not show the names to which paths had led: each path is read again, and what it leads
    /// to by now is listed.
    ///
    /// Example: `a` becomes `b`, `c` becomes `a`, and `a/d/new` is told before either was observed. It was looked for
    /// in the former `a`.
    pub(super) fn follow_paths(&mut self, dir: NodeId, folder: FolderId, unmet: &BTreeSet<String>) -> Result<()> {
        for (path, way) in self.questions.told_by_path.take_paths(dir, unmet) {
            let (to, to_name, is_below) = match self.locate(folder, &path)? {
                Location::Name { parent, name } => (parent, name, false),
                Location::Beyond { nearest, name } => (nearest, name, true),
                // It leads to what is known by now, or to what is not wanted.
                Location::Folder { .. } | Location::Outside | Location::FilteredOut => continue,
            };
            let is_here = to == dir && to_name == way.name;
            let further = Way { name: to_name.clone(), is_below, is_sought: way.is_sought || is_here, ..way };
            self.questions.told_by_path.note_path(to, &path, further);
            if is_here {
                // It may be shown a little later, or where the folders on the way are by now.
                for other in self.locate_all(folder, &path, None)?.into_iter().skip(1) {
                    let (node, name, is_below) = match other {
                        Location::Name { parent, name } => (parent, name, false),
                        Location::Beyond { nearest, name } => (nearest, name, true),
                        Location::Folder { .. } | Location::Outside | Location::FilteredOut => continue,
                    };
                    // This one is asked again by its own measure.
                    if node == dir {
                        continue;
                    }
                    if !way.is_sought {
                        self.expect_name(node, &name)?;
                    }
                    self.list_for(node, folder, is_below)?;
                }
                continue;
            }
            if self.questions.saw_name(dir, &way.name) {
                self.ctx.store.forget_name(dir, &way.name)?;
            }
            self.expect_name(to, &to_name)?;
            self.list_for(to, folder, is_below)?;
        }
        Ok(())
    }

    /// Lists a folder for something in it, or below a name in it.
    fn list_for(&mut self, dir: NodeId, folder: FolderId, is_below: bool) -> Result<()> {
        if is_below {
            self.ctx.store.want_listing_below(dir, folder)
        } else {
            self.ctx.store.want_listing_now(dir, folder)
        }
    }

    /// Nothing is expected of an item any more.
    pub(super) fn forget_expected(&mut self, node: NodeId) -> Result<()> {
        self.questions.told_by_path.was_confirmed(node);
        if self.questions.forget_expected(node) { self.ctx.store.forget_expected(node) } else { Ok(()) }
    }

    fn expect_name(&mut self, dir: NodeId, name: &str) -> Result<()> {
        if self.questions.expect_name(dir, name) { self.ctx.store.expect_name(dir, name) } else { Ok(()) }
    }

    /// Reads back what an engine of before expected of a watched folder.
    pub(super) fn recall_expectations(&mut self, folder: FolderId) -> Result<()> {
        for (node, expected) in self.ctx.store.expectations(folder)? {
            self.questions.expect(node, expected);
        }
        for (dir, name) in self.ctx.store.expected_names(folder)? {
            self.questions.recall_name(dir, &name);
        }
        Ok(())
    }

    /// Reads back which folders had a name until lately, as an engine of before observed it.
    pub(super) fn recall_former_names(&mut self) -> Result<()> {
        for former in self.ctx.store.former_names()? {
            self.questions.former.note(former);
        }
        Ok(())
    }

    /// Marks the children of a folder if one call lists them all.
    fn list_if_small(&mut self, dir: NodeId, folder: FolderId) -> Result<bool> {
        let is_small = self.ctx.store.count_children(dir, LISTED_AT_ONCE)? < LISTED_AT_ONCE;
        if is_small {
            self.ctx.store.want_listing_now(dir, folder)?;
        }
        Ok(is_small)
    }

    /// Whether the events of a folder's cloud carry whole items.
    pub(super) fn events_carry_items(&self, folder: FolderId) -> bool {
        let account = self.folders.get(&folder).and_then(|folder| self.accounts.get(&folder.account));
        account.is_none_or(|account| account.capabilities.events_carry_items)
    }

    /// Marks an item: its state is asked for before anything is done for it.
    pub(super) fn mark_look(&mut self, node: NodeId, folder: FolderId, source: Source) -> Result<()> {
        self.ctx.store.mark(node, folder, Lane::News, Ask::State, source.journal(), self.ctx.now.wall)
    }

    /// Marks the children of a known folder, and says so to whoever lists it now: what comes may be older.
    pub(super) fn mark_children(&mut self, dir: NodeId, folder: FolderId) -> Result<()> {
        match self.ctx.store.item(dir)? {
            Some(_) => self.ctx.store.want_listing_now(dir, folder),
            // It is not known any more, and nothing that we wrote into it is ours to find.
            None => Ok(()),
        }
    }

    /// Lets an item that is to be looked at wait while its folder is about to be listed, which may answer for it as well. Whether it waits.
    pub(super) fn await_listing(&mut self, item: &ItemRow) -> Result<bool> {
        let expected = self.questions.expected(item.node).and_then(|expected| expected.place.as_ref());
        let parents = [expected.map(|(parent, _)| *parent), item.remote.parent];
        for parent in parents.into_iter().flatten() {
            if self.ctx.store.listing_due(parent)? && self.folder_can_ask(item.folder) {
                self.questions.wait_for_listing(parent, item.node);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Those go on whose folder is not about to be listed any more.
    pub(super) fn release_awaiting_listing(&mut self) -> Result<()> {
        for dir in self.questions.awaited() {
            if self.ctx.store.listing_due(dir)? {
                continue;
            }
            for node in self.questions.released(dir) {
                if self.schedule.phase(node) == Some(super::Phase::AwaitListing) {
                    self.schedule.make_ready(node, Lane::News);
                }
            }
        }
        Ok(())
    }

    /// Asks once more, a little later, for an item whose answer showed nothing of what an event told. False if it is not worth it.
    pub(super) fn ask_again(&mut self, node: NodeId) -> Result<bool> {
        let Some(wait) = self.questions.ask_again_after(node) else {
            self.ctx.store.forget_expected(node)?;
            return Ok(false);
        };
        let Some(work) = self.ctx.store.work(node)? else { return Ok(false) };
        self.ctx.store.want_look(node)?;
        let due = self.ctx.now.wall.plus_ms(super::millis(wait) as i64);
        self.ctx.store.put_off(node, due, work.attempts, None)?;
        self.schedule.unqueue(node);
        self.schedule.wake_waiters(node);
        Ok(true)
    }
}

/// The names that lead from a folder's whole path to a path in it or at it; nothing if it lies elsewhere. Letters' case makes no difference.
pub(in crate::engine) fn below<'a>(top: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let names = |path: &'a str| path.split('/').filter(|name| !name.is_empty());
    let mut rest = names(path);
    for name in top.split('/').filter(|name| !name.is_empty()) {
        if rest.next()?.to_lowercase() != name.to_lowercase() {
            return None;
        }
    }
    Some(rest.collect())
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn paths_are_compared_by_whole_names_and_without_case() {
        assert_eq!(below("/Shared/A", "/shared/a/B/c.txt"), Some(vec!["B", "c.txt"]));
        assert_eq!(below("/Shared/A", "/Shared/A/"), Some(vec![]));
        assert_eq!(below("/Shared/A", "/Shared/AB"), None);
        assert_eq!(below("/Shared/A", "/Shared"), None);
        assert_eq!(below("/", "/x"), Some(vec!["x"]));
    }
}
