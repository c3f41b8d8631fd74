//! Our own writes to the cloud: each is written down before it is sent, recognised when it comes back as an event, and looked up when no
//! answer came.

use std::time::Duration;

use self::echoes::LISTING_AWAITED;
use super::conflict::NAME_IN_CLOUD;
use super::disk::Want;
use super::effect::{Effect, Task};
use super::queues::CallKind;
use super::reconcile::name_on_disk;
use super::{Engine, Job, Note, Phase};
use crate::deed::{Base, Place};
use crate::id::{AccountId, FolderId, ItemId, ItemKind, JobId, NodeId};
use crate::local_news::UploadFile;
use crate::path::Name;
use crate::plan::Action;
use crate::provider::{Expected, UploadTarget};
use crate::settings::Mode;
use crate::store::items::{ItemRow, LocalRow, Presence};
use crate::store::sent::{SentRow, Write};
use crate::store::work::{Ask, Lane, WorkRow};
use crate::store::{DEEPEST_PATH, Result};

pub(super) mod answers;
pub(super) mod echoes;
pub(super) mod hopes;
pub(super) mod whole;

/// How long a write rests whose place seems to lie in itself, some way up.
const CIRCLE_RETRIED_AFTER: Duration = Duration::from_secs(30);
/// How a name begins that an item has in the cloud while it changes names with others.
const ASIDE_NAME: &str = ".renaming-";

impl Engine {
    /// Prepares a change of the cloud: waits until it can be believed, and until those that come before it are done.
    pub(super) fn consider_write(&mut self, item: &ItemRow, work: &WorkRow, action: Action) -> Result<()> {
        if matches!(action, Action::Upload { .. } | Action::MakeRemote { .. }) && !item.is_local_only() {
            // It came and went in the cloud before both agreed on it.
            return self.revive(item, work);
        }
        let is_trash = matches!(action, Action::Trash(_));
        if is_trash && self.ctx.store.scan_hoped_for(item.folder, self.ctx.now.mono)? {
            // It may only have moved to where nobody could look.
            return self.wait_quietly(work, hopes::looked_after(&self.ctx, item));
        }
        if self.scans_left(item.folder)? && (is_trash || hopes::may_be_moved(&self.ctx, item)) {
            return self.wait_quietly(work, hopes::looked_after(&self.ctx, item));
        }
        if matches!(action, Action::MakeRemote { .. }) {
            // Its scan tells whether anything in it is for the cloud.
            if self.ctx.store.scan_attempts(item.node)? > 0 {
                return self.item_failed(item.node, "unreadable", "the directory cannot be read", None);
            }
            if self.may_be_hollow(item)? {
                return self.wait_for_scans(work);
            }
        }
        if matches!(action, Action::Upload { .. }) && self.adopt_moved_copy(item)? {
            return Ok(());
        }
        let parent = match &action {
            Action::Upload { parent, .. } | Action::MakeRemote { parent, .. } | Action::MoveRemote { parent, .. } => {
                Some(*parent)
            }
            _ => None,
        };
        // One that steps aside does so where it is in the cloud.
        let parent = parent.filter(|_| !self.schedule.is_noted(item.node, Note::AsideRemotely));
        if let Some(parent) = parent {
            let Some(above) = self.ctx.store.item(parent)? else {
                self.rescan_around(item)?;
                return self.wait_for_scans(work);
            };
            if above.remote.presence != Presence::Present {
                self.make_again(&above)?;
                return self.await_node(work, &above);
            }
            if work.attempts > 0 && self.ctx.store.listing_wanted(parent)? {
                // It was refused, and the listing tells why.
                return self.wait_quietly(work, LISTING_AWAITED);
            }
            if !self.untangle_remotely(item, work, parent)? {
                return Ok(());
            }
        }
        if let Action::Trash(kind) = action
            && !self.prepare_trash(item, work, kind)?
        {
            return Ok(());
        }
        if matches!(action, Action::Upload { .. } | Action::MakeRemote { .. } | Action::MoveRemote { .. })
            && Self::remote_name(item, &action).is_none()
        {
            let text = "the name is not UTF-8, which the cloud cannot hold; rename the file";
            return self.item_failed(item.node, "name_not_utf8", text, None);
        }
        if matches!(action, Action::MoveRemote { .. })
            && !self.schedule.is_noted(item.node, Note::AsideRemotely)
            && !self.may_move_up(item, work)?
        {
            return Ok(());
        }
        let is_upload = matches!(action, Action::Upload { .. } | Action::Update);
        self.schedule.decide(item.node, action);
        self.await_call(work, item, if is_upload { CallKind::Upload } else { CallKind::Question });
        Ok(())
    }

