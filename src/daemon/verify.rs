//! `agent verify`: every directory three times, as the disk has it (read and digested), as the database says, and as the cloud lists it.
//!
//! A part of one directory is looked at at a time, so memory does not grow with the folder, and its place is kept: after an interruption
//! it goes on where it was. What differs is looked at again at the end: beside a running agent most differences are changes on their way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::engine::filter::Filter;
use crate::id::{ItemId, NodeId};
use crate::local::hash::Match;
use crate::local::survey::{Entry, Survey};
use crate::local::{Kind, hash};
use crate::path::{Name, RelPath};
use crate::provider::{Provider, ProviderError, ProviderErrorKind};
use crate::report::{Difference, Mending, Verification};
use crate::settings::FolderSettings;
use crate::store::folders::FolderRow;
use crate::store::items::{ItemRow, Presence, SeatRow};
use crate::store::verifying::{ToDo, VerifyPlaces};
use crate::store::{Reader, StoreError};
use crate::tree::{RemoteItem, Wall};

/// Differences that are named; more are only counted.
const DIFFERENCES_MOST: usize = 10_000;
/// Files and bytes that are read of one directory before the place is kept.
const PART_FILES: u64 = 1_000;
const PART_BYTES: u64 = 1 << 30;
/// An interrupted verification that began longer ago begins anew: what it saw says little of today.
const GOES_ON_WITHIN_MS: i64 = 7 * 24 * 3_600_000;
/// How long what differed may take to settle before it is looked at again.
const SETTLE: Duration = Duration::from_secs(2);

/// Why a verification could not be ended. Nothing is said of what was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The cloud.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The disk.
    #[error("the disk cannot be read")]
    Disk(#[from] std::io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place of an interrupted verification cannot be written or read.
    #[error("the place of the verification cannot be kept: {0}; `--anew` begins it anew")]
    Place(String),
    /// The folder has not been set up yet.
    #[error("folder `{0}` has not been mirrored yet")]
    NotReady(String),
}

/// A directory to be looked at, or a part of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Step {
    node: NodeId,
    item: ItemId,
    path: RelPath,
    shown: String,
    /// Only rows after this one, and up to that one. What nobody knows of belongs to the last part.
    after: Option<NodeId>,
    until: Option<NodeId>,
}

/// Where a verification is kept, and whether one that was interrupted may go on.
#[derive(Debug)]
pub struct Keeping<'a> {
    /// The places.
    pub places: &'a mut VerifyPlaces,
    /// Begin anew whatever was interrupted.
    pub anew: bool,
}

/// A verification of one folder.
pub struct Verifier<'a> {
    reader: &'a Reader,
    provider: Arc<dyn Provider>,
    survey: Survey,
    filter: Filter,
    root: Step,
    name: String,
    mark: String,
}

/// What one directory showed.
#[derive(Debug, Default)]
struct Seen {
    differences: Vec<Difference>,
    only_local: Vec<String>,
    below: Vec<Step>,
    files: u64,
    bytes: u64,
    /// There is more in the directory, after this row.
    rest: Option<NodeId>,
}

impl<'a> Verifier<'a> {
    /// A verification of a folder that was mirrored before.
    pub fn new(
        reader: &'a Reader,
        provider: Arc<dyn Provider>,
        settings: &FolderSettings,
        row: &FolderRow,
    ) -> Result<Self, VerifyError> {
        let not_ready = || VerifyError::NotReady(settings.name.clone());
        let node = row.root.ok_or_else(not_ready)?;
        let item = reader.rows().item(node)?.ok_or_else(not_ready)?.id;
        let survey = Survey::open(&row.local, &row.mark)?;
        let root = Step { node, item, path: RelPath::root(), shown: String::new(), after: None, until: None };
        let (name, mark) = (settings.name.clone(), row.mark.clone());
        Ok(Self { reader, provider, survey, filter: Filter::new(settings), root, name, mark })
    }

