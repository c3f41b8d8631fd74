//! Limits by the clock: rates from times of the day on, and spans of the day in which what can wait does.

use std::fmt;

use crate::tree::Wall;

/// Minutes of a day.
const DAY: u16 = 24 * 60;
const MINUTE_MS: i64 = 60_000;

/// A minute of the day, from midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Minute(u16);

impl Minute {
    /// Of this hour and minute, if there are such.
    pub fn new(hour: u16, minute: u16) -> Option<Self> {
        (hour < 24 && minute < 60).then_some(Self(hour * 60 + minute))
    }

    /// Reads `08:00`, also `8:00`; `24:00` is midnight.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "24:00" {
            return Some(Self(0));
        }
        let (hour, minute) = text.split_once(':')?;
        let digits = |text: &str, most: usize| {
            !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit())
        };
        if !digits(hour, 2) || minute.len() != 2 || !digits(minute, 2) {
            return None;
        }
        Self::new(hour.parse().ok()?, minute.parse().ok()?)
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Bytes per second, by the time of the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rates(Vec<(Minute, Option<u64>)>);

impl Rates {
    /// One rate all day; nothing is no limit.
    pub fn always(rate: Option<u64>) -> Self {
        Self(vec![(Minute(0), rate)])
    }

    /// Rates from times on; the last one goes over midnight. Nothing if there is none, or two begin together.
    pub fn new(mut steps: Vec<(Minute, Option<u64>)>) -> Option<Self> {
        steps.sort_unstable_by_key(|(from, _)| *from);
        let twice = steps.windows(2).any(|pair| pair[0].0 == pair[1].0);
        (!steps.is_empty() && !twice).then_some(Self(steps))
    }

    /// The rate at a minute of the day; nothing is no limit.
    pub fn at(&self, minute: Minute) -> Option<u64> {
        let step = self.0.iter().rfind(|(from, _)| *from <= minute).or(self.0.last());
        step.and_then(|(_, rate)| *rate)
    }

    /// Whether the time of the day makes no difference.
    pub fn is_constant(&self) -> bool {
        self.0.iter().all(|(_, rate)| *rate == self.0[0].1)
    }
}

/// As the configuration file writes it.
impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |rate: Option<u64>| rate.map_or_else(|| "off".to_owned(), |rate| format!("{rate} B"));
        if let [(_, only)] = self.0.as_slice() {
            return f.write_str(&rate(*only));
        }
        let steps: Vec<String> = self.0.iter().map(|(from, step)| format!("{from} {}", rate(*step))).collect();
        f.write_str(&steps.join(", "))
    }
}

/// Spans of the day in which what can wait does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    spans: Vec<(Minute, Minute)>,
    /// What the machine's clock is ahead of UTC, in minutes. It is a fact and no wish, and may change with the season.
    pub ahead: i32,
}

impl Quiet {
    /// These spans; nothing if there is none, or one has no length.
    pub fn new(spans: Vec<(Minute, Minute)>) -> Option<Self> {
        (!spans.is_empty() && spans.iter().all(|(from, to)| from != to)).then_some(Self { spans, ahead: 0 })
    }

    /// How long it stays quiet, in milliseconds; nothing if it is not.
    pub fn left_ms(&self, now: Wall) -> Option<i64> {
        let day = i64::from(DAY) * MINUTE_MS;
        let here = (now.0 + i64::from(self.ahead) * MINUTE_MS).rem_euclid(day);
        let left = self.spans.iter().filter_map(|(from, to)| {
            let (from, to) = (i64::from(from.0) * MINUTE_MS, i64::from(to.0) * MINUTE_MS);
            let inside = if from < to { (from..to).contains(&here) } else { here >= from || here < to };
            inside.then(|| (to - here).rem_euclid(day))
        });
        left.max()
    }
}

/// As the configuration file writes it.
impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spans: Vec<String> = self.spans.iter().map(|(from, to)| format!("{from}-{to}")).collect();
        f.write_str(&spans.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Minute {
        Minute::parse(text).unwrap()
    }

    #[test]
    fn times_of_the_day_are_read_strictly() {
        assert_eq!((at("08:00"), at("8:00"), at("24:00")), (Minute(480), Minute(480), Minute(0)));
        for wrong in ["", "8", "24:01", "08:60", "008:00", "08:0", "-1:00", "08:00:00", "+8:00"] {
            assert_eq!(Minute::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_last_rate_goes_over_midnight() {
        let rates = Rates::new(vec![(at("19:00"), None), (at("08:00"), Some(2_000_000))]).unwrap();
        assert_eq!(rates.at(at("07:59")), None);
        assert_eq!(rates.at(at("08:00")), Some(2_000_000));
        assert_eq!(rates.at(at("18:59")), Some(2_000_000));
        assert_eq!(rates.at(at("23:00")), None);
        assert_eq!(rates.to_string(), "08:00 2000000 B, 19:00 off");
        assert_eq!(Rates::new(vec![(at("08:00"), None), (at("08:00"), Some(1))]), None);
        assert!(Rates::always(Some(5)).is_constant() && !rates.is_constant());
    }

    #[test]
    fn quiet_is_by_the_machines_own_clock_and_may_go_over_midnight() {
        let hour = |hour: i64| Wall(hour * 3_600_000);
        let mut day = Quiet::new(vec![(at("08:00"), at("18:00"))]).unwrap();
        assert_eq!((day.left_ms(hour(7)), day.left_ms(hour(8)), day.left_ms(hour(18))), (None, Some(36_000_000), None));
        day.ahead = 120;
        assert_eq!((day.left_ms(hour(6)), day.left_ms(hour(16))), (Some(36_000_000), None));
        let night = Quiet::new(vec![(at("22:00"), at("06:00"))]).unwrap();
        assert_eq!((night.left_ms(hour(23)), night.left_ms(hour(5))), (Some(25_200_000), Some(3_600_000)));
        assert_eq!(night.left_ms(hour(12)), None);
        assert_eq!(Quiet::new(vec![(at("08:00"), at("08:00"))]), None);
    }
}
