//! The made-up cloud's stream of events: what it tells, and what misfortune makes of it.

use super::*;

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
        match self.describe(id, !self.habits.no_ancestors) {
            Some(item) if self.is_live(id) => Subject::Item(item),
            _ => Subject::Gone(id.clone()),
        }
    }

    pub(super) fn tell(&mut self, kind: EventKind, word: &str, id: &ItemId) {
        let subject = self.subject(id);
        self.tell_as(kind, word, id, subject);
    }

    pub(super) fn tell_as(&mut self, kind: EventKind, word: &str, id: &ItemId, subject: Subject) {
        self.next_event += 1;
        self.log.push(RemoteEvent {
            id: EventId::new(format!("e{}", self.next_event)),
            kind,
            provider_kind: word.to_owned(),
            subject,
            actor: None,
            actor_name: None,
            at: Some(Wall(1_650_000_000_000 + self.next_event as i64)),
            raw: id.to_string(),
        });
    }

    /// Lets misfortune have its way with the events that were told since the log had this length.
    pub fn disturb(&mut self, from: usize, now: u64, chance: &mut Chance) {
        for event in self.log.split_off(from.min(self.log.len())) {
            if chance.one_in(self.habits.lose) {
                self.lossy = true;
                self.disturbed[0] += 1;
                continue;
            }
            if chance.one_in(self.habits.repeat) {
                self.disturbed[1] += 1;
                self.late.push((now + chance.below(20_000), event.clone()));
            }
            if chance.one_in(self.habits.late) {
                self.disturbed[2] += 1;
                self.late.push((now + chance.below(self.habits.late_ms), event));
                continue;
            }
            self.log.push(event);
            let length = self.log.len();
            if length >= 2 && length - 1 > from && chance.one_in(self.habits.swap) {
                self.disturbed[3] += 1;
                self.log.swap(length - 1, length - 2);
            }
        }
    }

    /// Length of the stream so far.
    pub fn told(&self) -> usize {
        self.log.len()
    }

    /// Late events whose moment has come join the stream; those for which it has not stay, unless all are wanted.
    pub fn release_late(&mut self, now: u64, all: bool) {
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| all || *at <= now);
        self.late = later;
        let due: Vec<(u64, RemoteEvent)> = due;
        self.log.extend(due.into_iter().map(|(_, event)| event));
    }

    /// When the next late event comes.
    pub fn next_late(&self) -> Option<u64> {
        self.late.iter().map(|(at, _)| *at).min()
    }

    /// From now on all former cursors are refused.
    pub fn lose_cursors(&mut self) {
        self.epoch += 1;
    }

    pub fn newest_cursor(&self) -> Cursor {
        Cursor::new(format!("{}:{}", self.epoch, self.log.len()))
    }

    fn position(&self, cursor: &Cursor) -> Option<usize> {
        let (epoch, at) = cursor.as_str().split_once(':').unwrap();
        (epoch.parse() == Ok(self.epoch)).then(|| at.parse().unwrap())
    }

    /// Whether there is anything after a cursor; also true if it is refused.
    pub fn has_news(&self, cursor: &Cursor) -> bool {
        self.position(cursor).is_none_or(|at| at < self.log.len())
    }

    pub fn events(&self, cursor: &Cursor) -> Result<EventPage, ProviderError> {
        let lost = || ProviderError::new(ProviderErrorKind::CursorLost, "the place is unknown");
        let at = self.position(cursor).ok_or_else(lost)?;
        let end = self.log.len().min(at + self.habits.event_page.max(1));
        let mut events = self.log[at..end].to_vec();
        if self.habits.snapshot_at_read {
            for event in &mut events {
                if let Subject::Item(item) = &event.subject
                    && self.is_live(&item.id)
                {
                    event.subject = self.subject(&item.id.clone());
                }
            }
        }
        Ok(EventPage { events, next: Cursor::new(format!("{}:{end}", self.epoch)), drained: end == self.log.len() })
    }
}
