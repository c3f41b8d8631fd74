//! What events oblige us to ask, and what they make us expect until it is answered: in memory and as durable as the marks that they leave.

use std::collections::BTreeSet;

use super::ground::{Ground, below};
use super::hints::{Facts, Location, Mark, marks, marks_otherwise};
use super::questions::{Questions, Way};
use crate::engine::ctx::{Ctx, millis};
use crate::events::{EventKind, RemoteEvent, Subject};
use crate::id::{FolderId, ItemId, JournalId, NodeId, VersionId};
use crate::store::Result;
use crate::store::expected::{Expectation, Told};
use crate::store::items::{ItemRow, Presence, RemoteRow};
use crate::store::work::{Ask, Priority};
use crate::tree::Wall;

/// Children of a folder whose listing is one call: where events carry no items, it answers for all of them together.
const LISTED_AT_ONCE: u32 = 200;

/// What an event says, in the parts that every kind of it has.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine) struct Hint<'a> {
    /// The item that it names.
    pub id: Option<&'a ItemId>,
    /// That item's version.
    pub version: Option<&'a VersionId>,
    /// The folder that it names as the item's parent.
    parent: Option<&'a ItemId>,
    /// Where it happened.
    pub path: Option<&'a str>,
    /// Where it was before.
    pub from: Option<&'a str>,
}

impl<'a> Hint<'a> {
    /// The parts of what an event is about; nothing if it is about nothing of ours, or cannot be read.
    pub fn of(subject: &'a Subject) -> Option<Self> {
        Some(match subject {
            Subject::Item(item) => Self {
                id: Some(&item.id),
                version: item.content.as_ref().map(|content| &content.version),
                parent: item.parent.as_ref(),
                ..Self::default()
            },
            Subject::Gone(id) => Self { id: Some(id), ..Self::default() },
            Subject::Id { id, version, parent, path, from } => Self {
                id: Some(id),
                version: version.as_ref(),
                parent: parent.as_ref(),
                path: path.as_deref(),
                from: from.as_deref(),
            },
            Subject::Path { path, from, .. } => {
                Self { path: Some(path.as_str()), from: from.as_deref(), ..Self::default() }
            }
            Subject::Nothing | Subject::Unreadable => return None,
        })
    }
}

/// What an event says happened.
pub(in crate::engine) fn kind_of(event: &RemoteEvent) -> EventKind {
    if matches!(event.subject, Subject::Gone(_)) { EventKind::Trashed } else { event.kind }
}

/// What follows from an event.
#[derive(Debug)]
pub(in crate::engine) struct Heard<'a> {
    /// What must be asked again.
    pub marks: Vec<Mark>,
    /// The word for the journal, if no item's work will give one.
    pub outcome: Option<&'static str>,
    /// By which path it told of a name, and of what.
    pub told: Option<(&'a str, EventKind)>,
}

/// What follows from a mark that was taken.
#[derive(Debug, Default)]
pub(in crate::engine) struct MarkTaken {
    /// A listing answers for an item of which there is no row that could tell what became of it.
    pub is_listed: bool,
    /// Items that are yet to be found, by a folder of theirs.
    pub looked_for: Option<(NodeId, Vec<ItemId>)>,
}

/// How a path leads on, if it leads to something that is not known yet.
fn further(to: Location) -> Option<(NodeId, String, bool)> {
    match to {
        Location::Name { parent, name } => Some((parent, name, false)),
        Location::Beyond { nearest, name } => Some((nearest, name, true)),
        // It leads to what is known by now, or to what is not wanted.
        Location::Folder { .. } | Location::Outside | Location::FilteredOut => None,
    }
}

/// Lists a folder for something in it, or below a name in it.
fn list_for(ctx: &mut Ctx, dir: NodeId, folder: FolderId, is_below: bool) -> Result<()> {
    if is_below { ctx.store.want_listing_below(dir, folder) } else { ctx.store.want_listing_now(dir, folder) }
}

/// Marks an item: its state is asked for before anything is done for it.
pub(in crate::engine) fn mark_look(
    ctx: &mut Ctx,
    node: NodeId,
    folder: FolderId,
    journal: Option<JournalId>,
) -> Result<()> {
    ctx.store.mark(node, folder, Priority::News, Ask::State, journal, ctx.now.wall)
}

/// Marks the children of a known folder, while a listing of it may be under way, whose answer may be older.
pub(in crate::engine) fn mark_children(ctx: &mut Ctx, dir: NodeId, folder: FolderId) -> Result<()> {
    match ctx.store.item(dir)? {
        Some(_) => ctx.store.want_listing_now(dir, folder),
        // It is not known any more, and nothing that we wrote into it is ours to find.
        None => Ok(()),
    }
}

