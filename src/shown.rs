//! How values are shown to people, on a terminal and on a page: harmless names, human sizes, times and counts.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use crate::tree::Wall;

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

/// Whether somebody is told by nothing but the provider's number.
pub fn is_number(person: &str) -> bool {
    !person.is_empty() && person.bytes().all(|byte| byte.is_ascii_digit())
}

/// A person as people read it: by name, or by the number that is all that the provider told.
pub fn person(person: &str) -> String {
    if is_number(person) { format!("user {person}") } else { harmless(person) }
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

/// How much a list covers that has whole directories among its items.
pub fn listed(items: u64, lines: u64) -> String {
    if items == lines {
        return count(items, "item");
    }
    format!("{}, listed as {}", count(items, "file"), count(lines, "item"))
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

    proptest! {
        #[test]
        fn nothing_harmful_comes_through(text in any::<String>()) {
            prop_assert!(!harmless(&text).chars().any(is_harmful));
        }
    }
}
