//! Correcting a stock by what came in or went missing.

use crate::catalog::{CatalogService, InsufficientStock, InvalidStock, Product, Stock, StockMovement};
use crate::clock::Timestamp;
use crate::id::{MovementId, ProductId, UserId};
use crate::store::StoreError;
use crate::text::AdjustmentReason;

/// How many units came in, or went out if negative: not 0, and no more than a stock can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockDelta(i64);

/// A number of units that can't be an adjustment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be -1000000000 to 1000000000, and not 0")]
pub struct InvalidStockDelta;

impl StockDelta {
    /// Accepts up to [`Stock::MAX`] units in either direction, but not 0.
    pub const fn new(units: i64) -> Result<Self, InvalidStockDelta> {
        if units == 0 || units.unsigned_abs() > Stock::MAX { Err(InvalidStockDelta) } else { Ok(Self(units)) }
    }

    /// The number of units.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// The wish to correct a stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdjustStock {
    /// Whose.
    pub product_id: ProductId,
    /// The id of the ledger's entry.
    pub movement_id: MovementId,
    /// By how much.
    pub delta: StockDelta,
    /// Why.
    pub reason: AdjustmentReason,
    /// The admin.
    pub actor_id: UserId,
    /// When.
    pub at: Timestamp,
}

/// Why a stock stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum AdjustStockError {
    /// There is no such product, or it is archived.
    #[error("there is no such product")]
    NotFound,
    /// More would go out than is on hand.
    #[error(transparent)]
    Insufficient(#[from] InsufficientStock),
    /// More would be on hand than a stock can hold.
    #[error("would raise the stock above 1000000000")]
    TooMuch,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdjustStock {
    /// Decides on the product as it is under lock: the ledger's entry, whose `stock_after` is the new stock.
    pub fn decide(&self, product: &Product) -> Result<StockMovement, AdjustStockError> {
        if !product.is_live() {
            return Err(AdjustStockError::NotFound);
        }
        let delta = self.delta.get();
        let stock_after = product.stock.moved_by(delta).map_err(|InvalidStock| {
            if delta > 0 {
                AdjustStockError::TooMuch
            } else {
                AdjustStockError::Insufficient(InsufficientStock {
                    product_id: product.id,
                    available: product.stock.get(),
                    requested: delta.unsigned_abs(),
                })
            }
        })?;
        Ok(StockMovement {
            id: self.movement_id,
            product_id: product.id,
            delta,
            stock_after,
            reason: self.reason.clone().into(),
            order_id: None,
            actor_id: Some(self.actor_id),
            created_at: self.at,
        })
    }
}

impl CatalogService {
    /// Corrects a stock.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn adjust_stock(
        &self,
        product_id: ProductId,
        delta: StockDelta,
        reason: AdjustmentReason,
        actor_id: UserId,
    ) -> Result<StockMovement, AdjustStockError> {
        let movement_id = MovementId::mint(&*self.ids);
        let command = AdjustStock { product_id, movement_id, delta, reason, actor_id, at: self.clock.now() };
        self.products.adjust_stock(&command).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::catalog::tests::{at, product};

    fn adjust(delta: i64) -> AdjustStock {
        AdjustStock {
            product_id: product().id,
            movement_id: uuid::Uuid::from_u128(9).into(),
            delta: StockDelta::new(delta).unwrap(),
            reason: AdjustmentReason::new("counted again").unwrap(),
            actor_id: uuid::Uuid::from_u128(8).into(),
            at: at(60),
        }
    }

    #[test]
    fn a_stock_moves_down_to_0_and_not_below() {
        assert_eq!(adjust(-10).decide(&product()).unwrap().stock_after, Stock::NONE);
        let refused = adjust(-11).decide(&product()).unwrap_err();
        let expected = InsufficientStock { product_id: product().id, available: 10, requested: 11 };
        assert!(matches!(refused, AdjustStockError::Insufficient(shortage) if shortage == expected));
    }

    #[test]
    fn a_stock_moves_up_to_its_bound_and_not_above() {
        assert_eq!(adjust(999_999_990).decide(&product()).unwrap().stock_after.get(), Stock::MAX);
        assert!(matches!(adjust(999_999_991).decide(&product()), Err(AdjustStockError::TooMuch)));
    }

    #[test]
    fn an_archived_product_is_not_there() {
        let archived = Product { archived_at: Some(at(1)), ..product() };
        assert!(matches!(adjust(1).decide(&archived), Err(AdjustStockError::NotFound)));
    }

    #[test]
    fn a_delta_is_never_0_and_never_more_than_a_stock() {
        for units in [0, i64::MIN, i64::MAX, 1_000_000_001, -1_000_000_001] {
            assert_eq!(StockDelta::new(units), Err(InvalidStockDelta), "{units}");
        }
        assert_eq!(StockDelta::new(-1_000_000_000).map(StockDelta::get), Ok(-1_000_000_000));
    }
}
