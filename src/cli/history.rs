//! `agent test-hook`, `agent hook-runs` and `agent replay`: what a hook would do, what hooks did, and once more.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::agent;
use super::failure::{Exit, Failure, Outcome};
use super::render::now;
use super::render::{Screen, Tone, harmless, moment};
use crate::command::Command;
use crate::config::{Config, Places, Surroundings};
use crate::hook::document::{Document, FolderPart, ItemPart, SCHEMA};
use crate::hook::envelope;
use crate::hook::{Call, HookKind, HookSettings, Verdict, When};
use crate::local::hash;
use crate::report::{HookRunQuery, HookRunRow, Listing};
use crate::runner::{Order, Runner, Trust, exec};

/// Run a hook over a file, and show everything; nothing else is done
///
/// The hook really runs. Shown are the exact JSON document, the environment, the output, the verdict, and what would follow.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent test-hook scan ./eicar.com
  agent test-hook crm ./invoice.pdf --event file.deleted --dry-run
  agent test-hook crm ./invoice.pdf --json")]
pub struct TestHookArgs {
    /// The hook
    name: String,
    /// A local file to run it over
    file: PathBuf,
    /// What is said to have happened, such as file.created [default: the first kind that the hook listens to]
    #[arg(long, value_name = "KIND", value_parser = kind)]
    event: Option<HookKind>,
    /// Only show what the hook would be told; nothing is run and nothing is sent
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show what hooks did, and why
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent hook-runs
  agent hook-runs scan --failed
  agent hook-runs --run 17")]
pub struct HookRunsArgs {
    /// Only this hook's runs
    name: Option<String>,
    /// Only runs that did not allow, or were not heard
    #[arg(long)]
    failed: bool,
    /// Only this folder's
    #[arg(long)]
    folder: Option<String>,
    /// Only this run, with its output
    #[arg(long, value_name = "RUN")]
    run: Option<i64>,
    /// At most this many of the newest
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tell `after` hooks again, with the same delivery id
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["run", "failed"])))]
#[command(after_long_help = "Examples:
  agent replay 17
  agent replay --failed
  agent replay --failed --hook crm")]
pub struct ReplayArgs {
    /// The number of a run, as `agent hook-runs` shows it
    run: Option<i64>,
    /// Everything that was given up
    #[arg(long)]
    failed: bool,
    /// Only this hook's
    #[arg(long, requires = "failed")]
    hook: Option<String>,
}

fn kind(text: &str) -> Result<HookKind, String> {
    HookKind::parse(text).ok_or_else(|| "there is no such kind of event".to_owned())
}

/// What a hook would be told, for `--json`.
#[derive(Debug, serde::Serialize)]
struct Told {
    schema: u32,
    document: Document,
    environment: Vec<(String, String)>,
    /// The address and the headers of a request, without those that depend on secrets and on the moment.
    request: Option<Vec<String>>,
    /// What is sent, or said on standard input.
    body: String,
}

/// What `test-hook` found, for `--json`.
#[derive(Debug, serde::Serialize)]
struct Trial {
    schema: u32,
    document: Document,
    environment: Vec<(String, String)>,
    verdict: &'static str,
    follows: &'static str,
    exit_code: Option<i32>,
    signal: Option<i32>,
    status: Option<u16>,
    reason: Option<String>,
    output: String,
    took_ms: u64,
}

