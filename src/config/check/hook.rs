//! One `[[hook]]` block: who is called for what, and what its answers lead to.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use super::super::raw::{Block, Source, Spot, Wrong, did_you_mean, list};
use super::super::value;
use super::{Read, unknown_account};
use crate::hook::{
    Act, Call, Format, HeaderText, HookKind, HookSettings, Listen, Policies, Policy, QuarantineRemote, Rescan, Route,
    Scanner, When,
};
use crate::settings::{AccountSettings, BoxStream, FolderSettings, ProviderName};

const WHENS: [(&str, When); 2] = [("before", When::Before), ("after", When::After)];
const POLICIES: [(&str, Policy); 3] =
    [("block", Policy::Block), ("quarantine", Policy::Quarantine), ("allow", Policy::Allow)];

pub use crate::hook::{DEFAULT_ATTEMPTS, DEFAULT_CONCURRENCY, DEFAULT_TIMEOUT};

/// Whether a hook is off.
const SWITCH: [(&str, bool); 2] = [("on", false), ("off", true)];

const MAX_TIMEOUT: Duration = Duration::from_hours(24);
/// The most that can be asked for.
pub const MAX_CONCURRENCY: u32 = 64;
/// Files at a scanner at once for each core of this machine, if nobody says: it waits for the scanner most of the time.
const SCANNED_PER_CORE: u32 = 4;
/// More often nothing is examined again.
const MIN_RESCAN: Duration = Duration::from_mins(1);
/// The word for "when the scanner has other signatures".
const ON_SIGNATURES: &str = "signatures";
/// What a scanner decides about if nobody says.
const SCANNED: [&str; 2] = ["file.download", "file.upload"];
const MAX_ARGUMENTS: usize = 64;
/// Headers that carry secrets; a value written here would be readable by everybody who may read the configuration.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"];

/// What could be read of a block, with the places of what is looked at again.
pub struct ReadHook {
    name: String,
    on: Vec<Listen>,
    folder: Option<String>,
    account: Option<String>,
    spots: HashMap<&'static str, Spot>,
    settings: Option<HookSettings>,
    is_off: bool,
}

/// The hooks of which nothing essential is missing.
pub fn settings(reads: Vec<ReadHook>) -> Vec<HookSettings> {
    reads.into_iter().filter_map(|read| read.settings).collect()
}

/// The names of those that are switched off.
pub fn switched_off(reads: &[ReadHook]) -> Vec<String> {
    reads.iter().filter(|read| read.is_off).map(|read| read.name.clone()).collect()
}

