//! `agent subscribe`, `agent subscriptions` and `agent unsubscribe`: events passed on to other systems.

use std::io;

use clap::{ArgGroup, Args, Subcommand};

use super::agent::{self, Agent};
use super::events::{disposition as parse_disposition, event_type as parse_event_type, time as parse_time};
use super::failure::{Exit, Outcome};
use super::folders::{key_and_value, tell_agent};
use super::render::{Screen, Tone, age, count, harmless, now};
use crate::command::Command;
use crate::config::edit::{Editor, Kind, Setting};
use crate::config::{Config, Places};
use crate::report::{Listing, SubscriptionState, SubscriptionStatus};

/// Pass events on: to a server, a NATS stream, a file or a Unix socket
///
/// A subscription is durable: it has its own place in the journal, receives every event that it wants at least once, in order, and waits for
/// a target that is not there. The agent never waits for it. `agent events schema` describes what it receives.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("target").required(true).args(["url", "nats", "file", "socket"])))]
#[command(after_long_help = "Examples:
  agent subscribe audit --file /var/log/agent-events.jsonl --rotate '64 MiB' --keep 10
  agent subscribe crm --url https://crm.example.com/in --sign crm-key --type 'item.*' --folder inbox
  agent subscribe bus --nats nats://127.0.0.1:4222 --subject 'box.{account}.{type}' --from oldest
  agent subscribe local --socket /run/consumer.sock --raw

