//! One subscription's worker: reads, delivers, says how far it is; backs off while its target is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::TrySendError;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Kit;
use super::journal::{Batch, Place, Wish, read};
use super::target::{Delivery, Undelivered, Way};
use crate::daemon::world::Message;
use crate::engine::Input;
use crate::events::filter::Matcher;
use crate::events::interval::backoff;
use crate::events::subscription::{SubscriptionNews, SubscriptionSettings};
use crate::store::Reader;
use crate::tree::Wall;

/// The journal is looked at this often even if nobody says that it grew.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// While there is more to deliver, the engine hears of progress this often at most: each word is a write of the database.
const WORD_EVERY: Duration = Duration::from_millis(200);
/// The pause while the engine has no room for a word.
const WORD_RETRIED: Duration = Duration::from_millis(50);
/// The pause after the database could not be read.
const DATABASE_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause between two tries.
const PAUSE_MOST: Duration = Duration::from_mins(5);

/// See the module.
pub struct Worker {
    settings: SubscriptionSettings,
    kit: Arc<Kit>,
    grew: watch::Receiver<u64>,
    /// Up to which growth of the journal this is done, or cannot go on.
    settled: Arc<AtomicU64>,
    /// The growth of the journal that the present reading covers.
    times: u64,
    place: Option<Place>,
    way: Way,
    failures: u32,
    /// So many events at once: fewer after a target refused a batch for its size.
    batch: u32,
    unsaid: Unsaid,
}

/// What the engine was not told yet.
#[derive(Default)]
struct Unsaid {
    place: Option<Place>,
    events: u64,
    lost: u64,
    said_at: Option<Instant>,
}

impl Worker {
    /// A worker that has not begun.
    pub fn new(
        settings: SubscriptionSettings,
        kit: Arc<Kit>,
        grew: watch::Receiver<u64>,
        settled: Arc<AtomicU64>,
    ) -> Self {
        let way = Way::of(&settings, &kit);
        let batch = settings.batch;
        Self { settings, kit, grew, settled, times: 0, place: None, way, failures: 0, batch, unsaid: Unsaid::default() }
    }

    /// Works until it is cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = self.work() => {}
        }
        // What was delivered need not be delivered again.
        self.say();
    }

    async fn work(&mut self) {
        let mut reader: Option<Reader> = None;
        loop {
            self.times = *self.grew.borrow_and_update();
            let batch = match self.read(&mut reader).await {
                Ok(Some(batch)) => batch,
                // The engine forgets the row before it says that the worker is to end.
                Ok(None) => {
                    self.settle();
                    self.wait_for_growth().await;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(subscription = self.settings.name, error, "the journal cannot be read");
                    self.settle();
                    tokio::time::sleep(DATABASE_PAUSE).await;
                    continue;
                }
            };
            let more = batch.more;
            if self.deliver(batch).await && !more {
                self.say_all().await;
                self.settle();
                self.wait_for_growth().await;
            }
        }
    }

    /// Delivers what was read; whether that came about.
    async fn deliver(&mut self, batch: Batch) -> bool {
        let Batch { from, upto, docs, lost, .. } = batch;
        if docs.is_empty() {
            if upto > from.cursor {
                self.delivered(Place { cursor: upto, ..from }, 0, 0);
            } else {
                self.place = Some(from);
            }
            return true;
        }
        let delivery = Delivery { name: &self.settings.name, from, upto, docs: &docs };
        match self.way.deliver(&delivery, self.settings.timeout).await {
            Ok(()) => {
                let events = docs.len() as u64 - u64::from(lost > 0);
                self.delivered(Place { cursor: upto, ..from }, events, lost);
                true
            }
            Err(why) => {
                self.place = Some(from);
                self.failed(why, docs.len()).await;
                false
            }
        }
    }

    fn delivered(&mut self, place: Place, events: u64, lost: u64) {
        if self.failures > 0 {
            tracing::info!(subscription = self.settings.name, "the target takes events again");
        }
        self.failures = 0;
        self.place = Some(place);
        self.unsaid.place = Some(place);
        self.unsaid.events += events;
        self.unsaid.lost += lost;
        let is_due = self.unsaid.said_at.is_none_or(|said| said.elapsed() >= WORD_EVERY);
        if is_due {
            self.say();
        }
    }

    async fn failed(&mut self, why: Undelivered, docs: usize) {
        let Undelivered { reason, retry_after, too_large } = why;
        if too_large && docs > 1 {
            self.batch = (docs as u32 / 2).max(1);
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            tracing::warn!(
                subscription = self.settings.name,
                reason,
                "the target does not take events; it is tried again"
            );
        }
        let chance = u64::from_le_bytes(uuid::Uuid::new_v4().into_bytes()[..8].try_into().unwrap_or_default());
        let pause = backoff(self.failures, retry_after, chance).min(PAUSE_MOST);
        let again_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.say();
        self.tell(SubscriptionNews::Failed { reason, again_ms });
        self.settle();
        tokio::time::sleep(pause).await;
    }

    /// Tells the engine how far it is; whether there was room.
    fn say(&mut self) -> bool {
        let Some(place) = self.unsaid.place else { return true };
        let news = SubscriptionNews::Delivered {
            cursor: place.cursor,
            epoch: place.epoch,
            events: self.unsaid.events,
            lost: self.unsaid.lost,
        };
        let said = self.tell(news);
        if said {
            self.unsaid = Unsaid { said_at: Some(Instant::now()), ..Unsaid::default() };
        }
        said
    }

    /// Nobody needs to wait for this worker any more, as far as the journal went when it was read.
    fn settle(&self) {
        self.settled.store(self.times, Ordering::Release);
    }

    async fn say_all(&mut self) {
        while !self.say() {
            tokio::time::sleep(WORD_RETRIED).await;
        }
    }

    fn tell(&self, news: SubscriptionNews) -> bool {
        let input = Input::Subscription { name: self.settings.name.clone(), news };
        match self.kit.inputs.try_send(Message::Input(input)) {
            // An engine that is no more will never listen.
            Ok(()) | Err(TrySendError::Disconnected(_)) => true,
            Err(TrySendError::Full(_)) => false,
        }
    }

    async fn wait_for_growth(&mut self) {
        match tokio::time::timeout(LOOK_EVERY, self.grew.changed()).await {
            Ok(Ok(())) | Err(_) => {}
            // Nobody will say it any more.
            Ok(Err(_)) => std::future::pending().await,
        }
    }

    async fn read(&self, reader: &mut Option<Reader>) -> Result<Option<Batch>, String> {
        let (database, place) = (self.kit.database.clone(), self.place);
        let wish = Wish {
            name: self.settings.name.clone(),
            matcher: Matcher::new(self.settings.filter.clone()),
            raw: self.settings.raw,
            batch: self.batch,
        };
        let opened = reader.take();
        let work = move || {
            let reader = match opened {
                Some(reader) => reader,
                None => Reader::open(&database)?,
            };
            let batch = read(&reader, &wish, place, wall())?;
            Ok::<_, crate::store::StoreError>((reader, batch))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok((opened, batch))) => {
                *reader = Some(opened);
                Ok(batch)
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn wall() -> Wall {
    Wall(jiff::Timestamp::now().as_millisecond())
}
