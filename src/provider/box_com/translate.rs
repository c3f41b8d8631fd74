//! Box's words into ours: items, events, positions and refusals. Pure, and the only place that knows both.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use reqwest::header::HeaderMap;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::chunked::StoredPart;
use super::wire;
use crate::events::{EventKind, EventPage, EventText, PageText, RemoteEvent, Subject, taxonomy};
use crate::id::{ContentHash, Cursor, Etag, EventId, ItemId, ItemKind, PageToken, VersionId};
use crate::provider::error::unread_entry;
use crate::provider::http::{Refusal, retry_after};
use crate::provider::{Identity, ListPage, ProviderError, ProviderErrorKind, RemoteVersion, Result};
use crate::tree::{Ancestor, ItemState, RemoteContent, RemoteItem, Wall};

/// The id of the top folder, the same in every account.
pub const ROOT_ID: &str = "0";
/// Digits of the longest position that is written out from an exponent form.
const MAX_POSITION_DIGITS: usize = 40;
/// The most of a provider's own words that goes into an error.
const MAX_DETAIL_CHARS: usize = 300;

fn malformed(what: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Malformed, what)
}

/// Reads a JSON answer.
pub fn parse<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T> {
    serde_json::from_str::<wire::Object<T>>(text).map(|object| object.0).map_err(|error| {
        malformed("the answer is not the JSON that was expected; is a proxy or sign-in page in between?")
            .with_detail(format!("line {} column {}: {:?}", error.line(), error.column(), error.classify()))
    })
}

/// Who we are.
pub fn identity(user: wire::User<'_>) -> Result<Identity> {
    let text = |text: Option<wire::Str<'_>>| text.map_or_else(String::new, |text| text.0.into_owned());
    let user_id = user.id.ok_or_else(|| malformed("the user has no id"))?.0;
    Ok(Identity { user_id, login: text(user.login), name: text(user.name) })
}

fn item_kind(word: Option<&str>) -> Option<ItemKind> {
    match word {
        Some("file") => Some(ItemKind::File),
        Some("folder") => Some(ItemKind::Folder),
        _ => None,
    }
}

/// The moment that a timestamp with any offset names.
fn wall(text: Option<&str>) -> Option<Wall> {
    text?.parse::<jiff::Timestamp>().ok().map(|moment| Wall(moment.as_millisecond()))
}

fn sha1(mut hex: String) -> ContentHash {
    hex.make_ascii_lowercase();
    if hex.len() == 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        ContentHash::Sha1(hex)
    } else {
        ContentHash::Unknown(hex)
    }
}

fn content(item: &mut wire::Item<'_>) -> Option<RemoteContent> {
    Some(RemoteContent {
        version: VersionId::new(item.file_version.take()?.id?.0),
        hash: item.sha1.take().map(sha1),
        size: item.size.map(|size| size.0),
        modified: wall(item.content_modified_at.as_deref()),
    })
}

/// The folders above, if the description names all of them down to the parent.
fn ancestors(path: Option<wire::PathCollection<'_>>, parent: Option<&ItemId>) -> Option<Vec<Ancestor>> {
    let above: Option<Vec<Ancestor>> = path?
        .entries?
        .into_iter()
        .map(|mini| Some(Ancestor { id: ItemId::folder(mini.id?.0), name: mini.name?.0.into_owned() }))
        .collect();
    above.filter(|above| above.last().map(|last| &last.id) == parent)
}

/// A live item, or nothing where the description lacks what makes one. `parent` is the folder that was listed, if it is
/// known better than from the description.
fn live_item(kind: ItemKind, mut item: wire::Item<'_>, parent: Option<&ItemId>) -> Option<RemoteItem> {
    let id = ItemId::new(kind, item.id.take()?.0);
    let parent = parent.cloned().or_else(|| Some(ItemId::folder(item.parent.take()?.id?.0)));
    let content = if kind == ItemKind::File { Some(content(&mut item)?) } else { None };
    Some(RemoteItem {
        name: item.name.take()?,
        content,
        etag: item.etag.take().map(|etag| Etag::new(etag.0)),
        sequence: item.sequence_id.map(|sequence| sequence.0),
        ancestors: ancestors(item.path_collection.take(), parent.as_ref()),
        path: None,
        id,
        parent,
    })
}

