//! `/admin/orders` on mocked ports: each route, code and shape.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use actix_web::web::{Data, ServiceConfig};
use domain::clock::Timestamp;
use domain::order::sample::{cancelled_after_payment, customer_id, order_id, paid, shipped};
use domain::order::{
    Flag, FulfilOrder, FulfilOrderError, FulfilmentStep, InvalidTransition, MockOrderRepository, OrderFilter,
    OrderStatus, RefundOrderMoney, RefundOrderMoneyError,
};
use domain::page::Page;
use domain::payment::{MockPaymentGateway, PaymentStatus};
use domain::store::StoreError;
use domain::text::TrackingNumber;
use serde_json::{Value, json};

use crate::testing::{Answer, admin, bearer, order_service, send};

fn on(orders: MockOrderRepository) -> impl FnOnce(&mut ServiceConfig) + 'static {
    let service = order_service(orders, MockPaymentGateway::new());
    move |config| {
        config.app_data(Data::new(service)).configure(super::configure);
    }
}

fn request(method: Method, path: &str) -> TestRequest {
    TestRequest::default().method(method).uri(path).insert_header(bearer("admin"))
}

fn order(suffix: &str) -> String {
    format!("/api/v1/admin/orders/{}{suffix}", order_id())
}

#[actix_web::test]
async fn every_route_is_for_admins_alone() {
    for (method, path) in
        [(Method::GET, "/api/v1/admin/orders".to_owned()), (Method::PATCH, order("")), (Method::POST, order("/refund"))]
    {
        for (token, status) in [("customer", 403), ("forged", 401)] {
            let request = TestRequest::default().method(method.clone()).uri(&path).insert_header(bearer(token));
            assert_eq!(send(on(MockOrderRepository::new()), request).await.status, status, "{method} {path}");
        }
    }
}

#[actix_web::test]
async fn other_methods_are_405_and_bad_ids_are_400() {
    for (path, allow) in
        [("/api/v1/admin/orders".to_owned(), "GET, HEAD"), (order(""), "PATCH"), (order("/refund"), "POST")]
    {
        let answer = send(on(MockOrderRepository::new()), request(Method::PUT, &path)).await;
        assert_eq!((answer.status, answer.header(header::ALLOW)), (405, allow), "{path}");
    }
    for (method, path) in [(Method::PATCH, "/api/v1/admin/orders/7"), (Method::POST, "/api/v1/admin/orders/7/refund")] {
        let answer = send(on(MockOrderRepository::new()), request(method, path).set_payload("{")).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{path}");
    }
}

mod listing {
    use super::*;

    async fn listed(query: &str, filter: OrderFilter) -> Answer {
        let mut orders = MockOrderRepository::new();
        orders
            .expect_list()
            .withf(move |asked, _, _| *asked == filter)
            .times(1)
            .returning(|_, _, _| Ok(Page { items: vec![paid()], next: None }));
        send(on(orders), request(Method::GET, &format!("/api/v1/admin/orders?{query}"))).await
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[actix_web::test]
    async fn every_filter_reaches_the_store() {
        let user = format!("userId={}", customer_id());
        let all = OrderFilter::default;
        let table = [
            ("", all()),
            ("status=PAID", OrderFilter { status: Some(OrderStatus::Paid), ..all() }),
            ("paymentStatus=REFUND_FAILED", OrderFilter { payment: Some(PaymentStatus::RefundFailed), ..all() }),
            (user.as_str(), OrderFilter { customer_id: Some(customer_id()), ..all() }),
            ("flagged=true", OrderFilter { flagged: Some(true), ..all() }),
            (
                "createdFrom=2026-01-01T00:00:00Z&createdTo=2026-01-01T01:30:00.5%2B01:00",
                OrderFilter {
                    created_from: Some(time("2026-01-01T00:00:00Z")),
                    created_to: Some(time("2026-01-01T00:30:00.5Z")),
                    ..all()
                },
            ),
            ("status=&unknown=1", all()),
        ];
        for (query, filter) in table {
            let answer = listed(query, filter).await;
            assert_eq!((answer.status, &answer.body["items"][0]["status"]), (200, &json!("PAID")), "{query}");
        }
    }

    #[actix_web::test]
    async fn what_can_not_be_read_is_422_and_named() {
        for (query, field) in [
            ("status=paid", "status"),
            ("paymentStatus=PAID", "paymentStatus"),
            ("userId=7", "userId"),
            ("flagged=yes", "flagged"),
            ("createdFrom=yesterday", "createdFrom"),
            ("createdFrom=2026-01-01", "createdFrom"),
            ("createdTo=2026-13-01T00:00:00Z", "createdTo"),
            ("cursor=!", "cursor"),
            ("limit=1000", "limit"),
        ] {
            let path = format!("/api/v1/admin/orders?{query}");
            let answer = send(on(MockOrderRepository::new()), request(Method::GET, &path)).await;
            assert_eq!((answer.status, answer.fields()), (422, vec![field]), "{query}");
        }
    }
}

mod fulfilling {
    use super::*;

