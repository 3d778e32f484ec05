//! What the gateway puts on the wire and makes of what comes back, against a server that answers by a script.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scripted;

use std::time::Duration;

use adapters_stripe::{InvalidStripeConfig, Secret, StripeConfig, StripeGateway};
use chrono::DateTime;
use domain::id::{AttemptId, OrderId, RefundRequestId};
use domain::money::{Currency, Money};
use domain::payment::{
    CheckoutLine, CheckoutRequest, CheckoutSessionId, OpenSessionError, PaymentGateway, PaymentIntentId, RefundOrder,
    RefundRefused, RefundStatus, SessionStanding,
};
use domain::quantity::Quantity;
use scripted::{Recorded, ScriptedStripe, Step, answer, error, session};
use serde_json::{Value, json};
use tokio::time::Instant;

const ORDER: &str = "0192f0c1-2345-7abc-8def-0123456789ab";
const ATTEMPT: &str = "0192f0c1-2345-7abc-8def-0123456789ac";
const REQUEST: &str = "0192f0c1-2345-7abc-8def-0123456789ad";
/// When [`ATTEMPT`] was minted, in Unix seconds.
const MINTED_AT: i64 = 1_730_616_042;

/// A gateway with short pauses; `tries` long enough not to end by chance on a busy machine.
fn gateway(stripe: &ScriptedStripe) -> StripeGateway {
    gateway_with(stripe, |_| {})
}

fn gateway_with(stripe: &ScriptedStripe, change: impl FnOnce(&mut StripeConfig)) -> StripeGateway {
    let mut config = StripeConfig::new(Secret::new("sk_test_123"), vec![]);
    config.api_base = Some(stripe.base_url());
    config.limits.first_pause = Duration::from_millis(20);
    change(&mut config);
    StripeGateway::new(&config).unwrap()
}

fn checkout() -> CheckoutRequest {
    let euro = |minor| Money::from_minor(minor, Currency::parse("EUR").unwrap());
    let line = |name: &str, minor, units| CheckoutLine {
        name: name.into(),
        unit_price: euro(minor),
        quantity: Quantity::new(units).unwrap(),
    };
    CheckoutRequest {
        attempt_id: AttemptId::parse(ATTEMPT).unwrap(),
        order_id: OrderId::parse(ORDER).unwrap(),
        customer_email: "zoë+1@example.com".into(),
        lines: vec![line("Mug & Co = 50% [blue]", 1999, 2), line("Tee", 1, 1000)],
        expires_at: DateTime::from_timestamp(MINTED_AT + 1_860, 0).unwrap(),
        success_url: "https://shop.example/checkout/success?orderId=1&x=ü".into(),
        cancel_url: "https://shop.example/checkout/cancel?orderId=1".into(),
    }
}

fn refund_order() -> RefundOrder {
    RefundOrder {
        request_id: RefundRequestId::parse(REQUEST).unwrap(),
        order_id: OrderId::parse(ORDER).unwrap(),
        intent: PaymentIntentId::new("pi_1").unwrap(),
        amount: Money::from_minor(500, Currency::parse("EUR").unwrap()),
    }
}

fn refund(changes: &Value) -> Value {
    let mut refund = json!({ "id": "re_1", "object": "refund", "amount": 500, "charge": "ch_1", "created": MINTED_AT,
        "currency": "eur", "payment_intent": "pi_1", "status": "pending",
        "metadata": { "orderId": ORDER, "refundRequestId": REQUEST } });
    refund.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    refund
}

fn list(data: &Value, has_more: bool) -> Value {
    json!({ "object": "list", "url": "/v1/x", "data": data, "has_more": has_more })
}

fn session_id() -> CheckoutSessionId {
    CheckoutSessionId::new("cs_1").unwrap()
}

fn pairs(recorded: &Recorded) -> Vec<(String, String)> {
    recorded.form()
}

fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    pairs.sort();
    pairs
}

