//! Signing in: the token endpoint in its three forms, and who one is.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::LOCATION;
use axum::response::Response;
use serde_json::{Value, json};

use super::tree::username;
use super::{Ask, Query, SMALL_BODY_BYTES_MAX, reply};
use crate::sandbox::model::User;
use crate::sandbox::shared::now_ms;

/// Sends the browser back at once: the sandbox has nobody who could press a button.
pub(super) fn authorize(ask: &Ask) -> Response {
    let Some(Ok(mut back)) = ask.query.get("redirect_uri").map(url::Url::parse) else {
        return reply::form_error(400, "INVALID_REDIRECT", "redirect_uri is missing or malformed");
    };
    let state = ask.query.get("state").map(str::to_owned);
    if ask.query.get("response_type") == Some("token") {
        let token = ask.shared.tokens(|tokens| tokens.issue_access(User::Agent, now_ms(), None));
        back.set_fragment(Some(&format!("access_token={token}&token_type=bearer&state={}", state.unwrap_or_default())));
    } else {
        let code = ask.shared.tokens(|tokens| tokens.issue_code(User::Agent));
        back.query_pairs_mut().append_pair("code", &code);
        if let Some(state) = state {
            back.query_pairs_mut().append_pair("state", &state);
        }
    }
    let mut response = reply::empty(302);
    if let Ok(back) = HeaderValue::try_from(back.as_str()) {
        response.headers_mut().insert(LOCATION, back);
    }
    response
}

/// The fields of a form, or of the JSON that some clients send in its place.
async fn form(body: Body) -> Query {
    let bytes = axum::body::to_bytes(body, SMALL_BODY_BYTES_MAX).await.unwrap_or_default();
    if let Ok(Value::Object(fields)) = serde_json::from_slice(&bytes) {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return Query(fields.into_iter().map(|(key, value)| (key, text(value))).collect());
    }
    Query::parse(std::str::from_utf8(&bytes).ok())
}

pub(super) async fn token(ask: &Ask, body: Body) -> Response {
    let form = form(body).await;
    let refused = |error: &str, told: &str| {
        reply::json(400, &json!({ "error": error, "error_description": told, "errorMessage": told }))
    };
    if form.get("client_id").is_none_or(str::is_empty) {
        return refused("invalid_client", "client_id is missing");
    }
    let (now, lifetime) = (now_ms(), ask.shared.options.egnyte_access_lifetime.as_secs());
    let pair = match form.get("grant_type") {
        Some("refresh_token") => {
            let refresh = form.get("refresh_token").unwrap_or("");
            ask.shared.tokens(|tokens| tokens.rotate(refresh, now, lifetime))
        }
        Some("authorization_code") => {
            let code = form.get("code").unwrap_or("");
            ask.shared.tokens(|tokens| tokens.redeem_code(code, now, lifetime))
        }
        Some("password") if form.get("password").is_some_and(|password| !password.is_empty()) => {
            let user =
                [User::Agent, User::Other].into_iter().find(|user| form.get("username") == Some(username(*user)));
            user.map(|user| ask.shared.tokens(|tokens| tokens.issue_pair(user, now, lifetime)))
        }
        _ => return refused("unsupported_grant_type", "The grant type is not supported"),
    };
    match pair {
        Some(pair) => reply::json(
            200,
            &json!({
                "access_token": pair.access_token,
                "token_type": "bearer",
                "expires_in": pair.expires_in,
                "refresh_token": pair.refresh_token,
            }),
        ),
        None => refused("invalid_grant", "The credentials are not valid or not any more"),
    }
}

pub(super) async fn revoke(ask: &Ask, body: Body) -> Response {
    let form = form(body).await;
    let own = super::bearer(&ask.headers);
    ask.shared.tokens(|tokens| tokens.revoke(form.get("token").unwrap_or(own)));
    reply::empty(200)
}

pub(super) fn userinfo(ask: &Ask) -> Response {
    let user = ask.user;
    let (first, last) = user.name().split_once(' ').unwrap_or((user.name(), ""));
    reply::json(
        200,
        &json!({
            "id": user.id(),
            "first_name": first,
            "last_name": last,
            "username": username(user),
            "email": user.login(),
            "user_type": "power",
        }),
    )
}
