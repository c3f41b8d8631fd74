use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;

use super::*;
use crate::hook::document::{Document, SCHEMA};
use crate::hook::{HookKind, When};
use crate::tree::Wall;

const AMPLE: Duration = Duration::from_mins(1);

/// Answers one request with these bytes and hands over what was asked.
fn server(answer: &'static [u8]) -> (Url, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/hook", listener.local_addr().unwrap())).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let count = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&request).to_lowercase();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse::<usize>().unwrap() {
                break;
            }
        }
        sender.send(String::from_utf8(request).unwrap()).unwrap();
        let _ = stream.write_all(answer);
        if answer.is_empty() {
            // Says nothing until the client gives up.
            let _ = stream.read(&mut buffer);
        }
    });
    (url, receiver)
}

fn order() -> Order {
    let document = Document {
        schema: SCHEMA,
        hook: "crm".into(),
        when: When::After,
        event: HookKind::FileCreated,
        delivery: "delivery-1".into(),
        attempt: 2,
        at: Wall(0),
        account: None,
        folder: None,
        item: None,
        file: Some("/never/told".into()),
        actor: None,
        message: None,
        depth: 0,
        causes: Vec::new(),
    };
    Order { document, path: None, file: None }
}

fn drawer(dir: &tempfile::TempDir) -> Drawer {
    let hooks = dir.path().join("hooks");
    std::fs::create_dir(&hooks).unwrap();
    for (name, text) in [("key", "k3y\n"), ("crm", "Bearer t0ken\n")] {
        std::fs::write(hooks.join(name), text).unwrap();
        std::fs::set_permissions(hooks.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    Drawer::new(dir.path().to_owned())
}

async fn ask(answer: &'static [u8], expect_status: Option<u16>, limit: Duration) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let (url, _requests) = server(answer);
    let request = Request {
        url: &url,
        expect_status,
        headers: &[],
        sign: None,
        format: Format::Document,
        route: &Route::default(),
    };
    run(&Client::new().unwrap(), &request, limit, &order(), &drawer(&dir)).await
}

#[tokio::test]
async fn the_status_is_the_verdict() {
    for (answer, expected, verdict) in [
        (&b"HTTP/1.1 204 No Content\r\n\r\n"[..], None, Verdict::Allow),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Some(204), Verdict::Allow),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Some(204), Verdict::Error),
        (b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno", None, Verdict::Reject),
        (b"HTTP/1.1 406 No\r\ncontent-length: 0\r\n\r\n", None, Verdict::Reject),
        (b"HTTP/1.1 422 No\r\ncontent-length: 0\r\n\r\n", None, Verdict::Reject),
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", None, Verdict::Error),
        (b"HTTP/1.1 302 Go\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", None, Verdict::Error),
        (b"nonsense\r\n\r\n", None, Verdict::Error),
    ] {
        let outcome = ask(answer, expected, AMPLE).await;
        assert_eq!(outcome.verdict, verdict, "{}: {outcome:?}", String::from_utf8_lossy(answer));
    }
    let outcome = ask(b"", None, Duration::from_millis(200)).await;
    assert_eq!(outcome.verdict, Verdict::TimedOut);
}

#[tokio::test]
async fn a_delivery_is_signed_and_shows_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let (url, requests) = server(b"HTTP/1.1 204 No Content\r\n\r\n");
    let headers = [
        ("Authorization".to_owned(), HeaderText::Credential("crm".into())),
        ("X-Team".to_owned(), HeaderText::Plain("papers".into())),
        (SIGNATURE_HEADER.to_owned(), HeaderText::Plain("forged".into())),
    ];
    let request = Request {
        url: &url,
        expect_status: None,
        headers: &headers,
        sign: Some("key"),
        format: Format::Document,
        route: &Route::default(),
    };
    let outcome = run(&Client::new().unwrap(), &request, AMPLE, &order(), &drawer(&dir)).await;
    assert_eq!((outcome.verdict, outcome.status), (Verdict::Allow, Some(204)));
    let sent = requests.recv().unwrap();
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        let found: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix(&format!("{name}: "))).collect();
        assert_eq!(found.len(), 1, "{name} in {head}");
        found[0].to_owned()
    };
    assert_eq!(header("authorization"), "Bearer t0ken");
    assert_eq!(header("x-team"), "papers");
    assert_eq!(header(DELIVERY_HEADER), "delivery-1");
    assert_eq!(header("agent-attempt"), "2");
    let timestamp = header(TIMESTAMP_HEADER).parse().unwrap();
    let expected = signature(&SecretString::from("k3y"), timestamp, body.as_bytes()).unwrap();
    assert_eq!(header(SIGNATURE_HEADER), format!("sha256={expected}"));
    assert!(!body.contains("/never/told"), "a server gets none of our paths");
}

