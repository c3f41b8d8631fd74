//! Writes to one file or folder: create, update, delete, restore, copy, and what lies in the trash.

use std::fmt::Write as _;

use axum::http::header::IF_MATCH;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;

use super::Ask;
use super::items::{names_etag, object};
use super::render::{Fields, View};
use super::reply::{self, Conflict};
use super::{listing, render};
use crate::sandbox::counters::Call;
use crate::sandbox::model::{Deed, Kind, Model, Refusal};

const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 1000;

/// The kind of item that a call is about.
fn kind_of(call: Call) -> Kind {
    match call {
        Call::FolderCreate
        | Call::FolderUpdate
        | Call::FolderDelete
        | Call::FolderRestore
        | Call::FolderCopy
        | Call::FolderTrashGet
        | Call::FolderTrashDelete => Kind::Folder,
        _ => Kind::File,
    }
}

/// The id in `{"parent": {"id": "7"}}`; some clients send it as a number.
pub(super) fn parent_of(body: &Value) -> Option<u64> {
    let id = body.get("parent")?.get("id")?;
    id.as_u64().or_else(|| id.as_str()?.parse().ok())
}

/// A time of the request in milliseconds; finer ones than that are refused, as the real service does.
pub(super) fn time_of(body: &Value, key: &str) -> Result<Option<i64>, String> {
    let Some(text) = body.get(key).and_then(Value::as_str) else {
        return Ok(None);
    };
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    match text.parse::<Timestamp>() {
        Ok(time) if digits <= 3 => Ok(Some(time.as_millisecond())),
        _ => Err(format!("{key} is not a time with at most milliseconds")),
    }
}

fn fields_of(ask: &Ask) -> Fields {
    ask.query
        .get("fields")
        .map_or(Fields::STANDARD, Fields::parse)
}

/// Refuses when the caller says that it knows another state of the item.
pub(super) fn check_if_match(ask: &Ask, model: &Model, id: u64) -> Result<(), Refusal> {
    let etag = model.live(id)?.etag;
    match ask
        .headers
        .get(IF_MATCH)
        .and_then(|value| value.to_str().ok())
    {
        Some(known) if !names_etag(known, etag) => Err(Refusal::Stale),
        _ => Ok(()),
    }
}

fn told(ask: &Ask, status: u16, result: Result<String, Refusal>, conflict: Conflict) -> Response {
    match result {
        Ok(text) => reply::json(status, text),
        Err(refusal) => reply::refusal(ask, &refusal, conflict),
    }
}

pub(super) fn create_folder(ask: &Ask, body: &Value) -> Response {
    let (Some(name), Some(parent)) = (body.get("name").and_then(Value::as_str), parent_of(body))
    else {
        return reply::bad_request(ask, "name and parent are needed");
    };
    let made = ask.shared.change(ask.user, |model, deed| {
        let id = model.create_folder(deed, parent, name)?;
        object(model, id, fields_of(ask), View::Plain)
    });
    told(ask, 201, made, Conflict::Array)
}

pub(super) fn update(ask: &Ask, body: &Value) -> Response {
    let modified = match time_of(body, "content_modified_at") {
        Ok(modified) => modified,
        Err(complaint) => return reply::bad_request(ask, &complaint),
    };
    let (kind, id, parent) = (kind_of(ask.route.call), ask.id(), parent_of(body));
    let changed = ask.shared.change(ask.user, |model, deed| {
        model.live_of(kind, id)?;
        if parent.is_none() {
            // A move goes ahead whatever If-Match says: the guide warns of it.
            check_if_match(ask, model, id)?;
        }
        model.relocate(deed, id, body.get("name").and_then(Value::as_str), parent)?;
        model.describe(
            deed,
            id,
            body.get("description").and_then(Value::as_str),
            modified,
        )?;
        if kind == Kind::File {
            set_lock(model, deed, id, body)?;
        }
        object(model, id, fields_of(ask), View::Plain)
    });
    told(ask, 200, changed, Conflict::Untold)
}

