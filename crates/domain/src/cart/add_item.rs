//! Putting units of a product into a cart, on top of those that are there.

use crate::cart::{Cart, CartService, MAX_CART_LINES};
use crate::catalog::{InsufficientStock, Stock};
use crate::clock::Timestamp;
use crate::id::{ProductId, UserId};
use crate::quantity::{InvalidQuantity, Quantity};
use crate::store::StoreError;

/// The wish to put units into a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddCartItem {
    /// Whose cart.
    pub customer_id: UserId,
    /// Of which product.
    pub product_id: ProductId,
    /// How many.
    pub quantity: Quantity,
    /// When.
    pub at: Timestamp,
}

/// What a change of one line looks at, loaded under the customer's lock and without lines of archived products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CartSnapshot {
    /// What is on hand of the product; `None` if it is unknown or archived.
    pub on_sale: Option<Stock>,
    /// How many units of it the cart holds already.
    pub in_cart: Option<Quantity>,
    /// How many lines the cart has.
    pub lines: usize,
}

/// Why nothing was put into the cart.
#[derive(Debug, thiserror::Error)]
pub enum AddCartItemError {
    /// There is no such product, or it is archived.
    #[error("there is no such product")]
    NotFound,
    /// The line would hold more than it can.
    #[error("must leave at most 1000 units in the cart, and {in_cart} are there already")]
    LineFull {
        /// How many it holds.
        in_cart: u32,
    },
    /// The cart would have more lines than it can.
    #[error("a cart holds at most 100 products")]
    CartFull,
    /// More than is on hand.
    #[error(transparent)]
    Insufficient(#[from] InsufficientStock),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AddCartItem {
    /// Decides how many units the line holds from now on.
    pub fn decide(&self, snapshot: &CartSnapshot) -> Result<Quantity, AddCartItemError> {
        let stock = snapshot.on_sale.ok_or(AddCartItemError::NotFound)?;
        let quantity = match snapshot.in_cart {
            Some(in_cart) => in_cart
                .checked_add(self.quantity)
                .map_err(|InvalidQuantity| AddCartItemError::LineFull { in_cart: in_cart.get() })?,
            None if snapshot.lines >= MAX_CART_LINES => return Err(AddCartItemError::CartFull),
            None => self.quantity,
        };
        at_most(stock, self.product_id, quantity)?;
        Ok(quantity)
    }
}

/// A cart holds no more of a product than is on hand when it is filled.
pub(super) fn at_most(stock: Stock, product_id: ProductId, quantity: Quantity) -> Result<(), InsufficientStock> {
    let requested = u64::from(quantity.get());
    if requested > stock.get() {
        return Err(InsufficientStock { product_id, available: stock.get(), requested });
    }
    Ok(())
}

impl CartService {
    /// Puts units into a cart.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn add_item(
        &self,
        customer_id: UserId,
        product_id: ProductId,
        quantity: Quantity,
    ) -> Result<Cart, AddCartItemError> {
        self.carts.add_item(&AddCartItem { customer_id, product_id, quantity, at: self.clock.now() }).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    fn add(units: i64) -> AddCartItem {
        AddCartItem {
            customer_id: Uuid::from_u128(1).into(),
            product_id: Uuid::from_u128(2).into(),
            quantity: Quantity::new(units).unwrap(),
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn snapshot(stock: i64, in_cart: Option<i64>, lines: usize) -> CartSnapshot {
        CartSnapshot {
            on_sale: Some(Stock::new(stock).unwrap()),
            in_cart: in_cart.map(|units| Quantity::new(units).unwrap()),
            lines,
        }
    }

    #[test]
    fn units_are_added_to_those_that_are_there() {
        assert_eq!(add(2).decide(&snapshot(5, None, 0)).unwrap().get(), 2);
        assert_eq!(add(2).decide(&snapshot(5, Some(3), 1)).unwrap().get(), 5);
    }

    #[test]
    fn no_more_than_is_on_hand_all_units_of_the_line_counted() {
        let refused = add(3).decide(&snapshot(5, Some(3), 1)).unwrap_err();
        let shortage = InsufficientStock { product_id: add(1).product_id, available: 5, requested: 6 };
        assert!(matches!(refused, AddCartItemError::Insufficient(found) if found == shortage));
        assert!(matches!(add(1).decide(&snapshot(0, None, 0)), Err(AddCartItemError::Insufficient(_))));
    }

    #[test]
    fn a_line_holds_at_most_1000_units_whatever_is_on_hand() {
        assert_eq!(add(500).decide(&snapshot(9999, Some(500), 1)).unwrap().get(), 1000);
        let refused = add(501).decide(&snapshot(3, Some(500), 1)).unwrap_err();
        assert!(matches!(refused, AddCartItemError::LineFull { in_cart: 500 }));
    }

    #[test]
    fn the_101st_product_does_not_fit_but_more_of_the_100_do() {
        assert!(add(1).decide(&snapshot(5, None, 99)).is_ok());
        assert!(matches!(add(1).decide(&snapshot(5, None, 100)), Err(AddCartItemError::CartFull)));
        assert!(add(1).decide(&snapshot(5, Some(1), 100)).is_ok());
    }

    #[test]
    fn what_is_not_on_sale_is_not_there() {
        let gone = CartSnapshot { on_sale: None, ..snapshot(5, None, 100) };
        assert!(matches!(add(1).decide(&gone), Err(AddCartItemError::NotFound)));
    }
}
