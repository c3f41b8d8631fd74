//! One `[[subscription]]` block: who receives which events, and what happens when nobody does.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::super::raw::{Block, Source, Wrong, did_you_mean, list};
use super::super::value;
use super::hook::{credential, header};
use super::{Read, spots, unknown_account};
use crate::events::filter::{Disposition, EventFilter};
use crate::events::subscription::{Beginning, SubscriptionSettings, Target, WhenFull};
use crate::events::taxonomy::TypePattern;
use crate::settings::{AccountSettings, FolderSettings};

const WHEN_FULL: [(&str, WhenFull); 2] = [("block", WhenFull::Block), ("drop-oldest", WhenFull::DropOldest)];
const BEGINNINGS: [(&str, Beginning); 2] = [("now", Beginning::Now), ("oldest", Beginning::Oldest)];

pub const DEFAULT_BATCH: u32 = 100;
pub const MAX_BATCH: u32 = 1_000;
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_TIMEOUT: Duration = Duration::from_mins(10);
/// As many events as the journal keeps anyway.
pub const DEFAULT_BACKLOG: u32 = 100_000;
const MAX_BACKLOG: u32 = 10_000_000;
pub const DEFAULT_ROTATE_BYTES: u64 = 64 << 20;
const MIN_ROTATE_BYTES: u64 = 4 << 10;
pub const DEFAULT_KEEP: u32 = 5;
const MAX_KEEP: u32 = 1_000;
pub const DEFAULT_SUBJECT: &str = "agent.events.{account}";
const TARGETS: [&str; 4] = ["url", "nats", "file", "socket"];

/// Reads one block.
pub fn subscription(mut block: Block<'_, '_>) -> Read<SubscriptionSettings> {
    let name = block.required("name", value::name);
    if let Some(name) = &name {
        block.set_path(format!("subscription.{name}"));
    }
    let spots = spots(&block, &["name", "account", "folder"]);
    let account = block.text("account", value::name);
    let folder = block.text("folder", value::name);
    let types = block.texts("types", |text| event_type(text).map(drop));
    let paths = block.texts("match", value::pattern);
    let actor = block.text("actor", |text| Ok(text.to_owned()));
    let dispositions = block.texts("dispositions", |text| disposition(text).map(drop));
    let target = target(&mut block);
    let batch = block.number("batch", 1..=MAX_BATCH);
    let timeout = block.text("timeout", |text| match value::duration(text)? {
        limit if limit > MAX_TIMEOUT => Err(Wrong::new("no delivery may take longer than ten minutes")),
        limit => Ok(limit),
    });
    let backlog = block.number("backlog", 1..=MAX_BACKLOG);
    let when_full = block.text("when_full", |text| value::word(text, &WHEN_FULL));
    let beginning = block.text("from", |text| value::word(text, &BEGINNINGS));
    let raw = block.flag("raw");
    block.finish();

    let settings = name.clone().zip(target).map(|(name, target)| SubscriptionSettings {
        name,
        filter: EventFilter {
            account: account.clone(),
            folder: folder.clone(),
            types: types.iter().filter_map(|text| TypePattern::parse(text)).collect(),
            paths,
            actor,
            dispositions: dispositions.iter().filter_map(|text| Disposition::parse(text)).collect(),
            since: None,
            until: None,
        },
        target,
        batch: batch.unwrap_or(DEFAULT_BATCH),
        timeout: timeout.unwrap_or(DELIVERY_TIMEOUT),
        backlog: backlog.unwrap_or(DEFAULT_BACKLOG).into(),
        when_full: when_full.unwrap_or_default(),
        beginning: beginning.unwrap_or_default(),
        raw: raw.unwrap_or(false),
    });
    Read { name: name.unwrap_or_default(), account, spots, settings }
}

fn event_type(text: &str) -> Result<TypePattern, Wrong> {
    TypePattern::parse(text).ok_or_else(|| {
        let wrong = Wrong::new("there is no such type of event");
        match did_you_mean(text, TypePattern::known()) {
            Some(name) => wrong.hint(format!("did you mean \"{name}\"?")),
            None => wrong.hint("`agent events types` lists them"),
        }
    })
}

fn disposition(text: &str) -> Result<Disposition, Wrong> {
    Disposition::parse(text)
        .ok_or_else(|| Wrong::new(format!("expected one of {}", list(&Disposition::ALL.map(Disposition::word)))))
}

