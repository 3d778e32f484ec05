//! Reconciliation (contract 5, `app reconcile`): what lost webhooks leave behind is found by asking the provider, and
//! ends as if they had come; nothing else is touched.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::order::{Drift, ReconcileMode, Reconciler, Reconciliation};
use futures_util::future::join_all;
use ironcart_tests::actors::{Admin, Customer};
use ironcart_tests::process::AppSettings;
use ironcart_tests::shop::{Plan, TestShop};
use ironcart_tests::wait::until;
use ironcart_tests::wire::{Order, Product};
use stripe_simulator::{
    DashboardRefund, Fault, FaultKind, FaultPhase, NextRefund, PayTerms, RefundStatus, ReleaseOrder,
};
use tokio::sync::Barrier;

/// A shop that only does what it is told: nobody sweeps, and nobody reconciles but the test.
struct Scene {
    shop: TestShop,
    admin: Admin,
    ada: Customer,
    mug: Product,
    reconciler: Reconciler,
}

impl Scene {
    async fn new() -> Self {
        Self::with(Plan::never_sweeps).await
    }

    async fn with(change: impl FnOnce(&mut Plan)) -> Self {
        let shop = TestShop::with(change).await;
        let admin = shop.admin().await;
        let mug = admin.sells("Mug", "10.00", 100).await;
        let ada = shop.customer().await;
        let reconciler = shop.reconciler();
        Self { shop, admin, ada, mug, reconciler }
    }

    async fn order(&self) -> Order {
        self.ada.orders(&[(&self.mug, 2)]).await
    }

    fn session(&self, order: &Order) -> String {
        self.shop.session_of(order)
    }

    async fn paid(&self) -> (Order, stripe_simulator::Receipt) {
        let order = self.order().await;
        let receipt = self.shop.provider().pay(&self.session(&order), PayTerms::default()).unwrap();
        self.shop.reaches(&order, "PAID COMPLETED").await;
        self.shop.settles().await;
        (order, receipt)
    }

    /// A paid order whose refund is on its way; the refund's id.
    async fn refund_pending(&self) -> (Order, String) {
        let (order, _) = self.paid().await;
        let next = NextRefund { status: RefundStatus::Pending, failure_reason: "expired_or_canceled_card".into() };
        self.shop.provider().plan_next_refund(next);
        let _ = self.admin.refunds(&order).await.expect(202);
        self.shop.reaches(&order, "PAID REFUND_PENDING").await;
        self.shop.settles().await;
        let refund = self.shop.provider().refunds().pop().unwrap();
        (order, refund["id"].as_str().unwrap().to_owned())
    }

    /// From now on the provider tells nothing, but keeps what it could not deliver.
    fn loses_webhooks(&self) {
        self.shop.provider().drop_webhooks(usize::MAX, None);
    }

    /// From now on the provider tells nothing, and thinks that nobody wants to know.
    fn has_no_endpoint(&self) {
        self.shop.provider().set_webhook_endpoints(vec![]);
    }

    /// A shop whose first request for a session has its effect or not, and gets no answer; it does not ask twice.
    async fn whose_first_answer_is_lost(phase: FaultPhase) -> Self {
        let scene = Self::with(|plan| {
            plan.never_sweeps();
            plan.calls.max_tries = 1;
        })
        .await;
        scene.shop.provider().inject(Fault::next(FaultKind::Cut, phase).on("POST", "/v1/checkout/sessions"));
        scene
    }

    /// What happened so far is old enough to count as missed.
    fn grows_old(&self) {
        self.shop.passes(60);
    }

    async fn reconciles(&self, mode: ReconcileMode) -> Reconciliation {
        self.reconciler.reconcile(mode, &|| false).await.unwrap()
    }

