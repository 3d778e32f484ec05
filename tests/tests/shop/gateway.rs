//! Every MUST of the payment port, on the Stripe adapter and the simulator: what the shop believes of the
//! provider has to be true whatever happens on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters_stripe::{CallLimits, Secret, StripeConfig, StripeGateway, StripeWebhooks};
use chrono::DateTime;
use domain::id::{AttemptId, OrderId, RefundRequestId};
use domain::money::{Currency, Money};
use domain::payment::{
    CheckoutLine, CheckoutRequest, CheckoutSessionId, EventContent, EventReader, OpenSessionError, PaymentGateway,
    PaymentIntentId, ProviderRefund, RefundOrder, RefundRefused, RefundStatus, SessionNews, SessionPayment,
    SessionStanding,
};
use domain::quantity::Quantity;
use futures_util::future::join_all;
use stripe_simulator::{
    Control, DashboardRefund, Fault, FaultKind, FaultPhase, NextRefund, PayTerms, SimulatorConfig, StripeSimulator,
    sign_payload,
};
use uuid::{NoContext, Timestamp, Uuid};

const SESSIONS: &str = "/v1/checkout/sessions";
const EXPIRE: &str = "/v1/checkout/sessions/*/expire";
const REFUNDS: &str = "/v1/refunds";

/// What the test's orders cost.
const TOTAL_MINOR: i64 = 4_998;

/// A provider with its remote control, and the port that is tested.
struct Provider {
    simulator: StripeSimulator,
    gateway: Arc<dyn PaymentGateway>,
}

impl Provider {
    async fn start() -> Self {
        Self::start_with(SimulatorConfig::default(), |_| {}).await
    }

    async fn start_with(setup: SimulatorConfig, change: impl FnOnce(&mut StripeConfig)) -> Self {
        let simulator = StripeSimulator::start(setup).await.unwrap();
        let gateway = gateway(simulator.base_url(), change);
        Self { simulator, gateway }
    }

    fn control(&self) -> &Control {
        self.simulator.control()
    }

    /// An id as the shop mints them, by the simulator's clock.
    fn mint(&self) -> Uuid {
        Uuid::new_v7(Timestamp::from_unix(NoContext, self.control().now().try_into().unwrap(), 0))
    }

    fn checkout(&self) -> CheckoutRequest {
        let line = |name: &str, minor, units| CheckoutLine {
            name: name.into(),
            unit_price: dollars(minor),
            quantity: Quantity::new(units).unwrap(),
        };
        CheckoutRequest {
            attempt_id: AttemptId::from(self.mint()),
            order_id: OrderId::from(self.mint()),
            customer_email: "customer@example.com".into(),
            lines: vec![line("Mug & Co", 1_999, 2), line("Tee", 100, 10)],
            expires_at: DateTime::from_timestamp(self.control().now() + 31 * 60, 0).unwrap(),
            success_url: "https://shop.example/checkout/success?orderId=1".into(),
            cancel_url: "https://shop.example/checkout/cancel?orderId=1".into(),
        }
    }

    async fn open(&self) -> CheckoutSessionId {
        self.gateway.open_session(&self.checkout()).await.unwrap().id
    }

    async fn open_and_pay(&self) -> PaymentIntentId {
        let id = self.open().await;
        let receipt = self.control().pay(id.as_str(), PayTerms::default()).unwrap();
        PaymentIntentId::new(receipt.payment_intent).unwrap()
    }

    fn refund_order(&self, intent: &PaymentIntentId, minor: i64) -> RefundOrder {
        RefundOrder {
            request_id: RefundRequestId::from(self.mint()),
            order_id: OrderId::from(self.mint()),
            intent: intent.clone(),
            amount: dollars(minor),
        }
    }

    fn next(&self, kind: FaultKind, phase: FaultPhase, method: &str, path: &str) {
        self.control().inject(Fault::next(kind, phase).on(method, path));
    }
}

/// With short pauses: what is waited for is on this machine.
fn gateway(base_url: &str, change: impl FnOnce(&mut StripeConfig)) -> Arc<dyn PaymentGateway> {
    let mut config = StripeConfig::new(Secret::new("sk_test_contract"), vec![]);
    config.api_base = Some(base_url.to_owned());
    config.limits.first_pause = Duration::from_millis(50);
    change(&mut config);
    Arc::new(StripeGateway::new(&config).unwrap())
}

fn dollars(minor: i64) -> Money {
    Money::from_minor(minor, Currency::USD)
}

