//! Applying an event again that could not be applied when it came (contract 3.10): after a defect was mended, or the
//! order's data was.

use crate::id::EventId;
use crate::order::OrderService;
use crate::order::service::count_event;
use crate::payment::{EventStatus, EventWithPayload};
use crate::store::StoreError;

/// Why an event was not tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayEventError {
    /// There is no such event.
    #[error("there is no such event")]
    NotFound,
    /// Only what failed is tried again: anything else had its effect, or will have it by itself.
    #[error("only an event that is FAILED can be replayed; this one is {}", from.as_str())]
    NotFailed {
        /// How it stands.
        from: EventStatus,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OrderService {
    /// Applies a failed event again; what must follow at the provider begins at once.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn replay_event(&self, id: EventId) -> Result<EventWithPayload, ReplayEventError> {
        let replayed = self.events.replay(id, self.hearing()).await?;
        let status = replayed.event.status.as_str();
        tracing::info!(event.id = %replayed.event.provider_id, status, "an event was replayed");
        count_event(status);
        self.errands.wake();
        Ok(replayed)
    }
}
