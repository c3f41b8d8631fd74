//! Pages of the event stream: what each event obliges us to look at, in the transaction that moves the cursor.

use crate::engine::Engine;
use crate::engine::effect::Notice;
use crate::engine::hooks::Story;
use crate::engine::listen::Account;
use crate::engine::remote::{Learned, Source};
use crate::engine::send::answers;
use crate::events::{EventKind, RemoteEvent, Subject, taxonomy};
use crate::hook::HookKind;
use crate::id::{AccountId, FolderId, ItemId, NodeId};
use crate::report::EventCounts;
use crate::store::Result;
use crate::store::journal::NewEvent;
use crate::tree::Wall;

/// How late events are thought to come that were not told when the place in the stream was taken.
const PASSED_OVER_MS: i64 = 600_000;
/// How far the clocks of the cloud and of this machine may be apart, in milliseconds. What the cloud tells in whole seconds is not known better.
const CLOCKS_APART_MS: i64 = 1_000;

/// Whether a page of the stream is read for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Reading {
    /// It is.
    First,
    /// What was read before is in it as well.
    Again,
}

impl Reading {
    fn is_again(self) -> bool {
        self == Self::Again
    }
}

impl Engine {
    pub(in crate::engine) fn take_events(
        &mut self,
        id: AccountId,
        events: &[RemoteEvent],
        reading: Reading,
    ) -> Result<EventCounts> {
        let mut counts = EventCounts::default();
        let mut newest = self.accounts.get(&id).and_then(|account| account.row.newest_event);
        let is_anew = newest.is_none();
        for (index, event) in events.iter().enumerate() {
            self.take_event(id, event, reading, &mut counts)?;
            newest = newest.max(event.at);
            let is_last = index + 1 == events.len();
            // Behind a place that was taken anew, all of the first page may be late: what followed it was passed over.
            if let Some(account) = self.accounts.get_mut(&id).filter(|_| is_last || !is_anew) {
                account.row.newest_event = newest;
            }
        }
        Ok(counts)
    }

    pub(in crate::engine) fn take_event(
        &mut self,
        id: AccountId,
        event: &RemoteEvent,
        reading: Reading,
        counts: &mut EventCounts,
    ) -> Result<()> {
        // Reading changes nothing. Our own downloads are dropped before any row.
        if event.kind == EventKind::Read {
            let user = self.accounts.get(&id).and_then(|account| account.row.user_id.as_ref());
            if event.actor.as_ref() == user {
                counts.own += u64::from(!reading.is_again());
                return Ok(());
            }
            counts.foreign += u64::from(!reading.is_again());
            self.journal_foreign(id, event, "ignored", reading)?;
            return Ok(());
        }
        if event.subject == Subject::Unreadable {
            return self.take_unreadable(id, event, reading, counts);
        }
        let folders = self.folders_concerned(id, event)?;
        if folders.is_empty() {
            if !reading.is_again() {
                counts.foreign += 1;
            }
            let outcome = if event.subject == Subject::Nothing { "ignored" } else { "outside" };
            let is_news = self.journal_foreign(id, event, outcome, reading)? || !reading.is_again();
            return self.note_foreign(id, event, is_news);
        }
        if self.ctx.store.event_seen(id, &event.id)? {
            if !reading.is_again() {
                counts.repeated += 1;
                self.ctx.store.event_repeated(id, &event.id)?;
            }
            return Ok(());
        }
        let mut own = false;
        for folder in &folders {
            own |= match &event.subject {
                Subject::Item(item) => self.recognise_echo(*folder, item)?,
                Subject::Gone(item) => {
                    self.ctx.store.take_echo(*folder, item, crate::engine::send::echoes::ECHO_GONE)?
                }
                Subject::Id { id, .. } if event.kind == EventKind::Trashed => {
                    self.ctx.store.take_echo(*folder, id, crate::engine::send::echoes::ECHO_GONE)?
                }
                Subject::Id { id, version: Some(version), path, .. } => {
                    self.is_echo_of_version(*folder, event.kind, id, version, path.as_deref())?
                }
                Subject::Id { .. } | Subject::Path { .. } | Subject::Nothing | Subject::Unreadable => false,
            };
        }
        if own {
            counts.own += 1;
        } else {
            counts.relevant += 1;
        }
        for folder in folders {
            self.apply_event(id, folder, event, own, counts)?;
        }
        Ok(())
    }

