//! Uploads in parts: sessions, parts that cannot be changed, and the commit that checks the whole.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, PoisonError};

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use sha1::{Digest, Sha1};

use super::change::time_of;
use super::reply::{self, Conflict};
use super::upload::{Target, check_size, finish};
use super::{Ask, listing, render};
use crate::sandbox::content::{Content, Spill, Stored, hex};
use crate::sandbox::model::{ContentTimes, Kind, Refusal, User};
use crate::sandbox::shared::now_ms;
use crate::sandbox::spool;

/// Seven days, as the real service.
const LIFETIME_MS: i64 = 7 * 24 * 3600 * 1000;
/// More than any part may hold.
const PART_BYTES_MAX: usize = 256 << 20;

/// A file that arrives in parts.
#[derive(Debug)]
pub(super) struct Session {
    user: User,
    goal: Goal,
    size: u64,
    part_size: u64,
    expires_at: i64,
    /// Deleted with the last of the session and the file version made from it.
    spill: Arc<Spill>,
    /// By offset.
    parts: BTreeMap<u64, Part>,
}

#[derive(Clone, Debug)]
enum Goal {
    New { parent: u64, name: String },
    Version { id: u64, name: Option<String> },
}

#[derive(Clone, Debug)]
struct Part {
    id: String,
    offset: u64,
    size: u64,
    sha1: String,
}

fn write_session(ask: &Ask, id: &str, session: &Session) -> String {
    let base = format!("{}/api/2.0/files/upload_sessions/{id}", ask.shared.url());
    let mut out = format!(r#"{{"type":"upload_session","id":"{id}","session_expires_at":"#);
    render::time(&mut out, session.expires_at);
    let _ = write!(
        out,
        r#","part_size":{},"total_parts":{},"num_parts_processed":{},"session_endpoints":{{"list_parts":"{base}/parts","commit":"{base}/commit","upload_part":"{base}","status":"{base}","abort":"{base}","log_event":"{base}/log","plan":"{base}/plan"}}}}"#,
        session.part_size,
        session.size.div_ceil(session.part_size),
        session.parts.len()
    );
    out
}

fn write_part(out: &mut String, part: &Part) {
    let _ = write!(
        out,
        r#"{{"part_id":"{}","offset":{},"size":{},"sha1":"{}"}}"#,
        part.id, part.offset, part.size, part.sha1
    );
}

pub(super) fn create(ask: &Ask, body: &Value) -> Response {
    let Some(size) = body.get("file_size").and_then(Value::as_u64) else {
        return reply::bad_request(ask, "file_size is needed");
    };
    if size < ask.shared.options.chunked_min_bytes {
        return reply::error(
            ask,
            400,
            "file_size_too_small",
            "The file is too small for a chunked upload",
        );
    }
    let name = body
        .get("file_name")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let goal = if ask.route.id.is_empty() {
        let folder = body
            .get("folder_id")
            .and_then(Value::as_str)
            .and_then(|id| id.parse().ok());
        let (Some(parent), Some(name)) = (folder, name) else {
            return reply::bad_request(ask, "folder_id and file_name are needed");
        };
        Goal::New { parent, name }
    } else {
        Goal::Version { id: ask.id(), name }
    };
    let checked = ask.shared.look(|model| {
        if let Goal::New { parent, name } = &goal {
            let folder = model.live_of(Kind::Folder, *parent)?;
            if let Some(other) = folder.child(name) {
                return Err(Refusal::NameInUse(other));
            }
        } else {
            model.live_of(Kind::File, ask.id())?;
        }
        Ok((check_size(ask, model, size), model.new_version_id()))
    });
    let number = match checked {
        Err(refusal) => return reply::refusal(ask, &refusal, Conflict::Object),
        Ok((Err(refused), _)) => return refused,
        Ok((Ok(()), number)) => number,
    };
    let path = ask.shared.spill_path();
    let spill = match spool::create(&path) {
        Ok(file) => Arc::new(Spill::adopt(file, path, size)),
        Err(error) => return reply::refusal(ask, &error.into(), Conflict::Untold),
    };
    let session = Session {
        user: ask.user,
        goal,
        size,
        part_size: ask.shared.options.part_bytes,
        expires_at: now_ms() + LIFETIME_MS,
        spill,
        parts: BTreeMap::new(),
    };
    let id = format!("{number:032X}");
    let told = write_session(ask, &id, &session);
    ask.shared
        .box_com
        .sessions
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(id, session);
    reply::json(201, told)
}

/// Does something with the caller's own session.
fn with_session<T>(ask: &Ask, act: impl FnOnce(&mut Session) -> T) -> Result<T, Response> {
    let mut sessions = ask
        .shared
        .box_com
        .sessions
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match sessions.get_mut(&ask.route.id) {
        None => Err(reply::not_found(ask, "no such upload session")),
        Some(session) if session.user != ask.user => Err(reply::error(
            ask,
            403,
            "forbidden",
            "The upload session belongs to another user",
        )),
        Some(session) => Ok(act(session)),
    }
}

pub(super) fn get(ask: &Ask) -> Response {
    match with_session(ask, |session| write_session(ask, &ask.route.id, session)) {
        Ok(text) => reply::json(200, text),
        Err(refused) => refused,
    }
}

pub(super) fn abort(ask: &Ask) -> Response {
    match with_session(ask, |_| ()) {
        Ok(()) => {
            ask.shared
                .box_com
                .sessions
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&ask.route.id);
            reply::no_content()
        }
        Err(refused) => refused,
    }
}

