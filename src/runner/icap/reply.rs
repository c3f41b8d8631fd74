//! Answers of ICAP services: a head, what it says of the service or of the file, and the content that comes with it.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Answers, Broken, babble};
use crate::hook::Verdict;

/// The longest head, of ICAP or of the HTTP in it.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// How long a service's description holds if it does not say.
const OPTIONS_HOLD: Duration = Duration::from_mins(1);
/// The longest that it holds, whatever it says: its tag is part of what verdicts depend on.
const OPTIONS_HOLD_MOST: Duration = Duration::from_mins(5);
/// The longest line of a chunk's length.
const CHUNK_LINE_MAX_BYTES: usize = 1024;

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    reason: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn parse(text: &str) -> Result<Self, Broken> {
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let mut words = first.splitn(3, ' ');
        let (Some("ICAP/1.0"), Some(status)) = (words.next(), words.next()) else {
            return Err(babble("what answers does not speak ICAP"));
        };
        let status = status.parse().map_err(|_| babble("the ICAP answer has no status"))?;
        let reason = words.next().unwrap_or_default().to_owned();
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            if line.starts_with([' ', '\t'])
                && let Some((_, value)) = headers.last_mut()
            {
                // The line before goes on.
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| babble("a line of the ICAP answer is no header"))?;
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Self { status, reason, headers })
    }

    /// The value of a header.
    pub fn get(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// The status with its words.
    pub fn status_line(&self) -> String {
        format!("{} {}", self.status, self.reason).trim_end().to_owned()
    }

    /// What the headers say was found.
    pub fn finding(&self) -> Option<(Verdict, String)> {
        if let Some(found) = self.get("x-infection-found") {
            let part = |wanted: &str| {
                found.split(';').find_map(|part| {
                    let (name, value) = part.split_once('=')?;
                    name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
                })
            };
            // Type 2 is a container that could not be looked into.
            let verdict = if part("type") == Some("2") { Verdict::Unscannable } else { Verdict::Reject };
            return Some((verdict, part("threat").unwrap_or(found).to_owned()));
        }
        let named = ["x-virus-id", "x-violations-found", "x-virus-name", "x-block-reason"];
        if let Some(text) = named.iter().find_map(|name| self.get(name)).filter(|text| !["", "0"].contains(text)) {
            return Some((Verdict::Reject, text.to_owned()));
        }
        let info = self.get("x-response-info")?;
        info.eq_ignore_ascii_case("blocked").then(|| (Verdict::Reject, "blocked".to_owned()))
    }

    /// Where the parts of what is encapsulated begin.
    fn parts(&self) -> Result<Vec<(String, usize)>, Broken> {
        let Some(text) = self.get("encapsulated") else { return Ok(Vec::new()) };
        let mut parts: Vec<(String, usize)> = Vec::new();
        for part in text.split(',') {
            let known =
                part.split_once('=').and_then(|(name, at)| Some((name.trim(), at.trim().parse::<usize>().ok()?)));
            let (name, at) = known.ok_or_else(|| babble("the ICAP answer does not say where its parts begin"))?;
            if parts.last().is_some_and(|(_, before)| *before > at) || at > HEAD_MAX_BYTES {
                return Err(babble("the parts of the ICAP answer lie on each other"));
            }
            parts.push((name.to_ascii_lowercase(), at));
        }
        Ok(parts)
    }
}

/// How a service describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// It takes responses.
    pub has_respmod: bool,
    /// How much of a file it wants to see first.
    pub preview: Option<usize>,
    /// It may answer 204 outside of a preview.
    pub allows_204: bool,
    /// Connections at once.
    pub max_connections: Option<usize>,
    /// How long this holds.
    pub ttl: Duration,
    service: Option<String>,
    tag: Option<String>,
}

