//! What people see: harmless names, human sizes and times, tables that fit, plain text where nobody looks.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::failure::Failure;
use crate::tree::Wall;

/// The width that is assumed when the terminal does not tell.
const WIDTH_UNKNOWN: u16 = 80;

/// The name of something in the cloud or on disk, so that it cannot move the cursor, change colours or reverse the line.
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Control characters, what reverses or hides text, and what some terminals take for a line's end.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// A size in the units people know: `1.5 MiB`.
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// A number with its noun: `1 file`, `2 files`.
pub fn count(number: u64, noun: &str) -> String {
    let mut digits = number.to_string();
    let mut at = digits.len();
    while at > 3 {
        at -= 3;
        digits.insert(at, ',');
    }
    format!("{digits} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A span in its two largest units at most: `2 d 3 h`, `45 s`, `120 ms`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let pair = |first: u64, first_unit: &str, second: u64, second_unit: &str| {
        if second == 0 {
            format!("{first} {first_unit}")
        } else {
            format!("{first} {first_unit} {second} {second_unit}")
        }
    };
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3_600 => pair(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => pair(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// How long ago, or how soon.
pub fn age(moment: Wall, now: Wall) -> String {
    let ms = now.since(moment);
    let duration = Duration::from_millis(ms.unsigned_abs());
    match ms {
        -999..=999 => "now".to_owned(),
        1_000.. => format!("{} ago", span(duration)),
        _ => format!("in {}", span(duration)),
    }
}

/// A moment in this machine's time zone, to the second.
pub fn moment(wall: Wall) -> String {
    match Timestamp::from_millisecond(wall.0) {
        Ok(timestamp) => timestamp.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => format!("{} ms", wall.0),
    }
}

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
        if let Some(hint) = &failure.hint {
            self.remark(Tone::Strong, "hint", &harmless(hint));
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_cannot_act_on_the_terminal() {
        assert_eq!(harmless("plain 契約書 ü.txt"), "plain 契約書 ü.txt");
        assert_eq!(harmless("a\x1b[2J\r\nb\u{7}"), "a\\u{1b}[2J\\r\\nb\\u{7}");
        assert_eq!(harmless("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(harmless("invoice\u{202e}fdp.exe"), "invoice\\u{202e}fdp.exe");
        assert_eq!(harmless("a\u{2028}b\u{feff}"), "a\\u{2028}b\\u{feff}");
        assert_eq!(harmless("👩‍👩‍👧"), "👩‍👩‍👧", "joined pictures stay joined");
    }

    #[test]
    fn sizes_ages_and_counts_are_for_people() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(1_234_567, "file"), "1,234,567 files");
        assert_eq!(span(Duration::from_millis(120)), "120 ms");
        assert_eq!(span(Duration::from_mins(61)), "1 h 1 min");
        assert_eq!(span(Duration::from_hours(48)), "2 d");
        assert_eq!(age(Wall(0), Wall(65_000)), "1 min 5 s ago");
        assert_eq!(age(Wall(65_000), Wall(0)), "in 1 min 5 s");
        assert_eq!(age(Wall(0), Wall(i64::MIN)), age(Wall(0), Wall(i64::MIN)), "extremes do not overflow");
    }

    #[test]
    fn lists_are_cut() {
        let items: Vec<String> = ["a", "b\n", "c"].map(str::to_owned).into();
        assert_eq!(some_of(&items, 2), "a, b\\n and 1 more");
        assert_eq!(some_of(&items, 3), "a, b\\n, c");
    }

    proptest! {
        #[test]
        fn nothing_harmful_comes_through(text in any::<String>()) {
            prop_assert!(!harmless(&text).chars().any(is_harmful));
        }
    }
}
