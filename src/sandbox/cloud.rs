//! Another user's hands and the test's eyes: what they do goes through the same model, and makes the same events, as HTTP calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::apps::App;
use super::content::{Content, Stored};
use super::faults::{Chaos, Fault, Rule, Script};
use super::model::{ContentTimes, Deed, Event, EventKind, Item, Kind, Model, ROOT, Refusal, Snap, Through, User, What};
use super::network::Network;
use super::shared::{Shared, now_ms};
use super::tokens::TokenPair;

/// A handle on the cloud. Cloning it is cheap; it acts as [`User::Other`] unless told otherwise.
#[derive(Clone, Debug)]
pub struct Cloud {
    shared: Arc<Shared>,
    by: User,
}

/// One line of [`Cloud::tree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The item's id, as the API writes it.
    pub id: String,
    /// A folder rather than a file.
    pub is_folder: bool,
    /// The length of the current content; 0 for a folder.
    pub size: u64,
    /// The digest of the current content, lower-case hex; empty for a folder.
    pub sha1: String,
    /// The stronger digest, where it was asked for.
    pub sha256: Option<String>,
    /// The id of the current version; empty for a folder.
    pub version: String,
    /// The item's etag.
    pub etag: String,
    /// When the content was last modified, as its uploader said, in milliseconds since 1970.
    pub content_modified_ms: i64,
}