/// Marks what is in a folder, with all below: what happened in it meanwhile was not told.
pub(in crate::engine) fn ask_below(ctx: &mut Ctx, dir: &ItemRow) -> Result<()> {
    ctx.store.want_listing_now(dir.node, dir.folder)?;
    ctx.store.want_sweep(dir.node, dir.folder, Presence::Present)?;
    ctx.more = true;
    Ok(())
}

/// Marks the children of a folder if one call lists them all.
fn list_if_small(ctx: &mut Ctx, dir: NodeId, folder: FolderId) -> Result<bool> {
    let is_small = ctx.store.count_children(dir, LISTED_AT_ONCE)? < LISTED_AT_ONCE;
    if is_small {
        ctx.store.want_listing_now(dir, folder)?;
    }
    Ok(is_small)
}

/// Whether something later than an event was told of its item, or another version was seen in place of the one that it names.
///
/// Example: two versions are uploaded, and the event of the first comes after that of the second.
fn is_former(ctx: &Ctx, known: &ItemRow, version: Option<&VersionId>, at: Wall) -> Result<bool> {
    let has = known.remote.content.as_ref().map(|content| &content.version);
    if let Some(version) = version.filter(|version| has.is_some_and(|has| has != *version))
        && ctx.store.was_replaced_since(known.folder, &known.id, version, at)?
    {
        return Ok(true);
    }
    ctx.store.told_later(known.node, at)
}

