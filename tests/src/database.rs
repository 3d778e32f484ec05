//! A migrated database per test, its pool, and short cuts past the repositories.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "what fails here fails the test")]

use adapters_postgres::{DatabaseUrl, PgPool, PoolConfig, migrations};
use app::dev_postgres::test_cluster::{TestCluster, TestDatabase};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use domain::id::UserId;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A database of one test and a pool on it.
#[derive(Debug)]
pub struct Database {
    /// The pool.
    pub pool: PgPool,
    /// Its address.
    pub url: DatabaseUrl,
    address: String,
    // Goes last: the database is dropped with it. `None` for one that is not this test's to drop.
    _copy: Option<TestDatabase>,
}

impl Database {
    /// A migrated database, with at most 8 connections.
    pub async fn migrated() -> Self {
        Self::with_pool(|_| ()).await
    }

    /// A migrated database with a pool to one's liking.
    pub async fn with_pool(configure: impl FnOnce(&mut PoolConfig)) -> Self {
        let migrate = async |url: String| {
            migrations::migrate(&url.parse().expect("the cluster gives good addresses")).await.map(drop)
        };
        let cluster = TestCluster::acquire().await.expect("a test server");
        let database = cluster.database(migrations::FINGERPRINT, migrate).await.expect("a test database");
        Self::on(database, configure)
    }

    /// A database without any table.
    pub async fn empty() -> Self {
        let cluster = TestCluster::acquire().await.expect("a test server");
        let leave_empty = async |_| Ok::<_, std::fmt::Error>(());
        let database = cluster.database("empty", leave_empty).await.expect("a test database");
        Self::on(database, |_| ())
    }

    /// A database that is there already, such as that of an app in a process of its own.
    #[must_use]
    pub fn at(address: &str) -> Self {
        Self::open(address, |_| (), None)
    }

    fn on(database: TestDatabase, configure: impl FnOnce(&mut PoolConfig)) -> Self {
        let address = database.url().to_owned();
        Self::open(&address, configure, Some(database))
    }

    fn open(address: &str, configure: impl FnOnce(&mut PoolConfig), copy: Option<TestDatabase>) -> Self {
        let url: DatabaseUrl = address.parse().expect("a good address");
        let mut config = PoolConfig { max_connections: 8, ..PoolConfig::new(url.clone()) };
        configure(&mut config);
        Self { pool: PgPool::new(config), url, address: address.to_owned(), _copy: copy }
    }

    /// The address as `DATABASE_URL` takes it.
    #[must_use]
    pub fn url_text(&self) -> &str {
        &self.address
    }

    /// Runs a statement.
    pub async fn run_sql(&self, sql: &str) -> diesel::QueryResult<usize> {
        let mut connection = self.pool.get().await.expect("a connection");
        diesel::sql_query(sql).execute(&mut connection).await
    }

    /// The one number of a query whose column is named `n`.
    pub async fn number(&self, sql: &str) -> i64 {
        let mut connection = self.pool.get().await.expect("a connection");
        let row: Number = diesel::sql_query(sql).get_result(&mut connection).await.expect(sql);
        row.n
    }

    /// The texts of a query whose column is named `t`.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let mut connection = self.pool.get().await.expect("a connection");
        let rows: Vec<Line> = diesel::sql_query(sql).load(&mut connection).await.expect(sql);
        rows.into_iter().map(|row| row.t).collect()
    }

    /// A customer who can't log in.
    pub async fn customer(&self) -> UserId {
        self.user("CUSTOMER").await
    }

    /// An admin who can't log in.
    pub async fn admin(&self) -> UserId {
        self.user("ADMIN").await
    }

    async fn user(&self, role: &str) -> UserId {
        let id = new_uuid();
        let insert = format!(
            "INSERT INTO users (id, email, password_hash, role, created_at)
             VALUES ('{id}', '{id}@example.com', '$argon2id$none', '{role}', '2026-01-01T00:00:00Z')"
        );
        self.run_sql(&insert).await.expect("a user");
        id.into()
    }
}

/// Rows that somebody else holds, until they let go.
#[derive(Debug)]
pub struct RowHold {
    release: oneshot::Sender<()>,
    holder: JoinHandle<()>,
}

impl RowHold {
    /// Locks the rows of a query, as a writer does.
    pub async fn take(database: &Database, query: &str) -> Self {
        let (pool, lock) = (database.pool.clone(), format!("{query} FOR NO KEY UPDATE"));
        let (release, released) = oneshot::channel();
        let (held, is_held) = oneshot::channel();
        let holder = tokio::spawn(async move {
            let mut connection = pool.get().await.expect("a connection");
            for sql in ["BEGIN", &lock] {
                diesel::sql_query(sql).execute(&mut connection).await.expect(sql);
            }
            held.send(()).expect("somebody who waits for the lock");
            let _ = released.await;
            diesel::sql_query("COMMIT").execute(&mut connection).await.expect("a commit");
        });
        is_held.await.expect("the rows are held");
        Self { release, holder }
    }

    /// Lets go.
    pub async fn release(self) {
        let _ = self.release.send(());
        self.holder.await.expect("a good end");
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    t: String,
}

/// A new id.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tests mint ids without the port")]
pub fn new_uuid() -> Uuid {
    Uuid::now_v7()
}
