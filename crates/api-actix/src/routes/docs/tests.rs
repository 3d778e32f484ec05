#![allow(clippy::unwrap_used)]

use actix_web::http::header;
use actix_web::test::TestRequest;

use crate::openapi::document;
use crate::testing::{Answer, send_open};

async fn get(path: &str) -> Answer {
    send_open(|_| {}, TestRequest::get().uri(path)).await
}

#[actix_web::test]
async fn the_document_is_served_as_it_was_made() {
    let answer = get("/openapi.json").await;
    assert_eq!((answer.status, answer.header(header::CONTENT_TYPE)), (200, "application/json"));
    assert_eq!(answer.body, *document());
}

#[actix_web::test]
async fn the_page_runs_only_scripts_of_its_own_and_asks_nobody_else() {
    for path in ["/docs", "/docs/"] {
        let page = get(path).await;
        assert_eq!((page.status, page.header(header::CONTENT_TYPE)), (200, "text/html; charset=utf-8"));
        let policy = page.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!page.text.contains("http:") && !page.text.contains("https:"), "{}", page.text);
        for inline in ["<style", "style=", "onload", "<script>"] {
            assert!(!page.text.contains(inline), "{inline}");
        }
    }
}

#[actix_web::test]
async fn every_file_that_the_page_names_is_there_and_nothing_else_is() {
    let page = get("/docs").await.text;
    let named: Vec<_> = page.split('"').filter(|part| part.starts_with("/docs/")).collect();
    assert_eq!(named.len(), 5, "{named:?}");
    for path in named {
        let file = get(path).await;
        assert_eq!(file.status, 200, "{path}");
        assert!(!file.text.is_empty(), "{path}");
        assert_eq!(file.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
    for path in ["/docs/index.html", "/docs/oauth2-redirect.html", "/docs/..", "/docs/swagger-initializer.js"] {
        assert_eq!(get(path).await.status, 404, "{path}");
    }
}
