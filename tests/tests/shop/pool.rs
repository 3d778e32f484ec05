//! The pool and the transaction runner on a real server: what dies is replaced, what is refused is rolled back,
//! what deadlocks runs again, and nothing waits for ever.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use adapters_postgres::{PgPool, PoolConfig, Rollback};
use diesel::sql_types::{BigInt, Integer};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::store::StoreError;
use ironcart_tests::database::Database;
use tokio::sync::Barrier;
use tokio::try_join;

#[derive(QueryableByName)]
struct Pid {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

async fn backend(pool: &PgPool) -> i32 {
    let mut connection = pool.get().await.unwrap();
    sql_query("SELECT pg_backend_pid() AS pid").get_result::<Pid>(&mut connection).await.unwrap().pid
}

async fn one_connection() -> Database {
    Database::with_pool(|config| config.max_connections = 1).await
}

/// Runs one statement in a transaction.
async fn run(pool: &PgPool, sql: &str) -> Result<usize, StoreError> {
    pool.transaction(async |connection| Ok(sql_query(sql).execute(connection).await?)).await
}

#[derive(QueryableByName)]
struct Turn {
    #[diesel(sql_type = BigInt)]
    turn: i64,
}

diesel::define_sql_function! { fn nextval(sequence: diesel::sql_types::Text) -> BigInt; }

/// Locks are sent ahead of what is read under them; that holds only if nothing overtakes (see DECISIONS, 11).
#[tokio::test]
async fn a_prepared_statement_does_not_overtake_one_that_is_still_prepared() {
    let database = one_connection().await;
    database.run_sql("CREATE SEQUENCE arrivals").await.unwrap();
    let connection = database.pool.get().await.unwrap();
    let (mut a, mut b, mut c) = (&*connection, &*connection, &*connection);
    // Kept by the driver: from now on it is sent at once.
    let prepared = || diesel::select(nextval("arrivals"));
    prepared().get_result::<i64>(&mut a).await.unwrap();
    for number in 0..50 {
        // Prepared anew each time.
        let unknown = |name: &str| sql_query(format!("SELECT nextval('arrivals') AS turn, {number} AS {name}"));
        let (first, second, third) = try_join!(
            biased;
            unknown("first").get_result::<Turn>(&mut a),
            prepared().get_result::<i64>(&mut b),
            unknown("third").get_result::<Turn>(&mut c)
        )
        .unwrap();
        assert_eq!([second, third.turn], [first.turn + 1, first.turn + 2]);
    }
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced_before_anyone_gets_it() {
    let database = one_connection().await;
    let dead = backend(&database.pool).await;
    let killer = PgPool::new(PoolConfig::new(database.url.clone()));
    run(&killer, &format!("SELECT pg_terminate_backend({dead})")).await.unwrap();
    let alive = format!("SELECT 1 FROM pg_stat_activity WHERE pid = {dead}");
    while run(&killer, &alive).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The news still has to reach the connection's driver task, which runs beside this one.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_ne!(backend(&database.pool).await, dead);
}

#[tokio::test]
async fn a_connection_that_dies_in_use_fails_its_own_statement_and_no_other() {
    let database = one_connection().await;
    for _ in 0..3 {
        let lost = run(&database.pool, "SELECT pg_terminate_backend(pg_backend_pid())").await;
        assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
        assert_eq!(run(&database.pool, "SELECT 1").await.unwrap(), 1);
    }
    assert_eq!(database.pool.usage(), (1, 1));
}

#[tokio::test]
async fn a_transaction_dropped_half_way_is_rolled_back_and_gives_its_locks_back() {
    let database = one_connection().await;
    database.run_sql("CREATE TABLE marks (id BIGINT PRIMARY KEY)").await.unwrap();
    let half_way = database.pool.transaction::<(), StoreError, _>(async |connection| {
        sql_query("LOCK TABLE marks").execute(connection).await?;
        sql_query("INSERT INTO marks VALUES (1)").execute(connection).await?;
        sql_query("SELECT pg_sleep(60)").execute(connection).await?;
        Ok(())
    });
    assert!(tokio::time::timeout(Duration::from_millis(300), half_way).await.is_err());

    let begun = Instant::now();
    assert_eq!(database.number("SELECT count(*) AS n FROM marks").await, 0);
    // The server notices that its client has gone, and ends the statement with its locks.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_full_pool_says_so_in_time() {
    let database = Database::with_pool(|config| {
        config.max_connections = 1;
        config.acquire_timeout = Duration::from_millis(200);
    })
    .await;
    let held = database.pool.get().await.unwrap();
    let begun = Instant::now();
    assert!(matches!(run(&database.pool, "SELECT 1").await, Err(StoreError::Unavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(2));
    drop(held);
    assert_eq!(run(&database.pool, "SELECT 1").await.unwrap(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let mut config = PoolConfig::new("postgres://nobody@127.0.0.1:1/nowhere".parse().unwrap());
    config.acquire_timeout = Duration::from_millis(300);
    let pool = PgPool::new(config);
    assert!(matches!(run(&pool, "SELECT 1").await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn who_requires_tls_never_speaks_to_a_server_without_it() {
    let database = Database::migrated().await;
    let url = format!("{}?sslmode=require", database.url_text());
    let mut config = PoolConfig::new(url.parse().unwrap());
    config.acquire_timeout = Duration::from_millis(500);
    let refused = run(&PgPool::new(config), "SELECT 1").await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn waits_for_locks_and_long_statements_end_as_unavailable() {
    let database = Database::with_pool(|config| {
        config.lock_timeout = Duration::from_millis(100);
        config.statement_timeout = Duration::from_millis(400);
    })
    .await;
    database.run_sql("CREATE TABLE marks (id BIGINT PRIMARY KEY)").await.unwrap();
    let mut holder = database.pool.get().await.unwrap();
    sql_query("BEGIN").execute(&mut holder).await.unwrap();
    sql_query("LOCK TABLE marks").execute(&mut holder).await.unwrap();
    let waited = run(&database.pool, "INSERT INTO marks VALUES (1)").await;
    assert!(matches!(waited, Err(StoreError::Unavailable(_))), "{waited:?}");
    sql_query("ROLLBACK").execute(&mut holder).await.unwrap();
    let slept = run(&database.pool, "SELECT pg_sleep(5)").await;
    assert!(matches!(slept, Err(StoreError::Unavailable(_))), "{slept:?}");
}

#[tokio::test]
async fn a_bug_is_unexpected_and_keeps_the_connection() {
    let database = one_connection().await;
    let before = backend(&database.pool).await;
    let failed = run(&database.pool, "SELECT nothing FROM nowhere").await;
    assert!(matches!(failed, Err(StoreError::Unexpected(_))), "{failed:?}");
    assert_eq!(backend(&database.pool).await, before);
}

#[derive(Debug)]
enum Outcome {
    Refused,
    Failed,
}

impl From<StoreError> for Outcome {
    fn from(_: StoreError) -> Self {
        Self::Failed
    }
}

#[tokio::test]
async fn a_refusal_leaves_nothing_behind_and_keeps_the_connection() {
    let database = one_connection().await;
    database.run_sql("CREATE TABLE marks (id BIGINT PRIMARY KEY)").await.unwrap();
    let before = backend(&database.pool).await;
    let refused = database
        .pool
        .transaction::<(), Outcome, _>(async |connection| {
            sql_query("INSERT INTO marks VALUES (1)").execute(connection).await?;
            Err(Rollback::Refused(Outcome::Refused))
        })
        .await;
    assert!(matches!(refused, Err(Outcome::Refused)), "{refused:?}");
    assert_eq!(database.number("SELECT count(*) AS n FROM marks").await, 0);
    assert_eq!(backend(&database.pool).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_broken_and_both_sides_succeed() {
    let database = Database::migrated().await;
    database.run_sql("CREATE TABLE marks (id BIGINT PRIMARY KEY, hits BIGINT NOT NULL)").await.unwrap();
    database.run_sql("INSERT INTO marks VALUES (1, 0), (2, 0)").await.unwrap();
    let (attempts, meeting) = (AtomicU32::new(0), Barrier::new(2));
    let hit = async |connection: &mut AsyncPgConnection, id: i64| {
        sql_query("UPDATE marks SET hits = hits + 1 WHERE id = $1").bind::<BigInt, _>(id).execute(connection).await
    };
    let both = async |first: i64, second: i64| {
        database
            .pool
            .transaction::<(), StoreError, _>(async |connection| {
                let met_before = attempts.fetch_add(1, Ordering::SeqCst) >= 2;
                hit(connection, first).await?;
                if !met_before {
                    meeting.wait().await;
                }
                hit(connection, second).await?;
                Ok(())
            })
            .await
    };
    let (one, other) = tokio::join!(both(1, 2), both(2, 1));
    one.unwrap();
    other.unwrap();
    assert_eq!(attempts.into_inner(), 3);
    assert_eq!(database.number("SELECT sum(hits)::bigint AS n FROM marks").await, 4);
}

#[tokio::test]
async fn what_never_serializes_is_tried_four_times_and_no_more() {
    let database = Database::migrated().await;
    let attempts = AtomicU32::new(0);
    let outcome = database
        .pool
        .transaction::<(), StoreError, _>(async |connection| {
            attempts.fetch_add(1, Ordering::SeqCst);
            sql_query("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$").execute(connection).await?;
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    assert_eq!(attempts.into_inner(), 4);
}

#[tokio::test]
async fn every_session_has_its_limits() {
    let database = Database::migrated().await;
    let settings = "SELECT name || '=' || setting AS t FROM pg_settings WHERE name IN (
        'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'application_name',
        'client_connection_check_interval', 'default_transaction_isolation', 'lc_messages', 'TimeZone')
        ORDER BY lower(name) COLLATE \"C\"";
    assert_eq!(
        database.texts(settings).await,
        [
            "application_name=ironcart",
            "client_connection_check_interval=2000",
            "default_transaction_isolation=read committed",
            "idle_in_transaction_session_timeout=15000",
            "lc_messages=C",
            "lock_timeout=10000",
            "statement_timeout=15000",
            "TimeZone=UTC",
        ]
    );
}
