//! Products and stock movements as JSON (contract 2, "shapes").

use domain::catalog::{Product, StockMovement};
use domain::id::{MovementId, OrderId, ProductId, UserId};
use domain::money::{Currency, Money};
use serde::Serialize;

use crate::wire::{Moment, Text};

/// A product.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductBody {
    id: Text<ProductId>,
    name: String,
    description: Option<String>,
    price: Text<Money>,
    currency: Text<Currency>,
    stock: u64,
    archived_at: Option<Moment>,
    created_at: Moment,
    updated_at: Moment,
}

impl From<&Product> for ProductBody {
    fn from(product: &Product) -> Self {
        let price = product.price.money();
        Self {
            id: Text(product.id),
            name: product.name.to_string(),
            description: product.description.as_ref().map(ToString::to_string),
            price: Text(price),
            currency: Text(price.currency()),
            stock: product.stock.get(),
            archived_at: product.archived_at.map(Moment),
            created_at: Moment(product.created_at),
            updated_at: Moment(product.updated_at),
        }
    }
}

/// An entry of the stock ledger.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MovementBody {
    id: Text<MovementId>,
    product_id: Text<ProductId>,
    delta: i64,
    stock_after: u64,
    reason: String,
    order_id: Option<Text<OrderId>>,
    actor_id: Option<Text<UserId>>,
    created_at: Moment,
}

impl From<StockMovement> for MovementBody {
    fn from(movement: StockMovement) -> Self {
        Self {
            id: Text(movement.id),
            product_id: Text(movement.product_id),
            delta: movement.delta,
            stock_after: movement.stock_after.get(),
            reason: movement.reason.to_string(),
            order_id: movement.order_id.map(Text),
            actor_id: movement.actor_id.map(Text),
            created_at: Moment(movement.created_at),
        }
    }
}
