//! Hooks in the world of production: runs, the way into quarantine, and the cloud's copy of what is rejected.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256 as Sha256Hasher};

use super::{World, post};
use crate::config::Places;
use crate::deed::{DiskError, DiskErrorKind, Staged};
use crate::engine::Outcome;
use crate::engine::effect::HookOrder;
use crate::hook::{self, HookSettings, QuarantineRemote};
use crate::id::{Etag, FolderId, ItemId, JobId, Sha256};
use crate::local::LocalFolder;
use crate::path::RelPath;
use crate::provider::{Expected, Provider, ProviderError, ProviderErrorKind, Resolved, Result as ProviderResult};
use crate::quarantine::{Quarantine, Taken};
use crate::runner::{Order, Runner, Trust};
use crate::settings::RemotePlace;
use crate::tree::Stamp;

/// What hooks are run with, and where rejected content goes.
#[derive(Debug, Clone)]
pub struct HookKit {
    runner: Result<Runner, String>,
    quarantine: Quarantine,
}

/// Verdicts that wait for no more: half of what the engine asks ahead, so that a scanner always has something to do.
pub(super) const VERDICTS_ENOUGH: usize = 32;

impl HookKit {
    /// The kit of an installation.
    pub fn new(places: &Places) -> Self {
        let runner = Runner::new(Trust::of(places.is_system()), &places.credentials_dir());
        Self { runner: runner.map_err(|error| error.to_string()), quarantine: Quarantine::new(places.quarantine_dir()) }
    }
}

