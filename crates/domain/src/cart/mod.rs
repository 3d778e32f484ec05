//! The cart: what a customer means to order, at today's prices (contract 2, `/cart`).

mod add_item;
mod basket;
mod clear;
mod remove_item;
mod repository;
mod service;
mod set_item;

pub use add_item::{AddCartItem, AddCartItemError, CartSnapshot};
pub use basket::{Cart, CartLine, MAX_CART_LINES};
pub use clear::ClearCart;
pub use remove_item::{RemoveCartItem, RemoveCartItemError};
pub use repository::CartRepository;
#[cfg(any(test, feature = "mocks"))]
pub use repository::MockCartRepository;
pub use service::CartService;
pub use set_item::{SetCartItem, SetCartItemError};
