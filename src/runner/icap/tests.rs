//! ICAP servers that misbehave, each with the verdict that it must lead to. What a real one says is tested in `tests/hooks`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream as StdStream};
use std::path::PathBuf;

use super::*;

const OPTIONS: &str = "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nService: Test\r\nISTag: \"T-1\"\r\nAllow: 204\r\nPreview: 4\r\n\
                       Encapsulated: null-body=0\r\n\r\n";
const OPTIONS_WITHOUT_204: &str = "ICAP/1.0 200 OK\r\nMethods: RESPMOD, REQMOD\r\nEncapsulated: null-body=0\r\n\r\n";
const CLEAN: &str = "ICAP/1.0 204 No Content\r\nISTag: \"T-1\"\r\n\r\n";
const GO_ON: &str = "ICAP/1.0 100 Continue\r\n\r\n";

/// What a server says to one request: after the preview, and after the rest.
#[derive(Clone, Copy)]
struct Manner {
    options: &'static str,
    preview: &'static str,
    rest: &'static str,
}

struct Beast {
    _dir: tempfile::TempDir,
    file: PathBuf,
    url: Url,
}

/// Reads until the request holds one of some texts; false if it ended before.
fn hear(stream: &mut StdStream, request: &mut Vec<u8>, wanted: &[&str]) -> bool {
    let mut buffer = [0; 4096];
    let holds = |request: &[u8], wanted: &str| request.windows(wanted.len()).any(|part| part == wanted.as_bytes());
    while !wanted.iter().any(|wanted| holds(request, wanted)) {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => request.extend(&buffer[..count]),
            _ => return false,
        }
    }
    true
}

impl Beast {
    fn new(content: &str, manner: Manner) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, content).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("icap://{}/scan", listener.local_addr().unwrap())).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || serve(&mut stream, manner));
            }
        });
        Self { _dir: dir, file, url }
    }

    async fn scan(&self) -> Outcome {
        let client = Client::new(self.url.clone(), None);
        let scanned = timeout(Duration::from_secs(5), client.scan(&self.file, "a/b.pdf"));
        scanned.await.unwrap_or_else(|_| Outcome {
            verdict: Verdict::TimedOut,
            ..Outcome::failed("the test ended it", Duration::ZERO)
        })
    }
}

fn serve(stream: &mut StdStream, manner: Manner) {
    let mut request = Vec::new();
    while hear(stream, &mut request, &["\r\n\r\n"]) {
        if request.starts_with(b"OPTIONS") {
            request.clear();
            let _ = stream.write_all(manner.options.as_bytes());
            continue;
        }
        let has_preview = manner.options.contains("Preview");
        if !hear(stream, &mut request, &["0\r\n\r\n", "ieof\r\n\r\n"]) {
            return;
        }
        if has_preview {
            let _ = stream.write_all(manner.preview.as_bytes());
            if manner.preview != GO_ON {
                // Until the client hangs up.
                hear(stream, &mut request, &["never"]);
                return;
            }
            request.clear();
            if !hear(stream, &mut request, &["0\r\n\r\n"]) {
                return;
            }
        }
        let _ = stream.write_all(manner.rest.as_bytes());
        hear(stream, &mut request, &["never"]);
        return;
    }
}

