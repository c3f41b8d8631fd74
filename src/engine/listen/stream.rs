//! Pages of the event stream: what each event obliges us to look at, in the transaction that moves the cursor.

#[allow(clippy::wildcard_imports, reason = "a second file of its parent, with the same words")]
use super::*;

impl Engine {
    pub(in crate::engine) fn take_events(&mut self, id: AccountId, events: &[RemoteEvent]) -> Result<EventCounts> {
        let mut counts = EventCounts::default();
        let mut newest = self.accounts.get(&id).and_then(|account| account.row.newest_event);
        let is_anew = newest.is_none();
        for (index, event) in events.iter().enumerate() {
            self.take_event(id, event, &mut counts)?;
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
        counts: &mut EventCounts,
    ) -> Result<()> {
        // Reading changes nothing, and our own downloads are among it: dropped before any row.
        if event.kind == EventKind::Read {
            counts.own += 1;
            return Ok(());
        }
        let folders = self.folders_concerned(id, &event.subject)?;
        if folders.is_empty() {
            counts.foreign += 1;
            return Ok(());
        }
        if self.store.event_seen(id, &event.id)? {
            counts.repeated += 1;
            return Ok(());
        }
        let mut own = false;
        for folder in &folders {
            own |= match &event.subject {
                Subject::Item(item) => self.is_echo(*folder, item)?,
                Subject::Gone(item) => self.store.take_echo(*folder, item, crate::engine::send::ECHO_GONE)?,
                Subject::Id { id, version: Some(version), .. } => {
                    self.store.take_echo(*folder, id, &crate::engine::send::echoes::echo_of_version(version))?
                }
                Subject::Id { .. } | Subject::Path { .. } | Subject::Nothing => false,
            };
        }
        // An echo is taken in like any news: what it says is known already, and if it is not, it is no echo.
        if own {
            counts.own += 1;
        } else {
            counts.relevant += 1;
        }
        for folder in folders {
            self.apply_event(id, folder, event, counts)?;
        }
        Ok(())
    }

    /// The folders that an event may concern, found without any call.
    pub(in crate::engine) fn folders_concerned(&self, id: AccountId, subject: &Subject) -> Result<Vec<FolderId>> {
        let item = match subject {
            Subject::Item(item) => &item.id,
            Subject::Gone(item) | Subject::Id { id: item, .. } => item,
            Subject::Path { path, from, .. } => return Ok(self.folders_by_path(id, [Some(path), from.as_deref()])),
            Subject::Nothing => return Ok(Vec::new()),
        };
        let mut concerned = self.store.folders_knowing(id, item)?;
        if let Subject::Id { path, from, .. } = subject {
            concerned.extend(self.folders_by_path(id, [path.as_deref(), from.as_deref()]));
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
                concerned.extend(self.store.folders_knowing(id, parent)?);
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
            Subject::Nothing => return Ok(()),
        };
        let path = match (path, &item) {
            (None, Some(item)) => self.path_for_people(folder, item, &event.subject)?,
            (path, _) => path,
        };
        let node = match &item {
            Some(item) => self.store.item_by_id(folder, item)?.map(|row| row.node),
            None => None,
        };
        let item = item.map(|item| item.to_string());
        let kind = event.kind.word();
        let journal = self.store.add_event(&NewEvent {
            account: id,
            event_id: &event.id,
            folder: Some(folder),
            node,
            item: item.clone(),
            kind,
            provider_kind: &event.provider_kind,
            path: path.clone(),
            actor: event.actor_name.as_deref().or(event.actor.as_deref()),
            at: event.at,
            received: self.now.wall,
            outcome: "pending",
            raw: &event.raw,
        })?;
        let user = self.accounts.get(&id).and_then(|account| account.row.user_id.as_ref());
        let ours = event.actor.is_some() && event.actor.as_ref() == user;
        if let Some(journal) = journal.filter(|_| ours) {
            self.store.mark_own(journal)?;
        }
        if journal.is_some()
            && let Some(kind) = HookKind::of_event(event.kind, &event.provider_kind)
            && let Some(node) = node
            && let Some(row) = self.store.item(node)?
        {
            let actor = event.actor_name.clone().or_else(|| event.actor.clone());
            let story = Story::of_item(kind, &row, path.clone().unwrap_or_default()).by(actor, ours);
            self.happened(story, None)?;
        }
        if let Some(journal) = journal {
            self.notice(Notice::Event {
                journal,
                kind,
                path: path.clone().or_else(|| item.clone()).unwrap_or_default(),
                actor: event.actor_name.clone().or_else(|| event.actor.clone()),
            });
        }
        let newest = self.accounts.get(&id).and_then(|account| account.row.newest_event);
        // A stream of paths is told in order, and where a comparison may have overtaken it, it is not believed anyway.
        let described = matches!(event.subject, Subject::Item(_));
        let late = described && event.at.is_some_and(|at| newest.is_none_or(|newest| at < newest));
        let source = Source::Event { journal, created: event.kind == EventKind::Created, late };
        let outcome = match &event.subject {
            Subject::Item(item) => {
                let learned = self.learned(folder, item, source)?;
                counts.stale += u64::from(learned == Some("stale"));
                learned
            }
            Subject::Gone(item) => {
                if let Some(node) = node.filter(|_| event.kind == EventKind::Trashed) {
                    self.told_trashed(node)?;
                }
                self.hint(folder, item, LOOK_AFTER_TRASH, source)?
            }
            Subject::Id { id, version, path, from } => {
                let paths = (path.as_deref(), from.as_deref());
                self.id_event(folder, event.kind, (id, version.as_ref()), paths, source)?
            }
            Subject::Path { path, from, is_folder } => {
                self.path_event(folder, event.kind, (path, from.as_deref()), *is_folder, source)?
            }
            Subject::Nothing => None,
        };
        if let (Some(outcome), Some(journal)) = (outcome, journal) {
            self.store.set_outcome(journal, outcome, self.now.wall)?;
            let path = path.or(item).unwrap_or_default();
            let what = outcome.to_owned();
            self.notice(Notice::Outcome { folder, journal: Some(journal), what, path, from: None, took_ms: 0 });
        }
        Ok(())
    }

    /// An event named an item without describing it: ask the cloud about it.
    pub(in crate::engine) fn hint(
        &mut self,
        folder: FolderId,
        item: &ItemId,
        look: u8,
        source: Source,
    ) -> Result<Option<&'static str>> {
        let Some(known) = self.store.item_by_id(folder, item)? else { return Ok(Some("unknown item")) };
        let pending = self.store.work(known.node)?.map_or(0, |work| work.look);
        if known.remote.presence == Presence::Absent && known.synced.is_none() && pending == 0 {
            return Ok(Some("no change"));
        }
        if Some(known.node) == self.folders.get(&folder).and_then(|folder| folder.row.root) {
            self.check_remote_root(folder)?;
            return Ok(Some("watched folder"));
        }
        let look = if pending >= LOOK_AFTER_TRASH && look == LOOK { LOOK_UNSURE } else { look };
        self.mark_look(known.node, folder, look, source)?;
        Ok(None)
    }

    /// The stream makes it necessary to ask for an item's state. An answer that is on its way may be older than that.
    pub(in crate::engine) fn mark_look(
        &mut self,
        node: NodeId,
        folder: FolderId,
        look: u8,
        source: Source,
    ) -> Result<()> {
        if self.nodes.get(&node) == Some(&Phase::Busy) {
            self.asked_again.insert(node);
        }
        self.store.mark(node, folder, Lane::News, look, source.journal(), self.now.wall)
    }
}
