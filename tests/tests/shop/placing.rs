//! Placing an order (contract 3.1 and 3.2, and the caps of contract 4): what is taken, what is refused, and that a
//! refusal takes nothing.

use std::time::{Duration, Instant};

use domain::money::{Currency, Money};
use ironcart_tests::shop::TestShop;
use ironcart_tests::wait::{until, until_some};
use serde_json::{Value, json};
use stripe_simulator::{Fault, FaultKind, FaultPhase};

const CREATE_SESSION: (&str, &str) = ("POST", "/v1/checkout/sessions");

fn session_creations(shop: &TestShop) -> Vec<Value> {
    let requests = shop.provider().requests().into_iter();
    requests.filter(|r| (r.method.as_str(), r.path.as_str()) == CREATE_SESSION).map(|r| r.params).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_pay_later_has_no_session_until_it_is_paid() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "4.00", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders_to_pay_later(&mug, 2).await;
    assert_eq!(order.payment.checkout_url, None);
    assert!(shop.sessions_of(&order).is_empty());

    let start = ada.starts_payment(&order).await.expect(200).json();
    let seen = ada.sees(&order).await;
    assert_eq!(seen.payment.checkout_url.as_deref(), start["checkoutUrl"].as_str());
    assert!(start["expiresAt"].as_str().unwrap() > order.expires_at.as_str());
    ada.pays(&seen).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_stands_although_the_provider_is_down_and_is_paid_later() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "4.00", 5).await;
    let ada = shop.customer().await;
    shop.provider_goes_down();
    let order = ada.orders(&[(&mug, 1)]).await;
    assert_eq!((order.standing().as_str(), order.payment.checkout_url.as_deref()), ("PENDING PENDING", None));
    ada.starts_payment(&order).await.is_problem(502, "payment_provider_error");

    shop.provider_comes_back();
    until("the payment can be started", async || ada.starts_payment(&order).await.status == 200).await;
    assert_eq!(shop.sessions_of(&order).len(), 1);
    ada.pays(&ada.sees(&order).await).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_answer_costs_an_order_ten_seconds_at_most() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "4.00", 5).await;
    let ada = shop.customer().await;
    let hang = Fault::next(FaultKind::Hang { ms: 12_000 }, FaultPhase::BeforeEffect).times(3);
    shop.provider().inject(hang.on(CREATE_SESSION.0, CREATE_SESSION.1));
    let begun = Instant::now();
    let order = ada.orders(&[(&mug, 1)]).await;
    assert!(begun.elapsed() < Duration::from_secs(11), "{:?}", begun.elapsed());
    assert_eq!(order.payment.checkout_url, None);

    // Three slow tries opened the circuit: nobody else waits.
    let begun = Instant::now();
    let second = ada.orders(&[(&mug, 1)]).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    for order in [&order, &second] {
        until("the payment can be started", async || ada.starts_payment(order).await.status == 200).await;
        assert_eq!(shop.sessions_of(order).len(), 1);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_and_no_lock_is_held_while_the_provider_is_asked() {
    let shop = TestShop::with(|plan| plan.connections = 1).await;
    let mug = shop.sells("Mug", "4.00", 5).await;
    let (ada, bob) = (shop.customer().await, shop.customer().await);
    let hang = Fault::next(FaultKind::Hang { ms: 2_500 }, FaultPhase::BeforeEffect);
    shop.provider().inject(hang.on(CREATE_SESSION.0, CREATE_SESSION.1));

    let _ = ada.adds(&mug, 1).await.expect(200);
    let ordering = tokio::spawn(async move { ada.checks_out().await });
    until("the order is committed", async || shop.database.number("SELECT count(*) AS n FROM orders").await == 1).await;
    // The shop has one connection, and the product's row was locked: both must be free.
    let bobs = bob.orders_to_pay_later(&mug, 1).await;
    let open = "SELECT count(*) AS n FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    assert_eq!(shop.database.number(open).await, 0);
    assert!(!ordering.is_finished(), "the provider answered before anything was seen");

    assert!(ordering.await.unwrap().order().payment.checkout_url.is_some());
    let _ = bob.cancels(&bobs).await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_keeps_the_names_and_prices_of_its_time() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "19.99", 9).await;
    let cup = admin.sells("Cup", "0.10", 9).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 3), (&cup, 2)]).await;
    assert_eq!(order.total, "60.17");

    let _ = admin.changes(&mug, json!({ "price": "99.00", "name": "Golden mug" })).await.expect(200);
    let _ = admin.archives(&cup).await.expect(204);
    let seen = ada.sees(&order).await;
    assert_eq!((&seen.items, &seen.total), (&order.items, &order.total));
    assert_eq!((seen.items[0].name.as_str(), seen.items[0].unit_price.as_str()), ("Mug", "19.99"));
    assert_eq!((seen.items[1].name.as_str(), seen.items[1].line_total.as_str()), ("Cup", "0.20"));

    // A session opened only now sells at the old prices, too.
    shop.provider().expire(&shop.session_of(&order)).unwrap();
    until("the session's end is known", async || ada.sees(&order).await.payment.checkout_url.is_none()).await;
    let _ = ada.starts_payment(&order).await.expect(200);
    assert_eq!(shop.sessions_of(&order)[1]["amount_total"], 6017);
    ada.pays(&ada.sees(&order).await).await;
    shop.reaches(&order, "PAID COMPLETED").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expected_total_that_is_no_longer_true_is_told_and_nothing_is_ordered() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let _ = ada.adds(&mug, 2).await.expect(200);
    let _ = admin.changes(&mug, json!({ "price": "12.50" })).await.expect(200);

    let refused = ada.checks_out_with(json!({ "expectedTotal": "20.00" })).await.is_problem(409, "total_changed");
    assert_eq!(refused["total"], "25.00");
    assert_eq!(ada.looks_into_cart().await["items"].as_array().unwrap().len(), 1);
    assert_eq!(admin.counts(&mug).await, 5);
    // As a number it is read as it is written.
    let order = ada.checks_out_with(json!({ "expectedTotal": 25.00 })).await.expect(201).order();
    assert_eq!(order.total, "25.00");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_with_a_product_archived_meanwhile_is_not_ordered() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (mug, cup) = (admin.sells("Mug", "10.00", 5).await, admin.sells("Cup", "3.00", 5).await);
    let ada = shop.customer().await;
    for product in [&mug, &cup] {
        let _ = ada.adds(product, 1).await.expect(200);
    }
    let _ = admin.archives(&mug).await.expect(204);
    let refused = ada.checks_out().await.is_problem(409, "product_unavailable");
    assert_eq!(refused["productId"], mug.id);
    assert_eq!(admin.counts(&cup).await, 5);

    let cart = ada.looks_into_cart().await;
    assert_eq!(cart["items"].as_array().unwrap().len(), 1, "the archived one has left the cart: {cart}");
    let order = ada.checks_out().await.expect(201).order();
    assert_eq!(order.total, "3.00");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_stock_is_not_ordered_and_nothing_of_the_cart_is_taken() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (mug, cup) = (admin.sells("Mug", "10.00", 5).await, admin.sells("Cup", "3.00", 5).await);
    let ada = shop.customer().await;
    let _ = ada.adds(&cup, 4).await.expect(200);
    let _ = ada.adds(&mug, 5).await.expect(200);
    let _ = admin.changes(&mug, json!({ "stock": 4 })).await.expect(200);

    let refused = ada.checks_out().await.is_problem(409, "insufficient_stock");
    assert_eq!(
        (&refused["productId"], &refused["available"], &refused["requested"]),
        (&json!(mug.id), &json!(4), &json!(5))
    );
    assert_eq!((admin.counts(&mug).await, admin.counts(&cup).await), (4, 5));
    assert_eq!(ada.looks_into_cart().await["items"].as_array().unwrap().len(), 2);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_one_product_added_twice_are_one_line_that_the_stock_is_checked_against() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let _ = ada.adds(&mug, 3).await.expect(200);
    ada.adds(&mug, 3).await.is_problem(409, "insufficient_stock");
    let _ = ada.adds(&mug, 2).await.expect(200);
    let order = ada.checks_out().await.expect(201).order();
    assert_eq!((order.items.len(), order.items[0].quantity), (1, 5));
    assert_eq!(admin.counts(&mug).await, 0);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_cart_is_not_ordered() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    ada.checks_out().await.is_problem(409, "cart_empty");
    let _ = ada.adds(&mug, 1).await.expect(200);
    let _ = ada.http.delete("/cart").await.expect(204);
    ada.checks_out().await.is_problem(409, "cart_empty");
    let _ = ada.orders(&[(&mug, 1)]).await;
    ada.checks_out().await.is_problem(409, "cart_empty");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_the_provider_would_not_take_is_refused_at_its_very_bounds() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let ada = shop.customer().await;
    for (price, quantity, total) in
        [("0.49", 1, "0.49"), ("250000.00", 4, "1000000.00"), ("99999999.99", 1000, "99999999990.00")]
    {
        let product = admin.sells(&format!("Thing for {price}"), price, 1000).await;
        let _ = ada.adds(&product, quantity).await.expect(200);
        let refused = ada.checks_out().await.is_problem(409, "order_total_not_payable");
        assert_eq!(refused["total"], total);
        let _ = ada.http.delete("/cart").await.expect(204);
    }
    for (price, quantity) in [("0.25", 2), ("333333.33", 3)] {
        let product = admin.sells(&format!("Thing for {price}"), price, 1000).await;
        let order = ada.orders(&[(&product, quantity)]).await;
        assert!(order.payment.checkout_url.is_some(), "{}", order.total);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_holds_a_hundred_products_and_so_does_its_session() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let ada = shop.customer().await;
    for number in 0..100 {
        let product = admin.sells(&format!("Thing {number}"), "1.01", 3).await;
        let _ = ada.adds(&product, 2).await.expect(200);
    }
    let one_more = admin.sells("Thing too many", "1.00", 3).await;
    ada.adds(&one_more, 1).await.is_problem(409, "cart_full");

    let order = ada.checks_out().await.expect(201).order();
    assert_eq!((order.items.len(), order.total.as_str()), (100, "202.00"));
    let asked = session_creations(&shop);
    assert_eq!(asked[0]["line_items"].as_object().unwrap().len(), 100);
    assert_eq!(shop.sessions_of(&order)[0]["amount_total"], 20_200);
    let _ = ada.cancels(&order).await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sixth_unpaid_order_is_refused_and_paid_ones_do_not_count() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 20).await;
    let ada = shop.customer().await;
    let first = ada.orders(&[(&mug, 1)]).await;
    for _ in 0..4 {
        let _ = ada.orders_to_pay_later(&mug, 1).await;
    }
    let _ = ada.adds(&mug, 1).await.expect(200);
    let refused = ada.checks_out().await;
    refused.is_problem(429, "pending_order_limit");
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));

    ada.pays(&first).await;
    shop.reaches(&first, "PAID COMPLETED").await;
    let _ = ada.checks_out().await.expect(201);
    let _ = ada.adds(&mug, 1).await.expect(200);
    ada.checks_out().await.is_problem(429, "pending_order_limit");
    // One customer's cap is nobody else's.
    let _ = shop.customer().await.orders(&[(&mug, 1)]).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lets_too_many_orders_expire_can_order_again_a_day_later() {
    let shop = TestShop::with(|plan| plan.orders.fraud.max_daily_expiries = 2).await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 20).await;
    let ada = shop.customer().await;
    // Neither an admin's nor a customer's cancellation is an expiry.
    let called_off = ada.orders_to_pay_later(&mug, 1).await;
    let _ = ada.cancels(&called_off).await.expect(200);
    let called_off = ada.orders_to_pay_later(&mug, 1).await;
    let _ = admin.cancels(&called_off).await.expect(200);
    for _ in 0..2 {
        let order = ada.orders_to_pay_later(&mug, 1).await;
        shop.passes(1801);
        shop.reaches(&order, "CANCELLED PENDING").await;
    }
    let _ = ada.adds(&mug, 1).await.expect(200);
    ada.checks_out().await.is_problem(429, "pending_order_limit");
    shop.passes(24 * 3600);
    let _ = ada.checks_out().await.expect(201);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_not_blocked_by_what_they_hold_themselves() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Last mug", "10.00", 1).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    // The last unit is theirs: it can be paid although nothing is left, and ordered anew once it is given back.
    let _ = ada.starts_payment(&order).await.expect(200);
    let _ = ada.cancels(&order).await.expect(200);
    let again = ada.orders(&[(&mug, 1)]).await;
    ada.pays(&again).await;
    shop.reaches(&again, "PAID COMPLETED").await;
    assert_eq!(admin.counts(&mug).await, 0);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_belong_to_their_customers() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let (ada, eve) = (shop.customer().await, shop.customer().await);
    let order = ada.orders(&[(&mug, 1)]).await;
    let path = format!("/orders/{}", order.id);

    eve.http.get(&path).await.is_problem(404, "not_found");
    eve.starts_payment(&order).await.is_problem(404, "not_found");
    eve.cancels(&order).await.is_problem(404, "not_found");
    assert_eq!(eve.http.get("/orders").await.json()["items"], json!([]));
    shop.anonymous.get(&path).await.is_problem(401, "unauthenticated");
    admin.http.post("/orders", json!({ "shippingAddress": "1 Main Street" })).await.is_problem(403, "forbidden");
    eve.http.get("/admin/orders").await.is_problem(403, "forbidden");
    eve.http.post_empty(&format!("/admin/orders/{}/refund", order.id)).await.is_problem(403, "forbidden");
    ada.http.get("/orders/1").await.is_problem(400, "malformed_request");
    assert_eq!(admin.sees(&order).await, ada.sees(&order).await);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_provider_refuses_leaves_an_order_that_says_so_when_paid() {
    let shop = TestShop::with(|plan| plan.orders.min_total = Money::from_minor(1, Currency::USD)).await;
    let mug = shop.sells("Sticker", "0.10", 5).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    assert_eq!((order.standing().as_str(), order.payment.checkout_url.as_deref()), ("PENDING PENDING", None));
    ada.starts_payment(&order).await.is_problem(502, "payment_provider_error");
    assert!(shop.sessions_of(&order).is_empty());
    shop.passes(1801);
    shop.reaches(&order, "CANCELLED PENDING").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_again_when_the_providers_answer_was_lost() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 9).await;
    let ada = shop.customer().await;
    for kind in [FaultKind::Cut, FaultKind::ServerError] {
        let lost = Fault::next(kind, FaultPhase::AfterEffect);
        shop.provider().inject(lost.on(CREATE_SESSION.0, CREATE_SESSION.1));
        let order = ada.orders(&[(&mug, 1)]).await;
        assert_eq!(shop.sessions_of(&order).len(), 1, "{kind:?}");
        let page = until_some("the payment can be started", async || {
            let start = ada.starts_payment(&order).await;
            (start.status == 200).then(|| start.json()["checkoutUrl"].clone())
        })
        .await;
        assert_eq!(shop.sessions_of(&order).len(), 1, "{kind:?}");
        assert_eq!(page, shop.sessions_of(&order)[0]["url"], "{kind:?}");
    }
    shop.close().await;
}
