//! A provider, or what stands between it and us, that answers nonsense, holds its tongue, or forgets: the real program says so, keeps
//! the good files, and goes on.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::{Answer, Fault, Rule};

use crate::support::{Bed, EGNYTE_REMOTE, PATIENCE, REMOTE, until};

fn html() -> Answer {
    let body = "<!DOCTYPE html><title>Please sign in to the network</title>".to_owned();
    Answer { body, ..Answer::empty(200) }.with("content-type", "text/html")
}

fn a_page_in_place_of_the_content(bed: &Bed, remote: &str, download: &str) {
    let (cloud, path) = (bed.cloud(), format!("{remote}/report.txt"));
    cloud.write(&path, b"good".to_vec()).unwrap();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.faults().add(Rule::on(download, Fault::Answer(html())).always());
    cloud.write(&path, b"better".to_vec()).unwrap();
    until("the page is named as the problem", || {
        let problems = bed.ok(&["problems"]);
        problems.lines().any(|line| line.contains("report.txt") && line.contains("HTML page"))
    });
    assert_eq!(std::fs::read(bed.local().join("report.txt")).unwrap(), b"good", "the good file stays");
    assert_eq!(bed.status().unwrap()["in_sync"], false);
    assert_eq!(bed.ours("staging"), Vec::<String>::new());
    cloud.faults().clear();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_page_in_place_of_a_content_is_a_problem_and_no_file_at_box() {
    a_page_in_place_of_the_content(&Bed::new(), REMOTE, "content_redirect");
}

#[test]
fn a_page_in_place_of_a_content_is_a_problem_and_no_file_at_egnyte() {
    a_page_in_place_of_the_content(&Bed::egnyte(), EGNYTE_REMOTE, "egnyte_download");
}

#[test]
fn an_entry_that_cannot_be_read_is_its_folders_trouble_and_nobody_elses() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    let sub = cloud.mkdir_p(&format!("{REMOTE}/sub")).unwrap();
    let seen = cloud.mkdir_p(&format!("{REMOTE}/sub/seen")).unwrap();
    cloud.write(&format!("{REMOTE}/sub/a"), b"a".to_vec()).unwrap();
    cloud.write(&format!("{REMOTE}/fine/b"), b"b".to_vec()).unwrap();
    let body = format!(
        r#"{{"entries":[null,{{"type":"folder","id":"{seen}","name":"seen"}},{{"type":"hub","id":"5"}}],"next_marker":null}}"#
    );
    let answer = Answer { body, ..Answer::empty(200) }.with("content-type", "application/json");
    cloud.faults().add(Rule::on("folder_items", Fault::Answer(answer)).id(&sub).always());
    bed.add_folder(&[]);
    let agent = bed.start();
    until("what else is there", || bed.local().join("fine/b").exists() && bed.local().join("sub/seen").exists());
    until("the problem", || {
        let problems = bed.ok(&["problems"]);
        problems.lines().any(|line| line.contains(" sub ") && line.contains("an entry that cannot be read"))
    });
    let status = bed.status().unwrap();
    assert_eq!((&status["in_sync"], &status["accounts"][0]["degraded"]), (&false.into(), &serde_json::Value::Null));
    cloud.faults().clear();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_new_version_with_the_bytes_that_are_there_is_not_fetched() {
    for (bed, remote, download) in
        [(Bed::new(), REMOTE, "content_redirect"), (Bed::egnyte(), EGNYTE_REMOTE, "egnyte_download")]
    {
        let (cloud, path) = (bed.cloud(), format!("{remote}/report.txt"));
        cloud.write(&path, b"the same".to_vec()).unwrap();
        bed.add_folder(&[]);
        let agent = bed.start();
        bed.wait_in_sync(PATIENCE);
        let heard = || bed.status().map_or(0, |status| status["accounts"][0]["events"]["relevant"].as_u64().unwrap());
        let before = heard();
        cloud.write(&path, b"the same".to_vec()).unwrap();
        until("the new version is heard of", || heard() > before);
        bed.wait_in_sync(PATIENCE);
        assert_eq!(cloud.count(download), 1, "only the first version was fetched");
        assert_eq!(agent.stop(), Some(0));
    }
}

#[test]
fn without_a_long_poll_the_stream_is_polled_and_said_so() {
    for (call, answer) in [("realtime", Answer::empty(403)), ("realtime", html()), ("events_options", html())] {
        let bed = Bed::new();
        let cloud = bed.cloud();
        cloud.faults().add(Rule::on(call, Fault::Answer(answer)).always());
        bed.add_folder(&[]);
        let agent = bed.start();
        until("it is said that there is no long poll", || bed.is_degraded("no_long_poll"));
        bed.wait_in_sync(PATIENCE);
        let account = &bed.status().unwrap()["accounts"][0];
        assert_eq!(account["long_poll"], false);
        assert!(account["degraded"]["cause"].as_str().is_some_and(|cause| cause.contains("long poll")), "{account}");
        cloud.write(&format!("{REMOTE}/news.txt"), b"news".to_vec()).unwrap();
        bed.wait_equal(PATIENCE);
        assert!(bed.is_degraded("no_long_poll"));
        cloud.faults().clear();
        until("the long poll is back", || {
            !bed.is_degraded("no_long_poll")
                && bed.status().is_some_and(|status| status["accounts"][0]["long_poll"] == true)
        });
        assert_eq!(agent.stop(), Some(0));
    }
}

#[test]
fn a_place_beyond_the_newest_event_is_noticed_after_a_start() {
    let bed = Bed::egnyte();
    let cloud = bed.cloud();
    cloud.write(&format!("{EGNYTE_REMOTE}/a.txt"), b"a".to_vec()).unwrap();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
    // The domain is restored from a backup: its events begin below our place, and reading from there brings nothing for ever.
    cloud.write(&format!("{EGNYTE_REMOTE}/b.txt"), b"b".to_vec()).unwrap();
    cloud.trash(&format!("{EGNYTE_REMOTE}/a.txt")).unwrap();
    let ends = r#"{"latest_event_id":1000,"oldest_event_id":900,"timestamp":"2026-01-01T00:00:00Z"}"#.to_owned();
    let ends = Answer { body: ends, ..Answer::empty(200) }.with("content-type", "application/json");
    cloud.faults().add(Rule::on("egnyte_cursor", Fault::Answer(ends)).always());
    cloud.faults().add(Rule::on("egnyte_events", Fault::Answer(Answer::empty(204))).always());
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
}

/// A proxy that lets everything through until a long poll comes by; from then on that connection is held and nothing passes.
struct Swallower {
    port: u16,
    swallows: Arc<AtomicBool>,
}

impl Swallower {
    fn start(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let swallows = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&swallows);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, flag) = (upstream.clone(), Arc::clone(&flag));
                std::thread::spawn(move || pass(client, &upstream, &flag));
            }
        });
        Self { port, swallows }
    }
}

