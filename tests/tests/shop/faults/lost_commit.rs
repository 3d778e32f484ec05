//! The connection to PostgreSQL is cut beside a COMMIT: before the server has it, or after it and before its answer.
//! The app can't know which: it looks under the same locks what is there, and decides what is not. Should it never get
//! an answer, whoever repeats with the same key gets that order, or the one that was never made.

use futures_util::future::join_all;
use ironcart_tests::actors::Customer;
use ironcart_tests::dice::Dice;
use ironcart_tests::http::Reply;
use ironcart_tests::load::LoadPlan;
use ironcart_tests::pg_proxy::Cut;
use ironcart_tests::process::App;
use ironcart_tests::shop::Plan;
use ironcart_tests::site::Site;
use ironcart_tests::{invariants, trials};

use super::{load_on, site, stands_by};

/// A customer with two mugs in the cart.
async fn with_cart() -> (Site, Vec<App>, Customer) {
    let (site, apps) = site(|plan| plan.proxied = true).await;
    let mug = site.admin().await.sells("Mug", "10.00", 100).await;
    let customer = site.customers(1).await.pop().unwrap();
    let _ = customer.adds(&mug, 2).await.expect(200);
    (site, apps, customer)
}

/// How often the app tries to place an order before it gives up: with others, then by itself, and twice again.
const TRIES: usize = 4;

/// Orders while every commit is cut.
async fn orders_with_cut(site: &Site, customer: &Customer, cut: Cut) -> Reply {
    let proxy = site.proxy.as_ref().unwrap();
    proxy.plans([Some(cut); TRIES]);
    let reply = customer.checks_out().await;
    assert_eq!(proxy.cuts(), TRIES, "{}", reply.text);
    reply.is_problem(503, "unavailable");
    assert!(reply.header("retry-after").is_some());
    reply
}

async fn ids(customer: &Customer) -> Vec<String> {
    let list = customer.http.get("/orders").await.expect(200).json();
    list["items"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

async fn is_well(site: Site, apps: Vec<App>, orders: i64) {
    assert_eq!(site.database.number("SELECT count(*) AS n FROM orders").await, orders);
    let stock = "SELECT stock AS n FROM products";
    assert_eq!(site.database.number(stock).await, 100 - 2 * orders);
    invariants::hold_at_any_moment(&site.database, &Plan::default()).await;
    site.checks_stock().await;
    site.ends(apps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lost_answer_is_made_up_for_before_the_customer_hears_of_it() {
    for cut in [Cut::AfterCommit, Cut::BeforeCommit] {
        let (site, apps, customer) = with_cart().await;
        let proxy = site.proxy.as_ref().unwrap();
        proxy.plans([Some(cut)]);
        let order = customer.checks_out().await.expect(201).order();
        assert_eq!(proxy.cuts(), 1);
        assert_eq!(ids(&customer).await, [order.id]);
        is_well(site, apps, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_shared_a_lost_commit_are_each_there_once() {
    for cut in [Cut::AfterCommit, Cut::BeforeCommit] {
        let (site, apps) = site(|plan| plan.proxied = true).await;
        let mug = site.admin().await.sells("Mug", "10.00", 100).await;
        let customers = site.customers(12).await;
        for customer in &customers {
            let _ = customer.adds(&mug, 2).await.expect(200);
        }
        let proxy = site.proxy.as_ref().unwrap();
        // The first to come go alone; the cut meets those who came meanwhile.
        proxy.plans([None, Some(cut), None, Some(cut)]);
        let replies = join_all(customers.iter().map(Customer::checks_out)).await;
        assert_eq!(proxy.cuts(), 2);
        for (customer, reply) in customers.iter().zip(replies) {
            assert_eq!(ids(customer).await, [reply.expect(201).order().id]);
        }
        is_well(site, apps, 12).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_that_order_for_whoever_repeats_the_key() {
    let (site, apps, customer) = with_cart().await;
    let keyed = customer.keyed("k");
    let _ = orders_with_cut(&site, &keyed, Cut::AfterCommit).await;
    let made = ids(&customer).await;
    assert_eq!(made.len(), 1, "the server has done it");
    let order = keyed.checks_out().await.expect(201).order();
    assert_eq!(std::slice::from_ref(&order.id), made.as_slice());
    assert!(order.payment.checkout_url.is_some(), "what is missing is made");
    assert_eq!(keyed.checks_out().await.expect(201).header("idempotency-replayed"), Some("true"));
    is_well(site, apps, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_one_order_for_whoever_has_no_key() {
    let (site, apps, customer) = with_cart().await;
    let _ = orders_with_cut(&site, &customer, Cut::AfterCommit).await;
    customer.checks_out().await.is_problem(409, "cart_empty");
    assert_eq!(ids(&customer).await.len(), 1);
    is_well(site, apps, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_never_arrived_is_no_order_and_the_repeat_makes_one() {
    let (site, apps, customer) = with_cart().await;
    let keyed = customer.keyed("k");
    let _ = orders_with_cut(&site, &keyed, Cut::BeforeCommit).await;
    assert_eq!(ids(&customer).await, [""; 0]);
    let order = keyed.checks_out().await.expect(201).order();
    assert_eq!(ids(&customer).await, [order.id]);
    is_well(site, apps, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_cut_at_random_under_a_mixed_load_lose_and_double_nothing() {
    let (site, apps) = site(|plan| plan.proxied = true).await;
    let seed = trials::printed_seed();
    let mut dice = Dice::new(seed);
    let load = load_on(&site, LoadPlan { seed, ..LoadPlan::default() }).await;
    let cuts = (0..20_000).map(|_| match dice.below(24) {
        0 => Some(Cut::BeforeCommit),
        1 => Some(Cut::AfterCommit),
        _ => None,
    });
    let proxy = site.proxy.as_ref().unwrap();
    proxy.plans(cuts);
    load.goes_on_for(trials::cases(60, 1_000) as usize).await;
    proxy.plans([]);
    eprintln!("{} commits were cut", proxy.cuts());
    assert!(proxy.cuts() > 5);
    let told = load.ends().await;
    stands_by(site, apps, &told).await;
}
