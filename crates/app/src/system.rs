//! The time and the ids of a running shop: the only place that asks the machine for them.

use chrono::{DurationRound, TimeDelta, Utc};
use domain::clock::{Clock, Ids, Timestamp};
use uuid::Uuid;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others ask")]
    fn now(&self) -> Timestamp {
        let now = Utc::now();
        // PostgreSQL keeps microseconds; what is stored must equal what was decided.
        now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
    }
}

/// UUIDv7 from the machine's clock and random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "this is the source that all others ask")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// 64 hexadecimal digits from the machine's random source, for secrets that last as long as the process.
#[expect(clippy::disallowed_methods, reason = "nothing is decided by it")]
pub(crate) fn random_hex() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}
