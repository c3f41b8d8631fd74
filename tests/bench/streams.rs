//! The figures of the streams: events of others, throughput of subscriptions, and a long listing of the journal.
//!
//! `cargo bench --bench streams -- [EVENTS]`

#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use process::{cpu_ms, memory_kib};
use support::Bed;

const LONG: Duration = Duration::from_mins(10);

fn main() {
    let events = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(300_000_u64);
    foreign(events, "no subscription", |_| {});
    foreign(events / 3, "a file", |bed| {
        let path = bed.dir.path().join("events.jsonl");
        bed.ok(&["subscribe", "file", "--file", path.to_str().unwrap(), "--batch", "1000", "--rotate", "1 GiB"]);
    });
    let sink = Arc::new(AtomicU64::new(0));
    let url = webhook(Arc::clone(&sink));
    foreign(events / 3, "a webhook in batches of 100", |bed| {
        bed.ok(&["subscribe", "hook", "--url", &url, "--batch", "100"]);
    });
    println!("the webhook took {} posts", sink.load(Ordering::Relaxed));
    let dir = tempfile::tempdir().unwrap();
    match Nats::start(dir.path()) {
        Some(nats) => {
            foreign(events / 3, "NATS JetStream, each message acknowledged", |bed| {
                nats.make_stream();
                bed.ok(&["subscribe", "bus", "--nats", &nats.url(), "--subject", "bench.{account}", "--batch", "500"]);
            });
        }
        None => println!("skipped: nats-server is not installed"),
    }
}

/// Events that concern no folder, and how long they take until they are through: read, written down, delivered.
fn foreign(events: u64, to: &str, prepare: impl FnOnce(&Bed)) {
    let bed = Bed::new();
    bed.add_folder(&[]);
    prepare(&bed);
    let agent = bed.start();
    bed.wait_in_sync(LONG);
    let before = (cpu_ms(agent.pid()), memory_kib(agent.pid()).1);
    let begun = Instant::now();
    bed.cloud().foreign_noise(events);
    let made = begun.elapsed();
    let is_through = || {
        let Some(status) = bed.status() else { return false };
        let read = status["accounts"][0]["events"]["foreign"].as_u64().unwrap() >= events;
        let delivered = status["subscriptions"].as_array().unwrap().iter().all(|one| one["state"] == "caught_up");
        read && delivered
    };
    while !is_through() {
        assert!(begun.elapsed() < LONG, "{}", bed.log());
        std::thread::park_timeout(Duration::from_millis(200));
    }
    let took = begun.elapsed();
    let cpu = cpu_ms(agent.pid()) - before.0;
    println!(
        "{events} events of others, to {to}: {took:.2?} ({made:.2?} to make them), {:.0} a second, {:.1} µs of CPU each, resident {} → {} MiB",
        events as f64 / took.as_secs_f64(),
        cpu as f64 * 1_000.0 / events as f64,
        before.1 >> 10,
        memory_kib(agent.pid()).1 >> 10,
    );
    if to == "no subscription" {
        let begun = Instant::now();
        let mut child = bed.agent().args(["events", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().count();
        child.wait().unwrap();
        println!("agent events --json | wc -l: {lines} lines in {:.2?}", begun.elapsed());
    }
    assert_eq!(agent.stop(), Some(0));
}

/// A server that takes everything, over connections that stay open.
fn webhook(posts: Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let posts = Arc::clone(&posts);
            std::thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                let mut reader = BufReader::new(stream);
                let mut body = Vec::new();
                loop {
                    let mut length = 0;
                    loop {
                        let mut line = String::new();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        if line.trim_end().is_empty() {
                            break;
                        }
                        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                    }
                    body.resize(length, 0);
                    if reader.read_exact(&mut body).is_err() {
                        return;
                    }
                    posts.fetch_add(1, Ordering::Relaxed);
                    if writer.write_all(b"HTTP/1.1 204 So\r\ncontent-length: 0\r\n\r\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

struct Nats {
    child: Child,
    port: u16,
}

impl Nats {
    fn start(dir: &std::path::Path) -> Option<Self> {
        Command::new("nats-server").arg("--version").output().ok()?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
            .arg(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        support::until("the NATS server", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self { child, port })
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    fn make_stream(&self) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let context = async_nats::jetstream::new(async_nats::connect(self.url()).await.unwrap());
            let config = async_nats::jetstream::stream::Config {
                name: "BENCH".into(),
                subjects: vec!["bench.>".into()],
                ..Default::default()
            };
            context.get_or_create_stream(config).await.unwrap();
        });
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
