//! Looks at single items: what the answer to one means, by what was told, asked and observed of the item.

use std::time::Duration;

use super::above::{is_below_gone, lies_in_itself};
use super::questions::Questions;
use crate::engine::ctx::Ctx;
use crate::id::{Generation, NodeId};
use crate::store::Result;
use crate::store::expected::Told;
use crate::store::items::{ItemRow, Presence, RemoteRow};
use crate::store::work::WorkRow;
use crate::tree::{ItemState, RemoteItem};

/// A problem: the cloud does not show an item, and nothing says that it is gone.
pub(in crate::engine) const HIDDEN: &str = "hidden";
/// The longest time for which an item rests that the cloud hides from us.
pub(in crate::engine) const HIDDEN_RETRIED_EVERY: Duration = Duration::from_mins(10);
/// The shortest.
const HIDDEN_RETRIED_FIRST: Duration = Duration::from_mins(1);

/// What the answer to a look means.
#[derive(Debug)]
pub(in crate::engine) enum Answer {
    /// The item is there.
    There(Box<RemoteItem>),
    /// Nothing: it is asked for again.
    Nothing,
    /// The item is gone.
    Gone,
    /// It is hidden or gone, and a listing of this folder that was asked for since tells which.
    ListingTells(NodeId),
    /// The same, and this folder cannot be listed. `in_itself`: the watched folder may be in the trash.
    Hidden {
        /// Folders lie in one another, as far as is known, the item among them.
        in_itself: bool,
    },
    /// The item is not to be seen, and no folder of ours held it.
    Unplaced,
}

/// What the answer to a look means that was asked at `asked`. `was_away`: the watched folder itself was not to be seen since.
pub(in crate::engine) fn answer(
    ctx: &Ctx,
    questions: &mut Questions,
    (item, work): (&ItemRow, &WorkRow),
    state: ItemState,
    asked: Generation,
    was_away: bool,
) -> Result<Answer> {
    // What an event told to be in the trash is gone when a look finds it there, whatever else went there.
    let was_told = questions.expected(item.node).is_some_and(|expected| expected.told == Told::Gone);
    let is_confirmed = was_told && matches!(state, ItemState::Trashed);
    if let ItemState::Active(found) = state {
        return Ok(Answer::There(found));
    }
    if was_away || questions.is_overtaken(item.node, asked) {
        return Ok(Answer::Nothing);
    }
    // What was never seen, or is gone already, cannot be removed for a wrong reason; what a folder that is gone held is gone with it.
    if questions.note_not_found(item.node, asked, work.mark)
        || is_confirmed
        || item.remote.presence != Presence::Present
        || is_below_gone(ctx, item)?
    {
        return Ok(Answer::Gone);
    }
    // No folder can be listed that would tell, and the watched one is where it was. Some clouds do not find what is in the trash.
    let in_itself = lies_in_itself(ctx, item)?;
    if was_hidden(work) && in_itself {
        return Ok(Answer::Gone);
    }
    // In the trash it may be with a folder above the watched one, of which we were not told yet; then none of our folders can be listed.
    let Some(parent) = item.remote.parent else { return Ok(Answer::Unplaced) };
    let is_unlisted = ctx.store.listing_attempts(parent)? > 0;
    Ok(if is_unlisted { Answer::Hidden { in_itself } } else { Answer::ListingTells(parent) })
}

/// Whether an item was not to be seen, and no listing of its folder could tell what became of it.
fn was_hidden(work: &WorkRow) -> bool {
    work.problem.as_ref().is_some_and(|(code, _)| code == HIDDEN)
}

/// Whether something that a look found could not be seen before.
pub(in crate::engine) fn was_out_of_sight(questions: &Questions, work: &WorkRow) -> bool {
    questions.is_missing(work.node)
        || work.problem.as_ref().is_some_and(|(code, _)| [HIDDEN, "forbidden"].contains(&&**code))
}

/// Whether a look changed what is known of an item.
pub(in crate::engine) fn is_news(before: &RemoteRow, now: &RemoteRow) -> bool {
    before.content != now.content
        || before.name != now.name
        || before.parent != now.parent
        || before.presence != now.presence
}

/// How long an item rests that the cloud hides from us, having been asked about so often: a right that is given back soon is soon noticed.
pub(in crate::engine) fn hidden_for(attempts: u32) -> Duration {
    (HIDDEN_RETRIED_FIRST * (1 << (attempts / 2).min(8))).min(HIDDEN_RETRIED_EVERY)
}

#[cfg(test)]
mod tests {
    use super::hidden_for;

    #[test]
    fn what_is_hidden_is_asked_about_soon_and_then_less_and_less_often() {
        let minutes: Vec<u64> = (0..8).map(|attempts| hidden_for(attempts).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 1, 2, 2, 4, 4, 8, 8]);
        assert_eq!(hidden_for(u32::MAX).as_secs(), 600);
    }
}
