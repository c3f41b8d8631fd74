//! Some local changes in a large tree, and the account of what the agent read and sent because of them.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::Content;

use super::{Bed, REMOTE};

/// Files in one folder.
const FILES_A_FOLDER: u64 = 100;
/// The bytes of a file that the cloud had first.
pub const FILE_BYTES: u64 = 4_096;
/// The bytes of what is written locally.
pub const WRITTEN_BYTES: u64 = 5_000;

/// How many of each.
#[derive(Debug, Clone, Copy)]
pub struct Edits {
    pub edited: u64,
    pub new: u64,
    pub renamed: u64,
    pub deleted: u64,
}

/// A tree of files, of which those with the lowest numbers have been changed.
pub struct Tree {
    files: u64,
    touched: u64,
    made: u64,
}

impl Tree {
    /// So many files in the cloud.
    pub fn new(bed: &Bed, files: u64) -> Self {
        for folder in 0..files.div_ceil(FILES_A_FOLDER) {
            bed.cloud().mkdir_p(&format!("{REMOTE}/d{folder:04}")).unwrap();
        }
        for file in 0..files {
            bed.cloud().write(&format!("{REMOTE}/{}", path(file)), Content::pattern(file + 1, FILE_BYTES)).unwrap();
        }
        Self { files, touched: 0, made: 0 }
    }

    /// A file that nobody has touched, from all over the tree.
    fn next(&mut self, bed: &Bed) -> PathBuf {
        // The step has no divisor in common with any round number of files.
        let file = (self.touched * 7_919) % self.files;
        self.touched += 1;
        assert!(self.touched <= self.files, "the tree is too small");
        bed.local().join(path(file))
    }

    /// Does them.
    pub fn edit(&mut self, bed: &Bed, edits: Edits) {
        for _ in 0..edits.edited {
            let content = vec![b'e'; WRITTEN_BYTES as usize];
            fs::write(self.next(bed), content).unwrap();
        }
        for _ in 0..edits.renamed {
            let from = self.next(bed);
            fs::rename(&from, from.with_extension("renamed")).unwrap();
        }
        for _ in 0..edits.deleted {
            fs::remove_file(self.next(bed)).unwrap();
        }
        for _ in 0..edits.new {
            let folder = self.made % self.files.div_ceil(FILES_A_FOLDER);
            let content = format!("new {:06} {}", self.made, "n".repeat(WRITTEN_BYTES as usize - 11));
            fs::write(bed.local().join(format!("d{folder:04}/new{:06}.txt", self.made)), content).unwrap();
            self.made += 1;
        }
    }
}

fn path(file: u64) -> String {
    format!("d{:04}/f{file:06}.bin", file / FILES_A_FOLDER)
}

/// Waits until all of them are in the cloud and the agent says that it is done.
pub fn wait_for(bed: &Bed, edits: Edits, patience: Duration) {
    let until = Instant::now() + patience;
    let cloud = bed.cloud();
    let are_done = || {
        cloud.count("upload_version") >= edits.edited
            && cloud.count("upload_new") >= edits.new
            && cloud.count("file_update") >= edits.renamed
            && cloud.count("file_delete") >= edits.deleted
    };
    while !are_done() {
        assert!(Instant::now() < until, "{:?}, {:#?}\n{}", cloud.counters(), bed.status(), bed.log());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    bed.wait_in_sync(patience);
}

/// What the agent read of the disk for digests since it began: files and bytes.
pub fn digested(bed: &Bed) -> (u64, u64) {
    let status = bed.status().unwrap();
    let digested = &status["folders"][0]["digested"];
    (digested["files"].as_u64().unwrap(), digested["bytes"].as_u64().unwrap())
}

/// Asserts that the cloud was sent each of them once, and that of the disk nothing was read but what was written, and once what got another
/// name: the rename hides whether anything else was done to the file.
pub fn check(bed: &Bed, edits: Edits, read: (u64, u64)) {
    let cloud = bed.cloud();
    let sent = ["upload_version", "upload_new", "file_update", "file_delete", "content", "folder_items"]
        .map(|word| cloud.count(word));
    let counters = cloud.counters();
    assert_eq!(sent, [edits.edited, edits.new, edits.renamed, edits.deleted, 0, 0], "{counters:?}");
    let written = edits.edited + edits.new;
    let bytes = written * WRITTEN_BYTES + edits.renamed * FILE_BYTES;
    assert_eq!(read, (written + edits.renamed, bytes), "files and bytes that were read for digests");
}