    /// All that can be told of an order, without times and ids.
    async fn tale(&self, order: &Order) -> String {
        self.shop.settles().await;
        let seen = self.admin.sees(order).await;
        let payable = seen.payment.checkout_url.is_some();
        let stock = self.admin.counts(&self.mug).await;
        format!(
            "{} {} {:?} {:?} {:?} payable: {payable}, stock: {stock}",
            seen.standing(),
            seen.payment.refunded_amount,
            seen.flags,
            seen.extras(),
            seen.story()
        )
    }

    /// Every row of the shop's books, and everything at the provider that a call could change.
    async fn everything(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in [
            "orders",
            "order_history",
            "checkout_attempts",
            "receipts",
            "refunds",
            "refund_requests",
            "tasks",
            "provider_events",
            "stock_movements",
            "turns",
        ] {
            let all = format!("SELECT concat('{table} ', row_to_json(r)::text) AS t FROM {table} AS r ORDER BY 1");
            rows.extend(self.shop.database.texts(&all).await);
        }
        let provider = self.shop.provider();
        let shown = [provider.sessions(), provider.refunds(), provider.payment_intents(), provider.events()];
        rows.extend(shown.into_iter().flatten().map(|object| object.to_string()));
        rows
    }

    fn writes_at_the_provider(&self) -> usize {
        self.shop.provider().requests().iter().filter(|request| request.method != "GET").count()
    }
}

fn kinds(report: &Reconciliation) -> Vec<&'static str> {
    report.orders.values().flatten().map(Drift::kind).collect()
}

/// What happened to an order: first what the shop was told of, then what it may not be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    Paid,
    Expired,
    DelayedSuccess,
    DelayedFailure,
    RefundSucceeded,
    RefundFailed,
    RefundFailedLater,
    PartByHand,
    Disputed,
    PaidTwice,
    WrongSum,
}

impl Story {
    const ALL: [Self; 11] = [
        Self::Paid,
        Self::Expired,
        Self::DelayedSuccess,
        Self::DelayedFailure,
        Self::RefundSucceeded,
        Self::RefundFailed,
        Self::RefundFailedLater,
        Self::PartByHand,
        Self::Disputed,
        Self::PaidTwice,
        Self::WrongSum,
    ];

    /// Plays it; `silence` falls before the part of which the shop is to be told nothing.
    async fn plays(self, scene: &Scene, silence: impl Fn()) -> Order {
        let provider = scene.shop.provider();
        let by_hand = |intent: &str, amount| {
            provider.refund_by_hand(intent, DashboardRefund { amount, reason: None }).unwrap();
        };
        match self {
            Self::Paid | Self::Expired | Self::PaidTwice | Self::WrongSum => {
                let order = scene.order().await;
                silence();
                let session = scene.session(&order);
                let wrong = PayTerms { amount: Some(1), ..PayTerms::default() };
                match self {
                    Self::Expired => provider.expire(&session).unwrap(),
                    Self::WrongSum => drop(provider.pay(&session, wrong).unwrap()),
                    _ => drop(provider.pay(&session, PayTerms::default()).unwrap()),
                }
                if self == Self::PaidTwice {
                    provider.pay_again(&session, PayTerms::default()).unwrap();
                }
                order
            }
            Self::DelayedSuccess | Self::DelayedFailure => {
                let order = scene.order().await;
                provider.complete_unpaid(&scene.session(&order), PayTerms::default()).unwrap();
                until("the order waits", async || scene.ada.sees(&order).await.payment.checkout_url.is_none()).await;
                scene.shop.settles().await;
                silence();
                let session = scene.session(&order);
                if self == Self::DelayedSuccess { provider.settle(&session) } else { provider.fail(&session) }.unwrap();
                order
            }
            Self::RefundSucceeded | Self::RefundFailed => {
                let (order, refund) = scene.refund_pending().await;
                silence();
                match self {
                    Self::RefundSucceeded => provider.settle_refund(&refund).unwrap(),
                    _ => provider.fail_refund(&refund, "lost_or_stolen_card").unwrap(),
                }
                order
            }
            Self::RefundFailedLater => {
                let (order, _) = scene.paid().await;
                let _ = scene.admin.refunds(&order).await.expect(202);
                scene.shop.reaches(&order, "PAID REFUNDED").await;
                scene.shop.settles().await;
                silence();
                let refund = provider.refunds().pop().unwrap();
                provider.fail_refund(refund["id"].as_str().unwrap(), "lost_or_stolen_card").unwrap();
                order
            }
            Self::PartByHand | Self::Disputed => {
                let (order, receipt) = scene.paid().await;
                silence();
                match self {
                    Self::PartByHand => by_hand(&receipt.payment_intent, Some(500)),
                    _ => drop(provider.dispute(&receipt.charge, "fraudulent").unwrap()),
                }
                order
            }
        }
    }
}

