//! The Egnyte face: which request is meant, who asks, and what is answered.
#![expect(clippy::result_large_err, reason = "what is refused is refused by a whole answer")]

mod change;
mod chunked;
mod events;
mod hands;
mod ids;
mod listing;
mod names;
mod oauth;
mod quota;
mod reply;
mod route;
mod transfer;
mod trash;
mod tree;
mod upload;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::any;

use super::Options;
use super::counters::{Call, Oddity};
use super::faults::Fault;
use super::meddle::{self, bearer};
use super::model::User;
use super::shared::{Shared, now_ms};
use super::tokens::Standing;
use super::wire::Scissors;
pub use quota::{Quota, ThrottleForm};
use route::{Route, Target};
/// A JSON or form body larger than this is refused.
const SMALL_BODY_BYTES_MAX: usize = 8 << 20;

/// What the face remembers besides the cloud itself.
#[derive(Debug)]
pub(crate) struct EgnyteState {
    sessions: Mutex<HashMap<String, chunked::Session>>,
    meters: Mutex<quota::Meters>,
    /// Whether the roots of the tree have been seen to.
    rooted: AtomicBool,
}

impl EgnyteState {
    pub fn new(options: &Options) -> Self {
        let meters = quota::Meters::new(options.egnyte_quota);
        Self { sessions: Mutex::default(), meters: Mutex::new(meters), rooted: AtomicBool::new(false) }
    }

    /// Does something with the calls that were counted.
    pub fn meters<T>(&self, with: impl FnOnce(&mut quota::Meters) -> T) -> T {
        with(&mut self.meters.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn sessions<T>(&self, with: impl FnOnce(&mut HashMap<String, chunked::Session>) -> T) -> T {
        with(&mut self.sessions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets the chunks of every upload that is not finished, as the service does after a day.
    pub fn forget_chunks(&self) {
        self.sessions(HashMap::clear);
    }
}

/// One request on its way through the face.
struct Ask {
    shared: Arc<Shared>,
    route: Route,
    user: User,
    headers: HeaderMap,
    query: Query,
    /// Whether the second version of an API is asked for, where there are two.
    is_v2: bool,
    /// What goes wrong with this one.
    faults: Vec<Fault>,
}

impl Ask {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
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

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(|value| value.parse().ok())
    }

    /// Python's clients write `True`, and the real service understands it.
    fn flag(&self, key: &str, default: bool) -> bool {
        self.get(key).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }
}

/// The service below the two prefixes, which no other provider has.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/pubapi/{*rest}", any(answer))
        .route("/puboauth/{*rest}", any(answer))
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
) -> Response {
    tree::ensure_roots(&shared);
    // What a POST to a place in the tree means is written in its body.
    let (request, body) = match read_small(request).await {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let route = route::find(request.method(), request.uri(), body.as_deref());
    shared.counters.count(route.call);
    let faults = shared.faults_for(route.call, || tree::names_of(&shared, &route.target));
    if faults.is_empty() {
        return perform(shared, route, request, faults).await;
    }
    match meddle::before(&shared, &faults, &scissors, request, |_| reply::unauthorized()).await {
        Ok(request) => {
            let answer = perform(shared, route, request, faults.clone()).await;
            meddle::after(&faults, &scissors, answer)
        }
        Err(answer) => answer,
    }
}

/// The body of a request that is no upload, which the request then still has.
async fn read_small(request: Request) -> Result<(Request, Option<Bytes>), Response> {
    if route::is_upload(request.uri().path()) {
        return Ok((request, None));
    }
    let (parts, body) = request.into_parts();
    let read = axum::body::to_bytes(body, SMALL_BODY_BYTES_MAX).await;
    let bytes = read.map_err(|_| reply::error_message(400, "the body is broken or too large"))?;
    Ok((Request::from_parts(parts, Body::from(bytes.clone())), Some(bytes)))
}

async fn perform(shared: Arc<Shared>, route: Route, request: Request, faults: Vec<Fault>) -> Response {
    let (user, charge) = match who(&shared, route.call, request.headers()) {
        Ok(known) => known,
        Err(refused) => return refused,
    };
    let (headers, query) = (request.headers().clone(), Query::parse(request.uri().query()));
    let is_v2 = request.uri().path().starts_with("/pubapi/v2/");
    let ask = Ask { shared, route, user, headers, query, is_v2, faults };
    let mut response = act(&ask, request).await;
    quota::stamp(&mut response, charge.as_ref());
    response
}

async fn act(ask: &Ask, request: Request) -> Response {
    match (ask.route.call, &ask.route.target) {
        (_, Target::Malformed) => reply::plain(596, "text/plain", "596 Service Not Found"),
        (Call::EgnyteAuthorize, _) => oauth::authorize(ask),
        (Call::EgnyteToken, _) => oauth::token(ask, request.into_body()).await,
        (Call::EgnyteRevoke, _) => oauth::revoke(ask, request.into_body()).await,
        (Call::EgnyteUserinfo, _) => oauth::userinfo(ask),
        (Call::EgnyteUser, Target::User(id)) => oauth::user(*id),
        (Call::EgnyteCursor, _) => events::cursor(ask),
        (Call::EgnyteEvents, _) => events::page(ask),
        (Call::EgnyteList | Call::EgnyteStat, _) => listing::get(ask),
        (Call::EgnyteFolderStats, _) => listing::stats(ask),
        (Call::EgnyteDownload, _) => transfer::download(ask),
        (Call::EgnyteUpload, _) => upload::upload(ask, request).await,
        (Call::EgnyteChunk, _) => chunked::put(ask, request.into_body()).await,
        (Call::EgnyteDelete, _) => change::delete(ask),
        (Call::EgnyteTrashList, _) => trash::list(ask),
        (Call::EgnyteUnknown, Target::Path(_) | Target::Folder(_) | Target::File(_)) => {
            reply::error_message(400, "The action is missing or not known")
        }
        (Call::EgnyteUnknown, _) => reply::plain(596, "text/xml", "<h1>596 Service Not Found</h1>"),
        _ => change::with_body(ask, request.into_body()).await,
    }
}

/// The user whose token came along, and what the call costs, where a token is needed.
fn who(shared: &Shared, call: Call, headers: &HeaderMap) -> Result<(User, Option<quota::Charge>), Response> {
    if [Call::EgnyteAuthorize, Call::EgnyteToken].contains(&call) {
        return Ok((User::Agent, None));
    }
    let token = bearer(headers);
    let Standing::Good(user) = shared.tokens(|tokens| tokens.standing(token, now_ms())) else {
        shared.counters.note(Oddity::Unauthorized);
        return Err(reply::unauthorized());
    };
    let charge = shared.egnyte.meters(|meters| meters.charge(token, now_ms()));
    charge.map(|charge| (user, charge)).map_err(|refused| {
        shared.counters.note(Oddity::Throttled);
        refused.response()
    })
}
