//! The made-up cloud's stream of events: what it tells, and what misfortune makes of it.

use super::*;

/// From one position of the stream to the next.
const POSITION_STEP: u64 = 10;
/// The positions of one epoch.
const EPOCH: u64 = 1_000_000_000_000;
/// Of an event that gets its position when it comes.
const NOWHERE: u64 = 0;

/// An event with its place in the stream.
#[derive(Debug, Clone)]
pub struct Told {
    position: u64,
    event: RemoteEvent,
}

impl Cloud {
    pub(super) fn subject(&self, id: &ItemId) -> Subject {
        self.subject_from(id, None)
    }

    pub(super) fn subject_from(&self, id: &ItemId, from: Option<String>) -> Subject {
        if self.habits.paths {
            let path = self.path_of(id);
            return match self.things.get(id) {
                _ if id.is_folder() => Subject::Path { path, from, is_folder: Some(true) },
                Some(thing) => {
                    let version = Some(VersionId::new(format!("v{}", thing.version)));
                    Subject::Id { id: id.clone(), version, parent: None, path: Some(path), from }
                }
                None => Subject::Gone(id.clone()),
            };
        }
        if self.habits.ids {
            let parent = self.things.get(id).and_then(|thing| thing.parent.clone());
            let parent = parent.filter(|_| !self.habits.no_ancestors);
            return if self.is_shown(id) {
                Subject::Id { id: id.clone(), version: None, parent, path: None, from: None }
            } else {
                Subject::Gone(id.clone())
            };
        }
        match self.describe(id, !self.habits.no_ancestors) {
            Some(item) if self.is_shown(id) => Subject::Item(item),
            _ => Subject::Gone(id.clone()),
        }
    }

    pub(super) fn tell(&mut self, kind: EventKind, word: &str, id: &ItemId) {
        let subject = self.subject(id);
        self.tell_as(kind, word, id, subject);
    }

    pub(super) fn tell_as(&mut self, kind: EventKind, word: &str, id: &ItemId, subject: Subject) {
        if !self.is_hidden(id) {
            self.tell_of_leaving(kind, word, id, subject);
        }
    }

    /// An event of an item that could be seen before.
    pub(super) fn tell_of_leaving(&mut self, kind: EventKind, word: &str, id: &ItemId, subject: Subject) {
        self.next_event += 1;
        // Never a whole second, which would say that this cloud tells no more than that.
        self.last_at = self.at.max(self.last_at + 1) | 1;
        let event = RemoteEvent {
            id: EventId::new(format!("e{}", self.next_event)),
            kind,
            provider_kind: word.to_owned().into(),
            subject,
            actor: None,
            actor_name: None,
            at: Some(Wall(self.last_at)),
            raw: id.to_string().into(),
        };
        self.append(event);
    }

    /// An event joins the end of the stream. The place of one that was taken out is its own: with two events at one place, a page that ends
    /// between them would pass over the second.
    fn append(&mut self, event: RemoteEvent) {
        self.last_position += POSITION_STEP;
        self.log.push(Told { position: self.last_position, event });
    }

    /// The position of the newest event.
    fn end(&self) -> u64 {
        self.log.last().map_or(0, |told| told.position)
    }

    /// Lets misfortune have its way with the events that were told since the log had this length.
    pub fn disturb(&mut self, from: usize, now: u64, chance: &mut Chance) {
        for mut told in self.log.split_off(from.min(self.log.len())) {
            if chance.one_in(self.habits.lose) {
                self.note_untold(now);
                self.suffer("event lost");
                continue;
            }
            if chance.one_in(self.habits.blank) {
                self.suffer("event without an item");
                blank(&mut told.event, chance.one_in(2));
            }
            if chance.one_in(self.habits.unknown) {
                self.suffer("event of an unknown kind");
                unknown(&mut told.event);
            }
            if chance.one_in(self.habits.repeat) {
                self.suffer("event repeated");
                self.late.push((now + chance.below(20_000), Told { position: NOWHERE, event: told.event.clone() }));
            }
            if chance.one_in(self.habits.late) {
                self.suffer("event late");
                let late = now + chance.below(self.habits.late_ms);
                self.late.push((late, Told { position: NOWHERE, event: told.event }));
                continue;
            }
            if chance.one_in(self.habits.behind) {
                self.suffer("event behind a cursor");
                self.late.push((now + chance.below(self.habits.late_ms), told));
                continue;
            }
            self.log.push(told);
            let length = self.log.len();
            if length >= 2 && length - 1 > from && chance.one_in(self.habits.swap) {
                self.suffer("events swapped");
                self.swap_last();
            }
        }
    }