    async fn patched(body: &Value, step: FulfilmentStep) -> Answer {
        let mut orders = MockOrderRepository::new();
        let expected = move |command: &FulfilOrder| {
            (command.order_id, command.admin_id) == (order_id(), admin().user_id) && command.step == step
        };
        orders.expect_fulfil().withf(expected).times(1).returning(|_| Ok(shipped()));
        send(on(orders), request(Method::PATCH, &order("")).set_json(body)).await
    }

    #[actix_web::test]
    async fn each_step_is_read_as_what_it_says() {
        let number = || Some(TrackingNumber::new("JD0002").unwrap());
        for (body, step) in [
            (json!({ "status": "SHIPPED" }), FulfilmentStep::Ship(None)),
            (json!({ "status": "SHIPPED", "trackingNumber": null }), FulfilmentStep::Ship(None)),
            (json!({ "status": "SHIPPED", "trackingNumber": " JD0002 " }), FulfilmentStep::Ship(number())),
            (json!({ "status": "DELIVERED" }), FulfilmentStep::Deliver),
            (json!({ "clearFlags": true }), FulfilmentStep::ClearFlags),
            (json!({ "clearFlags": true, "status": null }), FulfilmentStep::ClearFlags),
        ] {
            let answer = patched(&body, step).await;
            assert_eq!((answer.status, &answer.body["status"]), (200, &json!("SHIPPED")), "{body}");
        }
    }

    #[actix_web::test]
    async fn what_is_no_single_step_is_422_and_named() {
        for (body, fields) in [
            (json!({}), vec!["status"]),
            (json!({ "trackingNumber": "JD0002" }), vec!["status", "trackingNumber"]),
            (json!({ "status": "SHIPPED", "clearFlags": true }), vec!["clearFlags"]),
            (json!({ "status": "SHIPPED", "clearFlags": false }), vec!["clearFlags", "clearFlags"]),
            (json!({ "clearFlags": false }), vec!["clearFlags"]),
            (json!({ "clearFlags": "true" }), vec!["clearFlags"]),
            (json!({ "clearFlags": true, "trackingNumber": "JD0002" }), vec!["trackingNumber"]),
            (json!({ "status": "DELIVERED", "trackingNumber": "JD0002" }), vec!["trackingNumber"]),
            (json!({ "status": "PENDING" }), vec!["status"]),
            (json!({ "status": "PAID" }), vec!["status"]),
            (json!({ "status": "CANCELLED" }), vec!["status"]),
            (json!({ "status": "shipped" }), vec!["status"]),
            (json!({ "status": 7 }), vec!["status"]),
            (json!({ "status": "SHIPPED", "trackingNumber": "" }), vec!["trackingNumber"]),
            (json!({ "status": "SHIPPED", "trackingNumber": "a".repeat(101) }), vec!["trackingNumber"]),
            (json!({ "status": "SHIPPED", "trackingNumber": "a\u{0}b" }), vec!["trackingNumber"]),
            (json!({ "status": "SHIPPED", "total": "1.00" }), vec!["total"]),
        ] {
            let answer = send(on(MockOrderRepository::new()), request(Method::PATCH, &order("")).set_json(&body)).await;
            assert_eq!((answer.status, answer.fields()), (422, fields), "{body}: {}", answer.text);
        }
        let answer = send(on(MockOrderRepository::new()), request(Method::PATCH, &order(""))).await;
        assert_eq!((answer.status, answer.fields()), (422, vec!["status"]), "no body is {{}}");
    }