// --- what lost webhooks leave behind ----------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn after_one_reconciliation_lost_webhooks_have_made_no_difference() {
    for story in Story::ALL {
        let (told, untold) = tokio::join!(Scene::new(), Scene::new());
        let order = story.plays(&told, || ()).await;
        let expected = told.tale(&order).await;
        told.shop.close().await;

        let order = story.plays(&untold, || untold.loses_webhooks()).await;
        untold.grows_old();
        assert_ne!(untold.tale(&order).await, expected, "{story:?} shows without a webhook");
        let report = untold.reconciles(ReconcileMode::Settle).await;
        assert_eq!((&report.unasked, report.orders.len()), (&vec![], 1), "{story:?}");
        // What follows at the provider, refunds and closed sessions, is told by webhooks that get lost as well.
        assert_eq!(untold.tale(&order).await, expected, "{story:?}");
        untold.grows_old();
        let _ = untold.reconciles(ReconcileMode::Settle).await;
        assert_eq!(untold.tale(&order).await, expected, "{story:?}, once more");
        let after = untold.everything().await;
        assert_eq!(untold.reconciles(ReconcileMode::Settle).await.orders.len(), 0, "{story:?} is settled");
        assert_eq!(untold.everything().await, after, "{story:?}");
        untold.shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_keeps_no_event_of_is_found_by_questions() {
    for (story, kind) in [
        (Story::Paid, "session"),
        (Story::Expired, "session"),
        (Story::WrongSum, "session"),
        (Story::DelayedSuccess, "delayed_payment"),
        (Story::DelayedFailure, "delayed_payment"),
        (Story::RefundSucceeded, "refund"),
        (Story::RefundFailed, "refund"),
    ] {
        let (told, untold) = tokio::join!(Scene::new(), Scene::new());
        let order = story.plays(&told, || ()).await;
        let expected = told.tale(&order).await;
        told.shop.close().await;

        let order = story.plays(&untold, || untold.has_no_endpoint()).await;
        untold.grows_old();
        let report = untold.reconciles(ReconcileMode::Settle).await;
        assert_eq!((kinds(&report), &report.unasked), (vec![kind], &vec![]), "{story:?}");
        assert_eq!(untold.tale(&order).await, expected, "{story:?}");
        untold.shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_payment_of_a_cancelled_order_is_asked_for_too_and_goes_back() {
    let scene = Scene::new().await;
    let order = scene.order().await;
    scene.shop.provider().complete_unpaid(&scene.session(&order), PayTerms::default()).unwrap();
    until("the order waits", async || scene.ada.sees(&order).await.payment.checkout_url.is_none()).await;
    let _ = scene.ada.cancels(&order).await.expect(200);
    scene.has_no_endpoint();
    scene.shop.provider().settle(&scene.session(&order)).unwrap();
    scene.grows_old();
    assert_eq!(kinds(&scene.reconciles(ReconcileMode::Settle).await), ["delayed_payment"]);
    scene.shop.settles().await;
    let seen = scene.ada.sees(&order).await;
    assert_eq!((seen.standing().as_str(), seen.extras()), ("CANCELLED PENDING", vec!["LATE succeeded".to_owned()]));
    assert_eq!(scene.shop.provider().refunds().len(), 1);
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_undelivered_events_than_a_page_holds_are_all_taken_in_once() {
    let scene = Scene::new().await;
    let (order, receipt) = scene.paid().await;
    scene.loses_webhooks();
    for _ in 0..120 {
        let part = DashboardRefund { amount: Some(1), reason: None };
        scene.shop.provider().refund_by_hand(&receipt.payment_intent, part).unwrap();
    }
    scene.grows_old();
    let report = scene.reconciles(ReconcileMode::Settle).await;
    assert!(kinds(&report).len() >= 240, "{}", kinds(&report).len());
    assert_eq!(scene.ada.sees(&order).await.payment.refunded_amount, "1.20");
    assert_eq!(scene.ada.sees(&order).await.standing(), "PAID COMPLETED");
    let known = "SELECT count(*) AS n FROM provider_events";
    let before = scene.shop.database.number(known).await;
    assert_eq!(scene.reconciles(ReconcileMode::Settle).await.orders.len(), 0);
    assert_eq!(scene.shop.database.number(known).await, before);
    scene.shop.close().await;
}

// --- what is no drift -------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn what_is_as_it_should_be_is_neither_changed_nor_told() {
    let scene = Scene::new().await;
    let open = scene.order().await;
    let later = scene.ada.orders_to_pay_later(&scene.mug, 1).await;
    let waiting = scene.order().await;
    scene.shop.provider().complete_unpaid(&scene.session(&waiting), PayTerms::default()).unwrap();
    until("the order waits", async || scene.ada.sees(&waiting).await.payment.checkout_url.is_none()).await;
    let _ = scene.refund_pending().await;
    let _ = scene.paid().await;
    scene.shop.settles().await;
    scene.grows_old();
    let (before, writes) = (scene.everything().await, scene.writes_at_the_provider());
    for mode in [ReconcileMode::DryRun, ReconcileMode::Settle] {
        let report = scene.reconciles(mode).await;
        assert_eq!((report.asked, report.orders.len(), report.orderless.len()), (3, 0, 0), "{report:?}");
        assert_eq!(report.unasked, []);
    }
    assert_eq!(scene.everything().await, before);
    assert_eq!(scene.writes_at_the_provider(), writes);
    let still = scene.ada.sees(&open).await;
    assert_eq!(still.payment.checkout_url, open.payment.checkout_url);
    assert_eq!(scene.shop.sessions_of(&later).len(), 0);
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_still_be_under_way_is_left_for_the_next_round() {
    let scene = Scene::new().await;
    scene.loses_webhooks();
    let order = scene.order().await;
    scene.shop.provider().pay(&scene.session(&order), PayTerms::default()).unwrap();
    let asked = scene.shop.provider().requests().len();
    let report = scene.reconciles(ReconcileMode::Settle).await;
    assert_eq!((report.asked, report.orders.len()), (0, 0));
    // It asked for undelivered events alone, and took in none that is so young.
    assert_eq!(scene.shop.provider().requests().len(), asked + 1);
    assert_eq!(scene.ada.sees(&order).await.standing(), "PENDING PENDING");
    scene.grows_old();
    let _ = scene.reconciles(ReconcileMode::Settle).await;
    assert_eq!(scene.ada.sees(&order).await.standing(), "PAID COMPLETED");
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_a_run_would_settle_and_changes_nothing_here_or_there() {
    let scene = Scene::new().await;
    let provider = scene.shop.provider();
    // Of these the shop knows all that there is to know.
    let _ = (scene.order().await, scene.paid().await);
    let (open, waiting) = (scene.order().await, scene.order().await);
    provider.complete_unpaid(&scene.session(&waiting), PayTerms::default()).unwrap();
    until("the order waits", async || scene.ada.sees(&waiting).await.payment.checkout_url.is_none()).await;
    let (disputed, receipt) = scene.paid().await;
    let (refunded, refund) = scene.refund_pending().await;
    let lost = Fault::next(FaultKind::Cut, FaultPhase::BeforeEffect).on("POST", "/v1/checkout/sessions");
    provider.inject(lost.times(usize::MAX));
    let unanswered = scene.order().await;
    scene.shop.provider_comes_back();
    scene.shop.settles().await;
    scene.loses_webhooks();
    provider.pay(&scene.session(&open), PayTerms::default()).unwrap();
    provider.fail(&scene.session(&waiting)).unwrap();
    provider.dispute(&receipt.charge, "fraudulent").unwrap();
    provider.settle_refund(&refund).unwrap();
    scene.grows_old();
    until("the provider is asked again", async || scene.reconciles(ReconcileMode::DryRun).await.unasked.is_empty())
        .await;
    let drifted = [&open, &waiting, &disputed, &refunded, &unanswered];

    let (before, writes) = (scene.everything().await, scene.writes_at_the_provider());
    let dry = scene.reconciles(ReconcileMode::DryRun).await;
    assert_eq!(scene.everything().await, before);
    assert_eq!(scene.writes_at_the_provider(), writes);
    let told: BTreeSet<String> = dry.orders.keys().map(ToString::to_string).collect();
    assert_eq!(told, drifted.into_iter().map(|order| order.id.clone()).collect());

    let settled = scene.reconciles(ReconcileMode::Settle).await;
    assert_eq!(settled.orders.keys().collect::<Vec<_>>(), dry.orders.keys().collect::<Vec<_>>());
    assert_ne!(scene.everything().await, before);
    scene.shop.settles().await;
    assert_eq!(scene.reconciles(ReconcileMode::DryRun).await.orders.len(), 0);
    scene.shop.close().await;
}

// --- sessions that were asked for without an answer -------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_answer_was_lost_is_asked_for_under_the_same_key() {
    for phase in [FaultPhase::BeforeEffect, FaultPhase::AfterEffect] {
        let scene = Scene::whose_first_answer_is_lost(phase).await;
        let order = scene.order().await;
        assert_eq!(order.payment.checkout_url, None);
        scene.shop.provider_comes_back();
        scene.grows_old();
        until("the provider is asked again", async || scene.reconciles(ReconcileMode::Settle).await.unasked.is_empty())
            .await;
        let seen = scene.ada.sees(&order).await;
        assert!(seen.payment.checkout_url.is_some(), "{phase:?}");
        assert_eq!(scene.shop.sessions_of(&order).len(), 1, "{phase:?}");
        let keys = scene.shop.provider().requests().into_iter().filter_map(|request| request.idempotency_key);
        assert_eq!(keys.collect::<BTreeSet<_>>().len(), 1, "{phase:?}");
        scene.ada.pays(&seen).await;
        scene.shop.reaches(&order, "PAID COMPLETED").await;
        scene.shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_order_that_can_not_be_paid_any_more_such_a_session_is_closed() {
    let scene = Scene::whose_first_answer_is_lost(FaultPhase::AfterEffect).await;
    let order = scene.order().await;
    scene.shop.passes(1801);
    scene.shop.provider_comes_back();
    until("the provider is asked again", async || scene.reconciles(ReconcileMode::Settle).await.unasked.is_empty())
        .await;
    assert_eq!(scene.shop.sessions_of(&order)[0]["status"], "expired");
    assert_eq!(scene.ada.sees(&order).await.standing(), "PENDING PENDING", "expiring is the sweep's");
    scene.shop.close().await;
}

// --- when the provider can't be asked ---------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_asked_is_named_and_keeps_nothing_else_from_being_settled() {
    let scene = Scene::new().await;
    let (one, two) = (scene.order().await, scene.order().await);
    scene.has_no_endpoint();
    for order in [&one, &two] {
        scene.shop.provider().pay(&scene.session(order), PayTerms::default()).unwrap();
    }
    scene.grows_old();
    let dumb = format!("/v1/checkout/sessions/{}", scene.session(&one));
    scene
        .shop
        .provider()
        .inject(Fault::next(FaultKind::ServerError, FaultPhase::BeforeEffect).on("GET", &dumb).times(9));
    let report = scene.reconciles(ReconcileMode::Settle).await;
    let unasked: Vec<String> = report.unasked.iter().filter_map(|left| Some(left.order_id?.to_string())).collect();
    assert_eq!(unasked.as_slice(), std::slice::from_ref(&one.id));
    assert!(report.unasked[0].reason.contains(&scene.session(&one)), "{:?}", report.unasked);
    assert_eq!(scene.ada.sees(&two).await.standing(), "PAID COMPLETED");
    assert_eq!(scene.ada.sees(&one).await.standing(), "PENDING PENDING");
    scene.shop.provider_comes_back();
    until("the provider is asked again", async || scene.reconciles(ReconcileMode::Settle).await.unasked.is_empty())
        .await;
    assert_eq!(scene.ada.sees(&one).await.standing(), "PAID COMPLETED");
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_told_to_stop_stops_between_two_questions() {
    let scene = Scene::new().await;
    let order = scene.order().await;
    scene.loses_webhooks();
    scene.shop.provider().pay(&scene.session(&order), PayTerms::default()).unwrap();
    scene.grows_old();
    let asked = scene.shop.provider().requests().len();
    let report = scene.reconciler.reconcile(ReconcileMode::Settle, &|| true).await.unwrap();
    assert!(report.was_cut && report.orders.is_empty());
    assert_eq!(scene.shop.provider().requests().len(), asked);
    let _ = scene.reconciles(ReconcileMode::Settle).await;
    scene.shop.close().await;
}

// --- several instances ------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn of_many_instances_one_has_the_turn() {
    let scene = Scene::new().await;
    let unsettled = &scene.reconciler.unsettled;
    for _ in 0..10 {
        let turns = join_all((0..8).map(|_| unsettled.take_turn(600))).await;
        assert_eq!(turns.into_iter().filter(|turn| *turn.as_ref().unwrap()).count(), 1);
        assert!(!unsettled.take_turn(600).await.unwrap());
        scene.shop.database.run_sql("UPDATE turns SET due_at = now()").await.unwrap();
    }
    assert!(unsettled.take_turn(600).await.unwrap());
    unsettled.prolong_turn(0).await.unwrap();
    assert!(unsettled.take_turn(600).await.unwrap(), "a turn that was put off by nothing is due");
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn running_instances_reconcile_by_themselves() {
    let scene = Scene::with(|plan| {
        plan.never_sweeps();
        plan.instances = 2;
        plan.reconcile_interval = Duration::from_secs(2);
    })
    .await;
    scene.loses_webhooks();
    let order = scene.order().await;
    scene.shop.provider().pay(&scene.session(&order), PayTerms::default()).unwrap();
    scene.grows_old();
    scene.shop.reaches(&order, "PAID COMPLETED").await;
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_reconcile_together_with_webhooks_and_sweeps_settle_everything_once() {
    for instances in [2, 3] {
        let scene = Scene::with(|plan| {
            plan.instances = instances;
            plan.orders.fraud.max_pending_orders = 50;
            plan.connections = 6;
        })
        .await;
        let reconcilers: Vec<Reconciler> = (0..instances).map(|_| scene.shop.reconciler()).collect();
        for round in 0..4 {
            let (mut twice, mut expired, mut late) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..3 {
                twice.push(scene.order().await);
                expired.push(scene.order().await);
                late.push(scene.order().await);
            }
            scene.shop.settles().await;
            scene.shop.provider().hold_webhooks();
            for order in &twice {
                let session = scene.session(order);
                scene.shop.provider().pay(&session, PayTerms::default()).unwrap();
                scene.shop.provider().pay_again(&session, PayTerms::default()).unwrap();
            }
            for order in &late {
                scene.shop.provider().pay(&scene.session(order), PayTerms::default()).unwrap();
                let _ = scene.ada.cancels(order).await;
            }
            // Old enough to be asked about, and for the rest to expire.
            let barrier = Barrier::new(instances + 1);
            scene.shop.passes(1900);
            let reconciling = join_all(reconcilers.iter().map(async |reconciler| {
                barrier.wait().await;
                reconciler.reconcile(ReconcileMode::Settle, &|| false).await.unwrap()
            }));
            let telling = async {
                barrier.wait().await;
                scene.shop.provider().release_webhooks(ReleaseOrder::AsHappened).await;
            };
            let (reports, ()) = tokio::join!(reconciling, telling);
            assert!(reports.iter().all(|report| report.unasked.is_empty()), "round {round}: {reports:?}");
            scene.shop.settles().await;
            for order in &twice {
                let seen = scene.shop.reaches(order, "PAID COMPLETED").await;
                assert_eq!(seen.extras(), ["SECOND succeeded"], "round {round}");
                assert_eq!(seen.story(), [">PENDING CUSTOMER", "PENDING>PAID PROVIDER"], "round {round}");
            }
            for order in &expired {
                let seen = scene.shop.reaches(order, "CANCELLED PENDING").await;
                assert_eq!(seen.story(), [">PENDING CUSTOMER", "PENDING>CANCELLED SYSTEM"], "round {round}");
            }
            for order in &late {
                let seen = scene.admin.sees(order).await;
                let story = seen.story();
                assert_eq!(story.len(), 2, "round {round}: {story:?}");
            }
        }
        // Every receipt went back at most once.
        let refunds = scene.shop.provider().refunds();
        let intents: BTreeSet<String> = refunds.iter().map(|refund| refund["payment_intent"].to_string()).collect();
        assert_eq!(intents.len(), refunds.len());
        scene.shop.close().await;
    }
}

// --- the command ------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_a_line_per_order_and_fails_when_it_could_not_ask() {
    let scene = Scene::new().await;
    let order = scene.order().await;
    scene.has_no_endpoint();
    scene.shop.provider().pay(&scene.session(&order), PayTerms::default()).unwrap();
    // The command goes by the machine's clock.
    let older = "UPDATE checkout_attempts SET created_at = created_at - interval '1 minute'";
    scene.shop.database.run_sql(older).await.unwrap();
    let app = AppSettings::new(scene.shop.database.url_text().to_owned(), scene.shop.stripe.base_url().to_owned());

    let dry = app.run_with(&["reconcile", "--dry-run"]).await;
    let line = format!("{} would settle: session {} is paid", order.id, scene.session(&order));
    let printed = String::from_utf8(dry.stdout).unwrap();
    assert!(dry.status.success() && printed.lines().any(|told| told == line), "{printed}");
    assert_eq!(scene.ada.sees(&order).await.standing(), "PENDING PENDING");

    scene.shop.provider_goes_down();
    let deaf = app.run_with(&["reconcile"]).await;
    let complaint = String::from_utf8(deaf.stderr).unwrap();
    assert_eq!(deaf.status.code(), Some(1));
    assert!(complaint.contains(&order.id) && complaint.contains("undelivered events"), "{complaint}");
    assert_eq!(scene.ada.sees(&order).await.standing(), "PENDING PENDING");

    scene.shop.provider_comes_back();
    let run = app.run_with(&["reconcile"]).await;
    let printed = String::from_utf8(run.stdout).unwrap();
    let line = line.replace("would settle", "settled");
    assert!(run.status.success() && printed.lines().any(|told| told == line), "{printed}");
    assert_eq!(scene.ada.sees(&order).await.standing(), "PAID COMPLETED");
    let again = app.run_with(&["reconcile"]).await;
    assert_eq!(String::from_utf8(again.stdout).unwrap().lines().count(), 1, "the summary alone");
    scene.shop.close().await;
}
