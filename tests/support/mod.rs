//! A test bed: the sandbox cloud in this process, and the real program as a process of its own beside it.

pub mod browser;
pub mod c_icap;
pub mod clamd;
pub mod edits;
pub mod pty;
pub mod relay;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::{self, ACCESS_TOKEN, Cloud, Sandbox};
use sha1::{Digest, Sha1};

/// The directory of our own in a watched folder.
pub const RESERVED: &str = ".folder-sync-agent";

/// The remote folder that the bed watches.
pub const REMOTE: &str = "/Projects/Inbox";
/// The same at Egnyte, where nothing lies at the top.
pub const EGNYTE_REMOTE: &str = "/Shared/Inbox";

/// How long a condition may take before a test gives up. Generous: the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A sandbox, a home directory for the agent and a local directory, all gone with this value.
pub struct Bed {
    /// Runs the sandbox; it ends with the bed.
    _runtime: tokio::runtime::Runtime,
    /// The sandbox.
    pub sandbox: Sandbox,
    /// Where everything is.
    pub dir: tempfile::TempDir,
    /// The provider of the account.
    provider: &'static str,
    /// The watched folder in the cloud.
    remote: &'static str,
}

impl Bed {
    /// A bed with an account and no folder.
    pub fn new() -> Self {
        Self::with(sandbox::Options::default())
    }

    /// A bed over a sandbox with these options.
    pub fn with(options: sandbox::Options) -> Self {
        Self::of("box", REMOTE, options)
    }

