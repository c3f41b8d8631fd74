//! `agent add-hook`, `agent hooks`, `agent set-hook` and `agent remove-hook`.

use std::fmt::Write as _;
use std::path::Path;

use clap::{ArgGroup, Args, ValueEnum};

use super::agent;
use super::failure::{Exit, Failure, Outcome};
use super::folders::{is_kind, key_and_value, setting, tell_agent};
use super::render::{Screen, Tone, age, count, now};
use crate::config::edit::{Editor, Kind, Setting};
use crate::config::reference::Kind as ValueKind;
use crate::config::{Config, Places};
use crate::hook::{Act, Call, Format, HookSettings, Scanner, When};
use crate::report::Listing;
use crate::runner::{Runner, Trust};
use crate::store::hooks::HookRecord;
use crate::tree::Wall;

/// Where the package puts its hooks.
pub const SHIPPED_HOOKS_DIR: &str = "/usr/libexec/folder-sync-agent/hooks";
/// How long a verdict of `--scan` holds: signatures change.
const SCAN_REMEMBERED: &str = "24h";

/// Whether a hook decides or reacts, as the command line says it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum WhenArg {
    /// It decides, and everything waits for it
    Before,
    /// It reacts to what has happened
    After,
}

/// Have a program or a server called
///
/// A `before` hook decides: a file that it does not allow is never published. An `after` hook is told what has happened, at
/// least once. A program gets a JSON document on standard input and AGENT_* variables; there is no shell. A server gets the
/// same document by POST.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("call").required(true).args(["run", "url", "scan"])))]
#[command(after_long_help = "Examples:
  agent add-hook scan --scan clamd
  agent add-hook dlp --scan icaps://dlp.example.com/respmod --folder inbox
  agent add-hook rules --when before --on file.download --worker \\
      --run /usr/libexec/folder-sync-agent/hooks/yara-worker /etc/rules.yar
  agent add-hook crm --when after --on file.created --on file.updated --match '*.pdf' \\
      --url https://crm.example.com/in --sign crm-key
  agent add-hook log --when after --on '*' --run /usr/bin/logger -t agent")]
pub struct AddHookArgs {
    /// What to call the hook
    name: String,
    /// Whether it decides or reacts [with --scan: before]
    #[arg(long, value_enum, required_unless_present = "scan")]
    when: Option<WhenArg>,
    /// A kind of event such as file.created, a group such as 'file.*', or '*'; may be repeated [with --scan: file.download file.upload]
    #[arg(long, value_name = "KIND", required_unless_present = "scan")]
    on: Vec<String>,
    /// Only what is created, updated, deleted, renamed, moved or restored; may be repeated
    #[arg(long = "action", value_name = "ACTION", value_parser = Act::ALL.map(Act::word))]
    actions: Vec<String>,
    /// A scanner in its own protocol: clamd, clamd:/path/of/socket, clamd://host:port, icap://host/service or icaps://…
    #[arg(long, value_name = "SCANNER")]
    scan: Option<String>,
    /// The program stays, and is asked about one file after the other: a document a line, a verdict a line
    #[arg(long, requires = "run")]
    worker: bool,
    /// The program and its arguments; the last option, as everything behind it is an argument
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true)]
    run: Vec<String>,
    /// The server
    #[arg(long)]
    url: Option<String>,
    /// The status that means "allowed" [default: any 2xx]
    #[arg(long, value_name = "STATUS", requires = "url")]
    expect_status: Option<u16>,
    /// A further header, as NAME=VALUE; a secret is written credential:NAME; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "url", value_parser = key_and_value)]
    header: Vec<(String, String)>,
    /// The credential that signs each delivery
    #[arg(long, value_name = "CREDENTIAL", requires = "url")]
    sign: Option<String>,
    /// How the document is wrapped [default: document]
    #[arg(long, requires = "url", value_parser = Format::WORDS.map(|(word, _)| word))]
    format: Option<String>,
    /// The proxy for this server
    #[arg(long, value_name = "URL", requires = "url")]
    proxy: Option<String>,
    /// Certificates that are trusted, in PEM
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    ca_file: Option<String>,
    /// The credential with our own certificate and its key, in PEM
    #[arg(long, value_name = "CREDENTIAL", requires = "url")]
    client_cert: Option<String>,
    /// Only this folder
    #[arg(long)]
    folder: Option<String>,
    /// Only this account
    #[arg(long)]
    account: Option<String>,
    /// Only paths that match this gitignore pattern; may be repeated
    #[arg(long = "match", value_name = "PATTERN")]
    patterns: Vec<String>,
    /// How long one run may take [default: 120s]
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// What follows if the hook does not work: block, quarantine or allow [default: block]
    #[arg(long, value_name = "POLICY")]
    on_error: Option<String>,
    /// What follows if the hook takes too long [default: block]
    #[arg(long, value_name = "POLICY")]
    on_timeout: Option<String>,
    /// What follows if the hook cannot look into a file [default: block]
    #[arg(long, value_name = "POLICY")]
    on_unscannable: Option<String>,
    /// What follows if the hook rejects [default: quarantine]
    #[arg(long, value_name = "POLICY")]
    on_reject: Option<String>,
    /// How long a verdict holds for the same content [default: not at all]
    #[arg(long, value_name = "TIME")]
    remember: Option<String>,
    /// Also examine what is in the folder already [with --scan it is so]
    #[arg(long)]
    scan_existing: bool,
    /// Examine everything again after this long, or when the scanner has other signatures ("signatures"); may be repeated
    #[arg(long, value_name = "TIME|signatures")]
    rescan: Vec<String>,
}