/// Everything that may happen to one request on its way, and not be seen by who sent it.
fn mishaps() -> [(FaultKind, FaultPhase); 7] {
    use FaultPhase::{AfterEffect, BeforeEffect};
    [
        (FaultKind::ServerError, BeforeEffect),
        (FaultKind::ServerError, AfterEffect),
        (FaultKind::Cut, BeforeEffect),
        (FaultKind::Cut, AfterEffect),
        (FaultKind::Hang { ms: 1_500 }, BeforeEffect),
        (FaultKind::Hang { ms: 1_500 }, AfterEffect),
        (FaultKind::LockTimeout, BeforeEffect),
    ]
}

/// Short enough that a hanging request is given up and asked for again.
fn impatient(config: &mut StripeConfig) {
    config.limits.try_timeout = Duration::from_secs(1);
    config.limits.first_pause = Duration::from_millis(200);
}

#[tokio::test]
async fn an_opened_session_can_be_paid_and_names_its_order() {
    let provider = Provider::start().await;
    let request = provider.checkout();
    let found = provider.gateway.open_session(&request).await.unwrap();
    let SessionStanding::Open(open) = found.standing else { panic!("open") };
    assert_eq!((&open.id, open.expires_at), (&found.id, request.expires_at));
    assert!(open.url.starts_with(provider.simulator.base_url()), "{}", open.url);
    let session = provider.control().session(found.id.as_str()).unwrap();
    assert_eq!(session["client_reference_id"], request.order_id.to_string());
    assert_eq!(session["metadata"]["orderId"], request.order_id.to_string());
    assert_eq!(session["metadata"]["attemptId"], request.attempt_id.to_string());
    assert_eq!(session["amount_total"], TOTAL_MINOR);

    let receipt = provider.control().pay(found.id.as_str(), PayTerms::default()).unwrap();
    let intent = PaymentIntentId::new(receipt.payment_intent).unwrap();
    let paid = SessionStanding::Paid(SessionPayment { intent, amount: dollars(TOTAL_MINOR) });
    assert_eq!(provider.gateway.session(&found.id).await.unwrap(), paid);
    let intents = provider.control().payment_intents();
    assert_eq!(intents[0]["metadata"]["orderId"], request.order_id.to_string());
    assert_eq!(intents[0]["metadata"]["attemptId"], request.attempt_id.to_string());
}

#[tokio::test]
async fn a_repeated_attempt_is_the_first_session_as_it_stands_now() {
    let provider = Provider::start().await;
    let request = provider.checkout();
    let first = provider.gateway.open_session(&request).await.unwrap();
    assert_eq!(provider.gateway.open_session(&request).await.unwrap(), first);

    provider.control().pay(first.id.as_str(), PayTerms::default()).unwrap();
    let paid = provider.gateway.open_session(&request).await.unwrap();
    assert_eq!(paid.id, first.id);
    assert!(matches!(paid.standing, SessionStanding::Paid(_)));

    let expired = provider.checkout();
    let second = provider.gateway.open_session(&expired).await.unwrap();
    provider.control().expire(second.id.as_str()).unwrap();
    assert_eq!(provider.gateway.open_session(&expired).await.unwrap().standing, SessionStanding::Expired);
    assert_eq!(provider.control().sessions().len(), 2);
}

