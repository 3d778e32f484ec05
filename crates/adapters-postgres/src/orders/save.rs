//! Writes what a decision changed: only the rows that differ from what was loaded under lock.

use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{Array, BigInt, Integer, SmallInt, Text, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::Ids;
use domain::id::TaskId;
use domain::order::{Errand, Order, OrderChange};
use domain::payment::Receipt;
use tokio::try_join;
use uuid::Uuid;

use super::rows::{AttemptRow, HistoryRow, OrderRow, ReceiptRow, RefundRequestRow, RefundRow, position};
use crate::cached::cached;
use crate::error::damaged;
use crate::schema::{checkout_attempts, order_history, orders, receipts, refund_requests, refunds};

/// Writes a new order's own row.
pub(super) async fn insert_order(mut connection: &AsyncPgConnection, order: &Order) -> QueryResult<()> {
    cached(diesel::insert_into(orders::table).values(OrderRow::of(order))).execute(&mut connection).await?;
    Ok(())
}

/// Writes everything else of a new order, in one round trip.
pub(super) async fn insert_parts(connection: &AsyncPgConnection, order: &Order) -> QueryResult<()> {
    try_join!(
        insert_lines(connection, order),
        insert_history(connection, order, 0),
        save_attempts(connection, &[], order),
    )?;
    Ok(())
}

async fn insert_lines(mut connection: &AsyncPgConnection, order: &Order) -> QueryResult<()> {
    let lines = &order.lines;
    let insert = sql_query(
        "INSERT INTO order_lines (order_id, position, product_id, name, unit_price_minor, quantity) \
         SELECT $1, * FROM unnest($2, $3, $4, $5, $6)",
    )
    .bind::<SqlUuid, _>(order.id.uuid())
    .bind::<Array<SmallInt>, _>((0..lines.len()).map(position).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(lines.iter().map(|line| line.product_id.uuid()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(lines.iter().map(|line| line.unit_price.amount_minor()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(lines.iter().map(|line| line.quantity.get().cast_signed()).collect::<Vec<_>>());
    cached(insert).execute(&mut connection).await?;
    Ok(())
}

/// Writes what a decision changed of an order that is locked. Stock is not touched here.
pub(super) async fn save(
    connection: &mut AsyncPgConnection,
    before: &Order,
    change: &OrderChange,
    ids: &dyn Ids,
) -> QueryResult<()> {
    let after = &change.order;
    save_header(connection, before, after).await?;
    insert_history(connection, after, before.history.len()).await?;
    save_attempts(connection, &before.attempts, after).await?;
    save_receipts(connection, before, after).await?;
    insert_tasks(connection, change, ids).await
}

async fn save_header(connection: &mut AsyncPgConnection, before: &Order, after: &Order) -> QueryResult<()> {
    let row = OrderRow::of(after);
    if row == OrderRow::of(before) {
        return Ok(());
    }
    // The row is locked, so the state can't have changed; should it have, nothing is overwritten.
    let same_state = orders::id.eq(row.id).and(orders::status.eq(before.status().as_str()));
    let updated = cached(diesel::update(orders::table).filter(same_state).set(row)).execute(connection).await?;
    if updated == 1 { Ok(()) } else { Err(damaged("an order changed under its lock")) }
}

async fn insert_history(mut connection: &AsyncPgConnection, order: &Order, known: usize) -> QueryResult<()> {
    for (index, entry) in order.history.iter().enumerate().skip(known) {
        let row = HistoryRow::of(order, index, entry);
        cached(diesel::insert_into(order_history::table).values(row)).execute(&mut connection).await?;
    }
    Ok(())
}

async fn save_attempts(
    mut connection: &AsyncPgConnection,
    before: &[domain::payment::Attempt],
    order: &Order,
) -> QueryResult<()> {
    for (index, attempt) in order.attempts.iter().enumerate() {
        if before.get(index) == Some(attempt) {
            continue;
        }
        let row = AttemptRow::of(order, index, attempt)?;
        if before.get(index).is_some() {
            let mine = checkout_attempts::id.eq(row.id);
            cached(diesel::update(checkout_attempts::table).filter(mine).set(row)).execute(&mut connection).await?;
        } else {
            cached(diesel::insert_into(checkout_attempts::table).values(row)).execute(&mut connection).await?;
        }
    }
    Ok(())
}

async fn save_receipts(connection: &mut AsyncPgConnection, before: &Order, after: &Order) -> QueryResult<()> {
    for (index, receipt) in after.receipts.iter().enumerate() {
        let known = before.receipts.get(index);
        if known == Some(receipt) {
            continue;
        }
        let row = ReceiptRow::of(after, index, receipt);
        if known.is_some() {
            let mine = receipts::intent.eq(receipt.intent.as_str());
            cached(diesel::update(receipts::table).filter(mine).set(row)).execute(connection).await?;
        } else {
            cached(diesel::insert_into(receipts::table).values(row)).execute(connection).await?;
        }
        save_refunds(connection, known, receipt).await?;
        save_requests(connection, known, receipt).await?;
    }
    Ok(())
}

async fn save_refunds(
    connection: &mut AsyncPgConnection,
    before: Option<&Receipt>,
    receipt: &Receipt,
) -> QueryResult<()> {
    for (index, refund) in receipt.refunds.iter().enumerate() {
        let known = before.and_then(|before| before.refunds.get(index));
        if known == Some(refund) {
            continue;
        }
        let row = RefundRow::of(receipt, index, refund);
        if known.is_some() {
            let mine = refunds::id.eq(refund.id.as_str());
            cached(diesel::update(refunds::table).filter(mine).set(row)).execute(connection).await?;
        } else {
            cached(diesel::insert_into(refunds::table).values(row)).execute(connection).await?;
        }
    }
    Ok(())
}

async fn save_requests(
    connection: &mut AsyncPgConnection,
    before: Option<&Receipt>,
    receipt: &Receipt,
) -> QueryResult<()> {
    for (index, request) in receipt.requests.iter().enumerate() {
        let known = before.and_then(|before| before.requests.get(index));
        if known == Some(request) {
            continue;
        }
        let row = RefundRequestRow::of(receipt, index, request);
        if known.is_some() {
            let mine = refund_requests::id.eq(request.id.uuid());
            cached(diesel::update(refund_requests::table).filter(mine).set(row)).execute(connection).await?;
        } else {
            cached(diesel::insert_into(refund_requests::table).values(row)).execute(connection).await?;
        }
    }
    Ok(())
}

/// Stores the errands of a decision. One that is under way for the same attempt or request is enough.
async fn insert_tasks(connection: &mut AsyncPgConnection, change: &OrderChange, ids: &dyn Ids) -> QueryResult<()> {
    for errand in &change.errands {
        let (kind, subject) = errand_columns(errand);
        let insert = sql_query(
            "INSERT INTO tasks (id, order_id, kind, subject_id) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (subject_id) WHERE finished_at IS NULL DO NOTHING",
        )
        .bind::<SqlUuid, _>(TaskId::mint(ids).uuid())
        .bind::<SqlUuid, _>(change.order.id.uuid())
        .bind::<Text, _>(kind)
        .bind::<SqlUuid, _>(subject);
        cached(insert).execute(connection).await?;
    }
    Ok(())
}

/// What a task's row says of its errand.
const fn errand_columns(errand: &Errand) -> (&'static str, Uuid) {
    match errand {
        Errand::CloseSession(attempt) => ("CLOSE_SESSION", attempt.uuid()),
        Errand::Refund(request) => ("REFUND", request.uuid()),
    }
}

/// The errand that a task's row says.
pub(super) fn errand(kind: &str, subject: Uuid) -> Result<Errand, Error> {
    match kind {
        "CLOSE_SESSION" => Ok(Errand::CloseSession(subject.into())),
        "REFUND" => Ok(Errand::Refund(subject.into())),
        other => Err(damaged(format!("tasks.kind holds {other:?}"))),
    }
}
