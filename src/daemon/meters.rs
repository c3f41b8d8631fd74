//! What a running agent counts of itself for its figures: cheap to note, from any thread, and never waited for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

use crate::engine::Notice;
use crate::hook::Verdict;
use crate::id::FolderId;
use crate::tree::Wall;

/// Bounds of the times from an event to what it changed on disk, in seconds.
const VISIBLE_BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0, 1_800.0];
/// Bounds of the times that hooks take, in seconds.
const HOOK_BOUNDS: [f64; 11] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0];

/// Counts and times since the agent started. Clones share them.
#[derive(Debug, Clone)]
pub struct Meters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Wall,
    commits: AtomicU64,
    longest_step_us: AtomicU64,
    store_failures: AtomicU64,
    visible: Mutex<BTreeMap<FolderId, Histogram>>,
    hooks: Mutex<BTreeMap<String, HookMeter>>,
}

/// The runs of one hook.
#[derive(Debug, Clone)]
pub struct HookMeter {
    /// How long they took.
    pub took: Histogram,
    /// How many came to which verdict, by its word.
    pub verdicts: BTreeMap<&'static str, u64>,
}

impl Default for HookMeter {
    fn default() -> Self {
        Self { took: Histogram::new(HOOK_BOUNDS), verdicts: BTreeMap::new() }
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self(Arc::new(Inner {
            started: super::wall_now(),
            commits: AtomicU64::new(0),
            longest_step_us: AtomicU64::new(0),
            store_failures: AtomicU64::new(0),
            visible: Mutex::default(),
            hooks: Mutex::default(),
        }))
    }
}

impl Meters {
    /// When they began to count.
    pub fn started(&self) -> Wall {
        self.0.started
    }

    /// A batch of the engine is durable; deciding and committing it took this long.
    pub fn committed(&self, took: Duration) {
        self.0.commits.fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.longest_step_us.fetch_max(took, Ordering::Relaxed);
    }

    /// The database failed, and the engine is built anew.
    pub fn store_failed(&self) {
        self.0.store_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Something became visible. What no event asked for, and what needed nothing on disk, is no measure of how fast news arrives.
    pub fn noticed(&self, notice: &Notice) {
        let Notice::Outcome { folder, journal: Some(_), what, took_ms, .. } = notice else { return };
        if !shows_on_disk(what) {
            return;
        }
        let took = Duration::from_millis(u64::try_from(*took_ms).unwrap_or(0));
        locked(&self.0.visible)
            .entry(*folder)
            .or_insert_with(|| Histogram::new(VISIBLE_BOUNDS))
            .observe(took.as_secs_f64());
    }

    /// A hook was run.
    pub fn hook_ran(&self, hook: &str, verdict: Verdict, took: Duration) {
        let mut hooks = locked(&self.0.hooks);
        if !hooks.contains_key(hook) {
            hooks.insert(hook.to_owned(), HookMeter::default());
        }
        if let Some(meter) = hooks.get_mut(hook) {
            meter.took.observe(took.as_secs_f64());
            *meter.verdicts.entry(verdict.word()).or_default() += 1;
        }
    }

    /// Batches that were made durable.
    pub fn commits(&self) -> u64 {
        self.0.commits.load(Ordering::Relaxed)
    }

    /// The longest that one batch took, its commit included.
    pub fn longest_step(&self) -> Duration {
        Duration::from_micros(self.0.longest_step_us.load(Ordering::Relaxed))
    }

    /// How often the engine was built anew because the database failed.
    pub fn store_failures(&self) -> u64 {
        self.0.store_failures.load(Ordering::Relaxed)
    }

    /// The times from events to what they changed on disk, by folder.
    pub fn visible(&self) -> BTreeMap<FolderId, Histogram> {
        locked(&self.0.visible).clone()
    }

    /// The runs of hooks, by name.
    pub fn hooks(&self) -> BTreeMap<String, HookMeter> {
        locked(&self.0.hooks).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether an outcome's word says that the disk shows something else than before.
fn shows_on_disk(what: &str) -> bool {
    ["folder created", "downloaded", "replaced", "renamed", "moved", "removed"]
        .iter()
        .any(|word| what.starts_with(word))
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::id::JournalId;

    fn outcome(journal: Option<i64>, what: &str, took_ms: i64) -> Notice {
        Notice::Outcome {
            folder: FolderId(1),
            journal: journal.map(JournalId),
            what: what.to_owned(),
            path: "a".to_owned(),
            from: None,
            took_ms,
        }
    }

    #[test]
    fn only_events_that_changed_the_disk_are_timed() {
        let meters = Meters::default();
        for notice in [
            outcome(Some(1), "downloaded", 4),
            outcome(Some(2), "removed; local files in it stay", 30_000),
            outcome(Some(3), "no change", 7),
            outcome(None, "downloaded", 9),
        ] {
            meters.noticed(&notice);
        }
        let mut registry = Registry::default();
        registry.register("visible", "seconds", meters.visible().remove(&FolderId(1)).unwrap());
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("visible_count 2") && text.contains("visible_sum 30.004"), "{text}");
        assert!(text.contains("visible_bucket{le=\"0.005\"} 1"), "{text}");
    }
}
