//! Events that name paths: placed by the tree that we know, and what cannot be placed becomes one listing of the nearest known folder.

#[allow(clippy::wildcard_imports, reason = "a third file of its parent, with the same words")]
use super::*;
use crate::engine::learn::{Above, DEEPEST_PATH};
use crate::tree::{RemoteContent, RemoteItem};

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Out of the watched folder.
    Outside,
    /// Into a folder that a pattern keeps out.
    FilteredOut,
    /// To a folder that we know; the watched folder itself is one.
    Folder(NodeId),
    /// To a name in a folder that we know, and no folder has that name.
    Name { parent: NodeId, name: String },
    /// Into a folder that we do not know; the nearest one above it that we do.
    Beyond { nearest: NodeId },
}

impl Engine {
    /// The folders of an account that paths concern.
    pub(in crate::engine) fn folders_by_path(&self, id: AccountId, paths: [Option<&str>; 2]) -> Vec<FolderId> {
        let concerns = |folder: &crate::engine::Folder| {
            let Some(root) = folder.row.root_path.as_deref().filter(|_| folder.account == id) else { return false };
            paths.into_iter().flatten().any(|path| below(root, path).is_some() || below(path, root).is_some())
        };
        self.folders.iter().filter(|(_, folder)| concerns(folder)).map(|(folder, _)| *folder).collect()
    }

    /// Where a whole path leads, in a watched folder.
    pub(super) fn place_of(&self, folder: FolderId, path: &str) -> Result<Place> {
        let Some((root, names)) = self
            .folders
            .get(&folder)
            .and_then(|folder| folder.row.root.zip(folder.row.root_path.as_deref()))
            .and_then(|(root, top)| below(top, path).map(|names| (root, names)))
        else {
            return Ok(Place::Outside);
        };
        let is_kept_out = |end: usize| {
            let folder = self.folders.get(&folder);
            folder.is_some_and(|folder| !folder.filter.wants(&names[..end].join("/"), true))
        };
        let has_patterns = self.folders.get(&folder).is_some_and(|folder| !folder.filter.is_empty());
        if has_patterns && (1..names.len()).any(is_kept_out) {
            return Ok(Place::FilteredOut);
        }
        let mut at = root;
        for (index, name) in names.iter().enumerate() {
            let folded = name.to_lowercase();
            let found = self.store.folders_in(at)?.into_iter().find(|(_, known)| known.to_lowercase() == folded);
            match found {
                Some((node, _)) => at = node,
                None if index + 1 == names.len() => return Ok(Place::Name { parent: at, name: (*name).to_owned() }),
                None => return Ok(Place::Beyond { nearest: at }),
            }
        }
        Ok(Place::Folder(at))
    }

    /// The path from the watched folder on, for people.
    pub(in crate::engine) fn path_below_root(&self, folder: FolderId, path: &str) -> Option<String> {
        let root = self.folders.get(&folder)?.row.root_path.as_deref()?;
        below(root, path).map(|names| names.join("/"))
    }

    /// Lists a folder because of news. A listing that is under way may be older than the news, and is made again.
    pub(super) fn list_again(&mut self, node: NodeId, folder: FolderId) -> Result<()> {
        self.store.want_listing_now(node, folder)?;
        if self.listing.remove(&node).is_some() {
            self.listings_loaded = 0;
            self.more = true;
        }
        Ok(())
    }

    /// An item lies in a folder that we do not know: looks for that folder, if it is in the watched one and may be.
    pub(in crate::engine) fn look_for_parent(&mut self, folder: FolderId, path: &str) -> Result<Above> {
        let Some((above, _)) = path.trim_end_matches('/').rsplit_once('/') else { return Ok(Above::Outside) };
        match self.place_of(folder, path)? {
            Place::Outside => Ok(Above::Outside),
            Place::FilteredOut => Ok(Above::FilteredOut),
            Place::Folder(node) | Place::Name { parent: node, .. } => {
                // The name is known and the id is not: another folder has taken the place of the known one.
                self.look_for(folder, above, node)?;
                Ok(Above::Unlisted)
            }
            Place::Beyond { nearest } => {
                self.look_for(folder, above, nearest)?;
                Ok(Above::Unlisted)
            }
        }
    }

    /// The watched folder's whole path, as an item right in it shows.
    pub(in crate::engine) fn note_root_path(&mut self, id: FolderId, item: &RemoteItem) {
        let Some(folder) = self.folders.get_mut(&id) else { return };
        let Some(path) = &item.path else { return };
        let shown = if folder.root_item.as_ref() == Some(&item.id) {
            Some(path.as_str())
        } else if item.parent.is_some() && folder.root_item == item.parent {
            path.trim_end_matches('/').rsplit_once('/').map(|(above, _)| above)
        } else {
            None
        };
        if let Some(shown) = shown
            && folder.row.root_path.as_deref() != Some(shown)
        {
            let shown = shown.to_owned();
            folder.change(|row| row.root_path = Some(shown));
        }
    }

