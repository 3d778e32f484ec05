//! The first owner of an idempotency key is only slow: its process stands still for longer than a claim lasts, another
//! instance takes the key over, and the first one, awake again, rolls back.

use std::time::{Duration, Instant};

use ironcart_tests::wait::until;

use super::{site, stands_by};
use ironcart_tests::load::Told;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_rolls_back_what_another_has_done_meanwhile() {
    let (site, apps) = site(|plan| {
        plan.instances = 2;
        plan.proxied = true;
    })
    .await;
    let mug = site.admin().await.sells("Mug", "10.00", 100).await;
    let customer = site.customers(1).await.pop().unwrap();
    let at = |instance| {
        let http = customer.http.only(instance);
        ironcart_tests::actors::Customer { http, ..customer.clone() }
    };
    let (slow, other) = (at(0), at(1));
    let _ = other.adds(&mug, 1).await.expect(200);

    // It has the claim, and its transaction is about to begin.
    let proxy = site.proxy.as_ref().unwrap();
    proxy.holds_begins();
    let first = tokio::spawn({
        let slow = slow.keyed("k");
        async move { slow.checks_out().await }
    });
    until("the first is about to begin", async || proxy.held() > 0).await;
    assert_eq!(site.database.number("SELECT count(*) AS n FROM idempotency_keys").await, 1);
    apps[0].is_frozen().await;
    let frozen = Instant::now();

    let second = other.keyed("k");
    let refused = second.checks_out().await;
    refused.is_problem(409, "idempotency_in_progress");
    assert!(refused.header("retry-after").is_some());
    let order = loop {
        let reply = second.checks_out().await;
        if reply.status == 201 {
            break reply.order();
        }
        reply.is_problem(409, "idempotency_in_progress");
        assert!(frozen.elapsed() < Duration::from_secs(30), "the key is not taken over");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let taken = frozen.elapsed();
    eprintln!("taken over {taken:.1?} after the first stood still");
    assert!(taken > Duration::from_secs(12), "taken from an owner that may be alive: {taken:?}");
    // So that the first finds a cart, and could make an order of it.
    let _ = other.adds(&mug, 1).await.expect(200);

    proxy.lets_begin();
    apps[0].thaws().await;
    first.await.unwrap().is_problem(409, "idempotency_in_progress");
    let again = slow.keyed("k").checks_out().await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.order().id, order.id);
    assert_eq!(site.database.number("SELECT count(*) AS n FROM orders").await, 1);
    assert_eq!(site.database.number("SELECT stock AS n FROM products").await, 99);
    assert_eq!(customer.looks_into_cart().await["items"][0]["quantity"], 1);
    stands_by(site, apps, &Told::default()).await;
}
