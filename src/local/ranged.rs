//! Staging in parts: a long file whose bytes come in any order, and of which a killed process leaves a beginning that the next one goes on with.
//!
//! - The digests are computed in order, of what is in hand; only what came ahead of its turn is read back, as soon as its turn has come.
//! - What is there is noted beside the file, after it was flushed: a note never claims more than the disk has. It is advice all the same:
//!   a file that was resumed is read from its beginning for its digest like any other, and the digest decides.
//! - One item has one such file, so that another version of it takes the former one's place. There are few, and they do not grow old.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::{self, Advice, FallocateFlags, Mode, OFlags};
use rustix::io::{self, Errno};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::hash::{Digest, Match, READ_BYTES, hex};
use super::refusal::{errno, error};
use super::spans::Spans;
use super::stage::{Hashing, StageError, StageOrder};
use super::{LocalFolder, disk, fault, walk};
use crate::deed::{DiskError, DiskErrorKind, Staged};
use crate::path::Name;

/// How the names of such files begin.
const PREFIX: &str = "part-";
/// How the name of a note ends.
const NOTE: &str = ".note";
/// A note is taken whenever so much more came, in bytes.
const NOTED_EVERY: u64 = 64 * 1024 * 1024;
/// The largest note that is read.
const NOTE_MAX_BYTES: u64 = 64 * 1024;
/// The most spans that a note tells of; more are not written by us.
const SPANS_MAX: usize = 1_000;
/// Files that are kept for later in one folder; the oldest go first.
const KEPT_MAX: usize = 8;
/// What the number of a file's blocks counts, in bytes.
const BLOCK: u64 = 512;
/// How long one is kept that nobody goes on with.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// Which content a file is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOf {
    /// The item.
    pub item: String,
    /// Its version.
    pub version: String,
    /// The length of that.
    pub size: u64,
    /// Its digest, as the provider writes it.
    pub hash: Option<crate::id::ContentHash>,
    /// What the server that has the bytes calls them.
    pub tag: Option<String>,
}

/// What is noted beside a file.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    of: PartOf,
    there: Spans,
}

/// A file that is staged in parts. Dropping it keeps what came for later; [`RangedWriter::abandon`] does not.
pub struct RangedWriter<'a> {
    folder: &'a LocalFolder,
    order: StageOrder,
    of: PartOf,
    name: Name,
    file: File,
    there: Spans,
    hashing: Option<Hashing>,
    hashed: u64,
    /// Bytes that were there when the last note was begun.
    noted: u64,
    noting: Option<JoinHandle<()>>,
    over: bool,
    _turn: Turn,
}

/// The names that somebody writes to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Turns(Arc<(Mutex<BTreeSet<Name>>, Condvar)>);

/// A name is written to by one alone, until this is dropped.
#[derive(Debug)]
struct Turn(Turns, Name);

impl Turns {
    fn enter(&self, name: &Name) -> Turn {
        let (names, changed) = &*self.0;
        let names = names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = changed.wait_while(names, |names| names.contains(name)).unwrap_or_else(PoisonError::into_inner);
        names.insert(name.clone());
        Turn(self.clone(), name.clone())
    }
}

impl Turns {
    fn is_busy(&self, name: &Name) -> bool {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (names, changed) = &*self.0.0;
        names.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
        changed.notify_all();
    }
}

