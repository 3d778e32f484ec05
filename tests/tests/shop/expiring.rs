//! Orders that are not paid in time (contract 3.7 to 3.9): their stock goes back once, their session is closed first,
//! and money that is found there counts.

use ironcart_tests::shop::TestShop;
use ironcart_tests::wait::until;
use stripe_simulator::{PayTerms, ReleaseOrder};

/// A second more than the payment window.
const WINDOW: i64 = 1801;

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_order_expires_its_stock_goes_back_and_its_session_is_closed() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 2)]).await;
    shop.passes(WINDOW);
    let expired = shop.reaches(&order, "CANCELLED PENDING").await;
    assert_eq!((expired.cancelled_by.as_deref(), expired.payment.checkout_url.as_deref()), (Some("SYSTEM"), None));
    assert_eq!(expired.story(), [">PENDING CUSTOMER", "PENDING>CANCELLED SYSTEM"]);
    assert_eq!(expired.history[1].actor_id, None);
    assert_eq!(admin.counts(&mug).await, 5);
    // The provider would have let it be paid for almost a minute more.
    assert_eq!(shop.sessions_of(&order)[0]["status"], "expired");
    ada.starts_payment(&order).await.is_problem(409, "order_not_payable");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_stands_until_its_window_ends() {
    let shop = TestShop::with(|plan| plan.orders.payment_window_seconds = 600).await;
    let mug = shop.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let early = ada.orders_to_pay_later(&mug, 1).await;
    shop.passes(300);
    let late = ada.orders_to_pay_later(&mug, 1).await;
    shop.passes(301);
    shop.reaches(&early, "CANCELLED PENDING").await;
    // The sweep that took the one left the other.
    assert_eq!(ada.sees(&late).await.standing(), "PENDING PENDING");
    let _ = ada.starts_payment(&late).await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_never_to_be_paid_by_now_expires_as_well() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let later = ada.orders_to_pay_later(&mug, 1).await;
    let declined = ada.orders(&[(&mug, 1)]).await;
    ada.presses("decline", &declined).await;
    let failed = ada.orders(&[(&mug, 1)]).await;
    ada.presses("pay-later", &failed).await;
    shop.provider().fail(&shop.session_of(&failed)).unwrap();
    shop.reaches(&failed, "PENDING FAILED").await;
    shop.passes(WINDOW);
    shop.reaches(&later, "CANCELLED PENDING").await;
    shop.reaches(&declined, "CANCELLED PENDING").await;
    shop.reaches(&failed, "CANCELLED FAILED").await;
    assert_eq!(admin.counts(&mug).await, 5);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_paid_by_a_lost_webhook_is_settled_instead_of_cancelled() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 2)]).await;
    shop.provider().drop_webhooks(usize::MAX, None);
    ada.pays(&order).await;
    shop.passes(WINDOW);
    let paid = shop.reaches(&order, "PAID COMPLETED").await;
    assert_eq!(paid.story(), [">PENDING CUSTOMER", "PENDING>PAID PROVIDER"]);
    assert_eq!(admin.counts(&mug).await, 3);
    shop.close().await;
}

