//! The control API over HTTP: the same as in process, as JSON.

use serde_json::{Value, json};

use crate::support::{Shop, Stripe, eventually};

async fn control(stripe: &Stripe, path: &str, body: Value) -> (u16, Value) {
    let request = stripe.http.post(stripe.url(&format!("/_control/{path}"))).body(body.to_string());
    let answer = crate::support::read(request).await.unwrap();
    (answer.status, answer.body)
}

async fn look(stripe: &Stripe, what: &str) -> Value {
    let request = stripe.http.get(stripe.url(&format!("/_control/{what}")));
    crate::support::read(request).await.unwrap().body
}

#[tokio::test]
async fn a_session_is_played_through_over_http() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    assert_eq!(control(&stripe, &format!("sessions/{id}/decline"), json!({})).await.0, 200);
    let (status, receipt) = control(&stripe, &format!("sessions/{id}/pay"), json!({ "amount": 1000 })).await;
    assert_eq!(status, 200);
    let intent = receipt["payment_intent"].as_str().unwrap();
    let charge = receipt["charge"].as_str().unwrap();
    assert_eq!(control(&stripe, &format!("sessions/{id}/pay"), json!({})).await.0, 409);
    assert_eq!(control(&stripe, "sessions/cs_test_0/pay", json!({})).await.0, 404);
    assert_eq!(control(&stripe, &format!("sessions/{id}/pay_again"), json!({})).await.0, 200);
    let (_, refund) = control(&stripe, &format!("payment_intents/{intent}/refund"), json!({ "amount": 10 })).await;
    let refund = refund["id"].as_str().unwrap();
    assert_eq!(control(&stripe, &format!("refunds/{refund}/fail"), json!({})).await.0, 200);
    assert_eq!(control(&stripe, &format!("charges/{charge}/fraud_warning"), json!({})).await.0, 200);
    assert_eq!(control(&stripe, &format!("charges/{charge}/dispute"), json!({ "reason": "general" })).await.0, 200);
    assert_eq!(look(&stripe, "sessions").await.as_array().unwrap().len(), 2);
    assert_eq!(look(&stripe, "refunds").await[0]["status"], "failed");
    assert!(look(&stripe, "requests").await.as_array().unwrap().len() == 1);
}

#[tokio::test]
async fn delayed_payments_end_as_told() {
    let stripe = Stripe::start().await;
    for (end, paid) in [("settle", "paid"), ("fail", "unpaid")] {
        let id = stripe.open_session().await;
        assert_eq!(control(&stripe, &format!("sessions/{id}/complete_unpaid"), json!({})).await.0, 200);
        assert_eq!(control(&stripe, &format!("sessions/{id}/{end}"), json!({})).await.0, 200);
        assert_eq!(stripe.session(&id).await["payment_status"], paid);
    }
}

#[tokio::test]
async fn deliveries_are_held_released_dropped_and_repeated() {
    let stripe = Stripe::start().await;
    let shop = Shop::open().await;
    let target = json!([{ "url": shop.url, "secret": crate::support::SECRET }]);
    assert_eq!(control(&stripe, "webhooks/endpoints", target).await.0, 200);
    assert_eq!(control(&stripe, "webhooks/hold", json!({})).await.0, 200);
    assert_eq!(control(&stripe, "webhooks/repeat", json!({ "times": 2 })).await.0, 200);
    assert_eq!(control(&stripe, "webhooks/drop", json!({ "times": 1 })).await.0, 200);
    for _ in 0..2 {
        let id = stripe.open_session().await;
        assert_eq!(control(&stripe, &format!("sessions/{id}/expire"), json!({})).await.0, 200);
    }
    assert_eq!(look(&stripe, "held").await.as_array().unwrap().len(), 2, "one of two lost, the other twice");
    assert_eq!(control(&stripe, "webhooks/release", json!({ "order": "reversed" })).await.0, 200);
    assert_eq!(shop.received().len(), 2);
    let event = shop.received()[0].id().to_owned();
    let (_, answers) = control(&stripe, &format!("events/{event}/deliver"), json!({})).await;
    assert_eq!((&answers[0]["status"], &answers[0]["answer"]), (&json!(200), &json!("seen")));
    assert_eq!(look(&stripe, "deliveries").await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn faults_latency_and_the_clock_are_set_over_http() {
    let stripe = Stripe::start().await;
    let fault =
        json!({ "kind": "hang", "ms": 1, "phase": "after_effect", "method": "GET", "path": "/v1/*", "times": 2 });
    assert_eq!(control(&stripe, "faults", fault).await.0, 200);
    assert_eq!(control(&stripe, "faults", json!({ "kind": "server_error" })).await.0, 200);
    for status in [200, 200, 500, 200] {
        assert_eq!(stripe.get("/v1/refunds").await.status, status);
    }
    assert_eq!(control(&stripe, "faults", json!({ "kind": "fire" })).await.0, 400);
    let now = look(&stripe, "clock").await["now"].as_i64().unwrap();
    assert_eq!(control(&stripe, "clock/advance", json!({ "seconds": 500 })).await.0, 200);
    assert!(look(&stripe, "clock").await["now"].as_i64().unwrap() >= now + 500);
    assert_eq!(control(&stripe, "latency", json!({ "ms": 1 })).await.0, 200);
    assert_eq!(control(&stripe, "refunds/next", json!({ "status": "pending" })).await.0, 200);
    assert_eq!(control(&stripe, "nothing", json!({})).await.0, 404);
}

#[tokio::test]
async fn a_reset_forgets_all_but_the_endpoints() {
    let stripe = Stripe::start().await;
    let shop = Shop::open().await;
    stripe.control().set_webhook_endpoints(vec![shop.target()]);
    stripe.open_session().await;
    stripe.control().advance_clock(1_000_000);
    assert_eq!(control(&stripe, "reset", json!({})).await.0, 200);
    assert!(stripe.control().sessions().is_empty() && stripe.control().requests().is_empty());
    let id = stripe.open_session().await;
    stripe.control().expire(&id).unwrap();
    eventually("the endpoint is still told", || !shop.received().is_empty()).await;
}