    /// A bed with an account at Egnyte, whose stream is read every second so that a test need not wait.
    pub fn egnyte() -> Self {
        let bed = Self::of("egnyte", EGNYTE_REMOTE, sandbox::Options::default());
        let path = bed.home().join("config.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        let hurried =
            config.replace("provider = \"egnyte\"\n", "provider = \"egnyte\"\npoll_min = \"1s\"\npoll_max = \"1s\"\n");
        assert_ne!(hurried, config, "the account is in the configuration");
        std::fs::write(&path, hurried).unwrap();
        bed
    }

    fn of(provider: &'static str, remote: &'static str, options: sandbox::Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let sandbox = runtime.block_on(sandbox::start(options)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let bed = Self { _runtime: runtime, sandbox, dir, provider, remote };
        bed.cloud().mkdir_p(remote).unwrap();
        bed.login_with(ACCESS_TOKEN);
        bed
    }

    /// The hands of another user, and the eyes of the test.
    pub fn cloud(&self) -> Cloud {
        self.sandbox.cloud()
    }

    /// The agent's `--home`.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The watched directory.
    pub fn local(&self) -> PathBuf {
        self.dir.path().join("inbox")
    }

    /// The program with its `--home`, ready for arguments. `AGENT_PROGRAM` names another build of it.
    pub fn agent(&self) -> Command {
        let program = std::env::var_os("AGENT_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_agent").into());
        let mut command = Command::new(program);
        command
            .arg("--home")
            .arg(self.home())
            .current_dir(self.dir.path())
            .env_remove("AGENT_HOME")
            .env("NO_COLOR", "1");
        command
    }

    /// Runs a command of the agent to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.agent().args(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{args:?}: {}\n{}\n{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Signs in with a token.
    pub fn login_with(&self, token: &str) {
        let mut child = self
            .agent()
            .args(["login", self.provider, "--account", "work", "--token-stdin", "--api-url", &self.sandbox.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), token.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Whether an account or folder is degraded under this name.
    pub fn is_degraded(&self, name: &str) -> bool {
        let Some(status) = self.status() else { return false };
        let all = ["accounts", "folders"].into_iter().filter_map(|list| status[list].as_array());
        all.flatten().any(|row| row["degraded"]["name"] == name)
    }

    /// Adds the watched folder.
    pub fn add_folder(&self, more: &[&str]) {
        let local = self.local();
        let mut args =
            vec!["add-folder", self.remote, local.to_str().unwrap(), "--account", "work", "--name", "inbox", "--yes"];
        args.extend(more);
        self.ok(&args);
    }

    /// Starts `agent run`.
    pub fn start(&self) -> Running {
        let mut command = self.agent();
        command.arg("run");
        self.start_by(command)
    }

    /// Starts `agent run` by another program that becomes it, such as one that takes rights away.
    pub fn start_through(&self, program: &str, args: &[&str]) -> Running {
        let agent = self.agent();
        let mut command = Command::new(program);
        command.args(args).arg(agent.get_program()).args(agent.get_args()).arg("run");
        command.current_dir(self.dir.path()).env_remove("AGENT_HOME").env("NO_COLOR", "1");
        self.start_by(command)
    }

    fn start_by(&self, mut command: Command) -> Running {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.dir.path().join("agent.log")).unwrap();
        let child = command
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".into()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Running { child: Some(child) }
    }

    /// What the agent wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("agent.log")).unwrap_or_default()
    }

    /// `agent status --json` of a running agent, if it answers.
    pub fn status(&self) -> Option<serde_json::Value> {
        let output = self.run(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        status["running"].as_bool()?.then_some(status)
    }

    /// Waits until the agent says that everything is in sync.
    pub fn wait_in_sync(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut last = None;
        while Instant::now() < until {
            last = self.status();
            if last.as_ref().is_some_and(|status| status["in_sync"] == true) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        panic!("not in sync after {patience:?}: {last:#?}\n{}", tail(&self.log()));
    }

    /// Waits until disk and cloud are equal by hash, which is when the agent is done, whatever it says.
    pub fn wait_equal(&self, patience: Duration) {
        let until = Instant::now() + patience;
        loop {
            let difference = self.difference();
            if difference.is_empty() {
                return;
            }
            if Instant::now() > until {
                let shown: Vec<_> = difference.iter().take(10).collect();
                panic!("{} differences after {patience:?}: {shown:#?}\n{}", difference.len(), tail(&self.log()));
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// What differs between the cloud's folder and the local directory, by path, kind and SHA-1.
    pub fn difference(&self) -> Vec<String> {
        let cloud: BTreeMap<String, String> = self
            .cloud()
            .tree(self.remote)
            .unwrap()
            .into_iter()
            .map(|(path, entry)| (path, if entry.is_folder { "folder".into() } else { entry.sha1 }))
            .collect();
        let disk = read_tree(&self.local());
        let mut difference = Vec::new();
        for (path, hash) in &cloud {
            match disk.get(path) {
                Some(there) if there == hash => {}
                Some(there) => difference.push(format!("{path}: {hash} in the cloud, {there} on disk")),
                None => difference.push(format!("{path}: only in the cloud")),
            }
        }
        difference
            .extend(disk.keys().filter(|path| !cloud.contains_key(*path)).map(|path| format!("{path}: only on disk")));
        difference
    }

    /// Names in one of our own directories in the watched folder.
    pub fn ours(&self, dir: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.local().join(RESERVED).join(dir)) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

/// Waits for a condition.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Every file (with its SHA-1) and folder of a directory but our own.
pub fn read_tree(root: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        // A directory may go away while it is read: the caller looks again.
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            if entry.file_name() == RESERVED {
                continue;
            }
            let path = entry.path();
            let shown = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                tree.insert(shown, "folder".into());
                todo.push(path);
            } else if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                // A pipe would keep whoever opens it.
                tree.insert(shown, "neither file nor folder".into());
            } else if let Ok(hash) = sha1_of_file(&path) {
                tree.insert(shown, hash);
            }
        }
    }
    tree
}

/// The SHA-1 of a content, as the cloud shows it.
pub fn sha1_of(content: &[u8]) -> String {
    folder_sync_agent::local::hash::hex(&Sha1::digest(content))
}

fn sha1_of_file(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha1::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(folder_sync_agent::local::hash::hex(&hasher.finalize()))
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// A running agent; killed if it is still there in the end.
pub struct Running {
    child: Option<Child>,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and its exit code.
    pub fn stop(mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
