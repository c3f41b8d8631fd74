//! The rows of peers: the same folder of Box mirrored by the agent, by rclone, and by a loop with the official SDK.
//!
//! rclone speaks to Box by fixed host names and TLS only. It is led to the sandbox by a proxy of our own, which ends its TLS; that work is in
//! its figures and not in the others'.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::{ACCESS_TOKEN, Content, Network};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::row::{Arguments, Measure, Row};
use crate::support::{Bed, REMOTE};
use crate::{disk, transfers};

/// The rows.
pub const ROWS: &[Row] = &[Row {
    name: "peers",
    what: "first mirror of small files from Box, and one change in it, beside rclone and the SDK (--files, --folders)",
    measure: peers,
}];

const LONG: Duration = Duration::from_hours(1);
/// Transfers at a time, for each of them.
const TRANSFERS: u64 = transfers::TRANSFERS;
/// The most that the beginning of a request to the proxy takes, in bytes.
const HEAD_MAX: usize = 8_192;

/// What one of them took: the first mirror, and learning of one change among all files.
struct Took {
    first: Duration,
    calls: u64,
    change: Duration,
    change_calls: u64,
}

fn peers(arguments: &Arguments) -> Vec<Measure> {
    let files = arguments.number("files", 1_000);
    let folders = arguments.number("folders", files.div_ceil(100));
    let bed = transfers::bed(Network::default());
    disk::fill(&bed, files, folders);
    bed.add_folder(&[]);
    let changed = format!("{REMOTE}/d00/d00000/f0000000.bin");
    let (mut agent, local) = (None, bed.local());
    let ours = took(&bed, &changed, 1, &local, || {
        if agent.is_none() {
            agent = Some(bed.start());
            bed.wait_in_sync(LONG);
        } else {
            // It listens.
            std::thread::park_timeout(Duration::from_millis(1));
        }
    });
    assert_eq!(agent.map(|agent| agent.stop()), Some(Some(0)));
    let proxy = Proxy::start(&bed);
    let local = bed.dir.path().join("rclone");
    let rclone = took(&bed, &changed, 2, &local, || proxy.rclone(&local));
    let local = bed.dir.path().join("sdk");
    let folder = bed.cloud().id_of(REMOTE).unwrap();
    let sdk = took(&bed, &changed, 3, &local, || sdk_loop(&bed, &folder, &local));
    let seconds = |duration: Duration| duration.as_secs_f64();
    let mut measures = Vec::new();
    for (peer, theirs) in [("rclone copy", rclone), ("a loop with the official SDK", sdk)] {
        measures.extend([
            Measure::new(format!("{files} x 4 KiB"), seconds(ours.first), "s").against(peer, seconds(theirs.first)),
            Measure::new("calls for them", ours.calls as f64, "").against(peer, theirs.calls as f64),
            Measure::new("one change in them", seconds(ours.change), "s").against(peer, seconds(theirs.change)),
            Measure::new("calls for it", ours.change_calls as f64, "").against(peer, theirs.change_calls as f64),
        ]);
    }
    measures
}

/// Mirrors by `mirror`, changes one file, and mirrors again until `local` has the change.
fn took(bed: &Bed, changed: &str, turn: u64, local: &Path, mut mirror: impl FnMut()) -> Took {
    let cloud = bed.cloud();
    let own = local.join(changed.strip_prefix(REMOTE).unwrap_or(changed).trim_start_matches('/'));
    cloud.reset_counters();
    let begun = Instant::now();
    mirror();
    let (first, calls) = (begun.elapsed(), cloud.api_calls());
    cloud.reset_counters();
    let begun = Instant::now();
    // Of another length: the peers look at that.
    let length = 5_000 + turn;
    cloud.write(changed, Content::pattern(1_000_000 + turn, length)).unwrap();
    while std::fs::metadata(&own).map_or(0, |file| file.len()) != length {
        assert!(begun.elapsed() < LONG, "waited in vain for {}", own.display());
        mirror();
    }
    Took { first, calls, change: begun.elapsed(), change_calls: cloud.api_calls() }
}

fn sdk_loop(bed: &Bed, folder: &str, local: &Path) {
    let clients = installed("box-py10");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/box_mirror.py");
    let mut command = Command::new(clients.join("bin/python"));
    command.arg(script).arg(folder).arg(local).env("SANDBOX_URL", bed.sandbox.url()).env("SANDBOX_TOKEN", ACCESS_TOKEN);
    run(&mut command);
}

/// A client that is installed, or installed now.
fn installed(client: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(Command::new(root.join("tests/clients/setup.sh")).arg(client));
    root.join("target/clients").join(client)
}

fn run(command: &mut Command) {
    let output = command.env_remove("http_proxy").env_remove("HTTP_PROXY").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Leads rclone to the sandbox.
struct Proxy {
    _runtime: tokio::runtime::Runtime,
    url: String,
    certificate: PathBuf,
    rclone: PathBuf,
}

impl Proxy {
    fn start(bed: &Bed) -> Self {
        let (certificate, key) = (bed.dir.path().join("proxy.pem"), bed.dir.path().join("proxy.key"));
        let names = "subjectAltName=DNS:api.box.com,DNS:upload.box.com,DNS:account.box.com";
        run(Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=api.box.com", "-addext", names])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate));
        let chain = vec![CertificateDer::from_pem_file(&certificate).unwrap()];
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(&key).unwrap())
            .unwrap();
        let (acceptor, sandbox) = (TlsAcceptor::from(Arc::new(config)), bed.sandbox.url().replace("http://", ""));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, sandbox) = (acceptor.clone(), sandbox.clone());
                tokio::spawn(async move {
                    let mut client = client;
                    if connected(&mut client).await
                        && let (Ok(mut client), Ok(mut cloud)) =
                            (acceptor.accept(client).await, TcpStream::connect(&sandbox).await)
                    {
                        // However it ends: rclone says what it missed.
                        let _ = copy_bidirectional(&mut client, &mut cloud).await;
                    }
                });
            }
        });
        Self { _runtime: runtime, url, certificate, rclone: installed("rclone").join("bin/rclone") }
    }

    fn rclone(&self, to: &Path) {
        let from = format!(":box,access_token={ACCESS_TOKEN}:{}", REMOTE.trim_start_matches('/'));
        run(Command::new(&self.rclone)
            .args(["copy", "--size-only", "--fast-list"])
            .args([format!("--transfers={TRANSFERS}"), format!("--checkers={TRANSFERS}")])
            .arg("--ca-cert")
            .arg(&self.certificate)
            .arg(from)
            .arg(to)
            .env("HTTPS_PROXY", &self.url)
            .env("RCLONE_CONFIG", ""));
    }
}

/// Reads a CONNECT request and agrees to it.
async fn connected(client: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX {
        let Ok(byte) = client.read_u8().await else { return false };
        head.push(byte);
    }
    head.starts_with(b"CONNECT ") && client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok()
}
