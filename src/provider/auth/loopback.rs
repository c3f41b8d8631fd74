//! The one page that a browser is sent back to: a listener on this machine for the time of a sign-in.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use url::Url;

/// Where the browser is sent back to.
const PATH: &str = "/callback";
/// The longest head of a request that is read.
const HEAD_MAX_BYTES: usize = 32 * 1024;
/// How long a browser may take to ask.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long handing over the last page may take.
const SHOW_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections that are served at once; browsers open some in advance.
const CONNECTIONS_MAX: usize = 16;

/// Listens for the browser; stops when dropped.
#[derive(Debug)]
pub struct Loopback {
    redirect_uri: String,
    visits: mpsc::Receiver<Visit>,
    task: JoinHandle<()>,
}

/// The browser came back, and waits for a page.
#[derive(Debug)]
pub struct Visit {
    /// The address that it asked for.
    pub address: Url,
    reply: oneshot::Sender<String>,
    shown: oneshot::Receiver<()>,
}

/// What the browser shows.
#[derive(Debug, Clone)]
pub struct Page {
    /// Whether it went well.
    pub good: bool,
    /// What happened.
    pub title: String,
    /// What to do next.
    pub text: String,
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Loopback {
    /// Listens on a port of this machine, or on a free one.
    pub async fn bind(port: Option<u16>) -> io::Result<Self> {
        Self::bind_at(port, None).await
    }

    /// Listens where a registered redirect URI leads, which must be this machine.
    pub async fn bind_uri(uri: &str) -> io::Result<Self> {
        let parsed = Url::parse(uri).map_err(|_| invalid())?;
        Self::bind_at(parsed.port_or_known_default(), Some(uri)).await
    }

    async fn bind_at(port: Option<u16>, uri: Option<&str>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let redirect_uri = uri.map_or_else(|| format!("{base}{PATH}"), str::to_owned);
        let expected = Url::parse(&redirect_uri).map_err(|_| invalid())?;
        let (tell, visits) = mpsc::channel(1);
        let task = tokio::spawn(accept(listener, expected, tell));
        Ok(Self { redirect_uri, visits, task })
    }

    /// What the provider is told to redirect to.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Waits until the browser comes back. Nothing if the listener broke.
    pub async fn visit(&mut self) -> Option<Visit> {
        self.visits.recv().await
    }
}

impl Visit {
    /// Shows a page, and waits until it was handed over.
    pub async fn show(self, page: &Page) {
        // A browser that went away needs no page.
        if self.reply.send(page.html()).is_ok() {
            let _ = tokio::time::timeout(SHOW_TIMEOUT, self.shown).await;
        }
    }
}

impl Page {
    fn html(&self) -> String {
        let (mark, tone) = if self.good { ("&#10003;", "#1a7f37") } else { ("&#10007;", "#b35900") };
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;padding:0 1em}}\
             h1{{font-size:1.4em;color:{tone}}}</style></head>\
             <body><h1>{mark} {title}</h1><p id=\"next\">{text}</p></body></html>\n",
            title = escaped(&self.title),
            text = escaped(&self.text),
        )
    }
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the redirect URI is no URL")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

async fn accept(listener: TcpListener, expected: Url, tell: mpsc::Sender<Visit>) {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (expected, tell) = (expected.clone(), tell.clone());
                tokio::spawn(async move {
                    // What a browser does not wait for is no loss.
                    let _ = serve(stream, &expected, &tell).await;
                    drop(place);
                });
            }
            // Out of descriptors: closed connections give some back.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(mut stream: TcpStream, expected: &Url, tell: &mpsc::Sender<Visit>) -> io::Result<()> {
    let target = match tokio::time::timeout(HEAD_TIMEOUT, read_target(&mut stream)).await {
        Ok(Ok(Some(target))) => target,
        Ok(Err(error)) => return Err(error),
        Ok(Ok(None)) | Err(_) => return Ok(()),
    };
    // Only the path and the query are the browser's; the origin is what we told the provider.
    let address = expected.join(&target).ok().filter(|address| address.path() == expected.path());
    let Some(address) = address.filter(|_| target.starts_with('/') && !target.starts_with("//")) else {
        return answer(&mut stream, "404 Not Found", "There is nothing here.\n").await;
    };
    let (reply, page) = oneshot::channel();
    let (done, shown) = oneshot::channel();
    if tell.send(Visit { address, reply, shown }).await.is_err() {
        return answer(&mut stream, "410 Gone", "The sign-in is over.\n").await;
    }
    match page.await {
        Ok(html) => {
            let answered = answer(&mut stream, "200 OK", &html).await;
            let _ = done.send(());
            answered
        }
        Err(_) => answer(&mut stream, "410 Gone", "The sign-in is over.\n").await,
    }
}

/// The target of a GET; nothing for anything else.
async fn read_target(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if head.len() > HEAD_MAX_BYTES || stream.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    let line = String::from_utf8_lossy(&head);
    let mut words = line.lines().next().unwrap_or_default().split(' ');
    Ok(match (words.next(), words.next()) {
        (Some("GET"), Some(target)) => Some(target.to_owned()),
        _ => None,
    })
}

async fn answer(stream: &mut TcpStream, status: &str, body: &str) -> io::Result<()> {
    let kind = if body.starts_with('<') { "text/html; charset=utf-8" } else { "text/plain; charset=utf-8" };
    // The address holds the code: nobody else is told of it, and it is not kept.
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\ncache-control: no-store\r\n\
         referrer-policy: no-referrer\r\ncontent-security-policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
