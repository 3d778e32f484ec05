//! Answers as they could be: one purchase of two mugs, told from its beginning to its order. A test holds them to their
//! schemas.

use serde_json::{Value, json};

use super::schemas::examples_of::{MOMENT, PRODUCT, REFRESH_TOKEN};

const USER: &str = "019b2f1e-7a01-7b44-8d3e-0c9f6a5b4e21";
const ORDER: &str = "019b2f20-1c55-7e02-b6d8-94a3f7c0e812";
const CHECKOUT: &str = "https://checkout.stripe.com/c/pay/cs_test_a1B2c3D4e5F6g7H8";
const WINDOW_END: &str = "2026-11-25T12:30:00.000000Z";

/// The example of the answer with this name, if it is one.
pub(super) fn of(name: &str) -> Option<Value> {
    Some(match name {
        "User" => user(),
        "Tokens" => tokens(),
        "Product" => product(),
        "StockMovement" => movement(),
        "Cart" => cart(),
        "Order" => order(),
        "PaymentStart" => json!({ "checkoutUrl": CHECKOUT, "expiresAt": WINDOW_END }),
        "Event" => event(),
        "EventWithPayload" => event_with_payload(),
        "EventReceived" => json!({ "received": true }),
        "Health" => json!({ "status": "ready" }),
        _ => return None,
    })
}

fn user() -> Value {
    json!({
        "id": USER, "email": "ada@example.com", "name": "Ada Lovelace", "role": "CUSTOMER", "blocked": false,
        "createdAt": MOMENT,
    })
}

fn tokens() -> Value {
    json!({
        "accessToken": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMTliMmYxZSJ9.c2lnbmF0dXJl", "refreshToken": REFRESH_TOKEN,
        "tokenType": "Bearer", "expiresIn": 900, "user": user(),
    })
}

fn product() -> Value {
    json!({
        "id": PRODUCT, "name": "Enamel mug", "description": "Holds 350 ml.\nDishwasher-safe.", "price": "12.50",
        "currency": "USD", "stock": 250, "archivedAt": null, "createdAt": MOMENT, "updatedAt": MOMENT,
    })
}

fn movement() -> Value {
    json!({
        "id": "019b2f21-4e88-7a36-8c0d-2b1f9e7d6a54", "productId": PRODUCT, "delta": -2, "stockAfter": 248,
        "reason": "Two arrived broken", "orderId": null, "actorId": "019b2f1d-11aa-7c3b-9e55-6d8f0a2b4c71",
        "createdAt": MOMENT,
    })
}

fn cart() -> Value {
    json!({
        "items": [{
            "productId": PRODUCT, "name": "Enamel mug", "quantity": 2, "unitPrice": "12.50", "lineTotal": "25.00",
            "available": 250,
        }],
        "total": "25.00", "currency": "USD", "updatedAt": MOMENT,
    })
}

fn order() -> Value {
    json!({
        "id": ORDER, "userId": USER, "status": "PENDING",
        "items": [{
            "productId": PRODUCT, "name": "Enamel mug", "quantity": 2, "unitPrice": "12.50", "lineTotal": "25.00",
        }],
        "total": "25.00", "currency": "USD", "shippingAddress": "1 High Street\nLeeds LS1 4AP",
        "payment": { "status": "PENDING", "checkoutUrl": CHECKOUT, "amount": "25.00", "refundedAmount": "0.00" },
        "extraReceipts": [], "trackingNumber": null, "flags": [], "createdAt": MOMENT, "expiresAt": WINDOW_END,
        "paidAt": null, "cancelledAt": null, "cancelledBy": null, "cancelReason": null,
        "history": [
            { "from": null, "to": "PENDING", "at": MOMENT, "by": "CUSTOMER", "actorId": USER, "reason": null },
        ],
    })
}

fn event() -> Value {
    json!({
        "id": "019b2f22-6b10-7f9c-a1d4-3e5c7b9f0d28", "providerEventId": "evt_1Qabc", "status": "APPLIED",
        "type": "checkout.session.completed", "reason": null, "orderId": ORDER, "receivedAt": MOMENT,
        "appliedAt": MOMENT,
    })
}

fn event_with_payload() -> Value {
    let mut event = event();
    event["payload"] = json!({ "id": "evt_1Qabc", "object": "event", "type": "checkout.session.completed" });
    event
}