/// Runs `agent test-hook`.
pub async fn test_hook(args: TestHookArgs, places: &Places, around: &Surroundings, screen: &mut Screen) -> Outcome {
    let config = Config::load(places)?;
    let Some(hook) = config.hook(&args.name) else {
        let names: Vec<&str> = config.hooks.iter().map(|hook| hook.name.as_str()).collect();
        let there = if names.is_empty() {
            "there are none; `agent add-hook --help` shows how to add one".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        };
        return Err(Failure::error(format!("there is no hook named `{}`", args.name)).hint(there));
    };
    let file = around.current_dir.join(&args.file);
    let order = trial(hook, &config, file, args.event)?;
    if args.dry_run {
        return dry_run(hook, order, args.json, screen);
    }
    let runner = Runner::new(Trust::of(places.is_system()), &places.credentials_dir())
        .map_err(|error| Failure::error("hooks cannot be run").because(error))?;
    let outcome = runner.run(hook, &order).await;
    let environment = environment(hook, &order);
    let follows = match (hook.when, hook.policies.of(outcome.verdict), outcome.verdict) {
        (When::Before, None, _) => "it would be published",
        (When::Before, Some(policy), _) => match policy {
            crate::hook::Policy::Block => "it would stay out of sight, and the hook would be asked again",
            crate::hook::Policy::Quarantine => "it would go to quarantine",
            crate::hook::Policy::Allow => "it would be published all the same",
        },
        (When::After, _, Verdict::Allow) => "it would count as delivered",
        (When::After, ..) => "it would be told again later",
    };
    let trial = Trial {
        schema: crate::report::SCHEMA_VERSION,
        document: order.document,
        environment,
        verdict: outcome.verdict.word(),
        follows,
        exit_code: outcome.exit_code,
        signal: outcome.signal,
        status: outcome.status,
        reason: outcome.reason,
        output: outcome.output,
        took_ms: outcome.took.as_millis() as u64,
    };
    if args.json {
        screen.json(&trial)?;
        return Ok(Exit::Fine);
    }
    screen.line("The document:")?;
    screen.json(&trial.document)?;
    if !trial.environment.is_empty() {
        screen.line("The environment:")?;
        for (name, value) in &trial.environment {
            screen.line(format_args!("  {name}={}", harmless(value)))?;
        }
    }
    screen.line("The output:")?;
    for line in trial.output.lines() {
        screen.line(format_args!("  {}", harmless(line)))?;
    }
    let tone = if outcome.verdict == Verdict::Allow { Tone::Good } else { Tone::Warning };
    let verdict = screen.tint(tone, outcome.verdict);
    let because = trial.reason.map(|reason| format!(" ({})", harmless(&reason))).unwrap_or_default();
    screen.line(format_args!("The verdict: {verdict}{because}, after {} ms: {follows}.", trial.took_ms))?;
    Ok(Exit::Fine)
}

fn environment(hook: &HookSettings, order: &Order) -> Vec<(String, String)> {
    match hook.call {
        Call::Exec { worker: false, .. } => exec::environment(order, "RUN")
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_string_lossy().into_owned()))
            .collect(),
        Call::Exec { .. } | Call::Http { .. } | Call::Scan(_) => Vec::new(),
    }
}

