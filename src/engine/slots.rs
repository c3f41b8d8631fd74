//! How many calls and reads are under way, per account and per folder: each slot belongs to one job, from its start to its end.

use std::collections::BTreeMap;

use crate::id::{AccountId, FolderId, JobId};

/// Questions and changes under way at once, per account.
const QUESTIONS_MOST: usize = 6;
/// Up to this length a transfer waits for answers more than it carries: two of them go for one, in bytes.
pub(in crate::engine) const SHORT_BYTES: u64 = 256 * 1024;
/// What a transfer takes of twice the number of transfers.
const WHOLE: usize = 2;
/// What a short one takes.
const HALF: usize = 1;
/// Long files that are read at once, per folder.
const READS_AT_ONCE: usize = 2;
/// Short ones, which are read one after the other by as many threads, and whose digests are one transaction.
const SHORT_READS_AT_ONCE: usize = 32;

/// What a job takes up while it is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Slot {
    /// A look, a page of a listing, or a change without content.
    Question(AccountId),
    /// A download of so many bytes, which needs room in the folder's staging directory as well.
    Fetch(AccountId, FolderId, u64),
    /// An upload of so many bytes.
    Upload(AccountId, u64),
    /// A local file of so many bytes is read.
    Read(FolderId, u64),
}

#[derive(Debug, Default)]
struct Calls {
    questions: usize,
    transfers: usize,
    /// What they take of twice their number.
    halves: usize,
}

#[derive(Debug, Default)]
struct Files {
    fetched: usize,
    /// Short files that could be read instead.
    read: usize,
}

/// The slots that are taken, and by which jobs.
#[derive(Debug, Default)]
pub(in crate::engine) struct Slots {
    taken: BTreeMap<JobId, Slot>,
    accounts: BTreeMap<AccountId, Calls>,
    folders: BTreeMap<FolderId, Files>,
}

impl Slots {
    /// A job begins that takes a slot.
    pub fn take(&mut self, job: JobId, slot: Slot) {
        self.release(job);
        self.taken.insert(job, slot);
        self.count(slot, |count, by| *count += by);
    }

    /// A job is over, or given up; what it had taken is free.
    pub fn release(&mut self, job: JobId) {
        if let Some(slot) = self.taken.remove(&job) {
            // It was counted when it was taken, and is in `taken` once.
            self.count(slot, |count, by| *count -= by);
        }
    }

    /// An account is no more: its calls were given up, and may never be answered.
    pub fn forget(&mut self, account: AccountId) {
        let is_theirs = |slot: &Slot| match slot {
            Slot::Question(of) | Slot::Upload(of, _) | Slot::Fetch(of, _, _) => *of == account,
            Slot::Read(..) => false,
        };
        let theirs: Vec<JobId> = self.taken.iter().filter(|(_, slot)| is_theirs(slot)).map(|(job, _)| *job).collect();
        for job in theirs {
            self.release(job);
        }
    }

    fn count(&mut self, slot: Slot, change: impl Fn(&mut usize, usize)) {
        match slot {
            Slot::Question(account) => change(&mut self.accounts.entry(account).or_default().questions, 1),
            Slot::Upload(account, bytes) => {
                let calls = self.accounts.entry(account).or_default();
                change(&mut calls.transfers, 1);
                change(&mut calls.halves, halves(bytes));
            }
            Slot::Fetch(account, folder, bytes) => {
                let calls = self.accounts.entry(account).or_default();
                change(&mut calls.transfers, 1);
                change(&mut calls.halves, halves(bytes));
                change(&mut self.folders.entry(folder).or_default().fetched, 1);
            }
            Slot::Read(folder, bytes) => change(&mut self.folders.entry(folder).or_default().read, reads(bytes)),
        }
    }

    /// Whether an account has a free slot for a question or a change without content.
    pub fn may_ask(&self, account: AccountId) -> bool {
        self.accounts.get(&account).is_none_or(|calls| calls.questions < QUESTIONS_MOST)
    }

    /// Whether an account, which may have so many transfers under way, has a free slot for one more, of so many bytes.
    pub fn may_transfer(&self, account: AccountId, most: u32, bytes: u64) -> bool {
        self.accounts.get(&account).map_or(0, |calls| calls.halves) + halves(bytes) <= most as usize * WHOLE
    }

