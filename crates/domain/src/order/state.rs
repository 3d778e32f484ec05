//! How an order stands (contract 3, "Order"): the states carry what is known in them, moves consume the old
//! state, and there are no others.

use crate::clock::Timestamp;
use crate::text::{CancelReason, TrackingNumber};

/// The name of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// Waits for its payment; its stock is held.
    Pending,
    /// Paid.
    Paid,
    /// On its way to the customer.
    Shipped,
    /// With the customer.
    Delivered,
    /// Called off; its stock went back.
    Cancelled,
}

impl OrderStatus {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Paid, Self::Shipped, Self::Delivered, Self::Cancelled];

    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Paid => "PAID",
            Self::Shipped => "SHIPPED",
            Self::Delivered => "DELIVERED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Reads the contract's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A move that the rules don't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order can't move from {} to {}", .from.as_str(), .to.as_str())]
pub struct InvalidTransition {
    /// Where the order stands.
    pub from: OrderStatus,
    /// Where it was meant to go.
    pub to: OrderStatus,
}

/// The state of an order, with what is known in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// Waits for its payment.
    Pending,
    /// Paid.
    Paid {
        /// When its payment was taken.
        paid_at: Timestamp,
    },
    /// On its way.
    Shipped(Shipment),
    /// With the customer.
    Delivered {
        /// How it went on its way.
        shipment: Shipment,
        /// When it arrived.
        delivered_at: Timestamp,
    },
    /// Called off.
    Cancelled {
        /// When it had been paid, if it had.
        paid_at: Option<Timestamp>,
        /// Who called it off, when and why.
        cancellation: Cancellation,
    },
}

/// How an order went on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// When the order had been paid.
    pub paid_at: Timestamp,
    /// When it was handed over.
    pub shipped_at: Timestamp,
    /// The carrier's number, if there is one.
    pub tracking_number: Option<TrackingNumber>,
}

/// Who called an order off, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: CancelledBy,
    /// Why, if a reason was given.
    pub reason: Option<CancelReason>,
}

/// Who may call an order off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelledBy {
    /// Its customer.
    Customer,
    /// An admin.
    Admin,
    /// The shop itself, because the payment window passed.
    System,
}

impl CancelledBy {
    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "CUSTOMER",
            Self::Admin => "ADMIN",
            Self::System => "SYSTEM",
        }
    }

    /// Reads the contract's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Customer, Self::Admin, Self::System].into_iter().find(|by| by.as_str() == word)
    }
}

impl OrderState {
    /// Its name.
    #[must_use]
    pub const fn status(&self) -> OrderStatus {
        match self {
            Self::Pending => OrderStatus::Pending,
            Self::Paid { .. } => OrderStatus::Paid,
            Self::Shipped(_) => OrderStatus::Shipped,
            Self::Delivered { .. } => OrderStatus::Delivered,
            Self::Cancelled { .. } => OrderStatus::Cancelled,
        }
    }

