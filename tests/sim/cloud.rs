//! A made-up cloud: items known by id, a trash, and a stream of events that may come late, twice, in disorder or not at all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use folder_sync_agent::events::{EventKind, EventPage, RemoteEvent, Subject};
use folder_sync_agent::id::{ContentHash, Cursor, EventId, ItemId, PageToken, Sha256, VersionId};
use folder_sync_agent::path::{Name, local_name};
use folder_sync_agent::provider::{ListPage, ProviderError, ProviderErrorKind, Resolved};
use folder_sync_agent::settings::RemotePlace;
use folder_sync_agent::tree::{Ancestor, ItemState, RemoteContent, RemoteItem, Wall};
use sha2::Digest;

use super::chance::Chance;

mod permission;
mod stream;

use permission::Tree;
pub use permission::above;
pub use stream::Told;

/// A content. Equal numbers are equal bytes; the number also says how long it is.
pub type Content = u64;

/// What is no content of anybody: half a download.
pub const HALF: Content = u64::MAX;

/// What stands on disk where something is that is neither file nor directory.
pub const SPECIAL: Content = u64::MAX - 1;

/// The length of a content in bytes; every seventh is empty.
pub fn size_of(content: Content) -> u64 {
    if content.is_multiple_of(7) { 0 } else { content % 1_000 + 1 }
}

/// The cloud's digest of a content.
pub fn hash_of(content: Content) -> ContentHash {
    ContentHash::Sha1(format!("{content:040x}"))
}

/// The reverse of [`hash_of`].
pub fn content_of(hash: &ContentHash) -> Content {
    match hash {
        ContentHash::Sha1(hex) => Content::from_str_radix(hex, 16).unwrap(),
        other => panic!("the made-up cloud has no digest like {other}"),
    }
}

/// One file or folder.
#[derive(Debug, Clone)]
pub struct Thing {
    pub parent: Option<ItemId>,
    pub name: String,
    pub version: u64,
    pub content: Content,
    pub sequence: u64,
    /// It was put into the trash itself (and not only something above it).
    pub trashed: bool,
    /// We may not see it, nor anything below.
    pub hidden: bool,
    /// How often it came back into the watched folder, with everything below.
    pub returns: u64,
}

/// How the stream behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habits {
    /// Descriptions in events show the item as it is when the stream is read, and not when the event happened.
    pub snapshot_at_read: bool,
    /// Descriptions in events name all folders above.
    pub no_ancestors: bool,
    /// Events name paths, ids and versions and describe nothing, as Egnyte's do; and what is in the trash is not found.
    pub paths: bool,
    /// Events name ids and describe nothing, as those of enterprise streams do.
    pub ids: bool,
    /// One event in so many comes twice, later.
    pub repeat: u64,
    /// One event in so many changes places with the one before.
    pub swap: u64,
    /// One event in so many is late, by up to `late_ms`.
    pub late: u64,
    pub late_ms: u64,
    /// One event in so many never comes.
    pub lose: u64,
    /// One event in so many is late by up to `late_ms`, and stands where it belongs: behind a cursor that was given meanwhile.
    pub behind: u64,
    /// One page of a listing in so many shows the folder as it was up to `late_ms` ago.
    pub stale: u64,
    /// One event in so many has lost its item: its `source` is null, or it cannot be read at all.
    pub blank: u64,
    /// One event in so many has a word that nobody knows.
    pub unknown: u64,
    /// One page in so many begins with events of the page before, one is shorter than it could be, and one is empty.
    pub pages: u64,
    /// Children on one page of a listing.
    pub list_page: usize,
    /// Events on one page of the stream.
    pub event_page: usize,
}

