//! clamds that misbehave, each with the verdict that it must lead to. What a real one says is tested in `tests/hooks`.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::PathBuf;

use super::*;

/// What a clamd does with one connection, after the version was asked for.
type Manner = fn(&mut StdStream);

/// Serves connections on a socket of its own: the version first, then whatever the manner is.
struct Beast {
    _dir: tempfile::TempDir,
    socket: PathBuf,
    file: PathBuf,
}

fn told(stream: &mut StdStream) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).unwrap_or(0);
    buffer[..count].to_vec()
}

impl Beast {
    fn new(version: &'static [u8], manner: Manner) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (socket, file) = (dir.path().join("clamd.ctl"), dir.path().join("file"));
        std::fs::write(&file, "content").unwrap();
        let listener = StdListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut asked = Vec::new();
                    while !asked.ends_with(b"zVERSION\0") {
                        let more = told(&mut stream);
                        if more.is_empty() {
                            return;
                        }
                        asked.extend(more);
                    }
                    let _ = stream.write_all(version);
                    manner(&mut stream);
                });
            }
        });
        Self { _dir: dir, socket, file }
    }

    fn client(&self) -> Client {
        Client::new(Clamd::Unix(self.socket.clone()))
    }
}

const VERSION: &[u8] = b"1: ClamAV 1.0.0/27000/Sun Nov 29 2026\0";

/// Answers one file by descriptor and waits until the client hangs up.
fn say(stream: &mut StdStream, words: &[u8]) {
    // The command and the byte that comes with the descriptor.
    let mut asked = Vec::new();
    while !asked.ends_with(b"\0\0") {
        let more = told(stream);
        if more.is_empty() {
            return;
        }
        asked.extend(more);
    }
    let _ = stream.write_all(words);
    let _ = stream.flush();
}

async fn verdict_of(manner: Manner) -> Outcome {
    let beast = Beast::new(VERSION, manner);
    let scanned = timeout(Duration::from_secs(5), async { beast.client().scan(&beast.file).await });
    scanned.await.unwrap_or_else(|_| Outcome {
        verdict: Verdict::TimedOut,
        ..Outcome::failed("the test ended it", Duration::ZERO)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_zoo_never_gets_anything_through() {
    let zoo: [(&str, Manner, Verdict); 14] = [
        ("clean", |s| say(s, b"2: fd[9]: OK\0"), Verdict::Allow),
        ("infected", |s| say(s, b"2: fd[9]: Eicar FOUND\0"), Verdict::Reject),
        ("a limit", |s| say(s, b"2: fd[9]: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0"), Verdict::Unscannable),
        ("an error", |s| say(s, b"2: fd[9]: Can't allocate memory ERROR\0"), Verdict::Error),
        ("closes", |_| {}, Verdict::Error),
        ("half a line", |s| say(s, b"2: fd[9]: O"), Verdict::Error),
        ("another's", |s| say(s, b"7: fd[9]: OK\0"), Verdict::Error),
        ("twice", |s| say(s, b"2: fd[9]: OK\0 2: fd[9]: OK\0"), Verdict::Error),
        ("NULs", |s| say(s, b"\0\0\0\0"), Verdict::Error),
        ("no UTF-8", |s| say(s, b"2: fd[9]: \xff\xfe OK\0"), Verdict::Error),
        ("no name", |s| say(s, b"2: OK\0"), Verdict::Error),
        ("another name", |s| say(s, b"2: /etc/passwd: OK\0"), Verdict::Error),
        ("more than OK", |s| say(s, b"2: fd[9]: OK, nearly\0"), Verdict::Error),
        ("ten megabytes", |s| say(s, &vec![b'x'; 10 << 20]), Verdict::Error),
    ];
    for (name, manner, verdict) in zoo {
        let outcome = verdict_of(manner).await;
        assert_eq!(outcome.verdict, verdict, "{name}: {outcome:?}");
        assert_eq!(outcome.reason.is_some(), verdict == Verdict::Error, "{name}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_no_verdict() {
    let outcome = verdict_of(|stream| {
        // Until the client hangs up.
        while !told(stream).is_empty() {}
    })
    .await;
    assert_eq!(outcome.verdict, Verdict::TimedOut);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_the_version_wrongly_is_no_clamd_and_down() {
    for version in [&b"1: nginx\0"[..], b"9: ClamAV 1.0\0", b"1: ClamAV 1.0\n\x1b[2J\0", b"1: ClamAV 1.0\0OK\0", b""] {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("clamd.ctl");
        let listener = StdListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                told(&mut stream);
                let _ = stream.write_all(version);
            }
        });
        let client = Client::new(Clamd::Unix(socket));
        let outcome = client.probe().await;
        assert_eq!((outcome.verdict, outcome.is_down), (Verdict::Error, true), "{outcome:?}");
    }
    let nowhere = Client::new(Clamd::Unix("/nonexistent/clamd.ctl".into()));
    let outcome = nowhere.scan(Path::new("/etc/hostname")).await;
    assert!(outcome.is_down && outcome.reason.unwrap().contains("/nonexistent/clamd.ctl"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clean_before_the_end_of_a_stream_is_a_lie() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, vec![b'x'; 64 << 20]).unwrap();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 64];
            let mut asked = Vec::new();
            while !asked.ends_with(b"zVERSION\0") {
                let count = stream.read(&mut buffer).unwrap();
                asked.extend(&buffer[..count]);
            }
            let _ = stream.write_all(VERSION);
            let _ = stream.read(&mut buffer);
            // Far from its end.
            let early = if number == 0 { &b"2: stream: OK\0"[..] } else { b"2: stream: Eicar FOUND\0" };
            let _ = stream.write_all(early);
            std::thread::spawn(move || {
                let mut sink = vec![0; 1 << 20];
                while stream.read(&mut sink).is_ok_and(|count| count > 0) {}
            });
        }
    });
    let client = Client::new(Clamd::Tcp("127.0.0.1".into(), port));
    let lie = client.scan(&file).await;
    assert_eq!(lie.verdict, Verdict::Error, "{lie:?}");
    assert!(lie.reason.unwrap().contains("before its end"));
    assert_eq!(client.scan(&file).await.verdict, Verdict::Reject, "what was found early was found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ended_while_it_rested_is_opened_again() {
    let beast = Beast::new(VERSION, |stream| say(stream, b"2: fd[9]: OK\0"));
    let client = beast.client();
    for _ in 0..3 {
        let outcome = client.scan(&beast.file).await;
        assert_eq!(outcome.verdict, Verdict::Allow, "{outcome:?}");
        assert_eq!(outcome.version.as_deref(), Some("ClamAV 1.0.0/27000/Sun Nov 29 2026"));
    }
    let missing = client.scan(Path::new("/nonexistent")).await;
    assert_eq!((missing.verdict, missing.is_down), (Verdict::Error, false));
}
