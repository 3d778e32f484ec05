//! What is kept of the provider's events, for admins (contract 2 and 3.10): listed, looked at, and applied again.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use ironcart_tests::actors::{Admin, Customer};
use ironcart_tests::events::{about, event, paid_session};
use ironcart_tests::shop::TestShop;
use ironcart_tests::wire::{Event, Order};
use serde_json::{Value, json};

/// A shop with two orders over 20.00 of two customers, and so many events that will be left `FAILED`.
struct Scene {
    shop: TestShop,
    admin: Admin,
    ada: Customer,
    order: Order,
    other: Order,
}

impl Scene {
    async fn with_failed_events(failed: i64) -> Self {
        let shop = TestShop::with(|plan| plan.failed_events = failed).await;
        let admin = shop.admin().await;
        let mug = admin.sells("Mug", "10.00", 50).await;
        let (ada, bob) = (shop.customer().await, shop.customer().await);
        let order = ada.orders(&[(&mug, 2)]).await;
        let other = bob.orders(&[(&mug, 2)]).await;
        Self { shop, admin, ada, order, other }
    }

    async fn hears(&self, event: &Value) {
        let _ = self.shop.hears(event).await.expect(200);
    }

    /// An event of the provider's as it is kept.
    async fn kept(&self, event: &Value) -> Event {
        let listed = self.admin.lists_events("").await;
        listed.into_iter().find(|kept| event["id"] == kept.provider_event_id.as_str()).expect("the event")
    }

    /// Takes in an event that can't be read, and then mends it in the database, as a new version of the reader
    /// would.
    async fn failed_then_mended(&self, mended: &Value) -> Event {
        let broken = json!({ "id": mended["id"], "type": "charge.refunded", "data": 7 });
        self.hears(&broken).await;
        let kept = self.kept(mended).await;
        assert_eq!(kept.status, "FAILED");
        let payload = mended.to_string().replace('\'', "''");
        let sql = format!("UPDATE provider_events SET payload = '{payload}' WHERE id = '{}'", kept.id);
        self.shop.database.run_sql(&sql).await.unwrap();
        kept
    }