impl Cloud {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, by: User::Other }
    }

    /// The same cloud with another user's hands.
    #[must_use]
    pub fn as_user(&self, by: User) -> Self {
        Self { by, ..self.clone() }
    }

    /// What [`super::Bustle`] works with.
    pub(crate) fn parts(&self) -> (Arc<Shared>, User) {
        (self.shared.clone(), self.by)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Model, Deed) -> Result<T, Refusal>) -> Result<T, Refusal> {
        self.shared.change_through(Through::Web, self.by, change)
    }

    /// Makes the folder at `path` and those above it, where they are missing.
    pub fn mkdir_p(&self, path: &str) -> Result<String, Refusal> {
        self.change(|model, deed| mkdir_p(model, deed, path)).map(|id| id.to_string())
    }

    /// A new file at `path`, or a new version of the one that is there.
    pub fn write(&self, path: &str, content: impl Into<Content>) -> Result<String, Refusal> {
        self.write_at(path, content, None)
    }

    /// As [`Cloud::write`], with the modification time that the uploader claims.
    pub fn write_at(
        &self,
        path: &str,
        content: impl Into<Content>,
        modified_ms: Option<i64>,
    ) -> Result<String, Refusal> {
        let stored = Stored::new(content.into())?;
        let times = ContentTimes { created: modified_ms, modified: modified_ms };
        let (folder, name) = split(path)?;
        let id = self.change(|model, deed| {
            if let Ok(id) = model.find(path).map(|item| item.id) {
                return model.add_version(deed, id, stored, None, times).map(|()| id);
            }
            let parent = mkdir_p(model, deed, folder)?;
            model.create_file(deed, parent, name, stored, times)
        })?;
        Ok(id.to_string())
    }

    /// A bookmark, which a sync agent must step over.
    pub fn web_link(&self, path: &str) -> Result<String, Refusal> {
        let (folder, name) = split(path)?;
        let id = self.change(|model, deed| {
            let parent = mkdir_p(model, deed, folder)?;
            model.create_web_link(deed, parent, name)
        })?;
        Ok(id.to_string())
    }

    /// Another name in the same folder.
    pub fn rename(&self, path: &str, new_name: &str) -> Result<(), Refusal> {
        self.with_item(path, |model, deed, id| model.relocate(deed, id, Some(new_name), None))
    }

    /// The same name in another folder, which must exist.
    pub fn move_to(&self, path: &str, new_parent: &str) -> Result<(), Refusal> {
        self.with_item(path, |model, deed, id| {
            let parent = model.find(new_parent)?.id;
            model.relocate(deed, id, None, Some(parent))
        })
    }

    /// A copy in the folder `new_parent`, under its own name or another.
    pub fn copy(&self, path: &str, new_parent: &str, new_name: Option<&str>) -> Result<String, Refusal> {
        let id = self.with_item(path, |model, deed, id| {
            let parent = model.find(new_parent)?.id;
            model.copy(deed, id, parent, new_name)
        })?;
        Ok(id.to_string())
    }

    /// A new description, which Box reports as a rename that changes no name.
    pub fn describe(&self, path: &str, text: &str) -> Result<(), Refusal> {
        self.with_item(path, |model, deed, id| model.describe(deed, id, Some(text), None))
    }

    /// Into the trash; the answer is the id, by which it can be restored.
    pub fn trash(&self, path: &str) -> Result<String, Refusal> {
        self.with_item(path, |model, deed, id| model.trash(deed, id).map(|()| id.to_string()))
    }

    /// Out of the trash, to where it was.
    pub fn restore(&self, id: &str) -> Result<(), Refusal> {
        let id = parse_id(id)?;
        self.change(|model, deed| model.restore(deed, id, None, None))
    }

    /// Out of the trash, to another folder if the old one is gone, under another name if one is given.
    pub fn restore_as(&self, id: &str, name: Option<&str>, parent: Option<&str>) -> Result<(), Refusal> {
        let id = parse_id(id)?;
        self.change(|model, deed| {
            let parent = parent.map(|path| model.find(path).map(|item| item.id)).transpose()?;
            model.restore(deed, id, name, parent)
        })
    }

    /// Gone for good, whether it was in the trash before or not.
    pub fn delete_forever(&self, id: &str) -> Result<(), Refusal> {
        let id = parse_id(id)?;
        self.change(|model, deed| model.delete_forever(deed, id))
    }

    /// The ids of a file's contents, oldest first, the current one last.
    pub fn versions(&self, path: &str) -> Result<Vec<String>, Refusal> {
        self.shared.look(|model| Ok(model.find(path)?.versions.iter().map(|version| version.id.to_string()).collect()))
    }

    /// Puts an old content on top again.
    pub fn promote_version(&self, path: &str, version: &str) -> Result<(), Refusal> {
        let version = parse_id(version)?;
        self.with_item(path, |model, deed, id| model.promote_version(deed, id, version))
    }

    /// Locks a file.
    pub fn lock(&self, path: &str) -> Result<(), Refusal> {
        self.with_item(path, |model, deed, id| model.lock(deed, id, None, false))
    }

    /// Unlocks a file.
    pub fn unlock(&self, path: &str) -> Result<(), Refusal> {
        self.with_item(path, Model::unlock)
    }

    /// Puts an event into the log that no deed here causes, about an item or about nothing.
    pub fn announce(&self, event_type: &str, path: Option<&str>) -> Result<(), Refusal> {
        let kind = EventKind::Named(event_type.into());
        self.change(|model, deed| {
            let about = path.map(|path| model.find(path).map(|item| item.id)).transpose()?;
            model.announce(deed, kind, about);
            Ok(())
        })
    }

    /// `count` events about items that are in no folder of this cloud.
    pub fn foreign_noise(&self, count: u64) {
        self.shared.change_through(Through::Web, self.by, |model, deed| model.noise(deed, count));
    }

    /// Lets the streams lose every event up to now.
    pub fn forget_events(&self) {
        self.shared.look(|model| model.forget_events(model.newest_event()));
    }

    /// Lets the streams lose every event up to this number of [`Cloud::history`], itself included.
    pub fn forget_events_up_to(&self, number: u64) {
        self.shared.look(|model| model.forget_events(number));
    }

    /// The id of the live item at `path`.
    pub fn id_of(&self, path: &str) -> Result<String, Refusal> {
        self.shared.look(|model| model.find(path).map(|item| item.id.to_string()))
    }

    /// The path of a live item.
    pub fn path_of(&self, id: &str) -> Result<String, Refusal> {
        let id = parse_id(id)?;
        self.shared.look(|model| model.live(id).map(|item| item.id).and_then(|id| model.path_of(id)))
    }

    /// Everything below the folder at `path`, by its path relative to it.
    pub fn tree(&self, path: &str) -> Result<BTreeMap<String, Entry>, Refusal> {
        let mut tree = BTreeMap::new();
        self.walk(path, |path, item| {
            tree.insert(path, entry_of(item));
        })?;
        Ok(tree)
    }

    /// As [`Cloud::tree`], with SHA-256 digests, which takes as long as reading every content once.
    pub fn tree_with_sha256(&self, path: &str) -> Result<BTreeMap<String, Entry>, Refusal> {
        let mut tree = self.tree(path)?;
        let mut contents = Vec::new();
        self.walk(path, |path, item| {
            if let Some(version) = item.current() {
                contents.push((path, version.stored.clone()));
            }
        })?;
        for (path, stored) in contents {
            if let Some(entry) = tree.get_mut(&path) {
                entry.sha256 = Some(stored.sha256()?.to_owned());
            }
        }
        Ok(tree)
    }

    fn walk(&self, path: &str, mut visit: impl FnMut(String, &Item)) -> Result<(), Refusal> {
        self.shared.look(|model| {
            let mut todo = vec![(String::new(), model.find(path)?)];
            while let Some((prefix, folder)) = todo.pop() {
                for id in folder.children.values() {
                    let item = model.any(*id)?;
                    let path = format!("{prefix}{}", item.name);
                    if item.kind == Kind::Folder {
                        todo.push((format!("{path}/"), item));
                    }
                    if item.kind != Kind::WebLink {
                        visit(path, item);
                    }
                }
            }
            Ok(())
        })
    }

    /// Whether a content with this SHA-1 is kept somewhere: as a current or former version, or in the trash.
    pub fn keeps(&self, sha1: &str) -> bool {
        self.shared.look(|model| model.contents().any(|stored| &**stored.sha1() == sha1))
    }

    /// The SHA-1 of every content that a file ever had, oldest first, the current one last.
    pub fn version_hashes(&self, id: &str) -> Result<Vec<String>, Refusal> {
        let id = parse_id(id)?;
        self.shared.look(|model| {
            let versions = &model.any(id)?.versions;
            Ok(versions.iter().map(|version| version.stored.sha1().to_string()).collect())
        })
    }

    /// The SHA-1 of the current content of a file, or of every file in a folder; also of what is in the trash.
    pub fn hashes_below(&self, id: &str) -> Result<Vec<String>, Refusal> {
        let mut todo = vec![parse_id(id)?];
        self.shared.look(|model| {
            let mut hashes = Vec::new();
            while let Some(id) = todo.pop() {
                let item = model.any(id)?;
                todo.extend(item.children.values());
                hashes.extend(item.current().map(|version| version.stored.sha1().to_string()));
            }
            Ok(hashes)
        })
    }

    /// What happened after the event with the number `after`, oldest first; 0 is before the first.
    pub fn history(&self, after: u64) -> Vec<Happening> {
        self.shared.look(|model| model.events_after(after).iter().map(|event| happening_of(event)).collect())
    }

    /// The whole current content of a file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Refusal> {
        let stored = self
            .shared
            .look(|model| model.find(path)?.current().map(|version| version.stored.clone()).ok_or(Refusal::NotFound))?;
        Ok(stored.read_all()?)
    }

    /// How many items there are, with those in the trash.
    pub fn items_total(&self) -> usize {
        self.shared.look(|model| model.items_total())
    }

    /// How many events the log holds.
    pub fn events_total(&self) -> u64 {
        self.shared.look(|model| model.newest_event())
    }

    /// HTTP requests by kind, and oddities such as `bearer_leaked`; what never happened is absent.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.shared.counters.all()
    }

    /// One of the [`Cloud::counters`], 0 when absent.
    pub fn count(&self, word: &str) -> u64 {
        self.counters().get(word).copied().unwrap_or(0)
    }

    /// Requests with the bearer for content, metadata or a listing.
    pub fn api_calls(&self) -> u64 {
        self.shared.counters.api_calls()
    }

    /// Connections that clients made.
    pub fn connections(&self) -> u64 {
        self.shared.lines.accepted()
    }

    /// Connections made from now on lead over this network.
    pub fn set_network(&self, network: Network) {
        self.shared.lines.set(network);
    }

    /// Every counter back to 0.
    pub fn reset_counters(&self) {
        self.shared.counters.reset();
        self.shared.lines.reset();
    }

    /// The script of faults.
    pub fn faults(&self) -> Faults {
        Faults { shared: self.shared.clone() }
    }

    /// An access token without a refresh token; without a lifetime it never expires.
    pub fn issue_token(&self, user: User, lifetime_s: Option<u64>) -> String {
        self.shared.tokens(|tokens| tokens.issue_access(user, now_ms(), lifetime_s))
    }

    /// An access token that expires, with the refresh token that renews it once.
    pub fn issue_pair(&self, user: User, lifetime_s: u64) -> TokenPair {
        self.shared.tokens(|tokens| tokens.issue_pair(user, now_ms(), lifetime_s))
    }

    /// Makes an access token look expired.
    pub fn expire_token(&self, access_token: &str) {
        self.shared.tokens(|tokens| tokens.expire(access_token));
    }

    /// Makes every authorization code look expired.
    pub fn expire_codes(&self) {
        self.shared.tokens(super::tokens::Tokens::expire_codes);
    }

    /// Registers an application, in place of the one with the same id. From the first one on ids and secrets are looked at.
    pub fn register_app(&self, app: App) {
        self.shared.tokens(|tokens| tokens.apps.register(app));
    }

    /// Sets the service's clock ahead of this machine's, or behind it.
    pub fn set_clock_skew(&self, skew_ms: i64) {
        self.shared.tokens(|tokens| tokens.skew_ms = skew_ms);
    }

    /// Whether a token of either kind is worth anything.
    pub fn token_works(&self, access_token: &str) -> bool {
        self.shared.tokens(|tokens| matches!(tokens.standing(access_token, now_ms()), super::tokens::Standing::Good(_)))
    }

    /// Kills an access or a refresh token.
    pub fn revoke_token(&self, token: &str) {
        self.shared.tokens(|tokens| tokens.revoke(token));
    }

    fn with_item<T>(
        &self,
        path: &str,
        change: impl FnOnce(&mut Model, Deed, u64) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.change(|model, deed| {
            let id = model.find(path)?.id;
            change(model, deed, id)
        })
    }
}

