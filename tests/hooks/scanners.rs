//! The scanner scripts that we ship, run by the runner against a real clamd, clamscan and yara.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use folder_sync_agent::hook::document::{Document, ItemPart, SCHEMA};
use folder_sync_agent::hook::{Call, HookKind, HookSettings, Listen, Outcome, Verdict, When};
use folder_sync_agent::runner::{Order, Runner, Trust};
use folder_sync_agent::tree::Wall;

use crate::support::clamd::{Clamd, SIGNATURE, eicar, is_installed};

pub fn shipped(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/hooks").join(name).to_str().unwrap().to_owned()
}

fn hook(run: Vec<String>) -> HookSettings {
    let mut hook = HookSettings::new("scan", When::Before, vec![Listen::Everything], Call::Exec { run, worker: false });
    hook.timeout = Duration::from_mins(1);
    hook.concurrency = 1;
    hook
}

pub fn order(file: PathBuf) -> Order {
    let document = Document {
        schema: SCHEMA,
        hook: "scan".into(),
        when: When::Before,
        event: HookKind::FileDownload,
        delivery: "1".into(),
        attempt: 1,
        at: Wall(0),
        account: None,
        folder: None,
        item: Some(ItemPart { kind: "file".into(), path: "x".into(), ..ItemPart::default() }),
        file: Some(file.display().to_string()),
        actor: None,
        message: None,
        depth: 0,
        causes: Vec::new(),
    };
    Order { document, path: Some("x".into()), file: Some(file) }
}