    pub(super) fn suffer(&mut self, misfortune: &'static str) {
        *self.disturbed.entry(misfortune).or_default() += 1;
    }

    /// Something happened that the stream will not tell, or has told where nobody looks.
    pub fn note_untold(&mut self, now: u64) {
        self.lossy = true;
        self.untold = self.untold.max(Some(now));
    }

    /// The last two events change places.
    fn swap_last(&mut self) {
        if let [.., one, other] = self.log.as_mut_slice() {
            std::mem::swap(&mut one.event, &mut other.event);
        }
    }

    /// Takes the newest event out of the stream.
    pub fn take_back(&mut self) -> Told {
        self.log.pop().expect("an event that was told")
    }

    /// An event that was taken back comes now, at the end.
    pub fn tell_late(&mut self, told: Told) {
        self.append(told.event);
    }

    /// An event that was taken back comes now, where it belongs.
    pub fn tell_behind(&mut self, told: Told, now: u64) {
        if told.position <= self.given {
            self.note_untold(now);
        }
        let at = self.log.partition_point(|other| other.position < told.position);
        self.log.insert(at, told);
    }

    /// Takes the item out of the newest event.
    pub fn blank_last(&mut self, unreadable: bool) {
        blank(&mut self.log.last_mut().expect("an event that was told").event, unreadable);
    }

    /// The newest event has a word that nobody knows.
    pub fn unknown_last(&mut self) {
        unknown(&mut self.log.last_mut().expect("an event that was told").event);
    }

    /// The domain was restored: its stream ends where it once did, and goes on from there.
    pub fn rewind(&mut self) {
        self.log.truncate(1);
        self.last_position = self.end();
    }

    /// Whether everything that will ever be told is in the stream.
    pub fn is_all_told(&self) -> bool {
        self.late.is_empty()
    }

    /// Whether somebody moved an item, or a folder that holds it now, and the stream keeps that back: its event is behind a cursor that may have
    /// been given, or the stream said before it that this is its end. What then goes to the trash took the item along, for all that
    /// anybody can know.
    ///
    /// Example: `mv d/a e; rm -r d`. The stream is read to what it says is its end, and the first event is not in it yet.
    pub fn keeps_back_a_move_of(&self, id: &ItemId) -> bool {
        let is_behind = |told: &Told| told.position != NOWHERE;
        let is_passed_over = |told: &&Told| self.given < told.position && told.position <= self.passed_over;
        let behind = self.late.iter().map(|(_, told)| told).filter(|told| is_behind(told));
        let kept_back = behind.chain(self.log.iter().filter(is_passed_over));
        let moved: Vec<&str> =
            kept_back.filter(|told| told.event.kind == EventKind::Moved).map(|told| told.event.raw.as_str()).collect();
        let mut at = Some(id);
        while let Some(id) = at {
            if moved.contains(&&*id.to_string()) {
                return true;
            }
            at = self.things[id].parent.as_ref();
        }
        false
    }

    /// Length of the stream so far.
    pub fn told(&self) -> usize {
        self.log.len()
    }

    /// Late events whose moment has come join the stream.
    pub fn release_late(&mut self, now: u64) {
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        let due: Vec<(u64, Told)> = due;
        for (_, told) in due {
            if told.position == NOWHERE {
                self.tell_late(told);
            } else {
                self.tell_behind(told, now);
            }
        }
    }

    /// When the next late event comes.
    pub fn next_late(&self) -> Option<u64> {
        self.late_moments().min()
    }

    /// When the late events come.
    pub fn late_moments(&self) -> impl Iterator<Item = u64> {
        self.late.iter().map(|(at, _)| *at)
    }

    /// From now on all former cursors are refused.
    pub fn lose_cursors(&mut self) {
        self.epoch += 1;
    }

