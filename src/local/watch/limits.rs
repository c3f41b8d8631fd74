//! Whether the system lets this user watch more. What the limits are does not tell it: other programs use them up as well.

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

/// What there is no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoWatch {
    /// One more watcher, which each folder needs.
    Watchers,
    /// One more watch, which each directory needs.
    Watches,
}

/// Tries it with a directory that everybody has.
pub fn room_for_a_watch() -> Result<(), NoWatch> {
    let watched = inotify::init(CreateFlags::CLOEXEC)
        .and_then(|watcher| inotify::add_watch(&watcher, "/", WatchFlags::DELETE_SELF));
    match watched {
        Err(Errno::MFILE) => Err(NoWatch::Watchers),
        Err(Errno::NOSPC) => Err(NoWatch::Watches),
        // Anything else is no matter of limits.
        Err(_) | Ok(_) => Ok(()),
    }
}
