//! Attempts to be paid: each checkout session is stored before the provider is asked for it (contract 3.3).

use crate::clock::Timestamp;
use crate::id::{AttemptId, OrderId};
use crate::money::Money;
use crate::payment::CheckoutSessionId;
use crate::quantity::Quantity;

/// Everything the provider is asked for when a session is opened. It is stored with the attempt, and a repeat
/// sends exactly this: same key, same parameters, same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutRequest {
    /// The attempt: the idempotency key, also sent as `metadata.attemptId`.
    pub attempt_id: AttemptId,
    /// The order: `client_reference_id` and `metadata.orderId`, on the session and on its payment intent.
    pub order_id: OrderId,
    /// Whom the provider may write to, and what its page fills in.
    pub customer_email: String,
    /// One line per order line, in their order.
    pub lines: Vec<CheckoutLine>,
    /// When the session shall end by itself; whole seconds.
    pub expires_at: Timestamp,
    /// Where the payer lands after paying.
    pub success_url: String,
    /// Where the payer lands after leaving.
    pub cancel_url: String,
}

/// One line of a checkout session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutLine {
    /// The product's name at the time of the order.
    pub name: String,
    /// The price of one unit at the time of the order.
    pub unit_price: Money,
    /// How many units.
    pub quantity: Quantity,
}

/// A session as the provider opened it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// The provider's id.
    pub id: CheckoutSessionId,
    /// Where the payer pays.
    pub url: String,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// One attempt to be paid for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id, and the idempotency key of the call.
    pub id: AttemptId,
    /// What the provider is asked for; `None` for a session that the shop did not ask for and learned of from
    /// the provider.
    pub request: Option<CheckoutRequest>,
    /// How far it came.
    pub state: AttemptState,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// How far an attempt came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptState {
    /// Stored; what the provider made of it is not known yet.
    Requested,
    /// The provider opened a session, which may be payable.
    Open(OpenSession),
    /// The payer is done, the money is on its way: a delayed payment (contract 3.9).
    Processing {
        /// The session.
        session_id: CheckoutSessionId,
        /// Until when the order waits for the money.
        until: Timestamp,
    },
    /// Nothing can be paid through it any more.
    Ended {
        /// The session, if there ever was one.
        session_id: Option<CheckoutSessionId>,
        /// How it ended.
        ending: Ending,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The provider refused to open a session.
    Refused,
    /// The session expired unpaid, by itself or because it was closed.
    Expired,
    /// The session's money arrived.
    Paid,
    /// The session's delayed payment failed.
    Failed,
}

impl Attempt {
    /// The provider's id of its session, where it is known.
    #[must_use]
    pub fn session_id(&self) -> Option<&CheckoutSessionId> {
        match &self.state {
            AttemptState::Requested => None,
            AttemptState::Open(session) => Some(&session.id),
            AttemptState::Processing { session_id, .. } => Some(session_id),
            AttemptState::Ended { session_id, .. } => session_id.as_ref(),
        }
    }

    /// Whether someone may still pay through it, as far as the shop knows. At most one attempt of an order is
    /// live at any time.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.state, AttemptState::Requested | AttemptState::Open(_))
    }
}
