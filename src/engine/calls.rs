//! What an item needs of the cloud next, and what the version store may give in its place.

use super::ctx::Ctx;
use crate::deed::KeptAt;
use crate::id::{ContentHash, VersionId};
use crate::plan::Action;
use crate::store::Result;
use crate::store::items::ItemRow;
use crate::store::work::WorkRow;
use crate::tree::RemoteContent;

/// The call that an item needs.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Needs {
    /// A look at it, before anything else.
    Look,
    /// A change of the cloud.
    Write,
    /// This content.
    Content(Box<RemoteContent>),
    /// None: what is to be done changed while it waited.
    Nothing,
}

/// The call that an item needs for which this is planned.
pub(in crate::engine) fn needs(work: &WorkRow, item: &ItemRow, plan: &Action) -> Needs {
    if work.mark.is_some() {
        return Needs::Look;
    }
    if plan.writes() {
        return Needs::Write;
    }
    // What is to take the place of an edit is there before the edit leaves its place.
    let is_fetched = matches!(plan, Action::Fetch { .. } | Action::ConflictCopy);
    match item.remote.content.clone().filter(|_| is_fetched) {
        Some(content) => Needs::Content(Box::new(content)),
        None => Needs::Nothing,
    }
}

/// What is next for a file that is to come to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Next {
    /// The cloud does not say what it holds.
    Unknown,
    /// It was fetched, and goes to its place.
    Publish,
    /// It is fetched. `drops`: another version of it was, and is of no use.
    Fetch { drops: bool },
}

/// What is next for a file that is to come to the disk, of which this version was fetched and waits.
pub(in crate::engine) fn next(item: &ItemRow, staged: Option<&VersionId>) -> Next {
    match (&item.remote.content, staged) {
        (None, _) => Next::Unknown,
        (Some(content), Some(staged)) if *staged == content.version => Next::Publish,
        (Some(_), staged) => Next::Fetch { drops: staged.is_some() },
    }
}

/// Whether what the disk has can be compared with what the cloud says a file holds.
pub(in crate::engine) fn is_comparable(item: &ItemRow) -> bool {
    item.remote.content.as_ref().is_some_and(|content| content.hash.is_some())
}

/// Where the version store has a content with exactly the provider's digest and length, it is taken from there: what went to the
/// trash in the cloud and came back is not downloaded. It is verified as it is staged, and passes what any content passes.
pub(in crate::engine) fn held_content(ctx: &Ctx, item: &ItemRow, content: &RemoteContent) -> Result<Option<KeptAt>> {
    let Some((hash, size)) = content.hash.as_ref().zip(content.size) else { return Ok(None) };
    if matches!(hash, ContentHash::Unknown(_)) {
        return Ok(None);
    }
    if let Some(held) = ctx.store.held_content(item.folder, hash, size)? {
        return Ok(Some(held));
    }
    let above = item.remote.parent.map(|above| ctx.store.item(above)).transpose()?.flatten();
    let Some(above) = above else { return Ok(None) };
    ctx.store.held_whole(item.folder, &above.id, &item.remote.name, (hash, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{FolderId, Generation, ItemId, NodeId};
    use crate::path::Name;
    use crate::store::items::{Presence, RemoteRow};
    use crate::store::work::{Priority, WorkState};
    use crate::tree::Wall;

    fn content(version: &str) -> RemoteContent {
        RemoteContent { version: VersionId::new(version), hash: None, size: Some(3), modified: None }
    }

    fn item(content: Option<RemoteContent>) -> ItemRow {
        let remote = RemoteRow {
            presence: Presence::Present,
            parent: Some(NodeId(1)),
            name: "a".into(),
            content,
            etag: None,
            sequence: None,
            seen: 0,
        };
        ItemRow { node: NodeId(2), folder: FolderId(1), id: ItemId::file("2"), remote, synced: None, local: None }
    }

    fn work(mark: Option<Generation>) -> WorkRow {
        WorkRow {
            node: NodeId(2),
            folder: FolderId(1),
            priority: Priority::News,
            mark,
            state: WorkState::Ready,
            approved: false,
            unasked: false,
            replaced: false,
            due: Wall(0),
            attempts: 0,
            problem: None,
            since: Wall(0),
            journal: None,
        }
    }

    #[test]
    fn an_item_needs_the_call_that_its_plan_is_made_of_and_a_look_before_any_other() {
        let fetch = Action::Fetch { parent: NodeId(1), name: Name::new(b"a").unwrap() };
        let marked = Some(Generation(7));
        let cases = [
            (marked, &Action::Update, Some("1"), Needs::Look),
            (marked, &fetch, Some("1"), Needs::Look),
            (None, &Action::Update, Some("1"), Needs::Write),
            (None, &fetch, Some("1"), Needs::Content(Box::new(content("1")))),
            (None, &Action::ConflictCopy, Some("1"), Needs::Content(Box::new(content("1")))),
            (None, &fetch, None, Needs::Nothing),
            (None, &Action::InSync, Some("1"), Needs::Nothing),
        ];
        for (mark, plan, version, expected) in cases {
            assert_eq!(
                needs(&work(mark), &item(version.map(content)), plan),
                expected,
                "{mark:?} {plan:?} {version:?}"
            );
        }
    }

    #[test]
    fn what_was_fetched_is_published_if_it_is_the_version_that_the_cloud_has() {
        let cases = [
            (None, None, Next::Unknown),
            (None, Some("1"), Next::Unknown),
            (Some("2"), None, Next::Fetch { drops: false }),
            (Some("2"), Some("1"), Next::Fetch { drops: true }),
            (Some("2"), Some("2"), Next::Publish),
        ];
        for (has, staged, expected) in cases {
            let staged = staged.map(VersionId::new);
            assert_eq!(next(&item(has.map(content)), staged.as_ref()), expected, "{has:?} {staged:?}");
        }
    }
}
