//! Our own writes as they come back: looked up when no answer came, recognised by identity when an event tells of them.

use std::time::Duration;

use crate::engine::ctx::Ctx;
use crate::engine::sides::seat_of;
use crate::events::EventKind;
use crate::id::{FolderId, ItemId, NodeId, Sha256, VersionId};
use crate::path::Name;
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow, Presence};
use crate::store::sent::{SentRow, Write};
use crate::store::work::Ask;
use crate::tree::{RemoteItem, Stamp};

/// How long we wait for the listing that tells whether a write happened.
pub(in crate::engine) const LISTING_AWAITED: Duration = Duration::from_secs(2);
/// How long an event of our own is awaited before the item is looked at instead, in milliseconds.
const ECHO_AWAITED_MS: i64 = 3_600_000;
/// Expired expectations looked at in one step.
const ECHOES_PER_STEP: u32 = 100;
/// What an echo says of an item that we put into the trash.
pub(in crate::engine) const ECHO_GONE: &str = "gone";
/// What an echo says of an item that we sent into the trash without hearing of it, and that was there when it was looked at: the cloud may
/// still do it.
pub(in crate::engine) const ECHO_MAY_GO: &str = "may_go";

/// How it is found out whether a write happened to which no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Doubt {
    /// It is remembered until then.
    pub is_remembered: bool,
    /// The folder that is listed.
    pub listed: Option<NodeId>,
    /// What is asked about the item itself.
    pub ask: Ask,
}

/// How it is found out whether a write happened to which no answer came.
pub(in crate::engine) fn doubt(write: &Write) -> Doubt {
    match write {
        Write::Upload { parent, .. } | Write::MakeFolder { parent, .. } => {
            Doubt { is_remembered: true, listed: Some(*parent), ask: Ask::Nothing }
        }
        Write::Relocate { .. } => Doubt { is_remembered: false, listed: None, ask: Ask::State },
        // It is remembered until the look, so that a version of ours is recognised, and what was deleted counts.
        Write::Update { .. } | Write::Trash => Doubt { is_remembered: true, listed: None, ask: Ask::State },
    }
}

/// Notes that no answer came to a write.
pub(in crate::engine) fn unanswered(ctx: &mut Ctx, sent: &SentRow) -> Result<Doubt> {
    let doubt = doubt(&sent.write);
    if doubt.is_remembered {
        ctx.store.set_unsure(sent.node)?;
    } else {
        ctx.store.drop_sent(sent.node)?;
    }
    Ok(doubt)
}

/// How an item's last write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum LastWrite {
    /// That is known, or there was none.
    Known,
    /// It is under way.
    UnderWay,
    /// A listing tells.
    AwaitsListing,
    /// What the cloud showed last of the item tells: all that was to be asked is answered.
    InDoubt(SentRow),
}

/// How an item's last write ended.
pub(in crate::engine) fn last_write(ctx: &Ctx, item: &ItemRow) -> Result<LastWrite> {
    let Some(sent) = ctx.store.sent_of(item.node)? else { return Ok(LastWrite::Known) };
    if !sent.unsure {
        return Ok(LastWrite::UnderWay);
    }
    let listed = doubt(&sent.write).listed.filter(|_| item.is_local_only());
    if listed.map(|parent| ctx.store.listing_wanted(parent)).transpose()?.unwrap_or(false) {
        return Ok(LastWrite::AwaitsListing);
    }
    Ok(LastWrite::InDoubt(sent))
}

/// What the cloud showed last of an item that it has; nothing if it has none.
///
/// Example: the event of our upload comes, the file is removed, and the process dies before the answer: what the event brought into the row
/// is still what we sent, and nobody else's.
pub(in crate::engine) fn shown(item: &ItemRow) -> Option<RemoteItem> {
    let has_it = !item.is_local_only() && item.remote.presence == Presence::Present;
    has_it.then(|| as_known(item))
}

