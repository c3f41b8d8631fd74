//! Starting programs without copying this process: one thread starts them all, with a umask of its own, so that nothing has to be done
//! between fork and exec and the system need not fork at all.

use std::io;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::sys::{self, ChildLimits};

/// Starts that wait for their turn; who comes next waits as well.
const QUEUED_MOST: usize = 64;
const LIMITS: ChildLimits = ChildLimits { open_files: 1024, umask: 0o077 };

struct Start {
    command: Command,
    runtime: Handle,
    started: oneshot::Sender<io::Result<Child>>,
}

/// Starts programs. Cheap to clone; the thread ends with the last one.
#[derive(Debug, Clone)]
pub struct Launcher(Arc<SyncSender<Start>>);

impl Launcher {
    /// A launcher with a thread of its own.
    pub fn new() -> io::Result<Self> {
        let (starts, queue) = sync_channel(QUEUED_MOST);
        std::thread::Builder::new().name("hook-starts".into()).spawn(move || serve(&queue))?;
        Ok(Self(Arc::new(starts)))
    }

    /// Starts a program; it ends when the child is dropped.
    pub async fn start(&self, command: Command) -> io::Result<Child> {
        let (started, child) = oneshot::channel();
        let start = Start { command, runtime: Handle::current(), started };
        // The thread takes each within a millisecond, and there is room for all that a runner does at once.
        self.0.try_send(start).map_err(|_| io::Error::other("too many programs are being started"))?;
        child.await.unwrap_or_else(|_| Err(io::Error::other("nobody starts programs any more")))
    }
}

fn serve(queue: &Receiver<Start>) {
    let is_own = sys::take_own_umask(LIMITS.umask).is_ok();
    for Start { mut command, runtime, started } in queue {
        if !is_own {
            // Where the system does not let a thread have its own umask, the child sets it, which takes a fork.
            sys::limit_child(&mut command, LIMITS);
        }
        let mut command = tokio::process::Command::from(command);
        let child = {
            let _inside = runtime.enter();
            command.kill_on_drop(true).spawn()
        };
        // The writing ends of pipes live in the command; while one is open here, the output would have no end.
        drop(command);
        if is_own && let Some(pid) = child.as_ref().ok().and_then(Child::id) {
            sys::limit_started(pid, LIMITS);
        }
        // Whoever asked may have given up: then the child goes with the answer.
        let _ = started.send(child);
    }
}
