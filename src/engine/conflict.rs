//! Where both sides had something to say: reading what the disk has, agreeing where it is the same, and keeping both where it is not.
//!
//! What is to be done is decided here, as values; the router has it done.

use std::time::Duration;

use super::codes::{DRIFT, NAME_IN_CLOUD};
use super::ctx::{Ctx, millis};
use super::sides::{name_on_disk, seat_of};
use crate::deed::{Base, DiskError, DiskErrorKind, Place};
use crate::id::{FolderId, NodeId};
use crate::local_news::{HashOrder, HashedFile, LocalMiss, SETTLE_MS};
use crate::path::Name;
use crate::plan::{Action, Policy};
use crate::provider::HashKind;
use crate::settings::Mode;
use crate::store::Result;
use crate::store::conflicts::ConflictRow;
use crate::store::items::{ItemRow, LocalEdit, LocalRow, Presence, RemoteRow, SyncedRow, local_id};
use crate::store::work::{Ask, Priority, WorkRow, WorkState};
use crate::tree::{Stamp, SyncedContent, Wall};

/// How long something waits for the scans of its folder.
pub(in crate::engine) const SCANS_AWAITED: Duration = Duration::from_millis(500);
/// For how long a file may be written without a pause before that is told.
const WRITTEN_UNSAID: Duration = Duration::from_mins(1);
/// The longest name of a conflict copy, in bytes (design §12.7).
const COPY_NAME_MAX_BYTES: usize = 240;
/// The longest extension that a conflict copy keeps, in bytes.
const COPY_EXTENSION_MAX_BYTES: usize = 20;
/// Conflict copies of one name and moment.
const COPIES_MOST: u32 = 1_000;

/// How an item waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Pause {
    /// Nothing is said of it.
    Quiet,
    /// It has this code and text.
    Told(&'static str, &'static str),
}

/// How long an item waits until what the disk has of it was left alone for long enough to be believed; nothing if it was.
pub(in crate::engine) fn unsettled_for(ctx: &Ctx, item: &ItemRow) -> Option<Duration> {
    let quiet = ctx.age(item.local.as_ref()?.at());
    // A clock that went back must not block for ever.
    (0..SETTLE_MS).contains(&quiet).then(|| Duration::from_millis((SETTLE_MS - quiet) as u64))
}

/// How a file waits that is being written. For how long that may go on is the writer's affair; that it does is said.
pub(in crate::engine) fn while_written(ctx: &Ctx, work: &WorkRow) -> Pause {
    if ctx.now.wall.since(work.since) < millis(WRITTEN_UNSAID) as i64 {
        return Pause::Quiet;
    }
    Pause::Told("being_written", "it is being written, and is sent once nothing has changed in it for two seconds")
}

/// What is to be read of an item; nothing if it is out of sight, or known.
pub(in crate::engine) fn read_order(ctx: &mut Ctx, item: &ItemRow, hash: HashKind) -> Result<Option<HashOrder>> {
    let edit = item.local.as_ref().and_then(LocalRow::edit).filter(|edit| edit.digests.is_none());
    let place = ctx.place(item.node)?;
    Ok(match (edit, place) {
        (Some(edit), Some(Place { base: Base::Tree, path })) => Some(HashOrder { path, stamp: edit.stamp, hash }),
        _ => None,
    })
}

/// The directory out of sight that a file lies in which was to be read, if that one cannot come back yet: the file waits for it.
///
/// Example: `d/f` is edited in a mirror that keeps edits, `d` becomes `e` in the cloud, and a local folder has the name `e`.
pub(in crate::engine) fn hidden_under(ctx: &Ctx, item: &ItemRow) -> Result<Option<ItemRow>> {
    let Some((dir, _)) = seat_of(item) else { return Ok(None) };
    let Some((top, _)) = ctx.store.parked_above(dir)? else { return Ok(None) };
    let cannot_come = ctx.store.work(top)?.is_some_and(|theirs| theirs.state == WorkState::Waiting);
    if cannot_come { ctx.store.item(top) } else { Ok(None) }
}

