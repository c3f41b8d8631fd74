//! A program on a disk that does not answer holds up its own hook, and no other one.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use folder_sync_agent::hook::{Call, HookSettings, Listen, Verdict, When};

use super::scanners::{Bench, order};

/// A file system whose server never says anything.
struct Silence {
    dir: tempfile::TempDir,
    server: Child,
}

impl Silence {
    /// One that is mounted, where that can be done.
    fn mount() -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
            eprintln!("skipped: a file system can be mounted by root only, and with /dev/fuse");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let script = "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 silence \"$1\" && \
                      echo ready && exec sleep 600";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(dir.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let mut ready = [0; 6];
        if server.stdout.as_mut().unwrap().read_exact(&mut ready).is_err() {
            eprintln!("skipped: nothing can be mounted here");
            server.wait().unwrap();
            return None;
        }
        Some(Self { dir, server })
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("judge")
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // With its server the file system ends, and whoever waits for it is told so.
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}

fn hook(name: &str, program: &Path, worker: bool) -> HookSettings {
    let call = Call::Exec { run: vec![program.to_str().unwrap().to_owned()], worker };
    let mut hook = HookSettings::new(name, When::Before, vec![Listen::Everything], call);
    hook.timeout = Duration::from_secs(2);
    hook
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_answer_holds_up_one_hook_only() {
    let Some(silence) = Silence::mount() else { return };
    let bench = Bench::new();
    let order = order(bench.file(b"x"));
    let stuck = [hook("stuck", &silence.program(), false), hook("stuck worker", &silence.program(), true)];
    // More of them than there are threads that could wait.
    let all = futures_util::future::join_all((0..8).map(|number| bench.runner.run(&stuck[number % 2], &order)));
    let other = hook("other", Path::new("/bin/true"), false);
    let (verdicts, well) = tokio::join!(all, bench.runner.run(&other, &order));
    assert_eq!(well.verdict, Verdict::Allow, "{well:?}");
    assert!(well.took < Duration::from_secs(2), "{well:?}");
    for outcome in verdicts {
        assert!(matches!(outcome.verdict, Verdict::TimedOut | Verdict::Error), "{outcome:?}");
    }
    drop(silence);
}
