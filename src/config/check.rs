//! From the file as written to checked settings: values one by one, then what they say together.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::raw::{Block, Source, Spot, Wrong, did_you_mean, list};
use super::{Complaint, Config, Places, value};
use crate::events::subscription::SubscriptionSettings;
use crate::settings::{
    AccountSettings, BoxStream, FolderSettings, Ignore, KeepFrom, Mode, OnDrift, OnLocalDelete, ProviderName, Suppress,
};
use crate::telemetry::LogFormat;

mod hook;
mod subscription;
mod web;

pub use hook::{DEFAULT_ATTEMPTS, DEFAULT_CONCURRENCY, DEFAULT_TIMEOUT, MAX_CONCURRENCY};
pub use subscription::{
    DEFAULT_BACKLOG, DEFAULT_BATCH, DEFAULT_KEEP, DEFAULT_ROTATE_BYTES, DEFAULT_SUBJECT, DELIVERY_TIMEOUT, MAX_BATCH,
};

const PROVIDERS: [(&str, ProviderName); 2] = [("box", ProviderName::Box), ("egnyte", ProviderName::Egnyte)];
const STREAMS: [(&str, BoxStream); 5] = [
    ("all", BoxStream::All),
    ("changes", BoxStream::Changes),
    ("sync", BoxStream::Sync),
    ("admin_logs", BoxStream::AdminLogs),
    ("admin_logs_streaming", BoxStream::AdminLogsStreaming),
];
const SUPPRESS: [(&str, Suppress); 3] = [("none", Suppress::None), ("app", Suppress::App), ("user", Suppress::User)];
const MODES: [(&str, Mode); 3] = [("mirror", Mode::Mirror), ("two-way", Mode::TwoWay), ("upload", Mode::Upload)];
const KEEP_FROM: [(&str, KeepFrom); 2] = [("arrival", KeepFrom::Arrival), ("change", KeepFrom::Change)];
const ON_DRIFT: [(&str, OnDrift); 2] = [("restore", OnDrift::Restore), ("keep", OnDrift::Keep)];
const ON_LOCAL_DELETE: [(&str, OnLocalDelete); 2] =
    [("restore", OnLocalDelete::Restore), ("accept", OnLocalDelete::Accept)];

/// Transfers at one time if nobody says how many.
pub const DEFAULT_TRANSFERS: u32 = 8;
/// The most that can be asked for.
pub const MAX_TRANSFERS: u32 = 64;
/// Superseded versions kept of a file if nobody says how many.
pub const DEFAULT_KEEP_VERSIONS: u32 = 10;
/// Room that stays free if nobody says how much.
pub const DEFAULT_MIN_FREE_BYTES: u64 = 64 << 20;

/// See [`Config::check`].
pub fn check(text: &str, places: &Places) -> Result<Config, Vec<Complaint>> {
    let source = Source::new(text);
    let Some(document) = source.document() else { return Err(source.into_complaints()) };
    let mut top = Block::new(&source, "", document.span(), document.get_ref());
    let log = top.text("log", log_filter);
    let log_format = top.text("log_format", |text| value::word(text, &LogFormat::WORDS)).unwrap_or_default();
    let accounts: Vec<Read<AccountSettings>> = top.blocks("account").into_iter().map(account).collect();
    let folders: Vec<Read<FolderSettings>> =
        top.blocks("folder").into_iter().map(|block| folder(block, places)).collect();
    let hooks: Vec<hook::ReadHook> = top.blocks("hook").into_iter().map(hook::hook).collect();
    let subscriptions: Vec<Read<SubscriptionSettings>> =
        top.blocks("subscription").into_iter().map(subscription::subscription).collect();
    let web = web::web(&mut top);
    top.finish();

    unique_names("account", &source, &accounts);
    unique_names("folder", &source, &folders);
    references(&source, &accounts, &folders);
    separate_directories(&source, &folders, places);
    hook::together(&source, &hooks, &accounts, &folders);
    unique_names("subscription", &source, &subscriptions);
    subscription::together(&source, &subscriptions, &accounts, &folders);

    let complaints = source.into_complaints();
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let hooks_off = hook::switched_off(&hooks);
    let (accounts, folders, hooks) = (settings(accounts), settings(folders), hook::settings(hooks));
    let subscriptions = settings(subscriptions);
    Ok(Config { accounts, folders, hooks, subscriptions, hooks_off, web, log, log_format })
}

/// What could be read of a block, with the places of the values that are looked at again. Settings are there only if
/// nothing essential is missing; names are kept all the same (empty where there is no good one), so that references to
/// a broken block are not broken too.
struct Read<T> {
    name: String,
    account: Option<String>,
    spots: HashMap<&'static str, Spot>,
    settings: Option<T>,
}

fn settings<T>(reads: Vec<Read<T>>) -> Vec<T> {
    reads.into_iter().filter_map(|read| read.settings).collect()
}

