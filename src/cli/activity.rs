//! `agent activity`: who did what lately, and what became of it here; also of a remote folder that nobody watches.

use std::io;
use std::time::Duration;

use clap::Args;

use super::agent::{self, Agent};
use super::cloud::{account, connect};
use super::events::time;
use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone, harmless, moment, now};
use crate::config::{Config, Places};
use crate::events::filter::Disposition;
use crate::events::taxonomy;
use crate::provider::TimeSpan;
use crate::report::{ActivityRow, EventQuery, EventRow, Listing, MAX_ROWS};
use crate::shown::{is_number, person};
use crate::tree::Wall;

/// Rows shown if nobody says how many.
const DEFAULT_ROWS: u32 = 30;
/// How far back a folder is looked at that nobody watches, if nobody says.
const DEFAULT_SPAN_MS: i64 = 24 * 3_600 * 1_000;
/// Pages read of a provider's stream at most.
const PAGES_MOST: u32 = 1_000;
/// People whose names are asked for.
const PEOPLE_MOST: usize = 10;
/// How often new activity is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Show recent activity: when, who, what, where, and what became of it here
///
/// Without a name, of all watched folders. A remote path such as /Shared/Plans means a folder that need not be watched: its provider is asked
/// for what it still keeps.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent activity
  agent activity inbox --since 2h
  agent activity -f
  agent activity /Shared/Plans --account office --since 2026-01-31")]
pub struct ActivityArgs {
    /// A watched folder, or a remote path
    folder: Option<String>,
    /// The account of a remote path, if there is more than one
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only what happened since then: a time, a date, or a span such as 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// At most this many of the newest
    #[arg(long, value_name = "N", default_value_t = DEFAULT_ROWS)]
    limit: u32,
    /// Go on showing what happens until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Print JSON; with --follow, one object a line
    #[arg(long)]
    json: bool,
}

/// Runs `agent activity`.
pub async fn activity(args: &ActivityArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let remote = args.folder.as_deref().filter(|folder| folder.starts_with('/'));
    let rows = if let Some(path) = remote {
        of_remote(args, path, places).await?
    } else {
        if let Some(name) = &args.folder {
            known(name, places)?;
        }
        recent(args.folder.as_deref(), args.since, args.limit, places).await?
    };
    if args.json && !args.follow {
        screen.json(&Listing::new(rows))?;
        return Ok(Exit::Fine);
    }
    if rows.is_empty() && !args.follow {
        screen.line("No activity.")?;
    }
    for row in &rows {
        print(row, args.json, screen)?;
    }
    if !args.follow {
        return Ok(Exit::Fine);
    }
    if remote.is_some() {
        return Err(Failure::new(Exit::Usage, "only watched folders can be followed")
            .hint("follow the stream of the account: agent events -f --stream all, or --path PATTERN"));
    }
    follow(args, rows, places, screen).await
}

async fn follow(args: &ActivityArgs, shown: Vec<ActivityRow>, places: &Places, screen: &mut Screen) -> Outcome {
    let mut shown: Vec<ActivityRow> = shown;
    loop {
        screen.flush()?;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Fine),
        }
        // What is still being worked on is shown when it is known what became of it.
        let rows = recent(args.folder.as_deref(), args.since, MAX_ROWS.min(1_000), places).await?;
        for row in rows.iter().filter(|row| row.became != "pending" && !shown.contains(row)) {
            print(row, args.json, screen)?;
        }
        shown = rows;
    }
}

fn print(row: &ActivityRow, json: bool, screen: &mut Screen) -> io::Result<()> {
    if json {
        return screen.json(row);
    }
    let line = line(row, screen);
    screen.line(line)
}

/// One row as people read it.
pub fn line(row: &ActivityRow, screen: &Screen) -> String {
    let time = screen.tint(Tone::Quiet, moment(row.at));
    let who = row.person.as_deref().map_or_else(|| "this computer".to_owned(), person);
    let of = row.folder.as_deref().map(|folder| format!("{folder}: ")).unwrap_or_default();
    let tone = match row.became.as_str() {
        "failed" => Tone::Bad,
        "pending" | "held" => Tone::Warning,
        _ => Tone::Good,
    };
    let became = screen.tint(tone, harmless(&row.became));
    format!("{time}  {who}  {}  {of}{} → {became}", harmless(&row.action), harmless(&row.path))
}

