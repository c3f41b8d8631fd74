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