fn spots(block: &Block<'_, '_>, keys: &[&'static str]) -> HashMap<&'static str, Spot> {
    keys.iter().map(|key| (*key, block.spot_of(key).unwrap_or_else(|| block.spot()))).collect()
}

fn account(mut block: Block<'_, '_>) -> Read<AccountSettings> {
    let name = block.required("name", value::name);
    if let Some(name) = &name {
        block.set_path(format!("account.{name}"));
    }
    let spots = spots(&block, &["name"]);
    let provider = block.required("provider", |text| value::word(text, &PROVIDERS));
    let api_url = block.text("api_url", value::origin);
    let only_for = |provider_meant: ProviderName| {
        move || match provider {
            Some(provider) if provider != provider_meant => {
                Err(Wrong::new(format!("this key is for {} accounts only", provider_meant.word())))
            }
            _ => Ok(()),
        }
    };
    let (box_only, egnyte_only) = (only_for(ProviderName::Box), only_for(ProviderName::Egnyte));
    let stream = block.text("stream", |text| box_only().and_then(|()| value::word(text, &STREAMS)));
    let domain = block.text("domain", |text| egnyte_only().and_then(|()| value::domain(text)));
    let suppress = block.text("suppress", |text| egnyte_only().and_then(|()| value::word(text, &SUPPRESS)));
    let poll_min = block.text("poll_min", value::duration);
    let poll_max = block.text("poll_max", value::duration);
    if let (Some(min), Some(max), Some(spot)) = (poll_min, poll_max, block.spot_of("poll_max"))
        && min > max
    {
        block.complain_at(&spot, Wrong::new("`poll_max` is shorter than `poll_min`"));
    }
    let calls_per_day = block.number("calls_per_day", 1..=u32::MAX);
    let calls_per_minute = block.number("calls_per_minute", 1..=u32::MAX);
    let transfers = block.number("transfers", 1..=MAX_TRANSFERS);
    let bandwidth_down = block.text_or_number("bandwidth_down", value::rates);
    let bandwidth_up = block.text_or_number("bandwidth_up", value::rates);
    let quiet = block.text("quiet", value::quiet);
    let ca_file = block.text("ca_file", value::file);
    let proxy = block.text("proxy", value::proxy);
    if provider == Some(ProviderName::Egnyte) && !block.has("domain") && !block.has("api_url") {
        block.complain(Wrong::new("an egnyte account needs its `domain`").hint("add domain = \"acme.egnyte.com\""));
    }
    block.finish();

    let settings = name.clone().zip(provider).map(|(name, provider)| AccountSettings {
        name,
        provider,
        domain,
        stream: stream.unwrap_or_default(),
        suppress: suppress.unwrap_or_default(),
        poll_min,
        poll_max,
        calls_per_day,
        calls_per_minute,
        transfers: transfers.unwrap_or(DEFAULT_TRANSFERS),
        bandwidth_down,
        bandwidth_up,
        quiet,
        ca_file,
        proxy,
        api_url,
    });
    Read { name: name.unwrap_or_default(), account: None, spots, settings }
}

fn folder(mut block: Block<'_, '_>, places: &Places) -> Read<FolderSettings> {
    let name = block.required("name", value::name);
    if let Some(name) = &name {
        block.set_path(format!("folder.{name}"));
    }
    let spots = spots(&block, &["name", "account", "local"]);
    let account = block.required("account", value::name);
    let remote = block.required("remote", value::remote);
    let local = block.required("local", value::local);
    let mode = block.text("mode", |text| value::word(text, &MODES)).unwrap_or_default();
    let include = block.texts("include", value::pattern);
    let exclude = block.texts("exclude", value::pattern);
    let default_ignore = block.flag("default_ignore");
    let keep_for = block.text("keep_for", value::duration);
    let keep_from_spot = block.spot_of("keep_from");
    let keep_from = block.text("keep_from", |text| value::word(text, &KEEP_FROM));
    if let (Some(spot), None) = (keep_from_spot, keep_for) {
        block.complain_at(
            &spot,
            Wrong::new("there is no `keep_for` that it could be said of").hint("add keep_for = \"30d\""),
        );
    }
    let as_user = block.text("as_user", user_id);
    let keep_versions = block.number("keep_versions", 0..=100_000);
    let versions_max = block.text_or_number("versions_max", value::size);
    let on_drift = block.text("on_drift", |text| value::word(text, &ON_DRIFT));
    let on_local_delete = block.text("on_local_delete", |text| value::word(text, &ON_LOCAL_DELETE));
    let file_mode = block.text("file_mode", |text| value::permissions(text, 0o600, 0o666));
    let dir_mode = block.text("dir_mode", |text| value::permissions(text, 0o700, 0o777));
    let min_free = block.text_or_number("min_free", value::size);
    let max_delete = block.text_or_number("max_delete", value::max_delete);
    block.finish();

    let settings = match (name.clone(), account.clone(), remote, local) {
        (Some(name), Some(account), Some(remote), Some(local)) => Some(FolderSettings {
            name,
            account,
            remote,
            as_user,
            local,
            mode,
            include,
            exclude,
            ignore: Ignore { defaults: default_ignore.unwrap_or(true), from_tree: Vec::new() },
            keep_for,
            keep_from: keep_from.unwrap_or_default(),
            keep_versions: keep_versions.unwrap_or(DEFAULT_KEEP_VERSIONS),
            versions_max,
            on_drift: on_drift.unwrap_or_default(),
            on_local_delete: on_local_delete.unwrap_or_default(),
            file_mode: file_mode.unwrap_or(places.file_mode),
            dir_mode: dir_mode.unwrap_or(places.dir_mode),
            min_free: min_free.unwrap_or(DEFAULT_MIN_FREE_BYTES),
            max_delete: max_delete.unwrap_or_default(),
        }),
        _ => None,
    };
    Read { name: name.unwrap_or_default(), account, spots, settings }
}

fn user_id(text: &str) -> Result<String, Wrong> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("this is no id of a user").hint("write the number that the provider gives the user"))
}

