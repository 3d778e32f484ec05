//! What every route shares, tried on routes made for it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use actix_web::web::{Json, ServiceConfig};
use domain::id::ProductId;
use domain::money::Price;
use domain::page::PageLimit;
use domain::quantity::Quantity;
use domain::text::{Description, ProductName};
use serde_json::{Value, json};

use crate::access::{Caller, Who};
use crate::body::Body;
use crate::cursor;
use crate::edge::X_REQUEST_ID;
use crate::fields::{self, Fields, Request, boolean, integer, price, text};
use crate::openapi::Operation;
use crate::path::PathId;
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::resource::resource;
use crate::testing::{Answer, bearer, send};

const THING: &str = "/api/v1/things/0192f0c1-2345-7abc-8def-0123456789ab";

struct Thing {
    name: ProductName,
    price: Price,
    quantity: Quantity,
    description: Option<Description>,
}

impl Request for Thing {
    fn read(fields: &mut Fields) -> Option<Self> {
        let currency = fields.currency();
        let name = fields.required("name", text(ProductName::new));
        let price = fields.required("price", price(currency));
        let quantity = fields.required("quantity", integer(Quantity::new));
        let description = fields.optional("description", text(Description::new));
        Some(Self { name: name?, price: price?, quantity: quantity?, description })
    }
}

/// A request whose every field is optional.
struct Reason(Option<Description>);

impl Request for Reason {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.optional("reason", text(Description::new))))
    }
}

struct Filter {
    limit: PageLimit,
    after: Option<i64>,
    in_stock: Option<bool>,
}

impl Request for Filter {
    fn read(fields: &mut Fields) -> Option<Self> {
        let in_stock = fields.optional("inStock", boolean());
        Some(Self { limit: fields::limit(fields), after: fields::cursor(fields, |(n,): (i64,)| Some(n)), in_stock })
    }
}

async fn replace(_: Caller, PathId(id): PathId<ProductId>, Body(thing): Body<Thing>) -> Json<Value> {
    Json(json!({
        "id": id.to_string(),
        "name": thing.name.as_str(),
        "price": thing.price.money().to_string(),
        "quantity": thing.quantity.get(),
        "description": thing.description.map(Description::into_string),
    }))
}

async fn excuse(_: Caller, Body(Reason(reason)): Body<Reason>) -> Json<Value> {
    Json(json!({ "reason": reason.map(Description::into_string) }))
}

async fn list(Query(filter): Query<Filter>) -> Json<Value> {
    Json(json!({ "limit": filter.limit.get(), "after": filter.after, "inStock": filter.in_stock }))
}

async fn greet(caller: Option<Caller>) -> Json<Value> {
    Json(json!(caller.map(|caller| caller.0.role.as_str())))
}

async fn leak() -> Result<String, Problem> {
    Err(Problem::internal("SELECT * FROM secrets"))
}

async fn panic() -> String {
    panic!("a secret")
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/things/{id}").put(Who::Admin, replace, Operation::part_of_a_page()).post(
            Who::Either,
            excuse,
            Operation::part_of_a_page(),
        ))
        .service(resource("/things").get(Who::Anyone, list, Operation::part_of_a_page()))
        .service(resource("/greeting").get(Who::AnyoneRecognised, greet, Operation::part_of_a_page()))
        .service(resource("/leak").get(Who::Anyone, leak, Operation::part_of_a_page()))
        .service(resource("/panic").get(Who::Anyone, panic, Operation::part_of_a_page()));
}

async fn put(body: impl AsRef<[u8]>) -> Answer {
    let request = TestRequest::put().uri(THING).insert_header(bearer("admin"));
    let request = request.insert_header(header::ContentType::json()).set_payload(body.as_ref().to_vec());
    send(routes, request).await
}

fn valid() -> Value {
    json!({ "name": "Teapot", "price": "19.90", "quantity": 3 })
}

