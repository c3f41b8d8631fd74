//! `agent events`: the journal of every event and what became of it, live or listed, and what the provider still keeps.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use tokio::time::Instant;

use super::agent::{self, Agent};
use super::failure::{Exit, Outcome};
use super::render::{Screen, Tone, harmless, moment, now, span};
use crate::config::{Places, parse_duration};
use crate::events::filter::{Disposition, Matcher};
use crate::events::taxonomy::{self, TypePattern};
use crate::id::JournalId;
use crate::report::{EventQuery, EventRow, MAX_ROWS};
use crate::shown::person;

mod kept;
mod types;

/// How often new events are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long an event is held back for its outcome before it is shown without.
const OUTCOME_PATIENCE: Duration = Duration::from_secs(2);
/// How long whoever follows waits for an agent that does not answer just now.
const AGENT_PATIENCE: Duration = Duration::from_mins(1);
/// The newest events that people are shown when nobody says how many.
const DEFAULT_ROWS: u32 = 50;
/// Lines gathered before they are written, in bytes.
const WRITTEN_AT_ONCE: usize = 64 << 10;

/// Show events and what became of each, live or from the journal
///
/// The journal holds every event of every account for 30 days, also of items that no folder watches. With --from-cursor, --from or
/// --stream the provider is asked for what it still keeps; that touches no folder and changes nothing.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_long_help = "Examples:
  agent events
  agent events -f --folder inbox
  agent events --json --since 2h | jq -r 'select(.type == \"item.trashed\") | .path'
  agent events -f --json --type 'share.*' --type item.downloaded
  agent events --disposition failed,unplaced
  agent events --account work --from 2026-01-31 --json
  agent events --account work --stream admin_logs --from-cursor 0 --until-caught-up
  agent events types --provider box

The fields of --json are described by `agent events schema`.")]
pub struct EventsArgs {
    #[command(subcommand)]
    command: Option<EventsCommand>,
    /// Go on showing new events until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Print one JSON object a line; without --limit, everything that is kept
    #[arg(long)]
    json: bool,
    /// With --json: each event also as it came from the provider, where that is kept
    #[arg(long, requires = "json")]
    raw: bool,
    /// Only events received since then: a time, a date, or a span such as 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// Only events received before then
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
    /// Only events of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only events of this folder
    #[arg(long, value_name = "NAME")]
    folder: Option<String>,
    /// Only events of this type, such as item.uploaded, 'item.*' or the provider's ITEM_UPLOAD; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = event_type)]
    types: Vec<String>,
    /// Only events at paths that match this gitignore pattern
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    path: Option<String>,
    /// Only events by this person: part of a name, or the provider's id
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// Only events that this became of: applied, own, duplicate, stale, outside, ignored, unplaced, failed or pending; may be repeated
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = disposition)]
    disposition: Vec<String>,
    /// At most this many of the newest events
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    #[command(flatten)]
    kept: kept::KeptArgs,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    Types(types::TypesArgs),
    Schema(types::SchemaArgs),
}

pub fn time(text: &str) -> Result<i64, String> {
    if let Ok(span) = parse_duration(text) {
        return Ok(now().0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_millisecond());
    }
    text.parse::<Date>()
        .and_then(|date| date.to_zoned(TimeZone::system()))
        .map(|midnight| midnight.timestamp().as_millisecond())
        .map_err(|_| "expected a span such as \"2h\", a date, or a time such as \"2026-01-31T12:00:00Z\"".to_owned())
}

pub fn event_type(text: &str) -> Result<String, String> {
    if TypePattern::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    let meant = crate::config::did_you_mean(text, TypePattern::known());
    let hint = meant.map_or_else(|| "see `agent events types`".to_owned(), |name| format!("did you mean \"{name}\"?"));
    Err(format!("there is no such type of event; {hint}"))
}

pub fn disposition(text: &str) -> Result<String, String> {
    match Disposition::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("expected one of {}", Disposition::ALL.map(Disposition::word).join(", "))),
    }
}

fn pattern(text: &str) -> Result<String, String> {
    crate::config::check_pattern(text).map(|()| text.to_owned()).map_err(|wrong| wrong.problem)
}

fn joined(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| words.join(","))
}

impl EventsArgs {
    fn query(&self) -> EventQuery {
        EventQuery {
            after: None,
            since_ms: self.since,
            until_ms: self.until,
            account: self.account.clone(),
            folder: self.folder.clone(),
            types: joined(&self.types),
            path: self.path.clone(),
            actor: self.actor.clone(),
            dispositions: joined(&self.disposition),
            raw: self.raw,
            limit: None,
        }
    }
}