/// An answer with an HTTP head and a content.
fn answer(headers: &str, http: &str, body: &str) -> &'static str {
    let head = format!("HTTP/1.1 {http}\r\nContent-Type: text/plain\r\n\r\n");
    let text = format!(
        "ICAP/1.0 200 OK\r\nISTag: \"T-1\"\r\n{headers}Encapsulated: res-hdr=0, res-body={}\r\n\r\n{head}{body}",
        head.len()
    );
    text.leak()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_zoo_never_gets_anything_through() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let found = "X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n";
    let after_preview = |rest| Manner { options: OPTIONS, preview: GO_ON, rest };
    let at_once = |preview| Manner { options: OPTIONS, preview, rest: "" };
    let without_204 = |rest| Manner { options: OPTIONS_WITHOUT_204, preview: "", rest };
    let page = "6\r\n<html>\r\n0\r\n\r\n";
    let zoo: [(&str, Manner, Verdict); 24] = [
        ("204 in the preview", at_once(CLEAN), Verdict::Allow),
        ("204 after it", after_preview(CLEAN), Verdict::Allow),
        ("the same back", without_204(answer("", "200 OK", "7\r\ncontent\r\n0\r\n\r\n")), Verdict::Allow),
        ("found in the preview", at_once(answer(found, "403 Forbidden", page)), Verdict::Reject),
        ("found after it", after_preview(answer(found, "403 Forbidden", page)), Verdict::Reject),
        (
            "a container",
            after_preview(answer("X-Infection-Found: Type=2; Threat=Zip;\r\n", "403 No", page)),
            Verdict::Unscannable,
        ),
        (
            "a virus id",
            after_preview(answer("X-Virus-ID: Eicar\r\n", "200 OK", "7\r\ncontent\r\n0\r\n\r\n")),
            Verdict::Reject,
        ),
        ("found, in a 204", after_preview("ICAP/1.0 204 No Content\r\nX-Virus-ID: Eicar\r\n\r\n"), Verdict::Reject),
        ("other content", after_preview(answer("", "200 OK", "7\r\nCONTENT\r\n0\r\n\r\n")), Verdict::Reject),
        ("less of it", after_preview(answer("", "200 OK", "4\r\ncont\r\n0\r\n\r\n")), Verdict::Reject),
        ("a page", after_preview(answer("", "403 Forbidden", page)), Verdict::Reject),
        ("204 without Allow", without_204(CLEAN), Verdict::Error),
        ("100 twice", after_preview(GO_ON), Verdict::Error),
        ("a chunk that is longer", after_preview(answer("", "200 OK", "5\r\ncontent\r\n0\r\n\r\n")), Verdict::Error),
        ("a chunk that is none", after_preview(answer("", "200 OK", "-7\r\ncontent\r\n0\r\n\r\n")), Verdict::Error),
        ("an endless chunk", after_preview(answer("", "200 OK", "ffffffffffffffff1\r\nc")), Verdict::Error),
        (
            "parts on each other",
            after_preview("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=9, res-body=0\r\n\r\n"),
            Verdict::Error,
        ),
        ("parts far away", after_preview("ICAP/1.0 200 OK\r\nEncapsulated: res-body=99999999\r\n\r\n"), Verdict::Error),
        ("a redirect", after_preview("ICAP/1.0 302 Found\r\nLocation: icap://elsewhere/x\r\n\r\n"), Verdict::Error),
        ("no service", after_preview("ICAP/1.0 404 Not Found\r\n\r\n"), Verdict::Error),
        ("an error", after_preview("ICAP/1.0 500 Server error\r\n\r\n"), Verdict::Error),
        ("HTTP", after_preview("HTTP/1.1 204 No Content\r\n\r\n"), Verdict::Error),
        (
            "no REQMOD only",
            Manner { options: "ICAP/1.0 200 OK\r\nMethods: REQMOD\r\n\r\n", preview: "", rest: "" },
            Verdict::Error,
        ),
        ("nothing", after_preview(""), Verdict::TimedOut),
    ];
    for (name, manner, verdict) in zoo {
        let outcome = Beast::new("content", manner).scan().await;
        assert_eq!(outcome.verdict, verdict, "{name}: {outcome:?}");
        if verdict == Verdict::Reject {
            assert!(!outcome.output.is_empty(), "{name}: {outcome:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_within_the_preview_needs_no_continuation() {
    let manner = Manner { options: OPTIONS, preview: CLEAN, rest: "" };
    for content in ["", "abc", "abcd"] {
        let outcome = Beast::new(content, manner).scan().await;
        assert_eq!(outcome.verdict, Verdict::Allow, "{content}: {outcome:?}");
        assert_eq!(outcome.version.as_deref(), Some("Test T-1"));
    }
    let manner = Manner { preview: GO_ON, ..manner };
    assert_eq!(Beast::new("abc", manner).scan().await.verdict, Verdict::Error, "there is nothing to go on with");
}

#[tokio::test]
async fn who_cannot_be_reached_is_down() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for address in ["icap://127.0.0.1:1/scan", "icaps://127.0.0.1:1/scan"] {
        let outcome = Client::new(Url::parse(address).unwrap(), None).probe().await;
        assert_eq!((outcome.verdict, outcome.is_down), (Verdict::Error, true), "{outcome:?}");
    }
}
