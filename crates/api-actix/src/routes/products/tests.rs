//! The product routes on mocked ports: shapes, codes, headers, and bad input of every kind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use actix_web::web::{Data, ServiceConfig};
use chrono::{DateTime, TimeDelta};
use domain::catalog::{
    AdjustStockError, ArchiveProductError, CatalogService, CreateProductError, EditProductError, EditVersion,
    InsufficientStock, MockProductRepository, MovementPosition, MovementReason, Product, ProductChanges, ProductOrder,
    Stock, StockMovement, Tags,
};
use domain::clock::{MockClock, Timestamp};
use domain::money::{Currency, Money, Price};
use domain::page::Page;
use domain::store::StoreError;
use domain::text::{Description, ProductName};
use serde_json::{Value, json};
use uuid::Uuid;

use super::requests::OrderCursor;
use super::{ProductCache, configure};
use crate::cursor;
use crate::testing::{Answer, CountingIds, admin, bearer, send};

const ANVIL: &str = "/api/v1/products/00000000-0000-0000-0000-000000000007";

fn now() -> Timestamp {
    DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap()
}

fn anvil() -> Product {
    Product {
        id: Uuid::from_u128(7).into(),
        name: ProductName::new("Anvil").unwrap(),
        description: Some(Description::new("Drops\nwell.").unwrap()),
        price: Price::new(Money::from_minor(4990, Currency::USD)).unwrap(),
        stock: Stock::new(10).unwrap(),
        edit_version: EditVersion::from(3),
        archived_at: None,
        created_at: now(),
        updated_at: now() + TimeDelta::seconds(1),
    }
}

fn movement() -> StockMovement {
    StockMovement {
        id: Uuid::from_u128(70).into(),
        product_id: anvil().id,
        delta: -2,
        stock_after: Stock::new(8).unwrap(),
        reason: MovementReason::Said("counted again".to_owned()),
        order_id: None,
        actor_id: Some(admin().user_id),
        created_at: now(),
    }
}

async fn ask(products: MockProductRepository, request: TestRequest) -> Answer {
    let mut clock = MockClock::new();
    clock.expect_now().returning(now);
    let ids = Arc::new(CountingIds::default());
    let catalog = CatalogService { products: Arc::new(products), clock: Arc::new(clock), ids };
    let routes = move |config: &mut ServiceConfig| {
        config.app_data(Data::new(catalog)).app_data(Data::new(ProductCache::default())).configure(configure);
    };
    send(routes, request).await
}

/// Ports that are not to be asked.
fn untouched() -> MockProductRepository {
    MockProductRepository::new()
}

