//! How fast the sandbox serves, since it shares the machine with what it measures. Printed, not asserted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use folder_sync_agent::sandbox::{ACCESS_TOKEN, Content};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::Bed;

const FILES: u64 = 4000;
const FILE_BYTES: usize = 4096;
const CONNECTIONS: usize = 16;

/// The barest HTTP client, so that what is measured is the server.
struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Line {
    /// The head and the length of the body.
    async fn get(&mut self, path: &str) -> (String, usize) {
        let ask = format!("GET {path} HTTP/1.1\r\nhost: sandbox\r\nauthorization: Bearer {ACCESS_TOKEN}\r\n\r\n");
        self.stream.write_all(ask.as_bytes()).await.unwrap();
        self.buffer.clear();
        loop {
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0, "the server closed the connection");
            let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&self.buffer[..end]).to_lowercase();
            let length =
                head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            while self.buffer.len() < end + 4 + length {
                assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0, "the body is cut");
            }
            return (head, length);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_are_served_quickly() {
    let bed = Bed::new().await;
    let ids: Vec<String> = (0..FILES)
        .map(|n| bed.cloud.write(&format!("/{n}"), Content::pattern(n, FILE_BYTES as u64)).unwrap())
        .collect();
    let ids = Arc::new(ids);
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let address = bed.url.trim_start_matches("http://").to_owned();
        let (ids, next) = (ids.clone(), next.clone());
        workers.spawn(async move {
            let stream = TcpStream::connect(&address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut line = Line { stream, buffer: Vec::with_capacity(8192) };
            while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (head, _) = line.get(&format!("/2.0/files/{id}/content")).await;
                let place = head.split("location: ").nth(1).unwrap().lines().next().unwrap();
                let path = &place[place.find("/dl/").unwrap()..];
                let (_, length) = line.get(path).await;
                assert_eq!(length, FILE_BYTES);
            }
        });
    }
    workers.join_all().await;
    let seconds = start.elapsed().as_secs_f64();
    println!("{FILES} files of 4 KiB in {seconds:.2} s: {:.0} files/s, two requests each", FILES as f64 / seconds);
}
