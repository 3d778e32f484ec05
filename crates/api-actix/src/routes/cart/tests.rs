//! The cart's routes on mocked ports: shape, codes, and bad input of every kind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use actix_web::web::{Data, ServiceConfig};
use chrono::DateTime;
use domain::cart::{
    AddCartItemError, Cart, CartLine, CartService, MockCartRepository, RemoveCartItemError, SetCartItemError,
};
use domain::catalog::{InsufficientStock, Stock};
use domain::clock::{MockClock, Timestamp};
use domain::id::ProductId;
use domain::money::{Currency, Money, Price};
use domain::quantity::Quantity;
use domain::store::StoreError;
use domain::text::ProductName;
use serde_json::{Value, json};
use uuid::Uuid;

use super::configure;
use crate::testing::{Answer, bearer, customer, send};

const ITEMS: &str = "/api/v1/cart/items";
const ANVIL: &str = "00000000-0000-0000-0000-000000000007";

fn anvil() -> ProductId {
    Uuid::from_u128(7).into()
}

fn now() -> Timestamp {
    DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap()
}

fn cart() -> Cart {
    let line = CartLine {
        product_id: anvil(),
        name: ProductName::new("Anvil").unwrap(),
        quantity: Quantity::new(3).unwrap(),
        unit_price: Price::new(Money::from_minor(4990, Currency::USD)).unwrap(),
        available: Stock::new(2).unwrap(),
    };
    Cart::new(vec![line], Currency::USD, now()).unwrap()
}

async fn ask(carts: MockCartRepository, request: TestRequest) -> Answer {
    let mut clock = MockClock::new();
    clock.expect_now().returning(now);
    let service = CartService { carts: Arc::new(carts), clock: Arc::new(clock) };
    let routes = move |config: &mut ServiceConfig| {
        config.app_data(Data::new(service)).configure(configure);
    };
    send(routes, request).await
}

/// Ports that are not to be asked.
fn untouched() -> MockCartRepository {
    MockCartRepository::new()
}

fn call(method: Method, path: &str) -> TestRequest {
    TestRequest::default().method(method).uri(path).insert_header(bearer("customer"))
}

fn with_body(method: Method, path: &str, body: &str) -> TestRequest {
    call(method, path).insert_header(header::ContentType::json()).set_payload(body.to_owned())
}

fn add(quantity: i64) -> TestRequest {
    with_body(Method::POST, ITEMS, &json!({ "productId": ANVIL, "quantity": quantity }).to_string())
}

fn set(quantity: i64) -> TestRequest {
    with_body(Method::PUT, &format!("{ITEMS}/{ANVIL}"), &json!({ "quantity": quantity }).to_string())
}

#[actix_web::test]
async fn a_cart_has_its_shape() {
    let mut carts = MockCartRepository::new();
    carts.expect_get().withf(|customer_id, _| *customer_id == customer().user_id).once().returning(|_, _| Ok(cart()));
    let answer = ask(carts, call(Method::GET, "/api/v1/cart")).await;
    assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (200, "no-store"));
    insta::assert_json_snapshot!(answer.body);
}

#[actix_web::test]
async fn an_empty_cart_costs_nothing() {
    let mut carts = MockCartRepository::new();
    carts.expect_get().returning(|_, _| Ok(Cart::new(Vec::new(), Currency::USD, now()).unwrap()));
    let answer = ask(carts, call(Method::GET, "/api/v1/cart")).await;
    assert_eq!((&answer.body["items"], &answer.body["total"]), (&json!([]), &json!("0.00")));
}

#[actix_web::test]
async fn carts_are_for_customers() {
    for (method, path) in [
        (Method::GET, "/api/v1/cart".to_owned()),
        (Method::DELETE, "/api/v1/cart".to_owned()),
        (Method::POST, ITEMS.to_owned()),
        (Method::PUT, format!("{ITEMS}/{ANVIL}")),
        (Method::DELETE, format!("{ITEMS}/{ANVIL}")),
    ] {
        let request = || TestRequest::default().method(method.clone()).uri(&path);
        assert_eq!(ask(untouched(), request()).await.status, 401, "{method} {path}");
        let admin = ask(untouched(), request().insert_header(bearer("admin"))).await;
        assert_eq!((admin.status, admin.code()), (403, "forbidden"), "{method} {path}");
    }
}

#[actix_web::test]
async fn every_change_answers_with_the_cart() {
    let mut carts = MockCartRepository::new();
    carts
        .expect_add_item()
        .withf(|command| {
            command.product_id == anvil() && command.quantity.get() == 3 && command.customer_id == customer().user_id
        })
        .returning(|_| Ok(cart()));
    carts.expect_set_item().withf(|command| command.quantity.get() == 1000).returning(|_| Ok(cart()));
    carts.expect_remove_item().withf(|command| command.product_id == anvil()).returning(|_| Ok(cart()));
    carts.expect_clear().once().returning(|_| Ok(()));
    let service = CartService { carts: Arc::new(carts), clock: Arc::new(fixed_clock()) };
    let answers = async |request: TestRequest| {
        let service = service.clone();
        let routes = move |config: &mut ServiceConfig| {
            config.app_data(Data::new(service)).configure(configure);
        };
        let answer = send(routes, request).await;
        (answer.status, answer.body["total"].clone())
    };
    let shown = (200, json!("149.70"));
    assert_eq!(answers(add(3)).await, shown);
    assert_eq!(answers(set(1000)).await, shown);
    assert_eq!(answers(call(Method::DELETE, &format!("{ITEMS}/{ANVIL}"))).await, shown);
    assert_eq!(answers(call(Method::DELETE, "/api/v1/cart")).await, (204, Value::Null));
}

