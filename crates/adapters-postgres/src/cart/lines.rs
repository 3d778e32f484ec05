//! The statements on carts and their lines.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::cart::{Cart, CartLine, CartSnapshot};
use domain::catalog::Stock;
use domain::clock::Timestamp;
use domain::id::{ProductId, UserId};
use domain::money::{Currency, Money, Price};
use domain::quantity::Quantity;
use domain::text::ProductName;
use uuid::Uuid;

use crate::cached::cached;
use crate::error::damaged;
use crate::schema::{cart_items, carts, products};

/// Makes this customer's other changes wait. The first lock of every transaction that takes it.
pub(super) async fn lock_customer(connection: &mut AsyncPgConnection, customer_id: UserId) -> QueryResult<()> {
    let found = cached(
        diesel::sql_query("SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE").bind::<SqlUuid, _>(customer_id.uuid()),
    )
    .execute(connection)
    .await?;
    if found == 0 { Err(diesel::NotFound) } else { Ok(()) }
}

/// Takes out the lines whose product is no longer on sale.
pub(super) async fn drop_archived(connection: &mut AsyncPgConnection, customer_id: UserId) -> QueryResult<usize> {
    let archived =
        products::table.filter(products::id.eq(cart_items::product_id)).filter(products::archived_at.is_not_null());
    let lines =
        cart_items::table.filter(cart_items::user_id.eq(customer_id.uuid())).filter(diesel::dsl::exists(archived));
    cached(diesel::delete(lines)).execute(connection).await
}

#[derive(QueryableByName)]
struct SnapshotRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    on_sale: Option<i64>,
    #[diesel(sql_type = Nullable<Integer>)]
    in_cart: Option<i32>,
    #[diesel(sql_type = BigInt)]
    lines: i64,
}

/// What a change of one line is decided on.
pub(super) async fn snapshot(
    connection: &mut AsyncPgConnection,
    customer_id: UserId,
    product_id: ProductId,
) -> QueryResult<CartSnapshot> {
    let query = diesel::sql_query(
        "SELECT (SELECT stock FROM products WHERE id = $2 AND archived_at IS NULL) AS on_sale,
                (SELECT quantity FROM cart_items WHERE user_id = $1 AND product_id = $2) AS in_cart,
                (SELECT count(*) FROM cart_items WHERE user_id = $1) AS lines",
    )
    .bind::<SqlUuid, _>(customer_id.uuid())
    .bind::<SqlUuid, _>(product_id.uuid());
    let row: SnapshotRow = cached(query).get_result(connection).await?;
    Ok(CartSnapshot {
        on_sale: row.on_sale.map(Stock::on_hand).transpose().map_err(damaged)?,
        in_cart: row.in_cart.map(i64::from).map(Quantity::new).transpose().map_err(damaged)?,
        lines: usize::try_from(row.lines).map_err(damaged)?,
    })
}

/// Sets a line's quantity, and makes the line if it is not there.
pub(super) async fn put(
    connection: &mut AsyncPgConnection,
    customer_id: UserId,
    product_id: ProductId,
    quantity: Quantity,
    at: Timestamp,
) -> QueryResult<()> {
    let line = (
        cart_items::user_id.eq(customer_id.uuid()),
        cart_items::product_id.eq(product_id.uuid()),
        cart_items::quantity.eq(quantity.get().cast_signed()),
        cart_items::added_at.eq(at),
    );
    let upsert = diesel::insert_into(cart_items::table)
        .values(line)
        .on_conflict((cart_items::user_id, cart_items::product_id))
        .do_update()
        .set(cart_items::quantity.eq(diesel::upsert::excluded(cart_items::quantity)));
    cached(upsert).execute(connection).await?;
    Ok(())
}

/// Takes a line out: 1, or 0 if it was not there.
pub(super) async fn remove(
    connection: &mut AsyncPgConnection,
    customer_id: UserId,
    product_id: ProductId,
) -> QueryResult<usize> {
    cached(diesel::delete(cart_items::table.find((customer_id.uuid(), product_id.uuid())))).execute(connection).await
}

/// Takes all lines out.
pub(super) async fn clear(connection: &mut AsyncPgConnection, customer_id: UserId) -> QueryResult<usize> {
    let lines = cart_items::table.filter(cart_items::user_id.eq(customer_id.uuid()));
    cached(diesel::delete(lines)).execute(connection).await
}

/// Notes when the cart was changed.
pub(super) async fn touch(connection: &mut AsyncPgConnection, customer_id: UserId, at: Timestamp) -> QueryResult<()> {
    let upsert = diesel::insert_into(carts::table)
        .values((carts::user_id.eq(customer_id.uuid()), carts::updated_at.eq(at)))
        .on_conflict(carts::user_id)
        .do_update()
        .set(carts::updated_at.eq(diesel::upsert::excluded(carts::updated_at)));
    cached(upsert).execute(connection).await?;
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = products, check_for_backend(diesel::pg::Pg))]
struct ProductColumns {
    id: Uuid,
    name: String,
    price_minor: i64,
    stock: i64,
    archived_at: Option<Timestamp>,
}

/// A cart as it is stored, with lines of archived products if they were not dropped yet.
pub(super) struct StoredCart {
    lines: Vec<(ProductColumns, i32)>,
    updated_at: Timestamp,
}

#[derive(QueryableByName)]
struct UpdatedRow {
    #[diesel(sql_type = Timestamptz)]
    updated_at: Timestamp,
}

/// Reads a cart. One that was never used is as old as its customer.
pub(super) async fn read(connection: &mut AsyncPgConnection, customer_id: UserId) -> QueryResult<StoredCart> {
    let updated = diesel::sql_query(
        "SELECT coalesce(carts.updated_at, users.created_at) AS updated_at
         FROM users LEFT JOIN carts ON carts.user_id = users.id WHERE users.id = $1",
    )
    .bind::<SqlUuid, _>(customer_id.uuid());
    let UpdatedRow { updated_at } = cached(updated).get_result(connection).await?;
    let lines = cart_items::table
        .inner_join(products::table)
        .filter(cart_items::user_id.eq(customer_id.uuid()))
        .order((cart_items::added_at, cart_items::product_id))
        .select((ProductColumns::as_select(), cart_items::quantity))
        .load(connection)
        .await?;
    Ok(StoredCart { lines, updated_at })
}

impl StoredCart {
    pub(super) fn has_archived(&self) -> bool {
        self.lines.iter().any(|(product, _)| product.archived_at.is_some())
    }

    pub(super) fn into_cart(self, currency: Currency) -> QueryResult<Cart> {
        let lines = self
            .lines
            .into_iter()
            .map(|(product, quantity)| {
                Ok(CartLine {
                    product_id: product.id.into(),
                    name: ProductName::new(&product.name).map_err(damaged)?,
                    quantity: Quantity::new(quantity.into()).map_err(damaged)?,
                    unit_price: Price::new(Money::from_minor(product.price_minor, currency)).map_err(damaged)?,
                    available: Stock::on_hand(product.stock).map_err(damaged)?,
                })
            })
            .collect::<QueryResult<_>>()?;
        Cart::new(lines, currency, self.updated_at).map_err(damaged)
    }
}