    /// Takes something new for the missing file whose content it has: that one was moved by being copied and removed, as between
    /// filesystems, and goes on under its own id. Whether it was.
    fn adopt_moved_copy(&mut self, item: &ItemRow) -> Result<bool> {
        let Some(LocalRow::Present { seat: Some(seat), edit: Some(edit), at }) = item.local.clone() else {
            return Ok(false);
        };
        let Some((sha256, _)) = edit.digests.as_ref().filter(|_| edit.stamp.size > 0) else { return Ok(false) };
        let Some(gone) = self.ctx.store.missing_content(item.folder, sha256)? else { return Ok(false) };
        let is_free = matches!(self.plan_of(&gone), Action::Trash(_))
            && !self.schedule.is_busy(gone.node)
            && self.ctx.store.sent_of(gone.node)?.is_none()
            && self.ctx.store.sent_of(item.node)?.is_none();
        if !is_free {
            return Ok(false);
        }
        self.drop_found(item)?;
        self.ctx.store.leave_holds(gone.node)?;
        self.observe(&gone, Some(LocalRow::Present { seat: Some(seat), edit: Some(edit), at }))?;
        Ok(true)
    }

    /// Takes a missing item for moved that stands elsewhere on disk as something new, unless that reached the cloud by itself. Whether it
    /// waits for that.
    fn take_as_moved(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let as_synced = ItemRow { local: None, ..item.clone() };
        if let Some(stamp) = as_synced.disk_stamp().filter(|stamp| stamp.ino != 0)
            && let Some(found) = self.ctx.store.new_inode(item.folder, &stamp)?
            && self.ctx.store.sent_of(found.node)?.is_some()
        {
            self.await_node(work, &found)?;
            return Ok(true);
        }
        if self.found_elsewhere(&as_synced)?.is_none() {
            return Ok(false);
        }
        self.missing(&as_synced)?;
        self.make_ready_again(work);
        Ok(true)
    }

    /// Others threw a folder of an upload folder away, and the disk has something that is to be in it.
    fn make_again(&mut self, above: &ItemRow) -> Result<()> {
        let is_left = above.remote.presence == Presence::Absent && self.plan_of(above) == Action::Leave;
        if !is_left || self.schedule.is_busy(above.node) {
            return Ok(());
        }
        self.ctx.store.mark(above.node, above.folder, Lane::News, Ask::Nothing, None, self.ctx.now.wall)?;
        match self.ctx.store.work(above.node)? {
            Some(theirs) => self.revive(above, &theirs),
            None => Ok(()),
        }
    }

    /// Whether directories are still to be scanned, or are being scanned now.
    fn scans_left(&self, id: FolderId) -> Result<bool> {
        Ok(self.jobs.scans(id) || self.ctx.store.scan_left(id)?)
    }

    /// What an item is to be called in the cloud; nothing if the cloud cannot call it so.
    fn remote_name(item: &ItemRow, action: &Action) -> Option<String> {
        let (Action::Upload { name, .. } | Action::MakeRemote { name, .. } | Action::MoveRemote { name, .. }) = action
        else {
            return Some(item.remote.name.clone());
        };
        // One whose name the disk cannot hold keeps the cloud's when it only moves.
        if item.remote.presence == Presence::Present && name_on_disk(item).name() == name {
            return Some(item.remote.name.clone());
        }
        std::str::from_utf8(name.as_bytes()).ok().map(str::to_owned)
    }

    /// Lets a folder wait as long as its new place in the cloud lies below it. True if it does not.
    fn untangle_remotely(&mut self, item: &ItemRow, work: &WorkRow, parent: NodeId) -> Result<bool> {
        if !item.id.is_folder() || item.is_local_only() {
            return Ok(true);
        }
        let mut chain = Vec::new();
        let mut at = Some(parent);
        while let Some(node) = at {
            if node == item.node {
                let moves = |plan: &Action| matches!(plan, Action::MoveRemote { .. });
                if let Some(other) = self.opens_circle(&chain, moves)? {
                    self.await_node(work, &other)?;
                    return Ok(false);
                }
                if self.policy(item.folder).mode == Mode::Upload {
                    let text = "in the cloud the folder that is to hold it lies in it; move one of the two";
                    self.item_failed(item.node, NAME_IN_CLOUD, text, None)?;
                    return Ok(false);
                }
                // The disk put it into what the cloud put into it: the cloud's place wins.
                let name = name_on_disk(item).name().clone();
                match item.remote.parent {
                    Some(parent) if self.make_way(item, work, parent, &name)? => {
                        self.want(item, work, Want::Move { parent, name })?;
                    }
                    _ => {}
                }
                return Ok(false);
            }
            if chain.len() >= DEEPEST_PATH {
                // Descriptions of different moments can put folders into one another, until newer ones arrive.
                self.wait_quietly(work, CIRCLE_RETRIED_AFTER)?;
                return Ok(false);
            }
            chain.push(node);
            at = self.ctx.store.item(node)?.and_then(|row| row.remote.parent);
        }
        Ok(true)
    }