fn fixed_clock() -> MockClock {
    let mut clock = MockClock::new();
    clock.expect_now().returning(now);
    clock
}

#[actix_web::test]
async fn a_line_that_breaks_a_rule_is_422_and_names_the_field() {
    for (body, fields) in [
        ("{}", vec!["productId", "quantity"]),
        (r#"{"productId": 7, "quantity": 1}"#, vec!["productId"]),
        (r#"{"productId": "7", "quantity": 1}"#, vec!["productId"]),
        (r#"{"productId": null, "quantity": null}"#, vec!["productId", "quantity"]),
        (r#"{"productId": "00000000-0000-0000-0000-00000000000\u0000", "quantity": 1}"#, vec!["productId"]),
        (r#"{"productId": "00000000-0000-0000-0000-000000000007", "quantity": 0}"#, vec!["quantity"]),
        (r#"{"productId": "00000000-0000-0000-0000-000000000007", "quantity": -1}"#, vec!["quantity"]),
        (r#"{"productId": "00000000-0000-0000-0000-000000000007", "quantity": 1001}"#, vec!["quantity"]),
        (r#"{"productId": "00000000-0000-0000-0000-000000000007", "quantity": 1.0}"#, vec!["quantity"]),
        (r#"{"productId": "00000000-0000-0000-0000-000000000007", "quantity": 1e2}"#, vec!["quantity"]),
        (r#"{"productId": "00000000-0000-0000-0000-000000000007", "quantity": "1"}"#, vec!["quantity"]),
        (r#"{"productId": "00000000-0000-0000-0000-000000000007", "quantity": true}"#, vec!["quantity"]),
        (
            r#"{"productId": "00000000-0000-0000-0000-000000000007", "quantity": 99999999999999999999}"#,
            vec!["quantity"],
        ),
        (r#"{"productId": "00000000-0000-0000-0000-000000000007", "quantity": 1, "price": "0.01"}"#, vec!["price"]),
    ] {
        let answer = ask(untouched(), with_body(Method::POST, ITEMS, body)).await;
        assert_eq!((answer.status, answer.fields()), (422, fields), "{body}");
    }
    for quantity in [0, -1, 1001, i64::MAX] {
        assert_eq!(ask(untouched(), set(quantity)).await.fields(), ["quantity"], "{quantity}");
    }
}

#[actix_web::test]
async fn malformed_requests_are_400() {
    for (method, path, body) in [
        (Method::POST, ITEMS.to_owned(), ""),
        (Method::POST, ITEMS.to_owned(), "{\"productId\""),
        (Method::PUT, format!("{ITEMS}/{ANVIL}"), "quantity=1"),
        (Method::PUT, format!("{ITEMS}/7"), r#"{"quantity": 1}"#),
        (Method::DELETE, format!("{ITEMS}/anvil"), ""),
    ] {
        let answer = ask(untouched(), with_body(method.clone(), &path, body)).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{method} {path} {body}");
    }
}

#[actix_web::test]
async fn refusals_of_an_addition_have_their_codes() {
    let shortage = InsufficientStock { product_id: anvil(), available: 2, requested: 3 };
    let refusals: [(AddCartItemError, u16, &str); 5] = [
        (AddCartItemError::NotFound, 404, "not_found"),
        (AddCartItemError::CartFull, 409, "cart_full"),
        (AddCartItemError::LineFull { in_cart: 999 }, 422, "validation_failed"),
        (shortage.into(), 409, "insufficient_stock"),
        (StoreError::unavailable("pool timed out").into(), 503, "unavailable"),
    ];
    for (refusal, status, code) in refusals {
        let mut carts = MockCartRepository::new();
        carts.expect_add_item().return_once(move |_| Err(refusal));
        let answer = ask(carts, add(3)).await;
        assert_eq!((answer.status, answer.code()), (status, code));
        if status == 422 {
            assert_eq!(answer.fields(), ["quantity"]);
        }
        if code == "insufficient_stock" {
            let with = (&answer.body["productId"], &answer.body["available"], &answer.body["requested"]);
            assert_eq!(with, (&json!(ANVIL), &json!(2), &json!(3)));
        }
    }
}

#[actix_web::test]
async fn a_line_that_is_not_there_is_404() {
    let mut carts = MockCartRepository::new();
    carts.expect_set_item().return_once(|_| Err(SetCartItemError::NotFound));
    assert_eq!(ask(carts, set(1)).await.code(), "not_found");
    let mut carts = MockCartRepository::new();
    carts.expect_remove_item().return_once(|_| Err(RemoveCartItemError::NotFound));
    assert_eq!(ask(carts, call(Method::DELETE, &format!("{ITEMS}/{ANVIL}"))).await.code(), "not_found");
}
