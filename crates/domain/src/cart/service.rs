//! The use cases of the cart, on their ports. One file per use case adds its method.

use std::sync::Arc;

use crate::cart::{Cart, CartRepository};
use crate::clock::Clock;
use crate::id::UserId;
use crate::store::StoreError;

/// The use cases of the cart.
#[derive(Clone)]
pub struct CartService {
    /// Where carts are kept.
    pub carts: Arc<dyn CartRepository>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl CartService {
    /// A customer's cart, without what was archived.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn get(&self, customer_id: UserId) -> Result<Cart, StoreError> {
        self.carts.get(customer_id, self.clock.now()).await
    }
}
