//! Writes what decisions changed: only the rows that differ from what was loaded under lock, and of all orders of a
//! transaction at once, a statement per table.

use diesel::result::Error;
use diesel::sql_types::{Array, BigInt, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::Ids;
use domain::id::TaskId;
use domain::order::{Errand, Order, OrderChange};
use tokio::try_join;
use uuid::Uuid;

use super::request::StoredRequest;
use super::rows::{AttemptRow, HistoryRow, OrderRow, ReceiptRow, RefundRequestRow, RefundRow};
use crate::cached::{cached, column};
use crate::error::damaged;

/// What a decision made of an order that is locked.
#[derive(Debug)]
pub(super) struct Saved<'a> {
    pub before: &'a Order,
    pub after: &'a Order,
    pub errands: &'a [Errand],
}

impl<'a> Saved<'a> {
    pub(super) fn change(before: &'a Order, change: &'a OrderChange) -> Self {
        Self { before, after: &change.order, errands: &change.errands }
    }
}

/// Writes what decisions changed of orders that are locked, in one round trip. Stock is not touched here.
///
/// Rows that are there are updated before new ones come, so that an order never has two live attempts, nor a receipt
/// two open requests, not even within the transaction.
pub(super) async fn save(connection: &AsyncPgConnection, changes: &[Saved<'_>], ids: &dyn Ids) -> QueryResult<()> {
    let history = changes.iter().flat_map(|change| history_rows(change.after, change.before.history.len()));
    try_join!(
        biased;
        update_orders(connection, changes),
        insert_history(connection, history.collect()),
        save_attempts(connection, changes),
        save_receipts(connection, changes),
        insert_tasks(connection, changes, ids)
    )?;
    Ok(())
}

async fn update_orders(mut connection: &AsyncPgConnection, changes: &[Saved<'_>]) -> QueryResult<()> {
    let rows =
        changes.iter().map(|change| (change.before.status(), OrderRow::of(change.before), OrderRow::of(change.after)));
    let rows: Vec<_> = rows.filter(|(_, before, after)| before != after).map(|(from, _, row)| (from, row)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    // The rows are locked, so their states can't have changed; should one have, nothing is overwritten.
    let update = sql_query(
        "UPDATE orders SET status = new.status, payment_status = new.payment_status, \
           tracking_number = new.tracking_number, flags = string_to_array(new.flags, ','), due_at = new.due_at, \
           paid_at = new.paid_at, shipped_at = new.shipped_at, delivered_at = new.delivered_at, \
           cancelled_at = new.cancelled_at, cancelled_by = new.cancelled_by, cancel_reason = new.cancel_reason \
         FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS new (id, from_status, status, \
           payment_status, tracking_number, flags, due_at, paid_at, shipped_at, delivered_at, cancelled_at, \
           cancelled_by, cancel_reason) \
         WHERE orders.id = new.id AND orders.status = new.from_status",
    )
    .bind::<Array<SqlUuid>, _>(column(&rows, |(_, row)| row.id))
    .bind::<Array<Text>, _>(column(&rows, |(from, _)| from.as_str()))
    .bind::<Array<Text>, _>(column(&rows, |(_, row)| row.status.as_str()))
    .bind::<Array<Text>, _>(column(&rows, |(_, row)| row.payment_status.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(&rows, |(_, row)| row.tracking_number.as_deref()))
    // An array of arrays would be unnested to its elements.
    .bind::<Array<Text>, _>(column(&rows, |(_, row)| row.flags.join(",")))
    .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |(_, row)| row.due_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |(_, row)| row.paid_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |(_, row)| row.shipped_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |(_, row)| row.delivered_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |(_, row)| row.cancelled_at))
    .bind::<Array<Nullable<Text>>, _>(column(&rows, |(_, row)| row.cancelled_by.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(column(&rows, |(_, row)| row.cancel_reason.as_deref()));
    let updated = cached(update).execute(&mut connection).await?;
    if updated == rows.len() { Ok(()) } else { Err(damaged("an order changed under its lock")) }
}

fn history_rows(order: &Order, known: usize) -> impl Iterator<Item = HistoryRow> {
    order.history.iter().enumerate().skip(known).map(|(index, entry)| HistoryRow::of(order, index, entry))
}

async fn insert_history(mut connection: &AsyncPgConnection, rows: Vec<HistoryRow>) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let insert = sql_query(
        "INSERT INTO order_history (order_id, position, from_status, to_status, at, by, actor_id, reason) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.order_id))
    .bind::<Array<SmallInt>, _>(column(&rows, |row| row.position))
    .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.from_status.as_deref()))
    .bind::<Array<Text>, _>(column(&rows, |row| row.to_status.as_str()))
    .bind::<Array<Timestamptz>, _>(column(&rows, |row| row.at))
    .bind::<Array<Text>, _>(column(&rows, |row| row.by.as_str()))
    .bind::<Array<Nullable<SqlUuid>>, _>(column(&rows, |row| row.actor_id))
    .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.reason.as_deref()));
    cached(insert).execute(&mut connection).await?;
    Ok(())
}