/// A page of a folder. One entry that cannot be read spoils no other; but a shorter page would look like deletions, so it is told. What is
/// neither file nor folder, or in the trash, is left out.
pub fn list_page(text: &str, folder: &ItemId) -> Result<ListPage> {
    let page: wire::ItemPage<'_> = parse(text)?;
    let mut items = Vec::with_capacity(page.entries.len());
    let mut unread = None;
    for wire::Maybe(entry) in page.entries {
        let name = entry.as_ref().and_then(|entry| entry.name.clone().or_else(|| Some(entry.id.as_ref()?.0.clone())));
        let item = match entry {
            Some(entry) if !is_active(&entry) => continue,
            Some(entry) => match (item_kind(entry.kind.as_deref()), &entry.kind) {
                (Some(kind), _) => live_item(kind, entry, Some(folder)),
                (None, Some(_)) => continue,
                (None, None) => None,
            },
            None => None,
        };
        match item {
            Some(item) => items.push(item),
            None => unread = unread.or_else(|| Some(unread_entry(name.as_deref()))),
        }
    }
    let next = page.next_marker.filter(|marker| !marker.is_empty()).map(PageToken::new);
    Ok(ListPage { items, next, unread })
}

/// The older versions of a file. What was deleted among them cannot be fetched.
pub fn versions(text: &str) -> Result<Vec<RemoteVersion>> {
    let page: wire::VersionPage<'_> = parse(text)?;
    let mut versions = Vec::with_capacity(page.entries.len());
    for wire::Object(entry) in page.entries {
        let id = entry.id.ok_or_else(|| malformed("a version has no id"))?;
        if entry.trashed_at.is_none() {
            versions.push(RemoteVersion {
                version: VersionId::new(id.0),
                hash: entry.sha1.map(sha1),
                size: entry.size.map(|size| size.0),
                modified: wall(entry.modified_at.as_deref()),
            });
        }
    }
    Ok(versions)
}

/// The state of one item from its own description.
pub fn item_state(text: &str, kind: ItemKind) -> Result<ItemState> {
    let item: wire::Item<'_> = parse(text)?;
    if item_kind(item.kind.as_deref()) != Some(kind) {
        return Err(malformed("the item is not of the kind that was asked for"));
    }
    if !is_active(&item) {
        return Ok(ItemState::Trashed);
    }
    let item = live_item(kind, item, None).ok_or_else(|| malformed("the description of the item is incomplete"))?;
    Ok(ItemState::Active(Box::new(item)))
}

/// The item that a change answers with.
pub fn changed(text: &str, kind: ItemKind) -> Result<RemoteItem> {
    match item_state(text, kind)? {
        ItemState::Active(item) => Ok(*item),
        ItemState::Trashed | ItemState::NotFound => Err(malformed("the changed item is said to be gone")),
    }
}

/// The file that an upload answers with.
pub fn uploaded(text: &str) -> Result<RemoteItem> {
    let page: wire::ItemPage<'_> = parse(text)?;
    let file = page.entries.into_iter().next().and_then(|wire::Maybe(file)| live_item(ItemKind::File, file?, None));
    file.ok_or_else(|| malformed("the answer to the upload does not tell of the file"))
}

/// An upload session, with the addresses that Box tells for it.
pub struct ToldSession {
    pub id: String,
    pub part_size: u64,
    pub upload_part: Option<String>,
    pub list_parts: Option<String>,
    pub commit: Option<String>,
}

/// An upload session.
pub fn upload_session(text: &str) -> Result<ToldSession> {
    let session: wire::UploadSession = parse(text)?;
    let (Some(id), Some(part_size)) = (session.id, session.part_size) else {
        return Err(malformed("the upload session has no id or no size of parts"));
    };
    let endpoints = session.session_endpoints.unwrap_or_default();
    Ok(ToldSession {
        id: id.0,
        part_size: part_size.0,
        upload_part: endpoints.upload_part,
        list_parts: endpoints.list_parts,
        commit: endpoints.commit,
    })
}

fn part(part: wire::Part) -> Result<StoredPart> {
    let (Some(id), Some(offset), Some(size)) = (part.id, part.offset, part.size) else {
        return Err(malformed("the description of a part is incomplete"));
    };
    Ok(StoredPart { id: id.0, offset: offset.0, size: size.0 })
}

/// The part that Box stored.
pub fn stored_part(text: &str) -> Result<StoredPart> {
    let answer: wire::PartAnswer = parse(text)?;
    part(answer.part.ok_or_else(|| malformed("the answer to a part does not tell of it"))?)
}

/// A page of the parts that Box has.
pub fn stored_parts(text: &str) -> Result<Vec<StoredPart>> {
    let page: wire::PartPage = parse(text)?;
    page.entries.into_iter().map(part).collect()
}

