//! `/admin/events` on mocked ports: each route, code and shape.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use actix_web::web::{Data, ServiceConfig};
use domain::order::sample::{at, order_id};
use domain::order::{MockEventRepository, MockOrderRepository};
use domain::page::Page;
use domain::payment::MockPaymentGateway;
use domain::store::StoreError;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Answer, bearer, order_service, send};

const ID: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

fn on(events: MockEventRepository) -> impl FnOnce(&mut ServiceConfig) + 'static {
    let mut service = order_service(MockOrderRepository::new(), MockPaymentGateway::new());
    service.events = Arc::new(events);
    move |config| {
        config.app_data(Data::new(service)).configure(configure);
    }
}

fn request(method: Method, path: &str) -> TestRequest {
    TestRequest::default().method(method).uri(&format!("/api/v1/admin/events{path}")).insert_header(bearer("admin"))
}

fn event(status: EventStatus) -> StoredEvent {
    StoredEvent {
        id: EventId::parse(ID).unwrap(),
        provider_id: ProviderEventId::new("evt_1").unwrap(),
        kind: "charge.refunded".to_owned(),
        status,
        reason: (status == EventStatus::Failed).then(|| "data.object.currency is missing".to_owned()),
        order_id: (status == EventStatus::Applied).then(order_id),
        received_at: at(5),
        applied_at: (status == EventStatus::Applied).then(|| at(6)),
    }
}

#[actix_web::test]
async fn every_route_is_for_admins_alone() {
    for (method, path) in
        [(Method::GET, String::new()), (Method::GET, format!("/{ID}")), (Method::POST, format!("/{ID}/replay"))]
    {
        for (token, status) in [("customer", 403), ("forged", 401)] {
            let uri = format!("/api/v1/admin/events{path}");
            let request = TestRequest::default().method(method.clone()).uri(&uri).insert_header(bearer(token));
            assert_eq!(send(on(MockEventRepository::new()), request).await.status, status, "{method} {path}");
        }
    }
}

#[actix_web::test]
async fn other_methods_are_405_and_bad_ids_are_400() {
    for (path, allow) in
        [(String::new(), "GET, HEAD"), (format!("/{ID}"), "GET, HEAD"), (format!("/{ID}/replay"), "POST")]
    {
        let answer = send(on(MockEventRepository::new()), request(Method::PUT, &path)).await;
        assert_eq!((answer.status, answer.header(header::ALLOW)), (405, allow), "{path}");
    }
    for (method, path) in [(Method::GET, "/7"), (Method::POST, "/7/replay")] {
        let answer = send(on(MockEventRepository::new()), request(method, path)).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{path}");
    }
}

#[actix_web::test]
async fn a_list_shows_events_without_payload_by_all_its_filters() {
    let mut events = MockEventRepository::new();
    events
        .expect_list()
        .withf(|filter, after, limit| {
            let expected = EventFilter {
                status: Some(EventStatus::Applied),
                kind: Some("charge.refunded".to_owned()),
                order_id: Some(order_id()),
            };
            *filter == expected && after.is_none() && limit.get() == 3
        })
        .times(1)
        .returning(|_, _, _| {
            let next = EventPosition { received_at: at(5), id: EventId::parse(ID).unwrap() };
            Ok(Page { items: vec![event(EventStatus::Applied)], next: Some(next) })
        });
    let query = format!("?status=APPLIED&type=charge.refunded&orderId={}&limit=3&unheardOf=1", order_id());
    let answer = send(on(events), request(Method::GET, &query)).await;
    assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (200, "no-store"));
    let shown = json!([{
        "id": ID, "providerEventId": "evt_1", "type": "charge.refunded", "status": "APPLIED", "reason": null,
        "orderId": order_id().to_string(), "receivedAt": Moment(at(5)), "appliedAt": Moment(at(6)),
    }]);
    assert_eq!(answer.body["items"], shown);

    let cursor = answer.body["nextCursor"].as_str().unwrap().to_owned();
    let mut events = MockEventRepository::new();
    let position = EventPosition { received_at: at(5), id: EventId::parse(ID).unwrap() };
    let next = move |_: &EventFilter, after: &Option<EventPosition>, _: &PageLimit| *after == Some(position);
    events.expect_list().withf(next).times(1).returning(|_, _, _| Ok(Page { items: vec![], next: None }));
    let answer = send(on(events), request(Method::GET, &format!("?cursor={cursor}"))).await;
    assert_eq!(answer.body, json!({ "items": [], "nextCursor": null }));
}

