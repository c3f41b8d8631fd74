//! The cloud as plain values: items, versions, trash and one log of events. No clock, no network, no lock.

mod change;
mod event;
mod snap;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(crate) use change::{ContentTimes, Deed};
pub(crate) use event::{Event, EventKind, Streams, Through, What};
pub(crate) use snap::{Crumb, Snap};

use super::content::{Stored, next_random};

/// The id of the folder that holds everything.
pub(crate) const ROOT: u64 = 0;
/// The longest name in characters.
const NAME_CHARS_MAX: usize = 255;
/// How long the trash keeps an item.
const TRASH_KEEP_MS: i64 = 30 * 24 * 3600 * 1000;

/// A person who can act in the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum User {
    /// The one whose token the agent holds.
    Agent,
    /// Somebody else.
    Other,
}

impl User {
    /// The user's id.
    pub const fn id(self) -> u64 {
        match self {
            Self::Agent => 11_446_498,
            Self::Other => 11_446_499,
        }
    }

    /// The displayed name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "Aki Agent",
            Self::Other => "Olu Other",
        }
    }

    /// The sign-in name.
    pub const fn login(self) -> &'static str {
        match self {
            Self::Agent => "agent@example.test",
            Self::Other => "other@example.test",
        }
    }
}

/// Why the cloud would not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing there, or not of the wanted kind.
    #[error("no such item")]
    NotFound,
    /// It is in the trash, or below something that is.
    #[error("the item is in the trash")]
    Trashed,
    /// The folder already holds an item of that name, ignoring case.
    #[error("item {0} already has that name")]
    NameInUse(u64),
    /// The cloud does not allow such a name.
    #[error("the name is not allowed: {0}")]
    NameInvalid(&'static str),
    /// Only a recursive deletion removes a folder that holds something.
    #[error("the folder is not empty")]
    NotEmpty,
    /// A folder cannot be put into itself.
    #[error("a folder cannot be moved below itself")]
    Cycle,
    /// The root folder stays as it is.
    #[error("the root folder cannot be changed")]
    Root,
    /// Another user holds the lock.
    #[error("the file is locked by another user")]
    Locked,
    /// The item has changed since the caller last looked.
    #[error("the etag does not match")]
    Stale,
    /// The content could not be read or kept.
    #[error("content: {0}")]
    Content(String),
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::Content(error.to_string())
    }
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Folder,
    File,
    WebLink,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::File => "file",
            Self::WebLink => "web_link",
        }
    }
}

/// One content of a file.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub id: u64,
    pub stored: Arc<Stored>,
    pub name: Arc<str>,
    pub etag: u64,
    pub created_at: i64,
    pub by: User,
    pub trashed_at: Option<i64>,
}

/// A promise by one user that nobody else changes the file.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub id: u64,
    pub by: User,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub prevents_download: bool,
}

/// The place of a child in a listing: kind first, then name without case.
pub(crate) type ChildKey = (Kind, Box<str>);

#[derive(Debug)]
pub(crate) struct Item {
    pub id: u64,
    pub kind: Kind,
    pub name: Arc<str>,
    pub parent: Option<u64>,
    pub sequence: u64,
    pub etag: u64,
    pub description: Arc<str>,
    pub created_at: i64,
    pub modified_at: i64,
    pub content_created_at: i64,
    pub content_modified_at: i64,
    pub created_by: User,
    pub modified_by: User,
    pub trashed_at: Option<i64>,
    pub lock: Option<Arc<Lock>>,
    /// Past contents first, the current one last; empty unless this is a file.
    pub versions: Vec<Version>,
    /// Empty unless this is a folder.
    pub children: BTreeMap<ChildKey, u64>,
    /// The bytes of everything below a folder.
    pub bytes_below: u64,
    /// The way from the root to here, with the age of the whole tree's paths when it was put together.
    way: Option<(u64, Arc<[Crumb]>)>,
}

impl Item {
    pub fn current(&self) -> Option<&Version> {
        self.versions.last()
    }

    pub fn size(&self) -> u64 {
        match self.kind {
            Kind::Folder => self.bytes_below,
            Kind::File => self.current().map_or(0, |version| version.stored.len()),
            Kind::WebLink => 0,
        }
    }

    /// The child of that name, whatever its kind and case.
    pub fn child(&self, name: &str) -> Option<u64> {
        let mut key = child_key(Kind::Folder, name);
        for kind in [Kind::Folder, Kind::File, Kind::WebLink] {
            key.0 = kind;
            if let Some(id) = self.children.get(&key) {
                return Some(*id);
            }
        }
        None
    }

    fn key(&self) -> ChildKey {
        child_key(self.kind, &self.name)
    }
}

fn child_key(kind: Kind, name: &str) -> ChildKey {
    (kind, name.to_lowercase().into_boxed_str())
}

