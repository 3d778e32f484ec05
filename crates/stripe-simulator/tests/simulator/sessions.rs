//! What a session takes, and what becomes of it.

use stripe_simulator::PayTerms;

use crate::support::{Stripe, order, order_with};

const SESSIONS: &str = "/v1/checkout/sessions";

#[tokio::test]
async fn a_session_carries_what_was_sent_and_a_page_while_it_is_open() {
    let stripe = Stripe::start().await;
    let session = stripe.post(SESSIONS, &order()).await.body;
    let id = session["id"].as_str().unwrap();
    assert!(id.starts_with("cs_test_"));
    assert_eq!(session["status"], "open");
    assert_eq!(session["payment_status"], "unpaid");
    assert_eq!(session["amount_total"], 3998);
    assert_eq!(session["currency"], "usd");
    assert_eq!(session["client_reference_id"], "o1");
    assert_eq!(session["metadata"]["order_id"], "o1");
    assert!(session["payment_intent"].is_null());
    assert_eq!(session["url"], stripe.url(&format!("/pay/c/{id}")));
    assert_eq!(session["expires_at"].as_i64(), session["created"].as_i64().map(|created| created + 86_400));
    assert!(session.get("line_items").is_none());
    assert_eq!(stripe.session(id).await, session);
}

#[tokio::test]
async fn a_wrong_parameter_is_named_with_its_code() {
    let stripe = Stripe::start().await;
    let long_reference = "x".repeat(201);
    let long_value = "x".repeat(501);
    let long_key = format!("metadata[{}]", "k".repeat(41));
    let cases: &[(&str, &str, &str, &str)] = &[
        ("colour", "red", "parameter_unknown", "colour"),
        ("line_items[0][colour]", "red", "parameter_unknown", "line_items[0][colour]"),
        ("line_items[0][quantity]", "many", "parameter_invalid_integer", "line_items[0][quantity]"),
        ("line_items[0][quantity]", "0", "parameter_invalid_integer", "line_items[0][quantity]"),
        (
            "line_items[0][price_data][unit_amount]",
            "19.99",
            "parameter_invalid_integer",
            "line_items[0][price_data][unit_amount]",
        ),
        ("line_items[0][price_data][unit_amount]", "24", "amount_too_small", "line_items"),
        ("line_items[0][price_data][unit_amount]", "50000000", "amount_too_large", "line_items"),
        ("line_items[0][price_data][currency]", "xyz", "", "line_items[0][price_data][currency]"),
        (
            "line_items[0][price_data][product_data][name]",
            "",
            "parameter_invalid_empty",
            "line_items[0][price_data][product_data][name]",
        ),
        ("client_reference_id", &long_reference, "parameter_invalid_string_too_long", "client_reference_id"),
        ("metadata[note]", &long_value, "", "metadata[note]"),
        (&long_key, "1", "", "metadata"),
        ("customer_email", "nobody", "email_invalid", "customer_email"),
        ("success_url", "done.html", "url_invalid", "success_url"),
        ("cancel_url", "javascript:alert(1)", "url_invalid", "cancel_url"),
        ("mode", "subscription", "", "mode"),
        ("discounts[0][coupon]", "c1", "", "discounts"),
        ("expires_at", "soon", "parameter_invalid_integer", "expires_at"),
        ("expand[0]", "amount_total", "", "expand"),
    ];
    for (name, value, code, param) in cases {
        let answer = stripe.post(SESSIONS, &order_with(name, value)).await;
        answer.assert_error(400, code);
        assert_eq!(answer.body["error"]["param"], *param, "{name}={value}: {}", answer.body);
        assert_eq!(answer.body["error"]["type"], "invalid_request_error");
    }
    assert!(stripe.control().sessions().is_empty(), "a refused session is not there");
}

#[tokio::test]
async fn a_missing_parameter_is_named() {
    let stripe = Stripe::start().await;
    for missing in ["mode", "success_url", "line_items", "line_items[0][quantity]"] {
        let form: Vec<(&str, &str)> = order()
            .into_iter()
            .filter(|(key, _)| *key != missing && !(missing == "line_items" && key.starts_with("line_items")))
            .collect();
        let answer = stripe.post(SESSIONS, &form).await;
        answer.assert_error(400, "parameter_missing");
        assert_eq!(answer.body["error"]["param"], missing);
    }
}

