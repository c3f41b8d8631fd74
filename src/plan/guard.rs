//! Brakes: a round of deletions that looks like an accident becomes a hold. Pure.

use crate::settings::MaxDelete;

/// Deletions that are believed however small the folder is.
const ALWAYS_BELIEVED_FILES: u64 = 25;

/// Deletions that are never believed unasked under a percentage, however large the folder is.
const NEVER_BELIEVED_FILES: u64 = 1_000;

/// How many files may go within 24 hours before a person is asked; nothing if the brake is off.
///
/// `files` is how many the folder held before the deletions.
pub fn deletion_limit(max: MaxDelete, files: u64) -> Option<u64> {
    match max {
        MaxDelete::Off => None,
        MaxDelete::Files(limit) => Some(limit),
        MaxDelete::Percent(share) => {
            let share = files.saturating_mul(u64::from(share)) / 100;
            Some(share.clamp(ALWAYS_BELIEVED_FILES, NEVER_BELIEVED_FILES))
        }
    }
}

/// Whether the deletions that wait, with those already done, are too many to happen unasked.
pub fn must_ask(max: MaxDelete, files: u64, done_last_day: u64, waiting: u64) -> bool {
    deletion_limit(max, files.saturating_add(done_last_day))
        .is_some_and(|limit| done_last_day.saturating_add(waiting) > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_folders_may_lose_25_files_and_large_ones_at_most_1000() {
        let ask = |files, done, waiting| must_ask(MaxDelete::Percent(25), files, done, waiting);
        assert!(!ask(10, 0, 10));
        assert!(!ask(30, 0, 25));
        assert!(ask(30, 0, 26));
        assert!(!ask(1_000, 0, 250));
        assert!(ask(1_000, 0, 251));
        assert!(!ask(100_000, 0, 1_000));
        assert!(ask(100_000, 0, 1_001));
    }

    #[test]
    fn what_went_today_counts() {
        assert!(must_ask(MaxDelete::Percent(25), 80, 20, 6));
        assert!(!must_ask(MaxDelete::Percent(25), 80, 20, 5));
    }

    #[test]
    fn the_brake_can_be_set_and_switched_off() {
        assert!(!must_ask(MaxDelete::Off, 1_000_000, 0, 1_000_000));
        assert!(must_ask(MaxDelete::Files(0), 10, 0, 1));
    }
}
