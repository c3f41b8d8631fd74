//! Our own writes as they come back: looked up when no answer came, recognised by identity when an event tells of them.

use super::{ECHO_AWAITED_MS, ECHO_MAY_GO, ECHOES_PER_STEP, LISTING_AWAITED};
use crate::engine::sides::seat_of;
use crate::engine::{Engine, Phase};
use crate::events::EventKind;
use crate::id::{FolderId, ItemId, NodeId, VersionId};
use crate::path::Name;
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow, Presence};
use crate::store::sent::{SentRow, Write};
use crate::store::work::{Ask, Lane, WorkRow};
use crate::tree::RemoteItem;

impl Engine {
    /// No answer came: whether the write happened is looked up before anything else is decided.
    pub(in crate::engine) fn unsure(&mut self, sent: &SentRow) -> Result<()> {
        let node = sent.node;
        match &sent.write {
            Write::Upload { parent, .. } | Write::MakeFolder { parent, .. } => {
                self.ctx.store.set_unsure(node)?;
                self.list_anew(*parent, sent.folder)?;
                self.ctx.store.mark(node, sent.folder, Lane::News, Ask::Nothing, None, self.ctx.now.wall)?;
            }
            Write::Relocate { .. } => {
                self.ctx.store.drop_sent(node)?;
                self.ctx.store.mark(node, sent.folder, Lane::News, Ask::State, None, self.ctx.now.wall)?;
            }
            Write::Update { .. } | Write::Trash => {
                // It is remembered until the look, so that a version of ours is recognised, and what was deleted counts.
                self.ctx.store.set_unsure(node)?;
                self.ctx.store.mark(node, sent.folder, Lane::News, Ask::State, None, self.ctx.now.wall)?;
            }
        }
        self.schedule.unqueue(node);
        self.schedule.make_ready(node, Lane::News);
        Ok(())
    }

    /// Lets an item wait until it is known how its last write ended. True if it is.
    pub(in crate::engine) fn make_sure_of_write(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let Some(sent) = self.ctx.store.sent_of(item.node)? else { return Ok(true) };
        if !sent.unsure {
            // It is under way.
            self.schedule.set_phase(item.node, Phase::Busy);
            return Ok(false);
        }
        let parent = match &sent.write {
            Write::Upload { parent, .. } | Write::MakeFolder { parent, .. } => Some(*parent),
            Write::Update { .. } | Write::Relocate { .. } | Write::Trash => None,
        };
        if let Some(parent) = parent
            && item.is_local_only()
            && self.ctx.store.listing_wanted(parent)?
        {
            self.wait_quietly(work, LISTING_AWAITED)?;
            return Ok(false);
        }
        if !item.is_local_only() && item.remote.presence == Presence::Present {
            // Example: the event of our upload comes, the file is removed, and the process dies before the answer: what the event brought into
            // the row is still what we sent, and nobody else's.
            self.found_unsure(item.node, &as_known(item))?;
            if self.ctx.store.sent_of(item.node)?.is_none() {
                self.make_ready_again(work);
                return Ok(false);
            }
        }
        // It did not happen yet, or it did and the listing told of it; a chunked upload goes on where it was.
        if sent.write == Write::Trash && item.remote.presence == Presence::Present {
            self.ctx.store.expect_echo(item.folder, &item.id, ECHO_MAY_GO, self.ctx.now.wall)?;
        }
        if sent.session.is_none() || !item.is_local_only() {
            self.ctx.store.drop_sent(item.node)?;
        }
        Ok(true)
    }

    /// Whether something new of a name is being made in a folder by a write that is under way.
    pub(in crate::engine) fn is_being_made(&self, folder: FolderId, parent: NodeId, name: &str) -> Result<bool> {
        Ok(self.being_made(folder, parent, name)?.is_some())
    }

    /// What is being made under a name in a folder by a write that is under way.
    fn being_made(&self, folder: FolderId, parent: NodeId, name: &str) -> Result<Option<NodeId>> {
        let Ok(name) = Name::new(name.as_bytes()) else { return Ok(None) };
        for node in self.ctx.store.sent_nodes(folder)? {
            let Some(sent) = self.ctx.store.sent_of(node)? else { continue };
            if is_made_by(&sent.write, parent, &name) && self.jobs.is_being_sent(node) {
                return Ok(Some(node));
            }
        }
        Ok(None)
    }

