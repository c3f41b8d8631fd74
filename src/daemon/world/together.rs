//! Outcomes on their way to the engine: those of one kind that come within a few milliseconds go together, so that they are one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::Message;
use crate::engine::{Input, JOBS_MOST, Outcome};
use crate::id::JobId;

/// How long an outcome waits for others, while others are to come. Every transaction writes the same pages of the database once more.
const GATHERED_FOR: Duration = Duration::from_millis(12);
/// Outcomes that are sent at once.
const TOGETHER_MOST: usize = 128;

/// How many outcomes wait for no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enough {
    /// So many: half of what the engine asks ahead, so that there is always something to do.
    Count(usize),
    /// As many as are still to come: the other half keeps whoever is asked busy.
    Half,
}

impl Enough {
    fn is_reached(self, together: usize, awaited: usize) -> bool {
        awaited == 0
            || match self {
                Self::Count(enough) => together >= enough,
                Self::Half => together >= awaited,
            }
    }
}

/// Takes outcomes and passes them on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Together {
    sender: mpsc::Sender<Input>,
    awaited: Arc<AtomicUsize>,
}

/// An outcome that is still to come.
#[derive(Debug)]
pub struct Awaited(Arc<AtomicUsize>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Together {
    /// Passes outcomes on to the engine's queue.
    pub fn new(inputs: SyncSender<Message>, runtime: &Handle, enough: Enough) -> Self {
        // There is room for every job that can be under way.
        let (sender, receiver) = mpsc::channel(JOBS_MOST);
        let awaited = Arc::new(AtomicUsize::new(0));
        runtime.spawn(gather(receiver, inputs, Arc::clone(&awaited), enough));
        Self { sender, awaited }
    }

    /// An outcome is to come: others may wait for it a moment.
    pub fn expect(&self) -> Awaited {
        self.awaited.fetch_add(1, Ordering::Relaxed);
        Awaited(Arc::clone(&self.awaited))
    }

    /// An outcome came.
    pub fn post(&self, job: JobId, outcome: Outcome, awaited: Awaited) {
        drop(awaited);
        if self.sender.try_send(Input::Done { job, outcome }).is_err() {
            tracing::debug!(%job, "the agent ended before a job did");
        }
    }
}

async fn gather(
    mut outcomes: mpsc::Receiver<Input>,
    inputs: SyncSender<Message>,
    awaited: Arc<AtomicUsize>,
    enough: Enough,
) {
    while let Some(first) = outcomes.recv().await {
        let mut together = vec![first];
        let until = Instant::now() + GATHERED_FOR;
        while together.len() < TOGETHER_MOST {
            match outcomes.try_recv() {
                Ok(next) => together.push(next),
                // One that comes alone is not held back.
                Err(_) if enough.is_reached(together.len(), awaited.load(Ordering::Relaxed)) => break,
                Err(_) => match timeout_at(until, outcomes.recv()).await {
                    Ok(Some(next)) => together.push(next),
                    Ok(None) | Err(_) => break,
                },
            }
        }
        // The queue has a place for every job, so that this does not wait; it is gone only when the agent ends.
        if inputs.send(Message::Together(together)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::hook;

    fn verdict() -> Outcome {
        Outcome::Hooked(hook::Outcome::ruled(hook::Verdict::Allow, "", Duration::ZERO))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn verdicts_that_come_together_go_together_and_one_alone_at_once() {
        let (sender, queue) = sync_channel(8);
        let verdicts = Together::new(sender, &Handle::current(), Enough::Count(32));
        let awaited: Vec<Awaited> = (0..3).map(|_| verdicts.expect()).collect();
        for (job, awaited) in awaited.into_iter().enumerate() {
            verdicts.post(JobId(job as i64), verdict(), awaited);
        }
        let mut got = 0;
        while got < 3 {
            let Message::Together(inputs) = queue.recv().unwrap() else { panic!("something else") };
            got += inputs.len();
        }
        let slow = verdicts.expect();
        verdicts.post(JobId(7), verdict(), verdicts.expect());
        let Message::Together(inputs) = queue.recv().unwrap() else { panic!("something else") };
        assert_eq!(inputs.len(), 1, "one that is slow holds nobody back for long");
        drop(slow);
    }

    #[test]
    fn what_waits_for_half_goes_with_as_many_as_are_to_come() {
        let goes: Vec<usize> =
            (0..9).map(|awaited| (1..99).find(|at| Enough::Half.is_reached(*at, awaited)).unwrap()).collect();
        assert_eq!(goes, [1, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(!Enough::Count(32).is_reached(31, 1) && Enough::Count(32).is_reached(1, 0));
    }
}
