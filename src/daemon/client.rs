//! The other end of the control socket: how commands talk to a running agent.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::control::ErrorBody;
use super::socket::Way;
use crate::command::{Answer, Command};
use crate::report::{
    ConflictRow, EventQuery, EventRow, HoldRow, Listing, MetricsFormat, Nameless, PlanRow, ProblemRow, Status,
    Versions, Why,
};

/// How long one answer may take. The agent itself gives up earlier.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// Why a running agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// This user may not open the socket.
    #[error("you may not use the control socket {}", .0.display())]
    Forbidden(PathBuf),
    /// The agent refuses a change by this user.
    #[error("{0}")]
    NotOwner(String),
    /// The thing asked about does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The agent could not answer.
    #[error("the agent could not answer: {0}")]
    Failed(String),
    /// The conversation broke off.
    #[error("the agent went away while it was asked")]
    Gone(#[source] reqwest::Error),
    /// The socket cannot be used.
    #[error("cannot use the control socket {}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// A conversation with a running agent.
#[derive(Debug)]
pub struct ControlClient {
    http: reqwest::Client,
    _way: Way,
}

impl ControlClient {
    /// Finds the agent behind a socket; nothing if none is running.
    pub async fn find(socket: &Path) -> Result<Option<Self>, ClientError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => ClientError::Forbidden(socket.to_owned()),
            _ => ClientError::Socket { path: socket.to_owned(), source },
        };
        let absent =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        let way = match Way::to(socket) {
            Ok(way) => way,
            Err(error) if absent(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match UnixStream::connect(&way.path).await {
            Ok(_) => {}
            Err(error) if absent(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        // The socket needs no certificates, and a machine without any must still be able to ask its agent.
        let http = reqwest::Client::builder()
            .unix_socket(way.path.as_path())
            .tls_certs_only([])
            .no_proxy()
            .timeout(ANSWER_LIMIT)
            .build()
            .map_err(ClientError::Gone)?;
        Ok(Some(Self { http, _way: way }))
    }

    /// `agent status`.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("status", &()).await
    }

    /// `agent status`, after a scan of what is not watched has begun.
    pub async fn look(&self) -> Result<Status, ClientError> {
        self.get("look", &()).await
    }

    /// `agent events`.
    pub async fn events(&self, query: &EventQuery) -> Result<Vec<EventRow>, ClientError> {
        self.rows("events", query).await
    }

    /// Has people named of whom nothing but a number is known; those that are left.
    pub async fn name_people(&self) -> Result<Vec<Nameless>, ClientError> {
        self.rows("people", &()).await
    }

    /// `agent plan`.
    pub async fn plan(&self, folder: Option<&str>) -> Result<Vec<PlanRow>, ClientError> {
        self.rows("plan", &[("folder", folder)]).await
    }

    /// `agent held`.
    pub async fn held(&self) -> Result<Vec<HoldRow>, ClientError> {
        self.rows("held", &()).await
    }

    /// `agent conflicts`.
    pub async fn conflicts(&self, folder: Option<&str>) -> Result<Vec<ConflictRow>, ClientError> {
        self.rows("conflicts", &[("folder", folder)]).await
    }

    /// `agent problems`.
    pub async fn problems(&self, folder: Option<&str>) -> Result<Vec<ProblemRow>, ClientError> {
        self.rows("problems", &[("folder", folder)]).await
    }

    /// `agent why`.
    pub async fn why(&self, path: &str) -> Result<Why, ClientError> {
        self.get("why", &[("path", path)]).await
    }

    /// `agent versions`.
    pub async fn versions(&self, path: &str) -> Result<Versions, ClientError> {
        self.get("versions", &[("path", path)]).await
    }

    /// `agent metrics`.
    pub async fn metrics(&self, format: MetricsFormat) -> Result<String, ClientError> {
        let request = self.http.get("http://agent/metrics").header(reqwest::header::ACCEPT, format.media_type());
        let response = self.answered(request).await?;
        response.text().await.map_err(ClientError::Gone)
    }

    /// Has a command carried out.
    pub async fn command(&self, command: &Command) -> Result<Answer, ClientError> {
        self.send(self.http.post(url("command")).json(command)).await
    }

    /// Has the configuration file read again.
    pub async fn reload(&self) -> Result<Answer, ClientError> {
        self.send(self.http.post(url("reload"))).await
    }

    /// A link to the page in the browser, with the rights of whoever asks.
    pub async fn web_link(&self) -> Result<Answer, ClientError> {
        self.send(self.http.post(url("web"))).await
    }

    /// The token that opens `/metrics` of the page's listener.
    pub async fn metrics_token(&self) -> Result<Answer, ClientError> {
        self.send(self.http.post(url("metrics-token"))).await
    }

    async fn rows<T: DeserializeOwned>(&self, what: &str, query: &impl Serialize) -> Result<Vec<T>, ClientError> {
        self.get::<Listing<T>>(what, query).await.map(|listing| listing.rows)
    }

    async fn get<T: DeserializeOwned>(&self, what: &str, query: &impl Serialize) -> Result<T, ClientError> {
        self.send(self.http.get(url(what)).query(query)).await
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        self.answered(request).await?.json().await.map_err(ClientError::Gone)
    }

    /// The answer, if it is a good one.
    async fn answered(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(ClientError::Gone)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let error = match response.json::<ErrorBody>().await {
            Ok(body) => body.error,
            Err(_) => status.to_string(),
        };
        Err(match status {
            StatusCode::NOT_FOUND => ClientError::NotFound(error),
            StatusCode::FORBIDDEN => ClientError::NotOwner(error),
            _ => ClientError::Failed(error),
        })
    }
}

/// The host is never looked up: the client knows only the socket.
fn url(what: &str) -> String {
    format!("http://agent/v1/{what}")
}