impl Options {
    /// Reads the answer to OPTIONS.
    pub fn read(head: &Head) -> Self {
        let words = |name: &str, wanted: &str| {
            head.get(name).is_some_and(|text| text.split(',').any(|word| word.trim().eq_ignore_ascii_case(wanted)))
        };
        let number = |name: &str| head.get(name).and_then(|text| text.parse::<usize>().ok());
        let ttl = number("options-ttl").map_or(OPTIONS_HOLD, |seconds| Duration::from_secs(seconds as u64));
        Self {
            has_respmod: words("methods", "RESPMOD"),
            preview: number("preview"),
            allows_204: words("allow", "204"),
            max_connections: number("max-connections").filter(|most| *most > 0),
            ttl: ttl.clamp(Duration::from_secs(1), OPTIONS_HOLD_MOST),
            service: head.get("service").map(str::to_owned),
            tag: head.get("istag").map(|tag| tag.trim_matches('"').to_owned()),
        }
    }

    /// What verdicts depend on: the service and its tag, which changes with its signatures.
    pub fn version(&self) -> Option<String> {
        let tag = self.tag.as_ref()?;
        let text = format!("{} {tag}", self.service.as_deref().unwrap_or("ICAP"));
        Some(text.chars().filter(|c| !c.is_control()).take(200).collect())
    }
}

/// The content that comes with an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The HTTP status in its head.
    pub http: Option<u16>,
    /// The SHA-256 of the content, if there is any.
    pub digest: Option<Vec<u8>>,
}

impl Answers {
    /// The head of the next answer.
    pub(super) async fn head(&mut self) -> Result<Head, Broken> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            if self.read.len() > HEAD_MAX_BYTES {
                return Err(babble("the head of the ICAP answer has no end"));
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.read.drain(..end + 4).take(end).collect();
        let text = String::from_utf8(head).map_err(|_| babble("the head of the ICAP answer is no text"))?;
        if text.contains('\0') {
            return Err(babble("the head of the ICAP answer is no text"));
        }
        Head::parse(&text)
    }

    /// Reads what is encapsulated.
    pub(super) async fn body(&mut self, head: &Head) -> Result<Body, Broken> {
        let parts = head.parts()?;
        let Some((last, body_at)) = parts.last().filter(|_| head.status >= 200) else { return Ok(Body::default()) };
        while self.read.len() < *body_at {
            self.more().await?;
        }
        let heads: Vec<u8> = self.read.drain(..*body_at).collect();
        let at = parts.iter().find(|(name, _)| name == "res-hdr").map(|(_, at)| *at);
        let http = at.and_then(|at| http_status(&heads[at..]));
        if last == "null-body" {
            return Ok(Body { http, digest: None });
        }
        let mut back = Sha256::new();
        loop {
            let length = self.chunk_length().await?;
            if length == 0 {
                break;
            }
            let mut left = length;
            while left > 0 {
                if self.read.is_empty() {
                    self.more().await?;
                }
                let count = left.min(self.read.len());
                back.update(&self.read[..count]);
                self.read.drain(..count);
                left -= count;
            }
            self.line_end().await?;
        }
        self.line_end().await?;
        Ok(Body { http, digest: Some(back.finalize().to_vec()) })
    }

    async fn chunk_length(&mut self) -> Result<usize, Broken> {
        let end = loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                break end;
            }
            if self.read.len() > CHUNK_LINE_MAX_BYTES {
                return Err(babble("a chunk of the ICAP answer has no length"));
            }
            self.more().await?;
        };
        let line: Vec<u8> = self.read.drain(..end + 2).take(end).collect();
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        text.and_then(|text| usize::from_str_radix(text, 16).ok())
            .ok_or_else(|| babble("a chunk of the ICAP answer has no length"))
    }

    async fn line_end(&mut self) -> Result<(), Broken> {
        while self.read.len() < 2 {
            self.more().await?;
        }
        if !self.read.starts_with(b"\r\n") {
            return Err(babble("a chunk of the ICAP answer is not as long as it says"));
        }
        self.read.drain(..2);
        Ok(())
    }
}

fn http_status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    line.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()
}