/// What came of a read.
#[derive(Debug)]
pub(in crate::engine) enum ReadResult {
    /// What is known of the item decides.
    Known,
    /// It is being written: it is read again after a while.
    Unsettled(Duration),
    /// It was not what we took it for.
    Missed(LocalMiss),
}

/// Takes what was read of an item.
pub(in crate::engine) fn was_read(
    ctx: &mut Ctx,
    item: &ItemRow,
    result: std::result::Result<HashedFile, LocalMiss>,
) -> Result<ReadResult> {
    let Some(LocalRow::Present { seat, edit: Some(known), at }) = item.local.clone() else {
        return Ok(ReadResult::Known);
    };
    let file = match result {
        Ok(file) => file,
        Err(miss) => return Ok(ReadResult::Missed(miss)),
    };
    // A scan saw another content since the read was asked for: that one is read, and tells by itself if it is the older one.
    if file.stamp != known.stamp {
        return Ok(ReadResult::Known);
    }
    if !file.settled {
        return Ok(ReadResult::Unsettled(Duration::from_millis(SETTLE_MS as u64)));
    }
    let edit = Some(LocalEdit { stamp: file.stamp, digests: Some((file.sha256, file.hash)) });
    ctx.store.set_local(item.node, Some(&LocalRow::Present { seat, edit, at }))?;
    Ok(ReadResult::Known)
}

/// What follows where a file was not what we took it for.
#[derive(Debug)]
pub(in crate::engine) enum Missed {
    /// What was seen is of before: what is known by now decides.
    Overtaken,
    /// It has another content, and is looked at after a while.
    Changed(Duration),
    /// It is not there: scans of its directory tell.
    Elsewhere,
    /// The folder's root is not there.
    RootLost(DiskError),
    /// It has a problem, with this code and text.
    Unreadable(&'static str, String),
}

/// Takes that a file was not what we took it for.
pub(in crate::engine) fn missed(ctx: &mut Ctx, item: &ItemRow, miss: &LocalMiss) -> Result<Missed> {
    Ok(match miss {
        LocalMiss::Changed { stamp } => {
            let seat = match &item.local {
                Some(LocalRow::Present { seat, .. }) => seat.clone(),
                None => None,
                // A scan did not find it since, or something else in its place.
                Some(LocalRow::Absent { .. } | LocalRow::Covered { .. }) => return Ok(Missed::Overtaken),
            };
            let edit = Some(LocalEdit { stamp: *stamp, digests: None });
            ctx.store.set_local(item.node, Some(&LocalRow::Present { seat, edit, at: ctx.now.wall }))?;
            Missed::Changed(Duration::from_millis(SETTLE_MS as u64))
        }
        LocalMiss::Missing | LocalMiss::NotAFile => Missed::Elsewhere,
        LocalMiss::Failed(error) if error.kind == DiskErrorKind::RootLost => Missed::RootLost(error.clone()),
        LocalMiss::Failed(error) => Missed::Unreadable("unreadable", error.to_string()),
    })
}

/// What both sides agree on.
#[derive(Debug)]
pub(in crate::engine) struct Agreed {
    /// What is noted as that.
    pub synced: SyncedRow,
    /// An edit that the disk has beyond it.
    pub edit: Option<LocalEdit>,
}

/// What both sides agree on where they hold the same; nothing if the disk does not have the item.
pub(in crate::engine) fn agreed(item: &ItemRow) -> Option<Agreed> {
    let seat = item.disk_seat()?;
    let edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
    let moved = item.synced.as_ref().filter(|synced| synced.seat != seat);
    if let Some(synced) = moved {
        return Some(Agreed { synced: SyncedRow { seat, ..synced.clone() }, edit });
    }
    let stamp = item.disk_stamp().unwrap_or(Stamp::NONE);
    let content = item.remote.content.clone().map(|content| SyncedContent {
        version: content.version,
        hash: content.hash,
        sha256: edit.as_ref().and_then(|edit| edit.digests.as_ref()).map(|(sha256, _)| *sha256),
        size: stamp.size,
    });
    Some(Agreed { synced: SyncedRow { seat, content, stamp }, edit: None })
}

/// Whether only a digest that no event told decides whether both sides wrote the same.
pub(in crate::engine) fn lacks_digest(item: &ItemRow, action: &Action) -> bool {
    let Some(theirs) = item.remote.content.as_ref().filter(|theirs| theirs.hash.is_none()) else { return false };
    let ours = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
    let is_ours = ours.is_some_and(|ours| ours.version == theirs.version);
    !is_ours && matches!(action, Action::ConflictCopy | Action::Update)
}

/// What an item that is to make room on disk does.
#[derive(Debug)]
pub(in crate::engine) enum Aside {
    /// It is being sent: it stays until that is over.
    Stays,
    /// It keeps its name, which is a problem with this code and text.
    Refused(&'static str, &'static str),
    /// It goes there.
    To(NodeId, Name),
    /// It is not on disk.
    Gone,
}

/// Conflict copies.
#[derive(Debug)]
pub(in crate::engine) struct Conflicts {
    /// This machine's name, as copies show it.
    host: String,
}

impl Default for Conflicts {
    fn default() -> Self {
        Self { host: shown_host("") }
    }
}

impl Conflicts {
    /// Conflict copies of this machine.
    pub fn on(host: &str) -> Self {
        Self { host: shown_host(host) }
    }

