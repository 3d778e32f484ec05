//! The limits on whole applications: what is counted, what every answer says, and what browsers may read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse};

use super::*;
use crate::access::{Caller, Who};
use crate::application::Shell;
use crate::body::RawBody;
use crate::openapi::Operation;
use crate::problem::Problem;
use crate::resource::resource;
use crate::testing::{Answer, bearer, send_on, shell};

async fn answers(_: RawBody) -> HttpResponse {
    HttpResponse::Ok().json(true)
}

async fn shows_a_page() -> HttpResponse {
    HttpResponse::Ok().finish()
}

async fn panics() -> HttpResponse {
    panic!("a bug")
}

async fn orders(
    request: HttpRequest,
    Caller(actor): Caller,
    guard: actix_web::web::Data<CheckoutGuard>,
) -> Result<HttpResponse, Problem> {
    guard.count(&request, actor.user_id)?;
    Ok(HttpResponse::Created().finish())
}

fn api(config: &mut ServiceConfig) {
    config
        .service(resource("/things").get(Who::Anyone, answers, Operation::part_of_a_page()).post(
            Who::Anyone,
            answers,
            Operation::part_of_a_page(),
        ))
        .service(resource("/orders").post(Who::Customer, orders, Operation::part_of_a_page()))
        .service(resource("/panic").get(Who::Anyone, panics, Operation::part_of_a_page()));
}

fn open(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v1/webhooks/stripe").body_limit(1024).post(
            Who::Anyone,
            answers,
            Operation::part_of_a_page(),
        ))
        .service(resource("/page").get(Who::Anyone, shows_a_page, Operation::part_of_a_page()));
}

const fn an_hour(count: u32) -> Rate {
    Rate { count, period: Duration::from_hours(1) }
}

fn limited(rules: LimitRules) -> Shell {
    Shell { limits: Arc::new(Limits::new(rules)), ..shell() }
}

/// One address may ask so often an hour.
fn with_global(count: u32) -> Shell {
    limited(LimitRules { global: Some(an_hour(count)), ..LimitRules::default() })
}

async fn send(shell: &Shell, request: TestRequest) -> Answer {
    send_on(shell.clone(), open, api, request).await
}

fn from(peer: &str, path: &str) -> TestRequest {
    TestRequest::get().uri(path).peer_addr(format!("{peer}:4711").parse().unwrap())
}

fn get(path: &str) -> TestRequest {
    from("192.0.2.1", path)
}

const THINGS: &str = "/api/v1/things";

fn limit_headers(answer: &Answer) -> [&str; 3] {
    [RATELIMIT_LIMIT, RATELIMIT_REMAINING, RATELIMIT_RESET].map(|name| answer.header(name))
}

#[actix_web::test]
async fn every_answer_of_the_api_says_how_the_client_stands() {
    let shell = with_global(10);
    let large = vec![b'x'; 64 * 1024 + 1];
    let requests = [
        (get(THINGS), 200),
        (get(THINGS).method(Method::DELETE), 405),
        (get("/api/v1/nothing"), 404),
        (get("/api/v1"), 404),
        (get("/api/v1/webhooks/nothing"), 404),
        (get("/api/v1/orders").method(Method::POST), 401),
        (get(THINGS).method(Method::POST).set_payload(large), 413),
        (get("/api/v1/panic"), 500),
        (get(&format!("{THINGS}?q={}", "x".repeat(8 * 1024))), 400),
        (get(THINGS).method(Method::HEAD), 200),
    ];
    for (index, (request, status)) in requests.into_iter().enumerate() {
        let answer = send(&shell, request).await;
        let (remaining, reset) = ((9 - index).to_string(), ((index + 1) * 360).to_string());
        assert_eq!(answer.status, status);
        assert_eq!(limit_headers(&answer), ["10", &remaining, &reset], "{status}");
    }
}

