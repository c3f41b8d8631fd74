//! Directories that are gone from the cloud, and wait with all that is in them for a person: one row, whatever they hold. Nothing in them is
//! told that it is gone before somebody decides, or the directory is back.

use std::collections::BTreeMap;

use crate::engine::hooks::Story;
use crate::engine::remote::Source;
use crate::engine::{Engine, ROWS_PER_STEP, holds};
use crate::hook::HookKind;
use crate::id::{FolderId, ItemKind, NodeId};
use crate::plan::Action;
use crate::store::items::{ItemRow, Presence, SeatRow};
use crate::store::trees::Below;
use crate::store::work::{Priority, WorkRow};
use crate::store::{DEEPEST_PATH, Result};

impl Engine {
    /// Holds a directory with all that is in it. False if every file in it is told to be gone already: then each of them is asked about.
    pub(in crate::engine) fn hold_tree(&mut self, item: &ItemRow, below: Below) -> Result<bool> {
        let gone = below.files.saturating_sub(below.told);
        let Some(folder) = self.folders.get(&item.folder).filter(|_| gone > 0) else { return Ok(false) };
        let (settings, counts) = (&folder.settings, folder.row.counts);
        let news = holds::hold_tree(&mut self.ctx, settings, counts, item, gone, below.held > 0)?;
        if let Some(text) = news {
            self.happened(Story::at_large(HookKind::Hold, None, Some(item.folder), text), None)?;
        }
        self.sweep.begin_again(item.node);
        self.rest(item.node);
        // Those wait for a person, too, and are remembered as such.
        self.schedule.wake_waiters(item.node);
        Ok(true)
    }

    /// The nearest folder above an item that waits with all that is in it.
    pub(in crate::engine) fn held_above(&self, item: &ItemRow) -> Result<Option<NodeId>> {
        let mut at = item.remote.parent;
        for _ in 0..DEEPEST_PATH {
            let Some(above) = at.map(|node| self.ctx.store.item(node)).transpose()?.flatten() else { return Ok(None) };
            if above.remote.presence == Presence::Absent && self.ctx.store.is_tree_held(above.node)? {
                return Ok(Some(above.node));
            }
            at = above.remote.parent;
        }
        Ok(None)
    }

    /// Whether an item that a comparison did not meet went with a folder that waits with all that is in it. `known` is what is known of the
    /// folders of others.
    pub(in crate::engine) fn went_with_held(&self, item: &ItemRow, known: &mut BTreeMap<NodeId, bool>) -> Result<bool> {
        let Some(parent) = item.remote.parent else { return Ok(false) };
        if let Some(is_held) = known.get(&parent) {
            return Ok(*is_held);
        }
        let is_held = self.ctx.store.any_tree_held()? && self.held_above(item)?.is_some();
        known.insert(parent, is_held);
        Ok(is_held)
    }

    /// Whether something with which anything is to be done waits for the decision about a directory that it is in. One of which the decision
    /// is about itself, and that is not to be removed any more, is off the list.
    pub(in crate::engine) fn waits_with_tree(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        action: &Action,
    ) -> Result<bool> {
        if !self.ctx.store.any_tree_held()? {
            return Ok(false);
        }
        let is_removed = *action == Action::Remove(ItemKind::Folder);
        if !is_removed && item.id.is_folder() && self.ctx.store.is_tree_held(item.node)? {
            self.ctx.store.leave_holds(item.node)?;
        }
        let changes_books_only =
            matches!(action, Action::InSync | Action::Acknowledge | Action::Forget | Action::Untrack);
        if changes_books_only || self.held_above(item)?.is_none() {
            return Ok(false);
        }
        self.drop_staged(item.folder, item.node);
        self.ctx.store.hold_work(work.node)?;
        self.rest(work.node);
        self.schedule.wake_waiters(work.node);
        Ok(true)
    }

