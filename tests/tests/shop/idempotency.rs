//! `Idempotency-Key` (contract 3): whatever is repeated, lost, slow or killed, one key has one effect and one answer.

use std::sync::Arc;
use std::time::Duration;

use api_actix::limits::Rate;
use futures_util::future::join_all;
use ironcart_tests::actors::{ADDRESS, Customer};
use ironcart_tests::database::{RowHold, new_uuid};
use ironcart_tests::http::Reply;
use ironcart_tests::shop::TestShop;
use ironcart_tests::wait::until;
use ironcart_tests::wire::{Order, Product};
use reqwest::Method;
use serde_json::json;
use stripe_simulator::{Fault, FaultKind, FaultPhase};
use tokio::sync::Barrier;

fn is_replay(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

/// A customer with two mugs in the cart, and the mug.
async fn with_cart(shop: &TestShop) -> (Customer, Product) {
    let mug = shop.sells(&format!("Mug {}", new_uuid()), "10.00", 100).await;
    let customer = shop.customer().await;
    let _ = customer.adds(&mug, 2).await.expect(200);
    (customer, mug)
}

async fn orders_of(customer: &Customer) -> usize {
    customer.http.get("/orders").await.expect(200).json()["items"].as_array().unwrap().len()
}

/// What a process leaves behind that dies after the commit, before its answer is kept: the claim, long silent.
async fn forget_answers(shop: &TestShop) {
    let forget = "UPDATE idempotency_keys SET status = NULL, content_type = NULL, location = NULL, body = NULL, \
                  alive_at = now() - interval '15 seconds'";
    assert!(shop.database.run_sql(forget).await.unwrap() > 0, "there is no key");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again_is_the_same_answer_byte_for_byte() {
    let shop = TestShop::open().await;
    let (customer, mug) = with_cart(&shop).await;
    let keyed = customer.keyed("order-1");
    let first = keyed.checks_out().await.expect(201);
    assert!(!is_replay(&first));
    let order = first.order();
    assert!(order.payment.checkout_url.is_some());
    // Also when a repeat would be decided otherwise: the cart is full again, and the order paid meanwhile.
    let _ = customer.adds(&mug, 1).await.expect(200);
    customer.pays(&order).await;
    let _ = shop.reaches(&order, "PAID COMPLETED").await;
    for _ in 0..3 {
        let again = keyed.checks_out().await.expect(201);
        assert!(is_replay(&again));
        assert_eq!(again.text, first.text);
        for name in ["location", "content-type", "cache-control"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    }
    assert_eq!(orders_of(&customer).await, 1);
    assert_eq!(shop.admin().await.counts(&mug).await, 98);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_and_under_another_one_a_request_is_a_new_one() {
    let shop = TestShop::open().await;
    let (customer, mug) = with_cart(&shop).await;
    let first = customer.keyed("a").checks_out().await.expect(201).order();
    customer.checks_out().await.is_problem(409, "cart_empty");
    let _ = customer.adds(&mug, 1).await.expect(200);
    let second = customer.keyed("b").checks_out().await.expect(201).order();
    assert_ne!(first.id, second.id);
    // Another customer's keys are their own.
    let other = shop.customer().await;
    let _ = other.adds(&mug, 1).await.expect(200);
    assert_ne!(other.keyed("a").checks_out().await.expect(201).order().id, first.id);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_method_path_and_body() {
    let shop = TestShop::open().await;
    let (customer, mug) = with_cart(&shop).await;
    let keyed = customer.keyed("k");
    let order = keyed.checks_out().await.expect(201).order();
    keyed.checks_out_with(json!({ "payNow": true })).await.is_problem(422, "idempotency_key_reused");
    keyed.starts_payment(&order).await.is_problem(422, "idempotency_key_reused");
    keyed.cancels(&order).await.is_problem(422, "idempotency_key_reused");
    let _ = customer.adds(&mug, 1).await.expect(200);
    assert!(is_replay(&keyed.checks_out().await.expect(201)));
    assert_eq!(customer.sees(&order).await.status, "PENDING");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_1_to_255_visible_ascii_characters() {
    let shop = TestShop::open().await;
    let (customer, _) = with_cart(&shop).await;
    for bad in ["", " ", "a b", "é", &"x".repeat(256)] {
        let refused = customer.keyed(bad).checks_out().await.is_problem(422, "validation_failed");
        assert_eq!(refused["errors"][0]["field"], "Idempotency-Key", "{bad:?}");
    }
    let _ = customer.keyed(&"x".repeat(255)).checks_out().await.expect(201);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_by_state_are_kept_and_everything_else_is_not() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    let customer = shop.customer().await;
    let empty = customer.keyed("empty");
    let first = empty.checks_out().await;
    first.is_problem(409, "cart_empty");
    let _ = customer.adds(&mug, 1).await.expect(200);
    let again = empty.checks_out().await;
    assert!(is_replay(&again));
    assert_eq!((again.status, &again.text), (409, &first.text));
    assert_eq!(again.header("content-type"), Some("application/problem+json"));

    // What never came to be decided leaves the key free.
    let keyed = customer.keyed("k");
    keyed.http.post("/orders", json!({ "shippingAddress": "?" })).await.is_problem(422, "validation_failed");
    let _ = keyed.http.post("/orders", json!({ "shippingAddress": ["x".repeat(70_000)] })).await.expect(413);
    keyed.http.post_empty("/orders/1/cancel").await.is_problem(400, "malformed_request");
    let order = keyed.checks_out().await.expect(201).order();
    let unknown = customer.keyed("unknown");
    let nowhere = "/orders/01900000-0000-7000-8000-000000000000/cancel";
    unknown.http.post_empty(nowhere).await.is_problem(404, "not_found");
    assert!(is_replay(&unknown.http.post_empty(nowhere).await.expect(404)));
    assert_eq!(customer.sees(&order).await.status, "PENDING");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_by_fraud_rules_are_not_kept() {
    let shop = TestShop::with(|plan| plan.orders.fraud.max_pending_orders = 1).await;
    let (customer, mug) = with_cart(&shop).await;
    let first = customer.checks_out().await.expect(201).order();
    let _ = customer.adds(&mug, 1).await.expect(200);
    let keyed = customer.keyed("k");
    keyed.checks_out().await.is_problem(429, "pending_order_limit");
    let _ = customer.cancels(&first).await.expect(200);
    assert!(!is_replay(&keyed.checks_out().await.expect(201)));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_failed_is_asked_again_under_the_same_key() {
    let shop = TestShop::open().await;
    let (customer, _) = with_cart(&shop).await;
    let order = customer.checks_out_with(json!({ "payNow": false })).await.expect(201).order();
    let keyed = customer.keyed("pay");
    shop.provider_goes_down();
    keyed.starts_payment(&order).await.is_problem(502, "payment_provider_error");
    shop.provider_comes_back();
    until("the provider is asked again", async || keyed.starts_payment(&order).await.status == 200).await;
    let session = keyed.starts_payment(&order).await.expect(200);
    assert!(is_replay(&session));
    assert_eq!(shop.sessions_of(&order).len(), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_thirty_times_at_once_is_one_order() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    for round in 0..5 {
        let (customer, mug) = with_cart(&shop).await;
        let barrier = Arc::new(Barrier::new(30));
        let attempts = (0..30).map(|_| {
            let (customer, mug, barrier) = (customer.keyed("k"), mug.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                let answer = customer.checks_out().await;
                // Whoever comes through twice finds something to order.
                let _ = customer.adds(&mug, 1).await.expect(200);
                answer
            })
        });
        let answers: Vec<Reply> = join_all(attempts).await.into_iter().map(Result::unwrap).collect();
        let first = answers.iter().find(|answer| answer.status == 201).expect("one that was let through");
        for answer in &answers {
            match answer.status {
                201 => assert_eq!(answer.text, first.text, "round {round}"),
                _ => {
                    answer.is_problem(409, "idempotency_in_progress");
                    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
                    assert!((1..=15).contains(&seconds), "{seconds}");
                }
            }
        }
        assert_eq!(answers.iter().filter(|answer| answer.status == 201 && !is_replay(answer)).count(), 1);
        assert_eq!(customer.keyed("k").checks_out().await.expect(201).text, first.text);
        assert_eq!(orders_of(&customer).await, 1, "round {round}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_repeated_under_its_key_is_no_second_one() {
    let shop = TestShop::open().await;
    let (customer, mug) = with_cart(&shop).await;
    let order = customer.checks_out().await.expect(201).order();
    let keyed = customer.keyed("cancel");
    let barrier = Arc::new(Barrier::new(10));
    let attempts = (0..10).map(|_| {
        let (customer, order, barrier) = (keyed.clone(), order.clone(), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            customer.cancels(&order).await
        })
    });
    for answer in join_all(attempts).await.into_iter().map(Result::unwrap) {
        assert!(answer.status == 200 || answer.verdict() == "idempotency_in_progress", "{}", answer.text);
    }
    let again = keyed.cancels(&order).await.expect(200);
    assert!(is_replay(&again));
    assert_eq!(again.order().status, "CANCELLED");
    customer.cancels(&order).await.is_problem(409, "invalid_transition");
    assert_eq!(shop.admin().await.counts(&mug).await, 100);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_over_after_the_commit_nothing_is_decided_anew_and_the_session_is_made() {
    let shop = TestShop::open().await;
    let (customer, mug) = with_cart(&shop).await;
    let keyed = customer.keyed("k");
    shop.provider_goes_down();
    let order = keyed.checks_out().await.expect(201).order();
    assert_eq!(order.payment.checkout_url, None);
    shop.provider_comes_back();
    forget_answers(&shop).await;
    let _ = customer.adds(&mug, 5).await.expect(200);
    // The circuit closes in a moment; until then there is no session, and the answer is kept without one.
    let mut taken_over = keyed.checks_out().await.expect(201);
    for _ in 0..100 {
        if taken_over.order().payment.checkout_url.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        forget_answers(&shop).await;
        taken_over = keyed.checks_out().await.expect(201);
    }
    assert!(!is_replay(&taken_over));
    assert_eq!(taken_over.header("location"), Some(format!("/api/v1/orders/{}", order.id).as_str()));
    let seen = taken_over.order();
    assert_eq!((seen.id.as_str(), orders_of(&customer).await), (order.id.as_str(), 1));
    assert!(seen.payment.checkout_url.is_some());
    assert_eq!(shop.sessions_of(&order).len(), 1);
    assert_eq!(keyed.checks_out().await.expect(201).text, taken_over.text);

    // A cancellation that is committed answers with the order as it stands.
    let cancel = customer.keyed("cancel");
    let _ = cancel.cancels(&order).await.expect(200);
    forget_answers(&shop).await;
    assert_eq!(cancel.cancels(&order).await.expect(200).order().status, "CANCELLED");
    assert_eq!(shop.admin().await.counts(&mug).await, 100);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_without_a_sign_of_life_is_taken_over_after_15_seconds_and_not_before() {
    let shop = TestShop::open().await;
    let (customer, _) = with_cart(&shop).await;
    // A process claimed the key and died before it committed anything.
    let silent = |seconds: u32| {
        let shop = &shop;
        async move {
            let age = format!(
                "UPDATE idempotency_keys SET alive_at = now() - interval '{seconds} seconds', \
                 created_at = now() - interval '1 minute'"
            );
            shop.database.run_sql(&age).await.unwrap();
        }
    };
    let keyed = customer.keyed("k");
    let first = keyed.checks_out().await.expect(201).order();
    let _ = customer.cancels(&first).await.expect(200);
    let _ = customer.adds(&shop.sells("Cup", "5.00", 9).await, 1).await.expect(200);
    forget_answers(&shop).await;
    shop.database.run_sql("UPDATE idempotency_keys SET order_id = NULL").await.unwrap();
    for seconds in [0, 7, 14] {
        silent(seconds).await;
        let waits = keyed.checks_out().await;
        waits.is_problem(409, "idempotency_in_progress");
        let retry: u32 = waits.header("retry-after").unwrap().parse().unwrap();
        assert!((15 - seconds).abs_diff(retry) <= 1, "{seconds} s old, {retry} s to wait");
    }
    silent(15).await;
    assert_ne!(keyed.checks_out().await.expect(201).order().id, first.id);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_claim_while_only_slow_rolls_back() {
    let shop = TestShop::open().await;
    for kind in ["order", "cancel", "payment"] {
        let (customer, mug) = with_cart(&shop).await;
        let order = match kind {
            "order" => None,
            _ => Some(customer.checks_out_with(json!({ "payNow": false })).await.expect(201).order()),
        };
        let keyed = customer.keyed("slow");
        let path = match (&order, kind) {
            (Some(order), "cancel") => format!("/orders/{}/cancel", order.id),
            (Some(order), _) => format!("/orders/{}/payment", order.id),
            (None, _) => "/orders".to_owned(),
        };
        let body = if order.is_none() { json!({ "shippingAddress": ADDRESS }) } else { json!({}) };
        let send = || {
            let (http, path, body) = (keyed.http.clone(), path.clone(), body.clone());
            tokio::spawn(async move { http.post(&path, body).await })
        };
        // Somebody holds what the request needs.
        let held = order.as_ref().map_or(format!("SELECT id AS t FROM products WHERE id = '{}'", mug.id), |order| {
            format!("SELECT id AS t FROM orders WHERE id = '{}'", order.id)
        });
        let hold = RowHold::take(&shop.database, &held).await;
        let slow = send();
        let waiting = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() \
                       AND wait_event_type = 'Lock'";
        until("the first request waits", async || shop.database.number(waiting).await == 1).await;
        let silent = "UPDATE idempotency_keys SET alive_at = now() - interval '15 seconds'";
        shop.database.run_sql(silent).await.unwrap();
        let second = send();
        until("the second request waits", async || shop.database.number(waiting).await == 2).await;
        hold.release().await;
        let (slow, second) = (slow.await.unwrap(), second.await.unwrap());
        slow.is_problem(409, "idempotency_in_progress");
        assert!(second.status == 200 || second.status == 201, "{kind}: {}", second.text);
        assert_eq!(orders_of(&customer).await, 1, "{kind}");
        let again = keyed.http.post(&path, body.clone()).await;
        assert!(is_replay(&again), "{kind}");
        assert_eq!(again.text, second.text, "{kind}");
        shop.database.run_sql("DELETE FROM idempotency_keys").await.unwrap();
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_runs_long_keeps_its_claim() {
    let shop = TestShop::open().await;
    let (customer, mug) = with_cart(&shop).await;
    let hold = RowHold::take(&shop.database, &format!("SELECT id AS t FROM products WHERE id = '{}'", mug.id)).await;
    let keyed = customer.keyed("k");
    let slow = tokio::spawn(async move { keyed.checks_out().await });
    let alive = "SELECT count(*) AS n FROM idempotency_keys WHERE alive_at > created_at + interval '4 seconds'";
    until("the claim is renewed", async || shop.database.number(alive).await == 1).await;
    customer.keyed("k").checks_out().await.is_problem(409, "idempotency_in_progress");
    hold.release().await;
    let order = slow.await.unwrap().expect(201).order();
    assert_eq!(customer.keyed("k").checks_out().await.expect(201).order().id, order.id);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_finds_the_answer_when_it_asks_again() {
    let shop = TestShop::open().await;
    let (customer, _) = with_cart(&shop).await;
    shop.provider().inject(Fault::next(FaultKind::Hang { ms: 700 }, FaultPhase::BeforeEffect));
    let body = json!({ "shippingAddress": ADDRESS });
    let http = customer.keyed("k").http;
    let hung_up = http.try_send(Method::POST, "/orders", Some(body.clone()));
    assert!(tokio::time::timeout(Duration::from_millis(250), hung_up).await.is_err());
    let kept = "SELECT count(*) AS n FROM idempotency_keys WHERE status = 201";
    until("the answer is kept", async || shop.database.number(kept).await == 1).await;
    let again = http.post("/orders", body).await.expect(201);
    assert!(is_replay(&again));
    assert!(again.order().payment.checkout_url.is_some());
    assert_eq!(orders_of(&customer).await, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_forgotten_after_24_hours_and_not_before() {
    let shop = TestShop::open().await;
    let (customer, mug) = with_cart(&shop).await;
    let keyed = customer.keyed("k");
    let first: Order = keyed.checks_out().await.expect(201).order();
    let age = |hours: &str| {
        let (shop, set) = (&shop, format!("UPDATE idempotency_keys SET created_at = now() - interval '{hours}'"));
        async move { shop.database.run_sql(&set).await.unwrap() }
    };
    age("23 hours 59 minutes").await;
    assert!(is_replay(&keyed.checks_out().await.expect(201)));
    let _ = customer.adds(&mug, 1).await.expect(200);
    age("24 hours").await;
    let second = keyed.checks_out().await.expect(201);
    assert!(!is_replay(&second));
    assert_ne!(second.order().id, first.id);
    assert!(is_replay(&keyed.checks_out().await.expect(201)));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checkout_guard_counts_neither_replays_nor_what_still_runs() {
    let shop = TestShop::with(|plan| {
        plan.limits.checkout = Some(Rate { count: 3, period: Duration::from_secs(3600) });
    })
    .await;
    let (customer, mug) = with_cart(&shop).await;
    let remaining = |reply: &Reply| reply.header("ratelimit-remaining").map(str::to_owned);
    let keyed = customer.keyed("k");
    let first = keyed.checks_out().await.expect(201);
    assert_eq!(remaining(&first).as_deref(), Some("2"));
    for _ in 0..5 {
        assert!(is_replay(&keyed.checks_out().await.expect(201)));
    }
    forget_answers(&shop).await;
    shop.database.run_sql("UPDATE idempotency_keys SET alive_at = now()").await.unwrap();
    for _ in 0..5 {
        keyed.checks_out().await.is_problem(409, "idempotency_in_progress");
    }
    // Refused ones count, whyever they are.
    let invalid = customer.http.post("/orders", json!({})).await;
    invalid.is_problem(422, "validation_failed");
    assert_eq!(remaining(&invalid).as_deref(), Some("1"));
    keyed.starts_payment(&first.order()).await.is_problem(422, "idempotency_key_reused");
    let _ = customer.adds(&mug, 1).await.expect(200);
    let other = customer.keyed("other");
    let refused = other.checks_out().await;
    refused.is_problem(429, "rate_limited");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1_100..=1_200).contains(&seconds), "{seconds}");
    // What was answered is answered still, and a refused key is free.
    shop.database.run_sql("UPDATE idempotency_keys SET alive_at = '-infinity'").await.unwrap();
    assert_eq!(shop.database.number("SELECT count(*) AS n FROM idempotency_keys").await, 1);
    // Cancelling does not count.
    let _ = customer.cancels(&first.order()).await.expect(200);
    shop.close().await;
}
