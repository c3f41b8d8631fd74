//! Every key of the configuration file: its kind, its default, and what it means. `agent config reference`, the manual page
//! `agent.toml(5)` and the commands that edit the file are made of this; a test holds it to what is really read.

use std::fmt::Write as _;

use bytesize::ByteSize;
use serde::Serialize;

use super::check::{
    DEFAULT_ATTEMPTS, DEFAULT_CONCURRENCY, DEFAULT_KEEP_VERSIONS, DEFAULT_MIN_FREE_BYTES, DEFAULT_TIMEOUT,
    DEFAULT_TRANSFERS, MAX_CONCURRENCY, MAX_TRANSFERS,
};
use crate::settings::DEFAULT_IGNORE;

mod subscription;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A text in quotes.
    Text,
    /// One of some words, in quotes.
    Word,
    /// A span of time such as `30d`, `12h` or `90s`, in quotes.
    Duration,
    /// A number of bytes, plain or such as `10 MiB` in quotes.
    Size,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A list of texts; one text alone counts as a list of one.
    List,
    /// A table of texts.
    Table,
}

impl Kind {
    /// The words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Word => "word",
            Self::Duration => "duration",
            Self::Size => "size",
            Self::Number => "number",
            Self::Flag => "true or false",
            Self::List => "list of texts",
            Self::Table => "table of texts",
        }
    }
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// The table that it stands in: empty for the top of the file, `account`, `folder`, `hook` or `subscription`.
    pub table: &'static str,
    /// Its name.
    pub key: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The words that it may be; empty if it is no word.
    pub words: &'static [&'static str],
    /// What counts where it is not written, as it would be written; nothing for a key that must be there, or whose absence means
    /// something that has no value.
    pub default: Option<String>,
    /// Whether it must be there.
    pub required: bool,
    /// What it means, in sentences.
    pub meaning: String,
    /// A line as it may be written.
    pub example: &'static str,
}

/// What the tables are.
pub const TABLES: [(&str, &str); 5] = [
    ("", "At the top of the file."),
    ("account", "One `[[account]]` for each sign-in. `agent login` writes it."),
    (
        "folder",
        "One `[[folder]]` for each pair of a remote folder and a local directory. `agent add-folder` writes it, `agent set-folder` \
      changes it.",
    ),
    (
        "hook",
        "One `[[hook]]` for each program or server that is asked or told. `agent add-hook` writes it, `agent set-hook` changes it.",
    ),
    (
        "subscription",
        "One `[[subscription]]` for each target that events are passed on to. `agent subscribe` writes it.",
    ),
];

struct Table(&'static str);

impl Table {
    fn key(&self, key: &'static str, kind: Kind, example: &'static str, meaning: impl Into<String>) -> Key {
        let meaning = meaning.into();
        Key { table: self.0, key, kind, words: &[], default: None, required: false, meaning, example }
    }
}

impl Key {
    fn words(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    fn default(mut self, default: impl Into<String>) -> Self {
        self.default = Some(default.into());
        self
    }

    fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Its name with its table's, such as `folder.keep_for`.
    pub fn path(&self) -> String {
        if self.table.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.table, self.key) }
    }
}

fn quoted(text: impl std::fmt::Display) -> String {
    format!("\"{text}\"")
}

fn size(bytes: u64) -> String {
    quoted(ByteSize(bytes).display().iec())
}

/// All keys, table by table.
pub fn keys() -> Vec<Key> {
    let mut keys = top();
    keys.extend(account());
    keys.extend(folder());
    keys.extend(hook_keys());
    keys.extend(subscription::keys());
    keys
}

/// The keys of a table that are of a kind.
pub fn of_kind(table: &str, kind: Kind) -> Vec<&'static str> {
    keys().into_iter().filter(|key| key.table == table && key.kind == kind).map(|key| key.key).collect()
}