/// The newest activity of watched folders, oldest first. Whoever may only ask the agent is told what the stream told.
pub async fn recent(
    folder: Option<&str>,
    since: Option<i64>,
    limit: u32,
    places: &Places,
) -> Outcome<Vec<ActivityRow>> {
    if let Ok(Some(reader)) = agent::database(places) {
        let read = || reader.rows().activity(folder, since.map(Wall), limit.min(MAX_ROWS));
        let rows = read()?;
        let has_numbers = rows.iter().any(|row| row.person.as_deref().is_some_and(is_number));
        return Ok(if has_numbers && agent::name_people(places).await { read()? } else { rows });
    }
    let query = EventQuery {
        since_ms: since,
        folder: folder.map(str::to_owned),
        limit: Some(limit.min(MAX_ROWS)),
        ..EventQuery::default()
    };
    let rows = Agent::find(places).await?.events(&query).await?;
    Ok(rows.into_iter().filter(|row| row.folder.is_some()).map(of_event).collect())
}

fn of_event(row: EventRow) -> ActivityRow {
    ActivityRow {
        at: row.at.unwrap_or(row.received),
        person: row.actor,
        action: if row.event_type == taxonomy::UNKNOWN { row.provider_kind } else { row.event_type },
        path: row.path.or_else(|| row.item.map(|item| item.to_string())).unwrap_or_default(),
        became: if row.disposition == Disposition::Own { "own".to_owned() } else { row.outcome },
        folder: row.folder,
        account: Some(row.account),
    }
}

fn known(name: &str, places: &Places) -> Outcome<()> {
    let config = Config::load(places)?;
    if config.folder(name).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = config.folders.iter().map(|folder| folder.name.as_str()).collect();
    let hint = match crate::config::did_you_mean(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if names.is_empty() => "a remote folder is named by its path, such as /Shared/Plans".to_owned(),
        None => format!("there is {}; a remote folder is named by its path, such as /Shared/Plans", names.join(", ")),
    };
    Err(Failure::error(format!("there is no folder named `{name}`")).hint(hint))
}

/// What happened in a remote folder, by what its provider still keeps.
async fn of_remote(args: &ActivityArgs, path: &str, places: &Places) -> Outcome<Vec<ActivityRow>> {
    let config = Config::load(places)?;
    let settings = account(&config, args.account.as_deref())?;
    let provider = connect(settings, places.credentials_dir())?;
    let since = Wall(args.since.unwrap_or_else(|| now().0 - DEFAULT_SPAN_MS));
    let span = TimeSpan { since: Some(since), until: None };
    let below = format!("{}/", path.trim_end_matches('/').to_lowercase());
    let mut place = provider.cursor_at(since).await?;
    let mut rows = Vec::new();
    for _ in 0..PAGES_MOST {
        let page = provider.events_in(&place, &span).await?;
        for event in &page.events {
            let Some(at) = event.at.filter(|at| *at >= since) else { continue };
            let Some(at_path) = event.subject.path() else { continue };
            if !format!("{}/", at_path.to_lowercase()).starts_with(&below) {
                continue;
            }
            rows.push(ActivityRow {
                at,
                person: event.actor_name.clone().or_else(|| event.actor.clone()),
                action: taxonomy::name(settings.provider, event.kind, &event.provider_kind).to_owned(),
                path: at_path,
                became: "not watched".to_owned(),
                folder: None,
                account: Some(settings.name.clone()),
            });
        }
        place = page.next;
        if page.caught_up {
            break;
        }
    }
    let cut = rows.len().saturating_sub(args.limit as usize);
    let mut rows = rows.split_off(cut);
    let mut numbers: Vec<String> =
        rows.iter().filter_map(|row| row.person.clone()).filter(|who| is_number(who)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers.into_iter().take(PEOPLE_MOST) {
        // A provider that does not tell who it is has told what happened all the same.
        let name = match provider.person(&number).await {
            Ok(Some(name)) => name,
            // It knows this one no more.
            Ok(None) => continue,
            Err(_) => break,
        };
        for row in rows.iter_mut().filter(|row| row.person.as_deref() == Some(&number)) {
            row.person = Some(name.clone());
        }
    }
    Ok(rows)
}
