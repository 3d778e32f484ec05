//! Money that came in, receipt by receipt, and what of it went back (contract 3.4 and 3.6).

use std::cmp::Ordering;

use crate::clock::Timestamp;
use crate::id::RefundRequestId;
use crate::money::Money;
use crate::payment::{PaymentIntentId, ProviderRefundId};

/// One payment intent's money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What it is kept by.
    pub intent: PaymentIntentId,
    /// How much came in.
    pub amount: Money,
    /// The order's payment, or extra money that goes back.
    pub kind: ReceiptKind,
    /// When the shop learned of it.
    pub received_at: Timestamp,
    /// The provider's refunds of it, whoever made them, in the order in which the shop learned of them.
    pub refunds: Vec<Refund>,
    /// The shop's own requests to refund it, oldest first. At most one is open.
    pub requests: Vec<RefundRequest>,
    /// The greatest total, in minor units, that the provider said was refunded of its charge. It covers refunds
    /// of which no event of their own has come yet.
    pub charge_refunded_minor: i64,
}

/// Whether a receipt pays its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptKind {
    /// It is its order's payment.
    Payment,
    /// It is not, and is refunded by itself.
    Extra(ExtraReason),
}

/// Why a receipt is not its order's payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraReason {
    /// It came after the order was cancelled.
    Late,
    /// The order was paid already.
    Second,
    /// Its amount or currency is not the order's.
    Mismatch,
}

impl ExtraReason {
    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Late => "LATE",
            Self::Second => "SECOND",
            Self::Mismatch => "MISMATCH",
        }
    }
}

/// How a refund stands. A refund only moves forward, in this order (contract 3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundStatus {
    /// On its way.
    Pending,
    /// The provider needs something more of the payer.
    RequiresAction,
    /// Given back.
    Succeeded,
    /// Not given back, perhaps after it had succeeded.
    Failed,
    /// Called off.
    Canceled,
}

impl RefundStatus {
    /// The provider's own word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Reads the provider's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::RequiresAction, Self::Succeeded, Self::Failed, Self::Canceled]
            .into_iter()
            .find(|status| status.as_str() == word)
    }

    /// Whether the money stays with the shop after all.
    #[must_use]
    pub const fn is_undone(self) -> bool {
        matches!(self, Self::Failed | Self::Canceled)
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::RequiresAction => 1,
            Self::Succeeded => 2,
            Self::Failed | Self::Canceled => 3,
        }
    }
}

/// A refund as the provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRefund {
    /// The provider's id.
    pub id: ProviderRefundId,
    /// The receipt it is of.
    pub intent: PaymentIntentId,
    /// How much of it.
    pub amount: Money,
    /// How it stands.
    pub status: RefundStatus,
    /// The shop's request that it answers, if the provider names one.
    pub request_id: Option<RefundRequestId>,
}

/// A refund of a receipt, as the shop keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The provider's id.
    pub id: ProviderRefundId,
    /// How much, in minor units of the receipt's currency.
    pub amount_minor: i64,
    /// How it stands.
    pub status: RefundStatus,
}

/// The shop's own request to give money back: a durable task until the provider's answer is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    /// The idempotency key.
    pub id: RefundRequestId,
    /// How much, in minor units of the receipt's currency.
    pub amount_minor: i64,
    /// What came of it.
    pub outcome: RefundOutcome,
}

/// What came of a refund request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundOutcome {
    /// No definite answer yet.
    Open,
    /// The provider made a refund of it, which is kept on its own.
    Answered,
    /// The provider refused, and nothing was refunded by it.
    Refused,
}

/// How much of a receipt went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundStanding {
    /// Nothing.
    None,
    /// A part of it, made by hand at the provider.
    Partial,
    /// All that is left is on its way.
    Pending,
    /// All of it.
    Full,
    /// Some that should have gone back did not.
    Failed,
}

/// Whether a refund's news moved it into failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundNews {
    /// It went on, or nothing changed.
    Progress,
    /// It failed or was called off just now.
    Undone,
}

impl Receipt {
    /// Money that just came in.
    #[must_use]
    pub fn new(intent: PaymentIntentId, amount: Money, kind: ReceiptKind, received_at: Timestamp) -> Self {
        Self { intent, amount, kind, received_at, refunds: vec![], requests: vec![], charge_refunded_minor: 0 }
    }

