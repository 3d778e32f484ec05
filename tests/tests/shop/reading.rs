//! Reads that ask no database, and are right all the same: products and lists from memory (contract 2, `/products`), and
//! sessions that were found alive a moment ago (contract 1, "sessions").

use std::time::{Duration, Instant};

use adapters_postgres::PooledConnection;
use diesel_async::RunQueryDsl;
use futures_util::future::join_all;
use ironcart_tests::database::Database;
use ironcart_tests::http::{Http, Reply};
use ironcart_tests::shop::TestShop;
use ironcart_tests::wait::until;
use ironcart_tests::wire::Product;
use serde_json::{Value, json};

/// How old a read may be on an instance that heard of no change.
const MAX_AGE: Duration = Duration::from_secs(1);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_millis(500);

async fn two_instances() -> TestShop {
    TestShop::with(|plan| plan.instances = 2).await
}

/// What an instance shows of a product.
async fn seen(http: &Http, product: &Product) -> Value {
    http.get(&format!("/products/{}", product.id)).await.expect(200).json()
}

/// What an instance's list shows of a product; `null` if it is not there.
async fn listed(http: &Http, product: &Product) -> Value {
    let page = http.get("/products?limit=100").await.expect(200).json();
    page["items"].as_array().unwrap().iter().find(|item| item["id"] == product.id).cloned().unwrap_or_default()
}

/// Stock, in the product and in the list.
async fn stocks(http: &Http, product: &Product) -> (Value, Value) {
    (seen(http, product).await["stock"].clone(), listed(http, product).await["stock"].clone())
}

/// How long it takes until it is so.
async fn time_until(what: &str, ask: impl AsyncFn() -> bool) -> Duration {
    let begun = Instant::now();
    until(what, ask).await;
    begun.elapsed()
}

/// A table that nobody can even read, until it is let go: who asks the database for it waits.
struct TableHold<'a>(PooledConnection<'a>);

impl<'a> TableHold<'a> {
    async fn take(database: &'a Database, table: &str) -> Self {
        let mut connection = database.pool.get().await.unwrap();
        for sql in ["BEGIN", &format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")] {
            diesel::sql_query(sql).execute(&mut connection).await.unwrap();
        }
        Self(connection)
    }

    async fn release(mut self) {
        diesel::sql_query("COMMIT").execute(&mut self.0).await.unwrap();
    }
}

