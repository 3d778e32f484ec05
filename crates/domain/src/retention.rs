//! What the shop forgets, and when. Orders, money and stock are books, and stay; what only serves a running matter
//! (a login, a repeat of a request, an event that may come again) goes when that matter is long over.

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::{Clock, Timestamp};
use crate::store::StoreError;

/// A kind of record that is of no use after its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Perishable {
    /// Payloads of the provider's events: [`EVENT_PAYLOAD_DAYS`](Self::EVENT_PAYLOAD_DAYS) after they came. Those of
    /// events that are `WAITING` or `FAILED` stay until they are settled.
    EventPayloads,
    /// The provider's events themselves, by whose ids repeats are known:
    /// [`EVENT_DAYS`](Self::EVENT_DAYS) after they came, and not before they are settled.
    Events,
    /// Sessions, once they have expired, with their refresh tokens, spent or not.
    Sessions,
    /// Attempts to log in, to register and to change a password, of which the failed ones are counted:
    /// [`AUTH_ATTEMPT_HOURS`](Self::AUTH_ATTEMPT_HOURS) later.
    AuthAttempts,
    /// Addresses that an account has logged in from, once they count as strange again.
    KnownAddresses,
    /// Idempotency keys, once they count as unknown.
    IdempotencyKeys,
    /// Errands at the provider: [`FINISHED_TASK_DAYS`](Self::FINISHED_TASK_DAYS) after they were done.
    FinishedTasks,
}

impl Perishable {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::EventPayloads,
        Self::Events,
        Self::Sessions,
        Self::AuthAttempts,
        Self::KnownAddresses,
        Self::IdempotencyKeys,
        Self::FinishedTasks,
    ];

    /// How long payloads of settled events are kept, for whoever looks into a matter.
    pub const EVENT_PAYLOAD_DAYS: u32 = 30;
    /// How long settled events are kept: far longer than the provider sends one again (3 days), or shows it to whoever
    /// asks (30).
    pub const EVENT_DAYS: u32 = 90;
    /// How long attempts are kept: as long as the longest period that a limit may have.
    pub const AUTH_ATTEMPT_HOURS: u32 = 24;
    /// How long finished errands are kept; what came of them is in the order itself.
    pub const FINISHED_TASK_DAYS: u32 = 90;

    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventPayloads => "event_payloads",
            Self::Events => "events",
            Self::Sessions => "sessions",
            Self::AuthAttempts => "auth_attempts",
            Self::KnownAddresses => "known_addresses",
            Self::IdempotencyKeys => "idempotency_keys",
            Self::FinishedTasks => "finished_tasks",
        }
    }
}

/// Where what is old is forgotten.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait RetentionRepository: Send + Sync {
    /// Forgets a batch of what is old, the oldest first, and says how many records went: fewer than `limit` means that
    /// nothing is left but what others hold at the moment. A batch is about `limit` records, so that none holds locks
    /// for long. MUST forget nothing before its time, also while it is being renewed.
    ///
    /// Events and sessions are as old as the shop's clock says, `now`; the other kinds as the store's own says, by
    /// which they were written.
    async fn forget(&self, what: Perishable, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// Forgets what is old.
#[derive(Clone)]
pub struct Retention {
    /// Where it is.
    pub store: Arc<dyn RetentionRepository>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Retention {
    /// How many records go at once.
    pub const BATCH: u32 = 1000;

    /// Forgets one batch; `true` if more may be left.
    pub async fn forget_batch(&self, what: Perishable) -> Result<bool, StoreError> {
        let forgotten = self.store.forget(what, self.clock.now(), Self::BATCH).await?;
        metrics::counter!("ironcart_forgotten_total", "kind" => what.as_str()).increment(forgotten);
        Ok(forgotten >= u64::from(Self::BATCH))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use chrono::DateTime;

    use super::*;
    use crate::clock::MockClock;

    #[tokio::test]
    async fn a_full_batch_says_that_more_may_be_left() {
        for (forgotten, more) in [(0, false), (999, false), (1000, true), (1700, true)] {
            let (mut store, mut clock) = (MockRetentionRepository::new(), MockClock::new());
            let now = DateTime::UNIX_EPOCH;
            clock.expect_now().return_const(now);
            store
                .expect_forget()
                .withf(move |what, at, limit| *what == Perishable::Events && *at == now && *limit == 1000)
                .times(1)
                .returning(move |_, _, _| Ok(forgotten));
            let retention = Retention { store: Arc::new(store), clock: Arc::new(clock) };
            assert_eq!(retention.forget_batch(Perishable::Events).await.unwrap(), more, "{forgotten}");
        }
    }
}
