//! The path of the control socket, also where it is too long for the system's address structure.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// Longest path that fits a Unix socket's address with some room for a suffix.
const ADDRESS_MAX_BYTES: usize = 96;

/// A way to a socket that fits its address. A long path is reached through a handle on its directory, which must stay
/// open as long as the way is used.
#[derive(Debug)]
pub struct Way {
    /// The path to give to the system.
    pub path: PathBuf,
    _directory: Option<OwnedFd>,
}

impl Way {
    /// The way to a socket, which need not exist; its directory must.
    pub fn to(socket: &Path) -> io::Result<Self> {
        if socket.as_os_str().len() <= ADDRESS_MAX_BYTES {
            return Ok(Self { path: socket.to_owned(), _directory: None });
        }
        let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path of the socket has no directory"));
        };
        let directory = rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        Ok(Self { path, _directory: Some(directory) })
    }
}
