//! One file or folder: look at it.

use axum::body::Body;
use axum::http::header::IF_NONE_MATCH;
use axum::http::{Response as HttpResponse, StatusCode};
use axum::response::Response;

use super::Ask;
use super::listing;
use super::render::{self, Fields, View};
use super::reply::{self, Conflict};
use crate::sandbox::counters::Call;
use crate::sandbox::model::{Kind, Model, Refusal};

pub(super) fn get(ask: &Ask) -> Response {
    let kind = if ask.route.call == Call::FileGet { Kind::File } else { Kind::Folder };
    let fields = ask.query.get("fields").map(Fields::parse);
    let found = ask.shared.look(|model| {
        let item = model.live_of(kind, ask.id())?;
        let etag = item.etag;
        let seen = ask.headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        if seen.is_some_and(|seen| names_etag(seen, etag)) {
            return Ok(None);
        }
        object(model, ask.id(), fields.unwrap_or(Fields::STANDARD), View::Plain).map(Some)
    });
    match found {
        Ok(Some(text)) => reply::json(200, text),
        Ok(None) => {
            let mut response = HttpResponse::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        Err(refusal) => reply::refusal(ask, &refusal, Conflict::Untold),
    }
}

/// Whether a conditional header names this etag.
pub(super) fn names_etag(header: &str, etag: u64) -> bool {
    let etag = etag.to_string();
    header.split(',').any(|part| part.trim().trim_matches('"') == etag || part.trim() == "*")
}

/// The JSON of one item, with the children of a folder where they are wanted.
pub(super) fn object(model: &mut Model, id: u64, fields: Fields, view: View) -> Result<String, Refusal> {
    let snap = model.snap(id)?;
    let children =
        if snap.kind == Kind::Folder && fields.wants_children() { Some(listing::embedded(model, id)?) } else { None };
    let mut out = String::with_capacity(1536);
    render::item_with_children(&mut out, &snap, fields, view, children.as_deref());
    Ok(out)
}