fn is_active(item: &wire::Item<'_>) -> bool {
    item.status.as_deref().is_none_or(|status| status == "active")
}

/// A page of the stream. `asked` is the cursor that it was asked for with.
///
/// All of it is read in one pass. Where that fails, for one event has a field twice or nests too deeply, each is read by itself, so that an odd
/// one spoils nothing.
pub fn event_page(text: String, asked: &Cursor) -> Result<EventPage> {
    let page = PageText::new(text, entries_of);
    let in_one_pass = parse::<wire::EventPage<'_, wire::Maybe<wire::Event<'_>>>>(page.as_str());
    let (events, facts) = if let Ok(wire::EventPage { entries, next_stream_position, chunk_size }) = in_one_pass {
        let entries = entries.into_iter().enumerate();
        let events: Vec<_> = entries.map(|(index, event)| self::event(event.0, &page, index)).collect();
        (events, (next_stream_position, chunk_size))
    } else {
        let each = parse::<wire::EventPage<'_, &RawValue>>(page.as_str())?;
        let read = each.entries.iter().enumerate().map(|(index, raw)| {
            let read = serde_json::from_str::<wire::Maybe<wire::Event<'_>>>(raw.get());
            event(read.ok().and_then(|read| read.0), &page, index)
        });
        (read.collect(), (each.next_stream_position, each.chunk_size))
    };
    let next = facts.0.and_then(position).unwrap_or_else(|| asked.clone());
    let caught_up = events.is_empty() || facts.1 == Some(0) || next == *asked;
    Ok(EventPage { events, next, caught_up })
}

/// Where the events of a page begin and end.
fn entries_of(text: &str) -> Vec<Range<usize>> {
    let Ok(page) = parse::<wire::EventPage<'_, &RawValue>>(text) else { return Vec::new() };
    let place = |raw: &&RawValue| {
        let begin = raw.get().as_ptr().addr() - text.as_ptr().addr();
        begin..begin + raw.get().len()
    };
    page.entries.iter().map(place).collect()
}

/// The newest position, from a page that was asked for nothing else.
pub fn newest_position(text: &str) -> Result<Cursor> {
    let page: wire::EventPage<'_, IgnoredAny> = parse(text)?;
    page.next_stream_position
        .and_then(position)
        .ok_or_else(|| malformed("the newest position of the stream is missing"))
}

/// A position as text, from a number or a string; never through floating point, since real ones are above 2^53.
/// Zero is what Box sends when it has none, and would mean "from the very beginning".
fn position(raw: &RawValue) -> Option<Cursor> {
    let token = raw.get();
    let text = if token.starts_with('"') {
        serde_json::from_str::<String>(token).ok()?
    } else if token.starts_with(|c: char| c.is_ascii_digit()) {
        whole_number(token).unwrap_or_else(|| token.to_owned())
    } else {
        return None;
    };
    let text = text.trim();
    if text.is_empty() || text.bytes().all(|byte| byte == b'0') {
        return None;
    }
    Some(Cursor::new(text))
}

/// Writes out a JSON number such as `1.8e16` digit by digit; nothing if it is not whole or too long.
fn whole_number(token: &str) -> Option<String> {
    let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
    let exponent: usize = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let zeros = exponent.checked_sub(fraction.len())?;
    if whole.len() + fraction.len() + zeros > MAX_POSITION_DIGITS {
        return None;
    }
    let digits = format!("{whole}{fraction}{}", "0".repeat(zeros));
    let digits = digits.trim_start_matches('0');
    Some(if digits.is_empty() { "0".to_owned() } else { digits.to_owned() })
}

/// One event. Whatever it is, something comes of it: an unreadable one keeps its text.
fn event(event: Option<wire::Event<'_>>, page: &Arc<PageText>, index: usize) -> RemoteEvent {
    let raw = EventText::in_page(page, index);
    let Some(event) = event else {
        return RemoteEvent {
            id: made_up_id(raw.as_str()),
            kind: EventKind::Other,
            provider_kind: Cow::Borrowed(""),
            subject: Subject::Unreadable,
            actor: None,
            actor_name: None,
            at: None,
            raw,
        };
    };
    let word = event.kind.map_or(Cow::Borrowed(""), |kind| kind.0);
    let known = taxonomy::box_type(&word);
    let kind = event_kind(known, &word);
    let provider_kind = known.map_or_else(|| Cow::Owned(word.into_owned()), |known| Cow::Borrowed(known.word));
    let is_harmless =
        kind == EventKind::Other && ABOUT_NO_FOLDER.iter().any(|prefix| provider_kind.starts_with(prefix));
    let (actor, actor_name) = match event.created_by {
        Some(user) => {
            let name = user.name.filter(|name| !name.is_empty()).or(user.login);
            (user.id.map(|id| id.0), name.map(|name| name.0.into_owned()))
        }
        None => (None, None),
    };
    RemoteEvent {
        id: match event.id {
            Some(id) if !id.0.is_empty() => EventId::new(id.0),
            _ => made_up_id(raw.as_str()),
        },
        kind,
        subject: if is_harmless {
            Subject::Nothing
        } else {
            event.source.and_then(|source| subject(source, kind)).unwrap_or_else(|| without_item(kind))
        },
        provider_kind,
        actor,
        actor_name,
        at: wall(event.created_at.as_deref()),
        raw,
    }
}

