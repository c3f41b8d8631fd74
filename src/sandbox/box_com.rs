//! The Box face: which request is meant, who asks, and what is answered.
#![expect(clippy::result_large_err, reason = "what is refused is refused by a whole answer")]

mod change;
mod chunked;
mod enterprise;
mod events;
mod items;
mod limit;
mod listing;
mod oauth;
mod render;
mod reply;
mod route;
mod transfer;
mod upload;
mod versions;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::Response;
use serde_json::Value;

use super::counters::{Call, Oddity};
use super::faults::Fault;
use super::meddle::{self, bearer};
use super::model::User;
use super::shared::{Shared, now_ms};
use super::tokens::Standing;
use super::wire::Scissors;
use route::Route;

/// A JSON or form body larger than this is refused.
const SMALL_BODY_BYTES_MAX: usize = 8 << 20;

/// What the face remembers besides the cloud itself.
#[derive(Debug, Default)]
pub(crate) struct BoxState {
    channels: Mutex<HashMap<u64, events::Channel>>,
    channels_made: AtomicU64,
    errors: AtomicU64,
    sessions: Mutex<HashMap<String, chunked::Session>>,
    buckets: Mutex<HashMap<User, limit::Bucket>>,
}

/// One request on its way through the face.
struct Ask {
    shared: Arc<Shared>,
    route: Route,
    user: User,
    headers: HeaderMap,
    query: Query,
    /// What goes wrong with this one.
    faults: Vec<Fault>,
}

impl Ask {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The item's id, or a number that no item has.
    fn id(&self) -> u64 {
        self.route.id.parse().unwrap_or(u64::MAX)
    }
}

/// The parameters behind the question mark.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(raw: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(raw.unwrap_or("").as_bytes());
        Self(pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Python's clients write `True`, and the real service understands it.
    fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(|value| value.parse().ok())
    }
}

/// The service that answers every request of the sandbox's port.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(shared)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
) -> Response {
    let route = route::find(request.method(), request.uri().path());
    shared.counters.count(route.call);
    let faults = shared.faults_for(route.call, || vec![route.item().to_owned()]);
    if faults.is_empty() {
        return perform(shared, route, request, faults).await;
    }
    match meddle::before(&shared, &faults, &scissors, request, |shared| reply::unauthorized(shared, false)).await {
        Ok(request) => {
            let answer = perform(shared, route, request, faults.clone()).await;
            meddle::after(&faults, &scissors, answer)
        }
        Err(answer) => answer,
    }
}

async fn perform(shared: Arc<Shared>, route: Route, request: Request, faults: Vec<Fault>) -> Response {
    let user = match who(&shared, route.call, request.headers()) {
        Ok(user) => user,
        Err(refused) => return refused,
    };
    let (headers, query) = (request.headers().clone(), Query::parse(request.uri().query()));
    let ask = Ask { shared, route, user, headers, query, faults };
    match ask.route.call {
        Call::Authorize => oauth::authorize(&ask),
        Call::Token => oauth::token(&ask, request.into_body()).await,
        Call::Revoke => oauth::revoke(&ask, request.into_body()).await,
        Call::UserMe => oauth::user_me(&ask),
        Call::Events => events::page(&ask),
        Call::EventsOptions => events::servers(&ask),
        Call::Realtime => events::long_poll(&ask).await,
        Call::FolderItems => listing::items(&ask),
        Call::FolderGet | Call::FileGet => items::get(&ask),
        Call::FolderDelete | Call::FileDelete => change::delete(&ask),
        Call::FolderTrashGet | Call::FileTrashGet => change::trash_get(&ask),
        Call::FolderTrashDelete | Call::FileTrashDelete => change::trash_delete(&ask),
        Call::TrashItems => change::trash_items(&ask),
        Call::Versions => versions::list(&ask),
        Call::VersionGet => versions::get(&ask),
        Call::VersionDelete => versions::delete(&ask),
        Call::Content => transfer::redirect(&ask),
        Call::ContentRedirect => transfer::download(&ask),
        Call::UploadNew | Call::UploadVersion => upload::upload(&ask, request).await,
        Call::SessionGet => chunked::get(&ask),
        Call::SessionPart => chunked::put_part(&ask, request.into_body()).await,
        Call::SessionParts => chunked::list_parts(&ask),
        Call::SessionAbort => chunked::abort(&ask),
        Call::Unknown => reply::not_found(&ask, "unknown method or path"),
        _ => match small_json(request.into_body()).await {
            Some(body) => with_json(&ask, &body),
            None => reply::bad_request(&ask, "the body is not JSON"),
        },
    }
}

