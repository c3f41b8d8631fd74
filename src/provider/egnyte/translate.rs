//! Egnyte's words into ours: items, listings, events and positions. Pure, and the only place that knows both.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::names;
use super::wire::{EventPage as WirePage, Fields, Object};
use crate::events::{EventKind, EventPage, RemoteEvent, Subject};
use crate::id::{ContentHash, Cursor, EventId, ItemId, ItemKind, PageToken, VersionId};
use crate::provider::error::unread_entry;
use crate::provider::{Identity, ListPage, ProviderError, ProviderErrorKind, RemoteVersion, Result, TreeSize};
use crate::tree::{RemoteContent, RemoteItem, Wall};

/// The most that Egnyte gives in one page of a folder.
pub const LISTING_COUNT: u64 = 1_000;
/// The most that Egnyte gives in one page of events.
pub const EVENTS_COUNT: usize = 100;
/// Hex digits of a SHA-512.
const SHA512_DIGITS: usize = 128;

fn malformed(what: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Malformed, what)
}

/// Reads a JSON object.
pub fn object(text: &str) -> Result<Object> {
    serde_json::from_str(text).map_err(|error| not_json(&error))
}

fn not_json(error: &serde_json::Error) -> ProviderError {
    malformed("the answer is not the JSON that was expected; is a proxy or sign-in page in between?")
        .with_detail(format!("line {} column {}: {:?}", error.line(), error.column(), error.classify()))
}

/// Who we are.
pub fn identity(text: &str) -> Result<Identity> {
    let user = object(text)?;
    let user_id = user.text("id").ok_or_else(|| malformed("the user has no id"))?;
    let names: Vec<String> = ["first_name", "last_name"].iter().filter_map(|key| user.text(key)).collect();
    let login = user.text("username").or_else(|| user.text("email")).unwrap_or_default();
    Ok(Identity { user_id, login, name: names.join(" ") })
}

/// The name of a user: as people call them, else as they sign in.
pub fn person(text: &str) -> Result<Option<String>> {
    let user = object(text)?;
    let name = user.object("name");
    let part = |key: &str| name.as_ref().and_then(|name| name.text(key)).filter(|part| !part.trim().is_empty());
    let parts: Vec<String> = ["givenName", "familyName"].into_iter().filter_map(part).collect();
    let full = (!parts.is_empty()).then(|| parts.join(" "));
    Ok(full.or_else(|| part("formatted")).or_else(|| user.text("userName")).or_else(|| user.text("email")))
}

/// The digest of a content. A form that we do not know means that it cannot be verified, never that it differs.
pub fn hash(text: &str) -> ContentHash {
    let text = text.trim().to_ascii_lowercase();
    if is_sha512(&text) {
        return ContentHash::Sha512(text);
    }
    let composite = || {
        let mut parts = text.strip_prefix("2-")?.splitn(3, '-');
        let (chunks, chunk_size) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let digest = parts.next().filter(|digest| is_sha512(digest))?.to_owned();
        Some(ContentHash::Sha512Chunks { chunks, chunk_size, digest })
    };
    composite().unwrap_or_else(|| ContentHash::Unknown(text.clone()))
}

fn is_sha512(text: &str) -> bool {
    text.len() == SHA512_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The composite digest as Egnyte writes it.
pub fn composite(chunks: u64, chunk_size: u64, digest: &str) -> String {
    format!("2-{chunks}-{chunk_size}-{digest}")
}

/// A moment: RFC 1123 text, ISO text, or milliseconds since 1970 as a number or as text.
pub fn moment(text: &str) -> Option<Wall> {
    let text = text.trim();
    if let Ok(ms) = text.parse::<i64>() {
        return Some(Wall(ms));
    }
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Some(Wall(timestamp.as_millisecond()));
    }
    let time = httpdate::parse_http_date(text).ok()?;
    let ms = time.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
    i64::try_from(ms).ok().map(Wall)
}

