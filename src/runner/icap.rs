//! A client for ICAP (RFC 3507): RESPMOD with preview and 204, over TCP or TLS, as commercial scanners speak it.
//!
//! A file is allowed by a 204 that may be given, or by getting it back unchanged; whatever else a service answers is a rejection where it
//! says so or gives other content back, and an error otherwise.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use url::Url;

use crate::hook::scanner::{ICAP_PORT, ICAPS_PORT};
use crate::hook::{Outcome, Verdict};

mod reply;

use reply::{Body, Head, Options};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection may rest that is used again.
const RESTED_MOST: Duration = Duration::from_secs(10);
const KEPT_MOST: usize = 64;
const CHUNK_BYTES: usize = 64 * 1024;
/// The longest preview that is sent, whatever a service asks for.
const PREVIEW_MAX_BYTES: usize = 64 * 1024;
const AGENT: &str = concat!("folder-sync-agent/", env!("CARGO_PKG_VERSION"));
/// What a path keeps as it is.
const PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// Nobody can be asked.
    #[error("{0}")]
    Down(String),
    /// The connection ended without an answer.
    #[error("the ICAP server closed the connection without an answer")]
    Closed,
    /// What came is no answer.
    #[error("{0}")]
    Babble(String),
    /// The file.
    #[error("the file cannot be read: {0}")]
    File(io::Error),
    /// The connection.
    #[error("the connection to the ICAP server broke: {0}")]
    Io(#[from] io::Error),
}

fn babble(text: impl Into<String>) -> Broken {
    Broken::Babble(text.into())
}

/// The connections to one service.
#[derive(Debug)]
pub struct Client {
    url: Url,
    ca_file: Option<PathBuf>,
    options: Mutex<Option<(Options, Instant)>>,
    resting: Mutex<Vec<Connection>>,
}

#[derive(Debug)]
struct Connection {
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    /// What was read and not understood yet.
    read: Vec<u8>,
    rests_since: Instant,
}

/// What a service said of a file.
#[derive(Debug)]
struct Said {
    verdict: Verdict,
    text: String,
    reason: Option<String>,
    /// The connection may be used again.
    in_turn: bool,
}

impl Said {
    fn new(verdict: Verdict, text: impl Into<String>, in_turn: bool) -> Self {
        Self { verdict, text: text.into(), reason: None, in_turn }
    }
}

impl Client {
    /// The service at an address; nobody is asked yet. For TLS, the certificates of `ca_file` are trusted instead of the system's.
    pub fn new(url: Url, ca_file: Option<PathBuf>) -> Self {
        Self { url, ca_file, options: Mutex::default(), resting: Mutex::default() }
    }

    /// Asks about a file; `name` is what the service gets to know it by.
    pub async fn scan(&self, file: &Path, name: &str) -> Outcome {
        let start = Instant::now();
        let mut used_again = true;
        loop {
            let resting = self.resting().filter(|_| used_again);
            used_again = resting.is_some();
            match self.exchange(resting, file, name).await {
                Ok((said, version)) => {
                    let ruled = Outcome::ruled(said.verdict, said.text, start.elapsed());
                    return Outcome { version, reason: said.reason, ..ruled };
                }
                // It may have been closed while it rested.
                Err(Broken::Closed | Broken::Io(_)) if used_again => used_again = false,
                Err(broken @ Broken::Down(_)) => return Outcome::down(broken.to_string(), start.elapsed()),
                Err(broken) => return Outcome::failed(broken.to_string(), start.elapsed()),
            }
        }
    }

    /// Asks how it is.
    pub async fn probe(&self) -> Outcome {
        let start = Instant::now();
        let asked = async {
            let mut connection = self.connect().await?;
            let options = self.ask_options(&mut connection).await?;
            self.rest(connection);
            Ok::<_, Broken>(options)
        };
        match asked.await {
            Ok(options) => {
                Outcome { version: options.version(), ..Outcome::ruled(Verdict::Allow, "", start.elapsed()) }
            }
            Err(broken) => Outcome::down(broken.to_string(), start.elapsed()),
        }
    }

    async fn exchange(
        &self,
        resting: Option<Connection>,
        file: &Path,
        name: &str,
    ) -> Result<(Said, Option<String>), Broken> {
        let mut connection = match resting {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let options = match self.known_options() {
            Some(options) => options,
            None => self.ask_options(&mut connection).await?,
        };
        let said = self.respmod(&mut connection, &options, file, name).await?;
        if said.in_turn && connection.read.is_empty() {
            self.rest(connection);
        }
        Ok((said, options.version()))
    }

    fn known_options(&self) -> Option<Options> {
        let known = self.options.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(options, at)| at.elapsed() < options.ttl).map(|(options, _)| options.clone())
    }

