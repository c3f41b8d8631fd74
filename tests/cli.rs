//! The real program, run as people run it: what it prints, what it leaves behind, and how it ends.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use folder_sync_agent::sandbox::{ACCESS_TOKEN, Cloud, Options, Sandbox};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

mod agent;
mod demo;
mod errors;
mod first_days;
mod folders;
mod left_out;
mod packages;
mod people;
mod service;
mod setup;
mod sign_in;
mod support_file;
mod terminal;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_agent");

/// A directory of its own for each test, with an installation in it and, if wanted, a cloud.
pub struct Bed {
    dir: tempfile::TempDir,
    sandbox: Option<Sandbox>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
#[must_use]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output, with this test's directory and port replaced.
    pub out: String,
    /// Standard error, likewise.
    pub err: String,
}

impl Ran {
    /// The output of a command that must have ended well.
    #[track_caller]
    pub fn fine(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.out
    }

    /// What went wrong, for a command that must have ended with this code and without output.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:#?}");
        self.err
    }

    /// The output as JSON.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.fine()).expect("one JSON document")
    }
}

impl Bed {
    /// Nothing but an empty directory.
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), sandbox: None }
    }

    /// With a cloud, and signed in to it.
    pub async fn signed_in() -> Self {
        let bed = Self::with_cloud().await;
        let url = bed.url();
        let login = ["login", "box", "--account", "work", "--api-url", &url, "--token-stdin"];
        bed.run_with(&login, ACCESS_TOKEN).await.fine();
        bed
    }

    /// With a cloud.
    pub async fn with_cloud() -> Self {
        // Only the first caller in a process installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = folder_sync_agent::sandbox::start(Options::default()).await.unwrap();
        Self { sandbox: Some(sandbox), ..Self::new() }
    }

    /// Another user's hands in the cloud.
    pub fn cloud(&self) -> Cloud {
        self.sandbox.as_ref().unwrap().cloud()
    }

    /// The cloud's origin.
    pub fn url(&self) -> String {
        self.sandbox.as_ref().unwrap().url()
    }

    /// A path in the test's directory.
    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The text of the configuration file.
    pub fn config(&self) -> String {
        std::fs::read_to_string(self.path("home/config.toml")).unwrap_or_default()
    }

    /// Writes the configuration file.
    pub fn write_config(&self, text: &str) {
        std::fs::create_dir_all(self.path("home")).unwrap();
        std::fs::write(self.path("home/config.toml"), text).unwrap();
    }

    /// Runs the program on this bed's installation, with nothing on standard input.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "").await
    }

    /// Runs the program with a text on standard input.
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let home = self.path("home");
        self.run_in(&[("AGENT_HOME", home.as_path())], arguments, input).await
    }

    /// Runs the program in an environment of nothing but what is given.
    pub async fn run_in(&self, variables: &[(&str, &Path)], arguments: &[&str], input: &str) -> Ran {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing may be gone already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let plain = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap().replace(self.dir.path().to_str().unwrap(), "$DIR");
            match &self.sandbox {
                Some(sandbox) => text.replace(&sandbox.url(), "$URL"),
                None => text,
            }
        };
        Ran { code: output.status.code().unwrap_or(-1), out: plain(output.stdout), err: plain(output.stderr) }
    }
}
