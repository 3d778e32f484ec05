//! Taking a product out of a cart.

use crate::cart::{Cart, CartService};
use crate::clock::Timestamp;
use crate::id::{ProductId, UserId};
use crate::store::StoreError;

/// The wish to take a product out of a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoveCartItem {
    /// Whose cart.
    pub customer_id: UserId,
    /// Which product.
    pub product_id: ProductId,
    /// When.
    pub at: Timestamp,
}

/// Why nothing was taken out.
#[derive(Debug, thiserror::Error)]
pub enum RemoveCartItemError {
    /// The cart has no such line.
    #[error("the product is not in the cart")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CartService {
    /// Takes a product out of a cart.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn remove_item(&self, customer_id: UserId, product_id: ProductId) -> Result<Cart, RemoveCartItemError> {
        self.carts.remove_item(&RemoveCartItem { customer_id, product_id, at: self.clock.now() }).await
    }
}