    /// The sum of the refunds that neither failed nor were called off, in minor units (contract 3.6).
    #[must_use]
    pub fn refunded_minor(&self) -> i64 {
        let sum = |refunds: &mut dyn Iterator<Item = &Refund>| {
            refunds.fold(0_i64, |sum, refund| sum.saturating_add(refund.amount_minor))
        };
        let standing = sum(&mut self.refunds.iter().filter(|refund| !refund.status.is_undone()));
        // What the charge says beyond every refund known by its own id; a failed one was in that total, too.
        let unnamed = self.charge_refunded_minor.saturating_sub(sum(&mut self.refunds.iter())).max(0);
        standing.saturating_add(unnamed)
    }

    /// What has not gone back and is not on its way, in minor units.
    #[must_use]
    pub fn left_minor(&self) -> i64 {
        self.amount.amount_minor().saturating_sub(self.refunded_minor()).max(0)
    }

    /// Whether the shop waits for the provider's answer to a request of its own.
    #[must_use]
    pub fn has_open_request(&self) -> bool {
        self.requests.iter().any(|request| request.outcome == RefundOutcome::Open)
    }

    /// How much of it went back.
    #[must_use]
    pub fn standing(&self) -> RefundStanding {
        let on_its_way =
            |refund: &Refund| matches!(refund.status, RefundStatus::Pending | RefundStatus::RequiresAction);
        if self.has_open_request() {
            return RefundStanding::Pending;
        }
        if self.left_minor() == 0 {
            return if self.refunds.iter().any(on_its_way) { RefundStanding::Pending } else { RefundStanding::Full };
        }
        let refused = self.requests.last().is_some_and(|request| request.outcome == RefundOutcome::Refused);
        if refused || self.refunds.iter().any(|refund| refund.status.is_undone()) {
            return RefundStanding::Failed;
        }
        if self.refunded_minor() > 0 { RefundStanding::Partial } else { RefundStanding::None }
    }

    /// The provider's word on an extra receipt's refund, for `extraReceipts.refundStatus`. The same for the same
    /// refunds, in whatever order they were heard of: the least advanced of those that give all of it back, else
    /// the failure that left something here.
    #[must_use]
    pub fn refund_word(&self) -> RefundStatus {
        let (undone, standing): (Vec<_>, Vec<_>) =
            self.refunds.iter().map(|refund| refund.status).partition(|status| status.is_undone());
        match self.standing() {
            RefundStanding::None | RefundStanding::Partial => RefundStatus::Pending,
            RefundStanding::Pending | RefundStanding::Full => {
                let open = self.has_open_request().then_some(RefundStatus::Pending);
                standing.into_iter().chain(open).min_by_key(|s| s.rank()).unwrap_or(RefundStatus::Succeeded)
            }
            RefundStanding::Failed => {
                let all_canceled = !undone.is_empty() && undone.iter().all(|s| *s == RefundStatus::Canceled);
                if all_canceled { RefundStatus::Canceled } else { RefundStatus::Failed }
            }
        }
    }

    /// Asks for what is left under a new key, if something is left and no request is open.
    pub fn request_refund(&mut self, id: RefundRequestId) -> Option<RefundRequestId> {
        let amount_minor = self.left_minor();
        if amount_minor == 0 || self.has_open_request() {
            return None;
        }
        self.requests.push(RefundRequest { id, amount_minor, outcome: RefundOutcome::Open });
        Some(id)
    }

    /// Keeps a refund's news: forward moves only, and the request that it answers is answered.
    pub fn keep(&mut self, news: &ProviderRefund) -> RefundNews {
        if let Some(request) = self.requests.iter_mut().find(|request| news.request_id == Some(request.id)) {
            request.outcome = RefundOutcome::Answered;
        }
        let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == news.id) else {
            let amount_minor = news.amount.amount_minor();
            self.refunds.push(Refund { id: news.id.clone(), amount_minor, status: news.status });
            return if news.status.is_undone() { RefundNews::Undone } else { RefundNews::Progress };
        };
        if news.status.rank().cmp(&refund.status.rank()) != Ordering::Greater {
            return RefundNews::Progress;
        }
        refund.status = news.status;
        if news.status.is_undone() { RefundNews::Undone } else { RefundNews::Progress }
    }
}
