//! Bad input, end to end: every route of the contract under bodies, ids, queries and headers that nobody honest sends.
//! No answer is a 5xx, each refusal is a problem of the contract's table, and nothing of the inside ever shows.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use api_actix::problem::Code;
use futures_util::StreamExt as _;
use futures_util::stream::iter;
use ironcart_tests::shop::TestShop;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SOMEBODY: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

/// Every route under `/api/v1`, with the fields of its body.
const ROUTES: &[(&str, &str, &[&str])] = &[
    ("POST", "/auth/register", &["email", "password", "name"]),
    ("POST", "/auth/login", &["email", "password"]),
    ("POST", "/auth/refresh", &["refreshToken"]),
    ("POST", "/auth/logout", &["refreshToken"]),
    ("POST", "/auth/change-password", &["oldPassword", "newPassword"]),
    ("GET", "/users/me", &[]),
    ("GET", "/admin/users", &[]),
    ("PATCH", "/admin/users/{id}", &["role", "blocked"]),
    ("GET", "/products", &[]),
    ("GET", "/products/{id}", &[]),
    ("POST", "/products", &["name", "description", "price", "stock"]),
    ("PATCH", "/products/{id}", &["name", "description", "price", "stock"]),
    ("DELETE", "/products/{id}", &[]),
    ("POST", "/products/{id}/stock-adjustments", &["delta", "reason"]),
    ("GET", "/products/{id}/stock-movements", &[]),
    ("GET", "/cart", &[]),
    ("POST", "/cart/items", &["productId", "quantity"]),
    ("PUT", "/cart/items/{id}", &["quantity"]),
    ("DELETE", "/cart/items/{id}", &[]),
    ("DELETE", "/cart", &[]),
    ("POST", "/orders", &["shippingAddress", "payNow", "expectedTotal"]),
    ("GET", "/orders", &[]),
    ("GET", "/orders/{id}", &[]),
    ("POST", "/orders/{id}/payment", &[]),
    ("POST", "/orders/{id}/cancel", &["reason"]),
    ("GET", "/admin/orders", &[]),
    ("PATCH", "/admin/orders/{id}", &["status", "trackingNumber", "clearFlags"]),
    ("POST", "/admin/orders/{id}/refund", &[]),
    ("POST", "/webhooks/stripe", &["id", "type", "data"]),
];

/// One request.
#[derive(Debug, Clone)]
struct Attack {
    method: Method,
    path: String,
    content_type: &'static str,
    body: Option<Vec<u8>>,
    header: Option<(&'static str, &'static str)>,
}

impl Attack {
    fn on(method: &str, path: &str) -> Self {
        let path = path.replace("{id}", SOMEBODY);
        Self { method: method.parse().unwrap(), path, content_type: "application/json", body: None, header: None }
    }

    fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Some(body.into()), ..self }
    }
}

/// Values that no field takes, or only some.
fn values() -> Vec<String> {
    let long = format!("\"{}\"", "x".repeat(20_000));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let plain = [
        "null",
        "true",
        "0",
        "-1",
        "1e999",
        "-0.0",
        "0.1e-400",
        "99999999999999999999999999",
        "1.005",
        "[]",
        "{}",
        "\"\"",
        "\" \"",
        "\"\\u0000\"",
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\u{202e}\u{feff}\"",
        "\"'; DROP TABLE users; --\"",
        "\"1' OR '1'='1\"",
        "\"%' ESCAPE '\\\\\"",
        "\"$1\"",
        "\"a\\r\\nSet-Cookie: b=c\"",
        "\"../../etc/passwd\"",
        "\"<script>alert(1)</script>\"",
        "\"NaN\"",
        "\"Infinity\"",
        "\"00000000-0000-0000-0000-000000000000\"",
        "\"a@b.c\\u0000\"",
        "9223372036854775808",
        "\"9223372036854775807.99\"",
        "\"0192f0c1-2345-7abc-8def-0123456789ab\"",
    ];
    let mut values: Vec<String> = plain.iter().map(ToString::to_string).collect();
    values.extend([long, deep]);
    values
}

