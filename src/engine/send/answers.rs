//! What came of our writes: both agree on what was done, and what was refused is compared with what is there.

use super::echoes::{ECHO_MAY_GO, LISTING_AWAITED};
use crate::engine::codes::{NAME_TAKEN, NETWORK, OUTCOME_UNKNOWN};
use crate::engine::ctx::{Ctx, millis};
use crate::engine::effect::Notice;
use crate::engine::sides::plan_under;
use crate::events::interval::backoff;
use crate::id::{ItemId, NodeId, Sha256, VersionId};
use crate::path::Name;
use crate::plan::{Action, Policy};
use crate::provider::{ProviderError, ProviderErrorKind};
use crate::store::Result;
use crate::store::items::{ItemRow, Presence, RemoteRow, SeatRow, SyncedRow};
use crate::store::sent::{SentRow, Write};
use crate::store::work::{Ask, Priority, WorkRow};
use crate::tree::{RemoteItem, Stamp, SyncedContent};

/// How often a name is tried that the cloud says is taken, and by nothing that it shows.
const NAME_TRIED_MOST: u32 = 4;
/// Tries of a name before the waits stop growing.
const NAME_TRIES_COUNTED: u32 = 6;

/// A write that was answered.
#[derive(Debug)]
pub(in crate::engine) struct Answered {
    /// The item that it was about.
    pub item: ItemRow,
    /// What we know under the id that the cloud's answer names: the same item, or another row of it.
    pub known: Option<ItemRow>,
    /// An event told all that the answer says.
    pub is_told: bool,
}

/// Takes a write that the cloud has carried out; nothing if the item is no more.
pub(in crate::engine) fn take_answered(ctx: &mut Ctx, node: NodeId, made: &RemoteItem) -> Result<Option<Answered>> {
    ctx.store.drop_sent(node)?;
    let Some(item) = ctx.store.item(node)? else { return Ok(None) };
    let known = ctx.store.item_by_id(item.folder, &made.id)?;
    let is_told = known
        .as_ref()
        .is_some_and(|known| known.remote.sequence == made.sequence && known.remote.content == made.content);
    Ok(Some(Answered { item, known, is_told }))
}

/// An item gets the id that the cloud's answer names. The folder that is to be listed for that, if there is one.
pub(in crate::engine) fn set_id(ctx: &mut Ctx, item: &ItemRow, id: &ItemId) -> Result<Option<NodeId>> {
    ctx.store.set_id(item.node, id)?;
    if item.is_local_only() {
        return Ok(None);
    }
    // It was met as somebody else's under its name, which has left that name: what is known of that one is not true of ours.
    let unknown =
        RemoteRow { presence: Presence::Absent, content: None, etag: None, sequence: None, ..item.remote.clone() };
    ctx.store.set_remote(item.node, &unknown)?;
    Ok(item.remote.parent)
}

/// What events told of something that we wrote before the answer came.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine) struct ToldBefore<'a> {
    /// One named the item when we did not know it yet.
    pub is_named: bool,
    /// One told that what had its name left its folder: it may be this one.
    pub may_have_left: bool,
    /// The version that this one named, and the one that is expected of the item for another.
    pub versions: [Option<&'a VersionId>; 2],
    /// One told all that the answer says.
    pub all: bool,
    /// We know something newer than the answer.
    pub newer: bool,
}

/// What becomes of the event that a write causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Echo {
    /// It came before the answer, and what it marked is answered.
    pub came: bool,
    /// An event came of another version or place: somebody may have changed or moved what we made.
    pub is_doubted: bool,
    /// It is still to come.
    pub is_awaited: bool,
}

/// What becomes of the event that a write causes.
pub(in crate::engine) fn echo(made: &RemoteItem, told: ToldBefore<'_>) -> Echo {
    let version = made.content.as_ref().map(|content| &content.version);
    let came = version.is_some() && told.versions.contains(&version);
    // One that overtook the answer was recognised by the write that was under way.
    let overtook = told.all && made.sequence.is_some();
    Echo {
        came,
        is_doubted: (told.is_named || told.may_have_left) && !came,
        is_awaited: !(came || told.newer || overtook),
    }
}

/// What both sides agree on after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Agreed {
    /// What the synced tree becomes; nothing if it stays as it is.
    pub synced: Option<SyncedRow>,
    /// What was done, for the history.
    pub what: &'static str,
}