/// How many connections wait for a lock.
async fn waiting(database: &Database) -> i64 {
    let waiting =
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    database.number(waiting).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_shows_at_once_where_it_was_made_and_is_announced_to_the_others() {
    let shop = two_instances().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 10).await;
    let (here, there) = (shop.anonymous.only(0), shop.anonymous.only(1));
    let mut slowest = Duration::ZERO;
    for round in 0..20 {
        let _ = (stocks(&here, &mug).await, stocks(&there, &mug).await);
        let price = format!("{}.00", 11 + round);
        let path = format!("/products/{}", mug.id);
        let _ = admin.http.only(0).patch(&path, json!({ "price": price })).await.expect(200);
        assert_eq!(
            (seen(&here, &mug).await["price"].clone(), listed(&here, &mug).await["price"].clone()),
            (json!(price), json!(price))
        );
        let shown = async || seen(&there, &mug).await["price"] == price && listed(&there, &mug).await["price"] == price;
        slowest = slowest.max(time_until("the price is shown there", shown).await);
    }
    assert!(slowest < MAX_AGE / 2, "announced, not waited for: {slowest:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_archived_is_gone_at_once_and_what_is_new_is_listed_at_once() {
    let shop = two_instances().await;
    let admin = shop.admin().await;
    let (here, there) = (shop.anonymous.only(0), shop.anonymous.only(1));
    let here_admin = admin.http.only(0);
    for round in 0..5 {
        let _ = here.get("/products?limit=100").await.expect(200);
        let body = json!({ "name": format!("Mug {round}"), "price": "10.00", "stock": 5 });
        let mug: Product = here_admin.post("/products", body).await.expect(201).read_as();
        assert_eq!(listed(&here, &mug).await["id"], mug.id);
        until("it is listed there", async || listed(&there, &mug).await["id"] == mug.id).await;
        let _ = (seen(&here, &mug).await, seen(&there, &mug).await);
        let path = format!("/products/{}", mug.id);
        let _ = here_admin.delete(&path).await.expect(204);
        here.get(&path).await.is_problem(404, "not_found");
        assert_eq!(listed(&here, &mug).await, Value::Null);
        let gone = async || there.get(&path).await.status == 404 && listed(&there, &mug).await.is_null();
        let taken = time_until("it is gone there", gone).await;
        assert!(taken < MAX_AGE / 2, "{taken:?}");
        assert_eq!(admin.http.get(&path).await.expect(200).header("cache-control"), Some("no-store"));
        here.get(&path).await.is_problem(404, "not_found");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_and_its_cancellation_show_at_once_where_they_were_made_and_within_a_second_elsewhere() {
    let shop = two_instances().await;
    let mug = shop.sells("Mug", "10.00", 10).await;
    let mut ada = shop.customer().await;
    ada.http = ada.http.only(0);
    let (here, there) = (shop.anonymous.only(0), shop.anonymous.only(1));
    for _ in 0..3 {
        let _ = (stocks(&here, &mug).await, stocks(&there, &mug).await);
        let order = ada.orders_to_pay_later(&mug, 2).await;
        assert_eq!(stocks(&here, &mug).await, (json!(8), json!(8)));
        let sold = time_until("the sale is shown there", async || stocks(&there, &mug).await == (json!(8), json!(8)));
        assert!(sold.await < MAX_AGE + SLACK);
        let _ = ada.cancels(&order).await.expect(200);
        assert_eq!(stocks(&here, &mug).await, (json!(10), json!(10)));
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_expires_gives_its_stock_back_before_the_eyes_of_who_reads() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 10).await;
    let order = shop.customer().await.orders_to_pay_later(&mug, 4).await;
    let _ = stocks(&shop.anonymous, &mug).await;
    shop.passes(7200);
    let expired = shop.reaches(&order, "CANCELLED PENDING").await;
    assert_eq!(expired.id, order.id);
    let back = async || stocks(&shop.anonymous, &mug).await == (json!(10), json!(10));
    assert!(time_until("the stock is shown", back).await < MAX_AGE / 2);
    shop.close().await;
}

/// What is read from memory must never be what an order is decided on.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_decided_on_the_database_whatever_is_shown() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 10).await;
    let (ada, bob) = (shop.customer().await, shop.customer().await);
    let _ = ada.adds(&mug, 1).await.expect(200);
    let _ = bob.adds(&mug, 10).await.expect(200);
    assert_eq!(seen(&shop.anonymous, &mug).await["price"], "10.00");
    // Past the app, so that nobody is told.
    let change = format!("UPDATE products SET price_minor = 1200 WHERE id = '{}'", mug.id);
    assert_eq!(shop.database.run_sql(&change).await.unwrap(), 1);
    let shown = seen(&shop.anonymous, &mug).await["price"].clone();
    let order = ada.checks_out_with(json!({ "payNow": false })).await.expect(201).order();
    assert_eq!(order.total, "12.00");
    bob.checks_out().await.is_problem(409, "insufficient_stock");
    let aged = time_until("the price is shown", async || seen(&shop.anonymous, &mug).await["price"] == "12.00").await;
    assert!(shown == "10.00" || shown == "12.00");
    assert!(aged < MAX_AGE + SLACK, "{aged:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_cut_off_listens_again_and_meanwhile_nothing_is_older_than_a_second() {
    let shop = two_instances().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 10).await;
    let there = shop.anonymous.only(1);
    let all_listen = async || shop.database.number(&format!("SELECT count(*) AS n {LISTENERS}")).await == 2;
    until("both listen", all_listen).await;
    let path = format!("/products/{}", mug.id);
    for round in 0..3 {
        let _ = stocks(&there, &mug).await;
        let cut = format!("SELECT count(pg_terminate_backend(pid)) AS n {LISTENERS}");
        assert_eq!(shop.database.number(&cut).await, 2);
        let price = format!("{}.00", 20 + round);
        let _ = admin.http.only(0).patch(&path, json!({ "price": price })).await.expect(200);
        let shown = async || seen(&there, &mug).await["price"] == price && listed(&there, &mug).await["price"] == price;
        let taken = time_until("the price is shown there", shown).await;
        assert!(taken < MAX_AGE + SLACK, "{taken:?}");
        until("both listen again", all_listen).await;
    }
    let price = json!("40.00");
    let _ = stocks(&there, &mug).await;
    let _ = admin.http.only(0).patch(&path, json!({ "price": price })).await.expect(200);
    let taken = time_until("it is announced again", async || seen(&there, &mug).await["price"] == price).await;
    assert!(taken < MAX_AGE / 2, "{taken:?}");
    shop.close().await;
}

/// The connections that listen; their last statement is `LISTEN`, or the empty one by which they are tried.
const LISTENERS: &str = "FROM pg_stat_activity WHERE datname = current_database() \
     AND application_name = 'ironcart listener' AND state = 'idle' AND (query LIKE 'LISTEN%' OR query = '')";

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_asks_no_database_and_of_many_misses_one_does() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 10).await;
    let path = format!("/products/{}", mug.id);
    let read = async |_| {
        let one = shop.anonymous.get(&path).await.expect(200);
        let list = shop.anonymous.get("/products?limit=20").await.expect(200);
        let header = |reply: &Reply, name| reply.header(name).unwrap_or_default().to_owned();
        let headers = [header(&one, "etag"), header(&one, "content-type"), header(&list, "content-type")];
        (headers, one.text, list.text)
    };
    let hold = TableHold::take(&shop.database, "products").await;
    let missing = join_all((0..200).map(read));
    let looking = async {
        until("both are asked for", async || waiting(&shop.database).await > 0).await;
        tokio::time::sleep(MAX_AGE / 4).await;
        assert_eq!(waiting(&shop.database).await, 1, "of 200 who want the product one asks");
        hold.release().await;
    };
    let (missed, ()) = tokio::join!(missing, looking);
    assert!(missed.iter().all(|answer| *answer == missed[0]));
    let [etag, ..] = &missed[0].0;
    assert!(etag.starts_with("\"1-") && missed[0].0[1..] == ["application/json", "application/json"]);
    // Fresh once more, then out of reach.
    tokio::time::sleep(MAX_AGE).await;
    let _ = read(0).await;
    let begun = Instant::now();
    let hold = TableHold::take(&shop.database, "products").await;
    for number in 0..5 {
        assert_eq!(read(number).await, missed[0]);
    }
    assert!(begun.elapsed() < MAX_AGE, "too slow a machine to tell: {:?}", begun.elapsed());
    hold.release().await;
    shop.close().await;
}

