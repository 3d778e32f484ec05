//! Products and stock movements as JSON (contract 2, "shapes").

use domain::catalog::{Product, StockMovement};
use domain::id::{MovementId, OrderId, ProductId, UserId};
use domain::money::{Currency, Money};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::schemas;
use crate::wire::{Moment, Text};

/// A product.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Product)]
pub(super) struct ProductBody {
    #[schema(value_type = schemas::Id)]
    id: Text<ProductId>,
    name: String,
    description: Option<String>,
    #[schema(value_type = schemas::Money)]
    price: Text<Money>,
    #[schema(value_type = schemas::Currency)]
    currency: Text<Currency>,
    /// Units on hand for sale.
    stock: u64,
    #[schema(value_type = Option<schemas::Timestamp>)]
    archived_at: Option<Moment>,
    #[schema(value_type = schemas::Timestamp)]
    created_at: Moment,
    #[schema(value_type = schemas::Timestamp)]
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
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StockMovement)]
pub(super) struct MovementBody {
    #[schema(value_type = schemas::Id)]
    id: Text<MovementId>,
    #[schema(value_type = schemas::Id)]
    product_id: Text<ProductId>,
    /// Units that came in, or went out if negative.
    delta: i64,
    stock_after: u64,
    reason: String,
    #[schema(value_type = Option<schemas::Id>)]
    order_id: Option<Text<OrderId>>,
    #[schema(value_type = Option<schemas::Id>)]
    actor_id: Option<Text<UserId>>,
    #[schema(value_type = schemas::Timestamp)]
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