#[tokio::test]
async fn without_the_secret_nothing_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (url, requests) = server(b"HTTP/1.1 204 No Content\r\n\r\n");
    let headers = [("Authorization".to_owned(), HeaderText::Credential("missing".into()))];
    let request = Request {
        url: &url,
        expect_status: None,
        headers: &headers,
        sign: None,
        format: Format::Document,
        route: &Route::default(),
    };
    let outcome = run(&Client::new().unwrap(), &request, AMPLE, &order(), &drawer(&dir)).await;
    assert!(outcome.verdict == Verdict::Error && outcome.reason.unwrap().contains("no credential `missing`"));
    assert!(requests.try_recv().is_err());
}

/// The first test case of RFC 4231 that has a key of text.
#[test]
fn the_signature_is_the_standard_one() {
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
    mac.update(b"what do ya want for nothing?");
    assert_eq!(hex(&mac.finalize().into_bytes()), expected);
    // What the verifier of the README computes: hmac.new(b"k3y", b"1700000000." + b"{}", hashlib.sha256).hexdigest()
    let ours = signature(&SecretString::from("k3y"), 1_700_000_000, b"{}").unwrap();
    assert_eq!(ours, "e2974d0d973957aed8182a7f1ef5690a188566c2c4620fc16bd97d7febcf5ef3");
}

#[tokio::test]
async fn the_answers_headers_and_its_beginning_are_kept_without_secrets() {
    let long = "x".repeat(OUTPUT_KEPT_BYTES + 10);
    let answer = format!(
        "HTTP/1.1 500 Oh\r\nX-Trace: t-1\r\nSet-Cookie: s3cret\r\ncontent-length: {}\r\n\r\nfirst {long}",
        long.len() + 6
    );
    let outcome = ask(answer.leak().as_bytes(), None, AMPLE).await;
    assert!(outcome.headers.contains("x-trace: t-1\n"), "{outcome:?}");
    assert!(!outcome.headers.contains("s3cret"), "{outcome:?}");
    assert!(outcome.output.starts_with("first x") && outcome.output.len() == OUTPUT_KEPT_BYTES);
    assert!(outcome.output_cut);
}

#[tokio::test]
async fn a_cloud_event_goes_by_a_proxy_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (proxy, requests) = server(b"HTTP/1.1 204 No Content\r\n\r\n");
    let url = Url::parse("http://hooks.invalid/in").unwrap();
    let route = Route { proxy: Some(proxy), ..Route::default() };
    let request = Request {
        url: &url,
        expect_status: None,
        headers: &[],
        sign: Some("key"),
        format: Format::CloudEventsBinary,
        route: &route,
    };
    let outcome = run(&Client::new().unwrap(), &request, AMPLE, &order(), &drawer(&dir)).await;
    assert_eq!(outcome.verdict, Verdict::Allow, "{outcome:?}");
    let asked = requests.recv().unwrap();
    assert!(asked.starts_with("POST http://hooks.invalid/in HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("ce-specversion: 1.0\r\n") && asked.contains("ce-type: folder-sync-agent."), "{asked}");
    assert!(asked.contains(SIGNATURE_HEADER), "{asked}");
}