    pub fn newest_cursor(&self) -> Cursor {
        self.cursor(self.end())
    }

    fn cursor(&self, position: u64) -> Cursor {
        Cursor::new((self.epoch * EPOCH + position).to_string())
    }

    fn position(&self, cursor: &Cursor) -> Option<u64> {
        let number: u64 = cursor.as_str().parse().unwrap();
        (number / EPOCH == self.epoch).then_some(number % EPOCH)
    }

    /// Whether a place lies in the stream.
    pub fn check_cursor(&self, cursor: &Cursor) -> Result<(), ProviderError> {
        match self.position(cursor) {
            Some(at) if at <= self.end() => Ok(()),
            _ => Err(ProviderError::new(ProviderErrorKind::CursorLost, "the place is none of this stream")),
        }
    }

    /// Whether there is anything after a cursor; also true if it is refused.
    pub fn has_news(&self, cursor: &Cursor) -> bool {
        self.position(cursor).is_none_or(|at| at < self.end())
    }

    pub fn events(&mut self, cursor: &Cursor, chance: &mut Chance) -> Result<EventPage, ProviderError> {
        let lost = || ProviderError::new(ProviderErrorKind::CursorLost, "the place is unknown");
        let at = self.position(cursor).ok_or_else(lost)?;
        let begin = self.log.partition_point(|told| told.position <= at);
        let mut end = self.log.len().min(begin + self.habits.event_page.max(1));
        let mut from = begin;
        let news = begin < self.log.len();
        if news && chance.one_in(self.habits.pages) {
            self.suffer("page: overlapping");
            from = begin - chance.below(4).min(begin as u64) as usize;
        }
        if news && chance.one_in(self.habits.pages) {
            self.suffer("page: short");
            end = begin + 1;
        }
        if news && chance.one_in(self.habits.pages) {
            self.suffer("page: empty");
            self.passed_over = self.end();
            // The adapters take a page without events for the end.
            return Ok(EventPage { events: Vec::new(), next: cursor.clone(), caught_up: true });
        }
        let mut events: Vec<RemoteEvent> = self.log[from..end].iter().map(|told| told.event.clone()).collect();
        if self.habits.snapshot_at_read {
            for event in &mut events {
                if let Subject::Item(item) = &event.subject
                    && self.is_shown(&item.id)
                {
                    event.subject = self.subject(&item.id.clone());
                }
            }
        }
        let next = if end > begin { self.log[end - 1].position } else { at };
        self.given = self.given.max(next);
        Ok(EventPage { events, next: self.cursor(next), caught_up: end == self.log.len() })
    }
}

/// What is left of an event whose `source` is null, or that is no JSON of the expected form at all: what the adapters make of those.
fn blank(event: &mut RemoteEvent, unreadable: bool) {
    // What changes no tree is left alone where the word for it can be read.
    let is_chatter = matches!(event.kind, EventKind::Comment | EventKind::Read | EventKind::Lock);
    event.subject = if is_chatter && !unreadable { Subject::Nothing } else { Subject::Unreadable };
    if unreadable {
        event.kind = EventKind::Other;
        event.provider_kind = "".into();
        event.id = EventId::new(format!("sha256:{}", event.id));
        event.at = None;
    }
}

/// An event of a kind that came after us: what the adapters make of it.
fn unknown(event: &mut RemoteEvent) {
    event.kind = EventKind::Other;
    event.provider_kind = "A_NEW_WORD".into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_ends_before_an_event_leaves_it_for_the_next_one() {
        let mut cloud = Cloud::new();
        cloud.habits.event_page = 1;
        let mut at = cloud.newest_cursor();
        cloud.add_file(&watched(), "a", 1);
        let first = cloud.take_back();
        cloud.add_file(&watched(), "b", 2);
        cloud.tell_behind(first, 0);
        let mut told = Vec::new();
        while cloud.has_news(&at) {
            let page = cloud.events(&at, &mut Chance::new(1)).unwrap();
            told.extend(page.events.into_iter().map(|event| event.id.to_string()));
            at = page.next;
        }
        assert_eq!(told, ["e2", "e3"]);
    }
}
