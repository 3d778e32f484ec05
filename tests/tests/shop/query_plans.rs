//! No statement of the shop looks through a whole table: the plans of all that it sends are heard, in a database of many
//! rows (`tests/sql/many.sql`), and one that reads a table from end to end is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use adapters_postgres::{PgPool, PgProducts, PgRetention, PoolConfig};
use chrono::TimeDelta;
use domain::account::{GuardLimit, GuardPolicy};
use domain::catalog::{ProductFilter, ProductOrder, ProductRepository, SearchText};
use domain::money::Currency;
use domain::order::ReconcileMode;
use domain::page::PageLimit;
use domain::retention::{Perishable, RetentionRepository};
use domain::store::StoreError;
use ironcart_tests::actors::{ADDRESS, Admin, Customer};
use ironcart_tests::database::{Database, new_uuid};
use ironcart_tests::events::{about, event};
use ironcart_tests::plan_tap::SeenPlan;
use ironcart_tests::shop::{Plan, TestShop};
use ironcart_tests::wire::{Order, Product};
use serde_json::{Value, json};

/// How often each thing is done: a kept statement gets its plan for any values after five uses.
const ROUNDS: usize = 8;

/// Tables that stay small, and why.
const SMALL: [(&str, &str); 2] =
    [("turns", "a row per task that instances take turns at"), ("__diesel_schema_migrations", "a row per migration")];

/// So many rows may be read that a filter then refuses: a page of a list may pass over some, but not over a table.
const ROWS_IN_VAIN: u64 = 5000;

