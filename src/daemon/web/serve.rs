//! The listener: a bounded number of connections, each with a bounded time to ask, encrypted if the configuration says so.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::patience::Patient;

/// Who is on the other side of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub std::net::IpAddr);

/// Connections at one time. One more is closed at once, so that whoever opens thousands keeps nothing else from working.
const CONNECTIONS_MOST: usize = 256;
/// How long the head of a request may take, and a handshake.
const ASK_LIMIT: Duration = Duration::from_secs(10);
/// How long an answer may find nobody who takes it.
const TAKE_LIMIT: Duration = Duration::from_secs(30);
/// The pause after the system had no room for a connection.
const ROOM_PAUSE: Duration = Duration::from_millis(200);

/// Reads the certificate chain and the key.
pub fn tls(cert: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let unreadable = |path: &Path, why: &dyn std::fmt::Display| format!("cannot read {}: {why}", path.display());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert).map_err(|why| unreadable(cert, &why))?.collect();
    let chain = chain.map_err(|why| unreadable(cert, &why))?;
    let key_read = PrivateKeyDer::from_pem_file(key).map_err(|why| unreadable(key, &why))?;
    // Only the first caller in a process installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key_read)
        .map_err(|why| format!("certificate and key do not fit: {why}"))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Binds the address.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until `stop`.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: axum::Router, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MOST));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (Patient::new(stream, TAKE_LIMIT), Peer(address.ip())),
            Err(error) => {
                tracing::debug!(%error, "a connection of the page was not accepted");
                tokio::time::sleep(ROOM_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (router, tls, stop) = (router.clone(), tls.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            let served = async {
                match tls {
                    None => answer(stream, peer, router).await,
                    Some(tls) => match tokio::time::timeout(ASK_LIMIT, tls.accept(stream)).await {
                        Ok(Ok(stream)) => answer(stream, peer, router).await,
                        Ok(Err(error)) => tracing::debug!(%error, "no handshake"),
                        Err(_) => tracing::debug!("a handshake took too long"),
                    },
                }
            };
            tokio::select! {
                () = served => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer, router: axum::Router) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASK_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "a connection of the page broke off");
    }
}
