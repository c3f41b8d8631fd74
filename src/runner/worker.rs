//! Programs that stay: asked about one file after the other, a document a line, and answering each with a verdict a line.
//!
//! ```text
//! > {"id": "…", "file": "/path", "event": "file.download", …}      the document of a hook, with an id, in one line
//! < {"id": "…", "verdict": "reject", "reason": "Eicar"}            allow, reject, unscannable or error
//! ```
//!
//! A worker that dies, closes its output, says what is no verdict, answers for another file or unasked is ended and replaced; the file in
//! hand is asked about once more, and is an error then. One that takes too long is ended too, and the file has timed out.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::launch::{Launcher, Program, Started};
use super::reach::{self, Leader};
use super::tail::Tail;
use super::{OUTPUT_KEPT_BYTES, Order, Trust, exec};
use crate::hook::{Outcome, Verdict};

/// The longest line that a worker may say.
const LINE_MAX_BYTES: usize = 64 * 1024;
/// The longest reason that is kept.
const REASON_MAX_CHARS: usize = 2_000;
/// How often a file is asked about whose worker fails.
const ASKED_MOST: u32 = 2;

/// The workers of one hook.
#[derive(Debug)]
pub struct Pool {
    run: Vec<String>,
    resting: Mutex<Vec<Worker>>,
}

#[derive(Debug)]
struct Worker {
    run: String,
    child: Child,
    leader: Leader,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// What was read and is no whole line yet.
    read: Vec<u8>,
    complaints: Arc<Mutex<Tail>>,
}

/// What a worker says of a file.
#[derive(Debug, Deserialize)]
struct Line {
    id: String,
    verdict: String,
    #[serde(default)]
    reason: Option<String>,
}

impl Pool {
    /// Workers of this program; none is started yet.
    pub fn new(run: Vec<String>) -> Self {
        Self { run, resting: Mutex::default() }
    }

    /// Whether its workers are of this program.
    pub fn runs(&self, run: &[String]) -> bool {
        self.run == run
    }

    /// Asks a worker about a file.
    pub async fn ask(&self, limit: Duration, order: &Order, trust: Trust, launcher: &Launcher) -> Outcome {
        let start = Instant::now();
        let mut failure = String::new();
        for attempt in 0..ASKED_MOST {
            let id = Uuid::now_v7().to_string();
            let question = question(order, &id);
            // The second one is new: all that rest may have died of the same cause, and none of them of this file.
            let resting = if attempt == 0 { self.living() } else { None };
            let worker = match resting {
                Some(worker) => Ok(worker),
                None => timeout_at(start + limit, Worker::start(&self.run, trust, launcher))
                    .await
                    .unwrap_or_else(|_| Err("the worker could not be started in time".to_owned())),
            };
            let mut worker = match worker {
                Ok(worker) => worker,
                Err(reason) => return Outcome::down(reason, start.elapsed()),
            };
            match timeout_at(start + limit, worker.ask(&question, &id)).await {
                Err(_) => {
                    let complaints = worker.end().await;
                    let reason = format!("no verdict within {} s", limit.as_secs_f32());
                    return Outcome {
                        verdict: Verdict::TimedOut,
                        output: complaints,
                        ..Outcome::failed(reason, start.elapsed())
                    };
                }
                Ok(Ok((verdict, reason))) => {
                    self.resting.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
                    let error = (verdict == Verdict::Error).then(|| format!("the worker says: {reason}"));
                    return Outcome { reason: error, ..Outcome::ruled(verdict, reason, start.elapsed()) };
                }
                Ok(Err(why)) => {
                    let complaints = worker.end().await;
                    let last = complaints.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
                    failure = if last.is_empty() { why } else { format!("{why}; it printed: {last}") };
                }
            }
        }
        Outcome::failed(failure, start.elapsed())
    }

    /// A worker that rests and still runs; those that ended are dropped.
    fn living(&self) -> Option<Worker> {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut worker) = resting.pop() {
            if matches!(worker.child.try_wait(), Ok(None)) {
                return Some(worker);
            }
        }
        None
    }
}

/// The document with an id, in one line.
fn question(order: &Order, id: &str) -> Vec<u8> {
    let mut document: serde_json::Value = serde_json::to_value(&order.document).unwrap_or_default();
    if let Some(members) = document.as_object_mut() {
        members.insert("id".to_owned(), id.into());
        members.insert("file".to_owned(), order.file.as_ref().map(|file| file.to_string_lossy()).into());
    }
    let mut line = document.to_string().into_bytes();
    line.push(b'\n');
    line
}

impl Worker {
    async fn start(argv: &[String], trust: Trust, launcher: &Launcher) -> Result<Self, String> {
        let run = Uuid::now_v7().to_string();
        let environment = exec::base_environment(&run);
        let program = Program { argv: argv.to_vec(), environment, trust, output: None };
        let Started { mut child, leader, .. } = launcher.start(program).await?;
        let (Some(stdin), Some(stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("the worker has no pipes".to_owned());
        };
        let complaints = Arc::new(Mutex::new(Tail::new(OUTPUT_KEPT_BYTES)));
        let heard = Arc::clone(&complaints);
        // Ends with the last process that has the pipe; what it keeps is bounded.
        tokio::spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..count]);
            }
        });
        Ok(Self { run, child, leader, stdin, stdout, read: Vec::new(), complaints })
    }

    async fn ask(&mut self, question: &[u8], id: &str) -> Result<(Verdict, String), String> {
        if !self.read.is_empty() {
            return Err("the worker spoke without being asked".to_owned());
        }
        let died = |error: io::Error| format!("the worker takes no question: {error}");
        self.stdin.write_all(question).await.map_err(died)?;
        self.stdin.flush().await.map_err(died)?;
        let end = loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            if self.read.len() > LINE_MAX_BYTES {
                return Err("the worker's line has no end".to_owned());
            }
            match self.stdout.read_buf(&mut self.read).await {
                Ok(0) => return Err("the worker ended without a verdict".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(format!("the worker cannot be heard: {error}")),
            }
        };
        let line: Vec<u8> = self.read.drain(..=end).collect();
        if !self.read.is_empty() {
            return Err("the worker said more than one line".to_owned());
        }
        let line: Line = serde_json::from_slice(&line).map_err(|_| "the worker's line is no verdict".to_owned())?;
        if line.id != id {
            return Err("the worker answered for another file".to_owned());
        }
        let verdict = Verdict::parse(&line.verdict)
            .filter(|verdict| *verdict != Verdict::TimedOut)
            .ok_or("the worker's verdict is none of allow, reject, unscannable and error")?;
        let reason: String = line.reason.unwrap_or_default().chars().take(REASON_MAX_CHARS).collect();
        Ok((verdict, reason))
    }

    /// Ends the worker and whatever it started; what it complained of.
    async fn end(mut self) -> String {
        let _ = kill_process_group(self.leader.pid(), Signal::KILL);
        // The system buries what was killed; a worker is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.child.wait()).await;
        let run = self.run.clone();
        let _ = tokio::task::spawn_blocking(move || reach::end_everywhere(&run)).await;
        let complaints =
            std::mem::replace(&mut *self.complaints.lock().unwrap_or_else(PoisonError::into_inner), Tail::new(0));
        complaints.into_text().0
    }
}

impl Drop for Worker {
    /// A worker that nobody needs any more takes what it started with it.
    fn drop(&mut self) {
        if self.child.id().is_some() {
            let _ = kill_process_group(self.leader.pid(), Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests;