/// A runner, and a place for the file that it is asked about.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub runner: Runner,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let trust = Trust { user: Some(rustix::process::geteuid().as_raw()) };
        let runner = Runner::new(trust, dir.path()).unwrap();
        Self { dir, runner }
    }

    pub fn file(&self, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join("-a\nname 'of' $(hostile) \u{202e}intent");
        fs::write(&path, content).unwrap();
        path
    }

    pub async fn ask(&self, hook: &HookSettings, content: &[u8]) -> Outcome {
        self.runner.run(hook, &order(self.file(content))).await
    }

    pub async fn scan(&self, run: &[String], content: &[u8]) -> Outcome {
        self.ask(&hook(run.to_vec()), content).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clamd_says_what_is_infected() {
    if !is_installed() {
        return;
    }
    let bench = Bench::new();
    let mut clamd = Clamd::start(bench.dir.path(), &["StreamMaxLength 1M"]);
    let run = [shipped("clamd-scan"), "--socket".into(), clamd.socket().to_str().unwrap().into()];
    let clean = bench.scan(&run, b"nothing to see").await;
    assert_eq!((clean.verdict, clean.output.as_str()), (Verdict::Allow, "OK\n"), "{clean:?}");
    assert_eq!(bench.scan(&run, b"").await.verdict, Verdict::Allow, "an empty file");
    let mut long = vec![b'x'; 700_000];
    long.extend(eicar());
    for infected in [eicar(), long] {
        let outcome = bench.scan(&run, &infected).await;
        assert_eq!(outcome.verdict, Verdict::Reject, "{outcome:?}");
        assert!(outcome.output.contains(&format!("{SIGNATURE}.UNOFFICIAL FOUND")), "{outcome:?}");
    }
    // More than clamd takes: it closes the connection in the middle, and that is neither clean nor a failure of clamd.
    let outcome = bench.scan(&run, &vec![0; 8 << 20]).await;
    assert_eq!(outcome.verdict, Verdict::Unscannable, "{outcome:?}");

    clamd.kill();
    let outcome = bench.scan(&run, b"nothing to see").await;
    assert_eq!((outcome.verdict, outcome.exit_code), (Verdict::Error, Some(2)), "{outcome:?}");
    clamd.again();
    assert_eq!(bench.scan(&run, b"nothing to see").await.verdict, Verdict::Allow);
    let missing = bench.dir.path().join("missing");
    assert_eq!(bench.runner.run(&hook(run.to_vec()), &order(missing)).await.verdict, Verdict::Error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clamd_is_reached_by_tcp_too() {
    if !is_installed() {
        return;
    }
    let bench = Bench::new();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _clamd = Clamd::start(bench.dir.path(), &[&format!("TCPSocket {port}"), "TCPAddr 127.0.0.1"]);
    let run = [shipped("clamd-scan"), "--tcp".into(), format!("127.0.0.1:{port}")];
    assert_eq!(bench.scan(&run, b"nothing to see").await.verdict, Verdict::Allow);
    assert_eq!(bench.scan(&run, &eicar()).await.verdict, Verdict::Reject);
    let nobody = [shipped("clamd-scan"), "--tcp".into(), "127.0.0.1:1".into()];
    assert_eq!(bench.scan(&nobody, b"x").await.verdict, Verdict::Error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clamscan_alone_says_the_same() {
    if !is_installed() {
        return;
    }
    let bench = Bench::new();
    drop(Clamd::start(bench.dir.path(), &[]));
    let database = bench.dir.path().join("db");
    let run = [shipped("clamscan-scan"), format!("--database={}", database.display())];
    let clean = bench.scan(&run, b"nothing to see").await;
    assert_eq!(clean.verdict, Verdict::Allow, "{clean:?}");
    let outcome = bench.scan(&run, &eicar()).await;
    assert_eq!(outcome.verdict, Verdict::Reject, "{outcome:?}");
    assert!(outcome.output.contains(SIGNATURE), "{outcome:?}");
    let broken = [shipped("clamscan-scan"), "--database=/nonexistent".into()];
    assert_eq!(bench.scan(&broken, b"x").await.verdict, Verdict::Error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn yara_rules_reject_what_they_match() {
    if Command::new("yara").arg("--version").output().is_err() {
        eprintln!("skipped: yara is not installed (apt-get install yara)");
        return;
    }
    let bench = Bench::new();
    let rules = bench.dir.path().join("rules.yar");
    let mut file = fs::File::create(&rules).unwrap();
    writeln!(file, "rule macro {{ strings: $a = \"AutoOpen\" condition: $a }}").unwrap();
    let run = [shipped("yara-scan"), rules.to_str().unwrap().into()];
    assert_eq!(bench.scan(&run, b"nothing to see").await.verdict, Verdict::Allow);
    let outcome = bench.scan(&run, b"Sub AutoOpen()").await;
    assert_eq!(outcome.verdict, Verdict::Reject, "{outcome:?}");
    assert!(outcome.output.starts_with("macro"), "{outcome:?}");
    let broken = [shipped("yara-scan"), "/nonexistent".into()];
    assert_eq!(bench.scan(&broken, b"x").await.verdict, Verdict::Error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn yara_as_a_worker_says_the_same() {
    if Command::new("yara").arg("--version").output().is_err() {
        eprintln!("skipped: yara is not installed (apt-get install yara)");
        return;
    }
    let bench = Bench::new();
    let rules = bench.dir.path().join("rules.yar");
    fs::write(&rules, "rule macro { strings: $a = \"AutoOpen\" condition: $a }\n").unwrap();
    let worker = |rules: &Path| {
        let run = vec![shipped("yara-worker"), rules.to_str().unwrap().to_owned()];
        let mut hook = hook(Vec::new());
        hook.call = Call::Exec { run, worker: true };
        hook
    };
    let working = worker(&rules);
    for _ in 0..3 {
        let clean = bench.runner.run(&working, &order(bench.file(b"nothing to see"))).await;
        assert_eq!(clean.verdict, Verdict::Allow, "{clean:?}");
        let found = bench.runner.run(&working, &order(bench.file(b"Sub AutoOpen()"))).await;
        assert_eq!((found.verdict, found.output.as_str()), (Verdict::Reject, "macro"), "{found:?}");
    }
    let broken = bench.runner.run(&worker(Path::new("/nonexistent")), &order(bench.file(b"x"))).await;
    assert_eq!(broken.verdict, Verdict::Error, "{broken:?}");
}
