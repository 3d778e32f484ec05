//! Payment: attempts to be paid, money that came in, money that goes back, and what the provider says of them.

mod attempt;
#[allow(clippy::ref_option_ref, reason = "what mockall makes of an optional borrowed argument")]
mod event;
mod gateway;
mod provider_id;
mod receipt;
mod state;
mod stored_event;

pub use attempt::{Attempt, AttemptState, CheckoutLine, CheckoutRequest, Ending, OpenSession};
#[cfg(any(test, feature = "mocks"))]
pub use event::MockEventReader;
pub use event::{EventContent, EventReader, EventStatus, ProviderEvent, SessionNews, WebhookRejected};
#[cfg(any(test, feature = "mocks"))]
pub use gateway::MockPaymentGateway;
pub use gateway::{
    FoundSession, GatewayUnavailable, OpenSessionError, PaymentGateway, RefundOrder, RefundRefused, SessionLifetime,
    SessionPayment, SessionStanding, UndeliveredEvents,
};
pub use provider_id::{CheckoutSessionId, InvalidProviderId, PaymentIntentId, ProviderEventId, ProviderRefundId};
pub use receipt::{
    ExtraReason, ProviderRefund, Receipt, ReceiptKind, Refund, RefundNews, RefundOutcome, RefundRequest,
    RefundStanding, RefundStatus,
};
pub use state::{InvalidPaymentMove, PaymentStatus};
pub use stored_event::{EventFilter, EventPosition, EventWithPayload, StoredEvent};
