//! Many histories on all cores: which seeds, for how long, and what they sum up to. The outcome does not depend on how many cores.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use super::tally::Tally;

/// What to live through.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub from: u64,
    pub seeds: u64,
    pub limit: Duration,
    /// A failing seed does not end the run.
    pub goes_on: bool,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Run {
    pub lived: u64,
    pub sum: Tally,
    /// In the order of their seeds.
    pub failed: Vec<(u64, String)>,
    pub seconds: f64,
}

impl Run {
    pub fn per_second(&self) -> f64 {
        self.lived as f64 / self.seconds.max(0.001)
    }
}

/// Lives through the seeds of a plan, as many at a time as there are cores. Unless it goes on, the first failing seed is the last
/// one that counts, whichever thread met it.
pub fn run(plan: Plan, live: impl Fn(u64) -> Tally + Sync) -> Run {
    let begun = Instant::now();
    let (next, end) = (AtomicU64::new(plan.from), AtomicU64::new(plan.from + plan.seeds));
    let lives = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end.load(Ordering::Relaxed) || begun.elapsed() >= plan.limit {
                        return;
                    }
                    let outcome = survives(|| live(seed));
                    if let Err(text) = &outcome {
                        println!("SIM_SEED={seed}: {}", text.chars().take(300).collect::<String>());
                        if !plan.goes_on {
                            end.fetch_min(seed + 1, Ordering::Relaxed);
                        }
                    }
                    lives.lock().unwrap().push((seed, outcome));
                }
            });
        }
    });
    let end = end.into_inner();
    let mut lives = lives.into_inner().unwrap();
    lives.retain(|(seed, _)| *seed < end);
    lives.sort_by_key(|(seed, _)| *seed);
    let mut run = Run { lived: lives.len() as u64, seconds: begun.elapsed().as_secs_f64(), ..Run::default() };
    for (seed, outcome) in lives {
        match outcome {
            Ok(tally) => run.sum.add(&tally),
            Err(text) => run.failed.push((seed, text)),
        }
    }
    run
}

/// Tests that use all cores take turns, so that what one lives through in its time does not depend on the others.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static LAST_WORDS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Lives through one history; a panic is an error with its text and place, and is not printed.
pub fn survives<T>(live: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                let place = info.location().map_or_else(String::new, |at| format!(" ({}:{})", at.file(), at.line()));
                let text = info.payload_as_str().unwrap_or("a panic without words");
                LAST_WORDS.set(format!("{text}{place}"));
            } else {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(live));
    QUIET.set(false);
    outcome.map_err(|_| LAST_WORDS.take())
}