/// An id for an event without one: the same text again is the same event again.
fn made_up_id(text: &str) -> EventId {
    let digest = crate::id::Sha256(Sha256::digest(text.as_bytes()).into());
    EventId::new(format!("sha256:{digest}"))
}

/// What an event is about; nothing where its source does not say.
fn subject(source: wire::Item<'_>, kind: EventKind) -> Option<Subject> {
    let Some(word) = &source.kind else {
        return enterprise_subject(source, kind);
    };
    let Some(item_kind) = item_kind(Some(word)) else {
        // A comment, task or collaboration names the item that it is about; users and links are in no folder of ours.
        return Some(source.about.and_then(named).map_or(Subject::Nothing, Subject::id));
    };
    let id = source.id.as_ref().map(|id| ItemId::new(item_kind, id.0.as_str()))?;
    if kind == EventKind::Trashed || !is_active(&source) {
        return Some(Subject::Gone(id));
    }
    Some(match live_item(item_kind, source, None) {
        // Without a parent nobody can tell where it belongs; only the top folder has none.
        Some(item) if item.parent.is_some() => Subject::Item(item),
        _ => Subject::id(id),
    })
}

/// What an event without a readable source means: if it is of a kind that changes trees, or of one that we do not know, anything.
fn without_item(kind: EventKind) -> Subject {
    match kind {
        EventKind::Comment | EventKind::Read | EventKind::Lock => Subject::Nothing,
        _ => Subject::Unreadable,
    }
}

/// How the kinds of events begin that Box's API description lists and that change neither names nor content of files and folders.
const ABOUT_NO_FOLDER: [&str; 47] = [
    "ADD_",
    "ADMIN_LOGIN",
    "AI_SECURITY_",
    "APPLICATION_",
    "BOX_AI_",
    "CHANGE_ADMIN_ROLE",
    "COLLECTION_",
    "CONTENT_RECOVERY_",
    "CONTENT_WORKFLOW_",
    "DATA_RETENTION_",
    "DELETE_USER",
    "DEVICE_TRUST_",
    "DISABLE_MULTI_FACTOR_AUTH",
    "EDIT_USER",
    "EDR_",
    "EMAIL_ALIAS_",
    "EMAIL_UPLOAD_",
    "ENABLE_MULTI_FACTOR_AUTH",
    "ENABLE_TWO_FACTOR_AUTH",
    "ENTERPRISE_APP_",
    "EXTERNAL_COLLAB_",
    "FAILED_LOGIN",
    "FAVORITE",
    "FILE_REQUEST_",
    "GROUP_",
    "ITEM_ASSOCIATION_",
    "ITEM_EMAIL_SEND",
    "ITEM_SYNC",
    "ITEM_UNSYNC",
    "LEGAL_HOLD_",
    "LOGIN",
    "MASTER_INVITE_",
    "METADATA_",
    "NEW_USER",
    "OAUTH2_",
    "REMOVE_",
    "RETENTION_POLICY_",
    "SHARED_LINK_",
    "SHIELD_",
    "SIGN",
    "TAG_ITEM_",
    "TASK_",
    "TERMS_OF_SERVICE_",
    "UNFAVORITE",
    "USER_AUTHENTICATE_",
    "WATERMARK_",
    "WORKFLOW_",
];

fn named(mini: wire::Mini<'_>) -> Option<ItemId> {
    Some(ItemId::new(item_kind(mini.kind.as_deref())?, mini.id?.0))
}

