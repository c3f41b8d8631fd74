//! What the cloud says of an item becomes what we know of the cloud: newer facts win, and what they change is marked as work.

use super::Engine;
use super::paths::joined;
use super::reconcile::{NAME_TAKEN, NETWORK, OUTCOME_UNKNOWN, VERSION_GONE};
use super::remote::Location;
use super::undo;
use crate::id::{FolderId, Generation, ItemId, JournalId, NodeId};
use crate::store::Result;
use crate::store::expected::Expectation;
use crate::store::folders::FolderCounts;
use crate::store::former::FormerName;
use crate::store::items::{ItemRow, Presence, RemoteRow};
use crate::store::work::{Ask, Lane};
use crate::tree::RemoteItem;

/// Where a description of an item comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// An event that carries the whole item and its count of changes.
    Event {
        /// Its entry in the journal.
        journal: Option<JournalId>,
        /// Something that happened later was told before it.
        late: bool,
    },
    /// A listing of its parent, for whom that was made, and when it was asked for.
    Listing(Lane, Generation),
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
    fn is_sight(self) -> bool {
        !matches!(self, Self::Event { .. })
    }

    fn lane(self) -> Lane {
        match self {
            Self::Event { .. } | Self::Look { .. } | Self::Own => Lane::News,
            Self::Listing(lane, _) => lane,
        }
    }
}

/// What became of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learned {
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

/// The folder that holds an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Above {
    /// It is one of ours.
    Wanted(NodeId),
    /// A pattern keeps it, or one above it, out.
    FilteredOut,
    /// It is not in the watched folder, or we cannot say.
    Outside,
    /// It is in the watched folder, in a folder that we do not know yet; the nearest one above that we do is now listed.
    Unlisted,
}

impl Engine {
    /// Takes a description of a live item.
    pub(super) fn learn(&mut self, folder: FolderId, item: &RemoteItem, source: Source) -> Result<Learned> {
        let known = self.ctx.store.item_by_id(folder, &item.id)?;
        let (scan, root) = match self.folders.get(&folder) {
            Some(folder) => (folder.seen_mark(source.is_sight()), folder.row.root),
            None => return Ok(Learned::Outside),
        };
        if let Some(known) = &known {
            if Some(known.node) == root {
                return self.learn_root(known, item);
            }
            if is_stale(known, item, source) {
                // Old news does not show that it is still there; what was shown does, whatever became known of it since.
                if source.is_sight() && scan > known.remote.seen && known.remote.presence == Presence::Present {
                    self.met(known, scan)?;
                }
                return Ok(Learned::Stale);
            }
            let is_newer = known.remote.sequence.zip(item.sequence).is_some_and(|(had, has)| has > had);
            if let Some(asked) = source.asked()
                && !is_newer
                && self.questions.is_overtaken(known.node, asked)
            {
                self.mark_look(known.node, folder, source)?;
                return Ok(Learned::Overtaken);
            }
            if matches!(source, Source::Event { .. }) && (known.remote.presence != Presence::Present || !is_newer) {
                // It was gone, and the event may be older than its end; or its count says nothing. It stays as it is until it was asked for.
                self.mark_look(known.node, folder, source)?;
                return Ok(Learned::Marked);
            }
        }
        self.doubt_root_path(folder, item, source)?;
        let parent = match self.parent_of(folder, item, source)? {
            Above::Wanted(parent) => parent,
            Above::FilteredOut => return self.learn_filtered(known.as_ref(), item, source),
            Above::Outside => return self.learn_outside(folder, known.as_ref(), item, source),
            Above::Unlisted => return self.learn_unlisted(folder, known.as_ref(), source),
        };
        if !self.wanted(folder, parent, item)? {
            return self.learn_filtered(known.as_ref(), item, source);
        }
        let row = RemoteRow {
            presence: Presence::Present,
            parent: Some(parent),
            name: item.name.clone(),
            content: item.content.clone(),
            etag: item.etag.clone(),
            sequence: item.sequence.or(known.as_ref().and_then(|known| known.remote.sequence)),
            seen: scan,
        };
        let known = match known {
            Some(known) if self.is_bare(&known)? && self.met_on_disk(folder, parent, item)?.is_some() => {
                self.drop_bare(&known)?;
                None
            }
            known => known,
        };
        // The disk had it first.
        if known.is_none()
            && let Some(node) = self.met_on_disk(folder, parent, item)?
        {
            return self.learn_of_disk(node, item, row, source);
        }
        let Some(known) = known else {
            let node = self.ctx.store.add_item(folder, &item.id, &row)?;
            self.observed(node, source)?;
            if item.id.is_folder() {
                self.want_listing(node, folder, source.lane())?;
                // Example: `d` moves into the new folder `k`, and `k/d/e/f` is told before either was observed: `d` is found in `k`, and is
                // listed with all below.
                if self.ctx.store.is_wanted_below(parent)? {
                    self.ctx.store.deepen_listing(node)?;
                }
            }
            let ask = if self.may_have_gone_since(item, source) { Ask::State } else { Ask::Nothing };
            self.ctx.store.mark(node, folder, source.lane(), ask, source.journal(), self.ctx.now.wall)?;
            self.order_by_age(node, folder, item, source)?;
            return Ok(Learned::Marked);
        };
        let node = known.node;
        // Example: `a` becomes `b` and leaves, the place in the stream is lost, and a comparison hears of the first. The second was passed over.
        let is_met_late = row.seen > known.remote.seen && matches!(source, Source::Event { late: true, .. });
        let learned = self.learn_again(&known, row, source)?;
        if source != Source::Own && self.ctx.store.sent_left(folder)? {
            self.found_unsure(node, item)?;
        }
        if is_met_late {
            self.mark_look(node, folder, source)?;
        }
        Ok(if is_met_late { Learned::Marked } else { learned })
    }

