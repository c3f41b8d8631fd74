//! One engine at a time: a lock on the state directory that names its holder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::RunError;

const LOCK_NAME: &str = "agent.lock";

/// The lock; it is given back when this value goes away, or with the process.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock of a state directory, or says who holds it.
pub fn take(state: &Path) -> Result<Lock, RunError> {
    let path = state.join(LOCK_NAME);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(
            |why| RunError::failed("open the lock of the state directory", format!("{}: {why}", path.display())),
        )?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let who = match file.read_to_string(&mut holder) {
            Ok(_) if !holder.trim().is_empty() => holder.trim().to_owned(),
            _ => "another agent".to_owned(),
        };
        return Err(RunError::Locked(format!("{who} already uses {}; stop it first", state.display())));
    }
    let command: Vec<String> = std::env::args().take(3).collect();
    let told = format!("process {} (`{}`)", std::process::id(), command.join(" "));
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(told.as_bytes()))
        .map_err(|why| RunError::failed("write the lock of the state directory", why))?;
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(dir.path()).unwrap();
        let second = take(dir.path()).unwrap_err().to_string();
        assert!(second.contains(&format!("process {}", std::process::id())), "{second}");
        drop(first);
        take(dir.path()).unwrap();
    }
}
