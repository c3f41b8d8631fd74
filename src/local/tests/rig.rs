//! A folder in a temporary directory, deeds in short words, and pictures of the tree.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::deed::{Base, Deed, DeedOrder, DeedResult, Displaced, Expect, OnEdit, Place, Staged};
use crate::id::JobId;
use crate::local::lookup::Lookup;
use crate::local::{Found, LocalFolder, LocalOptions, StageOrder};
use crate::path::RelPath;
use crate::tree::{Stamp, Wall};

pub const OPTIONS: LocalOptions = LocalOptions { file_mode: 0o640, dir_mode: 0o750, min_free: 0, create: true };

/// What can be at the name `f` when a deed comes.
pub const SITUATIONS: [&str; 13] = [
    "nothing",
    "ours",
    "ours, permissions changed",
    "ours, written into",
    "ours, saved over",
    "ours, removed",
    "ours, now with the staged content",
    "foreign",
    "foreign, with the staged content",
    "link out",
    "dangling link",
    "pipe",
    "directory",
];

/// Sets `f` up. What we put there, if we did.
pub fn set_up(rig: &Rig, situation: &str) -> Option<Stamp> {
    let ours = situation.starts_with("ours").then(|| rig.publish_new(1, "f", "old"));
    let file = rig.path("f");
    match situation {
        "nothing" | "ours" => {}
        "ours, permissions changed" => {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        "ours, written into" => rig.write("f", "edit"),
        "ours, saved over" => rig.save("f", "edit"),
        "ours, removed" => std::fs::remove_file(&file).unwrap(),
        "ours, now with the staged content" => rig.save("f", "new!"),
        "foreign" => rig.write("f", "theirs"),
        "foreign, with the staged content" => rig.write("f", "new!"),
        "link out" => {
            std::fs::write(rig.root.parent().unwrap().join("victim"), "victim").unwrap();
            symlink("../victim", &file).unwrap();
        }
        "dangling link" => symlink("nowhere", &file).unwrap(),
        "pipe" => rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::from_raw_mode(0o600)).unwrap(),
        "directory" => rig.write("f/inside", "theirs"),
        other => panic!("{other}"),
    }
    ours
}

pub fn brief(result: &DeedResult) -> String {
    match result {
        DeedResult::Done { displaced: None, .. } => "done".to_owned(),
        DeedResult::Done { displaced: Some(Displaced { edited: true, .. }), .. } => {
            "done, an edit displaced".to_owned()
        }
        DeedResult::Done { displaced: Some(_), .. } => "done, displaced".to_owned(),
        DeedResult::Kept { files } => {
            let kept = files.iter().flatten().count();
            let edited = files.iter().flatten().filter(|file| file.edited).count();
            format!("{kept} of {} kept, {edited} edited", files.len())
        }
        DeedResult::Adopted { .. } => "adopted".to_owned(),
        DeedResult::Missing => "missing".to_owned(),
        DeedResult::Different => "different".to_owned(),
        DeedResult::Occupied { by_folder: true } => "occupied by a folder".to_owned(),
        DeedResult::Occupied { by_folder: false } => "occupied".to_owned(),
        DeedResult::Edited { .. } => "edited".to_owned(),
        DeedResult::NotEmpty { entries } => format!("{entries} inside"),
        DeedResult::StagedLost => "staged lost".to_owned(),
        DeedResult::Failed(why) => format!("failed: {:?}", why.kind),
    }
}

pub struct Rig {
    pub folder: LocalFolder,
    pub root: PathBuf,
    _dir: tempfile::TempDir,
}

/// What the disk under the rig can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abilities {
    /// All that this kernel offers.
    All,
    /// No `openat2`, no exchange, no refusal to replace, no `syncfs`.
    None,
}

pub const ABILITIES: [Abilities; 2] = [Abilities::All, Abilities::None];

impl Rig {
    pub fn new() -> Self {
        Self::with(Abilities::All)
    }

    pub fn with(abilities: Abilities) -> Self {
        Self::inside(tempfile::tempdir().unwrap(), abilities)
    }