/// List the hooks
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent hooks
  agent hooks --json")]
pub struct HooksArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Change settings of a hook
///
/// The configuration file is edited in place, and a running agent takes the change at once. A key without a value goes back
/// to its default. A key that holds a list may be given several times.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent set-hook scan timeout=5m on_timeout=quarantine
  agent set-hook crm match='*.pdf' match='*.docx'
  agent set-hook scan quarantine_remote=move:/Quarantine")]
pub struct SetHookArgs {
    /// The hook
    name: String,
    /// Keys of the configuration file with their new values
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = key_and_value)]
    settings: Vec<(String, String)>,
}

/// Remove a hook
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  agent remove-hook scan-inbox")]
pub struct RemoveHookArgs {
    /// The hook
    name: String,
}

fn text(text: impl Into<String>) -> Setting {
    Setting::Text(text.into())
}

/// Runs `agent add-hook`.
pub async fn add_hook(args: AddHookArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let mut settings = vec![("name", text(&args.name))];
    let when = args.when.map(|when| match when {
        WhenArg::Before => "before".to_owned(),
        WhenArg::After => "after".to_owned(),
    });
    let texts = [
        ("when", when),
        ("scan", args.scan),
        ("format", args.format),
        ("proxy", args.proxy),
        ("ca_file", args.ca_file),
        ("client_cert", args.client_cert.map(|name| format!("credential:{name}"))),
        ("folder", args.folder),
        ("account", args.account),
        ("url", args.url),
        ("sign", args.sign.map(|name| format!("credential:{name}"))),
        ("timeout", args.timeout),
        ("on_reject", args.on_reject),
        ("on_error", args.on_error),
        ("on_timeout", args.on_timeout),
        ("on_unscannable", args.on_unscannable),
        ("remember", args.remember),
    ];
    settings.extend(texts.into_iter().filter_map(|(key, value)| Some((key, text(value?)))));
    let lists = [
        ("on", args.on),
        ("action", args.actions),
        ("match", args.patterns),
        ("run", args.run),
        ("rescan", args.rescan),
    ];
    settings
        .extend(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(key, list)| (key, Setting::List(list))));
    let flags = [("worker", args.worker), ("scan_existing", args.scan_existing)];
    settings.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| (key, Setting::Flag(true))));
    settings.extend(args.expect_status.map(|status| ("expect_status", Setting::Number(status.into()))));
    if !args.header.is_empty() {
        settings.push(("headers", Setting::Pairs(args.header)));
    }
    let mut editor = Editor::open(places)?;
    editor.add(Kind::Hook, &settings);
    let config = editor.check()?;
    if let Some(hook) = config.hook(&args.name) {
        check_program(hook, places)?;
    }
    editor.save()?;
    screen.line(format_args!("Added hook `{}`. Try it: agent test-hook {0} FILE", args.name))?;
    tell_reach(&config, &args.name, places, screen).await?;
    tell_agent(places, screen).await;
    Ok(Exit::Fine)
}