    /// Notes when an item was observed, for answers to questions that were asked before.
    fn observed(&mut self, node: NodeId, source: Source) -> Result<()> {
        let at = match source.asked() {
            Some(asked) => asked,
            None => self.ctx.store.generation(),
        };
        self.questions.note_observed(node, at);
        self.questions.settle(node);
        Ok(())
    }

    /// Whether nothing but hearsay is known of an item, and nothing but a look is under way for it.
    pub(super) fn is_bare(&self, known: &ItemRow) -> Result<bool> {
        let is_asked = || self.jobs.is_looked_at(known.node);
        Ok(known.synced.is_none()
            && known.local.is_none()
            && (!self.schedule.is_busy(known.node) || is_asked())
            && self.ctx.store.seated_in(known.node)?.is_none()
            && self.ctx.store.remote_children(known.node, NodeId(0), 1)?.is_empty())
    }

    /// An item of which an event told before anything showed that it is what the disk has needs no row of its own.
    pub(super) fn drop_bare(&mut self, known: &ItemRow) -> Result<()> {
        if let Some(work) = self.ctx.store.work(known.node)? {
            self.conclude(known, &work, "already there")?;
        }
        self.drop_staged(known.folder, known.node);
        self.questions.drop_listing(known.node);
        self.questions.forget(known.node);
        self.ctx.store.drop_item(known.node)?;
        self.leave(known.node);
        Ok(())
    }

    /// The cloud shows something that the disk had first.
    fn learn_of_disk(&mut self, node: NodeId, item: &RemoteItem, row: RemoteRow, source: Source) -> Result<Learned> {
        self.ctx.store.set_id(node, &item.id)?;
        let Some(known) = self.ctx.store.item(node)? else { return Ok(Learned::Same) };
        let learned = self.learn_again(&known, row, source)?;
        self.found_unsure(node, item)?;
        if self.may_have_gone_since(item, source) {
            self.mark_look(node, known.folder, source)?;
            return Ok(Learned::Marked);
        }
        Ok(learned)
    }