/// Reads one block.
pub fn hook(mut block: Block<'_, '_>) -> ReadHook {
    let name = block.required("name", value::name);
    if let Some(name) = &name {
        block.set_path(format!("hook.{name}"));
    }
    let spots = super::spots(&block, &["name", "on", "folder", "account"]);
    let scans = block.has("scan");
    let when = if scans && !block.has("when") {
        Some(When::Before)
    } else {
        block.required("when", |text| match value::word(text, &WHENS)? {
            When::After if scans => Err(Wrong::new("a scanner decides: it is a `before` hook")),
            when => Ok(when),
        })
    };
    if !block.has("on") && !scans {
        block.complain(Wrong::new("`on` is missing").hint("write on = [\"file.download\"], or \"*\" for everything"));
    }
    let mut on: Vec<Listen> = block
        .texts("on", |text| listen(text, when).map(|_| ()))
        .iter()
        .filter_map(|text| Listen::parse(text))
        .collect();
    if on.is_empty() && scans {
        on = SCANNED.iter().filter_map(|text| Listen::parse(text)).collect();
    }
    let folder = block.text("folder", value::name);
    let account = block.text("account", value::name);
    let patterns = block.texts("match", value::pattern);
    let actions: Vec<Act> = block
        .texts("action", |text| act(text, when).map(drop))
        .iter()
        .filter_map(|text| act(text, when).ok())
        .collect();
    let call = call(&mut block);
    let timeout = block.text("timeout", |text| match value::duration(text)? {
        limit if limit > MAX_TIMEOUT => Err(Wrong::new("no hook may take longer than a day")),
        limit => Ok(limit),
    });
    let only = |meant: When| {
        move || match when {
            Some(when) if when != meant => Err(Wrong::new(format!("this key is for `{}` hooks only", meant.word()))),
            _ => Ok(()),
        }
    };
    let (before_only, after_only) = (only(When::Before), only(When::After));
    let mut policy = |key| block.text(key, |text| before_only().and_then(|()| value::word(text, &POLICIES)));
    let default = Policies::default();
    let policies = Policies {
        on_reject: policy("on_reject").unwrap_or(default.on_reject),
        on_error: policy("on_error").unwrap_or(default.on_error),
        on_timeout: policy("on_timeout").unwrap_or(default.on_timeout),
        on_unscannable: policy("on_unscannable").unwrap_or(default.on_unscannable),
    };
    let remember = block.text("remember", |text| before_only().and_then(|()| value::duration(text)));
    let quarantine_remote =
        block.text("quarantine_remote", |text| before_only().and_then(|()| self::quarantine_remote(text)));
    let quarantine_keep = block.text("quarantine_keep", |text| before_only().and_then(|()| value::duration(text)));
    let scan_existing = block.flag_if("scan_existing", before_only);
    let rescan = rescan(&block.texts("rescan", |text| before_only().and_then(|()| rescan_word(text).map(drop))));
    let concurrency = block.number("concurrency", 1..=MAX_CONCURRENCY);
    let per_minute = block.number("per_minute", 1..=u32::MAX);
    let attempts_spot = block.spot_of("attempts");
    let attempts = block.number("attempts", 1..=1000);
    if let (Some(spot), Err(wrong)) = (attempts_spot, after_only()) {
        block.complain_at(&spot, wrong);
    }
    let is_off = block.text("switch", |text| value::word(text, &SWITCH)).unwrap_or(false);
    block.finish();

    let settings = match (name.clone(), when, call) {
        (Some(name), Some(when), Some(call)) => {
            let own = HookSettings::new(name, when, on.clone(), call);
            let usual = if scans { SCANNED_PER_CORE * cores() } else { own.concurrency };
            Some(HookSettings {
                folder: folder.clone(),
                account: account.clone(),
                patterns,
                actions,
                timeout: timeout.unwrap_or(own.timeout),
                policies,
                remember: remember.or(own.remember),
                concurrency: concurrency.unwrap_or(usual.min(MAX_CONCURRENCY)),
                per_minute,
                attempts: attempts.unwrap_or(own.attempts),
                quarantine_remote: quarantine_remote.unwrap_or_default(),
                quarantine_keep,
                scan_existing: scan_existing.unwrap_or(own.scan_existing),
                rescan,
                ..own
            })
        }
        _ => None,
    };
    ReadHook { name: name.unwrap_or_default(), on, folder, account, spots, settings, is_off }
}

fn listen(text: &str, when: Option<When>) -> Result<Listen, Wrong> {
    let Some(listen) = Listen::parse(text) else {
        let wrong = Wrong::new("there is no such kind of event");
        let words = HookKind::ALL.iter().map(|kind| kind.word());
        return Err(match did_you_mean(&text.to_lowercase(), words) {
            Some(word) => wrong.hint(format!("did you mean \"{word}\"?")),
            None => wrong.hint("write one such as \"file.created\", a group such as \"file.*\", or \"*\""),
        });
    };
    let covered = |decided: bool| HookKind::ALL.iter().any(|kind| kind.is_decided() == decided && listen.covers(*kind));
    match when {
        Some(When::Before) if !covered(true) => Err(Wrong::new("nothing waits for a hook here")
            .hint("a `before` hook listens to \"file.download\" or \"file.upload\"; make it an `after` hook")),
        Some(When::After) if !covered(false) => Err(Wrong::new("an `after` hook cannot decide")
            .hint("listen to \"file.created\" and \"file.updated\", or make it a `before` hook")),
        _ => Ok(listen),
    }
}

fn act(text: &str, when: Option<When>) -> Result<Act, Wrong> {
    if when == Some(When::Before) {
        return Err(Wrong::new("this key is for `after` hooks only"));
    }
    Act::ALL.into_iter().find(|act| act.word() == text).ok_or_else(|| {
        let words = Act::ALL.map(Act::word);
        let wrong = Wrong::new("there is no such action");
        match did_you_mean(&text.to_lowercase(), words) {
            Some(word) => wrong.hint(format!("did you mean \"{word}\"?")),
            None => wrong.hint(format!("the actions are {}", list(&words))),
        }
    })
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
}

/// A time, or the word for other signatures.
fn rescan_word(text: &str) -> Result<Option<Duration>, Wrong> {
    if text == ON_SIGNATURES {
        return Ok(None);
    }
    match value::duration(text) {
        Ok(every) if every < MIN_RESCAN => Err(Wrong::new("nothing is examined again within a minute")),
        Ok(every) => Ok(Some(every)),
        Err(wrong) => Err(wrong.hint("write a time such as \"7d\", or \"signatures\": when the scanner has new ones")),
    }
}

