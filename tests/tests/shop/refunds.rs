//! Giving money back (contract 3.6): what is asked for, when it is asked again, and what the provider's word makes of it.

use ironcart_tests::actors::{Admin, Customer};
use ironcart_tests::shop::TestShop;
use ironcart_tests::wait::until;
use ironcart_tests::wire::Order;
use serde_json::Value;
use stripe_simulator::{
    DashboardRefund, Fault, FaultKind, FaultPhase, NextRefund, PayTerms, Receipt, RefundStatus, ReleaseOrder,
};

/// A paid order over 20.00, and everyone around it.
struct Sale {
    shop: TestShop,
    admin: Admin,
    ada: Customer,
    order: Order,
    receipt: Receipt,
}

impl Sale {
    async fn paid() -> Self {
        let shop = TestShop::open().await;
        let admin = shop.admin().await;
        let mug = admin.sells("Mug", "10.00", 5).await;
        let ada = shop.customer().await;
        let order = ada.orders(&[(&mug, 2)]).await;
        let receipt = shop.provider().pay(&shop.session_of(&order), PayTerms::default()).unwrap();
        shop.reaches(&order, "PAID COMPLETED").await;
        shop.settles().await;
        Self { shop, admin, ada, order, receipt }
    }

    async fn seen(&self) -> Order {
        self.ada.sees(&self.order).await
    }

    /// Order, payment and what of it went back, e.g. `PAID REFUNDED 20.00`.
    async fn standing(&self) -> String {
        let seen = self.seen().await;
        format!("{} {}", seen.standing(), seen.payment.refunded_amount)
    }

    /// Once nothing is under way.
    async fn end(&self) -> String {
        self.shop.settles().await;
        self.standing().await
    }

    fn refund_by_hand(&self, amount: Option<i64>) -> String {
        let refund = DashboardRefund { amount, reason: None };
        self.shop.provider().refund_by_hand(&self.receipt.payment_intent, refund).unwrap()
    }

    fn plan(&self, status: RefundStatus) {
        let next = NextRefund { status, failure_reason: "expired_or_canceled_card".into() };
        self.shop.provider().plan_next_refund(next);
    }

