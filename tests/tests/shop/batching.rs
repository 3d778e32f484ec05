//! Orders, cart additions and events that share a transaction: what one of them meets is not the others' business.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ironcart_tests::actors::Customer;
use ironcart_tests::database::RowHold;
use ironcart_tests::http::Reply;
use ironcart_tests::shop::TestShop;
use ironcart_tests::wire::Product;
use serde_json::json;

async fn with_carts(shop: &TestShop, count: usize, stock: i64) -> (Vec<Customer>, Product) {
    let mug = shop.sells("Mug", "10.00", stock).await;
    let customers = shop.customers(count).await;
    join_all(customers.iter().map(async |customer| customer.adds(&mug, 1).await.expect(200))).await;
    (customers, mug)
}

async fn pay_later(customer: &Customer) -> Reply {
    customer.checks_out_with(json!({ "payNow": false })).await
}

/// How many transactions wrote the rows of a table that are still as they were written.
async fn transactions(shop: &TestShop, table: &str) -> i64 {
    shop.database.number(&format!("SELECT count(DISTINCT xmin::text) AS n FROM {table}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_come_at_once_share_transactions_and_one_that_comes_alone_has_its_own() {
    let shop = TestShop::open().await;
    let (customers, _) = with_carts(&shop, 60, 100).await;
    let (first, others) = customers.split_first().unwrap();
    let _ = pay_later(first).await.expect(201);
    assert_eq!(transactions(&shop, "orders").await, 1);
    for reply in join_all(others.iter().map(pay_later)).await {
        let _ = reply.expect(201);
    }
    let transactions = transactions(&shop, "orders").await - 1;
    assert!(transactions < 40, "59 orders took {transactions} transactions");
    shop.close().await;
}

/// Whoever comes to order does not wait for a connection behind all who only come.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_customers_who_come_at_once_are_recognised_together() {
    let shop = TestShop::open().await;
    let customers = shop.customers(100).await;
    let counted = async |what: &str| {
        let page = shop.anonymous.try_health("/metrics").await.unwrap().expect(200).text;
        let sample = format!("{what}{{lane=\"look_up_session\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&sample)?.parse::<f64>().ok()).unwrap_or_default()
    };
    // By then it is no longer taken for granted that they are logged in.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let before = (counted("ironcart_batches_total").await, counted("ironcart_batched_commands_total").await);
    join_all(customers.iter().map(Customer::looks_into_cart)).await;
    let after = (counted("ironcart_batches_total").await, counted("ironcart_batched_commands_total").await);
    let (batches, looked_up) = (after.0 - before.0, after.1 - before.1);
    assert_eq!(looked_up, 100.0);
    assert!(batches < 70.0, "100 sessions were looked up by {batches} statements");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_are_put_into_one_cart_at_once_add_up() {
    let shop = TestShop::open().await;
    let (customers, mug) = with_carts(&shop, 1, 50).await;
    let replies = join_all((0..60).map(|_| customers[0].adds(&mug, 1))).await;
    let added = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(added, 49, "one was there, and no more than the stock fits");
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.is_problem(409, "insufficient_stock");
    }
    let mut quantities: Vec<_> = replies.iter().filter(|reply| reply.status == 200).map(quantity).collect();
    quantities.sort_unstable();
    assert_eq!(quantities, (2..=50).collect::<Vec<_>>(), "each sees the cart as it was after its own addition");
    shop.close().await;
}

fn quantity(reply: &Reply) -> i64 {
    reply.json()["items"][0]["quantity"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_who_are_locked_by_somebody_else_hold_nobody_up() {
    let shop = TestShop::open().await;
    let (customers, mug) = with_carts(&shop, 20, 100).await;
    // Of three at least two share a transaction with others, whoever is the first to come.
    let (locked, others) = customers.split_at(3);
    let ids =
        join_all(locked.iter().map(async |customer| customer.http.get("/users/me").await.expect(200).json())).await;
    let ids = ids.iter().map(|user| format!("'{}'", user["id"].as_str().unwrap())).collect::<Vec<_>>().join(", ");
    let hold = RowHold::take(&shop.database, &format!("SELECT id AS t FROM users WHERE id IN ({ids})")).await;
    let waits: Vec<_> = locked
        .iter()
        .cloned()
        .flat_map(|customer| {
            let (buyer, mug) = (customer.clone(), mug.clone());
            let ordering = tokio::spawn(async move { pay_later(&buyer).await });
            [ordering, tokio::spawn(async move { customer.adds(&mug, 1).await })]
        })
        .collect();
    let began = Instant::now();
    let (ordered, added) = tokio::join!(
        join_all(others.iter().map(pay_later)),
        join_all(others.iter().map(|customer| customer.adds(&mug, 1))),
    );
    assert!(ordered.iter().all(|reply| reply.status == 201) && added.iter().all(|reply| reply.status == 200));
    assert!(began.elapsed() < Duration::from_secs(6), "the others took {:?}", began.elapsed());
    assert!(waits.iter().all(|waits| !waits.is_finished()));
    hold.release().await;
    for reply in join_all(waits).await {
        let reply = reply.unwrap();
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
    }
    shop.close().await;
}

/// The lock and the counts share a round trip, in this order (DECISIONS, 11).
#[tokio::test(flavor = "multi_thread")]
async fn what_the_fraud_rules_look_at_is_counted_when_the_lock_is_held_and_not_before() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    let customer = shop.customer().await;
    let paid_meanwhile = customer.orders(&[(&mug, 1)]).await;
    for _ in 0..4 {
        let _pending = customer.orders_to_pay_later(&mug, 1).await;
    }
    let _filled = customer.adds(&mug, 1).await.expect(200);
    let id = customer.http.get("/users/me").await.expect(200).json()["id"].as_str().unwrap().to_owned();
    let hold = RowHold::take(&shop.database, &format!("SELECT id AS t FROM users WHERE id = '{id}'")).await;
    let buyer = customer.clone();
    let sixth = tokio::spawn(async move { pay_later(&buyer).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!sixth.is_finished(), "it waits for the customer, who has five pending orders");
    customer.pays(&paid_meanwhile).await;
    shop.reaches(&paid_meanwhile, "PAID COMPLETED").await;
    hold.release().await;
    let _placed = sixth.await.unwrap().expect(201);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_the_database_refuses_fails_alone() {
    let shop = TestShop::open().await;
    let (customers, _) = with_carts(&shop, 12, 100).await;
    let forbid = "ALTER TABLE orders ADD CONSTRAINT no_poison CHECK (shipping_address <> 'poison')";
    shop.database.run_sql(forbid).await.unwrap();
    let replies = join_all(customers.iter().enumerate().map(async |(number, customer)| {
        let address = if number == 5 { "poison" } else { "1 High Street" };
        customer.checks_out_with(json!({ "payNow": false, "shippingAddress": address })).await
    }))
    .await;
    for (number, reply) in replies.iter().enumerate() {
        assert_eq!(reply.status, if number == 5 { 500 } else { 201 }, "{number}: {}", reply.text);
    }
    shop.close().await;
}
