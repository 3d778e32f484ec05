//! What `SECURITY.md` promises: that its tests exist, and the headers that refusals must not lack.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use api_actix::limits::Rate;
use domain::account::{GuardLimit, GuardPolicy};
use ironcart_tests::http::Reply;
use ironcart_tests::shop::TestShop;
use serde_json::json;

/// What stands between backquotes as `file.rs: test_name`.
fn named_tests(document: &str) -> BTreeSet<(&str, &str)> {
    let quoted = document.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.split_once(": ").filter(|(file, _)| file.ends_with(".rs"))).collect()
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let named = named_tests(&document);
    assert!(named.len() >= 40, "{}", named.len());
    for (file, test) in named {
        let path = if file.contains('/') { root.join(file) } else { root.join("tests/tests/shop").join(file) };
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let function = source.find(&format!("fn {test}()")).unwrap_or_else(|| panic!("there is no {test} in {file}"));
        let before = &source[..function];
        let attribute = before.rfind("#[").map_or("", |at| &before[at..]);
        assert!(attribute.contains("test"), "{test} in {file} is no test");
    }
}

#[test]
fn every_row_of_the_threat_model_names_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let rows: Vec<&str> =
        document.lines().filter(|line| line.starts_with("| API") || line.starts_with("| V")).collect();
    assert_eq!(rows.iter().filter(|row| row.starts_with("| API")).count(), 10);
    for row in rows {
        assert!(!named_tests(row).is_empty(), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_carry_the_headers_that_every_answer_carries() {
    let failures = GuardLimit { count: 1, period: Duration::from_secs(900) };
    let shop = TestShop::with(|plan| {
        plan.limits.global = Some(Rate { count: 8, period: Duration::from_secs(900) });
        plan.auth_guard = Some(GuardPolicy {
            address_failures: failures,
            account_failures: GuardPolicy::ACCOUNT_FAILURES,
            registrations: failures,
        });
    })
    .await;
    let login = || shop.anonymous.post("/auth/login", json!({ "email": "ada@example.com", "password": "wrong" }));
    let large = json!({ "name": "x".repeat(70_000) });
    let answers = [
        (401, shop.anonymous.get("/users/me").await),
        (404, shop.anonymous.get("/nothing").await),
        (405, shop.anonymous.delete("/products").await),
        (413, shop.anonymous.post("/products", large).await),
        (400, shop.anonymous.get("/products/1").await),
        (422, shop.anonymous.get("/products?limit=0").await),
        (401, login().await),
        (429, login().await),
        (429, shop.anonymous.get("/products").await),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{}", answer.text);
        let header = |answer: &Reply, name: &str| answer.header(name).unwrap_or_default().to_owned();
        assert_eq!(header(&answer, "content-type"), "application/problem+json", "{status}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{status}");
        assert!(!header(&answer, "x-request-id").is_empty(), "{status}");
        assert_eq!(header(&answer, "server"), "", "{status}");
        for name in ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"] {
            assert!(header(&answer, name).parse::<u64>().is_ok(), "{name} of {status}");
        }
        assert_eq!(header(&answer, "www-authenticate") == "Bearer", status == 401, "{status}");
        assert_eq!(answer.header("retry-after").is_some(), status == 429, "{status}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{status}");
    }
    shop.close().await;
}