/// The cloud.
#[derive(Debug)]
pub struct Cloud {
    things: BTreeMap<ItemId, Thing>,
    children: BTreeMap<ItemId, BTreeSet<ItemId>>,
    log: Vec<Told>,
    late: Vec<(u64, Told)>,
    /// The farthest position that was given.
    given: u64,
    /// The end of the stream when it last said that it had come to its end, and had not.
    passed_over: u64,
    pub habits: Habits,
    /// Whose entry in a listing cannot be read.
    pub unread: Option<ItemId>,
    /// Former states, with the moment up to which each was so, the newest last.
    former: VecDeque<(u64, Tree)>,
    next_id: u64,
    next_event: u64,
    /// What its clock shows, and when the newest event happened: no two happen at once.
    pub at: i64,
    last_at: i64,
    /// The newest place in the stream that any event ever had.
    last_position: u64,
    next_version: u64,
    /// Cursors of earlier epochs are refused.
    epoch: u64,
    /// Events were lost: only a full comparison can heal that.
    pub lossy: bool,
    /// Items that were not in the watched folder at some moment after they first were or the agent made them, or whose place was taken. So are those
    /// that came into a folder outside which had been in the watched one: before the agent hears that it left, a listing of it shows them.
    pub ever_gone: BTreeSet<ItemId>,
    /// Versions of files that existed: what may be fetched.
    pub versions: BTreeMap<u64, (ItemId, Content)>,
    /// Versions that the agent made.
    pub own_versions: BTreeSet<u64>,
    /// The agent is at work, and nobody else.
    pub by_agent: bool,
    /// Items that somebody else made or changed.
    pub foreign: BTreeSet<ItemId>,
    /// Folders into which somebody else put something.
    pub hosts: BTreeSet<ItemId>,
    /// What the agent made by writes that happened long after it had looked for them.
    pub belated: BTreeSet<ItemId>,
    /// How often each misfortune befell an event.
    pub disturbed: BTreeMap<&'static str, u64>,
    /// When something last happened that was not told, or told behind a place that had been given.
    pub untold: Option<u64>,
    /// Every item that there ever was.
    pub all_ids: Vec<ItemId>,
}

/// What an item is to be called on disk.
pub fn name_on_disk(id: &ItemId, name: &str) -> String {
    if Name::new(name.as_bytes()).is_ok() {
        return name.to_owned();
    }
    let digest: [u8; 32] = sha2::Sha256::digest(id.to_string().as_bytes()).into();
    local_name(name, &Sha256(digest).to_string()).name().to_text()
}

/// The top of the account.
pub fn top() -> ItemId {
    ItemId::folder("0")
}

/// The watched folder.
pub fn watched() -> ItemId {
    ItemId::folder("1")
}

/// A folder beside it that nobody watches.
pub fn elsewhere() -> ItemId {
    ItemId::folder("2")
}

impl Cloud {
    pub fn new() -> Self {
        let mut cloud = Self {
            things: BTreeMap::new(),
            children: BTreeMap::new(),
            log: Vec::new(),
            late: Vec::new(),
            given: 0,
            passed_over: 0,
            habits: Habits { list_page: 1_000, event_page: 100, ..Habits::default() },
            unread: None,
            former: VecDeque::new(),
            next_id: 1,
            next_event: 1,
            at: 0,
            last_at: 0,
            last_position: 0,
            next_version: 1,
            epoch: 1,
            lossy: false,
            ever_gone: BTreeSet::new(),
            versions: BTreeMap::new(),
            own_versions: BTreeSet::new(),
            by_agent: false,
            foreign: BTreeSet::new(),
            hosts: BTreeSet::new(),
            belated: BTreeSet::new(),
            disturbed: BTreeMap::new(),
            untold: None,
            all_ids: Vec::new(),
        };
        cloud.insert(top(), None, "All Files", 0);
        cloud.insert(watched(), Some(top()), "Watched", 0);
        cloud.insert(elsewhere(), Some(top()), "Elsewhere", 0);
        cloud.next_id = 10;
        cloud.all_ids.clear();
        cloud.foreign.clear();
        cloud
    }

