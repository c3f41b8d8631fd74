//! `agent doctor`: everything that must be right, looked at one by one, with what to do about what is not.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::fs::{Access, StatVfsMountFlags};
use serde::Serialize;

use super::cloud;
use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone, harmless, now, size};
use super::status::sign_in_warning;
use crate::config::{Config, Installation, Places};
use crate::daemon;
use crate::daemon::client::ControlClient;
use crate::local::{self, MARK_NAME};
use crate::path::RESERVED_NAME;
use crate::provider::ProviderErrorKind;
use crate::provider::auth::{CredentialFile, known_end};
use crate::report::SCHEMA_VERSION;
use crate::service;
use crate::settings::{AccountSettings, FolderSettings};
use crate::tree::Wall;

mod scanners;

/// Where Linux systems keep the certificates that they trust.
const CA_PLACES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
];
/// A clock before this moment (2025) has not been set.
const CLOCK_FLOOR: Wall = Wall(1_735_689_600_000);
/// Fewer inotify watches than this are soon used up.
const FEW_WATCHES: u64 = 65_536;
/// How many watchers a user may have; each watched folder is one.
const MAX_WATCHERS: &str = "/proc/sys/fs/inotify/max_user_instances";
const FEW_WATCHERS: u64 = 128;
const MAX_WATCHES: &str = "/proc/sys/fs/inotify/max_user_watches";

/// Check everything that the agent needs, and say what to do about what is wrong
///
/// Looks at the configuration, the state directory, the sign-ins, whether the cloud can be reached, the local directories,
/// and the service. Ends with 1 if something is wrong.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent doctor
  sudo agent --system doctor          # the system service's state needs its rights
  agent doctor --json | jq '.checks[] | select(.verdict != \"fine\")'")]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Fine,
    Warning,
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Check {
    name: String,
    verdict: Verdict,
    text: String,
    hint: Option<String>,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    healthy: bool,
    checks: &'a [Check],
}

/// The list of checks, as it grows.
#[derive(Default)]
struct Checklist(Vec<Check>);

impl Checklist {
    fn add(&mut self, name: &str, verdict: Verdict, text: impl Into<String>, hint: Option<String>) {
        self.0.push(Check { name: name.to_owned(), verdict, text: text.into(), hint });
    }

    fn fine(&mut self, name: &str, text: impl Into<String>) {
        self.add(name, Verdict::Fine, text, None);
    }

    fn warning(&mut self, name: &str, text: impl Into<String>, hint: impl Into<String>) {
        self.add(name, Verdict::Warning, text, Some(hint.into()));
    }

    fn wrong(&mut self, name: &str, text: impl Into<String>, hint: impl Into<String>) {
        self.add(name, Verdict::Wrong, text, Some(hint.into()));
    }

    fn failed(&mut self, name: &str, failure: Failure) {
        let text = failure.to_string();
        self.add(name, Verdict::Wrong, text, failure.hint);
    }
}

/// Runs `agent doctor`.
pub async fn doctor(args: &DoctorArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let checks = examine(places).await;
    let healthy = checks.iter().all(|check| check.verdict != Verdict::Wrong);
    if args.json {
        screen.json(&Report { schema: SCHEMA_VERSION, healthy, checks: &checks })?;
    } else {
        show(&checks, healthy, screen)?;
    }
    Ok(if healthy { Exit::Fine } else { Exit::Error })
}

/// Looks at everything.
pub async fn examine(places: &Places) -> Vec<Check> {
    let mut list = Checklist::default();
    let config = configuration(&mut list, places);
    state(&mut list, places, &config);
    agent(&mut list, places).await;
    clock(&mut list);
    if config.accounts.iter().any(|account| account.api_url.as_ref().is_none_or(|url| url.scheme() == "https")) {
        certificates(&mut list);
    }
    for account in &config.accounts {
        sign_in(&mut list, account, places).await;
    }
    for folder in &config.folders {
        directory(&mut list, folder);
    }
    scanners::look(&mut list, &config, places).await;
    marks(&mut list, places);
    watches(&mut list);
    watching(&mut list);
    manager(&mut list, places);
    list.0
}

