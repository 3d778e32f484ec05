//! The server itself, over TCP: what no test service shows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::dev::ServerHandle;
use actix_web::web::ServiceConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Shell, Timeouts, serve};
use crate::access::Who;
use crate::body::RawBody;
use crate::openapi::Operation;
use crate::resource::resource;
use crate::testing::shell;

async fn length(RawBody(body): RawBody) -> HttpResponse {
    HttpResponse::Ok().body(body.len().to_string())
}

async fn panic() -> HttpResponse {
    panic!("a secret")
}

fn api(config: &mut ServiceConfig) {
    config
        .service(resource("/length").post(Who::Anyone, length, Operation::part_of_a_page()))
        .service(resource("/panic").get(Who::Anyone, panic, Operation::part_of_a_page()));
}

fn start() -> (SocketAddr, ServerHandle) {
    start_with(Timeouts::default())
}

fn start_with(timeouts: Timeouts) -> (SocketAddr, ServerHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shell = Shell { timeouts, ..shell() };
    let server = serve(listener, shell, |_| {}, api, std::future::pending()).unwrap();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

/// Sends everything, as plain clients do, and only then reads the answer.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(10), connection.read_to_end(&mut answer)).await.expect("an answer in time").unwrap();
    String::from_utf8(answer).unwrap()
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /api/v1/length HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{headers}\r\n\r\n{body}").into_bytes()
}

#[actix_web::test]
async fn a_client_that_sends_too_much_reads_why() {
    let (address, server) = start();
    let body = "x".repeat(512 * 1024);
    let declared = post(&format!("content-length: {}", body.len()), &body);
    let chunked = post("transfer-encoding: chunked", &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    for request in [declared, chunked] {
        let answer = exchange(address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("\"payload_too_large\""), "{answer}");
    }
    let chunked = exchange(address, &post("transfer-encoding: chunked", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")).await;
    assert!(chunked.ends_with("\r\n\r\n5"), "{chunked}");
    server.stop(false).await;
}

#[actix_web::test]
async fn a_panic_is_answered_and_the_server_goes_on() {
    let (address, server) = start();
    for _ in 0..3 {
        let answer = exchange(address, b"GET /api/v1/panic HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(answer.contains("\"internal_error\"") && !answer.contains("secret"), "{answer}");
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn no_answer_names_the_product() {
    let (address, server) = start();
    let answer = exchange(address, b"GET /health/live HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let lower = answer.to_ascii_lowercase();
    assert!(!lower.contains("\r\nserver:") && !lower.contains("x-powered-by"), "{answer}");
    server.stop(false).await;
}

/// Patience for clients that is short enough to be seen to end.
const SHORT: Timeouts = Timeouts { head: Duration::from_millis(300), body: Duration::from_millis(300) };

/// Sends a byte every now and then until the server has had enough, and gives what it said.
async fn drip(address: SocketAddr, beginning: &[u8]) -> String {
    let connection = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = connection.into_split();
    writer.write_all(beginning).await.unwrap();
    let dripping = async {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut said = Vec::new();
    let listening = async {
        // A reset after the answer is an end, too.
        let _ = reader.read_to_end(&mut said).await;
    };
    let ended = timeout(Duration::from_secs(10), async {
        tokio::select! { () = dripping => {}, () = listening => {} }
    });
    ended.await.expect("the server ends it");
    String::from_utf8_lossy(&said).into_owned()
}

#[actix_web::test]
async fn a_head_that_drips_in_is_cut() {
    let (address, server) = start_with(SHORT);
    let said = drip(address, b"GET /health/live HTTP/1.1\r\nx-slow: ").await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{said}");
    server.stop(false).await;
}

#[actix_web::test]
async fn a_body_that_drips_in_is_cut_and_told_so() {
    let (address, server) = start_with(SHORT);
    let said = drip(address, &post("content-length: 60000", "")).await;
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("\"request_timeout\""), "{said}");
    server.stop(false).await;
}

#[actix_web::test]
async fn a_head_that_is_too_large_is_refused() {
    let (address, server) = start();
    let get = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{headers}\r\n").into_bytes()
    };
    let uri = |length: usize| format!("/api/v1/length?{}", "x".repeat(length - "/api/v1/length?".len()));
    let many = "x-many: 1\r\n".repeat(200);
    for (request, status) in [
        (get(&uri(8 * 1024), ""), "405"),
        (get(&uri(8 * 1024 + 1), ""), "400"),
        (get("/health/live", &format!("x-large: {}\r\n", "x".repeat(100_000))), "200"),
        (get("/health/live", &many), "431"),
    ] {
        let answer = exchange(address, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {}", &answer[..answer.len().min(200)]);
    }
    // The server stops to read, so the client may not come to read why.
    let huge = get("/health/live", &format!("x-large: {}\r\n", "x".repeat(4_000_000)));
    let mut connection = TcpStream::connect(address).await.unwrap();
    let mut said = Vec::new();
    let _ = connection.write_all(&huge).await;
    let _ = timeout(Duration::from_secs(10), connection.read_to_end(&mut said)).await.expect("an end in time");
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&said));
    let answer = exchange(address, &get("/health/live", "")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "the server goes on: {answer}");
    server.stop(false).await;
}
