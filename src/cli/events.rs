//! `agent events`: the journal, and what became of each event.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tokio::time::Instant;

use super::agent::Agent;
use super::failure::{Exit, Outcome};
use super::render::{Screen, Tone, harmless, moment, now, span};
use crate::config::{Places, parse_duration};
use crate::id::JournalId;
use crate::report::{EventQuery, EventRow, Listing};

/// How often new events are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long an event is held back for its outcome before it is shown without.
const OUTCOME_PATIENCE: Duration = Duration::from_secs(2);
/// The newest events that are shown when nobody says how many.
const DEFAULT_ROWS: u32 = 50;
/// The outcome of an event that nothing became of yet.
const PENDING: &str = "pending";

/// Show the event journal, and what became of each event
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent events
  agent events -f --folder inbox
  agent events --since 2h --json
  agent events --since 2026-01-31T12:00:00Z")]
pub struct EventsArgs {
    /// Go on showing new events until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Print JSON; with --follow, one document for each event
    #[arg(long)]
    json: bool,
    /// Only events received since then: a time, or a span such as 2h
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// Only events of this folder
    #[arg(long, value_name = "NAME")]
    folder: Option<String>,
    /// At most this many of the newest events
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

fn since(text: &str) -> Result<i64, String> {
    if let Ok(span) = parse_duration(text) {
        return Ok(now().0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)));
    }
    text.parse::<Timestamp>()
        .map(Timestamp::as_millisecond)
        .map_err(|_| "expected a span such as \"2h\", or a time such as \"2026-01-31T12:00:00Z\"".to_owned())
}

/// Runs `agent events`.
pub async fn events(args: EventsArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let limit = args.limit.or((args.since.is_none()).then_some(DEFAULT_ROWS));
    let query = EventQuery { after: None, since_ms: args.since, folder: args.folder.clone(), limit };
    let rows = Agent::find(places).await?.events(&query).await?;
    if !args.follow {
        if args.json {
            screen.json(&Listing::new(rows))?;
        } else if rows.is_empty() {
            screen.line("No events.")?;
        } else {
            for row in &rows {
                show(row, screen)?;
            }
        }
        return Ok(Exit::Fine);
    }
    let mut follower = Follower::new(&rows);
    for row in rows.iter().filter(|row| row.outcome != PENDING) {
        print(row, args.json, screen)?;
    }
    loop {
        screen.flush()?;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Fine),
        }
        let query = EventQuery { after: Some(follower.after()), folder: args.folder.clone(), ..EventQuery::default() };
        let rows = Agent::find(places).await?.events(&query).await?;
        for row in follower.ready(rows, Instant::now()) {
            print(&row, args.json, screen)?;
        }
    }
}

fn print(row: &EventRow, json: bool, screen: &mut Screen) -> io::Result<()> {
    if json { screen.json(row) } else { show(row, screen) }
}

fn show(row: &EventRow, screen: &mut Screen) -> io::Result<()> {
    let path = row.path.as_deref().map(harmless).or_else(|| row.item.as_ref().map(|item| harmless(&item.to_string())));
    let folder = row.folder.as_deref().unwrap_or("-");
    let actor = row.actor.as_deref().map(by).unwrap_or_default();
    let took = row.took_ms.map(|ms| format!(" in {}", span(Duration::from_millis(ms)))).unwrap_or_default();
    let tone = match row.outcome.as_str() {
        "failed" | "held" => Tone::Bad,
        PENDING => Tone::Warning,
        _ => Tone::Good,
    };
    let outcome = screen.tint(tone, harmless(&row.outcome));
    let time = screen.tint(Tone::Quiet, moment(row.received));
    let kind = harmless(&row.kind);
    let path = path.unwrap_or_else(|| "-".to_owned());
    screen.line(format_args!("{time}  {kind:<9} {folder}: {path}{actor} → {outcome}{took}"))
}

/// Shows each event once, when its outcome is known, or without it when that takes long, and then once more.
struct Follower {
    /// Everything up to here was seen.
    seen: JournalId,
    /// Seen without an outcome: whether shown so, and since when.
    waiting: BTreeMap<JournalId, (bool, Instant)>,
}

impl Follower {
    fn new(rows: &[EventRow]) -> Self {
        let seen = rows.iter().map(|row| row.id).max().unwrap_or(JournalId(0));
        let now = Instant::now();
        let waiting = rows.iter().filter(|row| row.outcome == PENDING).map(|row| (row.id, (false, now))).collect();
        Self { seen, waiting }
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
            if row.outcome != PENDING {
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

/// Who did it. Egnyte's events name people by a number alone.
fn by(actor: &str) -> String {
    let is_number = !actor.is_empty() && actor.bytes().all(|byte| byte.is_ascii_digit());
    format!(" by {}{}", if is_number { "user " } else { "" }, harmless(actor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Wall;

    fn row(id: i64, outcome: &str) -> EventRow {
        EventRow {
            id: JournalId(id),
            received: Wall(0),
            at: None,
            account: "work".into(),
            folder: None,
            kind: "uploaded".into(),
            provider_kind: "ITEM_UPLOAD".into(),
            event_id: id.to_string(),
            item: None,
            path: None,
            actor: None,
            outcome: outcome.into(),
            took_ms: None,
        }
    }

    fn ids(rows: &[EventRow]) -> Vec<i64> {
        rows.iter().map(|row| row.id.0).collect()
    }

    #[test]
    fn an_event_is_shown_once_with_its_outcome() {
        let mut follower = Follower::new(&[row(1, "downloaded"), row(2, PENDING)]);
        assert_eq!(follower.after(), JournalId(1), "the one without an outcome is read again");
        let now = Instant::now();
        assert_eq!(ids(&follower.ready(vec![row(2, PENDING), row(3, "renamed")], now)), [3]);
        assert_eq!(ids(&follower.ready(vec![row(2, "downloaded"), row(3, "renamed")], now)), [2]);
        assert_eq!(follower.after(), JournalId(3));
        assert!(follower.ready(vec![row(2, "downloaded"), row(3, "renamed")], now).is_empty());
    }

    #[test]
    fn a_slow_event_is_shown_before_and_after() {
        let mut follower = Follower::new(&[]);
        let start = Instant::now();
        assert!(follower.ready(vec![row(1, PENDING)], start).is_empty());
        let later = start + OUTCOME_PATIENCE;
        assert_eq!(ids(&follower.ready(vec![row(1, PENDING)], later)), [1]);
        assert!(follower.ready(vec![row(1, PENDING)], later).is_empty(), "without an outcome it is shown once");
        assert_eq!(ids(&follower.ready(vec![row(1, "failed")], later)), [1]);
    }

    #[test]
    fn since_is_a_span_or_a_time() {
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(1000));
        assert!(since("2h").unwrap() < now().0);
        assert!(since("yesterday").is_err());
    }
}
