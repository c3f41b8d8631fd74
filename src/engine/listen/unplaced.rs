//! Paths that lead to no folder we know: remembered, and tried again when listings and later events may have told where they lead.
//!
//! A path is one of the moment of its event. By the time we hear of it a folder on its way may have another name, which a listing or a look
//! has shown us already. The event that tells of the new name is still to come then, and takes the path along: so what leads nowhere is
//! given up only when the stream was read to its end once more.

#[allow(clippy::wildcard_imports, reason = "a part of its parent, with the same words")]
use super::*;
use crate::engine::listen::paths::{Place, below};
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
