//! Events on their way to a shop.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stripe_simulator::{PayTerms, ReleaseOrder, SimulatorConfig, StripeSimulator, WebhookRetry, WebhookTarget};

use crate::support::{Received, SECRET, Shop, Stripe, eventually};

const PATIENCE: Duration = Duration::from_secs(5);

async fn with_shop() -> (Stripe, Shop) {
    let shop = Shop::open().await;
    let stripe = Stripe::start().await;
    stripe.control().set_webhook_endpoints(vec![shop.target()]);
    (stripe, shop)
}

/// The time of a valid signature, as a shop verifies it: HMAC-SHA256 over `t.body`.
fn signed_at(received: &Received, secret: &str) -> Option<i64> {
    let (time, signature) = received.signature.strip_prefix("t=")?.split_once(",v1=")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(format!("{time}.{}", received.body).as_bytes());
    mac.verify_slice(&hex::decode(signature).ok()?).ok()?;
    time.parse().ok()
}

#[tokio::test]
async fn every_event_is_signed_over_its_raw_body_with_real_time() {
    let (stripe, shop) = with_shop().await;
    stripe.control().advance_clock(3_600);
    let id = stripe.open_session().await;
    stripe.control().pay(&id, PayTerms::default()).unwrap();
    assert!(stripe.control().wait_for_deliveries(PATIENCE).await);
    let received = shop.received();
    assert_eq!(received.len(), 4);
    for one in &received {
        let signed = signed_at(one, SECRET).expect("a valid signature");
        let created = one.event["created"].as_i64().unwrap();
        assert!(created - signed >= 3_590, "created follows the simulator's clock, the signature real time");
        assert_eq!(signed_at(one, "whsec_another"), None);
    }
}

#[tokio::test]
async fn an_event_has_stripes_envelope() {
    let (stripe, shop) = with_shop().await;
    let id = stripe.open_session().await;
    let answer = stripe.post_keyed("key-1", &format!("/v1/checkout/sessions/{id}/expire"), &[]).await;
    assert!(stripe.control().wait_for_deliveries(PATIENCE).await);
    let event = &shop.received()[0].event;
    assert_eq!(event["object"], "event");
    assert_eq!(event["type"], "checkout.session.expired");
    assert_eq!(event["api_version"], "2026-09-30.endive");
    assert_eq!(event["livemode"], false);
    assert_eq!(event["pending_webhooks"], 1);
    assert_eq!(event["request"]["idempotency_key"], "key-1");
    assert_eq!(event["request"]["id"].as_str(), answer.header("request-id"));
    assert_eq!(event["data"]["object"]["id"], id.as_str());
    assert!(event["data"]["object"].get("line_items").is_none());
    let kept = stripe.get(&format!("/v1/events/{}", event["id"].as_str().unwrap())).await.body;
    assert_eq!(kept["pending_webhooks"], 0);
}

