//! One `[[hook]]` block: who is called for what, and what its answers lead to.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use super::super::raw::{Block, Source, Spot, Wrong, did_you_mean, list};
use super::super::value;
use super::{Read, unknown_account};
use crate::hook::{Call, HeaderText, HookKind, HookSettings, Listen, Policies, Policy, QuarantineRemote, When};
use crate::settings::{AccountSettings, BoxStream, FolderSettings, ProviderName};

const WHENS: [(&str, When); 2] = [("before", When::Before), ("after", When::After)];
const POLICIES: [(&str, Policy); 3] =
    [("block", Policy::Block), ("quarantine", Policy::Quarantine), ("allow", Policy::Allow)];

/// How long a hook may take if nobody says.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(2);
const MAX_TIMEOUT: Duration = Duration::from_hours(24);
/// Calls at one time if nobody says how many.
pub const DEFAULT_CONCURRENCY: u32 = 4;
/// The most that can be asked for.
pub const MAX_CONCURRENCY: u32 = 64;
/// With delays that grow to an hour: about half a day of trying.
pub const DEFAULT_ATTEMPTS: u32 = 20;
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
}

/// The hooks of which nothing essential is missing.
pub fn settings(reads: Vec<ReadHook>) -> Vec<HookSettings> {
    reads.into_iter().filter_map(|read| read.settings).collect()
}

/// Reads one block.
pub fn hook(mut block: Block<'_, '_>) -> ReadHook {
    let name = block.required("name", value::name);
    if let Some(name) = &name {
        block.set_path(format!("hook.{name}"));
    }
    let spots = super::spots(&block, &["name", "on", "folder", "account"]);
    let when = block.required("when", |text| value::word(text, &WHENS));
    if !block.has("on") {
        block.complain(Wrong::new("`on` is missing").hint("write on = [\"file.download\"], or \"*\" for everything"));
    }
    let on: Vec<Listen> = block
        .texts("on", |text| listen(text, when).map(|_| ()))
        .iter()
        .filter_map(|text| Listen::parse(text))
        .collect();
    let folder = block.text("folder", value::name);
    let account = block.text("account", value::name);
    let patterns = block.texts("match", value::pattern);
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
    let concurrency = block.number("concurrency", 1..=MAX_CONCURRENCY);
    let per_minute = block.number("per_minute", 1..=u32::MAX);
    let attempts_spot = block.spot_of("attempts");
    let attempts = block.number("attempts", 1..=1000);
    if let (Some(spot), Err(wrong)) = (attempts_spot, after_only()) {
        block.complain_at(&spot, wrong);
    }
    block.finish();

    let settings = match (name.clone(), when, call) {
        (Some(name), Some(when), Some(call)) => Some(HookSettings {
            name,
            when,
            on: on.clone(),
            folder: folder.clone(),
            account: account.clone(),
            patterns,
            call,
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            policies,
            remember,
            concurrency: concurrency.unwrap_or(DEFAULT_CONCURRENCY),
            per_minute,
            attempts: attempts.unwrap_or(DEFAULT_ATTEMPTS),
            quarantine_remote: quarantine_remote.unwrap_or_default(),
            quarantine_keep,
        }),
        _ => None,
    };
    ReadHook { name: name.unwrap_or_default(), on, folder, account, spots, settings }
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

fn call(block: &mut Block<'_, '_>) -> Option<Call> {
    let (has_run, has_url) = (block.has("run"), block.has("url"));
    let run_spot = block.spot_of("run");
    let first = Cell::new(true);
    let run = block.texts("run", |text| program(text, first.replace(false)));
    if let Some(spot) = run_spot
        && run.len() > MAX_ARGUMENTS
    {
        block.complain_at(&spot, Wrong::new(format!("more than {MAX_ARGUMENTS} arguments")));
    }
    let url = block.text("url", value::delivery_url);
    let url_only = || if has_run { Err(Wrong::new("this key goes with `url` only")) } else { Ok(()) };
    let expect_spot = block.spot_of("expect_status");
    let expect_status = block.number("expect_status", 100..=599).map(|status| status as u16);
    if let (Some(spot), Err(wrong)) = (expect_spot, url_only()) {
        block.complain_at(&spot, wrong);
    }
    let headers = block.pairs("headers", |name, text| url_only().and_then(|()| header(name, text)));
    let sign = block.text("sign", |text| url_only().and_then(|()| credential(text)));
    match (has_run, has_url) {
        (true, true) => block.complain(Wrong::new("both `run` and `url`: a hook is one or the other")),
        (false, false) => block.complain(
            Wrong::new("neither `run` nor `url`").hint("add run = [\"/path/to/program\"], or url = \"https://…\""),
        ),
        _ => {}
    }
    match url {
        Some(url) => Some(Call::Http { url, expect_status, headers, sign }),
        None => (!run.is_empty()).then_some(Call::Exec { run }),
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
