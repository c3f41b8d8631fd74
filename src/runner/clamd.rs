//! clamd's own protocol: sessions that are used again, several at once, and files handed over by descriptor where that can be done.
//!
//! What is not the one answer to the one question of a session is an error, never a verdict; the session is given up then.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest, split};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tokio_util::either::Either;

use self::sight::{Known, Seen, Sight};
use crate::hook::scanner::{CLAMD_SOCKETS, Clamd};
use crate::hook::{Outcome, Verdict};

mod sight;

/// How long a connection and its first answer may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// clamd closes sessions that rest for half a minute; one that rested for longer than this is not used again.
const RESTED_MOST: Duration = Duration::from_secs(15);
/// How often a session that is used again is asked for the version.
const VERSION_EVERY: Duration = Duration::from_secs(30);
/// Sessions that are kept for later.
const KEPT_MOST: usize = 64;
const CHUNK_BYTES: usize = 256 * 1024;
/// The longest answer: a name of a signature and little else.
const ANSWER_MAX_BYTES: usize = 16 * 1024;
/// Sizes that are tried when somebody asks how far a clamd looks.
const TRIED_SIZES: [u64; 3] = [1 << 20, 25 << 20, 100 << 20];
/// What clamd reports as found where it has found nothing but a limit or a lock.
const NOT_A_VIRUS: [&str; 2] = ["Heuristics.Limits.Exceeded", "Heuristics.Encrypted"];

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// Nobody can be asked.
    #[error("{0}")]
    Down(String),
    /// The session ended.
    #[error("clamd closed the connection without an answer")]
    Closed,
    /// What came is no answer.
    #[error("{0}")]
    Babble(&'static str),
    /// An error of its own.
    #[error("clamd says: {0}")]
    Said(String),
    /// The file.
    #[error("the file cannot be read: {0}")]
    File(io::Error),
    /// The connection.
    #[error("the connection to clamd broke: {0}")]
    Io(io::Error),
}

/// The sessions with one clamd.
#[derive(Debug)]
pub struct Client {
    place: Clamd,
    resting: Mutex<Vec<Session>>,
    sight: Mutex<Sight>,
    /// Held by who finds out how large files it looks into.
    looking: tokio::sync::Mutex<()>,
}

/// What clamd is shown.
#[derive(Debug, Clone, Copy)]
enum Shown<'a> {
    File(&'a Path),
    /// A test file of this size.
    Test(u64),
}

impl Shown<'_> {
    /// The file and its size, by one way to the threads that may wait for a disk.
    async fn open(self) -> io::Result<(File, u64)> {
        let sized = |file: File| file.metadata().map(|found| (file, found.len()));
        match self {
            Self::File(path) => {
                let path = path.to_owned();
                let opened = spawn_blocking(move || File::open(path).and_then(sized));
                opened.await.map_err(|_| io::Error::other("it was given up"))?
            }
            Self::Test(size) => sight::test_file(size).and_then(sized),
        }
    }
}

#[derive(Debug)]
struct Session {
    stream: Either<UnixStream, TcpStream>,
    /// What was read and not understood yet.
    read: Vec<u8>,
    /// The number of the last question.
    asked: u64,
    version: String,
    version_at: Instant,
    rests_since: Instant,
}

impl Client {
    /// The clamd at this place; nobody is asked yet.
    pub fn new(place: Clamd) -> Self {
        Self { place, resting: Mutex::default(), sight: Mutex::default(), looking: tokio::sync::Mutex::default() }
    }

    /// Asks about a file. What clamd calls clean is so only if it looks into files of that size.
    pub async fn scan(&self, file: &Path) -> Outcome {
        let start = Instant::now();
        let asked = async {
            let (answer, version, size) = self.ask(Shown::File(file)).await?;
            let blind = if answer.verdict() == Verdict::Allow { self.overlooks(size).await? } else { None };
            Ok((answer, version, blind))
        };
        match asked.await {
            Ok((_, version, Some(why))) => {
                Outcome { version: Some(version), ..Outcome::ruled(Verdict::Unscannable, why, start.elapsed()) }
            }
            Ok((answer, version, None)) => Outcome { version: Some(version), ..answer.outcome(start.elapsed()) },
            Err(broken @ Broken::Down(_)) => Outcome::down(broken.to_string(), start.elapsed()),
            Err(broken) => Outcome::failed(broken.to_string(), start.elapsed()),
        }
    }