fn finding(product: Option<Product>) -> MockProductRepository {
    let mut products = MockProductRepository::new();
    products.expect_find().return_once(move |_| Ok(product));
    products
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

fn with_body(method: Method, path: &str, body: &str) -> TestRequest {
    TestRequest::default()
        .method(method)
        .uri(path)
        .insert_header(bearer("admin"))
        .insert_header(header::ContentType::json())
        .set_payload(body.to_owned())
}

fn post(body: &Value) -> TestRequest {
    with_body(Method::POST, "/api/v1/products", &body.to_string())
}

fn patch(body: &Value) -> TestRequest {
    with_body(Method::PATCH, ANVIL, &body.to_string())
}

fn adjustment(body: &Value) -> TestRequest {
    with_body(Method::POST, &format!("{ANVIL}/stock-adjustments"), &body.to_string())
}

#[actix_web::test]
async fn a_product_has_its_shape_and_a_strong_tag_of_version_and_body() {
    let answer = ask(finding(Some(anvil())), get(ANVIL)).await;
    assert_eq!(answer.status, 200);
    insta::assert_json_snapshot!(answer.body);
    let tag = answer.header(header::ETAG);
    assert!(tag.starts_with("\"3-") && tag.ends_with('"') && tag.len() == 28, "{tag}");

    let sold = Product { stock: Stock::new(9).unwrap(), ..anvil() };
    let other = ask(finding(Some(sold)), get(ANVIL)).await;
    assert!(other.header(header::ETAG).starts_with("\"3-"));
    assert_ne!(other.header(header::ETAG), tag);
}

#[actix_web::test]
async fn who_has_the_product_already_gets_304() {
    let tag = ask(finding(Some(anvil())), get(ANVIL)).await.header(header::ETAG).to_owned();
    for current in [tag.clone(), format!("W/{tag}"), format!("\"1-aa\", {tag}"), "*".to_owned()] {
        let request = get(ANVIL).insert_header((header::IF_NONE_MATCH, current.clone()));
        let answer = ask(finding(Some(anvil())), request).await;
        assert_eq!((answer.status, answer.body), (304, Value::Null), "{current}");
        assert_eq!(answer.headers.get(header::ETAG).unwrap().to_str().unwrap(), tag);
    }
    for stale in ["\"2-aa\"", "garbage", ""] {
        let request = get(ANVIL).insert_header((header::IF_NONE_MATCH, stale));
        assert_eq!(ask(finding(Some(anvil())), request).await.status, 200, "{stale}");
    }
}

#[actix_web::test]
async fn an_archived_product_is_there_for_admins_only() {
    let archived = || finding(Some(Product { archived_at: Some(now()), ..anvil() }));
    for token in [None, Some("customer"), Some("nonsense")] {
        let request = token.map_or(get(ANVIL), |token| get(ANVIL).insert_header(bearer(token)));
        let answer = ask(archived(), request).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{token:?}");
    }
    let answer = ask(archived(), get(ANVIL).insert_header(bearer("admin"))).await;
    assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (200, "no-store"));
    assert_eq!(answer.body["archivedAt"], "2027-01-15T08:00:00.123456Z");
    assert_eq!(ask(finding(None), get(ANVIL)).await.status, 404);
}

#[actix_web::test]
async fn an_id_that_is_no_uuid_is_400_on_every_route() {
    let paths = [
        (Method::GET, "/api/v1/products/1"),
        (Method::PATCH, "/api/v1/products/1"),
        (Method::DELETE, "/api/v1/products/%00"),
        (Method::POST, "/api/v1/products/x/stock-adjustments"),
        (Method::GET, "/api/v1/products/0000000000000000000000000000000g/stock-movements"),
    ];
    for (method, path) in paths {
        // The path is checked before the body: this one is broken too.
        let answer = ask(untouched(), with_body(method.clone(), path, "{")).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{method} {path}");
    }
}

#[actix_web::test]
async fn keeping_the_catalogue_is_for_admins() {
    let routes = [
        (Method::POST, "/api/v1/products".to_owned()),
        (Method::PATCH, ANVIL.to_owned()),
        (Method::DELETE, ANVIL.to_owned()),
        (Method::POST, format!("{ANVIL}/stock-adjustments")),
        (Method::GET, format!("{ANVIL}/stock-movements")),
    ];
    for (method, path) in routes {
        let request = || TestRequest::default().method(method.clone()).uri(&path);
        let anonymous = ask(untouched(), request()).await;
        assert_eq!((anonymous.status, anonymous.header(header::WWW_AUTHENTICATE)), (401, "Bearer"), "{method} {path}");
        let customer = ask(untouched(), request().insert_header(bearer("customer"))).await;
        assert_eq!((customer.status, customer.code()), (403, "forbidden"), "{method} {path}");
    }
    let wrong_method = ask(untouched(), TestRequest::put().uri(ANVIL)).await;
    assert_eq!((wrong_method.status, wrong_method.header(header::ALLOW)), (405, "GET, HEAD, PATCH, DELETE"));
}

