//! A server that takes what is posted, and answers as the test says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// One POST.
#[derive(Debug, Clone)]
pub struct Post {
    /// Its headers, in small letters.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Post {
    /// The documents in it.
    pub fn events(&self) -> Vec<Value> {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["events"].as_array().unwrap().clone()
    }
}

/// The server. Its thread ends with the test program.
pub struct Receiver {
    port: u16,
    status: Arc<AtomicU16>,
    taken: Arc<Mutex<Vec<Post>>>,
    refused: Arc<Mutex<u64>>,
}

impl Receiver {
    /// Begins to listen, and takes everything.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (status, taken) = (Arc::new(AtomicU16::new(200)), Arc::new(Mutex::new(Vec::new())));
        let refused = Arc::new(Mutex::new(0));
        let receiver = Self { port, status: status.clone(), taken: taken.clone(), refused: refused.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let status = status.load(Ordering::Relaxed);
                // A client that goes away in the middle has posted nothing.
                let Some(post) = serve(stream, status) else { continue };
                if (200..300).contains(&status) {
                    taken.lock().unwrap().push(post);
                } else {
                    *refused.lock().unwrap() += 1;
                }
            }
        });
        receiver
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/in", self.port)
    }

    /// Answers with this status from now on.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// What it took.
    pub fn taken(&self) -> Vec<Post> {
        self.taken.lock().unwrap().clone()
    }

    /// All documents that it took.
    pub fn events(&self) -> Vec<Value> {
        self.taken().iter().flat_map(Post::events).collect()
    }

    /// How often it refused.
    pub fn refused(&self) -> u64 {
        *self.refused.lock().unwrap()
    }
}

fn serve(stream: TcpStream, status: u16) -> Option<Post> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()?;
    stream.flush().ok()?;
    Some(Post { headers, body })
}
