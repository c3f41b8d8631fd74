//! An item at one moment, cheap to take under the lock and complete enough to be written out after it.

use std::sync::Arc;

use super::{Item, Kind, Lock, Model, Refusal, TRASH_KEEP_MS, User};
use crate::sandbox::content::next_random;

/// One folder on the way to an item.
#[derive(Clone, Debug)]
pub(crate) struct Crumb {
    pub id: u64,
    pub name: Arc<str>,
    pub sequence: u64,
    pub etag: u64,
}

/// The standard object of an item.
#[derive(Clone, Debug)]
pub(crate) struct Snap {
    pub id: u64,
    pub kind: Kind,
    pub name: Arc<str>,
    pub sequence: u64,
    pub etag: u64,
    pub size: u64,
    pub description: Arc<str>,
    pub created_at: i64,
    pub modified_at: i64,
    pub content_created_at: i64,
    pub content_modified_at: i64,
    pub created_by: User,
    pub modified_by: User,
    pub trashed_at: Option<i64>,
    pub lock: Option<Arc<Lock>>,
    /// The current version of a file and its digest; the content itself would outlive its deletion in the log.
    pub version: Option<(u64, Arc<str>)>,
    pub versions_total: usize,
    /// From the root down to the parent; empty for the root and for what lies in the trash.
    pub way: Arc<[Crumb]>,
}

impl Snap {
    pub fn parent(&self) -> Option<&Crumb> {
        self.way.last()
    }

    pub fn purged_at(&self) -> Option<i64> {
        self.trashed_at.map(|at| at + TRASH_KEEP_MS)
    }

    pub fn sha1(&self) -> &str {
        self.version.as_ref().map_or("", |(_, sha1)| sha1)
    }

    /// The full path, as `/a/b/c`.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for crumb in self.way.iter().skip(1) {
            path.push('/');
            path.push_str(&crumb.name);
        }
        path.push('/');
        if !self.way.is_empty() {
            path.push_str(&self.name);
        }
        path
    }

    /// An item of a folder that nobody watches.
    pub fn of_noise(number: u64, at: i64) -> Self {
        let mut random = number;
        let id = 900_000_000_000 + next_random(&mut random) % 1_000_000;
        let crumb = |id, name: &str| Crumb {
            id,
            name: name.into(),
            sequence: 0,
            etag: 0,
        };
        Self {
            id,
            kind: Kind::Folder,
            name: format!("elsewhere {number}").into(),
            sequence: number,
            etag: number,
            size: 0,
            description: Arc::from(""),
            created_at: at,
            modified_at: at,
            content_created_at: at,
            content_modified_at: at,
            created_by: User::Other,
            modified_by: User::Other,
            trashed_at: None,
            lock: None,
            version: None,
            versions_total: 0,
            way: Arc::from([
                crumb(super::ROOT, "All Files"),
                crumb(899_999_999_999, "Elsewhere"),
            ]),
        }
    }
}

impl Model {
    /// The item as the cloud shows it now.
    pub fn snap(&mut self, id: u64) -> Result<Arc<Snap>, Refusal> {
        let item = self.any(id)?;
        let way = match (item.trashed_at, item.parent) {
            (None, Some(parent)) => self.way_below(parent)?,
            _ => Arc::from([]),
        };
        Ok(Arc::new(snap_of(self.any(id)?, way)))
    }

    /// The children from one place of a listing on, as the cloud shows them now.
    pub fn snap_children<'a>(&'a mut self, folder: u64, ids: &[u64]) -> Result<Vec<Snap>, Refusal> {
        let way = self.way_below(folder)?;
        let this: &'a Self = self;
        ids.iter()
            .map(|id| this.any(*id).map(|item| snap_of(item, way.clone())))
            .collect()
    }

    /// The way that the children of `folder` have in common.
    fn way_below(&mut self, folder: u64) -> Result<Arc<[Crumb]>, Refusal> {
        let age = self.ways_age;
        let item = self.any(folder)?;
        if let Some((then, way)) = &item.way
            && *then == age
        {
            return Ok(way.clone());
        }
        let mut way = match (item.trashed_at, item.parent) {
            (None, Some(parent)) => self.way_below(parent)?.to_vec(),
            _ => Vec::new(),
        };
        let item = self.any_mut(folder)?;
        way.push(Crumb {
            id: folder,
            name: item.name.clone(),
            sequence: item.sequence,
            etag: item.etag,
        });
        let way: Arc<[Crumb]> = way.into();
        item.way = Some((age, way.clone()));
        Ok(way)
    }
}

fn snap_of(item: &Item, way: Arc<[Crumb]>) -> Snap {
    Snap {
        id: item.id,
        kind: item.kind,
        name: item.name.clone(),
        sequence: item.sequence,
        etag: item.etag,
        size: item.size(),
        description: item.description.clone(),
        created_at: item.created_at,
        modified_at: item.modified_at,
        content_created_at: item.content_created_at,
        content_modified_at: item.content_modified_at,
        created_by: item.created_by,
        modified_by: item.modified_by,
        trashed_at: item.trashed_at,
        lock: item.lock.clone(),
        version: item
            .current()
            .map(|version| (version.id, version.stored.sha1().clone())),
        versions_total: item.versions.len(),
        way,
    }
}