    fn resting(&self) -> Option<Connection> {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.retain(|connection| connection.rests_since.elapsed() < RESTED_MOST);
        resting.pop()
    }

    fn rest(&self, mut connection: Connection) {
        connection.rests_since = Instant::now();
        let most = self.known_options().and_then(|options| options.max_connections).unwrap_or(KEPT_MOST);
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if resting.len() < most.min(KEPT_MOST) {
            resting.push(connection);
        }
    }

    async fn connect(&self) -> Result<Connection, Broken> {
        let is_tls = self.url.scheme() == "icaps";
        let host = self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = self.url.port().unwrap_or(if is_tls { ICAPS_PORT } else { ICAP_PORT });
        let reach = async {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            if !is_tls {
                return Ok(Either::Left(stream));
            }
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let connector = TlsConnector::from(Arc::new(self.tls()?));
            Ok::<_, io::Error>(Either::Right(Box::new(connector.connect(name, stream).await?)))
        };
        let stream = match timeout(CONNECT_LIMIT, reach).await {
            Err(_) => {
                let text = format!("the ICAP server {host}:{port} does not answer within {} s", CONNECT_LIMIT.as_secs());
                return Err(Broken::Down(text));
            }
            Ok(Err(error)) => {
                return Err(Broken::Down(format!("the ICAP server {host}:{port} cannot be reached: {error}")));
            }
            Ok(Ok(stream)) => stream,
        };
        Ok(Connection { stream, read: Vec::new(), rests_since: Instant::now() })
    }

