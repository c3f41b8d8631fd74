//! What people do in the cloud; every deed that succeeds leaves its events in the log.

use std::sync::Arc;

use super::{EventKind, Item, Kind, Lock, Model, ROOT, Refusal, Through, User, Version, What, check_name};
use crate::sandbox::content::Stored;

/// Who acts, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed {
    pub by: User,
    pub now: i64,
    pub through: Through,
}

/// The times that a client says its content has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ContentTimes {
    pub created: Option<i64>,
    pub modified: Option<i64>,
}

impl Model {
    pub fn create_folder(&mut self, deed: Deed, parent: u64, name: &str) -> Result<u64, Refusal> {
        let id = self.add_child(deed, parent, Kind::Folder, name)?;
        self.happened(deed, EventKind::Create, id, None)?;
        Ok(id)
    }

    /// The folder of that name, made without an event where it is missing.
    pub fn ensure_folder(&mut self, deed: Deed, parent: u64, name: &str) -> Result<u64, Refusal> {
        match self.live_of(Kind::Folder, parent)?.child(name) {
            Some(id) => self.live_of(Kind::Folder, id).map(|folder| folder.id),
            None => self.add_child(deed, parent, Kind::Folder, name),
        }
    }

    pub fn create_web_link(&mut self, deed: Deed, parent: u64, name: &str) -> Result<u64, Refusal> {
        let id = self.add_child(deed, parent, Kind::WebLink, name)?;
        self.happened(deed, EventKind::Create, id, None)?;
        Ok(id)
    }

    pub fn create_file(
        &mut self,
        deed: Deed,
        parent: u64,
        name: &str,
        stored: Arc<Stored>,
        times: ContentTimes,
    ) -> Result<u64, Refusal> {
        let id = self.add_child(deed, parent, Kind::File, name)?;
        let version = self.new_version_id();
        let item = self.any_mut(id)?;
        item.content_created_at = times.created.unwrap_or(deed.now);
        item.content_modified_at = times.modified.unwrap_or(deed.now);
        push_version(item, version, stored, deed);
        let size = item.size();
        self.adjust_bytes(Some(parent), 0, size);
        self.happened(deed, EventKind::Upload, id, None)?;
        Ok(id)
    }

    /// A new content for a file, renamed in passing when a name is given.
    pub fn add_version(
        &mut self,
        deed: Deed,
        id: u64,
        stored: Arc<Stored>,
        name: Option<&str>,
        times: ContentTimes,
    ) -> Result<(), Refusal> {
        let item = self.unlocked_for(deed, id)?;
        if item.kind != Kind::File {
            return Err(Refusal::NotFound);
        }
        let (parent, before) = (item.parent, item.size());
        if let Some(name) = name {
            self.rename_in_place(id, name)?;
        }
        let version = self.new_version_id();
        self.touch(deed, id)?;
        let item = self.any_mut(id)?;
        item.content_modified_at = times.modified.unwrap_or(deed.now);
        push_version(item, version, stored, deed);
        let after = item.size();
        self.adjust_bytes(parent, before, after);
        self.happened(deed, EventKind::Upload, id, None)
    }

    /// Another name, another parent, or both.
    pub fn relocate(&mut self, deed: Deed, id: u64, name: Option<&str>, parent: Option<u64>) -> Result<(), Refusal> {
        let item = self.unlocked_for(deed, id)?;
        let old_parent = item.parent.ok_or(Refusal::Root)?;
        let new_parent = parent.unwrap_or(old_parent);
        let new_name: Arc<str> = name.map_or_else(|| item.name.clone(), Into::into);
        let (renamed, moved) = (new_name != item.name, new_parent != old_parent);
        if !renamed && !moved {
            return Ok(());
        }
        let from: Arc<str> = self.path_of(id)?.into();
        self.check_place(id, new_parent, &new_name)?;
        self.detach(id)?;
        let item = self.any_mut(id)?;
        item.name = new_name;
        item.parent = Some(new_parent);
        self.attach(id)?;
        self.ways_age += 1;
        if moved {
            self.touch(deed, id)?;
            self.happened(deed, EventKind::Move, id, Some(from.clone()))?;
        }
        if renamed {
            self.touch(deed, id)?;
            self.happened(deed, EventKind::Rename, id, Some(from))?;
        }
        Ok(())
    }