pub(super) fn list_parts(ask: &Ask) -> Response {
    let limit = ask.query.number("limit").unwrap_or(1000).min(1000) as usize;
    let offset = ask.query.number("offset").unwrap_or(0) as usize;
    let parts = with_session(ask, |session| {
        session.parts.values().cloned().collect::<Vec<_>>()
    });
    let parts = match parts {
        Ok(parts) => parts,
        Err(refused) => return refused,
    };
    let mut out = String::from(r#"{"entries":["#);
    for (place, part) in parts.iter().skip(offset).take(limit).enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_part(&mut out, part);
    }
    let _ = write!(
        out,
        r#"],"offset":{offset},"limit":{limit},"total_count":{},"order":{}}}"#,
        parts.len(),
        listing::ORDER
    );
    reply::json(200, out)
}

/// The offset and the length of `bytes a-b/total`, if it fits the session.
fn read_range(header: Option<&str>, session: &Session) -> Option<(u64, u64)> {
    let (range, total) = header?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total): (u64, u64, u64) =
        (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    let len = (last + 1).checked_sub(first)?;
    let whole = len == session.part_size || last + 1 == session.size;
    let fits = total == session.size && last < total && first.is_multiple_of(session.part_size);
    (fits && whole && len <= session.part_size).then_some((first, len))
}

/// The digest of a `digest: sha=BASE64` header, as hex.
fn read_digest(header: Option<&str>) -> Option<String> {
    let coded = header?
        .strip_prefix("sha=")
        .or_else(|| header?.strip_prefix("SHA="))?;
    Some(hex(&BASE64.decode(coded.trim()).ok()?))
}

pub(super) async fn put_part(ask: &Ask, body: Body) -> Response {
    let Ok(bytes) = axum::body::to_bytes(body, PART_BYTES_MAX).await else {
        return reply::bad_request(ask, "the part is broken or too large");
    };
    let sha1 = hex(&Sha1::digest(&bytes));
    if read_digest(ask.header("digest")).is_none_or(|claimed| claimed != sha1) {
        return reply::error(
            ask,
            400,
            "bad_digest",
            "The digest is missing or is not that of the part",
        );
    }
    let placed = with_session(ask, |session| {
        let Some((offset, len)) = read_range(ask.header("content-range"), session) else {
            return Err(reply::error(
                ask,
                416,
                "invalid_range",
                "The content-range does not fit the session",
            ));
        };
        if len != bytes.len() as u64 {
            return Err(reply::bad_request(
                ask,
                "the part is not as long as its content-range",
            ));
        }
        if session.parts.contains_key(&offset) {
            let message = "A part is already there";
            return Err(reply::error(
                ask,
                416,
                "range_overlaps_existing_part",
                message,
            ));
        }
        Ok((session.spill.clone(), offset))
    });
    let (spill, offset) = match placed {
        Err(refused) | Ok(Err(refused)) => return refused,
        Ok(Ok(placed)) => placed,
    };
    if let Err(error) = spill.file().write_all_at(&bytes, offset) {
        return reply::refusal(ask, &error.into(), Conflict::Untold);
    }
    let id = ask
        .shared
        .look(|model| format!("{:08X}", model.new_version_id() as u32));
    let part = Part {
        id,
        offset,
        size: bytes.len() as u64,
        sha1,
    };
    let mut out = String::from(r#"{"part":"#);
    write_part(&mut out, &part);
    out.push('}');
    match with_session(ask, |session| session.parts.insert(offset, part)) {
        Ok(_) => reply::json(200, out),
        Err(refused) => refused,
    }
}

/// Takes over the parts that the current version of the file already has, and says which are still missing.
pub(super) fn plan(ask: &Ask, body: &Value) -> Response {
    let session = with_session(ask, |session| (session.goal.clone(), session.spill.clone()));
    let (goal, spill) = match session {
        Ok(session) => session,
        Err(refused) => return refused,
    };
    let known = match goal {
        Goal::Version { id, .. } => ask
            .shared
            .look(|model| Some(model.live(id).ok()?.current()?.stored.clone())),
        Goal::New { .. } => None,
    };
    let (mut hits, mut misses) = (Vec::new(), Vec::new());
    for wanted in body
        .get("parts")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice)
    {
        let number = |key| wanted.get(key).and_then(Value::as_u64);
        let (Some(offset), Some(size)) = (number("offset"), number("size")) else {
            return reply::bad_request(ask, "each part needs an offset and a size");
        };
        let bytes = known
            .as_ref()
            .and_then(|known| range_of(known, offset, size).ok()?);
        let digest = bytes
            .as_ref()
            .map(|bytes| hex(&sha2::Sha512::digest(bytes)));
        let same = digest.as_deref() == wanted.get("sha512").and_then(Value::as_str);
        let Some(bytes) = bytes.filter(|_| same) else {
            misses.push(wanted.clone());
            continue;
        };
        if let Err(error) = spill.file().write_all_at(&bytes, offset) {
            return reply::refusal(ask, &error.into(), Conflict::Untold);
        }
        let id = ask
            .shared
            .look(|model| format!("{:08X}", model.new_version_id() as u32));
        let mut hit = wanted.clone();
        hit["part_id"] = Value::from(id.as_str());
        hits.push(hit);
        let part = Part {
            id,
            offset,
            size,
            sha1: hex(&Sha1::digest(&bytes)),
        };
        if let Err(refused) = with_session(ask, |session| session.parts.insert(offset, part)) {
            return refused;
        }
    }
    let told =
        serde_json::json!({ "upload_session_id": ask.route.id, "hits": hits, "misses": misses });
    reply::json(200, told.to_string())
}

