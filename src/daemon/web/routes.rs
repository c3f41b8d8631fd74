//! Which address is which page, and the ways in and out.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Form, Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, SET_COOKIE};
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use maud::html;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::page::{self, Asked};
use super::serve::Peer;
use super::session::Role;
use super::tries::Tries;
use super::{App, accounts, assets, callbacks, decide, events, folder, guard, item, overview, quarantine, search};
use crate::report::MetricsFormat;

/// The largest form.
const FORM_MAX_BYTES: usize = 64 << 10;
/// The pause after a wrong password.
const WRONG_PASSWORD_PAUSE: Duration = Duration::from_secs(1);
/// Passwords are tried one after the other, so that guessing is slow however many guess.
static TURNS: Semaphore = Semaphore::const_new(1);
/// The wrong ones, by where they came from.
static TRIES: LazyLock<Mutex<Tries>> = LazyLock::new(Mutex::default);

/// All pages of a listener.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(overview::page))
        .route("/live/overview", get(overview::live))
        .route("/sync", post(overview::sync))
        .route("/pause", post(overview::pause))
        .route("/resume", post(overview::resume))
        .route("/folder", get(folder::page))
        .route("/live/folder", get(folder::live))
        .route("/folder/search", get(search::page))
        .route("/folder/problems", get(folder::problems))
        .route("/folder/retry", post(folder::retry))
        .route("/item", get(item::page))
        .route("/item/restore", post(item::restore))
        .route("/item/kept", get(item::kept))
        .route("/events", get(events::page))
        .route("/live/events", get(events::live))
        .route("/callbacks", get(callbacks::page))
        .route("/callbacks/new", get(callbacks::new_page).post(callbacks::create))
        .route("/callback", get(callbacks::one_page).post(callbacks::change))
        .route("/callback/run", get(callbacks::run_page))
        .route("/callback/test", post(callbacks::test))
        .route("/callback/switch", post(callbacks::switch))
        .route("/callback/delete", post(callbacks::delete))
        .route("/callback/repeat", post(callbacks::repeat))
        .route("/quarantine", get(quarantine::page))
        .route("/quarantine/release", post(quarantine::release))
        .route("/quarantine/delete", post(quarantine::delete))
        .route("/quarantine/rescan", post(quarantine::rescan))
        .route("/decide", get(decide::page))
        .route("/decide/hold", get(decide::hold_page).post(decide::hold))
        .route("/decide/conflict", post(decide::conflict))
        .route("/accounts", get(accounts::page))
        .route("/metrics", get(metrics))
        .route("/enter/{token}", get(enter))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/assets/{name}", get(assets::asset))
        .fallback(missing)
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .layer(DefaultBodyLimit::max(FORM_MAX_BYTES))
        .with_state(app)
}

async fn missing(asked: Asked) -> Response {
    let body = html! {
        h1 { "Not found" }
        p { "There is no such page. " a href="/" { "Back to the overview" } }
    };
    (StatusCode::NOT_FOUND, asked.page("Not found", "", body)).into_response()
}

/// A link from the control socket.
async fn enter(State(app): State<App>, Path(token): Path<String>) -> Response {
    if let Some(session) = app.web.sessions.enter(&token) {
        return page::entered(app.site.set_cookie(Some(&session)));
    }
    let body = html! {
        h1 { "This link does not work any more" }
        p { "A link works once, for five minutes. Run " code { "agent web" } " for another." }
    };
    page::plain(StatusCode::GONE, "Sign in", body)
}

#[derive(Deserialize)]
struct Login {
    password: String,
}

async fn login(
    State(app): State<App>,
    Extension(Peer(address)): Extension<Peer>,
    Form(login): Form<Login>,
) -> Response {
    let Some(hash) = app.password.clone() else { return page::outside(&app, false) };
    let tries = || TRIES.lock().unwrap_or_else(PoisonError::into_inner);
    let wait = tries().wait(address, Instant::now());
    if let Some(wait) = wait {
        let text = "Too many wrong passwords came from there. Wait some minutes, or use a link: agent web.";
        let body = html! { h1 { "Sign in" } p role="alert" { (text) } };
        let refused = page::plain(StatusCode::TOO_MANY_REQUESTS, "Sign in", body);
        return ([(RETRY_AFTER, (wait.as_secs() + 1).to_string())], refused).into_response();
    }
    let fits = {
        let Ok(_turn) = TURNS.acquire().await else { return page::outside(&app, false) };
        let fits = tokio::task::spawn_blocking(move || hash.fits(&login.password)).await.unwrap_or(false);
        if fits {
            tries().was_right(address);
        } else {
            tries().was_wrong(address, Instant::now());
            tokio::time::sleep(WRONG_PASSWORD_PAUSE).await;
        }
        fits
    };
    if fits && let Some(session) = app.web.sessions.open(Role::Changes) {
        return page::entered(app.site.set_cookie(Some(&session)));
    }
    tracing::warn!("somebody gave a wrong password to the page in the browser");
    let body = html! { h1 { "Sign in" } (page::password(Some("This is not the password."))) };
    page::plain(StatusCode::UNAUTHORIZED, "Sign in", body)
}

/// Ends a session. Who may only look may leave as well, so that the form is checked here.
async fn logout(State(app): State<App>, asked: Asked, Form(fields): Form<Vec<(String, String)>>) -> Response {
    let csrf = fields.iter().find(|(name, _)| name == "csrf").map_or("", |(_, value)| value.as_str());
    if !super::session::same(csrf, &asked.session.csrf) {
        return (StatusCode::FORBIDDEN, "This form is not of this session. Load the page again.").into_response();
    }
    app.web.sessions.close(&asked.session.key);
    ([(SET_COOKIE, app.site.set_cookie(None))], Redirect::to("/")).into_response()
}

/// The agent's figures, for sessions and for monitoring systems with the token.
async fn metrics(State(app): State<App>) -> Response {
    match app.web.report(|web| web.reports.metrics(MetricsFormat::OpenMetrics)).await {
        Ok(document) => ([(CONTENT_TYPE, MetricsFormat::OpenMetrics.media_type())], document).into_response(),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
    }
}
