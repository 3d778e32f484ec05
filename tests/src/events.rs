//! The provider's events, composed by hand: small ones, with the fields that matter, in the spellings of several API
//! versions.

use serde_json::{Value, json};

use crate::database::new_uuid;
use crate::wire::Order;

/// An event of any type about an object, with an id of its own.
#[must_use]
pub fn event(kind: &str, object: &Value) -> Value {
    json!({
        "id": format!("evt_{}", new_uuid().simple()),
        "object": "event",
        "api_version": "2026-09-30.endive",
        "created": 1_790_000_000,
        "data": { "object": object },
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": kind,
    })
}

/// A completed session of an order that was paid in full by a payment intent.
#[must_use]
pub fn paid_session(order: &Order, session: &str, intent: &str) -> Value {
    let minor: i64 = order.total.replace('.', "").parse().unwrap_or_default();
    json!({
        "id": session,
        "object": "checkout.session",
        "client_reference_id": order.id,
        "metadata": { "orderId": order.id },
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": intent,
        "amount_total": minor,
        "currency": order.currency.to_lowercase(),
    })
}

/// A dispute, or a warning of fraud, about a payment intent.
#[must_use]
pub fn about(object: &str, intent: &str) -> Value {
    json!({ "id": format!("x_{}", new_uuid().simple()), "object": object, "payment_intent": intent })
}

/// A refund of a payment intent.
#[must_use]
pub fn refund(id: &str, intent: &str, amount: i64, status: &str) -> Value {
    json!({
        "id": id, "object": "refund", "payment_intent": intent, "amount": amount, "currency": "usd", "status": status,
        "metadata": {},
    })
}
