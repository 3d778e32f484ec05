//! An order with everything that belongs to it: what was bought, how it stands, its payment, its money.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::id::{AttemptId, OrderId, ProductId, UserId};
use crate::money::{Money, MoneyError};
use crate::order::{OrderState, OrderStatus};
use crate::payment::{Attempt, AttemptState, OpenSession, PaymentStatus, Receipt, ReceiptKind};
use crate::quantity::Quantity;
use crate::text::ShippingAddress;

/// An order. Lines, total and address are fixed when it is placed and never change after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub customer_id: UserId,
    /// What was bought, at the names and prices of that time.
    pub lines: Vec<OrderLine>,
    /// What it costs.
    pub total: Money,
    /// Where it goes.
    pub shipping_address: ShippingAddress,
    /// How it stands.
    pub state: OrderState,
    /// What an admin must look at before it is shipped.
    pub flags: BTreeSet<Flag>,
    /// How its payment stands.
    pub payment: PaymentStatus,
    /// The attempts to be paid, oldest first.
    pub attempts: Vec<Attempt>,
    /// The money that came in for it, oldest first.
    pub receipts: Vec<Receipt>,
    /// What happened to it, oldest first.
    pub history: Vec<HistoryEntry>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// Until when it may be paid: the end of the payment window.
    pub expires_at: Timestamp,
}

/// One product of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// Which product.
    pub product_id: ProductId,
    /// Its name when the order was placed.
    pub name: String,
    /// Its price when the order was placed.
    pub unit_price: Money,
    /// How many units.
    pub quantity: Quantity,
}

impl OrderLine {
    /// Price times quantity.
    pub fn total(&self) -> Result<Money, MoneyError> {
        self.unit_price.checked_mul(self.quantity.get())
    }
}

/// What an admin must look at before an order is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// Money of another sum or currency came in (contract 3.4).
    AmountMismatch,
    /// The payer's bank disputes the payment (contract 3.9).
    Disputed,
    /// The provider warns of fraud (contract 3.9).
    FraudWarning,
    /// Money that should have gone back did not (contract 3, "Payment").
    RefundFailed,
}

impl Flag {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AmountMismatch, Self::Disputed, Self::FraudWarning, Self::RefundFailed];

    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AmountMismatch => "AMOUNT_MISMATCH",
            Self::Disputed => "DISPUTED",
            Self::FraudWarning => "FRAUD_WARNING",
            Self::RefundFailed => "REFUND_FAILED",
        }
    }

    /// Reads the contract's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flag| flag.as_str() == word)
    }
}

/// One move of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The state before; `None` for the first entry.
    pub from: Option<OrderStatus>,
    /// The state after.
    pub to: OrderStatus,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Party,
    /// By which customer or admin, where it was one.
    pub actor_id: Option<UserId>,
    /// Why, where a reason is known.
    pub reason: Option<String>,
}

/// Who can move an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// Its customer.
    Customer,
    /// An admin.
    Admin,
    /// The shop itself.
    System,
    /// The payment provider.
    Provider,
}

impl Party {
    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "CUSTOMER",
            Self::Admin => "ADMIN",
            Self::System => "SYSTEM",
            Self::Provider => "PROVIDER",
        }
    }

    /// Reads the contract's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Customer, Self::Admin, Self::System, Self::Provider].into_iter().find(|party| party.as_str() == word)
    }
}

/// Whether an order can be paid now, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payability {
    /// It can.
    Payable,
    /// It is paid.
    Paid,
    /// It is cancelled, its window has passed, or it waits for a delayed payment.
    NotPayable,
}

impl Order {
    /// The name of its state.
    #[must_use]
    pub const fn status(&self) -> OrderStatus {
        self.state.status()
    }

    /// Whether it can be paid at `now` (contract 3.3, `order_not_payable`).
    #[must_use]
    pub fn payability(&self, now: Timestamp) -> Payability {
        match self.state {
            OrderState::Paid { .. } | OrderState::Shipped(_) | OrderState::Delivered { .. } => Payability::Paid,
            OrderState::Cancelled { .. } => Payability::NotPayable,
            OrderState::Pending if now >= self.expires_at || self.waits_until().is_some() => Payability::NotPayable,
            OrderState::Pending => Payability::Payable,
        }
    }

    /// Until when it waits for a delayed payment, if it does (contract 3.9).
    #[must_use]
    pub fn waits_until(&self) -> Option<Timestamp> {
        let waits = self.attempts.iter().filter_map(|attempt| match attempt.state {
            AttemptState::Processing { until, .. } => Some(until),
            AttemptState::Requested | AttemptState::Open(_) | AttemptState::Ended { .. } => None,
        });
        waits.max()
    }

    /// When it is cancelled for age if it is still unpaid then: at the end of its window, or of its wait for a
    /// delayed payment, whichever is later.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        self.waits_until().map_or(self.expires_at, |until| until.max(self.expires_at))
    }

    /// The session where it can be paid at `now`, if there is one.
    #[must_use]
    pub fn payable_session(&self, now: Timestamp) -> Option<&OpenSession> {
        if self.payability(now) != Payability::Payable {
            return None;
        }
        self.attempts.iter().find_map(|attempt| match &attempt.state {
            AttemptState::Open(session) if now < session.expires_at => Some(session),
            AttemptState::Open(_)
            | AttemptState::Requested
            | AttemptState::Processing { .. }
            | AttemptState::Ended { .. } => None,
        })
    }

    /// The attempt through which someone may still pay, as far as the shop knows.
    #[must_use]
    pub fn live_attempt(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.is_live())
    }

    /// An attempt of its own by id.
    #[must_use]
    pub fn attempt(&self, id: AttemptId) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }

    /// The receipt that is its payment.
    #[must_use]
    pub fn payment_receipt(&self) -> Option<&Receipt> {
        self.receipts.iter().find(|receipt| receipt.kind == ReceiptKind::Payment)
    }
}
