//! The past contents of a file.

use std::fmt::Write as _;

use axum::response::Response;
use serde_json::Value;

use super::Ask;
use super::change::check_if_match;
use super::listing;
use super::render;
use super::reply::{self, Conflict};
use crate::sandbox::model::{Kind, Refusal, Version};

fn write_version(out: &mut String, version: &Version, number: usize) {
    let _ = write!(
        out,
        r#"{{"type":"file_version","id":"{}","sha1":"{}","name":"#,
        version.id,
        version.stored.sha1()
    );
    render::quote(out, &version.name);
    let _ = write!(out, r#","size":{},"created_at":"#, version.stored.len());
    render::time(out, version.created_at);
    out.push_str(r#","modified_at":"#);
    render::time(out, version.created_at);
    out.push_str(r#","modified_by":"#);
    render::user(out, version.by);
    out.push_str(r#","trashed_at":"#);
    match version.trashed_at {
        Some(at) => render::time(out, at),
        None => out.push_str("null"),
    }
    let _ = write!(
        out,
        r#","restored_at":null,"purged_at":null,"version_number":"{number}"}}"#
    );
}

/// Past versions only, newest first; the current one is in the file object.
pub(super) fn list(ask: &Ask) -> Response {
    let listed = ask.shared.look(|model| {
        let item = model.live_of(Kind::File, ask.id())?;
        let past = item.versions.len().saturating_sub(1);
        let mut out = format!(r#"{{"total_count":{past},"entries":["#);
        for (place, version) in item.versions[..past].iter().enumerate().rev() {
            write_version(&mut out, version, place + 1);
            if place > 0 {
                out.push(',');
            }
        }
        let _ = write!(
            out,
            r#"],"offset":0,"limit":1000,"order":{}}}"#,
            listing::ORDER
        );
        Ok(out)
    });
    told(ask, 200, listed)
}

fn told(ask: &Ask, status: u16, result: Result<String, Refusal>) -> Response {
    match result {
        Ok(text) => reply::json(status, text),
        Err(refusal) => reply::refusal(ask, &refusal, Conflict::Untold),
    }
}

pub(super) fn get(ask: &Ask) -> Response {
    let found = ask.shared.look(|model| {
        let item = model.live_of(Kind::File, ask.id())?;
        let place = item
            .versions
            .iter()
            .position(|version| version.id.to_string() == ask.route.sub);
        let place = place.ok_or(Refusal::NotFound)?;
        let mut out = String::new();
        write_version(&mut out, &item.versions[place], place + 1);
        Ok(out)
    });
    told(ask, 200, found)
}

pub(super) fn promote(ask: &Ask, body: &Value) -> Response {
    let version = body
        .get("id")
        .and_then(Value::as_str)
        .and_then(|id| id.parse().ok())
        .unwrap_or(u64::MAX);
    let promoted = ask.shared.change(ask.user, |model, deed| {
        model.live_of(Kind::File, ask.id())?;
        model.promote_version(deed, ask.id(), version)?;
        let item = model.live(ask.id())?;
        let mut out = String::new();
        let current = item.current().ok_or(Refusal::NotFound)?;
        write_version(&mut out, current, item.versions.len());
        Ok(out)
    });
    told(ask, 201, promoted)
}

pub(super) fn delete(ask: &Ask) -> Response {
    let version = ask.route.sub.parse().unwrap_or(u64::MAX);
    let deleted = ask.shared.change(ask.user, |model, deed| {
        model.live_of(Kind::File, ask.id())?;
        check_if_match(ask, model, ask.id())?;
        model.delete_version(deed, ask.id(), version)
    });
    match deleted {
        Ok(()) => reply::no_content(),
        Err(refusal) => reply::refusal(ask, &refusal, Conflict::Untold),
    }
}