/// What both sides agree on after a write that made this of an item, of what was sent of it.
pub(in crate::engine) fn agreed(
    item: &ItemRow,
    write: &Write,
    made: &RemoteItem,
    content: Option<(Sha256, Stamp)>,
) -> Agreed {
    let held = made.content.as_ref().zip(content).map(|(theirs, (sha256, stamp))| {
        let content = SyncedContent {
            version: theirs.version.clone(),
            hash: theirs.hash.clone(),
            sha256: Some(sha256),
            size: stamp.size,
        };
        (content, stamp)
    });
    let stamp = item.disk_stamp().unwrap_or(Stamp::NONE);
    let at = |parent: &NodeId, name: &Name| SeatRow::At { parent: *parent, name: name.clone() };
    let (synced, what) = match (write, &item.synced) {
        (Write::Upload { parent, name, .. }, _) => {
            let (content, stamp) = held.map_or((None, stamp), |(content, stamp)| (Some(content), stamp));
            (Some(SyncedRow { seat: at(parent, name), content, stamp }), "uploaded")
        }
        (Write::Update { .. }, known) => {
            let seat = known.as_ref().map(|synced| synced.seat.clone()).or(item.disk_seat());
            let (content, stamp) = held.map_or((None, stamp), |(content, stamp)| (Some(content), stamp));
            match seat {
                Some(seat) => (Some(SyncedRow { seat, content, stamp }), "new version uploaded"),
                None => (None, "uploaded"),
            }
        }
        (Write::MakeFolder { parent, name }, _) => {
            (Some(SyncedRow { seat: at(parent, name), content: None, stamp }), "folder created in the cloud")
        }
        (Write::Relocate { parent, name, .. }, Some(synced)) => {
            (Some(SyncedRow { seat: at(parent, name), ..synced.clone() }), "moved in the cloud")
        }
        (Write::Relocate { .. }, None) | (Write::Trash, _) => (None, "changed in the cloud"),
    };
    Agreed { synced, what }
}

/// Writes down what was done for an item, for the history and whoever watches.
pub(in crate::engine) fn note_done(ctx: &mut Ctx, item: &ItemRow, what: &'static str) -> Result<()> {
    let path = ctx.shown_path(item)?;
    ctx.store.add_action(item.folder, item.node, &path, what, None, ctx.now.wall)?;
    let took_ms = ctx.store.work(item.node)?.map_or(0, |work| ctx.now.wall.since(work.since).max(0));
    let (folder, what) = (item.folder, what.to_owned());
    ctx.notice(Notice::Outcome { folder, journal: None, what, path, from: None, took_ms });
    Ok(())
}

/// What we deleted in the cloud, and nobody was asked about, counts towards the next question.
pub(in crate::engine) fn count_trashed(ctx: &mut Ctx, item: &ItemRow) -> Result<()> {
    let files = if item.id.is_folder() {
        ctx.store.unapproved_below(item.node)?
    } else {
        u64::from(!ctx.store.work(item.node)?.is_some_and(|work| work.approved))
    };
    ctx.store.count_deletions(item.folder, files, ctx.now.wall)
}

/// Something is found to be gone: if we had sent it into the trash without hearing of it, that was it.
///
/// Example: no answer comes to a deletion, a look finds the file still there, and the cloud carries the deletion out after that. It counts
/// as ours, whatever became of our later attempts.
pub(in crate::engine) fn found_trashed(ctx: &mut Ctx, item: &ItemRow) -> Result<()> {
    let is_sent = ctx.store.sent_of(item.node)?.is_some_and(|sent| sent.write == Write::Trash);
    if is_sent {
        ctx.store.drop_sent(item.node)?;
    }
    let may_go =
        item.remote.presence == Presence::Present && ctx.store.take_echo(item.folder, &item.id, ECHO_MAY_GO)?;
    if is_sent || may_go { count_trashed(ctx, item) } else { Ok(()) }
}

/// Something went into the trash, or may go there without a word to us. If we had sent it there without hearing of it, that was it.
///
/// Examples: the stream tells of it, though somebody may have it back by the time it is looked at; or it was moved out of the watched folder.
pub(in crate::engine) fn trashed_unheard(ctx: &mut Ctx, item: &ItemRow) -> Result<()> {
    let is_over = ctx.store.sent_of(item.node)?.is_none_or(|sent| sent.unsure);
    if is_over { found_trashed(ctx, item) } else { Ok(()) }
}

/// What a failed write means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Failure {
    /// Something else is there than we believed.
    Clash,
    /// It may have happened.
    Unsure,
    /// It goes on once somebody signed in: the parts that the cloud has are good for that.
    GoesOn,
    /// What it was to change, or the folder that was to hold it, is not there (for us): their own states are asked for.
    NotFound {
        /// Where the item was to go, if it was to move.
        target: Option<NodeId>,
        /// What was not found.
        asked: NodeId,
    },
    /// What was sent is not what was read.
    Corrupt,
    /// The call failed like any other.
    Other,
}

