//! Carts as they are stored, and as their customers see them.

use diesel::QueryResult;
use diesel::prelude::*;
use diesel::sql_types::{Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::cart::{Cart, CartLine};
use domain::catalog::Stock;
use domain::clock::Timestamp;
use domain::id::UserId;
use domain::money::{Currency, Money, Price};
use domain::quantity::Quantity;
use domain::text::ProductName;
use tokio::try_join;
use uuid::Uuid;

use crate::cached::cached;
use crate::error::damaged;
use crate::schema::{cart_items, products};

/// What a cart needs to know of a product.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = products, check_for_backend(diesel::pg::Pg))]
pub(super) struct ProductRow {
    pub id: Uuid,
    pub name: String,
    pub price_minor: i64,
    pub stock: i64,
    pub archived_at: Option<Timestamp>,
}

/// A line with its product.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = cart_items, check_for_backend(diesel::pg::Pg))]
pub(super) struct StoredLine {
    pub user_id: Uuid,
    pub quantity: i32,
    pub added_at: Timestamp,
    #[diesel(embed)]
    pub product: ProductRow,
}

/// A cart as it was read without a lock, with lines of archived products if they were not dropped yet.
pub(super) struct StoredCart {
    lines: Vec<StoredLine>,
    updated_at: Timestamp,
}

#[derive(QueryableByName)]
struct UpdatedRow {
    #[diesel(sql_type = Timestamptz)]
    updated_at: Timestamp,
}

/// Reads a cart. One that was never used is as old as its customer.
pub(super) async fn read(mut connection: &AsyncPgConnection, customer: UserId) -> QueryResult<StoredCart> {
    let mut c2 = connection;
    let updated = diesel::sql_query(
        "SELECT coalesce(carts.updated_at, users.created_at) AS updated_at
         FROM users LEFT JOIN carts ON carts.user_id = users.id WHERE users.id = $1",
    )
    .bind::<SqlUuid, _>(customer.uuid());
    let updated = cached(updated);
    let lines = cart_items::table
        .inner_join(products::table)
        .filter(cart_items::user_id.eq(customer.uuid()))
        .order((cart_items::added_at, cart_items::product_id))
        .select(StoredLine::as_select());
    let (UpdatedRow { updated_at }, lines) = try_join!(updated.get_result(&mut connection), lines.load(&mut c2))?;
    Ok(StoredCart { lines, updated_at })
}

impl StoredCart {
    pub(super) fn has_archived(&self) -> bool {
        self.lines.iter().any(|line| line.product.archived_at.is_some())
    }

    pub(super) fn into_cart(self, currency: Currency) -> QueryResult<Cart> {
        let lines = self.lines.iter().map(|line| {
            let quantity = Quantity::new(line.quantity.into()).map_err(damaged)?;
            Ok((&line.product, quantity))
        });
        cart(lines, currency, self.updated_at)
    }
}

/// A cart as its customer sees it, from lines in their order.
pub(super) fn cart<'a>(
    lines: impl Iterator<Item = QueryResult<(&'a ProductRow, Quantity)>>,
    currency: Currency,
    updated_at: Timestamp,
) -> QueryResult<Cart> {
    let line = |line: QueryResult<(&ProductRow, Quantity)>| {
        let (product, quantity) = line?;
        Ok(CartLine {
            product_id: product.id.into(),
            name: ProductName::new(&product.name).map_err(damaged)?,
            quantity,
            unit_price: Price::new(Money::from_minor(product.price_minor, currency)).map_err(damaged)?,
            available: Stock::on_hand(product.stock).map_err(damaged)?,
        })
    };
    Cart::new(lines.map(line).collect::<QueryResult<_>>()?, currency, updated_at).map_err(damaged)
}