#[tokio::test]
async fn a_session_is_asked_for_with_these_parameters_and_no_others() {
    let stripe = ScriptedStripe::start([answer(&session(&json!({})))]).await;
    let found = gateway(&stripe).open_session(&checkout()).await.unwrap();
    assert_eq!(found.id, session_id());
    let SessionStanding::Open(open) = found.standing else { panic!("open") };
    assert_eq!((open.url.as_str(), open.expires_at.timestamp()), ("https://pay.example/cs_1", MINTED_AT + 1_860));

    let [asked] = &stripe.recorded()[..] else { panic!("one request") };
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/v1/checkout/sessions"));
    assert_eq!(asked.header("authorization"), Some("Bearer sk_test_123"));
    assert_eq!(asked.header("stripe-version"), Some("2026-09-30.endive"));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("idempotency-key"), Some(ATTEMPT));
    let expires_at = (MINTED_AT + 1_860).to_string();
    let expected = own(&[
        ("mode", "payment"),
        ("client_reference_id", ORDER),
        ("metadata[orderId]", ORDER),
        ("metadata[attemptId]", ATTEMPT),
        ("payment_intent_data[metadata][orderId]", ORDER),
        ("payment_intent_data[metadata][attemptId]", ATTEMPT),
        ("customer_email", "zoë+1@example.com"),
        ("expires_at", &expires_at),
        ("success_url", "https://shop.example/checkout/success?orderId=1&x=ü"),
        ("cancel_url", "https://shop.example/checkout/cancel?orderId=1"),
        ("line_items[0][quantity]", "2"),
        ("line_items[0][price_data][currency]", "eur"),
        ("line_items[0][price_data][unit_amount]", "1999"),
        ("line_items[0][price_data][product_data][name]", "Mug & Co = 50% [blue]"),
        ("line_items[1][quantity]", "1000"),
        ("line_items[1][price_data][currency]", "eur"),
        ("line_items[1][price_data][unit_amount]", "1"),
        ("line_items[1][price_data][product_data][name]", "Tee"),
    ]);
    let mut asked = pairs(asked);
    asked.sort();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_repeat_is_the_same_bytes_under_the_same_key_on_the_same_connection() {
    let steps: Vec<Step> = (0..10).map(|_| answer(&session(&json!({})))).collect();
    let stripe = ScriptedStripe::start(steps).await;
    let gateway = gateway(&stripe);
    for _ in 0..10 {
        gateway.open_session(&checkout()).await.unwrap();
    }
    let recorded = stripe.recorded();
    assert!(recorded.iter().all(|request| request.body == recorded[0].body));
    assert!(recorded.iter().all(|request| request.header("idempotency-key") == Some(ATTEMPT)));
    assert!(recorded.iter().all(|request| request.connection == 0), "connections are kept and used again");
}

#[tokio::test]
async fn a_name_longer_than_stripe_takes_is_cut_between_characters() {
    let stripe = ScriptedStripe::start([answer(&session(&json!({})))]).await;
    let mut request = checkout();
    request.lines[0].name = "é".repeat(400);
    gateway(&stripe).open_session(&request).await.unwrap();
    let sent = pairs(&stripe.recorded()[0]);
    let (_, name) = sent.iter().find(|(key, _)| key == "line_items[0][price_data][product_data][name]").unwrap();
    assert_eq!(*name, "é".repeat(250));
}

#[tokio::test]
async fn lost_answers_are_asked_for_again_under_the_same_key() {
    let busy = error(409, "idempotency_error", "idempotency_key_in_use");
    for lost in [Step::Cut, busy, error(500, "api_error", "x"), error(429, "invalid_request_error", "lock_timeout")] {
        let stripe = ScriptedStripe::start([lost, answer(&session(&json!({})))]).await;
        gateway(&stripe).open_session(&checkout()).await.unwrap();
        let keys: Vec<_> =
            stripe.recorded().iter().map(|request| request.header("idempotency-key").map(str::to_owned)).collect();
        assert_eq!(keys, [Some(ATTEMPT.to_owned()), Some(ATTEMPT.to_owned())]);
    }
}

#[tokio::test]
async fn tries_are_bounded_and_then_nothing_is_known() {
    let busy = error(409, "idempotency_error", "idempotency_key_in_use");
    // Failures end with the open circuit, before the tries do.
    for (lost, tries) in [(Step::Cut, 3), (error(500, "api_error", "x"), 3), (busy, 5)] {
        let stripe = ScriptedStripe::start(std::iter::repeat_n(lost, 10)).await;
        let outcome = gateway(&stripe).open_session(&checkout()).await;
        assert!(matches!(outcome, Err(OpenSessionError::Unavailable(_))), "{outcome:?}");
        assert_eq!(stripe.recorded().len(), tries);
    }
}

