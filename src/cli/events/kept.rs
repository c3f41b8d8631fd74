//! What a provider still keeps of a stream, read for one command: no folder is touched, and the agent's own place stays where it is.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::super::agent;
use super::super::cloud::{account, connect};
use super::super::failure::{Exit, Failure, Outcome};
use super::super::render::{Screen, Tone, age, count, now};
use super::{EventsArgs, Lines, time};
use crate::config::{Config, Places};
use crate::events::filter::{Disposition, Matcher};
use crate::events::{RemoteEvent, taxonomy};
use crate::id::{Cursor, EventId, JournalId};
use crate::provider::{Provider, ProviderError, ProviderErrorKind, TimeSpan};
use crate::report::{EventRow, Listing};
use crate::settings::{AccountSettings, BoxStream, ProviderName};
use crate::store::Reader;
use crate::tree::Wall;

/// Events in one page of each provider, for the forecast.
const BOX_PAGE: u64 = 500;
/// Pages between two words on how far the reading is.
const PAGES_PER_WORD: u64 = 20;
/// Ids remembered to tell what is told twice.
const IDS_REMEMBERED: usize = 100_000;
/// Refusals for want of budget in a row after which it is given up.
const REFUSALS_MOST: u32 = 10;
/// How long to wait for a budget if nobody says.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// How long one wait for news may last.
const WAIT_MOST: Duration = Duration::from_mins(5);

/// One of Box's streams, as the command line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum StreamArg {
    All,
    Changes,
    Sync,
    AdminLogs,
    AdminLogsStreaming,
}

impl StreamArg {
    fn stream(self) -> BoxStream {
        match self {
            Self::All => BoxStream::All,
            Self::Changes => BoxStream::Changes,
            Self::Sync => BoxStream::Sync,
            Self::AdminLogs => BoxStream::AdminLogs,
            Self::AdminLogsStreaming => BoxStream::AdminLogsStreaming,
        }
    }
}

/// What the provider still keeps.
#[derive(Debug, Args)]
#[command(next_help_heading = "From the provider, without touching any folder")]
pub struct KeptArgs {
    /// Begin at this place in the stream, as `agent cursor` prints it; 0 is as far back as there is
    #[arg(long, value_name = "CURSOR", conflicts_with = "from")]
    from_cursor: Option<String>,
    /// Begin with what happened then: a time, a date, or a span such as 2d
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<i64>,
    /// Read another of Box's streams than the account follows [default place: now]
    #[arg(long, value_enum)]
    stream: Option<StreamArg>,
    /// End when the end of the stream is reached, which is what happens without --follow
    #[arg(long, conflicts_with = "follow")]
    until_caught_up: bool,
}

impl KeptArgs {
    /// Whether the provider is to be asked, and not the journal.
    pub fn are_asked_for(&self) -> bool {
        self.from_cursor.is_some() || self.from.is_some() || self.stream.is_some() || self.until_caught_up
    }
}

/// Print where each account's stream is now, and where the agent is in it
///
/// A place that is printed here can be given to `agent events --from-cursor`. Costs one call for each stream.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent cursor
  agent cursor --account work --stream admin_logs
  agent cursor --json | jq -r '.rows[0].newest'")]
pub struct CursorArgs {
    /// Only this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// This one of Box's streams, and not the one that the account follows
    #[arg(long, value_enum)]
    stream: Option<StreamArg>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct CursorRow {
    account: String,
    provider: &'static str,
    stream: String,
    /// The newest place, by the provider.
    newest: Option<String>,
    /// Where the agent is, if it follows this stream.
    agent: Option<String>,
    /// When the agent last read it.
    read_at: Option<Wall>,
    /// Why the provider does not tell.
    problem: Option<String>,
}

/// The same account with another stream.
fn with_stream(settings: &AccountSettings, stream: Option<StreamArg>) -> Outcome<AccountSettings> {
    let mut settings = settings.clone();
    if let Some(stream) = stream {
        if settings.provider != ProviderName::Box {
            return Err(Failure::new(Exit::Usage, "only Box has several streams").hint("leave --stream out"));
        }
        settings.stream = stream.stream();
    }
    Ok(settings)
}

fn stream_word(settings: &AccountSettings) -> &'static str {
    match settings.provider {
        ProviderName::Box => settings.stream.word(),
        ProviderName::Egnyte => "events",
    }
}

