//! What breaks while people order, pay and cancel: processes, PostgreSQL, the provider, the wire, clocks and disks.
//! After each fault the shop goes on by itself and stands by every answer it gave. What was seen is recorded in
//! `docs/RELIABILITY.md`.

mod clock;
mod connections;
mod database;
mod disk;
mod instances;
mod killed;
mod lost_commit;
mod provider;
mod slow_owner;
mod webhooks;

use std::time::{Duration, Instant};

use ironcart_tests::load::{Load, LoadPlan, Told};
use ironcart_tests::process::App;
use ironcart_tests::settling::{let_claims_run_out, let_leases_run_out};
use ironcart_tests::shop::{Plan, TestShop};
use ironcart_tests::site::{Site, SitePlan};
use ironcart_tests::wire::Product;

/// A crowd must not be stopped by the rules for single customers; the cap on pending orders stays.
const NO_DAILY_LIMITS: [(&str, &str); 2] =
    [("APP__FRAUD__MAX_DAILY_CANCELLATIONS", "10000"), ("APP__FRAUD__MAX_DAILY_EXPIRIES", "10000")];

/// How many customers a load has.
const CUSTOMERS: usize = 8;

/// Real processes for a load.
async fn site(change: impl FnOnce(&mut SitePlan)) -> (Site, Vec<App>) {
    let environment = NO_DAILY_LIMITS.map(|(name, value)| (name, value.to_owned()));
    let mut plan = SitePlan { environment: environment.to_vec(), ..SitePlan::default() };
    change(&mut plan);
    Site::open(plan).await
}

/// A shop in this process for a load.
async fn shop(change: impl FnOnce(&mut Plan)) -> TestShop {
    TestShop::with(|plan| {
        plan.orders.fraud.max_daily_cancellations = 10_000;
        plan.orders.fraud.max_daily_expiries = 10_000;
        change(plan);
    })
    .await
}

/// Enough of two things, and of a third one too little.
const GOODS: [(&str, &str, i64); 3] = [("Mug", "10.00", 1_000_000), ("Cup", "2.50", 1_000_000), ("Jug", "40.00", 60)];

/// A load on real processes.
async fn load_on(site: &Site, plan: LoadPlan) -> Load {
    let admin = site.admin().await;
    let mut products: Vec<Product> = Vec::new();
    for (name, price, stock) in GOODS {
        products.push(admin.sells(name, price, stock).await);
    }
    Load::start(plan, &site.customers(CUSTOMERS).await, &admin, products)
}

/// A load on a shop in this process.
async fn load_in(shop: &TestShop, plan: LoadPlan) -> Load {
    let admin = shop.admin().await;
    let mut products: Vec<Product> = Vec::new();
    for (name, price, stock) in GOODS {
        products.push(admin.sells(name, price, stock).await);
    }
    Load::start(plan, &shop.customers(CUSTOMERS).await, &admin, products)
}

/// The load has ended: nothing may be lost, doubled or stuck. Ends the processes.
async fn stands_by(site: Site, apps: Vec<App>, told: &Told) {
    eprintln!("{}", told.summary());
    let_leases_run_out(&site.database).await;
    let complaints = complaints(&site);
    assert!(told.answers.wrong.is_empty(), "{:#?}\n{complaints}", told.answers.wrong);
    told.is_kept(&site.database, site.provider(), &Plan::default()).await;
    site.checks_stock().await;
    site.ends(apps).await;
}

/// The lines of the logs that tell of bugs.
fn complaints(site: &Site) -> String {
    let logs = site.instances.iter().map(ironcart_tests::process::AppSettings::log_text);
    let lines: Vec<String> = logs
        .flat_map(|log| log.lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
}

/// What dead instances had claimed is free at once, instead of after its time.
async fn forget_the_dead(site: &Site) {
    let_claims_run_out(&site.database).await;
    let_leases_run_out(&site.database).await;
}

/// Waits until the instances are ready again without having been started again; gives the time since `back`.
async fn ready_since(site: &Site, back: Instant) -> Duration {
    let mut ready = 0;
    while ready < site.instances.len() {
        assert!(back.elapsed() < Duration::from_secs(20), "the app does not come back:\n{}", complaints(site));
        let answer = site.http.try_health("/health/ready").await;
        ready = if answer.is_ok_and(|answer| answer.status == 200) { ready + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    back.elapsed()
}
