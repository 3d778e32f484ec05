//! Saying how many units of a product a cart holds.

use crate::cart::add_item::at_most;
use crate::cart::{Cart, CartService, CartSnapshot};
use crate::catalog::InsufficientStock;
use crate::clock::Timestamp;
use crate::id::{ProductId, UserId};
use crate::quantity::Quantity;
use crate::store::StoreError;

/// The wish to set a line's quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetCartItem {
    /// Whose cart.
    pub customer_id: UserId,
    /// Of which product.
    pub product_id: ProductId,
    /// How many from now on.
    pub quantity: Quantity,
    /// When.
    pub at: Timestamp,
}

/// Why the line stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum SetCartItemError {
    /// The cart has no such line, or its product is archived.
    #[error("the product is not in the cart")]
    NotFound,
    /// More than is on hand.
    #[error(transparent)]
    Insufficient(#[from] InsufficientStock),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SetCartItem {
    /// Decides how many units the line holds from now on.
    pub fn decide(&self, snapshot: &CartSnapshot) -> Result<Quantity, SetCartItemError> {
        let (Some(stock), Some(_)) = (snapshot.on_sale, snapshot.in_cart) else {
            return Err(SetCartItemError::NotFound);
        };
        at_most(stock, self.product_id, self.quantity)?;
        Ok(self.quantity)
    }
}

impl CartService {
    /// Sets a line's quantity.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn set_item(
        &self,
        customer_id: UserId,
        product_id: ProductId,
        quantity: Quantity,
    ) -> Result<Cart, SetCartItemError> {
        self.carts.set_item(&SetCartItem { customer_id, product_id, quantity, at: self.clock.now() }).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::catalog::Stock;

    #[test]
    fn a_line_that_is_there_is_set_within_the_stock_and_no_other() {
        let set = |units| SetCartItem {
            customer_id: Uuid::from_u128(1).into(),
            product_id: Uuid::from_u128(2).into(),
            quantity: Quantity::new(units).unwrap(),
            at: DateTime::UNIX_EPOCH,
        };
        let there = CartSnapshot {
            on_sale: Some(Stock::new(5).unwrap()),
            in_cart: Some(Quantity::new(1).unwrap()),
            lines: 100,
        };
        assert_eq!(set(5).decide(&there).unwrap().get(), 5);
        assert!(matches!(set(6).decide(&there), Err(SetCartItemError::Insufficient(_))));
        let not_there = CartSnapshot { in_cart: None, ..there };
        assert!(matches!(set(1).decide(&not_there), Err(SetCartItemError::NotFound)));
        let archived = CartSnapshot { on_sale: None, ..there };
        assert!(matches!(set(1).decide(&archived), Err(SetCartItemError::NotFound)));
    }
}
