//! `/orders` on mocked ports: each route, code and shape.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use actix_web::web::{Data, ServiceConfig};
use domain::fraud::FraudRefusal;
use domain::id::UserId;
use domain::order::sample::{
    TOTAL_MINOR, at, cancelled, cancelled_after_payment, change_after, hear, open, open_session, order_id, paid,
    paid_by, paid_with, product_id, requested, session, session_id, unattempted, usd,
};
use domain::order::{
    CancelOrder, CancelOrderError, InvalidTransition, MockOrderRepository, Order, OrderFilter, OrderPosition,
    OrderStatus, PlaceOrder, PlaceOrderError, StartPayment, StartPaymentError,
};
use domain::page::{Page, PageLimit};
use domain::payment::{FoundSession, GatewayUnavailable, MockPaymentGateway, SessionStanding};
use domain::store::StoreError;
use serde_json::{Value, json};

use crate::testing::{Answer, admin, bearer, customer, order_service, send};

/// The routes on these ports.
fn routes(orders: MockOrderRepository, gateway: MockPaymentGateway) -> impl FnOnce(&mut ServiceConfig) + 'static {
    let service = order_service(orders, gateway);
    move |config| {
        config.app_data(Data::new(service)).configure(super::configure);
    }
}

fn on(orders: MockOrderRepository) -> impl FnOnce(&mut ServiceConfig) + 'static {
    routes(orders, MockPaymentGateway::new())
}

/// Routes whose ports must not be called.
fn untouched() -> impl FnOnce(&mut ServiceConfig) + 'static {
    on(MockOrderRepository::new())
}

fn post(path: &str, body: &Value) -> TestRequest {
    TestRequest::post().uri(path).insert_header(bearer("customer")).set_json(body)
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path).insert_header(bearer("customer"))
}

fn own(suffix: &str) -> String {
    format!("/api/v1/orders/{}{suffix}", order_id())
}

const ORDERS: &str = "/api/v1/orders";
const ADDRESS: &str = "1 High Street, Leeds";

#[actix_web::test]
async fn every_route_says_who_may_call_it() {
    let routes = [
        (Method::POST, ORDERS.to_owned(), &["customer"][..]),
        (Method::GET, ORDERS.to_owned(), &["customer"]),
        (Method::GET, own(""), &["customer", "admin"]),
        (Method::POST, own("/payment"), &["customer"]),
        (Method::POST, own("/cancel"), &["customer", "admin"]),
    ];
    for (method, path, callers) in routes {
        for token in ["customer", "admin", "forged"] {
            let mut orders = MockOrderRepository::new();
            orders.expect_find().returning(|_| Ok(None));
            orders.expect_cancel().returning(|_| Err(CancelOrderError::NotFound));
            orders.expect_start_payment().returning(|_| Err(StartPaymentError::NotFound));
            orders.expect_list().returning(|_, _, _| Ok(Page { items: vec![], next: None }));
            let request = TestRequest::default().method(method.clone()).uri(&path).insert_header(bearer(token));
            let answer = send(on(orders), request).await;
            let case = format!("{method} {path} as {token}");
            assert_eq!(answer.status == 401, token == "forged", "{case}");
            assert_eq!(answer.status == 403, token != "forged" && !callers.contains(&token), "{case}");
            assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{case}");
        }
        let answer = send(untouched(), TestRequest::default().method(method.clone()).uri(&path)).await;
        assert_eq!((answer.status, answer.header(header::WWW_AUTHENTICATE)), (401, "Bearer"), "{method} {path}");
    }
}

#[actix_web::test]
async fn other_methods_are_405_and_say_which_are_allowed() {
    for (path, allow) in [
        (ORDERS.to_owned(), "GET, HEAD, POST"),
        (own(""), "GET, HEAD"),
        (own("/payment"), "POST"),
        (own("/cancel"), "POST"),
    ] {
        let answer = send(untouched(), TestRequest::delete().uri(&path).insert_header(bearer("customer"))).await;
        assert_eq!((answer.code(), answer.header(header::ALLOW)), ("method_not_allowed", allow), "{path}");
    }
}

