//! Following Egnyte's event stream: which form of it, and how a place in a quiet stream is kept from growing too old.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::api::{Api, EventsVersion};
use super::translate::{self, EVENTS_COUNT, Ends};
use crate::events::EventPage;
use crate::id::Cursor;
use crate::provider::{ProviderError, ProviderErrorKind, Result};
use crate::settings::Suppress;
use crate::tree::Wall;

/// A place that did not move for so long is moved to the newest one if there is nothing in between. Busy domains keep events for days only.
const ADVANCE_EVERY: Duration = Duration::from_hours(12);
/// How long after a position was seen an empty list proves that nothing lies before it: events are listed with some delay.
const LISTED_AFTER: Duration = Duration::from_mins(1);
/// How many events before the newest are told at most after the place was lost: 100 calls, a tenth of a day's allowance. What is older is covered
/// by the full comparison that follows anyway.
const RESTART_EVENTS: u64 = 10_000;

/// What is known of an account's stream.
#[derive(Debug)]
pub struct EventStream {
    suppress: Suppress,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    form: Form,
    /// When the place was last known to be a good one.
    moved_at: Option<Instant>,
    /// The newest position as it was some time ago, to be adopted as soon as the list says that there is nothing before it.
    ahead: Option<(u64, Instant)>,
}

/// Which form of the event list this domain answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Form {
    /// The newer one, which has not answered yet.
    #[default]
    Untried,
    Newer,
    Older,
}

