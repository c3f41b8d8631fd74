//! The scanners that are asked in their own protocol, as the runner asks them: a real clamd, and a real c-icap before it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use folder_sync_agent::hook::{Call, HookSettings, Listen, Scanner, Verdict, When};

use super::scanners::{Bench, order, shipped};
use crate::support::c_icap::{self, CIcap};
use crate::support::clamd::{Clamd, SIGNATURE, eicar, is_installed};

fn scanner(text: &str) -> HookSettings {
    let call = Call::Scan(Scanner::parse(text).unwrap());
    let mut hook = HookSettings::new("scan", When::Before, vec![Listen::Everything], call);
    hook.timeout = Duration::from_mins(1);
    hook
}

/// What every scanner must say, whatever the protocol.
async fn says_what_is_infected(bench: &Bench, hook: &HookSettings) {
    for clean in [&b"nothing to see"[..], b"x"] {
        let outcome = bench.ask(hook, clean).await;
        assert_eq!(outcome.verdict, Verdict::Allow, "{outcome:?}");
        assert!(outcome.version.is_some(), "{outcome:?}");
    }
    let mut long = vec![b'x'; 700_000];
    long.extend(eicar());
    for infected in [eicar(), long] {
        for _ in 0..2 {
            let outcome = bench.ask(hook, &infected).await;
            assert_eq!(outcome.verdict, Verdict::Reject, "{outcome:?}");
            // A server that has begun to give the file back can only break it off.
            let said = [SIGNATURE, "other content"].iter().any(|text| outcome.output.contains(text));
            assert!(said && (infected.len() > 100 || outcome.output.contains(SIGNATURE)), "{outcome:?}");
        }
    }
    assert_eq!(bench.ask(hook, &vec![b'x'; 700_000]).await.verdict, Verdict::Allow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clamd_by_descriptor_and_by_stream() {
    if !is_installed() {
        return;
    }
    let bench = Bench::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut clamd = Clamd::start(
        bench.dir.path(),
        &[&format!("TCPSocket {port}"), "TCPAddr 127.0.0.1", "StreamMaxLength 1M", "MaxFileSize 1M"],
    );
    let unix = scanner(&format!("clamd:{}", clamd.socket().display()));
    let tcp = scanner(&format!("clamd://127.0.0.1:{port}"));
    for hook in [&unix, &tcp] {
        says_what_is_infected(&bench, hook).await;
        assert_eq!(bench.ask(hook, b"").await.verdict, Verdict::Allow, "an empty file");
        // More than clamd takes is neither clean nor a failure of clamd, also where it would be handed over.
        for length in [8 << 20, 26 << 20] {
            let outcome = bench.ask(hook, &vec![0; length]).await;
            assert_eq!(outcome.verdict, Verdict::Unscannable, "{length}: {outcome:?}");
        }
        assert_eq!(bench.runner.probe(hook).await.verdict, Verdict::Allow);
    }
    // Many at once, over few sessions.
    let file = bench.file(b"nothing to see");
    let order = order(file);
    let all = (0..64).map(|_| bench.runner.run(&unix, &order));
    let outcomes = futures_util::future::join_all(all).await;
    assert!(outcomes.iter().all(|outcome| outcome.verdict == Verdict::Allow), "{outcomes:?}");
    // Sessions that rested while clamd was started anew are opened again.
    clamd.kill();
    let outcome = bench.ask(&unix, b"nothing to see").await;
    assert!(outcome.is_down && outcome.verdict == Verdict::Error, "{outcome:?}");
    assert!(bench.runner.probe(&unix).await.is_down);
    clamd.again();
    assert_eq!(bench.ask(&unix, b"nothing to see").await.verdict, Verdict::Allow);
    let missing = bench.dir.path().join("missing");
    let outcome = bench.runner.run(&unix, &super::scanners::order(missing)).await;
    assert!(!outcome.is_down && outcome.verdict == Verdict::Error, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clamd_does_not_look_into_is_not_clean() {
    if !is_installed() {
        return;
    }
    // clamd's default is to be silent about its limits: it calls such a file clean.
    for limits in [&["MaxFileSize 1M"][..], &["MaxScanSize 1M"]] {
        let bench = Bench::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tcp_socket = format!("TCPSocket {port}");
        let options = [limits, &[tcp_socket.as_str(), "TCPAddr 127.0.0.1"]].concat();
        let mut clamd = Clamd::silent_about_limits(bench.dir.path(), &options);
        let unix = scanner(&format!("clamd:{}", clamd.socket().display()));
        let tcp = scanner(&format!("clamd://127.0.0.1:{port}"));
        let mut large = vec![0; 2 << 20];
        large.extend(eicar());
        for hook in [&unix, &tcp] {
            let outcome = bench.ask(hook, &large).await;
            assert_eq!(outcome.verdict, Verdict::Unscannable, "{limits:?}: {outcome:?}");
            assert!(outcome.output.contains("does not look into files of 2097220 bytes"), "{outcome:?}");
            assert_eq!(bench.ask(hook, &vec![b'x'; 900_000]).await.verdict, Verdict::Allow);
            let (text, is_fine) = bench.runner.reach(hook).await.unwrap();
            assert!(!is_fine && text.contains("25 MiB clean without a look"), "{text}");
        }
        // Other limits after another start are noticed.
        clamd.kill();
        clamd.options(&[]);
        clamd.again();
        let outcome = bench.ask(&unix, &vec![0; 2 << 20]).await;
        assert_eq!(outcome.verdict, Verdict::Allow, "{outcome:?}");
        assert_eq!(bench.ask(&unix, &large).await.verdict, Verdict::Reject);
        assert_eq!(bench.runner.reach(&unix).await, Some(("it looks into files of 100 MiB".to_owned(), true)));
        // The script sends what it is given, and then asks the same.
        clamd.kill();
        clamd.options(limits);
        clamd.again();
        let run = [shipped("clamd-scan"), "--socket".into(), clamd.socket().to_str().unwrap().into()];
        let outcome = bench.scan(&run, &large).await;
        assert_eq!(outcome.verdict, Verdict::Unscannable, "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_limit_is_too_small_to_be_noticed() {
    if !is_installed() {
        return;
    }
    let bench = Bench::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tcp_socket = format!("TCPSocket {port}");
    let mut clamd =
        Clamd::silent_about_limits(bench.dir.path(), &["MaxFileSize 10K", &tcp_socket, "TCPAddr 127.0.0.1"]);
    let hooks =
        [scanner(&format!("clamd:{}", clamd.socket().display())), scanner(&format!("clamd://127.0.0.1:{port}"))];
    let run = [shipped("clamd-scan"), "--socket".into(), clamd.socket().to_str().unwrap().into()];
    let large = [eicar(), vec![b'x'; 20_000]].concat();
    for hook in &hooks {
        let outcome = bench.ask(hook, &large).await;
        assert_eq!(outcome.verdict, Verdict::Unscannable, "{outcome:?}");
        assert_eq!(bench.ask(hook, &[b'x'; 5_000]).await.verdict, Verdict::Allow);
        assert_eq!(bench.ask(hook, &eicar()).await.verdict, Verdict::Reject);
    }
    assert_eq!(bench.scan(&run, &large).await.verdict, Verdict::Unscannable);
    assert_eq!(bench.scan(&run, &[b'x'; 5_000]).await.verdict, Verdict::Allow);
    // Bytes that come over TCP have a limit of their own, of which clamd is not silent.
    clamd.kill();
    clamd.options(&["StreamMaxLength 10K", &tcp_socket, "TCPAddr 127.0.0.1"]);
    clamd.again();
    for (hook, verdict) in hooks.iter().zip([Verdict::Reject, Verdict::Unscannable]) {
        assert_eq!(bench.ask(hook, &large).await.verdict, verdict);
    }
    assert_eq!(bench.scan(&run, &large).await.verdict, Verdict::Unscannable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn icap_by_a_real_server() {
    if !is_installed() || !c_icap::is_installed() {
        return;
    }
    let bench = Bench::new();
    let clamd = Clamd::start(bench.dir.path(), &[]);
    let server = CIcap::start(bench.dir.path(), &clamd.socket());
    says_what_is_infected(&bench, &scanner(&server.url("avscan"))).await;
    let echo = bench.ask(&scanner(&server.url("echo")), &eicar()).await;
    assert_eq!(echo.verdict, Verdict::Allow, "{echo:?}");
    assert!(echo.version.unwrap().contains("Echo"));
    let missing = bench.ask(&scanner(&server.url("nothing")), b"x").await;
    assert!(missing.is_down && missing.verdict == Verdict::Error, "{missing:?}");
    drop(server);
}

/// A certificate for 127.0.0.1 and its key, if there is openssl.
fn certificate(bench: &Bench) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (bench.dir.path().join("cert.pem"), bench.dir.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    made.is_ok_and(|made| made.status.success()).then_some((certificate, key))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn icap_over_tls() {
    use std::io::{Read, Write};
    let bench = Bench::new();
    let Some((certificate, key)) = certificate(&bench) else {
        eprintln!("skipped: there is no openssl");
        return;
    };
    // A real TLS server before a server that answers every request of one connection.
    let inner = TcpListener::bind("127.0.0.1:0").unwrap();
    let (inner_port, port) =
        (inner.local_addr().unwrap().port(), TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in inner.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = vec![0; 65536];
            let mut asked = Vec::new();
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                asked.extend(&buffer[..count]);
                let text = String::from_utf8_lossy(&asked).into_owned();
                let answer = if text.starts_with("OPTIONS") && text.ends_with("\r\n\r\n") {
                    "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nAllow: 204\r\nPreview: 0\r\nEncapsulated: null-body=0\r\n\r\n"
                } else if text.starts_with("RESPMOD") && text.contains("0\r\n\r\n") && !text.contains("secret") {
                    if text.ends_with("\r\n\r\n0\r\n\r\n") { "ICAP/1.0 100 Continue\r\n\r\n" } else { continue }
                } else if text.ends_with("0\r\n\r\n") {
                    "ICAP/1.0 204 No Content\r\n\r\n"
                } else {
                    continue;
                };
                asked.clear();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    let config = bench.dir.path().join("relay.py");
    std::fs::write(
        &config,
        format!(
            "import socket, ssl, threading\n\
             context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\ncontext.load_cert_chain({certificate:?}, {key:?})\n\
             def pump(a, b):\n    try:\n        while data := a.recv(65536): b.sendall(data)\n    except OSError: pass\n    \
             finally: b.close()\n\
             server = context.wrap_socket(socket.create_server(('127.0.0.1', {port})), server_side=True)\n\
             print('ready', flush=True)\n\
             while True:\n    try: outer, _ = server.accept()\n    except OSError: continue\n    \
             inner = socket.create_connection(('127.0.0.1', {inner_port}))\n    \
             threading.Thread(target=pump, args=(outer, inner)).start()\n    \
             threading.Thread(target=pump, args=(inner, outer)).start()\n"
        ),
    )
    .unwrap();
    let mut relay = Command::new("python3").arg(&config).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    relay.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let url = format!("icaps://127.0.0.1:{port}/scan");
    let Scanner::Icap { url: parsed, .. } = Scanner::parse(&url).unwrap() else { panic!("no ICAP") };
    let mut trusting = scanner(&url);
    trusting.call = Call::Scan(Scanner::Icap { url: parsed, ca_file: Some(certificate.clone()) });
    let outcome = bench.ask(&trusting, b"a secret that is clean").await;
    let distrusting = bench.ask(&scanner(&url), b"a secret that is clean").await;
    relay.kill().unwrap();
    relay.wait().unwrap();
    assert_eq!(outcome.verdict, Verdict::Allow, "{outcome:?}");
    assert!(distrusting.is_down && distrusting.verdict == Verdict::Error, "{distrusting:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_wants_a_certificate_gets_ours() {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use folder_sync_agent::hook::{Format, Route};
    let bench = Bench::new();
    let Some((certificate, key)) = certificate(&bench) else {
        eprintln!("skipped: there is no openssl");
        return;
    };
    let secrets = bench.dir.path().join("hooks");
    std::fs::create_dir(&secrets).unwrap();
    let both = [&certificate, &key].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    std::fs::write(secrets.join("me"), both).unwrap();
    std::fs::set_permissions(secrets.join("me"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let program = bench.dir.path().join("server.py");
    std::fs::write(
        &program,
        format!(
            "import http.server, ssl\n\
             class Handler(http.server.BaseHTTPRequestHandler):\n    def do_POST(self):\n        \
             self.rfile.read(int(self.headers['content-length']))\n        self.send_response(204)\n        \
             self.end_headers()\n    def log_message(self, *args): pass\n\
             context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\ncontext.load_cert_chain({certificate:?}, {key:?})\n\
             context.verify_mode = ssl.CERT_REQUIRED\ncontext.load_verify_locations({certificate:?})\n\
             server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)\n\
             server.socket = context.wrap_socket(server.socket, server_side=True)\n\
             print(f'{{server.server_address[1]:05}}', end='', flush=True)\nserver.serve_forever()\n"
        ),
    )
    .unwrap();
    let mut server = Command::new("python3").arg(&program).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut port = [0; 5];
    server.stdout.as_mut().unwrap().read_exact(&mut port).unwrap();
    let url = format!("https://127.0.0.1:{}/in", String::from_utf8_lossy(&port).trim_start_matches('0'));
    let ask = |client_cert: Option<&str>, ca_file| {
        let call = Call::Http {
            url: url.parse().unwrap(),
            expect_status: None,
            headers: Vec::new(),
            sign: None,
            format: Format::Document,
            route: Route { proxy: None, ca_file, client_cert: client_cert.map(str::to_owned) },
        };
        HookSettings::new("crm", When::Before, vec![Listen::Everything], call)
    };
    let order = order(bench.file(b"x"));
    let known = bench.runner.run(&ask(Some("me"), Some(certificate.clone())), &order).await;
    let anonymous = bench.runner.run(&ask(None, Some(certificate.clone())), &order).await;
    let distrusting = bench.runner.run(&ask(Some("me"), None), &order).await;
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(known.verdict, Verdict::Allow, "{known:?}");
    assert_eq!(anonymous.verdict, Verdict::Error, "{anonymous:?}");
    assert_eq!(distrusting.verdict, Verdict::Error, "{distrusting:?}");
}
