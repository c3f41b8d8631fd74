//! A Unix socket on which the receiver listens: one JSON document a line. The receiver answers each batch with a line that names the id of its
//! last document, so that a receiver that dies loses nothing.

use std::path::PathBuf;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::journal::Doc;
use super::target::{Delivery, Undelivered};

/// See the module.
pub struct SocketTarget {
    path: PathBuf,
    open: Option<(BufReader<OwnedReadHalf>, OwnedWriteHalf)>,
}

impl SocketTarget {
    /// A socket that is not connected yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// Writes a batch, and waits until the receiver says that it has it.
    pub async fn deliver(&mut self, delivery: &Delivery<'_>) -> Result<(), Undelivered> {
        let lines = delivery.lines()?;
        let failed = |what: &str, error: std::io::Error| {
            Undelivered::because(format!("{} {what}: {error}", self.path.display()))
        };
        if self.open.is_none() {
            let stream = UnixStream::connect(&self.path).await.map_err(|error| failed("cannot be reached", error))?;
            let (read, write) = stream.into_split();
            self.open = Some((BufReader::new(read), write));
        }
        let Some((read, write)) = &mut self.open else { return Err(Undelivered::because("not connected")) };
        write.write_all(&lines).await.map_err(|error| failed("cannot be written", error))?;
        write.flush().await.map_err(|error| failed("cannot be written", error))?;
        let Some(wanted) = delivery.docs.last().map(|doc| match doc {
            Doc::Event(row) => row.id.to_string(),
            Doc::Gap(gap) => gap.before.to_string(),
        }) else {
            return Ok(());
        };
        loop {
            let mut line = String::new();
            let length = read.read_line(&mut line).await.map_err(|error| failed("cannot be read", error))?;
            if length == 0 {
                let reason = "was closed before the receiver confirmed the batch";
                return Err(Undelivered::because(format!("{} {reason}", self.path.display())));
            }
            if line.trim() == wanted {
                return Ok(());
            }
        }
    }

    /// Connects anew next time.
    pub fn close(&mut self) {
        self.open = None;
    }
}
