//! The simulator's clock: real time plus an offset that tests move, so that a day passes in no time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch by the machine's own clock. Signatures use it, so that shops accept them.
#[expect(clippy::disallowed_methods, reason = "the simulator is a world of its own: this is where its time comes from")]
pub(crate) fn wall_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Real time plus an offset. It governs `created`, expiry and the age of idempotency keys.
#[derive(Debug, Default)]
pub(crate) struct SimulatedClock {
    offset_seconds: AtomicI64,
}

impl SimulatedClock {
    pub(crate) fn now(&self) -> i64 {
        wall_seconds().saturating_add(self.offset_seconds.load(Ordering::SeqCst))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.offset_seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn reset(&self) {
        self.offset_seconds.store(0, Ordering::SeqCst);
    }
}