    /// Whether an item that no row knew may have been told to have left again before this description of it came.
    ///
    /// Example: `d` comes back from the trash and moves out of the folder, and the first is told after the second. It is asked for, whether or
    /// not the disk has a `d` of its own by then.
    fn may_have_gone_since(&mut self, item: &RemoteItem, source: Source) -> bool {
        matches!(source, Source::Event { late: true, .. })
            || source.asked().is_some_and(|asked| self.questions.was_named(&item.id, asked))
    }

    fn want_listing(&mut self, node: NodeId, folder: FolderId, lane: Lane) -> Result<()> {
        match lane {
            Lane::News => self.ctx.store.want_listing_now(node, folder),
            Lane::Bulk => self.ctx.store.want_listing(node, folder),
        }
    }

    /// Where a first sync may take days, the newest files come first.
    fn order_by_age(&mut self, node: NodeId, folder: FolderId, item: &RemoteItem, source: Source) -> Result<()> {
        let modified = item.content.as_ref().and_then(|content| content.modified);
        let (Source::Listing(Lane::Bulk, _), Some(modified)) = (source, modified) else { return Ok(()) };
        let is_tight = self
            .folders
            .get(&folder)
            .and_then(|folder| self.accounts.get(&folder.account))
            .is_some_and(|account| account.limits().per_day.is_some());
        if is_tight {
            self.ctx.store.order_by_age(node, modified)?;
        }
        Ok(())
    }

    /// A description of an item that we have a row of.
    fn learn_again(&mut self, known: &ItemRow, row: RemoteRow, source: Source) -> Result<Learned> {
        let returned = known.remote.presence != Presence::Present;
        self.observed(known.node, source)?;
        let is_folder = known.id.is_folder();
        let placed = returned || row.parent != known.remote.parent || row.name != known.remote.name;
        let differs = placed || row.content != known.remote.content;
        if row.content != known.remote.content {
            undo::remember_version(&mut self.ctx, known)?;
        }
        if differs || row.etag != known.remote.etag || row.sequence != known.remote.sequence {
            self.ctx.store.set_remote(known.node, &row)?;
        }
        if row.seen > known.remote.seen {
            self.met(known, row.seen)?;
        }
        if placed && is_folder {
            self.ctx.paths.moved_in_cloud();
            self.questions.told_by_path.was_placed(known.node, known.folder);
            if let Some(parent) = known.remote.parent.filter(|_| !returned && !self.events_carry_items(known.folder)) {
                let (name, until) = (known.remote.name.clone(), self.ctx.now.wall);
                let former = FormerName { dir: parent, name, node: known.node, until };
                self.ctx.store.note_former_name(&former)?;
                self.questions.former.note(former);
            }
        }
        if returned {
            if is_folder {
                self.directory_is_back(known.node);
            }
            self.count_presence(known, Presence::Present);
            let was_held = is_folder && self.ctx.store.is_tree_held(known.node)?;
            self.ctx.store.leave_holds(known.node)?;
            let was_untold = self.ctx.store.swept(known.node)?;
            // Example: `d` moves out of `p`, and `p` goes to the trash. A look at `p` is answered before one at `d`: what `d` holds went with
            // both, and is not to be removed before the listing of `d` shows it again.
            // What became of what is in one that was held meanwhile, or away before that was told of what is in it, nobody told.
            if was_held || was_untold || is_folder && self.ctx.store.has_absent_children(known.node)? {
                self.ctx.store.want_sweep(known.node, known.folder, Presence::Present)?;
                self.ctx.more = true;
            }
        }
        // A folder that we made is empty. Events may have named what is in another one by a path that led to no place.
        let is_made = source == Source::Own && returned && known.is_local_only();
        let found = placed && source.is_sight() && row.parent.is_some() && !self.events_carry_items(known.folder);
        if is_folder && (found || returned) && !is_made {
            self.want_listing(known.node, known.folder, source.lane())?;
        }
        // Example: `mv d k/d; mv k/d/e k/d/f`, and the second event comes before the first was observed: it leads below `k` only.
        if found
            && is_folder
            && let Some(parent) = row.parent
            && self.ctx.store.is_wanted_below(parent)?
        {
            self.ctx.store.deepen_listing(known.node)?;
            self.ctx.store.want_sweep(known.node, known.folder, Presence::Present)?;
            self.ctx.more = true;
        }
        // Marked also when nothing differs and there is a deed under way: its outcome is compared with the newest facts anyway.
        let agreed = !differs && known.synced.is_some() && self.settled(known.node)?;
        if agreed {
            return Ok(Learned::Same);
        }
        // The work that asked for the look goes on; its failures still count. So do those of a new name that the cloud says is taken.
        // Example: `x` is renamed to `a` on disk, and a file that is hidden from us has that name: the listing that is to show who has it
        // shows `x` as it was, and is no reason to try `a` again at once, and for ever. Nor is it where writes end without telling how.
        let goes_on = match source {
            Source::Look { .. } => true,
            Source::Listing(..) => self.waits_as_it_was(known.node)?,
            Source::Event { .. } | Source::Own => false,
        };
        if !differs && goes_on {
            return Ok(Learned::Marked);
        }
        self.ctx.store.mark(
            known.node,
            known.folder,
            source.lane(),
            Ask::Nothing,
            source.journal(),
            self.ctx.now.wall,
        )?;
        Ok(Learned::Marked)
    }