/// What a failed write means, of which there is an upload to go on with or none.
fn failure(sent: &SentRow, kind: ProviderErrorKind, has_session: bool) -> Failure {
    match kind {
        ProviderErrorKind::Conflict => Failure::Clash,
        ProviderErrorKind::OutcomeUnknown
        | ProviderErrorKind::Network
        | ProviderErrorKind::Unavailable
        | ProviderErrorKind::Malformed => Failure::Unsure,
        ProviderErrorKind::SignInNeeded if has_session => Failure::GoesOn,
        ProviderErrorKind::NotFound => match &sent.write {
            Write::Upload { parent, .. } | Write::MakeFolder { parent, .. } => {
                Failure::NotFound { target: None, asked: *parent }
            }
            Write::Relocate { parent, .. } => Failure::NotFound { target: Some(*parent), asked: sent.node },
            Write::Update { .. } | Write::Trash => Failure::NotFound { target: None, asked: sent.node },
        },
        ProviderErrorKind::Corrupt => Failure::Corrupt,
        _ => Failure::Other,
    }
}

/// Takes that a write failed. One that did not happen is remembered no longer.
pub(in crate::engine) fn take_failed(ctx: &mut Ctx, sent: &SentRow, kind: ProviderErrorKind) -> Result<Failure> {
    let has_session = ctx.store.sent_of(sent.node)?.is_some_and(|sent| sent.session.is_some());
    let failure = failure(sent, kind, has_session);
    if !matches!(failure, Failure::Unsure | Failure::GoesOn) {
        ctx.store.drop_sent(sent.node)?;
    }
    Ok(failure)
}

/// The problem of an item whose write ended in a way that nobody knows, as a code and a text. The first time it is none: that is asked about
/// at once. One that ends so again and again, while what is asked of the account is answered, is that item's trouble.
pub(in crate::engine) fn unsure_again(attempts: u32, error: &ProviderError) -> Option<(&'static str, String)> {
    let text = format!("the cloud's answer does not tell whether it was done, several times: {}", error.message);
    let code = if error.kind == ProviderErrorKind::Network { NETWORK } else { OUTCOME_UNKNOWN };
    (attempts > 0).then_some((code, text))
}

/// Asks for an item's state.
pub(in crate::engine) fn ask_state(ctx: &mut Ctx, item: &ItemRow) -> Result<()> {
    match ctx.store.work(item.node)? {
        // One that waits for its turn after a failure keeps its waiting time.
        Some(work) if work.attempts > 0 => ctx.store.want_look(item.node),
        _ => ctx.store.mark(item.node, item.folder, Priority::News, Ask::State, None, ctx.now.wall),
    }
}

/// Why the cloud has something else in a place than we believed.
#[derive(Debug)]
pub(in crate::engine) enum Clash {
    /// It has another version than ours: that is looked at, and compared.
    Version,
    /// This has the name, and is about to leave it in the cloud.
    Leaves(ItemRow),
    /// This has the name and keeps it there, though the disk may be to follow.
    Stays(ItemRow),
    /// Nothing that we know has the name in this folder.
    Unseen(NodeId, Name),
    /// What has the name is hidden from us: by a pattern, or by the cloud.
    Hidden,
}

/// Why the cloud refused a write, in an account where names that differ only in case are alike or not.
pub(in crate::engine) fn clash(
    ctx: &Ctx,
    policy: Policy,
    folds: bool,
    (sent, item, work): (&SentRow, &ItemRow, &WorkRow),
) -> Result<Clash> {
    let (parent, name) = match &sent.write {
        Write::Upload { parent, name, .. }
        | Write::MakeFolder { parent, name }
        | Write::Relocate { parent, name, .. } => (*parent, name),
        Write::Update { .. } | Write::Trash => return Ok(Clash::Version),
    };
    let other = ctx.store.remote_named(parent, &name.to_text(), folds)?.filter(|other| *other != item.node);
    let other = other.map(|other| ctx.store.item(other)).transpose()?.flatten();
    Ok(match other {
        None if work.attempts >= NAME_TRIED_MOST => Clash::Hidden,
        None => Clash::Unseen(parent, name.clone()),
        Some(other) if leaves_its_name(&plan_under(policy, &other)) => Clash::Leaves(other),
        Some(other) => Clash::Stays(other),
    })
}