#[actix_web::test]
async fn a_request_is_read_into_domain_types() {
    let answer =
        put(json!({ "name": "  Teapot ", "price": 19.9, "quantity": 3, "description": null }).to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    insta::assert_json_snapshot!(answer.body);
}

#[actix_web::test]
async fn every_wrong_field_is_named_at_once() {
    let answer = put(r#"{"name": "x", "price": 1e2, "Quantity": 1, "description": ["?"]}"#).await;
    assert_eq!((answer.status, answer.header(header::CONTENT_TYPE)), (422, "application/problem+json"));
    insta::assert_json_snapshot!(answer.body);
}

#[actix_web::test]
async fn money_is_read_as_it_was_written() {
    for (written, price) in [("19.99", "19.99"), ("\"0.1\"", "0.10"), ("99999999.99", "99999999.99"), ("5", "5.00")] {
        let body = valid().to_string().replace("\"19.90\"", written);
        assert_eq!(put(body).await.body["price"], price, "{written}");
    }
    for wrong in
        ["0", "-1", "19.999", "1e2", "\"NaN\"", "100000000", "true", "[1]", "{}", "\"1,5\"", "\"\"", "\"1\\u0000\""]
    {
        let body = valid().to_string().replace("\"19.90\"", wrong);
        let answer = put(body).await;
        assert_eq!((answer.status, answer.fields()), (422, vec!["price"]), "{wrong}");
    }
}

#[actix_web::test]
async fn what_is_no_json_is_400_and_what_is_json_but_wrong_is_422() {
    for malformed in
        [&b"{"[..], b"", b" ", b"{\"name\": NaN}", b"{\"name\": \"\xff\"}", b"{} {}", b"\xef\xbb\xbf{}", b"{'a': 1}"]
    {
        let answer = put(malformed).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{malformed:?}");
    }
    for wrong in
        ["[]", "null", "\"text\"", "7", r#"{"name": "\u0000bc"}"#, r#"{"name": "\ud800"}"#, r#"{"name": "\u001b[0m"}"#]
    {
        let answer = put(wrong).await;
        assert_eq!((answer.status, answer.code()), (422, "validation_failed"), "{wrong}");
    }
}

#[actix_web::test]
async fn a_field_given_twice_and_a_thousand_unknown_ones_are_refused_briefly() {
    let twice = valid().to_string().replacen('{', r#"{"name": "Other", "#, 1);
    assert_eq!(put(twice).await.fields(), ["name"]);
    let many: Vec<_> = (0..1000).map(|n| format!("\"{}{n}\": 1", "x".repeat(50))).collect();
    let answer = put(format!("{{{}}}", many.join(","))).await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.to_string().len() < 10_000);
}

#[actix_web::test]
async fn nesting_as_deep_as_a_body_allows_is_only_a_wrong_type() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(put(&deep).await.status, 422);
    assert_eq!(put(format!("{{\"name\": {deep}}}")).await.fields().first(), Some(&"name"));
    assert_eq!(put("[".repeat(60_000)).await.status, 400);
}

#[actix_web::test]
async fn checks_come_in_the_contracts_order() {
    let send_as = |token: Option<&'static str>, path: &'static str, body: Vec<u8>| {
        let request = TestRequest::put().uri(path).insert_header(header::ContentType::json()).set_payload(body);
        send(routes, token.into_iter().fold(request, |request, token| request.insert_header(bearer(token))))
    };
    let large = vec![b'x'; 64 * 1024 + 1];
    assert_eq!(send_as(Some("forged"), "/api/v1/things/1", large).await.status, 413, "size before token");
    assert_eq!(send_as(None, "/api/v1/things/1", b"{".to_vec()).await.status, 401, "token before path id");
    assert_eq!(send_as(Some("customer"), "/api/v1/things/1", b"{".to_vec()).await.status, 403, "role before path id");
    assert_eq!(send_as(Some("admin"), "/api/v1/things/1", b"{".to_vec()).await.status, 400, "path id before body");
    let request = TestRequest::put().uri("/api/v1/things/1").insert_header(bearer("admin")).set_payload("{");
    assert_eq!(send(routes, request).await.status, 400, "path id before media type");
    assert_eq!(send_as(Some("admin"), THING, b"{}".to_vec()).await.status, 422);
}

#[actix_web::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let mut body = valid().to_string();
    body.push_str(&" ".repeat(64 * 1024 - body.len()));
    assert_eq!(put(&body).await.status, 200);
    body.push(' ');
    assert_eq!(put(&body).await.code(), "payload_too_large");
}

#[actix_web::test]
async fn a_body_must_say_that_it_is_json() {
    let cases = [
        ("application/json", None, 200),
        ("Application/JSON; charset=UTF-8", None, 200),
        ("application/json; charset=utf-16", None, 415),
        ("text/plain", None, 415),
        ("application/x-www-form-urlencoded", None, 415),
        ("application/json", Some("gzip"), 415),
    ];
    for (content_type, encoding, status) in cases {
        let request = TestRequest::put().uri(THING).insert_header(bearer("admin")).set_payload(valid().to_string());
        let mut request = request.insert_header((header::CONTENT_TYPE, content_type));
        if let Some(encoding) = encoding {
            request = request.insert_header((header::CONTENT_ENCODING, encoding));
        }
        assert_eq!(send(routes, request).await.status, status, "{content_type} {encoding:?}");
    }
}

#[actix_web::test]
async fn no_body_is_an_empty_object_where_every_field_is_optional() {
    let post = |body: &'static str| TestRequest::post().uri(THING).insert_header(bearer("customer")).set_payload(body);
    assert_eq!(send(routes, post("")).await.status, 200);
    assert_eq!(send(routes, post("{}")).await.code(), "unsupported_media_type");
    assert_eq!(put("").await.code(), "malformed_request");
}

#[actix_web::test]
async fn queries_name_what_is_wrong_and_ignore_what_is_unknown() {
    let get = |query: &str| send(routes, TestRequest::get().uri(&format!("/api/v1/things?{query}")));
    let after = cursor::encode(&(7,));
    let answer = get(&format!("limit=5&cursor={after}&inStock=true&utm_source=mail&limit2=x")).await;
    assert_eq!(answer.body, json!({ "limit": 5, "after": 7, "inStock": true }));
    assert_eq!(get("").await.body["limit"], 20);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=%00", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=%ff", "cursor"),
        ("inStock=yes", "inStock"),
    ] {
        let answer = get(query).await;
        assert_eq!((answer.status, answer.fields()), (422, vec![field]), "{query}");
    }
}

