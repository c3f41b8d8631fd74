//! How an account listens, as inputs and effects: a made-up stream whose long poll and cursor check behave as told, and a made-up clock.

use std::collections::BTreeMap;

use super::*;
use crate::engine::input::{Now, Outcome, Wishes};
use crate::engine::{Effect, Engine, Input};
use crate::events::long_poll::NET_UNDER_LONG_POLL;
use crate::events::{EventKind, EventPage, RemoteEvent, Subject};
use crate::id::{EventId, ItemId};
use crate::provider::{HashKind, Wake};
use crate::report::NO_LONG_POLL;
use crate::settings::{BoxStream, Suppress};
use crate::store::Store;
use crate::tree::Wall;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// What is promised of news, whatever the long poll does.
const NEWS_WITHIN: u64 = 2 * MINUTE;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LongPolls {
    Work,
    /// Held, and nothing is told.
    Swallowed,
    Refused,
}

/// A stream with one account on it. A place is the number of events before it.
struct Bed {
    engine: Engine,
    now: u64,
    inbox: Vec<Input>,
    newest: u64,
    long_polls: LongPolls,
    /// Requests that are held: from which place, and until when.
    held: BTreeMap<JobId, (u64, u64)>,
    asked: Vec<(u64, Task)>,
    /// The agent's place as the engine last asked from it.
    read: u64,
}

fn settings(provider: ProviderName, calls_per_day: Option<u32>) -> AccountSettings {
    AccountSettings {
        name: "a".into(),
        provider,
        api_url: None,
        domain: None,
        stream: BoxStream::Changes,
        suppress: Suppress::None,
        poll_min: None,
        poll_max: None,
        calls_per_day,
        calls_per_minute: None,
        transfers: 4,
        bandwidth_down: None,
        bandwidth_up: None,
        quiet: None,
        ca_file: None,
        proxy: None,
    }
}

fn foreign(number: u64) -> RemoteEvent {
    RemoteEvent {
        id: EventId::new(number.to_string()),
        kind: EventKind::Created,
        subject: Subject::Gone(ItemId::file(number.to_string())),
        provider_kind: "ITEM_CREATE".into(),
        actor: None,
        actor_name: None,
        at: None,
        raw: String::new().into(),
    }
}

impl Bed {
    fn new(provider: ProviderName, calls_per_day: Option<u32>) -> Self {
        Self::with(Store::in_memory().unwrap(), provider, calls_per_day)
    }

    fn with(store: Store, provider: ProviderName, calls_per_day: Option<u32>) -> Self {
        let capabilities = Capabilities {
            disordered: provider == ProviderName::Box,
            top_id: None,
            long_poll: provider == ProviderName::Box,
            checks_cursor: provider == ProviderName::Egnyte,
            events_carry_items: provider == ProviderName::Box,
            folds_case: true,
            poll_floor: Duration::from_secs(10),
            hash: HashKind::Sha1,
        };
        let wishes = Wishes { accounts: vec![(settings(provider, calls_per_day), capabilities)], ..Wishes::default() };
        let inbox = vec![Input::Start { seed: 7, host: "host".into() }, Input::Config(Box::new(wishes))];
        Self {
            engine: Engine::new(store),
            now: 0,
            inbox,
            newest: 100,
            long_polls: LongPolls::Work,
            held: BTreeMap::new(),
            asked: Vec::new(),
            read: 0,
        }
    }

    fn done(&mut self, job: JobId, outcome: Outcome) {
        self.inbox.push(Input::Done { job, outcome });
    }

    fn news(&mut self) {
        self.newest += 1;
        self.tell();
    }

    fn set(&mut self, long_polls: LongPolls) {
        self.long_polls = long_polls;
        self.tell();
    }

    /// Answers the requests whose time has come, or that there is something to tell.
    fn tell(&mut self) {
        let (works, newest, now) = (self.long_polls == LongPolls::Work, self.newest, self.now);
        let ended: Vec<(JobId, bool)> = self
            .held
            .iter()
            .map(|(job, (from, until))| (*job, works && newest > *from, *until))
            .filter_map(|(job, news, until)| (news || now >= until).then_some((job, news)))
            .collect();
        for (job, news) in ended {
            self.held.remove(&job);
            self.done(job, Outcome::Woken(Ok(if news { Wake::News } else { Wake::Quiet })));
        }
    }