/// Runs `agent events`.
pub async fn events(args: EventsArgs, places: &Places, screen: &mut Screen) -> Outcome {
    match &args.command {
        Some(EventsCommand::Types(of)) => return types::types(of, screen),
        Some(EventsCommand::Schema(_)) => return types::schema(screen),
        None => {}
    }
    if args.kept.are_asked_for() {
        return kept::show(&args, places, screen).await;
    }
    let query = args.query();
    let shown = if args.json || args.since.is_some() { args.limit } else { args.limit.or(Some(DEFAULT_ROWS)) };
    let mut out = Lines::new(args.json);
    let mut follower = Follower::default();
    if args.follow {
        // What comes from now on is left to the following: the listing below may see some of it and not all.
        let newest = Agent::find(places).await?.events(&EventQuery { limit: Some(1), ..EventQuery::default() }).await?;
        follower.seen = newest.last().map_or(JournalId(0), |row| row.id);
    }
    if let Some(limit) = shown {
        let rows = Agent::find(places).await?.events(&EventQuery { limit: Some(limit), ..query.clone() }).await?;
        for row in rows {
            if let Some(row) = follower.first(row, args.follow) {
                out.row(&row, screen)?;
            }
        }
    } else {
        list_all(&query, places, &mut |row| {
            if let Some(row) = follower.first(row, args.follow) {
                out.row(&row, screen)?;
            }
            Ok(())
        })
        .await?;
    }
    out.write(screen)?;
    if !args.follow {
        if !args.json && out.count == 0 {
            screen.line("No events.")?;
        }
        return Ok(Exit::Fine);
    }
    follow(&args, follower, out, places, screen).await
}

/// Everything that is wished for, oldest first, in pages. The database is read where that is possible: it is quicker than asking for it.
async fn list_all(
    query: &EventQuery,
    places: &Places,
    take: &mut impl FnMut(EventRow) -> io::Result<()>,
) -> Outcome<()> {
    let database = agent::database(places).ok().flatten();
    let mut after = JournalId(0);
    loop {
        let page = EventQuery { after: Some(after), limit: Some(MAX_ROWS), ..query.clone() };
        let rows = match &database {
            Some(reader) => reader.rows().events(&page)?,
            None => Agent::find(places).await?.events(&page).await?,
        };
        let is_last = rows.len() < MAX_ROWS as usize;
        for row in rows {
            after = row.id;
            take(row)?;
        }
        if is_last {
            return Ok(());
        }
    }
}

async fn follow(
    args: &EventsArgs,
    mut follower: Follower,
    mut out: Lines,
    places: &Places,
    screen: &mut Screen,
) -> Outcome {
    // All new entries are fetched and chosen from here: what an event became is known only after it was first seen.
    let matcher = Matcher::new(args.query().filter());
    let mut silent_since: Option<Instant> = None;
    loop {
        screen.flush()?;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Fine),
        }
        let query = EventQuery { after: Some(follower.after()), raw: args.raw, ..EventQuery::default() };
        let asked = async { Agent::find(places).await?.events(&query).await };
        let rows = match asked.await {
            Ok(rows) => rows,
            // An agent that is just starting or ending answers again in a moment.
            Err(failure) => {
                let since = *silent_since.get_or_insert_with(Instant::now);
                if since.elapsed() > AGENT_PATIENCE {
                    return Err(failure);
                }
                continue;
            }
        };
        silent_since = None;
        for row in follower.ready(rows, Instant::now()).into_iter().filter(|row| matcher.wants(row)) {
            out.row(&row, screen)?;
        }
        out.write(screen)?;
    }
}

/// Lines on their way out: gathered, so that a long listing is not written a line at a time.
struct Lines {
    json: bool,
    waiting: Vec<u8>,
    count: u64,
}

impl Lines {
    fn new(json: bool) -> Self {
        Self { json, waiting: Vec::new(), count: 0 }
    }

    fn row(&mut self, row: &EventRow, screen: &mut Screen) -> io::Result<()> {
        self.count += 1;
        if !self.json {
            return show(row, screen);
        }
        serde_json::to_writer(&mut self.waiting, row).map_err(io::Error::other)?;
        self.waiting.push(b'\n');
        if self.waiting.len() >= WRITTEN_AT_ONCE { self.write(screen) } else { Ok(()) }
    }

    fn write(&mut self, screen: &mut Screen) -> io::Result<()> {
        if !self.waiting.is_empty() {
            screen.bytes(&self.waiting)?;
            self.waiting.clear();
        }
        Ok(())
    }
}

fn show(row: &EventRow, screen: &mut Screen) -> io::Result<()> {
    let path = row.path.as_deref().map(harmless).or_else(|| row.item.as_ref().map(|item| harmless(&item.to_string())));
    let of = match &row.folder {
        Some(folder) => folder.clone(),
        None => format!("({})", row.account),
    };
    let actor = row.actor.as_deref().map(by).unwrap_or_default();
    let took = row.took_ms.filter(|ms| *ms > 0).map(|ms| format!(" in {}", span(Duration::from_millis(ms))));
    let tone = match row.disposition {
        Disposition::Failed => Tone::Bad,
        Disposition::Pending | Disposition::Unplaced => Tone::Warning,
        Disposition::Applied => Tone::Good,
        _ => Tone::Quiet,
    };
    // Of our own deeds there is nothing to do, whatever the stream's order made of them.
    let became = if row.disposition == Disposition::Own { "own" } else { &row.outcome };
    let outcome = screen.tint(tone, harmless(became));
    // What was only read now is told by when it happened.
    let when = if row.id.0 == 0 { row.at.unwrap_or(row.received) } else { row.received };
    let time = screen.tint(Tone::Quiet, moment(when));
    // What a short word does not say is told by the type's name, and what has none by the provider's word.
    let kind = match (row.kind.as_str(), row.event_type.as_str()) {
        ("other" | "read" | "sharing" | "comment" | "lock", taxonomy::UNKNOWN) => harmless(&row.provider_kind),
        ("other" | "read" | "sharing" | "comment" | "lock", name) => name.to_owned(),
        (kind, _) => harmless(kind),
    };
    let path = path.unwrap_or_else(|| "-".to_owned());
    let took = took.unwrap_or_default();
    screen.line(format_args!("{time}  {kind:<9} {of}: {path}{actor} → {outcome}{took}"))
}

