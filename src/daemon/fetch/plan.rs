//! Which stream fetches which bytes of a long download: claims in order, so that what comes is digested as it comes.

use std::ops::Range;

/// See the module.
#[derive(Debug)]
pub struct Plan {
    /// What nobody fetches, in order.
    free: Vec<Range<u64>>,
    /// The smallest and the largest claim.
    parts: Range<u64>,
}

impl Plan {
    /// What is missing, in order, and the smallest and the largest part that is worth a request.
    pub fn new(missing: Vec<Range<u64>>, parts: Range<u64>) -> Self {
        Self { free: missing, parts }
    }

    /// Bytes that nobody fetches.
    pub fn left(&self) -> u64 {
        self.free.iter().map(|gap| gap.end - gap.start).sum()
    }

    /// The next bytes for one of so many streams; nothing if all are claimed. Towards the end the claims become smaller, so that all
    /// streams end together.
    pub fn claim(&mut self, streams: u32) -> Option<Range<u64>> {
        let most = self.size(streams);
        self.take(0, most)
    }

    /// The bytes that follow, for the stream that is there already; nothing if they are another's.
    pub fn extend(&mut self, at: u64, streams: u32) -> Option<Range<u64>> {
        let index = self.free.iter().position(|gap| gap.start == at)?;
        let most = self.size(streams);
        self.take(index, most)
    }

    /// What was claimed is not fetched.
    pub fn give_back(&mut self, span: Range<u64>) {
        if span.is_empty() {
            return;
        }
        let index = self.free.partition_point(|gap| gap.start < span.start);
        self.free.insert(index, span);
        for index in [index + 1, index] {
            if index > 0 && index < self.free.len() && self.free[index - 1].end == self.free[index].start {
                self.free[index - 1].end = self.free.remove(index).end;
            }
        }
    }

    fn size(&self, streams: u32) -> u64 {
        (self.left() / u64::from(streams.max(1)) / 2).clamp(self.parts.start, self.parts.end)
    }

    fn take(&mut self, index: usize, most: u64) -> Option<Range<u64>> {
        let gap = self.free.get_mut(index)?;
        // A rest that is not worth a request of its own goes with it.
        let end = if gap.end - gap.start < most + self.parts.start / 2 { gap.end } else { gap.start + most };
        let claimed = gap.start..end;
        gap.start = end;
        if gap.is_empty() {
            self.free.remove(index);
        }
        Some(claimed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_follow_one_another_and_become_smaller() {
        let mut plan = Plan::new([0..1_000].into(), 10..100);
        let mut claims = Vec::new();
        while let Some(claim) = plan.claim(4) {
            claims.push(claim);
        }
        assert_eq!((claims[0].clone(), claims.last().unwrap().end), (0..100, 1_000));
        assert!(claims.windows(2).all(|pair| pair[0].end == pair[1].start));
        let sizes: Vec<u64> = claims.iter().map(|claim| claim.end - claim.start).collect();
        assert!(sizes.windows(2).all(|pair| pair[0] >= pair[1] || pair[1] < 15), "{sizes:?}");
    }

    #[test]
    fn what_is_given_back_is_fetched_by_another() {
        let mut plan = Plan::new([0..1_000].into(), 10..100);
        let (first, second, third) = (plan.claim(1).unwrap(), plan.claim(1).unwrap(), plan.claim(1).unwrap());
        plan.give_back(third);
        plan.give_back(first.start + 50..first.end);
        assert_eq!(plan.free, [50..100, 200..1_000]);
        assert_eq!(plan.extend(100, 1), None);
        assert_eq!(plan.extend(200, 1), Some(200..300));
        assert_eq!(plan.claim(1), Some(50..100));
        plan.give_back(second);
        plan.give_back(50..100);
        assert_eq!(plan.free, [50..200, 300..1_000]);
        assert_eq!(plan.left(), 850);
    }
}