    fn insert(&mut self, id: ItemId, parent: Option<ItemId>, name: &str, content: Content) {
        self.next_version += 1;
        let version = self.next_version;
        if let Some(parent) = &parent {
            self.children.entry(parent.clone()).or_default().insert(id.clone());
            self.note_hosts(parent, !self.by_agent);
        }
        if !id.is_folder() {
            self.versions.insert(version, (id.clone(), content));
        }
        let thing = Thing {
            parent,
            name: name.to_owned(),
            version,
            content,
            sequence: 0,
            trashed: false,
            hidden: false,
            returns: 0,
        };
        self.things.insert(id.clone(), thing);
        if !self.by_agent {
            self.foreign.insert(id.clone());
        }
        // Of what the agent made the answer says so, whatever becomes of it.
        if !self.is_below(&id, &watched()) && (self.by_agent || self.is_in_what_left(&id)) {
            self.ever_gone.insert(id.clone());
        }
        self.all_ids.push(id);
    }

    pub fn thing(&self, id: &ItemId) -> &Thing {
        &self.things[id]
    }

    /// Whether an item exists, if only in the trash.
    pub fn has(&self, id: &ItemId) -> bool {
        self.things.contains_key(id)
    }

    /// Every item that is not purged, also those in the trash.
    pub fn ids(&self) -> Vec<ItemId> {
        self.things.keys().filter(|id| !["0", "1", "2", "3"].contains(&id.raw())).cloned().collect()
    }

    /// Whether an item exists and neither it nor anything above is in the trash.
    pub fn is_live(&self, id: &ItemId) -> bool {
        let mut at = Some(id);
        while let Some(id) = at {
            match self.things.get(id) {
                Some(thing) if !thing.trashed => at = thing.parent.as_ref(),
                _ => return false,
            }
        }
        true
    }

    /// Whether an item is a live descendant of another one (or it itself).
    pub fn is_below(&self, id: &ItemId, above: &ItemId) -> bool {
        let mut at = Some(id);
        while let Some(id) = at {
            if id == above {
                return self.is_live(above);
            }
            at = match self.things.get(id) {
                Some(thing) if !thing.trashed => thing.parent.as_ref(),
                _ => return false,
            };
        }
        false
    }

    pub fn live_children(&self, id: &ItemId) -> Vec<ItemId> {
        let children = self.children.get(id).into_iter().flatten();
        children.filter(|child| !self.things[*child].trashed).cloned().collect()
    }

    /// The live items below the watched folder with their paths as the disk is to have them, a `/` behind those of folders.
    pub fn tree(&self) -> BTreeMap<String, ItemId> {
        let mut tree = BTreeMap::new();
        let mut todo = vec![(watched(), String::new())];
        if !self.is_shown(&watched()) {
            return tree;
        }
        while let Some((id, path)) = todo.pop() {
            for child in self.shown_children(&id) {
                let name = name_on_disk(&child, &self.things[&child].name);
                let path = if path.is_empty() { name } else { format!("{path}/{name}") };
                if child.is_folder() {
                    tree.insert(format!("{path}/"), child.clone());
                    todo.push((child, path));
                } else {
                    tree.insert(path, child);
                }
            }
        }
        tree
    }

