//! Calls that go wrong as ordered.

use std::time::{Duration, Instant};

use stripe_simulator::{Fault, FaultKind, FaultPhase};

use crate::support::{Stripe, order, read};

const SESSIONS: &str = "/v1/checkout/sessions";

#[tokio::test]
async fn a_connection_cut_before_the_effect_leaves_nothing_behind() {
    let stripe = Stripe::start().await;
    stripe.control().inject(Fault::next(FaultKind::Cut, FaultPhase::BeforeEffect).on("POST", SESSIONS));
    let keyed = stripe.form(SESSIONS, &order()).header("Idempotency-Key", "k");
    assert!(read(keyed).await.is_err(), "there is no answer");
    assert!(stripe.control().sessions().is_empty());
    assert_eq!(stripe.control().requests()[0].status, None);
    assert_eq!(stripe.post_keyed("k", SESSIONS, &order()).await.status, 200);
}

#[tokio::test]
async fn after_a_connection_cut_behind_the_effect_the_repeat_gets_the_true_answer() {
    let stripe = Stripe::start().await;
    stripe.control().inject(Fault::next(FaultKind::Cut, FaultPhase::AfterEffect).on("POST", SESSIONS));
    assert!(read(stripe.form(SESSIONS, &order()).header("Idempotency-Key", "k")).await.is_err());
    let again = stripe.post_keyed("k", SESSIONS, &order()).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(stripe.control().sessions().len(), 1);
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_undo_what_was_begun() {
    let stripe = Stripe::start().await;
    stripe.control().inject(Fault::next(FaultKind::Hang { ms: 300 }, FaultPhase::BeforeEffect));
    let impatient = stripe.form(SESSIONS, &order()).timeout(Duration::from_millis(50));
    assert!(read(impatient).await.unwrap_err().is_timeout());
    assert!(stripe.control().sessions().is_empty());
    crate::support::eventually("the session is opened all the same", || stripe.control().sessions().len() == 1).await;
}

#[tokio::test]
async fn a_fault_hits_only_the_calls_it_names_and_so_often() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let fault = Fault::next(FaultKind::ServerError, FaultPhase::BeforeEffect);
    stripe.control().inject(fault.on("POST", "/v1/checkout/sessions/*/expire").times(2));
    assert_eq!(stripe.get(&format!("{SESSIONS}/{id}")).await.status, 200);
    assert_eq!(stripe.post(SESSIONS, &order()).await.status, 200);
    let expire = format!("{SESSIONS}/{id}/expire");
    let answer = stripe.post(&expire, &[]).await;
    answer.assert_error(500, "");
    assert_eq!(answer.body["error"]["type"], "api_error");
    assert_eq!(stripe.post(&expire, &[]).await.status, 500);
    assert_eq!(stripe.post(&expire, &[]).await.status, 200);
}

#[tokio::test]
async fn a_lock_time_out_asks_to_be_repeated() {
    let stripe = Stripe::start().await;
    stripe.control().inject(Fault::next(FaultKind::LockTimeout, FaultPhase::BeforeEffect));
    let answer = stripe.get("/v1/refunds").await;
    answer.assert_error(429, "lock_timeout");
    assert_eq!(answer.header("stripe-should-retry"), Some("true"));
}

#[tokio::test]
async fn faults_can_be_called_off() {
    let stripe = Stripe::start().await;
    stripe.control().inject(Fault::next(FaultKind::ServerError, FaultPhase::BeforeEffect).times(1_000));
    assert_eq!(stripe.get("/v1/refunds").await.status, 500);
    stripe.control().clear_faults();
    assert_eq!(stripe.get("/v1/refunds").await.status, 200);
}

#[tokio::test]
async fn calls_over_the_rate_limit_are_429_and_leave_the_key_free() {
    let stripe = Stripe::start().await;
    stripe.control().set_rate_limit(Some(3));
    for _ in 0..3 {
        assert_eq!(stripe.get("/v1/refunds").await.status, 200);
    }
    stripe.post_keyed("k", SESSIONS, &order()).await.assert_error(429, "rate_limit");
    stripe.control().set_rate_limit(None);
    assert_eq!(stripe.post_keyed("k", SESSIONS, &order()).await.status, 200);
}

#[tokio::test]
async fn latency_slows_every_call() {
    let stripe = Stripe::start().await;
    stripe.control().set_latency(Duration::from_millis(150));
    let begun = Instant::now();
    assert_eq!(stripe.get("/v1/refunds").await.status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
}