fn top() -> Vec<Key> {
    let top = Table("");
    vec![
        top.key(
            "log",
            Kind::Text,
            "log = \"debug\"",
            "What is logged: `error`, `warn`, `info`, `debug` or `trace`, or a filter such as \
            `warn,folder_sync_agent::engine=debug`. AGENT_LOG counts before it.",
        )
        .default(quoted("info")),
        top.key(
            "log_format",
            Kind::Word,
            "log_format = \"json\"",
            "What a line of the log looks like; `json` is one object a line. \
            AGENT_LOG_FORMAT counts before it.",
        )
        .words(&["text", "json"])
        .default(quoted("text")),
        top.key(
            "web",
            Kind::Text,
            "web = \"127.0.0.1:8477\"",
            "Keeps the page in the browser on, at this address and port. Without it there is a page only while `agent web` asks for one. An \
             address that other machines reach needs `web_tls` and `web_password_hash`.",
        ),
        top.key(
            "web_tls",
            Kind::Table,
            "web_tls = { cert = \"/etc/folder-sync-agent/cert.pem\", key = \"/etc/folder-sync-agent/key.pem\" }",
            "The certificate and the key of that page.",
        ),
        top.key(
            "web_password_hash",
            Kind::Text,
            "web_password_hash = \"pbkdf2-sha256$600000$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
            "What the password of that page must hash to; `agent web --hash-password` makes one.",
        ),
        top.key(
            "web_names",
            Kind::List,
            "web_names = [\"sync.example.com\"]",
            "Names of this machine by which browsers may ask for that page.",
        )
        .default("[]"),
    ]
}

fn account() -> Vec<Key> {
    let account = Table("account");
    vec![
        account.key("name", Kind::Text, "name = \"work\"", "What folders and commands call it: letters, digits, `.`, `_` and `-`, at \
            most 64 bytes.").required(),
        account.key("provider", Kind::Word, "provider = \"box\"", "The cloud.").words(&["box", "egnyte"]).required(),
        account.key("domain", Kind::Text, "domain = \"acme.egnyte.com\"", "Egnyte's domain; required there unless `api_url` is set."),
        account.key("api_url", Kind::Text, "api_url = \"http://127.0.0.1:8080\"", "One origin for all calls in place of the provider's \
            own hosts: test servers and gateways. Plain http only on loopback addresses."),
        account.key("stream", Kind::Word, "stream = \"all\"", "Box: which event stream is followed. `changes` is what may change the \
            tree, `all` also comments, locks and shared links, `sync` only folders that are marked as synced; `admin_logs` and \
            `admin_logs_streaming` are those of the enterprise.")
            .words(&["all", "changes", "sync", "admin_logs", "admin_logs_streaming"])
            .default(quoted("changes")),
        account.key("suppress", Kind::Word, "suppress = \"none\"", "Egnyte: which events it is asked to leave out. With `app` or `user`, \
            what another machine does with the same app or as the same user is never heard of.")
            .words(&["none", "app", "user"])
            .default(quoted("none")),
        account.key("poll_min", Kind::Duration, "poll_min = \"30s\"", "The shortest time between two readings of the stream where no \
            long poll works. Without it, the provider's own floor."),
        account.key("poll_max", Kind::Duration, "poll_max = \"10m\"", "The longest; above 75s it also makes the net below a long poll \
            wider."),
        account.key("calls_per_day", Kind::Number, "calls_per_day = 1000", "The most API calls a day, counted in UTC. The provider's \
            own limits are obeyed anyway."),
        account.key("calls_per_minute", Kind::Number, "calls_per_minute = 600", "The most API calls a minute."),
        account.key("transfers", Kind::Number, "transfers = 4", format!("How many files are transferred at one time, from 1 to \
            {MAX_TRANSFERS}. Of files up to 256 KiB, which wait for answers more than they carry, two are fetched for one; a download of 32 MiB \
            or more may use what the others leave for further connections, where that is faster."))
            .default(DEFAULT_TRANSFERS.to_string()),
        account.key("bandwidth_down", Kind::Size, "bandwidth_down = \"08:00 2 MB, 19:00 off\"", RATE),
        account.key("bandwidth_up", Kind::Size, "bandwidth_up = \"500 kB\"", "Likewise, to the cloud."),
        account.key("quiet", Kind::Text, "quiet = \"08:00-18:00\"", "When comparisons and scans of everything wait, by this machine's \
            clock; news goes on arriving. Several spans are separated by commas, and one may go over midnight."),
        account.key("ca_file", Kind::Text, "ca_file = \"/etc/ssl/ours.pem\"", "A file of certificates to trust instead of the system's."),
        account.key("proxy", Kind::Text, "proxy = \"http://proxy:3128\"", "The proxy for all calls. Without it, the one that the \
            environment names."),
    ]
}

