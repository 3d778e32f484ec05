//! A database per test, copied from one migrated template.
//!
//! All test processes of a run share one server: the one that `IRONCART_TEST_DATABASE_URL` names if it is set
//! (`make test` starts one and sets it), else a private one under the workspace's `.data/`, which the first process
//! starts and the last one stops. The template is made once, under a lock in the database, and kept until the
//! migrations change.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio_postgres::error::SqlState;

use super::error::chain;
use super::postmaster::{Session, identifier, local};
use super::{DevPostgres, DevPostgresConfig, DevPostgresError, Durability, ProgramSearch, on_own_thread};

/// Names the server that tests use; its role must be allowed to make databases.
pub const TEST_DATABASE_URL: &str = "IRONCART_TEST_DATABASE_URL";

/// Databases of tests that were killed go after this many seconds; no test may run longer.
const STALE_AFTER_SECONDS: u64 = 3600;

/// So many templates are kept: those of the checkouts and suites that share the server.
const TEMPLATES_KEPT: usize = 8;

/// The advisory lock under which the template is made: "template" in ASCII.
const TEMPLATE_LOCK: i64 = 0x7465_6d70_6c61_7465;

/// Why there is no database for a test.
#[derive(Debug, thiserror::Error)]
pub enum TestClusterError {
    /// The private server did not start.
    #[error(transparent)]
    Server(#[from] DevPostgresError),
    /// `IRONCART_TEST_DATABASE_URL` does not lead to a server.
    #[error(
        "{TEST_DATABASE_URL} leads to no PostgreSQL: {0}.\nTo do: correct it, or unset it to get a private server."
    )]
    Address(String),
    /// The server did not let this process in.
    #[error("connecting to the test server failed: {0}")]
    Connect(String),
    /// A statement failed.
    #[error("{what} failed: {}", chain(.cause))]
    Statement {
        /// What the statement was for.
        what: &'static str,
        /// What the server answered.
        cause: tokio_postgres::Error,
    },
    /// The migrations failed.
    #[error("migrating the template database failed: {0}")]
    Migration(Box<dyn std::error::Error + Send + Sync>),
    /// The migration's thread panicked or could not be started.
    #[error("migrating the template database was cut short; see the output above")]
    MigrationLost,
}

/// A server for tests, and this process's share in it.
#[derive(Debug)]
pub struct TestCluster {
    admin: tokio_postgres::Config,
    url: String,
    /// `None` for a server named by `IRONCART_TEST_DATABASE_URL`.
    private: Option<DevPostgres>,
}

impl TestCluster {
    /// The server of this test run; started if nobody has yet.
    pub async fn acquire() -> Result<Self, TestClusterError> {
        let environment = crate::environment::Environment::of_process();
        if let Some(url) = environment.get(TEST_DATABASE_URL) {
            return Self::at(url);
        }
        let pg_bin = environment.get("PG_BIN").map(PathBuf::from);
        Self::private_in(workspace_data(), pg_bin).await
    }

    /// A private server under `data`, whatever the environment says.
    pub async fn private_in(data: PathBuf, pg_bin: Option<PathBuf>) -> Result<Self, TestClusterError> {
        let server = DevPostgres::start(DevPostgresConfig {
            directory: data.join("test-postgres"),
            durability: Durability::Disposable,
            programs: ProgramSearch { pg_bin, on_this_machine: true, downloads: Some(data) },
        })
        .await?;
        let cluster =
            Self { admin: local(server.port(), "postgres"), url: server.url("postgres"), private: Some(server) };
        cluster.drop_stale_databases().await?;
        Ok(cluster)
    }

    fn at(url: &str) -> Result<Self, TestClusterError> {
        let admin = url.parse().map_err(|error| TestClusterError::Address(chain(&error)))?;
        Ok(Self { admin, url: url.to_owned(), private: None })
    }

    /// The address of its maintenance database, as `IRONCART_TEST_DATABASE_URL` takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Gives the server back; the last user of a private one stops it.
    pub async fn stop(self) -> Result<(), TestClusterError> {
        if let Some(server) = self.private {
            server.stop().await?;
        }
        Ok(())
    }

