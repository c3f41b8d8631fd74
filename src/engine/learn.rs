//! What the cloud says of an item becomes what we know of the cloud: newer facts win, and what they change is marked as work.

use super::listen::{LOOK, LOOK_AWAY};
use super::{Engine, Job, Phase};
use crate::events::Subject;
use crate::id::{FolderId, ItemId, JournalId, NodeId};
use crate::store::Result;
use crate::store::folders::FolderCounts;
use crate::store::items::{ItemRow, Presence, RemoteRow};
use crate::store::work::Lane;
use crate::tree::RemoteItem;

/// Remote paths remembered, of folders.
const REMOTE_PATHS_REMEMBERED: usize = 4_096;

/// Folders above one another; what is deeper is taken for a circle.
pub(super) const DEEPEST_PATH: usize = 2_048;

/// Where a description of an item comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// An event, perhaps old.
    Event {
        /// Its entry in the journal.
        journal: Option<JournalId>,
        /// It says that the item is new: a new folder is empty.
        created: bool,
        /// Something that happened later was told before it.
        late: bool,
    },
    /// The path that an event gives to something below it.
    Mention,
    /// A listing of its parent, and for whom that was made.
    Listing(Lane),
    /// A look at it.
    Look {
        /// The event that asked for the look.
        journal: Option<JournalId>,
    },
}

impl Source {
    pub fn journal(self) -> Option<JournalId> {
        match self {
            Self::Event { journal, .. } | Self::Look { journal } => journal,
            Self::Listing(_) | Self::Mention => None,
        }
    }

    /// Whether an item that it brings in must be looked at first: what later became of one that we do not know may have been told
    /// already, and was no news to us.
    fn look(self) -> u8 {
        match self {
            Self::Event { late: true, .. } | Self::Mention => LOOK,
            Self::Event { .. } | Self::Listing(_) | Self::Look { .. } => 0,
        }
    }

    /// Whether the cloud showed the item itself, as it is.
    fn is_sight(self) -> bool {
        matches!(self, Self::Listing(_) | Self::Look { .. })
    }

    fn lane(self) -> Lane {
        match self {
            Self::Event { .. } | Self::Mention | Self::Look { .. } => Lane::News,
            Self::Listing(lane) => lane,
        }
    }
}

/// What became of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learned {
    /// Older than what we know.
    Stale,
    /// It says what we know, and the disk agrees.
    Same,
    /// A pattern keeps it out.
    FilteredOut,
    /// It lies outside of the folder, and we never had it.
    Outside,
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
    /// It is in the watched folder, in a folder that we do not know yet and that is now looked for.
    Unlisted,
}

