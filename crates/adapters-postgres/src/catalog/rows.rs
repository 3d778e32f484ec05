//! Rows of products and of the ledger, and the way back into the domain's types.

use diesel::prelude::*;
use domain::catalog::{MovementReason, Product, Stock, StockMovement, folded};
use domain::clock::Timestamp;
use domain::money::{Currency, Money, Price};
use domain::text::{Description, ProductName};
use uuid::Uuid;

use crate::error::damaged;
use crate::schema::{products, stock_movements};

/// A product without the columns that only searching and sorting use.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = products, check_for_backend(diesel::pg::Pg))]
pub(crate) struct ProductRow {
    id: Uuid,
    name: String,
    description: Option<String>,
    price_minor: i64,
    stock: i64,
    edit_version: i64,
    archived_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl ProductRow {
    pub(crate) fn into_product(self, currency: Currency) -> QueryResult<Product> {
        Ok(Product {
            id: self.id.into(),
            name: ProductName::new(&self.name).map_err(damaged)?,
            description: self.description.as_deref().map(Description::new).transpose().map_err(damaged)?,
            price: Price::new(Money::from_minor(self.price_minor, currency)).map_err(damaged)?,
            stock: Stock::on_hand(self.stock).map_err(damaged)?,
            edit_version: u64::try_from(self.edit_version).map_err(damaged)?.into(),
            archived_at: self.archived_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// All that is stored of a product; inserted, and written back whole after an edit.
#[derive(Debug, Insertable, AsChangeset)]
#[diesel(table_name = products, treat_none_as_null = true)]
pub(super) struct ProductValues<'a> {
    id: Uuid,
    name: &'a str,
    name_key: String,
    description: Option<String>,
    search_text: String,
    price_minor: i64,
    stock: i64,
    edit_version: i64,
    archived_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> From<&'a Product> for ProductValues<'a> {
    fn from(product: &'a Product) -> Self {
        let name = product.name.as_str();
        let description = product.description.as_ref().map(Description::as_str);
        Self {
            id: product.id.uuid(),
            name,
            name_key: folded(name),
            description: description.map(str::to_owned),
            // The line break keeps a search from matching across the two.
            search_text: folded(&format!("{name}\n{}", description.unwrap_or_default())),
            price_minor: product.price.money().amount_minor(),
            stock: product.stock.get().cast_signed(),
            edit_version: product.edit_version.get().cast_signed(),
            archived_at: product.archived_at,
            created_at: product.created_at,
            updated_at: product.updated_at,
        }
    }
}

/// An entry of the ledger.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = stock_movements, check_for_backend(diesel::pg::Pg))]
pub(super) struct MovementRow {
    pub(super) seq: i64,
    id: Uuid,
    product_id: Uuid,
    delta: i64,
    stock_after: i64,
    reason: String,
    order_id: Option<Uuid>,
    actor_id: Option<Uuid>,
    created_at: Timestamp,
}

impl MovementRow {
    pub(super) fn into_movement(self) -> QueryResult<StockMovement> {
        Ok(StockMovement {
            id: self.id.into(),
            product_id: self.product_id.into(),
            delta: self.delta,
            stock_after: Stock::on_hand(self.stock_after).map_err(damaged)?,
            reason: MovementReason::Said(self.reason),
            order_id: self.order_id.map(Into::into),
            actor_id: self.actor_id.map(Into::into),
            created_at: self.created_at,
        })
    }
}

/// A new entry of the ledger; its `seq` is drawn by the database.
#[derive(Debug, Insertable)]
#[diesel(table_name = stock_movements)]
pub(super) struct MovementValues<'a> {
    id: Uuid,
    product_id: Uuid,
    delta: i64,
    stock_after: i64,
    reason: &'a str,
    order_id: Option<Uuid>,
    actor_id: Option<Uuid>,
    created_at: Timestamp,
}

impl<'a> From<&'a StockMovement> for MovementValues<'a> {
    fn from(movement: &'a StockMovement) -> Self {
        Self {
            id: movement.id.uuid(),
            product_id: movement.product_id.uuid(),
            delta: movement.delta,
            stock_after: movement.stock_after.get().cast_signed(),
            reason: movement.reason.as_str(),
            order_id: movement.order_id.map(domain::id::OrderId::uuid),
            actor_id: movement.actor_id.map(domain::id::UserId::uuid),
            created_at: movement.created_at,
        }
    }
}