    /// Asks about what is shown: the answer, what clamd says of itself, and how much it was.
    async fn ask(&self, shown: Shown<'_>) -> Result<(Answer, String, u64), Broken> {
        let mut used_again = true;
        loop {
            let session = match self.resting() {
                Some(session) if used_again => Ok(session),
                _ => {
                    used_again = false;
                    self.connect().await
                }
            };
            let (file, size) = shown.open().await.map_err(Broken::File)?;
            let answered = match session {
                Ok(mut session) => session.scan(file).await.map(|answer| (session, answer)),
                Err(broken) => Err(broken),
            };
            match answered {
                Ok((session, answer)) => {
                    let version = session.version.clone();
                    if answer.in_turn {
                        self.rest(session);
                    }
                    return Ok((answer, version, size));
                }
                // It may have been closed while it rested, by a clamd that was started anew.
                Err(Broken::Closed | Broken::Io(_)) if used_again => {
                    used_again = false;
                    *self.sight() = Sight::default();
                }
                Err(broken) => {
                    *self.sight() = Sight::default();
                    return Err(broken);
                }
            }
        }
    }

    fn sight(&self) -> std::sync::MutexGuard<'_, Sight> {
        self.sight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it is not known that clamd looks into files of a size, if it is not.
    async fn overlooks(&self, size: u64) -> Result<Option<String>, Broken> {
        match self.sight().of(size) {
            Known::Looked => return Ok(None),
            Known::Unknown => {}
            Known::Untold => return Ok(Some(untold(size))),
        }
        // One finds it out for all who want to know.
        let _looking = self.looking.lock().await;
        let (known, to_try) = {
            let sight = self.sight();
            (sight.of(size), sight.to_try(size))
        };
        match known {
            Known::Looked => return Ok(None),
            Known::Unknown => {}
            Known::Untold => return Ok(Some(untold(size))),
        }
        for tried in to_try {
            // More than is needed costs nothing where it is handed over, and its time where it is sent.
            let is_dear = matches!(self.place, Clamd::Tcp(..)) && tried > sight::BELIEVED_BYTES;
            if tried != size && is_dear {
                continue;
            }
            if self.show(tried).await? == Seen::Found {
                self.sight().reaches(tried);
                return Ok(None);
            }
            self.sight().passes_over(tried);
        }
        if self.show(0).await? == Seen::Found {
            return Ok(Some(format!(
                "clamd does not look into files of {size} bytes (its MaxFileSize, MaxScanSize or StreamMaxLength)"
            )));
        }
        self.sight().lacks_signature();
        Ok((size > sight::BELIEVED_BYTES).then(|| untold(size)))
    }

    /// Shows it a test file of a size.
    async fn show(&self, size: u64) -> Result<Seen, Broken> {
        let (answer, ..) = self.ask(Shown::Test(size)).await?;
        match answer.verdict() {
            Verdict::Reject => Ok(Seen::Found),
            Verdict::Unscannable => Ok(Seen::Refused),
            Verdict::Allow => Ok(Seen::Overlooked),
            Verdict::Error | Verdict::TimedOut => Err(Broken::Said(answer.text)),
        }
    }

    /// How far it looks, in a sentence; and whether that is as it should be.
    pub async fn looks_into(&self) -> Result<(String, bool), String> {
        let said = |broken: Broken| broken.to_string();
        if self.show(0).await.map_err(said)? != Seen::Found {
            let text = "it does not find the EICAR test string: whether it looks into large files cannot be told";
            return Ok((text.to_owned(), false));
        }
        let mut reaches = 0;
        for size in TRIED_SIZES {
            if matches!(self.place, Clamd::Tcp(..)) && size > sight::BELIEVED_BYTES {
                break;
            }
            let seen = self.show(size).await.map_err(said)?;
            let mib = |bytes: u64| bytes >> 20;
            match seen {
                Seen::Found => reaches = size,
                Seen::Refused => {
                    return Ok((format!("it refuses files of {} MiB (its own limits)", mib(size)), reaches > 0));
                }
                Seen::Overlooked => {
                    let text = format!(
                        "it calls files of {} MiB clean without a look: they are held as unscannable; raise MaxFileSize, MaxScanSize \
                         and StreamMaxLength, and set AlertExceedsMax yes",
                        mib(size)
                    );
                    return Ok((text, reaches > sight::BELIEVED_BYTES));
                }
            }
        }
        Ok((format!("it looks into files of {} MiB", reaches >> 20), true))
    }