fn rescan(texts: &[String]) -> Rescan {
    let words: Vec<Option<Duration>> = texts.iter().filter_map(|text| rescan_word(text).ok()).collect();
    Rescan { every: words.iter().copied().flatten().min(), on_signatures: words.contains(&None) }
}

fn scanner(text: &str) -> Result<Scanner, Wrong> {
    Scanner::parse(text).map_err(|wrong| {
        Wrong::new(wrong)
            .hint("write \"clamd\", \"clamd:/path/of/socket\", \"clamd://host:port\" or \"icap://host/service\"")
    })
}

fn call(block: &mut Block<'_, '_>) -> Option<Call> {
    let (has_run, has_url, has_scan) = (block.has("run"), block.has("url"), block.has("scan"));
    let run_spot = block.spot_of("run");
    let first = Cell::new(true);
    let run = block.texts("run", |text| program(text, first.replace(false)));
    if let Some(spot) = run_spot
        && run.len() > MAX_ARGUMENTS
    {
        block.complain_at(&spot, Wrong::new(format!("more than {MAX_ARGUMENTS} arguments")));
    }
    let run_only = || if has_run { Ok(()) } else { Err(Wrong::new("this key goes with `run` only")) };
    let worker = block.flag_if("worker", run_only);
    let scan = block.text("scan", scanner);
    let url = block.text("url", value::delivery_url);
    let url_only = || if has_url { Ok(()) } else { Err(Wrong::new("this key goes with `url` only")) };
    let expect_spot = block.spot_of("expect_status");
    let expect_status = block.number("expect_status", 100..=599).map(|status| status as u16);
    if let (Some(spot), Err(wrong)) = (expect_spot, url_only()) {
        block.complain_at(&spot, wrong);
    }
    let headers = block.pairs("headers", |name, text| url_only().and_then(|()| header(name, text)));
    let sign = block.text("sign", |text| url_only().and_then(|()| credential(text)));
    let format = block.text("format", |text| url_only().and_then(|()| value::word(text, &Format::WORDS)));
    let route = Route {
        proxy: block.text("proxy", |text| url_only().and_then(|()| value::proxy(text))),
        ca_file: block.text("ca_file", |text| {
            if has_run { Err(Wrong::new("this key goes with `url` and `scan` only")) } else { value::file(text) }
        }),
        client_cert: block.text("client_cert", |text| url_only().and_then(|()| credential(text))),
    };
    match [has_run, has_url, has_scan].into_iter().filter(|has| *has).count() {
        0 => block.complain(
            Wrong::new("neither `run` nor `url` nor `scan`")
                .hint("add run = [\"/path/to/program\"], url = \"https://…\", or scan = \"clamd\""),
        ),
        1 => {}
        _ => block.complain(Wrong::new("more than one of `run`, `url` and `scan`: a hook is one of them")),
    }
    match (url, scan) {
        (Some(url), _) => {
            Some(Call::Http { url, expect_status, headers, sign, format: format.unwrap_or_default(), route })
        }
        (None, Some(Scanner::Icap { url, .. })) => Some(Call::Scan(Scanner::Icap { url, ca_file: route.ca_file })),
        (None, Some(scan)) => Some(Call::Scan(scan)),
        (None, None) => (!run.is_empty()).then_some(Call::Exec { run, worker: worker.unwrap_or(false) }),
    }
}

fn program(text: &str, is_first: bool) -> Result<(), Wrong> {
    if text.contains('\0') {
        return Err(Wrong::new("an argument holds no NUL"));
    }
    if is_first && !Path::new(text).is_absolute() {
        return Err(Wrong::new("a program is named by its absolute path")
            .hint("there is no shell and no search; a command line is [\"/bin/sh\", \"-c\", \"…\"]"));
    }
    Ok(())
}

pub(super) fn header(name: &str, text: &str) -> Result<(String, HeaderText), Wrong> {
    let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_token {
        return Err(Wrong::new("this is no name of a header"));
    }
    if text.starts_with("credential:") {
        return Ok((name.to_owned(), HeaderText::Credential(credential(text)?)));
    }
    if SECRET_HEADERS.contains(&name.to_lowercase().as_str()) {
        return Err(Wrong::new("secrets are never kept in this file")
            .hint("write \"credential:NAME\", and put the value into credentials/hooks/NAME of the state directory")
            .secret());
    }
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return Err(Wrong::new("a header holds no control characters"));
    }
    Ok((name.to_owned(), HeaderText::Plain(text.to_owned())))
}