async fn save_attempts(connection: &AsyncPgConnection, changes: &[Saved<'_>]) -> QueryResult<()> {
    let mut rows = Rows::none();
    for Saved { before, after, .. } in changes {
        rows.take(&before.attempts, &after.attempts, |index, attempt| AttemptRow::of(after, index, attempt));
    }
    try_join!(biased; update_attempts(connection, rows.changed), insert_attempts(connection, rows.new))?;
    Ok(())
}

async fn insert_attempts(mut connection: &AsyncPgConnection, rows: Vec<AttemptRow>) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let insert = sql_query(
        "INSERT INTO checkout_attempts (id, order_id, position, request, state, session_id, session_url, \
         session_expires_at, waits_until, ending, created_at) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.id))
    .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.order_id))
    .bind::<Array<SmallInt>, _>(column(&rows, |row| row.position))
    .bind::<Array<Nullable<Jsonb>>, _>(column::<_, Option<&StoredRequest>>(&rows, |row| row.request.as_ref()))
    .bind::<Array<Text>, _>(column(&rows, |row| row.state.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.session_id.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.session_url.as_deref()))
    .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |row| row.session_expires_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |row| row.waits_until))
    .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.ending.as_deref()))
    .bind::<Array<Timestamptz>, _>(column(&rows, |row| row.created_at));
    cached(insert).execute(&mut connection).await?;
    Ok(())
}

/// What an attempt asks for never changes, only what came of it.
async fn update_attempts(mut connection: &AsyncPgConnection, rows: Vec<AttemptRow>) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let update = sql_query(
        "UPDATE checkout_attempts SET state = new.state, session_id = new.session_id, session_url = new.session_url, \
           session_expires_at = new.session_expires_at, waits_until = new.waits_until, ending = new.ending \
         FROM unnest($1, $2, $3, $4, $5, $6, $7) AS new (id, state, session_id, session_url, session_expires_at, \
           waits_until, ending) \
         WHERE checkout_attempts.id = new.id",
    )
    .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.id))
    .bind::<Array<Text>, _>(column(&rows, |row| row.state.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.session_id.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.session_url.as_deref()))
    .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |row| row.session_expires_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |row| row.waits_until))
    .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.ending.as_deref()));
    let updated = cached(update).execute(&mut connection).await?;
    if updated == rows.len() { Ok(()) } else { Err(damaged("an attempt of an order is gone")) }
}

/// Rows that are there and changed, and rows that are new.
struct Rows<R> {
    changed: Vec<R>,
    new: Vec<R>,
}

impl<R> Rows<R> {
    const fn none() -> Self {
        Self { changed: Vec::new(), new: Vec::new() }
    }

    /// Takes those of a list that differ from the list before.
    fn take<T: PartialEq>(&mut self, before: &[T], after: &[T], row: impl Fn(usize, &T) -> R) {
        for (index, item) in after.iter().enumerate() {
            match before.get(index) {
                Some(known) if known == item => {}
                Some(_) => self.changed.push(row(index, item)),
                None => self.new.push(row(index, item)),
            }
        }
    }
}

async fn save_receipts(connection: &AsyncPgConnection, changes: &[Saved<'_>]) -> QueryResult<()> {
    let (mut receipts, mut refunds, mut requests) = (Rows::none(), Rows::none(), Rows::none());
    for Saved { before, after, .. } in changes {
        receipts.take(&before.receipts, &after.receipts, |index, receipt| ReceiptRow::of(after, index, receipt));
        for (index, receipt) in after.receipts.iter().enumerate() {
            let known = before.receipts.get(index);
            let (known_refunds, known_requests): (&[_], &[_]) =
                known.map_or((&[], &[]), |known| (&known.refunds, &known.requests));
            refunds.take(known_refunds, &receipt.refunds, |index, refund| RefundRow::of(receipt, index, refund));
            requests.take(known_requests, &receipt.requests, |index, request| {
                RefundRequestRow::of(receipt, index, request)
            });
        }
    }
    try_join!(
        biased;
        update_receipts(connection, receipts.changed),
        insert_receipts(connection, receipts.new),
        update_refunds(connection, refunds.changed),
        insert_refunds(connection, refunds.new),
        update_requests(connection, requests.changed),
        insert_requests(connection, requests.new)
    )?;
    Ok(())
}

async fn insert_receipts(mut connection: &AsyncPgConnection, rows: Vec<ReceiptRow>) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let insert = sql_query(
        "INSERT INTO receipts (intent, order_id, position, amount_minor, currency, kind, received_at, \
         charge_refunded_minor) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind::<Array<Text>, _>(column(&rows, |row| row.intent.as_str()))
    .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.order_id))
    .bind::<Array<SmallInt>, _>(column(&rows, |row| row.position))
    .bind::<Array<BigInt>, _>(column(&rows, |row| row.amount_minor))
    .bind::<Array<Text>, _>(column(&rows, |row| row.currency.as_str()))
    .bind::<Array<Text>, _>(column(&rows, |row| row.kind.as_str()))
    .bind::<Array<Timestamptz>, _>(column(&rows, |row| row.received_at))
    .bind::<Array<BigInt>, _>(column(&rows, |row| row.charge_refunded_minor));
    cached(insert).execute(&mut connection).await?;
    Ok(())
}