fn show(checks: &[Check], healthy: bool, screen: &mut Screen) -> std::io::Result<()> {
    for check in checks {
        let mark = match check.verdict {
            Verdict::Fine => screen.tint(Tone::Good, "✓"),
            Verdict::Warning => screen.tint(Tone::Warning, "!"),
            Verdict::Wrong => screen.tint(Tone::Bad, "✗"),
        };
        screen.line(format_args!("{mark} {}: {}", check.name, harmless(&check.text)))?;
        if let Some(hint) = &check.hint {
            screen.line(format_args!("    → {}", harmless(hint)))?;
        }
    }
    let warned = checks.iter().any(|check| check.verdict == Verdict::Warning);
    screen.line(match (healthy, warned) {
        (true, false) => "Nothing is wrong.",
        (true, true) => "Nothing is wrong; the lines marked ! are worth a look.",
        (false, _) => "Something is wrong; see the lines marked ✗.",
    })
}

/// A configuration that cannot be read leaves nothing to look at below.
fn configuration(list: &mut Checklist, places: &Places) -> Config {
    match Config::load(places) {
        Ok(config) => {
            let text = if places.config_file.exists() {
                format!("{} is right", places.config_file.display())
            } else {
                format!("there is no {} yet, which is fine", places.config_file.display())
            };
            list.fine("configuration", text);
            config
        }
        Err(error) => {
            list.failed("configuration", error.into());
            Config::default()
        }
    }
}

fn state(list: &mut Checklist, places: &Places, config: &Config) {
    let dir = &places.state_dir;
    match fs::metadata(dir) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            list.fine("state", format!("there is no {} yet; the agent makes it", dir.display()));
            return;
        }
        Err(error) => {
            list.wrong(
                "state",
                format!("cannot look at {}: {error}", dir.display()),
                "run the command as the agent's user, or with sudo",
            );
            return;
        }
    }
    if let Err(error) = rustix::fs::access(dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        list.warning(
            "state",
            format!("you may not write to {}: {error}", dir.display()),
            "run the command as the agent's user, or with sudo",
        );
        return;
    }
    let open: Vec<(PathBuf, u32)> = open_to_others(places);
    for (path, mode) in &open {
        let (what, right) = if path.is_dir() { ("entered", "700") } else { ("read", "600") };
        let text = format!("{} can be {what} by others (mode {mode:04o})", path.display());
        list.wrong("state", text, format!("take that right away: chmod {right} {}", path.display()));
    }
    if open.is_empty() {
        list.fine("state", format!("{} is private and can be written to", dir.display()));
    }
    match daemon::offline_reports(places, config).and_then(|reports| reports.status()) {
        Ok(_) if places.database().exists() => {
            list.fine("database", format!("{} can be read", places.database().display()));
        }
        Ok(_) => list.fine("database", "there is none yet; the agent makes it at its first run"),
        Err(error) => list.failed("database", error.into()),
    }
}

/// What is in the state directory that others have a right to, and the directory itself. What it holds is nobody else's to know.
fn open_to_others(places: &Places) -> Vec<(PathBuf, u32)> {
    let database = places.database();
    let with = |ending: &str| PathBuf::from(format!("{}{ending}", database.display()));
    let files =
        [database.clone(), with("-wal"), with("-shm"), places.verifications(), places.state_dir.join("agent.lock")];
    let dirs = [places.state_dir.clone(), places.credentials_dir(), places.quarantine_dir()];
    let seen = dirs.into_iter().chain(files).filter_map(|path| {
        let mode = fs::symlink_metadata(&path).ok()?.mode() & 0o777;
        (mode & 0o077 != 0).then_some((path, mode))
    });
    seen.collect()
}

async fn agent(list: &mut Checklist, places: &Places) {
    let status = match ControlClient::find(&places.socket).await {
        Ok(None) => {
            list.warning("agent", "no agent is running", "start one: agent run, or agent service install");
            return;
        }
        Ok(Some(client)) => client.status().await,
        Err(error) => Err(error),
    };
    match status {
        Ok(status) => {
            let pid = status.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
            list.fine("agent", format!("version {} is running{pid}", status.version));
            for degraded in status.degraded {
                list.wrong("agent", degraded.cause, degraded.next_step);
            }
            // Whatever keeps a folder from being in sync, or from being watched, is wrong.
            for folder in status.folders {
                if let Some(degraded) = folder.degraded {
                    list.wrong(&format!("folder {}", folder.name), degraded.cause, degraded.next_step);
                }
            }
            for account in status.accounts {
                if let Some(degraded) = account.degraded.filter(|degraded| !degraded.halts()) {
                    list.warning(&format!("account {}", account.name), degraded.cause, degraded.next_step);
                }
            }
        }
        Err(error) => list.failed("agent", error.into()),
    }
}