/// Enterprise streams name the item by its type and id alone.
fn enterprise_subject(source: wire::Item<'_>, kind: EventKind) -> Option<Subject> {
    let parent = source.parent.and_then(|parent| parent.id).map(|parent| ItemId::folder(parent.0));
    let id = match (item_kind(source.enterprise_kind.as_deref()), source.enterprise_id) {
        (Some(item_kind), Some(id)) => ItemId::new(item_kind, id.0),
        _ => match (source.file_id, source.folder_id) {
            (Some(id), _) => ItemId::file(id.0),
            (None, Some(id)) => ItemId::folder(id.0),
            (None, None) => return None,
        },
    };
    Some(if kind == EventKind::Trashed {
        Subject::Gone(id)
    } else {
        Subject::Id { id, version: None, parent, path: None, from: None }
    })
}

/// Our word for Box's. The set is open: what is not listed is `Other`, and its item is looked at like any other.
fn event_kind(known: Option<&taxonomy::Type>, word: &str) -> EventKind {
    match known {
        Some(known) => known.kind,
        None if word.starts_with("COLLAB_") || word.starts_with("COLLABORATION_") => EventKind::Sharing,
        None => EventKind::Other,
    }
}

/// The one translation of refusals. Status first, then Box's own code.
pub fn refusal(refusal: &Refusal<'_>) -> ProviderError {
    use ProviderErrorKind as Kind;
    let body: wire::ErrorBody = serde_json::from_slice(refusal.body).unwrap_or_default();
    let code = body.code.as_deref().unwrap_or_default();
    let (kind, message) = match (refusal.status, code) {
        (202, _) => (Kind::NotReady, "the content is not ready yet"),
        (200..400, _) => (Kind::Malformed, "Box answered in an unexpected way"),
        (400 | 404 | 410, _) if refusal.operation == "events" => {
            (Kind::CursorLost, "Box does not accept our place in the event stream any more")
        }
        (_, "terms_of_service_required") => (Kind::Forbidden, "the terms of service must be accepted first"),
        (_, "operation_blocked_temporary" | "name_temporarily_reserved") => {
            (Kind::Unavailable, "the item is busy with another operation")
        }
        (400, "bad_digest") => (Kind::Corrupt, "the content did not arrive as it was sent"),
        (401, _) => (Kind::SignInNeeded, "Box does not accept the sign-in"),
        (403, "access_denied_item_locked" | "file_size_limit_exceeded" | "storage_limit_exceeded") => {
            (Kind::Refused, "Box refuses this for the item as it is")
        }
        (403, _) => (Kind::Forbidden, "the account may not do this"),
        // 405 is what an id of the wrong form gets.
        (404 | 405 | 410, _) => (Kind::NotFound, "the item is not there, or may not be seen"),
        (408, _) => (Kind::Unavailable, "Box gave up waiting for the request"),
        (409 | 412, _) => (Kind::Conflict, "the item is not in the expected state"),
        (429, _) => (Kind::RateLimited, "Box asks us to wait"),
        (507, _) => (Kind::Refused, "the storage is used up"),
        (500.., _) => (Kind::Unavailable, "Box does not work at the moment"),
        _ => (Kind::Refused, "Box refuses the request"),
    };
    let detail: String = format!("{} {code} {}", refusal.status, body.message.as_deref().unwrap_or_default())
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_DETAIL_CHARS)
        .collect();
    let mut error =
        ProviderError::new(kind, message).with_detail(detail.trim()).with_retry_after(retry_after(refusal.headers));
    if !code.is_empty() {
        error = error.with(CODE, code);
    }
    if let Some(wire::TakenBy { kind, id: Some(id) }) = body.context_info.and_then(|context| context.conflicts)
        && let Some(kind) = item_kind(kind.as_deref())
    {
        error = error.with(TAKEN_BY, ItemId::new(kind, id));
    }
    match body.request_id.as_deref().or_else(|| request_id(refusal.headers)) {
        Some(id) => error.with("request_id", id),
        None => error,
    }
}

const CODE: &str = "code";
/// Names the item that has the name already, in an error.
pub const TAKEN_BY: &str = "taken_by";

fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("box-request-id")?.to_str().ok()
}

fn fact<'a>(error: &'a ProviderError, key: &str) -> Option<&'a str> {
    error.context.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
}

/// Box's own code for a refusal; empty if there is none.
pub fn code(error: &ProviderError) -> &str {
    fact(error, CODE).unwrap_or_default()
}

/// The item that has the name already, if a refusal tells.
pub fn taken_by(error: &ProviderError) -> Option<ItemId> {
    fact(error, TAKEN_BY)?.parse().ok()
}

/// Whether a refusal says that the item is in the trash, which a plain "not found" does not.
pub fn says_trashed(error: &ProviderError) -> bool {
    code(error) == "trashed"
}

#[cfg(test)]
mod tests;