    /// Looks at everything, from where an interrupted verification was. `progress` hears of files and bytes read so far.
    pub async fn verify(
        &self,
        keeping: Keeping<'_>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Verification, VerifyError> {
        let Keeping { places, anew } = keeping;
        let mut report = self.begin(places, anew)?;
        while let Some((number, text)) = places.next(&self.name, false)? {
            let step: Step = read(&text)?;
            let mut seen = self.look(&step).await?;
            report.folders += u64::from(step.after.is_none());
            report.files += seen.files;
            report.bytes += seen.bytes;
            progress(report.files, report.bytes);
            report.only_local += seen.only_local.len() as u64;
            let room = Verification::EXAMPLES_MOST.saturating_sub(report.only_local_examples.len());
            report.only_local_examples.extend(std::mem::take(&mut seen.only_local).into_iter().take(room));
            let mut more = Vec::new();
            if let Some(rest) = seen.rest {
                more.push(ToDo { doubtful: false, text: write(&Step { after: Some(rest), ..step.clone() })? });
            }
            for below in &seen.below {
                more.push(ToDo { doubtful: false, text: write(below)? });
            }
            if !seen.differences.is_empty() {
                more.push(ToDo { doubtful: true, text: write(&Step { until: seen.rest, ..step })? });
            }
            places.done(&self.name, number, &write(&report)?, &more)?;
        }
        if places.next(&self.name, true)?.is_some() {
            tokio::time::sleep(SETTLE).await;
        }
        while let Some((number, text)) = places.next(&self.name, true)? {
            let step: Step = read(&text)?;
            let seen = self.look(&step).await?;
            report.differing += seen.differences.len() as u64;
            let room = DIFFERENCES_MOST.saturating_sub(report.differences.len());
            report.differences.extend(seen.differences.into_iter().take(room));
            let more = match seen.rest {
                Some(rest) => vec![ToDo { doubtful: true, text: write(&Step { after: Some(rest), ..step })? }],
                None => Vec::new(),
            };
            places.done(&self.name, number, &write(&report)?, &more)?;
        }
        places.end(&self.name)?;
        Ok(report)
    }