#[tokio::test]
async fn stripe_decides_whether_to_ask_again() {
    let never = error(500, "api_error", "x").with("stripe-should-retry", "false");
    let stripe = ScriptedStripe::start([never]).await;
    assert!(gateway(&stripe).session(&session_id()).await.is_err());
    assert_eq!(stripe.recorded().len(), 1);

    let later = error(400, "api_error", "x").with("stripe-should-retry", "true");
    let stripe = ScriptedStripe::start([later, answer(&session(&json!({ "status": "expired", "url": null })))]).await;
    assert_eq!(gateway(&stripe).session(&session_id()).await.unwrap(), SessionStanding::Expired);
}

#[tokio::test]
async fn a_pause_that_stripe_asks_for_is_kept_if_it_fits_and_else_ends_the_call() {
    let limited = |seconds: &str| error(429, "invalid_request_error", "rate_limit").with("retry-after", seconds);
    let stripe = ScriptedStripe::start([limited("1"), answer(&list(&json!([]), false))]).await;
    let start = Instant::now();
    assert_eq!(gateway(&stripe).refunds(&refund_order().intent).await.unwrap(), vec![]);
    assert!(start.elapsed() >= Duration::from_secs(1));

    let stripe = ScriptedStripe::start([limited("60")]).await;
    let start = Instant::now();
    assert!(gateway(&stripe).refunds(&refund_order().intent).await.is_err());
    assert!(start.elapsed() < Duration::from_secs(5), "waiting in vain helps nobody");
    assert_eq!(stripe.recorded().len(), 1);
}

