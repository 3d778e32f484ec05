//! The time, the ids and the threads of a running shop: the only place that asks the machine for them.

use std::num::NonZero;

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

/// How many threads serve HTTP: one for each processor, since a read from memory is done where it comes in.
#[must_use]
pub fn http_threads() -> usize {
    processors()
}

/// How many threads do the rest, such as talking to the database and the provider: one for two processors, at least
/// one. With more, they mostly take turns at the same work.
#[must_use]
pub fn background_threads() -> usize {
    (processors() / 2).max(1)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// 64 hexadecimal digits from the machine's random source, for secrets that last as long as the process.
#[expect(clippy::disallowed_methods, reason = "nothing is decided by it")]
pub(crate) fn random_hex() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}
