//! The provider's events as the shop keeps them, for admins to look at (contract 2, `GET /admin/events`).

use crate::clock::Timestamp;
use crate::id::{EventId, OrderId};
use crate::payment::{EventStatus, ProviderEventId};

/// An event as it is kept, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The shop's own id.
    pub id: EventId,
    /// The provider's id.
    pub provider_id: ProviderEventId,
    /// The provider's name of the type, such as `checkout.session.completed`.
    pub kind: String,
    /// What became of it.
    pub status: EventStatus,
    /// Why it is ignored or failed.
    pub reason: Option<String>,
    /// The order that it was applied to.
    pub order_id: Option<OrderId>,
    /// When it came for the first time.
    pub received_at: Timestamp,
    /// When it had its effect.
    pub applied_at: Option<Timestamp>,
}

/// An event with its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventWithPayload {
    /// The event.
    pub event: StoredEvent,
    /// The event as it came: JSON text. `None` once it is old and settled.
    pub payload: Option<String>,
}

/// Which events a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Only those of this fate.
    pub status: Option<EventStatus>,
    /// Only those of this type.
    pub kind: Option<String>,
    /// Only those that were applied to this order.
    pub order_id: Option<OrderId>,
}

/// A position in a list of events, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPosition {
    /// When the event came.
    pub received_at: Timestamp,
    /// Its id, which decides between events of one moment.
    pub id: EventId,
}