fn dry_run(hook: &HookSettings, mut order: Order, json: bool, screen: &mut Screen) -> Outcome {
    let environment = environment(hook, &order);
    let (request, body) = match &hook.call {
        Call::Http { url, headers, format, .. } => {
            order.document.file = None;
            let wrapped = envelope::wrap(&order.document, *format);
            let mut lines = vec![format!("POST {url}"), format!("content-type: {}", wrapped.content_type)];
            lines.extend(headers.iter().map(|(name, text)| format!("{name}: {text}")));
            lines.extend(wrapped.headers.iter().map(|(name, text)| format!("{name}: {text}")));
            (Some(lines), wrapped.body)
        }
        Call::Scan(scanner) => (Some(vec![format!("the content goes to {scanner}")]), Vec::new()),
        Call::Exec { .. } => (None, order.document.to_json()),
    };
    let told = Told {
        schema: crate::report::SCHEMA_VERSION,
        document: order.document,
        environment,
        request,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    if json {
        screen.json(&told)?;
        return Ok(Exit::Fine);
    }
    for line in told.request.iter().flatten() {
        screen.line(harmless(line))?;
    }
    if !told.environment.is_empty() {
        screen.line("The environment:")?;
        for (name, value) in &told.environment {
            screen.line(format_args!("  {name}={}", harmless(value)))?;
        }
    }
    if !told.body.is_empty() {
        screen.line("The body:")?;
        screen.line(harmless(&told.body))?;
    }
    screen.line("Nothing was run and nothing was sent.")?;
    Ok(Exit::Fine)
}

fn trial(hook: &HookSettings, config: &Config, file: PathBuf, event: Option<HookKind>) -> Outcome<Order> {
    let cannot = |error: io::Error| Failure::error(format!("cannot read {}", file.display())).because(error);
    let content = hash::digest(File::open(&file).map_err(cannot)?, None).map_err(cannot)?;
    let name = file.file_name().unwrap_or_default().to_owned();
    let folder = hook.folder.as_deref().and_then(|folder| config.folder(folder)).or(config.folders.first());
    let kinds = HookKind::ALL.iter().filter(|kind| kind.is_decided() == (hook.when == When::Before));
    let kind = kinds.copied().find(|kind| hook.on.iter().any(|listen| listen.covers(*kind)));
    let document = Document {
        schema: SCHEMA,
        hook: hook.name.clone(),
        when: hook.when,
        event: event.or(kind).unwrap_or(HookKind::FileDownload),
        delivery: "test".into(),
        attempt: 1,
        at: now(),
        account: None,
        folder: folder.map(|folder| FolderPart {
            name: folder.name.clone(),
            local: folder.local.display().to_string(),
            remote: folder.remote.to_string(),
        }),
        item: Some(ItemPart {
            kind: "file".into(),
            path: name.to_string_lossy().into_owned(),
            size: Some(content.size),
            sha256: Some(content.sha256.to_string()),
            ..ItemPart::default()
        }),
        file: Some(file.display().to_string()),
        actor: None,
        message: None,
        depth: 0,
        causes: Vec::new(),
    };
    Ok(Order { document, path: Some(name), file: Some(file) })
}

/// Runs `agent hook-runs`.
pub fn hook_runs(args: HookRunsArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let rows = if let Some(reader) = agent::database(places)? {
        let query = HookRunQuery {
            hook: args.name,
            folder: args.folder,
            run: args.run,
            failed: args.failed,
            limit: args.limit,
        };
        reader.rows().hook_runs(&query)?
    } else {
        Vec::new()
    };
    if args.json {
        screen.json(&Listing::new(rows))?;
        return Ok(Exit::Fine);
    }
    if rows.is_empty() {
        screen.line("No runs.")?;
        return Ok(Exit::Fine);
    }
    if args.run.is_some() {
        for row in &rows {
            details(row, screen)?;
        }
        return Ok(Exit::Fine);
    }
    let rows = rows.into_iter().map(|row| {
        let said = row.output.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned);
        let said = said.or(row.reason).unwrap_or_default();
        let path = row.path.map(|path| harmless(&path)).unwrap_or_default();
        let took = format!("{} ms", row.took_ms);
        [row.run.to_string(), moment(row.at), row.hook, row.event, path, row.verdict, row.effect, took, harmless(&said)]
    });
    screen.table(["RUN", "WHEN", "HOOK", "EVENT", "PATH", "VERDICT", "SO", "TOOK", "IT SAID"], rows)?;
    Ok(Exit::Fine)
}

fn details(row: &HookRunRow, screen: &mut Screen) -> io::Result<()> {
    let path = row.path.as_deref().map(harmless).unwrap_or_default();
    screen.line(format_args!("run {} of hook `{}` ({}), {} {path}", row.run, row.hook, row.when, row.event))?;
    screen.line(format_args!("  {}, attempt {}, took {} ms", moment(row.at), row.attempt, row.took_ms))?;
    let how = [
        row.exit_code.map(|code| format!("exit code {code}")),
        row.signal.map(|signal| format!("signal {signal}")),
        row.status.map(|status| format!("status {status}")),
        row.reason.as_deref().map(harmless),
    ];
    let how: Vec<String> = how.into_iter().flatten().collect();
    screen.line(format_args!("  {}: {} ({})", row.verdict, row.effect, how.join(", ")))?;
    if let Some(delivery) = &row.delivery {
        screen.line(format_args!("  delivery {delivery}"))?;
    }
    for line in row.headers.iter().flat_map(|headers| headers.lines()) {
        screen.line(format_args!("  < {}", harmless(line)))?;
    }
    for line in row.output.lines() {
        screen.line(format_args!("  | {}", harmless(line)))?;
    }
    Ok(())
}

/// Runs `agent replay`.
pub async fn replay(args: ReplayArgs, places: &Places, screen: &mut Screen) -> Outcome {
    screen.line(agent::command(places, Command::ReplayHooks { run: args.run, hook: args.hook }).await?)?;
    Ok(Exit::Fine)
}
