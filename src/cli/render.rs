//! What people see: harmless names, human sizes and times, tables that fit, plain text where nobody looks.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde::Serialize;

use super::failure::Failure;
pub use crate::shown::{age, count, harmless, moment, size, span};
use crate::tree::Wall;

/// The width that is assumed when the terminal does not tell.
const WIDTH_UNKNOWN: u16 = 80;

/// The wall clock.
pub fn now() -> Wall {
    Wall(Timestamp::now().as_millisecond())
}

/// Tones of voice. What they look like is decided here and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Look at this.
    Warning,
    /// This is wrong.
    Bad,
    /// A heading.
    Strong,
    /// Less important.
    Quiet,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
            Self::Strong => "1",
            Self::Quiet => "2",
        }
    }
}

/// Where a command writes to.
pub struct Screen {
    out: Box<dyn Write>,
    terminal: bool,
    colour: bool,
    colour_on_errors: bool,
}

impl Screen {
    /// Standard output and error, with colours only where a person looks and has not asked for none.
    pub fn standard() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let terminal = io::stdout().is_terminal();
        Self {
            out: Box::new(io::stdout()),
            terminal,
            colour: terminal && wanted,
            colour_on_errors: io::stderr().is_terminal() && wanted,
        }
    }

    /// Whether a person looks at the output.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Text in a tone, where there are colours.
    pub fn tint(&self, tone: Tone, text: impl fmt::Display) -> String {
        tinted(self.colour, tone, text)
    }

    /// One line.
    pub fn line(&mut self, text: impl fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// A document for programs: one line of JSON.
    pub fn json(&mut self, document: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(document).map_err(io::Error::other)?;
        text.push(b'\n');
        self.out.write_all(&text)?;
        self.out.flush()
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// A table: fitted to the terminal, or one row a line where nobody looks. Nothing if there are no rows.
    pub fn table<const N: usize>(
        &mut self,
        header: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(header);
        if self.terminal {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width());
        }
        for row in rows {
            table.add_row(row.map(|cell| harmless(&cell)));
        }
        if table.is_empty() {
            return Ok(());
        }
        let first_padding = table.column_mut(0);
        if let Some(column) = first_padding {
            column.set_padding((0, 1));
        }
        let colour = self.colour;
        for (index, line) in table.trim_fmt().lines().enumerate() {
            let heading = index == 0;
            writeln!(self.out, "{}", tinted(colour && heading, Tone::Strong, line))?;
        }
        Ok(())
    }

    /// Clears the terminal before the next picture of something that is watched.
    pub fn clear(&mut self) -> io::Result<()> {
        if self.terminal {
            self.out.write_all(b"\x1b[H\x1b[2J")?;
        }
        Ok(())
    }

    /// Lets everything out.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// A remark that is not part of the output.
    pub fn remark(&self, tone: Tone, label: &str, text: &str) {
        eprintln!("{} {text}", tinted(self.colour_on_errors, tone, format_args!("{label}:")));
    }

    /// A failure: what, cause, next step.
    pub fn failure(&self, failure: &Failure) {
        self.remark(Tone::Bad, "error", &harmless(&failure.what));
        for cause in &failure.causes {
            self.remark(Tone::Quiet, "cause", &harmless(cause));
        }
        if let Some(step) = failure.next_step() {
            self.remark(Tone::Strong, "hint", &harmless(&step));
        }
    }
}

fn tinted(colour: bool, tone: Tone, text: impl fmt::Display) -> String {
    if colour { format!("\x1b[{}m{text}\x1b[0m", tone.code()) } else { text.to_string() }
}

fn width() -> u16 {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => size.ws_col,
        _ => WIDTH_UNKNOWN,
    }
}

/// Items as a sentence lists them, cut after a few.
pub fn some_of(items: &[String], most: usize) -> String {
    let mut text = String::new();
    for (index, item) in items.iter().take(most).enumerate() {
        let _ = write!(text, "{}{}", if index == 0 { "" } else { ", " }, harmless(item));
    }
    if items.len() > most {
        let _ = write!(text, " and {} more", items.len() - most);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut() {
        let items: Vec<String> = ["a", "b\n", "c"].map(str::to_owned).into();
        assert_eq!(some_of(&items, 2), "a, b\\n and 1 more");
        assert_eq!(some_of(&items, 3), "a, b\\n, c");
    }
}
