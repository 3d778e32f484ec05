//! The fraud rules that look at what is ordered (contract 4: units per product, account age), and how refusals are
//! counted. The caps on orders and cancellations are raced in `races.rs`.

use std::sync::Arc;

use domain::fraud::AccountAgeRule;
use domain::money::{Currency, Money};
use futures_util::future::join_all;
use ironcart_tests::shop::TestShop;
use serde_json::json;
use tokio::sync::Barrier;

const DAY_SECONDS: i64 = 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_orders_so_many_units_of_one_product_a_day() {
    let shop = TestShop::with(|plan| plan.orders.fraud.max_units_per_product = Some(5)).await;
    let (mug, cup) = (shop.sells("Mug", "10.00", 100).await, shop.sells("Cup", "5.00", 100).await);
    let customer = shop.customer().await;
    let first = customer.orders(&[(&mug, 3)]).await;
    let _ = customer.adds(&mug, 3).await.expect(200);
    customer.checks_out().await.is_problem(429, "units_limit");
    // Of another product there is as much again, and what is left may be had.
    let _ = customer.http.put(&format!("/cart/items/{}", mug.id), json!({ "quantity": 2 })).await.expect(200);
    let second = customer.orders(&[(&cup, 5)]).await;
    assert_eq!(second.items.len(), 2);
    let _ = customer.adds(&mug, 1).await.expect(200);
    customer.checks_out().await.is_problem(429, "units_limit");
    // What was given back counts no more; nor does what was ordered a day ago.
    let _ = customer.cancels(&first).await.expect(200);
    let third = customer.checks_out().await.expect(201).order();
    for order in [&second, &third] {
        customer.pays(order).await;
        let _ = shop.reaches(order, "PAID COMPLETED").await;
    }
    let _ = customer.adds(&mug, 5).await.expect(200);
    customer.checks_out().await.is_problem(429, "units_limit");
    shop.passes(DAY_SECONDS + 60);
    let _ = customer.checks_out().await.expect(201);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_of_parallel_orders_steps_over_the_units_of_a_day() {
    let shop = TestShop::with(|plan| {
        plan.orders.fraud.max_units_per_product = Some(5);
        plan.orders.fraud.max_pending_orders = 100;
    })
    .await;
    let mug = shop.sells("Mug", "10.00", 1000).await;
    for _ in 0..5 {
        let customer = shop.customer().await;
        let barrier = Arc::new(Barrier::new(12));
        let attempts = (0..12).map(|_| {
            let (customer, mug, barrier) = (customer.clone(), mug.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                let _ = customer.adds(&mug, 1).await;
                barrier.wait().await;
                customer.checks_out().await.verdict()
            })
        });
        let _ = join_all(attempts).await;
        // Whatever came through: one unit at a time, until the rule refuses.
        loop {
            let _ = customer.http.delete("/cart").await.expect(204);
            let _ = customer.adds(&mug, 1).await.expect(200);
            match customer.checks_out().await.verdict().as_str() {
                "ok" => {}
                refused => break assert_eq!(refused, "units_limit"),
            }
        }
        let bought = format!(
            "SELECT coalesce(sum(quantity), 0)::bigint AS n FROM order_lines JOIN orders ON orders.id = order_id \
             WHERE customer_id = '{}' AND status <> 'CANCELLED'",
            customer.id
        );
        assert_eq!(shop.database.number(&bought).await, 5);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_young_account_places_no_great_order() {
    let rule = AccountAgeRule { min_age_seconds: 3600, above_total: Money::from_minor(5_000, Currency::USD) };
    let shop = TestShop::with(|plan| plan.orders.fraud.account_age = Some(rule)).await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    let customer = shop.customer().await;
    let _ = customer.adds(&mug, 6).await.expect(200);
    let refused = customer.checks_out().await;
    refused.is_problem(429, "account_too_new");
    let seconds: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    let _ = customer.http.put(&format!("/cart/items/{}", mug.id), json!({ "quantity": 5 })).await.expect(200);
    let _ = customer.checks_out().await.expect(201);
    let _ = customer.adds(&mug, 6).await.expect(200);
    customer.checks_out().await.is_problem(429, "account_too_new");
    shop.passes(seconds);
    let _ = customer.checks_out().await.expect(201);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_counted_by_its_rule() {
    let shop = TestShop::with(|plan| {
        plan.orders.fraud.max_pending_orders = 1;
        plan.orders.fraud.max_daily_cancellations = 0;
    })
    .await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    let customer = shop.customer().await;
    let order = customer.orders(&[(&mug, 1)]).await;
    let _ = customer.adds(&mug, 1).await.expect(200);
    for _ in 0..3 {
        customer.checks_out().await.is_problem(429, "pending_order_limit");
    }
    customer.cancels(&order).await.is_problem(429, "daily_cancellation_limit");
    let page = shop.anonymous.open_page(&format!("{}/metrics", shop.anonymous.base())).await.expect(200);
    for line in [
        "# TYPE ironcart_fraud_refusals_total counter",
        "ironcart_fraud_refusals_total{rule=\"pending_orders\"} 3",
        "ironcart_fraud_refusals_total{rule=\"daily_cancellations\"} 1",
    ] {
        assert!(page.text.lines().any(|seen| seen == line), "{line} is missing:\n{}", page.text);
    }
    shop.close().await;
}