fn clock(list: &mut Checklist) {
    if now() < CLOCK_FLOOR {
        let hint =
            "set the time, or start a time service such as systemd-timesyncd; certificates and tokens depend on it";
        list.wrong("clock", "this machine believes that it is before 2025", hint);
    } else {
        list.fine("clock", "the time is plausible");
    }
}

fn certificates(list: &mut Checklist) {
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .find_map(|name| std::env::var_os(name).map(|value| (name, PathBuf::from(value))));
    if let Some((name, path)) = named {
        if has_certificates(&path) {
            list.fine("certificates", format!("{} ({name})", path.display()));
        } else {
            let text = format!("{name} names {}, where there are no certificates", path.display());
            list.wrong("certificates", text, format!("correct or unset {name}"));
        }
        return;
    }
    match CA_PLACES.iter().map(Path::new).find(|path| has_certificates(path)) {
        Some(path) => list.fine("certificates", path.display().to_string()),
        None => list.wrong(
            "certificates",
            "this machine trusts no certificate authority, so no cloud can be reached",
            "install the package ca-certificates, or set ca_file for the account",
        ),
    }
}

fn has_certificates(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()),
        Ok(metadata) => metadata.len() > 0,
        Err(_) => false,
    }
}

async fn sign_in(list: &mut Checklist, account: &AccountSettings, places: &Places) {
    let name = format!("account {}", account.name);
    let again = format!("agent login {} --account {}", account.provider.word(), account.name);
    let path = match CredentialFile::new(places.credentials_dir(), &account.name) {
        Ok(file) => file.path(),
        Err(error) => return list.failed(&name, error.into()),
    };
    match fs::metadata(&path) {
        Ok(metadata) if metadata.mode() & 0o077 != 0 => {
            return list.wrong(
                &name,
                format!("{} can be read by others", path.display()),
                format!("chmod 600 {}, and sign in again: {again}", path.display()),
            );
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return list.wrong(&name, "nobody has signed in", again);
        }
        Err(error) => {
            return list.wrong(
                &name,
                format!("cannot look at {}: {error}", path.display()),
                "run the command as the agent's user, or with sudo",
            );
        }
    }
    let identity = match cloud::connect(account, places.credentials_dir()) {
        Ok(provider) => provider.whoami().await,
        Err(error) => Err(error),
    };
    match identity {
        Ok(identity) => {
            let text = format!("signed in as {} ({})", identity.name, identity.login);
            match ending(account, places) {
                Some((warning, next)) => list.warning(&name, format!("{text}, but {warning}"), next),
                None => list.fine(&name, text),
            }
        }
        Err(error) if error.kind == ProviderErrorKind::SignInNeeded => list.wrong(&name, error.to_string(), again),
        Err(error) => list.failed(&name, error.into()),
    }
}

/// What to tell of a sign-in whose end is near.
fn ending(account: &AccountSettings, places: &Places) -> Option<(String, String)> {
    let end = known_end(places.credentials_dir(), &account.name, account.provider)?;
    sign_in_warning(&account.name, account.provider.word(), end, now())
}

fn directory(list: &mut Checklist, folder: &FolderSettings) {
    let name = format!("folder {}", folder.name);
    let local = &folder.local;
    let shown = local.display();
    match fs::metadata(local) {
        Err(error) => {
            return list.wrong(
                &name,
                format!("cannot look at {shown}: {error}"),
                "mount or make the directory; until then the agent keeps its hands off",
            );
        }
        Ok(metadata) if !metadata.is_dir() => {
            return list.wrong(&name, format!("{shown} is not a directory"), "move it out of the way");
        }
        Ok(_) => {}
    }
    let stats = match rustix::fs::statvfs(local) {
        Ok(stats) => stats,
        Err(error) => {
            return list.wrong(
                &name,
                format!("cannot look at the filesystem of {shown}: {error}"),
                "see the system's log",
            );
        }
    };
    if stats.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return list.wrong(
            &name,
            format!("the filesystem of {shown} is read-only"),
            "mount it writable; the system's log may say why it is not",
        );
    }
    if let Err(error) = rustix::fs::access(local, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        return list.wrong(
            &name,
            format!("{shown} cannot be written to: {error}"),
            "give the directory to the agent's user",
        );
    }
    let free = stats.f_bavail.saturating_mul(stats.f_frsize);
    let kind = rustix::fs::statfs(local).map_or("unknown", |stats| filesystem(stats.f_type as u64));
    let text = format!("{shown} can be written to, {} free on {kind}", size(free));
    if free < folder.min_free {
        let hint = format!("make room: {} must stay free (min_free)", size(folder.min_free));
        return list.wrong(&name, text, hint);
    }
    if stats.f_favail == 0 && stats.f_files > 0 {
        return list.wrong(
            &name,
            format!("the filesystem of {shown} has no room for another file"),
            "remove some files, however small",
        );
    }
    match kind {
        "NFS" | "SMB" | "FUSE" => {
            list.warning(&name, text, "on a network filesystem, changes made by other machines are noticed late");
        }
        "FAT" => list.warning(&name, text, "FAT knows neither permissions nor all names; some files may be renamed"),
        "tmpfs" => list.warning(&name, text, "tmpfs is empty after each start of the machine"),
        _ => list.fine(&name, text),
    }
}

