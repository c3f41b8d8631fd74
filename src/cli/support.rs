//! `agent support`: one file for whoever helps, without secrets, and without names unless they are wanted.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::agent::Agent;
use super::config;
use super::explain::plain;
use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, now, size};
use super::{doctor, terminal, version};
use crate::config::{Config, Places, Surroundings};
use crate::local::hash::hex;
use crate::report::{EventQuery, SCHEMA_VERSION};
use crate::service;
use crate::store::upkeep::{self, Depth};

/// How far back the journal is told, in milliseconds.
const JOURNAL_MS: i64 = 3_600_000;
/// The most events that are told.
const EVENTS_MOST: u32 = 1_000;
/// Lines of the log.
const LOG_LINES: &str = "500";
/// Digits of a hash that stand for a name: enough to tell names apart, too few to guess long ones by.
const HASH_DIGITS: usize = 12;
/// Keys whose values are names of people, files and places, wherever they stand.
const NAMING: [&str; 28] = [
    "account",
    "folder",
    "path",
    "from",
    "to",
    "remote",
    "local",
    "login",
    "actor",
    "item",
    "user_id",
    "file",
    "domain",
    "examples",
    "url",
    "headers",
    "run",
    "name_on_disk",
    "root_path",
    "include",
    "exclude",
    "match",
    "ca_file",
    "proxy",
    "scan",
    "scanner",
    "calls",
    "hook",
];
/// Keys whose values are sentences, which may quote names.
const TELLING: [&str; 7] = ["cause", "text", "next_step", "hint", "why", "waits_for", "failed"];

/// Write one file with everything that helps to find out what is wrong
///
/// It holds the configuration, status, what `doctor` says, the last lines of the log, the shape of the database, and the journal of the last
/// hour. Secrets are never in it. Names of files, folders and people are replaced by hashes, the same name by the same hash, unless --names
/// is given. It is sent nowhere.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent support                            # agent-support.json in this directory
  agent support --output - | less
  agent support --names --output for-ann.json")]
pub struct SupportArgs {
    /// Where to write; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "agent-support.json")]
    output: PathBuf,
    /// Leave the names of files, folders and people as they are
    #[arg(long)]
    names: bool,
    /// Do not ask, and replace a file that is there
    #[arg(short, long)]
    yes: bool,
}

/// One part of the file.
struct Part {
    key: &'static str,
    what: &'static str,
    value: Value,
}

/// Runs `agent support`.
pub async fn support(args: &SupportArgs, places: &Places, around: &Surroundings, screen: &mut Screen) -> Outcome {
    let mut parts = gather(places).await;
    if !args.names {
        let mut veil = Veil::new(parts.iter().map(|part| &part.value));
        // A configuration that is refused is not among them, and its complaints quote it.
        veil.knows(written(&fs::read_to_string(&places.config_file).unwrap_or_default()));
        for part in &mut parts {
            part.value = veil.over(std::mem::take(&mut part.value));
        }
    }
    let mut document = Map::new();
    document.insert("schema".to_owned(), json!(SCHEMA_VERSION));
    for part in &parts {
        document.insert(part.key.to_owned(), part.value.clone());
    }
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::error("the file cannot be made").because(error))?;
    if args.output == Path::new("-") {
        screen.line(text)?;
        return Ok(Exit::Fine);
    }
    let file = plain(&around.current_dir.join(&args.output));
    screen.line(format_args!("{} will hold:", file.display()))?;
    for part in &parts {
        let bytes = part.value.to_string().len() as u64;
        screen.line(format_args!("  {:<14} {} ({})", part.key, part.what, size(bytes)))?;
    }
    screen.line(if args.names {
        "Secrets are not in it. Names of files, folders and people are."
    } else {
        "Secrets are not in it. Names of files, folders and people are replaced by hashes."
    })?;
    if file.exists() && !args.yes && !terminal::can_ask() {
        return Err(Failure::error(format!("{} is there already", file.display())).hint("--yes replaces it"));
    }
    if !args.yes && terminal::can_ask() && !terminal::confirm("Write it?")? {
        screen.line("Nothing was written.")?;
        return Ok(Exit::Fine);
    }
    write(&file, text.as_bytes()).map_err(|error| {
        Failure::error(format!("cannot write {}", file.display()))
            .because(error)
            .hint("choose another place with --output")
    })?;
    screen.line(format_args!("Wrote {}. Look through it before you pass it on.", file.display()))?;
    Ok(Exit::Fine)
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // Whoever shares a directory with us has no share in this.
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")
}

