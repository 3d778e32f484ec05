//! What must be true of every shop, whatever a test did to it: read from the database and from the provider's own
//! books, past the app.

use std::collections::HashMap;

use serde_json::Value;
use stripe_simulator::Control;

use crate::database::Database;
use crate::shop::Plan;

/// Each gives a line `t` for every breach of one rule.
const AT_ANY_MOMENT: &[&str] = &[
    // The ledger and the stock are one.
    "SELECT format('%s: stock %s, ledger %s', name, stock, moved) AS t FROM (
        SELECT name, stock, (SELECT coalesce(sum(delta), 0) FROM stock_movements WHERE product_id = products.id) AS moved
        FROM products) AS books WHERE stock <> moved OR stock < 0",
    "SELECT format('movement %s: says %s, is %s', id, stock_after, running) AS t FROM (
        SELECT id, stock_after, sum(delta) OVER (PARTITION BY product_id ORDER BY seq) AS running FROM stock_movements
        ) AS books WHERE stock_after <> running",
    // No unit is lost or made: what came in is on hand or in an order that stands.
    "SELECT format('%s: %s came in, %s on hand, %s in orders', name, came, stock, held) AS t FROM (
        SELECT name, stock,
            (SELECT coalesce(sum(delta), 0) FROM stock_movements
                WHERE product_id = products.id AND order_id IS NULL) AS came,
            (SELECT coalesce(sum(quantity), 0) FROM order_lines JOIN orders ON orders.id = order_id
                WHERE product_id = products.id AND status <> 'CANCELLED') AS held
        FROM products) AS books WHERE came <> stock + held",
    // Each order takes its units once, and gives them back once.
    "SELECT format('order %s moved product %s %s times', order_id, product_id, count(*)) AS t FROM stock_movements
        WHERE order_id IS NOT NULL GROUP BY order_id, product_id, sign(delta) HAVING count(*) > 1",
    "SELECT format('order %s costs %s, its lines %s', id, total_minor, lines) AS t FROM (
        SELECT id, total_minor,
            (SELECT sum(unit_price_minor * quantity) FROM order_lines WHERE order_id = orders.id) AS lines
        FROM orders) AS books WHERE lines IS DISTINCT FROM total_minor",
    "SELECT format('order %s has %s sessions to pay by', order_id, count(*)) AS t FROM checkout_attempts
        WHERE state IN ('REQUESTED', 'OPEN') GROUP BY order_id HAVING count(*) > 1",
    // An order is paid if and only if it has one receipt of its own sum.
    "SELECT format('order %s is %s %s with %s payments', id, status, payment_status, payments) AS t FROM (
        SELECT id, status, payment_status, paid_at,
            (SELECT count(*) FROM receipts WHERE order_id = orders.id AND kind = 'PAYMENT'
                AND receipts.amount_minor = total_minor AND receipts.currency = orders.currency) AS payments
        FROM orders) AS books
        WHERE payments <> (CASE WHEN paid_at IS NULL THEN 0 ELSE 1 END)
            OR (payments = 1) <> (payment_status NOT IN ('PENDING', 'FAILED'))",
    "SELECT format('receipt %s is extra and nobody asked it back', intent) AS t FROM receipts
        WHERE kind <> 'PAYMENT' AND amount_minor > 0
            AND NOT EXISTS (SELECT FROM refund_requests WHERE refund_requests.intent = receipts.intent)
            AND NOT EXISTS (SELECT FROM refunds WHERE refunds.intent = receipts.intent)",
    "SELECT format('receipt %s of %s gave back %s', intent, amount_minor, back) AS t FROM (
        SELECT intent, amount_minor, (SELECT coalesce(sum(refunds.amount_minor), 0) FROM refunds
            WHERE refunds.intent = receipts.intent AND refunds.status NOT IN ('failed', 'canceled')) AS back
        FROM receipts) AS books WHERE back > amount_minor",
    // Locks are taken in one order, so no deadlock was ever broken by force.
    "SELECT format('%s deadlocks', deadlocks) AS t FROM pg_stat_database
        WHERE datname = current_database() AND deadlocks > 0",
    // History is one unbroken chain that ends where the order stands.
    "SELECT format('order %s: history entry %s does not follow', order_id, position) AS t FROM (
        SELECT order_id, position, from_status, lag(to_status) OVER (PARTITION BY order_id ORDER BY position) AS before
        FROM order_history) AS books WHERE from_status IS DISTINCT FROM before",
    "SELECT format('order %s is %s, its history ends %s', id, status, last) AS t FROM (
        SELECT id, status,
            (SELECT to_status FROM order_history WHERE order_id = orders.id ORDER BY position DESC LIMIT 1) AS last
        FROM orders) AS books WHERE last IS DISTINCT FROM status",
];

/// These hold once nothing is under way.
const WHEN_SETTLED: &[&str] = &[
    "SELECT format('task %s %s of order %s: %s tries, %s', id, kind, order_id, tries, last_failure) AS t FROM tasks
        WHERE finished_at IS NULL",
    "SELECT format('order %s is %s and can be paid by attempt %s', orders.id, status, checkout_attempts.id) AS t
        FROM orders JOIN checkout_attempts ON order_id = orders.id
        WHERE status <> 'PENDING' AND state IN ('REQUESTED', 'OPEN')",
    "SELECT format('refund request %s has no answer', id) AS t FROM refund_requests WHERE outcome = 'OPEN'",
    // A cancelled order keeps no money, unless a refund failed and an admin was told.
    "SELECT format('order %s is cancelled and keeps %s', order_id, kept) AS t FROM (
        SELECT order_id, sum(receipts.amount_minor - (SELECT coalesce(sum(refunds.amount_minor), 0) FROM refunds
            WHERE refunds.intent = receipts.intent AND refunds.status NOT IN ('failed', 'canceled'))) AS kept
        FROM receipts JOIN orders ON orders.id = order_id
        WHERE status = 'CANCELLED' AND NOT 'REFUND_FAILED' = ANY (flags) GROUP BY order_id) AS books WHERE kept <> 0",
];

