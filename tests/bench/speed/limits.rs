//! What the rows are compared with: the same files written by the least that makes them durable, and by a plain copy.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Threads that the loop of create + fsync + rename runs on.
const WRITERS: u64 = 16;

/// Writes files of `size` bytes into `folders` directories: create, write, fsync, rename, and each directory flushed in the end.
pub fn durable_files(dir: &Path, files: u64, folders: u64, size: usize) -> Duration {
    let content = vec![7_u8; size];
    let begun = Instant::now();
    for folder in 0..folders {
        fs::create_dir_all(dir.join(format!("d{folder}"))).unwrap();
    }
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                loop {
                    let file = next.fetch_add(1, Ordering::Relaxed);
                    if file >= files {
                        return;
                    }
                    let folder = dir.join(format!("d{}", file % folders));
                    let staged = folder.join(format!(".f{file}"));
                    let mut out = File::create(&staged).unwrap();
                    out.write_all(&content).unwrap();
                    out.sync_all().unwrap();
                    fs::rename(&staged, folder.join(format!("f{file}"))).unwrap();
                }
            });
        }
    });
    for folder in 0..folders {
        File::open(dir.join(format!("d{folder}"))).unwrap().sync_all().unwrap();
    }
    begun.elapsed()
}

/// `cp -r` and `sync` of what is there.
pub fn copied(from: &Path, to: &Path) -> Duration {
    let begun = Instant::now();
    assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
    assert!(Command::new("sync").arg("-f").arg(to).status().unwrap().success());
    begun.elapsed()
}