/// Everything, each part by itself: what is broken is just what the others are to explain.
async fn gather(places: &Places) -> Vec<Part> {
    let failed = |error: &dyn std::fmt::Display| json!({ "failed": error.to_string() });
    let config = Config::load(places);
    let agent = Agent::find(places).await;
    let (status, problems, events) = match &agent {
        Ok(agent) => {
            let since_ms = Some(now().plus_ms(-JOURNAL_MS).0);
            let query = EventQuery { since_ms, limit: Some(EVENTS_MOST), ..EventQuery::default() };
            let value = |made: Result<Value, String>| made.unwrap_or_else(|error| failed(&error));
            (
                value(agent.status().await.map(|status| json!(status)).map_err(|error| error.to_string())),
                value(agent.problems(None).await.map(|rows| json!(rows)).map_err(|error| error.to_string())),
                value(agent.events(&query).await.map(|rows| json!(rows)).map_err(|error| error.to_string())),
            )
        }
        Err(error) => (failed(error), Value::Null, Value::Null),
    };
    let database = match upkeep::look(&places.database(), Depth::Header) {
        Ok(facts) => json!(facts),
        Err(error) => failed(&error),
    };
    let shown = match &config {
        Ok(config) => config::document(config),
        Err(error) => failed(error),
    };
    let checks = doctor::examine(places).await;
    let uname = rustix::system::uname();
    vec![
        Part {
            key: "agent",
            what: "version, system, installation",
            value: json!({
                "version": version(),
                "system": format!("{} {} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy(), uname.machine().to_string_lossy()),
                "installation": places.installation,
                "at": now(),
            }),
        },
        Part { key: "configuration", what: "the configuration with its defaults", value: shown },
        Part { key: "status", what: "what `agent status` says", value: status },
        Part { key: "doctor", what: "what `agent doctor` says", value: json!(checks) },
        Part { key: "problems", what: "what `agent problems` says", value: problems },
        Part { key: "database", what: "schema and number of rows", value: database },
        Part { key: "journal", what: "events of the last hour", value: events },
        Part { key: "log", what: "the last lines of the service's log", value: log(places) },
    ]
}

/// The names that a configuration file holds, read line by line: also one that is refused, or is no TOML at all.
fn written(text: &str) -> BTreeSet<String> {
    let (mut key, mut found) = (String::new(), BTreeSet::new());
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let values = match line.split_once('=') {
            Some((before, after)) if !before.contains(['"', '\'']) => {
                before.trim().clone_into(&mut key);
                after
            }
            _ => line,
        };
        for value in values.split(['"', '\'']).skip(1).step_by(2) {
            if key == "name" || NAMING.contains(&key.as_str()) || value.contains(['/', '@']) {
                found.extend(value.split('/').map(str::to_owned));
            }
        }
    }
    found
}

/// The last lines of the service's log, where there is one.
fn log(places: &Places) -> Value {
    if !service::has_systemd() {
        return json!({ "failed": "this machine is not run by systemd; add what `agent run` wrote by hand" });
    }
    let mut journalctl = std::process::Command::new("journalctl");
    journalctl.args(service::manager_options(places)).args([
        "-u",
        service::UNIT,
        "--no-pager",
        "-o",
        "short-iso",
        "-n",
        LOG_LINES,
    ]);
    match journalctl.output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            json!({ "text": text.lines().collect::<Vec<_>>() })
        }
        Ok(output) => json!({ "failed": String::from_utf8_lossy(&output.stderr).trim() }),
        Err(error) => json!({ "failed": error.to_string() }),
    }
}

