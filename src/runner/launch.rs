//! Starting programs without copying this process: a thread starts them, with a umask of its own, so that nothing has to be done between
//! fork and exec and the system need not fork at all. Whose file the program is, is looked at there too: a disk that does not answer holds
//! up that thread, and nobody else.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rustix::process::Pid;
use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Trust;
use super::reach::Leader;
use crate::sys::{self, ChildLimits};

/// Starts that wait for their turn; who comes next waits as well.
const QUEUED_MOST: usize = 64;
const LIMITS: ChildLimits = ChildLimits { open_files: 1024, umask: 0o077 };

/// A program to be started: in a group of its own, at the root, with nothing of our environment.
#[derive(Debug)]
pub struct Program {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// Whose programs are run.
    pub trust: Trust,
    /// Where both of its outputs go; nothing: each has a pipe of its own.
    pub output: Option<io::PipeWriter>,
}

/// A program that was started.
#[derive(Debug)]
pub struct Started {
    /// Its process; it ends when this is dropped.
    pub child: Child,
    /// Its number, which leads its group.
    pub pid: Pid,
    /// Its group.
    pub leader: Leader,
}

struct Start {
    program: Program,
    runtime: Handle,
    started: oneshot::Sender<Result<Started, String>>,
}

/// Starts the programs of one hook. Cheap to clone; the thread ends with the last one.
#[derive(Debug, Clone)]
pub struct Launcher(Arc<SyncSender<Start>>);

impl Launcher {
    /// A launcher with a thread of its own.
    pub fn new() -> io::Result<Self> {
        let (starts, queue) = sync_channel(QUEUED_MOST);
        std::thread::Builder::new().name("hook-starts".into()).spawn(move || serve(&queue))?;
        Ok(Self(Arc::new(starts)))
    }

    /// Starts a program.
    pub async fn start(&self, program: Program) -> Result<Started, String> {
        let (started, child) = oneshot::channel();
        let start = Start { program, runtime: Handle::current(), started };
        // The thread takes each within a millisecond, and there is room for all that a runner does at once.
        self.0.try_send(start).map_err(|_| "too many programs are being started".to_owned())?;
        child.await.unwrap_or_else(|_| Err("nobody starts programs any more".to_owned()))
    }
}

impl Program {
    fn command(self) -> Result<Command, String> {
        let Some((program, arguments)) = self.argv.split_first() else { return Err("there is no program".to_owned()) };
        let checked = self.trust.check(Path::new(program))?;
        let no_pipe = |error| format!("no pipe for its output: {error}");
        let (stdout, stderr) = match self.output {
            Some(writer) => (Stdio::from(writer.try_clone().map_err(no_pipe)?), Stdio::from(writer)),
            None => (Stdio::piped(), Stdio::piped()),
        };
        let mut command = Command::new(checked);
        command
            .arg0(program)
            .args(arguments)
            .env_clear()
            .envs(self.environment)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr);
        Ok(command)
    }
}

fn serve(queue: &Receiver<Start>) {
    let is_own = sys::take_own_umask(LIMITS.umask).is_ok();
    for Start { program, runtime, started } in queue {
        if !started.is_closed() {
            // Whoever asked may give up meanwhile: then the child goes with the answer.
            let _ = started.send(begin(program, &runtime, is_own));
        }
    }
}

fn begin(program: Program, runtime: &Handle, is_own: bool) -> Result<Started, String> {
    let name = program.argv.first().cloned().unwrap_or_default();
    let mut command = program.command()?;
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
    let child = child.map_err(|error| format!("{name} cannot be started: {error}"))?;
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or("it ended before it began")?;
    if is_own {
        sys::limit_started(pid.as_raw_nonzero().get().cast_unsigned(), LIMITS);
    }
    Ok(Started { child, pid, leader: Leader::new(pid) })
}
