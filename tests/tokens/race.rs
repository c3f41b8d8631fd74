//! Two processes that need one refresh token at the same moment.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use folder_sync_agent::daemon::world::make_provider;
use folder_sync_agent::provider::http::CallCounter;
use folder_sync_agent::sandbox::{self, Options, User};
use folder_sync_agent::settings::{AccountSettings, BoxStream, ProviderName, Suppress};

const ROUNDS: usize = 200;
/// What a racer says begins with this; the test program says more.
const MARK: &str = "@racer ";

fn settings(api_url: &str) -> AccountSettings {
    AccountSettings {
        name: "work".to_owned(),
        provider: ProviderName::Box,
        api_url: Some(api_url.parse().unwrap()),
        domain: None,
        stream: BoxStream::Changes,
        suppress: Suppress::None,
        poll_min: None,
        poll_max: None,
        calls_per_day: None,
        calls_per_minute: None,
        transfers: 4,
        bandwidth_down: None,
        bandwidth_up: None,
        quiet: None,
        ca_file: None,
        proxy: None,
    }
}

/// Not a test of its own: the other process of the one below. It asks who it is each time it is told to.
#[test]
fn racer() {
    let (Some(dir), Ok(url)) = (std::env::var_os("RACER_DIR"), std::env::var("RACER_URL")) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let provider = make_provider(&settings(&url), PathBuf::from(dir), Arc::new(CallCounter::default())).unwrap();
    for line in std::io::stdin().lock().lines() {
        drop(line.unwrap());
        let said = match runtime.block_on(provider.whoami()) {
            Ok(identity) => identity.login,
            Err(error) => format!("{error:?}"),
        };
        println!("\n{MARK}{}", said.replace('\n', " "));
    }
}

struct Racer {
    child: Child,
    out: std::io::Lines<BufReader<ChildStdout>>,
}

impl Racer {
    fn start(dir: &std::path::Path, url: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tokens::race::racer", "--nocapture", "--test-threads", "1"])
            .env("RACER_DIR", dir)
            .env("RACER_URL", url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, out }
    }

    fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    fn said(&mut self) -> String {
        loop {
            let line = self.out.next().expect("the racer still runs").unwrap();
            if let Some(said) = line.strip_prefix(MARK) {
                return said.to_owned();
            }
        }
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_and_one_refresh_token() {
    let sandbox = sandbox::start(Options::default()).await.unwrap();
    let cloud = sandbox.cloud();
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("credentials");
    let login = folder_sync_agent::provider::auth::parse_login(&super::json_of(&cloud.issue_pair(User::Agent, 3_600)));
    folder_sync_agent::provider::auth::save_login(dir.clone(), "work", login.unwrap().credentials).await.unwrap();
    let url = sandbox.url();
    tokio::task::spawn_blocking(move || {
        let mut racers = [Racer::start(&dir, &url), Racer::start(&dir, &url)];
        let current = || {
            let text = std::fs::read(dir.join("work.json")).unwrap();
            let file: serde_json::Value = serde_json::from_slice(&text).unwrap();
            file["access_token"].as_str().unwrap().to_owned()
        };
        for round in 0..ROUNDS {
            let dead = current();
            cloud.expire_token(&dead);
            cloud.reset_counters();
            racers.iter_mut().for_each(Racer::go);
            for racer in &mut racers {
                assert_eq!(racer.said(), "agent@example.test", "round {round}");
            }
            assert_eq!(cloud.count("token"), 1, "round {round}: one of them renews, and both have it");
            assert_eq!(cloud.count("refresh_token_reused"), 0, "round {round}");
            assert!(current() != dead && cloud.token_works(&current()), "round {round}");
        }
    })
    .await
    .unwrap();
    drop(sandbox);
}