    fn serve(&mut self, job: JobId, task: &Task) {
        let place = |cursor: &Cursor| cursor.as_str().parse::<u64>().unwrap();
        let outcome = match task {
            Task::Identify => {
                Outcome::Identified(Ok(Identity { user_id: "u".into(), login: "u@x".into(), name: "U".into() }))
            }
            Task::TakeCursor | Task::RestartCursor => Outcome::CursorTaken(Ok(Cursor::new(self.newest.to_string()))),
            Task::Poll(cursor) => {
                self.read = place(cursor).max(self.newest);
                let events: Vec<RemoteEvent> = (place(cursor)..self.newest).map(foreign).collect();
                Outcome::Polled(Ok(EventPage { events, next: Cursor::new(self.read.to_string()), caught_up: true }))
            }
            Task::CheckCursor(cursor) if place(cursor) > self.newest => {
                Outcome::CursorChecked(Err(ProviderError::new(ProviderErrorKind::CursorLost, "beyond the end")))
            }
            Task::CheckCursor(_) => Outcome::CursorChecked(Ok(())),
            Task::Wait { .. } if self.long_polls == LongPolls::Refused => {
                Outcome::Woken(Err(ProviderError::new(ProviderErrorKind::Malformed, "status 403")))
            }
            Task::Wait { cursor, limit } => {
                self.held.insert(job, (place(cursor), self.now + limit.as_millis() as u64));
                self.tell();
                return;
            }
            other => panic!("no folder wants {other:?}"),
        };
        self.done(job, outcome);
    }

    fn run(&mut self, for_ms: u64) {
        let end = self.now + for_ms;
        loop {
            let now = Now { mono: self.now, wall: Wall(1_789_948_800_000 + self.now as i64) };
            let inputs: Vec<Input> = std::iter::once(Input::Tick(now)).chain(self.inbox.drain(..)).collect();
            for effect in self.engine.step(inputs).unwrap() {
                match effect {
                    Effect::Cloud { job, task, .. } => {
                        self.serve(job, &task);
                        self.asked.push((self.now, task));
                    }
                    Effect::Cancel(job) => drop(self.held.remove(&job)),
                    _ => {}
                }
            }
            if !self.inbox.is_empty() {
                continue;
            }
            let held = self.held.values().map(|(_, until)| *until);
            let next = held.chain(self.engine.deadline()).min().unwrap_or(end).max(self.now);
            if next >= end {
                self.now = end;
                return;
            }
            self.now = next;
            self.tell();
        }
    }

    fn count(&self, since: u64, what: impl Fn(&Task) -> bool) -> usize {
        self.asked.iter().filter(|(at, task)| *at >= since && what(task)).count()
    }

    fn degraded(&self) -> Option<Degraded> {
        self.engine.health().accounts.into_values().next().unwrap().degraded
    }

    /// The longest time between two reads of the stream.
    fn longest_pause(&self, since: u64) -> u64 {
        let polls = self.asked.iter().filter(|(at, task)| *at >= since && is_poll(task)).map(|(at, _)| *at);
        let polls: Vec<u64> = polls.collect();
        polls.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
    }
}

fn is_poll(task: &Task) -> bool {
    matches!(task, Task::Poll(_))
}

fn is_wait(task: &Task) -> bool {
    matches!(task, Task::Wait { .. })
}

#[test]
fn a_swallowed_long_poll_delays_news_by_two_minutes_at_most_and_is_said() {
    let mut bed = Bed::new(ProviderName::Box, None);
    bed.run(HOUR);
    bed.news();
    bed.run(5 * MINUTE);
    assert_eq!(bed.degraded(), None);
    bed.set(LongPolls::Swallowed);
    for _ in 0..20 {
        bed.news();
        bed.run(NEWS_WITHIN);
        assert_eq!(bed.read, bed.newest);
    }
    let degraded = bed.degraded().unwrap();
    assert_eq!((degraded.name.as_str(), degraded.halts()), (NO_LONG_POLL, false), "{degraded:?}");
    // It works again: a trial from before the last news shows it, although nothing new happens.
    bed.set(LongPolls::Work);
    bed.run(20 * MINUTE);
    assert_eq!(bed.degraded(), None);
    let (began, newest) = (bed.now, bed.newest);
    bed.news();
    bed.run(1);
    assert_eq!(bed.asked.iter().rfind(|(_, task)| is_poll(task)).unwrap().0, began, "told at once");
    assert_eq!(bed.read, newest + 1);
}

