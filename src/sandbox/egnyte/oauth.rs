//! Signing in: the token endpoint in its three forms, and who one is.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::LOCATION;
use axum::response::Response;
use serde_json::{Value, json};

use super::tree::username;
use super::{Ask, Query, SMALL_BODY_BYTES_MAX, reply};
use crate::sandbox::apps::Refused;
use crate::sandbox::authorize;
use crate::sandbox::counters::Oddity;
use crate::sandbox::model::User;
use crate::sandbox::shared::{Shared, now_ms};
use crate::sandbox::tokens::{PASSWORD, Tokens};

/// The page that asks the person; the implicit flow is answered at once.
pub(super) fn authorize(ask: &Ask) -> Response {
    if ask.query.get("response_type") != Some("token") {
        return authorize::page(&ask.shared, "Egnyte", |name| ask.query.get(name));
    }
    let Some(Ok(mut back)) = ask.query.get("redirect_uri").map(url::Url::parse) else {
        return reply::form_error(400, "INVALID_REDIRECT", "redirect_uri is missing or malformed");
    };
    let state = ask.query.get("state").unwrap_or_default();
    let token = ask.shared.tokens(|tokens| tokens.issue_access(User::Agent, now_ms(), None));
    back.set_fragment(Some(&format!("access_token={token}&token_type=bearer&state={state}")));
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
    match ask.shared.tokens(|tokens| grant(tokens, &ask.shared, &form)) {
        Ok(answer) => reply::json(200, &answer),
        Err((error, told)) => refused(error, told),
    }
}

fn grant(tokens: &mut Tokens, shared: &Shared, form: &Query) -> Result<Value, Refused> {
    if form.get("client_id").is_none_or(str::is_empty) {
        return Err(("invalid_client", "client_id is missing"));
    }
    let (now, lifetime) = (now_ms(), shared.options.egnyte_access_lifetime.as_secs());
    let app = tokens.apps.check(form.get("client_id"), form.get("client_secret"))?.cloned();
    let invalid = ("invalid_grant", "The credentials are not valid or not any more");
    let pair = match form.get("grant_type") {
        Some("refresh_token") => {
            let refresh = form.get("refresh_token").unwrap_or("");
            if tokens.was_spent(refresh) {
                shared.counters.note(Oddity::RefreshTokenReused);
            }
            tokens.rotate(refresh, now, lifetime).ok_or(invalid)?
        }
        Some("authorization_code") => {
            let shown = (form.get("client_id"), form.get("redirect_uri"), form.get("code_verifier"));
            let code = form.get("code").unwrap_or("");
            tokens.redeem_code(code, shown, now, lifetime).map_err(|why| ("invalid_grant", why))?
        }
        Some("password") if app.as_ref().is_some_and(|app| !app.internal) => {
            return Err(("unauthorized_client", "This grant type is for internal applications"));
        }
        Some("password") => {
            let user =
                [User::Agent, User::Other].into_iter().find(|user| form.get("username") == Some(username(*user)));
            let password = form.get("password").unwrap_or_default();
            let right = if app.is_some() { password == PASSWORD } else { !password.is_empty() };
            let user = user.filter(|_| right).ok_or(invalid)?;
            if shared.options.egnyte_tokens_last {
                let access = tokens.issue_access_to(user, app.map(|app| app.client_id), now, None);
                return Ok(json!({ "access_token": access, "token_type": "bearer", "expires_in": -1 }));
            }
            tokens.issue_pair_to(user, app.map(|app| app.client_id), now, lifetime)
        }
        _ => return Err(("unsupported_grant_type", "The grant type is not supported")),
    };
    Ok(json!({
        "access_token": pair.access_token,
        "token_type": "bearer",
        "expires_in": pair.expires_in,
        "refresh_token": pair.refresh_token,
    }))
}

pub(super) async fn revoke(ask: &Ask, body: Body) -> Response {
    let form = form(body).await;
    let own = super::bearer(&ask.headers);
    ask.shared.tokens(|tokens| tokens.revoke(form.get("token").unwrap_or(own)));
    reply::empty(200)
}

/// One of the users of the domain.
pub(super) fn user(id: u64) -> Response {
    let Some(user) = [User::Agent, User::Other].into_iter().find(|user| user.id() == id) else {
        return reply::error_message(404, "User not found");
    };
    let (first, last) = user.name().split_once(' ').unwrap_or((user.name(), ""));
    reply::json(
        200,
        &json!({
            "id": user.id(),
            "userName": username(user),
            "externalId": null,
            "email": user.login(),
            "name": {"formatted": user.name(), "givenName": first, "familyName": last},
            "active": true,
            "locked": false,
            "authType": "egnyte",
            "userType": "power",
        }),
    )
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