    /// Whether a call for an item failed for a reason that a listing which shows the item as it was does not lift, and is made again later.
    fn waits_as_it_was(&self, node: NodeId) -> Result<bool> {
        let problem = self.ctx.store.work(node)?.and_then(|work| work.problem);
        Ok(problem.is_some_and(|(code, _)| [NAME_TAKEN, NETWORK, OUTCOME_UNKNOWN, VERSION_GONE].contains(&&*code)))
    }

    /// A full comparison met an item, by whatever way. A folder that counts as met is listed: its children must be met too.
    fn met(&mut self, known: &ItemRow, scan: i64) -> Result<()> {
        self.ctx.store.set_seen(known.node, scan)?;
        let is_first = known.remote.seen < (scan & !1);
        if known.id.is_folder() && is_first {
            self.ctx.store.want_listing(known.node, known.folder)?;
        }
        Ok(())
    }

    /// The watched folder itself: its name and place in the cloud do not concern the disk.
    pub(super) fn learn_root(&mut self, known: &ItemRow, item: &RemoteItem) -> Result<Learned> {
        if known.remote.name != item.name || known.remote.sequence != item.sequence {
            let row = RemoteRow {
                name: item.name.clone(),
                etag: item.etag.clone(),
                sequence: item.sequence,
                ..known.remote.clone()
            };
            self.ctx.store.set_remote(known.node, &row)?;
        }
        Ok(Learned::Same)
    }

    fn learn_outside(
        &mut self,
        folder: FolderId,
        known: Option<&ItemRow>,
        item: &RemoteItem,
        source: Source,
    ) -> Result<Learned> {
        let Some(known) = known.filter(|known| known.remote.presence != Presence::Absent) else {
            return Ok(Learned::Outside);
        };
        match source {
            // An event may be old, and a removal is destructive: the item's own state decides.
            Source::Event { .. } => {
                self.questions.await_state(&mut self.ctx, known.node, Expectation::of_gone())?;
                self.mark_look(known.node, folder, source)?;
            }
            Source::Look { .. } | Source::Listing(..) | Source::Own => {
                if source != Source::Own {
                    self.found_folder_gone(known);
                }
                self.ctx.store.set_sequence(known.node, item.sequence)?;
                self.gone(known, Presence::Absent, source)?;
            }
        }
        Ok(Learned::Marked)
    }

