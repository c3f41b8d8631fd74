//! The transfers under way, and how fast a folder's content moves: what status shows of them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::id::{FolderId, JobId};
use crate::report::{Progress, Transfer};

/// The time that a rate is measured over. Shorter, and it jumps; longer, and it tells of the past.
const WINDOW: Duration = Duration::from_secs(10);
/// What is counted together.
const SLICE: Duration = Duration::from_millis(500);
/// A window that has only begun tells nothing yet.
const MEASURED_FROM: Duration = Duration::from_secs(1);

/// Which way content goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the cloud.
    Down,
    /// To the cloud.
    Up,
}

/// A transfer under way, as its worker counts it.
#[derive(Debug)]
struct Live {
    folder: FolderId,
    path: String,
    way: Way,
    done: Arc<AtomicU64>,
    total: Option<u64>,
}

/// The transfers under way, for whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Transfers(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    live: BTreeMap<JobId, Live>,
    meters: HashMap<FolderId, Meters>,
    /// Bytes since the start, of all folders.
    moved: u64,
}

#[derive(Debug, Default)]
struct Meters {
    down: Meter,
    up: Meter,
}

/// Counts the bytes of one transfer; what is sent again counts again, as it takes its time again.
#[derive(Debug)]
pub struct Counter {
    transfers: Transfers,
    folder: FolderId,
    way: Way,
    done: Arc<AtomicU64>,
}

impl Counter {
    /// So many bytes of the content have passed.
    pub fn reached(&self, bytes: u64) {
        let before = self.done.swap(bytes, Ordering::Relaxed);
        if bytes > before {
            self.transfers.moved(self.folder, self.way, bytes - before);
        }
    }
}

impl Transfers {
    /// A transfer begins.
    pub fn begin(&self, job: JobId, folder: FolderId, way: Way, path: String, total: Option<u64>) -> Counter {
        let done = Arc::new(AtomicU64::new(0));
        self.books().live.insert(job, Live { folder, path, way, done: Arc::clone(&done), total });
        Counter { transfers: self.clone(), folder, way, done }
    }

    /// It has ended, well or not.
    pub fn end(&self, job: JobId) {
        self.books().live.remove(&job);
    }

    /// The transfers of a folder.
    pub fn of(&self, folder: FolderId) -> Vec<Transfer> {
        let books = self.books();
        let theirs = books.live.values().filter(|transfer| transfer.folder == folder);
        theirs
            .map(|transfer| Transfer {
                path: transfer.path.clone(),
                done: transfer.done.load(Ordering::Relaxed),
                total: transfer.total,
                up: transfer.way == Way::Up,
            })
            .collect()
    }

    /// How fast a folder's content moves now, and how long what is left takes at that.
    pub fn progress(&self, folder: FolderId, left: u64) -> Progress {
        let now = Instant::now();
        let mut books = self.books();
        let under_way: u64 = {
            let theirs = books.live.values().filter(|transfer| transfer.folder == folder);
            theirs.map(|transfer| transfer.done.load(Ordering::Relaxed).min(transfer.total.unwrap_or(0))).sum()
        };
        let Some(meters) = books.meters.get_mut(&folder) else { return Progress::default() };
        let (down, up) = (meters.down.rate(now), meters.up.rate(now));
        let rate = down.unwrap_or(0) + up.unwrap_or(0);
        // What is half done counts as left until it is whole.
        let left = left.saturating_sub(under_way);
        let seconds_left = (rate > 0 && left > 0).then(|| left.div_ceil(rate));
        Progress { down, up, seconds_left }
    }

    /// Bytes that were transferred since the start.
    pub fn bytes(&self) -> u64 {
        self.books().moved
    }

    fn moved(&self, folder: FolderId, way: Way, bytes: u64) {
        let mut books = self.books();
        books.moved += bytes;
        let meters = books.meters.entry(folder).or_default();
        let meter = match way {
            Way::Down => &mut meters.down,
            Way::Up => &mut meters.up,
        };
        meter.count(Instant::now(), bytes);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of the last seconds.
#[derive(Debug, Default)]
struct Meter {
    slices: VecDeque<(Instant, u64)>,
    /// Since when something moves without a pause as long as the window.
    since: Option<Instant>,
}

impl Meter {
    fn count(&mut self, now: Instant, bytes: u64) {
        self.forget(now);
        self.since.get_or_insert(now);
        match self.slices.back_mut() {
            Some((begun, sum)) if now.duration_since(*begun) < SLICE => *sum += bytes,
            _ => self.slices.push_back((now, bytes)),
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.slices.front().is_some_and(|(begun, _)| now.duration_since(*begun) > WINDOW) {
            self.slices.pop_front();
        }
        if self.slices.is_empty() {
            self.since = None;
        }
    }

    /// Bytes per second; nothing if nothing moves, or for too short a time to tell.
    fn rate(&mut self, now: Instant) -> Option<u64> {
        self.forget(now);
        let measured = now.duration_since(self.since?).min(WINDOW);
        if measured < MEASURED_FROM {
            return None;
        }
        let bytes: u64 = self.slices.iter().map(|(_, bytes)| bytes).sum();
        Some((bytes as f64 / measured.as_secs_f64()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let mut meter = Meter::default();
        meter.count(at(0), 1_000);
        assert_eq!(meter.rate(at(500)), None, "too soon to tell");
        for second in 1..=30 {
            meter.count(at(second * 1_000), 1_000);
        }
        let rate = meter.rate(at(30_000)).unwrap();
        assert!((950..=1_150).contains(&rate), "{rate}");
        assert!(meter.rate(at(35_000)).unwrap() < 700, "it falls while nothing comes");
        assert_eq!(meter.rate(at(60_000)), None, "and is over in the end");
    }

    #[test]
    fn what_is_sent_again_takes_its_time_again() {
        let transfers = Transfers::default();
        let counter = transfers.begin(JobId(1), FolderId(7), Way::Up, "a".into(), Some(100));
        counter.reached(60);
        counter.reached(20);
        counter.reached(60);
        let books = transfers.books();
        let sum: u64 = books.meters[&FolderId(7)].up.slices.iter().map(|(_, bytes)| bytes).sum();
        drop(books);
        assert_eq!(sum, 100, "sixty, and the forty that were sent again");
        assert!(transfers.of(FolderId(7))[0].up);
        transfers.end(JobId(1));
        assert_eq!((transfers.of(FolderId(7)).len(), transfers.progress(FolderId(8), 5)), (0, Progress::default()));
    }
}
