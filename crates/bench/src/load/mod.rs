//! The load generator: frugal, since it shares two cores with what it measures. One thread, keep-alive connections,
//! requests as bytes; a head is parsed, a body is only looked at where a scenario needs something of it.

mod closed;
mod connection;
mod latencies;
mod open;

pub(crate) use closed::{Scenario, Unit, closed};
pub(crate) use connection::{Answer, Connection, Failure, Pool, text_field};
pub(crate) use latencies::Latencies;
pub(crate) use open::{Arrival, OpenWindow, open};

use std::collections::BTreeMap;
use std::time::Duration;

/// What came of a window of load.
#[derive(Debug, Default, Clone)]
pub(crate) struct Window {
    /// From its first request to its last answer.
    pub(crate) elapsed: Duration,
    /// How long each unit took that was done.
    pub(crate) latencies: Latencies,
    /// What went wrong, by what it was, and how often.
    pub(crate) errors: Errors,
}

/// Failures by their words.
pub(crate) type Errors = BTreeMap<String, u64>;

impl Window {
    /// Units done.
    pub(crate) fn units(&self) -> u64 {
        self.latencies.count()
    }

    /// Units per second.
    pub(crate) fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { float(self.units()) / seconds } else { 0.0 }
    }
}

/// Counts are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
