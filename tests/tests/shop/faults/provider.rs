//! Stripe's bad days: each kind of call fails in each way, before and after its effect, while people order, pay and
//! cancel. Once it is well again, everything has come to the one right end: no order has two open sessions, and money
//! went back exactly once.

use std::time::Duration;

use ironcart_tests::load::LoadPlan;
use ironcart_tests::shop::TestShop;
use ironcart_tests::trials;
use ironcart_tests::wait::until;
use ironcart_tests::wire::Product;
use stripe_simulator::{DashboardRefund, Fault, FaultKind, FaultPhase};

use super::{load_in, shop};

/// Every kind of call that the shop makes.
const CALLS: [(&str, &str); 5] = [
    ("POST", "/v1/checkout/sessions"),
    ("GET", "/v1/checkout/sessions/cs_*"),
    ("POST", "/v1/checkout/sessions/*/expire"),
    ("POST", "/v1/refunds"),
    ("GET", "/v1/refunds"),
];

/// How often each call fails in a row: more often than it is tried at once.
const TIMES: usize = 7;

/// A refund made by hand at the provider, of which the shop does not know yet when its admin refunds: the call is
/// refused, and the shop looks at what there is.
async fn refunds_twice(shop: &TestShop, mug: &Product) {
    let (admin, customer) = (shop.admin().await, shop.customer().await);
    let order = customer.orders_to_pay_later(mug, 1).await;
    let page = async || customer.starts_payment(&order).await.json()["checkoutUrl"].as_str().map(str::to_owned);
    let page = ironcart_tests::wait::until_some("a page to pay on", page).await;
    let _ = shop.anonymous.press(&format!("{page}/pay")).await.expect(303);
    let _ = shop.reaches(&order, "PAID COMPLETED").await;
    let paid = shop.sessions_of(&order).into_iter().find(|session| session["payment_status"] == "paid").unwrap();
    let intent = paid["payment_intent"].as_str().unwrap();
    shop.provider().refund_by_hand(intent, DashboardRefund::default()).unwrap();
    // Late for the news of it, which is on its way: then there is nothing left to refund.
    let answer = admin.refunds(&order).await;
    assert!(matches!(answer.status, 202 | 409), "{}", answer.text);
}

async fn survives(kind: FaultKind, phase: FaultPhase) {
    let shop = shop(|plan| {
        plan.calls.try_timeout = Duration::from_millis(250);
        plan.calls.call_timeout = Duration::from_millis(1_500);
    })
    .await;
    let mug = shop.sells("Bowl", "7.00", 1_000).await;
    // News that comes late is what calls at cross purposes are made of.
    shop.provider().delay_webhooks(Duration::from_millis(250));
    let seed = trials::printed_seed();
    let load = load_in(&shop, LoadPlan { seed, ..LoadPlan::default() }).await;
    for _ in 0..trials::cases(1, 6) {
        load.goes_on_for(5).await;
        for (method, path) in CALLS {
            shop.provider().inject(Fault::next(kind, phase).times(TIMES).on(method, path));
        }
        load.goes_on_for(10).await;
        until("every kind of call has failed", async || {
            refunds_twice(&shop, &mug).await;
            let hurry = "UPDATE tasks SET due_at = now() WHERE finished_at IS NULL";
            shop.database.run_sql(hurry).await.unwrap();
            shop.provider().pending_faults().is_empty()
        })
        .await;
    }
    load.goes_on_for(5).await;
    let told = load.ends().await;
    eprintln!("{kind:?} {phase:?}: {}", told.summary());
    assert_eq!(told.answers.hung, 0);
    told.is_kept(&shop.database, shop.provider(), shop.plan()).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_500_is_asked_again() {
    survives(FaultKind::ServerError, FaultPhase::BeforeEffect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_it_and_answers_500_does_it_once() {
    survives(FaultKind::ServerError, FaultPhase::AfterEffect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_429_is_asked_again() {
    survives(FaultKind::LockTimeout, FaultPhase::BeforeEffect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_costs_nobody_their_answer() {
    survives(FaultKind::Hang { ms: 600 }, FaultPhase::BeforeEffect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_it_and_hangs_does_it_once() {
    survives(FaultKind::Hang { ms: 600 }, FaultPhase::AfterEffect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_before_the_effect_is_asked_again() {
    survives(FaultKind::Cut, FaultPhase::BeforeEffect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_after_the_effect_does_it_once() {
    survives(FaultKind::Cut, FaultPhase::AfterEffect).await;
}
