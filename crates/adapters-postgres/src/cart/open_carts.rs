//! Carts under their customers' locks: loaded, changed in memory, and written back, all of a transaction at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::cart::{Cart, CartSnapshot};
use domain::catalog::Stock;
use domain::clock::Timestamp;
use domain::id::{ProductId, UserId};
use domain::money::Currency;
use domain::quantity::Quantity;
use tokio::try_join;
use uuid::Uuid;

use super::stored::{ProductRow, StoredLine, cart};
use crate::cached::{cached, column};
use crate::customers::lock_customers;
use crate::error::damaged;
use crate::schema::{cart_items, products};

/// A line, and whether its quantity must be written.
#[derive(Debug, Clone, Copy)]
struct Line {
    quantity: Quantity,
    added_at: Timestamp,
    is_changed: bool,
}

/// One customer's cart, without what was archived.
#[derive(Debug, Default)]
struct OpenCart {
    lines: BTreeMap<Uuid, Line>,
    removed: BTreeSet<Uuid>,
    /// Lines of archived products: they go when the cart is changed.
    archived: BTreeSet<Uuid>,
    changed_at: Option<Timestamp>,
}

/// The carts of a transaction, and the products that they hold or are to hold.
#[derive(Debug)]
pub(super) struct OpenCarts {
    carts: HashMap<Uuid, OpenCart>,
    products: HashMap<Uuid, ProductRow>,
}

impl OpenCarts {
    /// Locks the customers, by id, and loads their carts and these products.
    pub(super) async fn lock(
        connection: &AsyncPgConnection,
        customers: &BTreeSet<Uuid>,
        wanted: &BTreeSet<Uuid>,
    ) -> QueryResult<Self> {
        let (customers, lines, products) = try_join!(
            biased;
            lock_customers(connection, customers),
            lines_of(connection, customers),
            products(connection, wanted)
        )?;
        let carts = customers.into_iter().map(|customer| (customer.id, OpenCart::default())).collect();
        let mut open = Self { carts, products: HashMap::new() };
        for StoredLine { user_id, quantity, added_at, product } in lines {
            let cart = open.carts.entry(user_id).or_default();
            if product.archived_at.is_some() {
                cart.archived.insert(product.id);
            } else {
                let quantity = Quantity::new(quantity.into()).map_err(damaged)?;
                cart.lines.insert(product.id, Line { quantity, added_at, is_changed: false });
            }
            open.products.insert(product.id, product);
        }
        open.products.extend(products.into_iter().map(|product| (product.id, product)));
        Ok(open)
    }

    /// What a change of one line is decided on; `None` if there is no such customer.
    pub(super) fn snapshot(&self, customer: UserId, product: ProductId) -> QueryResult<Option<CartSnapshot>> {
        let Some(cart) = self.carts.get(&customer.uuid()) else { return Ok(None) };
        let on_sale = self.products.get(&product.uuid()).filter(|product| product.archived_at.is_none());
        Ok(Some(CartSnapshot {
            on_sale: on_sale.map(|product| Stock::on_hand(product.stock)).transpose().map_err(damaged)?,
            in_cart: cart.lines.get(&product.uuid()).map(|line| line.quantity),
            lines: cart.lines.len(),
        }))
    }

    /// Sets a line's quantity, and makes the line if it is not there.
    pub(super) fn put(&mut self, customer: UserId, product: ProductId, quantity: Quantity, at: Timestamp) {
        let Some(cart) = self.carts.get_mut(&customer.uuid()) else { return };
        let added_at = cart.lines.get(&product.uuid()).map_or(at, |line| line.added_at);
        cart.lines.insert(product.uuid(), Line { quantity, added_at, is_changed: true });
        cart.changed_at = Some(at);
    }

    /// Takes a line out; `false` if it was not there.
    pub(super) fn remove(&mut self, customer: UserId, product: ProductId, at: Timestamp) -> bool {
        let Some(cart) = self.carts.get_mut(&customer.uuid()) else { return false };
        let was_there = cart.lines.remove(&product.uuid()).is_some();
        if was_there {
            cart.removed.insert(product.uuid());
            cart.changed_at = Some(at);
        }
        was_there
    }

    /// Lets a cart forget what was archived, even if nothing else in it changes.
    pub(super) fn forget_archived(&mut self, customer: UserId, at: Timestamp) {
        if let Some(cart) = self.carts.get_mut(&customer.uuid()) {
            cart.changed_at = Some(at);
        }
    }

    /// The cart as it is now, changed at `at`.
    pub(super) fn show(&self, customer: UserId, currency: Currency, at: Timestamp) -> QueryResult<Cart> {
        let lines = self.carts.get(&customer.uuid()).map(|cart| &cart.lines);
        let mut lines: Vec<_> = lines.into_iter().flatten().collect();
        lines.sort_by_key(|(product, line)| (line.added_at, **product));
        let whole = lines.into_iter().map(|(product, line)| {
            let product = self.products.get(product).ok_or_else(|| damaged("a product in a cart is gone"))?;
            Ok((product, line.quantity))
        });
        cart(whole, currency, at)
    }