impl LocalFolder {
    /// Begins a file in the staging directory whose bytes may come in any order, or goes on with what an earlier process left of it.
    pub fn stage_in_parts(&self, order: &StageOrder, of: &PartOf) -> Result<RangedWriter<'_>, DiskError> {
        let text = format!("{PREFIX}{}", &hex(&Sha256::digest(of.item.as_bytes()))[..16]);
        let name = name_of(&text)?;
        // One that was given up may still be noting what came.
        let turn = self.parts.enter(&name);
        let (file, there, tag) = match self.left_of(&name, of) {
            Some(left) => left,
            None => (self.begin_parts(&name)?, Spans::default(), None),
        };
        // What was left has its room already, all of it.
        let has = fs::fstat(&file).map_or(0, |stat| u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK));
        self.check_room(of.size.saturating_sub(has))?;
        let writer = RangedWriter {
            folder: self,
            order: order.clone(),
            of: PartOf { tag, ..of.clone() },
            name,
            file,
            noted: there.bytes(),
            there,
            hashing: Some(Hashing::new(order.hash.as_ref())),
            hashed: 0,
            noting: None,
            over: false,
            _turn: turn,
        };
        writer.reserve()?;
        Ok(writer)
    }

    /// What an earlier process left of exactly this content.
    fn left_of(&self, name: &Name, of: &PartOf) -> Option<(File, Spans, Option<String>)> {
        let note = self.read_note(name)?;
        let tag = note.of.tag.clone();
        let is_this = PartOf { tag: None, ..note.of } == PartOf { tag: None, ..of.clone() };
        if !is_this || !note.there.is_sound(of.size) || note.there.all().len() > SPANS_MAX {
            return None;
        }
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(self.staging.as_fd(), name.as_os_str(), flags, Mode::empty()).map(File::from).ok()?;
        let seen = disk::look_at(&file).ok().filter(disk::Seen::is_file)?;
        let end = note.there.all().last().map_or(0, |span| span.end);
        (seen.stamp.size >= end).then_some((file, note.there, tag))
    }

    fn read_note(&self, name: &Name) -> Option<Note> {
        let note = name_of(&format!("{name}{NOTE}")).ok()?;
        let file = disk::open_file(self.staging.as_fd(), note.as_os_str()).ok()?;
        let mut text = Vec::new();
        file.take(NOTE_MAX_BYTES).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// A new file, in the place of whatever was left of another version.
    fn begin_parts(&self, name: &Name) -> Result<File, DiskError> {
        self.forget_parts(name);
        self.trim_parts(KEPT_MAX - 1);
        disk::create_file(self.staging.as_fd(), name.as_os_str()).map_err(|why| self.refuse("stage", name, why))
    }

    fn forget_parts(&self, name: &Name) {
        // The note goes first: without it the file means nothing.
        for text in [format!("{name}{NOTE}"), name.to_string()] {
            let removed = name_of(&text).map(|name| disk::remove_file(self.staging.as_fd(), name.as_os_str()));
            if let Ok(Err(why)) = removed
                && why != Errno::NOENT
            {
                tracing::debug!(name = text, %why, "what was left of a download stays until the next sweep");
            }
        }
    }

    /// Removes what nobody writes to, but for the newest few: what is kept for later must not be what fills the disk.
    pub fn trim_parts(&self, keep: usize) {
        // What cannot be listed is swept at the next start.
        let Ok(found) = self.parts_by_age() else { return };
        let idle = found.into_iter().filter(|(_, name)| !self.parts.is_busy(name));
        for (_, name) in idle.skip(keep) {
            self.forget_parts(&name);
        }
    }

    /// Files that are staged in parts, the newest first.
    fn parts_by_age(&self) -> Result<Vec<(i64, Name)>, DiskError> {
        let mut found = Vec::new();
        for entry in walk::names_in(self.staging.as_fd(), &"staging")? {
            let Ok(name) = Name::new(&entry) else { continue };
            let text = name.to_string();
            if !text.starts_with(PREFIX) || text.contains('.') {
                continue;
            }
            let seen = disk::look(self.staging.as_fd(), name.as_os_str()).ok().flatten();
            found.extend(seen.filter(disk::Seen::is_file).map(|seen| (seen.stamp.mtime_ns, name)));
        }
        found.sort_by(|one, other| other.cmp(one));
        Ok(found)
    }

    /// The names in the staging directory that downloads may go on with, and their notes. Called at start.
    pub(super) fn resumable(&self) -> Result<Vec<Vec<u8>>, DiskError> {
        let found = self.parts_by_age()?.into_iter();
        let kept = found.filter(|(at, name)| !is_old(*at) && self.read_note(name).is_some()).take(KEPT_MAX);
        Ok(kept
            .map(|(_, name)| name)
            .flat_map(|name| [name.as_os_str().as_bytes().to_vec(), format!("{name}{NOTE}").into_bytes()])
            .collect())
    }
}

