//! What the system's error numbers mean for a folder: one translation, made where the error is seen.

use rustix::io::Errno;

use crate::deed::{DiskError, DiskErrorKind};

/// An error of one operation at one place.
pub(super) fn refused(operation: &str, place: &dyn std::fmt::Display, errno: Errno) -> DiskError {
    let kind = match errno {
        Errno::NOSPC | Errno::DQUOT => DiskErrorKind::Full,
        Errno::ROFS => DiskErrorKind::NotWritable,
        Errno::LOOP | Errno::XDEV | Errno::NOTDIR | Errno::BUSY => DiskErrorKind::UnsafePath,
        _ => DiskErrorKind::Item,
    };
    let why = match errno {
        Errno::XDEV => {
            "another filesystem is mounted there or above, and what is mounted in a folder is not synced".to_owned()
        }
        Errno::LOOP => "a symbolic link is there or above, and links are never followed".to_owned(),
        errno => std::io::Error::from(errno).to_string(),
    };
    error(kind, operation, place, &why)
}

/// An error whose kind is known. The place is shown with control characters escaped: the cloud chose it.
pub(super) fn error(kind: DiskErrorKind, operation: &str, place: &dyn std::fmt::Display, why: &str) -> DiskError {
    let place = place.to_string();
    DiskError { kind, text: format!("cannot {operation} `{}`: {why}", place.escape_debug()) }
}

/// The error number of a std call.
pub(super) fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}
