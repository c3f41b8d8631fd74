//! The control socket from both ends, with a made-up agent behind it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use folder_sync_agent::command::{Answer, Command};
use folder_sync_agent::daemon::client::{ClientError, ControlClient};
use folder_sync_agent::daemon::control::{self, BindError, ControlSocket, Order, Ordered};
use folder_sync_agent::id::{HoldId, JournalId};
use folder_sync_agent::report::{
    ConflictRow, EventQuery, EventRow, HoldRow, MetricsFormat, PlanRow, ProblemRow, ReportError, Reports,
    SCHEMA_VERSION, Status, Versions, Why,
};
use folder_sync_agent::tree::Wall;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// An agent that says the same thing every time.
pub struct MadeUp;

impl Reports for MadeUp {
    fn status(&self) -> Result<Status, ReportError> {
        Ok(Status {
            subscriptions: Vec::new(),
            schema: SCHEMA_VERSION,
            running: true,
            pid: Some(7),
            version: "1.2.3".into(),
            in_sync: true,
            degraded: vec![],
            accounts: vec![],
            folders: vec![],
            held: 0,
            problems: 0,
            scanners: Vec::new(),
        })
    }

    fn events(&self, query: &EventQuery) -> Result<Vec<EventRow>, ReportError> {
        let row = |id: i64| EventRow {
            id: JournalId(id),
            received: Wall(id),
            account: "work".into(),
            folder: query.folder.clone(),
            kind: "uploaded".into(),
            provider_kind: "ITEM_UPLOAD".into(),
            event_id: format!("e{id}"),
            outcome: format!("limit {:?} since {:?}", query.limit, query.since_ms),
            ..EventRow::default()
        };
        let first = query.after.map_or(0, |after| after.0) + 1;
        Ok((first..first + 2).map(row).collect())
    }

    fn plan(&self, folder: Option<&str>) -> Result<Vec<PlanRow>, ReportError> {
        match folder {
            Some(folder) => Err(ReportError::NotFound(format!("there is no folder `{folder}`; there is `inbox`"))),
            None => Ok(vec![]),
        }
    }

    fn conflicts(&self, _folder: Option<&str>) -> Result<Vec<ConflictRow>, ReportError> {
        Ok(Vec::new())
    }

    fn held(&self) -> Result<Vec<HoldRow>, ReportError> {
        Err(ReportError::Failed("the database is busy".into()))
    }

    fn problems(&self, _folder: Option<&str>) -> Result<Vec<ProblemRow>, ReportError> {
        panic!("reports may fail in any way")
    }

    fn metrics(&self, format: MetricsFormat) -> Result<String, ReportError> {
        Ok(format!("{format:?}"))
    }

    fn versions(&self, path: &str) -> Result<Versions, ReportError> {
        Err(ReportError::NotFound(format!("{path} has no versions")))
    }

    fn why(&self, path: &str) -> Result<Why, ReportError> {
        Err(ReportError::NotFound(format!("{path} lies in no folder")))
    }
}

struct Bed {
    _dir: tempfile::TempDir,
    path: PathBuf,
    orders: mpsc::Receiver<Ordered>,
    shutdown: CancellationToken,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn bed_at(below: &str) -> Bed {
    // A second call in one process has nothing left to install.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(below).join("control.sock");
    let socket = ControlSocket::bind(&path).await.unwrap();
    let (sender, orders) = mpsc::channel(1);
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(control::serve(socket, Arc::new(MadeUp), sender, shutdown.clone()));
    Bed { _dir: dir, path, orders, shutdown, server }
}

async fn client(path: &Path) -> ControlClient {
    ControlClient::find(path).await.unwrap().expect("an agent listens")
}

#[tokio::test]
async fn reports_arrive_whole() {
    let bed = bed_at("run").await;
    let client = client(&bed.path).await;
    assert_eq!(client.status().await.unwrap(), MadeUp.status().unwrap());
    let query = EventQuery {
        after: Some(JournalId(41)),
        since_ms: Some(-5),
        folder: Some("受信 & more".into()),
        limit: Some(u32::MAX),
        ..EventQuery::default()
    };
    let rows = client.events(&query).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.id.0).collect::<Vec<_>>(), [42, 43]);
    assert_eq!(rows[0].folder.as_deref(), Some("受信 & more"));
    assert_eq!(rows[0].outcome, "limit Some(10000) since Some(-5)", "no listing is unbounded");
    assert_eq!(client.plan(None).await.unwrap(), vec![]);
}