    /// A free place for a conflict copy beside an item; nothing if that is not on disk.
    pub fn copy_place(&self, ctx: &Ctx, item: &ItemRow) -> Result<Option<(NodeId, Name)>> {
        let Some((parent, name)) = seat_of(item) else { return Ok(None) };
        Ok(self.free_name(ctx, parent, &name)?.map(|copy| (parent, copy)))
    }

    /// A free name in a directory for something out of sight.
    pub fn place_in(&self, ctx: &Ctx, dir: NodeId, item: &ItemRow) -> Result<Option<Name>> {
        self.free_name(ctx, dir, name_on_disk(item).name())
    }

    fn free_name(&self, ctx: &Ctx, dir: NodeId, name: &Name) -> Result<Option<Name>> {
        for number in 1..=COPIES_MOST {
            let copy = copy_name(name, &self.host, ctx.now.wall, number);
            if ctx.store.seated_at(dir, &copy)?.is_none() {
                return Ok(Some(copy));
            }
        }
        Ok(None)
    }

    /// Where what the disk has goes to make room for what the cloud has in the same place, in a folder of this mode.
    pub fn aside(&self, ctx: &Ctx, mode: Option<Mode>, item: &ItemRow) -> Result<Aside> {
        if ctx.store.sent_of(item.node)?.is_some() {
            return Ok(Aside::Stays);
        }
        if mode == Some(Mode::Upload) {
            let text =
                "the cloud has something else under this name, or one that differs only in case; rename one of the two";
            return Ok(Aside::Refused(NAME_IN_CLOUD, text));
        }
        let place = self.copy_place(ctx, item)?;
        Ok(place.map_or(Aside::Gone, |(parent, name)| Aside::To(parent, name)))
    }
}

/// A conflict of which both sides are kept.
#[derive(Debug)]
pub(in crate::engine) struct Conflict {
    folder: FolderId,
    node: NodeId,
    copy: NodeId,
    path: String,
    kept: String,
    reason: &'static str,
}

impl Conflict {
    /// Where the item is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// In a sentence.
    pub fn message(&self) -> String {
        format!("{}: both are kept, the other as `{}`", self.reason, self.kept)
    }

