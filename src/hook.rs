//! Hooks as values: what the user wants to be called for what, with which policy, and what came of a run.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub mod document;
pub mod envelope;
pub mod kind;
pub mod scanner;
pub mod select;
pub mod ways;

pub use document::Document;
pub use envelope::Format;
pub use kind::{Act, HookKind, Listen};
pub use scanner::Scanner;
pub use select::Selector;

/// Whether a hook decides or reacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// It decides: nothing is published or uploaded until it allows.
    Before,
    /// It reacts to what has happened, and cannot prevent it.
    After,
}

impl When {
    /// The word of the configuration file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// Why a hook that decides is asked about a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// A staged version that wants to be published.
    Staged,
    /// A file of the folder that wants a name that the hook covers.
    Renamed,
    /// A local file, or a name of one, that wants to go to the cloud.
    Leaving,
}

impl Matter {
    /// What this is in the words of hooks.
    pub fn kind(self) -> HookKind {
        match self {
            Self::Staged | Self::Renamed => HookKind::FileDownload,
            Self::Leaving => HookKind::FileUpload,
        }
    }
}

/// What follows from a verdict that is not a plain "allow".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The file stays out of sight and the hook is asked again later.
    Block,
    /// The file goes to quarantine.
    Quarantine,
    /// The file passes all the same.
    Allow,
}

impl Policy {
    /// The word of the configuration file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Quarantine => "quarantine",
            Self::Allow => "allow",
        }
    }
}

/// The four ways in which a `before` hook can fail to allow, each with its own policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policies {
    /// The hook said no.
    pub on_reject: Policy,
    /// The hook, or what it relies on, does not work.
    pub on_error: Policy,
    /// The hook took too long.
    pub on_timeout: Policy,
    /// The hook works, and cannot look into this file: encrypted, too large, damaged.
    pub on_unscannable: Policy,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            on_reject: Policy::Quarantine,
            on_error: Policy::Block,
            on_timeout: Policy::Block,
            on_unscannable: Policy::Block,
        }
    }
}

impl Policies {
    /// What follows from a verdict; nothing follows from an "allow".
    pub fn of(&self, verdict: Verdict) -> Option<Policy> {
        match verdict {
            Verdict::Allow => None,
            Verdict::Reject => Some(self.on_reject),
            Verdict::Error => Some(self.on_error),
            Verdict::TimedOut => Some(self.on_timeout),
            Verdict::Unscannable => Some(self.on_unscannable),
        }
    }
}

/// What one run of a hook came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Exit code 0, or the expected status.
    Allow,
    /// Exit code 1, or status 403, 406 or 422.
    Reject,
    /// Exit code 3: this content cannot be examined.
    Unscannable,
    /// Anything else: no program, another exit code, a signal, no answer.
    Error,
    /// No end within the time limit.
    TimedOut,
}

impl Verdict {
    /// The word for people, for the database and for JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Reject => "reject",
            Self::Unscannable => "unscannable",
            Self::Error => "error",
            Self::TimedOut => "timed_out",
        }
    }

    /// The verdict of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Allow, Self::Reject, Self::Unscannable, Self::Error, Self::TimedOut]
            .into_iter()
            .find(|verdict| verdict.word() == word)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "timed out",
            other => other.word(),
        })
    }
}

/// One run of a hook, finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it came to.
    pub verdict: Verdict,
    /// How a program ended by itself.
    pub exit_code: Option<i32>,
    /// Which signal ended a program.
    pub signal: Option<i32>,
    /// What a server answered.
    pub status: Option<u16>,
    /// Why, in a sentence without its full stop, where the verdict alone does not say it.
    pub reason: Option<String>,
    /// The end of what the program printed or the server said.
    pub output: String,
    /// More was printed than is kept.
    pub output_cut: bool,
    /// The headers of a server's answer, one a line.
    pub headers: String,
    /// How long it took.
    pub took: Duration,
    /// Nobody could be asked: it is the scanner that failed, and not this file.
    pub is_down: bool,
    /// Nobody was asked, or the answer is of no use, because of the file: it says nothing of the hook.
    pub is_moot: bool,
    /// What the scanner says of itself and of its signatures.
    pub version: Option<String>,
}

impl Outcome {
    /// A run that did not come about.
    pub fn failed(reason: impl Into<String>, took: Duration) -> Self {
        Self {
            verdict: Verdict::Error,
            exit_code: None,
            signal: None,
            status: None,
            reason: Some(reason.into()),
            output: String::new(),
            output_cut: false,
            headers: String::new(),
            took,
            is_down: false,
            is_moot: false,
            version: None,
        }
    }

    /// A run that did not come about, because nobody could be asked.
    pub fn down(reason: impl Into<String>, took: Duration) -> Self {
        Self { is_down: true, ..Self::failed(reason, took) }
    }

    /// A run with a verdict, and what was said with it.
    pub fn ruled(verdict: Verdict, output: impl Into<String>, took: Duration) -> Self {
        Self { verdict, reason: None, output: output.into(), ..Self::failed("", took) }
    }
}

/// A text of the configuration, or the name of a secret that is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HeaderText {
    /// Sent as it stands.
    Plain(String),
    /// `credential:NAME`: read when it is needed, and never written anywhere.
    Credential(String),
}

impl fmt::Display for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

