//! Parts of pages that change by themselves: a bounded number of event streams, each of which tells only what changed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use maud::Markup;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::page::Asked;
use crate::report::ReportError;

/// How often what is shown is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A comment after this long without news, so that both ends notice a connection that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// When a browser that found no place should ask again, in seconds.
const ASK_AGAIN_S: &str = "30";

/// What one look gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Look {
    /// The sentence that is read out when it changes.
    pub sentence: String,
    /// The part of the page.
    pub html: String,
}

impl Look {
    /// A look at a part without a sentence of its own.
    pub fn of(part: &Markup) -> Self {
        Self { sentence: String::new(), html: part.0.clone() }
    }
}

struct Watched<F> {
    asked: Asked,
    look: Arc<F>,
    last: Option<Look>,
    _place: OwnedSemaphorePermit,
}

/// A stream of looks until the session ends. `look` reads on the blocking pool.
pub fn stream<F>(asked: Asked, look: F) -> Response
where
    F: Fn(&Asked) -> Result<Look, ReportError> + Send + Sync + 'static,
{
    let Ok(place) = Arc::clone(&asked.app.web.streams).try_acquire_owned() else {
        let text = "Too many pages are watched already.";
        // Whoever asks for thousands keeps no connection from others.
        let headers = [(RETRY_AFTER, ASK_AGAIN_S), (CONNECTION, "close")];
        return (StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response();
    };
    let watched = Watched { asked, look: Arc::new(look), last: None, _place: place };
    let looks = stream::unfold(watched, |mut watched| async move {
        loop {
            if watched.last.is_some() {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = watched.asked.app.web.stop.cancelled() => return None,
                }
            }
            if !watched.asked.app.web.sessions.is_open(&watched.asked.session.key) {
                return None;
            }
            watched.asked.now = crate::daemon::wall_now();
            let (look, asked) = (Arc::clone(&watched.look), watched.asked.clone());
            let Ok(Ok(look)) = tokio::task::spawn_blocking(move || look(&asked)).await else { return None };
            if watched.last.as_ref() != Some(&look) {
                let event = Event::default().json_data(&look).ok()?;
                watched.last = Some(look);
                return Some((Ok::<_, Infallible>(event), watched));
            }
        }
    });
    Sse::new(looks).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}