fn content(file: &Object) -> Option<RemoteContent> {
    Some(RemoteContent {
        version: VersionId::new(file.text("entry_id")?),
        hash: file.text("checksum").map(|text| hash(&text)),
        size: file.number("size"),
        modified: file.text("last_modified").or_else(|| file.text("lastModified")).and_then(|text| moment(&text)),
    })
}

/// A live item, or nothing where the description lacks what makes one. `parent` is the folder that holds it, where that is known better than
/// from the description.
pub fn item(entry: &Object, parent: Option<&ItemId>) -> Option<RemoteItem> {
    let is_folder = entry.flag("is_folder").unwrap_or_else(|| entry.contains_key("folder_id"));
    let path = path_of(entry);
    let is_top = path.as_deref() == Some("/");
    let name = match (entry.text("name"), &path) {
        _ if is_top => "/".to_owned(),
        (Some(name), _) => name,
        (None, path) => names::last(path.as_deref()?).to_owned(),
    };
    let above = parent.cloned().or_else(|| entry.text("parent_id").map(ItemId::folder));
    Some(RemoteItem {
        id: if is_folder { ItemId::folder(entry.text("folder_id")?) } else { ItemId::file(entry.text("group_id")?) },
        parent: if is_top { None } else { Some(above?) },
        name,
        content: if is_folder { None } else { Some(content(entry)?) },
        etag: None,
        sequence: None,
        ancestors: None,
        path,
    })
}

/// The versions before the present one, as the description of a file lists them. One without an id cannot be fetched and is left out.
pub fn older_versions(file: &Object) -> Vec<RemoteVersion> {
    let entries = file.get("versions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let present = file.text("entry_id");
    let older = entries.iter().filter_map(|entry| content(entry.as_object()?));
    older
        .filter(|content| present.as_deref() != Some(content.version.as_str()))
        .map(|content| RemoteVersion {
            version: content.version,
            hash: content.hash,
            size: content.size,
            modified: content.modified,
        })
        .collect()
}

/// The path that a description names.
pub fn path_of(entry: &Object) -> Option<String> {
    entry.text("path").map(|path| format!("/{}", path.trim_matches('/')))
}

/// Whether somebody has locked a file, and who, if the answer says.
pub fn lock(entry: &Object) -> Option<String> {
    let owner = entry.object("lock_info").and_then(|lock| {
        let names: Vec<String> = ["first_name", "last_name"].iter().filter_map(|key| lock.text(key)).collect();
        if names.is_empty() { lock.text("owner_id") } else { Some(names.join(" ")) }
    });
    entry.flag("locked").unwrap_or(false).then(|| owner.unwrap_or_else(|| "somebody".to_owned()))
}

/// Where the next page of a listing starts. The next page begins with the last entry of this one, which is a folder or a
/// file: if it does not, the listing has
/// moved under our feet, and an entry may have slipped from the next page into this one unseen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Where to ask from.
    pub offset: u64,
    /// The last folder and the last file of the page before.
    last: Vec<ItemId>,
}

impl Place {
    /// The place that a token of ours stands for.
    pub fn of(token: &PageToken) -> Result<Self> {
        serde_json::from_str(token.as_str())
            .map_err(|_| ProviderError::new(ProviderErrorKind::Refused, "this is no token of a listing of Egnyte's"))
    }
}

