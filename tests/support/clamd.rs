//! A real clamd with a signature database of the test's own, which knows one thing: the EICAR test string.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The test string of the antivirus makers, put together here so that this file does not hold it.
pub fn eicar() -> Vec<u8> {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE", "!$H+H*"].concat().into_bytes()
}

/// The name by which the database knows it.
pub const SIGNATURE: &str = "Local.Test.Eicar";

/// A running clamd; it ends with this value.
pub struct Clamd {
    child: Option<Child>,
    dir: PathBuf,
    options: Vec<String>,
}

/// Whether clamd is here. Where it is not, tests with it are skipped, except where they were promised to run.
pub fn is_installed() -> bool {
    let found = Command::new("clamd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || std::env::var_os("REQUIRE_CLAMD").is_none(), "clamd was promised and is not installed");
    if !found {
        eprintln!("skipped: clamd is not installed (apt-get install clamav-daemon)");
    }
    found
}

impl Clamd {
    /// Starts one in a directory and waits until it answers.
    pub fn start(dir: &Path, options: &[&str]) -> Self {
        let dir = fs::canonicalize(dir).unwrap();
        fs::create_dir_all(dir.join("db")).unwrap();
        let hex = eicar().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        fs::write(dir.join("db/local.ndb"), format!("{SIGNATURE}:0:*:{hex}\n")).unwrap();
        let mut clamd = Self { child: None, dir, options: options.iter().map(ToString::to_string).collect() };
        clamd.again();
        clamd
    }

    /// Starts one that calls clean what is above its limits, as clamd does unless it is told otherwise.
    pub fn silent_about_limits(dir: &Path, options: &[&str]) -> Self {
        Self::start(dir, &[&["--silent-about-limits"], options].concat())
    }

    /// Other options, for the next start; whether it is silent about its limits stays.
    pub fn options(&mut self, options: &[&str]) {
        self.options.retain(|option| option.starts_with("--"));
        self.options.extend(options.iter().map(ToString::to_string));
    }

    /// One more signature, for the next start.
    pub fn knows_too(&self, signature: &str) {
        let path = self.dir.join("db/local.ndb");
        let known = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{known}{signature}\n")).unwrap();
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("clamd.ctl")
    }

    /// Makes it stand still: whoever asks waits.
    pub fn freeze(&self) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    }

    /// Whether somebody is asking it: a program that was given its socket is running.
    pub fn is_asked(&self) -> bool {
        let socket = self.socket();
        let socket = socket.to_str().unwrap().as_bytes();
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            words.any(|word| word.ends_with(b"clamd-scan")) && line.split(|byte| *byte == 0).any(|word| word == socket)
        })
    }

    /// Kills it in the middle of whatever it does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let _ = fs::remove_file(self.socket());
    }

    /// Starts it once more and waits until it answers.
    pub fn again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hooks/clamd.sh");
        let log = fs::File::create(self.dir.join("clamd.log")).unwrap();
        let mut command = Command::new(script);
        command.arg(&self.dir).args(&self.options).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_mins(1);
        while !self.answers() {
            let said = || fs::read_to_string(self.dir.join("clamd.log")).unwrap_or_default();
            assert!(self.child.as_mut().unwrap().try_wait().unwrap().is_none(), "clamd ended: {}", said());
            assert!(Instant::now() < deadline, "clamd does not answer: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = UnixStream::connect(self.socket()) else { return false };
        let mut answer = String::new();
        stream.write_all(b"zPING\0").is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("PONG")
    }
}

impl Drop for Clamd {
    fn drop(&mut self) {
        self.kill();
    }
}