#[actix_web::test]
async fn a_path_id_that_is_no_uuid_is_400_before_the_body_is_looked_at() {
    for path in ["/api/v1/orders/7/payment", "/api/v1/orders/not-a-uuid/cancel"] {
        let request = TestRequest::post().uri(path).insert_header(bearer("customer")).set_payload("{");
        let answer = send(untouched(), request).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{path}");
    }
    assert_eq!(send(untouched(), get("/api/v1/orders/7")).await.status, 400);
}

mod placing {
    use super::*;

    /// Ports for one order: it is placed, and its session opens.
    fn placed(expected: impl Fn(&PlaceOrder) -> bool + Send + 'static) -> impl FnOnce(&mut ServiceConfig) + 'static {
        let mut orders = MockOrderRepository::new();
        orders
            .expect_place()
            .withf(expected)
            .times(1)
            .returning(|command| Ok(if command.pay_now.is_some() { requested() } else { unattempted() }));
        orders.expect_hear().returning(|_, news, _| Ok(Some(hear(requested(), news))));
        let mut gateway = MockPaymentGateway::new();
        gateway.expect_open_session().returning(|_| Ok(FoundSession { id: session_id(1), standing: open_session(1) }));
        routes(orders, gateway)
    }

    #[actix_web::test]
    async fn a_placed_order_is_201_with_its_address_and_its_checkout() {
        let body = json!({ "shippingAddress": format!("  {ADDRESS} ") });
        let expected = |command: &PlaceOrder| {
            command.customer_id == customer().user_id
                && command.shipping_address.as_str() == ADDRESS
                && command.pay_now.is_some()
                && command.expected_total_minor.is_none()
                && command.at == at(60)
        };
        let answer = send(placed(expected), post(ORDERS, &body)).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header(header::LOCATION), own(""));
        insta::assert_json_snapshot!(answer.body);
    }

    #[actix_web::test]
    async fn an_order_that_is_not_to_be_paid_now_has_no_checkout() {
        let body = json!({ "shippingAddress": ADDRESS, "payNow": false });
        let answer = send(placed(|command| command.pay_now.is_none()), post(ORDERS, &body)).await;
        assert_eq!((answer.status, &answer.body["payment"]["checkoutUrl"]), (201, &Value::Null));
    }

    /// Contract 3.1: "Provider down or slow: still 201, with `payment.checkoutUrl` null".
    #[actix_web::test]
    async fn an_order_is_201_while_the_provider_is_down() {
        let mut orders = MockOrderRepository::new();
        orders.expect_place().times(1).returning(|_| Ok(requested()));
        let mut gateway = MockPaymentGateway::new();
        let down = || GatewayUnavailable { reason: "connection refused".to_owned() };
        gateway.expect_open_session().times(1).returning(move |_| Err(down().into()));
        let answer = send(routes(orders, gateway), post(ORDERS, &json!({ "shippingAddress": ADDRESS }))).await;
        assert_eq!((answer.status, &answer.body["status"]), (201, &json!("PENDING")));
        assert_eq!(answer.body["payment"]["checkoutUrl"], Value::Null);
    }