    /// The report of an interrupted verification, or an empty one.
    fn begin(&self, places: &mut VerifyPlaces, anew: bool) -> Result<Verification, VerifyError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
        let now = Wall(i64::try_from(now).unwrap_or(i64::MAX));
        let oldest = if anew { Wall(i64::MAX) } else { now.plus_ms(-GOES_ON_WITHIN_MS) };
        if let Some(text) = places.unfinished(&self.name, &self.mark, oldest)?
            && let Ok(report) = read::<Verification>(&text)
        {
            return Ok(Verification { resumed: true, ..report });
        }
        let report = Verification { folder: self.name.clone(), ..Verification::default() };
        places.begin(&self.name, &self.mark, now, &write(&report)?, &write(&self.root)?)?;
        Ok(report)
    }

    async fn look(&self, step: &Step) -> Result<Seen, VerifyError> {
        let mut cloud = self.list(&step.item).await?;
        let mut disk: BTreeMap<Name, Entry> = match self.survey.entries(&step.path)? {
            Some(entries) => entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect(),
            None => BTreeMap::new(),
        };
        let mut seen = Seen::default();
        let mut rows = self.reader.rows().children(step.node)?;
        rows.sort_by_key(|row| row.node);
        for row in rows {
            let theirs = cloud.remove(&row.id);
            if step.until.is_some_and(|until| row.node > until) {
                break;
            }
            if step.after.is_some_and(|after| row.node <= after) {
                if let Some(name) = seat_in(&row, step.node) {
                    disk.remove(&name);
                }
                continue;
            }
            self.compare(step, &row, theirs.as_ref(), &mut disk, &mut seen)?;
            if seen.files >= PART_FILES || seen.bytes >= PART_BYTES {
                seen.rest = Some(row.node);
                return Ok(seen);
            }
        }
        if step.until.is_some() {
            return Ok(seen);
        }
        for item in cloud.into_values() {
            let shown = join(&step.shown, &item.name);
            if self.filter.wants(&shown, item.id.is_folder()) {
                seen.differences.push(Difference {
                    path: shown,
                    kind: "unknown".into(),
                    disk: "not looked at".into(),
                    database: "unknown".into(),
                    cloud: describe(&item),
                    pending: false,
                    item: Some(item.id),
                    mending: Mending::Compare,
                });
            }
        }
        seen.only_local = disk.into_keys().map(|name| join(&step.shown, &name.to_text())).collect();
        Ok(seen)
    }

    /// The children of a folder; none if the folder is gone.
    async fn list(&self, folder: &ItemId) -> Result<BTreeMap<ItemId, RemoteItem>, ProviderError> {
        let mut items = BTreeMap::new();
        let mut page = None;
        loop {
            let listed = match self.provider.list(folder, page.as_ref()).await {
                Ok(listed) => listed,
                Err(error) if error.kind == ProviderErrorKind::NotFound && *folder != self.root.item => {
                    return Ok(items);
                }
                Err(error) => return Err(error),
            };
            items.extend(listed.items.into_iter().map(|item| (item.id.clone(), item)));
            match listed.next {
                Some(next) => page = Some(next),
                None => return Ok(items),
            }
        }
    }

    fn compare(
        &self,
        step: &Step,
        row: &ItemRow,
        theirs: Option<&RemoteItem>,
        disk: &mut BTreeMap<Name, Entry>,
        seen: &mut Seen,
    ) -> Result<(), VerifyError> {
        let rows = self.reader.rows();
        let recorded = row.remote.presence == Presence::Present && row.remote.parent == Some(step.node);
        let seat = seat_in(row, step.node);
        let ours = seat.as_ref().and_then(|name| disk.remove(name));
        if row.remote.presence == Presence::FilteredOut {
            return Ok(());
        }
        let path = seat.as_ref().map(|name| step.path.join(name));
        let name = seat.as_ref().map_or_else(|| row.remote.name.clone(), Name::to_text);
        let shown = join(&step.shown, &name);
        let on_disk = match (&ours, &path) {
            (Some(entry), Some(path)) => self.read(row, theirs, entry, path, seen)?,
            _ => OnDisk::Absent,
        };
        let away = seat.is_none() && recorded && rows.tombstone(row.node)?.is_some();
        let found = judge(row, recorded, seat.is_some(), theirs, &on_disk, away);
        if let Some((kind, mending)) = found {
            seen.differences.push(Difference {
                path: shown.clone(),
                kind: kind.into(),
                disk: on_disk.words(),
                database: database_words(row),
                cloud: theirs.map_or_else(|| "absent".into(), describe),
                pending: rows.work_of(row.node)?.is_some(),
                item: Some(row.id.clone()),
                mending,
            });
        }
        if let (true, Some(path)) = (row.id.is_folder() && theirs.is_some(), path) {
            let (node, item) = (row.node, row.id.clone());
            seen.below.push(Step { node, item, path, shown, after: None, until: None });
        }
        Ok(())
    }

    /// Reads a file, and compares it with the record and with the cloud in one pass.
    fn read(
        &self,
        row: &ItemRow,
        theirs: Option<&RemoteItem>,
        entry: &Entry,
        path: &RelPath,
        seen: &mut Seen,
    ) -> Result<OnDisk, VerifyError> {
        match (entry.kind, row.id.is_folder()) {
            (Kind::Folder, true) => return Ok(OnDisk::Folder),
            (Kind::File, false) => {}
            _ => return Ok(OnDisk::Other),
        }
        let synced = row.synced.as_ref().and_then(|synced| synced.content.as_ref());
        let cloud = theirs.and_then(|item| item.content.as_ref());
        let recorded_hash = synced.and_then(|content| content.hash.as_ref());
        let cloud_hash = cloud.and_then(|content| content.hash.as_ref());
        let Some(digest) = self.survey.digest(path, cloud_hash.or(recorded_hash))? else { return Ok(OnDisk::Absent) };
        seen.files += 1;
        seen.bytes += digest.size;
        let same = |hash: Option<&crate::id::ContentHash>| match (hash, cloud_hash) {
            // The digest was compared with the cloud's; the record says the same or something else.
            (Some(hash), Some(cloud)) => hash.same_content(cloud).map(|same| same == (digest.provider == Match::Equal)),
            (Some(_), None) if digest.provider != Match::CannotTell => Some(digest.provider == Match::Equal),
            _ => None,
        };
        let by_sha256 = synced.and_then(|content| content.sha256).map(|sha256| sha256 == digest.sha256);
        let by_size = synced.is_none_or(|content| content.size == digest.size);
        let as_recorded = by_size && by_sha256.or_else(|| same(recorded_hash)).unwrap_or(true);
        let as_cloud = match digest.provider {
            Match::Equal => cloud_hash.is_some(),
            Match::Different => false,
            Match::CannotTell => cloud.and_then(|content| content.size).is_none_or(|size| size == digest.size),
        };
        Ok(OnDisk::File { size: digest.size, sha256: hash::hex(&digest.sha256.0), as_recorded, as_cloud })
    }
}