#[actix_web::test]
async fn ids_in_paths_are_uuids() {
    for path in ["/api/v1/things/1", "/api/v1/things/%00", "/api/v1/things/%ff", "/api/v1/things/..%2f"] {
        let request = TestRequest::put().uri(path).insert_header(bearer("admin"));
        let answer = send(routes, request).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{path}");
    }
}

#[actix_web::test]
async fn a_route_that_needs_a_token_is_never_stored_and_asks_for_it() {
    for (token, status, code) in [
        (None, 401, "unauthenticated"),
        (Some("forged"), 401, "unauthenticated"),
        (Some("customer"), 403, "forbidden"),
        (Some("database down"), 503, "unavailable"),
    ] {
        let put = TestRequest::put().uri(THING);
        let request = token.into_iter().fold(put, |request, token| request.insert_header(bearer(token)));
        let answer = send(routes, request).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{token:?}");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
        assert_eq!(answer.header(header::WWW_AUTHENTICATE), if status == 401 { "Bearer" } else { "" });
        assert_eq!(answer.header(header::RETRY_AFTER), if status == 503 { "1" } else { "" });
    }
}

#[actix_web::test]
async fn only_the_bearer_scheme_is_a_token() {
    for (authorization, status) in
        [("Bearer admin", 200), ("bearer admin", 200), ("Basic admin", 401), ("Bearer", 401), ("admin", 401), ("", 401)]
    {
        let request = TestRequest::put().uri(THING).insert_header((header::AUTHORIZATION, authorization));
        let request = request.insert_header(header::ContentType::json()).set_payload(valid().to_string());
        assert_eq!(send(routes, request).await.status, status, "{authorization:?}");
    }
}

#[actix_web::test]
async fn a_public_route_recognises_who_shows_a_good_token_and_serves_all_others() {
    let get = || TestRequest::get().uri("/api/v1/greeting");
    assert_eq!(send(routes, get().insert_header(bearer("admin"))).await.body, "ADMIN");
    assert_eq!(send(routes, get().insert_header(bearer("expired"))).await.body, Value::Null);
    assert_eq!(send(routes, get()).await.body, Value::Null);
}

#[actix_web::test]
async fn unknown_addresses_and_methods_are_problems_too() {
    for path in ["/", "/api/v1", "/api/v1/nothing", "/api/v1/things/", "/api/v1/%00", "/nothing?x=%00"] {
        let answer = send(routes, TestRequest::get().uri(path)).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{path}");
        assert_eq!(answer.header(header::CONTENT_TYPE), "application/problem+json");
    }
    let answer = send(routes, TestRequest::with_uri(THING).method(Method::DELETE)).await;
    assert_eq!((answer.status, answer.code(), answer.header(header::ALLOW)), (405, "method_not_allowed", "PUT, POST"));
    let answer = send(routes, TestRequest::patch().uri("/api/v1/things")).await;
    assert_eq!((answer.status, answer.header(header::ALLOW)), (405, "GET, HEAD"));
    assert_eq!(send(routes, TestRequest::with_uri("/api/v1/things").method(Method::HEAD)).await.status, 200);
}

#[actix_web::test]
async fn every_answer_carries_a_request_id_and_nosniff() {
    let uuid = "00000000-0000-0000-0000-000000000001";
    for (sent, id) in [("abc-123", "abc-123"), ("", uuid), ("a b", uuid), ("é", uuid), (&"x".repeat(129), uuid)] {
        for path in ["/api/v1/things", "/nothing", "/health/live", "/api/v1/panic"] {
            let request = TestRequest::get().uri(path).insert_header((X_REQUEST_ID, sent));
            let answer = send(routes, request).await;
            assert_eq!(answer.header(X_REQUEST_ID), id, "{sent:?} {path}");
            assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
            if answer.status >= 400 {
                assert_eq!(answer.body["requestId"], id);
                assert_eq!(answer.body["instance"], path);
            }
        }
    }
}

#[actix_web::test]
async fn a_failure_of_ours_shows_nothing_inside() {
    for path in ["/api/v1/leak", "/api/v1/panic"] {
        let answer = send(routes, TestRequest::get().uri(path)).await;
        assert_eq!((answer.status, answer.code()), (500, Code::Internal.as_str()), "{path}");
        let shown = answer.body.to_string();
        assert!(!shown.contains("secret") && !shown.contains("SELECT"), "{shown}");
    }
}

#[actix_web::test]
async fn health_answers() {
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(send(routes, TestRequest::get().uri(path)).await.status, 200, "{path}");
    }
}