/// Runs `agent cursor`.
pub async fn cursor(args: &CursorArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let config = Config::load(places)?;
    let chosen: Vec<&AccountSettings> = match &args.account {
        Some(name) => vec![account(&config, Some(name))?],
        None => config.accounts.iter().collect(),
    };
    let known = match agent::database(places)? {
        Some(reader) => reader.rows().accounts()?,
        None => Vec::new(),
    };
    let mut rows = Vec::new();
    let mut failed = None;
    for settings in chosen {
        let settings = with_stream(settings, args.stream)?;
        let newest = match connect(&settings, places.credentials_dir()) {
            Ok(provider) => provider.newest_cursor().await,
            Err(error) => Err(error),
        };
        let stream = stream_word(&settings);
        let ours = known.iter().find(|row| row.name == settings.name && row.stream.as_deref() == Some(stream));
        let problem = newest.as_ref().err().map(ToString::to_string);
        rows.push(CursorRow {
            account: settings.name.clone(),
            provider: settings.provider.word(),
            stream: stream.to_owned(),
            agent: ours.and_then(|row| row.cursor.as_ref()).map(|cursor| cursor.as_str().to_owned()),
            read_at: ours.and_then(|row| row.polled_at),
            newest: newest.as_ref().ok().map(|cursor| cursor.as_str().to_owned()),
            problem,
        });
        failed = failed.or(newest.err());
    }
    if args.json {
        screen.json(&Listing::new(rows))?;
    } else if rows.is_empty() {
        screen.line("No accounts.")?;
    } else {
        let moment = now();
        let rows = rows.into_iter().map(|row| {
            let newest = row.newest.or(row.problem).unwrap_or_default();
            let agent = row.agent.unwrap_or_else(|| "-".into());
            [row.account, row.stream, newest, agent, row.read_at.map_or_else(|| "-".into(), |at| age(at, moment))]
        });
        screen.table(["ACCOUNT", "STREAM", "NEWEST", "AGENT", "READ"], rows)?;
    }
    failed.map_or(Ok(Exit::Fine), |error| Err(error.into()))
}

/// Reads what the provider keeps, and prints it.
pub async fn show(args: &EventsArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let config = Config::load(places)?;
    let settings = with_stream(account(&config, args.account.as_deref())?, args.kept.stream)?;
    let provider = connect(&settings, places.credentials_dir())?;
    let span = TimeSpan { since: args.kept.from.map(Wall), until: args.until.map(Wall) };
    let start = match (&args.kept.from_cursor, args.kept.from) {
        (Some(text), _) if text == "0" => provider.oldest_cursor().await?,
        (Some(text), _) => Cursor::new(text.as_str()),
        (None, Some(from)) => provider.cursor_at(Wall(from)).await?,
        (None, None) if args.follow => provider.newest_cursor().await?,
        (None, None) => provider.oldest_cursor().await?,
    };
    let stream = stream_word(&settings);
    let forecast = match provider.calls_to_read(&start).await? {
        Some(calls) => format!("at most {}", count(calls, "call")),
        None => format!("one call for every {BOX_PAGE} events that are kept"),
    };
    screen.remark(Tone::Quiet, "note", &format!("reading stream `{stream}` from {}: {forecast}", start.as_str()));
    let mut filter = args.query().filter();
    // What the provider says of the time counts, and not when we read it.
    (filter.since, filter.until, filter.account) = (None, None, None);
    let matcher = Matcher::new(filter);
    let mut journal = Journal { reader: agent::database(places)?, last: JournalId(0), entries: HashMap::new() };
    let mut reading = Reading {
        settings: &settings,
        provider,
        span,
        place: start,
        pages: 0,
        events: 0,
        refusals: 0,
        ids: Ids::default(),
    };
    let mut out = Lines::new(args.json);
    loop {
        let page = tokio::select! {
            page = reading.page() => page?,
            _ = tokio::signal::ctrl_c() => break,
        };
        journal.catch_up(&settings.name)?;
        for event in &page.0 {
            let told_before = !reading.ids.insert(event.id.as_str());
            let known = journal.entry(&event.id)?;
            let row = row_of(&settings, event, told_before, known, args.raw);
            if reading.is_in_span(event.at) && matcher.wants(&row) {
                out.row(&row, screen)?;
            }
        }
        out.write(screen)?;
        if page.1 && !args.follow {
            break;
        }
        if page.1 {
            tokio::select! {
                () = reading.wait() => {}
                _ = tokio::signal::ctrl_c() => break,
            }
        } else if reading.pages.is_multiple_of(PAGES_PER_WORD) {
            screen.remark(Tone::Quiet, "note", &reading.progress());
        }
    }
    let done = format!("{}; the next place is {}", reading.progress(), reading.place.as_str());
    screen.remark(Tone::Quiet, "note", &done);
    Ok(Exit::Fine)
}