/// Checks what holds at any moment.
///
/// # Panics
///
/// With every breach.
pub async fn hold_at_any_moment(database: &Database, plan: &Plan) {
    let mut broken = lines(database, AT_ANY_MOMENT).await;
    let cap = plan.orders.fraud.max_pending_orders;
    let over = format!(
        "SELECT format('customer %s has %s pending orders', customer_id, count(*)) AS t FROM orders
         WHERE status = 'PENDING' GROUP BY customer_id HAVING count(*) > {cap}"
    );
    broken.extend(database.texts(&over).await);
    let failed =
        "SELECT concat_ws(' ', type, provider_event_id, reason) AS t FROM provider_events WHERE status = 'FAILED'";
    let failed = database.texts(failed).await;
    if i64::try_from(failed.len()) != Ok(plan.failed_events) {
        broken.push(format!("{} events FAILED, {} expected: {failed:?}", failed.len(), plan.failed_events));
    }
    must_be_none(&broken);
}

/// Checks what holds when nothing is under way.
///
/// # Panics
///
/// With every breach.
pub async fn hold_when_settled(database: &Database, provider: &Control) {
    let mut broken = lines(database, WHEN_SETTLED).await;
    broken.extend(sessions_against_orders(database, provider).await);
    must_be_none(&broken);
}

/// Checks the shop's receipts and refunds against the provider's, cent by cent: money in is the money of paid orders
/// and of extra receipts, and every extra receipt went back once. For shops whose events all came from the provider.
///
/// # Panics
///
/// With every difference.
pub async fn money_adds_up(database: &Database, provider: &Control) {
    let took = provider.payment_intents().into_iter().filter(|intent| intent["status"] == "succeeded");
    let took: HashMap<String, i64> = took.map(|intent| (text(&intent["id"]), amount(&intent["amount"]))).collect();
    let mut gave: HashMap<String, i64> = HashMap::new();
    for refund in provider.refunds().iter().filter(|refund| refund["status"] == "succeeded") {
        *gave.entry(text(&refund["payment_intent"])).or_default() += amount(&refund["amount"]);
    }
    let receipts = "SELECT concat_ws(' ', intent, amount_minor) AS t FROM receipts WHERE amount_minor > 0";
    let refunds = "SELECT concat_ws(' ', intent, sum(amount_minor)) AS t FROM refunds
                   WHERE status = 'succeeded' GROUP BY intent";
    let mut broken = Vec::new();
    for (what, theirs, sql) in [("taken", &took, receipts), ("given back", &gave, refunds)] {
        let ours: HashMap<String, i64> =
            pairs(database, sql).await.into_iter().map(|(id, sum)| (id, sum.parse().unwrap_or_default())).collect();
        for intent in ours.keys().chain(theirs.keys()) {
            let (ours, theirs) = (ours.get(intent), theirs.get(intent));
            if ours != theirs {
                broken.push(format!("by {intent} {what}: {ours:?} in the shop, {theirs:?} at the provider"));
            }
        }
    }
    let extra =
        pairs(database, "SELECT concat_ws(' ', intent, amount_minor) AS t FROM receipts WHERE kind <> 'PAYMENT'");
    for (intent, sum) in extra.await {
        if gave.get(&intent).map(i64::to_string) != Some(sum.clone()) {
            broken.push(format!("extra receipt {intent} of {sum} gave back {:?}", gave.get(&intent)));
        }
    }
    must_be_none(&broken);
}

fn amount(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn must_be_none(broken: &[String]) {
    assert!(broken.is_empty(), "the books are wrong:\n{}", broken.join("\n"));
}

async fn lines(database: &Database, rules: &[&str]) -> Vec<String> {
    let mut broken = Vec::new();
    for rule in rules {
        broken.extend(database.texts(rule).await);
    }
    broken
}

/// The provider's books against the shop's: nobody can pay what is not for sale, and no money is unaccounted for.
async fn sessions_against_orders(database: &Database, provider: &Control) -> Vec<String> {
    let status: HashMap<String, String> = pairs(database, "SELECT concat_ws(' ', id, status) AS t FROM orders").await;
    let receipts: HashMap<String, String> =
        pairs(database, "SELECT concat_ws(' ', intent, order_id) AS t FROM receipts").await;
    let mut broken = Vec::new();
    let mut open: HashMap<String, u32> = HashMap::new();
    for session in provider.sessions() {
        let (id, order) = (text(&session["id"]), text(&session["client_reference_id"]));
        if session["status"] == "open" {
            *open.entry(order.clone()).or_default() += 1;
            if status.get(&order).is_some_and(|status| status != "PENDING") {
                broken.push(format!("session {id} is open, order {order} is {:?}", status.get(&order)));
            }
        }
        let intent = text(&session["payment_intent"]);
        let is_known = receipts.get(&intent) == Some(&order) || !status.contains_key(&order);
        if session["payment_status"] == "paid" && !is_known {
            broken.push(format!("session {id} took money by {intent} and order {order} does not know"));
        }
    }
    let several = open.into_iter().filter(|(_, count)| *count > 1);
    broken.extend(several.map(|(order, count)| format!("order {order} has {count} open sessions at the provider")));
    broken
}

async fn pairs(database: &Database, sql: &str) -> HashMap<String, String> {
    let lines = database.texts(sql).await;
    lines.iter().filter_map(|line| line.split_once(' ')).map(|(key, value)| (key.into(), value.into())).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
