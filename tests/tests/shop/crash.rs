//! The app killed in the middle of its work, on a PostgreSQL that keeps what it acknowledges: what was answered is
//! there, nothing is half-done, and the next start takes up what was left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use ironcart_tests::actors::{ADDRESS, Customer};
use ironcart_tests::http::Reply;
use ironcart_tests::invariants;
use ironcart_tests::process::App;
use ironcart_tests::settling::settle;
use ironcart_tests::shop::Plan;
use ironcart_tests::site::{Site, SitePlan};
use ironcart_tests::wait::until;
use ironcart_tests::wire::{Order, Product};
use reqwest::Method;
use serde_json::json;

async fn built() -> (Site, App) {
    let (site, mut apps) = Site::open(SitePlan::default()).await;
    let app = apps.pop().unwrap();
    (site, app)
}

/// Runs all at once, and kills the app when so many have had an answer.
async fn killed_after<T: Send + 'static>(
    app: App,
    answers: usize,
    runs: impl Iterator<Item = impl Future<Output = Option<T>> + Send + 'static>,
) -> Vec<Option<T>> {
    let answered = Arc::new(AtomicUsize::new(0));
    let runs = runs.map(|run| {
        let answered = Arc::clone(&answered);
        tokio::spawn(async move {
            let outcome = run.await;
            answered.fetch_add(usize::from(outcome.is_some()), Ordering::SeqCst);
            outcome
        })
    });
    let runs: Vec<_> = runs.collect();
    until("some had an answer", async || answered.load(Ordering::SeqCst) >= answers).await;
    app.is_killed().await;
    join_all(runs).await.into_iter().map(Result::unwrap).collect()
}

async fn fill(customers: &[Customer], products: [&Product; 2]) {
    for customer in customers {
        for product in products {
            let _ = customer.adds(product, 1).await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_killed_in_the_middle_of_fifty_checkouts_loses_and_doubles_nothing() {
    let (site, app) = built().await;
    let admin = site.admin().await;
    let (mug, cup) = (admin.sells("Mug", "10.00", 1000).await, admin.sells("Cup", "2.50", 1000).await);
    let customers = site.customers(50).await;
    fill(&customers, [&mug, &cup]).await;

    // Killed while some are answered, some ask the provider, some commit, and some have not begun.
    site.provider().set_latency(Duration::from_millis(40));
    let checkouts = customers.clone().into_iter().map(|customer| async move {
        let body = json!({ "shippingAddress": ADDRESS });
        customer.http.try_send(Method::POST, "/orders", Some(body)).await.ok()
    });
    let answers = killed_after(app, 15, checkouts).await;
    site.provider().set_latency(Duration::ZERO);
    assert!(answers.iter().any(Option::is_none), "the app was killed too late to matter");
    // The server still ends what the app had sent it.
    let busy = "SELECT count(*) AS n FROM pg_stat_activity
                WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'";
    until("PostgreSQL has noticed", async || site.database.number(busy).await == 0).await;
    invariants::hold_at_any_moment(&site.database, &Plan::default()).await;

    let app = site.instances[0].serve().await;
    site.checks_stock().await;
    let mut orders = Vec::new();
    for (customer, answer) in customers.iter().zip(&answers) {
        orders.extend(what_became_of(customer, answer.as_ref()).await.map(|order| (customer.clone(), order)));
    }
    assert!(orders.len() >= 15);
    let left = 1000 - i64::try_from(orders.len()).unwrap();
    assert_eq!((admin.counts(&mug).await, admin.counts(&cup).await), (left, left));

    // Every order can be paid, by one session, also where its first answer was lost with the app.
    for (customer, order) in &orders {
        let _ = customer.starts_payment(order).await.expect(200);
        assert_eq!(site.sessions_of(order).len(), 1);
    }
    let app = killed_while_paid_and_cancelled(&site, app, &orders).await;
    site.checks_stock().await;
    site.ends(vec![app]).await;
}

/// An order or the full cart, never both and never half of either; who was told 201 has the order.
async fn what_became_of(customer: &Customer, answer: Option<&Reply>) -> Option<Order> {
    let list = customer.http.get("/orders").await.expect(200).json();
    let cart = customer.looks_into_cart().await;
    let lines = cart["items"].as_array().unwrap().len();
    let orders: Vec<Order> = serde_json::from_value(list["items"].clone()).unwrap();
    assert!(matches!((orders.len(), lines), (1, 0) | (0, 2)), "{orders:?} {cart}");
    let order = orders.into_iter().next();
    if let Some(answer) = answer {
        let told = answer.order();
        let kept = order.as_ref().expect("what was answered 201");
        assert_eq!((&told.id, &told.total, &told.items), (&kept.id, &kept.total, &kept.items));
        assert_eq!(kept.items.len(), 2);
    }
    order
}

/// Half of them are paid and half called off while the app is killed again; in the end no money is kept for nothing.
async fn killed_while_paid_and_cancelled(site: &Site, app: App, orders: &[(Customer, Order)]) -> App {
    let acting = orders.iter().cloned().enumerate().map(|(number, (customer, order))| {
        let control = site.provider().clone();
        let session = site.sessions_of(&order)[0]["id"].as_str().unwrap().to_owned();
        async move {
            if number.is_multiple_of(3) {
                let _ = control.pay(&session, stripe_simulator::PayTerms::default());
            }
            if number.is_multiple_of(2) {
                let path = format!("/orders/{}/cancel", order.id);
                customer.http.try_send(Method::POST, &path, None).await.ok()
            } else {
                customer.http.try_send(Method::GET, "/cart", None).await.ok()
            }
        }
    });
    let _ = killed_after(app, orders.len() / 3, acting).await;
    invariants::hold_at_any_moment(&site.database, &Plan::default()).await;
    let app = site.instances[0].serve().await;
    // What the dead app had claimed is free when its lease is over.
    let free = "UPDATE tasks SET lease_until = NULL, due_at = now() WHERE finished_at IS NULL";
    site.database.run_sql(free).await.unwrap();
    settle(&site.database, site.provider()).await;
    invariants::hold_at_any_moment(&site.database, &Plan::default()).await;
    invariants::hold_when_settled(&site.database, site.provider()).await;
    for (customer, order) in orders {
        let seen = customer.sees(order).await;
        let was_paid = site.sessions_of(order)[0]["payment_status"] == "paid";
        assert!(!was_paid || seen.status == "PAID" || seen.extras() == ["LATE succeeded"], "{seen:?}");
    }
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_asked_to_end_answers_what_is_under_way_first() {
    let (site, app) = built().await;
    let admin = site.admin().await;
    let mug = admin.sells("Mug", "10.00", 10).await;
    let ada = site.customers(1).await.pop().unwrap();
    let _ = ada.adds(&mug, 1).await.expect(200);
    site.provider().set_latency(Duration::from_millis(1_000));
    let ordering = tokio::spawn({
        let ada = ada.clone();
        async move { ada.checks_out().await }
    });
    until("the order is committed", async || site.database.number("SELECT count(*) AS n FROM orders").await == 1).await;
    assert!(app.is_terminated().await.success());
    let order = ordering.await.unwrap().expect(201).order();
    assert!(order.payment.checkout_url.is_some());
    invariants::hold_at_any_moment(&site.database, &Plan::default()).await;
    site.ends(Vec::new()).await;
}