    /// An event that names only a path, which covers everything below it.
    pub(in crate::engine) fn path_event(
        &mut self,
        folder: FolderId,
        kind: EventKind,
        (path, from): (&str, Option<&str>),
        is_folder: Option<bool>,
        source: Source,
    ) -> Result<Option<&'static str>> {
        if self.concerns_root(folder, kind, path, from)? {
            return Ok(Some("watched folder"));
        }
        match kind {
            EventKind::Moved | EventKind::Renamed => {
                if let Some(from) = from {
                    self.unplaced_moved(folder, from, path)?;
                }
                let old = match from {
                    Some(from) => self.place_of(folder, from)?,
                    None => Place::Outside,
                };
                match old {
                    Place::Folder(node) => self.folder_moved(folder, node, path, source),
                    Place::Name { .. } | Place::Beyond { .. } | Place::Outside | Place::FilteredOut => {
                        self.list_place(folder, path, is_folder)
                    }
                }
            }
            EventKind::Trashed => match self.place_of(folder, path)? {
                Place::Folder(node) => {
                    self.told_trashed(node)?;
                    for node in self.namesakes(node)? {
                        self.mark_look(node, folder, LOOK_AFTER_TRASH, source)?;
                    }
                    Ok(None)
                }
                // A file's place is listed: what is not there has to be asked for by its id, which the comparison does.
                Place::Name { parent, .. } if is_folder == Some(false) => {
                    self.list_again(parent, folder)?;
                    Ok(Some("listed"))
                }
                Place::Name { .. } | Place::Beyond { .. } | Place::Outside | Place::FilteredOut => {
                    Ok(Some("unknown item"))
                }
            },
            EventKind::Lock | EventKind::Comment | EventKind::Read => Ok(Some("no change")),
            EventKind::Created
            | EventKind::Uploaded
            | EventKind::Copied
            | EventKind::Restored
            | EventKind::Promoted
            | EventKind::Sharing
            | EventKind::Other => self.list_place(folder, path, is_folder),
        }
    }

    /// Something is at a path: lists it if it is a folder that we know, else whatever is nearest.
    fn list_place(&mut self, folder: FolderId, path: &str, is_folder: Option<bool>) -> Result<Option<&'static str>> {
        match self.place_of(folder, path)? {
            Place::Outside => return Ok(Some("outside")),
            Place::FilteredOut => return Ok(Some("filtered out")),
            Place::Folder(node) => {
                self.list_again(node, folder)?;
                let above = self.store.item(node)?.and_then(|item| item.remote.parent);
                // A folder of which we heard that it goes may have been followed by another one of the same name.
                if let (Some(above), Some(_)) = (above, self.store.work(node)?.filter(|work| work.look > 0)) {
                    self.list_again(above, folder)?;
                }
            }
            Place::Name { parent, .. } => {
                if is_folder == Some(false) {
                    self.list_again(parent, folder)?;
                } else {
                    self.look_for(folder, path, parent)?;
                }
            }
            Place::Beyond { nearest } => self.look_for(folder, path, nearest)?,
        }
        Ok(Some("listed"))
    }

    /// The folders that a path to this one may mean: one that went and one that followed it have the same place until we heard of both.
    fn namesakes(&self, node: NodeId) -> Result<Vec<NodeId>> {
        let Some(known) = self.store.item(node)? else { return Ok(Vec::new()) };
        let Some(parent) = known.remote.parent else { return Ok(vec![node]) };
        let folded = known.remote.name.to_lowercase();
        let all = self.store.folders_in(parent)?.into_iter();
        Ok(all.filter(|(_, name)| name.to_lowercase() == folded).map(|(node, _)| node).collect())
    }

    /// A folder that we know has a new place.
    fn folder_moved(
        &mut self,
        folder: FolderId,
        node: NodeId,
        path: &str,
        source: Source,
    ) -> Result<Option<&'static str>> {
        let Some(known) = self.store.item(node)? else { return Ok(Some("unknown item")) };
        let namesakes = self.namesakes(node)?;
        let is_ahead = self.folders.get(&folder).is_some_and(|folder| folder.sights.is_ahead(node));
        if is_ahead || namesakes.len() > 1 || self.is_compared(folder) {
            let leaves = self.place_of(folder, path)? == Place::Outside;
            for node in namesakes {
                self.mark_look(node, folder, if leaves { LOOK_AWAY } else { LOOK_UNSURE }, source)?;
            }
            return self.list_place(folder, path, Some(true)).map(|_| None);
        }
        let (parent, name) = match self.place_of(folder, path)? {
            Place::Name { parent, name } => (parent, name),
            // A new name that differs in its letters' case alone leads to the folder itself.
            Place::Folder(at) if at == node => match (known.remote.parent, path.rsplit_once('/')) {
                (Some(parent), Some((_, name))) => (parent, name.to_owned()),
                _ => return Ok(Some("watched folder")),
            },
            Place::FilteredOut => {
                self.gone(&known, Presence::FilteredOut, source)?;
                return Ok(None);
            }
            // Its own state decides, at one call; "not found" agrees with the event.
            Place::Outside => {
                self.mark_look(node, folder, LOOK_AWAY, source)?;
                return Ok(None);
            }
            Place::Folder(_) => {
                self.mark_look(node, folder, LOOK_UNSURE, source)?;
                return Ok(None);
            }
            Place::Beyond { nearest } => {
                // That folder may be gone again before it is found, and what went into it with it.
                self.mark_look(node, folder, LOOK_UNSURE, source)?;
                self.look_for(folder, path, nearest)?;
                return Ok(None);
            }
        };
        if self.is_in_doubt(parent)? {
            // What takes its place may be what the event means: it would go with the wrong one.
            self.mark_look(node, folder, LOOK_UNSURE, source)?;
            return Ok(None);
        }
        let Some(above) = self.store.item(parent)? else { return Ok(Some("unknown item")) };
        self.overtake_listings(&known.id, [known.remote.parent, Some(parent)]);
        let moved = RemoteItem {
            id: known.id.clone(),
            parent: Some(above.id),
            name,
            content: None,
            etag: known.remote.etag.clone(),
            sequence: None,
            ancestors: None,
            path: None,
        };
        self.learned(folder, &moved, source)
    }

    /// An event that names an item, and perhaps its place and version.
    pub(in crate::engine) fn id_event(
        &mut self,
        folder: FolderId,
        kind: EventKind,
        (id, version): (&ItemId, Option<&VersionId>),
        (path, from): (Option<&str>, Option<&str>),
        source: Source,
    ) -> Result<Option<&'static str>> {
        let known = self.store.item_by_id(folder, id)?;
        let Some(path) = path else { return self.hint(folder, id, LOOK, source) };
        if known.as_ref().is_some_and(|known| Some(known.node) == self.root_of(folder)) {
            self.concerns_root(folder, kind, path, from)?;
            return Ok(Some("watched folder"));
        }
        if matches!(kind, EventKind::Lock | EventKind::Comment | EventKind::Other | EventKind::Sharing) {
            return if known.is_some() { self.hint(folder, id, LOOK, source) } else { Ok(Some("unknown item")) };
        }
        if id.is_folder() && known.is_none() {
            return self.list_place(folder, path, Some(true));
        }
        // One that left its place and is not found went into a folder that is gone by now.
        let leaves = matches!(kind, EventKind::Moved | EventKind::Renamed);
        let (parent, name) = match self.place_of(folder, path)? {
            Place::Name { parent, name } => (parent, name),
            // It is that folder itself, or has followed it at the same place.
            Place::Folder(at) => {
                match (self.store.item(at)?.and_then(|row| row.remote.parent), path.rsplit_once('/')) {
                    (Some(parent), Some((_, name))) => (parent, name.to_owned()),
                    _ => return Ok(Some("watched folder")),
                }
            }
            Place::FilteredOut => {
                let Some(known) = known.filter(|known| known.remote.presence == Presence::Present) else {
                    return Ok(Some("filtered out"));
                };
                self.gone(&known, Presence::FilteredOut, source)?;
                return Ok(None);
            }
            // It went out of the watched folder; its own state is the second proof.
            Place::Outside => return self.hint(folder, id, LOOK_AFTER_TRASH, source),
            Place::Beyond { nearest } => {
                let above = path.rsplit_once('/').map_or(path, |(above, _)| above);
                self.look_for(folder, above, nearest)?;
                return match known {
                    Some(_) => self.hint(folder, id, if leaves { LOOK_UNSURE } else { LOOK }, source),
                    None => Ok(Some("listed")),
                };
            }
        };
        let Some(above) = self.store.item(parent)? else { return Ok(Some("unknown item")) };
        let content = match (&known, version) {
            (Some(known), None) => known.remote.content.clone(),
            (known, Some(version)) => {
                let same = known.as_ref().and_then(|known| known.remote.content.clone());
                let same = same.filter(|content| content.version == *version);
                let bare = RemoteContent { version: version.clone(), hash: None, size: None, modified: None };
                Some(same.unwrap_or(bare))
            }
            (None, None) => None,
        };
        let told = RemoteItem {
            id: id.clone(),
            parent: Some(above.id),
            name,
            content: content.filter(|_| !id.is_folder()),
            etag: None,
            sequence: None,
            ancestors: None,
            path: None,
        };
        // What was only written to is where it was: its path is one of before a folder on the way was renamed, or of after it.
        let is_displaced = matches!(kind, EventKind::Uploaded | EventKind::Promoted | EventKind::Restored)
            && known
                .as_ref()
                .is_some_and(|known| known.remote.presence == Presence::Present && known.remote.parent != Some(parent));
        if is_displaced || self.must_look(folder, &told) || self.is_in_doubt(parent)? {
            return match known {
                Some(_) => self.hint(folder, id, if leaves { LOOK_UNSURE } else { LOOK }, source),
                None => self.look_at_unknown(folder, parent, &told, source),
            };
        }
        self.overtake_listings(id, [known.and_then(|known| known.remote.parent), Some(parent)]);
        self.learned(folder, &told, source)
    }

    /// Whether an event's word is not enough: it does not say which content, or a comparison is under way. Then a listing may have overtaken
    /// the event, and names may lead to folders that are no longer there.
    fn must_look(&self, folder: FolderId, told: &RemoteItem) -> bool {
        (!told.id.is_folder() && told.content.is_none()) || self.is_compared(folder)
    }

    /// Whether a folder, or one above it, is being asked about, or was seen elsewhere than before: another one may have taken its place, and
    /// its path leads there.
    fn is_in_doubt(&self, folder: NodeId) -> Result<bool> {
        let mut at = folder;
        for _ in 0..DEEPEST_PATH {
            if self.store.work(at)?.is_some_and(|work| work.look > 0) {
                return Ok(true);
            }
            let Some(row) = self.store.item(at)? else { return Ok(false) };
            if self.folders.get(&row.folder).is_some_and(|folder| folder.sights.is_displaced(at)) {
                return Ok(true);
            }
            let Some(above) = row.remote.parent else { return Ok(false) };
            at = above;
        }
        // Descriptions of different moments can put folders into one another: nothing is sure there.
        Ok(true)
    }

    pub(super) fn is_compared(&self, folder: FolderId) -> bool {
        self.folders.get(&folder).is_none_or(|folder| folder.row.scan_stage.is_some())
    }

    /// An item that we do not know: a row for it, which goes again if the cloud does not have it.
    fn look_at_unknown(
        &mut self,
        folder: FolderId,
        parent: NodeId,
        told: &RemoteItem,
        source: Source,
    ) -> Result<Option<&'static str>> {
        let row = crate::store::items::RemoteRow {
            presence: Presence::Absent,
            parent: Some(parent),
            name: told.name.clone(),
            content: None,
            etag: None,
            sequence: None,
            seen: 0,
        };
        let node = self.store.add_item(folder, &told.id, &row)?;
        self.mark_look(node, folder, LOOK, source)?;
        Ok(None)
    }

    pub(in crate::engine) fn learned(
        &mut self,
        folder: FolderId,
        told: &RemoteItem,
        source: Source,
    ) -> Result<Option<&'static str>> {
        Ok(match self.learn(folder, told, source)? {
            Learned::Stale => Some("stale"),
            Learned::Same => Some("no change"),
            Learned::FilteredOut => Some("filtered out"),
            Learned::Outside => Some("outside"),
            Learned::Marked => None,
        })
    }

    fn root_of(&self, folder: FolderId) -> Option<NodeId> {
        self.folders.get(&folder).and_then(|folder| folder.row.root)
    }

    /// Whether something happened to the watched folder itself or above it, and what follows from that.
    fn concerns_root(&mut self, id: FolderId, kind: EventKind, path: &str, from: Option<&str>) -> Result<bool> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(true) };
        let Some(root) = folder.row.root_path.clone() else { return Ok(true) };
        if let Some(from) = from.filter(|_| matches!(kind, EventKind::Moved | EventKind::Renamed))
            && let Some(rest) = below(from, &root)
        {
            let names: Vec<&str> = path.trim_end_matches('/').split('/').chain(rest).collect();
            folder.change(|row| row.root_path = Some(names.join("/")));
            return Ok(true);
        }
        if below(path, &root).is_none() {
            return Ok(false);
        }
        self.check_remote_root(id)?;
        Ok(true)
    }
}

/// The names that lead from a folder's whole path to a path in it or at it; nothing if it lies elsewhere. Letters' case makes no difference.
pub(super) fn below<'a>(top: &str, path: &'a str) -> Option<Vec<&'a str>> {
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
