//! Refunds: how much, how often, and how they can still go wrong.

use serde_json::json;
use stripe_simulator::{DashboardRefund, NextRefund, PayTerms, Receipt, RefundStatus};

use crate::support::Stripe;

async fn paid(stripe: &Stripe) -> Receipt {
    let id = stripe.open_session().await;
    stripe.control().pay(&id, PayTerms::default()).unwrap()
}

fn plan(stripe: &Stripe, status: RefundStatus) {
    stripe.control().plan_next_refund(NextRefund { status, failure_reason: "declined".to_owned() });
}

#[tokio::test]
async fn a_charge_is_refunded_in_parts_until_nothing_is_left() {
    let stripe = Stripe::start().await;
    let receipt = paid(&stripe).await;
    let intent = receipt.payment_intent.as_str();
    let first = stripe
        .post("/v1/refunds", &[("payment_intent", intent), ("amount", "998"), ("metadata[refund_id]", "r1")])
        .await;
    assert_eq!((&first.body["status"], &first.body["amount"]), (&json!("succeeded"), &json!(998)));
    assert_eq!(first.body["metadata"]["refund_id"], "r1");
    let too_much = stripe.post("/v1/refunds", &[("payment_intent", intent), ("amount", "3001")]).await;
    too_much.assert_error(400, "");
    assert_eq!(too_much.body["error"]["param"], "amount");
    let rest = stripe.post("/v1/refunds", &[("charge", &receipt.charge)]).await;
    assert_eq!(rest.body["amount"], 3000);
    let charge = stripe.get(&format!("/v1/charges/{}", receipt.charge)).await.body;
    assert_eq!((&charge["refunded"], &charge["amount_refunded"]), (&json!(true), &json!(3998)));
    stripe.post("/v1/refunds", &[("payment_intent", intent)]).await.assert_error(400, "charge_already_refunded");
}

#[tokio::test]
async fn one_refund_gives_three_events() {
    let stripe = Stripe::start().await;
    let receipt = paid(&stripe).await;
    let before = stripe.event_types().len();
    stripe.post("/v1/refunds", &[("payment_intent", &receipt.payment_intent), ("amount", "500")]).await;
    let mut types = stripe.event_types().split_off(before);
    types.sort();
    assert_eq!(types, ["charge.refunded", "refund.created", "refund.updated"]);
    let events = stripe.control().events();
    let refunded = events.iter().find(|event| event["type"] == "charge.refunded").unwrap();
    assert_eq!(refunded["data"]["object"]["amount_refunded"], 500);
    assert_eq!(refunded["data"]["previous_attributes"]["amount_refunded"], 0);
}

#[tokio::test]
async fn what_is_wrong_with_a_refund_is_named() {
    let stripe = Stripe::start().await;
    let receipt = paid(&stripe).await;
    let intent = receipt.payment_intent.as_str();
    stripe.post("/v1/refunds", &[]).await.assert_error(400, "parameter_missing");
    stripe.post("/v1/refunds", &[("payment_intent", "pi_0")]).await.assert_error(404, "resource_missing");
    stripe.post("/v1/refunds", &[("charge", "ch_0")]).await.assert_error(404, "resource_missing");
    for (name, value, code) in [
        ("amount", "0", "parameter_invalid_integer"),
        ("amount", "5.00", "parameter_invalid_integer"),
        ("reason", "regret", ""),
        ("colour", "red", "parameter_unknown"),
    ] {
        stripe.post("/v1/refunds", &[("payment_intent", intent), (name, value)]).await.assert_error(400, code);
    }
    let open = stripe.open_session().await;
    let declined = stripe.control().decline(&open).unwrap();
    stripe.post("/v1/refunds", &[("payment_intent", &declined.payment_intent)]).await.assert_error(400, "");
    stripe.post("/v1/refunds", &[("charge", &declined.charge)]).await.assert_error(400, "");
    assert!(stripe.control().refunds().is_empty());
}

#[tokio::test]
async fn a_disputed_charge_is_not_refunded() {
    let stripe = Stripe::start().await;
    let receipt = paid(&stripe).await;
    stripe.control().dispute(&receipt.charge, "fraudulent").unwrap();
    stripe
        .post("/v1/refunds", &[("payment_intent", &receipt.payment_intent)])
        .await
        .assert_error(400, "charge_disputed");
}

