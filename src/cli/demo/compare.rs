//! Both sides beside each other: quickly after each deed, and hash by hash, with nothing taken on trust, in the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::failure::{Failure, Outcome};
use super::super::render::harmless;
use super::refused;
use super::stage::REMOTE;
use crate::id::ContentHash;
use crate::local::hash::{self, Match};
use crate::path::RESERVED_NAME;
use crate::sandbox::{Cloud, Entry};

/// What names a content on this disk while nobody writes to it: inode, size, time of modification.
type Mark = (u64, u64, i64, i64);

/// The watched directory, with a memory of what was hashed.
pub struct Disk {
    root: PathBuf,
    equal: HashMap<Mark, String>,
}

impl Disk {
    /// Looks at this directory.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), equal: HashMap::new() }
    }

    /// The first difference between the cloud and the disk, in a sentence; nothing if there is none.
    pub fn difference(&mut self, cloud: &Cloud) -> Outcome<Option<String>> {
        let theirs = cloud.tree(REMOTE).map_err(refused)?;
        let ours = match walk(&self.root) {
            Ok(ours) => ours,
            // The agent is at work: what was listed a moment ago may be gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(error.to_string())),
            Err(error) => return Err(unreadable(&error)),
        };
        if let Some(path) = names_differ(&theirs, &ours) {
            return Ok(Some(path));
        }
        let mut equal = HashMap::new();
        for (path, entry) in theirs.iter().filter(|(_, entry)| !entry.is_folder) {
            match self.same(path, entry) {
                Ok(Some(mark)) => {
                    equal.insert(mark, entry.sha1.clone());
                }
                Ok(None) => return Ok(Some(format!("{} has another content", harmless(path)))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(error.to_string())),
                Err(error) => return Err(unreadable(&error)),
            }
        }
        self.equal = equal;
        Ok(None)
    }

    fn same(&self, path: &str, entry: &Entry) -> io::Result<Option<Mark>> {
        let file = File::open(self.root.join(path))?;
        let facts = file.metadata()?;
        let mark = (facts.ino(), facts.size(), facts.mtime(), facts.mtime_nsec());
        if facts.size() != entry.size {
            return Ok(None);
        }
        if self.equal.get(&mark) == Some(&entry.sha1) {
            return Ok(Some(mark));
        }
        let digest = hash::digest(file, Some(&ContentHash::Sha1(entry.sha1.clone())))?;
        Ok((digest.provider == Match::Equal).then_some(mark))
    }
}

/// What the last comparison says.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Files that are the same on both sides.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Folders that are on both sides.
    pub folders: u64,
    /// Everything that is not the same, in sentences.
    pub differences: Vec<String>,
}

impl Comparison {
    /// Reads every byte of both sides.
    pub async fn by_hash(cloud: &Cloud, root: &Path) -> Outcome<Self> {
        let (cloud, root) = (cloud.clone(), root.to_owned());
        tokio::task::spawn_blocking(move || Self::now(&cloud, &root))
            .await
            .map_err(|error| Failure::error("cannot compare").because(error))?
    }

    fn now(cloud: &Cloud, root: &Path) -> Outcome<Self> {
        let theirs = cloud.tree_with_sha256(REMOTE).map_err(refused)?;
        let ours = match walk(root) {
            Ok(ours) => ours,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(unreadable(&error)),
        };
        let mut comparison = Self::default();
        let paths: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        for path in paths {
            let shown = harmless(path);
            match (theirs.get(path), ours.get(path)) {
                (Some(entry), Some(is_folder)) if entry.is_folder != *is_folder => {
                    comparison.differences.push(format!("{shown} is a file on one side and a folder on the other"));
                }
                (Some(_), Some(true)) => comparison.folders += 1,
                (Some(entry), Some(false)) => {
                    let file = File::open(root.join(path)).map_err(|error| unreadable(&error))?;
                    let digest = hash::digest(file, None).map_err(|error| unreadable(&error))?;
                    if entry.sha256.as_deref() == Some(hash::hex(&digest.sha256.0).as_str()) {
                        comparison.files += 1;
                        comparison.bytes += digest.size;
                    } else {
                        comparison.differences.push(format!("{shown} has another content"));
                    }
                }
                (Some(_), None) => comparison.differences.push(format!("{shown} is missing on disk")),
                (None, _) => comparison.differences.push(format!("{shown} is only on disk")),
            }
        }
        Ok(comparison)
    }
}

/// Every path below the directory, and whether it is a folder. What the agent keeps for itself is not part of it.
fn walk(root: &Path) -> io::Result<BTreeMap<String, bool>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![(String::new(), root.to_owned())];
    while let Some((prefix, dir)) = todo.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if prefix.is_empty() && name == RESERVED_NAME {
                continue;
            }
            let path = format!("{prefix}{name}");
            let is_folder = entry.file_type()?.is_dir();
            if is_folder {
                todo.push((format!("{path}/"), entry.path()));
            }
            found.insert(path, is_folder);
        }
    }
    Ok(found)
}

fn names_differ(theirs: &BTreeMap<String, Entry>, ours: &BTreeMap<String, bool>) -> Option<String> {
    if let Some((path, _)) = theirs.iter().find(|(path, entry)| ours.get(*path) != Some(&entry.is_folder)) {
        return Some(format!("{} is missing on disk", harmless(path)));
    }
    let only = ours.keys().find(|path| !theirs.contains_key(*path))?;
    Some(format!("{} is only on disk", harmless(only)))
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::error("cannot read the mirrored directory").because(error)
}