    /// When the payment was taken, if one was.
    #[must_use]
    pub const fn paid_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending => None,
            Self::Paid { paid_at } => Some(*paid_at),
            Self::Shipped(shipment) | Self::Delivered { shipment, .. } => Some(shipment.paid_at),
            Self::Cancelled { paid_at, .. } => *paid_at,
        }
    }

    /// How it went on its way, if it did.
    #[must_use]
    pub const fn shipment(&self) -> Option<&Shipment> {
        match self {
            Self::Shipped(shipment) | Self::Delivered { shipment, .. } => Some(shipment),
            Self::Pending | Self::Paid { .. } | Self::Cancelled { .. } => None,
        }
    }

    /// Who called it off, if someone did.
    #[must_use]
    pub const fn cancellation(&self) -> Option<&Cancellation> {
        match self {
            Self::Cancelled { cancellation, .. } => Some(cancellation),
            Self::Pending | Self::Paid { .. } | Self::Shipped(_) | Self::Delivered { .. } => None,
        }
    }

    /// `PENDING → PAID`.
    pub fn pay(self, paid_at: Timestamp) -> Result<Self, InvalidTransition> {
        match self {
            Self::Pending => Ok(Self::Paid { paid_at }),
            other => Err(other.no_way_to(OrderStatus::Paid)),
        }
    }

    /// `PAID → SHIPPED`.
    pub fn ship(self, at: Timestamp, tracking_number: Option<TrackingNumber>) -> Result<Self, InvalidTransition> {
        match self {
            Self::Paid { paid_at } => Ok(Self::Shipped(Shipment { paid_at, shipped_at: at, tracking_number })),
            other => Err(other.no_way_to(OrderStatus::Shipped)),
        }
    }

    /// `SHIPPED → DELIVERED`.
    pub fn deliver(self, delivered_at: Timestamp) -> Result<Self, InvalidTransition> {
        match self {
            Self::Shipped(shipment) => Ok(Self::Delivered { shipment, delivered_at }),
            other => Err(other.no_way_to(OrderStatus::Delivered)),
        }
    }

    /// `PENDING → CANCELLED` by anyone, `PAID → CANCELLED` by an admin only.
    pub fn cancel(self, cancellation: Cancellation) -> Result<Self, InvalidTransition> {
        match (self, cancellation.by) {
            (Self::Pending, _) => Ok(Self::Cancelled { paid_at: None, cancellation }),
            (Self::Paid { paid_at }, CancelledBy::Admin) => {
                Ok(Self::Cancelled { paid_at: Some(paid_at), cancellation })
            }
            (other, _) => Err(other.no_way_to(OrderStatus::Cancelled)),
        }
    }

    const fn no_way_to(&self, to: OrderStatus) -> InvalidTransition {
        InvalidTransition { from: self.status(), to }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    fn cancelled_by(by: CancelledBy) -> Cancellation {
        Cancellation { at: at(9), by, reason: None }
    }

    fn every_state() -> Vec<OrderState> {
        let paid = OrderState::Pending.pay(at(1)).unwrap();
        let shipped = paid.clone().ship(at(2), None).unwrap();
        let delivered = shipped.clone().deliver(at(3)).unwrap();
        let cancelled = OrderState::Pending.cancel(cancelled_by(CancelledBy::System)).unwrap();
        vec![OrderState::Pending, paid, shipped, delivered, cancelled]
    }

    /// The whole table: for each state, the moves that are allowed, and nothing else.
    #[test]
    fn only_the_moves_of_the_contract_exist() {
        use OrderStatus::{Cancelled, Delivered, Paid, Pending, Shipped};
        for state in every_state() {
            let from = state.status();
            let moves = [
                (Paid, state.clone().pay(at(5)).map(|s| s.status()), from == Pending),
                (Shipped, state.clone().ship(at(5), None).map(|s| s.status()), from == Paid),
                (Delivered, state.clone().deliver(at(5)).map(|s| s.status()), from == Shipped),
                (
                    Cancelled,
                    state.clone().cancel(cancelled_by(CancelledBy::Customer)).map(|s| s.status()),
                    from == Pending,
                ),
                (
                    Cancelled,
                    state.clone().cancel(cancelled_by(CancelledBy::System)).map(|s| s.status()),
                    from == Pending,
                ),
                (
                    Cancelled,
                    state.clone().cancel(cancelled_by(CancelledBy::Admin)).map(|s| s.status()),
                    matches!(from, Pending | Paid),
                ),
            ];
            for (to, outcome, allowed) in moves {
                let expected = if allowed { Ok(to) } else { Err(InvalidTransition { from, to }) };
                assert_eq!(outcome, expected, "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn an_order_cancelled_after_payment_remembers_when_it_was_paid() {
        let paid = OrderState::Pending.pay(at(1)).unwrap();
        assert_eq!(paid.cancel(cancelled_by(CancelledBy::Admin)).unwrap().paid_at(), Some(at(1)));
    }
}
