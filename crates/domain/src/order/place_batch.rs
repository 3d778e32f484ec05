//! Placing several orders in one transaction: each is decided on what those before it left.

use std::collections::{BTreeMap, HashMap};

use crate::clock::Timestamp;
use crate::fraud::CustomerStanding;
use crate::id::{ProductId, UserId};
use crate::money::Price;
use crate::order::{CartProduct, Order, PlaceOrder, PlaceOrderError, PlaceSnapshot};
use crate::quantity::Quantity;
use crate::store::StoreError;

/// What orders of one transaction are decided on: all of it was loaded under the locks of their customers, carts and
/// products. A decision is written into it before the next one is taken, so that the orders come out as if each had
/// had a transaction of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlaceBatch {
    /// Who orders.
    pub buyers: HashMap<UserId, Buyer>,
    /// What is in their carts.
    pub products: HashMap<ProductId, ProductInCart>,
}

/// A customer under lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buyer {
    /// Whom the provider may write to.
    pub email: String,
    /// When the customer registered.
    pub since: Timestamp,
    /// Where the customer stands with the fraud rules.
    pub standing: CustomerStanding,
    /// See [`PlaceSnapshot::recent_units`].
    pub recent_units: BTreeMap<ProductId, u64>,
    /// The cart's lines, in the order in which they were added.
    pub cart: Vec<(ProductId, Quantity)>,
}

/// A product under lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductInCart {
    /// Its name now.
    pub name: String,
    /// Its price now.
    pub price: Price,
    /// What is on hand for sale.
    pub stock: u64,
    /// Whether it is archived.
    pub archived: bool,
}

impl PlaceBatch {
    /// Decides on the next order. One that is refused leaves everything as it was.
    pub fn decide(&mut self, command: &PlaceOrder) -> Result<Order, PlaceOrderError> {
        let order = command.decide(&self.snapshot_for(command)?)?;
        if let Some(buyer) = self.buyers.get_mut(&command.customer_id) {
            buyer.standing.pending_orders = buyer.standing.pending_orders.saturating_add(1);
            buyer.cart.clear();
            for line in &order.lines {
                *buyer.recent_units.entry(line.product_id).or_default() += u64::from(line.quantity.get());
            }
        }
        for line in &order.lines {
            if let Some(product) = self.products.get_mut(&line.product_id) {
                // The decision has seen to it that so many are there.
                product.stock = product.stock.saturating_sub(line.quantity.get().into());
            }
        }
        Ok(order)
    }

    fn snapshot_for(&self, command: &PlaceOrder) -> Result<PlaceSnapshot, StoreError> {
        let buyer = self.buyers.get(&command.customer_id);
        let buyer = buyer.ok_or_else(|| StoreError::unexpected("an order's customer is gone"))?;
        let line = |(product_id, quantity): &(ProductId, Quantity)| {
            let product = self.products.get(product_id);
            let product = product.ok_or_else(|| StoreError::unexpected("a product in a cart is gone"))?;
            Ok(CartProduct {
                product_id: *product_id,
                name: product.name.clone(),
                price: product.price,
                stock: product.stock,
                archived: product.archived,
                quantity: *quantity,
            })
        };
        Ok(PlaceSnapshot {
            standing: buyer.standing,
            customer_email: buyer.email.clone(),
            customer_since: buyer.since,
            recent_units: buyer.recent_units.clone(),
            cart: buyer.cart.iter().map(line).collect::<Result<_, StoreError>>()?,
        })
    }
}
