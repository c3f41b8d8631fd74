//! The Box face: which request is meant, who asks, and what is answered.

mod events;
mod items;
mod listing;
mod oauth;
mod render;
mod reply;
mod route;
mod transfer;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Method};
use axum::response::Response;

use super::counters::{Call, Oddity};
use super::model::User;
use super::shared::{Shared, now_ms};
use super::tokens::Standing;
use route::Route;

/// A JSON or form body larger than this is refused.
const SMALL_BODY_BYTES_MAX: usize = 8 << 20;

/// What the face remembers besides the cloud itself.
#[derive(Debug, Default)]
pub(crate) struct BoxState {
    channels: Mutex<HashMap<u64, events::Channel>>,
    channels_made: AtomicU64,
    errors: AtomicU64,
}

/// One request on its way through the face.
struct Ask {
    shared: Arc<Shared>,
    route: Route,
    method: Method,
    user: User,
    headers: HeaderMap,
    query: Query,
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
        Self(
            pairs
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(|value| value.parse().ok())
    }
}

/// The service that answers every request of the sandbox's port.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let route = route::find(&parts.method, parts.uri.path());
    let call = route.call;
    shared.counters.count(call);
    let user = match who(&shared, call, &parts.headers) {
        Ok(user) => user,
        Err(refused) => return refused,
    };
    let query = Query::parse(parts.uri.query());
    let ask = Ask {
        shared,
        route,
        method: parts.method,
        user,
        headers: parts.headers,
        query,
    };
    dispatch(&ask, body).await
}

async fn dispatch(ask: &Ask, body: Body) -> Response {
    match ask.route.call {
        Call::Authorize => oauth::authorize(ask),
        Call::Token => oauth::token(ask, body).await,
        Call::Revoke => oauth::revoke(ask, body).await,
        Call::UserMe => oauth::user_me(ask),
        Call::Events => events::page(ask),
        Call::EventsOptions => events::servers(ask),
        Call::Realtime => events::long_poll(ask).await,
        Call::FolderItems => listing::items(ask),
        Call::FolderGet | Call::FileGet => items::get(ask),
        Call::Content => transfer::redirect(ask),
        Call::ContentRedirect => transfer::download(ask),
        _ => reply::not_found(ask, "unknown method or path"),
    }
}

/// The user whose token came along, where one is needed.
fn who(shared: &Shared, call: Call, headers: &HeaderMap) -> Result<User, Response> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| {
        value
            .strip_prefix("Bearer ")
            .or_else(|| value.strip_prefix("bearer "))
    });
    match call {
        Call::ContentRedirect => {
            if headers.contains_key(AUTHORIZATION) {
                shared.counters.note(Oddity::BearerLeaked);
            }
            Ok(User::Agent)
        }
        Call::Authorize | Call::Token | Call::Revoke | Call::Realtime => Ok(User::Agent),
        _ => match shared.tokens(|tokens| tokens.standing(bearer.unwrap_or(""), now_ms())) {
            Standing::Good(user) => Ok(user),
            standing => {
                shared.counters.note(Oddity::Unauthorized);
                Err(reply::unauthorized(shared, standing == Standing::Expired))
            }
        },
    }
}