    /// Asks how it is.
    pub async fn probe(&self) -> Outcome {
        let start = Instant::now();
        match self.connect().await {
            Ok(session) => {
                let version = session.version.clone();
                self.rest(session);
                Outcome { version: Some(version), ..Outcome::ruled(Verdict::Allow, "", start.elapsed()) }
            }
            Err(broken) => Outcome::down(broken.to_string(), start.elapsed()),
        }
    }

    fn resting(&self) -> Option<Session> {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.retain(|session| session.rests_since.elapsed() < RESTED_MOST);
        resting.pop()
    }

    fn rest(&self, mut session: Session) {
        session.rests_since = Instant::now();
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if resting.len() < KEPT_MOST {
            resting.push(session);
        }
    }

    /// Opens a session and asks for the version: whoever does not answer that is no clamd that works.
    async fn connect(&self) -> Result<Session, Broken> {
        let opened = timeout(CONNECT_LIMIT, async {
            let stream = self.reach().await?;
            let now = Instant::now();
            let read = Vec::new();
            let mut session =
                Session { stream, read, asked: 0, version: String::new(), version_at: now, rests_since: now };
            session.stream.write_all(b"zIDSESSION\0").await.map_err(Broken::Io)?;
            session.ask_version().await?;
            Ok(session)
        });
        match opened.await {
            Err(_) => Err(Broken::Down(format!("clamd does not answer within {} s", CONNECT_LIMIT.as_secs()))),
            Ok(Err(broken @ Broken::Down(_))) => Err(broken),
            Ok(Err(broken)) => Err(Broken::Down(broken.to_string())),
            Ok(Ok(session)) => Ok(session),
        }
    }

    async fn reach(&self) -> Result<Either<UnixStream, TcpStream>, Broken> {
        let unix = async |path: &Path| {
            let stream = UnixStream::connect(path).await;
            let said = |error| Broken::Down(format!("clamd at {} cannot be reached: {error}", path.display()));
            stream.map(Either::Left).map_err(said)
        };
        match &self.place {
            Clamd::Unix(path) => unix(path).await,
            Clamd::Packaged => {
                let path = CLAMD_SOCKETS.iter().map(Path::new).find(|path| path.exists());
                unix(path.unwrap_or(Path::new(CLAMD_SOCKETS[0]))).await
            }
            Clamd::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                let said = |error| Broken::Down(format!("clamd at {host}:{port} cannot be reached: {error}"));
                let stream = stream.map_err(said)?;
                // A small file is sent in two pieces, and waits for no third.
                stream.set_nodelay(true).map_err(Broken::Io)?;
                Ok(Either::Right(stream))
            }
        }
    }
}

/// What a session said of a file.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    text: String,
    /// It came when it was due, so that the session may go on.
    in_turn: bool,
}

impl Session {
    async fn scan(&mut self, file: File) -> Result<Answer, Broken> {
        self.must_be_quiet()?;
        if self.version_at.elapsed() >= VERSION_EVERY {
            self.ask_version().await?;
        }
        self.asked += 1;
        if matches!(self.stream, Either::Left(_)) {
            self.hand_over(&file).await?;
        } else if let Some(early) = self.send(file).await? {
            return Ok(early);
        }
        self.answer(true).await
    }

