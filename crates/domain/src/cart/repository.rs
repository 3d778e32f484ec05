//! Where carts are kept.

use async_trait::async_trait;

use crate::cart::{
    AddCartItem, AddCartItemError, Cart, ClearCart, RemoveCartItem, RemoveCartItemError, SetCartItem, SetCartItemError,
};
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::store::StoreError;

/// Where carts are kept, one per customer.
///
/// An implementation MUST make the changes of one customer's cart one after the other (they lock the customer
/// first), so that parallel additions add up; MUST answer with current names, prices and stocks; and MUST drop
/// lines of archived products whenever it reads or changes a cart.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait CartRepository: Send + Sync {
    /// The cart; an empty one, if there is none yet. `at` is when it lost what is archived, if anything.
    async fn get(&self, customer_id: UserId, at: Timestamp) -> Result<Cart, StoreError>;

    /// Puts units into the cart and gives it as it is then.
    async fn add_item(&self, command: &AddCartItem) -> Result<Cart, AddCartItemError>;

    /// Sets a line's quantity and gives the cart as it is then.
    async fn set_item(&self, command: &SetCartItem) -> Result<Cart, SetCartItemError>;

    /// Takes a line out and gives the cart as it is then.
    async fn remove_item(&self, command: &RemoveCartItem) -> Result<Cart, RemoveCartItemError>;

    /// Empties the cart.
    async fn clear(&self, command: &ClearCart) -> Result<(), StoreError>;
}