/// A write did not happen yet, or it did and the listing told of it; a chunked upload goes on where it was.
pub(in crate::engine) fn not_shown(ctx: &mut Ctx, item: &ItemRow, sent: &SentRow) -> Result<()> {
    if sent.write == Write::Trash && item.remote.presence == Presence::Present {
        ctx.store.expect_echo(item.folder, &item.id, ECHO_MAY_GO, ctx.now.wall)?;
    }
    if sent.session.is_none() || !item.is_local_only() {
        ctx.store.drop_sent(item.node)?;
    }
    Ok(())
}

/// What is being made under a name in a folder by a write that is under way.
pub(in crate::engine) fn being_made(
    ctx: &Ctx,
    folder: FolderId,
    (parent, name): (NodeId, &str),
    is_being_sent: impl Fn(NodeId) -> bool,
) -> Result<Option<NodeId>> {
    let Ok(name) = Name::new(name.as_bytes()) else { return Ok(None) };
    for node in ctx.store.sent_nodes(folder)? {
        let Some(sent) = ctx.store.sent_of(node)? else { continue };
        if is_made_by(&sent.write, parent, &name) && is_being_sent(node) {
            return Ok(Some(node));
        }
    }
    Ok(None)
}

/// A write that turned out to have happened.
#[derive(Debug)]
pub(in crate::engine) struct Found {
    /// The item.
    pub item: ItemRow,
    /// What was sent.
    pub sent: SentRow,
    /// The content of a file.
    pub content: Option<(Sha256, Stamp)>,
}

/// Takes the write of which no answer came and that made what the cloud shows of an item, if there is one.
pub(in crate::engine) fn take_found(ctx: &mut Ctx, node: NodeId, made: &RemoteItem) -> Result<Option<Found>> {
    let (Some(sent), Some(item)) = (ctx.store.sent_of(node)?, ctx.store.item(node)?) else { return Ok(None) };
    if !is_of_write(&sent.write, made) {
        return Ok(None);
    }
    ctx.store.drop_sent(node)?;
    let content = match &sent.write {
        Write::Upload { sha256, stamp, .. } | Write::Update { sha256, stamp, .. } => Some((*sha256, *stamp)),
        _ => None,
    };
    Ok(Some(Found { item, sent, content }))
}