async fn fill(database: &Database, users: u32, products: u32, orders: u32) {
    let (client, connection) = tokio_postgres::connect(database.url_text(), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let sizes = format!("SET fill.users = {users}; SET fill.products = {products}; SET fill.orders = {orders};");
    client.batch_execute(&sizes).await.unwrap();
    client.batch_execute(include_str!("../../sql/many.sql")).await.unwrap();
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

fn watched(plan: &mut Plan) {
    plan.taps_plans = true;
    // One connection, so that it keeps every statement.
    plan.connections = 1;
    let limit = |count| GuardLimit { count, period: Duration::from_mins(15) };
    plan.auth_guard =
        Some(GuardPolicy { address_failures: limit(1000), account_failures: limit(1000), registrations: limit(1000) });
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_reads_a_large_table_from_end_to_end_and_no_index_is_read_by_none() {
    let shop = TestShop::with(watched).await;
    fill(&shop.database, 60_000, 50_000, 100_000).await;
    let _ = shop.plans();
    everything_happens(&shop).await;
    let seen = shop.plans();
    let indexes = "SELECT relname::text AS t FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                   WHERE relnamespace = 'public'::regnamespace AND NOT indisunique ORDER BY 1";
    let indexes = shop.database.texts(indexes).await;
    shop.close_unchecked().await;
    must_be_served(&seen);

    // A kept statement is planned for any values sooner or later: those plans were looked at, too.
    let generic: BTreeSet<&str> =
        seen.iter().filter(|seen| seen.is_generic()).map(|seen| seen.query.as_str()).collect();
    assert!(generic.len() > 50, "{} statements with a plan for any values: {generic:#?}", generic.len());

    let read: BTreeSet<&str> = seen.iter().flat_map(SeenPlan::indexes).collect();
    let unread: Vec<&String> = indexes.iter().filter(|index| !read.contains(index.as_str())).collect();
    assert!(unread.is_empty(), "each of these costs every write, and no statement reads it: {unread:?}");
}

fn must_be_served(seen: &[SeenPlan]) {
    let is_bad = |seen: &&SeenPlan| scanned(seen).next().is_some() || seen.most_rows_in_vain() > ROWS_IN_VAIN;
    let bad: BTreeMap<&str, &SeenPlan> = seen.iter().filter(is_bad).map(|seen| (seen.query.as_str(), seen)).collect();
    let told: Vec<String> = bad.iter().map(|(query, seen)| format!("{query}\n{:#}", seen.plan)).collect();
    assert!(told.is_empty(), "no index serves {} statements:\n{}", told.len(), told.join("\n\n"));
}

/// The large tables that a plan reads from end to end.
fn scanned(seen: &SeenPlan) -> impl Iterator<Item = &str> {
    let scans = seen.nodes().into_iter().filter(|node| node["Node Type"] == "Seq Scan");
    let tables = scans.filter_map(|node| node["Relation Name"].as_str());
    tables.filter(|table| SMALL.iter().all(|(small, _)| small != table))
}

async fn everything_happens(shop: &TestShop) {
    let admin = shop.admin().await;
    let mut goods = Vec::new();
    for _ in 0..3 {
        goods.push(admin.sells(&format!("Bowl {}", new_uuid()), "10.00", 1000).await);
    }
    for round in 0..ROUNDS {
        browse(shop, &goods).await;
        accounts(shop, round).await;
        let customer = shop.customer().await;
        let order = purchases(shop, &admin, &customer, &goods).await;
        administrate(&admin, &order, &goods).await;
        shop.reconciler().reconcile(ReconcileMode::Settle, &|| false).await.unwrap();
    }
    shop.settles().await;
    lists_of_orders(&admin).await;
    // Nothing is old, some is, all is.
    let retention = PgRetention::new(shop.tapped_pool());
    for days in [0, 20, 1000] {
        for what in Perishable::ALL {
            retention.forget(what, shop.now() + TimeDelta::days(days), 1000).await.unwrap();
        }
    }
}

async fn read(http: &ironcart_tests::http::Http, path: &str) -> Value {
    http.get(path).await.expect(200).json()
}

/// The first page of a list and the one behind it.
async fn pages(http: &ironcart_tests::http::Http, path: &str) {
    let first = read(http, path).await;
    if let Some(cursor) = first["nextCursor"].as_str() {
        let _ = read(http, &format!("{path}&cursor={cursor}")).await;
    }
}

async fn browse(shop: &TestShop, goods: &[Product]) {
    let http = &shop.anonymous;
    for sort in ["-createdAt", "createdAt", "price", "-price", "name"] {
        // Two letters are no trigram: see `a_search_too_short_for_the_index_is_cut_off_in_time`.
        for filter in ["", "&q=walnut", "&q=kettle%2041", "&q=zanzibar", "&minPrice=10&maxPrice=11", "&inStock=true"] {
            pages(http, &format!("/products?sort={sort}{filter}")).await;
        }
    }
    let _ = read(http, &format!("/products/{}", goods[0].id)).await;
}

async fn accounts(shop: &TestShop, round: usize) {
    let (http, email) = (&shop.anonymous, format!("ada{round}@example.com"));
    let _ = http.post("/auth/register", json!({ "email": email, "password": "Passw0rd!" })).await.expect(201);
    let login = json!({ "email": email, "password": "Passw0rd!" });
    let _ = http.post("/auth/login", json!({ "email": email, "password": "Passw0rd?" })).await.expect(401);
    let tokens = http.post("/auth/login", login).await.expect(200).json();
    let refresh = json!({ "refreshToken": tokens["refreshToken"] });
    let tokens = http.post("/auth/refresh", refresh).await.expect(200).json();
    let ada = http.bearing(tokens["accessToken"].as_str().unwrap());
    let _ = read(&ada, "/users/me").await;
    let change = json!({ "oldPassword": "Passw0rd!", "newPassword": "Passw0rd!2" });
    let _ = ada.post("/auth/change-password", change).await.expect(204);
    let _ = http.post("/auth/logout", json!({ "refreshToken": tokens["refreshToken"] })).await.expect(204);
}

/// Orders that are paid, called off, and left to expire; gives a paid one.
async fn purchases(shop: &TestShop, admin: &Admin, customer: &Customer, goods: &[Product]) -> Order {
    let http = &customer.http;
    let _ = customer.adds(&goods[0], 1).await.expect(200);
    let _ = http.put(&format!("/cart/items/{}", goods[0].id), json!({ "quantity": 2 })).await.expect(200);
    let _ = http.delete(&format!("/cart/items/{}", goods[0].id)).await.expect(200);
    let _ = customer.adds(&goods[1], 1).await.expect(200);
    let _ = http.delete("/cart").await.expect(204);
    let _ = customer.looks_into_cart().await;

    let _ = customer.adds(&goods[0], 1).await.expect(200);
    let _ = customer.adds(&goods[1], 1).await.expect(200);
    let keyed = customer.keyed(&new_uuid().to_string());
    let order = keyed.checks_out().await.expect(201).order();
    let _ = keyed.checks_out().await.expect(201);
    customer.pays(&order).await;
    let paid = shop.reaches(&order, "PAID COMPLETED").await;
    let session = shop.provider().payment_intents().pop().unwrap();
    let dispute = event("charge.dispute.created", &about("dispute", session["id"].as_str().unwrap()));
    let _ = shop.hears(&dispute).await.expect(200);
    let _ = shop.hears(&dispute).await.expect(200);
    let _ = admin.clears_flags(&paid).await.expect(200);

    let cancelled = customer.orders(&[(&goods[2], 1)]).await;
    let _ = customer.starts_payment(&cancelled).await.expect(200);
    let _ = customer.keyed("cancel").cancels(&cancelled).await.expect(200);
    let _ = customer.orders_to_pay_later(&goods[2], 1).await;
    let refunded = customer.orders(&[(&goods[2], 1)]).await;
    customer.pays(&refunded).await;
    let _ = shop.reaches(&refunded, "PAID COMPLETED").await;
    let _ = admin.refunds(&refunded).await.expect(202);
    shop.settles().await;
    pages(http, "/orders?limit=2").await;
    let _ = customer.sees(&order).await;
    // What is left pending expires.
    shop.passes(1860);
    paid
}

async fn administrate(admin: &Admin, order: &Order, goods: &[Product]) {
    let _ = admin.ships(order).await.expect(200);
    let _ = admin.delivers(order).await.expect(200);
    let made = admin.sells(&format!("Vase {}", new_uuid()), "3.00", 5).await;
    let _ = admin.changes(&made, json!({ "price": "4.00", "stock": 7 })).await.expect(200);
    let adjust = format!("/products/{}/stock-adjustments", made.id);
    let _ = admin.http.post(&adjust, json!({ "delta": 2, "reason": "found" })).await.expect(201);
    pages(&admin.http, &format!("/products/{}/stock-movements?limit=1", made.id)).await;
    let _ = admin.archives(&made).await.expect(204);
    let _ = admin.counts(&goods[0]).await;
    for filter in
        ["", "&role=ADMIN", "&role=CUSTOMER&blocked=false", "&email=person1234", "&email=nobody", "&blocked=true"]
    {
        pages(&admin.http, &format!("/admin/users?limit=2{filter}")).await;
    }
    let user = read(&admin.http, "/admin/users?role=CUSTOMER&limit=1").await;
    let path = format!("/admin/users/{}", user["items"][0]["id"].as_str().unwrap());
    let _ = admin.http.patch(&path, json!({ "blocked": false })).await.expect(200);
    let mut filters = vec![String::new()];
    for part in ["status=APPLIED", "status=FAILED", "status=WAITING", "status=IGNORED"] {
        filters.push(format!("&{part}"));
        filters.push(format!("&{part}&type=charge.refunded"));
    }
    filters.push("&type=charge.dispute.created".to_owned());
    filters.push("&type=no.such.type".to_owned());
    filters.push(format!("&orderId={}", order.id));
    for filter in filters {
        pages(&admin.http, &format!("/admin/events?limit=2{filter}")).await;
    }
    let failed = read(&admin.http, "/admin/events?status=FAILED&limit=1").await;
    let path = format!("/admin/events/{}", failed["items"][0]["id"].as_str().unwrap());
    let _ = read(&admin.http, &path).await;
    let _ = admin.http.post_empty(&format!("{path}/replay")).await.expect(200);
}

/// Every combination of the filters of orders.
async fn lists_of_orders(admin: &Admin) {
    let some = read(&admin.http, "/admin/orders?status=DELIVERED&limit=1").await;
    let user = some["items"][0]["userId"].as_str().unwrap();
    let user = format!("&userId={user}");
    let statuses = ["", "&status=PENDING", "&status=CANCELLED", "&status=DELIVERED", "&status=PAID"];
    let payments = ["", "&paymentStatus=COMPLETED", "&paymentStatus=REFUND_PENDING", "&paymentStatus=REFUND_FAILED"];
    for status in statuses {
        for payment in payments {
            for user in ["", &user] {
                for flagged in ["", "&flagged=true", "&flagged=false"] {
                    for span in ["", "&createdFrom=2026-01-01T00:00:00Z&createdTo=2026-01-03T00:00:00Z"] {
                        pages(&admin.http, &format!("/admin/orders?limit=5{status}{payment}{user}{flagged}{span}"))
                            .await;
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn selling_moves_no_product_to_another_page_and_touches_no_index_of_it() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mut goods = Vec::new();
    for number in 0..20 {
        goods.push(admin.sells(&format!("Good {number}"), "10.00", 1000).await);
    }
    let customers = shop.customers(60).await;
    let sales = customers.iter().map(async |customer| {
        for round in 0..5 {
            let good = &goods[(round * 7) % 20];
            let _ = customer.adds(good, 1).await.expect(200);
            let body = json!({ "shippingAddress": ADDRESS, "payNow": false });
            let _ = customer.http.post("/orders", body).await.expect(201);
        }
    });
    let _ = futures_util::future::join_all(sales).await;
    // What each session counts is told to the others after a moment.
    let updates = "SELECT n_tup_upd AS n FROM pg_stat_user_tables WHERE relname = 'products'";
    ironcart_tests::wait::until("the sales are counted", async || shop.database.number(updates).await >= 20).await;
    let not_hot = "SELECT n_tup_upd - n_tup_hot_upd AS n FROM pg_stat_user_tables WHERE relname = 'products'";
    let (updates, not_hot) = (shop.database.number(updates).await, shop.database.number(not_hot).await);
    assert!(not_hot * 10 <= updates, "{not_hot} of {updates} updates of stock were not HOT");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_too_short_for_the_index_is_cut_off_in_time() {
    let database = Database::migrated().await;
    fill(&database, 10, 100_000, 10).await;
    let pool = PoolConfig::new(database.url.clone());
    let patient = PgProducts::new(PgPool::new(pool.clone()), Currency::USD);
    let short = Duration::from_millis(5);
    let products = PgProducts::new(PgPool::new(PoolConfig { statement_timeout: short, ..pool }), Currency::USD);
    let search =
        |text: &str| ProductFilter { search: Some(SearchText::new(text).unwrap()), ..ProductFilter::default() };
    let limit = PageLimit::default();
    let begun = Instant::now();
    let cut_off = products.list(&search("zq"), &ProductOrder::Newest(None), limit).await;
    assert!(matches!(cut_off, Err(StoreError::Unavailable(_))), "{cut_off:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // Three letters are enough.
    let found = patient.list(&search("zqx"), &ProductOrder::Newest(None), limit).await.unwrap();
    assert!(found.items.is_empty());
}
