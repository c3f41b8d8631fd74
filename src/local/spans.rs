//! Which parts of a file are there: disjoint spans of bytes in order, joined where they touch.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spans(Vec<Range<u64>>);

impl Spans {
    /// Adds a span.
    pub fn add(&mut self, span: Range<u64>) {
        if span.is_empty() {
            return;
        }
        let first = self.0.partition_point(|there| there.end < span.start);
        let last = self.0.partition_point(|there| there.start <= span.end);
        let touched = &self.0[first..last];
        let start = touched.first().map_or(span.start, |there| there.start.min(span.start));
        let end = touched.last().map_or(span.end, |there| there.end.max(span.end));
        self.0.splice(first..last, [start..end]);
    }

    /// What is there, in order.
    pub fn all(&self) -> &[Range<u64>] {
        &self.0
    }

    /// Where the first missing byte is.
    pub fn frontier(&self) -> u64 {
        self.0.first().filter(|span| span.start == 0).map_or(0, |span| span.end)
    }

    /// Bytes that are there.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|span| span.end - span.start).sum()
    }

    /// What is missing up to `length`, in order.
    pub fn gaps(&self, length: u64) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = 0;
        for span in &self.0 {
            gaps.push(at..span.start.min(length));
            at = span.end;
        }
        gaps.push(at..length);
        gaps.retain(|gap| gap.start < gap.end);
        gaps
    }

    /// Whether this could have been written by [`Spans::add`] for a file of this length. What was read from a disk may be anything.
    pub fn is_sound(&self, length: u64) -> bool {
        let inside = self.0.iter().all(|span| span.start < span.end && span.end <= length);
        inside && self.0.windows(2).all(|pair| pair[0].end < pair[1].start)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_touches_is_one() {
        let mut spans = Spans::default();
        for span in [10..20, 30..40, 0..5, 20..30, 50..60, 7..7] {
            spans.add(span);
        }
        assert_eq!(spans.all(), [0..5, 10..40, 50..60]);
        assert_eq!((spans.frontier(), spans.bytes(), spans.gaps(70)), (5, 45, vec![5..10, 40..50, 60..70]));
        assert!(spans.is_sound(60) && !spans.is_sound(59) && !Spans(vec![0..5, 5..9]).is_sound(9));
    }

    proptest! {
        #[test]
        fn they_are_what_a_row_of_flags_would_be(added in proptest::collection::vec((0_u64..40, 0_u64..10), 0..20)) {
            let mut spans = Spans::default();
            let mut flags = [false; 60];
            for (start, length) in added {
                spans.add(start..start + length);
                flags[start as usize..(start + length) as usize].fill(true);
            }
            prop_assert!(spans.is_sound(60));
            for (at, flag) in flags.iter().enumerate() {
                let is_there = spans.all().iter().any(|span| span.contains(&(at as u64)));
                let is_missing = spans.gaps(60).iter().any(|gap| gap.contains(&(at as u64)));
                prop_assert_eq!((is_there, is_missing), (*flag, !*flag));
            }
        }
    }
}
