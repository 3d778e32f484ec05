//! The pages that people come back to: friendly, never wrong, and nothing of a stranger's in them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use actix_web::http::header;
use actix_web::test::TestRequest;

use crate::testing::{Answer, send_open};

const ORDER: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

async fn shown(address: &str) -> Answer {
    send_open(super::configure, TestRequest::get().uri(address)).await
}

#[actix_web::test]
async fn each_page_names_the_order_and_claims_no_payment() {
    for page in ["success", "cancel"] {
        let answer = shown(&format!("/checkout/{page}?orderId={ORDER}")).await;
        assert_eq!((answer.status, answer.header(header::CONTENT_TYPE)), (200, "text/html; charset=utf-8"));
        assert!(answer.text.contains(ORDER), "{}", answer.text);
        for claim in ["is paid", "was paid", "has been paid", "payment was successful", "payment succeeded"] {
            assert!(!answer.text.to_lowercase().contains(claim), "{page} claims: {claim}");
        }
    }
}

#[actix_web::test]
async fn the_success_page_looks_as_it_should() {
    insta::assert_snapshot!(shown(&format!("/checkout/success?orderId={ORDER}")).await.text);
}

#[actix_web::test]
async fn the_cancel_page_looks_as_it_should() {
    insta::assert_snapshot!(shown(&format!("/checkout/cancel?orderId={ORDER}")).await.text);
}

#[actix_web::test]
async fn nothing_but_a_uuid_is_shown() {
    let plain = shown("/checkout/success").await.text;
    for query in [
        "orderId=",
        "orderId=7",
        "orderId=%3Cscript%3Ealert(1)%3C/script%3E",
        "orderId=0192f0c1-2345-7abc-8def-0123456789a%22",
        "orderId=%00%ff",
        "orderid=0192f0c1-2345-7abc-8def-0123456789ab",
        "%ff&&==&",
    ] {
        let answer = shown(&format!("/checkout/success?{query}")).await;
        assert_eq!((answer.status, &answer.text), (200, &plain), "{query}");
    }
}

#[actix_web::test]
async fn pages_run_nothing_and_load_nothing_but_their_style() {
    for address in ["/checkout/success", "/checkout/cancel"] {
        let answer = shown(address).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("style-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        for inline in ["<script", "<style", "style=", "onload", "onclick", "http:", "https:"] {
            assert!(!answer.text.contains(inline), "{address} holds {inline}");
        }
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
}

#[actix_web::test]
async fn the_style_is_served_and_loads_nothing() {
    let answer = shown("/checkout/style.css").await;
    assert_eq!((answer.status, answer.header(header::CONTENT_TYPE)), (200, "text/css; charset=utf-8"));
    assert!(!answer.text.contains("url(") && !answer.text.contains("@import"));
}

#[actix_web::test]
async fn pages_are_read_only() {
    for page in ["/checkout/success", "/checkout/cancel"] {
        let answer = send_open(super::configure, TestRequest::post().uri(page)).await;
        assert_eq!((answer.status, answer.code()), (405, "method_not_allowed"));
    }
}