A webhook gets {\"schema\":1,\"subscription\":…,\"delivery\":…,\"events\":[…]} and takes it with any
2xx. A socket gets one document a line, and answers each batch with a line that holds the id of its
last document. Secrets are named, never written: the value of --sign NAME or --credential NAME is in
credentials/hooks/NAME of the state directory.")]
pub struct SubscribeArgs {
    /// What to call it
    name: String,
    /// A server that gets batches by POST
    #[arg(long)]
    url: Option<String>,
    /// A further header, as NAME=VALUE; a secret is written credential:NAME; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "url", value_parser = key_and_value)]
    header: Vec<(String, String)>,
    /// The credential that signs each delivery
    #[arg(long, value_name = "CREDENTIAL", requires = "url")]
    sign: Option<String>,
    /// A NATS server with JetStream
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// The subject; {account}, {folder} and {type} are filled in [default: agent.events.{account}]
    #[arg(long, requires = "nats")]
    subject: Option<String>,
    /// The credential with user:password, a token, or the content of a .creds file
    #[arg(long, value_name = "CREDENTIAL", requires = "nats")]
    credential: Option<String>,
    /// A file with one JSON document a line
    #[arg(long, value_name = "PATH")]
    file: Option<String>,
    /// How long the file may become before it is put aside [default: 64 MiB]
    #[arg(long, value_name = "SIZE", requires = "file")]
    rotate: Option<String>,
    /// How many files that were put aside stay [default: 5]
    #[arg(long, value_name = "N", requires = "file")]
    keep: Option<u32>,
    /// A Unix socket on which the receiver listens
    #[arg(long, value_name = "PATH")]
    socket: Option<String>,
    /// Only events of this account
    #[arg(long)]
    account: Option<String>,
    /// Only events of this folder
    #[arg(long)]
    folder: Option<String>,
    /// Only events of this type, such as item.uploaded or 'share.*'; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = parse_event_type)]
    types: Vec<String>,
    /// Only events at paths that match this gitignore pattern; may be repeated
    #[arg(long = "match", value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Only events by this person: part of a name, or the provider's id
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// Only events that this became of when they came; may be repeated
    #[arg(long = "disposition", value_name = "WHAT", value_delimiter = ',', value_parser = parse_disposition)]
    dispositions: Vec<String>,
    /// Begin with the next event, or with the oldest that is kept [default: now]
    #[arg(long, value_name = "now|oldest")]
    from: Option<String>,
    /// Each event also as it came from the provider
    #[arg(long)]
    raw: bool,
    /// Events in one delivery at most [default: 100]
    #[arg(long, value_name = "N")]
    batch: Option<u32>,
    /// How long one delivery may take [default: 30s]
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// Events kept for it at most while its target is not there [default: 100000]
    #[arg(long, value_name = "N")]
    backlog: Option<u32>,
    /// What happens beyond that: block (the oldest are kept) or drop-oldest; either way the gap is told [default: block]
    #[arg(long, value_name = "POLICY")]
    when_full: Option<String>,
}

/// List the subscriptions and how they are, or deliver again
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_long_help = "Examples:
  agent subscriptions
  agent subscriptions replay bus --since 2h
  agent subscriptions replay audit --after 1200")]
pub struct SubscriptionsArgs {
    #[command(subcommand)]
    command: Option<SubscriptionsCommand>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum SubscriptionsCommand {
    Replay(ReplayArgs),
}

/// Deliver again what was delivered before, as far back as the journal goes
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").required(true).args(["since", "after", "all"])))]
struct ReplayArgs {
    /// The subscription
    name: String,
    /// What was received since then: a time, a date, or a span such as 2h
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<i64>,
    /// What came after the event with this number in the journal
    #[arg(long, value_name = "ID")]
    after: Option<i64>,
    /// Everything that is kept
    #[arg(long)]
    all: bool,
}

/// Remove a subscription and its place in the journal
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  agent unsubscribe bus")]
pub struct UnsubscribeArgs {
    /// The subscription
    name: String,
}

/// One line of `agent subscriptions --json`.
#[derive(Debug, serde::Serialize)]
struct SubscriptionReport {
    #[serde(flatten)]
    status: SubscriptionStatus,
    target: &'static str,
    place: String,
}

fn text(text: impl Into<String>) -> Setting {
    Setting::Text(text.into())
}

/// Runs `agent subscribe`.
pub async fn subscribe(args: SubscribeArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let absolute = |path: Option<String>| {
        path.map(|path| std::path::absolute(&path).map_or(path, |path| path.to_string_lossy().into_owned()))
    };
    let named = |name: Option<String>| name.map(|name| format!("credential:{name}"));
    let mut settings = vec![("name", text(&args.name))];
    let texts = [
        ("url", args.url),
        ("sign", named(args.sign)),
        ("nats", args.nats),
        ("subject", args.subject),
        ("credential", named(args.credential)),
        ("file", absolute(args.file)),
        ("rotate", args.rotate),
        ("socket", absolute(args.socket)),
        ("account", args.account),
        ("folder", args.folder),
        ("actor", args.actor),
        ("from", args.from),
        ("timeout", args.timeout),
        ("when_full", args.when_full),
    ];
    settings.extend(texts.into_iter().filter_map(|(key, value)| Some((key, text(value?)))));
    let lists = [("types", args.types), ("match", args.patterns), ("dispositions", args.dispositions)];
    settings
        .extend(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(key, list)| (key, Setting::List(list))));
    let numbers = [("keep", args.keep), ("batch", args.batch), ("backlog", args.backlog)];
    settings.extend(numbers.into_iter().filter_map(|(key, number)| Some((key, Setting::Number(number?.into())))));
    if !args.header.is_empty() {
        settings.push(("headers", Setting::Pairs(args.header)));
    }
    if args.raw {
        settings.push(("raw", Setting::Flag(true)));
    }
    let mut editor = Editor::open(places)?;
    editor.add(Kind::Subscription, &settings);
    editor.save()?;
    screen.line(format_args!("Added subscription `{}`. See how it is: agent subscriptions", args.name))?;
    tell_agent(places, screen).await;
    Ok(Exit::Fine)
}

/// Runs `agent subscriptions`.
pub async fn subscriptions(args: SubscriptionsArgs, places: &Places, screen: &mut Screen) -> Outcome {
    if let Some(SubscriptionsCommand::Replay(replay)) = args.command {
        let after = replay.after.or(replay.all.then_some(0));
        let command = Command::ReplaySubscription { name: replay.name, after, since_ms: replay.since };
        screen.line(agent::command(places, command).await?)?;
        return Ok(Exit::Fine);
    }
    let config = Config::load(places)?;
    let status = Agent::find(places).await?.status().await?;
    let rows: Vec<SubscriptionReport> = status
        .subscriptions
        .into_iter()
        .map(|status| {
            let target = config.subscription(&status.name).map(|settings| &settings.target);
            SubscriptionReport {
                target: target.map_or("none", |target| target.word()),
                place: target.map(|target| target.place()).unwrap_or_default(),
                status,
            }
        })
        .collect();
    if args.json {
        screen.json(&Listing::new(rows))?;
        return Ok(Exit::Fine);
    }
    if rows.is_empty() {
        let text = match config.subscriptions.len() {
            0 => "No subscription yet. Add one with: agent subscribe NAME --file PATH".to_owned(),
            more => {
                format!("{}; the agent has not run since. Start it with: agent run", count(more as u64, "subscription"))
            }
        };
        screen.line(text)?;
        return Ok(Exit::Fine);
    }
    let moment = now();
    for row in &rows {
        show_trouble(&row.status, screen)?;
    }
    let rows = rows.into_iter().map(|row| {
        let status = row.status;
        let last = status.delivered_at.map_or_else(|| "-".to_owned(), |at| age(at, moment));
        let delivered = match status.lost {
            0 => status.delivered.to_string(),
            lost => format!("{}, {lost} lost", status.delivered),
        };
        let state = status.state.words().to_owned();
        [status.name, state, status.waiting.to_string(), delivered, last, format!("{} {}", row.target, row.place)]
    });
    screen.table(["SUBSCRIPTION", "STATE", "WAITING", "DELIVERED", "LAST", "TARGET"], rows)?;
    Ok(Exit::Fine)
}

/// What is wrong with a subscription, if anything is.
pub fn show_trouble(status: &SubscriptionStatus, screen: &mut Screen) -> io::Result<()> {
    let is_full = matches!(status.state, SubscriptionState::Blocked | SubscriptionState::Dropping);
    if status.failures == 0 && !is_full {
        return Ok(());
    }
    let moment = now();
    let mark = format!("✗ subscription {}: {}", status.name, status.state.words());
    let name = screen.tint(Tone::Bad, harmless(&mark));
    let since = status.since.map(|since| format!(", since {}", age(since, moment))).unwrap_or_default();
    let reason = status.reason.as_deref().map(|reason| format!(": {}", harmless(reason))).unwrap_or_default();
    screen.line(format_args!("{name}{reason}{since}"))?;
    let again = status.next_try.map(|at| format!("tried again {}; ", age(at, moment))).unwrap_or_default();
    let kept = format!("{} wait, at most {} are kept", count(status.waiting, "event"), status.backlog);
    screen.line(format_args!("  → {again}{kept}"))
}

/// Runs `agent unsubscribe`.
pub async fn unsubscribe(args: &UnsubscribeArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let mut editor = Editor::open(places)?;
    editor.remove(Kind::Subscription, &args.name)?;
    editor.save()?;
    screen
        .line(format_args!("Removed subscription `{}`. What it had not received stays in the journal.", args.name))?;
    tell_agent(places, screen).await;
    Ok(Exit::Fine)
}