fn log_filter(text: &str) -> Result<String, Wrong> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| Wrong::new(error.to_string()).hint("write a level such as \"info\" or \"debug\""))
}

fn unique_names<T>(what: &str, source: &Source<'_>, reads: &[Read<T>]) {
    for (index, read) in reads.iter().enumerate() {
        if !read.name.is_empty() && reads[..index].iter().any(|earlier| earlier.name == read.name) {
            read.spots["name"].complain(source, Wrong::new(format!("another {what} above has this name")));
        }
    }
}

fn references(source: &Source<'_>, accounts: &[Read<AccountSettings>], folders: &[Read<FolderSettings>]) {
    let known: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
    for folder in folders.iter().filter(|folder| folder.settings.as_ref().is_some_and(|one| one.as_user.is_some())) {
        let account = accounts.iter().find(|account| Some(&account.name) == folder.account.as_ref());
        let provider = account.and_then(|account| account.settings.as_ref()).map(|settings| settings.provider);
        if provider == Some(ProviderName::Egnyte) {
            let wrong = Wrong::new("`as_user` is for box accounts only");
            folder.spots["account"].complain(source, wrong);
        }
    }
    for folder in folders {
        let Some(account) = folder.account.as_deref().filter(|account| !known.contains(account)) else { continue };
        folder.spots["account"].complain(source, unknown_account(account, &known));
    }
}

fn unknown_account(account: &str, known: &[&str]) -> Wrong {
    let wrong = Wrong::new("there is no such account");
    match did_you_mean(account, known.iter().copied()) {
        Some(name) => wrong.hint(format!("did you mean \"{name}\"?")),
        None if known.is_empty() => wrong.hint("sign in first: agent login box --account NAME"),
        None => wrong.hint(format!("the accounts are {}", list(known))),
    }
}

/// No folder's directory may be, hold or lie in another's, or in our own.
fn separate_directories(source: &Source<'_>, folders: &[Read<FolderSettings>], places: &Places) {
    let ours =
        [("the agent's state", real_path(&places.state_dir)), ("the configuration", real_path(places.config_dir()))];
    let mut earlier: Vec<(&str, PathBuf)> = Vec::new();
    for folder in folders {
        let Some(settings) = &folder.settings else { continue };
        let spot = &folder.spots["local"];
        let real = real_path(&settings.local);
        for (what, dir) in &ours {
            let hint = "choose a directory of its own for the folder";
            if real.starts_with(dir) {
                let problem = format!("the directory lies in that of {what}, {}", dir.display());
                spot.complain(source, Wrong::new(problem).hint(hint));
                break;
            }
            if dir.starts_with(&real) {
                let problem = format!("the directory holds that of {what}, {}", dir.display());
                spot.complain(source, Wrong::new(problem).hint(hint));
                break;
            }
        }
        for (name, other) in &earlier {
            let relation = match (real == *other, real.starts_with(other), other.starts_with(&real)) {
                (true, _, _) => "is",
                (_, true, _) => "lies in",
                (_, _, true) => "holds",
                _ => continue,
            };
            let problem = format!("the directory {relation} that of folder \"{name}\", {}", other.display());
            spot.complain(source, Wrong::new(problem));
        }
        earlier.push((&folder.name, real));
    }
}

/// The path with the symbolic links of its existing part resolved, so that two ways to one directory are one.
fn real_path(path: &Path) -> PathBuf {
    let mut missing: Vec<OsString> = Vec::new();
    let mut existing = path;
    loop {
        if let Ok(real) = fs::canonicalize(existing) {
            return missing.iter().rev().fold(real, |path, part| path.join(part));
        }
        match (existing.parent(), existing.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name.to_owned());
                existing = parent;
            }
            _ => return path.to_owned(),
        }
    }
}