#[actix_web::test]
async fn a_list_asks_for_what_the_query_says() {
    let mut products = MockProductRepository::new();
    products
        .expect_list()
        .withf(|filter, order, limit| {
            filter.search.as_ref().is_some_and(|search| search.as_str() == "oak & 50%")
                && filter.min_price_minor == Some(0)
                && filter.max_price_minor == Some(1950)
                && filter.in_stock
                && *order == ProductOrder::Dearest(None)
                && limit.get() == 7
        })
        .once()
        .returning(|_, order, _| Ok(Page { items: vec![anvil()], next: Some(order.after(&anvil())) }));
    let path = "/api/v1/products?q=OAK+%26%2050%25&minPrice=0&maxPrice=19.5&inStock=true&sort=-price&limit=7&utm=x";
    let answer = ask(products, get(path)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["items"][0]["price"], "49.90");
    let next = answer.body["nextCursor"].as_str().unwrap();

    let mut products = MockProductRepository::new();
    products
        .expect_list()
        .withf(|_, order, limit| *order == ProductOrder::Dearest(None).after(&anvil()) && limit.get() == 20)
        .once()
        .returning(|_, _, _| Ok(Page { items: Vec::new(), next: None }));
    let answer = ask(products, get(&format!("/api/v1/products?sort=-price&cursor={next}"))).await;
    assert_eq!(answer.body, json!({ "items": [], "nextCursor": null }));
}

#[actix_web::test]
async fn every_sort_goes_on_from_its_own_cursor_and_refuses_those_of_others() {
    let sorts = [
        ("createdAt", ProductOrder::Oldest(None)),
        ("-createdAt", ProductOrder::Newest(None)),
        ("price", ProductOrder::Cheapest(None)),
        ("-price", ProductOrder::Dearest(None)),
        ("name", ProductOrder::ByName(None)),
    ];
    let longest = Product { name: ProductName::new(&"\u{1D54F}".repeat(200)).unwrap(), ..anvil() };
    for (sort, order) in &sorts {
        let next = order.after(&longest);
        let written = cursor::encode(&OrderCursor::from(next.clone()));
        for (other, _) in &sorts {
            let mut products = MockProductRepository::new();
            let expected = next.clone();
            products
                .expect_list()
                .withf(move |_, order, _| *order == expected)
                .returning(|_, _, _| Ok(Page { items: Vec::new(), next: None }));
            let answer = ask(products, get(&format!("/api/v1/products?sort={other}&cursor={written}"))).await;
            let expected = if other == sort { (200, vec![]) } else { (422, vec!["cursor"]) };
            assert_eq!((answer.status, answer.fields()), expected, "{sort} read as {other}");
        }
    }
}

#[actix_web::test]
async fn a_query_that_breaks_a_rule_is_422_and_names_the_parameter() {
    let nul_name = cursor::encode(&("name", "a\0b", 1));
    let far_future = cursor::encode(&("-createdAt", i64::MAX, 1));
    for (query, field) in [
        ("limit=0".to_owned(), "limit"),
        ("limit=101".to_owned(), "limit"),
        ("limit=ten".to_owned(), "limit"),
        ("limit=99999999999999999999".to_owned(), "limit"),
        ("cursor=broken".to_owned(), "cursor"),
        ("cursor=%00".to_owned(), "cursor"),
        (format!("cursor={}", "A".repeat(8000)), "cursor"),
        (format!("sort=name&cursor={nul_name}"), "cursor"),
        (format!("cursor={far_future}"), "cursor"),
        ("sort=stock".to_owned(), "sort"),
        ("sort=NAME".to_owned(), "sort"),
        ("inStock=yes".to_owned(), "inStock"),
        ("minPrice=-1".to_owned(), "minPrice"),
        ("minPrice=1e2".to_owned(), "minPrice"),
        ("minPrice=NaN".to_owned(), "minPrice"),
        ("minPrice=1.999".to_owned(), "minPrice"),
        ("maxPrice=0".to_owned(), "maxPrice"),
        ("maxPrice=100000000".to_owned(), "maxPrice"),
        ("q=a%00b".to_owned(), "q"),
        (format!("q={}", "a".repeat(201)), "q"),
        ("limit=5&limit=6".to_owned(), "limit"),
    ] {
        let answer = ask(untouched(), get(&format!("/api/v1/products?{query}"))).await;
        assert_eq!((answer.status, answer.code()), (422, "validation_failed"), "{query}");
        assert_eq!(answer.fields(), [field], "{query}");
    }
}

