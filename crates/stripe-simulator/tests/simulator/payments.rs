//! Paying, being declined, paying later, and what the bank says afterwards.

use serde_json::json;
use stripe_simulator::{ControlError, PayTerms};

use crate::support::Stripe;

#[tokio::test]
async fn a_paid_session_is_complete_with_an_intent_and_a_charge() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let receipt = stripe.control().pay(&id, PayTerms::default()).unwrap();
    let session = stripe.session(&id).await;
    assert_eq!((&session["status"], &session["payment_status"]), (&json!("complete"), &json!("paid")));
    assert_eq!(session["payment_intent"], receipt.payment_intent);
    assert!(session["url"].is_null());
    let intent = stripe.get(&format!("/v1/payment_intents/{}", receipt.payment_intent)).await.body;
    assert_eq!((&intent["status"], &intent["amount_received"]), (&json!("succeeded"), &json!(3998)));
    assert_eq!(intent["metadata"], json!({ "order_id": "o1" }));
    let charge = stripe.get(&format!("/v1/charges/{}", receipt.charge)).await.body;
    assert_eq!((&charge["paid"], &charge["amount_captured"]), (&json!(true), &json!(3998)));
    assert_eq!(
        stripe.event_types(),
        ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]
    );
}

#[tokio::test]
async fn the_sessions_metadata_is_not_copied_to_the_intent() {
    let stripe = Stripe::start().await;
    let mut form = crate::support::order_with("metadata[only_here]", "1");
    form.retain(|(key, _)| !key.starts_with("payment_intent_data"));
    let id = stripe.post("/v1/checkout/sessions", &form).await.id();
    let receipt = stripe.control().pay(&id, PayTerms::default()).unwrap();
    let intent = stripe.get(&format!("/v1/payment_intents/{}", receipt.payment_intent)).await.body;
    assert_eq!(intent["metadata"], json!({}));
}

#[tokio::test]
async fn a_session_is_paid_once() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    stripe.control().pay(&id, PayTerms::default()).unwrap();
    let again = stripe.control().pay(&id, PayTerms::default());
    assert!(matches!(again, Err(ControlError::Refused(message)) if message.contains("`complete`")));
    assert!(matches!(stripe.control().pay("cs_test_0", PayTerms::default()), Err(ControlError::NotFound(_))));
}

#[tokio::test]
async fn a_session_can_be_paid_with_another_sum_and_currency() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let terms = PayTerms { amount: Some(100), currency: Some("EUR".to_owned()), email: None };
    let receipt = stripe.control().pay(&id, terms).unwrap();
    let session = stripe.session(&id).await;
    assert_eq!((&session["amount_total"], &session["currency"]), (&json!(100), &json!("eur")));
    let intent = stripe.get(&format!("/v1/payment_intents/{}", receipt.payment_intent)).await.body;
    assert_eq!((&intent["amount_received"], &intent["currency"]), (&json!(100), &json!("eur")));
}

#[tokio::test]
async fn the_same_order_can_be_paid_a_second_time_through_another_session() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let first = stripe.control().pay(&id, PayTerms::default()).unwrap();
    let second = stripe.control().pay_again(&id, PayTerms::default()).unwrap();
    assert_ne!(first.session, second.session);
    assert_ne!(first.payment_intent, second.payment_intent);
    let copy = stripe.session(&second.session).await;
    assert_eq!((&copy["client_reference_id"], &copy["payment_status"]), (&json!("o1"), &json!("paid")));
    assert_eq!(copy["metadata"]["order_id"], "o1");
}

#[tokio::test]
async fn a_declined_card_leaves_the_session_open_and_the_next_one_pays_the_same_intent() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let declined = stripe.control().decline(&id).unwrap();
    let session = stripe.session(&id).await;
    assert_eq!(session["status"], "open");
    assert!(session["payment_intent"].is_null(), "not shown before completion");
    let intent = stripe.get(&format!("/v1/payment_intents/{}", declined.payment_intent)).await.body;
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["last_payment_error"]["code"], "card_declined");
    assert!(stripe.event_types().contains(&"payment_intent.payment_failed".to_owned()));
    let paid = stripe.control().pay(&id, PayTerms::default()).unwrap();
    assert_eq!(paid.payment_intent, declined.payment_intent);
    assert_ne!(paid.charge, declined.charge);
}

