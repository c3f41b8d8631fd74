//! One run of a program: an argument vector, a clean environment, a document on standard input, and an end in any case.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::process::{Signal, kill_process_group};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::launch::{Launcher, Program, Started};
use super::reach::{self, Leader};
use super::tail::Tail;
use super::{OUTPUT_KEPT_BYTES, Order, Trust};
use crate::hook::{Outcome, Verdict};
use crate::sys;

/// Exit codes, as virus scanners use them.
const EXIT_ALLOW: i32 = 0;
const EXIT_REJECT: i32 = 1;
const EXIT_SCANNER_ERROR: i32 = 2;
const EXIT_UNSCANNABLE: i32 = 3;

/// How long a guest has between the polite request to end and the other one.
const GRACE: Duration = Duration::from_secs(5);
/// How long output is still read once the program has ended: its children may hold the pipe open for ever.
const DRAIN: Duration = Duration::from_millis(250);
/// How long the system may take to bury a killed process.
const BURIAL: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 16 * 1024;

const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of a run: nothing of ours but these and the variables of the document.
pub fn environment(order: &Order, run: &str) -> Vec<(&'static str, OsString)> {
    let mut environment = base_environment(run);
    environment.extend(order.document.environment(order.path.clone(), order.file.as_ref()));
    environment
}

/// What every program of ours finds in its environment.
pub fn base_environment(run: &str) -> Vec<(&'static str, OsString)> {
    vec![("PATH", OsString::from(SEARCH_PATH)), ("LANG", "C.UTF-8".into()), (reach::RUN_VARIABLE, run.into())]
}

/// Runs a program once.
pub async fn run(argv: &[String], limit: Duration, order: &Order, trust: Trust, launcher: &Launcher) -> Outcome {
    run_with_grace(argv, (limit, GRACE), order, trust, launcher).await
}

async fn run_with_grace(
    argv: &[String],
    (limit, grace): (Duration, Duration),
    order: &Order,
    trust: Trust,
    launcher: &Launcher,
) -> Outcome {
    let start = Instant::now();
    let run = Uuid::now_v7().to_string();
    let begun = timeout_at(start + limit, Guest::start(argv, environment(order, &run), trust, run, launcher)).await;
    let mut guest = match begun {
        Ok(Ok(guest)) => guest,
        Ok(Err(reason)) => return Outcome::failed(reason, start.elapsed()),
        Err(_) => {
            let failed = Outcome::failed("the program could not be started in time", start.elapsed());
            return Outcome { verdict: Verdict::TimedOut, ..failed };
        }
    };
    let document = order.document.to_json();
    let mut tail = Tail::new(OUTPUT_KEPT_BYTES);
    let ended = timeout_at(start + limit, guest.talk(&document, &mut tail)).await;
    if ended.is_err() {
        guest.stop(grace, &mut tail).await;
    }
    let status = guest.bury(&mut tail).await;
    let (output, output_cut) = tail.into_text();
    let (verdict, reason) = match (&ended, &status) {
        (Err(_), _) => (Verdict::TimedOut, Some(format!("it did not end within {} s", limit.as_secs_f32()))),
        (Ok(()), Ok(status)) => judge(*status),
        (Ok(()), Err(error)) => (Verdict::Error, Some(format!("its end could not be learnt: {error}"))),
    };
    let status = status.ok();
    Outcome {
        exit_code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        reason,
        output_cut,
        ..Outcome::ruled(verdict, output, start.elapsed())
    }
}

fn judge(status: ExitStatus) -> (Verdict, Option<String>) {
    match status.code() {
        Some(EXIT_ALLOW) => (Verdict::Allow, None),
        Some(EXIT_REJECT) => (Verdict::Reject, None),
        Some(EXIT_UNSCANNABLE) => (Verdict::Unscannable, None),
        Some(EXIT_SCANNER_ERROR) => (Verdict::Error, Some("it reported an error of its own (exit code 2)".to_owned())),
        Some(code) => (Verdict::Error, Some(format!("it ended with exit code {code}"))),
        None => (Verdict::Error, Some(format!("it was ended by signal {}", status.signal().unwrap_or_default()))),
    }
}