    /// A new database of one test: a copy of the template that `migrate` made.
    ///
    /// `fingerprint` stands for the migrations: whenever it changes, a new template is made by running `migrate` on an
    /// empty database, on a thread with a multi-threaded runtime of its own. The database goes when the answer is
    /// dropped.
    pub async fn database<M, F, E>(self, fingerprint: &str, migrate: M) -> Result<TestDatabase, TestClusterError>
    where
        M: FnOnce(String) -> F + Send,
        F: Future<Output = Result<(), E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let session = self.session().await?;
        let template = template_name(fingerprint);
        let name = test_name();
        if !copy(&session, &template, &name).await? {
            self.copy_new_template(&session, &template, &name, migrate).await?;
        }
        Ok(TestDatabase { url: with_database(&self.url, &name), name, cluster: self })
    }

    async fn session(&self) -> Result<Session, TestClusterError> {
        let session = Session::open(&self.admin).await;
        session.map_err(TestClusterError::Connect)
    }

    /// Makes the template, unless another process just did, and copies it.
    async fn copy_new_template<M, F, E>(
        &self,
        session: &Session,
        template: &str,
        name: &str,
        migrate: M,
    ) -> Result<(), TestClusterError>
    where
        M: FnOnce(String) -> F + Send,
        F: Future<Output = Result<(), E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        // Given back with the session, however this ends. Templates come and go under this lock only.
        let lock = format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})");
        execute(session, "locking the template", &lock).await?;
        if copy(session, template, name).await? {
            return Ok(());
        }
        let templates = names_like(session, "ironcart_template_%").await?;
        for oldest in templates.iter().skip(TEMPLATES_KEPT - 1) {
            drop_database(session, oldest).await?;
        }
        let unfinished = format!("{template}_unfinished");
        drop_database(session, &unfinished).await?;
        let created = session.create_database(&unfinished).await;
        created.map_err(statement("making the template"))?;

        let url = with_database(&self.url, &unfinished);
        on_own_thread(move || migrate(url))
            .ok_or(TestClusterError::MigrationLost)?
            .map_err(|error| TestClusterError::Migration(error.into()))?;

        let rename = format!("ALTER DATABASE {} RENAME TO {}", identifier(&unfinished), identifier(template));
        execute(session, "naming the template", &rename).await?;
        copy(session, template, name).await.map(drop)
    }

    /// Databases left by killed tests: old ones that nobody is connected to.
    async fn drop_stale_databases(&self) -> Result<(), TestClusterError> {
        if self.private.as_ref().is_some_and(DevPostgres::adopted) {
            return Ok(());
        }
        let session = self.session().await?;
        let oldest = unix_seconds().saturating_sub(STALE_AFTER_SECONDS);
        for name in names_like(&session, "ironcart_test_%").await? {
            let made_at = name.split('_').nth(2).and_then(|part| part.parse().ok());
            if made_at.is_none_or(|made_at: u64| made_at < oldest) {
                drop_database(&session, &name).await?;
            }
        }
        Ok(())
    }
}

/// A database of one test; it goes when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    name: String,
    cluster: TestCluster,
}

impl TestDatabase {
    /// Its address, as `DATABASE_URL` takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name, unique to this test.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (cluster, name) = (&self.cluster, &self.name);
        let dropped = on_own_thread(|| async {
            let session = cluster.session().await?;
            drop_database(&session, name).await
        });
        if let Some(Err(error)) = dropped {
            tracing::warn!(%error, name, "a test's database was not dropped");
        }
    }
}

/// False if the template is not there.
async fn copy(session: &Session, template: &str, name: &str) -> Result<bool, TestClusterError> {
    let statement_text = format!("CREATE DATABASE {} TEMPLATE {}", identifier(name), identifier(template));
    match session.client.batch_execute(&statement_text).await {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_DATABASE) => Ok(false),
        Err(error) => Err(statement("copying the template")(error)),
    }
}

async fn drop_database(session: &Session, name: &str) -> Result<(), TestClusterError> {
    let text = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name));
    execute(session, "dropping a database", &text).await
}

async fn execute(session: &Session, what: &'static str, text: &str) -> Result<(), TestClusterError> {
    let result = session.client.batch_execute(text).await;
    result.map_err(statement(what))
}

/// The newest first.
async fn names_like(session: &Session, pattern: &str) -> Result<Vec<String>, TestClusterError> {
    let rows = session
        .client
        .query("SELECT datname FROM pg_database WHERE datname LIKE $1 ORDER BY oid DESC", &[&pattern])
        .await
        .map_err(statement("listing the databases"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn statement(what: &'static str) -> impl FnOnce(tokio_postgres::Error) -> TestClusterError {
    move |cause| TestClusterError::Statement { what, cause }
}

fn template_name(fingerprint: &str) -> String {
    let mut hasher = DefaultHasher::new();
    fingerprint.hash(&mut hasher);
    format!("ironcart_template_{:016x}", hasher.finish())
}

/// Unique over all processes of a run: when, by whom, and the how manieth.
fn test_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    format!("ironcart_test_{}_{process}_{count}", unix_seconds())
}

#[expect(clippy::disallowed_methods, reason = "the age of a database on a real server is real time")]
fn unix_seconds() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| elapsed.as_secs())
}

