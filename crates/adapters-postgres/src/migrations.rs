//! The schema's history, embedded in the binary, and its application by one instance at a time.

use std::error::Error as StdError;

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use domain::store::StoreError;

use crate::connection::{ConnectError, DatabaseUrl, SessionLimits, establish};
use crate::error::store_error;
use crate::pool::PgPool;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// Any fixed number, the same in every version: it names the lock that migrations are applied under.
const ADVISORY_LOCK: i64 = 0x1c0c_a127;

/// A name for exactly this set of migrations, their SQL included; differs whenever one of them does.
pub const FINGERPRINT: &str = env!("MIGRATIONS_FINGERPRINT");

/// Migrations could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database was not reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The lock that keeps other instances from migrating could not be had.
    #[error("can't take the lock for migrations: {0}")]
    Lock(#[from] diesel::result::Error),
    /// A migration failed; it was rolled back, and those before it stay.
    #[error("a migration failed: {0}")]
    Failed(Box<dyn StdError + Send + Sync>),
    /// The runtime is shutting down.
    #[error("the migrations were interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// The versions of the embedded migrations, oldest first.
#[must_use]
pub fn embedded_versions() -> Vec<String> {
    // Reading what the macro embedded can't fail.
    let migrations: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().unwrap_or_default();
    let mut versions: Vec<String> = migrations.iter().map(|m| m.name().version().to_string()).collect();
    versions.sort();
    versions
}

/// Applies what the database lacks and gives the versions applied. Instances that start at once wait for each
/// other; the later ones find nothing to do.
pub async fn migrate(url: &DatabaseUrl) -> Result<Vec<String>, MigrateError> {
    with_harness(url, |harness| {
        let applied = harness.run_pending_migrations(MIGRATIONS)?;
        Ok(applied.iter().map(ToString::to_string).collect())
    })
    .await
}

/// Takes back the newest migration and gives its version. For tests and for development: data goes with it.
pub async fn revert_last(url: &DatabaseUrl) -> Result<String, MigrateError> {
    with_harness(url, |harness| Ok(harness.revert_last_migration(MIGRATIONS)?.to_string())).await
}

/// Applies the oldest pending migration and gives its version. For tests.
pub async fn migrate_next(url: &DatabaseUrl) -> Result<String, MigrateError> {
    with_harness(url, |harness| Ok(harness.run_next_migration(MIGRATIONS)?.to_string())).await
}

/// Works on a connection of its own that holds the lock; closing it gives the lock back.
async fn with_harness<T: Send + 'static>(
    url: &DatabaseUrl,
    work: impl FnOnce(&mut AsyncMigrationHarness<AsyncPgConnection>) -> diesel::migration::Result<T> + Send + 'static,
) -> Result<T, MigrateError> {
    let mut connection = establish(url, &SessionLimits::UNLIMITED).await?;
    diesel::sql_query("SELECT pg_advisory_lock($1)")
        .bind::<diesel::sql_types::BigInt, _>(ADVISORY_LOCK)
        .execute(&mut connection)
        .await?;
    // The harness blocks its thread; on a blocking thread it works under any kind of runtime.
    tokio::task::spawn_blocking(move || work(&mut AsyncMigrationHarness::new(connection)))
        .await?
        .map_err(MigrateError::Failed)
}

#[derive(diesel::QueryableByName)]
struct AppliedRow {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

#[derive(diesel::QueryableByName)]
struct ExistsRow {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    present: bool,
}

impl PgPool {
    /// The embedded migrations that the database lacks: none, if its schema is at least as new as this binary
    /// needs.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        let mut connection = self.get().await?;
        let history: ExistsRow =
            diesel::sql_query("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS present")
                .get_result(&mut connection)
                .await
                .map_err(store_error)?;
        if !history.present {
            return Ok(embedded_versions());
        }
        let applied: Vec<AppliedRow> = diesel::sql_query("SELECT version FROM __diesel_schema_migrations")
            .load(&mut connection)
            .await
            .map_err(store_error)?;
        let lacks = |version: &String| !applied.iter().any(|row| row.version == *version);
        Ok(embedded_versions().into_iter().filter(lacks).collect())
    }
}
