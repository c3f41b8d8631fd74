//! How many streams an account's transfers may have under way together, and whether one download gains by more of them.
//!
//! A transfer always has its stream. What the others leave of the account's number may help a long download, as long as each doubling
//! brings bytes faster: a stream that does not is given up again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// One download has at most so many.
pub const STREAMS_MAX: u32 = 8;
/// The time over which bytes are counted before a decision.
const WINDOW: Duration = Duration::from_millis(700);
/// A download that is over sooner than this gains nothing.
const WORTH: Duration = Duration::from_secs(1);
/// Twice the streams must bring so much more, in percent of what the half brought.
const GAIN_PERCENT: u64 = 130;

/// The streams of an account's transfers.
#[derive(Debug, Clone, Default)]
pub struct Streams(Arc<Books>);

#[derive(Debug, Default)]
struct Books {
    most: AtomicU32,
    used: AtomicU32,
}

/// A stream is under way until this is dropped.
#[derive(Debug)]
pub struct Stream(Streams);

impl Streams {
    /// At most so many together.
    pub fn new(most: u32) -> Self {
        let streams = Self::default();
        streams.follow(most);
        streams
    }

    /// Another number from now on.
    pub fn follow(&self, most: u32) {
        self.0.most.store(most, Ordering::Relaxed);
    }

    /// A transfer begins, which the engine has found room for.
    pub fn enter(&self) -> Stream {
        self.0.used.fetch_add(1, Ordering::AcqRel);
        Stream(self.clone())
    }

    /// One more stream for a transfer that has one, if there is room.
    pub fn another(&self) -> Option<Stream> {
        let most = self.0.most.load(Ordering::Relaxed);
        let more = |used: u32| (used < most).then_some(used + 1);
        self.0.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Stream(self.clone()))
    }

    /// Whether transfers have begun that need the room of those that have more than one stream.
    pub fn is_crowded(&self) -> bool {
        self.0.used.load(Ordering::Acquire) > self.0.most.load(Ordering::Relaxed)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.0.used.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether a download gains by more streams.
#[derive(Debug)]
pub struct Growth {
    since: Instant,
    /// Bytes that were there then.
    bytes: u64,
    /// What half the streams brought, in bytes a second, and how many they were.
    before: Option<(u32, u64)>,
    settled: bool,
}

impl Growth {
    /// A download begins that has so many bytes already.
    pub fn new(now: Instant, bytes: u64) -> Self {
        Self { since: now, bytes, before: None, settled: false }
    }

    /// How many streams there should be, where there are `streams`, `bytes` are there, and `left` are to come.
    pub fn wanted(&mut self, now: Instant, streams: u32, bytes: u64, left: u64) -> u32 {
        let took = now.duration_since(self.since);
        if took < WINDOW {
            return streams;
        }
        let rate = (bytes.saturating_sub(self.bytes) as f64 / took.as_secs_f64()) as u64;
        (self.since, self.bytes) = (now, bytes);
        if self.settled || rate == 0 {
            return streams;
        }
        if let Some((fewer, brought)) = self.before.take_if(|(fewer, _)| *fewer < streams)
            && rate < brought / 100 * GAIN_PERCENT
        {
            self.settled = true;
            return fewer;
        }
        let is_worth_it = Duration::from_secs_f64(left as f64 / rate as f64) >= WORTH && streams < STREAMS_MAX;
        if !is_worth_it {
            return streams;
        }
        self.before = Some((streams, rate));
        (streams * 2).min(STREAMS_MAX)
    }

    /// No more streams: they failed, or the server does not give parts.
    pub fn settle(&mut self) {
        self.settled = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    /// The number of streams after each second, where each brings `each` as far as all together bring `most`.
    fn grown(each: u64, most: u64, size: u64, room: u32) -> Vec<u32> {
        let begun = Instant::now();
        let mut growth = Growth::new(begun, 0);
        let (mut streams, mut bytes) = (1, 0);
        let mut seen = Vec::new();
        for second in 1..=6 {
            bytes += (each * u64::from(streams)).min(most);
            let now = begun + Duration::from_secs(second);
            streams = growth.wanted(now, streams, bytes, size.saturating_sub(bytes)).min(room);
            seen.push(streams);
        }
        seen
    }

    #[test]
    fn streams_double_as_long_as_they_bring_more() {
        assert_eq!(grown(20 * MB, 1_000 * MB, 5_000 * MB, 16), [2, 4, 8, 8, 8, 8], "each connection is slow");
        assert_eq!(grown(500 * MB, 500 * MB, 9_000 * MB, 16), [2, 1, 1, 1, 1, 1], "the second brings nothing");
        assert_eq!(grown(20 * MB, 80 * MB, 5_000 * MB, 16), [2, 4, 8, 4, 4, 4], "eight bring no more than four");
        assert_eq!(grown(20 * MB, 80 * MB, 40 * MB, 16), [1, 1, 1, 1, 1, 1], "it is over soon");
        assert_eq!(grown(20 * MB, 1_000 * MB, 5_000 * MB, 1), [1, 1, 1, 1, 1, 1], "there is no room");
    }

    #[test]
    fn a_transfer_has_its_stream_and_others_have_what_is_left() {
        let streams = Streams::new(2);
        let first = streams.enter();
        let second = streams.another().unwrap();
        assert!(streams.another().is_none() && !streams.is_crowded());
        let other = streams.enter();
        assert!(streams.is_crowded());
        drop(second);
        assert!(!streams.is_crowded() && streams.another().is_none());
        drop((first, other));
        assert!(streams.another().is_some());
        streams.follow(0);
        assert!(streams.another().is_none());
    }
}