// --- sessions ---------------------------------------------------------------------------------------------------------

/// How long a token may work elsewhere after its session has ended (contract 1, "sessions").
const ENDS_WITHIN: Duration = Duration::from_secs(5);
const PASSWORD: &str = "Correct-horse-7";
const ANOTHER_PASSWORD: &str = "Another-horse-8";

/// A login: how it calls, and its refresh token.
async fn log_in(shop: &TestShop, password: &str) -> (Http, String) {
    let login = json!({ "email": "ada@example.com", "password": password });
    let tokens = shop.anonymous.post("/auth/login", login).await.expect(200).json();
    let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
    (shop.anonymous.bearing(&token("accessToken")), token("refreshToken"))
}

/// The instances know that the session lives.
async fn is_in(login: &Http) {
    for instance in 0..2 {
        let _ = login.only(instance).get("/users/me").await.expect(200);
    }
}

/// It is out at once on the first instance, and soon on the other.
async fn is_out(login: &Http, ended: Instant) {
    login.only(0).get("/users/me").await.is_problem(401, "unauthenticated");
    let refused = async || login.only(1).get("/users/me").await.status == 401;
    until("the other instance refuses", refused).await;
    let taken = ended.elapsed();
    assert!(taken < ENDS_WITHIN, "{taken:?}");
    assert!(taken < Duration::from_secs(3) + SLACK, "with a margin: {taken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_is_out_at_once_where_it_ended_and_within_five_seconds_elsewhere() {
    let shop = two_instances().await;
    let admin = shop.admin().await;
    let account = json!({ "email": "ada@example.com", "password": PASSWORD });
    let user = shop.anonymous.post("/auth/register", account).await.expect(201).json();
    let path = format!("/admin/users/{}", user["id"].as_str().unwrap());
    let mut password = PASSWORD;
    for end in ["logout", "reuse", "role", "password", "block"] {
        let (login, refresh) = log_in(&shop, password).await;
        let (own, _) = log_in(&shop, password).await;
        is_in(&login).await;
        is_in(&own).await;
        let here = shop.anonymous.only(0);
        let tokens = json!({ "refreshToken": refresh });
        let here_admin = admin.http.only(0);
        let reply: Reply = match end {
            "logout" => here.post("/auth/logout", tokens).await.expect(204),
            "reuse" => {
                let _ = here.post("/auth/refresh", tokens.clone()).await.expect(200);
                here.post("/auth/refresh", tokens).await.expect(401)
            }
            "role" => here_admin.patch(&path, json!({ "role": "ADMIN" })).await.expect(200),
            "password" => {
                let change = json!({ "oldPassword": PASSWORD, "newPassword": ANOTHER_PASSWORD });
                password = ANOTHER_PASSWORD;
                own.only(0).post("/auth/change-password", change).await.expect(204)
            }
            _ => here_admin.patch(&path, json!({ "blocked": true })).await.expect(200),
        };
        assert!(reply.status < 500);
        is_out(&login, Instant::now()).await;
        if ["logout", "reuse", "password"].contains(&end) {
            is_in(&own).await;
        } else {
            is_out(&own, Instant::now()).await;
        }
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_was_looked_up_a_moment_ago_is_not_looked_up_again() {
    let shop = TestShop::open().await;
    let ada = shop.customer().await;
    let _ = ada.http.get("/users/me").await.expect(200);
    let hold = TableHold::take(&shop.database, "sessions").await;
    let begun = Instant::now();
    for _ in 0..20 {
        let _ = ada.http.get("/users/me").await.expect(200);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // Known, but not for long.
    let asked = async {
        until("the session is looked up", async || waiting(&shop.database).await == 1).await;
        hold.release().await;
    };
    let asks = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        ada.http.get("/users/me").await.expect(200)
    };
    let _ = tokio::join!(asks, asked);
    shop.close().await;
}