/// Makes the sandbox misbehave.
#[derive(Clone, Debug)]
pub struct Faults {
    shared: Arc<Shared>,
}

impl Faults {
    /// Adds a rule behind those that are there.
    pub fn add(&self, rule: Rule) {
        self.shared.script(|script| script.add(rule));
    }

    /// One fault for the next request of a kind, as [`Rule::on`].
    pub fn once(&self, call: &str, fault: Fault) {
        self.add(Rule::on(call, fault));
    }

    /// Faults without a script, until told otherwise.
    pub fn chaos(&self, chaos: Chaos) {
        self.shared.script(|script| script.set_chaos(chaos));
    }

    /// No more faults.
    pub fn clear(&self) {
        self.shared.script(Script::clear);
    }

    /// The rules that still wait for requests.
    pub fn pending(&self) -> Vec<Rule> {
        self.shared.script(|script| script.pending())
    }
}

fn mkdir_p(model: &mut Model, deed: Deed, path: &str) -> Result<u64, Refusal> {
    let mut at = ROOT;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at = match model.any(at)?.child(name) {
            Some(id) => model.live_of(Kind::Folder, id)?.id,
            None => model.create_folder(deed, at, name)?,
        };
    }
    Ok(at)
}

fn split(path: &str) -> Result<(&str, &str), Refusal> {
    path.trim_end_matches('/').rsplit_once('/').ok_or(Refusal::NameInvalid("a path begins with a slash"))
}

