//! The figures of a run, in the form in which they are written as JSON. `docs/PERFORMANCE.md` says what each is; fields
//! are added, and never renamed.

use std::time::Duration;

use serde::Serialize;

use crate::load::{Errors, Latencies, float};
use crate::plan::{Kind, Plan};
use crate::targets::Verdict;

/// Everything of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) machine: Machine,
    pub(crate) plan: Plan,
    pub(crate) cells: Vec<Cell>,
    pub(crate) overload: Option<Overload>,
    pub(crate) baseline: Option<Baseline>,
    pub(crate) targets: Vec<Verdict>,
    /// Why cells are missing.
    pub(crate) failures: Vec<String>,
    pub(crate) took_seconds: f64,
}

/// What it was measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpus: usize,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) postgres: String,
}

/// One scenario at one number of connections.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) scenario: Kind,
    /// `None` where there are no customers' connections.
    pub(crate) connections: Option<usize>,
    pub(crate) units: u64,
    pub(crate) units_per_second: Spread,
    pub(crate) latency_ms: Option<Percentiles>,
    pub(crate) limit: Option<Limit>,
    /// How many times what pgbench does.
    pub(crate) times_limit: Option<f64>,
    pub(crate) one_call_per_second: Option<Spread>,
    pub(crate) app_cpu_ms_per_unit: f64,
    pub(crate) postgres_cpu_ms_per_unit: f64,
    /// That of the load generator alone, without the stand-in for Stripe.
    pub(crate) generator_cpu_ms_per_unit: f64,
    pub(crate) peak_rss_mib: f64,
    pub(crate) ready_after_ms: f64,
    pub(crate) errors: Errors,
}

/// What pgbench did of the same SQL work.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Limit {
    /// Of pgbench: where the app has more, the limit is that of the most that pgbench is run with.
    pub(crate) clients: usize,
    pub(crate) per_second: Spread,
    pub(crate) postgres_cpu_ms_per_unit: f64,
}

/// The median of the rounds, and the least and the greatest of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, greatest) = (*values.first()?, *values.last()?);
        let upper = values[values.len() / 2];
        let lower = values[(values.len() - 1) / 2];
        Some(Self { median: f64::midpoint(lower, upper), least, greatest })
    }
}

/// Of single units.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
}

impl Percentiles {
    pub(crate) fn of(latencies: &Latencies) -> Option<Self> {
        let sorted = latencies.sorted();
        Some(Self { p50: sorted.percentile_ms(50)?, p95: sorted.percentile_ms(95)?, p99: sorted.percentile_ms(99)? })
    }
}

/// More orders than the shop can take.
#[derive(Debug, Serialize)]
pub(crate) struct Overload {
    /// The most orders per second that were measured in a closed loop.
    pub(crate) peak_per_second: f64,
    pub(crate) offered_per_second: f64,
    /// Orders answered 201 while more came, per second.
    pub(crate) accepted_per_second: f64,
    pub(crate) accepted: u64,
    pub(crate) accepted_ms: Option<Percentiles>,
    /// 503 with `Retry-After`.
    pub(crate) refused: u64,
    pub(crate) refused_ms: Option<Percentiles>,
    /// Not sent, since all connections that the generator opens waited for answers.
    pub(crate) not_sent: u64,
    /// How long the last answer took after the last arrival.
    pub(crate) drained_after_ms: f64,
    pub(crate) peak_rss_mib: f64,
    pub(crate) errors: Errors,
}

/// A single idle order, compared with that of another binary.
#[derive(Debug, Serialize)]
pub(crate) struct Baseline {
    /// Median latency of each round.
    pub(crate) ours_ms: Spread,
    pub(crate) theirs_ms: Spread,
    pub(crate) errors: Errors,
}

/// `None` if it would be divided by nothing.
pub(crate) fn ratio(value: f64, by: f64) -> Option<f64> {
    (by > 0.0).then(|| value / by)
}

/// A share of a duration, in milliseconds.
pub(crate) fn ms_per_unit(spent: Duration, units: u64) -> f64 {
    ratio(spent.as_secs_f64() * 1_000.0, float(units)).unwrap_or_default()
}

/// Bytes in MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    float(bytes) / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)]

    use super::*;

    #[test]
    fn a_spread_has_the_median_of_its_rounds() {
        assert_eq!(Spread::of([30.0, 10.0, 20.0]), Some(Spread { median: 20.0, least: 10.0, greatest: 30.0 }));
        assert_eq!(Spread::of([4.0, 1.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of([7.0]).map(|spread| spread.median), Some(7.0));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        assert_eq!(ratio(3.0, 2.0), Some(1.5));
        assert_eq!(ratio(3.0, 0.0), None);
        assert_eq!(ms_per_unit(Duration::from_secs(1), 0), 0.0);
        assert_eq!(ms_per_unit(Duration::from_secs(1), 2_000), 0.5);
        assert_eq!(mebibytes(64 << 20), 64.0);
    }
}