/// A window so short that a session, which lives for half an hour, would still be open after window and grace.
async fn shop_with_a_short_window() -> TestShop {
    TestShop::with(|plan| plan.orders.payment_window_seconds = 60).await
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_waits_for_a_silent_provider_but_not_longer_than_its_grace() {
    let shop = shop_with_a_short_window().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    shop.provider_goes_down();
    shop.passes(61);
    let waits = "SELECT count(*) AS n FROM orders WHERE sweep_lease_until < now() + interval '15 seconds'";
    until("the sweep has looked at the order", async || shop.database.number(waits).await == 1).await;
    assert_eq!(ada.sees(&order).await.standing(), "PENDING PENDING");

    shop.passes(600);
    shop.lets_leases_run_out().await;
    shop.reaches(&order, "CANCELLED PENDING").await;
    assert_eq!(admin.counts(&mug).await, 5);
    assert_eq!(shop.sessions_of(&order)[0]["status"], "open");
    shop.provider_comes_back();
    shop.settles().await;
    assert_eq!(shop.sessions_of(&order)[0]["status"], "expired");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_came_while_the_provider_was_silent_goes_back() {
    let shop = shop_with_a_short_window().await;
    let mug = shop.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    shop.provider_goes_down();
    shop.provider().hold_webhooks();
    shop.provider().pay(&shop.session_of(&order), PayTerms::default()).unwrap();
    shop.passes(661);
    shop.reaches(&order, "CANCELLED PENDING").await;
    shop.provider().release_webhooks(ReleaseOrder::AsHappened).await;
    shop.provider_comes_back();
    shop.settles().await;
    let seen = ada.sees(&order).await;
    assert_eq!((seen.standing().as_str(), seen.extras()), ("CANCELLED PENDING", vec!["LATE succeeded".to_owned()]));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_for_a_delayed_payment_does_not_expire_with_its_window() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 9).await;
    let ada = shop.customer().await;
    let waiting = ada.orders(&[(&mug, 1)]).await;
    ada.presses("pay-later", &waiting).await;
    until("the order waits", async || ada.sees(&waiting).await.payment.checkout_url.is_none()).await;
    let other = ada.orders_to_pay_later(&mug, 1).await;
    shop.passes(WINDOW);
    shop.reaches(&other, "CANCELLED PENDING").await;
    assert_eq!(ada.sees(&waiting).await.standing(), "PENDING PENDING");
    shop.provider().settle(&shop.session_of(&waiting)).unwrap();
    shop.reaches(&waiting, "PAID COMPLETED").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_wait_for_a_delayed_payment_is_over_the_provider_is_asked() {
    let shop = TestShop::with(|plan| plan.orders.async_wait_seconds = 3600).await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 9).await;
    let ada = shop.customer().await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let order = ada.orders(&[(&mug, 1)]).await;
        ada.presses("pay-later", &order).await;
        until("the order waits", async || ada.sees(&order).await.payment.checkout_url.is_none()).await;
        orders.push(order);
    }
    // What became of two of them never reached the shop.
    shop.provider().drop_webhooks(usize::MAX, None);
    shop.provider().settle(&shop.session_of(&orders[0])).unwrap();
    shop.provider().fail(&shop.session_of(&orders[1])).unwrap();
    shop.passes(3601);
    shop.reaches(&orders[0], "PAID COMPLETED").await;
    shop.reaches(&orders[1], "CANCELLED FAILED").await;
    let unpaid = shop.reaches(&orders[2], "CANCELLED PENDING").await;
    assert_eq!(unpaid.cancelled_by.as_deref(), Some("SYSTEM"));
    assert_eq!(admin.counts(&mug).await, 8);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_delayed_payment_failed_after_its_window_expires() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 9).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    ada.presses("pay-later", &order).await;
    until("the order waits", async || ada.sees(&order).await.payment.checkout_url.is_none()).await;
    shop.passes(WINDOW);
    shop.provider().fail(&shop.session_of(&order)).unwrap();
    shop.reaches(&order, "CANCELLED FAILED").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_opened_in_the_last_minute_outlives_the_order_and_is_closed_with_it() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 9).await;
    let ada = shop.customer().await;
    let order = ada.orders_to_pay_later(&mug, 1).await;
    shop.passes(1740);
    let start = ada.starts_payment(&order).await.expect(200).json();
    let outlives = |moment: &str| moment > order.expires_at.as_str();
    assert!(start["expiresAt"].as_str().is_some_and(outlives), "{start}");
    shop.passes(61);
    shop.reaches(&order, "CANCELLED PENDING").await;
    assert_eq!(shop.sessions_of(&order)[0]["status"], "expired");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_orders_make_room_for_new_ones() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 9).await;
    let ada = shop.customer().await;
    for _ in 0..5 {
        let _ = ada.orders_to_pay_later(&mug, 1).await;
    }
    let _ = ada.adds(&mug, 1).await.expect(200);
    ada.checks_out().await.is_problem(429, "pending_order_limit");
    shop.passes(WINDOW);
    until("the orders have expired", async || ada.checks_out().await.status == 201).await;
    shop.close().await;
}
