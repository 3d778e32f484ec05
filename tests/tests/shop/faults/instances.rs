//! Three instances sweep, run errands and give money back together, as processes; one of them is killed in the middle
//! of what it had claimed. The others take that over when its leases are over, and nothing is done twice.

use std::time::Duration;

use futures_util::future::join_all;
use ironcart_tests::actors::Customer;
use ironcart_tests::load::Told;
use ironcart_tests::settling::let_leases_run_out;
use ironcart_tests::site::Site;
use ironcart_tests::wait::{until, until_some};
use ironcart_tests::wire::{Order, Product};

use super::{site, stands_by};

/// One sweep claims at most 50 orders: with more than twice as many under lease, each of three instances has some.
const OVERDUE: usize = 120;
/// One round claims at most 16 errands.
const REFUNDS: usize = 45;

async fn number(site: &Site, sql: &str) -> i64 {
    site.database.number(sql).await
}

/// Orders one, also when the connection had waited too long to be used (408).
async fn places_one(customer: &Customer, mug: &Product, number: usize) -> Order {
    while customer.adds(mug, 1).await.status == 408 {}
    let keyed = customer.keyed(&format!("order-{number}"));
    loop {
        let reply = keyed.checks_out().await;
        if reply.status != 408 {
            return reply.expect(201).order();
        }
    }
}

async fn places(site: &Site, mug: &Product, count: usize) -> Vec<Order> {
    let customers = site.customers(count.div_ceil(3)).await;
    let placing = (0..count).collect::<Vec<_>>();
    let mut orders = Vec::new();
    // A few at once, and each customer one after the other.
    for batch in placing.chunks(customers.len()) {
        let of_one =
            batch.iter().zip(&customers).map(async |(number, customer)| places_one(customer, mug, *number).await);
        orders.extend(join_all(of_one).await);
    }
    orders
}

/// What is left when the living have done theirs: all of it under lease, and nobody touches it for a while.
async fn left_by_the_dead(site: &Site, open: &str, held: &str) -> i64 {
    until_some("the living have done theirs", async || {
        let left = number(site, open).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let is_still = number(site, open).await == left && number(site, held).await == left;
        is_still.then_some(left)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_sweepers_of_which_one_is_killed_expire_every_order_once() {
    let (site, mut apps) = site(|plan| {
        plan.instances = 3;
        plan.environment.push(("APP__ORDERS__SWEEP_INTERVAL_SECONDS", "1".to_owned()));
    })
    .await;
    let mug = site.admin().await.sells("Mug", "10.00", 1_000).await;
    let orders = places(&site, &mug, OVERDUE).await;
    // Asking about each takes so long that the leases can be seen.
    site.provider().set_latency(Duration::from_millis(1_500));
    let age = "UPDATE orders SET expires_at = now() - interval '1 second', due_at = now() - interval '1 second'";
    site.database.run_sql(age).await.unwrap();
    let held = "SELECT count(*) AS n FROM orders WHERE status = 'PENDING' AND sweep_lease_until > now()";
    until("all three have claimed some", async || number(&site, held).await > 100).await;
    site.provider_tells(&[0, 1]);
    apps.pop().unwrap().is_killed().await;
    site.provider().set_latency(Duration::ZERO);
    let pending = "SELECT count(*) AS n FROM orders WHERE status = 'PENDING'";
    let left = left_by_the_dead(&site, pending, held).await;
    eprintln!("{left} of {OVERDUE} orders were claimed by the killed instance");
    assert!(left > 0);
    let_leases_run_out(&site.database).await;
    until("the others have taken over", async || number(&site, pending).await == 0).await;
    let expiries = "SELECT count(*) AS n FROM order_history WHERE to_status = 'CANCELLED'";
    assert_eq!(number(&site, expiries).await, i64::try_from(orders.len()).unwrap());
    assert_eq!(number(&site, "SELECT stock AS n FROM products").await, 1_000);
    stands_by(site, apps, &Told::default()).await;
}

/// Errands that are written now are due in an hour.
const PUT_OFF: [&str; 2] = [
    "CREATE FUNCTION put_off() RETURNS trigger LANGUAGE plpgsql AS $$ \
     BEGIN NEW.due_at := now() + interval '1 hour'; RETURN NEW; END $$",
    "CREATE TRIGGER put_off BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION put_off()",
];

#[tokio::test(flavor = "multi_thread")]
async fn three_instances_of_which_one_is_killed_pay_every_refund_once() {
    let (site, mut apps) = site(|plan| plan.instances = 3).await;
    let admin = site.admin().await;
    let mug = admin.sells("Mug", "10.00", 1_000).await;
    let orders = places(&site, &mug, REFUNDS).await;
    for order in &orders {
        let page = order.payment.checkout_url.as_deref().unwrap();
        let _ = site.http.press(&format!("{page}/pay")).await.expect(303);
    }
    let paid = "SELECT count(*) AS n FROM orders WHERE status = 'PAID'";
    until("all are paid", async || number(&site, paid).await == i64::try_from(REFUNDS).unwrap()).await;
    site.provider().set_latency(Duration::from_millis(1_500));
    // All refunds become due at one moment, so that each instance finds a full batch.
    for sql in PUT_OFF {
        site.database.run_sql(sql).await.unwrap();
    }
    let answers = join_all(orders.iter().map(|order| admin.refunds(order))).await;
    assert!(answers.iter().all(|answer| answer.status == 202));
    for sql in ["DROP TRIGGER put_off ON tasks", "UPDATE tasks SET due_at = now() WHERE finished_at IS NULL"] {
        site.database.run_sql(sql).await.unwrap();
    }
    let held = "SELECT count(*) AS n FROM tasks WHERE finished_at IS NULL AND lease_until > now()";
    until("more is claimed than two can hold", async || number(&site, held).await > 32).await;
    site.provider_tells(&[0, 1]);
    apps.pop().unwrap().is_killed().await;
    site.provider().set_latency(Duration::ZERO);
    let open = "SELECT count(*) AS n FROM tasks WHERE finished_at IS NULL";
    let left = left_by_the_dead(&site, open, held).await;
    eprintln!("{left} of {REFUNDS} refunds were claimed by the killed instance");
    assert!(left > 0);
    let_leases_run_out(&site.database).await;
    until("the others have taken over", async || number(&site, open).await == 0).await;
    assert_eq!(site.provider().refunds().len(), REFUNDS, "money went back twice, or not at all");
    stands_by(site, apps, &Told::default()).await;
}
