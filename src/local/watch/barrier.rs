//! Barriers: a file of ours whose appearance the watch must notice before anything that was written earlier can still be unnoticed.
//!
//! The system tells a watch of what happened in the order in which it happened, so a name that was made up just now, once it is told,
//! proves that all that came before it was told as well. Watchman calls such a file a cookie.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::{LocalFolder, disk, walk};
use crate::path::RESERVED_NAME;

/// How the names of cookies begin, in our own directory.
const COOKIE_PREFIX: &str = "cookie-";

/// Those who wait for their cookie to be noticed.
#[derive(Debug, Default)]
pub(super) struct Barriers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: BTreeMap<u64, Sender<()>>,
    last: u64,
    /// The watch notices no cookies: there is none, or it could not be set over our own directory.
    deaf: bool,
}

impl Barriers {
    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a cookie. Something arrives when everything that happened before was told as hints; nothing comes back where that cannot be
    /// found out.
    pub fn ask(&self, local: &LocalFolder) -> Option<Receiver<()>> {
        let (sender, receiver) = channel();
        let number = {
            let mut inner = self.locked();
            if inner.deaf {
                return None;
            }
            inner.last += 1;
            let number = inner.last;
            inner.waiting.insert(number, sender);
            number
        };
        let name = format!("{COOKIE_PREFIX}{number}");
        let at = (local.ours.as_fd(), OsStr::new(&name));
        match disk::create_file(at.0, at.1) {
            Ok(_) => {
                // The watch was told of it by now. One that stays is removed when the next watch begins.
                if let Err(why) = disk::remove_file(at.0, at.1) {
                    tracing::debug!(name, %why, "a cookie stays");
                }
                Some(receiver)
            }
            // A disk that takes no empty file takes no change that we would have to wait for, or nearly none.
            Err(why) => {
                tracing::debug!(%why, "no cookie can be made");
                self.locked().waiting.remove(&number);
                None
            }
        }
    }

    /// The watch notices no cookies from now on.
    pub fn go_deaf(&self) {
        let mut inner = self.locked();
        inner.deaf = true;
        inner.waiting.clear();
    }

    /// Whoever waits for the cookie that a notification names, if it names one.
    pub fn noticed(&self, root: &Path, path: &Path) -> Option<Sender<()>> {
        let name = path.strip_prefix(root).ok()?.strip_prefix(RESERVED_NAME).ok()?;
        let number = name.to_str()?.strip_prefix(COOKIE_PREFIX)?.parse().ok()?;
        self.locked().waiting.remove(&number)
    }

    /// Everybody who waits: everything is scanned, which finds what they wait for.
    pub fn everybody(&self) -> Vec<Sender<()>> {
        std::mem::take(&mut self.locked().waiting).into_values().collect()
    }
}

/// Removes cookies that a process left behind which was killed.
pub(super) fn sweep(local: &LocalFolder) {
    let Ok(names) = walk::names_in(local.ours.as_fd(), &RESERVED_NAME) else { return };
    for name in names.iter().filter(|name| name.starts_with(COOKIE_PREFIX.as_bytes())) {
        if let Err(why) = disk::remove_file(local.ours.as_fd(), OsStr::from_bytes(name)) {
            tracing::debug!(%why, "a cookie stays");
        }
    }
}
