//! Many notifications into few hints: directories gather until it is quiet, and never for longer than a bound. Pure; times are milliseconds
//! of any clock that does not jump.

use std::collections::BTreeSet;

use crate::local_news::{NEWS_DIRS_MAX, News, Rescan};
use crate::path::RelPath;

/// How long nothing must happen before the gathered directories are told.
const QUIET_MS: u64 = 300;
/// The longest that a directory waits to be told, however busy it is.
const WAIT_MAX_MS: u64 = 2_000;
/// The pause before a hint that found no room is offered again.
const AGAIN_MS: u64 = 1_000;

/// What was noticed and not told yet.
#[derive(Debug, Default)]
pub struct Quieter {
    dirs: BTreeSet<RelPath>,
    rescan: Option<Rescan>,
    /// When the first and the last notification came.
    since: Option<(u64, u64)>,
    not_before: u64,
}

impl Quieter {
    /// Something changed directly in a directory.
    pub fn note(&mut self, dir: RelPath, now: u64) {
        self.touch(now);
        // A scan of everything is on its way, and no directory has to be named.
        if self.rescan.is_some() {
            return;
        }
        self.dirs.insert(dir);
        if self.dirs.len() > NEWS_DIRS_MAX {
            self.rescan(Rescan::TooMuch, now);
        }
    }

    /// Something was missed.
    pub fn rescan(&mut self, reason: Rescan, now: u64) {
        self.touch(now);
        self.dirs.clear();
        // That not everything is watched stays true, and says more than any other reason.
        if !matches!(self.rescan, Some(Rescan::Unwatched { .. })) {
            self.rescan = Some(reason);
        }
    }

    /// What there was no room for: it is not lost, and shrinks to one hint if it must wait.
    pub fn again(&mut self, news: News, now: u64) {
        match news {
            News::Dirs(dirs) => dirs.into_iter().for_each(|dir| self.note(dir, now)),
            News::Rescan(reason) => self.rescan(reason, now),
            // The watch of a folder does not tell of its root.
            News::Root => {}
        }
        self.not_before = now + AGAIN_MS;
    }

    fn touch(&mut self, now: u64) {
        self.since = Some((self.since.map_or(now, |(first, _)| first), now));
    }

    /// What was noticed so far is told as soon as there is room.
    pub fn hurry(&mut self, now: u64) {
        if let Some((_, last)) = &mut self.since {
            *last = now.saturating_sub(QUIET_MS);
        }
    }

    /// Whether everything that was noticed is told.
    pub fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// When there will be something to tell.
    pub fn due_at(&self) -> Option<u64> {
        let (first, last) = self.since?;
        Some((last + QUIET_MS).min(first + WAIT_MAX_MS).max(self.not_before))
    }

    /// What is to be told now.
    pub fn take(&mut self, now: u64) -> Option<News> {
        if self.due_at().is_none_or(|due| now < due) {
            return None;
        }
        self.since = None;
        let dirs = std::mem::take(&mut self.dirs);
        match self.rescan.take() {
            Some(reason) => Some(News::Rescan(reason)),
            None => Some(News::Dirs(dirs.into_iter().collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Name;

    fn dir(name: &str) -> RelPath {
        RelPath::root().join(&Name::new(name.as_bytes()).unwrap())
    }

    #[test]
    fn a_burst_becomes_one_hint() {
        let mut quieter = Quieter::default();
        assert_eq!((quieter.due_at(), quieter.take(9_999)), (None, None));
        for at in [1_000, 1_100, 1_200] {
            quieter.note(dir("a"), at);
            quieter.note(dir("b"), at);
            assert_eq!(quieter.take(at + QUIET_MS - 1), None);
        }
        assert_eq!(quieter.due_at(), Some(1_200 + QUIET_MS));
        assert_eq!(quieter.take(1_200 + QUIET_MS), Some(News::Dirs(vec![dir("a"), dir("b")])));
        assert_eq!(quieter.take(99_999), None);
    }

    #[test]
    fn a_directory_that_is_never_quiet_is_told_all_the_same() {
        let mut quieter = Quieter::default();
        let told = (0..100).map(|n| n * 100).find(|at| {
            quieter.note(dir("busy"), *at);
            quieter.take(*at).is_some()
        });
        assert_eq!(told, Some(WAIT_MAX_MS));
    }

    #[test]
    fn too_much_and_what_was_missed_become_a_scan() {
        let mut quieter = Quieter::default();
        for number in 0..=NEWS_DIRS_MAX {
            quieter.note(dir(&number.to_string()), 0);
        }
        assert_eq!(quieter.take(QUIET_MS), Some(News::Rescan(Rescan::TooMuch)));
        let unwatched = Rescan::Unwatched { text: "why".into() };
        quieter.rescan(unwatched.clone(), 5_000);
        quieter.rescan(Rescan::Overflow, 5_000);
        quieter.note(dir("a"), 5_000);
        assert_eq!(quieter.take(5_000 + QUIET_MS), Some(News::Rescan(unwatched)));
        assert_eq!(quieter.take(99_999), None);
    }

    #[test]
    fn what_found_no_room_is_offered_again() {
        let mut quieter = Quieter::default();
        quieter.note(dir("a"), 0);
        let news = quieter.take(QUIET_MS).unwrap();
        quieter.again(news, QUIET_MS);
        quieter.note(dir("b"), QUIET_MS);
        assert_eq!(quieter.take(QUIET_MS + AGAIN_MS - 1), None);
        assert_eq!(quieter.take(QUIET_MS + AGAIN_MS), Some(News::Dirs(vec![dir("a"), dir("b")])));
    }
}
