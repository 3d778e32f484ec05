//! Races on a real PostgreSQL: many at once, behind a barrier, with one right end. The books are checked when the shop
//! closes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ironcart_tests::actors::Customer;
use ironcart_tests::events::{about, event, paid_session};
use ironcart_tests::http::Reply;
use ironcart_tests::shop::TestShop;
use ironcart_tests::wait::until;
use ironcart_tests::wire::{Order, Product};
use serde_json::json;
use stripe_simulator::{DashboardRefund, NextRefund, PayTerms, RefundStatus, ReleaseOrder};
use tokio::sync::Barrier;

/// Runs all at the same moment.
async fn at_once<T: Send + 'static>(
    runs: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let runs: Vec<_> = runs.into_iter().collect();
    let barrier = Arc::new(Barrier::new(runs.len()));
    let started = runs.into_iter().map(|run| {
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move {
            barrier.wait().await;
            run.await
        })
    });
    join_all(started).await.into_iter().map(Result::unwrap).collect()
}

/// How often each verdict fell.
fn verdicts(replies: &[Reply]) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for reply in replies {
        *count.entry(reply.verdict()).or_default() += 1;
    }
    count
}

fn counted<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected.into_iter().map(|(verdict, count)| (verdict.to_owned(), count)).collect()
}

fn checking_out(customer: &Customer) -> impl Future<Output = Reply> + Send + 'static {
    let customer = customer.clone();
    async move { customer.checks_out_with(json!({ "payNow": false })).await }
}

fn cancelling(customer: &Customer, order: &Order) -> impl Future<Output = Reply> + Send + 'static {
    let (customer, order) = (customer.clone(), order.clone());
    async move { customer.cancels(&order).await }
}

async fn fill(customers: &[Customer], cart: impl Fn(usize) -> Vec<Product>) {
    let filling = customers.iter().enumerate().map(|(number, customer)| {
        let cart = cart(number);
        async move {
            for product in cart {
                let _ = customer.adds(&product, 1).await.expect(200);
            }
        }
    });
    join_all(filling).await;
}

// --- stock ------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_customers_after_the_last_unit_one_gets_it() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let last = admin.sells("The last one", "10.00", 1).await;
    let customers = shop.customers(100).await;
    fill(&customers, |_| vec![last.clone()]).await;
    let replies = at_once(customers.iter().map(checking_out)).await;
    assert_eq!(verdicts(&replies), counted([("ok", 1), ("insufficient_stock", 99)]));
    assert_eq!(admin.counts(&last).await, 0);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_buyers_of_two_products_in_crossed_order_meet_no_deadlock() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let (mug, cup) = (admin.sells("Mug", "10.00", 50).await, admin.sells("Cup", "4.00", 50).await);
    let customers = shop.customers(200).await;
    let crossed = |number: usize| {
        if number.is_multiple_of(2) { vec![mug.clone(), cup.clone()] } else { vec![cup.clone(), mug.clone()] }
    };
    fill(&customers, crossed).await;
    let replies = at_once(customers.iter().map(checking_out)).await;
    assert_eq!(verdicts(&replies), counted([("ok", 50), ("insufficient_stock", 150)]));
    assert_eq!((admin.counts(&mug).await, admin.counts(&cup).await), (0, 0));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buyers_admins_and_cancellations_on_the_same_products_meet_no_deadlock() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let (mug, cup) = (admin.sells("Mug", "10.00", 500).await, admin.sells("Cup", "4.00", 500).await);
    let customers = shop.customers(40).await;
    let crossed = |number: usize| {
        if number.is_multiple_of(2) { vec![mug.clone(), cup.clone()] } else { vec![cup.clone(), mug.clone()] }
    };
    fill(&customers, crossed).await;
    let lives = customers.into_iter().enumerate().map(|(number, customer)| {
        let (admin, mug, cup) = (admin.clone(), mug.clone(), cup.clone());
        async move {
            let order = customer.checks_out_with(json!({ "payNow": false })).await.expect(201).order();
            let product = if number.is_multiple_of(2) { &mug } else { &cup };
            let adjustment = json!({ "delta": 1, "reason": "found one more" });
            let path = format!("/products/{}/stock-adjustments", product.id);
            let adjusting = admin.http.post(&path, adjustment);
            let editing = admin.changes(product, json!({ "price": "5.00" }));
            let filling = customer.adds(product, 1);
            let (cancelled, adjusted, edited, filled) =
                tokio::join!(customer.cancels(&order), adjusting, editing, filling);
            [cancelled.status, adjusted.status, edited.status, filled.status]
        }
    });
    for statuses in at_once(lives).await {
        assert_eq!(statuses, [200, 201, 200, 200]);
    }
    assert_eq!(admin.counts(&mug).await + admin.counts(&cup).await, 1040);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_cart_ordered_twenty_times_at_once_is_one_order() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 100).await;
    for ada in shop.customers(5).await {
        let _ = ada.adds(&mug, 2).await.expect(200);
        let replies = at_once((0..20).map(|_| checking_out(&ada))).await;
        assert_eq!(verdicts(&replies), counted([("ok", 1), ("cart_empty", 19)]));
    }
    assert_eq!(admin.counts(&mug).await, 90);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_order_cancelled_twenty_times_at_once_gives_its_stock_back_once() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 100).await;
    for ada in shop.customers(5).await {
        let order = ada.orders(&[(&mug, 3)]).await;
        let boss = Customer { id: admin.id.clone(), http: admin.http.clone() };
        let actors = (0..20).map(|number| if number % 4 == 0 { &boss } else { &ada });
        let replies = at_once(actors.map(|actor| cancelling(actor, &order))).await;
        assert_eq!(verdicts(&replies), counted([("ok", 1), ("invalid_transition", 19)]));
        assert_eq!(admin.counts(&mug).await, 100);
    }
    shop.close().await;
}

