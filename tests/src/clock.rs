//! Time that tests move, forward or back: real time plus an offset, so that it still flows, in whole microseconds as
//! the port asks.

use std::sync::atomic::{AtomicI64, Ordering};

use app::system::SystemClock;
use chrono::TimeDelta;
use domain::clock::{Clock, Timestamp};

/// The machine's clock, set forward or back.
#[derive(Debug, Default)]
pub struct TestClock {
    ahead_seconds: AtomicI64,
}

impl TestClock {
    /// Sets it forward, or back by a negative number.
    pub fn advance(&self, seconds: i64) {
        self.ahead_seconds.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + TimeDelta::seconds(self.ahead_seconds.load(Ordering::SeqCst))
    }
}