    /// What had a name in a folder left it, as an event tells that knows it by its path alone. If we are making something of that name, this may
    /// be it, and the answer says where it was.
    ///
    /// Example: we make `e`, and somebody moves it out of the watched folder before the answer comes.
    pub(in crate::engine) fn name_was_left(&mut self, folder: FolderId, parent: NodeId, name: &str) -> Result<()> {
        if let Some(node) = self.being_made(folder, parent, name)? {
            self.questions.may_have_left(node);
        }
        Ok(())
    }

    /// The cloud shows what a write made of which no answer came: both agree on it, whatever became of it on disk since.
    pub(in crate::engine) fn found_unsure(&mut self, node: NodeId, made: &RemoteItem) -> Result<()> {
        if self.jobs.is_being_sent(node) {
            return Ok(());
        }
        let (Some(sent), Some(item)) = (self.ctx.store.sent_of(node)?, self.ctx.store.item(node)?) else {
            return Ok(());
        };
        if !is_of_write(&sent.write, made) {
            return Ok(());
        }
        self.ctx.store.drop_sent(node)?;
        let content = match &sent.write {
            Write::Upload { sha256, stamp, .. } | Write::Update { sha256, stamp, .. } => Some((*sha256, *stamp)),
            _ => None,
        };
        self.done_as_sent(&item, &sent, made, content)
    }

    /// Writes of a former life: nobody knows what came of them.
    pub(in crate::engine) fn recover_sent(&mut self, id: FolderId) -> Result<()> {
        for node in self.ctx.store.sent_nodes(id)? {
            if let Some(sent) = self.ctx.store.sent_of(node)?
                && !self.jobs.is_being_sent(node)
            {
                self.unsure(&sent)?;
            }
        }
        Ok(())
    }

    /// Recognises an event that tells of what we did ourselves: of a write that ended, or of one whose answer is still to come. The echo of
    /// the first is awaited no longer.
    pub(in crate::engine) fn recognise_echo(&mut self, folder: FolderId, item: &RemoteItem) -> Result<bool> {
        Ok(self.policy(folder).sends()
            && (self.ctx.store.take_echo(folder, &item.id, &echo_of(item))? || self.is_under_way(folder, item)?))
    }

    /// Whether an event that names a version and a path tells of what we did ourselves. A version outlasts moves, trash and return: only what
    /// is told to be where we wrote it, or moved it to, is ours.
    ///
    /// Example: the event of our upload is lost; somebody moves the file, and that event names our version and another place.
    pub(in crate::engine) fn is_echo_of_version(
        &mut self,
        folder: FolderId,
        kind: EventKind,
        id: &ItemId,
        version: &VersionId,
        path: Option<&str>,
    ) -> Result<bool> {
        let Some(known) = self.ctx.store.item_by_id(folder, id)? else { return Ok(false) };
        let is_there = match (kind, path) {
            (EventKind::Uploaded | EventKind::Created, _) => true,
            (EventKind::Moved | EventKind::Renamed, Some(path)) => {
                let location = self.locate(folder, path)?;
                location.place() == known.remote.parent.map(|parent| (parent, known.remote.name.as_str()))
            }
            _ => false,
        };
        let is_ours = is_there && known.remote.presence == Presence::Present;
        Ok(is_ours && self.ctx.store.take_echo(folder, id, &echo_of_version(version))?)
    }

    pub(in crate::engine) fn is_under_way(&mut self, folder: FolderId, item: &RemoteItem) -> Result<bool> {
        if !self.ctx.store.sent_left(folder)? {
            return Ok(false);
        }
        let parent = match &item.parent {
            Some(parent) => self.ctx.store.item_by_id(folder, parent)?.map(|row| row.node),
            None => None,
        };
        let row = match (self.ctx.store.item_by_id(folder, &item.id)?, parent) {
            (None, Some(parent)) => match self.met_on_disk(folder, parent, item)? {
                Some(node) => self.ctx.store.item(node)?,
                None => None,
            },
            (row, _) => row,
        };
        let Some(row) = row else { return Ok(false) };
        let Some(sent) = self.ctx.store.sent_of(row.node)? else { return Ok(false) };
        Ok(match sent.write {
            Write::Upload { .. } | Write::Update { .. } => {
                let theirs = item.content.as_ref().and_then(|content| content.hash.as_ref());
                let ours = row.local.as_ref().and_then(LocalRow::edit).and_then(|edit| edit.digests.as_ref());
                theirs.zip(ours).is_some_and(|(theirs, (_, ours))| theirs.same_content(ours) == Some(true))
            }
            Write::MakeFolder { .. } => row.is_local_only(),
            Write::Relocate { parent: at, name, .. } => parent == Some(at) && name.as_bytes() == item.name.as_bytes(),
            Write::Trash => false,
        })
    }