    /// Writes it down.
    pub fn note(self, ctx: &mut Ctx) -> Result<()> {
        let Self { folder, node, copy, path, kept, reason } = self;
        let (at, reason, conflict, decision) = (ctx.now.wall, reason.to_owned(), 0, None);
        ctx.store.add_conflict(&ConflictRow { conflict, folder, node, copy, path, kept, reason, at, decision })
    }
}

/// The disk's content of an item at a path is a file of its own, at a place of its own: makes it one.
pub(in crate::engine) fn parted(
    ctx: &mut Ctx,
    item: &ItemRow,
    (parent, name): (NodeId, &Name),
    stamp: Stamp,
    path: String,
) -> Result<Conflict> {
    let edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
    let edit = edit.unwrap_or(LocalEdit { stamp, digests: None });
    let now = ctx.now.wall;
    let id = local_id(item.id.kind(), ctx.store.next_job()?);
    let local = LocalRow::Present { seat: Some((parent, name.clone())), edit: Some(edit), at: now };
    let copy = ctx.store.add_local(item.folder, &id, &local)?;
    ctx.store.mark(copy, item.folder, Priority::News, Ask::Nothing, None, now)?;
    ctx.store.mark(item.node, item.folder, Priority::News, Ask::Nothing, None, now)?;
    let kept = beside(&path, name);
    Ok(Conflict { folder: item.folder, node: item.node, copy, path, kept, reason: "edited_on_both_sides" })
}

/// What the disk has of an item went to another place: what is seen there from now on.
pub(in crate::engine) fn went_aside(
    ctx: &mut Ctx,
    item: &ItemRow,
    (parent, name): (NodeId, &Name),
    stamp: Stamp,
) -> Result<(LocalRow, Conflict)> {
    let path = ctx.shown_path(item)?;
    let edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
    let edit = edit.or_else(|| item.is_local_only().then_some(LocalEdit { stamp, digests: None }));
    let seen = LocalRow::Present { seat: Some((parent, name.clone())), edit, at: ctx.now.wall };
    let (node, kept) = (item.node, beside(&path, name));
    Ok((seen, Conflict { folder: item.folder, node, copy: node, path, kept, reason: "name_taken" }))
}

/// All that the disk has of an item, as an edit.
pub(in crate::engine) fn whole_edit(item: &ItemRow) -> Option<LocalEdit> {
    let edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
    let synced = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
    let digests = synced.and_then(|content| content.sha256.zip(content.hash.clone()));
    edit.or(item.disk_stamp().map(|stamp| LocalEdit { stamp, digests }))
}

/// An item that the cloud deleted is the disk's alone from now on.
pub(in crate::engine) fn make_the_disks_own(ctx: &mut Ctx, item: &ItemRow) -> Result<()> {
    let id = local_id(item.id.kind(), ctx.store.next_job()?);
    ctx.store.set_id(item.node, &id)?;
    let nothing = RemoteRow {
        presence: Presence::Absent,
        parent: None,
        name: String::new(),
        content: None,
        etag: None,
        sequence: None,
        seen: 0,
    };
    ctx.store.set_remote(item.node, &nothing)
}

/// The problem of an item of which both sides differ and stay so: its code and text, if it is one.
pub(in crate::engine) fn complaint(policy: Policy, item: &ItemRow) -> Option<(&'static str, String)> {
    if policy.mode == Mode::Upload && item.synced.is_some() {
        let what = if item.remote.presence == Presence::Present { "changed" } else { "deleted" };
        let text = format!("somebody {what} it in the cloud, and an upload folder leaves the disk as it is");
        return Some((DRIFT, text));
    }
    item.local.as_ref().and_then(LocalRow::edit)?;
    Some((DRIFT, "the local file was edited, and `on_drift = \"keep\"` keeps the edit".to_owned()))
}

/// A path with another last name.
fn beside(path: &str, name: &Name) -> String {
    match path.rsplit_once('/') {
        Some((above, _)) => format!("{above}/{name}"),
        None => name.to_string(),
    }
}

/// The name of a conflict copy (design §12.7): `NAME (conflicted copy HOST YYYY-MM-DD HHMMSS).EXT`, then ` 2`, ` 3`.
fn copy_name(name: &Name, host: &str, at: Wall, number: u32) -> Name {
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
fn shown_host(host: &str) -> String {
    const HOST_MAX_CHARS: usize = 32;
    let clean: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(HOST_MAX_CHARS).collect();
    if clean.is_empty() { "host".to_owned() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ContentHash, ItemId, Sha256, VersionId};
    use crate::settings::OnDrift;
    use crate::tree::RemoteContent;

    const PARENT: NodeId = NodeId(1);

    fn name(text: &str) -> Name {
        Name::new(text.as_bytes()).unwrap()
    }

    fn stamp(ino: u64) -> Stamp {
        Stamp { ino, size: 3, ..Stamp::NONE }
    }

    fn edit(ino: u64) -> LocalEdit {
        LocalEdit { stamp: stamp(ino), digests: Some((Sha256([7; 32]), ContentHash::Sha1("07".repeat(20)))) }
    }

    /// An item that the cloud has in version 2, with what was synced, and what the disk has of it.
    fn item(synced: Option<&str>, local: Option<LocalRow>) -> ItemRow {
        let content = RemoteContent { version: VersionId::new("2"), hash: None, size: Some(3), modified: None };
        ItemRow {
            node: NodeId(2),
            folder: FolderId(1),
            id: ItemId::file("2"),
            remote: RemoteRow {
                presence: Presence::Present,
                parent: Some(PARENT),
                name: "a".into(),
                content: Some(content),
                etag: None,
                sequence: None,
                seen: 0,
            },
            synced: synced.map(|version| SyncedRow {
                seat: crate::store::items::SeatRow::At { parent: PARENT, name: name("a") },
                content: Some(SyncedContent { version: VersionId::new(version), hash: None, sha256: None, size: 1 }),
                stamp: stamp(1),
            }),
            local,
        }
    }

    fn present(called: Option<&str>, edit: Option<LocalEdit>) -> Option<LocalRow> {
        let seat = called.map(|called| (PARENT, name(called)));
        Some(LocalRow::Present { seat, edit, at: Wall(0) })
    }

    #[test]
    fn what_both_have_is_agreed_on_and_an_edit_beyond_a_move_stays_one() {
        let met = agreed(&item(None, present(Some("a"), Some(edit(5))))).unwrap();
        let content = met.synced.content.unwrap();
        assert_eq!((content.version, content.sha256, content.size), (VersionId::new("2"), Some(Sha256([7; 32])), 3));
        assert_eq!((met.synced.stamp, met.edit), (stamp(5), None), "it is synced, with all that was read");
        let moved = agreed(&item(Some("1"), present(Some("b"), Some(edit(5))))).unwrap();
        assert_eq!(moved.synced.content.unwrap().version, VersionId::new("1"), "only its place is agreed on");
        assert_eq!((moved.synced.stamp, moved.edit), (stamp(1), Some(edit(5))));
        assert!(
            agreed(&item(Some("1"), Some(LocalRow::Absent { at: Wall(0) }))).is_none(),
            "the disk does not have it"
        );
    }

    #[test]
    fn a_digest_is_asked_for_only_where_it_decides() {
        let changed = item(Some("1"), present(None, Some(edit(5))));
        assert!(lacks_digest(&changed, &Action::ConflictCopy) && lacks_digest(&changed, &Action::Update));
        assert!(!lacks_digest(&changed, &Action::InSync));
        assert!(!lacks_digest(&item(Some("2"), None), &Action::Update), "the cloud has what we have");
        let mut known = changed;
        known.remote.content.as_mut().unwrap().hash = Some(ContentHash::Sha1("01".repeat(20)));
        assert!(!lacks_digest(&known, &Action::ConflictCopy));
    }

    #[test]
    fn what_is_left_as_it_is_is_a_problem_where_somebody_could_lose_by_it() {
        let policy = |mode| Policy { mode, on_drift: OnDrift::Keep, ..Policy::default() };
        let edited = item(Some("1"), present(None, Some(edit(5))));
        let (code, text) = complaint(policy(Mode::Mirror), &edited).unwrap();
        assert!(code == DRIFT && text.contains("on_drift"), "{text}");
        let (_, text) = complaint(policy(Mode::Upload), &edited).unwrap();
        assert!(text.starts_with("somebody changed it in the cloud"), "{text}");
        assert_eq!(complaint(policy(Mode::Mirror), &item(Some("1"), None)), None);
        assert_eq!(complaint(policy(Mode::Upload), &item(None, None)), None);
    }

    #[test]
    fn conflict_copies_say_whose_and_when() {
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