    /// Writes what was changed, in one round trip.
    pub(super) async fn write(&self, connection: &AsyncPgConnection) -> QueryResult<()> {
        let changed = self.carts.iter().filter_map(|(user, cart)| Some((*user, cart, cart.changed_at?)));
        let changed: Vec<(Uuid, &OpenCart, Timestamp)> = changed.collect();
        if changed.is_empty() {
            return Ok(());
        }
        try_join!(put_lines(connection, &changed), delete_lines(connection, &changed), touch(connection, &changed))?;
        Ok(())
    }
}

async fn lines_of(mut connection: &AsyncPgConnection, customers: &BTreeSet<Uuid>) -> QueryResult<Vec<StoredLine>> {
    cart_items::table
        .inner_join(products::table)
        .filter(cart_items::user_id.eq_any(customers))
        .select(StoredLine::as_select())
        .load(&mut connection)
        .await
}

async fn products(mut connection: &AsyncPgConnection, ids: &BTreeSet<Uuid>) -> QueryResult<Vec<ProductRow>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    products::table.filter(products::id.eq_any(ids)).select(ProductRow::as_select()).load(&mut connection).await
}

async fn put_lines(mut connection: &AsyncPgConnection, changed: &[(Uuid, &OpenCart, Timestamp)]) -> QueryResult<()> {
    let lines =
        changed.iter().flat_map(|(user, cart, _)| cart.lines.iter().map(|(product, line)| (*user, *product, *line)));
    let lines: Vec<(Uuid, Uuid, Line)> = lines.filter(|(_, _, line)| line.is_changed).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let upsert = sql_query(
        "INSERT INTO cart_items (user_id, product_id, quantity, added_at) SELECT * FROM unnest($1, $2, $3, $4) \
         ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = excluded.quantity",
    )
    .bind::<Array<SqlUuid>, _>(column(&lines, |(user, _, _)| *user))
    .bind::<Array<SqlUuid>, _>(column(&lines, |(_, product, _)| *product))
    .bind::<Array<Integer>, _>(column(&lines, |(_, _, line)| line.quantity.get().cast_signed()))
    .bind::<Array<Timestamptz>, _>(column(&lines, |(_, _, line)| line.added_at));
    cached(upsert).execute(&mut connection).await?;
    Ok(())
}

/// Takes out what was removed, and lines whose product is no longer on sale.
async fn delete_lines(mut connection: &AsyncPgConnection, changed: &[(Uuid, &OpenCart, Timestamp)]) -> QueryResult<()> {
    let gone = changed.iter().flat_map(|(user, cart, _)| {
        let products = cart.removed.iter().chain(&cart.archived);
        products.filter(|product| !cart.lines.contains_key(product)).map(|product| (*user, *product))
    });
    let (users, products): (Vec<Uuid>, Vec<Uuid>) = gone.unzip();
    if users.is_empty() {
        return Ok(());
    }
    let delete = sql_query(
        "DELETE FROM cart_items USING unnest($1, $2) AS gone (user_id, product_id) \
         WHERE cart_items.user_id = gone.user_id AND cart_items.product_id = gone.product_id",
    )
    .bind::<Array<SqlUuid>, _>(users)
    .bind::<Array<SqlUuid>, _>(products);
    cached(delete).execute(&mut connection).await?;
    Ok(())
}

/// Notes when the carts were changed.
async fn touch(mut connection: &AsyncPgConnection, changed: &[(Uuid, &OpenCart, Timestamp)]) -> QueryResult<()> {
    let upsert = sql_query(
        "INSERT INTO carts (user_id, updated_at) SELECT * FROM unnest($1, $2) \
         ON CONFLICT (user_id) DO UPDATE SET updated_at = excluded.updated_at",
    )
    .bind::<Array<SqlUuid>, _>(column(changed, |(user, _, _)| *user))
    .bind::<Array<Timestamptz>, _>(column(changed, |(_, _, at)| *at));
    cached(upsert).execute(&mut connection).await?;
    Ok(())
}

/// Takes all lines of one locked customer out, and notes when.
pub(super) async fn clear(connection: &AsyncPgConnection, customer: UserId, at: Timestamp) -> QueryResult<()> {
    let mut c1 = connection;
    let user = customer.uuid();
    if lock_customers(connection, &[user]).await?.is_empty() {
        return Err(diesel::NotFound);
    }
    cached(diesel::delete(cart_items::table.filter(cart_items::user_id.eq(user)))).execute(&mut c1).await?;
    touch(connection, &[(user, &OpenCart::default(), at)]).await
}
