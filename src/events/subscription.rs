//! Subscriptions as wishes: who receives events, which ones, and what happens when the receiver is not there.

use std::path::PathBuf;
use std::time::Duration;

use super::filter::EventFilter;
use crate::hook::HeaderText;

/// What happens when as many events wait for a subscription as are kept for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WhenFull {
    /// The oldest are kept, and the subscription takes nothing newer until they are delivered. What was not kept then is told as a gap.
    #[default]
    Block,
    /// The newest are kept. What was not kept is told as a gap, before what follows it.
    DropOldest,
}

impl WhenFull {
    /// The word of the configuration file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::DropOldest => "drop-oldest",
        }
    }
}

/// Where a new subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Beginning {
    /// With the next event.
    #[default]
    Now,
    /// With the oldest event that is kept.
    Oldest,
}

/// Who receives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A server, by POST of a JSON document with a batch.
    Webhook {
        /// Where.
        url: url::Url,
        /// Further headers.
        headers: Vec<(String, HeaderText)>,
        /// The credential that signs.
        sign: Option<String>,
    },
    /// A stream of a NATS server with JetStream.
    Nats {
        /// The server.
        url: String,
        /// The subject; `{account}`, `{folder}` and `{type}` are filled in.
        subject: String,
        /// The credential with what the server wants: a `.creds` file, `user:password` or a token.
        credential: Option<String>,
    },
    /// A file with one JSON document a line.
    File {
        /// The file.
        path: PathBuf,
        /// It is put aside when it is this long.
        rotate_bytes: u64,
        /// So many files that were put aside stay.
        keep: u32,
    },
    /// A Unix socket on which the receiver listens.
    Socket {
        /// The socket.
        path: PathBuf,
    },
}

impl Target {
    /// What kind it is.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Nats { .. } => "nats",
            Self::File { .. } => "file",
            Self::Socket { .. } => "socket",
        }
    }

    /// Where it is, for people: without user and password.
    pub fn place(&self) -> String {
        match self {
            Self::Webhook { url, .. } => {
                let mut url = url.clone();
                let shown = url.set_password(None).and_then(|()| url.set_username("")).map(|()| url.to_string());
                shown.unwrap_or_else(|()| "a server".to_owned())
            }
            Self::Nats { url, subject, .. } => format!("{url} {subject}"),
            Self::File { path, .. } | Self::Socket { path } => path.display().to_string(),
        }
    }
}

/// One `[[subscription]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionSettings {
    /// Its name.
    pub name: String,
    /// Which events.
    pub filter: EventFilter,
    /// Who receives.
    pub target: Target,
    /// Events in one delivery at most.
    pub batch: u32,
    /// How long a delivery may take.
    pub timeout: Duration,
    /// Events kept for it at most.
    pub backlog: u64,
    /// What happens beyond that.
    pub when_full: WhenFull,
    /// Where it begins.
    pub beginning: Beginning,
    /// With each event as it came from the provider.
    pub raw: bool,
}

/// What a worker of a subscription has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionNews {
    /// Everything up to an entry of the journal was delivered, or is not wanted.
    Delivered {
        /// The entry.
        cursor: i64,
        /// The epoch in which it was read: what came before a replay does not move the cursor.
        epoch: i64,
        /// Events delivered.
        events: u64,
        /// Events that were not kept.
        lost: u64,
    },
    /// A delivery failed.
    Failed {
        /// Why, in a sentence without its full stop.
        reason: String,
        /// Milliseconds until the next try.
        again_ms: u64,
    },
}