/// Replaces names by hashes that are the same throughout one file, and others in the next one.
struct Veil {
    salt: [u8; 16],
    /// Names that stand in the documents, the longest first: sentences and the log may hold them as well.
    known: Vec<String>,
}

/// What begins an address says nothing of anybody.
const SCHEMES: [&str; 6] = ["icap:", "icaps:", "clamd:", "http:", "https:", "clamd"];
/// Shorter names are too often a part of something else.
const KNOWN_FROM_BYTES: usize = 3;

impl Veil {
    fn new<'a>(documents: impl Iterator<Item = &'a Value>) -> Self {
        let mut known = BTreeSet::new();
        for document in documents {
            collect(document, &mut known);
        }
        let mut veil = Self { salt: *uuid::Uuid::new_v4().as_bytes(), known: Vec::new() };
        veil.knows(known);
        veil
    }

    /// These are names as well.
    fn knows(&mut self, names: BTreeSet<String>) {
        let named = |name: &String| name.len() >= KNOWN_FROM_BYTES && !SCHEMES.contains(&name.as_str());
        self.known.extend(names.into_iter().filter(named));
        self.known.sort_by_key(|name| std::cmp::Reverse(name.len()));
        self.known.dedup();
    }

    /// A document with its names replaced. Paths keep their depth and their endings, which often explain what is wrong.
    fn over(&self, value: Value) -> Value {
        match value {
            Value::Object(map) => {
                let has_name = is_named(&map);
                let veiled = map.into_iter().map(|(key, value)| {
                    let value = if has_name == Some(Naming::Check) && key == "name" {
                        self.told(value)
                    } else if NAMING.contains(&key.as_str()) || (has_name.is_some() && key == "name") {
                        self.named(value)
                    } else if TELLING.contains(&key.as_str()) {
                        self.told(value)
                    } else {
                        self.over(value)
                    };
                    (key, value)
                });
                Value::Object(veiled.collect())
            }
            Value::Array(values) => Value::Array(values.into_iter().map(|value| self.over(value)).collect()),
            other => other,
        }
    }

    /// A value that is a name, or holds names.
    fn named(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.path(&text)),
            Value::Array(values) => Value::Array(values.into_iter().map(|value| self.named(value)).collect()),
            // Blocks of the configuration: their keys say which of their values are names.
            Value::Object(map) => self.over(Value::Object(map)),
            other => other,
        }
    }

    fn path(&self, text: &str) -> String {
        text.split('/').map(|name| self.name(name)).collect::<Vec<_>>().join("/")
    }

    fn name(&self, name: &str) -> String {
        if name.is_empty() || SCHEMES.contains(&name) {
            return name.to_owned();
        }
        let mut hasher = Sha256::new();
        hasher.update(self.salt);
        hasher.update(name.as_bytes());
        let mut hash = hex(&hasher.finalize());
        hash.truncate(HASH_DIGITS);
        match name.rsplit_once('.') {
            Some((stem, ending))
                if !stem.is_empty() && ending.len() <= 5 && ending.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                format!("{hash}.{ending}")
            }
            _ => hash,
        }
    }

    /// A sentence: what is quoted in it, and every word with a slash or an at sign, is a name.
    fn told(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.sentence(&text)),
            Value::Array(values) => Value::Array(values.into_iter().map(|value| self.told(value)).collect()),
            other => other,
        }
    }

    fn sentence(&self, text: &str) -> String {
        let text = self.known.iter().fold(text.to_owned(), |text, name| text.replace(name, &self.name(name)));
        let veiled = text.split('`').enumerate().map(|(index, part)| {
            if index % 2 == 1 && !part.starts_with("agent ") {
                self.path(part)
            } else {
                part.split(' ').map(|word| self.word(word)).collect::<Vec<_>>().join(" ")
            }
        });
        veiled.collect::<Vec<_>>().join("`")
    }

    fn word(&self, word: &str) -> String {
        let bare = word.trim_end_matches([',', '.', ';', ':', ')', '"']);
        if bare.contains('/') || bare.contains('@') {
            format!("{}{}", self.path(bare), &word[bare.len()..])
        } else {
            word.to_owned()
        }
    }
}