/// Who is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// A program with its arguments; there is no shell in between.
    Exec {
        /// The program, absolute, and its arguments.
        run: Vec<String>,
        /// It stays, and is asked about one file after the other.
        worker: bool,
    },
    /// A scanner in its own protocol.
    Scan(Scanner),
    /// A server that gets the document by POST.
    Http {
        /// Where.
        url: url::Url,
        /// The status that means "allow"; nothing means any 2xx.
        expect_status: Option<u16>,
        /// Further headers.
        headers: Vec<(String, HeaderText)>,
        /// The credential that signs each delivery.
        sign: Option<String>,
        /// How the document is wrapped.
        format: Format,
        /// How the server is reached.
        route: Route,
    },
}

/// How a server is reached, where that differs from the rest of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Route {
    /// The proxy.
    pub proxy: Option<url::Url>,
    /// Certificates that are trusted besides the system's, in PEM.
    pub ca_file: Option<std::path::PathBuf>,
    /// The credential with our own certificate and its key, in PEM.
    pub client_cert: Option<String>,
}

/// When what was allowed is examined again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rescan {
    /// This long after the last time.
    pub every: Option<Duration>,
    /// When the scanner has other signatures than it had then.
    pub on_signatures: bool,
}

/// What becomes of the cloud's copy of a quarantined file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum QuarantineRemote {
    /// Nothing.
    #[default]
    Leave,
    /// Into the cloud's trash.
    Trash,
    /// Into this folder of the cloud, a path from the top of the account.
    Move(String),
}

impl fmt::Display for QuarantineRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leave => f.write_str("leave"),
            Self::Trash => f.write_str("trash"),
            Self::Move(path) => write!(f, "move:{path}"),
        }
    }
}

impl QuarantineRemote {
    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "leave" => Some(Self::Leave),
            "trash" => Some(Self::Trash),
            _ => text.strip_prefix("move:").map(|path| Self::Move(path.to_owned())),
        }
    }
}

/// One hook, checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HookSettings {
    /// Its name in the configuration.
    pub name: String,
    /// Whether it decides or reacts.
    pub when: When,
    /// What it listens to.
    pub on: Vec<Listen>,
    /// Only this folder.
    pub folder: Option<String>,
    /// Only this account.
    pub account: Option<String>,
    /// Only paths that match one of these gitignore patterns (empty: every path).
    pub patterns: Vec<String>,
    /// Only what happened in one of these ways (empty: every way).
    pub actions: Vec<Act>,
    /// Who is called.
    pub call: Call,
    /// How long one run may take.
    pub timeout: Duration,
    /// What follows when a `before` hook does not allow.
    pub policies: Policies,
    /// How long an "allow" or "reject" holds for the same content; nothing means not at all.
    pub remember: Option<Duration>,
    /// Runs at once.
    pub concurrency: u32,
    /// Runs begun in a minute; nothing means no limit.
    pub per_minute: Option<u32>,
    /// Attempts of an `after` hook before the delivery is a dead letter.
    pub attempts: u32,
    /// What becomes of the cloud's copy of what this hook rejects.
    pub quarantine_remote: QuarantineRemote,
    /// How long quarantined files are kept; nothing means until somebody decides.
    pub quarantine_keep: Option<Duration>,
    /// What is in the folder already, and was never examined by this hook, is examined too.
    pub scan_existing: bool,
    /// When what was allowed is examined again.
    pub rescan: Rescan,
}

/// How long one run may take if nobody says.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(2);
/// Runs at once if nobody says.
pub const DEFAULT_CONCURRENCY: u32 = 4;
/// With delays that grow to an hour: about half a day of trying.
pub const DEFAULT_ATTEMPTS: u32 = 20;
/// How long a verdict of a scanner holds: signatures change.
pub const SCAN_REMEMBERED: Duration = Duration::from_hours(24);

impl HookSettings {
    /// A hook with nothing but what it must have.
    pub fn new(name: impl Into<String>, when: When, on: Vec<Listen>, call: Call) -> Self {
        let scans = matches!(call, Call::Scan(_));
        Self {
            name: name.into(),
            when,
            on,
            folder: None,
            account: None,
            patterns: Vec::new(),
            actions: Vec::new(),
            call,
            timeout: DEFAULT_TIMEOUT,
            policies: Policies::default(),
            remember: scans.then_some(SCAN_REMEMBERED),
            concurrency: DEFAULT_CONCURRENCY,
            per_minute: None,
            attempts: DEFAULT_ATTEMPTS,
            quarantine_remote: QuarantineRemote::default(),
            quarantine_keep: None,
            scan_existing: scans,
            rescan: Rescan::default(),
        }
    }

    /// Whether the scanner behind it can be asked how it is, without a file.
    pub fn can_be_probed(&self) -> bool {
        matches!(self.call, Call::Scan(_))
    }

    /// What the hook's verdicts depend on, as text: another text makes remembered verdicts worthless.
    pub fn verdict_basis(&self) -> String {
        let call = match &self.call {
            Call::Exec { run, .. } => format!("exec {run:?}"),
            Call::Http { url, expect_status, headers, sign, .. } => {
                format!("http {url} {expect_status:?} {headers:?} {sign:?}")
            }
            Call::Scan(scanner) => format!("scan {scanner}"),
        };
        format!("{} {} {call}", self.name, self.when.word())
    }
}