impl RangedWriter<'_> {
    /// What is there, an earlier process's part included.
    pub fn there(&self) -> &Spans {
        &self.there
    }

    /// Writes bytes at their place. What is there already is not written again.
    pub fn write(&mut self, at: u64, content: &[Bytes]) -> Result<(), DiskError> {
        let refuse = |why| self.folder.refuse("write", &self.name, why);
        let length: u64 = content.iter().map(|bytes| bytes.len() as u64).sum();
        write_all_at(&self.file, at, content).map_err(refuse)?;
        self.there.add(at..at + length);
        if at == self.hashed
            && let Some(hashing) = &mut self.hashing
        {
            hashing.update(content);
            self.hashed += length;
            hashing.go_beside();
        }
        self.catch_up()?;
        // Lets the disk begin with it, so that the flush at the end does not wait for all of it.
        if at + length <= self.hashed {
            let _ = fs::fadvise(&self.file, at, std::num::NonZeroU64::new(length), Advice::DontNeed);
        }
        if self.there.bytes() >= self.noted + NOTED_EVERY {
            self.note_beside();
        }
        Ok(())
    }

    /// What the server called the bytes that are there, if it called them anything.
    pub fn tag(&self) -> Option<&str> {
        self.of.tag.as_deref()
    }

    /// Notes what the server calls the bytes.
    pub fn set_tag(&mut self, tag: String) {
        self.of.tag = Some(tag);
    }

    /// Forgets everything, and what is noted of it.
    pub fn restart(&mut self) -> Result<(), DiskError> {
        self.wait_for_note();
        self.file = self.folder.begin_parts(&self.name)?;
        self.there = Spans::default();
        self.hashing = Some(Hashing::new(self.order.hash.as_ref()));
        (self.hashed, self.noted) = (0, 0);
        self.reserve()
    }

    /// Checks the whole content, gives the file its permissions and time, flushes it, and gives it the name of a staged file. Of a content
    /// that is not right nothing is left.
    pub fn finish(mut self) -> Result<Staged, StageError> {
        self.wait_for_note();
        let finished = self.checked();
        if finished.is_err() {
            self.folder.forget_parts(&self.name);
        }
        self.over = true;
        finished
    }

    fn checked(&mut self) -> Result<Staged, StageError> {
        if self.there.frontier() != self.of.size || self.there.all().len() > 1 {
            return Err(StageError::WrongSize { expected: self.of.size, found: self.there.bytes() });
        }
        self.catch_up()?;
        let Some(Digest { size, sha256, provider }) = self.hashing.take().and_then(Hashing::finish) else {
            let why = "the thread that computed its digest ended";
            return Err(error(DiskErrorKind::Item, "finish", &self.name, why).into());
        };
        if size != self.of.size {
            return Err(StageError::WrongSize { expected: self.of.size, found: size });
        }
        if provider == Match::Different {
            return Err(StageError::WrongHash);
        }
        let refuse = |why| self.folder.refuse("finish", &self.name, why);
        disk::set_mode(&self.file, self.folder.file_mode()).map_err(refuse)?;
        if let Some(modified) = self.order.modified {
            disk::set_modified(&self.file, disk::wall_ns(modified)).map_err(refuse)?;
        }
        disk::flush(&self.file).map_err(refuse)?;
        let staging = self.folder.staging.as_fd();
        let name = name_of(&format!("{}-{}", self.order.job, uuid::Uuid::new_v4().simple()))?;
        let note = name_of(&format!("{}{NOTE}", self.name))?;
        match disk::remove_file(staging, note.as_os_str()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(why) => return Err(refuse(why).into()),
        }
        disk::rename_over((staging, self.name.as_os_str()), (staging, name.as_os_str())).map_err(refuse)?;
        let stamp = disk::look_at(&self.file).map_err(refuse)?.stamp;
        Ok(Staged { name, stamp, sha256, flushed: true })
    }

    /// Lets go of everything that came.
    pub fn abandon(mut self) {
        self.wait_for_note();
        self.folder.forget_parts(&self.name);
        self.over = true;
    }

    /// Digests what came ahead of its turn, where its turn has come.
    fn catch_up(&mut self) -> Result<(), DiskError> {
        let end = self.there.frontier();
        let Some(hashing) = &mut self.hashing else { return Ok(()) };
        while self.hashed < end {
            let length = READ_BYTES.min(usize::try_from(end - self.hashed).unwrap_or(READ_BYTES));
            let mut bytes = vec![0; length];
            let read = self.file.read_exact_at(&mut bytes, self.hashed);
            read.map_err(|why| self.folder.refuse("read back", &self.name, errno(&why)))?;
            hashing.update(&[bytes.into()]);
            hashing.go_beside();
            self.hashed += length as u64;
        }
        Ok(())
    }

    /// Takes the room for the whole file now: better to fail before the download than after it.
    fn reserve(&self) -> Result<(), DiskError> {
        match fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, self.of.size) {
            Err(why @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                self.folder.forget_parts(&self.name);
                Err(self.folder.refuse("reserve room for", &self.name, why))
            }
            // Filesystems that cannot reserve say so in several ways, and writing will show what is wrong.
            _ => Ok(()),
        }
    }

    /// Flushes what is there and notes it, on a thread beside: the bytes that come meanwhile do not wait.
    fn note_beside(&mut self) {
        if self.noting.as_ref().is_some_and(|noting| !noting.is_finished()) {
            return;
        }
        self.wait_for_note();
        let Ok((file, staging)) = self.file.try_clone().and_then(|file| Ok((file, self.folder.staging.try_clone()?)))
        else {
            return;
        };
        self.noted = self.there.bytes();
        let (note, name) = (Note { of: self.of.clone(), there: self.there.clone() }, self.name.clone());
        self.noting = Some(std::thread::spawn(move || {
            let noted = fs::fdatasync(&file).and_then(|()| write_note(staging.as_fd(), &name, &note));
            if let Err(why) = noted {
                tracing::debug!(%name, %why, "a download could not be noted; a restart would begin it anew");
            }
        }));
    }

    fn wait_for_note(&mut self) {
        if let Some(noting) = self.noting.take() {
            // It has said what went wrong.
            let _ = noting.join();
        }
    }
}