pub(super) fn credential(text: &str) -> Result<String, Wrong> {
    match text.strip_prefix("credential:") {
        Some(name) => value::name(name),
        None => Err(Wrong::new("secrets are never kept in this file")
            .hint("write \"credential:NAME\", and put the value into credentials/hooks/NAME of the state directory")
            .secret()),
    }
}

fn quarantine_remote(text: &str) -> Result<QuarantineRemote, Wrong> {
    match (text, text.strip_prefix("move:")) {
        ("leave", _) => Ok(QuarantineRemote::Leave),
        ("trash", _) => Ok(QuarantineRemote::Trash),
        (_, Some(path)) => match value::remote(path)? {
            crate::settings::RemotePlace::Path(path) if path != "/" => Ok(QuarantineRemote::Move(path)),
            _ => Err(Wrong::new("this is no folder to move to").hint("write \"move:/Quarantine\"")),
        },
        _ => Err(Wrong::new("expected `leave`, `trash` or `move:/PATH`")),
    }
}

/// What the blocks say together: names, references, and kinds that no stream in question carries.
pub fn together(
    source: &Source<'_>,
    hooks: &[ReadHook],
    accounts: &[Read<AccountSettings>],
    folders: &[Read<FolderSettings>],
) {
    let account_names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
    let folder_names: Vec<&str> = folders.iter().map(|folder| folder.name.as_str()).collect();
    for (index, hook) in hooks.iter().enumerate() {
        if !hook.name.is_empty() && hooks[..index].iter().any(|earlier| earlier.name == hook.name) {
            hook.spots["name"].complain(source, Wrong::new("another hook above has this name"));
        }
        let account = hook.account.as_deref();
        if let Some(account) = account.filter(|account| !account_names.contains(account)) {
            hook.spots["account"].complain(source, unknown_account(account, &account_names));
        }
        let folder = hook.folder.as_deref();
        if let Some(folder) = folder.filter(|folder| !folder_names.contains(folder)) {
            let wrong = Wrong::new("there is no such folder");
            let wrong = match did_you_mean(folder, folder_names.iter().copied()) {
                Some(name) => wrong.hint(format!("did you mean \"{name}\"?")),
                None if folder_names.is_empty() => wrong.hint("add it first: agent add-folder REMOTE LOCAL"),
                None => wrong.hint(format!("the folders are {}", list(&folder_names))),
            };
            hook.spots["folder"].complain(source, wrong);
        }
        let of_folder =
            folders.iter().find(|read| Some(read.name.as_str()) == folder).and_then(|read| read.account.as_deref());
        if let (Some(account), Some(of_folder)) = (account, of_folder)
            && account != of_folder
        {
            let wrong = Wrong::new(format!("the hook's folder belongs to account \"{of_folder}\""));
            hook.spots["account"].complain(source, wrong.hint("remove this line"));
        }
        let concerned = account.or(of_folder);
        let concerned: Vec<&AccountSettings> = accounts
            .iter()
            .filter_map(|read| read.settings.as_ref())
            .filter(|settings| concerned.is_none_or(|name| name == settings.name))
            .collect();
        unheard(source, hook, &concerned);
    }
}

/// Complains about kinds that none of the accounts can ever report.
fn unheard(source: &Source<'_>, hook: &ReadHook, accounts: &[&AccountSettings]) {
    for listen in &hook.on {
        let group = match listen {
            Listen::Everything => continue,
            Listen::Group(group) => group,
            Listen::Kind(kind) => kind.group(),
        };
        if accounts.is_empty() || accounts.iter().any(|account| carries(account, group)) {
            continue;
        }
        let wrong = Wrong::new(format!("the event stream does not carry `{group}` events"));
        let wrong = if accounts.iter().any(|account| account.provider == ProviderName::Box) {
            wrong.hint("set stream = \"all\" in the account")
        } else {
            wrong.hint("Egnyte's events tell of files and folders only")
        };
        hook.spots["on"].complain(source, wrong);
    }
}

fn carries(account: &AccountSettings, group: &str) -> bool {
    match (account.provider, group) {
        // Egnyte tells of a comment without the file that it is about, so that no watched folder is concerned.
        (ProviderName::Egnyte, "comment" | "lock" | "share" | "collaboration") => false,
        (ProviderName::Box, "comment" | "lock" | "share") => {
            !matches!(account.stream, BoxStream::Changes | BoxStream::Sync)
        }
        _ => true,
    }
}