#[actix_web::test]
async fn what_is_too_much_is_refused_before_anything_else_is_looked_at() {
    let shell = with_global(1);
    assert_eq!(send(&shell, get(THINGS)).await.status, 200);
    let large = vec![b'x'; 64 * 1024 + 1];
    for request in [get(THINGS), get("/api/v1/nothing"), get(THINGS).method(Method::POST).set_payload(large)] {
        let refused = send(&shell, request).await;
        assert_eq!((refused.status, refused.code()), (429, "rate_limited"));
        assert_eq!(limit_headers(&refused), ["1", "0", "3600"]);
        assert_eq!(refused.header(header::RETRY_AFTER), "3600");
        assert!(refused.body["detail"].as_str().unwrap().contains("from this address"), "{}", refused.text);
        assert_eq!(refused.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
    assert_eq!(send(&shell, from("192.0.2.2", THINGS)).await.status, 200, "another address is another client");
}

#[actix_web::test]
async fn one_spelling_of_a_path_counts_like_any_other() {
    let shell = with_global(1);
    assert_eq!(send(&shell, get("/%61pi/v1/things")).await.status, 200);
    assert_eq!(send(&shell, get("/api/v1/th%69ngs")).await.status, 429);
    assert_eq!(send(&shell, get("/api/v1/webhooks/stripe/")).await.status, 429, "this is not the webhook");
}

#[actix_web::test]
async fn the_webhook_and_what_lies_outside_the_api_are_neither_counted_nor_marked() {
    let shell = with_global(1);
    assert_eq!(send(&shell, get(THINGS)).await.status, 200);
    for _ in 0..20 {
        for (request, status) in [
            (get("/api/v1/webhooks/stripe").method(Method::POST), 200),
            (get("/api/v1/webhooks/stripe"), 405),
            (get("/page"), 200),
            (get("/health/live"), 200),
            (get("/nothing"), 404),
        ] {
            let answer = send(&shell, request).await;
            assert_eq!((answer.status, limit_headers(&answer)), (status, ["", "", ""]));
        }
    }
}

#[actix_web::test]
async fn a_64_bit_network_of_ipv6_is_one_client() {
    let shell = with_global(1);
    assert_eq!(send(&shell, from("[2001:db8:0:1::1]", THINGS)).await.status, 200);
    assert_eq!(send(&shell, from("[2001:db8:0:1:ffff::2]", THINGS)).await.status, 429);
    assert_eq!(send(&shell, from("[2001:db8:0:2::1]", THINGS)).await.status, 200);
    assert_eq!(send(&shell, from("[::ffff:192.0.2.1]", THINGS)).await.status, 200);
    assert_eq!(send(&shell, get(THINGS)).await.status, 429, "the same address in IPv4");
}

#[actix_web::test]
async fn a_trusted_proxy_is_believed_and_nobody_else() {
    let rules = LimitRules {
        global: Some(an_hour(1)),
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..LimitRules::default()
    };
    let shell = limited(rules);
    let forwarded = |peer, entries: &str| from(peer, THINGS).insert_header(("x-forwarded-for", entries));
    assert_eq!(send(&shell, forwarded("203.0.113.9", "198.51.100.1")).await.status, 200);
    assert_eq!(send(&shell, forwarded("203.0.113.9", "198.51.100.2")).await.status, 429, "a stranger's word");
    assert_eq!(send(&shell, forwarded("10.0.0.1", "198.51.100.3")).await.status, 200);
    assert_eq!(send(&shell, forwarded("10.0.0.1", "1.1.1.1, 198.51.100.3")).await.status, 429, "a forged entry");
    assert_eq!(send(&shell, forwarded("10.0.0.2", "198.51.100.4, 10.0.0.1")).await.status, 200);
    assert_eq!(send(&shell, from("198.51.100.4", THINGS)).await.status, 429, "by proxy or not, one client");
}

#[actix_web::test]
async fn an_exempt_network_is_never_counted() {
    let rules = LimitRules {
        global: Some(an_hour(1)),
        exempt: vec!["198.51.100.0/24".parse().unwrap()],
        ..LimitRules::default()
    };
    let shell = limited(rules);
    for _ in 0..5 {
        let answer = send(&shell, from("198.51.100.7", THINGS)).await;
        assert_eq!((answer.status, limit_headers(&answer)), (200, ["", "", ""]));
    }
}

#[actix_web::test]
async fn limits_that_are_off_show_nothing() {
    for _ in 0..5 {
        let answer = send(&limited(LimitRules::default()), get(THINGS)).await;
        assert_eq!((answer.status, limit_headers(&answer)), (200, ["", "", ""]));
    }
}

#[actix_web::test]
async fn the_closest_of_two_limits_is_told() {
    let rules = LimitRules { global: Some(an_hour(100)), checkout: Some(an_hour(2)), ..LimitRules::default() };
    let shell = limited(rules);
    let order = || get("/api/v1/orders").method(Method::POST).insert_header(bearer("customer"));
    for (status, standing) in [(201, ["2", "1", "1800"]), (201, ["2", "0", "3600"]), (429, ["2", "0", "3600"])] {
        let answer = send(&shell, order()).await;
        assert_eq!((answer.status, limit_headers(&answer)), (status, standing));
    }
    let refused = send(&shell, order()).await;
    assert_eq!((refused.code(), refused.header(header::RETRY_AFTER)), ("rate_limited", "1800"));
    assert!(refused.body["detail"].as_str().unwrap().contains("orders and payments"), "{}", refused.text);
    assert_eq!(limit_headers(&send(&shell, get(THINGS)).await)[0], "100", "where only one applies, that one");
}

const SHOP: &str = "https://shop.example";

fn preflight(path: &str, origin: &str) -> TestRequest {
    let request = get(path).method(Method::OPTIONS).insert_header((header::ORIGIN, origin));
    request
        .insert_header((header::ACCESS_CONTROL_REQUEST_METHOD, "POST"))
        .insert_header((header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization, content-type, idempotency-key"))
}

#[actix_web::test]
async fn a_listed_origin_may_call_and_read() {
    let shell = Shell { cors_origins: vec![SHOP.to_owned()], ..with_global(3) };
    let allowed = send(&shell, preflight(THINGS, SHOP)).await;
    assert_eq!((allowed.status, limit_headers(&allowed)[1]), (200, "2"), "a preflight costs what a request does");
    assert_eq!(allowed.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), SHOP);
    assert_eq!(allowed.header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "");
    let headers = allowed.header(header::ACCESS_CONTROL_ALLOW_HEADERS).to_ascii_lowercase();
    for name in ["authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "x-request-id"] {
        assert!(headers.contains(name), "{headers}");
    }
    let call = || get(THINGS).insert_header((header::ORIGIN, SHOP));
    for status in [200, 200, 429] {
        let answer = send(&shell, call()).await;
        assert_eq!((answer.status, answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)), (status, SHOP));
        let exposed = answer.header(header::ACCESS_CONTROL_EXPOSE_HEADERS);
        for name in [
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
            "retry-after",
            "location",
            "x-request-id",
            "idempotency-replayed",
            "etag",
        ] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    assert_eq!(send(&shell, preflight(THINGS, SHOP)).await.status, 200, "the refusal itself must be readable");
}

#[actix_web::test]
async fn no_other_origin_may() {
    let shell = Shell { cors_origins: vec![SHOP.to_owned()], ..shell() };
    for origin in ["https://evil.example", "http://shop.example", "https://shop.example.evil.example", "null"] {
        let refused = send(&shell, preflight(THINGS, origin)).await;
        assert_eq!((refused.status, refused.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)), (400, ""), "{origin}");
        let answer = send(&shell, get(THINGS).insert_header((header::ORIGIN, origin))).await;
        assert_eq!((answer.status, answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)), (200, ""), "{origin}");
    }
}

#[actix_web::test]
async fn without_origins_and_on_the_webhook_there_is_no_cors_header() {
    let listed = Shell { cors_origins: vec![SHOP.to_owned()], ..shell() };
    for (shell, path) in [(&shell(), THINGS), (&listed, "/api/v1/webhooks/stripe"), (&listed, "/page")] {
        for request in [preflight(path, SHOP), get(path).insert_header((header::ORIGIN, SHOP))] {
            let answer = send(shell, request).await;
            let named = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
            assert_eq!(named, None, "{path}");
        }
    }
}