    /// An event that cannot be understood may be about anything: every folder of the account is compared, not more often than every few
    /// minutes, and is being verified until that ended.
    fn take_unreadable(
        &mut self,
        id: AccountId,
        event: &RemoteEvent,
        reading: Reading,
        counts: &mut EventCounts,
    ) -> Result<()> {
        if self.ctx.store.event_seen(id, &event.id)? {
            counts.repeated += 1;
            return self.ctx.store.event_repeated(id, &event.id);
        }
        let folders = self.folders_of(id);
        let Some(first) = folders.first() else {
            counts.foreign += u64::from(!reading.is_again());
            self.journal_foreign(id, event, "unplaced", reading)?;
            return Ok(());
        };
        counts.relevant += 1;
        self.journal(id, *first, event, (None, None, None), "unplaced", false)?;
        for folder in folders {
            self.doubt(folder)?;
        }
        Ok(())
    }

    /// An event that concerns no folder, as far as is known: a listing that is under way may yet show that it did, and so may an answer.
    ///
    /// Invariant: what is told for the first time is looked at, by whichever reading it comes. Example: an event is written behind the
    /// position that was read to, and the second reading finds it; or the second reading goes on beyond the first one.
    fn note_foreign(&mut self, account: AccountId, event: &RemoteEvent, is_news: bool) -> Result<()> {
        let Some(id) = event.subject.item() else { return Ok(()) };
        if !self.folders.values().any(|folder| folder.account == account) {
            return Ok(());
        }
        let at = self.ctx.store.generation();
        let is_sent = self.is_anything_sent(account)?;
        self.questions.note_unknown(id, None, at, is_sent);
        let has_place = match &event.subject {
            Subject::Id { path, parent, .. } => path.is_some() || parent.is_some(),
            _ => true,
        };
        let changes =
            !matches!(event.kind, EventKind::Trashed | EventKind::Comment | EventKind::Lock | EventKind::Read);
        if changes && !has_place && is_news {
            self.note_stray(account, id)?;
        }
        Ok(())
    }