/// A program while it runs.
pub(super) struct Guest {
    run: String,
    child: Child,
    leader: Leader,
    exit: Option<AsyncFd<OwnedFd>>,
    stdin: Option<ChildStdin>,
    output: pipe::Receiver,
    output_ended: bool,
}

impl Guest {
    /// Starts a program.
    pub(super) async fn start(
        argv: &[String],
        environment: Vec<(&'static str, OsString)>,
        trust: Trust,
        run: String,
        launcher: &Launcher,
    ) -> Result<Self, String> {
        let (reader, writer) = io::pipe().map_err(|error| format!("no pipe for its output: {error}"))?;
        let program = Program { argv: argv.to_vec(), environment, trust, output: Some(writer) };
        let Started { mut child, pid, leader } = launcher.start(program).await?;
        let exit = sys::end_of(pid);
        let stdin = child.stdin.take();
        let output = pipe::Receiver::from_owned_fd(reader.into()).map_err(|error| format!("no pipe: {error}"))?;
        Ok(Self { run, child, leader, exit, stdin, output, output_ended: false })
    }

    /// Gives the document and takes output until the program itself has ended.
    async fn talk(&mut self, document: &[u8], tail: &mut Tail) {
        let stdin = self.stdin.take();
        let tell = async {
            if let Some(mut stdin) = stdin {
                // A guest need not listen.
                let _ = stdin.write_all(document).await;
                let _ = stdin.shutdown().await;
            }
        };
        let mut told = std::pin::pin!(tell);
        let mut is_told = false;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            tokio::select! {
                () = &mut told, if !is_told => is_told = true,
                read = self.output.read(&mut buffer), if !self.output_ended => match read {
                    Ok(0) | Err(_) => self.output_ended = true,
                    Ok(count) => tail.push(&buffer[..count]),
                },
                () = ended(self.exit.as_ref(), &mut self.child) => return,
            }
        }
    }

    /// Asks the whole group to end, waits a little, and ends it.
    async fn stop(&mut self, grace: Duration, tail: &mut Tail) {
        let _ = kill_process_group(self.leader.pid(), Signal::TERM);
        // What a guest prints meanwhile must be read, or it would wait for us as we wait for it.
        let _ = timeout(grace, self.talk(&[], tail)).await;
    }

    /// Ends whatever is left of the guest and takes its exit status. The group is ended before its leader is buried,
    /// while its number cannot belong to anybody else.
    async fn bury(&mut self, tail: &mut Tail) -> io::Result<ExitStatus> {
        let stopped = timeout(Duration::ZERO, ended(self.exit.as_ref(), &mut self.child)).await.is_err();
        let _ = timeout(DRAIN, self.drain(tail)).await;
        let _ = kill_process_group(self.leader.pid(), Signal::KILL);
        let status = timeout(BURIAL, self.child.wait()).await;
        let run = self.run.clone();
        if stopped || !self.output_ended {
            let _ = tokio::task::spawn_blocking(move || reach::end_everywhere(&run)).await;
        } else {
            reach::end_orphans(&run);
        }
        status.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn drain(&mut self, tail: &mut Tail) {
        let mut buffer = vec![0; READ_BYTES];
        while !self.output_ended {
            match self.output.read(&mut buffer).await {
                Ok(0) | Err(_) => self.output_ended = true,
                Ok(count) => tail.push(&buffer[..count]),
            }
        }
    }
}

impl Drop for Guest {
    /// A run that is given up takes its guest with it.
    fn drop(&mut self) {
        if self.child.id().is_some() {
            let _ = kill_process_group(self.leader.pid(), Signal::KILL);
        }
    }
}

/// Waits until the program has ended, and leaves its exit status where it is.
async fn ended(exit: Option<&AsyncFd<OwnedFd>>, child: &mut Child) {
    match exit {
        Some(exit) => {
            let _ = exit.readable().await;
        }
        None => {
            let _ = child.wait().await;
        }
    }
}

#[cfg(test)]
mod tests;
