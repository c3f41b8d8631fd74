//! Questions to the person at the terminal, and what arrives on standard input.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::failure::{Failure, Outcome};

/// The most that is read as a sign-in.
const INPUT_MAX_BYTES: u64 = 64 << 10;

/// Whether somebody can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question that is answered with yes or no; only a clear yes is one.
pub fn confirm(question: &str) -> Outcome<bool> {
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().take(INPUT_MAX_BYTES).read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Reads all of standard input as a secret; from a terminal, one line that is not shown.
pub fn secret_from_stdin(question: &str) -> Outcome<SecretString> {
    if can_ask() {
        return ask_secret(question);
    }
    let mut text = Zeroizing::new(String::new());
    let failed = |error: io::Error| Failure::error("cannot read standard input").because(error);
    let read = io::stdin().lock().take(INPUT_MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if read as u64 > INPUT_MAX_BYTES {
        return Err(Failure::error("what arrived on standard input is too long to be a token")
            .hint("give nothing but the token, or the JSON with it: agent login --help shows its fields"));
    }
    Ok(SecretString::from(text.trim()))
}

/// Reads one line of standard input.
pub fn line() -> Outcome<SecretString> {
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin().lock().take(INPUT_MAX_BYTES).read_line(&mut text);
    read.map_err(|error| Failure::error("cannot read standard input").because(error))?;
    Ok(SecretString::from(text.trim()))
}

/// Asks for a secret without showing it.
pub fn ask_secret(question: &str) -> Outcome<SecretString> {
    eprint!("{question} ");
    io::stderr().flush()?;
    let shown = Echo::off();
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin().lock().take(INPUT_MAX_BYTES).read_line(&mut text);
    drop(shown);
    eprintln!();
    read.map_err(|error| Failure::error("cannot read the token").because(error))?;
    Ok(SecretString::from(text.trim()))
}

/// The terminal shows what is typed again when this goes away.
struct Echo(Option<rustix::termios::Termios>);

impl Echo {
    fn off() -> Self {
        let Ok(before) = tcgetattr(io::stdin()) else { return Self(None) };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        match tcsetattr(io::stdin(), OptionalActions::Flush, &quiet) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // The terminal may be gone by now, and then nobody needs it back.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// One line at the bottom of a terminal that says what is under way; nothing where nobody looks.
pub struct Ticker {
    shown: Option<String>,
}

impl Ticker {
    /// Shows nothing yet.
    pub fn new() -> Self {
        Self { shown: io::stderr().is_terminal().then(String::new) }
    }

    /// Says it, in place of what was said before.
    pub fn show(&mut self, text: &str) {
        let Some(shown) = &mut self.shown else { return };
        if shown != text {
            text.clone_into(shown);
            // Whether the terminal takes it is of no importance to what is waited for.
            let _ = write!(io::stderr(), "\r\x1b[K{text}");
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.show("");
    }
}

/// Comes back when somebody asks the process to end.
pub async fn stop_signal() -> io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}