fn set_lock(model: &mut Model, deed: Deed, id: u64, body: &Value) -> Result<(), Refusal> {
    match body.get("lock") {
        Some(Value::Null) => model.unlock(deed, id),
        Some(lock) => {
            let until = time_of(lock, "expires_at").ok().flatten();
            let prevents = lock
                .get("is_download_prevented")
                .and_then(Value::as_bool)
                .unwrap_or(false);
            model.lock(deed, id, until, prevents)
        }
        None => Ok(()),
    }
}

pub(super) fn delete(ask: &Ask) -> Response {
    let (kind, id) = (kind_of(ask.route.call), ask.id());
    let recursive = ask.query.flag("recursive");
    let deleted = ask.shared.change(ask.user, |model, deed| {
        let item = model.live_of(kind, id)?;
        if !recursive && !item.children.is_empty() {
            return Err(Refusal::NotEmpty);
        }
        check_if_match(ask, model, id)?;
        model.trash(deed, id)
    });
    match deleted {
        Ok(()) => reply::no_content(),
        Err(refusal) => reply::refusal(ask, &refusal, Conflict::Untold),
    }
}

pub(super) fn restore(ask: &Ask, body: &Value) -> Response {
    let id = ask.id();
    let restored = ask.shared.change(ask.user, |model, deed| {
        in_trash(ask, model)?;
        model.restore(
            deed,
            id,
            body.get("name").and_then(Value::as_str),
            parent_of(body),
        )?;
        object(model, id, Fields::STANDARD_ALONE, View::Plain)
    });
    told(ask, 201, restored, Conflict::Object)
}

pub(super) fn copy(ask: &Ask, body: &Value) -> Response {
    let kind = kind_of(ask.route.call);
    let Some(parent) = parent_of(body) else {
        return reply::bad_request(ask, "parent is needed");
    };
    let copied = ask.shared.change(ask.user, |model, deed| {
        let source = model.live_of(kind, ask.id())?.id;
        let copy = model.copy(
            deed,
            source,
            parent,
            body.get("name").and_then(Value::as_str),
        )?;
        object(model, copy, fields_of(ask), View::Plain)
    });
    let conflict = if kind == Kind::File {
        Conflict::Object
    } else {
        Conflict::Array
    };
    told(ask, 201, copied, conflict)
}

/// Refuses unless the item was itself put into the trash and is of the right kind.
fn in_trash(ask: &Ask, model: &Model) -> Result<(), Refusal> {
    let item = model.any(ask.id())?;
    let right = item.kind == kind_of(ask.route.call) && item.trashed_at.is_some();
    if right {
        Ok(())
    } else {
        Err(Refusal::NotFound)
    }
}

pub(super) fn trash_get(ask: &Ask) -> Response {
    let found = ask.shared.look(|model| {
        in_trash(ask, model)?;
        object(model, ask.id(), Fields::STANDARD_ALONE, View::Trash)
    });
    told(ask, 200, found, Conflict::Untold)
}

pub(super) fn trash_delete(ask: &Ask) -> Response {
    let deleted = ask.shared.change(ask.user, |model, deed| {
        in_trash(ask, model)?;
        model.delete_forever(deed, ask.id())
    });
    match deleted {
        Ok(()) => reply::no_content(),
        Err(refusal) => reply::refusal(ask, &refusal, Conflict::Untold),
    }
}

/// What lies in the trash, by offset.
pub(super) fn trash_items(ask: &Ask) -> Response {
    let limit = ask
        .query
        .number("limit")
        .unwrap_or(LIMIT_DEFAULT)
        .min(LIMIT_MAX);
    let offset = ask.query.number("offset").unwrap_or(0);
    let fields = ask.query.get("fields").map(Fields::parse);
    let listed = ask.shared.look(|model| {
        let tops = model.trashed_tops();
        let page: Vec<u64> = tops
            .iter()
            .skip(offset as usize)
            .take(limit as usize)
            .copied()
            .collect();
        let mut out = format!(r#"{{"total_count":{},"entries":["#, tops.len());
        for (place, id) in page.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            let snap = model.snap(*id)?;
            render::item(
                &mut out,
                &snap,
                fields.unwrap_or(Fields::MINI_FILE),
                View::Trash,
            );
        }
        let _ = write!(
            out,
            r#"],"offset":{offset},"limit":{limit},"order":{}}}"#,
            listing::ORDER
        );
        Ok(out)
    });
    told(ask, 200, listed, Conflict::Untold)
}
