//! What the agent tells while it works, as lines: the event, who did it, what became of it, and after how long.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::broadcast::{self, error::RecvError};

use super::super::render::{Screen, Tone, harmless, span};
use crate::daemon::world::notices;
use crate::engine::Notice;
use crate::id::JournalId;

/// How long to listen before the disk is looked at anyway.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// An event of which nothing became yet.
struct Heard {
    kind: &'static str,
    path: String,
    actor: Option<String>,
}

/// Listens to the agent.
pub struct Watch {
    sender: broadcast::Sender<Notice>,
    receiver: broadcast::Receiver<Notice>,
    heard: BTreeMap<JournalId, Heard>,
    events: u64,
}

impl Watch {
    /// Hears what is told from now on.
    pub fn new() -> Self {
        let sender = notices();
        Self { receiver: sender.subscribe(), sender, heard: BTreeMap::new(), events: 0 }
    }

    /// What the agent speaks into.
    pub fn sender(&self) -> broadcast::Sender<Notice> {
        self.sender.clone()
    }

    /// Forgets what was told so far.
    pub fn forget(&mut self) {
        self.receiver = self.sender.subscribe();
        self.heard.clear();
        self.events = 0;
    }

    /// Events heard of.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Shows the next thing that the agent tells, if it tells one soon.
    pub async fn next(&mut self, deed: Instant, screen: &mut Screen) -> io::Result<()> {
        match tokio::time::timeout(LOOK_EVERY, self.receiver.recv()).await {
            Ok(Ok(notice)) => self.take(notice, deed, screen),
            // What was missed only misses on the screen.
            Ok(Err(RecvError::Lagged(_) | RecvError::Closed)) | Err(_) => Ok(()),
        }
    }

    fn take(&mut self, notice: Notice, deed: Instant, screen: &mut Screen) -> io::Result<()> {
        match notice {
            Notice::Event { journal, kind, path, actor } => {
                self.events += 1;
                self.heard.insert(journal, Heard { kind, path, actor });
                Ok(())
            }
            Notice::Outcome { journal, what, path, from, .. } => {
                let heard = journal.and_then(|journal| self.heard.remove(&journal));
                let took = span(deed.elapsed());
                if let Some(heard) = heard {
                    let outcome = outcome(&what, &path, from.as_deref(), &heard.path);
                    line(&heard, Tone::Good, &outcome, &took, screen)?;
                } else {
                    let what = screen.tint(Tone::Good, format!("{what} {}", harmless(&path)));
                    screen.line(format_args!("    {:<9} {what}  {}", "", screen.tint(Tone::Quiet, took)))?;
                }
                screen.flush()
            }
            Notice::Problem { path, text, .. } => {
                let text = screen.tint(Tone::Bad, format!("{}: {}", harmless(&path), harmless(&text)));
                screen.line(format_args!("    problem   {text}"))
            }
        }
    }

    /// Shows what was told by now, and the events that got no outcome of their own, because a later one about the same item took their place.
    pub fn rest_of(&mut self, deed: Instant, screen: &mut Screen) -> io::Result<()> {
        while let Ok(notice) = self.receiver.try_recv() {
            self.take(notice, deed, screen)?;
        }
        for heard in std::mem::take(&mut self.heard).into_values() {
            line(&heard, Tone::Quiet, "overtaken", "", screen)?;
        }
        screen.flush()
    }
}

/// What was done, and where it was done if that is not where the event was.
fn outcome(what: &str, path: &str, from: Option<&str>, event: &str) -> String {
    let from = from
        .filter(|from| !from.is_empty() && *from != path)
        .map(|from| format!(" from {}", harmless(from)))
        .unwrap_or_default();
    let path = if path == event { String::new() } else { format!(" {}", harmless(path)) };
    format!("{what}{path}{from}")
}

fn line(heard: &Heard, tone: Tone, outcome: &str, took: &str, screen: &mut Screen) -> io::Result<()> {
    let actor = heard.actor.as_deref().map(|actor| format!(" by {}", harmless(actor))).unwrap_or_default();
    let actor = screen.tint(Tone::Quiet, actor);
    let outcome = screen.tint(tone, outcome);
    let took = screen.tint(Tone::Quiet, took);
    screen.line(format_args!("    {:<9} {}{actor} → {outcome}  {took}", heard.kind, harmless(&heard.path)))
}
