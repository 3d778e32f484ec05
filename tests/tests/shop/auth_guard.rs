//! The auth guard (contract 4): strict under parallel attempts, over instances and restarts, per address and per
//! account, and never against people where they have been before.

use std::time::{Duration, Instant};

use adapters_postgres::PgAuthGuard;
use domain::account::{
    Attempt, AttemptKind, AttemptOutcome, AttemptSlot, AuthGuard, Client, ClientNetwork, Email, GuardError, GuardLimit,
    GuardPolicy,
};
use futures_util::future::join_all;
use ironcart_tests::database::Database;
use ironcart_tests::http::{Http, Reply};
use ironcart_tests::shop::{Plan, TestShop};
use serde_json::json;

const PASSWORD: &str = "Passw0rd!";
const EMAIL: &str = "ada@example.com";

fn limit(count: u32, seconds: u64) -> GuardLimit {
    GuardLimit { count, period: Duration::from_secs(seconds) }
}

/// The contract's defaults.
const POLICY: GuardPolicy = GuardPolicy {
    address_failures: GuardLimit { count: 5, period: Duration::from_secs(900) },
    account_failures: GuardPolicy::ACCOUNT_FAILURES,
    registrations: GuardLimit { count: 20, period: Duration::from_secs(3600) },
};

/// A guarded shop behind a proxy, so that tests can come from many addresses.
fn guarded(plan: &mut Plan) {
    plan.auth_guard = Some(POLICY);
    plan.limits.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
}

async fn registers(http: &Http, email: &str) -> Reply {
    http.post("/auth/register", json!({ "email": email, "password": PASSWORD })).await
}

async fn logs_in(http: &Http, email: &str, password: &str) -> Reply {
    http.post("/auth/login", json!({ "email": email, "password": password })).await
}

/// A wrong password that is verified, and refused.
async fn fails(http: &Http, email: &str) -> Reply {
    let reply = logs_in(http, email, "wrong").await;
    reply.is_problem(401, "invalid_credentials");
    reply
}

#[track_caller]
fn is_locked(reply: &Reply) -> u64 {
    reply.is_problem(429, "rate_limited");
    assert_eq!(reply.header("ratelimit-remaining"), Some("0"));
    let seconds = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
    seconds
}

fn count(replies: &[Reply], verdict: &str) -> usize {
    replies.iter().filter(|reply| reply.verdict() == verdict).count()
}

