//! A real NATS server with JetStream. The test is skipped where `nats-server` is not installed (Debian: `apt-get install nats-server`), unless
//! REQUIRE_NATS is set.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::{self, consumer, stream};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::subscription;
use crate::support::{Bed, PATIENCE, until};

/// A server of its own; it ends with this value.
struct Nats {
    child: Child,
    port: u16,
}

impl Nats {
    /// Starts on a port of this machine that was free a moment ago.
    fn start(dir: &std::path::Path, port: Option<u16>) -> Option<Self> {
        let is_there = Command::new("nats-server").arg("--version").output().is_ok_and(|out| out.status.success());
        if !is_there {
            assert!(std::env::var_os("REQUIRE_NATS").is_none(), "nats-server is required and not installed");
            println!("skipped: nats-server is not installed");
            return None;
        }
        let port =
            port.unwrap_or_else(|| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let child = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
            .arg(dir.join("nats"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("the NATS server", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self { child, port })
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn make_stream(url: &str) -> jetstream::Context {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    let config = stream::Config { name: "EVENTS".into(), subjects: vec!["box.>".into()], ..stream::Config::default() };
    context.get_or_create_stream(config).await.unwrap();
    context
}

/// Every message of the stream: its subject, its id and its document.
async fn messages(context: &jetstream::Context) -> Vec<(String, String, Value)> {
    let mut stream = context.get_stream("EVENTS").await.unwrap();
    let wanted = stream.info().await.unwrap().state.messages;
    let config = consumer::pull::Config::default();
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut found = Vec::new();
    let mut fetched = consumer.fetch().max_messages(10_000).expires(Duration::from_secs(1)).messages().await.unwrap();
    while found.len() < wanted as usize {
        let message = fetched.next().await.unwrap().unwrap();
        let id = message.headers.as_ref().unwrap().get("Nats-Msg-Id").unwrap().to_string();
        found.push((message.subject.to_string(), id, serde_json::from_slice(&message.payload).unwrap()));
    }
    found
}

#[test]
fn a_nats_stream_gets_every_event_once_across_kills_of_both() {
    let bed = Bed::new();
    bed.cloud().mkdir_p("/Elsewhere").unwrap();
    bed.add_folder(&[]);
    let Some(nats) = Nats::start(bed.dir.path(), None) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    bed.ok(&["subscribe", "bus", "--nats", &nats.url(), "--subject", "box.{account}.{type}", "--type", "item.*"]);
    let mut agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let write = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            bed.cloud().write(&format!("/Elsewhere/{number}.txt"), b"x".to_vec()).unwrap();
        }
    };
    write(0..5);
    // No stream takes the subject yet: that has a name, and nothing is lost.
    until("a named state", || {
        let row = subscription(&bed, "bus");
        row["state"] == "unreachable" && row["reason"].as_str().is_some_and(|reason| reason.contains("nats stream add"))
    });
    let context = runtime.block_on(make_stream(&nats.url()));
    for round in 1..4 {
        write(round * 5..round * 5 + 5);
        agent.kill();
        agent = bed.start();
    }
    let count = |context: &jetstream::Context| {
        runtime.block_on(async {
            let mut stream = context.get_stream("EVENTS").await.unwrap();
            stream.info().await.unwrap().state.messages
        })
    };
    until("twenty messages", || count(&context) >= 20);
    // The server dies and comes back.
    let port = nats.port;
    drop(nats);
    write(20..25);
    let nats = Nats::start(bed.dir.path(), Some(port)).unwrap();
    let context = runtime.block_on(make_stream(&nats.url()));
    until("all messages", || count(&context) >= 25);
    until("the place", || subscription(&bed, "bus")["state"] == "caught_up");
    // Delivered again, and dropped by the server, which knows the ids.
    bed.ok(&["subscriptions", "replay", "bus", "--all"]);
    until("the replay", || subscription(&bed, "bus")["delivered"].as_u64().unwrap() >= 50);
    let found = runtime.block_on(messages(&context));
    let names: Vec<&str> = found.iter().filter_map(|(_, _, row)| row["path"].as_str()?.rsplit('/').next()).collect();
    let wanted: Vec<String> = (0..25).map(|number| format!("{number}.txt")).collect();
    assert_eq!(names, wanted, "each once, in order");
    assert!(found.iter().all(|(subject, id, row)| subject == "box.work.item.uploaded" && row["event_id"] == **id));
    assert_eq!(agent.stop(), Some(0));
}