const RATE: &str = "Bytes per second from the cloud, for all transfers of the account together: one rate such as \"2 MB\", or rates from \
                    times of the day on, such as \"08:00 2 MB, 19:00 off\", by this machine's clock. `off` is no limit. A change has effect \
                    at once.";

fn folder() -> Vec<Key> {
    let folder = Table("folder");
    vec![
        folder.key("name", Kind::Text, "name = \"inbox\"", "What commands call it.").required(),
        folder.key("account", Kind::Text, "account = \"work\"", "The account that it belongs to.").required(),
        folder.key("remote", Kind::Text, "remote = \"/Projects/Inbox\"", "The remote folder: a path from the top of the account, or \
            `id:123456`. Another one counts as another folder.").required(),
        folder.key("local", Kind::Text, "local = \"/srv/inbox\"", "The local directory, absolute, in none of another folder. Another \
            one counts as another folder.").required(),
        folder.key("mode", Kind::Word, "mode = \"two-way\"", "Who decides: in a `mirror` the cloud, in `two-way` both sides, and \
            `upload` only sends.").words(&["mirror", "two-way", "upload"]).default(quoted("mirror")),
        folder.key("include", Kind::List, "include = [\"*.pdf\"]", "Only what matches one of these gitignore patterns.").default("[]"),
        folder.key("exclude", Kind::List, "exclude = [\"*.tmp\", \"/build/\"]", "Nothing that matches one of these gitignore patterns. \
            They count before `.agentignore`, which counts before `default_ignore`; a pattern that begins with `!` lets in again.")
            .default("[]"),
        folder.key("default_ignore", Kind::Flag, "default_ignore = false", format!("In folders that send: leave out what desktops and \
            editors leave about ({}).", DEFAULT_IGNORE.map(|pattern| format!("`{pattern}`")).join(", ")))
            .default("true"),
        folder.key("keep_for", Kind::Duration, "keep_for = \"30d\"", "In a mirror: local copies are deleted after this time. The cloud \
            keeps its own, and a new version comes again. Without it they stay for ever."),
        folder.key("keep_from", Kind::Word, "keep_from = \"change\"", "With `keep_for`: from when that is counted, from `arrival` on this \
            disk or from the last `change`, the modification time that the cloud shows.")
            .words(&["arrival", "change"]).default(quoted("arrival")),
        folder.key("as_user", Kind::Text, "as_user = \"123456\"", "Box: the id of the user whose folder it is, for an account that may act \
            for others."),
        folder.key("keep_versions", Kind::Number, "keep_versions = 3", "Superseded local versions that are kept for each file.")
            .default(DEFAULT_KEEP_VERSIONS.to_string()),
        folder.key("versions_max", Kind::Size, "versions_max = \"2 GiB\"", "The most that the version store holds. Without it, the \
            smaller of 10 GiB and a fifth of the disk. The oldest go first, and after 180 days; what is younger than a day never \
            does: what would displace more waits for a person."),
        folder.key("on_drift", Kind::Word, "on_drift = \"keep\"", "In a mirror, a file that was edited here: `restore` brings the \
            cloud's version back and keeps the edit in the version store, `keep` leaves and lists it.")
            .words(&["restore", "keep"]).default(quoted("restore")),
        folder.key("on_local_delete", Kind::Word, "on_local_delete = \"accept\"", "In a mirror, a file that was deleted here: `restore` \
            brings it back, `accept` keeps it away until a new version arrives.")
            .words(&["restore", "accept"]).default(quoted("restore")),
        folder.key("max_delete", Kind::Text, "max_delete = \"10%\"", "More deletions in 24 hours wait for a person: a share of the \
            folder (25 files are always allowed, more than 1,000 never), a number of files, or `off`.")
            .default(quoted("25%")),
        folder.key("min_free", Kind::Size, "min_free = \"1 GiB\"", "What stays free on the disk.").default(size(DEFAULT_MIN_FREE_BYTES)),
        folder.key("file_mode", Kind::Text, "file_mode = \"0640\"", "Permissions of files that arrive, in octal. Without it 0640 for \
            the system service, and what your umask leaves of 0666 for your own."),
        folder.key("dir_mode", Kind::Text, "dir_mode = \"0750\"", "Permissions of directories that arrive. Without it 0750 for the \
            system service, and what your umask leaves of 0777 for your own."),
    ]
}