fn pass(mut client: TcpStream, upstream: &str, swallows: &AtomicBool) -> Option<()> {
    let mut server = TcpStream::connect(upstream).ok()?;
    let (mut back_from, mut back_to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut back_from, &mut back_to);
        let _ = back_to.shutdown(std::net::Shutdown::Both);
    });
    let mut bytes = [0; 16 * 1024];
    loop {
        let length = client.read(&mut bytes).ok().filter(|length| *length > 0)?;
        let is_long_poll = bytes[..length].windows(10).any(|window| window == b"/realtime?");
        if is_long_poll && swallows.load(Ordering::Relaxed) {
            // What still comes is read and forgotten until the client gives up.
            while client.read(&mut bytes).ok().is_some_and(|length| length > 0) {}
            return None;
        }
        server.write_all(&bytes[..length]).ok()?;
    }
}

#[test]
fn news_comes_within_two_minutes_although_the_long_poll_is_swallowed() {
    let bed = Bed::new();
    let swallower = Swallower::start(bed.sandbox.url().trim_start_matches("http://").to_owned());
    let path = bed.home().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let proxied = format!("provider = \"box\"\nproxy = \"http://127.0.0.1:{}\"\n", swallower.port);
    std::fs::write(&path, config.replace("provider = \"box\"\n", &proxied)).unwrap();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    until("the long poll is out", || bed.status().is_some_and(|status| status["accounts"][0]["long_poll"] == true));
    assert_eq!(cloud.count("realtime"), 0, "it is swallowed");
    cloud.write(&format!("{REMOTE}/news.txt"), b"news".to_vec()).unwrap();
    let began = Instant::now();
    bed.wait_equal(Duration::from_mins(2));
    until("the silence is said", || bed.is_degraded("no_long_poll"));
    bed.wait_in_sync(PATIENCE);
    assert!(began.elapsed() > Duration::from_secs(1), "the long poll did not bring it");
    // The way is free again: a request from before the news is answered at once, and the long poll is relied on again.
    swallower.swallows.store(false, Ordering::Relaxed);
    let end = Instant::now() + Duration::from_mins(3);
    while bed.is_degraded("no_long_poll") {
        assert!(Instant::now() < end, "the long poll is not taken up again");
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert_eq!(agent.stop(), Some(0));
}