fn is_settled(row: &EventRow) -> bool {
    row.took_ms.is_some() || row.outcome != "pending"
}

/// Shows each event once, when its outcome is known, or without it when that takes long, and then once more.
struct Follower {
    /// Everything up to here was seen.
    seen: JournalId,
    /// Seen without an outcome: whether shown so, and since when.
    waiting: BTreeMap<JournalId, (bool, Instant)>,
}

impl Default for Follower {
    fn default() -> Self {
        Self { seen: JournalId(0), waiting: BTreeMap::new() }
    }
}

impl Follower {
    /// An entry of the listing before: nothing if it is to be shown later.
    fn first(&mut self, row: EventRow, follows: bool) -> Option<EventRow> {
        if follows && row.id > self.seen {
            return None;
        }
        if follows && !is_settled(&row) {
            self.waiting.insert(row.id, (false, Instant::now()));
            return None;
        }
        Some(row)
    }

    /// The place in the journal to read on from: before the first event that waits for its outcome.
    fn after(&self) -> JournalId {
        self.waiting.first_key_value().map_or(self.seen, |(id, _)| JournalId(id.0 - 1))
    }

    fn ready(&mut self, rows: Vec<EventRow>, now: Instant) -> Vec<EventRow> {
        let mut ready = Vec::new();
        for row in rows {
            let known = self.waiting.remove(&row.id);
            if known.is_none() && row.id <= self.seen {
                continue;
            }
            self.seen = self.seen.max(row.id);
            let (shown, since) = known.unwrap_or((false, now));
            if is_settled(&row) {
                ready.push(row);
                continue;
            }
            let overdue = now.duration_since(since) >= OUTCOME_PATIENCE;
            self.waiting.insert(row.id, (shown || overdue, since));
            if overdue && !shown {
                ready.push(row);
            }
        }
        ready
    }
}

pub use kept::{CursorArgs, cursor};

/// Who did it.
fn by(actor: &str) -> String {
    format!(" by {}", person(actor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64, outcome: &str) -> EventRow {
        EventRow { id: JournalId(id), outcome: outcome.into(), ..EventRow::default() }
    }

    fn ids(rows: &[EventRow]) -> Vec<i64> {
        rows.iter().map(|row| row.id.0).collect()
    }

    #[test]
    fn an_event_is_shown_once_with_its_outcome() {
        let mut follower = Follower { seen: JournalId(2), ..Follower::default() };
        assert!(follower.first(row(1, "downloaded"), true).is_some());
        assert!(follower.first(row(3, "downloaded"), true).is_none(), "it is left to the following");
        assert!(follower.first(row(2, "pending"), true).is_none());
        assert_eq!(follower.after(), JournalId(1), "the one without an outcome is read again");
        let now = Instant::now();
        assert_eq!(ids(&follower.ready(vec![row(2, "pending"), row(3, "renamed")], now)), [3]);
        assert_eq!(ids(&follower.ready(vec![row(2, "downloaded"), row(3, "renamed")], now)), [2]);
        assert_eq!(follower.after(), JournalId(3));
        assert!(follower.ready(vec![row(2, "downloaded"), row(3, "renamed")], now).is_empty());
    }

    #[test]
    fn a_slow_event_is_shown_before_and_after() {
        let mut follower = Follower::default();
        let start = Instant::now();
        assert!(follower.ready(vec![row(1, "pending")], start).is_empty());
        let later = start + OUTCOME_PATIENCE;
        assert_eq!(ids(&follower.ready(vec![row(1, "pending")], later)), [1]);
        assert!(follower.ready(vec![row(1, "pending")], later).is_empty(), "without an outcome it is shown once");
        assert_eq!(ids(&follower.ready(vec![row(1, "failed")], later)), [1]);
    }

    #[test]
    fn a_time_is_a_span_a_date_or_a_moment() {
        assert_eq!(time("1970-01-01T00:00:01Z"), Ok(1000));
        assert!(time("2h").unwrap() < now().0);
        assert!(time("2026-01-31").is_ok());
        assert!(time("yesterday").is_err());
    }

    #[test]
    fn unknown_words_are_refused_with_a_hint() {
        assert!(event_type("item.uploadd").unwrap_err().contains("item.uploaded"));
        assert!(disposition("apllied").unwrap_err().contains("applied"));
    }
}