impl Drop for RangedWriter<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.wait_for_note();
        if self.there.bytes() == 0 {
            self.folder.forget_parts(&self.name);
            return;
        }
        let note = Note { of: self.of.clone(), there: self.there.clone() };
        let noted = fs::fdatasync(&self.file).and_then(|()| write_note(self.folder.staging.as_fd(), &self.name, &note));
        if let Err(why) = noted {
            tracing::debug!(name = %self.name, %why, "a download could not be noted; the next try begins it anew");
        }
    }
}

/// Puts a note in the place of the one before.
fn write_note(staging: std::os::fd::BorrowedFd<'_>, name: &Name, note: &Note) -> io::Result<()> {
    let text = serde_json::to_vec(note).map_err(|_| Errno::INVAL)?;
    let (fresh, place) = (format!("{name}.new"), format!("{name}{NOTE}"));
    let [fresh, place] = [fresh, place].map(|text| name_of(&text).map_err(|_| Errno::INVAL));
    let (fresh, place) = (fresh?, place?);
    match disk::remove_file(staging, fresh.as_os_str()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(why) => return Err(why),
    }
    let mut file = disk::create_file(staging, fresh.as_os_str())?;
    file.write_all(&text).map_err(|why| errno(&why))?;
    disk::rename_over((staging, fresh.as_os_str()), (staging, place.as_os_str()))
}

fn name_of(text: &str) -> Result<Name, DiskError> {
    Name::new(text.as_bytes()).map_err(|why| error(DiskErrorKind::Item, "stage", &text, &why.to_string()))
}

fn is_old(modified_ns: i64) -> bool {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_nanos(modified_ns.unsigned_abs());
    SystemTime::now().duration_since(modified).is_ok_and(|age| age > KEPT_FOR)
}

