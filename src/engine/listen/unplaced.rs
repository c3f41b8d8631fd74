//! Paths that lead to no folder we know: remembered, and tried again when listings and later events may have told where they lead.
//!
//! A path is one of the moment of its event. By the time we hear of it a folder on its way may have another name, which a listing or a look
//! has shown us already. The event that tells of the new name is still to come then, and takes the path along: so what leads nowhere is
//! given up only when the stream was read to its end once more.
//!
//! For the same reason an event that tells that something went or moved may lead to no place. What it leaves behind is what a listing does
//! not show any more, and what no event has told of when the stream was read to its end: it is asked for by its id.

use std::collections::BTreeSet;

#[allow(clippy::wildcard_imports, reason = "a part of its parent, with the same words")]
use super::*;
use crate::engine::ROWS_PER_STEP;
use crate::engine::listen::paths::{Place, below};
use crate::store::items::ItemRow;
use crate::store::paths::Since;

/// Paths of one folder that lead to no place, before everything is compared instead.
const UNPLACED_MOST: u64 = 1_000;

impl Engine {
    /// Looks for a folder whose path leads to no place yet.
    pub(super) fn look_for(&mut self, folder: FolderId, path: &str, nearest: NodeId) -> Result<()> {
        if self.store.unplaced_count(folder)? >= UNPLACED_MOST {
            self.store.take_unplaced(folder)?;
            return self.compare(folder, "too many events named folders that are not known");
        }
        self.store.add_unplaced(folder, path)?;
        if let Some(folder) = self.folders.get_mut(&folder) {
            folder.has_unplaced = true;
        }
        self.list_again(nearest, folder)
    }

    /// A folder has another place: so has what lies below it.
    pub(super) fn unplaced_moved(&mut self, id: FolderId, from: &str, to: &str) -> Result<()> {
        if self.folders.get(&id).is_none_or(|folder| !folder.has_unplaced) {
            return Ok(());
        }
        for (path, since) in self.store.take_unplaced(id)? {
            match below(from, &path) {
                Some(rest) => {
                    let names: Vec<&str> = to.trim_end_matches('/').split('/').chain(rest).collect();
                    self.store.add_unplaced(id, &names.join("/"))?;
                }
                None => self.store.keep_unplaced(id, &path, since)?,
            }
        }
        Ok(())
    }

    /// When the listings that news asked for are done, what led to no place is tried again.
    pub(in crate::engine) fn place_paths(&mut self) -> Result<()> {
        let waiting: Vec<FolderId> =
            self.folders.iter().filter(|(_, folder)| folder.has_unplaced).map(|(id, _)| *id).collect();
        for id in waiting {
            if self.store.news_to_list(id)? {
                continue;
            }
            let Some(folder) = self.folders.get_mut(&id) else { continue };
            let Some(account) = self.accounts.get(&folder.account) else { continue };
            if folder.unplaced_until.is_some_and(|polls| account.drained <= polls) {
                continue;
            }
            let is_last = folder.unplaced_until.take().is_some();
            folder.has_unplaced = false;
            for (path, since) in self.store.take_unplaced(id)? {
                self.place_path(id, &path, since, is_last)?;
            }
        }
        Ok(())
    }

    /// Remembers what a listing of a folder did not show of what it had.
    pub(in crate::engine) fn note_unshown(
        &mut self,
        id: FolderId,
        dir: NodeId,
        shown: &BTreeSet<ItemId>,
    ) -> Result<()> {
        let had = self.store.remote_children(dir, NodeId(0), ROWS_PER_STEP)?;
        let is_unshown = |item: &&ItemRow| item.remote.presence == Presence::Present && !shown.contains(&item.id);
        let unshown: Vec<NodeId> = had.iter().filter(is_unshown).map(|item| item.node).collect();
        let Some(folder) = self.folders.get_mut(&id).filter(|_| !unshown.is_empty()) else { return Ok(()) };
        let Some(account) = self.accounts.get_mut(&folder.account) else { return Ok(()) };
        // More than that waits for the next full comparison: asking is bounded like every other step.
        let room = (ROWS_PER_STEP as usize).saturating_sub(folder.unshown.len());
        folder.unshown.extend(unshown.into_iter().take(room).map(|node| (node, dir)));
        folder.unshown_until = Some(account.polls_begun);
        account.poll_now();
        Ok(())
    }

    /// Asks for what no listing showed and no event told of.
    pub(in crate::engine) fn ask_for_unshown(&mut self) -> Result<()> {
        let mut due = Vec::new();
        for (id, folder) in &mut self.folders {
            let drained = self.accounts.get(&folder.account).map_or(0, |account| account.drained);
            if folder.unshown_until.take_if(|polls| drained > *polls).is_some() {
                due.extend(std::mem::take(&mut folder.unshown).into_iter().map(|(node, dir)| (*id, node, dir)));
            }
        }
        for (id, node, dir) in due {
            let item = self.store.item(node)?;
            let is_there =
                |item: &ItemRow| item.remote.presence == Presence::Present && item.remote.parent == Some(dir);
            if item.is_some_and(|item| is_there(&item)) {
                self.mark_look(node, id, LOOK_AFTER_TRASH, Source::Listing(Lane::News))?;
            }
        }
        Ok(())
    }

    fn place_path(&mut self, id: FolderId, path: &str, since: Since, is_last: bool) -> Result<()> {
        match self.place_of(id, path)? {
            // A known folder on the way took its new place; what it holds has a new name, or is there since.
            Place::Folder(node) | Place::Name { parent: node, .. } if since.is_before_listing(node) => {
                self.list_again(node, id)
            }
            Place::Beyond { nearest } if since.is_before_listing(nearest) => {
                self.store.keep_unplaced(id, path, Since::Listing(nearest))?;
                if let Some(folder) = self.folders.get_mut(&id) {
                    folder.has_unplaced = true;
                }
                self.list_again(nearest, id)
            }
            Place::Name { .. } | Place::Beyond { .. } if !is_last => {
                self.store.keep_unplaced(id, path, since)?;
                let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
                let Some(account) = self.accounts.get_mut(&folder.account) else { return Ok(()) };
                folder.has_unplaced = true;
                folder.unplaced_until = Some(account.polls_begun);
                account.poll_now();
                Ok(())
            }
            Place::Folder(_) | Place::Name { .. } | Place::Beyond { .. } | Place::Outside | Place::FilteredOut => {
                Ok(())
            }
        }
    }
}