    fn tls(&self) -> io::Result<rustls::ClientConfig> {
        let builder = rustls::ClientConfig::builder();
        let Some(path) = &self.ca_file else {
            return Ok(builder.with_platform_verifier().map_err(io::Error::other)?.with_no_client_auth());
        };
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(io::Error::other)? {
            roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    async fn ask_options(&self, connection: &mut Connection) -> Result<Options, Broken> {
        let head = format!(
            "OPTIONS {} ICAP/1.0\r\nHost: {}\r\nUser-Agent: {AGENT}\r\nEncapsulated: null-body=0\r\n\r\n",
            self.url,
            self.host()
        );
        let asked = timeout(CONNECT_LIMIT, async {
            connection.stream.write_all(head.as_bytes()).await?;
            connection.flush().await?;
            let head = connection.head().await?;
            // Some services describe themselves in a body.
            connection.body(&head, None).await?;
            Ok::<_, Broken>(head)
        });
        let head = asked.await.map_err(|_| Broken::Down("the ICAP server accepts, and says nothing".into()))??;
        if head.status != 200 {
            return Err(Broken::Down(format!("the ICAP service answers OPTIONS with {}", head.status_line())));
        }
        let options = Options::read(&head);
        if !options.has_respmod {
            return Err(Broken::Down("the ICAP service does not know RESPMOD".into()));
        }
        *self.options.lock().unwrap_or_else(PoisonError::into_inner) = Some((options.clone(), Instant::now()));
        Ok(options)
    }

    /// Sends a file and takes the answer.
    async fn respmod(
        &self,
        connection: &mut Connection,
        options: &Options,
        file: &Path,
        name: &str,
    ) -> Result<Said, Broken> {
        connection.must_be_quiet()?;
        let mut file = File::open(file).await.map_err(Broken::File)?;
        let length = file.metadata().await.map_err(Broken::File)?.len();
        let preview = options.preview.map(|preview| preview.min(PREVIEW_MAX_BYTES));
        let mut sent = Sha256::new();
        connection.stream.write_all(self.request(options, preview, length, name).as_bytes()).await?;
        if let Some(preview) = preview {
            let mut start = vec![0; preview];
            let count = fill(&mut file, &mut start).await?;
            sent.update(&start[..count]);
            let is_whole = count as u64 >= length;
            let mut piece = chunk(&start[..count]);
            piece.extend(if is_whole { &b"0; ieof\r\n\r\n"[..] } else { b"0\r\n\r\n" });
            connection.stream.write_all(&piece).await?;
            connection.flush().await?;
            let head = connection.head().await?;
            if head.status != 100 || is_whole {
                // With 204 it waives the rest.
                return self.judge(connection, &head, sent, (true, is_whole || head.status == 204)).await;
            }
        }
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let count = file.read(&mut buffer).await.map_err(Broken::File)?;
            sent.update(&buffer[..count]);
            let piece = if count == 0 { b"0\r\n\r\n".to_vec() } else { chunk(&buffer[..count]) };
            let (mut reading, mut writing) = split(&mut connection.stream);
            let is_early = tokio::select! {
                biased;
                read = reading.read_buf(&mut connection.read), if count > 0 => {
                    if read? == 0 {
                        return Err(Broken::Closed);
                    }
                    true
                }
                written = writing.write_all(&piece) => written.is_err(),
            };
            if is_early {
                // It has had enough: what it says now is the answer, unless it calls the file clean.
                let head = connection.head().await?;
                let said = self.judge(connection, &head, sent, (options.allows_204, false)).await?;
                return match said.verdict {
                    Verdict::Allow => Err(babble("the service called the file clean before its end")),
                    _ => Ok(Said { in_turn: false, ..said }),
                };
            }
            if count == 0 {
                break;
            }
        }
        connection.flush().await?;
        let head = connection.head().await?;
        self.judge(connection, &head, sent, (options.allows_204, true)).await
    }

    fn request(&self, options: &Options, preview: Option<usize>, length: u64, name: &str) -> String {
        let path = utf8_percent_encode(name, &PATH);
        let request = format!("GET http://folder-sync-agent.invalid/{path} HTTP/1.1\r\nHost: folder-sync-agent.invalid\r\n\r\n");
        let response =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n");
        let mut head = format!("RESPMOD {} ICAP/1.0\r\nHost: {}\r\nUser-Agent: {AGENT}\r\n", self.url, self.host());
        if options.allows_204 {
            head.push_str("Allow: 204\r\n");
        }
        // Writing to a text cannot fail.
        if let Some(preview) = preview {
            let _ = write!(head, "Preview: {preview}\r\n");
        }
        let (hdr, body) = (request.len(), request.len() + response.len());
        let _ = write!(head, "Encapsulated: req-hdr=0, res-hdr={hdr}, res-body={body}\r\n\r\n");
        head + &request + &response
    }

    /// The verdict of an answer. `may_be_204`: the service may answer so here. `whole`: it has had the whole file, or has waived it.
    async fn judge(
        &self,
        connection: &mut Connection,
        head: &Head,
        sent: Sha256,
        (may_be_204, whole): (bool, bool),
    ) -> Result<Said, Broken> {
        match head.status {
            204 if may_be_204 => {
                connection.body(head, None).await?;
                if let Some((verdict, text)) = head.finding() {
                    return Ok(Said::new(verdict, text, whole));
                }
                Ok(Said::new(Verdict::Allow, "204 No Content", whole))
            }
            204 => Err(babble("the service answers 204, which it was not allowed to")),
            200 => {
                let body = connection.body(head, Some(sent)).await?;
                if let Some((verdict, text)) = head.finding() {
                    return Ok(Said::new(verdict, text, whole && body.is_read()));
                }
                Ok(match body {
                    Body::Same if whole => Said::new(Verdict::Allow, "given back unchanged", true),
                    Body::Same => return Err(babble("the service gave the file back before it had it")),
                    Body::Other { http } => {
                        let text = match http {
                            Some(status) if status != 200 => format!("the service answers HTTP {status} in its place"),
                            _ => "the service gave other content back".to_owned(),
                        };
                        Said::new(Verdict::Reject, text, false)
                    }
                })
            }
            100 => Err(babble("the service wants to go on where nothing is left to go on with")),
            404 | 503 => Err(Broken::Down(format!("the ICAP service answers {}", head.status_line()))),
            300..400 => Err(babble(format!("the ICAP service sends us elsewhere, and we do not go: {}", head.status_line()))),
            _ => Err(babble(format!("the ICAP service answers {}", head.status_line()))),
        }
    }
}

impl Connection {
    async fn flush(&mut self) -> Result<(), Broken> {
        Ok(self.stream.flush().await?)
    }

    /// Nothing was said that was not asked for.
    fn must_be_quiet(&mut self) -> Result<(), Broken> {
        let Either::Left(stream) = &self.stream else {
            return if self.read.is_empty() { Ok(()) } else { Err(Broken::Closed) };
        };
        match stream.try_read(&mut [0; 64]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.read.is_empty() => Ok(()),
            // Who says more than was asked cannot be trusted; another connection is opened.
            Ok(_) | Err(_) => Err(Broken::Closed),
        }
    }

    async fn more(&mut self) -> Result<(), Broken> {
        if self.stream.read_buf(&mut self.read).await? == 0 {
            return Err(if self.read.is_empty() { Broken::Closed } else { babble("the ICAP server broke off in its answer") });
        }
        Ok(())
    }
}

/// Reads until a buffer is full or the file ends.
async fn fill(file: &mut File, buffer: &mut [u8]) -> Result<usize, Broken> {
    let mut count = 0;
    while count < buffer.len() {
        match file.read(&mut buffer[count..]).await.map_err(Broken::File)? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend(bytes);
    chunk.extend(b"\r\n");
    chunk
}

#[cfg(test)]
mod tests;
