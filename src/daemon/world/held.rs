//! Contents that a folder's version store holds: staged from there, verified like a download, without a call.

use std::sync::Arc;

use super::{World, post};
use crate::deed::{DiskErrorKind, KeptAt, Staged};
use crate::engine::Outcome;
use crate::engine::input::{FetchFailure, FetchOrder};
use crate::id::JobId;
use crate::local::{LocalFolder, StageError, StageOrder};
use crate::versions::Versions;

impl World {
    pub(super) fn stage_held(&self, job: JobId, held: KeptAt, order: FetchOrder, local: Arc<LocalFolder>) {
        let inputs = self.inputs.clone();
        let work = move || post(&inputs, job, Outcome::Fetched(stage(job, held, order, &local)));
        self.tasks.spawn_blocking_on(work, &self.runtime);
    }
}

fn stage(job: JobId, held: KeptAt, order: FetchOrder, local: &LocalFolder) -> Result<Staged, FetchFailure> {
    local.check_room(order.size.unwrap_or(0)).map_err(FetchFailure::Disk)?;
    let order = StageOrder { job, size: order.size, hash: order.hash, modified: order.modified };
    Versions::of(local).stage(&held, &order).map_err(|why| match why {
        StageError::Disk(error)
            if matches!(error.kind, DiskErrorKind::Full | DiskErrorKind::RootLost | DiskErrorKind::NotWritable) =>
        {
            FetchFailure::Disk(error)
        }
        // It was given up meanwhile, cannot be read, or is not what it was: it is downloaded.
        other => {
            tracing::debug!(%held, "not taken from the version store: {other}");
            FetchFailure::NotHeld(held)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ContentHash, ItemId, VersionId};
    use crate::local::LocalOptions;

    const OF_ABC: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

    #[test]
    fn only_exactly_the_ordered_content_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let options = LocalOptions { file_mode: 0o644, dir_mode: 0o755, min_free: 0, create: true };
        let local = LocalFolder::open(&dir.path().join("f"), "mark", options).unwrap();
        let kept = Versions::of(&local).path(JobId(7));
        let order = |size, hash: &str| FetchOrder {
            item: ItemId::file("1"),
            version: VersionId::new("v"),
            size: Some(size),
            hash: Some(ContentHash::Sha1(hash.into())),
            modified: None,
            held: Some(KeptAt::alone(JobId(7))),
            path: "a".into(),
        };
        let take = |order| stage(JobId(9), KeptAt::alone(JobId(7)), order, &local);
        assert!(
            matches!(take(order(3, OF_ABC)), Err(FetchFailure::NotHeld(KeptAt { job: JobId(7), inside: None }))),
            "it is not there"
        );
        std::fs::write(&kept, "abc").unwrap();
        let staged = take(order(3, OF_ABC)).unwrap();
        assert_eq!(staged.stamp.size, 3);
        assert!(kept.exists(), "it stays in the version store");
        assert!(matches!(take(order(2, OF_ABC)), Err(FetchFailure::NotHeld(_))), "another length");
        std::fs::write(&kept, "abd").unwrap();
        assert!(matches!(take(order(3, OF_ABC)), Err(FetchFailure::NotHeld(_))), "another content");
        std::fs::remove_file(&kept).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &kept).unwrap();
        assert!(matches!(take(order(3, OF_ABC)), Err(FetchFailure::NotHeld(_))), "a link is not followed");
    }
}