#[tokio::test]
async fn a_shop_that_was_down_hears_of_everything_once_it_is_back() {
    let (stripe, shop) = with_shop().await;
    shop.answer_with(503);
    let id = stripe.open_session().await;
    stripe.control().expire(&id).unwrap();
    eventually("three tries", || shop.received().len() >= 3).await;
    let undelivered = stripe.get("/v1/events?delivery_success=false").await.body;
    assert_eq!(undelivered["data"].as_array().unwrap().len(), 1);
    shop.answer_with(200);
    assert!(stripe.control().wait_for_deliveries(PATIENCE).await);
    let ids: HashSet<String> = shop.received().iter().map(|one| one.id().to_owned()).collect();
    assert_eq!(ids.len(), 1, "each try carries the same event");
    assert!(shop.received().iter().all(|one| signed_at(one, SECRET).is_some()));
    assert!(stripe.get("/v1/events?delivery_success=false").await.body["data"].as_array().unwrap().is_empty());
    let attempts: Vec<u32> = stripe.control().deliveries().iter().map(|delivery| delivery.attempt).collect();
    assert_eq!(attempts, (1..=u32::try_from(attempts.len()).unwrap()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_redirect_is_a_failure() {
    let (stripe, shop) = with_shop().await;
    shop.answer_with(302);
    let id = stripe.open_session().await;
    stripe.control().expire(&id).unwrap();
    eventually("a second try", || shop.received().len() >= 2).await;
    assert_eq!(stripe.control().deliveries()[0].status, Some(302));
}

#[tokio::test]
async fn a_shop_that_does_not_answer_in_time_has_failed() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = WebhookTarget { url: format!("http://{}/", silent.local_addr().unwrap()), secret: SECRET.to_owned() };
    let simulator = StripeSimulator::start(SimulatorConfig {
        webhook_endpoints: vec![target],
        webhook_retry: WebhookRetry { answer_within: Duration::from_millis(100), ..WebhookRetry::default() },
        ..SimulatorConfig::default()
    })
    .await
    .unwrap();
    let stripe = Stripe { simulator, http: reqwest::Client::new() };
    let id = stripe.open_session().await;
    stripe.control().expire(&id).unwrap();
    eventually("a try", || !stripe.control().deliveries().is_empty()).await;
    let attempt = stripe.control().deliveries().remove(0);
    assert!(attempt.status.is_none() && attempt.took_ms >= 100);
    drop(silent);
}

#[tokio::test]
async fn an_unreachable_shop_is_a_failure_with_its_reason() {
    let stripe = Stripe::start().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut target = Shop::open().await.target();
    target.url = format!("http://{closed}/");
    stripe.control().set_webhook_endpoints(vec![target]);
    let id = stripe.open_session().await;
    stripe.control().expire(&id).unwrap();
    eventually("a try", || !stripe.control().deliveries().is_empty()).await;
    let attempt = stripe.control().deliveries().remove(0);
    assert!(attempt.status.is_none() && attempt.error.is_some());
}

#[tokio::test]
async fn two_endpoints_are_told_each_and_each_with_its_own_secret() {
    let (one, other) = (Shop::open().await, Shop::open().await);
    let mut second = other.target();
    second.secret = "whsec_another".to_owned();
    let config = SimulatorConfig { webhook_endpoints: vec![one.target(), second], ..SimulatorConfig::default() };
    let stripe = Stripe::start_with(config).await;
    let id = stripe.open_session().await;
    stripe.control().expire(&id).unwrap();
    assert!(stripe.control().wait_for_deliveries(PATIENCE).await);
    assert!(signed_at(&one.received()[0], SECRET).is_some());
    assert!(signed_at(&other.received()[0], "whsec_another").is_some());
    assert_eq!(one.received()[0].event["pending_webhooks"], 2);
}

#[tokio::test]
async fn held_events_are_released_in_the_order_asked_for() {
    let (stripe, shop) = with_shop().await;
    for order in [ReleaseOrder::AsHappened, ReleaseOrder::Reversed] {
        let already = shop.received().len();
        stripe.control().hold_webhooks();
        let id = stripe.open_session().await;
        stripe.control().pay(&id, PayTerms::default()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(shop.received().len(), already, "nothing is sent while held");
        let mut expected = stripe.control().held_webhooks();
        if order == ReleaseOrder::Reversed {
            expected.reverse();
        }
        stripe.control().release_webhooks(order).await;
        let arrived: Vec<String> = shop.received()[already..].iter().map(|one| one.id().to_owned()).collect();
        assert_eq!(arrived, expected);
    }
}

#[tokio::test]
async fn chosen_events_are_released_and_the_others_stay_held() {
    let (stripe, shop) = with_shop().await;
    stripe.control().hold_webhooks();
    let id = stripe.open_session().await;
    stripe.control().pay(&id, PayTerms::default()).unwrap();
    let held = stripe.control().held_webhooks();
    let chosen = vec![held[3].clone(), held[1].clone()];
    stripe.control().release_webhooks(ReleaseOrder::Events(chosen.clone())).await;
    let arrived: Vec<String> = shop.received().iter().map(|one| one.id().to_owned()).collect();
    assert_eq!(arrived, chosen);
    assert_eq!(stripe.control().held_webhooks(), [held[0].clone(), held[2].clone()]);
}

#[tokio::test]
async fn a_lost_event_is_never_sent_and_stays_undelivered() {
    let (stripe, shop) = with_shop().await;
    stripe.control().drop_webhooks(1, Some("checkout.session.completed"));
    let id = stripe.open_session().await;
    stripe.control().pay(&id, PayTerms::default()).unwrap();
    assert!(stripe.control().wait_for_deliveries(PATIENCE).await);
    assert!(!shop.kinds().contains(&"checkout.session.completed".to_owned()));
    let undelivered = stripe.get("/v1/events?delivery_success=false").await.body;
    let lost = undelivered["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(undelivered["data"][0]["type"], "checkout.session.completed");
    let answers = stripe.control().deliver(&lost).await.unwrap();
    assert_eq!((answers[0].status, answers[0].answer.as_deref()), (Some(200), Some("seen")));
    assert!(stripe.get("/v1/events?delivery_success=false").await.body["data"].as_array().unwrap().is_empty());
    assert!(stripe.control().deliver("evt_0").await.is_err());
}

#[tokio::test]
async fn events_can_be_repeated() {
    let (stripe, shop) = with_shop().await;
    stripe.control().repeat_webhooks(5);
    let id = stripe.open_session().await;
    stripe.control().expire(&id).unwrap();
    assert!(stripe.control().wait_for_deliveries(PATIENCE).await);
    let ids: Vec<String> = shop.received().iter().map(|one| one.id().to_owned()).collect();
    assert_eq!(ids.len(), 5);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1);
}

#[tokio::test]
async fn events_can_be_delayed() {
    let (stripe, shop) = with_shop().await;
    stripe.control().delay_webhooks(Duration::from_millis(200));
    let id = stripe.open_session().await;
    let begun = Instant::now();
    stripe.control().expire(&id).unwrap();
    eventually("it arrives", || !shop.received().is_empty()).await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn an_endpoint_made_over_the_api_gets_only_the_events_it_wants() {
    let stripe = Stripe::start().await;
    let shop = Shop::open().await;
    let form = [("url", shop.url.as_str()), ("enabled_events[0]", "checkout.session.completed")];
    let made = stripe.post("/v1/webhook_endpoints", &form).await.body;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let id = stripe.open_session().await;
    stripe.control().pay(&id, PayTerms::default()).unwrap();
    assert!(stripe.control().wait_for_deliveries(PATIENCE).await);
    assert_eq!(shop.kinds(), ["checkout.session.completed"]);
    assert!(signed_at(&shop.received()[0], secret).is_some());
    let listed = stripe.get("/v1/webhook_endpoints").await.body;
    assert!(listed["data"][0].get("secret").is_none(), "the secret is told once");
}

#[tokio::test]
async fn two_hundred_events_all_arrive() {
    let (stripe, shop) = with_shop().await;
    for _ in 0..50 {
        let id = stripe.open_session().await;
        stripe.control().pay(&id, PayTerms::default()).unwrap();
    }
    assert!(stripe.control().wait_for_deliveries(PATIENCE).await);
    let ids: HashSet<String> = shop.received().iter().map(|one| one.id().to_owned()).collect();
    assert_eq!((ids.len(), shop.received().len()), (200, 200));
}