/// The filesystems that are worth a word, by their magic numbers.
fn filesystem(magic: u64) -> &'static str {
    match magic {
        0xef53 => "ext4",
        0x5846_5342 => "XFS",
        0x9123_683e => "Btrfs",
        0x2fc1_2fc1 => "ZFS",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlay",
        0x6969 => "NFS",
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "SMB",
        0x6573_5546 => "FUSE",
        0x4d44 | 0x2011_bab0 => "FAT",
        _ => "another filesystem",
    }
}

/// Whether the directories are those that the agent left its mark in.
fn marks(list: &mut Checklist, places: &Places) {
    // What cannot be read was told of above.
    let Ok(Some(reader)) = super::agent::database(places) else { return };
    let Ok(folders) = reader.rows().folders() else { return };
    for row in folders.iter().filter(|row| row.opened && row.local.is_dir()) {
        let name = format!("folder {}", row.name.as_deref().unwrap_or_default());
        let found = fs::read_to_string(row.local.join(RESERVED_NAME).join(MARK_NAME));
        let is_known = match &found {
            Ok(mark) => mark.trim_end() == row.mark,
            Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
        };
        if !is_known {
            list.wrong(
                &name,
                format!("another directory stands at {}: it is not the one that the agent synced", row.local.display()),
                "mount the disk, or put the directory back; to begin anew with what is there: agent remove-folder, and agent add-folder",
            );
        }
    }
}

/// Whether one more directory can be watched now, whatever the limits say.
fn watching(list: &mut Checklist) {
    let (what, raise) = match local::room_for_a_watch() {
        Ok(()) => return,
        Err(local::NoWatch::Watchers) => ("folder", "fs.inotify.max_user_instances=1024"),
        Err(local::NoWatch::Watches) => ("directory", "fs.inotify.max_user_watches=524288"),
    };
    let text =
        format!("the limit is used up: not one {what} more can be watched, and changes there are found by scans only");
    list.wrong("inotify", text, format!("raise it: sysctl {raise}"));
}

/// What the system lets us watch. Where it is too little, changes on disk are still found, by scans at an interval.
fn watches(list: &mut Checklist) {
    let limits = [
        (MAX_WATCHES, FEW_WATCHES, "directories can be watched", "fs.inotify.max_user_watches=524288"),
        (MAX_WATCHERS, FEW_WATCHERS, "folders can be watched", "fs.inotify.max_user_instances=1024"),
    ];
    for (file, few, what, raise) in limits {
        let Some(limit) = fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u64>().ok()) else {
            continue;
        };
        let text = format!("{limit} {what}");
        if limit < few {
            list.warning("inotify", text, format!("for large or many folders: sysctl {raise}"));
        } else {
            list.fine("inotify", text);
        }
    }
}

fn manager(list: &mut Checklist, places: &Places) {
    if !service::has_systemd() {
        list.warning(
            "service",
            "this machine is not run by systemd",
            "have `agent run` started by whatever starts programs here",
        );
        return;
    }
    let unit = service::unit_file(places);
    if !unit.exists() {
        list.warning("service", "the service is not installed", "agent service install");
        return;
    }
    list.fine("service", format!("{} is installed", unit.display()));
    let user = std::env::var("USER").unwrap_or_default();
    if places.installation != Installation::System && !user.is_empty() && !service::lingers(&user) {
        list.warning("service", "it ends when you log out", format!("loginctl enable-linger {user}"));
    }
}