    /// For tests of thousands of rounds: in memory where the system offers such a place.
    pub fn in_memory(abilities: Abilities) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::inside(dir.unwrap(), abilities)
    }

    fn inside(dir: tempfile::TempDir, abilities: Abilities) -> Self {
        let root = dir.path().canonicalize().unwrap().join("root");
        let mut folder = LocalFolder::open(&root, "uid-1", OPTIONS).unwrap();
        if abilities == Abilities::None {
            folder.lookup = Lookup::Walk;
            folder.disk.exchange = false;
            folder.disk.noreplace = false;
            folder.disk.syncfs = false;
        }
        Self { folder, root, _dir: dir }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Somebody writes a file the careless way: into the existing one.
    pub fn write(&self, path: &str, content: &str) {
        std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        std::fs::write(self.path(path), content).unwrap();
    }

    /// Somebody saves a file as editors do: a new file renamed over the old one.
    pub fn save(&self, path: &str, content: &str) {
        let new = self.path(&format!("{path}.new"));
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, self.path(path)).unwrap();
    }

    pub fn stage(&self, job: i64, content: &str) -> Staged {
        let order = StageOrder {
            job: JobId(job),
            size: Some(content.len() as u64),
            hash: None,
            modified: Some(Wall(1_700_000_000_000 + job)),
        };
        self.folder.stage_small(&order, &[Bytes::copy_from_slice(content.as_bytes())]).unwrap()
    }

    pub fn stamp(&self, path: &str) -> Stamp {
        stamp(&self.path(path))
    }

    pub fn run(&self, job: i64, deed: Deed) -> DeedResult {
        let mut results = self.folder.execute(&[DeedOrder { job: JobId(job), deed }]);
        assert_eq!(results.len(), 1);
        results.remove(0)
    }

    /// Publishes a new file; what we put there.
    pub fn publish_new(&self, job: i64, path: &str, content: &str) -> Stamp {
        let staged = self.stage(job, content);
        match self.run(job, publish(staged, path, Expect::Absent, OnEdit::Displace)) {
            DeedResult::Done { stamp: Some(stamp), displaced: None } => stamp,
            other => panic!("{other:?}"),
        }
    }

    pub fn make_folder(&self, path: &str) -> Stamp {
        match self.run(0, Deed::MakeFolder { at: at(path) }) {
            DeedResult::Done { stamp: Some(stamp), .. } => stamp,
            other => panic!("{other:?}"),
        }
    }

    /// The whole root, our own directory included: path to content or kind. Staging names lose their random part.
    pub fn picture(&self) -> BTreeMap<String, String> {
        let mut picture = BTreeMap::new();
        draw(&self.root, "", &mut picture);
        picture.retain(|path, _| !path.ends_with("folder-sync-agent/folder"));
        picture
    }

    /// What the walk says is visible, and that it agrees with what the tests' own eyes see.
    pub fn visible(&self) -> BTreeMap<String, String> {
        let mut seen: Vec<String> = Vec::new();
        let flow = self.folder.walk(&RelPath::root(), &mut |found| {
            match found {
                Found::Entry { path, .. } => seen.push(path.to_string()),
                Found::Unreadable { path, why } => panic!("{path}: {why}"),
            }
            ControlFlow::Continue(())
        });
        assert_eq!(flow, ControlFlow::Continue(()));
        seen.sort();
        let picture: BTreeMap<_, _> =
            self.picture().into_iter().filter(|(path, _)| !path.starts_with(".folder-sync-agent")).collect();
        assert_eq!(seen, picture.keys().map(|path| path.trim_end_matches('/').to_owned()).collect::<Vec<_>>());
        picture
    }

    /// Every content anywhere below the root, for "no byte is lost".
    pub fn contents(&self) -> Vec<String> {
        self.picture().into_values().filter(|text| text.starts_with('=')).map(|text| text[1..].to_owned()).collect()
    }
}

fn draw(dir: &Path, prefix: &str, picture: &mut BTreeMap<String, String>) {
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = match name.split_once('-') {
            Some((job, random)) if random.len() == 32 => format!("{job}-*"),
            _ => name,
        };
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            let path = format!("{path}/");
            draw(&entry.path(), &path, picture);
            picture.insert(path, String::new());
        } else if kind.is_file() {
            picture.insert(path, format!("={}", String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap())));
        } else if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).unwrap();
            picture.insert(path, format!("->{}", target.display()));
        } else {
            assert!(kind.is_fifo());
            picture.insert(path, "pipe".to_owned());
        }
    }
}

/// A picture as lines, without our own empty directories.
pub fn lines(picture: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (path, what) in picture {
        let path = path.replace(".folder-sync-agent", "OWN");
        if !["OWN/", "OWN/staging/", "OWN/parked/", "OWN/versions/"].contains(&path.as_str()) {
            writeln!(text, "{path}{what}").unwrap();
        }
    }
    text
}

pub fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::symlink_metadata(path).unwrap();
    Stamp {
        dev: meta.dev(),
        ino: meta.ino(),
        size: if meta.is_dir() { 0 } else { meta.size() },
        mtime_ns: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
        ctime_ns: meta.ctime() * 1_000_000_000 + meta.ctime_nsec(),
    }
}

pub fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

pub fn at(path: &str) -> Place {
    Place::tree(RelPath::parse(path).unwrap())
}

pub fn parked(job: i64, path: &str) -> Place {
    Place { base: Base::Parked(JobId(job)), path: RelPath::parse(path).unwrap() }
}

pub fn publish(staged: Staged, path: &str, expect: Expect, on_edit: OnEdit) -> Deed {
    Deed::Publish { staged, at: at(path), expect, on_edit }
}

pub fn remove(path: &str, expect: Stamp, on_edit: OnEdit) -> Deed {
    Deed::RemoveFile { at: at(path), expect, on_edit }
}

pub fn relocate(from: Place, to: Place, expect: Stamp, is_folder: bool) -> Deed {
    Deed::Relocate { from, to, expect, is_folder, holds: None }
}