fn hook_keys() -> Vec<Key> {
    let hook = Table("hook");
    let policy = |key, example, meaning: &str, default: &str| {
        hook.key(key, Kind::Word, example, meaning).words(&["block", "quarantine", "allow"]).default(quoted(default))
    };
    vec![
        hook.key("name", Kind::Text, "name = \"clamav\"", "What commands call it.").required(),
        hook.key(
            "when",
            Kind::Word,
            "when = \"before\"",
            "`before` hooks decide about a file, `after` hooks are told.",
        )
        .words(&["before", "after"])
        .required(),
        hook.key(
            "on",
            Kind::List,
            "on = [\"file.download\"]",
            "Kinds of events, such as `file.created`, `file.*` or `*`; `before` hooks \
            listen to `file.download` and `file.upload`.",
        )
        .required(),
        hook.key("folder", Kind::Text, "folder = \"inbox\"", "Only for this folder. Without it, for all."),
        hook.key("account", Kind::Text, "account = \"work\"", "Only for folders of this account."),
        hook.key(
            "match",
            Kind::List,
            "match = [\"*.pdf\"]",
            "Only for paths that match one of these gitignore patterns.",
        )
        .default("[]"),
        hook.key(
            "run",
            Kind::List,
            "run = [\"/usr/local/bin/scan\", \"--fast\"]",
            "A program and its arguments; there is no shell.",
        ),
        hook.key(
            "worker",
            Kind::Flag,
            "worker = true",
            "The program stays, and is asked about one file after the other: a document a line, a verdict a line.",
        )
        .default("false"),
        hook.key(
            "scan",
            Kind::Text,
            "scan = \"clamd\"",
            "A scanner in its own protocol: `clamd`, `clamd:/path/of/socket`, `clamd://host:port`, `icap://host/service` or \
            `icaps://…`. Such a hook is a `before` hook for downloads and uploads unless it says otherwise.",
        ),
        hook.key(
            "scan_existing",
            Kind::Flag,
            "scan_existing = true",
            "Whether what is in the folder already is examined too; scanners do so unless you say otherwise.",
        ),
        hook.key(
            "rescan",
            Kind::List,
            "rescan = [\"7d\", \"signatures\"]",
            "When what was allowed is examined again: after this long, or when the scanner has other signatures.",
        )
        .default("[]"),
        hook.key(
            "action",
            Kind::List,
            "action = [\"created\", \"deleted\"]",
            "Only what was `created`, `updated`, `deleted`, `renamed`, `moved` or `restored`; for `after` hooks.",
        )
        .default("[]"),
        hook.key(
            "format",
            Kind::Word,
            "format = \"cloudevents\"",
            "How the document is wrapped: as it is, as a CloudEvent in the body, or with its attributes in headers.",
        )
        .words(&["document", "cloudevents", "cloudevents-binary"])
        .default(quoted("document")),
        hook.key("proxy", Kind::Text, "proxy = \"http://proxy.example.com:3128\"", "The proxy to this server."),
        hook.key(
            "ca_file",
            Kind::Text,
            "ca_file = \"/etc/ssl/certs/inhouse.pem\"",
            "Certificates that are trusted, in PEM; with `url` besides the system's, with `scan` instead of them.",
        ),
        hook.key(
            "client_cert",
            Kind::Text,
            "client_cert = \"credential:me\"",
            "The credential with our own certificate and its key, in PEM.",
        ),
        hook.key(
            "url",
            Kind::Text,
            "url = \"https://example.com/hook\"",
            "A server that gets the document by POST, in place of `run`.",
        ),
        hook.key(
            "expect_status",
            Kind::Number,
            "expect_status = 204",
            "With `url`: the status that allows. Without it, any 2xx.",
        ),
        hook.key(
            "headers",
            Kind::Table,
            "headers = { X-Team = \"papers\" }",
            "With `url`: headers. A secret is `credential:NAME`.",
        ),
        hook.key(
            "sign",
            Kind::Text,
            "sign = \"credential:signing\"",
            "With `url`: the secret that deliveries are signed with.",
        ),
        hook.key("timeout", Kind::Duration, "timeout = \"30s\"", "How long it may take, at most a day.")
            .default(quoted(format!("{}s", DEFAULT_TIMEOUT.as_secs()))),
        policy(
            "on_reject",
            "on_reject = \"block\"",
            "`before`: what becomes of a file that it rejects. `block` keeps it out of sight \
            and asks again later.",
            "quarantine",
        ),
        policy("on_error", "on_error = \"allow\"", "`before`: what follows when it does not work.", "block"),
        policy("on_timeout", "on_timeout = \"quarantine\"", "`before`: what follows when it takes too long.", "block"),
        policy(
            "on_unscannable",
            "on_unscannable = \"allow\"",
            "`before`: what becomes of a file that it cannot look into.",
            "block",
        ),
        hook.key(
            "remember",
            Kind::Duration,
            "remember = \"24h\"",
            "`before`: how long a verdict on a content counts. Without it, every \
            file is asked about.",
        ),
        hook.key(
            "quarantine_remote",
            Kind::Text,
            "quarantine_remote = \"move:/Quarantine\"",
            "`before`: what becomes of the cloud's copy \
            of a rejected file: `leave`, `trash` or `move:/PATH`.",
        )
        .default(quoted("leave")),
        hook.key(
            "quarantine_keep",
            Kind::Duration,
            "quarantine_keep = \"30d\"",
            "`before`: how long what is rejected waits for a \
            decision. Without it, for ever.",
        ),
        hook.key(
            "concurrency",
            Kind::Number,
            "concurrency = 1",
            format!("How many calls at one time, at most {MAX_CONCURRENCY}."),
        )
        .default(DEFAULT_CONCURRENCY.to_string()),
        hook.key("per_minute", Kind::Number, "per_minute = 60", "The most calls a minute."),
        hook.key(
            "attempts",
            Kind::Number,
            "attempts = 5",
            "`after`: how often a delivery is tried before it waits for `agent replay`.",
        )
        .default(DEFAULT_ATTEMPTS.to_string()),
        hook.key(
            "switch",
            Kind::Word,
            "switch = \"off\"",
            "Whether it is called at all. What a `before` hook that is off would have decided is published without it.",
        )
        .words(&["on", "off"])
        .default(quoted("on")),
    ]
}

