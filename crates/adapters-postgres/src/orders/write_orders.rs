//! Writes new orders with all that they leave behind, in one statement.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::Timestamp;
use domain::id::UserId;
use domain::order::Order;
use uuid::Uuid;

use super::request::StoredRequest;
use super::rows::{AttemptRow, HistoryRow, OrderRow, position};
use super::stock::Moves;
use crate::cached::{cached, column};
use crate::error::damaged;
use crate::idempotency::Effect;

#[derive(QueryableByName)]
struct WrittenRow {
    #[diesel(sql_type = BigInt)]
    products: i64,
    #[diesel(sql_type = BigInt)]
    effects: i64,
}

/// Writes orders, takes their stock, empties the carts that they came from, and marks the keys of their requests. All
/// that is changed is locked.
pub(super) async fn write_orders(
    mut connection: &AsyncPgConnection,
    orders: &[Order],
    moves: &Moves<'_>,
    effects: &[Effect<'_>],
) -> QueryResult<()> {
    let rows = column(orders, OrderRow::of);
    let lines: Vec<_> = parts(orders, |order| &order.lines).collect();
    let history: Vec<_> =
        parts(orders, |order| &order.history).map(|(order, n, entry)| HistoryRow::of(order, n, entry)).collect();
    let attempts: Vec<_> =
        parts(orders, |order| &order.attempts).map(|(order, n, attempt)| AttemptRow::of(order, n, attempt)).collect();
    let (products, deltas): (Vec<Uuid>, Vec<i64>) = moves.deltas().into_iter().unzip();
    let moves = moves.made();
    let emptied: HashMap<Uuid, Timestamp> =
        orders.iter().map(|order| (order.customer_id.uuid(), order.created_at)).collect();
    let (customers, emptied_at): (Vec<Uuid>, Vec<Timestamp>) = emptied.into_iter().unzip();
    let write = sql_query(include_str!("write_orders.sql"))
        .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.id))
        .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.customer_id))
        .bind::<Array<Text>, _>(column(&rows, |row| row.status.as_str()))
        .bind::<Array<Text>, _>(column(&rows, |row| row.payment_status.as_str()))
        .bind::<Array<BigInt>, _>(column(&rows, |row| row.total_minor))
        .bind::<Array<Text>, _>(column(&rows, |row| row.currency.as_str()))
        .bind::<Array<Text>, _>(column(&rows, |row| row.shipping_address.as_str()))
        .bind::<Array<Timestamptz>, _>(column(&rows, |row| row.created_at))
        .bind::<Array<Timestamptz>, _>(column(&rows, |row| row.expires_at))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |row| row.due_at))
        // order_lines
        .bind::<Array<SqlUuid>, _>(column(&lines, |(order, ..)| order.id.uuid()))
        .bind::<Array<SmallInt>, _>(column(&lines, |(_, n, _)| position(*n)))
        .bind::<Array<SqlUuid>, _>(column(&lines, |(.., line)| line.product_id.uuid()))
        .bind::<Array<Text>, _>(column(&lines, |(.., line)| line.name.as_str()))
        .bind::<Array<BigInt>, _>(column(&lines, |(.., line)| line.unit_price.amount_minor()))
        .bind::<Array<Integer>, _>(column(&lines, |(.., line)| line.quantity.get().cast_signed()))
        // order_history
        .bind::<Array<SqlUuid>, _>(column(&history, |row| row.order_id))
        .bind::<Array<SmallInt>, _>(column(&history, |row| row.position))
        .bind::<Array<Text>, _>(column(&history, |row| row.to_status.as_str()))
        .bind::<Array<Timestamptz>, _>(column(&history, |row| row.at))
        .bind::<Array<Text>, _>(column(&history, |row| row.by.as_str()))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(&history, |row| row.actor_id))
        // checkout_attempts
        .bind::<Array<SqlUuid>, _>(column(&attempts, |row| row.id))
        .bind::<Array<SqlUuid>, _>(column(&attempts, |row| row.order_id))
        .bind::<Array<SmallInt>, _>(column(&attempts, |row| row.position))
        .bind::<Array<Nullable<Jsonb>>, _>(column::<_, Option<&StoredRequest>>(&attempts, |row| row.request.as_ref()))
        .bind::<Array<Text>, _>(column(&attempts, |row| row.state.as_str()))
        .bind::<Array<Timestamptz>, _>(column(&attempts, |row| row.created_at))
        // products
        .bind::<Array<SqlUuid>, _>(&products)
        .bind::<Array<BigInt>, _>(deltas)
        // stock_movements
        .bind::<Array<SqlUuid>, _>(column(moves, |made| made.id))
        .bind::<Array<SqlUuid>, _>(column(moves, |made| made.product_id))
        .bind::<Array<BigInt>, _>(column(moves, |made| made.delta))
        .bind::<Array<BigInt>, _>(column(moves, |made| made.stock_after))
        .bind::<Array<Text>, _>(column(moves, |made| made.reason))
        .bind::<Array<SqlUuid>, _>(column(moves, |made| made.order_id.uuid()))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(moves, |made| made.actor_id.map(UserId::uuid)))
        .bind::<Array<Timestamptz>, _>(column(moves, |made| made.at))
        // cart_items, carts
        .bind::<Array<SqlUuid>, _>(customers)
        .bind::<Array<Timestamptz>, _>(emptied_at)
        // idempotency_keys
        .bind::<Array<SqlUuid>, _>(column(effects, |effect| effect.claim.user_id.uuid()))
        .bind::<Array<Text>, _>(column(effects, |effect| effect.claim.key.as_str()))
        .bind::<Array<BigInt>, _>(column(effects, |effect| effect.claim.number.cast_signed()))
        .bind::<Array<SqlUuid>, _>(column(effects, |effect| effect.order_id.uuid()));
    let written: WrittenRow = cached(write).get_result(&mut connection).await?;
    let expected = |count: i64, rows: usize| usize::try_from(count) == Ok(rows);
    if !expected(written.products, products.len()) {
        return Err(damaged("a product of an order is gone"));
    }
    if !expected(written.effects, effects.len()) {
        return Err(damaged("a claim was lost under its lock"));
    }
    Ok(())
}

/// The parts of all orders, each with its order and its place in it.
fn parts<'a, T: 'a>(
    orders: &'a [Order],
    of: impl Fn(&'a Order) -> &'a Vec<T>,
) -> impl Iterator<Item = (&'a Order, usize, &'a T)> {
    orders.iter().flat_map(move |order| of(order).iter().enumerate().map(move |(n, part)| (order, n, part)))
}
