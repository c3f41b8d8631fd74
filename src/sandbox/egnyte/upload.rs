//! Uploads in one request, as the bare content or as a form.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::json;

use super::route::Target;
use super::transfer::label;
use super::{Ask, ids, reply, tree};
use crate::sandbox::content::Stored;
use crate::sandbox::model::{ContentTimes, Kind, Model, Refusal};
use crate::sandbox::spool::Spool;

pub(super) async fn upload(ask: &Ask, request: Request) -> Response {
    let stored = match receive(ask, request).await {
        Ok(stored) => stored,
        Err(refused) => return refused,
    };
    if stored.len() > ask.shared.options.egnyte_upload_max_bytes {
        return reply::error_message(413, "The file is too large for one request");
    }
    let ours = match stored.checksum() {
        Ok(checksum) => checksum,
        Err(error) => return reply::refusal(&error.into()),
    };
    if ask.header("x-sha512-checksum").is_some_and(|claimed| !claimed.eq_ignore_ascii_case(ours)) {
        return reply::error_message(400, "The checksum is not that of the content");
    }
    finish(ask, stored)
}

async fn receive(ask: &Ask, request: Request) -> Result<Arc<Stored>, Response> {
    let broken = || reply::error_message(400, "The body is broken");
    let is_form = |value: &str| value.to_ascii_lowercase().starts_with("multipart/form-data");
    let mut spool = Spool::new(ask.shared.spill_path());
    if request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_form) {
        let mut form = Multipart::from_request(request, &()).await.map_err(|_| broken())?;
        while let Some(mut field) = form.next_field().await.map_err(|_| broken())? {
            if field.name() != Some("file") {
                continue;
            }
            while let Some(chunk) = field.chunk().await.map_err(|_| broken())? {
                spool.write(&chunk).map_err(|error| reply::refusal(&error.into()))?;
            }
            return Ok(spool.finish());
        }
        return Err(reply::error_message(400, "The form has no file"));
    }
    let mut body = request.into_body().into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| broken())?;
        spool.write(&chunk).map_err(|error| reply::refusal(&error.into()))?;
    }
    Ok(spool.finish())
}

/// The file that an upload would give a new version, or the place for a new one.
enum Goal<'a> {
    New { parent: u64, name: &'a str },
    Version { id: u64 },
}

fn goal<'a>(ask: &'a Ask, model: &Model) -> Result<Goal<'a>, Response> {
    let Target::Path(path) = &ask.route.target else {
        return tree::find_changeable(ask, model).map(|id| Goal::Version { id });
    };
    let (parent, name) = tree::place(ask.user, model, path, Kind::File)?;
    match model.any(parent).ok().and_then(|folder| folder.child(name)) {
        None => Ok(Goal::New { parent, name }),
        Some(id) if model.live_of(Kind::File, id).is_ok() => Ok(Goal::Version { id }),
        Some(_) => Err(reply::error_message(409, "A folder of that name already exists at this location")),
    }
}

/// Refuses before a content arrives for which there is no place.
pub(super) fn check_goal(ask: &Ask) -> Result<(), Response> {
    ask.shared.look(|model| goal(ask, model).map(|_| ()))
}

/// Puts the content into the cloud and tells of the version.
pub(super) fn finish(ask: &Ask, stored: Arc<Stored>) -> Response {
    let claimed = ask.header("last-modified").and_then(|text| httpdate::parse_http_date(text).ok());
    let claimed = claimed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = claimed.map(|since| since.as_millis() as i64);
    let times = ContentTimes { created: modified, modified };
    let content = stored.clone();
    let kept = ask.shared.change(ask.user, |model, deed| {
        let id = match goal(ask, model)? {
            Goal::New { parent, name } => model.create_file(deed, parent, name, content, times),
            Goal::Version { id } => model.add_version(deed, id, content, None, times).map(|()| id),
        };
        let item = id.and_then(|id| model.any(id)).map_err(|refusal| reply::refusal(&refusal))?;
        let version = item.current().ok_or_else(|| reply::refusal(&Refusal::NotFound))?;
        Ok((item.id, version.id, item.content_modified_at))
    });
    let (id, version, modified_at) = match kept {
        Ok(kept) => kept,
        Err(refused) => return refused,
    };
    let checksum = stored.checksum().unwrap_or("");
    let told = json!({ "checksum": checksum, "group_id": ids::group_id(id), "entry_id": ids::entry_id(version) });
    let mut response = reply::json(200, &told);
    label(&mut response, version, &stored, modified_at);
    response
}