#[tokio::test]
async fn an_expired_session_cancels_the_intent_of_a_declined_try() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let declined = stripe.control().decline(&id).unwrap();
    stripe.control().expire(&id).unwrap();
    let intent = stripe.get(&format!("/v1/payment_intents/{}", declined.payment_intent)).await.body;
    assert_eq!(intent["status"], "canceled");
}

#[tokio::test]
async fn a_delayed_payment_is_complete_and_unpaid_until_it_settles() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let receipt = stripe.control().complete_unpaid(&id, PayTerms::default()).unwrap();
    let session = stripe.session(&id).await;
    assert_eq!((&session["status"], &session["payment_status"]), (&json!("complete"), &json!("unpaid")));
    let intent = stripe.get(&format!("/v1/payment_intents/{}", receipt.payment_intent)).await.body;
    assert_eq!(intent["status"], "processing");
    let event = stripe.control().events().pop().unwrap();
    assert_eq!(
        (&event["type"], &event["data"]["object"]["payment_status"]),
        (&json!("checkout.session.completed"), &json!("unpaid"))
    );

    let settled = stripe.control().settle(&id).unwrap();
    assert_eq!(settled, receipt, "the same charge");
    assert_eq!(stripe.session(&id).await["payment_status"], "paid");
    assert_eq!(stripe.event_types().last().unwrap(), "checkout.session.async_payment_succeeded");
    assert!(stripe.control().settle(&id).is_err(), "only once");
    assert!(stripe.control().fail(&id).is_err(), "its result is final");
}

#[tokio::test]
async fn a_delayed_payment_can_fail() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    stripe.control().complete_unpaid(&id, PayTerms::default()).unwrap();
    stripe.control().fail(&id).unwrap();
    let session = stripe.session(&id).await;
    assert_eq!((&session["status"], &session["payment_status"]), (&json!("complete"), &json!("unpaid")));
    assert_eq!(stripe.event_types().last().unwrap(), "checkout.session.async_payment_failed");
    assert!(stripe.control().settle(&id).is_err());
}

#[tokio::test]
async fn a_bank_disputes_and_warns() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let receipt = stripe.control().pay(&id, PayTerms::default()).unwrap();
    stripe.control().warn_of_fraud(&receipt.charge, "made_with_stolen_card").unwrap();
    stripe.control().dispute(&receipt.charge, "fraudulent").unwrap();
    let events = stripe.control().events();
    let find = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap()["data"]["object"].clone();
    assert_eq!(find("radar.early_fraud_warning.created")["payment_intent"], receipt.payment_intent);
    let dispute = find("charge.dispute.created");
    assert_eq!((&dispute["charge"], &dispute["amount"]), (&json!(receipt.charge), &json!(3998)));
    assert_eq!(stripe.get(&format!("/v1/charges/{}", receipt.charge)).await.body["disputed"], true);
}

#[tokio::test]
async fn an_intent_is_created_and_confirmed_with_a_test_card() {
    let stripe = Stripe::start().await;
    let form = [("amount", "100"), ("currency", "usd"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let paid = stripe.post("/v1/payment_intents", &form).await;
    assert_eq!(paid.body["status"], "succeeded");
    let form = [
        ("amount", "100"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa_chargeDeclined"),
        ("confirm", "true"),
    ];
    let declined = stripe.post("/v1/payment_intents", &form).await;
    declined.assert_error(402, "card_declined");
    assert_eq!(declined.body["error"]["type"], "card_error");
    let open = stripe.post("/v1/payment_intents", &[("amount", "100"), ("currency", "usd")]).await.id();
    let canceled = stripe.post(&format!("/v1/payment_intents/{open}/cancel"), &[]).await;
    assert_eq!(canceled.body["status"], "canceled");
    stripe
        .post(&format!("/v1/payment_intents/{open}/confirm"), &[("payment_method", "pm_card_visa")])
        .await
        .assert_error(400, "payment_intent_unexpected_state");
}

#[tokio::test]
async fn the_balance_is_what_was_charged_less_what_was_refunded() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let receipt = stripe.control().pay(&id, PayTerms::default()).unwrap();
    stripe.post("/v1/refunds", &[("payment_intent", &receipt.payment_intent), ("amount", "998")]).await;
    let balance = stripe.get("/v1/balance").await.body;
    assert_eq!(
        (&balance["available"][0]["amount"], &balance["available"][0]["currency"]),
        (&json!(3000), &json!("usd"))
    );
}