/// What the agent knows of the account's events, by their names.
struct Journal {
    reader: Option<Reader>,
    last: JournalId,
    entries: HashMap<EventId, JournalId>,
}

impl Journal {
    /// Takes in what was written down meanwhile.
    fn catch_up(&mut self, account: &str) -> Outcome<()> {
        let Some(reader) = &self.reader else { return Ok(()) };
        for (event, journal) in reader.rows().event_names(account, self.last)? {
            self.last = journal;
            self.entries.insert(event, journal);
        }
        Ok(())
    }

    /// What became of an event, if the agent received it.
    fn entry(&self, event: &EventId) -> Outcome<Option<EventRow>> {
        match (&self.reader, self.entries.get(event)) {
            (Some(reader), Some(journal)) => Ok(reader.rows().event_of(*journal)?),
            _ => Ok(None),
        }
    }
}

/// One reading of a stream.
struct Reading<'a> {
    settings: &'a AccountSettings,
    provider: Arc<dyn Provider>,
    span: TimeSpan,
    place: Cursor,
    pages: u64,
    events: u64,
    refusals: u32,
    ids: Ids,
}

impl Reading<'_> {
    /// The next events, and whether the end is reached. A provider that asks to wait is waited for.
    async fn page(&mut self) -> Result<(Vec<RemoteEvent>, bool), ProviderError> {
        loop {
            match self.provider.events_in(&self.place, &self.span).await {
                Ok(page) => {
                    self.refusals = 0;
                    self.pages += 1;
                    self.events += page.events.len() as u64;
                    self.place = page.next;
                    return Ok((page.events, page.caught_up));
                }
                Err(error) if error.kind == ProviderErrorKind::RateLimited && self.refusals < REFUSALS_MOST => {
                    self.refusals += 1;
                    tokio::time::sleep(error.retry_after.unwrap_or(REFUSED_PAUSE)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until there may be something new.
    async fn wait(&self) {
        let capabilities = self.provider.capabilities();
        let pause = self.settings.poll_min.unwrap_or(capabilities.poll_floor);
        if !capabilities.long_poll || self.provider.wait_for_news(&self.place, WAIT_MOST).await.is_err() {
            tokio::time::sleep(pause).await;
        }
    }

    fn is_in_span(&self, at: Option<Wall>) -> bool {
        // What does not say when it happened is shown.
        at.is_none_or(|at| {
            self.span.since.is_none_or(|since| at >= since) && self.span.until.is_none_or(|until| at < until)
        })
    }

    fn progress(&self) -> String {
        format!("read {} in {}", count(self.events, "event"), count(self.pages, "call"))
    }
}

/// Ids of events, the newest of them.
#[derive(Default)]
struct Ids {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Ids {
    /// Whether it is new.
    fn insert(&mut self, id: &str) -> bool {
        if !self.known.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > IDS_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// An event as it is shown. What became of it is known if the agent received it.
fn row_of(
    settings: &AccountSettings,
    event: &RemoteEvent,
    told_before: bool,
    known: Option<EventRow>,
    with_raw: bool,
) -> EventRow {
    let raw = with_raw.then(|| event.raw.as_str().to_owned());
    if let Some(row) = known {
        let disposition = if told_before { Disposition::Duplicate } else { row.disposition };
        return EventRow { disposition, raw, ..row };
    }
    EventRow {
        id: JournalId(0),
        event_type: taxonomy::name(settings.provider, event.kind, &event.provider_kind).to_owned(),
        disposition: if told_before { Disposition::Duplicate } else { Disposition::Unseen },
        received: now(),
        at: event.at,
        account: settings.name.clone(),
        provider: settings.provider.word().to_owned(),
        kind: event.kind.word().to_owned(),
        provider_kind: event.provider_kind.to_string(),
        event_id: event.id.as_str().to_owned(),
        item: event.subject.item().cloned(),
        path: event.subject.path(),
        actor: event.actor_name.clone().or_else(|| event.actor.clone()),
        actor_id: event.actor.clone(),
        outcome: "unseen".to_owned(),
        raw,
        ..EventRow::default()
    }
}
