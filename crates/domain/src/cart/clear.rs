//! Emptying a cart.

use crate::cart::CartService;
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::store::StoreError;

/// The wish to empty a cart, which may be empty already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearCart {
    /// Whose.
    pub customer_id: UserId,
    /// When.
    pub at: Timestamp,
}

impl CartService {
    /// Empties a cart.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn clear(&self, customer_id: UserId) -> Result<(), StoreError> {
        self.carts.clear(&ClearCart { customer_id, at: self.clock.now() }).await
    }
}