    #[actix_web::test]
    async fn every_refusal_has_its_code_and_its_members() {
        let refused = InvalidTransition { from: OrderStatus::Delivered, to: OrderStatus::Shipped };
        let flags = BTreeSet::from([Flag::Disputed, Flag::AmountMismatch]);
        for (error, status, code, members) in [
            (FulfilOrderError::NotFound, 404, "not_found", json!({})),
            (refused.into(), 409, "invalid_transition", json!({ "from": "DELIVERED", "to": "SHIPPED" })),
            (
                FulfilOrderError::Flagged { flags },
                409,
                "order_flagged",
                json!({ "flags": ["AMOUNT_MISMATCH", "DISPUTED"] }),
            ),
            (StoreError::unavailable("gone").into(), 503, "unavailable", json!({})),
            (StoreError::unexpected("bug").into(), 500, "internal_error", json!({})),
        ] {
            let mut orders = MockOrderRepository::new();
            orders.expect_fulfil().times(1).return_once(move |_| Err(error));
            let body = json!({ "status": "SHIPPED" });
            let answer = send(on(orders), request(Method::PATCH, &order("")).set_json(body)).await;
            assert_eq!((answer.status, answer.code()), (status, code));
            for (member, value) in members.as_object().unwrap() {
                assert_eq!(&answer.body[member], value);
            }
        }
    }
}

mod refunding {
    use super::*;

    #[actix_web::test]
    async fn a_refund_that_was_asked_for_is_202() {
        for payload in ["", "{}"] {
            let mut orders = MockOrderRepository::new();
            let expected =
                |command: &RefundOrderMoney| (command.order_id, command.admin_id) == (order_id(), admin().user_id);
            orders.expect_refund().withf(expected).times(1).returning(|_| Ok(cancelled_after_payment()));
            let request = request(Method::POST, &order("/refund"))
                .insert_header(header::ContentType::json())
                .set_payload(payload);
            let answer = send(on(orders), request).await;
            assert_eq!((answer.status, &answer.body["payment"]["status"]), (202, &json!("REFUND_PENDING")));
        }
    }

    #[actix_web::test]
    async fn every_refusal_has_its_code() {
        for (error, status, code) in [
            (RefundOrderMoneyError::NotFound, 404, "not_found"),
            (RefundOrderMoneyError::NotRefundable, 409, "order_not_refundable"),
            (StoreError::unavailable("gone").into(), 503, "unavailable"),
            (StoreError::unexpected("bug").into(), 500, "internal_error"),
        ] {
            let mut orders = MockOrderRepository::new();
            orders.expect_refund().times(1).return_once(move |_| Err(error));
            let answer = send(on(orders), request(Method::POST, &order("/refund"))).await;
            assert_eq!((answer.status, answer.code()), (status, code));
        }
    }

    #[actix_web::test]
    async fn how_much_goes_back_is_not_for_the_caller_to_say() {
        let request = request(Method::POST, &order("/refund")).set_json(json!({ "amount": "1.00" }));
        let answer = send(on(MockOrderRepository::new()), request).await;
        assert_eq!((answer.status, answer.fields()), (422, vec!["amount"]));
    }
}
