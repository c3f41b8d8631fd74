//! What was rejected: out of the folder, never fetched again, and what people decide about it.

#[allow(clippy::wildcard_imports, reason = "a second file of its parent, with the same words")]
use super::*;
use crate::store::items::Presence;

impl Engine {
    /// Begins to move a staged version into quarantine. The row is there first: from now on the version is not published.
    pub(super) fn quarantine(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        hook: &HookSettings,
        outcome: &hook::Outcome,
    ) -> Result<()> {
        let path = self.shown_path(item)?;
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(()) };
        let Some((staged, content)) = folder.staged.get(&item.node).cloned() else {
            self.schedule.make_ready(item.node, work.lane);
            return Ok(());
        };
        let reason = said(outcome).unwrap_or_else(|| outcome.verdict.to_string());
        let folder_name = folder.settings.name.clone();
        let number = self.ctx.store.add_quarantine(&NewQuarantine {
            folder: item.folder,
            folder_name: &folder_name,
            item: &item.id,
            version: &content.version,
            path: &path,
            sha256: staged.sha256,
            size: content.size,
            hook: &hook.name,
            verdict: outcome.verdict.word(),
            reason: &reason,
            at: self.ctx.now.wall,
            expires: hook.quarantine_keep.map(|keep| self.ctx.now.wall.plus_ms(millis(keep) as i64)),
        })?;
        let about =
            Job::Quarantine { folder: item.folder, node: item.node, number, remote: hook.quarantine_remote.clone() };
        let Some(job) = self.start(about)? else {
            self.ctx.store.forget_quarantined(number)?;
            return self.put_off(work, ROOM_AWAITED, "waits", "waits for room to go to quarantine");
        };
        self.schedule.set_phase(item.node, Phase::Busy);
        let sidecar = serde_json::json!({
            "schema": 1, "number": number, "folder": folder_name, "path": path, "item": item.id.to_string(),
            "version": content.version, "sha256": staged.sha256.to_string(), "size": content.size, "hook": hook.name,
            "verdict": outcome.verdict.word(), "reason": reason, "at_ms": self.ctx.now.wall.0,
        });
        let sidecar = sidecar.to_string();
        self.ctx.out.push(Effect::Quarantine { job, folder: item.folder, number, staged, sidecar });
        Ok(())
    }

    /// A version is in quarantine, or could not be moved there.
    pub(in crate::engine) fn quarantine_done(
        &mut self,
        id: FolderId,
        node: NodeId,
        number: i64,
        remote: &QuarantineRemote,
        result: std::result::Result<(), DiskError>,
    ) -> Result<()> {
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.staged.remove(&node);
        }
        self.hooks.passed.remove(&node);
        if let Err(error) = result {
            // It is neither published nor lost: it is fetched and examined again.
            self.ctx.store.forget_quarantined(number)?;
            return self.item_failed(node, "quarantine", &format!("cannot be put into quarantine: {error}"), None);
        }
        self.ctx.store.decide_quarantined(number, State::Held, None, self.ctx.now.wall)?;
        let Some(row) = self.ctx.store.quarantined(number)? else { return Ok(()) };
        let Some(item) = self.ctx.store.item(node)? else {
            self.leave(node);
            return Ok(());
        };
        let work = self.ctx.store.work(node)?;
        let journal = work.as_ref().and_then(|work| work.journal);
        self.ctx.store.add_action(id, &row.path, QUARANTINED, journal, self.ctx.now.wall)?;
        if let Some(journal) = journal {
            self.ctx.store.set_outcome(journal, QUARANTINED, self.ctx.now.wall)?;
        }
        let took_ms = work.as_ref().map_or(0, |work| self.ctx.now.wall.since(work.since).max(0));
        let (path, what) = (row.path.clone(), QUARANTINED.to_owned());
        self.ctx.notice(Notice::Outcome { folder: id, journal, what, path, from: None, took_ms });
        let message = format!("hook `{}` says {}", row.hook, row.reason);
        let story = Story::of_item(HookKind::FileQuarantined, &item, row.path.clone()).with_message(message);
        self.happened(story, work.as_ref())?;
        self.dispose(id, &item, remote);
        self.schedule.unqueue(node);
        self.schedule.make_ready(node, Lane::News);
        Ok(())
    }

    /// Does with the cloud's copy what the hook's settings say.
    fn dispose(&mut self, id: FolderId, item: &ItemRow, remote: &QuarantineRemote) {
        if *remote == QuarantineRemote::Leave {
            return;
        }
        let Some(account) = self.folders.get(&id).map(|folder| folder.account) else { return };
        let Ok(Some(job)) = self.start(Job::Dispose { folder: id, node: item.node }) else { return };
        let task = Task::Dispose {
            item: item.id.clone(),
            name: item.remote.name.clone(),
            etag: item.remote.etag.clone(),
            how: remote.clone(),
        };
        self.ctx.out.push(Effect::Cloud { job, account, task });
    }

    /// The cloud's copy was disposed of, or not.
    pub(in crate::engine) fn disposed(
        &mut self,
        id: FolderId,
        node: NodeId,
        result: std::result::Result<(), ProviderError>,
    ) -> Result<()> {
        let Some(item) = self.ctx.store.item(node)? else { return Ok(()) };
        if let Err(error) = result {
            let path = self.shown_path(&item)?;
            let text = format!("the cloud's copy of a quarantined file stays: {error}");
            self.ctx.notice(Notice::Problem { folder: id, path, code: "quarantine_remote".into(), text });
            return Ok(());
        }
        // What became of it is learnt like any other change.
        self.ctx.store.mark(node, id, Lane::News, crate::store::work::Ask::State, None, self.ctx.now.wall)?;
        self.reload();
        Ok(())
    }

    /// What is in quarantine too long goes.
    pub(in crate::engine) fn expire_quarantine(&mut self) -> Result<()> {
        let expired = self.ctx.store.expired_quarantine(self.ctx.now.wall)?;
        if !expired.is_empty() {
            self.ctx.store.expire_quarantined(&expired, self.ctx.now.wall)?;
            self.ctx.out.push(Effect::DropQuarantined(expired));
        }
        Ok(())
    }

    /// A person decides about a rejected version.
    pub(in crate::engine) fn decide_quarantine(
        &mut self,
        number: i64,
        state: Option<State>,
        why: Option<&str>,
    ) -> Result<Answer> {
        let Some(row) = self.ctx.store.quarantined(number)? else {
            let message = format!("there is no number {number} in quarantine; see `agent quarantine list --all`");
            return Ok(Answer::NotFound { message });
        };
        if matches!(row.state, State::Deleted | State::Expired | State::Moving) && state.is_some() {
            let message = format!(
                "number {number} is {} already; `agent quarantine rescan {number}` fetches it again",
                row.state.word()
            );
            return Ok(Answer::Refused { message });
        }
        let item = match row.item.parse() {
            Ok(id) => self.ctx.store.item_by_id(row.folder, &id)?,
            Err(_) => None,
        };
        let message = if state == Some(State::Released) {
            let content = item.as_ref().and_then(|item| item.remote.content.as_ref());
            let is_there = content.is_some_and(|content| content.version == row.version)
                && item.as_ref().is_some_and(|item| item.remote.presence == Presence::Present);
            if !is_there {
                let message = format!(
                    "the cloud no longer has this version of `{}` in the folder: bring it back there first; \
                     `agent quarantine show {number}` says where its content is",
                    row.path
                );
                return Ok(Answer::Refused { message });
            }
            self.ctx.store.release_quarantined(number, why.unwrap_or_default(), self.ctx.now.wall)?;
            format!("`{}` is released, and published when it has been fetched again", row.path)
        } else if let Some(state) = state {
            self.ctx.store.decide_quarantined(number, state, why, self.ctx.now.wall)?;
            format!("`{}` is deleted from quarantine; this version is not fetched again", row.path)
        } else {
            // New signatures may see it otherwise.
            self.ctx.store.forget_quarantined(number)?;
            if let Some(sha256) = row.sha256 {
                self.ctx.store.forget_verdicts(sha256)?;
            }
            format!("`{}` is fetched and examined again", row.path)
        };
        if state != Some(State::Released) {
            self.ctx.out.push(Effect::DropQuarantined(vec![number]));
        }
        if let Some(item) = item
            && state != Some(State::Deleted)
        {
            self.hooks.passed.remove(&item.node);
            self.ctx.store.mark(
                item.node,
                row.folder,
                Lane::News,
                crate::store::work::Ask::Nothing,
                None,
                self.ctx.now.wall,
            )?;
            self.reload();
        }
        Ok(Answer::Ok { message })
    }
}