    /// The provider's refunds, e.g. `2000 succeeded`.
    fn refunds(&self) -> Vec<String> {
        let word = |refund: &Value| format!("{} {}", refund["amount"], refund["status"].as_str().unwrap());
        self.shop.provider().refunds().iter().map(word).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_refunds_a_paid_order_and_it_can_no_longer_be_shipped() {
    let sale = Sale::paid().await;
    let answer = sale.admin.refunds(&sale.order).await.expect(202).order();
    assert_eq!(answer.status, "PAID");
    assert!(["REFUND_PENDING", "REFUNDED"].contains(&answer.payment.status.as_str()));
    assert_eq!(sale.end().await, "PAID REFUNDED 20.00");
    assert_eq!(sale.refunds(), ["2000 succeeded"]);
    sale.admin.ships(&sale.order).await.is_problem(409, "invalid_transition");
    let mug = sale.order.items[0].product_id.clone();
    let stock = sale.admin.http.get(&format!("/products/{mug}")).await.json()["stock"].clone();
    assert_eq!(stock, 3, "refunding restocks nothing");
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_refunded_twice() {
    let sale = Sale::paid().await;
    sale.plan(RefundStatus::Pending);
    let _ = sale.admin.refunds(&sale.order).await.expect(202);
    assert_eq!(sale.end().await, "PAID REFUND_PENDING 20.00");
    sale.admin.refunds(&sale.order).await.is_problem(409, "order_not_refundable");
    let refund = sale.shop.provider().refunds()[0]["id"].as_str().unwrap().to_owned();
    sale.shop.provider().settle_refund(&refund).unwrap();
    assert_eq!(sale.end().await, "PAID REFUNDED 20.00");
    sale.admin.refunds(&sale.order).await.is_problem(409, "order_not_refundable");
    assert_eq!(sale.refunds(), ["2000 succeeded"]);
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_paid_is_not_refundable() {
    let sale = Sale::paid().await;
    let cup = sale.shop.sells("Cup", "1.00", 5).await;
    let unpaid = sale.ada.orders(&[(&cup, 1)]).await;
    sale.admin.refunds(&unpaid).await.is_problem(409, "order_not_refundable");
    let _ = sale.ada.cancels(&unpaid).await.expect(200);
    sale.admin.refunds(&unpaid).await.is_problem(409, "order_not_refundable");
    let nobodys = "/admin/orders/0192f0c1-2345-7abc-8def-0123456789ab/refund";
    sale.admin.http.post_empty(nobodys).await.is_problem(404, "not_found");
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipped_order_is_refunded_and_stays_shipped() {
    let sale = Sale::paid().await;
    let _ = sale.admin.ships(&sale.order).await.expect(200);
    assert_eq!(sale.admin.refunds(&sale.order).await.expect(202).order().status, "SHIPPED");
    assert_eq!(sale.end().await, "SHIPPED REFUNDED 20.00");
    assert_eq!(sale.admin.delivers(&sale.order).await.order().status, "DELIVERED");
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_refunded_by_hand_is_counted_and_a_refund_asks_for_the_rest() {
    let sale = Sale::paid().await;
    sale.refund_by_hand(Some(500));
    assert_eq!(sale.end().await, "PAID COMPLETED 5.00");
    sale.refund_by_hand(Some(250));
    assert_eq!(sale.end().await, "PAID COMPLETED 7.50");
    let _ = sale.admin.refunds(&sale.order).await.expect(202);
    assert_eq!(sale.end().await, "PAID REFUNDED 20.00");
    assert_eq!(sale.refunds(), ["500 succeeded", "250 succeeded", "1250 succeeded"]);
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_which_a_part_was_refunded_can_be_shipped() {
    let sale = Sale::paid().await;
    sale.refund_by_hand(Some(500));
    sale.shop.settles().await;
    assert_eq!(sale.admin.ships(&sale.order).await.order().status, "SHIPPED");
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_is_flagged_and_can_be_asked_for_again() {
    let sale = Sale::paid().await;
    sale.plan(RefundStatus::Failed);
    let _ = sale.admin.refunds(&sale.order).await.expect(202);
    assert_eq!(sale.end().await, "PAID REFUND_FAILED 0.00");
    assert_eq!(sale.seen().await.flags, ["REFUND_FAILED"]);
    let _ = sale.admin.refunds(&sale.order).await.expect(202);
    assert_eq!(sale.end().await, "PAID REFUNDED 20.00");
    assert_eq!(sale.refunds(), ["2000 failed", "2000 succeeded"]);
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_after_it_had_succeeded_is_asked_for_again_under_a_new_key() {
    let sale = Sale::paid().await;
    let _ = sale.admin.refunds(&sale.order).await.expect(202);
    assert_eq!(sale.end().await, "PAID REFUNDED 20.00");
    let refund = sale.shop.provider().refunds()[0]["id"].as_str().unwrap().to_owned();
    sale.shop.provider().fail_refund(&refund, "lost_or_stolen_card").unwrap();
    assert_eq!(sale.end().await, "PAID REFUND_FAILED 0.00");
    assert_eq!(sale.seen().await.flags, ["REFUND_FAILED"]);
    let _ = sale.admin.refunds(&sale.order).await.expect(202);
    assert_eq!(sale.end().await, "PAID REFUNDED 20.00");
    let asked = sale.shop.provider().requests().into_iter().filter(|r| r.path == "/v1/refunds" && r.method == "POST");
    let keys: Vec<_> = asked.map(|request| request.idempotency_key.unwrap()).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_by_hand_that_nobody_told_of_is_found_when_the_provider_refuses() {
    let sale = Sale::paid().await;
    sale.shop.provider().drop_webhooks(usize::MAX, None);
    sale.refund_by_hand(None);
    assert_eq!(sale.standing().await, "PAID COMPLETED 0.00");
    let _ = sale.admin.refunds(&sale.order).await.expect(202);
    assert_eq!(sale.end().await, "PAID REFUNDED 20.00");
    assert_eq!(sale.refunds(), ["2000 succeeded"]);
    assert_eq!(sale.seen().await.flags, Vec::<String>::new());
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_part_refunded_by_hand_that_nobody_told_of_the_rest_is_asked_for_anew() {
    let sale = Sale::paid().await;
    sale.shop.provider().drop_webhooks(usize::MAX, None);
    sale.refund_by_hand(Some(500));
    let _ = sale.admin.refunds(&sale.order).await.expect(202);
    assert_eq!(sale.end().await, "PAID REFUNDED 20.00");
    assert_eq!(sale.refunds(), ["500 succeeded", "1500 succeeded"]);
    assert_eq!(sale.seen().await.flags, Vec::<String>::new());
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disputed_payment_can_not_be_refunded_and_an_admin_is_told() {
    let sale = Sale::paid().await;
    sale.shop.provider().dispute(&sale.receipt.charge, "fraudulent").unwrap();
    let _ = sale.admin.refunds(&sale.order).await.expect(202);
    assert_eq!(sale.end().await, "PAID REFUND_FAILED 0.00");
    assert_eq!(sale.seen().await.flags, ["DISPUTED", "REFUND_FAILED"]);
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_outlives_the_providers_silence_and_a_restart() {
    let mut sale = Sale::paid().await;
    sale.shop.provider_goes_down();
    assert_eq!(sale.admin.refunds(&sale.order).await.expect(202).order().payment.status, "REFUND_PENDING");
    let tries = "SELECT coalesce(max(tries), 0)::bigint AS n FROM tasks WHERE finished_at IS NULL";
    until("the refund was tried", async || sale.shop.database.number(tries).await > 0).await;
    assert_eq!(sale.standing().await, "PAID REFUND_PENDING 0.00");
    sale.shop.restarts().await;
    sale.shop.provider_comes_back();
    assert_eq!(sale.end().await, "PAID REFUNDED 20.00");
    assert_eq!(sale.refunds(), ["2000 succeeded"]);
    sale.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_answer_was_lost_is_made_once() {
    for kind in [FaultKind::Cut, FaultKind::ServerError, FaultKind::LockTimeout, FaultKind::Hang { ms: 3_500 }] {
        let sale = Sale::paid().await;
        sale.shop.provider().inject(Fault::next(kind, FaultPhase::AfterEffect).on("POST", "/v1/refunds"));
        let _ = sale.admin.refunds(&sale.order).await.expect(202);
        assert_eq!(sale.end().await, "PAID REFUNDED 20.00", "{kind:?}");
        assert_eq!(sale.refunds(), ["2000 succeeded"], "{kind:?}");
        assert_eq!(sale.seen().await.flags, Vec::<String>::new(), "{kind:?}");
        sale.shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_money_whose_refund_failed_is_asked_for_again_on_a_cancelled_order_too() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    shop.provider().hold_webhooks();
    shop.provider().pay(&shop.session_of(&order), PayTerms::default()).unwrap();
    let _ = ada.cancels(&order).await.expect(200);
    let failing = NextRefund { status: RefundStatus::Failed, failure_reason: "expired_or_canceled_card".into() };
    shop.provider().plan_next_refund(failing);
    shop.provider().release_webhooks(ReleaseOrder::AsHappened).await;
    shop.settles().await;
    let seen = ada.sees(&order).await;
    assert_eq!((seen.extras(), seen.flags), (vec!["LATE failed".to_owned()], vec!["REFUND_FAILED".to_owned()]));

    let again = admin.refunds(&order).await.expect(202).order();
    assert_eq!(again.status, "CANCELLED");
    shop.settles().await;
    assert_eq!(ada.sees(&order).await.extras(), ["LATE succeeded"]);
    admin.refunds(&order).await.is_problem(409, "order_not_refundable");
    assert_eq!(shop.provider().refunds().len(), 2);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extra_receipt_does_not_count_as_the_orders_refund() {
    let sale = Sale::paid().await;
    let session = sale.shop.session_of(&sale.order);
    sale.shop.provider().pay_again(&session, PayTerms::default()).unwrap();
    assert_eq!(sale.end().await, "PAID COMPLETED 0.00");
    // Refunding the order is about its own payment; the extra one went back by itself.
    let _ = sale.admin.refunds(&sale.order).await.expect(202);
    assert_eq!(sale.end().await, "PAID REFUNDED 20.00");
    assert_eq!(sale.seen().await.extras(), ["SECOND succeeded"]);
    assert_eq!(sale.refunds(), ["2000 succeeded", "2000 succeeded"]);
    sale.shop.close().await;
}
