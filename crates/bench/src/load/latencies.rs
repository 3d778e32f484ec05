//! How long things took: every single one is kept, in microseconds, so that percentiles are exact.

use std::time::Duration;

/// Durations, and what is asked of them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    /// Keeps one; over 71 minutes counts as 71 minutes.
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// Keeps those of another.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// In ascending order.
    pub(crate) fn sorted(&self) -> Sorted {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        Sorted(sorted)
    }
}

/// Latencies in ascending order.
#[derive(Debug)]
pub(crate) struct Sorted(Vec<u32>);

impl Sorted {
    /// The smallest value that at least this share of all, in percent, does not exceed (nearest rank); in
    /// milliseconds. `None` if there are none.
    pub(crate) fn percentile_ms(&self, percent: usize) -> Option<f64> {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).map(|micros| f64::from(*micros) / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)]

    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        millis.into_iter().for_each(|ms| latencies.add(Duration::from_millis(ms)));
        latencies
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let sorted = of((1..=100).rev()).sorted();
        assert_eq!(sorted.percentile_ms(50), Some(50.0));
        assert_eq!(sorted.percentile_ms(95), Some(95.0));
        assert_eq!(sorted.percentile_ms(99), Some(99.0));
        assert_eq!(sorted.percentile_ms(100), Some(100.0));
    }

    #[test]
    fn of_few_values_a_high_percentile_is_the_greatest() {
        let sorted = of([7, 3, 5]).sorted();
        assert_eq!(sorted.percentile_ms(50), Some(5.0));
        assert_eq!(sorted.percentile_ms(99), Some(7.0));
        assert_eq!(of([4]).sorted().percentile_ms(1), Some(4.0));
    }

    #[test]
    fn of_nothing_there_is_no_percentile() {
        assert_eq!(Latencies::default().sorted().percentile_ms(50), None);
    }

    #[test]
    fn those_of_several_windows_count_together() {
        let mut all = of([1, 2]);
        all.extend(&of([3, 100]));
        assert_eq!((all.count(), all.sorted().percentile_ms(75)), (4, Some(3.0)));
    }
}