    /// Fields that are neither place nor content. Box reports a new description as a rename to the same name.
    pub fn describe(
        &mut self,
        deed: Deed,
        id: u64,
        description: Option<&str>,
        content_modified: Option<i64>,
    ) -> Result<(), Refusal> {
        let item = self.unlocked_for(deed, id)?;
        let new_text = description.filter(|text| **text != *item.description).map(Arc::from);
        let new_time = content_modified.filter(|time| *time != item.content_modified_at);
        if let Some(text) = new_text {
            self.any_mut(id)?.description = text;
            self.touch(deed, id)?;
            self.happened(deed, EventKind::Rename, id, None)?;
        }
        if let Some(time) = new_time {
            self.any_mut(id)?.content_modified_at = time;
            self.touch(deed, id)?;
            self.happened(deed, EventKind::Modify, id, None)?;
        }
        Ok(())
    }

    pub fn trash(&mut self, deed: Deed, id: u64) -> Result<(), Refusal> {
        let item = self.unlocked_for(deed, id)?;
        if item.parent.is_none() {
            return Err(Refusal::Root);
        }
        let from: Arc<str> = self.path_of(id)?.into();
        self.touch(deed, id)?;
        self.detach(id)?;
        let item = self.any_mut(id)?;
        item.trashed_at = Some(deed.now);
        item.lock = None;
        self.ways_age += 1;
        self.happened(deed, EventKind::Trash, id, Some(from))
    }

    /// Out of the trash, to the old parent if it is still there, else to `parent`.
    pub fn restore(&mut self, deed: Deed, id: u64, name: Option<&str>, parent: Option<u64>) -> Result<(), Refusal> {
        let item = self.any(id)?;
        if item.trashed_at.is_none() {
            return Err(Refusal::NotFound);
        }
        let old = item.parent.filter(|old| self.live_of(Kind::Folder, *old).is_ok());
        let target = old.or(parent).ok_or(Refusal::NotFound)?;
        let new_name: Arc<str> = name.map_or_else(|| item.name.clone(), Into::into);
        self.check_place(id, target, &new_name)?;
        let item = self.any_mut(id)?;
        item.trashed_at = None;
        item.name = new_name;
        item.parent = Some(target);
        self.attach(id)?;
        self.ways_age += 1;
        self.touch(deed, id)?;
        self.happened(deed, EventKind::Untrash, id, None)
    }

    /// Gone for good, with everything below. What was not in the trash yet is announced as trashed.
    pub fn delete_forever(&mut self, deed: Deed, id: u64) -> Result<(), Refusal> {
        if self.any(id)?.trashed_at.is_none() {
            self.trash(deed, id)?;
        }
        let mut doomed = vec![id];
        while let Some(id) = doomed.pop() {
            if let Some(item) = self.items.remove(&id) {
                doomed.extend(item.children.into_values());
            }
        }
        Ok(())
    }

    pub fn copy(&mut self, deed: Deed, id: u64, parent: u64, name: Option<&str>) -> Result<u64, Refusal> {
        let item = self.live(id)?;
        if item.parent.is_none() {
            return Err(Refusal::Root);
        }
        let name: Arc<str> = name.map_or_else(|| item.name.clone(), Into::into);
        let from: Arc<str> = self.path_of(id)?.into();
        self.check_place(id, parent, &name)?;
        let copy = self.copy_tree(deed, id, parent, &name)?;
        self.happened(deed, EventKind::Copy, copy, Some(from))?;
        Ok(copy)
    }

