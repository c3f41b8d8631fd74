//! What needs `unsafe`: the few lines between fork and exec.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits that a child sets for itself before it becomes the program.
#[derive(Debug, Clone, Copy)]
pub struct ChildLimits {
    /// File descriptors.
    pub open_files: u64,
    /// Permission bits that new files do not get.
    pub umask: u32,
}

/// Makes the child take limits on: no core files, few file descriptors, private files.
pub fn limit_child(command: &mut Command, limits: ChildLimits) {
    let apply = move || -> io::Result<()> {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(limits.umask));
        let most = getrlimit(Resource::Nofile).maximum.map_or(limits.open_files, |most| most.min(limits.open_files));
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) })?;
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made: nothing is allocated, locked or freed.
    unsafe {
        command.pre_exec(apply);
    }
}