// --- caps -------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_orders_at_once_the_cap_lets_five_through() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    // A product for each: nothing but the customer's own lock keeps the orders apart.
    let mut products = Vec::new();
    for number in 0..20 {
        products.push(admin.sells(&format!("Mug {number}"), "10.00", 10_000).await);
    }
    for ada in shop.customers(3).await {
        let buying = products.iter().map(|product| {
            let (ada, product) = (ada.clone(), product.clone());
            async move {
                // Whoever finds the cart emptied by another fills it again.
                loop {
                    let _ = ada.adds(&product, 1).await.expect(200);
                    let reply = ada.checks_out_with(json!({ "payNow": false })).await;
                    if reply.verdict() != "cart_empty" {
                        return reply;
                    }
                }
            }
        });
        let replies = at_once(buying).await;
        assert_eq!(verdicts(&replies), counted([("ok", 5), ("pending_order_limit", 15)]));
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_five_cancellations_at_once_the_cap_lets_three_through() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    for ada in shop.customers(5).await {
        let mut orders = Vec::new();
        for _ in 0..5 {
            orders.push(ada.orders_to_pay_later(&mug, 1).await);
        }
        let replies = at_once(orders.iter().map(|order| cancelling(&ada, order))).await;
        assert_eq!(verdicts(&replies), counted([("ok", 3), ("daily_cancellation_limit", 2)]));
    }
    shop.close().await;
}

