//! Where both sides had something to say: reading what the disk has, agreeing where it is the same, and keeping both where it is not.

use std::time::Duration;

use super::disk::Want;
use super::effect::{Effect, LocalTask};
use super::hooks::Story;
use super::reconcile::{DRIFT, name_on_disk};
use super::sides::seat_of;
use super::{Engine, Job, Note, Phase, millis};
use crate::deed::{Base, DiskErrorKind, Place};
use crate::hook::HookKind;
use crate::id::{FolderId, NodeId};
use crate::local_news::{HashOrder, HashedFile, LocalMiss, SETTLE_MS};
use crate::path::Name;
use crate::plan::Action;
use crate::provider::HashKind;
use crate::settings::Mode;
use crate::store::Result;
use crate::store::conflicts::ConflictRow;
use crate::store::items::{ItemRow, LocalEdit, LocalRow, Presence, RemoteRow, SeatRow, SyncedRow, local_id};
use crate::store::work::{Ask, Lane, WorkRow, WorkState};
use crate::tree::{Stamp, SyncedContent, Wall};

/// How long something waits for the scans of its folder.
pub(super) const SCANS_AWAITED: Duration = Duration::from_millis(500);
/// For how long a file may be written without a pause before that is told.
const WRITTEN_UNSAID: Duration = Duration::from_mins(1);
/// The longest name of a conflict copy, in bytes (design §12.7).
const COPY_NAME_MAX_BYTES: usize = 240;
/// The longest extension that a conflict copy keeps, in bytes.
const COPY_EXTENSION_MAX_BYTES: usize = 20;
/// The problem of something in an upload folder whose name is not free in the cloud: there the disk is never changed.
pub(super) const NAME_IN_CLOUD: &str = "name_in_cloud";
/// Conflict copies of one name and moment.
const COPIES_MOST: u32 = 1_000;

impl Engine {
    /// Lets an item wait until what the disk has of it was left alone for long enough to be believed. True if it was.
    pub(super) fn await_quiet(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let Some(local) = &item.local else { return Ok(true) };
        let quiet = self.ctx.now.wall.since(local.at());
        // A clock that went back must not block for ever.
        if !(0..SETTLE_MS).contains(&quiet) {
            return Ok(true);
        }
        self.wait_for_quiet(work, Duration::from_millis((SETTLE_MS - quiet) as u64))?;
        Ok(false)
    }

    /// A file that is being written is looked at again. For how long that may go on is the writer's affair; that it does is said.
    fn wait_for_quiet(&mut self, work: &WorkRow, wait: Duration) -> Result<()> {
        if self.ctx.now.wall.since(work.since) < millis(WRITTEN_UNSAID) as i64 {
            return self.wait_quietly(work, wait);
        }
        let text = "it is being written, and is sent once nothing has changed in it for two seconds";
        self.put_off(work, wait, "being_written", text)
    }

    /// An item is looked at again later; nothing is wrong with it.
    pub(super) fn wait_quietly(&mut self, work: &WorkRow, wait: Duration) -> Result<()> {
        let due = self.ctx.now.wall.plus_ms(millis(wait) as i64);
        self.ctx.store.put_off(work.node, due, work.attempts, None)?;
        self.rest(work.node);
        Ok(())
    }

    /// An item waits for the scans of its folder, which may know more of it.
    pub(super) fn wait_for_scans(&mut self, work: &WorkRow) -> Result<()> {
        self.wait_quietly(work, SCANS_AWAITED)
    }

    /// Decides about what only two-way, upload and drift know.
    pub(super) fn consider_local(&mut self, item: &ItemRow, work: &WorkRow, action: Action) -> Result<()> {
        match action {
            Action::Read => {
                self.await_read(item);
                Ok(())
            }
            Action::Agree => self.agree(item, work),
            Action::Part => self.part(item, work),
            Action::Revive => self.revive(item, work),
            Action::Restore => self.restore(item, work),
            Action::Leave => self.leave_alone(item, work),
            action => self.consider_write(item, work, action),
        }
    }