    async fn standing(&self, order: &Order) -> String {
        self.admin.sees(order).await.standing()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_list_events_by_filter_and_see_one_as_it_came() {
    let scene = Scene::with_failed_events(1).await;
    let paid = event("checkout.session.completed", &paid_session(&scene.order, "cs_test_hand", "pi_1"));
    let dispute = event("charge.dispute.created", &about("dispute", "pi_unheard_of"));
    let foreign = event("invoice.paid", &json!({ "amount": 1.10 }));
    let unreadable = event("charge.refunded", &json!({ "payment_intent": "pi_1", "currency": "usd" }));
    for event in [&paid, &dispute, &foreign, &unreadable] {
        scene.hears(event).await;
    }
    let expect = |events: &[&Value]| events.iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    // The provider tells of the session, too, that the payment by another one closes.
    let told = expect(&[&paid, &dispute, &foreign, &unreadable]);
    let ids = |events: &[Event]| {
        let ids = events.iter().map(|event| event.provider_event_id.clone());
        ids.filter(|id| told.contains(id)).collect::<Vec<_>>()
    };
    for (filter, expected) in [
        ("", vec![&unreadable, &foreign, &dispute, &paid]),
        ("status=APPLIED", vec![&paid]),
        ("status=IGNORED", vec![&foreign]),
        ("status=WAITING", vec![&dispute]),
        ("status=FAILED", vec![&unreadable]),
        ("type=invoice.paid", vec![&foreign]),
        (&format!("orderId={}&type=checkout.session.completed", scene.order.id), vec![&paid]),
        (&format!("orderId={}", scene.other.id), vec![]),
        ("status=FAILED&type=invoice.paid", vec![]),
    ] {
        let listed = scene.admin.lists_events(filter).await;
        assert_eq!(ids(&listed), expect(&expected), "{filter}");
        assert!(listed.iter().all(|event| event.payload.is_none()), "{filter}");
    }
    let seen = scene.admin.sees_event(&scene.kept(&foreign).await).await;
    assert_eq!(seen.payload, Some(foreign));
    assert_eq!((seen.status.as_str(), seen.order_id, seen.applied_at), ("IGNORED", None, None));
    let applied = scene.admin.sees_event(&scene.kept(&paid).await).await;
    assert_eq!((applied.order_id, applied.reason), (Some(scene.order.id.clone()), None));
    assert!(applied.applied_at.is_some());
    let unheard_of = "/admin/events/0192f0c1-2345-7abc-8def-0123456789ab";
    scene.admin.http.get(unheard_of).await.is_problem(404, "not_found");
    scene.admin.http.post_empty(&format!("{unheard_of}/replay")).await.is_problem(404, "not_found");
    scene.ada.http.get("/admin/events").await.is_problem(403, "forbidden");
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_events_neither_repeat_nor_skip_one_while_others_come() {
    let scene = Scene::with_failed_events(0).await;
    let mut sent = Vec::new();
    for _ in 0..7 {
        let told = event("invoice.paid", &json!({}));
        scene.hears(&told).await;
        sent.push(told["id"].as_str().unwrap().to_owned());
    }
    sent.reverse();
    let (mut seen, mut path) = (Vec::new(), "/admin/events?limit=3&type=invoice.paid".to_owned());
    loop {
        let page = scene.admin.http.get(&path).await.expect(200).json();
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|event| event["providerEventId"].as_str().unwrap().to_owned()));
        scene.hears(&event("invoice.paid", &json!({}))).await;
        let Value::String(cursor) = &page["nextCursor"] else { break };
        path = format!("/admin/events?limit=3&type=invoice.paid&cursor={cursor}");
    }
    assert_eq!(seen, sent);
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_event_that_can_be_applied_by_now_is_applied_by_a_replay() {
    let scene = Scene::with_failed_events(0).await;
    let paid = event("checkout.session.completed", &paid_session(&scene.order, "cs_test_hand", "pi_1"));
    let failed = scene.failed_then_mended(&paid).await;
    assert!(failed.reason.is_some());
    let replayed: Event = scene.admin.replays(&failed).await.expect(200).read_as();
    assert_eq!((replayed.status.as_str(), replayed.reason.as_deref()), ("APPLIED", None));
    assert_eq!(replayed.order_id.as_deref(), Some(scene.order.id.as_str()));
    assert!(replayed.applied_at.is_some());
    assert_eq!(replayed.payload.as_ref(), Some(&paid));
    assert_eq!(scene.standing(&scene.order).await, "PAID COMPLETED");
    let again = scene.admin.replays(&failed).await.is_problem(409, "invalid_transition");
    assert_eq!((&again["from"], &again["to"]), (&json!("APPLIED"), &json!("APPLIED")));
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_may_find_that_the_event_is_nobodys_or_must_wait() {
    let scene = Scene::with_failed_events(0).await;
    let foreign = scene.failed_then_mended(&event("invoice.paid", &json!({}))).await;
    let ignored: Event = scene.admin.replays(&foreign).await.expect(200).read_as();
    assert_eq!((ignored.status.as_str(), ignored.reason.is_some()), ("IGNORED", true));

    let dispute = event("charge.dispute.created", &about("dispute", "pi_1"));
    let early = scene.failed_then_mended(&dispute).await;
    let waiting: Event = scene.admin.replays(&early).await.expect(200).read_as();
    assert_eq!((waiting.status.as_str(), waiting.reason), ("WAITING", None));
    // The transaction that links its receipt applies it.
    scene.hears(&event("checkout.session.completed", &paid_session(&scene.order, "cs_test_hand", "pi_1"))).await;
    assert_eq!(scene.admin.sees(&scene.order).await.flags, ["DISPUTED"]);
    assert_eq!(scene.kept(&dispute).await.status, "APPLIED");
    for (event, from) in [(&foreign, "IGNORED"), (&early, "APPLIED")] {
        let refused = scene.admin.replays(event).await.is_problem(409, "invalid_transition");
        assert_eq!(refused["from"], from);
    }
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_can_not_be_applied_stays_failed_with_the_new_reason() {
    let scene = Scene::with_failed_events(3).await;
    // No field that is needed, no JSON object at all, and a contradiction that only its mended form shows.
    let unreadable = scene.failed_then_mended(&event("charge.refunded", &json!({ "payment_intent": "pi_1" }))).await;
    let no_event = scene.failed_then_mended(&event("charge.refunded", &json!({}))).await;
    let sql = format!("UPDATE provider_events SET payload = '[]' WHERE id = '{}'", no_event.id);
    scene.shop.database.run_sql(&sql).await.unwrap();
    scene.hears(&event("checkout.session.completed", &paid_session(&scene.order, "cs_test_hand", "pi_1"))).await;
    let stolen = event("checkout.session.completed", &paid_session(&scene.other, "cs_test_2", "pi_1"));
    let contradicting = scene.failed_then_mended(&stolen).await;
    for (event, reason) in [
        (&unreadable, "data.object.amount_refunded"),
        (&no_event, "expected a JSON object"),
        (&contradicting, "its payment intent belongs to order"),
    ] {
        let replayed: Event = scene.admin.replays(event).await.expect(200).read_as();
        assert_eq!(replayed.status, "FAILED");
        let told = replayed.reason.unwrap();
        assert!(told.contains(reason) && event.reason.as_ref() != Some(&told), "{told}");
        assert_eq!(scene.admin.sees_event(event).await.reason, Some(told), "the new reason is kept");
    }
    assert_eq!(scene.standing(&scene.other).await, "PENDING PENDING");
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_replays_at_once_have_one_effect() {
    let scene = Scene::with_failed_events(0).await;
    scene.hears(&event("checkout.session.completed", &paid_session(&scene.order, "cs_test_hand", "pi_1"))).await;
    for round in 0..5 {
        let dispute = event("charge.dispute.created", &about("dispute", "pi_1"));
        let failed = scene.failed_then_mended(&dispute).await;
        let replays = join_all((0..20).map(|_| scene.admin.replays(&failed))).await;
        let applied = replays.iter().filter(|reply| reply.status == 200).count();
        let refused = replays.iter().filter(|reply| reply.status == 409).count();
        assert_eq!((applied, refused), (1, 19), "round {round}");
        assert_eq!(scene.kept(&dispute).await.status, "APPLIED");
    }
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replays_deliveries_and_payments_of_one_receipt_at_once_end_well() {
    let scene = Scene::with_failed_events(0).await;
    for round in 0..10 {
        let mug = scene.shop.sells(&format!("Cup {round}"), "10.00", 5).await;
        let order = scene.ada.orders(&[(&mug, 2)]).await;
        let intent = format!("pi_round_{round}");
        let paid = event("checkout.session.completed", &paid_session(&order, &format!("cs_test_{round}"), &intent));
        let dispute = event("charge.dispute.created", &about("dispute", &intent));
        let warning = event("radar.early_fraud_warning.created", &about("radar.early_fraud_warning", &intent));
        let failed = scene.failed_then_mended(&dispute).await;
        let (replays, (), ()) = tokio::join!(
            join_all((0..4).map(|_| scene.admin.replays(&failed))),
            scene.hears(&paid),
            scene.hears(&warning),
        );
        let codes: BTreeSet<u16> = replays.iter().map(|reply| reply.status).collect();
        assert_eq!(codes, BTreeSet::from([200, 409]), "round {round}");
        let seen = scene.admin.sees(&order).await;
        assert_eq!(seen.standing(), "PAID COMPLETED", "round {round}");
        assert_eq!(seen.flags, ["DISPUTED", "FRAUD_WARNING"], "round {round}");
    }
    let waiting = scene.admin.lists_events("status=WAITING").await;
    assert_eq!(waiting, []);
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_names_another_order_for_a_session_ends_as_failed_and_leaves_nothing_half_done() {
    let scene = Scene::with_failed_events(5).await;
    let session = scene.shop.session_of(&scene.order);
    let before = (scene.admin.sees(&scene.order).await, scene.admin.sees(&scene.other).await);
    let mut unpaid = paid_session(&scene.other, &session, "pi_new");
    unpaid["payment_status"] = json!("unpaid");
    let stolen = [
        event("checkout.session.completed", &paid_session(&scene.other, &session, "pi_new")),
        event("checkout.session.completed", &unpaid),
        event("checkout.session.async_payment_succeeded", &paid_session(&scene.other, &session, "pi_newer")),
        event("checkout.session.async_payment_failed", &unpaid),
        event("checkout.session.expired", &unpaid),
    ];
    for event in &stolen {
        scene.hears(event).await;
        let kept = scene.kept(event).await;
        assert_eq!((kept.status.as_str(), kept.order_id), ("FAILED", None), "{event}");
        let reason = kept.reason.unwrap();
        assert!(reason.contains(&scene.order.id) && reason.contains(&scene.other.id), "{reason}");
    }
    let receipts = "SELECT count(*) AS n FROM receipts";
    assert_eq!(scene.shop.database.number(receipts).await, 0);
    assert_eq!((scene.admin.sees(&scene.order).await, scene.admin.sees(&scene.other).await), before);
    // Both can still be paid.
    scene.ada.pays(&scene.order).await;
    scene.shop.reaches(&scene.order, "PAID COMPLETED").await;
    scene.shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_two_orders_claim_at_once_is_kept_by_one_and_the_other_event_fails() {
    // The look before sees neither: the database's constraint has the last word.
    let scene = Scene::with_failed_events(8).await;
    let mug = scene.shop.sells("Cup", "10.00", 100).await;
    for round in 0..8 {
        let bob = scene.shop.customer().await;
        let (one, two) = (bob.orders(&[(&mug, 2)]).await, bob.orders(&[(&mug, 2)]).await);
        let session = format!("cs_test_unknown_{round}");
        let told = [(&one, "a"), (&two, "b")].map(|(order, name)| {
            event("checkout.session.completed", &paid_session(order, &session, &format!("pi_{round}_{name}")))
        });
        let (first, second) = (scene.shop.hears_later(told[0].clone()), scene.shop.hears_later(told[1].clone()));
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.status, second.status), (200, 200), "round {round}");
        let mut standings = [scene.standing(&one).await, scene.standing(&two).await];
        standings.sort();
        assert_eq!(standings, ["PAID COMPLETED", "PENDING PENDING"], "round {round}");
    }
    scene.shop.close().await;
}