/// A page of a folder. One entry that cannot be read spoils no other; but a shorter page would look like deletions, so it is told.
pub fn list_page(text: &str, folder: &ItemId, place: Option<&Place>) -> Result<ListPage> {
    let answer = object(text)?;
    if answer.text("folder_id").as_deref() != Some(folder.raw()) {
        return Err(malformed("the answer is not a listing of the folder that was asked for"));
    }
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut items: Vec<RemoteItem> = Vec::new();
    let mut met = HashSet::new();
    let mut unread = None;
    let mut strange = 0;
    for key in ["folders", "files"] {
        let entries = match answer.get(key) {
            Some(Value::Array(entries)) => entries.as_slice(),
            None | Some(Value::Null) => &[],
            Some(_) => return Err(malformed("a listing holds something that is no list")),
        };
        let begin = items.len();
        for entry in entries {
            let Some(described) = entry.as_object().and_then(|entry| item(entry, Some(folder))) else {
                let name = entry.as_object().and_then(|entry| entry.text("name"));
                unread = unread.or_else(|| Some(unread_entry(name.as_deref())));
                strange += 1;
                continue;
            };
            if met.insert(described.id.clone()) {
                items.push(described);
            }
        }
        first.extend(items.get(begin).map(|item| item.id.clone()));
        last.extend(items.last().map(|item| item.id.clone()));
    }
    last.dedup();
    let count = items.len() as u64 + strange;
    let from = place.map_or(0, |place| place.offset);
    if let Some(place) = place {
        first.retain(|id| place.last.contains(id));
        if first.is_empty() {
            return Err(ProviderError::new(
                ProviderErrorKind::Unavailable,
                "the folder changed while it was listed; the listing begins again",
            ));
        }
        items.retain(|item| !first.contains(&item.id));
    }
    let seen = from + count;
    let total = answer.number("total_count");
    let is_last = match total {
        Some(total) => seen >= total && count < LISTING_COUNT,
        None => count == 0,
    };
    if is_last || (items.is_empty() && place.is_some() && total.is_none_or(|total| seen >= total)) {
        return Ok(ListPage { items, next: None, unread });
    }
    if items.is_empty() {
        return Err(malformed("a listing ends before all that it promised").with("promised", total.unwrap_or(0)));
    }
    let next = Place { offset: seen - 1, last };
    let next = serde_json::to_string(&next).map_err(|_| malformed("the place in a listing cannot be written"))?;
    Ok(ListPage { items, next: Some(PageToken::new(next)), unread })
}

/// What a folder holds in all.
pub fn tree_size(text: &str) -> Result<TreeSize> {
    let stats = object(text)?;
    let number = |key| stats.number(key).ok_or_else(|| malformed("the size of the folder is incomplete"));
    Ok(TreeSize { files: number("filesCount")?, folders: number("foldersCount")?, bytes: number("allFilesSize")? })
}

/// Both ends of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The id of the newest event.
    pub latest: u64,
    /// The id of the oldest event that is kept.
    pub oldest: u64,
}

/// Both ends of the stream, from the cursor's own answer.
pub fn ends(text: &str) -> Result<Ends> {
    let answer = object(text)?;
    let latest =
        answer.number("latest_event_id").ok_or_else(|| malformed("the newest position of the stream is missing"))?;
    Ok(Ends { latest, oldest: answer.number("oldest_event_id").unwrap_or(0) })
}

/// A cursor as the number that it is; nothing for one that is not ours.
pub fn position(cursor: &Cursor) -> Option<u64> {
    cursor.as_str().parse().ok()
}

/// A page of the stream that was asked for what comes after `asked`. Where to read on is told by the events themselves: what the page says of
/// its ends may be about the page or about the domain.
pub fn event_page(text: &str, asked: u64) -> Result<EventPage> {
    let page: WirePage<'_> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let mut next = asked;
    let mut events = Vec::with_capacity(page.events.len());
    for raw in &page.events {
        let event = event(raw.get());
        next = next.max(event.id.as_str().parse().unwrap_or(0));
        events.push(event);
    }
    let length = events.len();
    let more = length >= EVENTS_COUNT || page.matching().is_some_and(|matching| matching > length as u64);
    // A page that leads nowhere is the end for now, whatever it promises.
    let caught_up = !more || next == asked;
    Ok(EventPage { events, next: Cursor::new(next.to_string()), caught_up })
}

