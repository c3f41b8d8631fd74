//! A client for ICAP (RFC 3507): RESPMOD with preview and 204, over TCP or TLS, as commercial scanners speak it.
//!
//! A file is allowed by a 204 that may be given, or by getting it back unchanged; whatever else a service answers is a rejection where it
//! says so or gives other content back, and an error otherwise.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
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

type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

#[derive(Debug)]
struct Connection {
    answers: Answers,
    writing: WriteHalf<Stream>,
    rests_since: Instant,
}

/// The server's side of a connection: it may speak while we still do.
#[derive(Debug)]
struct Answers {
    reading: ReadHalf<Stream>,
    /// What was read and not understood yet.
    read: Vec<u8>,
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
        if said.in_turn && connection.answers.read.is_empty() {
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
                let text =
                    format!("the ICAP server {host}:{port} does not answer within {} s", CONNECT_LIMIT.as_secs());
                return Err(Broken::Down(text));
            }
            Ok(Err(error)) => {
                return Err(Broken::Down(format!("the ICAP server {host}:{port} cannot be reached: {error}")));
            }
            Ok(Ok(stream)) => stream,
        };
        let (reading, writing) = split(stream);
        let answers = Answers { reading, read: Vec::new() };
        Ok(Connection { answers, writing, rests_since: Instant::now() })
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
            connection.writing.write_all(head.as_bytes()).await?;
            connection.writing.flush().await?;
            let head = connection.answers.head().await?;
            // Some services describe themselves in a body.
            connection.answers.body(&head).await?;
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
        let Connection { answers, writing, .. } = connection;
        writing.write_all(self.request(options, preview, length, name).as_bytes()).await?;
        if let Some(preview) = preview {
            let mut start = vec![0; preview];
            let count = fill(&mut file, &mut start).await?;
            sent.update(&start[..count]);
            let is_whole = count as u64 >= length;
            let mut piece = chunk(&start[..count]);
            piece.extend(if is_whole { &b"0; ieof\r\n\r\n"[..] } else { b"0\r\n\r\n" });
            writing.write_all(&piece).await?;
            writing.flush().await?;
            let head = answers.head().await?;
            if head.status != 100 || is_whole {
                let body = answers.body(&head).await?;
                // With 204 it waives the rest.
                let sent = (is_whole || head.status == 204).then(|| sent.finalize());
                return judge(&head, &body, sent.map(|sent| sent.to_vec()), true);
            }
        }
        // It may speak before it has heard everything, to give the file back as it comes or because it has had enough.
        let mut send = pin!(send_rest(&mut file, writing, sent));
        let mut take = pin!(async {
            let head = answers.head().await?;
            let body = answers.body(&head).await?;
            Ok::<_, Broken>((head, body))
        });
        let mut whole = None;
        let mut is_sending = true;
        let (head, body) = loop {
            tokio::select! {
                biased;
                sent = &mut send, if is_sending => {
                    is_sending = false;
                    // Where it closed its side, what it said before is its answer.
                    whole = match sent {
                        Err(Broken::File(error)) => return Err(Broken::File(error)),
                        sent => sent.ok(),
                    };
                }
                taken = &mut take => break taken?,
            }
        };
        judge(&head, &body, whole, options.allows_204)
    }

    fn request(&self, options: &Options, preview: Option<usize>, length: u64, name: &str) -> String {
        let path = utf8_percent_encode(name, &PATH);
        let request =
            format!("GET http://folder-sync-agent.invalid/{path} HTTP/1.1\r\nHost: folder-sync-agent.invalid\r\n\r\n");
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
}

/// The verdict of an answer. `sent`: the digest of the file, if the service has had all of it, or has waived the rest. `may_be_204`: it may
/// answer so here.
fn judge(head: &Head, body: &Body, sent: Option<Vec<u8>>, may_be_204: bool) -> Result<Said, Broken> {
    let whole = sent.is_some();
    match head.status {
        200 | 204 if head.finding().is_some() => {
            let (verdict, text) = head.finding().unwrap_or((Verdict::Reject, String::new()));
            Ok(Said::new(verdict, text, whole))
        }
        204 if !may_be_204 => Err(babble("the service answers 204, which it was not allowed to")),
        204 if !whole => Err(babble("the service called the file clean before its end")),
        204 => Ok(Said::new(Verdict::Allow, "204 No Content", true)),
        200 => match (body.http, sent) {
            (Some(status), _) if status != 200 => {
                Ok(Said::new(Verdict::Reject, format!("the service answers HTTP {status} in its place"), whole))
            }
            (_, None) => Err(babble("the service gave the file back before it had it")),
            (Some(200), Some(sent)) if body.digest.as_ref() == Some(&sent) => {
                Ok(Said::new(Verdict::Allow, "given back unchanged", true))
            }
            _ => Ok(Said::new(Verdict::Reject, "the service gave other content back", true)),
        },
        100 => Err(babble("the service wants to go on where nothing is left to go on with")),
        404 | 503 => Err(Broken::Down(format!("the ICAP service answers {}", head.status_line()))),
        300..400 => {
            Err(babble(format!("the ICAP service sends us elsewhere, and we do not go: {}", head.status_line())))
        }
        _ => Err(babble(format!("the ICAP service answers {}", head.status_line()))),
    }
}

/// Sends the rest of a file; the digest of all of it.
async fn send_rest(file: &mut File, writing: &mut WriteHalf<Stream>, mut sent: Sha256) -> Result<Vec<u8>, Broken> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = file.read(&mut buffer).await.map_err(Broken::File)?;
        if count == 0 {
            break;
        }
        sent.update(&buffer[..count]);
        writing.write_all(&chunk(&buffer[..count])).await?;
    }
    writing.write_all(b"0\r\n\r\n").await?;
    writing.flush().await?;
    Ok(sent.finalize().to_vec())
}

impl Connection {
    /// Nothing was said that was not asked for.
    fn must_be_quiet(&mut self) -> Result<(), Broken> {
        let Answers { reading, read } = &mut self.answers;
        // Reading into a buffer loses nothing when it is given up.
        match reading.read_buf(read).now_or_never() {
            None if read.is_empty() => Ok(()),
            // Who says more than was asked cannot be trusted; another connection is opened.
            None | Some(_) => Err(Broken::Closed),
        }
    }
}

impl Answers {
    async fn more(&mut self) -> Result<(), Broken> {
        if self.reading.read_buf(&mut self.read).await? == 0 {
            let broken =
                if self.read.is_empty() { Broken::Closed } else { babble("the ICAP server broke off in its answer") };
            return Err(broken);
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
