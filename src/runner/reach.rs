//! Processes that left their group: found again by the delivery id in their environment, ended, and buried.

use std::collections::HashSet;
use std::fs;
use std::sync::{LazyLock, Mutex, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// The variable that marks every process of one run.
pub const RUN_VARIABLE: &str = "AGENT_RUN";

/// Guests that somebody waits for: theirs is not the exit status that is thrown away here.
static LEADERS: LazyLock<Mutex<HashSet<i32>>> = LazyLock::new(Mutex::default);

/// Makes this process the parent of guests' children that lose theirs, so that they can be found and buried.
pub fn adopt_orphans() {
    // Where the system refuses, a detached process of a guest that ended by itself stays unnoticed.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// A guest that somebody waits for.
#[derive(Debug)]
pub struct Leader(Pid);

impl Leader {
    /// Notes that the process has someone who waits for it.
    pub fn new(pid: Pid) -> Self {
        LEADERS.lock().unwrap_or_else(PoisonError::into_inner).insert(pid.as_raw_nonzero().get());
        Self(pid)
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        self.0
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        LEADERS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0.as_raw_nonzero().get());
    }
}

/// Ends what a run left behind among our own children: one look at a list that is nearly always empty.
pub fn end_orphans(run: &str) {
    for pid in children() {
        if is_of(pid, run) {
            let _ = kill_process(pid, Signal::KILL);
        }
        bury(pid);
    }
}

/// Ends every process of a run, wherever it is: a look at all processes, for guests that had to be stopped.
pub fn end_everywhere(run: &str) {
    let Ok(entries) = fs::read_dir("/proc") else { return };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
    for pid in pids.filter(|pid| is_of(*pid, run)) {
        let _ = kill_process(pid, Signal::KILL);
        bury(pid);
    }
    end_orphans(run);
}

fn is_of(pid: Pid, run: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let wanted = format!("{RUN_VARIABLE}={run}");
    environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
}

/// Takes the exit status of an orphan that has ended, so that it does not stay as a zombie. Children that are not
/// orphans of guests are in our own process group.
fn bury(pid: Pid) {
    let leaders = LEADERS.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = rustix::process::getpgrp();
    if leaders.contains(&pid.as_raw_nonzero().get()) || rustix::process::getpgid(Some(pid)).ok() == Some(ours) {
        return;
    }
    let _ = waitpid(Some(pid), WaitOptions::NOHANG);
}

/// Our children. Orphans come to the main thread, where the system lists them.
fn children() -> Vec<Pid> {
    let me = rustix::process::getpid();
    let Ok(list) = fs::read_to_string(format!("/proc/{me}/task/{me}/children")) else { return Vec::new() };
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
}