/// Bodies that are wrong as a whole.
fn bodies() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "{",
        "[]",
        "null",
        "\"a\"",
        "1",
        "{\"a\":1}",
        "{\"a\":1,\"a\":2}",
        "{}{}",
        "\u{feff}{}",
        "{\"\\u0000\":1}",
    ];
    let mut bodies: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    bodies.push(vec![0]);
    bodies.push(b"{\"email\":\"\xff\xfe\"}".to_vec());
    bodies.push(vec![0xff; 100]);
    bodies.push(format!("{}{}", "{\"a\":".repeat(10_000), "1}".repeat(5_000)).into_bytes());
    bodies.push([b"{\"name\":\"".to_vec(), vec![b'x'; 70_000], b"\"}".to_vec()].concat());
    bodies
}

fn attacks() -> Vec<Attack> {
    let ids = [
        "1",
        "%00",
        "%ff",
        "..%2f..%2f",
        "'%20OR%201=1",
        "0192F0C1-2345-7ABC-8DEF-0123456789AB",
        "%0d%0aX:%20y",
        "null",
    ];
    let queries = [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=1e1",
        "limit=%00",
        "cursor=%00",
        "cursor=!!!",
        "cursor=W10",
        "cursor=WzkyMjMzNzIwMzY4NTQ3NzU4MDcsIjAiXQ",
        "q=%00",
        "q=%25%27--",
        "q=%ff",
        "minPrice=-1",
        "minPrice=NaN",
        "maxPrice=1e9",
        "sort=price;DROP",
        "status='",
        "status=paid",
        "userId=1",
        "createdFrom=0000-00-00T00:00:00Z",
        "createdTo=9999-12-31T23:59:60Z",
        "createdFrom=-262144-01-01T00:00:00Z",
        "flagged=maybe",
        "blocked=1",
        "role=ROOT",
        "email=%00",
        "inStock=%F0%9F%92%A9",
        "&&&=&=",
        "limit=1&limit=2",
    ];
    let headers = [
        ("Authorization", "Bearer"),
        ("Authorization", "Basic YTpi"),
        ("Authorization", "Bearer a.b.c"),
        ("Idempotency-Key", " "),
        ("Idempotency-Key", "a\tb"),
        ("If-Match", "\"\"\""),
        ("If-None-Match", "W/*"),
        ("X-Request-Id", "' OR 1=1 --"),
        ("X-Forwarded-For", "1.2.3.4, ::::, '"),
        ("Stripe-Signature", "t=1,v1=zz"),
        ("Content-Encoding", "gzip"),
        ("Accept", "text/html;q=x"),
        ("Range", "bytes=-1"),
    ];
    let mut attacks = Vec::new();
    for (method, path, fields) in ROUTES {
        let attack = || Attack::on(method, path);
        attacks.push(attack());
        attacks.extend(headers.map(|header| Attack { header: Some(header), ..attack().with_body("{}") }));
        if path.contains("{id}") {
            attacks.extend(ids.map(|id| Attack { path: path.replace("{id}", id), ..attack().with_body("{}") }));
        }
        if *method == "GET" {
            attacks.extend(queries.map(|query| Attack { path: format!("{}?{query}", attack().path), ..attack() }));
            continue;
        }
        attacks.extend(bodies().into_iter().map(|body| attack().with_body(body)));
        for content_type in
            ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "a/b\"", ""]
        {
            attacks.push(Attack { content_type, ..attack().with_body("{}") });
        }
        for field in *fields {
            let bodies = values().into_iter().map(|value| format!("{{\"{field}\":{value}}}"));
            attacks.extend(bodies.map(|body| attack().with_body(body)));
        }
        // All fields at once, so that some value gets past the check for missing ones.
        for value in values() {
            let all: Vec<String> = fields.iter().map(|field| format!("\"{field}\":{value}")).collect();
            attacks.push(attack().with_body(format!("{{{}}}", all.join(","))));
        }
    }
    attacks
}

/// What no answer may show.
const INSIDE: [&str; 9] =
    ["SELECT ", "INSERT ", "diesel", "postgres", "panicked", ".rs:", "RUST_BACKTRACE", "constraint", "argon2"];