fn parse_id(id: &str) -> Result<u64, Refusal> {
    id.parse().map_err(|_| Refusal::NotFound)
}

/// One line of [`Cloud::history`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// The number of the event; numbers rise by one.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who did it.
    pub by: User,
    /// What, in the words of Box's event types.
    pub event_type: String,
    /// Where the item was before, if it was taken from there.
    pub from: Option<String>,
    /// Where the item is now; absent when it is in the trash or the event is about nothing.
    pub path: Option<String>,
}

fn happening_of(event: &Event) -> Happening {
    let path = match &event.what {
        What::Item(snap) if snap.trashed_at.is_none() => Some(snap.path()),
        What::Noise(number) => Some(Snap::of_noise(*number, event.at).path()),
        _ => None,
    };
    Happening {
        number: event.id,
        at_ms: event.at,
        by: event.by,
        event_type: event.kind.box_name().to_owned(),
        from: event.from.as_deref().map(str::to_owned),
        path,
    }
}

fn entry_of(item: &Item) -> Entry {
    let version = item.current();
    Entry {
        id: item.id.to_string(),
        is_folder: item.kind == Kind::Folder,
        size: version.map_or(0, |version| version.stored.len()),
        sha1: version.map_or_else(String::new, |version| version.stored.sha1().to_string()),
        sha256: None,
        version: version.map_or_else(String::new, |version| version.id.to_string()),
        etag: item.etag.to_string(),
        content_modified_ms: item.content_modified_at,
    }
}
