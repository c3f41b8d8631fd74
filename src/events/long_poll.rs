//! Whether a long poll can be relied on: a pure policy of what it answered, what it failed to tell, and time.
//!
//! A held request looks the same whether the server waits for news, or the connection is half open, or a proxy swallowed it. Two things
//! tell them apart: the stream brings news that the long poll did not tell, and a request from a place before known news, which a server
//! that works answers at once. Nobody promises that a server looks at the place, so that silence to such a request proves something only
//! where one was answered before. While the long poll cannot be relied on, the stream is polled by its interval.

use std::time::Duration;

use crate::id::Cursor;

/// The safety net while something happened lately: the stream is read this often at least while a long poll is out, before chance adds a
/// fifth at most. With the time that one answer may take, news is here within two minutes whatever becomes of the long poll. A longer
/// `poll_max` takes its place.
pub const NET_UNDER_LONG_POLL: Duration = Duration::from_secs(75);
/// The same after a long quiet, in which an hour costs three reads and the long polls.
pub const NET_IN_QUIET: Duration = Duration::from_mins(20);
/// How long news keep the net tight.
pub const LATELY: Duration = Duration::from_mins(10);
/// A long poll may tell news this much later than the stream.
const TOLD_LATE: Duration = Duration::from_secs(15);
/// An answer that comes within this is about the place that was asked from, not about something new.
const AT_ONCE: Duration = Duration::from_secs(5);
/// How long a try of a long poll that cannot be relied on may take.
const TRIAL: Duration = Duration::from_mins(1);
/// Failures in a row that pass without a word: a connection may break.
const FAILURES_PASSED_OVER: u32 = 1;

/// What is known of an account's long poll.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LongPoll {
    /// Failures since it last worked.
    failures: u32,
    /// Why it failed last.
    cause: Option<String>,
    /// It held a request but did not tell what the stream had: only news that it tells proves that it works again.
    is_deaf: bool,
    /// A place before news that the stream brought.
    before_news: Option<Cursor>,
    /// When the stream brought news that the request under way has not told.
    untold_since: Option<u64>,
    /// The newest request asks from `before_news`.
    asks_from_before: bool,
    /// When it was made.
    asked_at: u64,
    /// A request from before known news was answered at once: the server looks at the place.
    looks_at_place: bool,
}

/// A request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// From which place.
    pub from: Cursor,
    /// For how long at most.
    pub limit: Duration,
}

impl LongPoll {
    /// Whether it is relied on.
    pub fn works(&self) -> bool {
        self.failures == 0
    }

    /// Failures since it last worked.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Why it is not relied on, once that is worth a word.
    pub fn trouble(&self) -> Option<&str> {
        self.cause.as_deref().filter(|_| self.is_deaf || self.failures > FAILURES_PASSED_OVER)
    }

    /// Whether the next try may follow at once: what is held costs the server nothing, and only a request that is out can tell.
    pub fn may_go_on(&self) -> bool {
        self.works() || self.is_deaf && !self.looks_at_place
    }

    /// The next request, where the stream is read up to `at` and `limit` is the usual one.
    pub fn ask(&mut self, at: &Cursor, limit: Duration, now: u64) -> Ask {
        self.untold_since = None;
        self.asked_at = now;
        let from_before = !self.works() && (self.looks_at_place || !self.asks_from_before);
        let before = self.before_news.clone().filter(|_| from_before);
        self.asks_from_before = before.is_some();
        let limit = if self.works() { limit } else { limit.min(TRIAL) };
        Ask { from: before.unwrap_or_else(|| at.clone()), limit }
    }

    /// The stream brought news behind `before`. `is_out` says whether a request is under way.
    pub fn stream_had_news(&mut self, before: &Cursor, is_out: bool, now: u64) {
        self.before_news = Some(before.clone());
        if is_out {
            self.untold_since.get_or_insert(now);
        }
    }

    /// The request told news.
    pub fn told(&mut self, now: u64) {
        self.looks_at_place |= self.asks_from_before && now <= self.asked_at + AT_ONCE.as_millis() as u64;
        self.recover();
    }

    fn recover(&mut self) {
        let (before_news, looks_at_place) = (self.before_news.take(), self.looks_at_place);
        *self = Self { before_news, looks_at_place, ..Self::default() };
    }

    /// The request was held to its end without a word.
    pub fn was_quiet(&mut self) {
        if self.works() {
            return;
        }
        if self.asks_from_before && self.looks_at_place {
            self.fell_silent();
        } else if !self.is_deaf {
            // It refused before and holds now; whether it tells anything is seen with the next news.
            self.recover();
        }
    }

