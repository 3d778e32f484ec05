//! Placing an order in one transaction: lock customer, cart and products in this order, decide, write, commit.

use std::collections::{BTreeMap, HashMap};

use diesel::QueryResult;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::Ids;
use domain::id::UserId;
use domain::money::{Currency, Money, Price};
use domain::order::{CartProduct, Order, PlaceOrder, PlaceOrderError, PlaceSnapshot};
use domain::quantity::Quantity;
use tokio::try_join;
use uuid::Uuid;

use super::customer::{lock_customer, recent_units, standing};
use super::{PgOrders, save, stock};
use crate::cached::cached;
use crate::error::damaged;
use crate::idempotency::mark_effect;
use crate::schema::{cart_items, carts, products};
use crate::transaction::Rollback;

impl PgOrders {
    pub(super) async fn place_order(&self, command: &PlaceOrder) -> Result<Order, PlaceOrderError> {
        self.pool
            .transaction(async |connection| {
                let snapshot = lock_snapshot(connection, command).await?;
                let order = command.decide(&snapshot).map_err(Rollback::Refused)?;
                let on_hand: Vec<(Uuid, i64)> =
                    snapshot.cart.iter().map(|line| (line.product_id.uuid(), line.stock.cast_signed())).collect();
                write(connection, &order, &on_hand, self.ids.as_ref()).await?;
                mark_effect(connection, command.claim.as_ref(), order.id).await?;
                Ok(order)
            })
            .await
    }
}

/// Takes the locks and loads what the decision looks at. The customer's lock is waited for before anything else is
/// sent, so that the counts are taken, and the cart is read, under it.
async fn lock_snapshot(connection: &AsyncPgConnection, command: &PlaceOrder) -> QueryResult<PlaceSnapshot> {
    let customer = command.customer_id;
    let locked = lock_customer(connection, customer).await?;
    let (customer_email, customer_since) = locked.ok_or_else(|| damaged("an order's customer is gone"))?;
    let (standing, lines) = try_join!(standing(connection, customer, command.at), lock_cart(connection, customer))?;
    let cart = lock_products(connection, &lines, command.policy.min_total.currency()).await?;
    let recent_units = match command.policy.fraud.max_units_per_product {
        Some(_) => {
            let products: Vec<Uuid> = lines.iter().map(|(product, _)| *product).collect();
            recent_units(connection, customer, &products, command.at).await?
        }
        None => BTreeMap::new(),
    };
    Ok(PlaceSnapshot { standing, customer_email, customer_since, recent_units, cart })
}

async fn lock_cart(mut connection: &AsyncPgConnection, customer: UserId) -> QueryResult<Vec<(Uuid, i32)>> {
    cart_items::table
        .filter(cart_items::user_id.eq(customer.uuid()))
        .order((cart_items::added_at, cart_items::product_id))
        .select((cart_items::product_id, cart_items::quantity))
        .for_update()
        .load(&mut connection)
        .await
}

/// Locks the products of a cart, by id, so that two carts never deadlock. `FOR NO KEY UPDATE` excludes the same
/// writers as `FOR UPDATE` but not the foreign-key checks of other transactions.
async fn lock_products(
    mut connection: &AsyncPgConnection,
    lines: &[(Uuid, i32)],
    currency: Currency,
) -> QueryResult<Vec<CartProduct>> {
    let ids: Vec<Uuid> = lines.iter().map(|(product, _)| *product).collect();
    let rows: Vec<(Uuid, String, i64, i64, bool)> = products::table
        .filter(products::id.eq_any(ids))
        .order(products::id)
        .select((
            products::id,
            products::name,
            products::price_minor,
            products::stock,
            products::archived_at.is_not_null(),
        ))
        .for_no_key_update()
        .load(&mut connection)
        .await?;
    let mut locked: HashMap<Uuid, _> = rows.into_iter().map(|row| (row.0, row)).collect();
    let line = |(product, quantity): &(Uuid, i32)| {
        let (id, name, price_minor, stock, archived) =
            locked.remove(product).ok_or_else(|| damaged("a product in a cart is gone"))?;
        Ok(CartProduct {
            product_id: id.into(),
            name,
            price: Price::new(Money::from_minor(price_minor, currency)).map_err(damaged)?,
            stock: stock.max(0).cast_unsigned(),
            archived,
            quantity: Quantity::new((*quantity).into()).map_err(damaged)?,
        })
    };
    lines.iter().map(line).collect()
}

/// Writes the order first, which the other rows refer to, and then everything else in one round trip.
async fn write(
    connection: &AsyncPgConnection,
    order: &Order,
    on_hand: &[(Uuid, i64)],
    ids: &dyn Ids,
) -> QueryResult<()> {
    save::insert_order(connection, order).await?;
    try_join!(
        save::insert_parts(connection, order),
        stock::take(connection, order, on_hand, ids),
        empty_cart(connection, order),
    )?;
    Ok(())
}

async fn empty_cart(connection: &AsyncPgConnection, order: &Order) -> QueryResult<()> {
    let customer = order.customer_id.uuid();
    let delete = diesel::delete(cart_items::table.filter(cart_items::user_id.eq(customer)));
    let update =
        diesel::update(carts::table.filter(carts::user_id.eq(customer))).set(carts::updated_at.eq(order.created_at));
    let (mut c1, mut c2) = (connection, connection);
    try_join!(cached(delete).execute(&mut c1), cached(update).execute(&mut c2))?;
    Ok(())
}
