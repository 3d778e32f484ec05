//! The payment provider as the shop needs it.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::id::{OrderId, RefundRequestId};
use crate::money::Money;
use crate::payment::{
    CheckoutRequest, CheckoutSessionId, OpenSession, PaymentIntentId, ProviderEvent, ProviderEventId, ProviderRefund,
};

/// Where a checkout session stands, in the provider's own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionStanding {
    /// It can be paid.
    Open(OpenSession),
    /// It ended unpaid.
    Expired,
    /// It was paid.
    Paid(SessionPayment),
    /// The payer is done and a delayed payment is under way.
    Processing,
    /// The payer was done, but the delayed payment failed.
    Failed,
}

/// Money that arrived through a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPayment {
    /// What the receipt is kept by.
    pub intent: PaymentIntentId,
    /// How much, in which currency.
    pub amount: Money,
}

/// What the provider is asked for when money goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundOrder {
    /// The request: the idempotency key, also sent as `metadata.refundRequestId`.
    pub request_id: RefundRequestId,
    /// The order, as `metadata.orderId`.
    pub order_id: OrderId,
    /// The receipt.
    pub intent: PaymentIntentId,
    /// How much of it.
    pub amount: Money,
}

/// The provider gave no usable answer: nothing is known about the effect. The same call may be repeated.
#[derive(Debug, thiserror::Error)]
#[error("the payment provider could not be asked: {reason}")]
pub struct GatewayUnavailable {
    /// What happened, for the log: a time-out, a status, an open circuit.
    pub reason: String,
}

/// What came of asking for a session.
#[derive(Debug, thiserror::Error)]
pub enum OpenSessionError {
    /// Definite: there is no session under this attempt, and there will be none.
    #[error("the payment provider refused the checkout session: {reason}")]
    Refused {
        /// The provider's code and message, for the log.
        reason: String,
    },
    /// In doubt: there may be a session, or may be one later.
    #[error(transparent)]
    Unavailable(#[from] GatewayUnavailable),
}

/// What came of asking for a refund.
#[derive(Debug, thiserror::Error)]
pub enum RefundRefused {
    /// Definite: no refund was made under this request. What is left to refund may differ from what the shop
    /// believes: look before asking anew.
    #[error("the payment provider refused the refund: {reason}")]
    Refused {
        /// The provider's code and message, for the log.
        reason: String,
    },
    /// In doubt: the refund may have been made.
    #[error(transparent)]
    Unavailable(#[from] GatewayUnavailable),
}

/// The payment provider.
///
/// Every method MUST end within 10 seconds, with its retries, and MUST fail at once while the provider is known
/// to be down. No caller may hold a database connection while it waits.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait PaymentGateway: Send + Sync {
    /// Opens the session of an attempt. MUST be idempotent by the attempt: a repeat answers with the session of
    /// the first call, also if its answer was lost. A session found complete or expired is told as such.
    async fn open_session(&self, request: &CheckoutRequest) -> Result<FoundSession, OpenSessionError>;

    /// Asks where a session stands. A session that the provider does not know counts as expired.
    async fn session(&self, id: &CheckoutSessionId) -> Result<SessionStanding, GatewayUnavailable>;

    /// Closes a session if it is open, and MUST then answer with the provider's last word on it: never `Open`
    /// unless closing failed without a definite answer, and then as [`GatewayUnavailable`].
    async fn close_session(&self, id: &CheckoutSessionId) -> Result<SessionStanding, GatewayUnavailable>;

    /// Gives money back. MUST be idempotent by the request.
    async fn refund(&self, order: &RefundOrder) -> Result<ProviderRefund, RefundRefused>;

    /// All refunds of a receipt, whoever made them.
    async fn refunds(&self, intent: &PaymentIntentId) -> Result<Vec<ProviderRefund>, GatewayUnavailable>;

    /// One page of the events that happened by `until` and were not delivered, newest first: those of types that the
    /// shop acts on, as far back as the provider keeps them. `after` is the page before's
    /// [`next`](UndeliveredEvents::next).
    async fn undelivered_events(
        &self,
        until: Timestamp,
        after: Option<ProviderEventId>,
    ) -> Result<UndeliveredEvents, GatewayUnavailable>;
}

/// One page of the events that the provider could not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndeliveredEvents {
    /// The events, newest first. Those that no shop could read are left out.
    pub events: Vec<ProviderEvent>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<ProviderEventId>,
}

/// A session that was asked for: its id, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSession {
    /// The provider's id.
    pub id: CheckoutSessionId,
    /// Where it stands.
    pub standing: SessionStanding,
}

/// The least and the most time from its creation that a provider's session may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLifetime;

impl SessionLifetime {
    /// The provider accepts no less than 30 minutes (contract 3.3); a minute more covers slow calls and clocks
    /// that differ.
    pub const MIN_SECONDS: i64 = 31 * 60;

    /// When a session asked for at `now` shall end: with the order, or as soon after it as the provider allows.
    #[must_use]
    pub fn end(now: Timestamp, order_expires_at: Timestamp) -> Timestamp {
        let soonest = now + chrono::TimeDelta::seconds(Self::MIN_SECONDS);
        let end = order_expires_at.max(soonest);
        // Whole seconds, rounded up, so that a repeat sends the same number.
        let second = end.timestamp() + i64::from(end.timestamp_subsec_nanos() > 0);
        Timestamp::from_timestamp(second, 0).unwrap_or(end)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_timestamp_micros(micros).unwrap()
    }

    /// Contract 3.3: "expires as soon after the order's `expiresAt` as the provider allows".
    #[test]
    fn a_session_ends_with_its_order_or_31_minutes_from_now() {
        let minutes = |minutes| at(0) + TimeDelta::minutes(minutes);
        for (now, order_expires_at, end) in [(0, 30, 31), (0, 31, 31), (0, 32, 32), (29, 30, 60), (0, 1380, 1380)] {
            assert_eq!(SessionLifetime::end(minutes(now), minutes(order_expires_at)), minutes(end), "at minute {now}");
        }
    }

    #[test]
    fn a_session_ends_at_a_whole_second_and_never_earlier_than_it_should() {
        let minimum = TimeDelta::seconds(SessionLifetime::MIN_SECONDS);
        for (now, end) in [(0, 0), (1, 1_000_000), (999_999, 1_000_000), (1_000_000, 1_000_000)] {
            assert_eq!(SessionLifetime::end(at(now), at(now)), at(end) + minimum, "{now} µs");
        }
    }
}
