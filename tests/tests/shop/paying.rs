//! Paying (contract 3.3, 3.4 and 3.9): one session at a time, money taken from the provider's word alone, and delayed
//! payments.

use chrono::{DateTime, TimeDelta, Utc};
use ironcart_tests::actors::Customer;
use ironcart_tests::shop::TestShop;
use ironcart_tests::wait::until;
use ironcart_tests::wire::Order;
use stripe_simulator::{Fault, FaultKind, FaultPhase, PayTerms, ReleaseOrder};

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A shop, and an order over 20.00 in it that can be paid.
async fn shop_with_order() -> (TestShop, Customer, Order) {
    let shop = TestShop::open().await;
    let (customer, order) = order_in(&shop).await;
    (shop, customer, order)
}

async fn order_in(shop: &TestShop) -> (Customer, Order) {
    let mug = shop.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 2)]).await;
    (ada, order)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_names_its_order_and_ends_as_soon_after_it_as_the_provider_allows() {
    let (shop, ada, order) = shop_with_order().await;
    let session = shop.sessions_of(&order).remove(0);
    assert_eq!(session["metadata"]["orderId"], order.id);
    assert_eq!((&session["amount_total"], &session["currency"]), (&2000.into(), &"usd".into()));
    assert_eq!(moment(&order.expires_at) - moment(&order.created_at), TimeDelta::minutes(30));
    let ends = DateTime::from_timestamp(session["expires_at"].as_i64().unwrap(), 0).unwrap();
    let outlives = ends - moment(&order.expires_at);
    assert!(outlives >= TimeDelta::zero() && outlives <= TimeDelta::seconds(62), "{outlives}");

    let start = ada.starts_payment(&order).await.expect(200).json();
    assert_eq!(moment(start["expiresAt"].as_str().unwrap()), ends);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_to_pay_gives_the_open_session_again_and_again() {
    let (shop, ada, order) = shop_with_order().await;
    for _ in 0..3 {
        let start = ada.starts_payment(&order).await.expect(200).json();
        assert_eq!(start["checkoutUrl"].as_str(), order.payment.checkout_url.as_deref());
    }
    assert_eq!(shop.sessions_of(&order).len(), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coming_back_from_the_page_pays_nothing_the_signed_event_does() {
    let (shop, ada, order) = shop_with_order().await;
    shop.provider().hold_webhooks();
    let success = ada.pays(&order).await;
    let path = success.strip_prefix("http://shop.test").unwrap();
    let _ = ada.http.open_page(&format!("{}{path}", ada.http.base())).await.expect(200);
    assert_eq!(ada.sees(&order).await.standing(), "PENDING PENDING");
    shop.provider().release_webhooks(ReleaseOrder::AsHappened).await;
    assert_eq!(ada.sees(&order).await.standing(), "PAID COMPLETED");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_leaves_the_order_payable() {
    let (shop, ada, order) = shop_with_order().await;
    let page = ada.presses("decline", &order).await;
    assert!(page.contains("declined"), "{page}");
    shop.settles().await;
    let seen = ada.sees(&order).await;
    assert_eq!(
        (seen.standing().as_str(), &seen.payment.checkout_url),
        ("PENDING PENDING", &order.payment.checkout_url)
    );
    ada.pays(&order).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_expired_ends_by_itself_and_the_order_gets_another() {
    let (shop, ada, order) = shop_with_order().await;
    shop.provider().expire(&shop.session_of(&order)).unwrap();
    until("the end of the session is known", async || ada.sees(&order).await.payment.checkout_url.is_none()).await;
    assert_eq!(ada.sees(&order).await.standing(), "PENDING PENDING");
    let start = ada.starts_payment(&order).await.expect(200).json();
    assert_ne!(start["checkoutUrl"].as_str(), order.payment.checkout_url.as_deref());
    ada.pays(&ada.sees(&order).await).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_attempt_begins_only_when_the_provider_says_that_the_last_one_ended() {
    let (shop, ada, order) = shop_with_order().await;
    shop.provider().drop_webhooks(usize::MAX, None);
    shop.provider().expire(&shop.session_of(&order)).unwrap();
    // Nobody told the shop, and it can't ask: it does not open a second one on suspicion.
    shop.provider_goes_down();
    ada.starts_payment(&order).await.is_problem(502, "payment_provider_error");
    shop.provider_comes_back();
    until("the payment can be started", async || ada.starts_payment(&order).await.status == 200).await;
    let states: Vec<_> = shop.sessions_of(&order).iter().map(|session| session["status"].clone()).collect();
    assert_eq!(states, ["expired", "open"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_became_too_old_to_be_opened_is_followed_by_another() {
    let shop = TestShop::open().await;
    shop.provider_goes_down();
    let (ada, order) = order_in(&shop).await;
    // Its parameters are fixed, and by now its end is less than the provider's half hour away.
    shop.passes(300);
    shop.provider_comes_back();
    until("the payment can be started", async || ada.starts_payment(&order).await.status == 200).await;
    assert_eq!(shop.sessions_of(&order).len(), 1);
    let refused = shop.provider().requests().into_iter().filter(|request| request.status == Some(400)).count();
    assert_eq!(refused, 1, "the old attempt was asked for first");
    ada.pays(&ada.sees(&order).await).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_to_pay_finds_out_that_the_order_is_paid_already() {
    let (shop, ada, order) = shop_with_order().await;
    shop.provider().drop_webhooks(usize::MAX, None);
    ada.pays(&order).await;
    assert_eq!(ada.sees(&order).await.standing(), "PENDING PENDING");
    ada.starts_payment(&order).await.is_problem(409, "order_already_paid");
    assert_eq!(ada.sees(&order).await.standing(), "PAID COMPLETED");
    ada.starts_payment(&order).await.is_problem(409, "order_already_paid");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_or_too_old_is_not_payable() {
    let shop = TestShop::with(ironcart_tests::shop::Plan::never_sweeps).await;
    let (ada, cancelled) = order_in(&shop).await;
    let _ = ada.cancels(&cancelled).await.expect(200);
    ada.starts_payment(&cancelled).await.is_problem(409, "order_not_payable");

    let mug = shop.sells("Cup", "10.00", 5).await;
    let old = ada.orders(&[(&mug, 1)]).await;
    shop.passes(1801);
    ada.starts_payment(&old).await.is_problem(409, "order_not_payable");
    assert_eq!(ada.sees(&old).await.payment.checkout_url, None);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_after_the_window_counts_as_long_as_the_order_stands() {
    let shop = TestShop::with(ironcart_tests::shop::Plan::never_sweeps).await;
    let (_, order) = order_in(&shop).await;
    shop.passes(1801);
    shop.provider().pay(&shop.session_of(&order), PayTerms::default()).unwrap();
    shop.reaches(&order, "PAID COMPLETED").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_of_another_sum_or_currency_pays_nothing_and_goes_back() {
    let wrong_sum = PayTerms { amount: Some(1), ..PayTerms::default() };
    let wrong_currency = PayTerms { currency: Some("eur".into()), ..PayTerms::default() };
    for (terms, amount, currency) in [(wrong_sum, "0.01", "USD"), (wrong_currency, "20.00", "EUR")] {
        let (shop, ada, order) = shop_with_order().await;
        let admin = shop.admin().await;
        shop.provider().pay(&shop.session_of(&order), terms).unwrap();
        shop.settles().await;
        let seen = ada.sees(&order).await;
        assert_eq!(
            (seen.standing().as_str(), seen.flags.as_slice()),
            ("PENDING PENDING", &["AMOUNT_MISMATCH".to_owned()][..])
        );
        assert_eq!(seen.extras(), ["MISMATCH succeeded"]);
        assert_eq!(
            (seen.extra_receipts[0].amount.as_str(), seen.extra_receipts[0].currency.as_str()),
            (amount, currency)
        );

        // It stays payable; once paid, an admin looks at the flag before it is shipped.
        let _ = ada.starts_payment(&order).await.expect(200);
        ada.pays(&ada.sees(&order).await).await;
        shop.reaches(&order, "PAID COMPLETED").await;
        admin.ships(&order).await.is_problem(409, "order_flagged");
        assert_eq!(admin.clears_flags(&order).await.order().flags, Vec::<String>::new());
        assert_eq!(admin.ships(&order).await.order().status, "SHIPPED");
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_payment_goes_back_and_the_first_one_stays() {
    let (shop, ada, order) = shop_with_order().await;
    let session = shop.session_of(&order);
    shop.provider().pay(&session, PayTerms::default()).unwrap();
    shop.provider().pay_again(&session, PayTerms::default()).unwrap();
    shop.settles().await;
    let seen = ada.sees(&order).await;
    assert_eq!((seen.standing().as_str(), seen.payment.refunded_amount.as_str()), ("PAID COMPLETED", "0.00"));
    assert_eq!(seen.extras(), ["SECOND succeeded"]);
    assert_eq!(shop.provider().refunds().len(), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_for_a_cancelled_order_goes_back() {
    let (shop, ada, order) = shop_with_order().await;
    shop.provider().hold_webhooks();
    ada.pays(&order).await;
    // The shop does not know of the money yet.
    let _ = ada.cancels(&order).await.expect(200);
    shop.provider().release_webhooks(ReleaseOrder::AsHappened).await;
    shop.settles().await;
    let seen = ada.sees(&order).await;
    assert_eq!((seen.standing().as_str(), seen.extras()), ("CANCELLED PENDING", vec!["LATE succeeded".to_owned()]));
    assert_eq!(seen.cancelled_by.as_deref(), Some("CUSTOMER"));
    assert_eq!(shop.provider().refunds().len(), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_cancelled_while_its_session_is_being_opened_ends_without_one() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let slow = Fault::next(FaultKind::Hang { ms: 800 }, FaultPhase::BeforeEffect);
    shop.provider().inject(slow.on("POST", "/v1/checkout/sessions"));
    let _ = ada.adds(&mug, 1).await.expect(200);
    let ordering = tokio::spawn({
        let ada = ada.clone();
        async move { ada.checks_out().await }
    });
    let placed = until_order_is_there(&shop, &ada).await;
    let _ = ada.cancels(&placed).await.expect(200);
    let answer = ordering.await.unwrap().expect(201).order();
    assert_eq!((answer.status.as_str(), answer.payment.checkout_url), ("CANCELLED", None));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_started_while_the_order_is_cancelled_is_refused() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders_to_pay_later(&mug, 1).await;
    let slow = Fault::next(FaultKind::Hang { ms: 800 }, FaultPhase::BeforeEffect);
    shop.provider().inject(slow.on("POST", "/v1/checkout/sessions"));
    let starting = tokio::spawn({
        let (ada, order) = (ada.clone(), order.clone());
        async move { ada.starts_payment(&order).await }
    });
    let attempts = "SELECT count(*) AS n FROM checkout_attempts";
    until("the attempt is stored", async || shop.database.number(attempts).await == 1).await;
    let _ = ada.cancels(&order).await.expect(200);
    starting.await.unwrap().is_problem(409, "order_not_payable");
    shop.close().await;
}

async fn until_order_is_there(shop: &TestShop, customer: &Customer) -> Order {
    until("the order is committed", async || shop.database.number("SELECT count(*) AS n FROM orders").await == 1).await;
    let list = customer.http.get("/orders").await.expect(200).json();
    serde_json::from_value(list["items"][0].clone()).unwrap()
}

// --- delayed payments -------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn an_order_waits_for_a_delayed_payment_and_is_paid_when_it_arrives() {
    let (shop, ada, order) = shop_with_order().await;
    ada.presses("pay-later", &order).await;
    until("the order waits", async || ada.sees(&order).await.payment.checkout_url.is_none()).await;
    assert_eq!(ada.sees(&order).await.standing(), "PENDING PENDING");
    ada.starts_payment(&order).await.is_problem(409, "order_not_payable");
    assert_eq!(shop.sessions_of(&order).len(), 1);
    shop.provider().settle(&shop.session_of(&order)).unwrap();
    let paid = shop.reaches(&order, "PAID COMPLETED").await;
    assert_eq!(paid.extra_receipts, []);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_delayed_payment_the_order_can_be_paid_again() {
    let (shop, ada, order) = shop_with_order().await;
    ada.presses("pay-later", &order).await;
    shop.provider().fail(&shop.session_of(&order)).unwrap();
    let failed = shop.reaches(&order, "PENDING FAILED").await;
    assert_eq!(failed.payment.checkout_url, None);
    let _ = ada.starts_payment(&order).await.expect(200);
    assert_eq!(ada.sees(&order).await.standing(), "PENDING PENDING");
    ada.pays(&ada.sees(&order).await).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_a_delayed_payment_is_final_although_its_event_came_first() {
    for arrives in [true, false] {
        let (shop, ada, order) = shop_with_order().await;
        shop.provider().hold_webhooks();
        ada.presses("pay-later", &order).await;
        let session = shop.session_of(&order);
        let result = if arrives { shop.provider().settle(&session) } else { shop.provider().fail(&session) };
        result.unwrap();
        shop.provider().release_webhooks(ReleaseOrder::Reversed).await;
        if arrives {
            shop.reaches(&order, "PAID COMPLETED").await;
        } else {
            shop.reaches(&order, "PENDING FAILED").await;
            // It does not wait for what has failed already.
            let _ = ada.starts_payment(&order).await.expect(200);
        }
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_payment_that_arrives_at_a_cancelled_order_goes_back() {
    let (shop, ada, order) = shop_with_order().await;
    ada.presses("pay-later", &order).await;
    until("the order waits", async || ada.sees(&order).await.payment.checkout_url.is_none()).await;
    let _ = ada.cancels(&order).await.expect(200);
    shop.provider().settle(&shop.session_of(&order)).unwrap();
    shop.settles().await;
    let seen = ada.sees(&order).await;
    assert_eq!((seen.standing().as_str(), seen.extras()), ("CANCELLED PENDING", vec!["LATE succeeded".to_owned()]));
    shop.close().await;
}