#[tokio::test]
async fn an_attempt_asked_for_many_times_at_once_is_one_session() {
    // With the real pauses: nine of the ten wait for the first one's answer.
    let patient = |config: &mut StripeConfig| config.limits.first_pause = CallLimits::default().first_pause;
    let provider = Provider::start_with(SimulatorConfig::default(), patient).await;
    provider.control().set_latency(Duration::from_millis(100));
    let request = provider.checkout();
    let asked = join_all((0..10).map(|_| provider.gateway.open_session(&request))).await;
    let mut ids: Vec<CheckoutSessionId> = asked.into_iter().map(|found| found.unwrap().id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(provider.control().sessions().len(), 1);
}

#[tokio::test]
async fn whatever_happens_to_the_answer_an_attempt_is_one_session() {
    for (kind, phase) in mishaps() {
        let provider = Provider::start_with(SimulatorConfig::default(), impatient).await;
        provider.next(kind, phase, "POST", SESSIONS);
        let found = provider.gateway.open_session(&provider.checkout()).await.unwrap();
        assert!(matches!(found.standing, SessionStanding::Open(_)), "{kind:?} {phase:?}");
        assert_eq!(provider.control().sessions().len(), 1, "{kind:?} {phase:?}");
    }
}

#[tokio::test]
async fn a_session_behind_a_kept_failure_is_found_among_many() {
    let provider = Provider::start().await;
    let request = provider.checkout();
    provider.next(FaultKind::ServerError, FaultPhase::AfterEffect, "POST", SESSIONS);
    let once = gateway(provider.simulator.base_url(), |config| config.limits.max_tries = 1);
    let outcome = once.open_session(&request).await;
    assert!(matches!(outcome, Err(OpenSessionError::Unavailable(_))), "{outcome:?}");

    for _ in 0..150 {
        provider.open().await;
    }
    let found = provider.gateway.open_session(&request).await.unwrap();
    assert!(matches!(found.standing, SessionStanding::Open(_)));
    let session = provider.control().session(found.id.as_str()).unwrap();
    assert_eq!(session["metadata"]["attemptId"], request.attempt_id.to_string());
    assert_eq!(provider.control().sessions().len(), 151);
}

#[tokio::test]
async fn a_refused_attempt_leaves_nothing_behind() {
    let provider = Provider::start().await;
    let mut request = provider.checkout();
    request.expires_at = DateTime::from_timestamp(provider.control().now() + 600, 0).unwrap();
    let outcome = provider.gateway.open_session(&request).await;
    assert!(matches!(outcome, Err(OpenSessionError::Refused { .. })), "{outcome:?}");
    assert!(provider.control().sessions().is_empty());
}

#[tokio::test]
async fn an_old_attempt_is_still_its_session_when_it_could_not_be_opened_any_more() {
    let provider = Provider::start().await;
    let request = provider.checkout();
    let first = provider.gateway.open_session(&request).await.unwrap();
    provider.control().advance_clock(20 * 60);
    assert_eq!(provider.gateway.open_session(&request).await.unwrap(), first);
    provider.control().advance_clock(12 * 60);
    assert_eq!(provider.gateway.open_session(&request).await.unwrap().standing, SessionStanding::Expired);
}

#[tokio::test]
async fn a_refused_key_decides_nothing() {
    let setup = SimulatorConfig { api_key: Some("sk_test_another".into()), ..SimulatorConfig::default() };
    let provider = Provider::start_with(setup, |_| {}).await;
    let outcome = provider.gateway.open_session(&provider.checkout()).await;
    assert!(matches!(outcome, Err(OpenSessionError::Unavailable(_))), "{outcome:?}");
    let intent = PaymentIntentId::new("pi_1").unwrap();
    let outcome = provider.gateway.refund(&provider.refund_order(&intent, 1)).await;
    assert!(matches!(outcome, Err(RefundRefused::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn an_unknown_session_counts_as_expired() {
    let provider = Provider::start().await;
    let unknown = CheckoutSessionId::new("cs_test_unknown").unwrap();
    assert_eq!(provider.gateway.session(&unknown).await.unwrap(), SessionStanding::Expired);
    assert_eq!(provider.gateway.close_session(&unknown).await.unwrap(), SessionStanding::Expired);
}

#[tokio::test]
async fn a_closed_session_can_not_be_paid() {
    let provider = Provider::start().await;
    let id = provider.open().await;
    for _ in 0..2 {
        assert_eq!(provider.gateway.close_session(&id).await.unwrap(), SessionStanding::Expired);
    }
    assert!(provider.control().pay(id.as_str(), PayTerms::default()).is_err());
}

#[tokio::test]
async fn closing_tells_how_a_session_ended() {
    let provider = Provider::start().await;
    let paid = provider.open().await;
    provider.control().pay(paid.as_str(), PayTerms::default()).unwrap();
    assert!(matches!(provider.gateway.close_session(&paid).await.unwrap(), SessionStanding::Paid(_)));

    let delayed = provider.open().await;
    provider.control().complete_unpaid(delayed.as_str(), PayTerms::default()).unwrap();
    assert_eq!(provider.gateway.close_session(&delayed).await.unwrap(), SessionStanding::Processing);
    assert_eq!(provider.gateway.session(&delayed).await.unwrap(), SessionStanding::Processing);
    provider.control().settle(delayed.as_str()).unwrap();
    assert!(matches!(provider.gateway.close_session(&delayed).await.unwrap(), SessionStanding::Paid(_)));

    let failed = provider.open().await;
    provider.control().complete_unpaid(failed.as_str(), PayTerms::default()).unwrap();
    provider.control().fail(failed.as_str()).unwrap();
    assert_eq!(provider.gateway.close_session(&failed).await.unwrap(), SessionStanding::Failed);

    let declined = provider.open().await;
    provider.control().decline(declined.as_str()).unwrap();
    assert!(matches!(provider.gateway.session(&declined).await.unwrap(), SessionStanding::Open(_)));
    assert_eq!(provider.gateway.close_session(&declined).await.unwrap(), SessionStanding::Expired);
}

#[tokio::test]
async fn whatever_happens_to_the_answer_a_closed_session_is_told_closed() {
    for (kind, phase) in mishaps() {
        let provider = Provider::start_with(SimulatorConfig::default(), impatient).await;
        let id = provider.open().await;
        provider.next(kind, phase, "POST", EXPIRE);
        assert_eq!(provider.gateway.close_session(&id).await.unwrap(), SessionStanding::Expired, "{kind:?} {phase:?}");
    }
}

#[tokio::test]
async fn a_session_that_could_not_be_closed_is_never_told_open() {
    let provider = Provider::start().await;
    let id = provider.open().await;
    let broken = Fault::next(FaultKind::LockTimeout, FaultPhase::BeforeEffect).on("POST", EXPIRE).times(5);
    provider.control().inject(broken);
    assert!(provider.gateway.close_session(&id).await.is_err());
    assert_eq!(provider.gateway.close_session(&id).await.unwrap(), SessionStanding::Expired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_closed_while_it_is_paid_ends_one_way() {
    let provider = Provider::start().await;
    let mut ends = [0, 0];
    for round in 0..50_u64 {
        let id = provider.open().await;
        let (gateway, closed) = (Arc::clone(&provider.gateway), id.clone());
        let closing = tokio::spawn(async move { gateway.close_session(&closed).await });
        let (control, paid) = (provider.control().clone(), id.clone());
        let paying = tokio::spawn(async move {
            // From at once to certainly too late.
            tokio::time::sleep(Duration::from_millis(round % 5)).await;
            control.pay(paid.as_str(), PayTerms::default())
        });
        let (closing, payment) = (closing.await, paying.await.unwrap());
        match closing.unwrap().unwrap() {
            SessionStanding::Expired => {
                assert!(payment.is_err(), "told expired, and was paid");
                ends[0] += 1;
            }
            SessionStanding::Paid(paid) => {
                assert_eq!(paid.intent.as_str(), payment.unwrap().payment_intent);
                ends[1] += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    println!("closed {}, paid {}", ends[0], ends[1]);
}

#[tokio::test]
async fn a_refund_gives_back_what_it_says_once() {
    let provider = Provider::start().await;
    let intent = provider.open_and_pay().await;
    let order = provider.refund_order(&intent, TOTAL_MINOR);
    let made = provider.gateway.refund(&order).await.unwrap();
    assert_eq!((&made.intent, made.amount, made.status), (&intent, order.amount, RefundStatus::Succeeded));
    assert_eq!(made.request_id, Some(order.request_id));
    assert_eq!(provider.gateway.refund(&order).await.unwrap(), made);
    assert_eq!(provider.gateway.refunds(&intent).await.unwrap(), [made]);
    assert_eq!(provider.control().refunds().len(), 1);
}

#[tokio::test]
async fn whatever_happens_to_the_answer_a_refund_is_made_once() {
    for (kind, phase) in mishaps() {
        let provider = Provider::start_with(SimulatorConfig::default(), impatient).await;
        let intent = provider.open_and_pay().await;
        provider.next(kind, phase, "POST", REFUNDS);
        let order = provider.refund_order(&intent, TOTAL_MINOR);
        let made = provider.gateway.refund(&order).await.unwrap();
        assert_eq!(made.request_id, Some(order.request_id), "{kind:?} {phase:?}");
        assert_eq!(provider.control().refunds().len(), 1, "{kind:?} {phase:?}");
    }
}

#[tokio::test]
async fn refunds_by_hand_are_seen_and_leave_the_rest() {
    let provider = Provider::start().await;
    let intent = provider.open_and_pay().await;
    let by_hand = DashboardRefund { amount: Some(1_000), reason: None };
    provider.control().refund_by_hand(intent.as_str(), by_hand).unwrap();
    let [seen] = &provider.gateway.refunds(&intent).await.unwrap()[..] else { panic!("one refund") };
    assert_eq!((seen.amount, seen.request_id), (dollars(1_000), None));

    let too_much = provider.gateway.refund(&provider.refund_order(&intent, TOTAL_MINOR)).await;
    assert!(matches!(too_much, Err(RefundRefused::Refused { .. })), "{too_much:?}");
    provider.gateway.refund(&provider.refund_order(&intent, TOTAL_MINOR - 1_000)).await.unwrap();

    let order = provider.refund_order(&intent, 1);
    for repeat in 0..2 {
        match provider.gateway.refund(&order).await {
            Err(RefundRefused::Refused { reason }) => {
                assert!(reason.contains("charge_already_refunded"), "{repeat}: {reason}");
            }
            other => panic!("{repeat}: {other:?}"),
        }
    }
    let sum: i64 = provider.gateway.refunds(&intent).await.unwrap().iter().map(|made| made.amount.amount_minor()).sum();
    assert_eq!(sum, TOTAL_MINOR);
}

#[tokio::test]
async fn a_refund_moves_on_and_may_fail_in_the_end() {
    let provider = Provider::start().await;
    let intent = provider.open_and_pay().await;
    let plan = NextRefund {
        status: stripe_simulator::RefundStatus::Pending,
        failure_reason: "expired_or_canceled_card".into(),
    };
    provider.control().plan_next_refund(plan);
    let made = provider.gateway.refund(&provider.refund_order(&intent, TOTAL_MINOR)).await.unwrap();
    assert_eq!(made.status, RefundStatus::Pending);
    let status_now = async || provider.gateway.refunds(&intent).await.unwrap()[0].status;
    provider.control().settle_refund(made.id.as_str()).unwrap();
    assert_eq!(status_now().await, RefundStatus::Succeeded);
    provider.control().fail_refund(made.id.as_str(), "lost_or_stolen_card").unwrap();
    assert_eq!(status_now().await, RefundStatus::Failed);
}

#[tokio::test]
async fn all_refunds_of_a_receipt_are_told_however_many() {
    let provider = Provider::start().await;
    let intent = provider.open_and_pay().await;
    for _ in 0..120 {
        let cent = DashboardRefund { amount: Some(1), reason: None };
        provider.control().refund_by_hand(intent.as_str(), cent).unwrap();
    }
    let refunds = provider.gateway.refunds(&intent).await.unwrap();
    let ids: std::collections::BTreeSet<_> = refunds.iter().map(|made| made.id.clone()).collect();
    assert_eq!((refunds.len(), ids.len()), (120, 120));
}

#[tokio::test]
async fn bulk_closing_keeps_below_the_providers_rate_limit() {
    let limited = SimulatorConfig { rate_limit: Some(25), ..SimulatorConfig::default() };
    let provider = Provider::start_with(limited, |config| config.limits.requests_per_second = Some(12)).await;
    let ids = join_all((0..15).map(|_| provider.open())).await;
    for closed in join_all(ids.iter().map(|id| provider.gateway.close_session(id))).await {
        assert_eq!(closed.unwrap(), SessionStanding::Expired);
    }
    let refused = provider.control().requests().iter().filter(|request| request.status == Some(429)).count();
    assert_eq!(refused, 0);
}

#[tokio::test]
async fn a_provider_that_is_gone_costs_nothing_after_the_first_call_and_may_come_back() {
    let provider = Provider::start().await;
    let address = provider.simulator.address();
    let gateway = gateway(provider.simulator.base_url(), |config| config.limits.cool_down = Duration::from_millis(200));
    let request = provider.checkout();
    let id = gateway.open_session(&request).await.unwrap().id;

    provider.simulator.stop().await;
    let start = Instant::now();
    assert!(gateway.session(&id).await.is_err());
    assert!(start.elapsed() < Duration::from_secs(10));
    let start = Instant::now();
    for _ in 0..50 {
        assert!(gateway.close_session(&id).await.is_err());
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?} for 50 calls", start.elapsed());

    let again =
        StripeSimulator::start(SimulatorConfig { listen: address, ..SimulatorConfig::default() }).await.unwrap();
    let start = Instant::now();
    while gateway.session(&id).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "the provider is back, and not asked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    again.stop().await;
}

#[tokio::test]
async fn a_provider_that_hangs_ends_each_call_within_its_bound() {
    let short = |config: &mut StripeConfig| {
        config.limits.call_timeout = Duration::from_millis(1_900);
        config.limits.try_timeout = Duration::from_millis(600);
    };
    let provider = Provider::start_with(SimulatorConfig::default(), short).await;
    let id = provider.open().await;
    let request = provider.checkout();
    provider.control().inject(Fault::next(FaultKind::Hang { ms: 5_000 }, FaultPhase::BeforeEffect).times(100));
    let start = Instant::now();
    assert!(provider.gateway.open_session(&request).await.is_err());
    assert!(start.elapsed() < Duration::from_secs(3), "the first call took {:?}", start.elapsed());
    let start = Instant::now();
    assert!(provider.gateway.close_session(&id).await.is_err());
    assert!(start.elapsed() < Duration::from_millis(500), "the second call took {:?}", start.elapsed());
}

/// What the provider tells unasked is what it says when it is asked.
#[tokio::test]
async fn every_event_of_an_orders_life_is_read() {
    let provider = Provider::start().await;
    let request = provider.checkout();
    let id = provider.gateway.open_session(&request).await.unwrap().id;
    let receipt = provider.control().pay(id.as_str(), PayTerms::default()).unwrap();
    let intent = PaymentIntentId::new(receipt.payment_intent).unwrap();
    let refund = provider.gateway.refund(&provider.refund_order(&intent, 1_000)).await.unwrap();
    provider.control().fail_refund(refund.id.as_str(), "lost_or_stolen_card").unwrap();
    provider.control().dispute(&receipt.charge, "fraudulent").unwrap();
    provider.control().warn_of_fraud(&receipt.charge, "misc").unwrap();
    let expired = provider.open().await;
    provider.gateway.close_session(&expired).await.unwrap();
    let delayed = provider.open().await;
    provider.control().complete_unpaid(delayed.as_str(), PayTerms::default()).unwrap();
    provider.control().fail(delayed.as_str()).unwrap();

    let told: Vec<(String, EventContent)> = read_all(provider.control());
    let of = |kind: &str| told.iter().filter(|(name, _)| name == kind).map(|(_, content)| content).collect::<Vec<_>>();
    assert!(told.iter().all(|(_, content)| !matches!(content, EventContent::Unreadable { .. })), "{told:?}");
    let paid = EventContent::Session(SessionNews {
        session_id: id,
        order_id: Some(request.order_id),
        attempt_id: Some(request.attempt_id),
        standing: SessionStanding::Paid(SessionPayment { intent: intent.clone(), amount: dollars(TOTAL_MINOR) }),
    });
    assert_eq!(of("checkout.session.completed")[0], &paid);
    assert_eq!(standing(of("checkout.session.completed")[1]), &SessionStanding::Processing);
    assert_eq!(standing(of("checkout.session.expired")[0]), &SessionStanding::Expired);
    assert_eq!(standing(of("checkout.session.async_payment_failed")[0]), &SessionStanding::Failed);
    assert_eq!(of("refund.created"), [&EventContent::Refund(refund.clone())]);
    let failed = EventContent::Refund(ProviderRefund { status: RefundStatus::Failed, ..refund });
    assert_eq!(of("refund.failed"), [&failed]);
    match of("charge.refunded")[0] {
        EventContent::ChargeRefunded { intent: of, refunded, .. } => {
            assert_eq!((of, refunded), (&intent, &dollars(1_000)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(of("charge.dispute.created"), [&EventContent::Disputed(intent.clone())]);
    assert_eq!(of("radar.early_fraud_warning.created"), [&EventContent::FraudWarning(intent)]);
}

fn standing(content: &EventContent) -> &SessionStanding {
    match content {
        EventContent::Session(news) => &news.standing,
        other => panic!("{other:?}"),
    }
}

/// All events of the provider, signed as it signs them, with their types.
fn read_all(control: &Control) -> Vec<(String, EventContent)> {
    let secret = "whsec_0123456789abcdef0123456789abcdef";
    let config = StripeConfig::new(Secret::new("sk_test_contract"), vec![Secret::new(secret)]);
    let webhooks = StripeWebhooks::new(&config).unwrap();
    let now = control.now();
    let read = |event: serde_json::Value| {
        let body = event.to_string();
        let signature = sign_payload(secret, now, body.as_bytes());
        let event = webhooks.read(body.as_bytes(), Some(&signature), DateTime::from_timestamp(now, 0).unwrap());
        event.map(|event| (event.kind, event.content)).unwrap()
    };
    control.events().into_iter().map(read).collect()
}
