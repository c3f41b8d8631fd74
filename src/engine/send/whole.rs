//! A folder that the disk lost with everything in it goes into the cloud's trash as a whole: by one call, however much is in it.

use std::time::Duration;

use super::hopes::{hopes, looked_after, may_turn_up};
use crate::engine::ctx::Ctx;
use crate::engine::schedule::FolderTrash;
use crate::engine::sides::plan_under;
use crate::id::NodeId;
use crate::plan::{Action, Policy};
use crate::store::items::{ItemRow, Presence};
use crate::store::work::{WorkRow, WorkState};
use crate::store::{DEEPEST_PATH, Result};

/// Items of one folder that are looked through; a larger one goes in parts.
const WHOLE_MOST: usize = 10_000;
/// Items of one folder that are read because the database alone cannot tell that they go with it; one with more goes in parts.
const DOUBTFUL_MOST: usize = 2_000;
/// How long a folder waits for what is still to be heard of it.
pub(in crate::engine) const NEWS_AWAITED: Duration = Duration::from_secs(1);

/// Whether a folder can go as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Whole {
    /// It can.
    Yes,
    /// Something is still to be heard.
    NotYet,
    /// What is in it goes one by one.
    No,
}

/// The topmost folder above something that is to go into the trash, if it goes as well and as a whole: it takes that along.
pub(in crate::engine) fn taken_along_by(
    ctx: &Ctx,
    policy: Policy,
    item: &ItemRow,
    goes_in_parts: impl Fn(NodeId) -> bool,
) -> Result<Option<ItemRow>> {
    let mut top = None;
    let mut at = item.remote.parent;
    for _ in 0..DEEPEST_PATH {
        let Some(above) = at.map(|node| ctx.store.item(node)).transpose()?.flatten() else { break };
        if above.remote.presence != Presence::Present || !goes(policy, &above) {
            break;
        }
        at = above.remote.parent;
        if !goes_in_parts(above.node) {
            top = Some(above);
        }
    }
    Ok(top)
}

/// What is in a folder that is to go, as far as we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Inside {
    /// This, and maybe more.
    Something(NodeId),
    /// Nothing.
    Nothing,
    /// We know of nothing, and it was not listed since something was told of it.
    Unlisted,
}

/// What is in a folder that is to go.
pub(in crate::engine) fn inside(ctx: &Ctx, item: &ItemRow) -> Result<Inside> {
    if let Some(child) = ctx.store.remote_child(item.node)? {
        return Ok(Inside::Something(child));
    }
    Ok(if ctx.store.listing_wanted(item.node)? { Inside::Unlisted } else { Inside::Nothing })
}

/// How long a folder waits that cannot go yet.
pub(in crate::engine) fn awaited(ctx: &Ctx, item: &ItemRow) -> Result<Duration> {
    let wait = if ctx.store.any_parked(item.folder)? { looked_after(ctx, item) } else { NEWS_AWAITED };
    Ok(wait.max(NEWS_AWAITED))
}

/// Whether what is in a folder goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Contents {
    /// All of it does.
    Go,
    /// All of it does, unless so much goes that a person is asked about each file.
    GoUnlessAsked,
    /// Something is still to be heard of it.
    NotYet,
    /// Something does not.
    Stay,
}

/// Whether what is in a folder goes with it into the trash.
pub(in crate::engine) fn contents(ctx: &mut Ctx, policy: Policy, item: &ItemRow, work: &WorkRow) -> Result<Contents> {
    // One that was refused as a whole may hold a single thing that nobody may delete.
    if work.attempts > 0 {
        return Ok(Contents::Stay);
    }
    if ctx.store.listing_wanted(item.node)? {
        return Ok(Contents::NotYet);
    }
    let hopes = hopes(ctx, item.folder)?;
    let below = ctx.store.below(item.node, WHOLE_MOST, hopes)?;
    ctx.gone_through += below.items;
    if below.items > WHOLE_MOST {
        return Ok(Contents::Stay);
    }
    if below.doubtful > 0 {
        for child in ctx.store.doubtful_below(item.node, WHOLE_MOST, hopes, DOUBTFUL_MOST)? {
            match goes_too(ctx, policy, &child)? {
                Whole::Yes => {}
                Whole::NotYet => return Ok(Contents::NotYet),
                Whole::No => return Ok(Contents::Stay),
            }
        }
        if below.doubtful > DOUBTFUL_MOST {
            return Ok(Contents::Stay);
        }
    }
    Ok(if below.unapproved { Contents::GoUnlessAsked } else { Contents::Go })
}

/// Whether something goes with the folder that holds it, where the database alone cannot tell.
fn goes_too(ctx: &Ctx, policy: Policy, child: &ItemRow) -> Result<Whole> {
    if ctx.store.sent_of(child.node)?.is_some() {
        // What it is to become is known when that write is answered. Example: we make `d/e`, its event comes before the answer, and `d` is
        // removed meanwhile: `e` is not somebody else's.
        return Ok(Whole::NotYet);
    }
    if !goes(policy, child) {
        return Ok(Whole::No);
    }
    let work = ctx.store.work(child.node)?;
    if work.as_ref().is_some_and(|work| work.state == WorkState::Held || work.attempts > 0) {
        return Ok(Whole::No);
    }
    let is_awaited = work.is_some_and(|work| work.mark.is_some())
        || may_turn_up(ctx, child)?
        || ctx.store.listing_wanted(child.node)?;
    Ok(if is_awaited { Whole::NotYet } else { Whole::Yes })
}

fn goes(policy: Policy, item: &ItemRow) -> bool {
    matches!(plan_under(policy, item), Action::Trash(_))
}

/// How far the stream of an account was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Stream {
    /// How many polls began.
    pub begun: u64,
    /// How many had begun when the last one began that read it to its end.
    pub ended: u64,
}

/// Whether all was heard that may have happened in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Heard {
    /// It was.
    All,
    /// A poll tells that is under way or due.
    Soon,
    /// A poll tells that is to begin at once.
    Poll,
    /// What is in it goes one by one, whatever is heard.
    InParts,
}

/// Whether the stream was read to its end since a folder was to go as a whole: a folder has no tag that tells of changes in it.
pub(in crate::engine) fn heard(trash: Option<FolderTrash>, stream: Stream) -> Heard {
    match trash {
        Some(FolderTrash::Whole(polls)) if stream.ended > polls => Heard::All,
        // One was under way when the wish was made, and its end set the interval anew.
        Some(FolderTrash::Whole(polls)) if stream.begun == polls => Heard::Poll,
        Some(FolderTrash::Whole(_)) => Heard::Soon,
        Some(FolderTrash::InParts) => Heard::InParts,
        None => Heard::Poll,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_once_a_poll_that_began_after_the_wish_read_the_stream_to_its_end() {
        let whole = |polls| Some(FolderTrash::Whole(polls));
        let cases = [
            (None, (7, 7), Heard::Poll),
            // The wish was made when seven had begun.
            (whole(7), (7, 6), Heard::Poll),
            (whole(7), (7, 7), Heard::Poll),
            (whole(7), (8, 7), Heard::Soon),
            (whole(7), (8, 8), Heard::All),
            (whole(7), (9, 8), Heard::All),
            (Some(FolderTrash::InParts), (9, 9), Heard::InParts),
        ];
        for (trash, (begun, ended), expected) in cases {
            assert_eq!(heard(trash, Stream { begun, ended }), expected, "{trash:?} {begun} {ended}");
        }
    }
}
