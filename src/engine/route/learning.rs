//! Descriptions of items: each to what is known of the cloud, and what follows from it to whom it concerns.

use super::hints::ground_of;
use crate::engine::remote::learn::{self, Change};
use crate::engine::remote::whereabouts::{Whereabouts, whereabouts};
use crate::engine::remote::{Learned, Source};
use crate::engine::{Engine, undo};
use crate::id::{FolderId, ItemId, NodeId};
use crate::store::Result;
use crate::store::folders::FolderCounts;
use crate::store::items::{ItemRow, Presence, RemoteRow};
use crate::tree::RemoteItem;

impl Engine {
    /// Takes a description of a live item.
    pub(in crate::engine) fn learn(&mut self, folder: FolderId, item: &RemoteItem, source: Source) -> Result<Learned> {
        let known = self.ctx.store.item_by_id(folder, &item.id)?;
        if !self.folders.contains_key(&folder) {
            return Ok(Learned::Outside);
        }
        let ground = ground_of(&self.folders, &self.accounts, folder);
        if let Some(known) = &known {
            if Some(known.node) == ground.root {
                return learn::root(&mut self.ctx, known, item);
            }
            if let Some(learned) = learn::weigh(&mut self.ctx, &mut self.questions, &ground, known, item, source)? {
                return Ok(learned);
            }
        }
        if source.is_sight() && ground.is_elsewhere(item) {
            self.doubt_root_path(folder)?;
        }
        let ground = ground_of(&self.folders, &self.accounts, folder);
        match whereabouts(&mut self.ctx, &ground, item, source)? {
            Whereabouts::Wanted(parent) => self.learn_inside(folder, known, parent, item, source),
            Whereabouts::FilteredOut => self.learn_filtered(known.as_ref(), item, source),
            Whereabouts::Outside => self.learn_outside(known.as_ref(), item, source),
            Whereabouts::Unlisted => learn::unlisted(&mut self.ctx, known.as_ref(), source),
        }
    }

    /// An item is in one of our folders.
    fn learn_inside(
        &mut self,
        folder: FolderId,
        known: Option<ItemRow>,
        parent: NodeId,
        item: &RemoteItem,
        source: Source,
    ) -> Result<Learned> {
        let row =
            learn::row_of(&ground_of(&self.folders, &self.accounts, folder), known.as_ref(), parent, item, source);
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
            return self.learn_of_disk(node, item, &row, source);
        }
        let Some(known) = known else {
            let newest_first = self.is_tight(folder);
            learn::add(&mut self.ctx, &mut self.questions, folder, item, &row, source, newest_first)?;
            return Ok(Learned::Marked);
        };
        let is_met_late = learn::is_met_late(&known, &row, source);
        let learned = self.learn_again(&known, &row, source)?;
        if source != Source::Own && self.ctx.store.sent_left(folder)? {
            self.found_unsure(known.node, item)?;
        }
        if is_met_late {
            self.mark_look(known.node, folder, source)?;
        }
        Ok(if is_met_late { Learned::Marked } else { learned })
    }

    /// Where the calls of a day are few, a first sync may take days.
    fn is_tight(&self, folder: FolderId) -> bool {
        let account = self.folders.get(&folder).and_then(|folder| self.accounts.get(&folder.account));
        account.is_some_and(|account| account.limits().per_day.is_some())
    }

    /// The cloud shows something that the disk had first.
    fn learn_of_disk(&mut self, node: NodeId, item: &RemoteItem, row: &RemoteRow, source: Source) -> Result<Learned> {
        self.ctx.store.set_id(node, &item.id)?;
        let Some(known) = self.ctx.store.item(node)? else { return Ok(Learned::Same) };
        let learned = self.learn_again(&known, row, source)?;
        self.found_unsure(node, item)?;
        if learn::may_have_gone_since(&mut self.questions, item, source) {
            self.mark_look(node, known.folder, source)?;
            return Ok(Learned::Marked);
        }
        Ok(learned)
    }

    fn learn_again(&mut self, known: &ItemRow, row: &RemoteRow, source: Source) -> Result<Learned> {
        if row.content != known.remote.content {
            undo::remember_version(&mut self.ctx, known)?;
        }
        let ground = ground_of(&self.folders, &self.accounts, known.folder);
        let (learned, change) = learn::again(&mut self.ctx, &mut self.questions, &ground, known, row, source)?;
        self.changed_in_cloud(known, change);
        Ok(learned)
    }

    fn learn_outside(&mut self, known: Option<&ItemRow>, item: &RemoteItem, source: Source) -> Result<Learned> {
        let Some(known) = known.filter(|known| known.remote.presence != Presence::Absent) else {
            return Ok(Learned::Outside);
        };
        if matches!(source, Source::Event { .. }) {
            return learn::told_outside(&mut self.ctx, &mut self.questions, known, source);
        }
        if source != Source::Own {
            self.found_folder_gone(known);
        }
        self.ctx.store.set_sequence(known.node, item.sequence)?;
        self.gone(known, Presence::Absent, source)?;
        Ok(Learned::Marked)
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
    pub(in crate::engine) fn gone(&mut self, known: &ItemRow, presence: Presence, source: Source) -> Result<()> {
        let ground = ground_of(&self.folders, &self.accounts, known.folder);
        let change = learn::gone(&mut self.ctx, &mut self.questions, &ground, known, presence, source)?;
        if known.id.is_folder() {
            self.sweep.begin_again(known.node);
        }
        self.changed_in_cloud(known, change);
        Ok(())
    }

    /// What was observed of an item concerns its folder's counts, and what is done with directories that are gone.
    fn changed_in_cloud(&mut self, known: &ItemRow, change: Change) {
        if change.came_back {
            // It does not go out of sight, whatever it held when it was to. Example: `b` goes to the trash, is counted and comes back before
            // it went out of sight. Then `f` with `b` in it goes: `b` is not about to go by itself.
            self.trees.forget(known.node);
        }
        let Some(folder) = self.folders.get_mut(&known.folder) else { return };
        if let Some(at) = change.went {
            folder.folder_went(at);
        }
        if change.removals != 0 {
            folder.count(FolderCounts { removals: change.removals, ..FolderCounts::default() });
        }
    }

    /// Whether nothing but hearsay is known of an item, and nothing but a look is under way for it.
    pub(in crate::engine) fn is_bare(&self, known: &ItemRow) -> Result<bool> {
        let is_asked = || self.jobs.is_looked_at(known.node);
        Ok(known.synced.is_none()
            && known.local.is_none()
            && (!self.schedule.is_busy(known.node) || is_asked())
            && self.ctx.store.seated_in(known.node)?.is_none()
            && self.ctx.store.remote_children(known.node, NodeId(0), 1)?.is_empty())
    }

    /// An item of which an event told before anything showed that it is what the disk has needs no row of its own.
    pub(in crate::engine) fn drop_bare(&mut self, known: &ItemRow) -> Result<()> {
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

    /// Something right in the watched folder was seen under another path than that one's: it has moved, and is looked at.
    fn doubt_root_path(&mut self, id: FolderId) -> Result<()> {
        let is_marked = self.folders.get(&id).is_none_or(|folder| folder.remote.is_marked);
        if is_marked { Ok(()) } else { self.check_remote_root(id) }
    }

    /// The watched folder's whole path and what lies above it, as a look at it shows.
    pub(in crate::engine) fn note_root_place(&mut self, id: FolderId, item: &RemoteItem) -> Result<()> {
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
}