/// Whether the name of a thing is one that somebody gave to a folder or an account.
fn is_named(map: &Map<String, Value>) -> Option<Naming> {
    if map.contains_key("verdict") {
        Some(Naming::Check)
    } else if map.contains_key("local") || map.contains_key("provider") {
        Some(Naming::Thing)
    } else {
        None
    }
}

/// What a `name` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// That of a folder or an account.
    Thing,
    /// That of something that `doctor` looked at, which may name one.
    Check,
}

/// The names that a document holds.
fn collect(value: &Value, known: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if NAMING.contains(&key.as_str()) || (key == "name" && is_named(map) == Some(Naming::Thing)) {
                    collect_names(value, known);
                } else {
                    collect(value, known);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, known)),
        _ => {}
    }
}

fn collect_names(value: &Value, known: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => known.extend(text.split('/').map(str::to_owned)),
        Value::Array(values) => values.iter().for_each(|value| collect_names(value, known)),
        value => collect(value, known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hidden_wherever_they_stand_and_stay_the_same() {
        let document = json!({
            "path": "Secret Plan/figures.xlsx",
            "rows": [{ "local": "/srv/Secret Plan", "state": "in_sync", "examples": ["figures.xlsx"], "files": 7 }],
            "cause": "`Secret Plan/figures.xlsx` is at /srv/Secret, ask ann@example.com: agent problems",
        });
        let veil = Veil::new([&document].into_iter());
        let veiled = veil.over(document);
        let text = veiled.to_string();
        for name in ["Secret", "Plan", "figures", "ann", "example.com"] {
            assert!(!text.contains(name), "{name} in {text}");
        }
        let path = veiled["path"].as_str().unwrap();
        let (folder, file) = path.split_once('/').unwrap();
        assert_eq!(Path::new(file).extension(), Some("xlsx".as_ref()), "{path}");
        assert_eq!(veiled["rows"][0]["examples"][0], file);
        assert!(veiled["rows"][0]["local"].as_str().unwrap().ends_with(folder));
        assert_eq!(
            (veiled["rows"][0]["state"].as_str(), veiled["rows"][0]["files"].as_u64()),
            (Some("in_sync"), Some(7))
        );
        assert!(text.contains("agent problems"));
        let scanners = json!({ "rows": [{ "hook": "scan-plans", "scanner": "icap://scanner.corp/avscan" }] });
        let text = veil.over(scanners).to_string();
        assert!(text.contains("icap://") && !text.contains("scanner.corp") && !text.contains("plans"), "{text}");
        assert_ne!(Veil::new([].into_iter()).path("Secret"), veil.path("Secret"), "the next file has others");
    }

    #[test]
    fn what_a_refused_configuration_names_is_hidden_too() {
        let config = "[[account]]\nname = \"acme-secret\"\nprovider = \"boxx\"\n[[folder]]\nremote = \"/Hidden Plans\"\nexclude = [\n\
                      \"*.private\", # told\n]\n[[hook]]\nname = 'scan-plans'\nscan = \"icap://scanner.corp/x\"\nbroken";
        let mut veil = Veil::new([].into_iter());
        veil.knows(written(config));
        let told = "3:12: account.acme-secret.provider: expected one of `box` (it says \"boxx\"); folder.Hidden Plans: *.private; \
                    hook.scan-plans.scan: scanner.corp";
        let text = veil.sentence(told);
        for name in ["acme-secret", "Hidden Plans", "private", "scan-plans", "scanner.corp"] {
            assert!(!text.contains(name), "{name} in {text}");
        }
        assert!(text.contains("expected one of") && text.contains("boxx"), "{text}");
    }
}
