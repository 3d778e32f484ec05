//! How much disk and time a size needs, from what is known before and what the smaller sizes took.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::{Grown, Size};
use crate::error::{During as _, Step, StepFailed};
use crate::load::float;

/// Measured on two cores of 2026 with one SSD, when this was written.
const BYTES_PER_ORDER: f64 = 3_100.0;
const ORDERS_PER_SECOND: f64 = 30_000.0;
/// What measuring takes, whatever the size.
const MEASURING: Duration = Duration::from_mins(3);
/// While indexes are made, their sorted parts and the log lie on disk as well.
const PEAK: f64 = 1.1;
/// The log, and the server's own databases.
const BESIDE_BYTES: f64 = 5.0 * 1_073_741_824.0;
/// Below this a size says little of others: most of it is fixed.
const TELLING_ORDERS: u64 = 100_000;

/// What orders take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    bytes_per_order: f64,
    orders_per_second: f64,
}

/// What a size takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    pub(super) bytes: u64,
    /// At the worst moment.
    pub(super) peak_bytes: u64,
    pub(super) time: Duration,
}

impl Known {
    /// Before anything was measured.
    pub(super) const fn before() -> Self {
        Self { bytes_per_order: BYTES_PER_ORDER, orders_per_second: ORDERS_PER_SECOND }
    }

    /// From what one size took.
    pub(super) fn learn(&mut self, grown: &Grown) {
        if grown.size.orders >= TELLING_ORDERS {
            let orders = float(grown.size.orders);
            self.bytes_per_order = float(grown.bytes) / orders;
            self.orders_per_second = orders / (grown.rows_seconds + grown.indexes_seconds + grown.check_stock_seconds);
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole bytes of a positive number")]
    pub(super) fn estimate(&self, size: Size) -> Estimate {
        let bytes = float(size.orders) * self.bytes_per_order;
        let filling = Duration::from_secs_f64(float(size.orders) / self.orders_per_second);
        Estimate { bytes: bytes as u64, peak_bytes: (bytes * PEAK + BESIDE_BYTES) as u64, time: filling + MEASURING }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, peak) = (gibibytes(self.bytes), gibibytes(self.peak_bytes));
        write!(f, "some {bytes} ({peak} at the worst moment), some {} minutes", self.time.as_secs().div_ceil(60))
    }
}

/// In words.
pub(super) fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", float(bytes) / 1_073_741_824.0)
}

/// What is free where this folder is, in bytes.
pub(super) async fn free(folder: &Path) -> Step<u64> {
    let step = "asking for the free space";
    let told = Command::new("df").arg("-Pk").arg(folder).output().await.during(step)?;
    let told = String::from_utf8_lossy(&told.stdout);
    let kibibytes = told.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    kibibytes.map(|free| free * 1_024).ok_or_else(|| StepFailed::new(step, format!("df says {told:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_known_better_than_before() {
        let mut known = Known::before();
        let grown = |orders: u64, bytes: u64| Grown {
            size: Size::of(orders),
            bytes,
            rows_seconds: 6.0,
            indexes_seconds: 3.0,
            check_stock_seconds: 1.0,
            measures: Vec::new(),
        };
        known.learn(&grown(10_000, 1_000_000_000));
        assert_eq!(known.estimate(Size::of(1_000_000)).bytes, 3_100_000_000);
        known.learn(&grown(1_000_000, 2_000_000_000));
        let estimate = known.estimate(Size::of(10_000_000));
        assert_eq!((estimate.bytes, estimate.time), (20_000_000_000, Duration::from_secs(280)));
    }
}