#[tokio::test]
async fn a_validation_error_is_a_refusal_at_once() {
    let stripe = ScriptedStripe::start([error(400, "invalid_request_error", "parameter_unknown")]).await;
    match gateway(&stripe).open_session(&checkout()).await {
        Err(OpenSessionError::Refused { reason }) => assert!(reason.contains("parameter_unknown"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(stripe.recorded().len(), 1, "neither repeated nor looked for");

    let stripe = ScriptedStripe::start([error(400, "invalid_request_error", "charge_already_refunded")]).await;
    match gateway(&stripe).refund(&refund_order()).await {
        Err(RefundRefused::Refused { reason }) => assert!(reason.contains("charge_already_refunded"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refused_key_is_no_refused_session() {
    for status in [401, 403] {
        let stripe = ScriptedStripe::start([error(status, "invalid_request_error", "x")]).await;
        let outcome = gateway(&stripe).open_session(&checkout()).await;
        assert!(matches!(outcome, Err(OpenSessionError::Unavailable(_))), "{outcome:?}");
        assert_eq!(stripe.recorded().len(), 1, "asking again with the same key is in vain");
    }
}

#[tokio::test]
async fn what_is_not_stripes_word_is_no_word() {
    let page = Step::raw(404, "<html>Not found</html>");
    let half = Step::raw(200, r#"{"id":"cs_1","object":"checkout.session""#);
    let other = Step::raw(200, r#"{"hello":"world"}"#);
    let redirect = Step::raw(302, "").with("location", "https://elsewhere.example/");
    for step in [page, half, other, redirect] {
        let stripe = ScriptedStripe::start([step.clone()]).await;
        let outcome = gateway(&stripe).session(&session_id()).await;
        assert!(outcome.is_err(), "{step:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_session_that_stripe_does_not_know_counts_as_expired() {
    let stripe = ScriptedStripe::start([error(404, "invalid_request_error", "resource_missing")]).await;
    assert_eq!(gateway(&stripe).session(&session_id()).await.unwrap(), SessionStanding::Expired);
}

#[tokio::test]
async fn sessions_stand_as_stripe_says() {
    let complete = |changes: Value| {
        let mut all = json!({ "status": "complete", "url": null });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        session(&all)
    };
    let unpaid_with = |status: &str| complete(json!({ "payment_intent": scripted::intent(status) }));
    let table = [
        (unpaid_with("processing"), "processing"),
        (unpaid_with("requires_action"), "processing"),
        (unpaid_with("requires_capture"), "processing"),
        (unpaid_with("succeeded"), "processing"),
        (unpaid_with("a_status_of_tomorrow"), "processing"),
        (unpaid_with("requires_payment_method"), "failed"),
        (unpaid_with("canceled"), "failed"),
        (complete(json!({ "payment_intent": "pi_1" })), "processing"),
        (complete(json!({ "payment_intent": null })), "processing"),
        (complete(json!({ "payment_status": "no_payment_required" })), "expired"),
        (complete(json!({ "payment_status": "paid", "payment_intent": "pi_1" })), "paid"),
        (complete(json!({ "payment_status": "paid", "payment_intent": scripted::intent("succeeded") })), "paid"),
        (complete(json!({ "payment_status": "paid", "payment_intent": null })), "unknown"),
        (complete(json!({ "payment_status": "paid", "payment_intent": "pi_1", "amount_total": null })), "unknown"),
        (complete(json!({ "payment_status": "paid", "payment_intent": "pi_1", "currency": null })), "unknown"),
        (session(&json!({ "status": "expired", "url": null })), "expired"),
        (session(&json!({ "ui_mode": "of_tomorrow", "mode": "payment" })), "open"),
        (session(&json!({ "url": null })), "unknown"),
        (session(&json!({ "status": null })), "unknown"),
        (session(&json!({ "status": "of_tomorrow" })), "unknown"),
    ];
    for (shown, expected) in table {
        let stripe = ScriptedStripe::start([answer(&shown)]).await;
        let word = match gateway(&stripe).session(&session_id()).await {
            Ok(SessionStanding::Open(_)) => "open",
            Ok(SessionStanding::Expired) => "expired",
            Ok(SessionStanding::Paid(payment)) => {
                assert_eq!((payment.intent.as_str(), payment.amount.amount_minor()), ("pi_1", 4_998));
                "paid"
            }
            Ok(SessionStanding::Processing) => "processing",
            Ok(SessionStanding::Failed) => "failed",
            Err(_) => "unknown",
        };
        assert_eq!(word, expected, "{shown}");
        assert_eq!(stripe.recorded()[0].target, "/v1/checkout/sessions/cs_1?expand[0]=payment_intent");
    }
}

#[tokio::test]
async fn a_replayed_session_is_asked_how_it_stands_now() {
    let then = answer(&session(&json!({}))).with("idempotent-replayed", "true");
    let now = session(&json!({ "status": "expired", "url": null }));
    let stripe = ScriptedStripe::start([then, answer(&now)]).await;
    let found = gateway(&stripe).open_session(&checkout()).await.unwrap();
    assert_eq!(found.standing, SessionStanding::Expired);
}

#[tokio::test]
async fn behind_a_kept_failure_the_session_is_looked_for() {
    let kept = || error(500, "api_error", "x").with("idempotent-replayed", "true");
    let foreign = session(&json!({ "id": "cs_0", "metadata": { "attemptId": ORDER } }));
    let ours = session(&json!({ "metadata": { "orderId": ORDER, "attemptId": ATTEMPT } }));
    let stripe = ScriptedStripe::start([
        kept(),
        answer(&list(&json!([foreign]), true)),
        answer(&list(&json!([ours]), true)),
        answer(&ours),
    ])
    .await;
    let found = gateway(&stripe).open_session(&checkout()).await.unwrap();
    assert!(matches!(found.standing, SessionStanding::Open(_)));
    let recorded = stripe.recorded();
    let (from, to) = (MINTED_AT - 300, MINTED_AT + 1_860 - 1_800 + 300);
    let window = format!("/v1/checkout/sessions?created[gte]={from}&created[lte]={to}&limit=100");
    assert_eq!(recorded[1].target, window);
    assert_eq!(recorded[2].target, format!("{window}&starting_after=cs_0"));
    assert_eq!(recorded[3].target, "/v1/checkout/sessions/cs_1?expand[0]=payment_intent");

    // Nothing behind it: a definite no. Nothing to be learned: no word.
    let stripe = ScriptedStripe::start([kept(), answer(&list(&json!([foreign]), false))]).await;
    let outcome = gateway(&stripe).open_session(&checkout()).await;
    assert!(matches!(outcome, Err(OpenSessionError::Refused { .. })), "{outcome:?}");
    let stripe = ScriptedStripe::start([kept(), Step::Cut, Step::Cut, Step::Cut]).await;
    let outcome = gateway(&stripe).open_session(&checkout()).await;
    assert!(matches!(outcome, Err(OpenSessionError::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_key_used_with_other_parameters_is_looked_behind_too() {
    let ours = session(&json!({ "metadata": { "attemptId": ATTEMPT } }));
    let reused = error(400, "idempotency_error", "x");
    let stripe = ScriptedStripe::start([reused, answer(&list(&json!([ours]), false)), answer(&ours)]).await;
    assert!(gateway(&stripe).open_session(&checkout()).await.is_ok());
}

#[tokio::test]
async fn an_endless_look_ends_without_a_word() {
    let kept = error(500, "api_error", "x").with("idempotent-replayed", "true");
    let foreign = answer(&list(&json!([session(&json!({ "id": "cs_0" }))]), true));
    let steps = std::iter::once(kept).chain(std::iter::repeat_n(foreign, 10));
    let stripe = ScriptedStripe::start(steps).await;
    let outcome = gateway(&stripe).open_session(&checkout()).await;
    assert!(matches!(outcome, Err(OpenSessionError::Unavailable(_))), "{outcome:?}");
    assert_eq!(stripe.recorded().len(), 11);
}

#[tokio::test]
async fn closing_goes_by_the_session_when_it_is_refused() {
    let refused = || error(400, "invalid_request_error", "x");
    let paid =
        session(&json!({ "status": "complete", "url": null, "payment_status": "paid", "payment_intent": "pi_1" }));
    let stripe = ScriptedStripe::start([refused(), answer(&paid)]).await;
    let standing = gateway(&stripe).close_session(&session_id()).await.unwrap();
    assert!(matches!(standing, SessionStanding::Paid(_)));
    let recorded = stripe.recorded();
    assert_eq!(recorded[0].target, "/v1/checkout/sessions/cs_1/expire");
    assert_eq!(recorded[0].header("idempotency-key"), None, "a kept error would block every repeat");

    let stripe = ScriptedStripe::start([answer(&session(&json!({ "status": "expired", "url": null })))]).await;
    assert_eq!(gateway(&stripe).close_session(&session_id()).await.unwrap(), SessionStanding::Expired);
    assert_eq!(stripe.recorded().len(), 1);

    let stripe = ScriptedStripe::start([refused(), answer(&session(&json!({})))]).await;
    assert!(gateway(&stripe).close_session(&session_id()).await.is_err(), "never open");
    let stripe = ScriptedStripe::start([answer(&session(&json!({}))), answer(&session(&json!({})))]).await;
    assert!(gateway(&stripe).close_session(&session_id()).await.is_err(), "never open, whatever Stripe says");
}

#[tokio::test]
async fn a_refund_is_asked_for_with_its_sum_and_names_its_request() {
    let stripe = ScriptedStripe::start([answer(&refund(&json!({})))]).await;
    let made = gateway(&stripe).refund(&refund_order()).await.unwrap();
    assert_eq!(
        (made.id.as_str(), made.status, made.request_id),
        ("re_1", RefundStatus::Pending, Some(refund_order().request_id))
    );
    assert_eq!(made.amount, refund_order().amount);
    let [asked] = &stripe.recorded()[..] else { panic!("one request") };
    assert_eq!((asked.target.as_str(), asked.header("idempotency-key")), ("/v1/refunds", Some(REQUEST)));
    let expected = own(&[
        ("payment_intent", "pi_1"),
        ("amount", "500"),
        ("metadata[orderId]", ORDER),
        ("metadata[refundRequestId]", REQUEST),
    ]);
    assert_eq!(pairs(asked), expected);
}

#[tokio::test]
async fn behind_a_kept_failure_the_refund_is_looked_for() {
    let kept = || error(500, "api_error", "x").with("idempotent-replayed", "true");
    let by_hand = refund(&json!({ "id": "re_0", "metadata": {}, "status": null }));
    let stripe = ScriptedStripe::start([
        kept(),
        answer(&list(&json!([by_hand]), true)),
        answer(&list(&json!([refund(&json!({}))]), false)),
    ])
    .await;
    assert_eq!(gateway(&stripe).refund(&refund_order()).await.unwrap().id.as_str(), "re_1");
    assert_eq!(stripe.recorded()[1].target, "/v1/refunds?limit=100&payment_intent=pi_1");

    let stripe = ScriptedStripe::start([kept(), answer(&list(&json!([by_hand]), false))]).await;
    let outcome = gateway(&stripe).refund(&refund_order()).await;
    assert!(matches!(outcome, Err(RefundRefused::Refused { .. })), "{outcome:?}");
}

#[tokio::test]
async fn the_circuit_opens_for_everybody_and_only_a_probe_closes_it() {
    let stripe = ScriptedStripe::start([Step::Cut, Step::Cut, Step::Cut]).await;
    let gateway = gateway_with(&stripe, |config| config.limits.cool_down = Duration::from_millis(300));
    assert!(gateway.session(&session_id()).await.is_err());
    let start = Instant::now();
    for _ in 0..100 {
        assert!(gateway.session(&session_id()).await.is_err());
        assert!(gateway.open_session(&checkout()).await.is_err());
        assert!(gateway.refund(&refund_order()).await.is_err());
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?} for calls that fail at once", start.elapsed());
    assert_eq!(stripe.recorded().len(), 3, "nobody else's call reached Stripe");

    // The first probe meets a refused connection, the second an answer.
    stripe.then([Step::Cut, answer(&list(&json!([]), false)), answer(&session(&json!({})))]);
    let start = Instant::now();
    while gateway.session(&session_id()).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "the circuit never closed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let targets: Vec<String> = stripe.recorded()[3..].iter().map(|request| request.target.clone()).collect();
    let probe = "/v1/checkout/sessions?limit=1";
    assert_eq!(targets, [probe, probe, "/v1/checkout/sessions/cs_1?expand[0]=payment_intent"]);
}

#[tokio::test]
async fn refusals_and_limits_never_open_the_circuit() {
    let refused = || error(400, "invalid_request_error", "x");
    let limited = || error(429, "invalid_request_error", "rate_limit").with("stripe-should-retry", "false");
    let kept = || error(500, "api_error", "x").with("idempotent-replayed", "true");
    let steps: Vec<Step> = (0..10).flat_map(|_| [refused(), limited(), kept()]).collect();
    let stripe = ScriptedStripe::start(steps).await;
    let gateway = gateway(&stripe);
    for _ in 0..30 {
        assert!(gateway.session(&session_id()).await.is_err());
    }
    assert_eq!(stripe.recorded().len(), 30);
}

#[tokio::test]
async fn no_probe_outlives_the_gateway() {
    let stripe = ScriptedStripe::start([Step::Cut, Step::Cut, Step::Cut, Step::Silence]).await;
    let gateway = gateway_with(&stripe, |config| config.limits.cool_down = Duration::from_millis(100));
    assert!(gateway.session(&session_id()).await.is_err());
    drop(gateway);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(stripe.recorded().len(), 3);
}

#[tokio::test]
async fn a_stripe_that_never_answers_costs_one_call_its_bound_and_the_next_nothing() {
    let stripe = ScriptedStripe::start(std::iter::repeat_n(Step::Silence, 10)).await;
    let gateway = gateway(&stripe);
    let start = Instant::now();
    let outcome = gateway.open_session(&checkout()).await;
    let first = start.elapsed();
    assert!(matches!(outcome, Err(OpenSessionError::Unavailable(_))), "{outcome:?}");
    assert!(first <= Duration::from_secs(10), "the first call took {first:?}");
    let start = Instant::now();
    assert!(gateway.open_session(&checkout()).await.is_err());
    assert!(gateway.close_session(&session_id()).await.is_err());
    let following = start.elapsed();
    assert!(following < Duration::from_millis(500), "the following calls took {following:?}");
    println!("the first call took {first:?}, the two following ones {following:?}");
}

#[tokio::test]
async fn bulk_calls_keep_to_the_rate() {
    let expired = session(&json!({ "status": "expired", "url": null }));
    let stripe = ScriptedStripe::start(std::iter::repeat_n(answer(&expired), 31)).await;
    let gateway = gateway_with(&stripe, |config| config.limits.requests_per_second = Some(20));
    let start = Instant::now();
    for _ in 0..31 {
        gateway.close_session(&session_id()).await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(1_500), "{:?}", start.elapsed());
}

#[test]
fn a_gateway_is_made_inside_a_runtime() {
    let config = StripeConfig::new(Secret::new("sk_test_123"), vec![]);
    assert!(matches!(StripeGateway::new(&config), Err(InvalidStripeConfig::NoRuntime)));
}

#[tokio::test]
async fn a_gateway_that_could_not_work_is_not_made() {
    let config = |key: &str, base: Option<&str>| {
        let mut config = StripeConfig::new(Secret::new(key), vec![]);
        config.api_base = base.map(str::to_owned);
        StripeGateway::new(&config).err()
    };
    assert_eq!(config("", None), Some(InvalidStripeConfig::ApiKey));
    assert_eq!(config("sk_test_1\n", None), Some(InvalidStripeConfig::ApiKey));
    assert!(matches!(config("sk_test_1", Some("http://api.stripe.com")), Some(InvalidStripeConfig::ApiBase(_))));
    assert_eq!(config("sk_test_1", None), None);
}
