//! What must not grow for ever is forgotten (see `domain::retention`): what is old goes, what may still matter stays,
//! in batches, while others do the same.

use adapters_postgres::PgRetention;
use chrono::TimeDelta;
use domain::retention::{Perishable, RetentionRepository};
use futures_util::future::join_all;
use ironcart_tests::database::{Database, RowHold, new_uuid};
use ironcart_tests::events::{about, event, paid_session};
use ironcart_tests::shop::TestShop;
use ironcart_tests::wait::until;
use ironcart_tests::wire::Event;
use serde_json::{Value, json};

/// So old that every kind is forgotten.
const AGES_AGO: &str = "100 days";

async fn forget(database: &Database, what: Perishable, limit: u32) -> u64 {
    let retention = PgRetention::new(database.pool.clone());
    retention.forget(what, now(), limit).await.unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the rows of these tests are as old as the database's clock says")]
fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// The database of a shop where a user exists, with an order for errands to be about.
async fn database() -> Database {
    let database = Database::migrated().await;
    let user = database.customer().await;
    let order = format!(
        "INSERT INTO orders (id, customer_id, status, payment_status, total_minor, currency, shipping_address,
                             created_at, expires_at, due_at)
         VALUES ('{}', '{user}', 'PENDING', 'PENDING', 100, 'USD', 'x', now(), now(), now())",
        new_uuid()
    );
    database.run_sql(&order).await.unwrap();
    database
}

/// Makes `count` records of a kind, each a millisecond younger than the one before, the first as old as is said.
async fn add(database: &Database, what: Perishable, count: u32, age: &str) {
    let made = format!(
        "SELECT n, now() - interval '{age}' + n * interval '1 millisecond' AS at, gen_random_uuid() AS id,
                (SELECT id FROM users LIMIT 1) AS user_id, sha256(gen_random_uuid()::text::bytea) AS hash
         FROM generate_series(1, {count}) AS n"
    );
    let network = "('10.' || n / 65536 || '.' || n / 256 % 256 || '.' || n % 256)::cidr";
    let insert = match what {
        Perishable::EventPayloads | Perishable::Events => format!(
            "INSERT INTO provider_events (id, provider_event_id, type, status, payload, received_at, applied_at)
             SELECT id, 'evt_' || id, 'charge.refunded', 'APPLIED', '{{}}', at, at FROM ({made}) AS made"
        ),
        Perishable::Sessions => format!(
            "INSERT INTO sessions (id, user_id, created_at, expires_at)
             SELECT id, user_id, at - interval '30 days', at FROM ({made}) AS made"
        ),
        Perishable::AuthAttempts => format!(
            "INSERT INTO auth_attempts (kind, network, account_hash, state, since)
             SELECT 'LOGIN', {network}, hash, 'FAILED', at FROM ({made}) AS made"
        ),
        Perishable::KnownAddresses => format!(
            "INSERT INTO auth_known_addresses (account_hash, network, last_login_at)
             SELECT hash, {network}, at FROM ({made}) AS made"
        ),
        Perishable::IdempotencyKeys => format!(
            "INSERT INTO idempotency_keys (user_id, key, fingerprint, claim, alive_at, created_at)
             SELECT user_id, id::text, hash, n, at, at FROM ({made}) AS made"
        ),
        Perishable::FinishedTasks => format!(
            "INSERT INTO tasks (id, order_id, kind, subject_id, created_at, finished_at)
             SELECT id, (SELECT id FROM orders LIMIT 1), 'REFUND', id, at, at FROM ({made}) AS made"
        ),
    };
    assert_eq!(database.run_sql(&insert).await.unwrap(), count as usize, "{what:?}");
}

/// Where records of a kind are, and by what they are told to be there still; and when each came.
const fn kept(what: Perishable) -> (&'static str, &'static str) {
    match what {
        Perishable::EventPayloads => ("provider_events WHERE payload IS NOT NULL", "received_at"),
        Perishable::Events => ("provider_events WHERE true", "received_at"),
        Perishable::Sessions => ("sessions WHERE true", "expires_at"),
        Perishable::AuthAttempts => ("auth_attempts WHERE true", "since"),
        Perishable::KnownAddresses => ("auth_known_addresses WHERE true", "last_login_at"),
        Perishable::IdempotencyKeys => ("idempotency_keys WHERE true", "created_at"),
        Perishable::FinishedTasks => ("tasks WHERE true", "finished_at"),
    }
}

async fn left(database: &Database, what: Perishable) -> i64 {
    database.number(&format!("SELECT count(*) AS n FROM {}", kept(what).0)).await
}