impl Engine {
    /// Takes a description of a live item.
    pub(super) fn learn(&mut self, folder: FolderId, item: &RemoteItem, source: Source) -> Result<Learned> {
        let known = self.store.item_by_id(folder, &item.id)?;
        let (scan, root) = match self.folders.get(&folder) {
            Some(folder) => (folder.seen_mark(source.is_sight()), folder.row.root),
            None => return Ok(Learned::Outside),
        };
        if let Some(known) = &known {
            if self.nodes.get(&known.node) == Some(&Phase::Busy) {
                self.overtaken.insert(known.node);
            }
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
        }
        self.note_root_path(folder, item);
        let parent = match self.parent_of(folder, item, source)? {
            Above::Wanted(parent) => parent,
            Above::FilteredOut => return self.learn_filtered(known.as_ref(), item, source),
            Above::Outside => return self.learn_outside(folder, known.as_ref(), item, source),
            Above::Unlisted => return Ok(Learned::Same),
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
        let known = match known {
            Some(known) => Some(known),
            // The disk had it first.
            None => match self.met_on_disk(folder, parent, item)? {
                Some(node) => return self.learn_of_disk(node, item, row, source),
                None => None,
            },
        };
        let Some(known) = known else {
            let node = self.store.add_item(folder, &item.id, &row)?;
            if item.id.is_folder() && source.is_sight() {
                self.note_sight(folder, node, false);
            }
            if item.id.is_folder() && !self.is_empty(folder, source) {
                self.want_listing(node, folder, source.lane())?;
            }
            self.store.mark(node, folder, source.lane(), source.look(), source.journal(), self.now.wall)?;
            self.order_by_age(node, folder, item, source)?;
            return Ok(Learned::Marked);
        };
        self.learn_again(&known, row, source)
    }

    /// Whether nothing but hearsay is known of an item, and nothing but a look is under way for it.
    pub(super) fn is_bare(&self, known: &ItemRow) -> Result<bool> {
        let is_asked = || self.jobs.values().any(|job| matches!(job, Job::Look { node, .. } if *node == known.node));
        Ok(known.synced.is_none()
            && known.local.is_none()
            && (self.nodes.get(&known.node) != Some(&Phase::Busy) || is_asked())
            && self.store.seated_in(known.node)?.is_none()
            && self.store.remote_children(known.node, NodeId(0), 1)?.is_empty())
    }

    /// An item of which an event told before anything showed that it is what the disk has needs no row of its own.
    pub(super) fn drop_bare(&mut self, known: &ItemRow) -> Result<()> {
        if let Some(work) = self.store.work(known.node)? {
            self.conclude(known, &work, "already there")?;
        }
        self.drop_staged(known.folder, known.node);
        self.listing.remove(&known.node);
        self.listings.retain(|listing| listing.node != known.node);
        self.store.drop_item(known.node)?;
        self.leave(known.node);
        Ok(())
    }

    /// The cloud shows something that the disk had first.
    fn learn_of_disk(&mut self, node: NodeId, item: &RemoteItem, row: RemoteRow, source: Source) -> Result<Learned> {
        self.store.set_id(node, &item.id)?;
        let Some(known) = self.store.item(node)? else { return Ok(Learned::Same) };
        let learned = self.learn_again(&known, row, source)?;
        self.found_unsure(node, item)?;
        Ok(learned)
    }

    /// Whether the events of a folder's cloud do not describe their items.
    pub(super) fn is_tight_lipped(&self, folder: FolderId) -> bool {
        let account = self.folders.get(&folder).and_then(|folder| self.accounts.get(&folder.account));
        account.is_some_and(|account| !account.capabilities.events_carry_items)
    }

    fn want_listing(&mut self, node: NodeId, folder: FolderId, lane: Lane) -> Result<()> {
        match lane {
            Lane::News => self.store.want_listing_now(node, folder),
            Lane::Bulk => self.store.want_listing(node, folder),
        }
    }

    /// Where a first sync may take days, the newest files come first.
    fn order_by_age(&mut self, node: NodeId, folder: FolderId, item: &RemoteItem, source: Source) -> Result<()> {
        let modified = item.content.as_ref().and_then(|content| content.modified);
        let (Source::Listing(Lane::Bulk), Some(modified)) = (source, modified) else { return Ok(()) };
        let is_tight = self
            .folders
            .get(&folder)
            .and_then(|folder| self.accounts.get(&folder.account))
            .is_some_and(|account| account.limits().per_day.is_some());
        if is_tight {
            self.store.order_by_age(node, modified)?;
        }
        Ok(())
    }

    /// Whether a folder that is told of is known to be empty: it was just created, and what is put into it will be told. That is not
    /// sure when it is told late, or near the place where we began to read.
    fn is_empty(&self, folder: FolderId, source: Source) -> bool {
        let compares = self.folders.get(&folder).is_none_or(|folder| folder.row.scan_stage.is_some());
        matches!(source, Source::Event { created: true, late: false, .. }) && !compares
    }

    /// A description of an item that we have a row of.
    fn learn_again(&mut self, known: &ItemRow, row: RemoteRow, source: Source) -> Result<Learned> {
        let returned = known.remote.presence != Presence::Present;
        if returned && source.look() == LOOK {
            // Late news of what was gone may be older than its end: it stays gone until it was seen.
            self.mark_look(known.node, known.folder, LOOK, source)?;
            return Ok(Learned::Marked);
        }
        let is_folder = known.id.is_folder();
        let placed = returned || row.parent != known.remote.parent || row.name != known.remote.name;
        let differs = placed || row.content != known.remote.content;
        if row.content != known.remote.content {
            self.remember_version(known)?;
        }
        if differs || row.etag != known.remote.etag || row.sequence != known.remote.sequence {
            self.store.set_remote(known.node, &row)?;
        }
        if row.seen > known.remote.seen {
            self.met(known, row.seen)?;
        }
        if placed && is_folder {
            if source.is_sight() {
                self.note_sight(known.folder, known.node, true);
            }
            self.remote_paths.clear();
        }
        if returned {
            self.count_presence(known, Presence::Present);
            self.store.leave_holds(known.node)?;
            self.store.swept(known.node)?;
        }
        // Events may have named what is in it by a path that led to no place.
        let found = placed && source.is_sight() && row.parent.is_some() && self.is_tight_lipped(known.folder);
        if is_folder && (found || returned) && !self.is_empty(known.folder, source) {
            self.want_listing(known.node, known.folder, source.lane())?;
        }
        // Marked also when nothing differs and there is a deed under way: its outcome is compared with the newest facts anyway.
        let agreed = !differs && known.synced.is_some() && self.settled(known.node)?;
        if agreed {
            return Ok(Learned::Same);
        }
        if !differs && matches!(source, Source::Look { .. }) {
            // The work that asked for the look goes on; its failures still count.
            return Ok(Learned::Marked);
        }
        self.store.mark(known.node, known.folder, source.lane(), 0, source.journal(), self.now.wall)?;
        Ok(Learned::Marked)
    }

    /// A full comparison met an item, by whatever way. A folder that counts as met is listed: its children must be met too.
    fn met(&mut self, known: &ItemRow, scan: i64) -> Result<()> {
        self.store.set_seen(known.node, scan)?;
        let is_first = known.remote.seen < (scan & !1);
        if known.id.is_folder() && is_first {
            self.store.want_listing(known.node, known.folder)?;
        }
        Ok(())
    }

    /// The watched folder itself: its name and place in the cloud do not concern the disk.
    fn learn_root(&mut self, known: &ItemRow, item: &RemoteItem) -> Result<Learned> {
        if known.remote.name != item.name || known.remote.sequence != item.sequence {
            let row = RemoteRow {
                name: item.name.clone(),
                etag: item.etag.clone(),
                sequence: item.sequence,
                ..known.remote.clone()
            };
            self.store.set_remote(known.node, &row)?;
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
            // An event may be old, and a removal is destructive: the item's own state decides, and "not found" agrees with the event.
            Source::Event { .. } => {
                self.mark_look(known.node, folder, LOOK_AWAY, source)?;
            }
            Source::Mention => self.mark_look(known.node, folder, LOOK, source)?,
            Source::Look { .. } | Source::Listing(_) => {
                self.store.set_sequence(known.node, item.sequence)?;
                self.gone(known, Presence::Absent, source)?;
            }
        }
        Ok(Learned::Marked)
    }

    fn learn_filtered(&mut self, known: Option<&ItemRow>, item: &RemoteItem, source: Source) -> Result<Learned> {
        let Some(known) = known else { return Ok(Learned::FilteredOut) };
        // Older news of it must not bring it back.
        self.store.set_sequence(known.node, item.sequence)?;
        if known.remote.presence != Presence::FilteredOut {
            self.gone(known, Presence::FilteredOut, source)?;
        }
        Ok(Learned::FilteredOut)
    }

    /// An item left the folder (or is filtered out), with everything below it.
    pub(super) fn gone(&mut self, known: &ItemRow, presence: Presence, source: Source) -> Result<()> {
        if known.remote.presence != presence {
            self.store.set_presence(known.node, presence)?;
            self.count_presence(known, presence);
        }
        if known.id.is_folder() {
            self.remote_paths.clear();
            self.store.want_sweep(known.node, known.folder, presence)?;
            self.sweep_at.take_if(|(at, _)| *at == known.node);
            self.store.listed(known.node)?;
            self.listing.remove(&known.node);
        }
        self.store.mark(known.node, known.folder, source.lane(), 0, source.journal(), self.now.wall)?;
        // A look that was wanted before now has its second proof.
        self.store.expect_gone(known.node)
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

    /// The folder that holds an item, if it lies within the watched folder. Folders on the way that we do not know yet are made from
    /// the names that the description gives, and listed, as there is more to learn of them.
    fn parent_of(&mut self, folder: FolderId, item: &RemoteItem, source: Source) -> Result<Above> {
        let Some(parent) = &item.parent else { return Ok(Above::Outside) };
        if let Some(known) = self.store.item_by_id(folder, parent)? {
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
        // An event may be old, and so may be the path that it gives.
        let source = match source {
            Source::Event { .. } | Source::Mention => Source::Mention,
            Source::Listing(_) | Source::Look { .. } => Source::Look { journal: None },
        };
        let mut above = root;
        for ancestor in &ancestors[start + 1..] {
            let described = RemoteItem {
                id: ancestor.id.clone(),
                parent: Some(above),
                name: ancestor.name.clone(),
                content: None,
                etag: None,
                sequence: None,
                ancestors: None,
                path: None,
            };
            match self.store.item_by_id(folder, &ancestor.id)?.map(|row| (row.node, row.remote.presence)) {
                Some((_, Presence::Present)) => {}
                Some((_, Presence::FilteredOut)) => return Ok(Above::FilteredOut),
                Some((node, Presence::Absent)) if source == Source::Mention => {
                    // It went; only its own state can tell whether it is back. If it is, it is listed, and its children are found.
                    self.store.mark(node, folder, Lane::News, LOOK, None, self.now.wall)?;
                    return Ok(Above::Outside);
                }
                Some((_, Presence::Absent)) | None => {
                    if self.learn(folder, &described, source)? == Learned::FilteredOut {
                        return Ok(Above::FilteredOut);
                    }
                }
            }
            above = ancestor.id.clone();
        }
        let known = self.store.item_by_id(folder, parent)?;
        let known = known.filter(|row| row.remote.presence == Presence::Present);
        Ok(known.map_or(Above::Outside, |row| Above::Wanted(row.node)))
    }

    fn wanted(&mut self, folder: FolderId, parent: NodeId, item: &RemoteItem) -> Result<bool> {
        if self.folders.get(&folder).is_none_or(|folder| folder.filter.is_empty()) {
            return Ok(true);
        }
        let above = self.remote_path(parent)?;
        let path = if above.is_empty() { item.name.clone() } else { format!("{above}/{}", item.name) };
        Ok(self.folders.get(&folder).is_some_and(|folder| folder.filter.wants(&path, item.id.is_folder())))
    }

    /// An item's path in the cloud, from the watched folder on.
    pub(super) fn remote_path(&mut self, node: NodeId) -> Result<String> {
        let mut names: Vec<String> = Vec::new();
        let mut above = String::new();
        let mut is_folder = true;
        let mut at = Some(node);
        while let Some(step) = at {
            if let Some(path) = self.remote_paths.get(&step) {
                above.clone_from(path);
                break;
            }
            let Some(row) = self.store.item(step)? else { break };
            if step == node {
                is_folder = row.id.is_folder();
            }
            at = row.remote.parent;
            if at.is_some() {
                names.push(row.remote.name);
            }
            // Until all news is read, two folders may seem to lie in one another.
            if names.len() > DEEPEST_PATH {
                return Ok(names.swap_remove(0));
            }
        }
        names.reverse();
        let mut path = above;
        for name in names {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(&name);
        }
        if is_folder {
            if self.remote_paths.len() >= REMOTE_PATHS_REMEMBERED {
                self.remote_paths.clear();
            }
            self.remote_paths.insert(node, path.clone());
        }
        Ok(path)
    }

    /// The path of an event's item as people know it.
    pub(super) fn path_for_people(
        &mut self,
        folder: FolderId,
        id: &ItemId,
        subject: &Subject,
    ) -> Result<Option<String>> {
        if let Subject::Item(item) = subject
            && let Some(parent) = &item.parent
            && let Some(parent) = self.store.item_by_id(folder, parent)?
        {
            let above = self.remote_path(parent.node)?;
            return Ok(Some(if above.is_empty() { item.name.clone() } else { format!("{above}/{}", item.name) }));
        }
        let Some(known) = self.store.item_by_id(folder, id)? else {
            return Ok(match subject {
                Subject::Item(item) => Some(item.name.clone()),
                _ => None,
            });
        };
        let Some(parent) = known.remote.parent else { return Ok(Some(String::new())) };
        let above = self.remote_path(parent)?;
        Ok(Some(if above.is_empty() { known.remote.name } else { format!("{above}/{}", known.remote.name) }))
    }
}

/// Box's own rule: an event on an item whose count of changes is not above the known one is old news. A listing or a look shows the
/// present state, which is older only if an event overtook it.
fn is_stale(known: &ItemRow, item: &RemoteItem, source: Source) -> bool {
    let (Some(had), Some(has)) = (known.remote.sequence, item.sequence) else { return false };
    match source {
        Source::Event { .. } | Source::Mention => has <= had,
        Source::Listing(_) | Source::Look { .. } => has < had,
    }
}
