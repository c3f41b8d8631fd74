//! A slow network between the sandbox and its clients: time that each way takes, and bytes a second on each connection.
//!
//! Each connection has its own way and its own pace, in both directions, so that a client with two connections gets twice as much through.
//! Nothing is lost or comes out of order. What is not emulated is the slow start of TCP.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How a network is that is not as fast as this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The time there and back, in milliseconds; a new connection costs it once more.
    pub latency_ms: u64,
    /// What each connection carries in each direction, in bytes a second; 0 means as much as this machine can.
    pub bytes_per_second: u64,
}

/// How much is taken at a time.
const PIECE_BYTES: usize = 16 * 1024;
/// What may be on its way beside what the pace and the latency put there, in pieces.
const PIECES_SPARE: u64 = 16;
/// On its way at most, in pieces.
const PIECES_MOST: u64 = 512;
/// Pauses shorter than this are made up for later: timers are not finer.
const TIMER: Duration = Duration::from_millis(1);

/// The network in force, and the connections that came about.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    network: Mutex<Network>,
    accepted: AtomicU64,
}

impl Lines {
    pub fn new(network: Network) -> Self {
        Self { network: Mutex::new(network), accepted: AtomicU64::new(0) }
    }

    /// Connections made from now on are like this.
    pub fn set(&self, network: Network) {
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = network;
    }

    /// Connections that came about.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub fn reset(&self) {
        self.accepted.store(0, Ordering::Relaxed);
    }

    /// Counts a connection; its far end, where the network is slow.
    pub fn accept(&self, stream: TcpStream) -> Result<TcpStream, DuplexStream> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let network = *self.network.lock().unwrap_or_else(PoisonError::into_inner);
        if network == Network::default() {
            return Ok(stream);
        }
        let (near, far) = tokio::io::duplex(PIECE_BYTES);
        let (from_client, to_client) = stream.into_split();
        let (from_server, to_server) = tokio::io::split(near);
        let round_trip = Duration::from_millis(network.latency_ms);
        // The first byte comes after the handshake, which has taken no time here.
        tokio::spawn(carry(from_client, to_server, network, Instant::now() + round_trip));
        tokio::spawn(carry(from_server, to_client, network, Instant::now()));
        Err(far)
    }
}

/// Carries one direction of a connection to its end. Nothing leaves before `begins`.
async fn carry<R, W>(mut from: R, mut to: W, network: Network, begins: Instant)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let way = Duration::from_millis(network.latency_ms) / 2;
    let window = match network.bytes_per_second {
        0 => PIECES_MOST,
        pace => (pace * network.latency_ms / 1_000 / PIECE_BYTES as u64 + PIECES_SPARE).min(PIECES_MOST),
    };
    let (pieces, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(window as usize);
    let arrives = tokio::spawn(async move {
        while let Some((at, bytes)) = under_way.recv().await {
            tokio::time::sleep_until(at).await;
            to.write_all(&bytes).await?;
        }
        to.shutdown().await
    });
    let mut free = begins;
    loop {
        let mut bytes = vec![0; PIECE_BYTES];
        let Some(length) = from.read(&mut bytes).await.ok().filter(|length| *length > 0) else { break };
        bytes.truncate(length);
        free = free.max(Instant::now());
        if let Some(micros) = (length as u64 * 1_000_000).checked_div(network.bytes_per_second) {
            free += Duration::from_micros(micros);
        }
        if pieces.send((free + way, bytes)).await.is_err() {
            break;
        }
        if free > Instant::now() + TIMER {
            tokio::time::sleep_until(free).await;
        }
    }
    drop(pieces);
    // Who cannot be written to any more has gone, and needs nothing.
    let _: Result<io::Result<()>, _> = arrives.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a megabyte takes on its way, by a clock that stands still while anything runs.
    async fn takes(network: Network, bytes: usize) -> Duration {
        let (mut near, from) = tokio::io::duplex(PIECE_BYTES);
        let (to, mut far) = tokio::io::duplex(PIECE_BYTES);
        let began = Instant::now();
        tokio::spawn(carry(from, to, network, began));
        let sends = tokio::spawn(async move { near.write_all(&vec![7; bytes]).await });
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        sends.await.unwrap().unwrap();
        assert!(got.len() == bytes && got.iter().all(|byte| *byte == 7));
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_takes_half_the_latency_and_the_pace_is_kept() {
        let network = |latency_ms, bytes_per_second| Network { latency_ms, bytes_per_second };
        let ms = |took: Duration| took.as_millis();
        assert!((20..=23).contains(&ms(takes(network(40, 0), 100).await)));
        assert!((20..=23).contains(&ms(takes(network(40, 0), 1 << 20).await)), "nothing waits for an acknowledgement");
        assert!((1_000..=1_020).contains(&ms(takes(network(0, 1_000_000), 1_000_000).await)));
        assert!((1_020..=1_040).contains(&ms(takes(network(40, 1_000_000), 1_000_000).await)));
    }
}