impl World {
    pub(super) fn hook(&mut self, job: JobId, order: HookOrder) {
        let cancel = self.everything.child_token();
        self.jobs.insert(job, cancel.clone());
        let (verdicts, kit) = (self.verdicts.clone(), self.hooks.clone());
        let awaited = verdicts.expect();
        let meters = self.meters.clone();
        let work = async move {
            let HookOrder { settings, document, path, file, stamp } = order;
            let order = Order { document, path, file };
            let outcome = match &kit.runner {
                Ok(runner) => tokio::select! {
                    outcome = run(runner, &settings, &order, stamp) => outcome,
                    () = cancel.cancelled() => hook::Outcome::failed("the run is no longer wanted", Duration::ZERO),
                },
                Err(why) => hook::Outcome::failed(why.clone(), Duration::ZERO),
            };
            meters.hook_ran(&settings.name, outcome.verdict, outcome.took);
            verdicts.post(job, Outcome::Hooked(outcome), awaited);
        };
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Asks a scanner how it is.
    pub(super) fn probe_hook(&mut self, job: JobId, hook: HookSettings) {
        let cancel = self.everything.child_token();
        self.jobs.insert(job, cancel.clone());
        let (inputs, kit) = (self.inputs.clone(), self.hooks.clone());
        let work = async move {
            let outcome = match &kit.runner {
                Ok(runner) => tokio::select! {
                    outcome = runner.probe(&hook) => outcome,
                    () = cancel.cancelled() => hook::Outcome::failed("the question is no longer wanted", Duration::ZERO),
                },
                Err(why) => hook::Outcome::failed(why.clone(), Duration::ZERO),
            };
            post(&inputs, job, Outcome::Hooked(outcome));
        };
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Copies a file of a folder into quarantine.
    pub(super) fn seize(
        &mut self,
        job: JobId,
        folder: FolderId,
        number: i64,
        (at, sha256): (RelPath, Option<Sha256>),
        sidecar: String,
    ) {
        let Some(local) = self.root(folder) else {
            let error = DiskError { kind: DiskErrorKind::RootLost, text: "the folder is not open".into() };
            self.post(job, Outcome::Quarantined(Err(error)));
            return;
        };
        let (inputs, quarantine) = (self.inputs.clone(), self.hooks.quarantine.clone());
        let act = move || {
            let refused = |text: String| DiskError { kind: DiskErrorKind::Item, text };
            let taken = local.read_in_place(&at).and_then(|file| {
                let taken = quarantine.take(number, file, sha256, &sidecar);
                taken.map_err(|error| refused(format!("quarantine: {error}")))
            });
            let result = match taken {
                Ok(Taken::Whole) => Ok(()),
                Ok(Taken::Altered) => Err(refused("somebody changed it meanwhile".into())),
                Err(error) => Err(error),
            };
            post(&inputs, job, Outcome::Quarantined(result));
        };
        self.tasks.spawn_blocking_on(act, &self.runtime);
    }

    pub(super) fn quarantine(&mut self, job: JobId, folder: FolderId, number: i64, staged: Staged, sidecar: String) {
        let Some(local) = self.root(folder) else {
            let error = DiskError { kind: DiskErrorKind::RootLost, text: "the folder is not open".into() };
            self.post(job, Outcome::Quarantined(Err(error)));
            return;
        };
        let (inputs, quarantine) = (self.inputs.clone(), self.hooks.quarantine.clone());
        let act = move || {
            let result = take(&local, &quarantine, number, &staged, &sidecar);
            post(&inputs, job, Outcome::Quarantined(result));
        };
        self.tasks.spawn_blocking_on(act, &self.runtime);
    }

    /// Something in quarantine that needs no outcome.
    pub(super) fn in_quarantine(&self, act: impl FnOnce(&Quarantine) -> std::io::Result<()> + Send + 'static) {
        let quarantine = self.hooks.quarantine.clone();
        let act = move || {
            if let Err(error) = act(&quarantine) {
                tracing::warn!(%error, "something stays in quarantine until the next start");
            }
        };
        self.tasks.spawn_blocking_on(act, &self.runtime);
    }
}

/// Runs a hook over a file that is what it is expected to be, before and after.
async fn run(runner: &Runner, settings: &HookSettings, order: &Order, stamp: Option<Stamp>) -> hook::Outcome {
    let is_asked = settings.when == hook::When::Before;
    let Some((file, stamp)) = order.file.clone().zip(stamp).filter(|_| is_asked) else {
        return runner.run(settings, order).await;
    };
    let changed = || hook::Outcome {
        is_moot: true,
        ..hook::Outcome::failed("the file was changed before or while it was examined", Duration::ZERO)
    };
    let sha256 = order.document.item.as_ref().and_then(|item| item.sha256.clone());
    let looked = (file.clone(), sha256);
    let recognised = tokio::task::spawn_blocking(move || recognised(&looked.0, &stamp, looked.1.as_deref()));
    let Ok(Some(before)) = recognised.await else { return changed() };
    let outcome = runner.run(settings, order).await;
    let after = tokio::task::spawn_blocking(move || stamp_of(&file)).await;
    // All of the stamp: a content can be exchanged and the modification time put back, the status change time cannot.
    if after.is_ok_and(|after| after == Some(before)) { outcome } else { changed() }
}

/// The stamp of a file that has the content which is to be examined; nothing if it has another one, or may have.
fn recognised(file: &Path, expected: &Stamp, sha256: Option<&str>) -> Option<Stamp> {
    let stamp = stamp_of(file)?;
    if stamp == *expected {
        return Some(stamp);
    }
    // Permissions that were changed move the status change time too: then the content itself tells.
    let mut content = std::fs::File::open(file).ok().filter(|_| stamp.same_content(expected))?;
    let mut hasher = Sha256Hasher::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match content.read(&mut buffer).ok()? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    (sha256 == Some(Sha256(hasher.finalize().into()).to_string().as_str())).then_some(stamp)
}

fn stamp_of(file: &Path) -> Option<Stamp> {
    let seen = std::fs::symlink_metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
    Some(Stamp {
        dev: seen.dev(),
        ino: seen.ino(),
        size: seen.len(),
        mtime_ns: ns(seen.mtime(), seen.mtime_nsec()),
        ctime_ns: ns(seen.ctime(), seen.ctime_nsec()),
    })
}

/// Does with a quarantined file's copy in the cloud what its hook's settings say.
pub(super) async fn dispose(
    provider: &dyn Provider,
    item: &ItemId,
    name: &str,
    etag: Option<&Etag>,
    how: &QuarantineRemote,
) -> ProviderResult<()> {
    // Another version is another matter: it is examined by itself.
    let expected = Expected { version: None, etag: etag.cloned() };
    match how {
        QuarantineRemote::Leave => Ok(()),
        QuarantineRemote::Trash => provider.trash(item, &expected).await,
        QuarantineRemote::Move(path) => match provider.resolve(&RemotePlace::Path(path.clone())).await? {
            Resolved::Folder(target) => provider.relocate(item, &target.id, name, &expected).await.map(drop),
            Resolved::NotAFolder { .. } | Resolved::Missing { .. } => {
                let text = format!("there is no folder {path} in the cloud to move it to");
                Err(ProviderError::new(ProviderErrorKind::Refused, text))
            }
        },
    }
}

/// Moves a staged file into quarantine. One that is gone, or that somebody changed after it was examined, leaves its reasons.
fn take(
    local: &LocalFolder,
    quarantine: &Quarantine,
    number: i64,
    staged: &Staged,
    sidecar: &str,
) -> Result<(), DiskError> {
    let refused = |error: std::io::Error| DiskError { kind: DiskErrorKind::Item, text: format!("quarantine: {error}") };
    match local.read_staged(staged)? {
        Some(file) => {
            if quarantine.take(number, file, Some(staged.sha256), sidecar).map_err(refused)? == Taken::Altered {
                tracing::warn!(number, "the content was changed after it was examined, and was not kept");
            }
        }
        None => quarantine.note(number, sidecar).map_err(refused)?,
    }
    local.discard_staged(staged)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, FileTimes, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_content_that_was_exchanged_is_not_recognised_by_its_times() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        fs::write(&file, "clean").unwrap();
        let sha256 = Sha256(Sha256Hasher::digest("clean").into()).to_string();
        let stamp = stamp_of(&file).unwrap();
        assert_eq!(recognised(&file, &stamp, None), Some(stamp));

        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let now = stamp_of(&file).unwrap();
        assert_ne!(now, stamp);
        assert_eq!(recognised(&file, &stamp, Some(&sha256)), Some(now), "permissions are no content");
        assert_eq!(recognised(&file, &stamp, None), None, "nothing tells");

        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "EICAR").unwrap();
        File::options().write(true).open(&file).unwrap().set_times(FileTimes::new().set_modified(modified)).unwrap();
        let swapped = stamp_of(&file).unwrap();
        assert!(swapped.same_content(&stamp), "all that can be put back was put back");
        assert_eq!(recognised(&file, &stamp, Some(&sha256)), None);
        fs::remove_file(&file).unwrap();
        assert_eq!(recognised(&file, &stamp, Some(&sha256)), None);
    }
}