impl EventStream {
    /// A stream of which nothing is known yet.
    pub fn new(suppress: Suppress) -> Self {
        Self { suppress, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place is a good one, and whatever was seen ahead of it is of no use any more.
    fn moved(&self) {
        let mut state = self.state();
        state.moved_at = Some(Instant::now());
        state.ahead = None;
    }

    /// Where to go on when nothing is listed: the newest position that was seen long enough ago.
    fn advance(&self, at: u64) -> u64 {
        let ahead = self.state().ahead.filter(|(_, seen)| seen.elapsed() >= LISTED_AFTER);
        match ahead {
            Some((ahead, _)) => {
                self.moved();
                ahead.max(at)
            }
            None => at,
        }
    }

    /// The newest position.
    pub async fn newest(&self, api: &Api) -> Result<Cursor> {
        let ends = api.ends().await?;
        self.moved();
        Ok(Cursor::new(ends.latest.to_string()))
    }

    /// Where to read on after the place was lost: from the oldest event that is kept, as the provider advises, within reason.
    pub async fn restart(&self, api: &Api) -> Result<Cursor> {
        let ends = api.ends().await?;
        self.moved();
        let from = ends.oldest.max(ends.latest.saturating_sub(RESTART_EVENTS)).min(ends.latest);
        Ok(Cursor::new(from.to_string()))
    }

    /// The oldest place that the provider takes. It promises to take that of the oldest event that is kept, behind which that event is not
    /// told; where it takes the place before, nothing that is kept is left out.
    pub async fn oldest(&self, api: &Api) -> Result<Cursor> {
        let ends = api.ends().await?;
        Ok(Cursor::new(self.before_all(api, ends).await?.to_string()))
    }

    async fn before_all(&self, api: &Api, ends: Ends) -> Result<u64> {
        let oldest = ends.oldest.min(ends.latest);
        let before = oldest.saturating_sub(1);
        match self.list(api, before).await {
            Ok(_) => Ok(before),
            Err(error) if matches!(error.kind, ProviderErrorKind::CursorLost | ProviderErrorKind::Refused) => {
                Ok(oldest)
            }
            Err(error) => Err(error),
        }
    }

    /// A place before everything that happened since a moment: ids rise with time, so that halving finds it in a score of calls.
    pub async fn at(&self, api: &Api, since: Wall) -> Result<Cursor> {
        let ends = api.ends().await?;
        let (mut before, mut behind) = (self.before_all(api, ends).await?, ends.latest);
        while behind - before > EVENTS_COUNT as u64 {
            let middle = before + (behind - before) / 2;
            let next = match self.list(api, middle).await? {
                Some(text) => translate::event_page(&text, middle)?.events.into_iter().find_map(|event| event.at),
                None => None,
            };
            // Nothing behind the middle, or something too new there: what is looked for begins before it.
            if next.is_some_and(|at| at < since) {
                before = middle;
            } else {
                behind = middle;
            }
        }
        Ok(Cursor::new(before.to_string()))
    }

    /// How many pages there are at most from a place to the end.
    pub async fn calls_to_read(&self, api: &Api, cursor: &Cursor) -> Result<u64> {
        let ends = api.ends().await?;
        let from = place(cursor)?.max(ends.oldest);
        Ok(ends.latest.saturating_sub(from) / EVENTS_COUNT as u64 + 1)
    }

    /// Whether a place lies between the ends of the stream. One beyond the newest event is of another stream (the domain was restored or
    /// moved), unless the newest event is told late and the list knows better.
    pub async fn check(&self, api: &Api, cursor: &Cursor) -> Result<()> {
        let at = place(cursor)?;
        let ends = api.ends().await?;
        if has_lost(at, ends) {
            return Err(lost("events after our place in the stream are no longer kept"));
        }
        if at <= ends.latest {
            return Ok(());
        }
        let listed = match self.list(api, ends.latest).await? {
            Some(text) => translate::event_page(&text, ends.latest)?.next,
            None => Cursor::new(ends.latest.to_string()),
        };
        if place(&listed)? >= at {
            return Ok(());
        }
        Err(lost("our place lies beyond the newest event").with("place", at).with("newest", ends.latest))
    }

    /// The events after a cursor.
    pub async fn read(&self, api: &Api, cursor: &Cursor) -> Result<EventPage> {
        let at = place(cursor)?;
        let rested = {
            let state = self.state();
            state.ahead.is_none() && state.moved_at.is_none_or(|moved| moved.elapsed() >= ADVANCE_EVERY)
        };
        if rested {
            let ends = api.ends().await?;
            if has_lost(at, ends) {
                return Err(lost("events after our place in the stream are no longer kept"));
            }
            self.state().ahead = Some((ends.latest, Instant::now()));
        }
        // A position is adopted only if it was seen before the list was asked for: what happened in between would be skipped.
        let Some(text) = self.list(api, at).await? else {
            let next = Cursor::new(self.advance(at).to_string());
            return Ok(EventPage { events: Vec::new(), next, caught_up: true });
        };
        let page = translate::event_page(&text, at)?;
        if page.next != *cursor {
            self.moved();
        }
        Ok(page)
    }

    async fn list(&self, api: &Api, at: u64) -> Result<Option<String>> {
        let form = self.state().form;
        if form == Form::Older {
            return api.events(EventsVersion::V1, at, self.suppress).await;
        }
        let refused = match api.events(EventsVersion::V2, at, self.suppress).await {
            Ok(page) => {
                self.state().form = Form::Newer;
                return Ok(page);
            }
            Err(error) => error,
        };
        // A domain that does not have the newer form may say so in several ways, one of which looks like a lost place.
        let perhaps_missing = matches!(
            refused.kind,
            ProviderErrorKind::CursorLost
                | ProviderErrorKind::Forbidden
                | ProviderErrorKind::Conflict
                | ProviderErrorKind::Refused
        );
        if form == Form::Newer || !perhaps_missing {
            return Err(self.judged(api, at, refused).await);
        }
        match api.events(EventsVersion::V1, at, self.suppress).await {
            Ok(page) => {
                self.state().form = Form::Older;
                Ok(page)
            }
            Err(error) if error.kind == ProviderErrorKind::CursorLost => Err(error),
            Err(_) => Err(self.judged(api, at, refused).await),
        }
    }

    /// A refusal that is not the documented one for a lost place may still mean it: a place outside of the stream is lost.
    async fn judged(&self, api: &Api, at: u64, refused: ProviderError) -> ProviderError {
        if refused.kind != ProviderErrorKind::Refused {
            return refused;
        }
        match api.ends().await {
            Ok(ends) if has_lost(at, ends) || at > ends.latest => {
                ProviderError { kind: ProviderErrorKind::CursorLost, ..refused }
            }
            _ => refused,
        }
    }
}

fn place(cursor: &Cursor) -> Result<u64> {
    translate::position(cursor).ok_or_else(|| lost("the place in the stream is not one of Egnyte's"))
}

/// Whether events after this place may have been dropped.
fn has_lost(at: u64, ends: Ends) -> bool {
    at < ends.latest && at.saturating_add(1) < ends.oldest
}

fn lost(why: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::CursorLost, why).with("operation", "events")
}