    /// An item lies in the folder, and where is not known before what is above it was listed. Whatever is believed of
    /// it until then is doubtful, as it may be that it is gone.
    fn learn_unlisted(&mut self, folder: FolderId, known: Option<&ItemRow>, source: Source) -> Result<Learned> {
        let Some(known) = known else { return Ok(Learned::Same) };
        match source {
            Source::Event { .. } => {
                self.mark_look(known.node, folder, source)?;
                Ok(Learned::Marked)
            }
            Source::Own => {
                self.mark_look(known.node, folder, source)?;
                Ok(Learned::Unlisted)
            }
            Source::Look { .. } | Source::Listing(..) => Ok(Learned::Unlisted),
        }
    }

    fn learn_filtered(&mut self, known: Option<&ItemRow>, item: &RemoteItem, source: Source) -> Result<Learned> {
        let Some(known) = known else { return Ok(Learned::FilteredOut) };
        // Older news of it must not bring it back.
        self.ctx.store.set_sequence(known.node, item.sequence)?;
        if known.remote.presence != Presence::FilteredOut {
            self.gone(known, Presence::FilteredOut, source)?;
        }
        Ok(Learned::FilteredOut)
    }

    /// An item left the folder (or is filtered out), with everything below it.
    pub(super) fn gone(&mut self, known: &ItemRow, presence: Presence, source: Source) -> Result<()> {
        if known.remote.presence != presence {
            self.ctx.store.set_presence(known.node, presence)?;
            self.count_presence(known, presence);
        }
        if known.id.is_folder() {
            if known.remote.presence == Presence::Present
                && let Some(folder) = self.folders.get_mut(&known.folder)
            {
                folder.folder_went(self.ctx.store.generation());
            }
            self.ctx.paths.moved_in_cloud();
            self.ctx.store.want_sweep(known.node, known.folder, presence)?;
            self.sweep_at.take_if(|(at, _)| *at == known.node);
            self.ctx.store.unwant_listing(known.node)?;
            self.ctx.store.unobserve(known.node)?;
            self.questions.drop_listing(known.node);
            self.questions.told_by_path.was_placed(known.node, known.folder);
            self.follow_names(known)?;
        }
        let at = match source.asked() {
            Some(asked) => asked,
            None => self.ctx.store.generation(),
        };
        self.questions.note_observed(known.node, at);
        self.questions.settle(known.node);
        self.ctx.store.mark(known.node, known.folder, source.lane(), Ask::Nothing, source.journal(), self.ctx.now.wall)
    }

    /// Keeps count of the files that are on disk and gone from the cloud.
    fn count_presence(&mut self, known: &ItemRow, now: Presence) {
        if known.synced.is_none() || known.id.is_folder() {
            return;
        }
        let waits = |presence| i64::from(presence == Presence::Absent);
        let change = waits(now) - waits(known.remote.presence);
        if let Some(folder) = self.folders.get_mut(&known.folder) {
            folder.count(FolderCounts { removals: change, ..FolderCounts::default() });
        }
    }