    /// Prepares an item's way into the trash: a person need not be asked, and nothing that stays is in it. True if it can go now; else it
    /// waits.
    fn prepare_trash(&mut self, item: &ItemRow, work: &WorkRow, kind: ItemKind) -> Result<bool> {
        if self.ctx.store.sweep_left(item.folder)? {
            self.await_sweep(item);
            return Ok(false);
        }
        if self.leave_to_its_folder(item, work)? {
            return Ok(false);
        }
        if hopes::may_turn_up(&self.ctx, item)? {
            self.wait_quietly(work, hopes::looked_after(&self.ctx, item))?;
            return Ok(false);
        }
        if self.take_as_moved(item, work)? {
            return Ok(false);
        }
        if kind == ItemKind::File {
            return Ok(work.approved || !self.hold_trash(item)?);
        }
        let Some(child) = self.ctx.store.remote_child(item.node)? else {
            return self.make_sure_it_is_empty(item, work);
        };
        match self.decide_whole(item, work)? {
            Some(false) => {}
            whole => return Ok(whole.is_some()),
        }
        let Some(child) = self.ctx.store.item(child)? else { return Ok(true) };
        if self.ctx.store.work(child.node)?.is_some_and(|theirs| theirs.mark.is_some())
            || self.ctx.store.sent_of(child.node)?.is_some()
        {
            // An event told something of it, or a write of ours is not answered yet: whether somebody changed it is known after that.
            self.await_node(work, &child)?;
            return Ok(false);
        }
        match self.plan_of(&child) {
            Action::Fetch { .. }
            | Action::MakeFolder { .. }
            | Action::Move { .. }
            | Action::Restore
            | Action::Agree
            | Action::Settle
            | Action::Update
            | Action::Leave => {
                // Somebody changed what is in it: the folder comes back for it.
                self.restore(item, work)?;
            }
            _ => self.await_node(work, &child)?,
        }
        Ok(false)
    }

    /// Starts the write that an item waits for; false if there is no room for its kind of call.
    pub(super) fn release_write(&mut self, id: AccountId, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let action = self.plan_of(item);
        let is_decided = self.schedule.is_decided(item.node, &action);
        // Another write than the one that was decided on has its own questions to answer first.
        if !is_decided || matches!(action, Action::Trash(ItemKind::Folder)) && !self.is_still_whole(item, work)? {
            self.make_ready_again(work);
            return Ok(true);
        }
        let Some(account) = self.accounts.get(&id) else { return Ok(true) };
        let uploads = matches!(action, Action::Upload { .. } | Action::Update)
            .then(|| item.local.as_ref().and_then(LocalRow::edit).map_or(0, |edit| edit.stamp.size));
        let room = match uploads {
            Some(bytes) => self.jobs.slots().may_transfer(id, account.settings.transfers, bytes),
            None => self.jobs.slots().may_ask(id),
        };
        if !room {
            return Ok(false);
        }
        let session = match self.ctx.store.sent_of(item.node)? {
            Some(sent) if !sent.unsure => {
                self.schedule.set_phase(item.node, Phase::Busy);
                return Ok(true);
            }
            Some(sent) => sent.session,
            None => None,
        };
        let Some((write, task)) = self.write_of(item, &action, session.clone())? else {
            // What it needs is out of sight, or changed while it waited: its plan is made again a little later.
            self.wait_for_scans(work)?;
            return Ok(true);
        };
        if let Task::Upload(_, file) = &task
            && let Some((sha256, _)) = &file.digests
            && !self.may_upload(item, work, &file.path, *sha256, file.stamp.size)?
        {
            return Ok(true);
        }
        let share = self.share_of(item.folder, work.lane);
        if !self.may_call(id, share) {
            return Ok(false);
        }
        let Some(job) = self
            .jobs
            .start(&mut self.ctx.store, Job::Write { account: id, folder: item.folder, node: item.node, uploads })?
        else {
            return Ok(false);
        };
        self.spend_call(id, share)?;
        self.schedule.set_phase(item.node, Phase::Busy);
        let sent = SentRow { job, node: item.node, folder: item.folder, write, unsure: false, session };
        self.ctx.store.drop_sent(item.node)?;
        self.ctx.store.add_sent(&sent, self.ctx.now.wall)?;
        self.ctx.out.push(Effect::Cloud { job, account: id, task });
        Ok(true)
    }

