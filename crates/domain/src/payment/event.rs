//! The provider's events, translated: only what the shop acts on, each with the fields it needs.

use crate::clock::Timestamp;
use crate::id::{AttemptId, OrderId};
use crate::money::Money;
use crate::payment::{CheckoutSessionId, PaymentIntentId, ProviderEventId, ProviderRefund, SessionStanding};

/// A signed event, verified and translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderEvent {
    /// The provider's id: an event is applied once by it.
    pub id: ProviderEventId,
    /// The provider's name of the type, such as `checkout.session.completed`.
    pub kind: String,
    /// The event as it came, for the record: JSON text.
    pub payload: String,
    /// What it says.
    pub content: EventContent,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventContent {
    /// A session stands differently.
    Session(SessionNews),
    /// A refund stands differently.
    Refund(ProviderRefund),
    /// So much of a charge is refunded in all; refunds that the event itself lists are told, too.
    ChargeRefunded {
        /// The receipt.
        intent: PaymentIntentId,
        /// The total refunded of it.
        refunded: Money,
        /// The refunds it lists.
        refunds: Vec<ProviderRefund>,
    },
    /// The payer's bank disputes the payment.
    Disputed(PaymentIntentId),
    /// The provider warns of fraud.
    FraudWarning(PaymentIntentId),
    /// Of a type that the shop does not act on, or names nothing that could be the shop's.
    Ignored {
        /// Why.
        reason: String,
    },
    /// Of a type that the shop acts on, but a field that it needs is missing or unreadable: a repeat won't mend
    /// that (contract 3.10).
    Unreadable {
        /// Which field, and what was expected.
        reason: String,
    },
}

/// A session as an event tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionNews {
    /// The session.
    pub session_id: CheckoutSessionId,
    /// The order that it names, by `client_reference_id` or `metadata.orderId`.
    pub order_id: Option<OrderId>,
    /// The attempt that it names, by `metadata.attemptId`.
    pub attempt_id: Option<AttemptId>,
    /// How it stands. [`SessionStanding::Open`] does not come in events.
    pub standing: SessionStanding,
}

impl EventContent {
    /// The receipt that the event concerns; transactions that touch one receipt run one after the other.
    #[must_use]
    pub fn intent(&self) -> Option<&PaymentIntentId> {
        match self {
            Self::Session(SessionNews { standing: SessionStanding::Paid(payment), .. }) => Some(&payment.intent),
            Self::Refund(refund) => Some(&refund.intent),
            Self::ChargeRefunded { intent, .. } | Self::Disputed(intent) | Self::FraudWarning(intent) => Some(intent),
            Self::Session(_) | Self::Ignored { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// What became of an event (contract 2, `GET /admin/events`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventStatus {
    /// It had its effect.
    Applied,
    /// It is recorded and concerns nothing here.
    Ignored,
    /// It names a receipt that no order has yet; applied when one has.
    Waiting,
    /// It can't be applied as it is.
    Failed,
}

impl EventStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Applied, Self::Ignored, Self::Waiting, Self::Failed];

    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "APPLIED",
            Self::Ignored => "IGNORED",
            Self::Waiting => "WAITING",
            Self::Failed => "FAILED",
        }
    }

    /// Reads the contract's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// Why a delivery is no event of the provider's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRejected {
    /// The signature is missing, wrong, stale or unparsable. The body was not looked at.
    #[error("the webhook signature is invalid: {0}")]
    Signature(String),
    /// The signature is good, but the body is no JSON event.
    #[error("the webhook body is malformed: {0}")]
    Malformed(String),
}

/// Verifies and translates what arrives at the webhook.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
pub trait EventReader: Send + Sync {
    /// Verifies the signature over the raw bytes, and only then reads them. Lenient: a value that the shop does
    /// not need never makes an event fail. MUST run in constant time over the signature's bytes.
    fn read<'a>(
        &self,
        body: &'a [u8],
        signature: Option<&'a str>,
        now: Timestamp,
    ) -> Result<ProviderEvent, WebhookRejected>;

    /// Translates an event that was verified when it came, from its stored payload. Pure.
    fn translate(&self, payload: &str) -> Result<ProviderEvent, WebhookRejected>;
}