    fn copy_tree(&mut self, deed: Deed, id: u64, parent: u64, name: &str) -> Result<u64, Refusal> {
        let source = self.any(id)?;
        let (kind, children) = (source.kind, source.children.values().copied().collect::<Vec<_>>());
        let stored = source.current().map(|version| version.stored.clone());
        let (created, modified) = (source.content_created_at, source.content_modified_at);
        let copy = self.add_child(deed, parent, kind, name)?;
        if let Some(stored) = stored {
            let version = self.new_version_id();
            let item = self.any_mut(copy)?;
            (item.content_created_at, item.content_modified_at) = (created, modified);
            push_version(item, version, stored, deed);
            let size = item.size();
            self.adjust_bytes(Some(parent), 0, size);
        }
        for child in children {
            let name = self.any(child)?.name.clone();
            self.copy_tree(deed, child, copy, &name)?;
        }
        Ok(copy)
    }

    /// Puts a copy of an old content on top; the old etag and name come back with it, as the provider documents.
    pub fn promote_version(&mut self, deed: Deed, id: u64, version: u64) -> Result<(), Refusal> {
        let item = self.unlocked_for(deed, id)?;
        let (parent, before) = (item.parent, item.size());
        let old = item.versions.iter().find(|old| old.id == version).cloned().ok_or(Refusal::NotFound)?;
        if old.trashed_at.is_some() {
            return Err(Refusal::Trashed);
        }
        if item.name != old.name {
            // The old name may be somebody else's by now; then the present one stays.
            let _ = self.rename_in_place(id, &old.name);
        }
        let version = self.new_version_id();
        self.touch(deed, id)?;
        let item = self.any_mut(id)?;
        item.etag = old.etag;
        push_version(item, version, old.stored, deed);
        let after = item.size();
        self.adjust_bytes(parent, before, after);
        self.happened(deed, EventKind::MakeCurrentVersion, id, None)
    }

    /// A past content goes to the trash; deleting the current one puts the one before it on top.
    pub fn delete_version(&mut self, deed: Deed, id: u64, version: u64) -> Result<(), Refusal> {
        let item = self.unlocked_for(deed, id)?;
        let (parent, before) = (item.parent, item.size());
        let place = item.versions.iter().position(|old| old.id == version).ok_or(Refusal::NotFound)?;
        let kept = item.versions.iter().filter(|known| known.trashed_at.is_none() && known.id != version).count();
        if kept == 0 {
            return Err(Refusal::NameInvalid("the only version of a file"));
        }
        let was_current = place + 1 == item.versions.len();
        let item = self.any_mut(id)?;
        if !was_current {
            item.versions[place].trashed_at = Some(deed.now);
            return Ok(());
        }
        item.versions.pop();
        while item.versions.last().is_some_and(|last| last.trashed_at.is_some()) {
            item.versions.pop();
        }
        let after = item.size();
        self.adjust_bytes(parent, before, after);
        self.touch(deed, id)?;
        self.happened(deed, EventKind::MakeCurrentVersion, id, None)
    }

    pub fn lock(
        &mut self,
        deed: Deed,
        id: u64,
        expires_at: Option<i64>,
        prevents_download: bool,
    ) -> Result<(), Refusal> {
        if self.unlocked_for(deed, id)?.kind != Kind::File {
            return Err(Refusal::NotFound);
        }
        let lock = Lock { id: self.new_version_id(), by: deed.by, created_at: deed.now, expires_at, prevents_download };
        self.any_mut(id)?.lock = Some(Arc::new(lock));
        self.touch(deed, id)?;
        self.happened(deed, EventKind::LockCreate, id, None)
    }

    pub fn unlock(&mut self, deed: Deed, id: u64) -> Result<(), Refusal> {
        self.unlocked_for(deed, id)?;
        if self.any_mut(id)?.lock.take().is_some() {
            self.touch(deed, id)?;
            self.happened(deed, EventKind::LockDestroy, id, None)?;
        }
        Ok(())
    }

    /// Someone fetched the content.
    pub fn downloaded(&mut self, deed: Deed, id: u64) -> Result<(), Refusal> {
        self.happened(deed, EventKind::Download, id, None)
    }

