//! The stock ledger: every change of a stock is an entry that is never changed, so that the sum of a product's
//! deltas is always its stock.

use std::fmt;

use crate::catalog::{Product, Stock};
use crate::clock::Timestamp;
use crate::id::{MovementId, OrderId, ProductId, UserId};
use crate::text::AdjustmentReason;

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockMovement {
    /// Which entry.
    pub id: MovementId,
    /// Whose stock moved.
    pub product_id: ProductId,
    /// How many units came in, or went out if negative. Never 0.
    pub delta: i64,
    /// What was on hand afterwards.
    pub stock_after: Stock,
    /// Why.
    pub reason: MovementReason,
    /// The order that took the units or gave them back.
    pub order_id: Option<OrderId>,
    /// Who did it; `None` for the shop itself.
    pub actor_id: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
}

impl StockMovement {
    /// The entry for an admin's change of a product's stock to `after`; `None` if that changes nothing.
    pub(crate) fn by_admin(
        id: MovementId,
        before: &Product,
        after: Stock,
        reason: MovementReason,
        actor_id: UserId,
        at: Timestamp,
    ) -> Option<Self> {
        let delta = after.since(before.stock);
        (delta != 0).then_some(Self {
            id,
            product_id: before.id,
            delta,
            stock_after: after,
            reason,
            order_id: None,
            actor_id: Some(actor_id),
            created_at: at,
        })
    }
}

/// Why a stock moved. The ledger keeps the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MovementReason {
    /// The product was created with units on hand.
    Created,
    /// An admin set the stock while editing the product.
    Edited,
    /// An order took the units.
    Ordered,
    /// An order that was cancelled gave the units back.
    Cancelled,
    /// An admin's own words; also how entries of the ledger are read back.
    Said(String),
}

impl From<AdjustmentReason> for MovementReason {
    fn from(reason: AdjustmentReason) -> Self {
        Self::Said(reason.into_string())
    }
}

impl MovementReason {
    /// The words that the ledger keeps.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Created => "initial stock",
            Self::Edited => "stock set",
            Self::Ordered => "order placed",
            Self::Cancelled => "order cancelled",
            Self::Said(words) => words,
        }
    }
}

impl fmt::Display for MovementReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A position in a product's ledger, newest first: the number that the entry drew when the product was locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovementPosition(pub i64);