    /// The folder that holds an item, if it lies within the watched folder. If that one is not known yet, the nearest one above that is
    /// known is listed: no row is made of what a description says in passing.
    fn parent_of(&mut self, folder: FolderId, item: &RemoteItem, source: Source) -> Result<Above> {
        let Some(parent) = &item.parent else { return Ok(Above::Outside) };
        if let Some(known) = self.ctx.store.item_by_id(folder, parent)? {
            match known.remote.presence {
                Presence::Present => return Ok(Above::Wanted(known.node)),
                Presence::FilteredOut => return Ok(Above::FilteredOut),
                Presence::Absent => {}
            }
        }
        if let (None, Some(path), true) = (&item.ancestors, &item.path, source.is_sight())
            && self.folders.get(&folder).is_some_and(|folder| folder.row.root_path.is_some())
        {
            return self.look_for_parent(folder, path);
        }
        let root = self.folders.get(&folder).and_then(|folder| folder.root_item.clone());
        let (Some(ancestors), Some(root)) = (&item.ancestors, root) else { return Ok(Above::Outside) };
        let Some(start) = ancestors.iter().position(|ancestor| ancestor.id == root) else { return Ok(Above::Outside) };
        let Some(mut nearest) = self.folders.get(&folder).and_then(|folder| folder.row.root) else {
            return Ok(Above::Outside);
        };
        let mut path = String::new();
        for ancestor in &ancestors[start + 1..] {
            match self.ctx.store.item_by_id(folder, &ancestor.id)? {
                Some(known) if known.remote.presence == Presence::Present => {
                    nearest = known.node;
                    path = self.ctx.remote_path(nearest)?;
                }
                Some(known) if known.remote.presence == Presence::FilteredOut => return Ok(Above::FilteredOut),
                Some(_) | None => {
                    if !path.is_empty() {
                        path.push('/');
                    }
                    path.push_str(&ancestor.name);
                    if self.folders.get(&folder).is_some_and(|folder| !folder.filter.wants(&path, true)) {
                        return Ok(Above::FilteredOut);
                    }
                }
            }
        }
        self.ctx.store.want_listing_now(nearest, folder)?;
        Ok(Above::Unlisted)
    }

    /// An item lies in a folder that we do not know: the nearest one above that we know is listed, if it is in the watched one.
    fn look_for_parent(&mut self, folder: FolderId, path: &str) -> Result<Above> {
        match self.locate(folder, path)? {
            Location::Outside => Ok(Above::Outside),
            Location::FilteredOut => Ok(Above::FilteredOut),
            // The name is known and the id is not: another folder has taken the place of the known one.
            Location::Folder { parent: Some(node), .. }
            | Location::Folder { node, .. }
            | Location::Name { parent: node, .. }
            | Location::Beyond { nearest: node, .. } => {
                let above = self.ctx.store.item(node)?.and_then(|row| row.remote.parent);
                if let Some(above) = above {
                    self.ctx.store.want_listing_now(above, folder)?;
                }
                self.ctx.store.want_listing_now(node, folder)?;
                Ok(Above::Unlisted)
            }
        }
    }

    /// Something right in the watched folder was seen under another path than that one's: it has moved, and is looked at.
    fn doubt_root_path(&mut self, id: FolderId, item: &RemoteItem, source: Source) -> Result<()> {
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        let (Some(path), true) = (&item.path, source.is_sight()) else { return Ok(()) };
        let is_child = item.parent.is_some() && folder.root_item == item.parent;
        let above = path.trim_end_matches('/').rsplit_once('/').map_or("", |(above, _)| above);
        let differs = folder.row.root_path.as_deref().is_some_and(|root| root.trim_end_matches('/') != above);
        if is_child && differs && !folder.remote.is_marked { self.check_remote_root(id) } else { Ok(()) }
    }

    /// The watched folder's whole path and what lies above it, as a look at it shows.
    pub(super) fn note_root_place(&mut self, id: FolderId, item: &RemoteItem) -> Result<()> {
        if let Some(ancestors) = &item.ancestors {
            let above: Vec<ItemId> = ancestors.iter().map(|ancestor| ancestor.id.clone()).collect();
            self.ctx.store.set_above(id, &above)?;
        }
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        if item.path.is_some() && folder.row.root_path != item.path {
            let was_known = folder.row.root_path.is_some();
            let path = item.path.clone();
            folder.change(|row| row.root_path = path);
            if was_known {
                // What was told under its new path meanwhile could not be placed.
                self.doubt(id)?;
            }
        }
        Ok(())
    }

    fn wanted(&mut self, folder: FolderId, parent: NodeId, item: &RemoteItem) -> Result<bool> {
        if self.folders.get(&folder).is_none_or(|folder| folder.filter.is_empty()) {
            return Ok(true);
        }
        let above = self.ctx.remote_path(parent)?;
        let path = joined(&above, &item.name);
        Ok(self.folders.get(&folder).is_some_and(|folder| folder.filter.wants(&path, item.id.is_folder())))
    }
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
