//! What must be true of an upload folder at rest: the disk decides, and the cloud is never allowed to change it.

use std::collections::BTreeMap;

use folder_sync_agent::id::ItemId;
use folder_sync_agent::store::items::{ItemRow, SeatRow};

use super::world::{FOLDER, World};

impl World {
    /// `spoken`: the local user had the last word on every file.
    pub fn check_upload(&self, spoken: bool) {
        let (disk, cloud, rows) = (self.disk.tree(), self.cloud.tree(), self.rows_by_path());
        // What waits for a person to rename it, with everything in it.
        let planned = self.store().reader().planned(FOLDER).unwrap();
        let waits: Vec<String> = planned.iter().filter_map(|planned| self.disk_path(&planned.item)).collect();
        let waits = |path: &str| waits.iter().any(|top| path == top || top.ends_with('/') && path.starts_with(top));
        for (path, content) in &disk {
            // A directory that holds only what patterns keep out is no folder for the cloud, nor is one that holds only such directories.
            let mut inside = disk.keys().filter(|other| is_below(other, path)).peekable();
            let says_nothing =
                |inner: &String| self.is_kept_out(inner) || disk.keys().any(|leaf| is_below(leaf, inner));
            let is_hollow = inside.peek().is_some() && inside.all(says_nothing);
            if self.is_kept_out(path) || waits(path) || is_hollow {
                continue;
            }
            let row =
                rows.get(path).unwrap_or_else(|| panic!("upload: `{path}` is not in the cloud: {:?}", rows.keys()));
            let foreign = self.cloud.is_foreign(&row.id);
            // Names that the disk cannot hold are mapped by the item's id, which changes when it is made again.
            if !foreign && !path.contains('~') {
                assert_eq!(cloud.get(path), Some(&row.id), "upload: the place of `{path}`");
            }
            if let Some(content) = content.filter(|_| !foreign || spoken) {
                assert!(self.cloud.is_live(&row.id), "upload: `{path}` is in the cloud's trash");
                assert_eq!(self.cloud.thing(&row.id).content, content, "upload: the content of `{path}`");
            }
        }
        for (path, id) in cloud.iter().filter(|(path, _)| !self.is_kept_out(path)) {
            // One that waits for a name may be what keeps another one where it was.
            let is_there = !planned.is_empty() || disk.contains_key(path);
            // A folder stays with what is only in the cloud, and is those others' from then on, though that goes.
            // Nobody can know who made what appears after it was looked for and not found.
            let is_others = |id: &ItemId| self.cloud.is_foreign(id) || self.cloud.belated.contains(id);
            let is_there = is_there || self.cloud.subtree(id).iter().any(is_others);
            let is_there = is_there || self.cloud.hosts.contains(id);
            assert!(is_there, "upload: `{path}` was deleted on disk");
        }
        self.check_kept_counts();
        self.check_bytes();
        assert!(self.disk.staging.is_empty() && self.disk.parked.is_empty(), "upload: our own directory is not empty");
        assert!(self.engine().at_rest().unwrap(), "law 10, V18: the engine does not say that all is done");
    }

    fn is_kept_out(&self, path: &str) -> bool {
        self.excluding && path.split('/').any(|name| name.starts_with('x'))
    }

    fn rows_by_path(&self) -> BTreeMap<String, ItemRow> {
        let rows = self.cloud.all_ids.iter().filter_map(|id| self.store().item_by_id(FOLDER, id).unwrap());
        rows.filter_map(|row| Some((self.disk_path(&row)?, row))).collect()
    }

    fn disk_path(&self, row: &ItemRow) -> Option<String> {
        let mut names = Vec::new();
        let mut at = row.clone();
        loop {
            match at.disk_seat()? {
                SeatRow::Root => break,
                SeatRow::Parked(_) => return None,
                SeatRow::At { parent, name } => {
                    names.push(name.to_text());
                    at = self.store().item(parent).unwrap()?;
                }
            }
        }
        names.reverse();
        Some(names.join("/") + if row.id.is_folder() { "/" } else { "" })
    }

    /// The local user changes every file once more: whatever others did to it, the cloud gets it.
    pub fn speak_last(&mut self) {
        let files: Vec<String> = self.disk.tree().into_keys().filter(|path| !path.ends_with('/')).collect();
        for (number, path) in files.iter().enumerate() {
            self.disk.write(path, 9_000_000 + 2 * number as u64);
        }
        self.rest();
        self.check_upload(true);
    }

    /// Whether the agent knows of the whole way from an item up to a folder.
    pub fn is_known_to_be_in(&self, item: &ItemId, folder: &ItemId) -> bool {
        let mut at = item.clone();
        while at != *folder {
            let row = self.store().item_by_id(FOLDER, &at).unwrap();
            let known = row.and_then(|row| row.remote.parent).and_then(|parent| self.store().item(parent).unwrap());
            match self.cloud.thing(&at).parent.clone() {
                Some(above) if known.is_some_and(|known| known.id == above) => at = above,
                _ => return false,
            }
        }
        true
    }

    /// What exists only in the cloud is never deleted.
    pub fn check_upload_trash(&self, item: &ItemId) {
        for id in self.cloud.subtree(item) {
            let Some(row) = self.store().item_by_id(FOLDER, &id).unwrap() else { continue };
            if !self.is_known_to_be_in(&id, item) {
                // In the trash it can be found.
                continue;
            }
            assert!(row.synced.is_some(), "upload: {id} is only in the cloud, and goes to the trash with {item}");
        }
    }
}

fn is_below(path: &str, dir: &str) -> bool {
    dir.ends_with('/') && path.starts_with(dir) && path != dir
}
