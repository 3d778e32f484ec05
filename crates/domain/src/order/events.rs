//! Where the provider's events are kept, and the use cases of admins who look after them (contract 2 and 3.10).

use async_trait::async_trait;

use crate::id::EventId;
use crate::order::{Hearing, OrderService, ReplayEventError};
use crate::page::{Page, PageLimit};
use crate::payment::{EventFilter, EventPosition, EventWithPayload, StoredEvent};
use crate::store::StoreError;

/// Where the provider's events are kept. [`OrderRepository::receive`](crate::order::OrderRepository::receive) brings
/// them in, in the transaction of their effect.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait EventRepository: Send + Sync {
    /// Events, newest first.
    async fn list(
        &self,
        filter: &EventFilter,
        after: Option<EventPosition>,
        limit: PageLimit,
    ) -> Result<Page<StoredEvent, EventPosition>, StoreError>;

    /// One event with its payload.
    async fn find(&self, id: EventId) -> Result<Option<EventWithPayload>, StoreError>;

    /// Applies a `FAILED` event again, in one transaction under its lock: MUST have one effect however many replays
    /// run at once. Gives the event as it is after the try; one that fails again keeps the new reason.
    async fn replay(&self, id: EventId, hearing: Hearing) -> Result<EventWithPayload, ReplayEventError>;
}

impl OrderService {
    /// The provider's events, newest first.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_events(
        &self,
        filter: &EventFilter,
        after: Option<EventPosition>,
        limit: PageLimit,
    ) -> Result<Page<StoredEvent, EventPosition>, StoreError> {
        self.events.list(filter, after, limit).await
    }

    /// One of the provider's events.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_event(&self, id: EventId) -> Result<Option<EventWithPayload>, StoreError> {
        self.events.find(id).await
    }
}