    /// Whether the answer to a write of ours may bring in an item that we do not know yet.
    ///
    /// Example: we make `e`, somebody moves it out of the watched folder, and that is told before the answer comes, which says where `e` was.
    pub(in crate::engine) fn is_anything_sent(&self, account: AccountId) -> Result<bool> {
        let sends = self.folders.iter().filter(|(_, folder)| folder.account == account && folder.policy().sends());
        for (id, _) in sends {
            if self.ctx.store.sent_left(*id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Who did it, as people know them: an event may carry nothing but a number, and of one number it is known whose it is.
    fn who(&self, account: AccountId, event: &RemoteEvent) -> Option<String> {
        name_of_actor(self.accounts.get(&account), event).map(ToOwned::to_owned)
    }

    fn journal(
        &mut self,
        account: AccountId,
        folder: FolderId,
        event: &RemoteEvent,
        (node, item, path): (Option<NodeId>, Option<&str>, Option<&str>),
        outcome: &str,
        own: bool,
    ) -> Result<Option<crate::id::JournalId>> {
        let who = self.who(account, event);
        let known = self.recent.entry(&self.ctx.store, account, &event.id)?;
        let new = NewEvent {
            account,
            event_id: &event.id,
            folder: Some(folder),
            node,
            item: item.map(ToOwned::to_owned),
            kind: event.kind.word(),
            provider_kind: &event.provider_kind,
            path: path.map(ToOwned::to_owned),
            actor: who.as_deref(),
            actor_id: event.actor.as_deref(),
            at: event.at,
            received: self.ctx.now.wall,
            outcome,
            own,
            raw: event.raw.as_str(),
        };
        let journal = self.ctx.store.add_event(&new, known)?;
        self.subscribers.grew(journal.is_some());
        Ok(journal)
    }

    /// Writes down an event that concerns no folder. Its text is kept only where our words do not say it, or somebody asks for it. False if
    /// it was written down before.
    fn journal_foreign(
        &mut self,
        account: AccountId,
        event: &RemoteEvent,
        outcome: &str,
        reading: Reading,
    ) -> Result<bool> {
        let Some(of) = self.accounts.get(&account) else { return Ok(false) };
        if let Some(known) = self.recent.entry(&self.ctx.store, account, &event.id)? {
            if !reading.is_again() {
                self.ctx.store.entry_repeated(known)?;
            }
            return Ok(false);
        }
        let is_unknown = taxonomy::name(of.settings.provider, event.kind, &event.provider_kind) == taxonomy::UNKNOWN;
        let keeps_raw = is_unknown || self.subscribers.wants_raw(&of.settings.name);
        let journal = self.ctx.store.add_foreign_event(&NewEvent {
            account,
            event_id: &event.id,
            folder: None,
            node: None,
            item: event.subject.item().map(ItemId::text),
            kind: event.kind.word(),
            provider_kind: &event.provider_kind,
            path: event.subject.path(),
            actor: name_of_actor(Some(of), event),
            actor_id: event.actor.as_deref(),
            at: event.at,
            received: self.ctx.now.wall,
            outcome,
            own: false,
            raw: if keeps_raw { event.raw.as_str() } else { "" },
        })?;
        self.recent.note(account, &event.id, journal);
        self.subscribers.grew(true);
        Ok(true)
    }

    /// The folders that an event may concern, found without any call.
    pub(in crate::engine) fn folders_concerned(&self, id: AccountId, event: &RemoteEvent) -> Result<Vec<FolderId>> {
        let subject = &event.subject;
        let item = match subject {
            Subject::Item(item) => &item.id,
            Subject::Gone(item) | Subject::Id { id: item, .. } => item,
            Subject::Path { path, from, .. } => return Ok(self.folders_by_path(id, [Some(path), from.as_deref()])),
            Subject::Nothing | Subject::Unreadable => return Ok(Vec::new()),
        };
        let mut concerned = Vec::new();
        self.ctx.store.folders_naming(item, &mut concerned)?;
        concerned.retain(|folder| self.folders.get(folder).is_some_and(|known| known.account == id));
        if let Subject::Id { path, from, parent, .. } = subject {
            concerned.extend(self.folders_by_path(id, [path.as_deref(), from.as_deref()]));
            if let Some(parent) = parent {
                concerned.extend(self.ctx.store.folders_knowing(id, parent)?);
            } else if path.is_none() && concerned.is_empty() && changes_names(event.kind) {
                // Whatever is told without a place lies in a folder that watches all of the account.
                let tops = self.folders.iter().filter(|(_, folder)| folder.account == id && folder.watches_top);
                concerned.extend(tops.map(|(folder, _)| *folder));
            }
        }
        if let Subject::Item(item) = subject {
            let above = item.ancestors.iter().flatten().map(|ancestor| &ancestor.id).chain(&item.parent);
            let roots: Vec<FolderId> = above
                .flat_map(|above| {
                    let at_root = |folder: &crate::engine::Folder| {
                        folder.account == id && folder.root_item.as_ref() == Some(above)
                    };
                    self.folders.iter().filter(move |(_, folder)| at_root(folder)).map(|(folder, _)| *folder)
                })
                .collect();
            concerned.extend(roots);
            if item.ancestors.is_none()
                && let Some(parent) = &item.parent
            {
                concerned.extend(self.ctx.store.folders_knowing(id, parent)?);
            }
        }
        concerned.retain(|folder| self.folders.contains_key(folder));
        concerned.sort_unstable();
        concerned.dedup();
        Ok(concerned)
    }

    pub(in crate::engine) fn apply_event(
        &mut self,
        id: AccountId,
        folder: FolderId,
        event: &RemoteEvent,
        own: bool,
        counts: &mut EventCounts,
    ) -> Result<()> {
        let (item, path) = match &event.subject {
            Subject::Item(item) => (Some(item.id.clone()), None),
            Subject::Gone(item) => (Some(item.clone()), None),
            Subject::Id { id, path, .. } => {
                (Some(id.clone()), path.as_deref().and_then(|path| self.path_below_root(folder, path)))
            }
            Subject::Path { path, .. } => {
                (None, Some(self.path_below_root(folder, path).unwrap_or_else(|| path.clone())))
            }
            Subject::Nothing | Subject::Unreadable => return Ok(()),
        };
        let path = match (path, &item) {
            (None, Some(item)) => self.ctx.paths.told(&self.ctx.store, folder, item, &event.subject)?,
            (path, _) => path,
        };
        let node = match &item {
            Some(item) => self.ctx.store.item_by_id(folder, item)?.map(|row| row.node),
            None => None,
        };
        let item = item.map(|item| item.to_string());
        let journal = self.journal(id, folder, event, (node, item.as_deref(), path.as_deref()), "pending", own)?;
        let user = self.accounts.get(&id).and_then(|account| account.row.user_id.as_ref());
        let ours = event.actor.is_some() && event.actor.as_ref() == user;
        if let Some(journal) = journal.filter(|_| ours) {
            self.ctx.store.mark_own(journal)?;
        }
        if journal.is_some()
            && let Some(kind) = HookKind::of_event(event.kind, &event.provider_kind)
            && let Some(node) = node
            && let Some(row) = self.ctx.store.item(node)?
        {
            let actor = self.who(id, event);
            let story = Story::of_item(kind, &row, path.clone().unwrap_or_default()).by(actor, ours);
            self.happened(story, None)?;
        }
        if let Some(journal) = journal {
            self.ctx.notice(Notice::Event {
                journal,
                kind: event.kind.word(),
                path: path.clone().or_else(|| item.clone()).unwrap_or_default(),
                actor: self.who(id, event),
            });
        }
        let row = self.accounts.get(&id).map(|account| &account.row);
        let late = event.at.is_some_and(|at| row.is_none_or(|row| is_late(at, row.newest_event, row.taken_at)));
        let source = Source::Event { journal, late };
        if let Some(folder) = self.folders.get_mut(&folder).filter(|_| !own) {
            folder.verification.heard(self.ctx.now.mono);
        }
        if let Some(node) = node.filter(|_| event.kind == EventKind::Trashed)
            && let Some(row) = self.ctx.store.item(node)?
        {
            answers::trashed_unheard(&mut self.ctx, &row)?;
        }
        if let Some(node) = node.filter(|_| event.kind == EventKind::Restored) {
            self.told_restored(node)?;
        }
        let outcome = match &event.subject {
            // The item's own count of changes orders what the event says: it is an observation.
            Subject::Item(item) if item.sequence.is_some() && event.kind != EventKind::Sharing => {
                if let Some(node) = node.filter(|_| event.kind == EventKind::Restored && !late) {
                    // It happened after whatever was told before: that it had gone to the trash is not waited for any more.
                    self.forget_expected(node)?;
                }
                let learned = self.learned(folder, item, source)?;
                counts.stale += u64::from(learned == Some("stale"));
                if self.concerns_root(folder, event.kind, Some(&item.id), [None, None])? {
                    Some("watched folder")
                } else {
                    learned
                }
            }
            // Our own deed, recognised by identity: its answer was the observation.
            Subject::Id { .. } if own && event.kind != EventKind::Trashed => Some("no change"),
            _ => self.take_hint(folder, event, source)?,
        };
        if let (Some(outcome), Some(journal)) = (outcome, journal) {
            self.ctx.store.set_outcome(journal, outcome, self.ctx.now.wall)?;
            let path = path.or(item).unwrap_or_default();
            let what = outcome.to_owned();
            self.ctx.notice(Notice::Outcome { folder, journal: Some(journal), what, path, from: None, took_ms: 0 });
        }
        Ok(())
    }

    fn learned(
        &mut self,
        folder: FolderId,
        told: &crate::tree::RemoteItem,
        source: Source,
    ) -> Result<Option<&'static str>> {
        Ok(match self.learn(folder, told, source)? {
            Learned::Stale => Some("stale"),
            Learned::Same => Some("no change"),
            Learned::FilteredOut => Some("filtered out"),
            Learned::Outside => Some("outside"),
            Learned::Marked | Learned::Overtaken | Learned::Unlisted => None,
        })
    }
}

fn name_of_actor<'a>(account: Option<&'a Account>, event: &'a RemoteEvent) -> Option<&'a str> {
    if event.actor_name.is_some() {
        return event.actor_name.as_deref();
    }
    let us = account.map(|account| &account.row).filter(|row| event.actor.is_some() && row.user_id == event.actor);
    us.and_then(|row| row.login.as_deref()).or(event.actor.as_deref())
}

/// Whether something that happened later was told before an event, or was passed over when the place was taken.
///
/// Example: `x` comes into the folder and leaves it again, the place in the stream is taken behind both, and the first event comes after that.
fn is_late(at: Wall, newest: Option<Wall>, taken: Option<Wall>) -> bool {
    // Clocks that differ by more than the window say nothing of order.
    let was_passed_over = taken.is_some_and(|taken| (-CLOCKS_APART_MS..PASSED_OVER_MS).contains(&taken.since(at)));
    newest.is_none_or(|newest| at < newest) || was_passed_over
}

/// Whether what an event says happened may have given an item a place that it did not have.
fn changes_names(kind: EventKind) -> bool {
    !matches!(
        kind,
        EventKind::Read
            | EventKind::Comment
            | EventKind::Lock
            | EventKind::Trashed
            | EventKind::Uploaded
            | EventKind::Promoted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_over_is_late_as_far_as_clocks_can_tell() {
        let taken = Some(Wall(10_000_500));
        let cases = [
            // When it happened, the newest event so far, and whether it is late.
            (10_000_499, None, true),
            (10_000_499, Some(1), true),
            (10_001_500, Some(1), true), // the clocks may be apart
            (10_001_501, Some(1), false),
            (10_001_501, Some(10_001_502), true),
            (10_000_000, Some(1), true), // the second of the taking
            (9_999_000, Some(1), true),
            (9_000_000, Some(1), false), // clocks that differ
        ];
        for (at, newest, late) in cases {
            assert_eq!(is_late(Wall(at), newest.map(Wall), taken), late, "{at} {newest:?}");
        }
    }
}