#[actix_web::test]
async fn wrong_filters_are_named() {
    for (query, field) in [
        ("status=LOST", "status"),
        ("status=failed", "status"),
        ("type=%00", "type"),
        ("type=a%20b", "type"),
        ("orderId=7", "orderId"),
        ("limit=101", "limit"),
        ("cursor=nonsense", "cursor"),
    ] {
        let answer = send(on(MockEventRepository::new()), request(Method::GET, &format!("?{query}"))).await;
        assert_eq!((answer.status, answer.fields()), (422, vec![field]), "{query}");
    }
}

async fn found(event: Option<EventWithPayload>) -> Answer {
    let mut events = MockEventRepository::new();
    events.expect_find().times(1).returning(move |_| Ok(event.clone()));
    send(on(events), request(Method::GET, &format!("/{ID}"))).await
}

#[actix_web::test]
async fn one_event_is_shown_with_its_payload_as_it_came() {
    let payload = "  {\"id\": \"evt_1\", \"amount\": 1.10, \"id\": 2}\n";
    let failed = EventWithPayload { event: event(EventStatus::Failed), payload: Some(payload.to_owned()) };
    let answer = found(Some(failed)).await;
    assert_eq!((answer.status, &answer.body["reason"]), (200, &json!("data.object.currency is missing")));
    // Number by number and name by name, doubled ones too.
    assert!(answer.text.contains(payload.trim()), "{}", answer.text);
    assert_eq!(answer.body["appliedAt"], Value::Null);
    let absent = found(None).await;
    assert_eq!((absent.status, absent.code()), (404, "not_found"));
}

#[actix_web::test]
async fn a_payload_that_is_forgotten_is_shown_as_null() {
    let old = EventWithPayload { event: event(EventStatus::Applied), payload: None };
    let answer = found(Some(old)).await;
    assert_eq!((answer.status, answer.body.get("payload")), (200, Some(&Value::Null)));
}

async fn replayed(outcome: Result<EventStatus, ReplayEventError>) -> Answer {
    let mut events = MockEventRepository::new();
    let whole = |status| EventWithPayload { event: event(status), payload: Some("{}".to_owned()) };
    events.expect_replay().times(1).return_once(move |_, _| outcome.map(whole));
    send(on(events), request(Method::POST, &format!("/{ID}/replay"))).await
}

#[actix_web::test]
async fn a_replay_answers_with_the_event_as_it_is_after_the_try() {
    for status in EventStatus::ALL {
        let answer = replayed(Ok(status)).await;
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!(status.as_str())));
        assert_eq!(answer.body["payload"], json!({}));
    }
    for from in [EventStatus::Applied, EventStatus::Ignored, EventStatus::Waiting] {
        let answer = replayed(Err(ReplayEventError::NotFailed { from })).await;
        assert_eq!((answer.status, answer.code()), (409, "invalid_transition"));
        assert_eq!((&answer.body["from"], &answer.body["to"]), (&json!(from.as_str()), &json!("APPLIED")));
    }
    assert_eq!(replayed(Err(ReplayEventError::NotFound)).await.code(), "not_found");
    let down = replayed(Err(StoreError::unavailable("down").into())).await;
    assert_eq!((down.status, down.code()), (503, "unavailable"));
}