// --- paying -----------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn ten_payments_started_at_once_share_one_session() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    for ada in shop.customers(5).await {
        let order = ada.orders_to_pay_later(&mug, 1).await;
        let starting = (0..10).map(|_| {
            let (ada, order) = (ada.clone(), order.clone());
            async move { ada.starts_payment(&order).await }
        });
        let replies = at_once(starting).await;
        let sessions = shop.sessions_of(&order);
        assert_eq!(sessions.len(), 1);
        for reply in replies {
            assert_eq!(reply.expect(200).json()["checkoutUrl"], sessions[0]["url"]);
        }
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_started_while_the_last_session_expires_open_one_new_one() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    for ada in shop.customers(5).await {
        let order = ada.orders(&[(&mug, 1)]).await;
        shop.provider().expire(&shop.session_of(&order)).unwrap();
        let starting = (0..6).map(|_| {
            let (ada, order) = (ada.clone(), order.clone());
            async move { ada.starts_payment(&order).await }
        });
        let replies = at_once(starting).await;
        assert_eq!(verdicts(&replies), counted([("ok", 6)]));
        assert_eq!(shop.sessions_of(&order).len(), 2);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_session_told_fifty_times_at_once_pays_once() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    let ada = shop.customer().await;
    for round in 0..4_u32 {
        let order = ada.orders(&[(&mug, 1)]).await;
        let session = shop.session_of(&order);
        shop.provider().hold_webhooks();
        shop.provider().pay(&session, PayTerms::default()).unwrap();
        // The same session, once said to be complete and once to have expired: the money has the last word.
        let completed = event("checkout.session.completed", &shop.provider().session(&session).unwrap());
        let expired = json!({ "id": session, "client_reference_id": order.id });
        let expired = event("checkout.session.expired", &expired);
        let tellings =
            (0..50).map(|number| if (number + round) % 5 == 4 { expired.clone() } else { completed.clone() });
        let shop_hears = tellings.map(|event| shop.hears_later(event));
        let replies = at_once(shop_hears).await;
        assert_eq!(verdicts(&replies), counted([("ok", 50)]));
        let seen = ada.sees(&order).await;
        assert_eq!((seen.standing().as_str(), seen.extras()), ("PAID COMPLETED", vec![]));
        assert_eq!(seen.story(), [">PENDING CUSTOMER", "PENDING>PAID PROVIDER"]);
        shop.provider().release_webhooks(ReleaseOrder::AsHappened).await;
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_of_one_order_told_at_once_pay_it_once_and_the_others_go_back() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    let ada = shop.customer().await;
    for _ in 0..4 {
        let order = ada.orders(&[(&mug, 1)]).await;
        let session = shop.session_of(&order);
        shop.provider().hold_webhooks();
        shop.provider().pay(&session, PayTerms::default()).unwrap();
        for _ in 0..5 {
            shop.provider().pay_again(&session, PayTerms::default()).unwrap();
        }
        let completed: Vec<_> = shop.sessions_of(&order);
        let tellings = completed.iter().map(|session| shop.hears_later(event("checkout.session.completed", session)));
        let replies = at_once(tellings).await;
        assert_eq!(verdicts(&replies), counted([("ok", 6)]));
        shop.provider().release_webhooks(ReleaseOrder::AsHappened).await;
        shop.settles().await;
        let seen = ada.sees(&order).await;
        assert_eq!(
            (seen.standing().as_str(), seen.extras()),
            ("PAID COMPLETED", vec!["SECOND succeeded".to_owned(); 5])
        );
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_told_together_with_its_payment_always_flags_the_order() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    for round in 0..20 {
        let ada = shop.customer().await;
        let order = ada.orders(&[(&mug, 1)]).await;
        let intent = format!("pi_round_{round}");
        let paid = paid_session(&order, &format!("cs_test_{round}"), &intent);
        let paid = event("checkout.session.completed", &paid);
        let dispute = about("dispute", &intent);
        let dispute = event("charge.dispute.created", &dispute);
        let replies = at_once([shop.hears_later(paid), shop.hears_later(dispute)]).await;
        assert_eq!(verdicts(&replies), counted([("ok", 2)]));
        let seen = ada.sees(&order).await;
        assert_eq!((seen.standing().as_str(), seen.flags), ("PAID COMPLETED", vec!["DISPUTED".to_owned()]));
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_against_a_payment_never_keeps_the_money_of_a_cancelled_order() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 1000).await;
    let customers = shop.customers(50).await;
    let mut orders = Vec::new();
    for customer in &customers {
        orders.push(customer.orders(&[(&mug, 1)]).await);
    }
    let mut verdicts = Vec::new();
    for (round, (customer, order)) in customers.iter().zip(&orders).enumerate() {
        let session = shop.session_of(order);
        let paying = async {
            // A little later in every round, so that the two meet at every point of their ways.
            tokio::time::sleep(Duration::from_micros(150 * round as u64)).await;
            let _ = shop.provider().pay(&session, PayTerms::default());
        };
        verdicts.push(tokio::join!(customer.cancels(order), paying).0.verdict());
    }
    shop.settles().await;
    let mut kept = 0;
    for ((customer, order), verdict) in customers.iter().zip(&orders).zip(verdicts) {
        let seen = customer.sees(order).await;
        let was_paid = shop.sessions_of(order)[0]["payment_status"] == "paid";
        let (standing, extras) = match (verdict.as_str(), was_paid) {
            ("ok", true) => ("CANCELLED PENDING", vec!["LATE succeeded".to_owned()]),
            ("ok", false) => ("CANCELLED PENDING", vec![]),
            ("order_already_paid", true) => ("PAID COMPLETED", vec![]),
            other => panic!("{other:?}"),
        };
        assert_eq!((seen.standing().as_str(), seen.extras()), (standing, extras));
        kept += i64::from(verdict != "ok");
    }
    assert_eq!(admin.counts(&mug).await, 1000 - kept);
    shop.close().await;
}

// --- expiry and fulfilment --------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn three_instances_that_sweep_give_the_stock_back_once() {
    let shop = TestShop::with(|plan| {
        plan.instances = 3;
        plan.sweep_interval = Duration::from_millis(5);
    })
    .await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 1000).await;
    let customers = shop.customers(10).await;
    for customer in &customers {
        for _ in 0..5 {
            let _ = customer.orders_to_pay_later(&mug, 1).await;
        }
    }
    assert_eq!(admin.counts(&mug).await, 950);
    shop.passes(1801);
    until("all have expired", async || {
        // Leases would keep the instances apart: without them they meet at the orders' locks.
        shop.lets_leases_run_out().await;
        shop.database.number("SELECT count(*) AS n FROM orders WHERE status = 'PENDING'").await == 0
    })
    .await;
    assert_eq!(admin.counts(&mug).await, 1000);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_against_cancellation_gives_the_stock_back_once() {
    let shop = TestShop::with(|plan| {
        plan.instances = 2;
        plan.sweep_interval = Duration::from_millis(5);
    })
    .await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 1000).await;
    let customers = shop.customers(30).await;
    let mut orders = Vec::new();
    for customer in &customers {
        orders.push(customer.orders_to_pay_later(&mug, 1).await);
    }
    shop.passes(1801);
    let replies = at_once(customers.iter().zip(&orders).map(|(customer, order)| cancelling(customer, order))).await;
    assert!(replies.iter().all(|reply| ["ok", "invalid_transition"].contains(&reply.verdict().as_str())));
    let pending = "SELECT count(*) AS n FROM orders WHERE status = 'PENDING'";
    until("none is left", async || shop.database.number(pending).await == 0).await;
    let by_customer = replies.iter().filter(|reply| reply.verdict() == "ok").count();
    let recorded = shop.database.number("SELECT count(*) AS n FROM orders WHERE cancelled_by = 'CUSTOMER'").await;
    assert_eq!(i64::try_from(by_customer).unwrap(), recorded);
    assert_eq!(admin.counts(&mug).await, 1000);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_against_payment_keeps_the_order_or_gives_the_money_back() {
    let shop = TestShop::with(|plan| {
        plan.instances = 2;
        plan.sweep_interval = Duration::from_millis(5);
        plan.orders.payment_window_seconds = 60;
    })
    .await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 1000).await;
    let customers = shop.customers(20).await;
    let mut orders = Vec::new();
    for customer in &customers {
        orders.push(customer.orders(&[(&mug, 1)]).await);
    }
    shop.passes(61);
    for order in &orders {
        // Refused if the sweep has closed the session already.
        let _ = shop.provider().pay(&shop.session_of(order), PayTerms::default());
    }
    let pending = "SELECT count(*) AS n FROM orders WHERE status = 'PENDING'";
    until("none is left", async || shop.database.number(pending).await == 0).await;
    shop.settles().await;
    let mut paid = 0;
    for (customer, order) in customers.iter().zip(&orders) {
        let seen = customer.sees(order).await;
        let was_paid = shop.sessions_of(order)[0]["payment_status"] == "paid";
        // Closing the session tells the sweep of the money, so an order that was paid in time for that is kept.
        assert_eq!(seen.status, if was_paid { "PAID" } else { "CANCELLED" });
        paid += i64::from(was_paid);
    }
    assert_eq!(admin.counts(&mug).await, 1000 - paid);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_shipping_and_cancelling_at_once_one_happens() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 100).await;
    let ada = shop.customer().await;
    let mut shipped = 0;
    for _ in 0..15 {
        let order = ada.orders(&[(&mug, 1)]).await;
        ada.pays(&order).await;
        shop.reaches(&order, "PAID COMPLETED").await;
        let change = |ship: bool| {
            let (admin, order) = (admin.clone(), order.clone());
            async move { if ship { admin.ships(&order).await } else { admin.cancels(&order).await } }
        };
        let replies = at_once([true, false, true, false].map(change)).await;
        assert_eq!(verdicts(&replies), counted([("ok", 1), ("invalid_transition", 3)]));
        shipped += i64::from(ada.sees(&order).await.status == "SHIPPED");
    }
    assert_eq!(admin.counts(&mug).await, 100 - shipped);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_shipping_and_refunding_at_once_a_refunded_order_is_never_shipped_later() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 100).await;
    let ada = shop.customer().await;
    for _ in 0..10 {
        let order = ada.orders(&[(&mug, 1)]).await;
        ada.pays(&order).await;
        shop.reaches(&order, "PAID COMPLETED").await;
        let change = |ship: bool| {
            let (admin, order) = (admin.clone(), order.clone());
            async move { if ship { admin.ships(&order).await } else { admin.refunds(&order).await } }
        };
        let replies = at_once([true, false].map(change)).await;
        assert_eq!(replies[1].status, 202);
        assert!(["ok", "invalid_transition"].contains(&replies[0].verdict().as_str()));
        admin.ships(&order).await.is_problem(409, "invalid_transition");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_refunds_of_one_order_at_once_are_one() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 100).await;
    let ada = shop.customer().await;
    for round in 1..=5 {
        let order = ada.orders(&[(&mug, 1)]).await;
        ada.pays(&order).await;
        shop.reaches(&order, "PAID COMPLETED").await;
        shop.settles().await;
        let refunding = (0..10).map(|_| {
            let (admin, order) = (admin.clone(), order.clone());
            async move { admin.refunds(&order).await }
        });
        let replies = at_once(refunding).await;
        assert_eq!(verdicts(&replies), counted([("ok", 1), ("order_not_refundable", 9)]));
        shop.reaches(&order, "PAID REFUNDED").await;
        shop.settles().await;
        assert_eq!(shop.provider().refunds().len(), round);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_by_hand_against_refunds_by_the_shop_never_give_back_more_than_came_in() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 100).await;
    let ada = shop.customer().await;
    for _ in 0..10 {
        let order = ada.orders(&[(&mug, 1)]).await;
        let receipt = shop.provider().pay(&shop.session_of(&order), PayTerms::default()).unwrap();
        shop.reaches(&order, "PAID COMPLETED").await;
        let provider = shop.provider().clone();
        let by_hand = async move {
            for _ in 0..3 {
                let part = DashboardRefund { amount: Some(200), reason: None };
                let _ = provider.refund_by_hand(&receipt.payment_intent, part);
            }
        };
        let (reply, ()) = tokio::join!(admin.refunds(&order), by_hand);
        assert_eq!(reply.status, 202, "{}", reply.text);
        shop.settles().await;
        let seen = ada.sees(&order).await;
        assert_eq!((seen.standing().as_str(), seen.payment.refunded_amount.as_str()), ("PAID REFUNDED", "10.00"));
        assert_eq!(seen.flags, Vec::<String>::new());
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_refund_retried_by_many_admins_at_once_is_asked_for_once() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 100).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    ada.pays(&order).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    let failing = NextRefund { status: RefundStatus::Failed, failure_reason: "declined".into() };
    shop.provider().plan_next_refund(failing);
    let _ = admin.refunds(&order).await.expect(202);
    shop.reaches(&order, "PAID REFUND_FAILED").await;
    shop.settles().await;
    let refunding = (0..10).map(|_| {
        let (admin, order) = (admin.clone(), order.clone());
        async move { admin.refunds(&order).await }
    });
    let replies = at_once(refunding).await;
    assert_eq!(verdicts(&replies), counted([("ok", 1), ("order_not_refundable", 9)]));
    shop.reaches(&order, "PAID REFUNDED").await;
    shop.settles().await;
    assert_eq!(shop.provider().refunds().len(), 2);
    shop.close().await;
}
