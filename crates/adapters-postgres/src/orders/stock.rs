//! Takes stock for orders and gives it back, each move with its entry in the ledger.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::{Ids, Timestamp};
use domain::id::{MovementId, OrderId, UserId};
use domain::order::{CancelledBy, Order};
use tokio::try_join;
use uuid::Uuid;

use crate::cached::cached;
use crate::error::damaged;
use crate::schema::{order_lines, products};

/// One product's stock before and after a move.
#[derive(Debug, Clone, Copy)]
struct Move {
    product_id: Uuid,
    delta: i64,
    stock_after: i64,
}

/// Why stock moved, for the ledger.
struct Cause<'a> {
    order_id: OrderId,
    actor_id: Option<UserId>,
    reason: &'a str,
    at: Timestamp,
}

/// A product's stock, under lock.
#[derive(Debug, Clone, Copy, Queryable)]
pub(super) struct LockedStock {
    product_id: Uuid,
    stock: i64,
}

/// Locks the products of an order, by id, before the order itself is locked. The lines of an order never change,
/// so they are read without a lock.
pub(super) async fn lock_products_of(
    connection: &mut AsyncPgConnection,
    order_id: OrderId,
) -> QueryResult<Vec<LockedStock>> {
    let of_order = order_lines::table.filter(order_lines::order_id.eq(order_id.uuid())).select(order_lines::product_id);
    products::table
        .filter(products::id.eq_any(of_order))
        .order(products::id)
        .select((products::id, products::stock))
        .for_no_key_update()
        .load(connection)
        .await
}

/// Takes the units of a new order. `stock` is what the locked products hold.
pub(super) async fn take(
    connection: &AsyncPgConnection,
    order: &Order,
    stock: &[(Uuid, i64)],
    ids: &dyn Ids,
) -> QueryResult<()> {
    let stock: Vec<LockedStock> = stock.iter().map(|&(product_id, stock)| LockedStock { product_id, stock }).collect();
    let cause =
        Cause { order_id: order.id, actor_id: Some(order.customer_id), reason: "order placed", at: order.created_at };
    move_stock(connection, &moves(order, &stock, -1)?, &cause, ids).await
}

/// Gives the units of a cancelled order back.
pub(super) async fn give_back(
    connection: &mut AsyncPgConnection,
    order: &Order,
    stock: &[LockedStock],
    ids: &dyn Ids,
) -> QueryResult<()> {
    let Some(cancellation) = order.state.cancellation() else {
        return Err(damaged("stock goes back for cancelled orders only"));
    };
    let reason = if cancellation.by == CancelledBy::System { "order expired" } else { "order cancelled" };
    let actor_id = order.history.last().and_then(|entry| entry.actor_id);
    let cause = Cause { order_id: order.id, actor_id, reason, at: cancellation.at };
    move_stock(connection, &moves(order, stock, 1)?, &cause, ids).await
}

fn moves(order: &Order, stock: &[LockedStock], sign: i64) -> QueryResult<Vec<Move>> {
    let moved = |line: &domain::order::OrderLine| {
        let product_id = line.product_id.uuid();
        let before = stock.iter().find(|stock| stock.product_id == product_id);
        let before = before.ok_or_else(|| damaged("a product of an order is not locked"))?.stock;
        let delta = sign * i64::from(line.quantity.get());
        Ok(Move { product_id, delta, stock_after: before + delta })
    };
    order.lines.iter().map(moved).collect()
}

async fn move_stock(
    connection: &AsyncPgConnection,
    moves: &[Move],
    cause: &Cause<'_>,
    ids: &dyn Ids,
) -> QueryResult<()> {
    let products: Vec<Uuid> = moves.iter().map(|m| m.product_id).collect();
    let deltas: Vec<i64> = moves.iter().map(|m| m.delta).collect();
    let update = sql_query(
        "UPDATE products SET stock = products.stock + moved.delta \
         FROM unnest($1, $2) AS moved (product_id, delta) WHERE products.id = moved.product_id",
    )
    .bind::<Array<SqlUuid>, _>(products.clone())
    .bind::<Array<BigInt>, _>(deltas.clone());
    let insert = sql_query(
        "INSERT INTO stock_movements (id, product_id, delta, stock_after, reason, order_id, actor_id, created_at) \
         SELECT moved.id, moved.product_id, moved.delta, moved.stock_after, $5, $6, $7, $8 \
         FROM unnest($1, $2, $3, $4) AS moved (id, product_id, delta, stock_after)",
    )
    .bind::<Array<SqlUuid>, _>(moves.iter().map(|_| MovementId::mint(ids).uuid()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(products)
    .bind::<Array<BigInt>, _>(deltas)
    .bind::<Array<BigInt>, _>(moves.iter().map(|m| m.stock_after).collect::<Vec<_>>())
    .bind::<Text, _>(cause.reason)
    .bind::<SqlUuid, _>(cause.order_id.uuid())
    .bind::<Nullable<SqlUuid>, _>(cause.actor_id.map(UserId::uuid))
    .bind::<Timestamptz, _>(cause.at);
    let (mut c1, mut c2) = (connection, connection);
    let (updated, _) = try_join!(cached(update).execute(&mut c1), cached(insert).execute(&mut c2))?;
    if updated == moves.len() { Ok(()) } else { Err(damaged("a product of an order is gone")) }
}
