//! Calling orders off (contract 3, "Order", and 3.3): who may, what comes back, and that nobody can pay afterwards.

use ironcart_tests::shop::TestShop;
use ironcart_tests::wait::until;
use serde_json::json;
use stripe_simulator::{DashboardRefund, Fault, FaultKind, FaultPhase, NextRefund, RefundStatus};

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_calls_off_an_unpaid_order() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 2)]).await;
    assert_eq!(admin.counts(&mug).await, 3);

    let body = json!({ "reason": "  changed my mind " });
    let cancelled = ada.http.post(&format!("/orders/{}/cancel", order.id), body).await.expect(200).order();
    assert_eq!(cancelled.status, "CANCELLED");
    assert_eq!(cancelled.cancelled_by.as_deref(), Some("CUSTOMER"));
    assert_eq!(cancelled.cancel_reason.as_deref(), Some("changed my mind"));
    assert_eq!(cancelled.payment.checkout_url, None);
    assert_eq!(cancelled.story(), [">PENDING CUSTOMER", "PENDING>CANCELLED CUSTOMER"]);
    assert_eq!(admin.counts(&mug).await, 5);
    shop.settles().await;
    assert_eq!(shop.sessions_of(&order)[0]["status"], "expired");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_cancellation_is_refused_and_restocks_nothing() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 2)]).await;
    let _ = ada.cancels(&order).await.expect(200);
    for again in [ada.cancels(&order).await, admin.cancels(&order).await] {
        let refused = again.is_problem(409, "invalid_transition");
        assert_eq!((&refused["from"], &refused["to"]), (&json!("CANCELLED"), &json!("CANCELLED")));
    }
    assert_eq!(admin.counts(&mug).await, 5);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_can_not_call_off_what_is_paid() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    ada.pays(&order).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    ada.cancels(&order).await.is_problem(409, "order_already_paid");
    let _ = admin.ships(&order).await.expect(200);
    ada.cancels(&order).await.is_problem(409, "order_already_paid");
    let _ = admin.delivers(&order).await.expect(200);
    ada.cancels(&order).await.is_problem(409, "order_already_paid");
    ada.starts_payment(&order).await.is_problem(409, "order_already_paid");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_calls_off_a_paid_order_and_its_money_and_stock_go_back() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 2)]).await;
    ada.pays(&order).await;
    shop.reaches(&order, "PAID COMPLETED").await;

    let cancelled = admin.cancels(&order).await.expect(200).order();
    assert_eq!(cancelled.status, "CANCELLED");
    assert!(["REFUND_PENDING", "REFUNDED"].contains(&cancelled.payment.status.as_str()));
    assert_eq!(admin.counts(&mug).await, 5);
    let end = shop.reaches(&order, "CANCELLED REFUNDED").await;
    assert_eq!((end.payment.refunded_amount.as_str(), end.cancelled_by.as_deref()), ("20.00", Some("ADMIN")));
    assert_eq!(end.history.last().unwrap().actor_id.as_deref(), Some(admin.id.as_str()));
    shop.settles().await;
    assert_eq!(shop.provider().refunds().len(), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_who_calls_off_a_refunded_order_refunds_it_no_second_time() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 9).await;
    let ada = shop.customer().await;
    for under_way in [true, false] {
        let order = ada.orders(&[(&mug, 1)]).await;
        ada.pays(&order).await;
        shop.reaches(&order, "PAID COMPLETED").await;
        if under_way {
            shop.provider()
                .plan_next_refund(NextRefund { status: RefundStatus::Pending, failure_reason: String::new() });
        }
        let _ = admin.refunds(&order).await.expect(202);
        shop.settles().await;
        let _ = admin.cancels(&order).await.expect(200);
        shop.settles().await;
        let standing = if under_way { "CANCELLED REFUND_PENDING" } else { "CANCELLED REFUNDED" };
        assert_eq!(ada.sees(&order).await.standing(), standing);
    }
    assert_eq!(shop.provider().refunds().len(), 2);
    assert_eq!(admin.counts(&mug).await, 9);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_who_calls_off_a_partly_refunded_order_refunds_the_rest() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 9).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    let receipt = shop.provider().pay(&shop.session_of(&order), Default::default()).unwrap();
    shop.reaches(&order, "PAID COMPLETED").await;
    let part = DashboardRefund { amount: Some(300), reason: None };
    shop.provider().refund_by_hand(&receipt.payment_intent, part).unwrap();
    shop.settles().await;
    let _ = admin.cancels(&order).await.expect(200);
    shop.reaches(&order, "CANCELLED REFUNDED").await;
    let amounts: Vec<_> = shop.provider().refunds().iter().map(|refund| refund["amount"].clone()).collect();
    assert_eq!(amounts, [300, 700]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_moves_of_the_contract_exist() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 9).await;
    let ada = shop.customer().await;
    let refuses = async |order: &ironcart_tests::wire::Order, change: serde_json::Value, from: &str, to: &str| {
        let refused = admin.moves(order, change).await.is_problem(409, "invalid_transition");
        assert_eq!((&refused["from"], &refused["to"]), (&json!(from), &json!(to)));
    };
    let (ship, deliver) = (json!({ "status": "SHIPPED" }), json!({ "status": "DELIVERED" }));

    let order = ada.orders(&[(&mug, 1)]).await;
    refuses(&order, ship.clone(), "PENDING", "SHIPPED").await;
    refuses(&order, deliver.clone(), "PENDING", "DELIVERED").await;
    for status in ["CANCELLED", "PAID", "PENDING", "LOST"] {
        admin.moves(&order, json!({ "status": status })).await.is_problem(422, "validation_failed");
    }
    ada.pays(&order).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    refuses(&order, deliver.clone(), "PAID", "DELIVERED").await;
    let _ = admin.ships(&order).await.expect(200);
    refuses(&order, ship.clone(), "SHIPPED", "SHIPPED").await;
    admin.cancels(&order).await.is_problem(409, "invalid_transition");
    let _ = admin.delivers(&order).await.expect(200);
    refuses(&order, deliver.clone(), "DELIVERED", "DELIVERED").await;
    refuses(&order, ship.clone(), "DELIVERED", "SHIPPED").await;
    admin.cancels(&order).await.is_problem(409, "invalid_transition");

    let cancelled = ada.orders(&[(&mug, 1)]).await;
    let _ = ada.cancels(&cancelled).await.expect(200);
    refuses(&cancelled, ship, "CANCELLED", "SHIPPED").await;
    refuses(&cancelled, deliver, "CANCELLED", "DELIVERED").await;
    assert_eq!(admin.counts(&mug).await, 8);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fourth_cancellation_of_a_day_is_refused_and_only_own_ones_count() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 20).await;
    let ada = shop.customer().await;
    for _ in 0..2 {
        let _ = admin.cancels(&ada.orders_to_pay_later(&mug, 1).await).await.expect(200);
    }
    let expired = ada.orders_to_pay_later(&mug, 1).await;
    shop.passes(1801);
    shop.reaches(&expired, "CANCELLED PENDING").await;
    for _ in 0..3 {
        let _ = ada.cancels(&ada.orders_to_pay_later(&mug, 1).await).await.expect(200);
    }
    let fourth = ada.orders_to_pay_later(&mug, 1).await;
    let refused = ada.cancels(&fourth).await;
    refused.is_problem(429, "daily_cancellation_limit");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(ada.sees(&fourth).await.status, "PENDING");

    shop.passes(24 * 3600);
    shop.reaches(&fourth, "CANCELLED PENDING").await;
    let next_day = ada.orders_to_pay_later(&mug, 1).await;
    let _ = ada.cancels(&next_day).await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_closed_in_the_end_although_the_provider_was_down_and_the_shop_restarted() {
    let mut shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    shop.provider_goes_down();
    let _ = ada.cancels(&order).await.expect(200);
    let tries = "SELECT coalesce(max(tries), 0)::bigint AS n FROM tasks";
    until("closing was tried", async || shop.database.number(tries).await > 0).await;
    shop.restarts().await;
    assert_eq!(shop.sessions_of(&order)[0]["status"], "open");
    shop.provider_comes_back();
    shop.settles().await;
    assert_eq!(shop.sessions_of(&order)[0]["status"], "expired");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nobody_knows_of_is_found_and_closed_by_its_attempt() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    // Whether its session was opened is not known: asking for it under the attempt's key tells, and may open it.
    shop.provider_goes_down();
    let order = ada.orders(&[(&mug, 1)]).await;
    assert_eq!(order.payment.checkout_url, None);
    shop.provider_comes_back();
    // It answers again, but can't close at first.
    let deaf = Fault::next(FaultKind::ServerError, FaultPhase::BeforeEffect).times(4);
    shop.provider().inject(deaf.on("POST", "/v1/checkout/sessions/*/expire"));
    let _ = ada.cancels(&order).await.expect(200);
    shop.settles().await;
    let sessions = shop.sessions_of(&order);
    assert_eq!((sessions.len(), &sessions[0]["status"]), (1, &json!("expired")));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_who_was_faster_than_the_closing_gets_the_money_back() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    // The webhook never comes: closing the session is how the shop learns of the money.
    shop.provider().drop_webhooks(usize::MAX, Some("checkout.session.completed"));
    ada.pays(&order).await;
    let _ = ada.cancels(&order).await.expect(200);
    shop.settles().await;
    let seen = ada.sees(&order).await;
    assert_eq!((seen.standing().as_str(), seen.extras()), ("CANCELLED PENDING", vec!["LATE succeeded".to_owned()]));
    shop.close().await;
}