/// Says what a new hook's scanner does not look into, where it is one that is silent about that.
pub async fn tell_reach(config: &Config, name: &str, places: &Places, screen: &mut Screen) -> Outcome<()> {
    let Some(hook) = config.hook(name) else { return Ok(()) };
    let Ok(runner) = Runner::new(Trust::of(places.is_system()), &places.credentials_dir()) else { return Ok(()) };
    if let Some((text, false)) = runner.reach(hook).await {
        screen.line(format_args!("Scanner `{}`: {text}.", hook.name))?;
    }
    Ok(())
}

/// The settings of the hook that `add-folder --scan` adds.
pub fn scan_hook(scanner: &str, folder: &str, config: &Config) -> Outcome<Vec<(&'static str, Setting)>> {
    let call = if Scanner::parse(scanner).is_ok() {
        ("scan", text(scanner))
    } else if scanner == "clamscan" {
        ("run", Setting::List(vec![format!("{}/clamscan-scan", hooks_dir())]))
    } else if Path::new(scanner).is_absolute() {
        ("run", Setting::List(vec![scanner.to_owned()]))
    } else {
        return Err(Failure::new(Exit::Usage, format!("`{scanner}` is no scanner that we know")).hint(
            "write clamd, clamd:/path/of/socket, icap://host/service, clamscan, or the absolute path of a program",
        ));
    };
    let mut name = format!("scan-{folder}");
    while config.hook(&name).is_some() {
        name.push_str("-2");
    }
    // Both ways: what comes down and what goes up.
    Ok(vec![
        ("name", text(name)),
        ("when", text("before")),
        ("on", Setting::List(vec!["file.download".into(), "file.upload".into()])),
        ("folder", text(folder)),
        call,
        ("remember", text(SCAN_REMEMBERED)),
        ("scan_existing", Setting::Flag(true)),
    ])
}

/// The package's hooks; those of the source tree where there is no package, for developers.
fn hooks_dir() -> String {
    std::env::var("AGENT_HOOKS_DIR").unwrap_or_else(|_| SHIPPED_HOOKS_DIR.to_owned())
}

/// Refuses a program now that would be refused at every run.
pub fn check_program(hook: &HookSettings, places: &Places) -> Outcome<()> {
    let Call::Exec { run, .. } = &hook.call else { return Ok(()) };
    let Some(program) = run.first() else { return Ok(()) };
    Trust::of(places.is_system()).check(Path::new(program)).map(drop).map_err(|why| {
        Failure::error(why).hint(
            "a hook's program, and every directory above it, belongs to root or to you, and others cannot write there",
        )
    })
}

/// One hook, for `--json`.
#[derive(Debug, serde::Serialize)]
struct HookReport {
    name: String,
    when: When,
    on: Vec<String>,
    folder: Option<String>,
    account: Option<String>,
    calls: String,
    /// Deliveries that are to be told.
    waiting: u64,
    /// Deliveries that were given up.
    dead: u64,
    /// What is wrong with its program.
    problem: Option<String>,
    /// When it last ran.
    last_run: Option<Wall>,
    /// The verdict of that run.
    last_verdict: Option<String>,
    /// Runs of the last day.
    runs_24h: u64,
    /// Those that failed or took too long.
    failures_24h: u64,
    /// Those that rejected.
    rejected_24h: u64,
    /// Failures since the last run that worked.
    failures_in_a_row: u64,
}

