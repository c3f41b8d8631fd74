//! What needs `unsafe`: limits of children, descriptors by their numbers, and the settings of the C library's heap.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, getrlimit, pidfd_open, prlimit, setrlimit};
use tokio::io::unix::AsyncFd;

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
        // A service manager may forbid it, and sets limits of its own then: no reason not to scan.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) });
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made: nothing is allocated, locked or freed.
    unsafe {
        command.pre_exec(apply);
    }
}

/// Gives the calling thread a umask of its own: what it starts inherits that one, and nobody else notices.
pub fn take_own_umask(umask: u32) -> io::Result<()> {
    // SAFETY: nothing of this thread's relies on sharing its umask, root and current directory with the others.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::FS) }?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    Ok(())
}

/// Makes a child that was just started take limits on, from outside: no core files, few file descriptors.
pub fn limit_started(pid: u32, limits: ChildLimits) {
    let Some(pid) = Pid::from_raw(pid.cast_signed()) else { return };
    let most = getrlimit(Resource::Nofile).maximum.map_or(limits.open_files, |most| most.min(limits.open_files));
    // A service manager may forbid it, and sets limits of its own then: no reason not to scan.
    let _ = prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) });
    let _ = prlimit(Some(pid), Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Makes the threads of this process share two heaps. Of its own accord glibc gives nearly each of them one, up to eight times the number of
/// processors, and what is free in one heap is of no use to the others: a fifth of the memory of a first mirror. Other libraries do not.
pub fn share_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;

        unsafe extern "C" {
            fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        const M_ARENA_MAX: c_int = -8;
        // SAFETY: the function and the number are glibc's, and it may be called at any time; it takes the lock that it needs.
        let _ = unsafe { mallopt(M_ARENA_MAX, 2) };
    }
}

/// A descriptor that a task waits for.
pub fn awaited(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor stays open, and the same, until its owner is dropped.
    unsafe { AsyncFd::register(fd) }.map_err(io::Error::from)
}

/// Something that becomes readable when a process has ended, and leaves its exit status where it is; nothing where the
/// system has no such thing.
pub fn end_of(pid: Pid) -> Option<AsyncFd<OwnedFd>> {
    awaited(pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?).ok()
}

/// Keeps descriptors from children that were left open by whoever started us; all that we open ourselves are kept from
/// them anyway.
pub fn keep_inherited_descriptors() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let numbers: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: only the flags of the number are read and set; if another thread closes it meanwhile, the call fails, and if
        // it opens something else there, that is not for children either.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(flags) = fcntl_getfd(fd) {
            let _ = fcntl_setfd(fd, flags | FdFlags::CLOEXEC);
        }
    }
}
