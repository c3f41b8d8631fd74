//! The rate limit of one user: a bucket that fills steadily and empties by one with each call.

use std::time::{Duration, Instant};

/// Calls that may still be made now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    calls: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(per_minute: u32, now: Instant) -> Self {
        Self { calls: f64::from(per_minute), at: now }
    }

    /// Takes one call, or says how long there is none.
    pub fn take(&mut self, per_minute: u32, now: Instant) -> Result<(), Duration> {
        let per_second = f64::from(per_minute) / 60.0;
        let gained = now.duration_since(self.at).as_secs_f64() * per_second;
        self.calls = (self.calls + gained).min(f64::from(per_minute));
        self.at = now;
        if self.calls < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.calls) / per_second));
        }
        self.calls -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let start = Instant::now();
        let mut bucket = Bucket::new(60, start);
        for _ in 0..60 {
            bucket.take(60, start).unwrap();
        }
        assert_eq!(bucket.take(60, start), Err(Duration::from_secs(1)));
        let later = start + Duration::from_secs(2);
        assert_eq!((bucket.take(60, later), bucket.take(60, later)), (Ok(()), Ok(())));
        assert!(bucket.take(60, later).is_err());
    }
}
