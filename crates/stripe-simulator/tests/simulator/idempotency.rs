//! The first answer is the answer, unless it was none.

use std::time::Duration;

use stripe_simulator::{Fault, FaultKind, FaultPhase, PayTerms};

use crate::support::{Stripe, order, order_with};

const SESSIONS: &str = "/v1/checkout/sessions";

#[tokio::test]
async fn the_same_key_and_parameters_give_the_first_answer_again() {
    let stripe = Stripe::start().await;
    let first = stripe.post_keyed("k", SESSIONS, &order()).await;
    assert!(first.header("idempotent-replayed").is_none());
    let mut shuffled = order();
    shuffled.reverse();
    let again = stripe.post_keyed("k", SESSIONS, &shuffled).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("original-request"), first.header("request-id"));
    assert_ne!(again.header("request-id"), first.header("request-id"));
    assert_eq!(stripe.control().sessions().len(), 1);
}

#[tokio::test]
async fn a_key_with_other_parameters_or_for_another_endpoint_is_refused() {
    let stripe = Stripe::start().await;
    let id = stripe.post_keyed("k", SESSIONS, &order()).await.id();
    for (path, form) in [
        (SESSIONS.to_owned(), order_with("client_reference_id", "o2")),
        (format!("{SESSIONS}/{id}/expire"), Vec::new()),
    ] {
        let refused = stripe.post_keyed("k", &path, &form).await;
        assert_eq!((refused.status, refused.body["error"]["type"].as_str()), (400, Some("idempotency_error")));
    }
    assert_eq!(stripe.session(&id).await["status"], "open");
}

#[tokio::test]
async fn a_key_that_is_still_running_is_409() {
    let stripe = Stripe::start().await;
    stripe.control().inject(Fault::next(FaultKind::Hang { ms: 400 }, FaultPhase::AfterEffect));
    let form = order();
    let (first, second) = tokio::join!(stripe.post_keyed("k", SESSIONS, &form), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stripe.post_keyed("k", SESSIONS, &form).await
    });
    assert_eq!(first.status, 200);
    second.assert_error(409, "idempotency_key_in_use");
    assert_eq!(second.header("stripe-should-retry"), Some("true"));
    assert_eq!(stripe.post_keyed("k", SESSIONS, &form).await.body, first.body);
}

#[tokio::test]
async fn a_500_after_the_effect_stays_the_answer() {
    let stripe = Stripe::start().await;
    stripe.control().inject(Fault::next(FaultKind::ServerError, FaultPhase::AfterEffect));
    let first = stripe.post_keyed("k", SESSIONS, &order()).await;
    assert_eq!(first.status, 500);
    let again = stripe.post_keyed("k", SESSIONS, &order()).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (500, Some("true")));
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("stripe-should-retry"), Some("false"), "a repeat would change nothing");
    assert_eq!(stripe.control().sessions().len(), 1, "the effect is there");
    assert_eq!(stripe.post_keyed("k2", SESSIONS, &order()).await.status, 200);
}

#[tokio::test]
async fn what_happened_before_the_effect_leaves_the_key_free() {
    let stripe = Stripe::start().await;
    for kind in [FaultKind::ServerError, FaultKind::LockTimeout] {
        stripe.control().inject(Fault::next(kind, FaultPhase::BeforeEffect));
    }
    assert_eq!(stripe.post_keyed("k", SESSIONS, &order()).await.status, 500);
    stripe.post_keyed("k", SESSIONS, &order()).await.assert_error(429, "lock_timeout");
    assert!(stripe.control().sessions().is_empty());
    let third = stripe.post_keyed("k", SESSIONS, &order()).await;
    assert_eq!((third.status, third.header("idempotent-replayed")), (200, None));
}

#[tokio::test]
async fn a_validation_failure_leaves_the_key_free() {
    let stripe = Stripe::start().await;
    let wrong = order_with("expires_at", "5");
    assert_eq!(stripe.post_keyed("k", SESSIONS, &wrong).await.status, 400);
    assert_eq!(stripe.post_keyed("k", SESSIONS, &order()).await.status, 200);
}

#[tokio::test]
async fn a_refusal_by_state_stays_the_answer() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let receipt = stripe.control().pay(&id, PayTerms::default()).unwrap();
    let form = [("payment_intent", receipt.payment_intent.as_str()), ("amount", "9999")];
    let refused = stripe.post_keyed("k", "/v1/refunds", &form).await;
    assert_eq!((refused.status, refused.header("stripe-should-retry")), (400, Some("false")));
    let again = stripe.post_keyed("k", "/v1/refunds", &form).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (400, Some("true")));
}

#[tokio::test]
async fn a_401_leaves_the_key_free() {
    let stripe = Stripe::start().await;
    let refused = stripe
        .http
        .post(stripe.url(SESSIONS))
        .header("Idempotency-Key", "k")
        .body(crate::support::encode(&order()))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(stripe.post_keyed("k", SESSIONS, &order()).await.status, 200);
}

#[tokio::test]
async fn keys_are_forgotten_after_24_hours_of_the_simulators_clock() {
    let stripe = Stripe::start().await;
    let first = stripe.post_keyed("k", SESSIONS, &order()).await;
    stripe.control().advance_clock(24 * 3600 - 10);
    assert_eq!(stripe.post_keyed("k", SESSIONS, &order()).await.id(), first.id());
    stripe.control().advance_clock(20);
    assert_ne!(stripe.post_keyed("k", SESSIONS, &order()).await.id(), first.id());
}

#[tokio::test]
async fn a_key_has_at_most_255_characters() {
    let stripe = Stripe::start().await;
    assert_eq!(stripe.post_keyed(&"k".repeat(255), SESSIONS, &order()).await.status, 200);
    assert_eq!(stripe.post_keyed(&"k".repeat(256), SESSIONS, &order()).await.status, 400);
}

#[tokio::test]
async fn a_get_has_no_use_for_a_key() {
    let stripe = Stripe::start().await;
    for path in ["/v1/refunds", "/v1/charges"] {
        let answer = crate::support::read(stripe.request("GET", path).header("Idempotency-Key", "k")).await.unwrap();
        assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, None));
    }
}

#[tokio::test]
async fn fifty_calls_with_one_key_have_one_effect() {
    let stripe = Stripe::start().await;
    let form = order();
    let calls = (0..50).map(|_| stripe.post_keyed("k", SESSIONS, &form));
    let mut ids = std::collections::HashSet::new();
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status, 200);
        ids.insert(answer.id());
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(stripe.control().sessions().len(), 1);
}
