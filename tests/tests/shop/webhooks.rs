//! The provider's events (contract 3.5, 3.9 and 3.10): who is believed, what is recorded, and that the end is the same
//! however often and in whatever order they come.

use futures_util::future::join_all;
use ironcart_tests::actors::Customer;
use ironcart_tests::events::{about, event, paid_session, refund};
use ironcart_tests::shop::{TestShop, WEBHOOK_SECRET};
use ironcart_tests::wait::until;
use ironcart_tests::wire::Order;
use serde_json::{Value, json};
use stripe_simulator::{DashboardRefund, PayTerms, ReleaseOrder, sign_payload};

async fn order_in(shop: &TestShop) -> (Customer, Order) {
    let mug = shop.sells("Mug", "10.00", 50).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 2)]).await;
    (ada, order)
}

async fn shop_with_order() -> (TestShop, Customer, Order) {
    let shop = TestShop::open().await;
    let (ada, order) = order_in(&shop).await;
    (shop, ada, order)
}

/// How an event was recorded: status and order.
async fn recorded(shop: &TestShop, event: &Value) -> Vec<String> {
    let id = event["id"].as_str().unwrap();
    let sql =
        format!("SELECT concat_ws(' ', status, order_id) AS t FROM provider_events WHERE provider_event_id = '{id}'");
    shop.database.texts(&sql).await
}

/// The provider's event of a type.
fn sent(shop: &TestShop, kind: &str) -> String {
    let events = shop.provider().events();
    let found = events.iter().find(|event| event["type"] == kind).expect(kind);
    found["id"].as_str().unwrap().to_owned()
}

