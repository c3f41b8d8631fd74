//! `agent config`: where the configuration is, whether it is right, and what it comes to.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone};
use crate::config::reference::{self, Key};
use crate::config::{Complaint, Config, ConfigError, Places, did_you_mean};
use crate::report::SCHEMA_VERSION;
use crate::settings::{AccountSettings, FolderSettings, MaxDelete};
use crate::telemetry::LogFormat;

/// Show where the configuration is, check it, or show it with its defaults
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent config check
  agent config show
  agent config reference
  agent config reference folder.keep_for")]
pub struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print where the configuration file is
    Path {
        /// Print JSON, with all other places of the installation
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration file, and list everything that is wrong with it
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Explain every key of the configuration file, or one
    Reference {
        /// A key, such as `keep_for` or `folder.keep_for`, or a table, such as `account`
        #[arg(value_name = "KEY")]
        key: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the configuration as it is understood, with its defaults
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Checked<'a> {
    schema: u32,
    valid: bool,
    path: String,
    complaints: &'a [Complaint],
}

/// Runs `agent config`.
pub fn config(args: &ConfigArgs, places: &Places, screen: &mut Screen) -> Outcome {
    match args.action {
        Action::Path { json: false } => screen.line(places.config_file.display())?,
        Action::Path { json: true } => screen.json(&json!({
            "schema": SCHEMA_VERSION,
            "installation": places.installation,
            "config": places.config_file,
            "state": places.state_dir,
            "credentials": places.credentials_dir(),
            "quarantine": places.quarantine_dir(),
            "socket": places.socket,
        }))?,
        Action::Check { json } => return check(places, json, screen),
        Action::Reference { ref key, json } => reference(key.as_deref(), json, screen)?,
        Action::Show { json } => {
            let mut document = document(&Config::load(places)?);
            if json {
                document["schema"] = json!(SCHEMA_VERSION);
                screen.json(&document)?;
            } else {
                let text = toml::to_string(&document)
                    .map_err(|error| Failure::error("cannot show the configuration").because(error))?;
                screen.line(text.trim_end())?;
            }
        }
    }
    Ok(Exit::Fine)
}

fn check(places: &Places, json: bool, screen: &mut Screen) -> Outcome {
    let path = places.config_file.display().to_string();
    match Config::load(places) {
        Ok(config) => {
            if json {
                screen.json(&Checked { schema: SCHEMA_VERSION, valid: true, path, complaints: &[] })?;
            } else if places.config_file.exists() {
                let (accounts, folders) = (config.accounts.len(), config.folders.len());
                screen.line(format_args!("{path} is right: accounts {accounts}, folders {folders}."))?;
            } else {
                screen.line(format_args!("There is no {path} yet, which is fine: nothing is configured."))?;
            }
            Ok(Exit::Fine)
        }
        Err(ConfigError::Wrong { complaints, .. }) if json => {
            screen.json(&Checked { schema: SCHEMA_VERSION, valid: false, path, complaints: &complaints })?;
            Ok(Exit::Config)
        }
        Err(error) => Err(error.into()),
    }
}

/// The width of what is explained.
const EXPLAINED_WIDTH: usize = 96;

fn reference(wanted: Option<&str>, json: bool, screen: &mut Screen) -> Outcome<()> {
    let keys: Vec<Key> = reference::keys()
        .into_iter()
        .filter(|key| wanted.is_none_or(|wanted| wanted == key.key || wanted == key.path() || wanted == key.table))
        .collect();
    if let (Some(wanted), true) = (wanted, keys.is_empty()) {
        let known = reference::keys();
        let failure = Failure::error(format!("there is no key `{wanted}`"));
        let last = wanted.rsplit('.').next().unwrap_or(wanted);
        return Err(match did_you_mean(last, known.iter().map(|key| key.key)) {
            Some(known) => failure.hint(format!("did you mean `{known}`?")),
            None => failure.hint("`agent config reference` lists them all"),
        });
    }
    if json {
        screen.json(&json!({ "schema": SCHEMA_VERSION, "keys": keys }))?;
        return Ok(());
    }
    let mut first = true;
    for (table, meaning) in reference::TABLES {
        let theirs: Vec<&Key> = keys.iter().filter(|key| key.table == table).collect();
        if theirs.is_empty() {
            continue;
        }
        if !std::mem::take(&mut first) {
            screen.line("")?;
        }
        let title = if table.is_empty() { "Top of the file".to_owned() } else { format!("[[{table}]]") };
        screen.line(screen.tint(Tone::Strong, title))?;
        for line in wrapped(meaning, EXPLAINED_WIDTH) {
            screen.line(line)?;
        }
        for key in theirs {
            screen.line("")?;
            screen.line(format_args!("  {}  ({})", screen.tint(Tone::Strong, key.key), reference::facts(key)))?;
            for line in wrapped(&key.meaning, EXPLAINED_WIDTH - 6) {
                screen.line(format_args!("      {line}"))?;
            }
            screen.line(format_args!("      {}", key.example))?;
        }
    }
    Ok(())
}

/// A text in lines of a width.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The configuration in the words of its file.
pub fn document(config: &Config) -> Value {
    let mut document = Map::new();
    if let Some(log) = &config.log {
        document.insert("log".to_owned(), json!(log));
    }
    if config.log_format != LogFormat::default() {
        document.insert("log_format".to_owned(), json!(config.log_format));
    }
    document.insert("account".to_owned(), config.accounts.iter().map(account).collect());
    document.insert("folder".to_owned(), config.folders.iter().map(folder).collect());
    Value::Object(document)
}

fn account(account: &AccountSettings) -> Value {
    let seconds = |duration: Option<std::time::Duration>| duration.map(|duration| format!("{}s", duration.as_secs()));
    without_nulls(json!({
        "name": account.name,
        "provider": account.provider,
        "api_url": account.api_url,
        "domain": account.domain,
        "stream": (account.provider == crate::settings::ProviderName::Box).then_some(account.stream),
        "suppress": (account.provider == crate::settings::ProviderName::Egnyte).then_some(account.suppress),
        "poll_min": seconds(account.poll_min),
        "poll_max": seconds(account.poll_max),
        "calls_per_day": account.calls_per_day,
        "calls_per_minute": account.calls_per_minute,
        "transfers": account.transfers,
        "bandwidth_down": account.bandwidth_down.as_ref().map(ToString::to_string),
        "bandwidth_up": account.bandwidth_up.as_ref().map(ToString::to_string),
        "quiet": account.quiet.as_ref().map(ToString::to_string),
        "ca_file": account.ca_file,
        "proxy": account.proxy,
    }))
}

fn folder(folder: &FolderSettings) -> Value {
    without_nulls(json!({
        "name": folder.name,
        "account": folder.account,
        "remote": folder.remote.to_string(),
        "local": folder.local,
        "mode": folder.mode,
        "include": folder.include,
        "exclude": folder.exclude,
        "default_ignore": folder.ignore.defaults,
        "keep_for": folder.keep_for.map(|duration| format!("{}s", duration.as_secs())),
        "keep_versions": folder.keep_versions,
        "versions_max": folder.versions_max,
        "on_drift": folder.on_drift,
        "on_local_delete": folder.on_local_delete,
        "file_mode": format!("{:04o}", folder.file_mode),
        "dir_mode": format!("{:04o}", folder.dir_mode),
        "min_free": folder.min_free,
        "max_delete": match folder.max_delete {
            MaxDelete::Off => json!("off"),
            MaxDelete::Percent(percent) => json!(format!("{percent}%")),
            MaxDelete::Files(files) => json!(files),
        },
    }))
}

/// The configuration file has no word for "nothing": such a key is left out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Surroundings;

    #[test]
    fn what_is_shown_says_the_same_when_it_is_read_again() {
        let places = Places::home(Path::new("/nowhere/home"), &Surroundings::default());
        let text = "log = 'warn'\n[[account]]\nname='a'\nprovider='egnyte'\ndomain='acme'\npoll_max='1h'\n\
                    [[account]]\nname='b'\nprovider='box'\nstream='all'\napi_url='http://127.0.0.1:1'\n\
                    [[folder]]\nname='f'\naccount='b'\nremote='/x'\nlocal='/srv/x'\nkeep_for='30d'\nmax_delete=7\n\
                    exclude=['*.tmp']\nfile_mode='0600'\nmin_free='1 GiB'\n";
        let config = Config::check(text, &places).unwrap();
        let shown = toml::to_string(&document(&config)).unwrap();
        assert_eq!(Config::check(&shown, &places), Ok(config), "{shown}");
    }
}