/// A key's facts on one line: `duration; required`.
pub fn facts(key: &Key) -> String {
    let mut facts = key.kind.words().to_owned();
    if !key.words.is_empty() {
        facts = key.words.iter().map(quoted).collect::<Vec<_>>().join(" | ");
    }
    if key.required {
        facts.push_str("; required");
    }
    if let Some(default) = &key.default {
        let _ = write!(facts, "; default {default}");
    }
    facts
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Places, Surroundings};

    fn places() -> Places {
        Places::home(Path::new("/nowhere/home"), &Surroundings::default())
    }

    /// A whole configuration with one more line in a table.
    fn with(table: &str, line: &str, leave_out: &[&str]) -> String {
        let blocks = [
            ("", ""),
            ("account", "[[account]]\nname = \"work\"\nprovider = \"box\"\n"),
            ("folder", "[[folder]]\nname = \"inbox\"\naccount = \"work\"\nremote = \"/x\"\nlocal = \"/srv/inbox\"\n"),
            ("hook", "[[hook]]\nname = \"h\"\nwhen = \"before\"\non = [\"file.download\"]\nrun = [\"/bin/true\"]\n"),
            ("subscription", "[[subscription]]\nname = \"s\"\nfile = \"/srv/events\"\n"),
        ];
        let mut text = String::new();
        for (name, block) in blocks {
            for written in block.lines() {
                let key = written.split(' ').next().unwrap_or_default();
                if name != table || !leave_out.contains(&key) {
                    let _ = writeln!(text, "{written}");
                }
            }
            if name == table {
                let _ = writeln!(text, "{line}");
            }
        }
        text
    }

    /// What must go, or be different, so that a key may be there.
    fn surroundings(key: &Key) -> (Vec<&'static str>, &'static str) {
        match (key.table, key.key) {
            ("account", "domain" | "suppress") => {
                (vec!["provider"], "provider = \"egnyte\"\ndomain = \"acme.egnyte.com\"\n")
            }
            ("", "web_tls" | "web_password_hash" | "web_names") => (vec![], "web = \"127.0.0.1:8477\"\n"),
            ("hook", "url" | "scan") => (vec!["run"], ""),
            ("hook", "expect_status" | "headers" | "sign" | "format" | "proxy" | "ca_file" | "client_cert") => {
                (vec!["run"], "url = \"https://example.com/\"\n")
            }
            ("hook", "attempts" | "action") => (vec!["when", "on"], "when = \"after\"\non = [\"file.created\"]\n"),
            ("folder", "keep_from") => (vec![], "keep_for = \"30d\"\n"),
            ("subscription", "url" | "nats" | "socket") => (vec!["file"], ""),
            ("subscription", "headers" | "sign") => (vec!["file"], "url = \"https://example.com/\"\n"),
            ("subscription", "subject" | "credential") => (vec!["file"], "nats = \"nats://127.0.0.1\"\n"),
            _ => (vec![], ""),
        }
    }

    #[test]
    fn what_is_read_is_described_and_what_is_described_is_read() {
        for (table, _) in TABLES {
            let complaints = Config::check(&with(table, "qqqqqqqqqqqqqqqqqqqqqqqq = 1", &[]), &places()).unwrap_err();
            let hint = complaints[0].hint.clone().unwrap();
            let mut read: Vec<&str> = hint.split('`').skip(1).step_by(2).collect();
            if table.is_empty() {
                // The blocks themselves.
                read.retain(|key| !TABLES.iter().any(|(table, _)| table == key));
            }
            read.sort_unstable();
            let keys = keys();
            let mut described: Vec<&str> = keys.iter().filter(|key| key.table == table).map(|key| key.key).collect();
            described.sort_unstable();
            assert_eq!(read, described, "the keys of `{table}`");
        }
    }

    #[test]
    fn examples_are_right_and_defaults_are_what_counts_without_them() {
        for key in keys() {
            let (mut leave_out, more) = surroundings(&key);
            leave_out.push(key.key);
            let line = |line: &str| {
                let more = if key.key == "domain" {
                    more.replace("domain = \"acme.egnyte.com\"\n", "")
                } else {
                    more.to_owned()
                };
                with(key.table, &format!("{more}{line}"), &leave_out)
            };
            let example = line(key.example);
            assert!(key.example.starts_with(&format!("{} = ", key.key)), "{}", key.example);
            let read = Config::check(&example, &places());
            assert!(read.is_ok(), "{}: {read:?}\n{example}", key.path());
            if let Some(default) = &key.default {
                let mut written = Config::check(&line(&format!("{} = {default}", key.key)), &places()).unwrap();
                let left_out = Config::check(&line(""), &places()).unwrap();
                if key.key == "log" {
                    assert_eq!(written.log.take().as_deref(), Some("info"));
                }
                assert_eq!(written, left_out, "the default of {}", key.path());
            }
            if key.required {
                assert!(Config::check(&line(""), &places()).is_err(), "{} is required", key.path());
            }
        }
    }

    #[test]
    fn words_are_all_there_are() {
        for key in keys().iter().filter(|key| !key.words.is_empty()) {
            let (mut leave_out, more) = surroundings(key);
            leave_out.push(key.key);
            let wrong = format!("{more}{} = \"qqqqqqqqqqqq\"", key.key);
            let complaints = Config::check(&with(key.table, &wrong, &leave_out), &places()).unwrap_err();
            let complaint = complaints.iter().find(|complaint| complaint.problem.contains("expected one of")).unwrap();
            let words: Vec<&str> = complaint.problem.split('`').skip(1).step_by(2).collect();
            assert_eq!(words, key.words, "the words of {}", key.path());
        }
    }
}