fn write_all_at(file: &File, mut at: u64, content: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = content.iter().map(|bytes| IoSlice::new(bytes)).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        fault::here()?;
        match io::pwritev(file, rest, at) {
            Ok(0) => return Err(Errno::IO),
            Ok(length) => {
                at += length as u64;
                IoSlice::advance_slices(&mut rest, length);
            }
            Err(Errno::INTR) => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::id::{ContentHash, JobId};
    use crate::local::LocalOptions;

    const SIZE: u64 = 300_000;

    struct Bed {
        folder: LocalFolder,
        dir: tempfile::TempDir,
        content: Vec<u8>,
    }

    impl Bed {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let options = LocalOptions { file_mode: 0o640, dir_mode: 0o750, min_free: 0, create: true };
            let folder = LocalFolder::open(&dir.path().canonicalize().unwrap().join("root"), "uid", options).unwrap();
            let content = (0..SIZE).map(|at| (at * 13 + at / 251) as u8).collect();
            Self { folder, dir, content }
        }

        fn of(&self, version: &str) -> (StageOrder, PartOf) {
            let hash = ContentHash::Sha1(hex(&sha1::Sha1::digest(&self.content)));
            let of =
                PartOf { item: "7".into(), version: version.into(), size: SIZE, hash: Some(hash.clone()), tag: None };
            (StageOrder { job: JobId(5), size: Some(SIZE), hash: Some(hash), modified: None }, of)
        }

        fn begin(&self, version: &str) -> RangedWriter<'_> {
            let (order, of) = self.of(version);
            self.folder.stage_in_parts(&order, &of).unwrap()
        }

        fn write(&self, writer: &mut RangedWriter<'_>, span: Range<u64>) {
            let bytes = self.content[span.start as usize..span.end as usize].to_vec();
            writer.write(span.start, &[bytes.into()]).unwrap();
        }

        fn staging(&self) -> Vec<String> {
            let entries = std::fs::read_dir(self.dir.path().join("root/.folder-sync-agent/staging")).unwrap();
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
        }
    }

    #[test]
    fn parts_in_any_order_make_the_file() {
        let bed = Bed::new();
        let mut writer = bed.begin("70");
        for span in [200_000..300_000, 50_000..120_000, 0..50_000, 120_000..200_000] {
            bed.write(&mut writer, span);
        }
        let staged = writer.finish().unwrap();
        assert_eq!(std::fs::read(bed.folder.staged_path(&staged.name)).unwrap(), bed.content);
        assert_eq!(bed.staging(), [staged.name.to_string()]);
        assert!(bed.folder.open_staged(&staged).is_ok());
    }

    #[test]
    fn what_a_killed_process_left_is_gone_on_with_and_verified() {
        let bed = Bed::new();
        let mut writer = bed.begin("70");
        bed.write(&mut writer, 0..100);
        bed.write(&mut writer, 200_000..300_000);
        drop(writer);
        assert_eq!(bed.folder.sweep_staging(&std::collections::BTreeSet::new()).unwrap(), 0);
        let mut writer = bed.begin("70");
        assert_eq!(writer.there().gaps(SIZE), [100..200_000]);
        bed.write(&mut writer, 100..200_000);
        writer.finish().unwrap();
        // The same with a byte that another program changed meanwhile.
        let mut writer = bed.begin("70");
        bed.write(&mut writer, 0..100_000);
        let name = writer.name.clone();
        drop(writer);
        let file = std::fs::OpenOptions::new().write(true).open(bed.folder.staged_path(&name)).unwrap();
        file.write_all_at(b"x", 77).unwrap();
        let mut writer = bed.begin("70");
        bed.write(&mut writer, 100_000..SIZE);
        assert_eq!(writer.finish().unwrap_err(), StageError::WrongHash);
        assert_eq!(bed.staging().len(), 1, "only what was staged first");
    }

    #[test]
    fn what_was_left_of_another_version_or_is_not_noted_is_of_no_use() {
        let bed = Bed::new();
        let mut writer = bed.begin("70");
        bed.write(&mut writer, 0..100_000);
        let name = writer.name.clone();
        drop(writer);
        let mut writer = bed.begin("71");
        assert_eq!(writer.there().bytes(), 0);
        bed.write(&mut writer, 0..100_000);
        drop(writer);
        for note in ["", "{", r#"{"of":{"item":"7"}}"#] {
            std::fs::write(bed.folder.staged_path(&name_of(&format!("{name}{NOTE}")).unwrap()), note).unwrap();
            let mut writer = bed.begin("71");
            assert_eq!(writer.there().bytes(), 0, "{note}");
            bed.write(&mut writer, 0..100_000);
        }
        std::fs::remove_file(bed.folder.staged_path(&name_of(&format!("{name}{NOTE}")).unwrap())).unwrap();
        assert_eq!(bed.folder.sweep_staging(&std::collections::BTreeSet::new()).unwrap(), 1);
    }

    #[test]
    fn few_are_kept_and_none_where_the_room_is_needed() {
        let bed = Bed::new();
        let (order, of) = bed.of("70");
        let begin = |item: usize| {
            let of = PartOf { item: item.to_string(), ..of.clone() };
            let mut writer = bed.folder.stage_in_parts(&order, &of).unwrap();
            bed.write(&mut writer, 0..100);
            writer
        };
        let under_way = begin(0);
        (1..=KEPT_MAX + 3).for_each(|item| drop(begin(item)));
        let files = |bed: &Bed| bed.staging().iter().filter(|name| !name.contains('.')).count();
        assert_eq!(files(&bed), KEPT_MAX + 1, "and the one under way");
        bed.folder.trim_parts(0);
        assert_eq!(files(&bed), 1);
        under_way.abandon();
        assert_eq!(bed.staging(), Vec::<String>::new());
    }

    #[test]
    fn a_gap_is_no_content_and_nothing_is_left_of_what_is_given_up() {
        let bed = Bed::new();
        let mut writer = bed.begin("70");
        bed.write(&mut writer, 0..100);
        bed.write(&mut writer, 101..SIZE);
        assert!(matches!(writer.finish(), Err(StageError::WrongSize { expected: SIZE, .. })));
        let mut writer = bed.begin("70");
        bed.write(&mut writer, 0..100);
        writer.restart().unwrap();
        assert_eq!(writer.there().bytes(), 0);
        bed.write(&mut writer, 5..100);
        writer.abandon();
        assert_eq!(bed.staging(), Vec::<String>::new());
    }
}
