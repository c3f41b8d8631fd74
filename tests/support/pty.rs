//! A terminal with a program at it, as a person sits before it: what it shows, what is typed, and whether typing is shown.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::PATIENCE;

/// A program at a terminal.
pub struct Terminal {
    master: File,
    /// Kept open, so that what is shown last is not lost when the program ends.
    own_end: OwnedFd,
    child: Child,
    shown: Arc<(Mutex<String>, Condvar)>,
    /// How much of it was waited for already.
    seen: usize,
}

impl Terminal {
    /// Starts a program at a terminal of its own.
    pub fn start(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let end = || rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let stdio = || Stdio::from(File::from(end()));
        let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        let master = File::from(master);
        let shown = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let (mut reader, screen) = (master.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read) = reader.read(&mut bytes) {
                if read == 0 {
                    break;
                }
                screen.0.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
                screen.1.notify_all();
            }
        });
        Self { master, own_end: end(), child, shown, seen: 0 }
    }

    /// Everything that was shown so far.
    pub fn shown(&self) -> String {
        self.shown.0.lock().unwrap().clone()
    }

    /// Waits until a text is shown that was not waited for before.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        let mut shown = self.shown.0.lock().unwrap();
        loop {
            if let Some(at) = shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {text:?} after:\n{}", *shown);
            shown = self.shown.1.wait_timeout(shown, left).unwrap().0;
        }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        writeln!(self.master, "{line}").unwrap();
    }

    /// What Ctrl-C sends to the program: this is not its controlling terminal, which would do so itself.
    pub fn interrupt(&self) {
        let program = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(program, rustix::process::Signal::INT).unwrap();
    }

    /// Waits for a question, and answers it.
    #[track_caller]
    pub fn answer(&mut self, question: &str, line: &str) {
        self.expect(question);
        if question.contains("not shown") {
            // Echo goes off after the question is shown, and what was typed before is thrown away.
            super::until("a terminal that does not show what is typed", || !self.echoes());
        }
        self.type_line(line);
    }

    /// Whether the terminal shows what is typed.
    pub fn echoes(&self) -> bool {
        tcgetattr(&self.own_end).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for the end of the program, and returns how it ended with everything that was shown.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        // What was written last is read once this one comes.
        let mark = "-- the end --";
        writeln!(File::from(self.own_end.try_clone().unwrap()), "{mark}").unwrap();
        self.expect(mark);
        (status, self.shown().replace(mark, ""))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