    /// Calls of an account under way that take a slot.
    pub fn calls(&self, account: AccountId) -> usize {
        self.accounts.get(&account).map_or(0, |calls| calls.questions + calls.transfers)
    }

    /// Downloads of a folder under way.
    pub fn fetching(&self, folder: FolderId) -> usize {
        self.folders.get(&folder).map_or(0, |files| files.fetched)
    }

    /// Whether one more file of a folder, of so many bytes, may be read.
    pub fn may_read(&self, folder: FolderId, bytes: u64) -> bool {
        self.folders.get(&folder).map_or(0, |files| files.read) + reads(bytes) <= SHORT_READS_AT_ONCE
    }
}

fn halves(bytes: u64) -> usize {
    if bytes <= SHORT_BYTES { HALF } else { WHOLE }
}

fn reads(bytes: u64) -> usize {
    if bytes <= SHORT_BYTES { 1 } else { SHORT_READS_AT_ONCE / READS_AT_ONCE }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: AccountId = AccountId(1);
    const FOLDER: FolderId = FolderId(2);

    /// What is free, and what is counted.
    fn seen(slots: &Slots) -> (usize, usize, bool, bool, bool) {
        (
            slots.calls(ACCOUNT),
            slots.fetching(FOLDER),
            slots.may_ask(ACCOUNT),
            slots.may_transfer(ACCOUNT, 2, u64::MAX),
            slots.may_read(FOLDER, 0),
        )
    }

    #[test]
    fn each_slot_is_counted_where_it_counts_and_given_back_once() {
        // The slot, how many fit, the calls and the downloads that are counted then, and what is still free.
        let table = [
            (Slot::Question(ACCOUNT), QUESTIONS_MOST, (QUESTIONS_MOST, 0, false, true, true)),
            (Slot::Upload(ACCOUNT, 1 << 20), 2, (2, 0, true, false, true)),
            (Slot::Upload(ACCOUNT, 9), 4, (4, 0, true, false, true)),
            (Slot::Fetch(ACCOUNT, FOLDER, 1 << 20), 2, (2, 2, true, false, true)),
            (Slot::Fetch(ACCOUNT, FOLDER, 9), 4, (4, 4, true, false, true)),
            (Slot::Read(FOLDER, 1 << 20), READS_AT_ONCE, (0, 0, true, true, false)),
            (Slot::Read(FOLDER, 9), SHORT_READS_AT_ONCE, (0, 0, true, true, false)),
        ];
        for (slot, most, full) in table {
            let mut slots = Slots::default();
            let free = seen(&slots);
            let jobs: Vec<JobId> = (1..).map(JobId).take(most).collect();
            for job in &jobs {
                assert_ne!(seen(&slots), full, "{slot:?}");
                slots.take(*job, slot);
            }
            assert_eq!(seen(&slots), full, "{slot:?}");
            for job in jobs.iter().chain(&jobs) {
                slots.release(*job);
            }
            assert_eq!(seen(&slots), free, "{slot:?}: a job gives back what it took, and no more");
        }
    }

    #[test]
    fn an_account_that_comes_back_begins_with_free_slots() {
        let mut slots = Slots::default();
        slots.take(JobId(1), Slot::Fetch(ACCOUNT, FOLDER, 9));
        slots.take(JobId(2), Slot::Question(ACCOUNT));
        slots.take(JobId(3), Slot::Read(FOLDER, 9));
        slots.take(JobId(4), Slot::Question(AccountId(9)));
        slots.forget(ACCOUNT);
        slots.release(JobId(1));
        assert_eq!((slots.calls(ACCOUNT), slots.fetching(FOLDER), slots.calls(AccountId(9))), (0, 0, 1));
        assert_eq!(slots.taken.len(), 2, "the other account and the disk go on");
    }

    #[test]
    fn others_slots_are_not_counted() {
        let mut slots = Slots::default();
        for number in 0..QUESTIONS_MOST {
            slots.take(JobId(number as i64), Slot::Question(ACCOUNT));
        }
        assert!(slots.may_ask(AccountId(9)));
        slots.release(JobId(99));
        assert!(!slots.may_ask(ACCOUNT), "the job had no slot");
    }
}