    /// Events of our own that never came: the items are looked at instead.
    pub(in crate::engine) fn expire_echoes(&mut self) -> Result<()> {
        let before = self.ctx.now.wall.plus_ms(-ECHO_AWAITED_MS);
        for (folder, id) in self.ctx.store.expired_echoes(before, ECHOES_PER_STEP)? {
            let Ok(id) = id.parse::<ItemId>() else { continue };
            if let Some(item) = self.ctx.store.item_by_id(folder, &id)? {
                self.look_at(item.node)?;
            }
        }
        Ok(())
    }

    /// The row of something that only the disk has and that is what the cloud now tells of: the same place and kind, or our own upload.
    pub(in crate::engine) fn met_on_disk(
        &mut self,
        folder: FolderId,
        parent: NodeId,
        item: &RemoteItem,
    ) -> Result<Option<NodeId>> {
        if !self.policy(folder).sends() {
            return Ok(None);
        }
        let Ok(name) = Name::new(item.name.as_bytes()) else { return Ok(None) };
        for node in self.ctx.store.sent_nodes(folder)? {
            let (Some(sent), Some(row)) = (self.ctx.store.sent_of(node)?, self.ctx.store.item(node)?) else { continue };
            if row.is_local_only()
                && row.id.kind() == item.id.kind()
                && is_made_by(&sent.write, parent, &name)
                && (self.jobs.is_being_sent(node) || is_of_write(&sent.write, item))
            {
                return Ok(Some(node));
            }
        }
        let Some(node) = self.ctx.store.seated_at(parent, &name)? else { return Ok(None) };
        let Some(row) = self.ctx.store.item(node)? else { return Ok(None) };
        // One that was moved while it went up elsewhere is what the cloud will show there.
        let goes_up_elsewhere =
            self.ctx.store.sent_of(node)?.is_some_and(|sent| !is_made_by(&sent.write, parent, &name));
        let is_it =
            row.is_local_only() && !goes_up_elsewhere && row.id.kind() == item.id.kind() && seat_of(&row).is_some();
        Ok(is_it.then_some(node))
    }
}

/// Whether a write makes something of a name in a folder.
fn is_made_by(write: &Write, parent: NodeId, name: &Name) -> bool {
    match write {
        Write::Upload { parent: at, name: called, .. } | Write::MakeFolder { parent: at, name: called } => {
            *at == parent && called == name
        }
        Write::Update { .. } | Write::Relocate { .. } | Write::Trash => false,
    }
}

/// An item as the cloud showed it last.
fn as_known(item: &ItemRow) -> RemoteItem {
    let remote = item.remote.clone();
    RemoteItem {
        id: item.id.clone(),
        parent: None,
        name: remote.name,
        content: remote.content,
        etag: remote.etag,
        sequence: remote.sequence,
        ancestors: None,
        path: None,
    }
}

/// Whether what the cloud shows is what a write of something new makes: folders are alike, a file has the content that was sent.
fn is_of_write(write: &Write, item: &RemoteItem) -> bool {
    match write {
        Write::MakeFolder { .. } => item.id.is_folder(),
        Write::Upload { hash: Some(ours), .. } | Write::Update { hash: Some(ours), .. } => {
            let theirs = item.content.as_ref().and_then(|content| content.hash.as_ref());
            theirs.is_some_and(|theirs| theirs.same_content(ours) == Some(true))
        }
        _ => false,
    }
}

/// The state by which an event is recognised that names no more than a version.
pub(in crate::engine) fn echo_of_version(version: &crate::id::VersionId) -> String {
    format!("version:{version}")
}

/// The state of an item as an echo tells it: the count of changes where the provider has one, else the version, else the place.
pub(in crate::engine) fn echo_of(item: &RemoteItem) -> String {
    match (item.sequence, &item.content, &item.etag) {
        (Some(sequence), ..) => format!("seq:{sequence}"),
        (None, Some(content), _) => echo_of_version(&content.version),
        (None, None, Some(etag)) => format!("etag:{etag}"),
        (None, None, None) => "folder".to_owned(),
    }
}
