//! How long records took, to the millisecond, in a fixed number of counters.

/// To the millisecond below this, and above it to 64 ms.
const FINE: usize = 1024;
const STEP: usize = 64;
const COARSE: usize = 1024;

/// A histogram.
#[derive(Clone, Debug)]
pub struct Latency {
    /// The last one counts all that took longer than a minute.
    counts: Box<[u64]>,
    total: u64,
}

impl Latency {
    /// Empty.
    pub fn new() -> Self {
        Self { counts: vec![0; FINE + COARSE].into_boxed_slice(), total: 0 }
    }

    /// A record took so long. (A clock that was set back gives a negative time; it counts as none.)
    pub fn add(&mut self, ms: i64) {
        let ms = usize::try_from(ms).unwrap_or(0);
        let index = if ms < FINE { ms } else { FINE + (ms - FINE) / STEP };
        self.counts[index.min(FINE + COARSE - 1)] += 1;
        self.total += 1;
    }

    /// What 99 of 100 records did not exceed, in milliseconds.
    pub fn p99(&self) -> Option<u64> {
        let rank = self.total - self.total / 100;
        let mut sum = 0;
        let index = self.counts.iter().position(|count| {
            sum += count;
            sum >= rank && sum > 0
        })?;
        let ms = if index < FINE { index } else { FINE + (index - FINE + 1) * STEP };
        Some(ms as u64)
    }

    /// Empties it, and gives what was in it.
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: impl IntoIterator<Item = i64>) -> Option<u64> {
        let mut latency = Latency::new();
        times.into_iter().for_each(|ms| latency.add(ms));
        latency.p99()
    }

    #[test]
    fn the_ninety_ninth_of_a_hundred() {
        assert_eq!(of([]), None);
        assert_eq!(of([7]), Some(7));
        assert_eq!(of(1..=100), Some(99));
        assert_eq!(of(1..=1000), Some(990));
        assert_eq!(of([-5, -5]), Some(0));
    }

    #[test]
    fn what_is_long_is_rounded_up_and_what_is_very_long_is_bounded() {
        assert_eq!(of([1024]), Some(1088));
        assert_eq!(of([5000]), Some(5056));
        assert_eq!(of([i64::MAX]), Some(66_560));
    }
}