    /// The item at a path of the watched folder.
    pub fn at(&self, path: &str) -> ItemId {
        let mut at = watched();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let children = self.live_children(&at);
            at = children
                .into_iter()
                .find(|child| self.things[child].name == name)
                .unwrap_or_else(|| panic!("no `{path}` in the cloud: {:?}", self.tree().keys()));
        }
        at
    }

    /// Whether a folder has a child of this name, in whatever letters.
    pub fn is_taken(&self, parent: &ItemId, name: &str, but: Option<&ItemId>) -> bool {
        let lower = name.to_lowercase();
        self.live_children(parent)
            .iter()
            .any(|child| Some(child) != but && self.things[child].name.to_lowercase() == lower)
    }

    fn fresh_id(&mut self) -> String {
        self.next_id += 1;
        self.next_id.to_string()
    }

    pub fn add_file(&mut self, parent: &ItemId, name: &str, content: Content) -> ItemId {
        assert!(!self.is_taken(parent, name, None), "the cloud has a `{name}` there");
        let id = ItemId::file(self.fresh_id());
        self.insert(id.clone(), Some(parent.clone()), name, content);
        self.tell(EventKind::Uploaded, "ITEM_UPLOAD", &id);
        id
    }

    pub fn add_folder(&mut self, parent: &ItemId, name: &str) -> ItemId {
        assert!(!self.is_taken(parent, name, None), "the cloud has a `{name}` there");
        let id = ItemId::folder(self.fresh_id());
        self.insert(id.clone(), Some(parent.clone()), name, 0);
        self.tell(EventKind::Created, "ITEM_CREATE", &id);
        id
    }

    /// A new version; the same content again is a new version too.
    pub fn edit(&mut self, id: &ItemId, content: Content) {
        self.next_version += 1;
        let version = self.next_version;
        self.versions.insert(version, (id.clone(), content));
        self.change(id, |thing| {
            thing.version = version;
            thing.content = content;
        });
        self.tell(EventKind::Uploaded, "ITEM_UPLOAD", id);
    }

    pub fn rename(&mut self, id: &ItemId, name: &str) {
        let parent = self.things[id].parent.clone().unwrap();
        assert!(!self.is_taken(&parent, name, Some(id)), "the cloud has a `{name}` there");
        let from = self.path_of(id);
        self.change(id, |thing| name.clone_into(&mut thing.name));
        let subject = self.subject_from(id, Some(from));
        self.tell_as(EventKind::Renamed, "ITEM_RENAME", id, subject);
    }

    /// Moves an item, and perhaps renames it in the same breath.
    pub fn shift(&mut self, id: &ItemId, parent: &ItemId, name: &str) {
        assert!(!self.is_below(parent, id), "a folder does not go into itself");
        assert!(!self.is_taken(parent, name, Some(id)), "the cloud has a `{name}` there");
        let was_inside = self.is_below(id, &watched());
        let was_hidden = self.is_hidden(id);
        let from = self.path_of(id);
        self.place(id, parent, name);
        let is_inside = self.is_below(id, &watched());
        match (was_inside, is_inside) {
            (true, false) => self.note_gone(id),
            (false, true) => self.note_return(id),
            (false, false) if self.is_in_what_left(id) => self.note_gone(id),
            _ => {}
        }
        let subject = self.subject_from(id, Some(from));
        if !was_hidden && self.is_hidden(id) {
            // As if its permission had been taken away: no look finds it, and no listing shows it.
            self.note_gone(id);
            self.tell_of_leaving(EventKind::Moved, "ITEM_MOVE", id, subject);
        } else {
            self.tell_as(EventKind::Moved, "ITEM_MOVE", id, subject);
        }
    }

    fn place(&mut self, id: &ItemId, parent: &ItemId, name: &str) {
        if let Some(old) = self.things[id].parent.clone() {
            self.children.entry(old).or_default().remove(id);
        }
        self.children.entry(parent.clone()).or_default().insert(id.clone());
        // What we move brings along what others had put into it, and what patterns keep from us.
        let is_others = !self.by_agent || self.subtree(id).iter().any(|id| self.foreign.contains(id));
        self.note_hosts(parent, is_others);
        self.change(id, |thing| {
            thing.parent = Some(parent.clone());
            name.clone_into(&mut thing.name);
        });
    }

    /// Something of others comes into a folder, if so it is.
    fn note_hosts(&mut self, folder: &ItemId, is_others: bool) {
        let mut at = Some(folder.clone()).filter(|_| is_others);
        while let Some(id) = at {
            at = self.things.get(&id).and_then(|thing| thing.parent.clone());
            self.hosts.insert(id);
        }
    }

    /// Copies a file or a whole folder: one event, and a subtree that nobody mentions.
    pub fn copy(&mut self, id: &ItemId, parent: &ItemId, name: &str) -> ItemId {
        let copy = self.copy_silently(id, parent, name);
        self.tell(EventKind::Copied, "ITEM_COPY", &copy);
        copy
    }

    fn copy_silently(&mut self, id: &ItemId, parent: &ItemId, name: &str) -> ItemId {
        let below: Vec<ItemId> = self.live_children(id);
        let raw = self.fresh_id();
        let copy = ItemId::new(id.kind(), raw);
        let content = self.things[id].content;
        self.insert(copy.clone(), Some(parent.clone()), name, content);
        for child in below {
            let name = self.things[&child].name.clone();
            self.copy_silently(&child, &copy, &name);
        }
        copy
    }

    pub fn trash(&mut self, id: &ItemId) {
        if self.is_below(id, &watched()) {
            self.note_gone(id);
        }
        self.change(id, |thing| thing.trashed = true);
        let named = self.habits.paths && id.is_folder();
        let subject = if named { self.subject(id) } else { Subject::Gone(id.clone()) };
        self.tell_as(EventKind::Trashed, "ITEM_TRASH", id, subject);
    }

    /// Takes an item out of the trash, to a place where its name is free.
    pub fn restore(&mut self, id: &ItemId, parent: &ItemId, name: &str) {
        assert!(self.things[id].trashed && self.is_live(parent), "only what is in the trash comes back");
        self.change(id, |thing| thing.trashed = false);
        self.place(id, parent, name);
        // What the watched folder holds comes back with a folder above it, too.
        if self.is_below(id, &watched()) || self.is_below(&watched(), id) {
            self.note_return(id);
        }
        self.tell(EventKind::Restored, "ITEM_UNDELETE_VIA_TRASH", id);
    }

    /// Removes what is in the trash for good; nobody is told.
    pub fn purge(&mut self, id: &ItemId) {
        assert!(self.things[id].trashed, "only what is in the trash can go for good");
        for child in self.children.remove(id).unwrap_or_default() {
            if let Some(thing) = self.things.get_mut(&child) {
                thing.trashed = true;
            }
            self.purge(&child);
        }
        if let Some(parent) = self.things.remove(id).and_then(|thing| thing.parent)
            && let Some(siblings) = self.children.get_mut(&parent)
        {
            siblings.remove(id);
        }
    }

    /// An event that changes nothing.
    pub fn chatter(&mut self, id: &ItemId, kind: EventKind) {
        let subject = if kind == EventKind::Other { Subject::id(id.clone()) } else { self.subject(id) };
        self.tell_as(kind, "CHATTER", id, subject);
    }

    fn change(&mut self, id: &ItemId, change: impl FnOnce(&mut Thing)) {
        let thing = self.things.get_mut(id).unwrap_or_else(|| panic!("{id} is gone"));
        thing.sequence += 1;
        if !self.by_agent {
            self.foreign.insert(id.clone());
        }
        change(thing);
    }

    /// Whether others had a hand in an item or in anything above it, inside the watched folder.
    pub fn is_foreign(&self, id: &ItemId) -> bool {
        let mut at = Some(id);
        while let Some(id) = at.filter(|id| **id != watched()) {
            match self.things.get(id) {
                Some(thing) if !self.foreign.contains(id) => at = thing.parent.as_ref(),
                _ => return true,
            }
        }
        false
    }

    /// Contents that the cloud still has: live, as a former version, or in the trash. What somebody removed there for good is gone.
    pub fn findable(&self) -> BTreeSet<Content> {
        let kept = self.versions.values().filter(|(id, _)| self.things.contains_key(id));
        kept.map(|(_, content)| *content).collect()
    }

    /// Whether a content was in the cloud in something that somebody removed there for good.
    pub fn was_purged(&self, content: Content) -> bool {
        self.versions.values().any(|(id, held)| *held == content && !self.things.contains_key(id))
    }

    pub fn subtree(&self, id: &ItemId) -> Vec<ItemId> {
        let mut found = vec![id.clone()];
        let mut next = 0;
        while let Some(id) = found.get(next).cloned() {
            found.extend(self.live_children(&id));
            next += 1;
        }
        found
    }

    fn is_in_what_left(&self, id: &ItemId) -> bool {
        self.things[id].parent.as_ref().is_some_and(|parent| self.ever_gone.contains(parent))
    }

    fn note_gone(&mut self, id: &ItemId) {
        let all = self.subtree(id);
        self.ever_gone.extend(all);
    }

    fn note_return(&mut self, id: &ItemId) {
        for id in self.subtree(id) {
            if let Some(thing) = self.things.get_mut(&id) {
                thing.returns += 1;
            }
        }
    }

    /// An item's whole path.
    pub fn path_of(&self, id: &ItemId) -> String {
        let mut names = Vec::new();
        let mut at = self.things.get(id);
        while let Some(thing) = at {
            names.push(thing.name.as_str());
            at = thing.parent.as_ref().and_then(|parent| self.things.get(parent));
        }
        names.pop();
        names.reverse();
        format!("/{}", names.join("/"))
    }

    pub fn describe(&self, id: &ItemId, with_ancestors: bool) -> Option<RemoteItem> {
        let thing = self.things.get(id)?;
        let content = (!id.is_folder()).then(|| RemoteContent {
            version: VersionId::new(format!("v{}", thing.version)),
            hash: Some(hash_of(thing.content)),
            size: Some(size_of(thing.content)),
            modified: Some(Wall(1_600_000_000_000 + thing.version as i64 * 1_000)),
        });
        let mut ancestors = Vec::new();
        let mut at = thing.parent.clone();
        while let Some(id) = at.take() {
            let above = self.things.get(&id)?;
            at.clone_from(&above.parent);
            ancestors.push(Ancestor { id, name: above.name.clone() });
        }
        ancestors.reverse();
        Some(RemoteItem {
            id: id.clone(),
            parent: thing.parent.clone(),
            name: thing.name.clone(),
            content,
            etag: None,
            sequence: (!self.habits.paths).then_some(thing.sequence),
            ancestors: (with_ancestors && !self.habits.paths).then_some(ancestors),
            path: self.habits.paths.then(|| self.path_of(id)),
        })
    }

    pub fn resolve(&self, place: &RemotePlace) -> Resolved {
        match place {
            RemotePlace::Id(raw) if self.is_shown(&ItemId::folder(raw.as_str())) => {
                Resolved::Folder(self.describe(&ItemId::folder(raw.as_str()), true).unwrap())
            }
            _ => Resolved::Missing { exists: "/".into(), instead: vec!["Watched".into()] },
        }
    }

    pub fn list(&self, folder: &ItemId, page: Option<&PageToken>) -> Result<ListPage, ProviderError> {
        if !self.is_shown(folder) {
            return Err(ProviderError::new(ProviderErrorKind::NotFound, "no such folder"));
        }
        // The token names the last item of the page before, so that nothing is skipped while the folder changes.
        let after = page.map(|token| token.as_str().parse::<ItemId>().unwrap());
        let mut rest: Vec<ItemId> = self.shown_children(folder);
        rest.retain(|id| after.as_ref().is_none_or(|after| id > after));
        let more = rest.len() > self.habits.list_page.max(1);
        rest.truncate(self.habits.list_page.max(1));
        let next = rest.last().filter(|_| more).map(|last| PageToken::new(last.to_string()));
        let unread = self.unread.as_ref().filter(|unread| rest.contains(unread));
        let items = rest.iter().filter(|id| Some(*id) != unread).filter_map(|id| self.describe(id, false)).collect();
        let unread = unread.map(|_| ProviderError::new(ProviderErrorKind::Corrupt, "an entry that cannot be read"));
        Ok(ListPage { items, next, unread })
    }

    pub fn look(&self, id: &ItemId) -> ItemState {
        if !self.things.contains_key(id) {
            ItemState::NotFound
        } else if self.is_shown(id) {
            ItemState::Active(Box::new(self.describe(id, true).unwrap()))
        } else if self.habits.paths || self.is_hidden(id) {
            ItemState::NotFound
        } else {
            ItemState::Trashed
        }
    }

    /// The content of one version of a live file.
    pub fn fetch(&self, id: &ItemId, version: &VersionId) -> Option<Content> {
        let number: u64 = version.as_str().strip_prefix('v')?.parse().ok()?;
        let (owner, content) = self.versions.get(&number)?;
        (owner == id && self.is_shown(id)).then_some(*content)
    }
}