/// Checks one answer; says what is wrong with it.
fn judge(status: u16, headers: &HeaderMap, body: &str) -> Result<(), String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if status >= 500 {
        return Err("it is our fault".to_owned());
    }
    if header("x-content-type-options") != "nosniff" || header("x-request-id").is_empty() {
        return Err(format!("headers are missing: {headers:?}"));
    }
    if let Some(word) = INSIDE.iter().find(|word| body.contains(**word)) {
        return Err(format!("it shows {word:?}"));
    }
    if status < 400 {
        return Ok(());
    }
    let problem: Value = serde_json::from_str(body).map_err(|error| format!("no problem: {error}"))?;
    let code = problem["code"].as_str().unwrap_or_default();
    let known = Code::ALL.iter().find(|known| known.as_str() == code).map(|known| known.status());
    let is_whole = ["type", "title", "detail", "instance", "requestId"].iter().all(|field| problem[field].is_string());
    if header("content-type") != "application/problem+json"
        || known != StatusCode::from_u16(status).ok()
        || problem["status"] != status
        || !is_whole
    {
        return Err("it is no problem of the contract".to_owned());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_to_whichever_route_is_answered_or_refused_as_the_contract_says() {
    let shop = TestShop::open().await;
    let (customer, admin) = (shop.customer().await, shop.admin().await);
    let client = Client::builder().no_proxy().build().unwrap();
    let people = [("nobody", &shop.anonymous), ("a customer", &customer.http), ("an admin", &admin.http)];
    let (attacks, base) = (attacks(), shop.anonymous.base().to_owned());
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for (who, http) in people {
        // Nobody's password and role survive their own fuzzing: logging out is no attack on the one who sends it.
        let sent = iter(&attacks).map(async |attack| {
            let mut request = client.request(attack.method.clone(), format!("{base}/api/v1{}", attack.path));
            request = match (attack.header, http.token()) {
                (Some((name, value)), _) if name == "Authorization" => request.header(name, value),
                (header, token) => {
                    let request =
                        header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
                    token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth)
                }
            };
            if let Some(body) = &attack.body {
                request = request.header("Content-Type", attack.content_type).body(body.clone());
            }
            let answer = request.send().await.unwrap_or_else(|error| panic!("{who}: {attack:?}: {error}"));
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let body = answer.text().await.unwrap();
            let attacked = || format!("{attack:?}").chars().take(600).collect::<String>();
            judge(status, &headers, &body)
                .unwrap_or_else(|why| panic!("{who}: {why}: {status} {body}\n{}", attacked()));
            status
        });
        let answered: Vec<u16> = sent.buffer_unordered(8).collect().await;
        answered.into_iter().for_each(|status| *statuses.entry(status).or_default() += 1);
    }
    eprintln!("{} requests: {statuses:?}", attacks.len() * 3);
    shop.close().await;
}

/// What no HTTP client sends, byte by byte.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_client_would_send_is_refused_and_the_shop_goes_on() {
    let shop = TestShop::open().await;
    let address = shop.anonymous.base().trim_start_matches("http://").to_owned();
    let chunks = format!("{:x}\r\n{}\r\n", 8192, "x".repeat(8192)).repeat(20);
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    let raw: [(String, &[u16]); 7] = [
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"), &[413]),
        (format!("{head}Content-Length: 99999999999\r\n\r\n"), &[413, 400]),
        (format!("{head}Content-Length: -1\r\n\r\n"), &[400]),
        (format!("{head}X-A: b\rInjected: c\r\n\r\n"), &[400, 422]),
        (format!("{head}X-Request-Id: a\u{1}b\r\n\r\n"), &[400, 422]),
        ("GET /api/v1/products\u{0} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[400, 404]),
        (format!("GET /api/v1/products?q={} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(200_000)), &[400, 413, 414, 431]),
    ];
    for (request, allowed) in raw {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        // The shop may answer, and close, before it has read everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap_or_default();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        let status: Option<u16> = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let start: String = request.chars().take(200).collect();
        assert!(status.is_none_or(|status| allowed.contains(&status)), "{start:?} is answered {answer}");
        assert!(!answer.contains("Injected"), "{answer}");
    }
    let _ = shop.anonymous.get("/products").await.expect(200);
    let body = json!({ "email": "a@example.com", "password": "Wrong-pass-1" });
    shop.anonymous.post("/auth/login", body).await.is_problem(401, "invalid_credentials");
    shop.close().await;
}