#[actix_web::test]
async fn a_created_product_comes_with_its_address_and_tag() {
    let mut products = MockProductRepository::new();
    products
        .expect_create()
        .withf(|command| {
            command.product.name.as_str() == "Anvil"
                && command.product.price.money().amount_minor() == 1999
                && command.actor_id == admin().user_id
        })
        .once()
        .returning(|command| Ok(command.decide().0));
    let answer = ask(products, post(&json!({ "name": "  Anvil ", "price": 19.99, "stock": 5 }))).await;
    assert_eq!(answer.status, 201);
    let id = answer.body["id"].as_str().unwrap();
    assert_eq!(answer.header(header::LOCATION), format!("/api/v1/products/{id}"));
    assert!(answer.header(header::ETAG).starts_with("\"1-"));
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    assert_eq!((&answer.body["price"], &answer.body["description"]), (&json!("19.99"), &Value::Null));
}

#[actix_web::test]
async fn a_product_that_breaks_a_rule_is_422_and_names_the_field() {
    for (changed, field) in [
        (r#""name": "A""#, "name"),
        (r#""name": "  A  ""#, "name"),
        (r#""name": 5"#, "name"),
        (r#""name": null"#, "name"),
        (r#""name": "a\u0000b""#, "name"),
        (r#""name": "a\nb""#, "name"),
        (r#""name": "\ud800 lone""#, "name"),
        (r#""name": ["Anvil"]"#, "name"),
        (r#""description": "a\u0007b""#, "description"),
        (r#""description": {}"#, "description"),
        (r#""price": 1e2"#, "price"),
        (r#""price": "1e2""#, "price"),
        (r#""price": 0"#, "price"),
        (r#""price": "0.00""#, "price"),
        (r#""price": -1"#, "price"),
        (r#""price": 19.999"#, "price"),
        (r#""price": "19.999""#, "price"),
        (r#""price": 100000000"#, "price"),
        (r#""price": "NaN""#, "price"),
        (r#""price": """#, "price"),
        (r#""price": "19,99""#, "price"),
        (r#""price": true"#, "price"),
        (r#""price": "1\u0000""#, "price"),
        (r#""stock": -1"#, "stock"),
        (r#""stock": 1.5"#, "stock"),
        (r#""stock": 1e3"#, "stock"),
        (r#""stock": "5""#, "stock"),
        (r#""stock": 1000000001"#, "stock"),
        (r#""stock": 99999999999999999999999"#, "stock"),
        (r#""colour": "red""#, "colour"),
    ] {
        let fields = [r#""name": "Anvil""#, r#""price": "19.99""#, r#""stock": 5"#];
        let name = changed.split(':').next().unwrap();
        let kept = fields.into_iter().filter(|field| !field.starts_with(name));
        let body = format!("{{{}}}", kept.chain([changed]).collect::<Vec<_>>().join(", "));
        let answer = ask(untouched(), with_body(Method::POST, "/api/v1/products", &body)).await;
        assert_eq!((answer.status, answer.code()), (422, "validation_failed"), "{body}");
        assert_eq!(answer.fields(), [field], "{body}");
    }
    let empty = ask(untouched(), post(&json!({}))).await;
    assert_eq!((empty.status, empty.fields()), (422, vec!["name", "price", "stock"]));
    let long = json!({ "name": "é".repeat(201), "description": "é".repeat(5001), "price": "1", "stock": 0 });
    assert_eq!(ask(untouched(), post(&long)).await.fields(), ["name", "description"]);
}

#[actix_web::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let products = "/api/v1/products";
    for (body, status) in [("{", 400), ("", 400), ("{'name': 1}", 400), ("[]", 422), ("5", 422), ("null", 422)] {
        let answer = ask(untouched(), with_body(Method::POST, products, body)).await;
        assert_eq!(answer.status, status, "{body:?}");
    }
    let deep = "[".repeat(20_000);
    assert_eq!(ask(untouched(), with_body(Method::POST, products, &deep)).await.status, 400);
    let large = format!("{{\"name\": \"{}\"}}", "a".repeat(70_000));
    assert_eq!(ask(untouched(), with_body(Method::POST, products, &large)).await.status, 413);
    let text = TestRequest::post().uri(products).insert_header(bearer("admin")).set_payload("name=Anvil");
    assert_eq!(ask(untouched(), text).await.status, 415);
}

#[actix_web::test]
async fn an_edit_carries_what_is_named_and_what_was_seen() {
    let mut products = MockProductRepository::new();
    products
        .expect_edit()
        .withf(|command| {
            let expected = command.if_match.as_ref().unwrap();
            // The tag of a product is the one that its reader got.
            expected.tags == Tags::OneOf(vec![(expected.tag_of)(&anvil())])
                && command.changes.stock == Some(Stock::NONE)
                && command.changes.name.is_none()
                && command.changes.description.as_ref().is_some_and(|text| text.as_str().is_empty())
        })
        .once()
        .returning(|_| Ok(anvil()));
    let tag = ask(finding(Some(anvil())), get(ANVIL)).await.header(header::ETAG).to_owned();
    let body = json!({ "stock": 0, "description": " ", "name": null });
    let answer = ask(products, patch(&body).insert_header((header::IF_MATCH, tag.clone()))).await;
    assert_eq!((answer.status, answer.header(header::ETAG)), (200, tag.as_str()));
}

#[actix_web::test]
async fn an_edit_without_a_body_or_a_precondition_is_one() {
    for request in [TestRequest::patch().uri(ANVIL).insert_header(bearer("admin")), patch(&json!({}))] {
        let mut products = MockProductRepository::new();
        products
            .expect_edit()
            .withf(|command| command.if_match.is_none() && command.changes == ProductChanges::default())
            .once()
            .returning(|_| Ok(anvil()));
        assert_eq!(ask(products, request).await.status, 200);
    }
    let answer = ask(untouched(), patch(&json!({ "stock": -1, "price": "x", "id": "y" }))).await;
    assert_eq!((answer.status, answer.fields()), (422, vec!["price", "stock", "id"]));
}

#[actix_web::test]
async fn refusals_have_their_codes() {
    type Edited = (EditProductError, u16, &'static str);
    let edits: [Edited; 5] = [
        (EditProductError::NotFound, 404, "not_found"),
        (EditProductError::PreconditionFailed, 412, "precondition_failed"),
        (EditProductError::NameTaken, 409, "product_name_taken"),
        (StoreError::unavailable("lock timeout").into(), 503, "unavailable"),
        (StoreError::unexpected("syntax error").into(), 500, "internal_error"),
    ];
    for (refusal, status, code) in edits {
        let mut products = MockProductRepository::new();
        products.expect_edit().return_once(move |_| Err(refusal));
        let answer = ask(products, patch(&json!({ "stock": 1 }))).await;
        assert_eq!((answer.status, answer.code()), (status, code));
        assert!(!answer.body.to_string().contains("syntax"));
    }
    let mut products = MockProductRepository::new();
    products.expect_create().return_once(|_| Err(CreateProductError::NameTaken));
    let answer = ask(products, post(&json!({ "name": "Anvil", "price": "1", "stock": 0 }))).await;
    assert_eq!((answer.status, answer.code()), (409, "product_name_taken"));
}

#[actix_web::test]
async fn archiving_answers_204_and_404_the_second_time() {
    let delete = || TestRequest::delete().uri(ANVIL).insert_header(bearer("admin"));
    let mut products = MockProductRepository::new();
    products.expect_archive().withf(|command| command.id == anvil().id).once().returning(|_| Ok(()));
    let answer = ask(products, delete()).await;
    assert_eq!((answer.status, answer.body), (204, Value::Null));
    let mut products = MockProductRepository::new();
    products.expect_archive().returning(|_| Err(ArchiveProductError::NotFound));
    assert_eq!(ask(products, delete()).await.code(), "not_found");
}

#[actix_web::test]
async fn an_adjustment_answers_with_its_movement() {
    let mut products = MockProductRepository::new();
    products
        .expect_adjust_stock()
        .withf(|command| command.delta.get() == -2 && command.reason.as_str() == "counted again")
        .once()
        .returning(|_| Ok(movement()));
    let answer = ask(products, adjustment(&json!({ "delta": -2, "reason": " counted again " }))).await;
    assert_eq!(answer.status, 201);
    insta::assert_json_snapshot!(answer.body);
}

#[actix_web::test]
async fn an_adjustment_that_breaks_a_rule_is_refused() {
    for (body, fields) in [
        (json!({}), vec!["delta", "reason"]),
        (json!({ "delta": 0, "reason": "x" }), vec!["delta"]),
        (json!({ "delta": 1.5, "reason": "x" }), vec!["delta"]),
        (json!({ "delta": "1", "reason": "x" }), vec!["delta"]),
        (json!({ "delta": 1_000_000_001, "reason": "x" }), vec!["delta"]),
        (json!({ "delta": i64::MIN, "reason": "x" }), vec!["delta"]),
        (json!({ "delta": 1, "reason": " " }), vec!["reason"]),
        (json!({ "delta": 1, "reason": "a\nb" }), vec!["reason"]),
        (json!({ "delta": 1, "reason": "é".repeat(201) }), vec!["reason"]),
    ] {
        let answer = ask(untouched(), adjustment(&body)).await;
        assert_eq!((answer.status, answer.fields()), (422, fields), "{body}");
    }
    let shortage = InsufficientStock { product_id: anvil().id, available: 10, requested: 11 };
    let mut products = MockProductRepository::new();
    products.expect_adjust_stock().return_once(move |_| Err(shortage.into()));
    let answer = ask(products, adjustment(&json!({ "delta": -11, "reason": "x" }))).await;
    assert_eq!((answer.status, answer.code()), (409, "insufficient_stock"));
    assert_eq!(
        (&answer.body["productId"], &answer.body["available"], &answer.body["requested"]),
        (&json!(anvil().id.to_string()), &json!(10), &json!(11))
    );
    let mut products = MockProductRepository::new();
    products.expect_adjust_stock().return_once(|_| Err(AdjustStockError::TooMuch));
    let answer = ask(products, adjustment(&json!({ "delta": 1_000_000_000, "reason": "x" }))).await;
    assert_eq!((answer.status, answer.fields()), (422, vec!["delta"]));
}

#[actix_web::test]
async fn the_ledger_is_read_in_pages() {
    let path = format!("{ANVIL}/stock-movements");
    let ask_ledger = async |query: &str, after: Option<i64>| {
        let mut products = MockProductRepository::new();
        products
            .expect_movements()
            .withf(move |_, position, _| position.map(|MovementPosition(seq)| seq) == after)
            .returning(|_, _, _| Ok(Some(Page { items: vec![movement()], next: Some(MovementPosition(41)) })));
        ask(products, get(&format!("{path}{query}")).insert_header(bearer("admin"))).await
    };
    let answer = ask_ledger("?limit=1", None).await;
    assert_eq!(answer.body["items"][0]["delta"], -2);
    let next = answer.body["nextCursor"].as_str().unwrap().to_owned();
    assert_eq!(ask_ledger(&format!("?cursor={next}"), Some(41)).await.status, 200);
    assert_eq!(ask_ledger("?cursor=WzFd", None).await.fields(), ["cursor"]);

    let mut products = MockProductRepository::new();
    products.expect_movements().returning(|_, _, _| Ok(None));
    let answer = ask(products, get(&path).insert_header(bearer("admin"))).await;
    assert_eq!((answer.status, answer.code()), (404, "not_found"));
}
