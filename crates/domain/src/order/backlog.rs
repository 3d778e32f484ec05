//! What is left to do: the signs by which whoever runs the shop sees that its loops fall behind.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::store::StoreError;

/// What is left to do, over all instances, at one moment. Counts end at [`Backlog::MAX_COUNT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Unpaid orders whose window has passed and that nobody has swept yet.
    pub overdue_orders: u32,
    /// How long the oldest of them has been due.
    pub sweep_lag: Duration,
    /// Errands at the provider that are due.
    pub due_errands: u32,
    /// How long the oldest of them has been due.
    pub errand_lag: Duration,
    /// Unfinished errands that were tried [`Backlog::STUCK_AFTER_TRIES`] times and more: somebody must look.
    pub stuck_errands: u32,
    /// Refunds that are asked for, or that the provider has not finished.
    pub pending_refunds: u32,
    /// Orders whose refund failed: somebody must look.
    pub failed_refunds: u32,
    /// Events that wait for the payment that they speak of.
    pub waiting_events: u32,
    /// Events that could not be applied: somebody must look.
    pub failed_events: u32,
}

impl Backlog {
    /// More is not counted, so that asking stays cheap when much is left.
    pub const MAX_COUNT: u32 = 10_000;
    /// About 20 minutes of trying, by the growing pauses between tries.
    pub const STUCK_AFTER_TRIES: u32 = 12;
}

/// Where it is known what is left to do.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait BacklogRepository: Send + Sync {
    /// What is left to do at `now`. Errands go by the store's own clock.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError>;
}
