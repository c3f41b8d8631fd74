//! The one place where a test can make the disk refuse, or the process die, before any single change of a folder.

use rustix::io::Result;

/// Called before every call that changes a folder or makes a change durable.
#[cfg(not(test))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "tests make it fail")]
pub(super) fn here() -> Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use script::here;

#[cfg(test)]
pub(super) mod script {
    use std::cell::{Cell, RefCell};
    use std::panic::resume_unwind;

    use super::Result;
    use rustix::io::Errno;

    /// What happens at the chosen call.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in crate::local) enum Fault {
        /// The process dies before the call.
        Crash,
        /// The call fails, this once.
        Once(Errno),
        /// This call and all later ones fail.
        FromHereOn(Errno),
        /// Somebody else does something just before the call: what [`meanwhile`] was given.
        Meanwhile,
    }

    /// What a crash unwinds with.
    pub(in crate::local) struct Crashed;

    thread_local! {
        static PLAN: Cell<Option<(u64, Fault)>> = const { Cell::new(None) };
        static COUNT: Cell<u64> = const { Cell::new(0) };
        static ACT: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    }

    /// Arms somebody else's act before the `at`-th call from now.
    pub(in crate::local) fn meanwhile(at: u64, act: impl FnOnce() + 'static) {
        ACT.set(Some(Box::new(act)));
        arm(at, Fault::Meanwhile);
    }

    /// Arms a fault at the `at`-th call from now (0 is the next one) on this thread.
    pub(in crate::local) fn arm(at: u64, fault: Fault) {
        COUNT.set(0);
        PLAN.set(Some((at, fault)));
    }

    /// Ends all faults; says how many calls there were since the last arming.
    pub(in crate::local) fn disarm() -> u64 {
        PLAN.set(None);
        ACT.set(None);
        COUNT.replace(0)
    }

    pub(in crate::local) fn here() -> Result<()> {
        let count = COUNT.get();
        COUNT.set(count + 1);
        match PLAN.get() {
            Some((at, Fault::Crash)) if count == at => resume_unwind(Box::new(Crashed)),
            Some((at, Fault::Once(errno))) if count == at => Err(errno),
            Some((at, Fault::FromHereOn(errno))) if count >= at => Err(errno),
            Some((at, Fault::Meanwhile)) if count == at => {
                if let Some(act) = ACT.take() {
                    act();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