/// `url` with another database; what follows a `?` stays.
fn with_database(url: &str, database: &str) -> String {
    let (address, parameters) = match url.split_once('?') {
        Some((address, parameters)) => (address, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..].find('/').map_or(address.len(), |at| authority + at);
    format!("{}/{database}{parameters}", &address[..end])
}

/// `.data` next to the workspace's `Cargo.lock`, or in the working directory.
fn workspace_data() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let root = here.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(&here);
    root.join(".data")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::sync::Arc;

    use super::*;

    async fn scratch() -> (tempfile::TempDir, TestCluster) {
        let data = tempfile::tempdir().unwrap();
        let cluster = TestCluster::private_in(data.path().to_owned(), None).await.unwrap();
        (data, cluster)
    }

    async fn one_table(url: String) -> Result<(), String> {
        let session = Session::open(&url.parse().unwrap()).await?;
        let done = session.client.batch_execute("CREATE TABLE goods (id int)").await;
        done.map_err(|error| error.to_string())
    }

    async fn count_of_databases(cluster: &TestCluster, pattern: &str) -> usize {
        let session = cluster.session().await.unwrap();
        names_like(&session, pattern).await.unwrap().len()
    }

    #[tokio::test]
    async fn every_test_gets_a_migrated_database_of_its_own_and_it_goes_afterwards() {
        let (data, keeper) = scratch().await;
        let again = || TestCluster::private_in(data.path().to_owned(), None);
        let first = again().await.unwrap().database("1", one_table).await.unwrap();
        let other = again().await.unwrap().database("1", one_table).await.unwrap();
        assert_ne!(first.url(), other.url());

        let session = Session::open(&first.url().parse().unwrap()).await.unwrap();
        session.client.batch_execute("INSERT INTO goods VALUES (1)").await.unwrap();
        let elsewhere = Session::open(&other.url().parse().unwrap()).await.unwrap();
        let rows = elsewhere.client.query("SELECT id FROM goods", &[]).await.unwrap();
        assert!(rows.is_empty());

        drop((first, other));
        assert_eq!(count_of_databases(&keeper, "ironcart_test_%").await, 0);
    }

    #[tokio::test]
    async fn the_template_is_made_once_for_all_and_again_when_the_migrations_change() {
        let (data, keeper) = scratch().await;
        let runs = Arc::new(AtomicU32::new(0));
        let database = |fingerprint: String| {
            let (data, runs) = (data.path().to_owned(), Arc::clone(&runs));
            async move {
                let cluster = TestCluster::private_in(data, None).await.unwrap();
                let counted = move |url| {
                    runs.fetch_add(1, Ordering::Relaxed);
                    one_table(url)
                };
                cluster.database(&fingerprint, counted).await.unwrap()
            }
        };
        let same = || database("1".to_owned());
        let all = tokio::join!(same(), same(), same(), same());
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        database("2".to_owned()).await;
        assert_eq!(runs.load(Ordering::Relaxed), 2);
        drop((same().await, all));
        assert_eq!(runs.load(Ordering::Relaxed), 2);

        for change in 3..11 {
            database(change.to_string()).await;
        }
        assert_eq!(count_of_databases(&keeper, "ironcart_template_%").await, TEMPLATES_KEPT);
    }

    #[tokio::test]
    async fn a_failed_migration_is_told_and_leaves_no_template() {
        let (data, keeper) = scratch().await;
        let cluster = TestCluster::private_in(data.path().to_owned(), None).await.unwrap();
        let failed = cluster.database("1", |_| async { Err("no such column") }).await;
        let text = failed.unwrap_err().to_string();
        assert!(text.contains("no such column"), "{text}");

        let cluster = TestCluster::private_in(data.path().to_owned(), None).await.unwrap();
        cluster.database("1", one_table).await.unwrap();
        assert_eq!(count_of_databases(&keeper, "%_unfinished").await, 0);
    }

    #[tokio::test]
    async fn databases_of_killed_tests_are_dropped_at_the_next_start() {
        let (data, cluster) = scratch().await;
        let session = cluster.session().await.unwrap();
        let fresh = test_name();
        for name in ["ironcart_test_1000000000_1_0", &fresh] {
            session.create_database(name).await.unwrap();
        }
        drop(session);
        drop(cluster);

        let cluster = TestCluster::private_in(data.path().to_owned(), None).await.unwrap();
        let session = cluster.session().await.unwrap();
        let left = names_like(&session, "ironcart_test_%").await.unwrap();
        assert_eq!(left, [fresh]);
    }

    #[tokio::test]
    async fn a_broken_test_cluster_is_made_anew() {
        let (data, cluster) = scratch().await;
        drop(cluster);
        let version = data.path().join("test-postgres/cluster/PG_VERSION");
        std::fs::write(version, "9.6").unwrap();
        let cluster = TestCluster::private_in(data.path().to_owned(), None).await.unwrap();
        cluster.database("1", one_table).await.unwrap();
    }

    #[test]
    fn the_database_in_an_address_is_replaced_and_nothing_else() {
        for (url, expected) in [
            ("postgres://u:p@h:1/old", "postgres://u:p@h:1/new"),
            ("postgres://u@h", "postgres://u@h/new"),
            ("postgres://u@h/old?sslmode=disable", "postgres://u@h/new?sslmode=disable"),
            ("postgres://u@h?sslmode=disable", "postgres://u@h/new?sslmode=disable"),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }
}
