//! A strictly typed client, `async-stripe`, understands every answer.

use std::collections::HashMap;

use stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError, StripeRequest};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
    CreateCheckoutSessionPaymentIntentData, ExpireCheckoutSession, ListCheckoutSession, ListLineItemsCheckoutSession,
    ProductData, RetrieveCheckoutSession,
};
use stripe_core::event::ListEvent;
use stripe_core::payment_intent::RetrievePaymentIntent;
use stripe_core::refund::{CreateRefund, ListRefund, RetrieveRefund};
use stripe_shared::{CheckoutSessionMode, CheckoutSessionPaymentStatus, CheckoutSessionStatus};
use stripe_simulator::PayTerms;
use stripe_types::{Currency, Expandable};

use crate::support::Stripe;

fn client(stripe: &Stripe) -> Client {
    ClientBuilder::new("sk_test_1").url(format!("{}/", stripe.simulator.base_url())).build().unwrap()
}

fn order(stripe: &Stripe) -> CreateCheckoutSession {
    let mut product = ProductData::new("Mug");
    product.images = Some(vec!["https://shop.example/mug.png".to_owned()]);
    let mut price = CreateCheckoutSessionLineItemsPriceData::new(Currency::USD);
    price.unit_amount = Some(1999);
    price.product_data = Some(product);
    let mut line = CreateCheckoutSessionLineItems::new();
    line.quantity = Some(2);
    line.price_data = Some(price);
    let mut intent = CreateCheckoutSessionPaymentIntentData::new();
    intent.metadata = Some(HashMap::from([("order_id".to_owned(), "o1".to_owned())]));
    CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Payment)
        .success_url("https://shop.example/done")
        .cancel_url("https://shop.example/cart")
        .client_reference_id("o1")
        .customer_email("ada@example.com")
        .expires_at(stripe.control().now() + 1860)
        .metadata(HashMap::from([("order_id".to_owned(), "o1".to_owned())]))
        .payment_intent_data(intent)
        .line_items(vec![line])
}

#[tokio::test]
async fn a_session_is_typed_in_every_state() {
    let stripe = Stripe::start().await;
    let client = client(&stripe);
    let session = order(&stripe).send(&client).await.unwrap();
    assert_eq!(session.status, Some(CheckoutSessionStatus::Open));
    assert_eq!(session.amount_total, Some(3998));
    assert!(session.url.is_some() && session.payment_intent.is_none());

    stripe.control().decline(session.id.as_str()).unwrap();
    stripe.control().pay(session.id.as_str(), PayTerms::default()).unwrap();
    let paid = RetrieveCheckoutSession::new(session.id.clone())
        .expand(vec!["payment_intent.latest_charge".to_owned(), "line_items".to_owned()])
        .send(&client)
        .await
        .unwrap();
    assert_eq!(paid.payment_status, CheckoutSessionPaymentStatus::Paid);
    assert_eq!(paid.line_items.unwrap().data[0].quantity, Some(2));
    let Some(Expandable::Object(intent)) = paid.payment_intent else { panic!("the intent is expanded") };
    let Some(Expandable::Object(charge)) = intent.latest_charge else { panic!("the charge is expanded") };
    assert_eq!((charge.amount, charge.paid), (3998, true));

    let other = order(&stripe).send(&client).await.unwrap();
    let expired = ExpireCheckoutSession::new(other.id).send(&client).await.unwrap();
    assert_eq!(expired.status, Some(CheckoutSessionStatus::Expired));
    let listed = ListCheckoutSession::new().limit(10).send(&client).await.unwrap();
    assert_eq!(listed.data.len(), 2);
    let found = ListCheckoutSession::new().payment_intent(intent.id.as_str()).send(&client).await.unwrap();
    assert_eq!(found.data[0].id, session.id);
    let lines = ListLineItemsCheckoutSession::new(session.id).send(&client).await.unwrap();
    assert_eq!(lines.data[0].description.as_deref(), Some("Mug"));
}

#[tokio::test]
async fn refunds_intents_and_events_are_typed() {
    let stripe = Stripe::start().await;
    let client = client(&stripe);
    let session = order(&stripe).send(&client).await.unwrap();
    let receipt = stripe.control().complete_unpaid(session.id.as_str(), PayTerms::default()).unwrap();
    stripe.control().settle(session.id.as_str()).unwrap();
    let refund = CreateRefund::new()
        .payment_intent(receipt.payment_intent.as_str())
        .amount(500)
        .metadata(HashMap::from([("refund_id".to_owned(), "r1".to_owned())]))
        .send(&client)
        .await
        .unwrap();
    assert_eq!(refund.status.as_deref(), Some("succeeded"));
    stripe.control().fail_refund(refund.id.as_str(), "declined").unwrap();
    let failed = RetrieveRefund::new(refund.id).send(&client).await.unwrap();
    assert_eq!(failed.failure_reason.as_deref(), Some("declined"));
    let refunds = ListRefund::new().payment_intent(receipt.payment_intent.as_str()).send(&client).await.unwrap();
    assert_eq!(refunds.data.len(), 1);
    let intent = RetrievePaymentIntent::new(receipt.payment_intent.as_str())
        .expand(vec!["latest_charge.refunds".to_owned(), "payment_method".to_owned()])
        .send(&client)
        .await
        .unwrap();
    assert_eq!(intent.amount_received, 3998);
    stripe.control().dispute(&receipt.charge, "fraudulent").unwrap();
    stripe.control().warn_of_fraud(&receipt.charge, "misc").unwrap();
    let events = ListEvent::new().limit(100).delivery_success(true).send(&client).await.unwrap();
    assert_eq!(events.data.len(), stripe.control().events().len());
}

#[tokio::test]
async fn an_error_is_typed_and_a_key_is_replayed() {
    let stripe = Stripe::start().await;
    let client = client(&stripe);
    let key = || RequestStrategy::Idempotent(IdempotencyKey::new("attempt-1").unwrap());
    let request = order(&stripe);
    let first = request.customize().request_strategy(key()).send(&client).await.unwrap();
    let again = request.customize().request_strategy(key()).send(&client).await.unwrap();
    assert_eq!(first.id, again.id);
    let missing = RetrieveCheckoutSession::new("cs_test_0").send(&client).await.unwrap_err();
    let StripeError::Stripe(error, 404) = missing else { panic!("{missing:?}") };
    assert_eq!(error.code, Some(stripe::ApiErrorsCode::ResourceMissing));
}