    pub(super) fn await_read(&mut self, item: &ItemRow) {
        self.schedule.set_phase(item.node, Phase::AwaitRead);
        if let Some(folder) = self.folders.get_mut(&item.folder) {
            folder.readers.push_back(item.node);
        }
    }

    /// Hands out reads as far as there is room.
    pub(super) fn release_reads(&mut self) -> Result<()> {
        let ids: Vec<FolderId> = self.folders.keys().copied().collect();
        for id in ids {
            while let Some(folder) = self.folders.get_mut(&id) {
                // The next one may be short.
                if !self.jobs.slots().may_read(id, 0) || !folder.is_open() {
                    break;
                }
                let Some(node) = folder.readers.pop_front() else { break };
                if self.schedule.phase(node) == Some(Phase::AwaitRead) && !self.read(id, node)? {
                    if let Some(folder) = self.folders.get_mut(&id) {
                        folder.readers.push_front(node);
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    /// Starts to read a file; false if there is no room.
    fn read(&mut self, id: FolderId, node: NodeId) -> Result<bool> {
        let Some(item) = self.ctx.store.item(node)? else {
            self.leave(node);
            return Ok(true);
        };
        let edit = item.local.as_ref().and_then(LocalRow::edit).filter(|edit| edit.digests.is_none());
        let place = self.ctx.place(node)?;
        let (Some(edit), Some(Place { base: Base::Tree, path })) = (edit, place) else {
            match self.ctx.store.work(node)? {
                Some(work) => self.await_sight(&item, &work)?,
                None => self.leave(node),
            }
            return Ok(true);
        };
        let bytes = edit.stamp.size;
        if !self.jobs.slots().may_read(id, bytes) {
            return Ok(false);
        }
        let account = self.folders.get(&id).and_then(|folder| self.accounts.get(&folder.account));
        let hash = account.map_or(HashKind::Sha1, |account| account.capabilities.hash);
        let order = HashOrder { path, stamp: edit.stamp, hash };
        let about = Job::Read { folder: id, node, bytes };
        let Some(job) = self.jobs.start(&mut self.ctx.store, about)? else { return Ok(false) };
        self.schedule.set_phase(node, Phase::Busy);
        self.ctx.out.push(Effect::Local { job, folder: id, task: LocalTask::Hash(order) });
        Ok(true)
    }

    /// A file that was to be read is out of sight, or known by now: its plan is made again a little later. One that lies in a directory out
    /// of sight which cannot come back yet waits for that one, and says so.
    ///
    /// Example: `d/f` is edited in a mirror that keeps edits, `d` becomes `e` in the cloud, and a local folder has the name `e`.
    fn await_sight(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        let Some(dir) = Self::dir_of(item) else { return self.wait_for_scans(work) };
        let Some((top, _)) = self.ctx.store.parked_above(dir)? else { return self.wait_for_scans(work) };
        let cannot_come = self.ctx.store.work(top)?.is_some_and(|theirs| theirs.state == WorkState::Waiting);
        match self.ctx.store.item(top)?.filter(|_| cannot_come) {
            Some(top) => self.await_node(work, &top),
            None => self.wait_for_scans(work),
        }
    }

    /// A file was read, or could not be.
    pub(super) fn was_read(&mut self, node: NodeId, result: std::result::Result<HashedFile, LocalMiss>) -> Result<()> {
        self.schedule.unqueue(node);
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        let Some(LocalRow::Present { seat, edit: Some(known), at }) = item.local.clone() else {
            self.schedule.make_ready(node, work.lane);
            return Ok(());
        };
        match result {
            // A scan saw another content since the read was asked for: that one is read, and tells by itself if it is the older one.
            Ok(file) if file.stamp != known.stamp => {
                self.schedule.make_ready(node, work.lane);
                Ok(())
            }
            Ok(file) => {
                let edit = Some(LocalEdit { stamp: file.stamp, digests: Some((file.sha256, file.hash)) });
                if !file.settled {
                    return self.wait_for_quiet(&work, Duration::from_millis(SETTLE_MS as u64));
                }
                self.ctx.store.set_local(node, Some(&LocalRow::Present { seat, edit, at }))?;
                self.schedule.make_ready(node, work.lane);
                Ok(())
            }
            Err(miss) => self.local_miss(&item, &work, &miss),
        }
    }

    /// A file is not what we took it for.
    pub(super) fn local_miss(&mut self, item: &ItemRow, work: &WorkRow, miss: &LocalMiss) -> Result<()> {
        match miss {
            LocalMiss::Changed { stamp } => {
                let seat = match &item.local {
                    Some(LocalRow::Present { seat, .. }) => seat.clone(),
                    None => None,
                    // A scan did not find it since, or something else in its place: what was seen is of before.
                    Some(LocalRow::Absent { .. } | LocalRow::Covered { .. }) => {
                        self.make_ready_again(work);
                        return Ok(());
                    }
                };
                let edit = Some(LocalEdit { stamp: *stamp, digests: None });
                self.ctx.store.set_local(item.node, Some(&LocalRow::Present { seat, edit, at: self.ctx.now.wall }))?;
                self.wait_quietly(work, Duration::from_millis(SETTLE_MS as u64))
            }
            LocalMiss::Missing | LocalMiss::NotAFile => {
                self.rescan_around(item)?;
                self.wait_for_scans(work)
            }
            LocalMiss::Failed(error) if error.kind == DiskErrorKind::RootLost => {
                self.root_failed(item.folder, error);
                Ok(())
            }
            LocalMiss::Failed(error) => self.item_failed(item.node, "unreadable", &error.to_string(), None),
        }
    }

    /// Both hold the same: it becomes what both agree on.
    fn agree(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        let Some(seat) = item.disk_seat() else { return self.wait_for_scans(work) };
        let edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
        let moved = item.synced.as_ref().is_some_and(|synced| synced.seat != seat);
        let stamp = item.disk_stamp().unwrap_or(NO_STAMP);
        let synced = match &item.synced {
            Some(synced) if moved => SyncedRow { seat: seat.clone(), ..synced.clone() },
            _ => {
                let content = item.remote.content.clone().map(|content| SyncedContent {
                    version: content.version,
                    hash: content.hash,
                    sha256: edit.as_ref().and_then(|edit| edit.digests.as_ref()).map(|(sha256, _)| *sha256),
                    size: stamp.size,
                });
                SyncedRow { seat: seat.clone(), content, stamp }
            }
        };
        self.put_synced(item, Some(&synced))?;
        self.rebase(item.node, Some(&seat), edit.filter(|_| moved))?;
        if item.synced.is_none() {
            self.examine_later(item.node)?;
        }
        self.schedule.note_done(item.node, "already there");
        self.make_ready_again(work);
        Ok(())
    }

    /// Looks at an item once where its digest decides whether both sides wrote the same, and no event told it. True if nothing is to be
    /// asked.
    pub(super) fn make_sure_of_bytes(&mut self, item: &ItemRow, work: &WorkRow, action: &Action) -> Result<bool> {
        let Some(theirs) = item.remote.content.as_ref().filter(|theirs| theirs.hash.is_none()) else { return Ok(true) };
        let ours = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
        let is_ours = ours.is_some_and(|ours| ours.version == theirs.version);
        if is_ours
            || !matches!(action, Action::Part | Action::Update)
            || !self.schedule.note(item.node, Note::BytesAsked)
        {
            return Ok(true);
        }
        self.ctx.store.want_look(item.node)?;
        self.make_ready_again(work);
        Ok(false)
    }

    /// What the disk has goes aside under another name, and the item becomes the cloud's.
    fn part(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        if !self.may_part(item, work)? {
            return Ok(());
        }
        let Some((parent, name)) = self.copy_place(item)? else { return self.wait_for_scans(work) };
        self.want(item, work, Want::Part { parent, name })
    }

    /// What the disk has makes room for what the cloud has in the same place.
    pub(super) fn step_aside(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        if self.ctx.store.sent_of(item.node)?.is_some() {
            return Ok(());
        }
        if self.folders.get(&item.folder).is_some_and(|folder| folder.settings.mode == Mode::Upload) {
            let text =
                "the cloud has something else under this name, or one that differs only in case; rename one of the two";
            return self.item_failed(item.node, NAME_IN_CLOUD, text, None);
        }
        match self.copy_place(item)? {
            Some((parent, name)) => self.want(item, work, Want::Aside { parent, name }),
            // It is not on disk any more: what follows from that is decided like anything else.
            None if self.schedule.phase(item.node).is_none() => self.wait_for_scans(work),
            None => Ok(()),
        }
    }

    /// A folder that is out of sight and is to go holds something that somebody put into it, or a file has an edit of somebody's: it is
    /// brought back into sight.
    pub(super) fn bring_back(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        match self.place_in_sight(item)? {
            Some((parent, name)) => self.want(item, work, Want::Aside { parent, name }),
            None => Ok(()),
        }
    }

    /// A file that is out of sight is brought back, and stays what both sides agreed on.
    pub(super) fn show_again(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        match self.place_in_sight(item)? {
            Some((parent, name)) => self.want(item, work, Want::Move { parent, name }),
            None => Ok(()),
        }
    }

    /// A free place for something that is out of sight.
    fn place_in_sight(&mut self, item: &ItemRow) -> Result<Option<(NodeId, Name)>> {
        let Some(root) = self.folders.get(&item.folder).and_then(|folder| folder.row.root) else { return Ok(None) };
        let name = name_on_disk(item).name().clone();
        for number in 1..=COPIES_MOST {
            let copy = copy_name(&name, &self.host, self.ctx.now.wall, number);
            if self.ctx.store.seated_at(root, &copy)?.is_none() {
                return Ok(Some((root, copy)));
            }
        }
        Ok(None)
    }

    /// Somebody stands on disk where the cloud has another item: he gets another name.
    pub(super) fn clear_for(&mut self, work: &WorkRow, occupant: &ItemRow) -> Result<()> {
        self.await_node(work, occupant)?;
        let busy = self.schedule.is_busy(occupant.node);
        match self.ctx.store.work(occupant.node)? {
            Some(theirs) if !busy => self.step_aside(occupant, &theirs),
            _ => Ok(()),
        }
    }

    /// A free place for a conflict copy beside an item.
    pub(super) fn copy_place(&mut self, item: &ItemRow) -> Result<Option<(NodeId, Name)>> {
        let Some((parent, name)) = seat_of(item) else { return Ok(None) };
        for number in 1..=COPIES_MOST {
            let copy = copy_name(&name, &self.host, self.ctx.now.wall, number);
            if self.ctx.store.seated_at(parent, &copy)?.is_none() {
                return Ok(Some((parent, copy)));
            }
        }
        Ok(None)
    }

    /// The deed of [`Want::Part`] is done: the disk's content is a file of its own, and the item is to be fetched.
    pub(super) fn parted(&mut self, item: &ItemRow, parent: NodeId, name: &Name, stamp: Stamp) -> Result<()> {
        let edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
        let edit = edit.unwrap_or(LocalEdit { stamp, digests: None });
        let now = self.ctx.now.wall;
        let path = self.ctx.shown_path(item)?;
        self.put_nowhere(item)?;
        let id = local_id(item.id.kind(), self.ctx.store.next_job()?);
        let local = LocalRow::Present { seat: Some((parent, name.clone())), edit: Some(edit), at: now };
        let copy = self.ctx.store.add_local(item.folder, &id, &local)?;
        self.ctx.store.mark(copy, item.folder, Lane::News, Ask::Nothing, None, now)?;
        self.ctx.store.mark(item.node, item.folder, Lane::News, Ask::Nothing, None, now)?;
        let kept = beside(&path, name);
        self.note_conflict(item.folder, item.node, copy, path, kept, "edited_on_both_sides")
    }

    /// The deed of [`Want::Aside`] is done.
    pub(super) fn went_aside(&mut self, item: &ItemRow, parent: NodeId, name: &Name, stamp: Stamp) -> Result<()> {
        let path = self.ctx.shown_path(item)?;
        self.schedule.take_note(item.node, Note::Crowded);
        let edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
        let edit = edit.or_else(|| item.is_local_only().then_some(LocalEdit { stamp, digests: None }));
        let seat = Some((parent, name.clone()));
        self.observe(item, Some(LocalRow::Present { seat, edit, at: self.ctx.now.wall }))?;
        let kept = beside(&path, name);
        self.note_conflict(item.folder, item.node, item.node, path, kept, "name_taken")
    }

    fn note_conflict(
        &mut self,
        folder: FolderId,
        node: NodeId,
        copy: NodeId,
        path: String,
        kept: String,
        reason: &str,
    ) -> Result<()> {
        if let Some(item) = self.ctx.store.item(node)? {
            let message = format!("{reason}: both are kept, the other as `{kept}`");
            self.happened(Story::of_item(HookKind::Conflict, &item, path.clone()).with_message(message), None)?;
        }
        let at = self.ctx.now.wall;
        let (reason, conflict) = (reason.to_owned(), 0);
        let decision = None;
        self.ctx.store.add_conflict(&ConflictRow { conflict, folder, node, copy, path, kept, reason, at, decision })
    }

    /// The cloud deleted what the disk has changed: it is the disk's alone from now on, and goes up like anything new.
    pub(super) fn revive(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        let seat = item.disk_seat();
        let edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
        let digests = item
            .synced
            .as_ref()
            .and_then(|synced| synced.content.as_ref())
            .and_then(|content| content.sha256.zip(content.hash.clone()));
        let edit = edit.or(item.disk_stamp().map(|stamp| LocalEdit { stamp, digests }));
        self.drop_staged(item.folder, item.node);
        self.put_synced(item, None)?;
        let id = local_id(item.id.kind(), self.ctx.store.next_job()?);
        self.ctx.store.set_id(item.node, &id)?;
        let nothing = RemoteRow {
            presence: Presence::Absent,
            parent: None,
            name: String::new(),
            content: None,
            etag: None,
            sequence: None,
            seen: 0,
        };
        self.ctx.store.set_remote(item.node, &nothing)?;
        self.rebase(item.node, seat.as_ref(), edit)?;
        self.schedule.note_done(item.node, "kept: the disk had changed it");
        self.make_ready_again(work);
        Ok(())
    }

    /// The disk lost what the cloud has and is to have again.
    pub(super) fn restore(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        if let Some(LocalRow::Covered { by, stamp, .. }) = item.local
            && stamp.ino != 0
        {
            return self.uncover(item, work, by);
        }
        self.missing_on_disk(item)?;
        self.schedule.set_trash(item.node, None);
        self.ctx.paths.directories_moved();
        self.make_ready_again(work);
        Ok(())
    }

    /// Both differ, and it stays so until one of them changes.
    fn leave_alone(&mut self, item: &ItemRow, work: &WorkRow) -> Result<()> {
        self.drop_staged(item.folder, item.node);
        if let Some(LocalRow::Covered { by, stamp, .. }) = item.local {
            return self.leave_covered(item, work, by, stamp);
        }
        if matches!(item.local, Some(LocalRow::Absent { .. })) && self.accept_deletion(item)? {
            // The tombstone keeps it away from now on.
            return self.restore(item, work);
        }
        self.conclude(item, work, "left as it is")?;
        if self.policy(item.folder).mode == Mode::Upload && item.synced.is_some() {
            let what = if item.remote.presence == Presence::Present { "changed" } else { "deleted" };
            let text = format!("somebody {what} it in the cloud, and an upload folder leaves the disk as it is");
            return self.item_failed(item.node, DRIFT, &text, None);
        }
        if item.local.as_ref().and_then(LocalRow::edit).is_some() {
            let text = "the local file was edited, and `on_drift = \"keep\"` keeps the edit";
            return self.item_failed(item.node, DRIFT, text, None);
        }
        self.ctx.store.finish(item.node)?;
        self.leave(item.node);
        Ok(())
    }

    /// The plan of an item is made again at once.
    pub(super) fn make_ready_again(&mut self, work: &WorkRow) {
        self.schedule.unqueue(work.node);
        self.schedule.make_ready(work.node, work.lane);
    }

    /// The directory that holds an item on disk.
    pub(super) fn dir_of(item: &ItemRow) -> Option<NodeId> {
        match item.disk_seat() {
            Some(SeatRow::At { parent, .. }) => Some(parent),
            Some(SeatRow::Root | SeatRow::Parked(_)) | None => None,
        }
    }
}

const NO_STAMP: Stamp = Stamp { dev: 0, ino: 0, size: 0, mtime_ns: 0, ctime_ns: 0 };

/// A path with another last name.
fn beside(path: &str, name: &Name) -> String {
    match path.rsplit_once('/') {
        Some((above, _)) => format!("{above}/{name}"),
        None => name.to_string(),
    }
}

/// The name of a conflict copy (design §12.7): `NAME (conflicted copy HOST YYYY-MM-DD HHMMSS).EXT`, then ` 2`, ` 3`.
pub(super) fn copy_name(name: &Name, host: &str, at: Wall, number: u32) -> Name {
    let text = name.to_text();
    let (stem, extension) = match text.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= COPY_EXTENSION_MAX_BYTES => {
            (stem, format!(".{extension}"))
        }
        _ => (text.as_str(), String::new()),
    };
    let when = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().strftime("%Y-%m-%d %H%M%S").to_string();
    let counted = if number > 1 { format!(" {number}") } else { String::new() };
    let tail = format!(" (conflicted copy {host} {when}){counted}{extension}");
    let mut end = stem.len().min(COPY_NAME_MAX_BYTES.saturating_sub(tail.len()));
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    // A checked name, cut, with harmless text behind it, is a name.
    Name::new(format!("{}{tail}", &stem[..end]).as_bytes()).unwrap_or_else(|_| name.clone())
}

/// A host's name as conflict copies show it.
pub(super) fn shown_host(host: &str) -> String {
    const HOST_MAX_CHARS: usize = 32;
    let clean: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(HOST_MAX_CHARS).collect();
    if clean.is_empty() { "host".to_owned() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflict_copies_say_whose_and_when() {
        let name = |text: &str| Name::new(text.as_bytes()).unwrap();
        let at = Wall(1_700_000_000_000);
        let copy = |text: &str, number| copy_name(&name(text), "nas", at, number).to_text();
        assert_eq!(copy("a.txt", 1), "a (conflicted copy nas 2023-11-14 221320).txt");
        assert_eq!(copy("a.txt", 2), "a (conflicted copy nas 2023-11-14 221320) 2.txt");
        assert_eq!(copy(".profile", 1), ".profile (conflicted copy nas 2023-11-14 221320)");
        let long = copy(&("\u{65e5}".repeat(80) + ".docx"), 1);
        assert!(long.len() <= COPY_NAME_MAX_BYTES && long.ends_with("221320).docx"), "{long}");
        assert_eq!(shown_host("my nas_1.local"), "mynas1local");
    }
}