fn target(block: &mut Block<'_, '_>) -> Option<Target> {
    let named: Vec<&str> = TARGETS.into_iter().filter(|key| block.has(key)).collect();
    match named.len() {
        0 => block.complain(Wrong::new("nobody receives").hint("add one of url, nats, file and socket")),
        1 => {}
        _ => block
            .complain(Wrong::new(format!("more than one target: {}", list(&named))).hint("one subscription has one")),
    }
    let goes_with = |key: &'static str, named: &[&str]| {
        let fits = named.contains(&key);
        move || if fits { Ok(()) } else { Err(Wrong::new(format!("this key goes with `{key}` only"))) }
    };
    let with_url = goes_with("url", &named);
    let with_nats = goes_with("nats", &named);
    let with_file = goes_with("file", &named);
    let url = block.text("url", value::delivery_url);
    let headers = block.pairs("headers", |name, text| with_url().and_then(|()| header(name, text)));
    let sign = block.text("sign", |text| with_url().and_then(|()| credential(text)));
    let nats = block.text("nats", nats_url);
    let subject = block.text("subject", |text| with_nats().and_then(|()| subject(text)));
    let nats_credential = block.text("credential", |text| with_nats().and_then(|()| credential(text)));
    let file = block.text("file", value::file);
    let rotate = block.text_or_number("rotate", |text| match with_file().and_then(|()| value::size(text))? {
        bytes if bytes < MIN_ROTATE_BYTES => Err(Wrong::new("a file holds at least 4 KiB")),
        bytes => Ok(bytes),
    });
    let keep_spot = block.spot_of("keep");
    let keep = block.number("keep", 0..=MAX_KEEP);
    if let (Some(spot), Err(wrong)) = (keep_spot, with_file()) {
        block.complain_at(&spot, wrong);
    }
    let socket: Option<PathBuf> = block.text("socket", value::file);
    if named.len() != 1 {
        return None;
    }
    if let Some(url) = url {
        return Some(Target::Webhook { url, headers, sign });
    }
    if let Some(url) = nats {
        let subject = subject.unwrap_or_else(|| DEFAULT_SUBJECT.to_owned());
        return Some(Target::Nats { url, subject, credential: nats_credential });
    }
    if let Some(path) = file {
        let rotate_bytes = rotate.unwrap_or(DEFAULT_ROTATE_BYTES);
        return Some(Target::File { path, rotate_bytes, keep: keep.unwrap_or(DEFAULT_KEEP) });
    }
    socket.map(|path| Target::Socket { path })
}

fn nats_url(text: &str) -> Result<String, Wrong> {
    let hint = "write \"nats://HOST:4222\", or \"tls://HOST:4222\"";
    let url = Url::parse(text).map_err(|error| Wrong::new(error.to_string()).hint(hint).secret())?;
    if !matches!(url.scheme(), "nats" | "tls") || url.host_str().is_none() {
        return Err(Wrong::new("this is no address of a NATS server").hint(hint));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("secrets are never kept in this file")
            .hint("write credential = \"credential:NAME\", and put user:password into credentials/hooks/NAME of the state directory")
            .secret());
    }
    Ok(text.to_owned())
}

fn subject(text: &str) -> Result<String, Wrong> {
    let plain = text.replace("{account}", "x").replace("{folder}", "x").replace("{type}", "x");
    let is_good = plain.split('.').all(|token| {
        !token.is_empty() && token.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"*>{}".contains(c))
    });
    if is_good {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("this is no subject")
        .hint("write words with full stops between them; {account}, {folder} and {type} are filled in"))
}

/// What the blocks say together: references.
pub fn together(
    source: &Source<'_>,
    subscriptions: &[Read<SubscriptionSettings>],
    accounts: &[Read<AccountSettings>],
    folders: &[Read<FolderSettings>],
) {
    let account_names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
    let folder_names: Vec<&str> = folders.iter().map(|folder| folder.name.as_str()).collect();
    for read in subscriptions {
        let Some(settings) = &read.settings else { continue };
        if let Some(account) = settings.filter.account.as_deref().filter(|name| !account_names.contains(name)) {
            read.spots["account"].complain(source, unknown_account(account, &account_names));
        }
        if let Some(folder) = settings.filter.folder.as_deref().filter(|name| !folder_names.contains(name)) {
            let wrong = Wrong::new("there is no such folder");
            let wrong = match did_you_mean(folder, folder_names.iter().copied()) {
                Some(name) => wrong.hint(format!("did you mean \"{name}\"?")),
                None => wrong.hint("leave it out to receive the events of all folders and of none"),
            };
            read.spots["folder"].complain(source, wrong);
        }
    }
}