/// The bytes of one part of a content, if it reaches that far.
fn range_of(stored: &Stored, offset: u64, size: u64) -> std::io::Result<Option<Vec<u8>>> {
    let end = offset.saturating_add(size);
    if end > stored.len() || size > PART_BYTES_MAX as u64 {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(size as usize);
    while (bytes.len() as u64) < size {
        bytes.extend_from_slice(&stored.chunk(offset + bytes.len() as u64, end)?);
    }
    Ok(Some(bytes))
}

pub(super) fn commit(ask: &Ask, body: &Value) -> Response {
    let complete = with_session(ask, |session| {
        let there: u64 = session.parts.values().map(|part| part.size).sum();
        let named: Vec<&str> = body
            .get("parts")
            .and_then(Value::as_array)
            .map(|parts| {
                parts
                    .iter()
                    .filter_map(|part| part.get("part_id")?.as_str())
                    .collect()
            })
            .unwrap_or_default();
        let ours: Vec<&str> = session
            .parts
            .values()
            .map(|part| part.id.as_str())
            .collect();
        (there == session.size && named == ours)
            .then(|| (session.goal.clone(), session.spill.clone(), session.size))
    });
    let (goal, spill, size) = match complete {
        Err(refused) => return refused,
        Ok(None) => {
            return reply::error(
                ask,
                400,
                "parts_mismatch",
                "The parts are not those of the session",
            );
        }
        Ok(Some(complete)) => complete,
    };
    let sha1 = match sha1_of(spill.file(), size) {
        Ok(sha1) => sha1,
        Err(error) => return reply::refusal(ask, &error.into(), Conflict::Untold),
    };
    if read_digest(ask.header("digest")).is_none_or(|claimed| claimed != sha1) {
        return reply::error(
            ask,
            400,
            "bad_digest",
            "The digest is missing or is not that of the file",
        );
    }
    let attributes = body.get("attributes").unwrap_or(&Value::Null);
    let times = time_of(attributes, "content_created_at").and_then(|created| {
        Ok(ContentTimes {
            created,
            modified: time_of(attributes, "content_modified_at")?,
        })
    });
    let times = match times {
        Ok(times) => times,
        Err(complaint) => return reply::bad_request(ask, &complaint),
    };
    let stored = Stored::hashed(Content::Spilled(spill), sha1);
    let target = match &goal {
        Goal::New { parent, name } => Target::New {
            parent: *parent,
            name,
        },
        Goal::Version { id, name } => Target::Version {
            id: *id,
            name: name.as_deref(),
        },
    };
    let answer = finish(ask, 201, &target, stored, times);
    if answer.status().is_success() {
        ask.shared
            .box_com
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&ask.route.id);
    }
    answer
}

fn sha1_of(file: &File, size: u64) -> std::io::Result<String> {
    let mut hasher = Sha1::new();
    let mut buffer = vec![0; 256 << 10];
    let mut offset = 0;
    while offset < size {
        let want = buffer.len().min((size - offset) as usize);
        file.read_exact_at(&mut buffer[..want], offset)?;
        hasher.update(&buffer[..want]);
        offset += want as u64;
    }
    Ok(hex(&hasher.finalize()))
}