/// Just not old enough, and just old enough.
const fn border(what: Perishable) -> (&'static str, &'static str) {
    match what {
        Perishable::EventPayloads => ("29 days 23 hours 59 minutes", "30 days 1 second"),
        Perishable::Events | Perishable::FinishedTasks => ("89 days 23 hours 59 minutes", "90 days 1 second"),
        // Its own end is what counts.
        Perishable::Sessions => ("-1 minute", "1 second"),
        Perishable::AuthAttempts | Perishable::IdempotencyKeys => ("23 hours 59 minutes", "24 hours 1 second"),
        Perishable::KnownAddresses => ("29 days 23 hours 59 minutes", "30 days 1 second"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_goes_at_its_time_and_not_before() {
    let database = database().await;
    for what in Perishable::ALL {
        let (young, old) = border(what);
        add(&database, what, 3, young).await;
        assert_eq!(forget(&database, what, 100).await, 0, "{what:?} of {young}");
        let before = left(&database, what).await;
        add(&database, what, 2, old).await;
        assert_eq!(forget(&database, what, 100).await, 2, "{what:?} of {old}");
        assert_eq!(left(&database, what).await, before, "{what:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_takes_the_oldest_and_no_more_than_it_may() {
    let database = database().await;
    for what in Perishable::ALL {
        let (from, at) = kept(what);
        add(&database, what, 25, AGES_AGO).await;
        let oldest = format!("SELECT {at}::text AS t FROM {from} ORDER BY {at} DESC LIMIT 15");
        let youngest = database.texts(&oldest).await;
        assert_eq!(forget(&database, what, 10).await, 10, "{what:?}");
        assert_eq!(database.texts(&oldest).await, youngest, "{what:?} are not the oldest");
        assert_eq!(left(&database, what).await, 15, "{what:?}");
        assert_eq!(forget(&database, what, 10).await, 10, "{what:?}");
        assert_eq!(forget(&database, what, 10).await, 5, "{what:?}");
        assert_eq!(forget(&database, what, 10).await, 0, "{what:?}");
        assert_eq!(left(&database, what).await, 0, "{what:?}");
        database.run_sql("DELETE FROM provider_events").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_forget_at_once_share_the_work() {
    let database = database().await;
    for what in Perishable::ALL {
        add(&database, what, 2000, AGES_AGO).await;
        add(&database, what, 10, border(what).0).await;
        let instances = (0..6).map(async |_| {
            let mut forgotten = 0;
            loop {
                let batch = forget(&database, what, 90).await;
                forgotten += batch;
                if left(&database, what).await <= 10 {
                    return forgotten;
                }
            }
        });
        assert_eq!(join_all(instances).await.iter().sum::<u64>(), 2000, "{what:?}");
        assert_eq!(left(&database, what).await, 10, "{what:?}");
        database.run_sql("DELETE FROM provider_events").await.unwrap();
    }
    let deadlocks = "SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(database.number(deadlocks).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_hold_is_left_for_later_and_nobody_waits() {
    let database = database().await;
    for what in Perishable::ALL {
        let (from, at) = kept(what);
        add(&database, what, 5, AGES_AGO).await;
        let held = format!("SELECT {at}::text AS t FROM {from} ORDER BY {at} LIMIT 2");
        let hold = RowHold::take(&database, &held).await;
        let forgotten = tokio::time::timeout(std::time::Duration::from_secs(5), forget(&database, what, 100)).await;
        assert_eq!(forgotten.expect("no wait"), 3, "{what:?}");
        hold.release().await;
        assert_eq!(forget(&database, what, 100).await, 2, "{what:?}");
        database.run_sql("DELETE FROM provider_events").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_wait_or_failed_stay_whole_however_old_they_are() {
    let database = database().await;
    for what in [Perishable::EventPayloads, Perishable::Events] {
        add(&database, what, 3, AGES_AGO).await;
    }
    let fates = ["WAITING", "FAILED", "IGNORED"];
    let ids = database.texts("SELECT id::text AS t FROM provider_events ORDER BY received_at").await;
    for (id, fate) in ids.iter().zip(fates.into_iter().chain(["WAITING", "FAILED"])) {
        let set = format!(
            "UPDATE provider_events SET status = '{fate}', applied_at = NULL, intent = 'pi_1' WHERE id = '{id}'"
        );
        database.run_sql(&set).await.unwrap();
    }
    assert_eq!(forget(&database, Perishable::EventPayloads, 100).await, 2);
    assert_eq!(forget(&database, Perishable::Events, 100).await, 2);
    let stays = "SELECT concat_ws(' ', status, payload) AS t FROM provider_events ORDER BY 1";
    assert_eq!(database.texts(stays).await, ["FAILED {}", "FAILED {}", "WAITING {}", "WAITING {}"]);
    // Whoever forgets by hand is stopped by the database.
    let refused = database.run_sql("UPDATE provider_events SET payload = NULL").await.unwrap_err().to_string();
    assert!(refused.contains("provider_events_payload_until_settled"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errands_that_are_not_done_stay_however_old_they_are() {
    let database = database().await;
    add(&database, Perishable::FinishedTasks, 4, AGES_AGO).await;
    database.run_sql("UPDATE tasks SET finished_at = NULL WHERE id IN (SELECT id FROM tasks LIMIT 1)").await.unwrap();
    assert_eq!(forget(&database, Perishable::FinishedTasks, 100).await, 3);
    assert_eq!(left(&database, Perishable::FinishedTasks).await, 1);
}

/// A family of so many tokens for each session, all but the last spent, the last one an hour ago.
async fn rotate_often(database: &Database, tokens: u32) {
    let insert = format!(
        "INSERT INTO refresh_tokens (token_hash, session_id, created_at, spent_at)
         SELECT sha256((sessions.id || '-' || n)::bytea), sessions.id, now() - interval '2 hours',
                CASE WHEN n < {tokens} THEN now() - interval '1 hour' END
         FROM sessions, generate_series(1, {tokens}) AS n"
    );
    database.run_sql(&insert).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_goes_with_its_login_however_often_and_lately_it_was_rotated() {
    let database = database().await;
    add(&database, Perishable::Sessions, 3, "1 minute").await;
    add(&database, Perishable::Sessions, 2, "-1 minute").await;
    rotate_often(&database, 250).await;
    let tokens = "SELECT count(*) AS n FROM refresh_tokens";
    // A batch stays small although one family is larger than it.
    let mut last = 5 * 250;
    loop {
        let forgotten = forget(&database, Perishable::Sessions, 100).await;
        let now = database.number(tokens).await;
        assert!(last - now <= 100, "{} tokens at once", last - now);
        last = now;
        if forgotten < 100 {
            break;
        }
    }
    assert_eq!((database.number(tokens).await, left(&database, Perishable::Sessions).await), (500, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_again_after_its_payload_is_gone_is_a_repeat() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 50).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 2)]).await;
    let paid = event("checkout.session.completed", &paid_session(&order, "cs_test_hand", "pi_1"));
    let _ = shop.hears(&paid).await.expect(200);
    let _ = shop.reaches(&order, "PAID COMPLETED").await;
    let old = "UPDATE provider_events SET received_at = received_at - interval '31 days'";
    shop.database.run_sql(old).await.unwrap();
    while forget(&shop.database, Perishable::EventPayloads, 100).await > 0 {}
    assert_eq!(forget(&shop.database, Perishable::Events, 100).await, 0);
    let _ = shop.hears(&paid).await.expect(200);
    let listed: Vec<Event> = admin.lists_events("type=checkout.session.completed").await;
    let listed: Vec<&Event> = listed.iter().filter(|kept| paid["id"] == kept.provider_event_id.as_str()).collect();
    assert_eq!(listed.len(), 1);
    let path = format!("/admin/events/{}", listed[0].id);
    let shown = admin.http.get(&path).await.expect(200).json();
    assert_eq!((shown.get("payload"), &shown["status"]), (Some(&Value::Null), &json!("APPLIED")));
    admin.http.post_empty(&format!("{path}/replay")).await.is_problem(409, "invalid_transition");
    assert_eq!(ada.sees(&order).await.standing(), "PAID COMPLETED");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_event_that_waited_is_applied_by_its_payload_and_then_loses_it() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 50).await;
    let ada = shop.customer().await;
    let order = ada.orders(&[(&mug, 1)]).await;
    let dispute = event("charge.dispute.created", &about("dispute", "pi_late"));
    let _ = shop.hears(&dispute).await.expect(200);
    let old = "UPDATE provider_events SET received_at = received_at - interval '31 days'";
    shop.database.run_sql(old).await.unwrap();
    assert_eq!(forget(&shop.database, Perishable::EventPayloads, 100).await, 0);
    let paid = event("checkout.session.completed", &paid_session(&order, "cs_test_hand", "pi_late"));
    let _ = shop.hears(&paid).await.expect(200);
    assert_eq!(shop.reaches(&order, "PAID COMPLETED").await.flags, ["DISPUTED"]);
    assert_eq!(forget(&shop.database, Perishable::EventPayloads, 100).await, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_shop_forgets_by_itself_all_that_is_old_and_goes_by_its_own_clock() {
    let mut shop = TestShop::open().await;
    let email = json!({ "email": "ada@example.com", "password": "Passw0rd!", "name": "Ada" });
    let _ = shop.anonymous.post("/auth/register", email.clone()).await.expect(201);
    let login = json!({ "email": "ada@example.com", "password": "Passw0rd!" });
    let tokens = shop.anonymous.post("/auth/login", login.clone()).await.expect(200).json();
    let refresh = json!({ "refreshToken": tokens["refreshToken"] });
    let _ = shop.anonymous.post("/auth/refresh", refresh.clone()).await.expect(200);
    let _ = shop.hears(&event("invoice.paid", &json!({}))).await.expect(200);
    for what in [Perishable::AuthAttempts, Perishable::KnownAddresses, Perishable::IdempotencyKeys] {
        // More than a batch.
        add(&shop.database, what, 1100, AGES_AGO).await;
    }
    shop.passes(TimeDelta::days(91).num_seconds());
    shop.restarts().await;
    for what in Perishable::ALL {
        until(&format!("{what:?} are forgotten"), async || left(&shop.database, what).await == 0).await;
    }
    assert_eq!(shop.database.number("SELECT count(*) AS n FROM refresh_tokens").await, 0);
    // Neither the session nor its theft are known any more: nobody gets in by either.
    shop.anonymous.post("/auth/refresh", refresh).await.is_problem(401, "unauthenticated");
    let _ = shop.anonymous.post("/auth/login", login).await.expect(200);
    shop.close().await;
}