    /// Nothing was said that was not asked for.
    fn must_be_quiet(&mut self) -> Result<(), Broken> {
        let mut buffer = [0; 64];
        let read = match &self.stream {
            Either::Left(stream) => stream.try_read(&mut buffer),
            Either::Right(stream) => stream.try_read(&mut buffer),
        };
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.read.is_empty() => Ok(()),
            // A session that ended, or that says more than it was asked is one that nobody can trust; another one is opened.
            Ok(_) | Err(_) => Err(Broken::Closed),
        }
    }

    async fn ask_version(&mut self) -> Result<(), Broken> {
        self.asked += 1;
        self.stream.write_all(b"zVERSION\0").await.map_err(Broken::Io)?;
        let text = self.answer(true).await?.text;
        let is_one =
            text.starts_with("ClamAV") && text.len() < 256 && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if !is_one {
            return Err(Broken::Babble("what answers is no clamd"));
        }
        (self.version, self.version_at) = (text, Instant::now());
        Ok(())
    }

    /// Gives the open file itself to clamd, in one message with the command: the byte behind it is what a descriptor comes with.
    async fn hand_over(&mut self, file: &File) -> Result<(), Broken> {
        const COMMAND: &[u8] = b"zFILDES\0\0";
        let Either::Left(stream) = &mut self.stream else { return Err(Broken::Babble("no descriptor can be sent")) };
        let descriptors = [file.as_fd()];
        let send = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
            Ok(sendmsg(&*stream, &[io::IoSlice::new(COMMAND)], &mut ancillary, SendFlags::NOSIGNAL)?)
        };
        match stream.async_io(Interest::WRITABLE, send).await {
            Ok(sent) if sent == COMMAND.len() => Ok(()),
            Ok(_) => Err(Broken::Babble("a part of the command could be sent")),
            Err(error) => Err(Broken::Io(error)),
        }
    }

    /// Sends the content. clamd may have enough before its end; what it says then is the answer, unless it calls the file clean.
    async fn send(&mut self, file: File) -> Result<Option<Answer>, Broken> {
        let mut file = tokio::fs::File::from_std(file);
        let mut chunk = b"zINSTREAM\0".to_vec();
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let count = file.read(&mut buffer).await.map_err(Broken::File)?;
            chunk.extend((count as u32).to_be_bytes());
            chunk.extend(&buffer[..count]);
            let (mut reading, mut writing) = split(&mut self.stream);
            let written = tokio::select! {
                biased;
                read = reading.read_buf(&mut self.read) => {
                    if read.map_err(Broken::Io)? == 0 {
                        return Err(Broken::Closed);
                    }
                    None
                }
                written = writing.write_all(&chunk) => Some(written),
            };
            match written {
                Some(Ok(())) if count == 0 => return Ok(None),
                Some(Ok(())) => chunk.clear(),
                // It closed its side; its answer may be there.
                Some(Err(_)) | None => {
                    let early = self.answer(false).await?;
                    return match early.verdict() {
                        Verdict::Allow => Err(Broken::Babble("clamd called the file clean before its end")),
                        _ => Ok(Some(early)),
                    };
                }
            }
        }
    }

    /// The one answer to the one question, up to its NUL.
    async fn answer(&mut self, in_turn: bool) -> Result<Answer, Broken> {
        let end = loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == 0) {
                break end;
            }
            if self.read.len() >= ANSWER_MAX_BYTES {
                return Err(Broken::Babble("clamd's answer has no end"));
            }
            if self.stream.read_buf(&mut self.read).await.map_err(Broken::Io)? == 0 {
                return Err(if self.read.is_empty() {
                    Broken::Closed
                } else {
                    Broken::Babble("clamd broke off in its answer")
                });
            }
        };
        let rest = self.read.split_off(end + 1);
        let said = std::mem::replace(&mut self.read, rest);
        if !self.read.is_empty() {
            return Err(Broken::Babble("clamd answered more than it was asked"));
        }
        let said = String::from_utf8(said[..end].to_vec()).map_err(|_| Broken::Babble("clamd's answer is no text"))?;
        match said.split_once(": ") {
            Some((number, text)) if number == self.asked.to_string() => {
                Ok(Answer { text: text.trim().to_owned(), in_turn })
            }
            // A stream that is too long is refused outside of the session.
            _ if said.ends_with("ERROR") => Ok(Answer { text: said.trim().to_owned(), in_turn: false }),
            _ => Err(Broken::Babble("clamd answered something else than it was asked")),
        }
    }
}

impl Answer {
    /// What was said, without the name that clamd has for the file; nothing if that is not there.
    fn said(&self) -> Option<&str> {
        let (name, said) = self.text.split_once(": ")?;
        (name == "stream" || name.starts_with("fd[") && name.ends_with(']')).then_some(said)
    }

    fn verdict(&self) -> Verdict {
        match self.said() {
            Some("OK") => Verdict::Allow,
            Some(said) if said.ends_with(" FOUND") => {
                if NOT_A_VIRUS.iter().any(|start| said.starts_with(start)) {
                    Verdict::Unscannable
                } else {
                    Verdict::Reject
                }
            }
            // The one error that is about the file and not about clamd.
            _ if self.text.contains("size limit exceeded") => Verdict::Unscannable,
            _ => Verdict::Error,
        }
    }

    fn outcome(&self, took: Duration) -> Outcome {
        let verdict = self.verdict();
        let said = self.said().unwrap_or(&self.text).to_owned();
        let reason = (verdict == Verdict::Error).then(|| format!("clamd says: {said}"));
        Outcome { reason, ..Outcome::ruled(verdict, said, took) }
    }
}

fn untold(size: u64) -> String {
    format!(
        "clamd does not know the EICAR test string, so that it cannot be told whether it looks into files of {size} bytes"
    )
}

#[cfg(test)]
mod tests;