#[tokio::test]
async fn metadata_holds_50_keys_and_not_51() {
    let stripe = Stripe::start().await;
    let keys: Vec<String> = (0..51).map(|number| format!("metadata[k{number}]")).collect();
    let with_keys = |count: usize| {
        let mut form: Vec<(&str, &str)> = order().into_iter().filter(|(key, _)| !key.starts_with("metadata")).collect();
        form.extend(keys[..count].iter().map(|key| (key.as_str(), "v")));
        form
    };
    assert_eq!(stripe.post(SESSIONS, &with_keys(50)).await.status, 200);
    assert_eq!(stripe.post(SESSIONS, &with_keys(51)).await.status, 400);
}

#[tokio::test]
async fn an_expiry_lies_30_minutes_to_24_hours_ahead() {
    let stripe = Stripe::start().await;
    for (seconds, status) in [(29 * 60, 400), (30 * 60 + 5, 200), (24 * 3600 - 5, 200), (24 * 3600 + 60, 400)] {
        let expires_at = (stripe.control().now() + seconds).to_string();
        let answer = stripe.post(SESSIONS, &order_with("expires_at", &expires_at)).await;
        assert_eq!(answer.status, status, "{seconds} s ahead: {}", answer.body);
    }
}

#[tokio::test]
async fn an_open_session_expires_on_demand_once() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let expired = stripe.post(&format!("{SESSIONS}/{id}/expire"), &[]).await;
    assert_eq!(expired.body["status"], "expired");
    assert!(expired.body["url"].is_null());
    let again = stripe.post(&format!("{SESSIONS}/{id}/expire"), &[]).await;
    again.assert_error(400, "");
    assert!(again.body["error"]["message"].as_str().unwrap().contains("`expired`"));
    assert_eq!(stripe.event_types(), ["checkout.session.expired"]);
    let event = &stripe.control().events()[0];
    assert_eq!(event["request"]["id"].as_str(), expired.header("request-id"));
}

#[tokio::test]
async fn a_complete_session_cannot_be_expired() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    stripe.control().pay(&id, PayTerms::default()).unwrap();
    let answer = stripe.post(&format!("{SESSIONS}/{id}/expire"), &[]).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body["error"]["message"].as_str().unwrap().contains("`complete`"));
}

#[tokio::test]
async fn a_session_expires_by_itself_when_the_clock_reaches_its_time() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    stripe.control().advance_clock(24 * 3600 - 30);
    assert_eq!(stripe.session(&id).await["status"], "open");
    stripe.control().advance_clock(40);
    assert_eq!(stripe.session(&id).await["status"], "expired");
    assert_eq!(stripe.event_types(), ["checkout.session.expired"]);
    assert!(stripe.control().events()[0]["request"]["id"].is_null());
}

#[tokio::test]
async fn a_session_can_be_made_of_a_price() {
    let stripe = Stripe::start().await;
    let product = stripe.post("/v1/products", &[("name", "Mug")]).await.id();
    let price =
        stripe.post("/v1/prices", &[("product", &product), ("unit_amount", "1500"), ("currency", "usd")]).await.id();
    let form = [
        ("mode", "payment"),
        ("success_url", "https://shop.example/"),
        ("line_items[][price]", price.as_str()),
        ("line_items[][quantity]", "2"),
        ("expand[]", "line_items.data.price.product"),
    ];
    let session = stripe.post(SESSIONS, &form).await.body;
    assert_eq!(session["amount_total"], 3000);
    assert_eq!(session["line_items"]["data"][0]["price"]["product"]["name"], "Mug");
    let unknown = [
        ("mode", "payment"),
        ("success_url", "https://shop.example/"),
        ("line_items[0][price]", "price_0"),
        ("line_items[0][quantity]", "1"),
    ];
    stripe.post(SESSIONS, &unknown).await.assert_error(404, "resource_missing");
}

#[tokio::test]
async fn metadata_is_changed_key_by_key_and_an_empty_value_unsets() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let path = format!("{SESSIONS}/{id}");
    let changed = stripe.post(&path, &[("metadata[order_id]", ""), ("metadata[note]", "gift")]).await;
    assert_eq!(changed.body["metadata"], serde_json::json!({ "note": "gift" }));
    let cleared = stripe.post(&path, &[("metadata", "")]).await;
    assert_eq!(cleared.body["metadata"], serde_json::json!({}));
}

#[tokio::test]
async fn an_unknown_session_is_resource_missing() {
    let stripe = Stripe::start().await;
    for path in ["cs_test_0", "cs_test_0/line_items"] {
        stripe.get(&format!("{SESSIONS}/{path}")).await.assert_error(404, "resource_missing");
    }
    stripe.post(&format!("{SESSIONS}/cs_test_0/expire"), &[]).await.assert_error(404, "resource_missing");
}
