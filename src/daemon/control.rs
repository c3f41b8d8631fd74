//! The control socket: HTTP/JSON for the people of this machine who own the agent; its group may look but not touch.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;

use super::socket::Way;
use crate::command::{Answer, Command};
use crate::report::{EventQuery, Listing, MAX_ROWS, MetricsFormat, ReportError, Reports};

/// Permissions of the socket: the agent's user and group.
const SOCKET_MODE: u32 = 0o660;
/// Permissions of the socket's directory, where we have to make it.
const SOCKET_DIR_MODE: u32 = 0o750;
/// The largest request body.
const BODY_MAX_BYTES: usize = 64 << 10;
/// Requests served at one time; the others wait.
const MAX_CONCURRENT: usize = 32;
/// Where a link to the page is asked for: everybody who may look may ask.
const LINK_PATH: &str = "/v1/web";
/// How long a command may wait for its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What the socket asks of the agent.
#[derive(Debug)]
pub enum Order {
    /// Carry out a command.
    Do(Command),
    /// Read the configuration file again.
    Reload,
    /// Give a link to the page in the browser that works once.
    WebLink {
        /// Whether who follows it may change something.
        may_change: bool,
    },
    /// Give the token that opens `/metrics` of the page's listener.
    MetricsToken,
}

/// An order on its way to the control thread, with the way back for its answer.
#[derive(Debug)]
pub struct Ordered {
    /// What to do.
    pub order: Order,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// An error of the control interface, as its body says it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// One sentence.
    pub error: String,
}

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another agent answers on it.
    #[error("another agent already listens on {}", .0.display())]
    InUse(PathBuf),
    /// The system refuses.
    #[error("cannot open the control socket {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// The bound socket. It goes away with this value.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl ControlSocket {
    /// Binds the socket. One that a dead agent left behind is replaced; one that answers is not.
    pub async fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { path: path.to_owned(), source };
        if let Some(dir) = path.parent().filter(|dir| !dir.is_dir()) {
            fs::DirBuilder::new().recursive(true).mode(SOCKET_DIR_MODE).create(dir).map_err(failed)?;
        }
        let way = Way::to(path).map_err(failed)?;
        if UnixStream::connect(&way.path).await.is_ok() {
            return Err(BindError::InUse(path.to_owned()));
        }
        if let Ok(old) = fs::symlink_metadata(path)
            && !old.file_type().is_socket()
        {
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "something else has that name")));
        }
        // Bound aside and moved into place, so that nobody connects before the permissions are right.
        let aside = path.with_extension("new");
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let way_aside = Way::to(&aside).map_err(failed)?;
        let listener = UnixListener::bind(&way_aside.path).map_err(failed)?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
        let inode = fs::symlink_metadata(&aside).map_err(failed)?.ino();
        fs::rename(&aside, path).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), inode })
    }
}

/// Removes a socket file unless another agent has replaced it.
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // Nothing is lost if it stays: the next agent replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Answers on the socket until `shutdown`. Orders go through `orders`; when that is full the answer is
/// [`Answer::Busy`]. Reports are made on the blocking pool.
pub async fn serve(
    socket: ControlSocket,
    reports: Arc<dyn Reports>,
    orders: mpsc::Sender<Ordered>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let ControlSocket { listener, path, inode } = socket;
    let _file = SocketFile { path, inode };
    let router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/look", get(look))
        .route("/v1/events", get(events))
        .route("/v1/people", get(people))
        .route("/v1/plan", get(plan))
        .route("/v1/held", get(held))
        .route("/v1/conflicts", get(conflicts))
        .route("/v1/problems", get(problems))
        .route("/v1/why", get(why))
        .route("/v1/versions", get(versions))
        .route("/metrics", get(metrics))
        .route("/v1/command", post(command))
        .route("/v1/reload", post(reload))
        .route(LINK_PATH, post(web_link))
        .route("/v1/metrics-token", post(metrics_token))
        .layer(middleware::from_fn(only_owners_change))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(GlobalConcurrencyLimitLayer::new(MAX_CONCURRENT))
        .with_state(Control { reports, orders });
    axum::serve(listener, router.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

#[derive(Clone)]
struct Control {
    reports: Arc<dyn Reports>,
    orders: mpsc::Sender<Ordered>,
}

/// Who is at the other end, by the kernel's word.
#[derive(Debug, Clone, Copy)]
struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|credentials| credentials.uid()) }
    }
}

/// Root and the agent's own user may do everything. Others could only connect because the socket's permissions let its
/// group in, and they may read.
async fn only_owners_change(ConnectInfo(peer): ConnectInfo<Peer>, request: Request, next: Next) -> Response {
    let me = rustix::process::geteuid().as_raw();
    let for_all = request.method() == Method::GET || request.uri().path() == LINK_PATH;
    if for_all || peer.uid.is_some_and(|uid| may_change(uid, me)) {
        return next.run(request).await;
    }
    let error = "you may look, but only root and the agent's own user may change anything".to_owned();
    (StatusCode::FORBIDDEN, Json(ErrorBody { error })).into_response()
}

fn may_change(uid: u32, me: u32) -> bool {
    uid == 0 || uid == me
}

