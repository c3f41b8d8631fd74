//! Answers and refusals in the shapes that the service is known to use, each in its place.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::sandbox::model::Refusal;

pub(super) fn empty(status: u16) -> Response {
    let mut response = HttpResponse::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

pub(super) fn plain(status: u16, content_type: &'static str, text: impl Into<Body>) -> Response {
    let mut response = empty(status);
    *response.body_mut() = text.into();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) fn json(status: u16, value: &Value) -> Response {
    plain(status, "application/json", value.to_string())
}

/// The shape of most of the file system API.
pub(super) fn error_message(status: u16, message: &str) -> Response {
    json(status, &json!({ "errorMessage": message }))
}

/// The shape of the events API.
pub(super) fn message(status: u16, message: &str) -> Response {
    json(status, &json!({ "message": message }))
}

/// The shape of calls by id.
pub(super) fn form_error(status: u16, code: &str, message: &str) -> Response {
    json(status, &json!({ "formErrors": [{ "code": code, "msg": message }] }))
}

/// The shape of a field that was not understood.
pub(super) fn input_error(status: u16, field: &str, code: &str, message: &str) -> Response {
    let errors = json!({ "inputErrors": { field: [{ "code": code, "msg": message }] } });
    json(status, &errors)
}

/// What the gateway says of a token that it does not know, or not any more.
pub(super) fn unauthorized() -> Response {
    plain(401, "text/xml", "<h1>401 Unauthorized</h1>")
}

/// Why the model would not, in this service's words.
pub(super) fn refusal(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::NotFound | Refusal::Trashed => error_message(404, "Item does not exist at the requested location"),
        Refusal::NameInUse(_) => error_message(409, "An item of that name already exists at this location"),
        Refusal::NameInvalid(_) => input_error(400, "path", "INVALID_NAME", &refusal.to_string()),
        Refusal::Root => error_message(403, "You do not have permission to change this folder"),
        Refusal::Locked => error_message(403, "The file is locked by another user"),
        Refusal::NotEmpty | Refusal::Cycle | Refusal::Stale => error_message(400, &refusal.to_string()),
        Refusal::Content(_) => plain(500, "text/html", "<h1>Internal Server Error</h1>"),
    }
}
