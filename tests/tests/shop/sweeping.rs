//! Leases of sweeps and errands: several instances share the work, nothing is done twice, and what a dead instance had
//! claimed is taken over.

use std::collections::BTreeSet;
use std::sync::Arc;

use adapters_postgres::{PgOrders, PgTasks};
use adapters_stripe::{Secret, StripeConfig, StripeWebhooks};
use app::system::SystemIds;
use domain::id::OrderId;
use domain::order::{OrderRepository, Task, TaskRepository};
use futures_util::future::join_all;
use ironcart_tests::shop::{Plan, TestShop, WEBHOOK_SECRET};
use ironcart_tests::wait::until;

/// The orders of a shop, past its instances.
pub(crate) fn orders_in(shop: &TestShop) -> PgOrders {
    let config = StripeConfig::new(Secret::new("sk_test_1"), vec![Secret::new(WEBHOOK_SECRET)]);
    let events = Arc::new(StripeWebhooks::new(&config).unwrap());
    PgOrders::new(shop.database.pool.clone(), Arc::new(SystemIds), events)
}

/// So many orders, of as many customers as the cap asks for, none of which has a session.
async fn place(shop: &TestShop, count: usize) {
    let mug = shop.sells("Mug", "10.00", 1000).await;
    let customers = shop.customers(count.div_ceil(5)).await;
    let orders = (0..count).map(|number| (&customers[number / 5], &mug));
    for (customer, mug) in orders {
        let _ = customer.orders_to_pay_later(mug, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sweeps_never_claim_the_same_order() {
    let shop = TestShop::with(Plan::never_sweeps).await;
    place(&shop, 40).await;
    shop.passes(1801);
    let orders = orders_in(&shop);
    for _ in 0..10 {
        shop.lets_leases_run_out().await;
        let claims = join_all((0..8).map(|_| orders.claim_overdue(shop.now(), 60, 7))).await;
        let claimed: Vec<OrderId> = claims.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), claimed.len(), "claimed twice");
        // What one of them skipped because another had just locked it is there for the next.
        let rest = orders.claim_overdue(shop.now(), 60, 50).await.unwrap();
        assert_eq!(claimed.len() + rest.len(), 40);
        assert_eq!(orders.claim_overdue(shop.now(), 60, 50).await.unwrap(), []);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_ends_with_its_lease_and_only_overdue_orders_are_claimed() {
    let shop = TestShop::with(Plan::never_sweeps).await;
    place(&shop, 3).await;
    let orders = orders_in(&shop);
    assert_eq!(orders.claim_overdue(shop.now(), 60, 50).await.unwrap(), []);
    shop.passes(1801);
    assert_eq!(orders.claim_overdue(shop.now(), 60, 50).await.unwrap().len(), 3);
    assert_eq!(orders.claim_overdue(shop.now(), 60, 50).await.unwrap(), []);
    shop.lets_leases_run_out().await;
    assert_eq!(orders.claim_overdue(shop.now(), 0, 2).await.unwrap().len(), 2);
    // A lease of no time is over at once.
    assert_eq!(orders.claim_overdue(shop.now(), 60, 50).await.unwrap().len(), 3);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_orders_than_a_batch_holds_expire_within_one_sweep() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    place(&shop, 120).await;
    shop.passes(1801);
    let pending = "SELECT count(*) AS n FROM orders WHERE status = 'PENDING'";
    until("all have expired", async || shop.database.number(pending).await == 0).await;
    let list = admin.http.get("/admin/orders?status=CANCELLED&limit=100").await.expect(200).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 100);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_can_not_be_swept_keeps_no_other_from_it() {
    let shop = TestShop::with(Plan::never_sweeps).await;
    place(&shop, 5).await;
    let damage = "UPDATE orders SET shipping_address = '' WHERE id = (SELECT min(id::text)::uuid FROM orders)";
    shop.database.run_sql(damage).await.unwrap();
    shop.passes(1801);
    let mut shop = shop;
    // A sweep begins with every start.
    shop.restarts().await;
    let pending = "SELECT count(*) AS n FROM orders WHERE status = 'PENDING'";
    until("the others have expired", async || shop.database.number(pending).await == 1).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errands_are_claimed_once_put_off_and_taken_over() {
    let mut shop = TestShop::with(Plan::never_sweeps).await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    let customers = shop.customers(12).await;
    shop.provider_goes_down();
    // With every instance stopped, nobody but this test runs the errands.
    for customer in &customers {
        let order = customer.orders(&[(&mug, 1)]).await;
        let _ = customer.cancels(&order).await.expect(200);
    }
    shop.stops().await;
    shop.lets_leases_run_out().await;

    let tasks = PgTasks::new(shop.database.pool.clone());
    let claims = join_all((0..6).map(|_| tasks.claim(60, 3))).await;
    let mut claimed: Vec<Task> = claims.into_iter().flat_map(Result::unwrap).collect();
    claimed.extend(tasks.claim(60, 50).await.unwrap());
    assert_eq!(claimed.len(), 12);
    assert_eq!(claimed.iter().map(|task| task.id).collect::<BTreeSet<_>>().len(), 12, "claimed twice");
    assert_eq!(tasks.claim(60, 50).await.unwrap(), []);

    let (put_off, done) = (claimed[0].clone(), claimed[1].id);
    tasks.postpone(put_off.id, 3600, "not now").await.unwrap();
    tasks.finish(done).await.unwrap();
    assert_eq!(tasks.claim(60, 50).await.unwrap(), [], "put off or under lease");
    shop.lets_leases_run_out().await;
    let again = tasks.claim(60, 50).await.unwrap();
    assert_eq!(again.len(), 11, "all but the finished one");
    let same = again.iter().find(|task| task.id == put_off.id).unwrap();
    assert_eq!((same.errand, same.tries), (put_off.errand, put_off.tries + 1));

    // A running instance finds them when the leases of this test's claims are over.
    let reopen = format!("UPDATE tasks SET finished_at = NULL WHERE id = '{}'", done.uuid());
    shop.database.run_sql(&reopen).await.unwrap();
    shop.lets_leases_run_out().await;
    shop.provider_comes_back();
    shop.restarts().await;
    shop.close().await;
}