impl Questions {
    /// What an event that is no observation obliges us to ask in a folder.
    pub fn hear<'a>(
        &mut self,
        ctx: &Ctx,
        ground: &Ground<'_>,
        event: &RemoteEvent,
        hint: &Hint<'a>,
    ) -> Result<Heard<'a>> {
        let known = hint.id.map(|id| ctx.store.item_by_id(ground.id, id)).transpose()?.flatten();
        let parent = match hint.parent {
            Some(parent) => {
                ctx.store.item_by_id(ground.id, parent)?.filter(|row| row.remote.presence == Presence::Present)
            }
            None => None,
        };
        let mut other_to = ground.locate_told(ctx, &self.former, event, hint.path, false)?;
        let mut other_from = ground.locate_told(ctx, &self.former, event, hint.from, true)?;
        let (to, from) = (other_to.next(), other_from.next());
        let is_open = match &known {
            Some(known) => {
                let target = to.as_ref().and_then(|to| match to {
                    Location::Name { parent, .. } => Some(*parent),
                    Location::Folder { parent, .. } => *parent,
                    _ => None,
                });
                self.may_show(known.node, [known.remote.parent, target])
                    || ground.is_unmet(known)
                    || ctx.store.work(known.node)?.is_some_and(|work| work.mark.is_some())
                    || ctx.store.sent_of(known.node)?.is_some()
            }
            None => true,
        };
        let is_former = match (&known, event.at) {
            (Some(known), Some(at)) => is_former(ctx, known, hint.version, at)?,
            _ => false,
        };
        let kind = kind_of(event);
        let facts = Facts {
            kind,
            id: hint.id,
            known: known.as_ref(),
            is_open,
            version: hint.version,
            is_former,
            parent: parent.map(|row| row.node),
            to,
            from,
            top: ground.top(),
        };
        let (mut marks, outcome) = marks(&facts);
        while let (to, from) = (other_to.next(), other_from.next())
            && (to.is_some() || from.is_some())
        {
            marks.extend(marks_otherwise(&facts, to, from));
        }
        // What leaves is told of by the path that it had.
        let told = if facts.leaves() {
            hint.from.map(|from| (from, EventKind::Other))
        } else {
            hint.path.map(|path| (path, kind))
        };
        if let (Subject::Path { .. }, Some((path, kind))) = (&event.subject, told) {
            self.note_unsure(ctx, ground, path, kind)?;
        }
        Ok(Heard { marks, outcome, told })
    }

    /// What an event obliges us to ask that told no more than a path, by where that leads now.
    pub fn hear_path(&mut self, ctx: &Ctx, ground: &Ground<'_>, path: &str, kind: EventKind) -> Result<Vec<Mark>> {
        let facts = Facts { to: Some(ground.locate(ctx, path)?), ..Facts::of_kind(kind) };
        self.note_unsure(ctx, ground, path, kind)?;
        Ok(marks(&facts).0)
    }

    /// Remembers a path of an event with every folder on the way to it whose own name or place is asked about.
    ///
    /// Example: `c` and `d` swap their names, and `c/s/new` is told, before any of it was observed. Both have an `s`, and the path leads into that of
    /// the former `c`.
    fn note_unsure(&mut self, ctx: &Ctx, ground: &Ground<'_>, path: &str, kind: EventKind) -> Result<()> {
        for dir in ground.way_to(ctx, path)? {
            if ctx.store.work(dir)?.is_some_and(|work| work.mark.is_some()) {
                self.told_by_path.note_unsure((ground.id, dir), path, kind);
            }
        }
        Ok(())
    }

    /// A name in a folder was left that was never observed: by which paths that are told of below it by now, and what happened there.
    ///
    /// Example: `d` becomes `b`, `b/a` comes back from the trash, `b` becomes `c`, and a listing showed `c` before we hear of it all. No listing
    /// is to show a `b`, and `c` is known already, so that nobody lists all below it.
    pub fn follow_below(&mut self, (dir, name): (NodeId, &str), from: &str, to: &str) -> Vec<(String, EventKind)> {
        let told = self.told_by_path.take_paths_below(dir, name);
        let follow = |(told, kind): (String, EventKind)| {
            let rest = below(from, &told)?;
            Some((format!("{}/{}", to.trim_end_matches('/'), rest.join("/")), kind))
        };
        told.into_iter().filter_map(follow).collect()
    }

    /// Takes what an event obliges us to ask, and where that is a name, by which path the event told of it. `is_made`: a write of ours whose
    /// answer is not here yet makes it.
    pub fn take_mark(
        &mut self,
        ctx: &mut Ctx,
        ground: &Ground<'_>,
        mark: Mark,
        told: Option<(&str, EventKind)>,
        journal: Option<JournalId>,
        is_made: bool,
    ) -> Result<MarkTaken> {
        let expected = mark.expected_name().map(|(dir, name)| (dir, name.to_owned()));
        let is_below = matches!(mark, Mark::Below(..));
        let taken = self.take(ctx, ground, mark, journal, is_made)?;
        if let (Some((path, kind)), Some((dir, name))) = (told, expected)
            && self.expects_name(dir, &name)
        {
            self.told_by_path.note_path((ground.id, dir), path, Way { name, is_below, kind, is_sought: false });
        }
        Ok(taken)
    }

    fn take(
        &mut self,
        ctx: &mut Ctx,
        ground: &Ground<'_>,
        mark: Mark,
        journal: Option<JournalId>,
        is_made: bool,
    ) -> Result<MarkTaken> {
        let folder = ground.id;
        let mut taken = MarkTaken::default();
        match mark {
            Mark::Node(node, expected) => {
                let parent = expected.place.as_ref().map(|(parent, _)| *parent);
                let is_gone = expected.told == Told::Gone;
                self.await_state(ctx, node, expected)?;
                mark_look(ctx, node, folder, journal)?;
                let known = ctx.store.item(node)?;
                let parent = parent.or(known.and_then(|known| known.remote.parent)).filter(|_| !is_gone);
                if let Some(parent) = parent.filter(|_| !ground.events_carry_items) {
                    list_if_small(ctx, parent, folder)?;
                }
            }
            Mark::New { id, parent, name, version, told } => {
                let at = ctx.store.generation();
                let is_sent = ctx.store.sent_left(folder)?;
                self.note_unknown(&id, version.as_ref(), at, is_sent);
                if is_sent && is_made {
                    // The answer to our own write will name it.
                    return Ok(taken);
                }
                if !ground.events_carry_items && list_if_small(ctx, parent, folder)? {
                    // Streams that name the item by its id alone do not say what it is called.
                    if !name.is_empty() && told == Told::There {
                        self.await_item(ctx, (folder, parent), &name, &id)?;
                    }
                    taken.is_listed = true;
                    return Ok(taken);
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
                let node = ctx.store.add_item(folder, &id, &row)?;
                self.await_state(ctx, node, Expectation { version, told, place: None })?;
                mark_look(ctx, node, folder, journal)?;
            }
            Mark::Children(dir, name) => {
                if let Some(name) = name {
                    self.await_name(ctx, dir, &name)?;
                }
                ctx.store.want_listing_now(dir, folder)?;
            }
            Mark::Below(dir, name, id) => {
                if let Some(name) = name {
                    self.await_name(ctx, dir, &name)?;
                    if let Some(id) = id {
                        self.told_by_path.note_item((folder, dir), &name, &id, true);
                    }
                }
                ctx.store.want_listing_below(dir, folder)?;
            }
            Mark::Left { dir, name, to } => {
                if self.saw_name(dir, &name) {
                    ctx.store.forget_name(dir, &name)?;
                }
                taken.looked_for = self.follow_items(ctx, dir, &name, to)?;
            }
            Mark::Subtree(dir) => {
                // What is in one that is gone is told that, and listed if the folder comes back.
                if ctx.store.item(dir)?.is_some_and(|dir| dir.remote.presence == Presence::Present) {
                    ctx.store.want_listing(dir, folder)?;
                    ctx.store.want_sweep(dir, folder, Presence::Present)?;
                    ctx.more = true;
                }
            }
            Mark::Unknown(id) => {
                let at = ctx.store.generation();
                let is_sent = ctx.store.sent_left(folder)?;
                // Where it is told to be, no write of ours has put it: this is no echo.
                self.note_unknown(&id, None, at, is_sent);
            }
        }
        Ok(taken)
    }

    /// What an event makes us expect of an item, as durable as the mark that it leaves.
    pub fn await_state(&mut self, ctx: &mut Ctx, node: NodeId, expected: Expectation) -> Result<()> {
        let expected = expected.after(self.expected(node));
        if self.expect(node, expected.clone()) { ctx.store.expect(node, &expected) } else { Ok(()) }
    }

    /// What an event makes us expect in a folder, as durable as the mark that it leaves.
    fn await_name(&mut self, ctx: &mut Ctx, dir: NodeId, name: &str) -> Result<()> {
        if self.expect_name(dir, name) { ctx.store.expect_name(dir, name) } else { Ok(()) }
    }

    /// What an event makes us expect in a folder of an unknown item: what has the name there by then may be another one.
    fn await_item(&mut self, ctx: &mut Ctx, at: (FolderId, NodeId), name: &str, id: &ItemId) -> Result<()> {
        let (_, dir) = at;
        self.expect_name(dir, name);
        if self.expects_name(dir, name) {
            ctx.store.expect_item(dir, name, id)?;
        }
        self.told_by_path.note_item(at, name, id, false);
        Ok(())
    }

    /// Nothing is expected of an item any more.
    pub fn await_no_state(&mut self, ctx: &mut Ctx, node: NodeId) -> Result<()> {
        self.told_by_path.was_confirmed(node);
        if self.forget_expected(node) { ctx.store.forget_expected(node) } else { Ok(()) }
    }

    /// A folder is gone, and no listing of it will show the names that are expected in it. Each path that seemed to lead there is read again:
    /// by now it may lead into another folder. If it does not, one that is yet to be found under the name of the first is listed with all below.
    ///
    /// Example: `a` goes to the trash, `b` becomes `a`, and `a/new` is told before the first was observed. It was looked for in the former `a`.
    pub fn follow_names(&mut self, ctx: &mut Ctx, ground: &Ground<'_>, gone: NodeId) -> Result<()> {
        let names = self.forget_names(gone);
        let paths = self.told_by_path.take_paths(gone, &names);
        // Names that were left since are not expected any more, and what was told of below them may still be remembered.
        self.told_by_path.forget(gone);
        if names.is_empty() {
            return Ok(());
        }
        ctx.store.forget_names(gone)?;
        for (path, way) in paths {
            match ground.locate(ctx, &path)? {
                Location::Name { parent, name } => {
                    self.await_name(ctx, parent, &name)?;
                    self.told_by_path.note_path((ground.id, parent), &path, Way { name, is_below: false, ..way });
                    ctx.store.want_listing_now(parent, ground.id)?;
                }
                Location::Beyond { nearest, .. } => ctx.store.want_listing_below(nearest, ground.id)?,
                Location::Folder { .. } | Location::Outside | Location::FilteredOut => {}
            }
        }
        Ok(())
    }

    /// A name in a folder was left, and items that we do not know were told of below it: they went with what had the name. Those that are to be
    /// found by themselves, and the folder.
    ///
    /// Example: we rename `d` to `b`, and hear then of the new `d/a/f` and of the rename. No listing is to show a `d` any more, and `b` is
    /// known already, so that nobody lists all below it.
    fn follow_items(
        &mut self,
        ctx: &mut Ctx,
        dir: NodeId,
        name: &str,
        to: Option<Location>,
    ) -> Result<Option<(NodeId, Vec<ItemId>)>> {
        let items = self.told_by_path.take_items_below(dir, name);
        match to {
            _ if items.is_empty() => {}
            Some(Location::Folder { .. }) => return Ok(Some((dir, items))),
            // What is found there to be new, or to have moved there, is listed with all below it.
            Some(Location::Name { parent, name } | Location::Beyond { nearest: parent, name }) => {
                let Some(folder) = ctx.store.item(parent)?.map(|parent| parent.folder) else { return Ok(None) };
                for id in &items {
                    self.told_by_path.note_item((folder, parent), &name, id, true);
                }
                ctx.store.want_listing_below(parent, folder)?;
            }
            Some(Location::Outside | Location::FilteredOut) | None => {}
        }
        Ok(None)
    }

    /// A listing of a folder did not show the names to which paths had led: each path is read again, and what it leads
    /// to by now is listed.
    ///
    /// Example: `a` becomes `b`, `c` becomes `a`, and `a/d/new` is told before either was observed. It was looked for
    /// in the former `a`.
    pub fn follow_paths(
        &mut self,
        ctx: &mut Ctx,
        ground: &Ground<'_>,
        dir: NodeId,
        unmet: &BTreeSet<String>,
    ) -> Result<()> {
        let folder = ground.id;
        for (path, way) in self.told_by_path.take_paths(dir, unmet) {
            let Some((to, to_name, is_below)) = further(ground.locate(ctx, &path)?) else { continue };
            let is_here = to == dir && to_name == way.name;
            let onward = Way { name: to_name.clone(), is_below, is_sought: way.is_sought || is_here, ..way };
            self.told_by_path.note_path((folder, to), &path, onward);
            if is_here {
                // It may be shown a little later, or where the folders on the way are by now.
                for other in ground.locate_all(ctx, &self.former, &path, None)?.into_iter().skip(1) {
                    let Some((node, name, is_below)) = further(other) else { continue };
                    // This one is asked again by its own measure.
                    if node == dir {
                        continue;
                    }
                    if !way.is_sought {
                        self.await_name(ctx, node, &name)?;
                    }
                    list_for(ctx, node, folder, is_below)?;
                }
                continue;
            }
            if self.saw_name(dir, &way.name) {
                ctx.store.forget_name(dir, &way.name)?;
            }
            self.await_name(ctx, to, &to_name)?;
            list_for(ctx, to, folder, is_below)?;
        }
        Ok(())
    }

    /// Reads back what an engine of before expected of a watched folder.
    pub fn recall_expectations(&mut self, ctx: &Ctx, folder: FolderId) -> Result<()> {
        for (node, expected) in ctx.store.expectations(folder)? {
            self.expect(node, expected);
        }
        for (dir, name, id) in ctx.store.expected_names(folder)? {
            self.expect_name(dir, &name);
            if let Some(id) = id {
                self.told_by_path.note_item((folder, dir), &name, &id, false);
            }
        }
        Ok(())
    }

    /// Reads back which folders had a name until lately, as an engine of before observed it.
    pub fn recall_former_names(&mut self, ctx: &Ctx) -> Result<()> {
        for former in ctx.store.former_names()? {
            self.former.note(former);
        }
        Ok(())
    }

    /// The folder that is about to be listed for which a look at an item waits: the listing may answer for it as well. Nothing if the look is
    /// not to wait.
    pub fn listing_to_await(&self, ctx: &Ctx, item: &ItemRow) -> Result<Option<NodeId>> {
        let expected = self.expected(item.node).and_then(|expected| expected.place.as_ref());
        let parents = [expected.map(|(parent, _)| *parent), item.remote.parent];
        for parent in parents.into_iter().flatten() {
            if ctx.store.listing_due(parent)? {
                return Ok(Some(parent));
            }
        }
        Ok(None)
    }

    /// The items that waited for a listing of a folder that is not about to be listed any more.
    pub fn no_longer_waiting(&mut self, ctx: &Ctx) -> Result<Vec<NodeId>> {
        let mut nodes = Vec::new();
        for dir in self.awaited() {
            if !ctx.store.listing_due(dir)? {
                nodes.extend(self.released(dir));
            }
        }
        Ok(nodes)
    }

    /// Asks once more, a little later, for an item whose answer showed nothing of what an event told. False if it is not worth it.
    pub fn ask_again(&mut self, ctx: &mut Ctx, node: NodeId) -> Result<bool> {
        let Some(wait) = self.ask_again_after(node) else {
            ctx.store.forget_expected(node)?;
            return Ok(false);
        };
        let Some(work) = ctx.store.work(node)? else { return Ok(false) };
        ctx.store.want_look(node)?;
        let due = ctx.now.wall.plus_ms(millis(wait) as i64);
        ctx.store.put_off(node, due, work.attempts, None)?;
        Ok(true)
    }
}
