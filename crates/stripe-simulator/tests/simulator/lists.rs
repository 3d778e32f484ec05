//! Pages, filters and expansions.

use serde_json::{Value, json};
use stripe_simulator::PayTerms;

use crate::support::Stripe;

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_is_read_in_pages_newest_first_both_ways() {
    let stripe = Stripe::start().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(stripe.open_session().await);
    }
    made.reverse();
    let sessions = "/v1/checkout/sessions";
    let first = stripe.get(&format!("{sessions}?limit=2")).await.body;
    assert_eq!((ids(&first), &first["has_more"]), (vec![made[0].as_str(), &made[1]], &json!(true)));
    let next = stripe.get(&format!("{sessions}?limit=3&starting_after={}", made[1])).await.body;
    assert_eq!((ids(&next), &next["has_more"]), (vec![made[2].as_str(), &made[3], &made[4]], &json!(false)));
    let back = stripe.get(&format!("{sessions}?limit=2&ending_before={}", made[3])).await.body;
    assert_eq!((ids(&back), &back["has_more"]), (vec![made[1].as_str(), &made[2]], &json!(true)));
    stripe.get(&format!("{sessions}?starting_after=cs_test_0")).await.assert_error(404, "resource_missing");
    for limit in ["0", "101", "x"] {
        stripe.get(&format!("{sessions}?limit={limit}")).await.assert_error(400, "parameter_invalid_integer");
    }
    stripe.get(&format!("{sessions}?colour=red")).await.assert_error(400, "parameter_unknown");
}

#[tokio::test]
async fn a_list_is_filtered_by_time_of_creation_with_escaped_or_plain_keys() {
    let stripe = Stripe::start().await;
    let early = stripe.open_session().await;
    stripe.control().advance_clock(100);
    let late = stripe.open_session().await;
    let late_at = stripe.session(&late).await["created"].as_i64().unwrap();
    let list = |filter: String| {
        let stripe = &stripe;
        async move { stripe.get(&format!("/v1/checkout/sessions?{filter}")).await.body }
    };
    assert_eq!(ids(&list(format!("created[gte]={late_at}")).await), [late.as_str()]);
    assert_eq!(ids(&list(format!("created%5Bgte%5D={late_at}")).await), [late.as_str()]);
    assert_eq!(ids(&list(format!("created[lt]={late_at}")).await), [early.as_str()]);
    assert_eq!(ids(&list(format!("created={late_at}")).await), [late.as_str()]);
    assert!(ids(&list(format!("created[gt]={late_at}")).await).is_empty());
}

#[tokio::test]
async fn sessions_charges_and_refunds_are_found_by_their_intent() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let other = stripe.open_session().await;
    stripe.control().pay(&other, PayTerms::default()).unwrap();
    let receipt = stripe.control().pay(&id, PayTerms::default()).unwrap();
    let intent = &receipt.payment_intent;
    let refund = stripe.post("/v1/refunds", &[("payment_intent", intent), ("amount", "100")]).await.id();
    let sessions = stripe.get(&format!("/v1/checkout/sessions?payment_intent={intent}")).await.body;
    assert_eq!(ids(&sessions), [id.as_str()]);
    let charges = stripe.get(&format!("/v1/charges?payment_intent={intent}")).await.body;
    assert_eq!(ids(&charges), [receipt.charge.as_str()]);
    for filter in [format!("payment_intent={intent}"), format!("charge={}", receipt.charge)] {
        assert_eq!(ids(&stripe.get(&format!("/v1/refunds?{filter}")).await.body), [refund.as_str()]);
    }
    assert_eq!(ids(&stripe.get("/v1/payment_intents").await.body).len(), 2);
    let complete = stripe.get("/v1/checkout/sessions?status=complete").await.body;
    assert_eq!(ids(&complete).len(), 2);
}

#[tokio::test]
async fn expansions_follow_dots_and_reach_into_lists() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let receipt = stripe.control().pay(&id, PayTerms::default()).unwrap();
    let path = format!("/v1/checkout/sessions/{id}?expand[]=payment_intent.latest_charge.refunds&expand[]=line_items");
    let session = stripe.get(&path).await.body;
    assert_eq!(session["payment_intent"]["latest_charge"]["refunds"]["data"], json!([]));
    assert_eq!(session["line_items"]["data"][0]["description"], "Mug");
    let list = stripe.get("/v1/checkout/sessions?expand[0]=data.payment_intent&expand[1]=data.line_items").await.body;
    assert_eq!(list["data"][0]["payment_intent"]["id"], receipt.payment_intent);
    stripe.post("/v1/refunds", &[("charge", &receipt.charge)]).await;
    let refunds =
        stripe.get("/v1/refunds?expand[]=data.charge.payment_intent&expand[]=data.balance_transaction").await.body;
    assert_eq!(refunds["data"][0]["charge"]["payment_intent"]["status"], "succeeded");
    assert_eq!(refunds["data"][0]["balance_transaction"]["amount"], -3998);
    let lines = stripe.get(&format!("/v1/checkout/sessions/{id}/line_items?expand[]=data.price.product")).await.body;
    assert_eq!(lines["data"][0]["price"]["product"]["name"], "Mug");
}

#[tokio::test]
async fn what_cannot_be_expanded_is_refused() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    for path in ["amount_total", "data.payment_intent", "nothing", "line_items.data.price.product.a.b"] {
        let answer = stripe.get(&format!("/v1/checkout/sessions/{id}?expand[]={path}")).await;
        assert_eq!((answer.status, answer.body["error"]["param"].as_str()), (400, Some("expand")), "{path}");
    }
    let empty = stripe.get(&format!("/v1/checkout/sessions/{id}?expand[]=payment_intent.latest_charge")).await;
    assert!(empty.body["payment_intent"].is_null(), "nothing to expand is no error");
}

#[tokio::test]
async fn events_are_found_by_type_and_delivery() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    stripe.control().pay(&id, PayTerms::default()).unwrap();
    let count = |filter: &'static str| {
        let stripe = &stripe;
        async move { ids(&stripe.get(&format!("/v1/events?{filter}")).await.body).len() }
    };
    assert_eq!(count("type=checkout.session.completed").await, 1);
    assert_eq!(count("type=payment_intent.*").await, 2);
    assert_eq!(count("types[]=charge.succeeded&types[]=checkout.session.completed").await, 2);
    assert_eq!(count("delivery_success=true").await, 4);
    assert_eq!(count("delivery_success=false").await, 0);
    stripe.get("/v1/events?type=a&types[]=b").await.assert_error(400, "");
    stripe.control().advance_clock(31 * 24 * 3600);
    assert_eq!(count("limit=100").await, 0, "events are shown for 30 days");
}