#[test]
fn one_dead_connection_is_replaced_and_the_long_poll_goes_on() {
    let mut bed = Bed::new(ProviderName::Box, None);
    bed.run(HOUR);
    bed.news();
    bed.run(5 * MINUTE);
    // The request under way is swallowed; the next one is not.
    bed.long_polls = LongPolls::Swallowed;
    bed.news();
    bed.long_polls = LongPolls::Work;
    for request in bed.held.values_mut() {
        *request = (u64::MAX, u64::MAX);
    }
    bed.run(NEWS_WITHIN + MINUTE);
    assert_eq!((bed.read, bed.degraded()), (bed.newest, None));
    assert!(bed.held.values().all(|(from, _)| *from == bed.newest), "a new request is out: {:?}", bed.held);
}

#[test]
fn a_refused_long_poll_leaves_the_interval_and_is_tried_with_growing_pauses() {
    let mut bed = Bed::new(ProviderName::Box, None);
    bed.set(LongPolls::Refused);
    bed.run(MINUTE);
    let degraded = bed.degraded().unwrap();
    assert_eq!(degraded.name, NO_LONG_POLL);
    assert!(degraded.cause.contains("403"), "{degraded:?}");
    bed.news();
    bed.run(NEWS_WITHIN);
    assert_eq!(bed.read, bed.newest);
    let began = bed.now;
    bed.run(6 * HOUR);
    let longest = NET_UNDER_LONG_POLL * 12 / 10;
    assert!(bed.longest_pause(began) <= longest.as_millis() as u64, "{}", bed.longest_pause(began));
    let trials = bed.count(began, is_wait);
    assert!((20..=80).contains(&trials), "{trials} trials in six hours");
    bed.set(LongPolls::Work);
    bed.run(20 * MINUTE);
    assert_eq!(bed.degraded(), None);
    assert_eq!(bed.held.len(), 1);
}

#[test]
fn listening_costs_what_the_net_costs_and_no_more_than_the_budget() {
    let mut bed = Bed::new(ProviderName::Box, None);
    bed.run(24 * HOUR);
    let polls = bed.count(0, is_poll);
    assert!((60..=90).contains(&polls), "{polls} polls on a quiet day");
    assert!(bed.count(0, is_wait) <= 24 * 6, "a long poll that works is left alone");
    assert_eq!(bed.degraded(), None);
    let mut bed = Bed::new(ProviderName::Box, Some(200));
    bed.run(24 * HOUR);
    let polls = bed.count(0, is_poll);
    assert!(polls <= 200, "{polls} polls of 200 calls");
}

#[test]
fn a_place_beyond_the_end_of_the_stream_is_noticed_and_taken_anew() {
    let mut bed = Bed::new(ProviderName::Egnyte, None);
    bed.run(HOUR);
    let checks = |bed: &Bed| bed.count(0, |task| matches!(task, Task::CheckCursor(_)));
    let anew = |bed: &Bed| bed.count(0, |task| matches!(task, Task::RestartCursor));
    assert_eq!((checks(&bed), anew(&bed)), (1, 0));
    // The domain is restored from a backup: its newest event is older than the agent's place, and a read brings nothing for ever.
    bed.newest = 40;
    bed.run(HOUR + 10 * MINUTE);
    assert_eq!(anew(&bed), 1);
    bed.news();
    bed.run(10 * MINUTE);
    assert_eq!(bed.read, 41, "what happens from then on is read");
    let before = checks(&bed);
    bed.run(24 * HOUR);
    assert!((22..=24).contains(&(checks(&bed) - before)), "{} checks a day", checks(&bed) - before);
    assert_eq!(anew(&bed), 1);
}
