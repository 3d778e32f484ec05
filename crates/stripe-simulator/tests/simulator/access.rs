//! Who may call, in which encoding, under which version.

use stripe_simulator::SimulatorConfig;

use crate::support::{Stripe, encode, order, order_with, read};

#[tokio::test]
async fn a_call_without_a_key_is_401() {
    let stripe = Stripe::start().await;
    for request in [
        stripe.http.get(stripe.url("/v1/refunds")),
        stripe.http.get(stripe.url("/v1/refunds")).header("Authorization", "Bearer "),
        stripe.http.post(stripe.url("/v1/checkout/sessions")).body(encode(&order())),
    ] {
        let answer = read(request).await.unwrap();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body["error"]["type"], "invalid_request_error");
        assert!(answer.header("request-id").unwrap().starts_with("req_"));
    }
    assert!(stripe.control().sessions().is_empty());
}

#[tokio::test]
async fn with_a_configured_key_only_that_one_is_accepted_as_bearer_or_basic() {
    let config = SimulatorConfig { api_key: Some("sk_test_right".to_owned()), ..SimulatorConfig::default() };
    let stripe = Stripe::start_with(config).await;
    let url = stripe.url("/v1/refunds");
    assert_eq!(stripe.http.get(&url).bearer_auth("sk_test_right").send().await.unwrap().status(), 200);
    assert_eq!(stripe.http.get(&url).basic_auth("sk_test_right", Some("")).send().await.unwrap().status(), 200);
    let wrong = read(stripe.http.get(&url).bearer_auth("sk_test_wrong_one")).await.unwrap();
    assert_eq!(wrong.status, 401);
    assert!(!wrong.body.to_string().contains("wrong_one"), "the key is not shown: {}", wrong.body);
}

#[tokio::test]
async fn a_json_body_is_refused() {
    let stripe = Stripe::start().await;
    let request = stripe
        .request("POST", "/v1/checkout/sessions")
        .header("Content-Type", "application/json")
        .body(r#"{"mode":"payment"}"#);
    read(request).await.unwrap().assert_error(400, "");
}

#[tokio::test]
async fn keys_in_the_body_may_be_escaped_or_not() {
    let stripe = Stripe::start().await;
    let escaped = encode(&order());
    assert!(escaped.contains("line_items%5B0%5D"));
    let plain = escaped.replace("%5B", "[").replace("%5D", "]");
    for body in [escaped, plain] {
        let request = stripe
            .request("POST", "/v1/checkout/sessions")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body);
        let answer = read(request).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["amount_total"], 3998);
    }
}

#[tokio::test]
async fn an_unknown_route_is_404_in_stripes_shape() {
    let stripe = Stripe::start().await;
    let answer = stripe.get("/v1/unheard_of").await;
    answer.assert_error(404, "");
    assert_eq!(answer.body["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_413() {
    let stripe = Stripe::start().await;
    let answer = stripe.post("/v1/refunds", &[("reason", &"x".repeat(1024 * 1024 + 1))]).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn a_request_is_pinned_to_its_version() {
    let stripe = Stripe::start().await;
    let answer = stripe.get("/v1/balance").await;
    assert_eq!(answer.header("stripe-version"), Some("2026-09-30.endive"));
    let newer = read(stripe.request("GET", "/v1/balance").header("Stripe-Version", "2026-10-28.endive")).await.unwrap();
    assert_eq!(newer.header("stripe-version"), Some("2026-10-28.endive"));
    let broken = read(stripe.request("GET", "/v1/balance").header("Stripe-Version", "latest")).await.unwrap();
    broken.assert_error(400, "");
}

#[tokio::test]
async fn since_endive_payment_method_types_and_old_ui_modes_are_refused() {
    let stripe = Stripe::start().await;
    let types = order_with("payment_method_types[0]", "card");
    let hosted = order_with("ui_mode", "hosted");
    let path = "/v1/checkout/sessions";
    for version in ["2026-09-30.endive", "2026-10-28.endive"] {
        let refused = read(stripe.form(path, &types).header("Stripe-Version", version)).await.unwrap();
        refused.assert_error(400, "parameter_unknown");
        let refused = read(stripe.form(path, &hosted).header("Stripe-Version", version)).await.unwrap();
        assert_eq!((refused.status, refused.body["error"]["param"].as_str()), (400, Some("ui_mode")));
    }
    for form in [&types, &hosted] {
        let accepted = read(stripe.form(path, form).header("Stripe-Version", "2025-03-31.basil")).await.unwrap();
        assert_eq!(accepted.status, 200, "{}", accepted.body);
        assert_eq!(accepted.body["ui_mode"], "hosted");
    }
    let accepted = stripe.post(path, &order_with("ui_mode", "hosted_page")).await;
    assert_eq!(accepted.body["ui_mode"], "hosted_page");
}

#[tokio::test]
async fn every_request_is_on_record_with_its_parameters_and_status() {
    let stripe = Stripe::start().await;
    stripe.post_keyed("k1", "/v1/checkout/sessions", &order()).await;
    stripe.post_keyed("k1", "/v1/checkout/sessions", &order()).await;
    stripe.get("/v1/refunds?limit=3").await;
    let requests = stripe.control().requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].params["metadata"]["order_id"], "o1");
    assert_eq!(requests[0].idempotency_key.as_deref(), Some("k1"));
    assert_eq!((requests[0].replayed, requests[1].replayed), (false, true));
    assert_eq!((requests[2].method.as_str(), requests[2].path.as_str()), ("GET", "/v1/refunds"));
    assert_eq!((&requests[2].params["limit"], requests[2].status), (&"3".into(), Some(200)));
}
