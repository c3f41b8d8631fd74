//! Signing in: the token endpoint with its one-use refresh tokens, and who one is.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::DATE;
use axum::response::Response;

use super::render;
use super::reply;
use super::{Ask, Query, SMALL_BODY_BYTES_MAX};
use crate::sandbox::apps::{App, Claimed, Refused};
use crate::sandbox::authorize;
use crate::sandbox::counters::Oddity;
use crate::sandbox::model::{ROOT, User};
use crate::sandbox::shared::{Shared, now_ms};
use crate::sandbox::tokens::Tokens;

/// The page that asks the person.
pub(super) fn authorize(ask: &Ask) -> Response {
    authorize::page(&ask.shared, "Box", |name| ask.query.get(name))
}

async fn form(body: Body) -> Option<Query> {
    let bytes = axum::body::to_bytes(body, SMALL_BODY_BYTES_MAX).await.ok()?;
    Some(Query::parse(Some(std::str::from_utf8(&bytes).ok()?)))
}

fn refused(ask: &Ask, error: &str, description: &str) -> Response {
    let mut text = format!(r#"{{"error":"{error}","error_description":"#);
    render::quote(&mut text, description);
    text.push('}');
    let mut response = reply::json(400, text);
    let clock = SystemTime::now();
    let skew_ms = ask.shared.tokens(|tokens| tokens.skew_ms);
    let skew = Duration::from_millis(skew_ms.unsigned_abs());
    let clock = if skew_ms < 0 { clock - skew } else { clock + skew };
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(clock)) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

pub(super) async fn token(ask: &Ask, body: Body) -> Response {
    let Some(form) = form(body).await else {
        return refused(ask, "invalid_request", "the body is not a form");
    };
    match ask.shared.tokens(|tokens| grant(tokens, &ask.shared, &form)) {
        Ok(answer) => reply::json(200, answer),
        Err((error, description)) => refused(ask, error, description),
    }
}

fn grant(tokens: &mut Tokens, shared: &Shared, form: &Query) -> Result<String, Refused> {
    let (now, lifetime) = (now_ms(), shared.options.access_lifetime.as_secs());
    let app = tokens.apps.check(form.get("client_id"), form.get("client_secret"))?.cloned();
    let pair = match form.get("grant_type") {
        Some("refresh_token") => {
            let refresh = form.get("refresh_token").unwrap_or("");
            if tokens.was_spent(refresh) {
                shared.counters.note(Oddity::RefreshTokenReused);
            }
            let pair = tokens.rotate(refresh, now, lifetime);
            pair.ok_or(("invalid_grant", "Refresh token has expired"))?
        }
        Some("authorization_code") => {
            let shown = (form.get("client_id"), form.get("redirect_uri"), form.get("code_verifier"));
            let code = form.get("code").unwrap_or("");
            tokens.redeem_code(code, shown, now, lifetime).map_err(|why| ("invalid_grant", why))?
        }
        Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
            let access = tokens.issue_access(User::Agent, now, Some(lifetime));
            return Ok(granted(&access, lifetime, None));
        }
        Some(kind @ ("client_credentials" | "urn:ietf:params:oauth:grant-type:jwt-bearer")) => {
            let field = |name: &str| form.get(name).unwrap_or_default().to_owned();
            let claimed = match &app {
                Some(app) if kind != "client_credentials" => {
                    let now_s = (now + tokens.skew_ms).div_euclid(1000);
                    tokens.apps.read_statement(app, form.get("assertion").unwrap_or(""), now_s)?
                }
                _ => Claimed { kind: field("box_subject_type"), id: field("box_subject_id") },
            };
            let user = subject(app.as_ref(), &claimed)?;
            let access = tokens.issue_access_to(user, app.map(|app| app.client_id), now, Some(lifetime));
            return Ok(granted(&access, lifetime, None));
        }
        _ => return Err(("unsupported_grant_type", "Grant type not supported")),
    };
    Ok(granted(&pair.access_token, lifetime, Some(&pair.refresh_token)))
}

/// Whose token an application gets that signs in by itself.
fn subject(app: Option<&App>, claimed: &Claimed) -> Result<User, Refused> {
    let user = [User::Agent, User::Other].into_iter().find(|user| claimed.id == user.id().to_string());
    let Some(app) = app else {
        return Ok(user.filter(|_| claimed.kind == "user").unwrap_or(User::Agent));
    };
    if !app.authorised {
        return Err(("unauthorized_client", "This app is not authorized by the enterprise admin"));
    }
    match claimed.kind.as_str() {
        "enterprise" if claimed.id == app.enterprise => Ok(User::Agent),
        "user" => user.ok_or(("invalid_grant", "Grant credentials are invalid")),
        _ => Err(("invalid_grant", "Grant credentials are invalid")),
    }
}

fn granted(access: &str, lifetime: u64, refresh: Option<&str>) -> String {
    let mut text =
        format!(r#"{{"access_token":"{access}","expires_in":{lifetime},"restricted_to":[],"token_type":"bearer""#);
    if let Some(refresh) = refresh {
        let _ = write!(text, r#","refresh_token":"{refresh}""#);
    }
    text.push('}');
    text
}

pub(super) async fn revoke(ask: &Ask, body: Body) -> Response {
    let Some(form) = form(body).await else {
        return refused(ask, "invalid_request", "the body is not a form");
    };
    let done = ask.shared.tokens(|tokens| {
        tokens.apps.check(form.get("client_id"), form.get("client_secret"))?;
        tokens.revoke(form.get("token").unwrap_or(""));
        Ok::<(), Refused>(())
    });
    if let Err((error, description)) = done {
        return refused(ask, error, description);
    }
    reply::with_type(200, "application/json", "")
}

pub(super) fn user_me(ask: &Ask) -> Response {
    let bytes = ask.shared.look(|model| model.any(ROOT).map_or(0, |root| root.bytes_below));
    let options = &ask.shared.options;
    let user = ask.user;
    let mut text =
        format!(r#"{{"type":"user","id":"{}","name":"{}","login":"{}","#, user.id(), user.name(), user.login());
    text.push_str(r#""created_at":"2020-01-02T03:04:05-07:00","modified_at":"2020-01-02T03:04:05-07:00","#);
    let _ = write!(
        text,
        r#""space_amount":{},"space_used":{bytes},"max_upload_size":{},"#,
        options.space_bytes, options.max_upload_bytes
    );
    text.push_str(r#""language":"en","timezone":"America/Los_Angeles","status":"active","job_title":"","#);
    text.push_str(r#""phone":"","address":"","avatar_url":"https://example.test/avatar","notification_email":null}"#);
    reply::json(200, text)
}
