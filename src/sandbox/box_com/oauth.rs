//! Signing in: the token endpoint with its one-use refresh tokens, and who one is.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;

use super::render;
use super::reply;
use super::{Ask, Query, SMALL_BODY_BYTES_MAX};
use crate::sandbox::model::{ROOT, User};
use crate::sandbox::shared::now_ms;

/// Sends the browser back at once with a code: the sandbox has nobody who could press a button.
pub(super) fn authorize(ask: &Ask) -> Response {
    let Some(Ok(mut back)) = ask.query.get("redirect_uri").map(url::Url::parse) else {
        return reply::bad_request(ask, "redirect_uri is missing or malformed");
    };
    let code = ask.shared.tokens(|tokens| tokens.issue_code(User::Agent));
    back.query_pairs_mut().append_pair("code", &code);
    if let Some(state) = ask.query.get("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    let mut response = HttpResponse::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(back) = HeaderValue::try_from(back.as_str()) {
        response.headers_mut().insert(LOCATION, back);
    }
    response
}

async fn form(body: Body) -> Option<Query> {
    let bytes = axum::body::to_bytes(body, SMALL_BODY_BYTES_MAX)
        .await
        .ok()?;
    Some(Query::parse(Some(std::str::from_utf8(&bytes).ok()?)))
}

fn refused(error: &str, description: &str) -> Response {
    let mut text = format!(r#"{{"error":"{error}","error_description":"#);
    render::quote(&mut text, description);
    text.push('}');
    reply::json(400, text)
}

pub(super) async fn token(ask: &Ask, body: Body) -> Response {
    let Some(form) = form(body).await else {
        return refused("invalid_request", "the body is not a form");
    };
    let (now, lifetime) = (now_ms(), ask.shared.options.access_lifetime.as_secs());
    let user = match (form.get("box_subject_type"), form.get("box_subject_id")) {
        (Some("user"), Some(id)) if id == User::Other.id().to_string() => User::Other,
        _ => User::Agent,
    };
    let pair = match form.get("grant_type") {
        Some("refresh_token") => {
            let refresh = form.get("refresh_token").unwrap_or("");
            ask.shared
                .tokens(|tokens| tokens.rotate(refresh, now, lifetime))
        }
        Some("authorization_code") => {
            let code = form.get("code").unwrap_or("");
            ask.shared
                .tokens(|tokens| tokens.redeem_code(code, now, lifetime))
        }
        Some(
            "client_credentials"
            | "urn:ietf:params:oauth:grant-type:jwt-bearer"
            | "urn:ietf:params:oauth:grant-type:token-exchange",
        ) => {
            let access = ask
                .shared
                .tokens(|tokens| tokens.issue_access(user, now, Some(lifetime)));
            return reply::json(200, granted(&access, lifetime, None));
        }
        _ => return refused("unsupported_grant_type", "Grant type not supported"),
    };
    match pair {
        Some(pair) => reply::json(
            200,
            granted(&pair.access_token, lifetime, Some(&pair.refresh_token)),
        ),
        None if form.get("grant_type") == Some("refresh_token") => {
            refused("invalid_grant", "Invalid refresh token")
        }
        None => refused(
            "invalid_grant",
            "The authorization code is invalid or has expired",
        ),
    }
}

fn granted(access: &str, lifetime: u64, refresh: Option<&str>) -> String {
    let mut text = format!(
        r#"{{"access_token":"{access}","expires_in":{lifetime},"restricted_to":[],"token_type":"bearer""#
    );
    if let Some(refresh) = refresh {
        let _ = write!(text, r#","refresh_token":"{refresh}""#);
    }
    text.push('}');
    text
}

pub(super) async fn revoke(ask: &Ask, body: Body) -> Response {
    let Some(form) = form(body).await else {
        return refused("invalid_request", "the body is not a form");
    };
    ask.shared
        .tokens(|tokens| tokens.revoke(form.get("token").unwrap_or("")));
    reply::with_type(200, "application/json", "")
}

pub(super) fn user_me(ask: &Ask) -> Response {
    let bytes = ask
        .shared
        .look(|model| model.any(ROOT).map_or(0, |root| root.bytes_below));
    let options = &ask.shared.options;
    let user = ask.user;
    let mut text = format!(
        r#"{{"type":"user","id":"{}","name":"{}","login":"{}","#,
        user.id(),
        user.name(),
        user.login()
    );
    text.push_str(
        r#""created_at":"2020-01-02T03:04:05-07:00","modified_at":"2020-01-02T03:04:05-07:00","#,
    );
    let _ = write!(
        text,
        r#""space_amount":{},"space_used":{bytes},"max_upload_size":{},"#,
        options.space_bytes, options.max_upload_bytes
    );
    text.push_str(
        r#""language":"en","timezone":"America/Los_Angeles","status":"active","job_title":"","#,
    );
    text.push_str(r#""phone":"","address":"","avatar_url":"https://example.test/avatar","notification_email":null}"#);
    reply::json(200, text)
}