#[tokio::test]
async fn figures_come_in_the_format_that_the_reader_asks_for() {
    let bed = bed_at("run").await;
    let client = client(&bed.path).await;
    for format in [MetricsFormat::OpenMetrics, MetricsFormat::Text] {
        assert_eq!(client.metrics(format).await.unwrap(), format!("{format:?}"));
    }
    // What Prometheus and curl send.
    for (accept, media_type) in [
        (
            "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.2",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        ("*/*", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
    ] {
        let mut stream = UnixStream::connect(&bed.path).await.unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nhost: agent\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(&format!("content-type: {media_type}\r\n")), "{accept}: {answer}");
    }
}

#[tokio::test]
async fn a_link_to_the_page_has_the_rights_of_who_asks() {
    let mut bed = bed_at("run").await;
    let client = client(&bed.path).await;
    let asking = tokio::spawn(async move { client.web_link().await.unwrap() });
    let Ordered { order, answer } = bed.orders.recv().await.unwrap();
    assert!(matches!(order, Order::WebLink { may_change: true }), "{order:?}");
    answer.send(Answer::Ok { message: "http://127.0.0.1:1/enter/x".into() }).unwrap();
    assert_eq!(asking.await.unwrap(), Answer::Ok { message: "http://127.0.0.1:1/enter/x".into() });
}

#[tokio::test]
async fn errors_keep_their_sentence() {
    let bed = bed_at("run").await;
    let client = client(&bed.path).await;
    let Err(ClientError::NotFound(text)) = client.plan(Some("inbx")).await else { panic!() };
    assert_eq!(text, "there is no folder `inbx`; there is `inbox`");
    let Err(ClientError::NotFound(text)) = client.why("/a b/c?d").await else { panic!() };
    assert_eq!(text, "/a b/c?d lies in no folder");
    let Err(ClientError::Failed(text)) = client.held().await else { panic!() };
    assert_eq!(text, "the database is busy");
    assert!(matches!(client.problems(None).await, Err(ClientError::Failed(_))), "a panic is an answer too");
    assert!(client.status().await.is_ok(), "and the agent goes on");
}

#[tokio::test]
async fn orders_are_answered_and_a_full_queue_says_busy() {
    let mut bed = bed_at("run").await;
    let client = client(&bed.path).await;
    let answering = tokio::spawn(async move {
        let ordered = bed.orders.recv().await.unwrap();
        assert!(matches!(ordered.order, Order::Do(Command::Approve { hold: HoldId(3) })));
        ordered.answer.send(Answer::Ok { message: "approved".into() }).unwrap();
        let ordered = bed.orders.recv().await.unwrap();
        assert!(matches!(ordered.order, Order::Reload));
        drop(ordered);
        bed.orders
    });
    let answer = client.command(&Command::Approve { hold: HoldId(3) }).await.unwrap();
    assert_eq!(answer, Answer::Ok { message: "approved".into() });
    assert!(matches!(client.reload().await.unwrap(), Answer::Refused { .. }), "an agent that ends says so");

    let mut orders = answering.await.unwrap();
    let pause = Command::Pause { folder: None };
    let waiting = tokio::spawn(async move { (client.command(&pause).await, client) });
    let second = self::client(&bed.path).await;
    while orders.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(second.command(&Command::Pause { folder: None }).await.unwrap(), Answer::Busy);
    let first = orders.recv().await.unwrap();
    first.answer.send(Answer::Ok { message: "paused".into() }).unwrap();
    assert_eq!(waiting.await.unwrap().0.unwrap(), Answer::Ok { message: "paused".into() });
}

#[tokio::test]
async fn the_socket_is_private_and_goes_away() {
    let bed = bed_at("run").await;
    let metadata = fs::symlink_metadata(&bed.path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    assert!(matches!(ControlSocket::bind(&bed.path).await, Err(BindError::InUse(_))));
    bed.shutdown.cancel();
    bed.server.await.unwrap().unwrap();
    assert!(!bed.path.exists());
    assert!(ControlClient::find(&bed.path).await.unwrap().is_none());
}

#[tokio::test]
async fn a_dead_agents_socket_is_replaced_and_a_strangers_file_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(ControlClient::find(&path).await.unwrap().is_none(), "nobody answers");
    assert!(ControlSocket::bind(&path).await.is_ok());
    fs::remove_file(&path).ok();
    fs::write(&path, "mine").unwrap();
    assert!(matches!(ControlSocket::bind(&path).await, Err(BindError::Io { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn a_path_too_long_for_an_address_works_too() {
    let bed = bed_at(&format!("{}/{}", "a".repeat(100), "b".repeat(100))).await;
    assert!(client(&bed.path).await.status().await.is_ok());
}

#[tokio::test]
async fn a_huge_request_is_refused() {
    let bed = bed_at("run").await;
    let mut stream = UnixStream::connect(&bed.path).await.unwrap();
    let head =
        "POST /v1/command HTTP/1.1\r\nhost: agent\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    // The server may answer before the body is through, and may then close.
    let _ = stream.write_all(&vec![b' '; 128 << 10]).await;
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(std::str::from_utf8(&answer).unwrap(), "HTTP/1.1 413");
}