/// What the disk has of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
enum OnDisk {
    Absent,
    Folder,
    File { size: u64, sha256: String, as_recorded: bool, as_cloud: bool },
    Other,
}

impl OnDisk {
    fn words(&self) -> String {
        match self {
            Self::Absent => "absent".into(),
            Self::Folder => "folder".into(),
            Self::File { size, sha256, .. } => format!("{size} bytes, sha256 {}", &sha256[..12.min(sha256.len())]),
            Self::Other => "something else".into(),
        }
    }
}

/// What differs of one item, and how it is mended; nothing if all three agree. The disk is judged first: mending it asks for the
/// cloud's version anyway.
fn judge(
    row: &ItemRow,
    recorded: bool,
    seated: bool,
    theirs: Option<&RemoteItem>,
    on_disk: &OnDisk,
    away: bool,
) -> Option<(&'static str, Mending)> {
    match (seated, on_disk) {
        (true, OnDisk::Absent) => return Some(("missing on disk", Mending::Missing)),
        (true, OnDisk::Other) => return Some(("replaced on disk", Mending::Differs)),
        (true, OnDisk::File { as_recorded: false, as_cloud, .. }) => {
            let kind = if *as_cloud { "wrong record" } else { "changed on disk" };
            return Some((kind, Mending::Differs));
        }
        (false, _) if recorded && theirs.is_some() && !away => return Some(("not on disk", Mending::Differs)),
        _ => {}
    }
    let Some(theirs) = theirs else {
        // What moved away is met in its new place.
        return recorded.then_some(("gone from the cloud", Mending::Compare));
    };
    if !recorded {
        return Some(("new in the cloud", Mending::Compare));
    }
    let version = |content: &crate::tree::RemoteContent| content.version.clone();
    if theirs.content.as_ref().map(version) != row.remote.content.as_ref().map(version) {
        return Some(("changed in the cloud", Mending::Compare));
    }
    if theirs.name != row.remote.name {
        return Some(("renamed in the cloud", Mending::Compare));
    }
    match on_disk {
        OnDisk::File { as_cloud: false, .. } => Some(("not the cloud's content", Mending::Differs)),
        _ => None,
    }
}

fn database_words(row: &ItemRow) -> String {
    match row.synced.as_ref() {
        None => "not on disk".into(),
        Some(synced) => synced.content.as_ref().map_or_else(
            || "folder".into(),
            |content| format!("version {}, {} bytes", content.version.as_str(), content.size),
        ),
    }
}

fn describe(item: &RemoteItem) -> String {
    match &item.content {
        None => "folder".into(),
        Some(content) => {
            let size = content.size.map_or_else(|| "?".to_owned(), |size| size.to_string());
            format!("version {}, {size} bytes", content.version.as_str())
        }
    }
}

/// The name that an item has on disk in a directory, as both sides last agreed.
fn seat_in(row: &ItemRow, dir: NodeId) -> Option<Name> {
    match row.synced.as_ref().map(|synced| &synced.seat) {
        Some(SeatRow::At { parent, name }) if *parent == dir => Some(name.clone()),
        _ => None,
    }
}

fn write<T: Serialize>(value: &T) -> Result<String, VerifyError> {
    serde_json::to_string(value).map_err(|error| VerifyError::Place(error.to_string()))
}

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, VerifyError> {
    serde_json::from_str(text).map_err(|error| VerifyError::Place(error.to_string()))
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}