    /// The request failed.
    pub fn failed(&mut self, cause: String) {
        self.failures = self.failures.saturating_add(1);
        self.untold_since = None;
        self.cause = Some(cause);
    }

    /// When the request under way is given up, if it does not tell by then what the stream had.
    pub fn given_up_at(&self) -> Option<u64> {
        self.untold_since.map(|since| since.saturating_add(TOLD_LATE.as_millis() as u64))
    }

    /// Whether the request under way is to be given up now. It counts as failed then.
    pub fn gives_up(&mut self, now: u64) -> bool {
        let is_late = self.given_up_at().is_some_and(|at| now >= at);
        if is_late {
            self.fell_silent();
        }
        is_late
    }

    fn fell_silent(&mut self) {
        self.failed("the request is held, but news that the stream has is not told".into());
        self.is_deaf = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_mins(11);
    const LATE: u64 = TOLD_LATE.as_millis() as u64;

    fn at(place: u32) -> Cursor {
        Cursor::new(place.to_string())
    }

    #[test]
    fn news_that_is_told_in_time_keeps_it_trusted() {
        let mut poll = LongPoll::default();
        assert_eq!(poll.ask(&at(1), USUAL, 0), Ask { from: at(1), limit: USUAL });
        poll.stream_had_news(&at(1), true, 100);
        assert!(!poll.gives_up(100 + LATE - 1));
        poll.told(100 + LATE - 1);
        assert!(!poll.gives_up(u64::MAX), "what was told is not late");
        assert!(poll.works() && poll.trouble().is_none());
        // News that came while no request was out blames none.
        poll.stream_had_news(&at(2), false, 200);
        assert_eq!(poll.given_up_at(), None);
        assert_eq!(poll.ask(&at(3), USUAL, 300), Ask { from: at(3), limit: USUAL });
    }

    /// One that was given up: news was behind place 2, and the stream is read up to place 3.
    fn given_up() -> LongPoll {
        let mut poll = LongPoll::default();
        poll.ask(&at(1), USUAL, 0);
        poll.stream_had_news(&at(1), true, 100);
        poll.stream_had_news(&at(2), true, 5_000);
        assert!(poll.gives_up(100 + LATE), "counted from the first news that was not told");
        assert!(!poll.works() && poll.trouble().is_some());
        poll
    }

    #[test]
    fn one_that_was_given_up_is_tried_from_before_the_news_and_from_now_until_it_tells() {
        let mut poll = given_up();
        for _ in 0..3 {
            assert_eq!(poll.ask(&at(3), USUAL, 0), Ask { from: at(2), limit: TRIAL });
            poll.was_quiet();
            assert_eq!(
                poll.ask(&at(3), USUAL, 0),
                Ask { from: at(3), limit: TRIAL },
                "the server may ignore the place"
            );
            poll.was_quiet();
            assert!(!poll.works() && poll.may_go_on(), "holding proves nothing, and may be right");
        }
        poll.told(30_000);
        assert!(poll.works() && poll.trouble().is_none() && !poll.looks_at_place);
    }

    #[test]
    fn a_server_that_looks_at_the_place_is_known_to_be_deaf_when_it_is_silent() {
        let mut poll = given_up();
        poll.ask(&at(3), USUAL, 1_000);
        poll.told(1_100);
        assert!(poll.works());
        poll.ask(&at(3), USUAL, 2_000);
        poll.stream_had_news(&at(3), true, 3_000);
        assert!(poll.gives_up(3_000 + LATE));
        for failures in 2..5 {
            assert_eq!(poll.ask(&at(4), USUAL, 20_000), Ask { from: at(3), limit: TRIAL });
            poll.was_quiet();
            assert_eq!((poll.failures(), poll.may_go_on()), (failures, false));
        }
    }

    #[test]
    fn one_failure_passes_unsaid_and_a_second_is_said_until_a_request_is_held() {
        let mut poll = LongPoll::default();
        poll.ask(&at(1), USUAL, 0);
        poll.failed("403".into());
        assert_eq!((poll.works(), poll.trouble()), (false, None));
        assert_eq!(poll.ask(&at(1), USUAL, 0), Ask { from: at(1), limit: TRIAL });
        poll.failed("403".into());
        assert_eq!((poll.trouble(), poll.may_go_on()), (Some("403"), false));
        poll.ask(&at(1), USUAL, 0);
        poll.was_quiet();
        assert!(poll.works() && poll.trouble().is_none());
        // A server that ignores the place is not blamed for its silence.
        poll.failed("403".into());
        poll.stream_had_news(&at(1), false, 7);
        poll.ask(&at(2), USUAL, 0);
        poll.was_quiet();
        assert!(poll.works());
    }
}