/// All items and everything that ever happened to them.
#[derive(Debug)]
pub(crate) struct Model {
    items: HashMap<u64, Item>,
    log: Vec<Arc<Event>>,
    /// Events before this index are no longer kept.
    forgotten: usize,
    next_item: u64,
    next_version: u64,
    /// Grows whenever a folder's own fields change, which makes the remembered ways stale.
    ways_age: u64,
    noise: u64,
    last_ms: i64,
}

impl Model {
    /// Every content that is kept: current ones, former ones, and those in the trash.
    pub fn contents(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.items.values().flat_map(|item| &item.versions).map(|version| &version.stored)
    }

    /// A cloud with nothing but its root folder.
    pub fn new(seed: u64, now: i64) -> Self {
        let mut random = seed;
        let first_item = 1_000_000_000_000 + next_random(&mut random) % 1_000_000 * 100_000;
        let first_version = 3_000_000_000_000 + next_random(&mut random) % 1_000_000 * 100_000;
        let mut model = Self {
            items: HashMap::new(),
            log: Vec::new(),
            forgotten: 0,
            next_item: first_item,
            next_version: first_version,
            ways_age: 0,
            noise: 0,
            last_ms: now,
        };
        let root = Self::blank(ROOT, Kind::Folder, "All Files", None, User::Agent, now);
        model.items.insert(ROOT, root);
        model
    }

    fn blank(id: u64, kind: Kind, name: &str, parent: Option<u64>, by: User, now: i64) -> Item {
        Item {
            id,
            kind,
            name: name.into(),
            parent,
            sequence: 0,
            etag: 0,
            description: Arc::from(""),
            created_at: now,
            modified_at: now,
            content_created_at: now,
            content_modified_at: now,
            created_by: by,
            modified_by: by,
            trashed_at: None,
            lock: None,
            versions: Vec::new(),
            children: BTreeMap::new(),
            bytes_below: 0,
            way: None,
        }
    }

    fn new_item_id(&mut self) -> u64 {
        self.next_item += 1;
        self.next_item
    }

    /// Any number that is unique in this cloud.
    pub fn new_version_id(&mut self) -> u64 {
        self.next_version += 1;
        self.next_version
    }

    /// The item, in the trash or not.
    pub fn any(&self, id: u64) -> Result<&Item, Refusal> {
        self.items.get(&id).ok_or(Refusal::NotFound)
    }

    fn any_mut(&mut self, id: u64) -> Result<&mut Item, Refusal> {
        self.items.get_mut(&id).ok_or(Refusal::NotFound)
    }

    /// The item, unless it or something above it is in the trash.
    pub fn live(&self, id: u64) -> Result<&Item, Refusal> {
        let item = self.any(id)?;
        let mut at = item;
        loop {
            if at.trashed_at.is_some() {
                return Err(Refusal::Trashed);
            }
            match at.parent {
                Some(parent) => at = self.any(parent)?,
                None => return Ok(item),
            }
        }
    }

    pub fn live_of(&self, kind: Kind, id: u64) -> Result<&Item, Refusal> {
        self.live(id).and_then(|item| if item.kind == kind { Ok(item) } else { Err(Refusal::NotFound) })
    }

    pub fn items_total(&self) -> usize {
        self.items.len()
    }

    /// The live item at `/a/b/c`; `/` is the root.
    pub fn find(&self, path: &str) -> Result<&Item, Refusal> {
        let mut at = self.any(ROOT)?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let id = at.child(name).ok_or(Refusal::NotFound)?;
            at = self.any(id)?;
        }
        Ok(at)
    }

    /// The live item that those names lead to from the root.
    pub fn child_at<S: AsRef<str>>(&self, names: &[S]) -> Result<u64, Refusal> {
        names.iter().try_fold(ROOT, |at, name| self.any(at)?.child(name.as_ref()).ok_or(Refusal::NotFound))
    }

    /// The names from the root down to the item, as `/a/b/c`.
    pub fn path_of(&self, id: u64) -> Result<String, Refusal> {
        let mut names = Vec::new();
        let mut at = self.any(id)?;
        while let Some(parent) = at.parent {
            names.push(at.name.clone());
            at = self.any(parent)?;
        }
        let mut path = String::new();
        for name in names.iter().rev() {
            path.push('/');
            path.push_str(name);
        }
        if path.is_empty() {
            path.push('/');
        }
        Ok(path)
    }

    /// The live items in the trash that were put there themselves.
    pub fn trashed_tops(&self) -> Vec<u64> {
        let mut tops: Vec<u64> =
            self.items.values().filter(|item| item.trashed_at.is_some()).map(|item| item.id).collect();
        tops.sort_unstable();
        tops
    }
}

/// Refuses the names that the cloud refuses.
fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name == "." || name == ".." {
        return Err(Refusal::NameInvalid("empty or dots"));
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(Refusal::NameInvalid("longer than 255 characters"));
    }
    if name.contains(['/', '\\']) || name.chars().any(|c| c.is_ascii_control()) {
        return Err(Refusal::NameInvalid("a slash or a control character"));
    }
    if name.ends_with(' ') {
        return Err(Refusal::NameInvalid("a space at the end"));
    }
    Ok(())
}