#[tokio::test]
async fn a_succeeded_refund_can_fail_later_and_the_money_counts_as_kept_again() {
    let stripe = Stripe::start().await;
    let receipt = paid(&stripe).await;
    let refund = stripe.post("/v1/refunds", &[("payment_intent", &receipt.payment_intent)]).await.id();
    let before = stripe.event_types().len();
    stripe.control().fail_refund(&refund, "lost_or_stolen_card").unwrap();
    let failed = stripe.get(&format!("/v1/refunds/{refund}")).await.body;
    assert_eq!((&failed["status"], &failed["failure_reason"]), (&json!("failed"), &json!("lost_or_stolen_card")));
    let charge = stripe.get(&format!("/v1/charges/{}", receipt.charge)).await.body;
    assert_eq!((&charge["refunded"], &charge["amount_refunded"]), (&json!(false), &json!(0)));
    let types = stripe.event_types().split_off(before);
    assert!(types.contains(&"refund.failed".to_owned()) && types.contains(&"refund.updated".to_owned()), "{types:?}");
    assert!(stripe.control().fail_refund(&refund, "declined").is_err(), "only once");
    let again = stripe.post("/v1/refunds", &[("payment_intent", &receipt.payment_intent)]).await;
    assert_eq!(again.body["amount"], 3998, "it can be refunded anew");
}

#[tokio::test]
async fn a_pending_refund_holds_the_money_and_settles() {
    let stripe = Stripe::start().await;
    let receipt = paid(&stripe).await;
    plan(&stripe, RefundStatus::Pending);
    let refund = stripe.post("/v1/refunds", &[("payment_intent", &receipt.payment_intent)]).await;
    assert_eq!(refund.body["status"], "pending");
    stripe
        .post("/v1/refunds", &[("payment_intent", &receipt.payment_intent)])
        .await
        .assert_error(400, "charge_already_refunded");
    stripe.control().settle_refund(&refund.id()).unwrap();
    assert_eq!(stripe.get(&format!("/v1/refunds/{}", refund.id())).await.body["status"], "succeeded");
    assert_eq!(stripe.event_types().last().unwrap(), "refund.updated");
}

#[tokio::test]
async fn a_refund_can_fail_at_once() {
    let stripe = Stripe::start().await;
    let receipt = paid(&stripe).await;
    plan(&stripe, RefundStatus::Failed);
    let refund = stripe.post("/v1/refunds", &[("payment_intent", &receipt.payment_intent)]).await;
    assert_eq!((&refund.body["status"], &refund.body["failure_reason"]), (&json!("failed"), &json!("declined")));
    let charge = stripe.get(&format!("/v1/charges/{}", receipt.charge)).await.body;
    assert_eq!(charge["amount_refunded"], 0);
    assert!(stripe.event_types().contains(&"refund.failed".to_owned()));
}

#[tokio::test]
async fn only_a_refund_that_waits_for_the_customer_is_canceled() {
    let stripe = Stripe::start().await;
    let receipt = paid(&stripe).await;
    plan(&stripe, RefundStatus::RequiresAction);
    let waiting = stripe.post("/v1/refunds", &[("payment_intent", &receipt.payment_intent)]).await;
    assert_eq!(waiting.body["status"], "requires_action");
    let canceled = stripe.post(&format!("/v1/refunds/{}/cancel", waiting.id()), &[]).await;
    assert_eq!(canceled.body["status"], "canceled");
    let done = stripe.post("/v1/refunds", &[("payment_intent", &receipt.payment_intent)]).await;
    assert_eq!((&done.body["status"], &done.body["amount"]), (&json!("succeeded"), &json!(3998)));
    stripe.post(&format!("/v1/refunds/{}/cancel", done.id()), &[]).await.assert_error(400, "");
}

#[tokio::test]
async fn a_refund_by_hand_has_no_request_behind_it() {
    let stripe = Stripe::start().await;
    let receipt = paid(&stripe).await;
    let refund = DashboardRefund { amount: Some(700), reason: Some("fraudulent".to_owned()) };
    let id = stripe.control().refund_by_hand(&receipt.payment_intent, refund).unwrap();
    let refund = stripe.get(&format!("/v1/refunds/{id}")).await.body;
    assert_eq!((&refund["amount"], &refund["reason"]), (&json!(700), &json!("fraudulent")));
    let created = stripe.control().events().into_iter().find(|event| event["type"] == "refund.created").unwrap();
    assert!(created["request"]["id"].is_null());
}