/// Writes of a former life in a folder: nobody knows what came of them.
pub(in crate::engine) fn of_former_life(
    ctx: &Ctx,
    folder: FolderId,
    is_being_sent: impl Fn(NodeId) -> bool,
) -> Result<Vec<SentRow>> {
    let nodes = ctx.store.sent_nodes(folder)?.into_iter().filter(|node| !is_being_sent(*node));
    Ok(nodes.map(|node| ctx.store.sent_of(node)).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Recognises an event that tells of what we did ourselves, in a folder that sends: of a write that ended, or of one whose answer is still to
/// come. The echo of the first is awaited no longer.
pub(in crate::engine) fn recognise(
    ctx: &mut Ctx,
    folder: FolderId,
    item: &RemoteItem,
    is_being_sent: impl Fn(NodeId) -> bool,
) -> Result<bool> {
    Ok(ctx.store.take_echo(folder, &item.id, &echo_of(item))? || is_under_way(ctx, folder, item, is_being_sent)?)
}

/// Where an event that names a version tells that something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Told<'a> {
    /// Where it was made: it is told of nothing else.
    Made,
    /// At this path.
    At(&'a str),
    /// It does not say.
    Nowhere,
}

/// Where an event that names a version tells that something is. A version outlasts moves, trash and return: only what is told to be where we
/// wrote it, or moved it to, is ours.
///
/// Example: the event of our upload is lost; somebody moves the file, and that event names our version and another place.
pub(in crate::engine) fn told_at(kind: EventKind, path: Option<&str>) -> Told<'_> {
    match (kind, path) {
        (EventKind::Uploaded | EventKind::Created, _) => Told::Made,
        (EventKind::Moved | EventKind::Renamed, Some(path)) => Told::At(path),
        _ => Told::Nowhere,
    }
}

/// Whether an item is in a place of the cloud, as far as we know.
pub(in crate::engine) fn is_at(known: &ItemRow, place: Option<(NodeId, &str)>) -> bool {
    place == known.remote.parent.map(|parent| (parent, known.remote.name.as_str()))
}

/// Recognises an event of a version of an item, told to be where that is. The echo is awaited no longer.
pub(in crate::engine) fn recognise_version(ctx: &mut Ctx, known: &ItemRow, version: &VersionId) -> Result<bool> {
    Ok(known.remote.presence == Presence::Present
        && ctx.store.take_echo(known.folder, &known.id, &echo_of_version(version))?)
}

/// Whether what the cloud shows is what a write that is not answered yet makes.
fn is_under_way(
    ctx: &Ctx,
    folder: FolderId,
    item: &RemoteItem,
    is_being_sent: impl Fn(NodeId) -> bool,
) -> Result<bool> {
    if !ctx.store.sent_left(folder)? {
        return Ok(false);
    }
    let parent = match &item.parent {
        Some(parent) => ctx.store.item_by_id(folder, parent)?.map(|row| row.node),
        None => None,
    };
    let row = match (ctx.store.item_by_id(folder, &item.id)?, parent) {
        (None, Some(parent)) => match met_on_disk(ctx, folder, parent, item, is_being_sent)? {
            Some(node) => ctx.store.item(node)?,
            None => None,
        },
        (row, _) => row,
    };
    let Some(row) = row else { return Ok(false) };
    let Some(sent) = ctx.store.sent_of(row.node)? else { return Ok(false) };
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
pub(in crate::engine) fn expired(ctx: &mut Ctx) -> Result<Vec<NodeId>> {
    let before = ctx.now.wall.plus_ms(-ECHO_AWAITED_MS);
    let mut nodes = Vec::new();
    for (folder, id) in ctx.store.expired_echoes(before, ECHOES_PER_STEP)? {
        let Ok(id) = id.parse::<ItemId>() else { continue };
        nodes.extend(ctx.store.item_by_id(folder, &id)?.map(|item| item.node));
    }
    Ok(nodes)
}

/// The row of something that only the disk has and that is what the cloud now tells of, in a folder that sends: the same place and kind, or
/// our own upload.
pub(in crate::engine) fn met_on_disk(
    ctx: &Ctx,
    folder: FolderId,
    parent: NodeId,
    item: &RemoteItem,
    is_being_sent: impl Fn(NodeId) -> bool,
) -> Result<Option<NodeId>> {
    let Ok(name) = Name::new(item.name.as_bytes()) else { return Ok(None) };
    for node in ctx.store.sent_nodes(folder)? {
        let (Some(sent), Some(row)) = (ctx.store.sent_of(node)?, ctx.store.item(node)?) else { continue };
        if row.is_local_only()
            && row.id.kind() == item.id.kind()
            && is_made_by(&sent.write, parent, &name)
            && (is_being_sent(node) || is_of_write(&sent.write, item))
        {
            return Ok(Some(node));
        }
    }
    let Some(node) = ctx.store.seated_at(parent, &name)? else { return Ok(None) };
    let Some(row) = ctx.store.item(node)? else { return Ok(None) };
    // One that was moved while it went up elsewhere is what the cloud will show there.
    let goes_up_elsewhere = ctx.store.sent_of(node)?.is_some_and(|sent| !is_made_by(&sent.write, parent, &name));
    let is_it = row.is_local_only() && !goes_up_elsewhere && row.id.kind() == item.id.kind() && seat_of(&row).is_some();
    Ok(is_it.then_some(node))
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
pub(in crate::engine) fn echo_of_version(version: &VersionId) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ContentHash;
    use crate::tree::RemoteContent;

    const PARENT: NodeId = NodeId(1);

    fn name() -> Name {
        Name::new(b"a").unwrap()
    }

    fn hash(digit: char) -> Option<ContentHash> {
        Some(ContentHash::Sha1(digit.to_string().repeat(40)))
    }

    fn upload(hash: Option<ContentHash>) -> Write {
        Write::Upload { parent: PARENT, name: name(), sha256: Sha256([7; 32]), hash, stamp: Stamp::NONE }
    }

    fn update(hash: Option<ContentHash>) -> Write {
        Write::Update { after: None, sha256: Sha256([7; 32]), hash, stamp: Stamp::NONE }
    }

    fn relocate() -> Write {
        Write::Relocate { parent: PARENT, name: name(), aside: false }
    }

    fn make() -> Write {
        Write::MakeFolder { parent: PARENT, name: name() }
    }

    fn shown(id: ItemId, hash: Option<ContentHash>) -> RemoteItem {
        let content = RemoteContent { version: VersionId::new("2"), hash, size: None, modified: None };
        let content = Some(content).filter(|_| !id.is_folder());
        RemoteItem {
            id,
            parent: None,
            name: "a".into(),
            content,
            etag: None,
            sequence: None,
            ancestors: None,
            path: None,
        }
    }

    #[test]
    fn how_it_is_found_out_whether_a_write_happened() {
        let cases = [
            // What is new has no id to ask about: its folder is listed.
            (upload(None), true, Some(PARENT), Ask::Nothing),
            (make(), true, Some(PARENT), Ask::Nothing),
            (update(None), true, None, Ask::State),
            (Write::Trash, true, None, Ask::State),
            // Where it is says all.
            (relocate(), false, None, Ask::State),
        ];
        for (write, is_remembered, listed, ask) in cases {
            assert_eq!(doubt(&write), Doubt { is_remembered, listed, ask }, "{write:?}");
        }
    }

    #[test]
    fn what_a_write_makes_is_known_by_kind_and_content() {
        let file = |hash| shown(ItemId::file("2"), hash);
        let folder = || shown(ItemId::folder("2"), None);
        let cases = [
            (make(), folder(), true),
            (make(), file(hash('1')), false),
            (upload(hash('1')), file(hash('1')), true),
            (upload(hash('1')), file(hash('2')), false),
            (update(hash('1')), file(hash('1')), true),
            // Without a digest nothing proves it.
            (upload(hash('1')), file(None), false),
            (upload(None), file(hash('1')), false),
            (relocate(), file(hash('1')), false),
            (Write::Trash, file(hash('1')), false),
        ];
        for (write, item, expected) in cases {
            assert_eq!(is_of_write(&write, &item), expected, "{write:?} {item:?}");
        }
    }

    #[test]
    fn an_event_of_a_version_is_ours_only_where_we_put_it() {
        let cases = [
            (EventKind::Uploaded, Some("/x"), Told::Made),
            (EventKind::Created, None, Told::Made),
            (EventKind::Moved, Some("/x"), Told::At("/x")),
            (EventKind::Renamed, Some("/x"), Told::At("/x")),
            (EventKind::Moved, None, Told::Nowhere),
            (EventKind::Trashed, Some("/x"), Told::Nowhere),
        ];
        for (kind, path, expected) in cases {
            assert_eq!(told_at(kind, path), expected, "{kind:?} {path:?}");
        }
    }

    #[test]
    fn an_echo_names_the_newest_that_is_known_of_a_state() {
        let mut item = shown(ItemId::file("2"), None);
        item.etag = Some(crate::id::Etag::new("e"));
        assert_eq!(echo_of(&item), "version:2");
        item.sequence = Some(5);
        assert_eq!(echo_of(&item), "seq:5");
        let mut folder = shown(ItemId::folder("2"), None);
        assert_eq!(echo_of(&folder), "folder");
        folder.etag = Some(crate::id::Etag::new("e"));
        assert_eq!(echo_of(&folder), "etag:e");
    }
}