/// Whether an item that is to do this leaves its name in the cloud. One that the disk is to follow stays there.
fn leaves_its_name(action: &Action) -> bool {
    matches!(action, Action::MoveRemote { .. } | Action::Trash(_) | Action::Remove(_))
}

/// An item whose name is taken by nothing that we know waits, longer each time: somebody made it just now, or we did and did not hear of it.
pub(in crate::engine) fn put_off_name(ctx: &mut Ctx, item: &ItemRow, work: &WorkRow) -> Result<()> {
    if !item.is_local_only() {
        ctx.store.want_look(item.node)?;
    }
    let attempts = work.attempts + 1;
    let wait = backoff(attempts.min(NAME_TRIES_COUNTED), None, ctx.chance.next()).max(LISTING_AWAITED);
    let due = ctx.now.wall.plus_ms(millis(wait) as i64);
    ctx.store.put_off(item.node, due, attempts, Some((NAME_TAKEN, "the cloud has the name already; it is listed")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ContentHash, FolderId, JobId};
    use crate::store::items::LocalRow;
    use crate::tree::{RemoteContent, Wall};

    const PARENT: NodeId = NodeId(1);
    const NODE: NodeId = NodeId(2);
    const SENT: Stamp = Stamp { dev: 1, ino: 2, size: 3, mtime_ns: 4, ctime_ns: 5 };

    fn name(text: &str) -> Name {
        Name::new(text.as_bytes()).unwrap()
    }

    fn upload() -> Write {
        Write::Upload { parent: PARENT, name: name("b"), sha256: Sha256([7; 32]), hash: None, stamp: SENT }
    }

    fn update() -> Write {
        Write::Update { after: None, sha256: Sha256([7; 32]), hash: None, stamp: SENT }
    }

    fn make() -> Write {
        Write::MakeFolder { parent: PARENT, name: name("b") }
    }

    fn relocate() -> Write {
        Write::Relocate { parent: PARENT, name: name("b"), aside: false }
    }

    fn at(text: &str) -> SeatRow {
        SeatRow::At { parent: PARENT, name: name(text) }
    }

    fn made(version: Option<&str>, sequence: Option<u64>) -> RemoteItem {
        let content = version.map(|version| RemoteContent {
            version: VersionId::new(version),
            hash: Some(ContentHash::Sha1("07".repeat(20))),
            size: Some(3),
            modified: None,
        });
        RemoteItem {
            id: ItemId::file("2"),
            parent: None,
            name: "b".into(),
            content,
            etag: None,
            sequence,
            ancestors: None,
            path: None,
        }
    }

    fn item(synced: Option<SyncedRow>, local: Option<LocalRow>) -> ItemRow {
        let remote = RemoteRow {
            presence: Presence::Present,
            parent: Some(PARENT),
            name: "a".into(),
            content: None,
            etag: None,
            sequence: None,
            seen: 0,
        };
        ItemRow { node: NODE, folder: FolderId(1), id: ItemId::file("2"), remote, synced, local }
    }

    fn synced(version: &str) -> SyncedRow {
        let content = SyncedContent { version: VersionId::new(version), hash: None, sha256: None, size: 1 };
        SyncedRow { seat: at("a"), content: Some(content), stamp: Stamp { ino: 9, ..SENT } }
    }

    #[test]
    fn what_both_agree_on_is_what_was_sent_and_not_what_the_disk_has_by_now() {
        let sent = Some((Sha256([7; 32]), SENT));
        let there = made(Some("2"), None);
        let moved = Some(LocalRow::Present { seat: Some((PARENT, name("c"))), edit: None, at: Wall(0) });
        let new = agreed(&item(None, moved), &upload(), &there, sent);
        let row = new.synced.unwrap();
        assert_eq!((new.what, &row.seat, row.stamp), ("uploaded", &at("b"), SENT), "where it was sent to");
        let content = row.content.unwrap();
        assert_eq!((content.version, content.sha256, content.size), (VersionId::new("2"), Some(Sha256([7; 32])), 3));

        let newer = agreed(&item(Some(synced("1")), None), &update(), &there, sent);
        let row = newer.synced.unwrap();
        assert_eq!((newer.what, &row.seat, row.stamp), ("new version uploaded", &at("a"), SENT));

        let elsewhere = agreed(&item(Some(synced("1")), None), &relocate(), &there, None);
        assert_eq!(elsewhere.what, "moved in the cloud");
        assert_eq!(elsewhere.synced, Some(SyncedRow { seat: at("b"), ..synced("1") }), "its content stays");

        let folder = agreed(&item(None, None), &make(), &made(None, None), None);
        assert_eq!(folder.synced, Some(SyncedRow { seat: at("b"), content: None, stamp: Stamp::NONE }));

        // Nothing was agreed on that could be at another place now.
        assert_eq!(agreed(&item(None, None), &relocate(), &there, None).synced, None);
        assert_eq!(agreed(&item(None, None), &update(), &there, sent).synced, None);
        assert_eq!(agreed(&item(Some(synced("1")), None), &Write::Trash, &there, None).synced, None);
    }

    #[test]
    fn the_event_of_a_write_is_awaited_unless_it_came_first() {
        let (one, two) = (VersionId::new("1"), VersionId::new("2"));
        let told = |is_named, versions, all, newer| ToldBefore { is_named, versions, all, newer, may_have_left: false };
        let answer = |came, is_doubted, is_awaited| Echo { came, is_doubted, is_awaited };
        let cases = [
            (made(Some("2"), None), told(false, [None, None], false, false), answer(false, false, true)),
            (made(Some("2"), None), told(true, [Some(&two), None], false, false), answer(true, false, false)),
            (made(Some("2"), None), told(false, [None, Some(&two)], false, false), answer(true, false, false)),
            // Somebody may have changed what we made.
            (made(Some("2"), None), told(true, [Some(&one), None], false, false), answer(false, true, true)),
            (made(Some("2"), None), told(false, [None, Some(&one)], false, false), answer(false, false, true)),
            // Somebody may have moved it on.
            (made(None, None), ToldBefore { may_have_left: true, ..ToldBefore::default() }, answer(false, true, true)),
            // A folder has no version to be known by.
            (made(None, None), told(true, [None, None], false, false), answer(false, true, true)),
            // The event overtook the answer; only a count of changes proves that it did.
            (made(Some("2"), Some(5)), told(false, [None, None], true, false), answer(false, false, false)),
            (made(Some("2"), None), told(false, [None, None], true, false), answer(false, false, true)),
            (made(Some("2"), Some(5)), told(false, [None, None], false, true), answer(false, false, false)),
        ];
        for (made, told, expected) in cases {
            assert_eq!(echo(&made, told), expected, "{made:?} {told:?}");
        }
    }

    #[test]
    fn what_a_failed_write_means() {
        use ProviderErrorKind as Kind;
        let nowhere = |asked| Failure::NotFound { target: None, asked };
        let cases = [
            (upload(), Kind::Conflict, false, Failure::Clash),
            (upload(), Kind::OutcomeUnknown, false, Failure::Unsure),
            (update(), Kind::Network, false, Failure::Unsure),
            (make(), Kind::Unavailable, false, Failure::Unsure),
            (make(), Kind::Malformed, false, Failure::Unsure),
            // The parts that the cloud has are good for the sign-in that comes.
            (upload(), Kind::SignInNeeded, true, Failure::GoesOn),
            (upload(), Kind::SignInNeeded, false, Failure::Other),
            // What is new is not there by itself: the folder that was to hold it is not.
            (upload(), Kind::NotFound, false, nowhere(PARENT)),
            (make(), Kind::NotFound, false, nowhere(PARENT)),
            (update(), Kind::NotFound, false, nowhere(NODE)),
            (Write::Trash, Kind::NotFound, false, nowhere(NODE)),
            (relocate(), Kind::NotFound, false, Failure::NotFound { target: Some(PARENT), asked: NODE }),
            (upload(), Kind::Corrupt, false, Failure::Corrupt),
            (upload(), Kind::Forbidden, true, Failure::Other),
            (upload(), Kind::RateLimited, true, Failure::Other),
        ];
        for (write, kind, has_session, expected) in cases {
            let sent = SentRow { job: JobId(1), node: NODE, folder: FolderId(1), write, unsure: false, session: None };
            assert_eq!(failure(&sent, kind, has_session), expected, "{:?} {kind:?}", sent.write);
        }
    }

    #[test]
    fn a_name_is_waited_for_only_where_it_becomes_free_in_the_cloud() {
        use crate::id::ItemKind;
        assert!(leaves_its_name(&Action::MoveRemote { parent: PARENT, name: name("c") }));
        assert!(leaves_its_name(&Action::Trash(ItemKind::File)) && leaves_its_name(&Action::Remove(ItemKind::File)));
        let follows = [Action::Move { parent: PARENT, name: name("c") }, Action::Update, Action::InSync, Action::Leave];
        assert!(follows.iter().all(|action| !leaves_its_name(action)));
    }
}