/// One event. Whatever it is, something comes of it: an unreadable one keeps its text.
fn event(text: &str) -> RemoteEvent {
    let event = serde_json::from_str::<Object>(text).unwrap_or_default();
    let action = event.text("action").unwrap_or_default();
    let nothing = Object::new();
    let data = event.object("data").unwrap_or(&nothing);
    let about = About::of(data);
    let kind = event_kind(event.text("type").as_deref(), &action, &about);
    RemoteEvent {
        id: event.text("id").map_or_else(|| made_up_id(text), EventId::new),
        kind,
        subject: subject(&event, kind, about),
        provider_kind: action.into(),
        actor: event.text("actor"),
        actor_name: None,
        at: event.text("timestamp").and_then(|text| moment(&text)),
        raw: text.to_owned().into(),
    }
}

/// An id for an event without one: the same text again is the same event again.
fn made_up_id(text: &str) -> EventId {
    let digest = crate::id::Sha256(Sha256::digest(text.as_bytes()).into());
    EventId::new(format!("sha256:{digest}"))
}

/// What an event names.
struct About {
    is_folder: Option<bool>,
    id: Option<ItemId>,
    version: Option<VersionId>,
    path: Option<String>,
    from: Option<String>,
}

impl About {
    fn of(data: &Object) -> Self {
        let file = data.text("target_group_id").or_else(|| data.text("source_group_id"));
        let folder = data.text("folder_id").or_else(|| data.text("target_folder_id"));
        let is_folder = data.flag("is_folder").or(match (&file, &folder) {
            (Some(_), _) => Some(false),
            (None, Some(_)) => Some(true),
            (None, None) => None,
        });
        let id = match is_folder {
            Some(true) => folder.map(ItemId::folder),
            Some(false) => file.map(ItemId::file),
            None => None,
        };
        let (target, source) = (data.text("target_path"), data.text("source_path"));
        let from = target.as_ref().and(source.clone());
        let version = data.text("target_id").filter(|_| is_folder == Some(false)).map(VersionId::new);
        Self { is_folder, id, version, path: target.or(source), from }
    }

    /// Whether only the name changed.
    fn is_renamed(&self) -> bool {
        match (&self.path, &self.from) {
            (Some(path), Some(from)) => names::above(path) == names::above(from),
            _ => false,
        }
    }
}

/// Our word for Egnyte's. The set is open: what is not listed is `Other`, and its item is looked at like any other.
fn event_kind(word: Option<&str>, action: &str, about: &About) -> EventKind {
    match (word, action) {
        (Some("note"), _) => EventKind::Comment,
        (Some("permission_change"), _) | (_, "permission_change") => EventKind::Sharing,
        // A new file and a new version are told alike.
        (_, "create") if about.is_folder == Some(false) => EventKind::Uploaded,
        (_, "create") => EventKind::Created,
        (_, "delete") => EventKind::Trashed,
        (_, "copy") => EventKind::Copied,
        (_, "move" | "rename") if about.is_renamed() => EventKind::Renamed,
        (_, "move") => EventKind::Moved,
        (_, "rename") => EventKind::Renamed,
        (_, "restore") => EventKind::Restored,
        _ if action.contains("lock") => EventKind::Lock,
        _ => EventKind::Other,
    }
}

fn subject(event: &Object, kind: EventKind, about: About) -> Subject {
    // What was copied stays where it was.
    let from = about.from.filter(|_| matches!(kind, EventKind::Moved | EventKind::Renamed));
    match (about.id, about.path) {
        (Some(id), path) => Subject::Id { id, version: about.version, parent: None, path, from },
        (None, Some(path)) => Subject::Path { path, from, is_folder: about.is_folder },
        (None, None) => {
            let changed = event.object("eventTypeSpecificAttributes").or_else(|| event.object("data"));
            let folder = changed.and_then(|attributes| attributes.text("targetFolderId"));
            match folder {
                Some(folder) => Subject::id(ItemId::new(ItemKind::Folder, folder)),
                None if matches!(kind, EventKind::Comment | EventKind::Read) => Subject::Nothing,
                None => Subject::Unreadable,
            }
        }
    }
}

#[cfg(test)]
mod tests;