#[derive(Deserialize)]
struct OfFolder {
    folder: Option<String>,
}

#[derive(Deserialize)]
struct OfPath {
    path: String,
}

async fn status(State(control): State<Control>) -> Response {
    control.report(|reports| reports.fresh_status()).await
}

async fn look(State(control): State<Control>) -> Response {
    let look = |reports: &dyn Reports| {
        reports.scan_unwatched();
        reports.fresh_status()
    };
    control.report(look).await
}

async fn events(State(control): State<Control>, Query(mut query): Query<EventQuery>) -> Response {
    query.limit = Some(query.limit.unwrap_or(MAX_ROWS).min(MAX_ROWS));
    control.report(move |reports| reports.events(&query).map(Listing::new)).await
}

/// Has people named who are only numbers so far.
async fn people(State(control): State<Control>) -> Response {
    super::people::name_all(&control.reports, &control.orders).await;
    control.report(|reports| reports.nameless().map(Listing::new)).await
}

async fn plan(State(control): State<Control>, Query(of): Query<OfFolder>) -> Response {
    control.report(move |reports| reports.plan(of.folder.as_deref()).map(Listing::new)).await
}

async fn held(State(control): State<Control>) -> Response {
    control.report(|reports| reports.held().map(Listing::new)).await
}

async fn conflicts(State(control): State<Control>, Query(of): Query<OfFolder>) -> Response {
    control.report(move |reports| reports.conflicts(of.folder.as_deref()).map(Listing::new)).await
}

async fn problems(State(control): State<Control>, Query(of): Query<OfFolder>) -> Response {
    control.report(move |reports| reports.problems(of.folder.as_deref()).map(Listing::new)).await
}

async fn why(State(control): State<Control>, Query(of): Query<OfPath>) -> Response {
    control.report(move |reports| reports.why(&of.path)).await
}

async fn versions(State(control): State<Control>, Query(of): Query<OfPath>) -> Response {
    control.report(move |reports| reports.versions(&of.path)).await
}

/// Figures, in the format that the reader asks for: Prometheus says that it prefers OpenMetrics; who says nothing gets it too.
async fn metrics(State(control): State<Control>, headers: HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("*/*");
    let format = match () {
        () if accepts.contains("openmetrics") || !accepts.contains("text/plain") => MetricsFormat::OpenMetrics,
        () => MetricsFormat::Text,
    };
    match control.made(move |reports| reports.metrics(format)).await {
        Ok(document) => ([(CONTENT_TYPE, format.media_type())], document).into_response(),
        Err(refused) => refused,
    }
}

async fn command(State(control): State<Control>, Json(command): Json<Command>) -> Response {
    Json(control.order(Order::Do(command)).await).into_response()
}

async fn reload(State(control): State<Control>) -> Response {
    Json(control.order(Order::Reload).await).into_response()
}

/// The link has the rights of who asks for it.
async fn web_link(State(control): State<Control>, ConnectInfo(peer): ConnectInfo<Peer>) -> Response {
    let me = rustix::process::geteuid().as_raw();
    let may_change = peer.uid.is_some_and(|uid| may_change(uid, me));
    Json(control.order(Order::WebLink { may_change }).await).into_response()
}

async fn metrics_token(State(control): State<Control>) -> Response {
    Json(control.order(Order::MetricsToken).await).into_response()
}

/// Has an order carried out.
pub async fn order(orders: &mpsc::Sender<Ordered>, order: Order) -> Answer {
    let (answer, answered) = oneshot::channel();
    if orders.try_send(Ordered { order, answer }).is_err() {
        return Answer::Busy;
    }
    match tokio::time::timeout(ANSWER_LIMIT, answered).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Answer::Refused { message: "the agent is shutting down; try again when it runs".to_owned() },
        Err(_) => Answer::Busy,
    }
}

impl Control {
    async fn report<T: Serialize + Send + 'static>(
        &self,
        make: impl FnOnce(&dyn Reports) -> Result<T, ReportError> + Send + 'static,
    ) -> Response {
        match self.made(make).await {
            Ok(report) => Json(report).into_response(),
            Err(refused) => refused,
        }
    }

    async fn made<T: Send + 'static>(
        &self,
        make: impl FnOnce(&dyn Reports) -> Result<T, ReportError> + Send + 'static,
    ) -> Result<T, Response> {
        let reports = Arc::clone(&self.reports);
        let report = tokio::task::spawn_blocking(move || make(&*reports)).await;
        let (status, error) = match report {
            Ok(Ok(report)) => return Ok(report),
            Ok(Err(ReportError::NotFound(error))) => (StatusCode::NOT_FOUND, error),
            Ok(Err(ReportError::Failed(error))) => (StatusCode::INTERNAL_SERVER_ERROR, error),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the report could not be made".to_owned()),
        };
        Err((status, Json(ErrorBody { error })).into_response())
    }

    async fn order(&self, wanted: Order) -> Answer {
        order(&self.orders, wanted).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_may_not_change_anything() {
        assert!(may_change(0, 990) && may_change(990, 990));
        assert!(!may_change(1000, 990));
    }
}
