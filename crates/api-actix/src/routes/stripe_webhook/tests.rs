//! The webhook on mocked ports: verified first, answered only when the event is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use actix_web::http::header;
use actix_web::test::TestRequest;
use actix_web::web::{Data, ServiceConfig};
use domain::order::sample::{at, intent};
use domain::order::{EventOutcome, MockOrderRepository};
use domain::payment::{
    EventContent, EventReader, EventStatus, MockEventReader, MockPaymentGateway, ProviderEvent, ProviderEventId,
    WebhookRejected,
};
use domain::store::StoreError;
use serde_json::json;

use crate::testing::{Answer, order_service, send_open};

const PATH: &str = "/api/v1/webhooks/stripe";

fn on(orders: MockOrderRepository, events: MockEventReader) -> impl FnOnce(&mut ServiceConfig) + 'static {
    let service = order_service(orders, MockPaymentGateway::new());
    let events: Arc<dyn EventReader> = Arc::new(events);
    move |config| {
        config.app_data(Data::new(service)).app_data(Data::from(events)).configure(super::configure);
    }
}

fn event() -> ProviderEvent {
    ProviderEvent {
        id: ProviderEventId::new("evt_1").unwrap(),
        kind: "charge.dispute.created".to_owned(),
        payload: "{}".to_owned(),
        content: EventContent::Disputed(intent("pi_1")),
    }
}

/// A reader that takes what it is given for an event.
fn trusting() -> MockEventReader {
    let mut events = MockEventReader::new();
    events.expect_read().times(1).returning(|_, _, _| Ok(event()));
    events
}

fn delivery(body: impl Into<actix_web::web::Bytes>) -> TestRequest {
    TestRequest::post().uri(PATH).insert_header(("Stripe-Signature", "t=1,v1=ab")).set_payload(body)
}

async fn received(outcome: Result<EventOutcome, StoreError>) -> Answer {
    let mut orders = MockOrderRepository::new();
    orders.expect_receive().withf(|received, _| *received == event()).times(1).return_once(move |_, _| outcome);
    send_open(on(orders, trusting()), delivery("{}")).await
}

#[actix_web::test]
async fn an_event_that_is_kept_is_received_whatever_became_of_it() {
    let recorded = EventStatus::ALL.map(EventOutcome::Recorded);
    for outcome in recorded.into_iter().chain([EventOutcome::Repeated]) {
        let case = format!("{outcome:?}");
        let answer = received(Ok(outcome)).await;
        assert_eq!((answer.status, answer.body), (200, json!({ "received": true })), "{case}");
    }
}

/// Contract 3.5: "A failure on our side answers 5xx", so that the provider sends it again.
#[actix_web::test]
async fn an_event_that_could_not_be_kept_is_not_received() {
    for (error, status) in [(StoreError::unavailable("gone"), 503), (StoreError::unexpected("bug"), 500)] {
        assert_eq!(received(Err(error)).await.status, status);
    }
}

#[actix_web::test]
async fn the_reader_sees_the_raw_bytes_and_the_signature_as_they_came() {
    let raw = b"\xff not JSON \x00, and no Content-Type";
    let mut events = MockEventReader::new();
    events
        .expect_read()
        .withf(|body, signature, now| *body == raw[..] && *signature == Some("t=1,v1=ab") && *now == at(60))
        .times(1)
        .returning(|_, _, _| Ok(event()));
    let mut orders = MockOrderRepository::new();
    orders.expect_receive().times(1).returning(|_, _| Ok(EventOutcome::Repeated));
    assert_eq!(send_open(on(orders, events), delivery(&raw[..])).await.status, 200);
}

#[actix_web::test]
async fn what_the_reader_rejects_is_400_and_reaches_no_order() {
    let signature = || WebhookRejected::Signature("it is missing".to_owned());
    let malformed = || WebhookRejected::Malformed("expected an object".to_owned());
    for (rejected, code) in [(signature(), "webhook_signature_invalid"), (malformed(), "malformed_request")] {
        let mut events = MockEventReader::new();
        events.expect_read().times(1).return_once(move |_, _, _| Err(rejected));
        let answer = send_open(on(MockOrderRepository::new(), events), delivery("{}")).await;
        assert_eq!((answer.status, answer.code()), (400, code));
    }
}

#[actix_web::test]
async fn a_missing_or_unreadable_signature_is_for_the_reader_to_reject() {
    let unreadable = header::HeaderValue::from_bytes(b"t=1,v1=\xff").unwrap();
    for request in [
        TestRequest::post().uri(PATH).set_payload("{}"),
        TestRequest::post().uri(PATH).insert_header(("Stripe-Signature", unreadable)).set_payload("{}"),
    ] {
        let mut events = MockEventReader::new();
        let missing = || WebhookRejected::Signature("it is missing".to_owned());
        events
            .expect_read()
            .withf(|_, signature, _| signature.is_none())
            .times(1)
            .returning(move |_, _, _| Err(missing()));
        let answer = send_open(on(MockOrderRepository::new(), events), request).await;
        assert_eq!((answer.status, answer.code()), (400, "webhook_signature_invalid"));
    }
}

#[actix_web::test]
async fn a_body_may_have_512_kib_and_no_byte_more() {
    let mut orders = MockOrderRepository::new();
    orders.expect_receive().times(1).returning(|_, _| Ok(EventOutcome::Repeated));
    let full = vec![b' '; 512 * 1024];
    assert_eq!(send_open(on(orders, trusting()), delivery(full.clone())).await.status, 200);

    let more = [full, vec![b' ']].concat();
    let answer = send_open(on(MockOrderRepository::new(), MockEventReader::new()), delivery(more)).await;
    assert_eq!((answer.status, answer.code()), (413, "payload_too_large"));
}

#[actix_web::test]
async fn other_methods_are_405_and_other_paths_are_404() {
    let answer = send_open(on(MockOrderRepository::new(), MockEventReader::new()), TestRequest::get().uri(PATH)).await;
    assert_eq!((answer.status, answer.header(header::ALLOW)), (405, "POST"));
    let other = TestRequest::post().uri("/api/v1/webhooks/other");
    let answer = send_open(on(MockOrderRepository::new(), MockEventReader::new()), other).await;
    assert_eq!((answer.status, answer.code()), (404, "not_found"));
}
