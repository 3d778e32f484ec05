//! Time, identity and randomness as ports, so that rules are deterministic under test.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A moment in UTC. PostgreSQL keeps microseconds; a [`Clock`] gives no finer moments.
pub type Timestamp = DateTime<Utc>;

/// Tells the time.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
pub trait Clock: Send + Sync {
    /// The present moment, in whole microseconds.
    fn now(&self) -> Timestamp;
}

/// Mints identifiers.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
pub trait Ids: Send + Sync {
    /// A new UUIDv7: unique, and roughly ordered by time.
    fn next(&self) -> Uuid;
}
