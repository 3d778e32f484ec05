//! Loads orders as a whole. Under lock, the order's row comes first, and everything else is read after it.

use std::collections::HashMap;

use diesel::QueryResult;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::id::OrderId;
use domain::order::Order;
use domain::payment::Receipt;
use tokio::try_join;
use uuid::Uuid;

use super::rows::{AttemptRow, HistoryRow, LineRow, OrderRow, ReceiptRow, RefundRequestRow, RefundRow};
use crate::cached::column;
use crate::schema::{checkout_attempts, order_history, order_lines, orders, receipts, refund_requests, refunds};

/// Loads orders under lock, which they take by id: no other writer until the transaction ends, while foreign-key
/// checks go on.
///
/// The locks are sent first, and the rest is read when they are held.
pub(super) async fn lock_orders(
    mut connection: &AsyncPgConnection,
    ids: &[Uuid],
) -> QueryResult<HashMap<OrderId, Order>> {
    let lock = orders::table
        .filter(orders::id.eq_any(ids))
        .order(orders::id)
        .select(OrderRow::as_select())
        .for_no_key_update();
    let (locked, parts) = try_join!(biased; lock.load(&mut connection), parts(connection, ids))?;
    Ok(parts.assemble(locked)?.into_iter().map(|order| (order.id, order)).collect())
}

/// Loads one order under lock.
pub(super) async fn lock_order(connection: &AsyncPgConnection, id: OrderId) -> QueryResult<Option<Order>> {
    Ok(lock_orders(connection, &[id.uuid()]).await?.remove(&id))
}

/// Loads orders by id, in no particular order, without locks.
pub(super) async fn load(mut connection: &AsyncPgConnection, ids: &[Uuid]) -> QueryResult<Vec<Order>> {
    let orders = orders::table.filter(orders::id.eq_any(ids)).select(OrderRow::as_select());
    // The order first: its parts only become more, so that what its row tells of is there.
    let (orders, parts) = try_join!(biased; orders.load(&mut connection), parts(connection, ids))?;
    parts.assemble(orders)
}

/// What other tables hold of these orders, in one round trip, or two if there was money.
async fn parts(connection: &AsyncPgConnection, ids: &[Uuid]) -> QueryResult<Parts> {
    let (mut c1, mut c2, mut c3, mut c4) = (connection, connection, connection, connection);
    let lines = order_lines::table
        .filter(order_lines::order_id.eq_any(ids))
        .order(order_lines::position)
        .select(LineRow::as_select());
    let history = order_history::table
        .filter(order_history::order_id.eq_any(ids))
        .order(order_history::position)
        .select(HistoryRow::as_select());
    let attempts = checkout_attempts::table
        .filter(checkout_attempts::order_id.eq_any(ids))
        .order(checkout_attempts::position)
        .select(AttemptRow::as_select());
    let receipts = receipts::table
        .filter(receipts::order_id.eq_any(ids))
        .order(receipts::position)
        .select(ReceiptRow::as_select());
    let (lines, history, attempts, receipts) =
        try_join!(lines.load(&mut c1), history.load(&mut c2), attempts.load(&mut c3), receipts.load(&mut c4))?;
    let (refunds, requests) = money_back(connection, &receipts).await?;
    Ok(Parts { lines, history, attempts, receipts, refunds, requests })
}

/// What went back of receipts, and what was asked to. Most orders have no receipt yet when they are looked at.
async fn money_back(
    connection: &AsyncPgConnection,
    receipts: &[ReceiptRow],
) -> QueryResult<(Vec<RefundRow>, Vec<RefundRequestRow>)> {
    if receipts.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let (mut c1, mut c2) = (connection, connection);
    let intents = column(receipts, |receipt| receipt.intent.as_str());
    let refunds =
        refunds::table.filter(refunds::intent.eq_any(&intents)).order(refunds::position).select(RefundRow::as_select());
    let requests = refund_requests::table
        .filter(refund_requests::intent.eq_any(&intents))
        .order(refund_requests::position)
        .select(RefundRequestRow::as_select());
    try_join!(refunds.load(&mut c1), requests.load(&mut c2))
}

struct Parts {
    lines: Vec<LineRow>,
    history: Vec<HistoryRow>,
    attempts: Vec<AttemptRow>,
    receipts: Vec<ReceiptRow>,
    refunds: Vec<RefundRow>,
    requests: Vec<RefundRequestRow>,
}

impl Parts {
    fn assemble(self, rows: Vec<OrderRow>) -> QueryResult<Vec<Order>> {
        let mut orders: HashMap<Uuid, Order> = HashMap::with_capacity(rows.len());
        for row in rows {
            orders.insert(row.id, row.into_order()?);
        }
        for row in self.lines {
            if let Some(order) = orders.get_mut(&row.order_id) {
                let line = row.into_line(order)?;
                order.lines.push(line);
            }
        }
        for row in self.history {
            if let Some(order) = orders.get_mut(&row.order_id) {
                order.history.push(row.into_entry()?);
            }
        }
        for row in self.attempts {
            if let Some(order) = orders.get_mut(&row.order_id) {
                order.attempts.push(row.into_attempt()?);
            }
        }
        let refunds = by_intent(self.refunds, |row| row.intent.clone());
        let requests = by_intent(self.requests, |row| row.intent.clone());
        for (row, receipt) in whole_receipts(self.receipts, refunds, requests)? {
            if let Some(order) = orders.get_mut(&row) {
                order.receipts.push(receipt);
            }
        }
        Ok(orders.into_values().collect())
    }
}

fn by_intent<R>(rows: Vec<R>, intent: impl Fn(&R) -> String) -> HashMap<String, Vec<R>> {
    let mut map: HashMap<String, Vec<R>> = HashMap::new();
    for row in rows {
        map.entry(intent(&row)).or_default().push(row);
    }
    map
}

/// The receipts with their refunds and requests, each beside its order's id.
fn whole_receipts(
    rows: Vec<ReceiptRow>,
    mut refunds: HashMap<String, Vec<RefundRow>>,
    mut requests: HashMap<String, Vec<RefundRequestRow>>,
) -> QueryResult<Vec<(Uuid, Receipt)>> {
    let whole = |row: ReceiptRow| {
        let order_id = row.order_id;
        let refunds = refunds.remove(&row.intent).unwrap_or_default();
        let requests = requests.remove(&row.intent).unwrap_or_default();
        let mut receipt = row.into_receipt()?;
        receipt.refunds = refunds.into_iter().map(RefundRow::into_refund).collect::<QueryResult<_>>()?;
        receipt.requests = requests.into_iter().map(RefundRequestRow::into_request).collect::<QueryResult<_>>()?;
        Ok((order_id, receipt))
    };
    rows.into_iter().map(whole).collect()
}