async fn failures(shop: &TestShop) -> i64 {
    shop.database.number("SELECT count(*) AS n FROM auth_attempts WHERE state = 'FAILED'").await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_wrong_passwords_at_once_on_two_instances_five_are_looked_at() {
    let shop = TestShop::with(|plan| {
        guarded(plan);
        plan.instances = 2;
    })
    .await;
    let thief = shop.anonymous.forwarded_for("198.51.100.7");
    let replies = join_all((0..50).map(|_| logs_in(&thief, EMAIL, "wrong"))).await;
    assert_eq!((count(&replies, "invalid_credentials"), count(&replies, "rate_limited")), (5, 45));
    for refused in replies.iter().filter(|reply| reply.status == 429) {
        assert!((1..=900).contains(&is_locked(refused)));
    }
    assert_eq!(failures(&shop).await, 5);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_five_failures_the_right_password_is_refused_too_and_a_restart_changes_nothing() {
    let mut shop = TestShop::with(|plan| {
        guarded(plan);
        plan.instances = 2;
    })
    .await;
    let http = shop.anonymous.forwarded_for("198.51.100.7");
    let _ = registers(&http, EMAIL).await.expect(201);
    for remaining in ["4", "3", "2", "1", "0"] {
        let failed = fails(&http, EMAIL).await;
        assert_eq!(
            (failed.header("ratelimit-limit"), failed.header("ratelimit-remaining")),
            (Some("5"), Some(remaining))
        );
        let reset: u64 = failed.header("ratelimit-reset").unwrap().parse().unwrap();
        assert!((890..=900).contains(&reset), "{reset}");
    }
    let locked = logs_in(&http, EMAIL, PASSWORD).await;
    assert!((800..=900).contains(&is_locked(&locked)));
    assert!(locked.json()["detail"].as_str().unwrap().contains("from this address"), "{}", locked.text);
    // The shop's own clock decides nothing here: it may jump.
    shop.passes(3600);
    let _ = is_locked(&logs_in(&http, EMAIL, PASSWORD).await);
    shop.restarts().await;
    let _ = is_locked(&logs_in(&http, EMAIL, PASSWORD).await);
    let _ = logs_in(&shop.anonymous.forwarded_for("198.51.100.8"), EMAIL, PASSWORD).await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_makes_room_when_it_is_fifteen_minutes_old_and_not_before() {
    let shop = TestShop::with(guarded).await;
    let http = shop.anonymous.forwarded_for("2001:db8:0:1::7");
    for host in 1..=5 {
        let _ = fails(&shop.anonymous.forwarded_for(&format!("2001:db8:0:1::{host}")), EMAIL).await;
    }
    let _ = is_locked(&logs_in(&http, EMAIL, "wrong").await);
    let grow_older = async |seconds: u32| {
        let oldest = "SELECT min(id) FROM auth_attempts WHERE state = 'FAILED'";
        let sql = format!("UPDATE auth_attempts SET since = since - interval '{seconds} s' WHERE id = ({oldest})");
        assert_eq!(shop.database.run_sql(&sql).await.unwrap(), 1);
    };
    grow_older(860).await;
    let retry_after = is_locked(&logs_in(&http, EMAIL, "wrong").await);
    assert!(retry_after <= 40, "{retry_after}");
    grow_older(40).await;
    let _ = fails(&http, EMAIL).await;
    let _ = is_locked(&logs_in(&http, EMAIL, "wrong").await);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_as_long_as_told_is_let_in() {
    let shop = TestShop::with(|plan| {
        plan.auth_guard = Some(GuardPolicy { address_failures: limit(2, 3), ..POLICY });
    })
    .await;
    let _ = registers(&shop.anonymous, EMAIL).await.expect(201);
    for _ in 0..2 {
        let _ = fails(&shop.anonymous, EMAIL).await;
    }
    let seconds = is_locked(&logs_in(&shop.anonymous, EMAIL, PASSWORD).await);
    assert!((1..=3).contains(&seconds), "{seconds}");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let _ = logs_in(&shop.anonymous, EMAIL, PASSWORD).await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_success_nor_a_422_counts() {
    let shop = TestShop::with(guarded).await;
    let http = shop.anonymous.forwarded_for("198.51.100.7");
    let _ = registers(&http, EMAIL).await.expect(201);
    for _ in 0..8 {
        let login = logs_in(&http, EMAIL, PASSWORD).await.expect(200);
        assert_eq!(login.header("ratelimit-remaining"), Some("5"));
        logs_in(&http, "nobody", "").await.is_problem(422, "validation_failed");
        http.post("/auth/register", json!({ "email": EMAIL, "password": "short" }))
            .await
            .is_problem(422, "validation_failed");
    }
    // More at once than there are slots: those without one wait their turn.
    let replies = join_all((0..8).map(|_| logs_in(&http, EMAIL, PASSWORD))).await;
    assert_eq!(count(&replies, "ok"), 8);
    assert_eq!(shop.database.number("SELECT count(*) AS n FROM auth_attempts WHERE kind = 'LOGIN'").await, 0);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_e_mails_and_wrong_old_passwords_are_failures_too() {
    let shop = TestShop::with(guarded).await;
    let http = shop.anonymous.forwarded_for("198.51.100.7");
    let _ = registers(&http, EMAIL).await.expect(201);
    let tokens = logs_in(&http, EMAIL, PASSWORD).await.expect(200).json();
    let ada = http.bearing(tokens["accessToken"].as_str().unwrap());
    let change = |old: &str| json!({ "oldPassword": old, "newPassword": "N3w passw0rd!" });
    for remaining in ["4", "2"] {
        let taken = registers(&http, "ADA@example.com").await;
        taken.is_problem(409, "email_taken");
        assert_eq!(taken.header("ratelimit-remaining"), Some(remaining));
        ada.post("/auth/change-password", change("wrong")).await.is_problem(401, "invalid_credentials");
    }
    let _ = fails(&http, EMAIL).await;
    let _ = is_locked(&registers(&http, "new@example.com").await);
    let _ = is_locked(&ada.post("/auth/change-password", change(PASSWORD)).await);
    let _ = is_locked(&logs_in(&http, EMAIL, PASSWORD).await);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_address_is_refused_before_its_request_is_looked_at() {
    let shop = TestShop::with(guarded).await;
    let http = shop.anonymous.forwarded_for("198.51.100.7");
    for _ in 0..5 {
        let _ = fails(&http, EMAIL).await;
    }
    let _ = is_locked(&http.post("/auth/login", json!({})).await);
    let _ = is_locked(&http.post("/auth/login", json!({ "email": "x".repeat(100_000) })).await);
    let _ = is_locked(&http.post_empty("/auth/change-password").await);
    // What is no attempt is served as ever.
    http.get("/auth/login").await.is_problem(405, "method_not_allowed");
    http.post("/auth/refresh", json!({ "refreshToken": "x" })).await.is_problem(401, "unauthenticated");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_anyone_can_send_evades_nothing() {
    let shop = TestShop::with(|plan| plan.auth_guard = Some(POLICY)).await;
    for host in 1..=5 {
        let _ = fails(&shop.anonymous.forwarded_for(&format!("198.51.100.{host}")), EMAIL).await;
    }
    let _ = is_locked(&logs_in(&shop.anonymous.forwarded_for("198.51.100.6"), EMAIL, "wrong").await);
    let _ = is_locked(&logs_in(&shop.anonymous, EMAIL, "wrong").await);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_entry_before_the_proxys_own_evades_nothing() {
    let shop = TestShop::with(guarded).await;
    for host in 1..=5 {
        let _ = fails(&shop.anonymous.forwarded_for(&format!("203.0.113.{host}, 198.51.100.7")), EMAIL).await;
    }
    let _ = is_locked(&logs_in(&shop.anonymous.forwarded_for("203.0.113.6, 198.51.100.7"), EMAIL, "wrong").await);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_failures_from_everywhere_close_an_account_but_not_to_its_owner() {
    let shop = TestShop::with(guarded).await;
    let home = shop.anonymous.forwarded_for("192.0.2.1");
    let _ = registers(&home, EMAIL).await.expect(201);
    let _ = logs_in(&home, EMAIL, PASSWORD).await.expect(200);
    for email in [EMAIL, "nobody@example.com"] {
        for host in 1..=20 {
            let bot = shop.anonymous.forwarded_for(&format!("198.51.100.{host}"));
            let spelling = if host % 2 == 0 { email.to_uppercase() } else { email.to_owned() };
            let _ = fails(&bot, &spelling).await;
        }
        let elsewhere = shop.anonymous.forwarded_for("203.0.113.9");
        let locked = logs_in(&elsewhere, email, PASSWORD).await;
        assert!((600..=900).contains(&is_locked(&locked)));
        assert_eq!(locked.header("ratelimit-limit"), Some("20"));
        assert!(locked.json()["detail"].as_str().unwrap().contains("with this e-mail"), "{}", locked.text);
    }
    let _ = logs_in(&home, EMAIL, PASSWORD).await.expect(200);
    // An address that she has not been at for 30 days is a stranger's.
    let sql = "UPDATE auth_known_addresses SET last_login_at = last_login_at - interval '30 days'";
    assert_eq!(shop.database.run_sql(sql).await.unwrap(), 1);
    let _ = is_locked(&logs_in(&home, EMAIL, PASSWORD).await);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_e_mail_is_written_down() {
    let shop = TestShop::with(guarded).await;
    let _ = fails(&shop.anonymous.forwarded_for("198.51.100.7"), "Ada@Example.com").await;
    let rows = shop.database.texts("SELECT auth_attempts::text AS t FROM auth_attempts").await;
    assert_eq!(rows.len(), 1);
    assert!(!rows[0].to_lowercase().contains("ada") && !rows[0].contains('@'), "{rows:?}");
    let hashed = "SELECT count(*) AS n FROM auth_attempts WHERE account_hash = sha256('ada@example.com'::bytea)";
    assert_eq!(shop.database.number(hashed).await, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_registers_so_many_accounts_an_hour_and_no_more() {
    let shop = TestShop::with(|plan| {
        guarded(plan);
        plan.auth_guard = Some(GuardPolicy { registrations: limit(3, 3600), ..POLICY });
        plan.instances = 2;
    })
    .await;
    let http = shop.anonymous.forwarded_for("198.51.100.7");
    let emails: Vec<String> = (0..8).map(|number| format!("user{number}@example.com")).collect();
    let replies = join_all(emails.iter().map(|email| registers(&http, email))).await;
    assert_eq!((count(&replies, "ok"), count(&replies, "rate_limited")), (3, 5));
    let locked = registers(&http, "one-more@example.com").await;
    assert!((3500..=3600).contains(&is_locked(&locked)));
    assert!(locked.json()["detail"].as_str().unwrap().contains("registered"), "{}", locked.text);
    assert_eq!(locked.header("ratelimit-limit"), Some("3"));
    assert_eq!(shop.database.number("SELECT count(*) AS n FROM users").await, 3);
    // Logging in is another matter, and so is another address.
    let _ = fails(&http, EMAIL).await;
    let _ = registers(&shop.anonymous.forwarded_for("198.51.100.8"), "one-more@example.com").await.expect(201);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exempt_address_may_fail_and_register_as_it_likes() {
    let shop = TestShop::with(|plan| {
        guarded(plan);
        plan.auth_guard = Some(GuardPolicy { registrations: limit(1, 3600), ..POLICY });
        plan.limits.exempt = vec!["192.0.2.0/24".parse().unwrap()];
    })
    .await;
    let storefront = shop.anonymous.forwarded_for("192.0.2.1");
    for number in 0..7 {
        let _ = fails(&storefront, &format!("nobody{number}@example.com")).await;
        let _ = registers(&storefront, &format!("user{number}@example.com")).await.expect(201);
    }
    shop.close().await;
}

// --- the guard itself, without the price of Argon2 --------------------------------------------------------------

fn attempt(host: u8, email: &str) -> Attempt {
    let network = ClientNetwork::of(format!("198.51.100.{host}").parse().unwrap());
    let client = Client { network, is_exempt: false };
    Attempt { kind: AttemptKind::Login, client, email: Email::parse(email).unwrap() }
}

/// How many began; the others must have been refused, and nothing else.
fn begin_count(begun: &[Result<AttemptSlot, GuardError>]) -> usize {
    let refused = begun.iter().filter(|begun| matches!(begun, Err(GuardError::Refused(_)))).count();
    assert!(begun.iter().all(|begun| !matches!(begun, Err(GuardError::Store(_)))), "{begun:?}");
    begun.len() - refused
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twelve_attempts_that_begin_at_once_five_do_in_each_of_eight_rounds() {
    let database = Database::with_pool(|pool| pool.acquire_timeout = Duration::from_secs(60)).await;
    let guards = [0, 1].map(|_| PgAuthGuard::new(database.pool.clone(), POLICY));
    let round = async |host: u8| {
        let email = format!("user{host}@example.com");
        let attempts: Vec<_> = (0..12).map(|_| attempt(host, &email)).collect();
        let begun =
            join_all(attempts.iter().enumerate().map(|(index, attempt)| guards[index % 2].begin(attempt))).await;
        begin_count(&begun)
    };
    let begun = join_all((1..=8).map(round)).await;
    assert_eq!(begun, vec![5; 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_attempts_at_one_account_from_many_addresses_at_once_twenty_begin() {
    let database = Database::with_pool(|pool| pool.acquire_timeout = Duration::from_secs(60)).await;
    let guard = PgAuthGuard::new(database.pool.clone(), POLICY);
    let attempts: Vec<_> = (1..=60).map(|host| attempt(host, EMAIL)).collect();
    let begun = join_all(attempts.iter().map(|attempt| guard.begin(attempt))).await;
    assert_eq!(begin_count(&begun), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_free_slot_an_attempt_waits_two_seconds_and_takes_one_that_becomes_free() {
    let database = Database::migrated().await;
    let guard = PgAuthGuard::new(database.pool.clone(), POLICY);
    let attempt = attempt(1, EMAIL);
    let mut slots = Vec::new();
    for _ in 0..5 {
        slots.push(guard.begin(&attempt).await.unwrap());
    }
    let begun = Instant::now();
    let refused = guard.begin(&attempt).await.unwrap_err();
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(2) && waited < Duration::from_secs(5), "{waited:?}");
    let GuardError::Refused(refusal) = refused else { panic!("{refused}") };
    assert_eq!(refusal.retry_in, Duration::from_secs(1));
    let free = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        guard.end(slots[0], AttemptOutcome::Succeeded).await.unwrap();
    };
    let (slot, ()) = tokio::join!(guard.begin(&attempt), free);
    let _ = slot.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_process_died_counts_as_a_failure_from_its_beginning() {
    let database = Database::migrated().await;
    let guard = PgAuthGuard::new(database.pool.clone(), POLICY);
    let attempt = attempt(1, EMAIL);
    for _ in 0..5 {
        let _ = guard.begin(&attempt).await.unwrap();
    }
    let grow_older = "UPDATE auth_attempts SET since = since - interval '5 minutes'";
    assert_eq!(database.run_sql(grow_older).await.unwrap(), 5);
    let GuardError::Refused(refusal) = guard.begin(&attempt).await.unwrap_err() else { panic!() };
    assert!((595..=600).contains(&refusal.retry_in.as_secs()), "{:?}", refusal.retry_in);
    let _ = database.run_sql("UPDATE auth_attempts SET since = since - interval '10 minutes'").await.unwrap();
    let _ = guard.begin(&attempt).await.unwrap();
}