/// Calls whose body is a JSON object.
fn with_json(ask: &Ask, body: &Value) -> Response {
    match ask.route.call {
        Call::FolderCreate => change::create_folder(ask, body),
        Call::FolderUpdate | Call::FileUpdate => change::update(ask, body),
        Call::FolderRestore | Call::FileRestore => change::restore(ask, body),
        Call::FolderCopy | Call::FileCopy => change::copy(ask, body),
        Call::VersionPromote => versions::promote(ask, body),
        Call::Preflight => upload::preflight(ask, body),
        Call::SessionCreate => chunked::create(ask, body),
        Call::SessionPlan => chunked::plan(ask, body),
        Call::SessionCommit => chunked::commit(ask, body),
        _ => reply::not_found(ask, "unknown method or path"),
    }
}

/// The JSON of a body of bearable size; an empty body is an empty object.
async fn small_json(body: Body) -> Option<Value> {
    let bytes = axum::body::to_bytes(body, SMALL_BODY_BYTES_MAX).await.ok()?;
    if bytes.is_empty() { Some(Value::Object(serde_json::Map::new())) } else { serde_json::from_slice(&bytes).ok() }
}

/// The user whose token came along, where one is needed.
fn who(shared: &Shared, call: Call, headers: &HeaderMap) -> Result<User, Response> {
    match call {
        Call::ContentRedirect => {
            if headers.contains_key(AUTHORIZATION) {
                shared.counters.note(Oddity::BearerLeaked);
            }
            Ok(User::Agent)
        }
        Call::Authorize | Call::Token | Call::Revoke | Call::Realtime => Ok(User::Agent),
        _ => match shared.tokens(|tokens| tokens.standing(bearer(headers), now_ms())) {
            Standing::Good(user) => {
                let user = check_rights(shared, call, user, headers)?;
                check_rate(shared, user).map(|()| user)
            }
            standing => {
                shared.counters.note(Oddity::Unauthorized);
                Err(reply::unauthorized(shared, standing == Standing::Expired))
            }
        },
    }
}

/// Refuses what the token's application may not do; the user is the one that the call is made for.
fn check_rights(shared: &Shared, call: Call, user: User, headers: &HeaderMap) -> Result<User, Response> {
    let wanted = headers.get("as-user").and_then(|value| value.to_str().ok());
    let (events, write, for_others) = shared.tokens(|tokens| {
        tokens.app_of(bearer(headers)).map_or((true, true, true), |app| (app.events, app.write, app.as_user))
    });
    let refused = |code: &str, message: &str| Err(reply::json(403, reply::error_text(shared, 403, code, message, "")));
    let reads_events = matches!(call, Call::Events | Call::EventsOptions);
    if (reads_events && !events) || (call.writes() && !write) {
        return refused(
            "insufficient_scope",
            "The request requires higher privileges than provided by the access token.",
        );
    }
    match wanted {
        None => Ok(user),
        Some(_) if !for_others => {
            refused("access_denied_insufficient_permissions", "Access denied - insufficient permission")
        }
        Some(wanted) => match [User::Agent, User::Other].into_iter().find(|user| user.id().to_string() == wanted) {
            Some(user) => {
                shared.counters.note(Oddity::ActedForAnother);
                Ok(user)
            }
            None => refused("forbidden", "There is no such user"),
        },
    }
}

/// Refuses the call of a user who made too many.
fn check_rate(shared: &Shared, user: User) -> Result<(), Response> {
    let Some(per_minute) = shared.options.calls_per_minute else {
        return Ok(());
    };
    let now = Instant::now();
    let mut buckets = shared.box_com.buckets.lock().unwrap_or_else(PoisonError::into_inner);
    let bucket = buckets.entry(user).or_insert_with(|| limit::Bucket::new(per_minute, now));
    bucket.take(per_minute, now).map_err(|wait| reply::too_many(shared, wait))
}