    /// The live item, unless another user's lock forbids changing it.
    fn unlocked_for(&self, deed: Deed, id: u64) -> Result<&Item, Refusal> {
        let item = self.live(id)?;
        match &item.lock {
            Some(lock) if lock.by != deed.by && lock.expires_at.is_none_or(|end| end > deed.now) => {
                Err(Refusal::Locked)
            }
            _ => Ok(item),
        }
    }

    /// Whether item `id` may stand in `parent` under `name`.
    fn check_place(&self, id: u64, parent: u64, name: &str) -> Result<(), Refusal> {
        check_name(name)?;
        let folder = self.live_of(Kind::Folder, parent)?;
        if let Some(other) = folder.child(name)
            && other != id
        {
            return Err(Refusal::NameInUse(other));
        }
        let mut above = folder;
        loop {
            if above.id == id {
                return Err(Refusal::Cycle);
            }
            match above.parent {
                Some(parent) => above = self.any(parent)?,
                None => return Ok(()),
            }
        }
    }

    fn rename_in_place(&mut self, id: u64, name: &str) -> Result<(), Refusal> {
        let parent = self.any(id)?.parent.ok_or(Refusal::Root)?;
        self.check_place(id, parent, name)?;
        self.detach(id)?;
        self.any_mut(id)?.name = name.into();
        self.attach(id)
    }

    fn add_child(&mut self, deed: Deed, parent: u64, kind: Kind, name: &str) -> Result<u64, Refusal> {
        check_name(name)?;
        let folder = self.live_of(Kind::Folder, parent)?;
        if let Some(other) = folder.child(name) {
            return Err(Refusal::NameInUse(other));
        }
        let id = self.new_item_id();
        let item = Self::blank(id, kind, name, Some(parent), deed.by, deed.now);
        self.items.insert(id, item);
        self.attach(id)?;
        Ok(id)
    }

    fn attach(&mut self, id: u64) -> Result<(), Refusal> {
        let item = self.any(id)?;
        let (key, parent, size) = (item.key(), item.parent.ok_or(Refusal::Root)?, item.size());
        self.any_mut(parent)?.children.insert(key, id);
        self.adjust_bytes(Some(parent), 0, size);
        Ok(())
    }

    fn detach(&mut self, id: u64) -> Result<(), Refusal> {
        let item = self.any(id)?;
        let (key, parent, size) = (item.key(), item.parent.ok_or(Refusal::Root)?, item.size());
        self.any_mut(parent)?.children.remove(&key);
        self.adjust_bytes(Some(parent), size, 0);
        Ok(())
    }

    fn adjust_bytes(&mut self, mut folder: Option<u64>, before: u64, after: u64) {
        if before == after {
            return;
        }
        while let Some(item) = folder.and_then(|id| self.items.get_mut(&id)) {
            item.bytes_below = (item.bytes_below + after).saturating_sub(before);
            folder = item.parent.filter(|_| item.trashed_at.is_none());
        }
    }

    /// Every change raises the item's own counters, which are compared only with themselves.
    fn touch(&mut self, deed: Deed, id: u64) -> Result<(), Refusal> {
        let item = self.any_mut(id)?;
        item.sequence += 1;
        item.etag += 1;
        item.modified_at = deed.now;
        item.modified_by = deed.by;
        if item.kind == Kind::Folder && id != ROOT {
            self.ways_age += 1;
        }
        Ok(())
    }

    fn happened(&mut self, deed: Deed, kind: EventKind, id: u64, from: Option<Arc<str>>) -> Result<(), Refusal> {
        let snap = self.snap(id)?;
        self.record(deed, kind, What::Item(snap), from);
        Ok(())
    }
}

fn push_version(item: &mut Item, id: u64, stored: Arc<Stored>, deed: Deed) {
    let version = Version {
        id,
        stored,
        name: item.name.clone(),
        etag: item.etag,
        created_at: deed.now,
        by: deed.by,
        trashed_at: None,
    };
    item.versions.push(version);
}