/// Runs `agent hooks`.
pub fn hooks(args: &HooksArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let config = Config::load(places)?;
    let reader = agent::database(places)?;
    let mut rows = Vec::new();
    for hook in &config.hooks {
        let (waiting, dead) = match &reader {
            Some(reader) => reader.rows().deliveries_of(&hook.name)?,
            None => (0, 0),
        };
        let record = match &reader {
            Some(reader) => reader.rows().hook_record(&hook.name, now())?,
            None => HookRecord::default(),
        };
        rows.push(HookReport {
            name: hook.name.clone(),
            when: hook.when,
            on: hook.on.iter().map(ToString::to_string).collect(),
            folder: hook.folder.clone(),
            account: hook.account.clone(),
            calls: match &hook.call {
                Call::Exec { run, .. } => run.join(" "),
                Call::Scan(scanner) => scanner.to_string(),
                Call::Http { url, .. } => url.to_string(),
            },
            waiting,
            dead,
            problem: check_program(hook, places).err().map(|failure| failure.to_string()),
            last_run: record.last.as_ref().map(|(at, ..)| *at),
            last_verdict: record.last.map(|(_, verdict, _)| verdict),
            runs_24h: record.runs,
            failures_24h: record.failures,
            rejected_24h: record.rejected,
            failures_in_a_row: record.in_a_row,
        });
    }
    if args.json {
        screen.json(&Listing::new(rows))?;
        return Ok(Exit::Fine);
    }
    if rows.is_empty() {
        screen.line("No hook yet. Add one with: agent add-hook NAME --when before|after --on KIND --run PROGRAM")?;
        return Ok(Exit::Fine);
    }
    for row in rows.iter().filter(|row| row.problem.is_some()) {
        screen.remark(
            Tone::Warning,
            "warning",
            &format!("hook `{}`: {}", row.name, row.problem.as_deref().unwrap_or("")),
        );
    }
    let rows = rows.into_iter().map(|row| {
        let of = row.folder.or(row.account).unwrap_or_else(|| "all".into());
        let last = match (row.last_run, row.last_verdict) {
            (Some(at), Some(verdict)) => format!("{verdict}, {}", age(at, now())),
            _ => "never".to_owned(),
        };
        let mut day =
            format!("{}, {} failed, {} rejected", count(row.runs_24h, "run"), row.failures_24h, row.rejected_24h);
        if row.failures_in_a_row > 1 {
            let _ = write!(day, "; the last {} failed", row.failures_in_a_row);
        }
        let queue = match row.when {
            When::Before => "-".to_owned(),
            When::After => format!("{} waiting, {} given up", row.waiting, row.dead),
        };
        [row.name, row.when.word().to_owned(), row.on.join(" "), of, row.calls, last, day, queue]
    });
    screen.table(["HOOK", "WHEN", "ON", "OF", "CALLS", "LAST RUN", "LAST 24 H", "DELIVERIES"], rows)?;
    screen
        .line("The history of one: agent hook-runs HOOK. What it would be told: agent test-hook HOOK FILE --dry-run")?;
    Ok(Exit::Fine)
}

/// Runs `agent set-hook`.
pub async fn set_hook(args: SetHookArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let mut editor = Editor::open(places)?;
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in &args.settings {
        if keys.contains(&key.as_str()) {
            if !is_kind("hook", key, ValueKind::List) {
                return Err(Failure::new(Exit::Usage, format!("`{key}` is given twice")).hint("give it once"));
            }
            continue;
        }
        keys.push(key);
    }
    for key in &keys {
        if *key == "name" {
            return Err(Failure::error("the name of a hook cannot be changed")
                .hint("its history goes by its name: remove the hook and add another"));
        }
        let values: Vec<String> = args
            .settings
            .iter()
            .filter(|(other, value)| other == key && !value.is_empty())
            .map(|(_, value)| value.clone())
            .collect();
        let setting = setting("hook", key, values)?;
        editor.set(Kind::Hook, &args.name, key, &setting)?;
    }
    editor.save()?;
    screen.line(format_args!("Changed {} of hook `{}`.", keys.join(", "), args.name))?;
    tell_agent(places, screen).await;
    Ok(Exit::Fine)
}

/// Runs `agent remove-hook`.
pub async fn remove_hook(args: &RemoveHookArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let mut editor = Editor::open(places)?;
    editor.remove(Kind::Hook, &args.name)?;
    editor.save()?;
    screen.line(format_args!("Removed hook `{}`. What it was still to be told is given up.", args.name))?;
    tell_agent(places, screen).await;
    Ok(Exit::Fine)
}