    /// Something is not in a directory any more, which may wait, or lie in one that does: that holds less now.
    pub(in crate::engine) fn left_directory(&mut self, item: &ItemRow, dir: NodeId) -> Result<()> {
        if !self.ctx.store.any_tree_held()? {
            return Ok(());
        }
        let mut at = Some(dir);
        for _ in 0..DEEPEST_PATH {
            let Some(node) = at else { break };
            if self.ctx.store.is_tree_held(node)? {
                if item.id.is_folder() || !self.ctx.store.left_held_tree(node)? {
                    // It is counted again.
                    self.ctx.store.unhold(node, false)?;
                    self.ctx.more = true;
                }
                break;
            }
            at = self.ctx.store.item(node)?.as_ref().and_then(Self::dir_of);
        }
        Ok(())
    }

    /// Files of a directory out of sight are off the disk: whether that counts towards the next question.
    pub(in crate::engine) fn counts_in(&self, dir: NodeId) -> Result<bool> {
        let Some((top, _)) = self.ctx.store.parked_above(dir)? else { return Ok(true) };
        Ok(!self.ctx.store.work(top)?.is_some_and(|work| work.approved))
    }

    /// Whether a person approved the removal of a directory above an item that is gone with it.
    pub(in crate::engine) fn approved_above(&self, item: &ItemRow) -> Result<bool> {
        let mut at = item.remote.parent;
        for _ in 0..DEEPEST_PATH {
            let Some(above) = at.map(|node| self.ctx.store.item(node)).transpose()?.flatten() else { break };
            if above.remote.presence != Presence::Absent {
                break;
            }
            if self.ctx.store.work(above.node)?.is_some_and(|work| work.approved) {
                return Ok(true);
            }
            at = above.remote.parent;
        }
        Ok(false)
    }

    /// A person rejected the removal of a directory: what is in it stays on disk, and its rows are dropped in steps.
    pub(in crate::engine) fn tree_stays(&mut self, node: NodeId) -> Result<()> {
        let Some(item) = self.ctx.store.item(node)?.filter(|item| item.remote.presence == Presence::Absent) else {
            return Ok(());
        };
        self.ctx.store.stays_below(node, item.folder)?;
        self.ctx.store.unhold(node, false)
    }

    /// Whether what is in some directory of a folder is still to be told that it stays: until then no other one is counted.
    pub(in crate::engine) fn lets_stay(&mut self, id: FolderId) -> Result<bool> {
        Ok(self.ctx.store.next_that_stays(id)?.is_some())
    }

    /// Tells what is in directories of a folder of which a person said that it stays there, a step's worth of it. Whether there is any.
    pub(in crate::engine) fn let_stay(&mut self, id: FolderId) -> Result<bool> {
        let Some(dir) = self.ctx.store.next_that_stays(id)? else { return Ok(false) };
        self.ctx.more = true;
        let after = self.sweep.after(dir);
        let children = self.ctx.store.remote_children(dir, after, ROWS_PER_STEP)?;
        let is_last = children.len() < ROWS_PER_STEP as usize;
        let last = children.last().map(|last| last.node);
        let asked = self.ctx.store.generation();
        for child in children {
            let was_there = child.remote.presence == Presence::Present;
            let is_in_place = matches!(child.disk_seat(), Some(SeatRow::At { .. }));
            let is_here = Self::dir_of(&child) == Some(dir);
            if was_there {
                self.gone(&child, Presence::Absent, Source::Listing(Priority::Bulk, asked))?;
            } else if child.remote.presence != Presence::Absent || !is_here {
                continue;
            }
            // What is on a list is decided for itself.
            if !is_in_place || self.ctx.store.is_on_a_list(child.node)? {
                continue;
            }
            if child.id.is_folder() {
                self.ctx.store.stays_below(child.node, id)?;
            } else if !self.schedule.is_busy(child.node) {
                self.release_from_books(child.node)?;
            }
        }
        self.sweep.reached(dir, last.filter(|_| !is_last));
        if is_last {
            self.ctx.store.swept(dir)?;
            self.trees.goes_in_parts(dir);
        }
        Ok(true)
    }
}
