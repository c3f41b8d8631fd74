//! Answers and refusals in the documented shapes.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;

use super::Ask;
use super::render::{self, Fields};
use crate::sandbox::model::{Kind, Refusal};
use crate::sandbox::shared::Shared;

/// A JSON answer.
pub(super) fn json(status: u16, text: String) -> Response {
    with_type(status, "application/json", text)
}

pub(super) fn with_type(status: u16, content_type: &'static str, text: impl Into<Body>) -> Response {
    let mut response = HttpResponse::new(text.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) fn no_content() -> Response {
    let mut response = HttpResponse::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// An error in the shape of the `ClientError` schema; `context` is JSON or empty.
pub(crate) fn error_text(shared: &Shared, status: u16, code: &str, message: &str, context: &str) -> String {
    let number = shared.box_com.errors.fetch_add(1, Ordering::Relaxed);
    let mut text = format!(r#"{{"type":"error","status":{status},"code":"{code}","#);
    if !context.is_empty() {
        let _ = write!(text, r#""context_info":{context},"#);
    }
    text.push_str(r#""help_url":"http://developers.box.com/docs/#errors","message":"#);
    render::quote(&mut text, message);
    let _ = write!(text, r#","request_id":"sandbox{number:08x}"}}"#);
    text
}

pub(super) fn error(ask: &Ask, status: u16, code: &str, message: &str) -> Response {
    json(status, error_text(&ask.shared, status, code, message, ""))
}

pub(super) fn error_with(ask: &Ask, status: u16, code: &str, message: &str, context: &str) -> Response {
    json(status, error_text(&ask.shared, status, code, message, context))
}

pub(super) fn not_found(ask: &Ask, message: &str) -> Response {
    error(ask, 404, "not_found", message)
}

pub(super) fn bad_request(ask: &Ask, message: &str) -> Response {
    error(ask, 400, "bad_request", message)
}

pub(super) fn unauthorized(shared: &Shared, expired: bool) -> Response {
    let mut response = json(401, error_text(shared, 401, "unauthorized", "Unauthorized", ""));
    let told = if expired {
        r#"Bearer realm="Service", error="expired_token", error_description="The access token has expired.""#
    } else {
        r#"Bearer realm="Service", error="invalid_token", error_description="The access token provided is invalid.""#
    };
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(told));
    response
}

/// The answer to a call too many.
pub(super) fn too_many(shared: &Shared, wait: Duration) -> Response {
    let text = error_text(shared, 429, "rate_limit_exceeded", "Request rate limit exceeded", "");
    let mut response = json(429, text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    response
}

/// How a name conflict is told: the three ways of the real service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// One object: uploads and preflights.
    Object,
    /// An array: folder creation and copies.
    Array,
    /// Nothing: moves and renames.
    Untold,
}

pub(super) fn refusal(ask: &Ask, refusal: &Refusal, conflict: Conflict) -> Response {
    let message = refusal.to_string();
    let (status, code) = match refusal {
        Refusal::NotFound => {
            let id = &ask.route.id;
            let mut context = String::from(r#"{"errors":[{"reason":"invalid_parameter","name":"item","message":"#);
            render::quote(&mut context, &format!("Invalid value '{id}'. Item with that value not found"));
            context.push_str("}]}");
            return error_with(ask, 404, "not_found", "Not Found", &context);
        }
        Refusal::NameInUse(other) => {
            let context = conflicts(ask, *other, conflict);
            let message = "Item with the same name already exists";
            return error_with(ask, 409, "item_name_in_use", message, &context);
        }
        Refusal::Trashed => (404, "trashed"),
        Refusal::NameInvalid(_) => (400, "item_name_invalid"),
        Refusal::NotEmpty => (400, "folder_not_empty"),
        Refusal::Cycle => (400, "cyclical_folder_structure"),
        Refusal::Root => (403, "access_denied_insufficient_permissions"),
        Refusal::Locked => (403, "access_denied_item_locked"),
        Refusal::Stale => (412, "precondition_failed"),
        Refusal::Content(_) => (500, "internal_server_error"),
    };
    error(ask, status, code, &message)
}

fn conflicts(ask: &Ask, other: u64, conflict: Conflict) -> String {
    if conflict == Conflict::Untold {
        return String::new();
    }
    let Ok(snap) = ask.shared.look(|model| model.snap(other)) else {
        return String::new();
    };
    let mut item = String::new();
    let fields = if snap.kind == Kind::File { Fields::MINI_FILE } else { Fields::MINI_FOLDER };
    render::item(&mut item, &snap, fields, render::View::Plain);
    match conflict {
        Conflict::Array => format!(r#"{{"conflicts":[{item}]}}"#),
        _ => format!(r#"{{"conflicts":{item}}}"#),
    }
}