/// Of a receipt only what went back of it changes.
async fn update_receipts(mut connection: &AsyncPgConnection, rows: Vec<ReceiptRow>) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let update = sql_query(
        "UPDATE receipts SET charge_refunded_minor = new.charge_refunded_minor \
         FROM unnest($1, $2) AS new (intent, charge_refunded_minor) WHERE receipts.intent = new.intent",
    )
    .bind::<Array<Text>, _>(column(&rows, |row| row.intent.as_str()))
    .bind::<Array<BigInt>, _>(column(&rows, |row| row.charge_refunded_minor));
    cached(update).execute(&mut connection).await?;
    Ok(())
}

async fn insert_refunds(mut connection: &AsyncPgConnection, rows: Vec<RefundRow>) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let insert = sql_query(
        "INSERT INTO refunds (id, intent, position, amount_minor, status) SELECT * FROM unnest($1, $2, $3, $4, $5)",
    )
    .bind::<Array<Text>, _>(column(&rows, |row| row.id.as_str()))
    .bind::<Array<Text>, _>(column(&rows, |row| row.intent.as_str()))
    .bind::<Array<SmallInt>, _>(column(&rows, |row| row.position))
    .bind::<Array<BigInt>, _>(column(&rows, |row| row.amount_minor))
    .bind::<Array<Text>, _>(column(&rows, |row| row.status.as_str()));
    cached(insert).execute(&mut connection).await?;
    Ok(())
}

async fn update_refunds(mut connection: &AsyncPgConnection, rows: Vec<RefundRow>) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let update = sql_query(
        "UPDATE refunds SET amount_minor = new.amount_minor, status = new.status \
         FROM unnest($1, $2, $3) AS new (id, amount_minor, status) WHERE refunds.id = new.id",
    )
    .bind::<Array<Text>, _>(column(&rows, |row| row.id.as_str()))
    .bind::<Array<BigInt>, _>(column(&rows, |row| row.amount_minor))
    .bind::<Array<Text>, _>(column(&rows, |row| row.status.as_str()));
    cached(update).execute(&mut connection).await?;
    Ok(())
}

async fn insert_requests(mut connection: &AsyncPgConnection, rows: Vec<RefundRequestRow>) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let insert = sql_query(
        "INSERT INTO refund_requests (id, intent, position, amount_minor, outcome) \
         SELECT * FROM unnest($1, $2, $3, $4, $5)",
    )
    .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.id))
    .bind::<Array<Text>, _>(column(&rows, |row| row.intent.as_str()))
    .bind::<Array<SmallInt>, _>(column(&rows, |row| row.position))
    .bind::<Array<BigInt>, _>(column(&rows, |row| row.amount_minor))
    .bind::<Array<Text>, _>(column(&rows, |row| row.outcome.as_str()));
    cached(insert).execute(&mut connection).await?;
    Ok(())
}

async fn update_requests(mut connection: &AsyncPgConnection, rows: Vec<RefundRequestRow>) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let update = sql_query(
        "UPDATE refund_requests SET outcome = new.outcome \
         FROM unnest($1, $2) AS new (id, outcome) WHERE refund_requests.id = new.id",
    )
    .bind::<Array<SqlUuid>, _>(column(&rows, |row| row.id))
    .bind::<Array<Text>, _>(column(&rows, |row| row.outcome.as_str()));
    cached(update).execute(&mut connection).await?;
    Ok(())
}

/// Stores the errands of decisions. One that is under way for the same attempt or request is enough.
async fn insert_tasks(mut connection: &AsyncPgConnection, changes: &[Saved<'_>], ids: &dyn Ids) -> QueryResult<()> {
    let errands = changes.iter().flat_map(|change| change.errands.iter().map(|errand| (change.after.id, *errand)));
    let errands: Vec<_> = errands.collect();
    if errands.is_empty() {
        return Ok(());
    }
    let insert = sql_query(
        "INSERT INTO tasks (id, order_id, kind, subject_id) SELECT * FROM unnest($1, $2, $3, $4) \
         ON CONFLICT (subject_id) WHERE finished_at IS NULL DO NOTHING",
    )
    .bind::<Array<SqlUuid>, _>(column(&errands, |_| TaskId::mint(ids).uuid()))
    .bind::<Array<SqlUuid>, _>(column(&errands, |(order, _)| order.uuid()))
    .bind::<Array<Text>, _>(column(&errands, |(_, errand)| errand_columns(errand).0))
    .bind::<Array<SqlUuid>, _>(column(&errands, |(_, errand)| errand_columns(errand).1));
    cached(insert).execute(&mut connection).await?;
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