    #[actix_web::test]
    async fn the_expected_total_is_read_as_it_is_written() {
        for (written, minor) in [
            (r#""44.98""#, Some(4498)),
            ("44.98", Some(4498)),
            ("44.9", Some(4490)),
            ("45", Some(4500)),
            (r#""0.01""#, Some(1)),
            ("99999999.99", Some(9_999_999_999)),
            ("null", None),
        ] {
            let body = format!(r#"{{"shippingAddress":"{ADDRESS}","expectedTotal":{written}}}"#);
            let request = post(ORDERS, &Value::Null).set_payload(body);
            let answer = send(placed(move |command| command.expected_total_minor == minor), request).await;
            assert_eq!(answer.status, 201, "{written}");
        }
    }

    #[actix_web::test]
    async fn what_breaks_a_rule_is_422_and_named() {
        let address = |rest: &str| format!(r#"{{"shippingAddress":"{ADDRESS}"{rest}}}"#);
        let of_address = |value: &str| format!(r#"{{"shippingAddress":{value}}}"#);
        let table = [
            ("{}".to_owned(), "shippingAddress"),
            (of_address("null"), "shippingAddress"),
            (of_address("7"), "shippingAddress"),
            (of_address("{}"), "shippingAddress"),
            (of_address(r#""  abcd ""#), "shippingAddress"),
            (of_address(&format!(r#""{}""#, "a".repeat(501))), "shippingAddress"),
            (of_address(r#""1 High\u0000 Street""#), "shippingAddress"),
            (of_address(r#""1 High \ud800 Street""#), "shippingAddress"),
            (address(r#","payNow":"true""#), "payNow"),
            (address(r#","payNow":1"#), "payNow"),
            (address(r#","expectedTotal":0"#), "expectedTotal"),
            (address(r#","expectedTotal":-1"#), "expectedTotal"),
            (address(r#","expectedTotal":"0.00""#), "expectedTotal"),
            (address(r#","expectedTotal":44.980"#), "expectedTotal"),
            (address(r#","expectedTotal":"19.999""#), "expectedTotal"),
            (address(r#","expectedTotal":1e2"#), "expectedTotal"),
            (address(r#","expectedTotal":"1e2""#), "expectedTotal"),
            (address(r#","expectedTotal":"NaN""#), "expectedTotal"),
            (address(r#","expectedTotal":100000000"#), "expectedTotal"),
            (address(r#","expectedTotal":true"#), "expectedTotal"),
            (address(r#","expectedTotal":["1"]"#), "expectedTotal"),
            (address(r#","total":"1.00""#), "total"),
            (address(r#","userId":"0192f0c1-2345-7abc-8def-0123456789ab""#), "userId"),
        ];
        for (body, field) in table {
            let answer = send(untouched(), post(ORDERS, &Value::Null).set_payload(body.clone())).await;
            assert_eq!(
                (answer.status, answer.code(), answer.fields()),
                (422, "validation_failed", vec![field]),
                "{body}"
            );
        }
    }

    #[actix_web::test]
    async fn what_is_no_json_object_is_refused_before_its_fields() {
        let request = || post(ORDERS, &Value::Null);
        let table = [
            (request().set_payload(""), 400, "malformed_request"),
            (request().set_payload("{"), 400, "malformed_request"),
            (request().set_payload(&b"{\"shippingAddress\":\"\xff\xff\xff\xff\xff\"}"[..]), 400, "malformed_request"),
            (request().set_payload("[]"), 422, "validation_failed"),
            (request().set_payload("[".repeat(60_000)), 400, "malformed_request"),
            (request().insert_header((header::CONTENT_TYPE, "text/plain")), 415, "unsupported_media_type"),
            (request().set_payload("a".repeat(64 * 1024 + 1)), 413, "payload_too_large"),
        ];
        for (request, status, code) in table {
            let answer = send(untouched(), request).await;
            assert_eq!((answer.status, answer.code()), (status, code), "{:?}", answer.body);
        }
    }

    async fn refused(error: PlaceOrderError) -> Answer {
        let mut orders = MockOrderRepository::new();
        orders.expect_place().times(1).return_once(move |_| Err(error));
        send(on(orders), post(ORDERS, &json!({ "shippingAddress": ADDRESS }))).await
    }

    #[actix_web::test]
    async fn every_refusal_has_its_code_and_its_members() {
        let product_id = product_id(1);
        let table = [
            (PlaceOrderError::CartEmpty, 409, "cart_empty", json!({})),
            (
                PlaceOrderError::ProductUnavailable { product_id },
                409,
                "product_unavailable",
                json!({ "productId": product_id.to_string() }),
            ),
            (PlaceOrderError::TotalChanged { total: usd(1999) }, 409, "total_changed", json!({ "total": "19.99" })),
            (
                PlaceOrderError::TotalNotPayable { total: usd(49), min: usd(50), max: usd(99_999_999) },
                409,
                "order_total_not_payable",
                json!({ "detail": "An order's total must be from 0.50 to 999999.99; this one is 0.49." }),
            ),
            (
                PlaceOrderError::InsufficientStock { product_id, available: 0, requested: 2 },
                409,
                "insufficient_stock",
                json!({ "productId": product_id.to_string(), "available": 0, "requested": 2 }),
            ),
            (FraudRefusal::PendingOrders { max: 5 }.into(), 429, "pending_order_limit", json!({})),
            (FraudRefusal::DailyExpiries { max: 10 }.into(), 429, "pending_order_limit", json!({})),
            (StoreError::unavailable("no route to host 10.0.0.7").into(), 503, "unavailable", json!({})),
            (StoreError::unexpected("column does not exist").into(), 500, "internal_error", json!({})),
        ];
        for (error, status, code, members) in table {
            let case = format!("{error:?}");
            let answer = refused(error).await;
            assert_eq!((answer.status, answer.code()), (status, code), "{case}");
            for (member, value) in members.as_object().unwrap() {
                assert_eq!(&answer.body[member], value, "{case}");
            }
            let retry_after = answer.header(header::RETRY_AFTER);
            assert_eq!(!retry_after.is_empty(), matches!(status, 429 | 503), "{case}");
            assert!(!answer.text.contains("10.0.0.7") && !answer.text.contains("column"), "{}", answer.text);
        }
    }
}

mod reading {
    use super::*;

    fn page(items: Vec<Order>, next: Option<OrderPosition>) -> Page<Order, OrderPosition> {
        Page { items, next }
    }

    #[actix_web::test]
    async fn a_customers_list_is_their_own_whatever_is_asked() {
        let mut orders = MockOrderRepository::new();
        orders
            .expect_list()
            .withf(|filter, after, limit| {
                let own = OrderFilter { customer_id: Some(customer().user_id), ..OrderFilter::default() };
                *filter == own && after.is_none() && *limit == PageLimit::default()
            })
            .times(1)
            .returning(|_, _, _| Ok(page(vec![open()], None)));
        let query = format!("{ORDERS}?userId={}&flagged=true&paymentStatus=FAILED", admin().user_id);
        let answer = send(on(orders), get(&query)).await;
        assert_eq!((answer.status, &answer.body["nextCursor"]), (200, &Value::Null));
        assert_eq!(answer.body["items"][0]["id"], json!(order_id().to_string()));
    }

    #[actix_web::test]
    async fn a_lists_cursor_leads_to_its_next_page() {
        let position = OrderPosition { created_at: at(0), id: order_id() };
        let mut orders = MockOrderRepository::new();
        orders
            .expect_list()
            .withf(|filter, after, limit| {
                filter.status == Some(OrderStatus::Pending) && after.is_none() && limit.get() == 1
            })
            .returning(move |_, _, _| Ok(page(vec![open()], Some(position))));
        let answer = send(on(orders), get(&format!("{ORDERS}?status=PENDING&limit=1"))).await;
        let cursor = answer.body["nextCursor"].as_str().unwrap().to_owned();

        let mut orders = MockOrderRepository::new();
        orders
            .expect_list()
            .withf(move |_, after, _| *after == Some(position))
            .times(1)
            .returning(|_, _, _| Ok(page(vec![], None)));
        let answer = send(on(orders), get(&format!("{ORDERS}?cursor={cursor}"))).await;
        assert_eq!((answer.status, &answer.body["items"]), (200, &json!([])));
    }

    #[actix_web::test]
    async fn a_list_refuses_what_it_can_not_read() {
        for (query, field) in [
            ("status=paid", "status"),
            ("status=UNKNOWN", "status"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=ten", "limit"),
            ("cursor=broken", "cursor"),
            ("cursor=WzEsMl0xxx", "cursor"),
            ("status=PAID&status=PENDING", "status"),
        ] {
            let answer = send(untouched(), get(&format!("{ORDERS}?{query}"))).await;
            assert_eq!((answer.status, answer.fields()), (422, vec![field]), "{query}");
        }
    }

    async fn found(order: Option<Order>, token: &str) -> Answer {
        let mut orders = MockOrderRepository::new();
        orders.expect_find().times(1).return_once(move |_| Ok(order));
        send(on(orders), TestRequest::get().uri(&own("")).insert_header(bearer(token))).await
    }

    #[actix_web::test]
    async fn an_order_is_shown_to_its_customer_and_to_admins_and_is_404_to_others() {
        let others = Order { customer_id: UserId::from(uuid::Uuid::from_u128(0xD)), ..open() };
        for (order, token, status) in [
            (Some(open()), "customer", 200),
            (Some(open()), "admin", 200),
            (Some(others.clone()), "admin", 200),
            (Some(others), "customer", 404),
            (None, "customer", 404),
            (None, "admin", 404),
        ] {
            assert_eq!(found(order.clone(), token).await.status, status, "{token} reads {order:?}");
        }
    }

    /// Another's order and none look the same (contract 1, 404).
    #[actix_web::test]
    async fn anothers_order_looks_like_none() {
        let others = Order { customer_id: UserId::from(uuid::Uuid::from_u128(0xD)), ..open() };
        let (theirs, none) = (found(Some(others), "customer").await, found(None, "customer").await);
        assert_eq!(theirs.text, none.text);
    }

    #[actix_web::test]
    async fn a_cancelled_order_shows_what_became_of_it_and_of_its_money() {
        let late = hear(cancelled_after_payment(), &session(2, paid_by("pi_2")));
        insta::assert_json_snapshot!(found(Some(late), "customer").await.body);
    }

    #[actix_web::test]
    async fn the_checkout_is_shown_only_while_it_can_be_paid() {
        let address = json!("https://checkout.example/cs_1");
        let processing = hear(open(), &session(1, SessionStanding::Processing));
        let expired = Order { expires_at: at(60), ..open() };
        for (order, shown) in [
            (open(), &address),
            (requested(), &Value::Null),
            (processing, &Value::Null),
            (paid(), &Value::Null),
            (cancelled(), &Value::Null),
            (expired, &Value::Null),
        ] {
            assert_eq!(
                &found(Some(order.clone()), "customer").await.body["payment"]["checkoutUrl"],
                shown,
                "{order:?}"
            );
        }
    }

    #[actix_web::test]
    async fn a_wrong_sum_shows_as_a_flag_and_an_extra_receipt() {
        let order = change_after(open(), &session(1, paid_with("pi_odd", usd(TOTAL_MINOR + 2)))).order;
        let body = found(Some(order), "admin").await.body;
        assert_eq!((&body["status"], &body["flags"]), (&json!("PENDING"), &json!(["AMOUNT_MISMATCH"])));
        assert_eq!(
            body["extraReceipts"],
            json!([{
                "amount": "45.00",
                "currency": "USD",
                "reason": "MISMATCH",
                "refundStatus": "pending",
                "at": "2026-01-01T00:00:10.000000Z",
            }])
        );
        assert_eq!(body["payment"]["refundedAmount"], json!("0.00"));
    }
}

mod paying {
    use super::*;

    #[actix_web::test]
    async fn an_open_session_is_the_answer() {
        for body in [post(&own("/payment"), &json!({})), post(&own("/payment"), &Value::Null).set_payload("")] {
            let mut orders = MockOrderRepository::new();
            let expected = |command: &StartPayment| {
                (command.order_id, command.customer_id, command.at) == (order_id(), customer().user_id, at(60))
            };
            orders.expect_start_payment().withf(expected).times(1).returning(|_| Ok(open()));
            orders.expect_hear().returning(|_, news, _| Ok(Some(hear(open(), news))));
            let mut gateway = MockPaymentGateway::new();
            gateway.expect_session().returning(|_| Ok(open_session(1)));
            let answer = send(routes(orders, gateway), body).await;
            assert_eq!(answer.status, 200);
            assert_eq!(
                answer.body,
                json!({
                    "checkoutUrl": "https://checkout.example/cs_1",
                    "expiresAt": "2026-01-01T00:31:00.000000Z",
                })
            );
        }
    }

    #[actix_web::test]
    async fn every_refusal_has_its_code() {
        for (error, status, code) in [
            (StartPaymentError::NotFound, 404, "not_found"),
            (StartPaymentError::AlreadyPaid, 409, "order_already_paid"),
            (StartPaymentError::NotPayable, 409, "order_not_payable"),
            (StartPaymentError::Provider, 502, "payment_provider_error"),
            (StoreError::unavailable("gone").into(), 503, "unavailable"),
            (StoreError::unexpected("bug").into(), 500, "internal_error"),
        ] {
            let mut orders = MockOrderRepository::new();
            orders.expect_start_payment().times(1).return_once(move |_| Err(error));
            let answer = send(on(orders), post(&own("/payment"), &json!({}))).await;
            assert_eq!((answer.status, answer.code()), (status, code));
        }
    }

    #[actix_web::test]
    async fn it_takes_no_fields() {
        let answer = send(untouched(), post(&own("/payment"), &json!({ "amount": "0.01" }))).await;
        assert_eq!((answer.status, answer.fields()), (422, vec!["amount"]));
        let answer = send(untouched(), post(&own("/payment"), &json!([]))).await;
        assert_eq!((answer.status, answer.code()), (422, "validation_failed"));
    }
}

mod cancelling {
    use super::*;

    #[actix_web::test]
    async fn a_cancelled_order_is_the_answer_with_a_body_or_without() {
        let cases = [
            (post(&own("/cancel"), &Value::Null).set_payload(""), None),
            (post(&own("/cancel"), &json!({})), None),
            (post(&own("/cancel"), &json!({ "reason": null })), None),
            (post(&own("/cancel"), &json!({ "reason": "  " })), None),
            (post(&own("/cancel"), &json!({ "reason": " changed my mind " })), Some("changed my mind")),
        ];
        for (request, reason) in cases {
            let mut orders = MockOrderRepository::new();
            let expected = move |command: &CancelOrder| {
                command.order_id == order_id()
                    && (command.actor_id, command.role) == (customer().user_id, customer().role)
                    && command.reason.as_ref().map(domain::text::CancelReason::as_str) == reason
            };
            orders.expect_cancel().withf(expected).times(1).returning(|_| Ok(cancelled()));
            let answer = send(on(orders), request).await;
            assert_eq!((answer.status, &answer.body["status"]), (200, &json!("CANCELLED")), "{reason:?}");
            assert_eq!(answer.body["cancelledBy"], json!("CUSTOMER"));
        }
    }

    #[actix_web::test]
    async fn an_admin_cancels_as_an_admin() {
        let mut orders = MockOrderRepository::new();
        let expected = |command: &CancelOrder| (command.actor_id, command.role) == (admin().user_id, admin().role);
        orders.expect_cancel().withf(expected).times(1).returning(|_| Ok(cancelled_after_payment()));
        let request = TestRequest::post().uri(&own("/cancel")).insert_header(bearer("admin"));
        let answer = send(on(orders), request).await;
        assert_eq!((answer.status, &answer.body["cancelledBy"]), (200, &json!("ADMIN")));
    }

    #[actix_web::test]
    async fn every_refusal_has_its_code_and_its_members() {
        let refused = InvalidTransition { from: OrderStatus::Cancelled, to: OrderStatus::Cancelled };
        let members = json!({ "from": "CANCELLED", "to": "CANCELLED" });
        for (error, status, code, members) in [
            (CancelOrderError::NotFound, 404, "not_found", json!({})),
            (CancelOrderError::AlreadyPaid, 409, "order_already_paid", json!({})),
            (refused.into(), 409, "invalid_transition", members),
            (FraudRefusal::DailyCancellations { max: 3 }.into(), 429, "daily_cancellation_limit", json!({})),
            (StoreError::unavailable("gone").into(), 503, "unavailable", json!({})),
            (StoreError::unexpected("bug").into(), 500, "internal_error", json!({})),
        ] {
            let mut orders = MockOrderRepository::new();
            orders.expect_cancel().times(1).return_once(move |_| Err(error));
            let answer = send(on(orders), post(&own("/cancel"), &json!({}))).await;
            assert_eq!((answer.status, answer.code()), (status, code));
            for (member, value) in members.as_object().unwrap() {
                assert_eq!(&answer.body[member], value);
            }
        }
    }

    #[actix_web::test]
    async fn a_reason_has_its_bounds() {
        for reason in [json!("a".repeat(201)), json!("line\nbreak"), json!(7)] {
            let answer = send(untouched(), post(&own("/cancel"), &json!({ "reason": reason }))).await;
            assert_eq!((answer.status, answer.fields()), (422, vec!["reason"]), "{reason}");
        }
    }
}