// --- who is believed --------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_provider_signed_lately_is_believed() {
    let (shop, ada, order) = shop_with_order().await;
    let body = event("checkout.session.completed", &paid_session(&order, "cs_test_1", "pi_1")).to_string().into_bytes();
    let now = shop.now().timestamp();
    let good = sign_payload(WEBHOOK_SECRET, now, &body);
    let (time, v1) = good.split_once(',').unwrap();
    let other_secret = "whsec_fedcba9876543210fedcba9876543210";
    let bad = [
        None,
        Some(String::new()),
        Some("nonsense".to_owned()),
        Some(time.to_owned()),
        Some(v1.to_owned()),
        Some(format!("{time},{}", v1.replace("v1=", "v0="))),
        Some(format!("{time},v1=00")),
        Some(format!("t={},{v1}", now + 1)),
        Some(sign_payload(other_secret, now, &body)),
        Some(sign_payload(WEBHOOK_SECRET, now, b"another body")),
        Some(sign_payload(WEBHOOK_SECRET, now - 302, &body)),
    ];
    for signature in bad {
        let refused = shop.anonymous.post_webhook(body.clone(), signature.as_deref()).await;
        refused.is_problem(400, "webhook_signature_invalid");
    }
    let mut changed = body.clone();
    changed.push(b' ');
    shop.anonymous.post_webhook(changed, Some(&good)).await.is_problem(400, "webhook_signature_invalid");
    assert_eq!(ada.sees(&order).await.standing(), "PENDING PENDING");
    assert_eq!(shop.database.number("SELECT count(*) AS n FROM provider_events").await, 0);

    // One good v1 among others is enough.
    let several = format!("{time},v1=00,{v1},v0=00");
    let taken = shop.anonymous.post_webhook(body, Some(&several)).await.expect(200);
    assert_eq!(taken.json(), json!({ "received": true }));
    assert_eq!(ada.sees(&order).await.standing(), "PAID COMPLETED");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_secrets_are_rotated_each_of_them_signs() {
    let secrets = ["whsec_11111111111111111111111111111111", "whsec_22222222222222222222222222222222"];
    let shop = TestShop::with(|plan| plan.webhook_secrets = secrets.map(str::to_owned).to_vec()).await;
    for secret in secrets {
        let body = event("customer.created", &json!({})).to_string().into_bytes();
        let signature = sign_payload(secret, shop.now().timestamp(), &body);
        let _ = shop.anonymous.post_webhook(body, Some(&signature)).await.expect(200);
    }
    assert_eq!(shop.database.number("SELECT count(*) AS n FROM provider_events").await, 2);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_looked_at_only_after_its_signature() {
    let shop = TestShop::open().await;
    let bodies: [&[u8]; 7] = [b"", b"not json", b"[]", b"{}", b"\xff\xfe", b"{\"id\":1,\"type\":2}", b"null"];
    for body in bodies {
        let unsigned = shop.anonymous.post_webhook(body.to_vec(), Some("t=1,v1=00")).await;
        unsigned.is_problem(400, "webhook_signature_invalid");
        let signature = sign_payload(WEBHOOK_SECRET, shop.now().timestamp(), body);
        let signed = shop.anonymous.post_webhook(body.to_vec(), Some(&signature)).await;
        signed.is_problem(400, "malformed_request");
    }
    shop.close().await;
}

// --- what is recorded -------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_concern_the_shop_is_recorded_and_answered_well() {
    let (shop, ada, order) = shop_with_order().await;
    let mut nobodys = order.clone();
    nobodys.id = "0192f0c1-2345-7abc-8def-0123456789ab".to_owned();
    let unknown_order = event("checkout.session.completed", &paid_session(&nobodys, "cs_test_9", "pi_9"));
    let no_order = event("checkout.session.completed", &json!({ "id": "cs_test_8", "payment_status": "paid" }));
    let unknown_type = event("invoice.paid", &json!({ "anything": [1, 2, 3] }));
    let no_intent = event("charge.dispute.created", &json!({ "id": "dp_1", "payment_intent": null }));
    for event in [&unknown_order, &no_order, &unknown_type, &no_intent] {
        let _ = shop.hears(event).await.expect(200);
        assert_eq!(recorded(&shop, event).await, ["IGNORED"], "{event}");
    }
    assert_eq!(ada.sees(&order).await.standing(), "PENDING PENDING");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_can_not_be_applied_is_kept_as_failed_and_answered_well() {
    let shop = TestShop::with(|plan| plan.failed_events = 2).await;
    let (ada, order) = order_in(&shop).await;
    let (_, other) = order_in_shop_with_product(&shop).await;
    let unreadable = event(
        "checkout.session.completed",
        &json!({ "id": "cs_test_1", "client_reference_id": order.id, "payment_status": "paid" }),
    );
    let paid = event("checkout.session.completed", &paid_session(&order, "cs_test_2", "pi_1"));
    let contradicts = event("checkout.session.completed", &paid_session(&other, "cs_test_3", "pi_1"));
    for event in [&unreadable, &paid, &contradicts] {
        let _ = shop.hears(event).await.expect(200);
    }
    assert_eq!(recorded(&shop, &unreadable).await, ["FAILED"]);
    assert_eq!(recorded(&shop, &contradicts).await, ["FAILED"]);
    assert_eq!(recorded(&shop, &paid).await, [format!("APPLIED {}", order.id)]);
    assert_eq!(ada.sees(&order).await.standing(), "PAID COMPLETED");
    assert_eq!(shop.admin().await.sees(&other).await.standing(), "PENDING PENDING");
    let _ = shop.hears(&unreadable).await.expect(200);
    assert_eq!(recorded(&shop, &unreadable).await, ["FAILED"]);
    shop.close().await;
}

async fn order_in_shop_with_product(shop: &TestShop) -> (Customer, Order) {
    let cup = shop.sells("Cup", "10.00", 50).await;
    let bob = shop.customer().await;
    let order = bob.orders(&[(&cup, 2)]).await;
    (bob, order)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_event_is_stored_as_it_came() {
    let (shop, _, order) = shop_with_order().await;
    let told = event("checkout.session.expired", &json!({ "id": "cs_test_7", "client_reference_id": order.id }));
    let raw = format!("  {told}\n");
    let signature = sign_payload(WEBHOOK_SECRET, shop.now().timestamp(), raw.as_bytes());
    let _ = shop.anonymous.post_webhook(raw.clone().into_bytes(), Some(&signature)).await.expect(200);
    let payload = "SELECT payload AS t FROM provider_events WHERE type = 'checkout.session.expired'";
    assert_eq!(shop.database.texts(payload).await, [raw]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_ours_answers_5xx_leaves_nothing_half_done_and_the_event_comes_again() {
    let (shop, ada, order) = shop_with_order().await;
    let fail = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'out of order'; END $$";
    shop.database.run_sql(fail).await.unwrap();
    // The last thing that is written of a payment: everything else has been done by then.
    let trigger = "CREATE TRIGGER fail BEFORE INSERT ON receipts FOR EACH ROW EXECUTE FUNCTION fail()";
    shop.database.run_sql(trigger).await.unwrap();
    ada.pays(&order).await;
    let failures = || shop.provider().deliveries().into_iter().filter(|tried| tried.status.is_some_and(|s| s >= 500));
    until("a delivery failed", async || failures().count() >= 2).await;
    assert_eq!(ada.sees(&order).await.standing(), "PENDING PENDING");
    let completed = "SELECT count(*) AS n FROM provider_events WHERE type = 'checkout.session.completed'";
    assert_eq!(shop.database.number(completed).await, 0);
    let answer = failures().next().unwrap().answer.unwrap();
    assert!(!answer.contains("out of order"), "{answer}");

    shop.database.run_sql("DROP TRIGGER fail ON receipts").await.unwrap();
    shop.reaches(&order, "PAID COMPLETED").await;
    shop.close().await;
}

// --- repeats and orders -----------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_applied_once_however_often_it_comes() {
    let (shop, ada, order) = shop_with_order().await;
    shop.provider().repeat_webhooks(5);
    let session = shop.session_of(&order);
    let receipt = shop.provider().pay(&session, PayTerms::default()).unwrap();
    shop.provider().pay_again(&session, PayTerms::default()).unwrap();
    shop.provider()
        .refund_by_hand(&receipt.payment_intent, DashboardRefund { amount: Some(500), reason: None })
        .unwrap();
    shop.settles().await;
    for old in shop.provider().events() {
        let answers = shop.provider().deliver(old["id"].as_str().unwrap()).await.unwrap();
        assert!(answers.iter().all(stripe_simulator::DeliveryAttempt::is_success));
    }
    let seen = ada.sees(&order).await;
    assert_eq!((seen.standing().as_str(), seen.payment.refunded_amount.as_str()), ("PAID COMPLETED", "5.00"));
    assert_eq!(seen.extras(), ["SECOND succeeded"]);
    assert_eq!(seen.story(), [">PENDING CUSTOMER", "PENDING>PAID PROVIDER"]);
    assert_eq!(shop.provider().refunds().len(), 2);
    let recorded = shop.database.number("SELECT count(*) AS n FROM provider_events").await;
    assert_eq!(usize::try_from(recorded).unwrap(), shop.provider().events().len());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_overtakes_its_payment_waits_for_it() {
    let (shop, ada, order) = shop_with_order().await;
    let admin = shop.admin().await;
    shop.provider().hold_webhooks();
    let receipt = shop.provider().pay(&shop.session_of(&order), PayTerms::default()).unwrap();
    shop.provider().dispute(&receipt.charge, "fraudulent").unwrap();
    shop.provider().warn_of_fraud(&receipt.charge, "made_with_stolen_card").unwrap();
    let (dispute, warning) = (sent(&shop, "charge.dispute.created"), sent(&shop, "radar.early_fraud_warning.created"));
    let early = ReleaseOrder::Events(vec![dispute.clone(), warning.clone()]);
    shop.provider().release_webhooks(early).await;
    for id in [&dispute, &warning] {
        assert_eq!(recorded(&shop, &json!({ "id": id })).await, ["WAITING"]);
    }
    assert_eq!(ada.sees(&order).await.flags, Vec::<String>::new());

    shop.provider().release_webhooks(ReleaseOrder::AsHappened).await;
    let seen = ada.sees(&order).await;
    assert_eq!(
        (seen.standing().as_str(), seen.flags),
        ("PAID COMPLETED", vec!["DISPUTED".into(), "FRAUD_WARNING".into()])
    );
    for id in [&dispute, &warning] {
        assert_eq!(recorded(&shop, &json!({ "id": id })).await, [format!("APPLIED {}", order.id)]);
    }
    let refused = admin.ships(&order).await.is_problem(409, "order_flagged");
    assert_eq!(refused["flags"], json!(["DISPUTED", "FRAUD_WARNING"]));
    let _ = admin.clears_flags(&order).await.expect(200);
    assert_eq!(admin.ships(&order).await.order().status, "SHIPPED");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_comes_again_after_an_admin_has_looked_raises_no_flag() {
    let (shop, ada, order) = shop_with_order().await;
    let admin = shop.admin().await;
    let _ = ada.pays(&order).await;
    let _ = shop.reaches(&order, "PAID COMPLETED").await;
    let intent = shop.database.texts("SELECT intent AS t FROM receipts").await.pop().unwrap();
    let dispute = event("charge.dispute.created", &about("dispute", &intent));
    for reply in join_all((0..10).map(|_| shop.hears(&dispute))).await {
        let _ = reply.expect(200);
    }
    assert_eq!(admin.sees(&order).await.flags, ["DISPUTED"]);
    let _ = admin.clears_flags(&order).await.expect(200);
    for reply in join_all((0..10).map(|_| shop.hears(&dispute))).await {
        let _ = reply.expect(200);
    }
    assert_eq!(admin.sees(&order).await.flags, Vec::<String>::new());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_seen_before_its_payment_ends_as_a_paid_order_whose_payment_is_refunded() {
    let (shop, ada, order) = shop_with_order().await;
    shop.provider().hold_webhooks();
    let receipt = shop.provider().pay(&shop.session_of(&order), PayTerms::default()).unwrap();
    shop.provider().refund_by_hand(&receipt.payment_intent, DashboardRefund::default()).unwrap();
    shop.provider().release_webhooks(ReleaseOrder::Reversed).await;
    let seen = ada.sees(&order).await;
    assert_eq!((seen.standing().as_str(), seen.payment.refunded_amount.as_str()), ("PAID REFUNDED", "20.00"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_whatever_order_events_come_the_end_is_the_same() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 50).await;
    for round in 0..12_usize {
        let ada = shop.customer().await;
        let order = ada.orders(&[(&mug, 2)]).await;
        shop.provider().hold_webhooks();
        let session = shop.session_of(&order);
        let receipt = shop.provider().pay(&session, PayTerms::default()).unwrap();
        let second = shop.provider().pay_again(&session, PayTerms::default()).unwrap();
        let part = DashboardRefund { amount: Some(300), reason: None };
        shop.provider().refund_by_hand(&receipt.payment_intent, part).unwrap();
        let failing = shop.provider().refund_by_hand(&receipt.payment_intent, DashboardRefund::default()).unwrap();
        shop.provider().fail_refund(&failing, "lost_or_stolen_card").unwrap();
        shop.provider().dispute(&receipt.charge, "fraudulent").unwrap();

        let mut events = shop.provider().held_webhooks();
        shuffle(&mut events, round);
        let mut events: Vec<String> = events;
        // Which of two payments is the first depends on which is told first; the rest does not.
        let told_first = |id: &String| {
            shop.provider().events().iter().any(|event| {
                event["id"] == *id
                    && event["type"] == "checkout.session.completed"
                    && event["data"]["object"]["payment_intent"] == receipt.payment_intent
            })
        };
        let first = events.iter().position(told_first).unwrap();
        let is_second = |id: &String| {
            shop.provider()
                .events()
                .iter()
                .any(|event| event["id"] == *id && event["data"]["object"]["id"] == second.session)
        };
        let later = events.iter().position(is_second).unwrap();
        if later < first {
            events.swap(first, later);
        }
        shop.provider().release_webhooks(ReleaseOrder::Events(events.clone())).await;
        shop.provider().release_webhooks(ReleaseOrder::AsHappened).await;
        shop.settles().await;

        let seen = ada.sees(&order).await;
        assert_eq!(seen.standing(), "PAID REFUND_FAILED", "round {round}: {events:?}");
        assert_eq!(seen.payment.refunded_amount, "3.00", "round {round}: {events:?}");
        assert_eq!(seen.flags, ["DISPUTED", "REFUND_FAILED"], "round {round}: {events:?}");
        assert_eq!(seen.extras(), ["SECOND succeeded"], "round {round}: {events:?}");
    }
    shop.close().await;
}

/// Another order for every round, the same in every run.
fn shuffle(events: &mut [String], round: usize) {
    let mut state = 2 * round + 1;
    for at in (1..events.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        events.swap(at, (state >> 33) % (at + 1));
    }
}

// --- what older and newer versions say --------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn the_spellings_of_other_api_versions_are_understood() {
    let (shop, ada, order) = shop_with_order().await;
    // An expanded payment intent, the order in the metadata alone, and values that nobody knows yet.
    let mut session = paid_session(&order, "cs_test_hand", "pi_old");
    session["payment_intent"] = json!({ "id": "pi_old", "object": "payment_intent", "status": "teleported" });
    session["client_reference_id"] = Value::Null;
    session["status"] = json!("finished_twice");
    session["mode"] = json!({ "new": ["shape"] });
    let _ = shop.hears(&event("checkout.session.completed", &session)).await.expect(200);
    assert_eq!(ada.sees(&order).await.standing(), "PAID COMPLETED");

    // An old charge lists its refunds, and its refund's update has the charge's name.
    let pending = refund("re_1", "pi_old", 500, "pending");
    let charge = json!({
        "id": "ch_1", "object": "charge", "payment_intent": "pi_old", "amount": 2000, "amount_refunded": 500,
        "currency": "usd", "refunded": false, "refunds": { "object": "list", "data": [pending] },
    });
    let _ = shop.hears(&event("charge.refunded", &charge)).await.expect(200);
    assert_eq!(ada.sees(&order).await.payment.refunded_amount, "5.00");
    let _ = shop.hears(&event("charge.refund.updated", &refund("re_1", "pi_old", 500, "failed"))).await.expect(200);
    let seen = ada.sees(&order).await;
    assert_eq!((seen.payment.refunded_amount.as_str(), seen.flags), ("0.00", vec!["REFUND_FAILED".to_owned()]));

    let dispute = event("charge.dispute.created", &about("dispute", "pi_old"));
    let _ = shop.hears(&dispute).await.expect(200);
    assert_eq!(recorded(&shop, &dispute).await, [format!("APPLIED {}", order.id)]);
    // The provider itself knows nothing of this money; closing the open session is all that is left to do there.
    shop.settles().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refunds_status_only_moves_forward() {
    let (shop, ada, order) = shop_with_order().await;
    let paid = paid_session(&order, "cs_test_hand", "pi_1");
    let _ = shop.hears(&event("checkout.session.completed", &paid)).await.expect(200);
    for (kind, status, standing) in [
        ("refund.updated", "succeeded", "PAID REFUNDED"),
        ("refund.created", "pending", "PAID REFUNDED"),
        ("refund.failed", "failed", "PAID REFUND_FAILED"),
        ("refund.updated", "succeeded", "PAID REFUND_FAILED"),
        ("refund.updated", "requires_action", "PAID REFUND_FAILED"),
    ] {
        let _ = shop.hears(&event(kind, &refund("re_1", "pi_1", 2000, status))).await.expect(200);
        assert_eq!(ada.sees(&order).await.standing(), standing, "{kind} {status}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_ends_itself_and_never_its_order() {
    let (shop, ada, order) = shop_with_order().await;
    let session = shop.session_of(&order);
    let of = |id: &str| event("checkout.session.expired", &json!({ "id": id, "client_reference_id": order.id }));
    // One that the shop does not know, then its own, then its own again after the order was paid by another.
    let _ = shop.hears(&of("cs_test_unknown")).await.expect(200);
    assert_eq!(ada.sees(&order).await.payment.checkout_url, order.payment.checkout_url);
    shop.provider().expire(&session).unwrap();
    until("the session's end is known", async || ada.sees(&order).await.payment.checkout_url.is_none()).await;
    let _ = ada.starts_payment(&order).await.expect(200);
    let open = ada.sees(&order).await;
    let _ = shop.hears(&of(&session)).await.expect(200);
    assert_eq!(ada.sees(&order).await.payment.checkout_url, open.payment.checkout_url, "the new session stays");
    ada.pays(&open).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    let _ = shop.hears(&of(&session)).await.expect(200);
    assert_eq!(ada.sees(&order).await.standing(), "PAID COMPLETED");
    shop.close().await;
}