    /// What is sent for an action; nothing if it cannot be sent now.
    fn write_of(&mut self, item: &ItemRow, action: &Action, session: Option<String>) -> Result<Option<(Write, Task)>> {
        let Some(called) = Self::remote_name(item, action) else { return Ok(None) };
        let expected = Expected {
            version: item.remote.content.as_ref().map(|content| content.version.clone()),
            etag: item.remote.etag.clone(),
        };
        let above = |engine: &Self, parent: NodeId| -> Result<Option<ItemId>> {
            let above = engine.ctx.store.item(parent)?;
            Ok(above.filter(|above| above.remote.presence == Presence::Present).map(|above| above.id))
        };
        Ok(match action {
            Action::Upload { parent, name } => {
                let Some(above) = above(self, *parent)? else { return Ok(None) };
                let target = UploadTarget::New { parent: above, name: called };
                self.upload_of(item, target, session)?.map(|(file, sha256)| {
                    let stamp = file.stamp;
                    let hash = file.digests.as_ref().map(|(_, hash)| hash.clone());
                    let write = Write::Upload { parent: *parent, name: name.clone(), sha256, hash, stamp };
                    (write, Task::Upload(item.folder, Box::new(file)))
                })
            }
            Action::Update => {
                let after = expected.version.clone();
                let target = UploadTarget::Version { file: item.id.clone(), expected };
                self.upload_of(item, target, session)?.map(|(file, sha256)| {
                    let stamp = file.stamp;
                    let hash = file.digests.as_ref().map(|(_, hash)| hash.clone());
                    (Write::Update { after, sha256, hash, stamp }, Task::Upload(item.folder, Box::new(file)))
                })
            }
            Action::MakeRemote { parent, name } => above(self, *parent)?.map(|above| {
                let write = Write::MakeFolder { parent: *parent, name: name.clone() };
                (write, Task::MakeFolder { parent: above, name: called })
            }),
            Action::MoveRemote { parent, name } => {
                let aside = self.schedule.take_note(item.node, Note::AsideRemotely);
                let own =
                    item.remote.parent.filter(|_| aside).map(|own| self.ctx.store.item(own)).transpose()?.flatten();
                // In a folder that waits to be empty, to go into the trash, it would still be in the way.
                let own = own.filter(|own| !matches!(self.plan_of(own), Action::Trash(_)));
                let parent = own.map_or(*parent, |own| own.node);
                let Some(above) = above(self, parent)? else { return Ok(None) };
                let (name, called) = if aside {
                    let text = aside_name(self.ctx.store.next_job()?);
                    (Name::new(text.as_bytes()).unwrap_or_else(|_| name.clone()), text)
                } else {
                    (name.clone(), called)
                };
                let write = Write::Relocate { parent, name, aside };
                Some((write, Task::Relocate { item: item.id.clone(), parent: above, name: called, expected }))
            }
            Action::Trash(_) => Some((Write::Trash, Task::Trash { item: item.id.clone(), expected })),
            _ => None,
        })
    }

    fn upload_of(
        &mut self,
        item: &ItemRow,
        target: UploadTarget,
        session: Option<String>,
    ) -> Result<Option<(UploadFile, crate::id::Sha256)>> {
        let Some(edit) = item.local.as_ref().and_then(LocalRow::edit) else { return Ok(None) };
        let Some((sha256, hash)) = edit.digests.clone() else { return Ok(None) };
        let Some(Place { base: Base::Tree, path }) = self.ctx.place(item.node)? else { return Ok(None) };
        let file = UploadFile { path, stamp: edit.stamp, target, digests: Some((sha256, hash)), session };
        Ok(Some((file, sha256)))
    }

    /// A chunked upload exists: it is durable before its first part is sent.
    pub(super) fn session_begun(&mut self, job: JobId, session: &str) -> Result<()> {
        self.ctx.store.set_session(job, session)?;
        self.ctx.out.push(Effect::SessionKept(job));
        Ok(())
    }
}

/// A name in the cloud for the moment in which items change names among themselves, which every cloud takes.
fn aside_name(job: JobId) -> String {
    format!("{ASIDE_NAME}{}", job.0)
}

/// Whether a name in the cloud is one that we gave an item for such a moment.
pub(super) fn is_aside_name(name: &str) -> bool {
    name.strip_prefix(ASIDE_NAME).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}
