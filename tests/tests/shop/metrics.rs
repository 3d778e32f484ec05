//! `/metrics` counts what happens, and shows all that dashboard and alerts ask for.

use std::collections::BTreeSet;
use std::path::Path;

use ironcart_tests::http::Http;
use ironcart_tests::shop::TestShop;
use ironcart_tests::wait::until;
use serde_json::json;

async fn scrape(http: &Http) -> String {
    http.try_health("/metrics").await.unwrap().expect(200).text
}

/// The value of a sample, such as `ironcart_checkouts_total{outcome="placed"}`.
fn value(page: &str, sample: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{sample} is not in\n{page}")).trim().parse().unwrap()
}

/// The names of this project's metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let after = text.match_indices("ironcart_").map(|(start, _)| &text[start..]);
    after.map(|name| name[..name.find(|c| !is_part(c)).unwrap_or(name.len())].to_owned()).collect()
}

/// A day in a shop: a purchase, a cart that is empty, a wrong signature, a path that is not there.
async fn a_day(shop: &TestShop) {
    let product = shop.sells("Mug", "10.00", 5).await;
    let customer = shop.customer().await;
    let order = customer.orders(&[(&product, 1)]).await;
    customer.pays(&order).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    customer.checks_out().await.is_problem(409, "cart_empty");
    shop.anonymous.post_webhook(b"{}".to_vec(), Some("t=1,v1=00")).await.is_problem(400, "webhook_signature_invalid");
    shop.anonymous.get("/cart").await.is_problem(401, "unauthenticated");
    shop.anonymous.get("/nowhere/somebody@example.com").await.is_problem(404, "not_found");
    let register = json!({ "email": "me@example.com", "password": "Corr3ct-horse" });
    let _registered = shop.anonymous.post("/auth/register", register).await.expect(201);
    shop.settles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted() {
    let shop = TestShop::open().await;
    a_day(&shop).await;
    let page = scrape(&shop.anonymous).await;
    let at = |sample: &str| value(&page, sample);
    assert_eq!(at(r#"ironcart_checkouts_total{outcome="placed"}"#), 1.0);
    assert_eq!(at(r#"ironcart_checkouts_total{outcome="cart_empty"}"#), 1.0);
    let request = r#"ironcart_http_requests_total{method="POST",route="/api/v1/orders",status="#;
    assert_eq!(at(&format!(r#"{request}"201"}}"#)), 1.0);
    assert_eq!(at(&format!(r#"{request}"409"}}"#)), 1.0);
    let took = r#"ironcart_http_request_duration_seconds"#;
    assert_eq!(at(&format!(r#"{took}_count{{method="POST",route="/api/v1/orders"}}"#)), 2.0);
    assert_eq!(at(&format!(r#"{took}_bucket{{method="POST",route="/api/v1/orders",le="+Inf"}}"#)), 2.0);
    assert!(at(r#"ironcart_http_requests_total{method="GET",route="/api/v1/orders/{id}",status="200"}"#) >= 1.0);
    // Refused by a middleware, and known by its route all the same.
    assert_eq!(at(r#"ironcart_http_requests_total{method="GET",route="/api/v1/cart",status="401"}"#), 1.0);
    assert_eq!(at(r#"ironcart_http_requests_total{method="GET",route="none",status="404"}"#), 1.0);
    assert!(at(r#"ironcart_events_total{status="APPLIED"}"#) >= 1.0);
    assert!(at("ironcart_event_lag_seconds_count") >= 1.0);
    assert_eq!(at(r#"ironcart_events_rejected_total{reason="signature"}"#), 1.0);
    assert!(at(r#"ironcart_provider_requests_total{outcome="answered"}"#) >= 1.0);
    assert!(at("ironcart_db_wait_seconds_count") > 10.0);
    assert!(at(r#"ironcart_sweeps_total{outcome="done"}"#) >= 1.0);
    assert!(at("ironcart_password_wait_seconds_count") >= 1.0);
    assert_eq!(at("ironcart_password_queue"), 0.0);
    assert_eq!(at("ironcart_db_connections_max"), 8.0);
    assert!(page.contains(&format!(r#"version="{}""#, env!("CARGO_PKG_VERSION"))), "{page}");
    assert!(!page.contains("example.com") && !page.contains(&order_like_ids(&page)), "{page}");
    shop.close().await;
}

/// The first thing on the page that looks like an id: labels must not hold any.
fn order_like_ids(page: &str) -> String {
    let word = |text: &str| text.len() == 36 && text.matches('-').count() == 4;
    let mut words = page.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    words.find(|text| word(text)).unwrap_or("no id at all").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_dashboard_and_alerts_ask_for_is_there() {
    let shop = TestShop::open().await;
    a_day(&shop).await;
    until("the backlog was read", async || {
        scrape(&shop.anonymous).await.contains("\nironcart_backlog_read_timestamp_seconds ")
    })
    .await;
    let page = scrape(&shop.anonymous).await;
    let samples = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let there: BTreeSet<&str> = samples.filter_map(|line| line.split([' ', '{']).next()).collect();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for (file, at_least) in [("grafana/ironcart.json", 15), ("prometheus/alerts.yml", 10)] {
        let wanted = metrics_in(&std::fs::read_to_string(deploy.join(file)).unwrap());
        assert!(wanted.len() >= at_least, "{file} asks for {wanted:?}");
        let missing: Vec<&String> = wanted.iter().filter(|name| !there.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "{file} asks for {missing:?}, which is not on\n{page}");
    }
    let explained = |name: &&&str| page.contains(&format!("# HELP {name} "));
    let base = |name: &str| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let unexplained: Vec<_> =
        there.iter().filter(|name| !explained(name) && !explained(&&base(name).as_str())).collect();
    assert!(unexplained.is_empty(), "{unexplained:?} have no explanation");
    shop.close().await;
}
