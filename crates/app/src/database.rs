//! The database of a process: the configured one, or a private PostgreSQL; brought up to date where that is wanted.

use std::path::Path;

use adapters_postgres::migrations::{self, MigrateError};
use adapters_postgres::{InvalidDatabaseUrl, PgPool, PoolConfig};

use crate::config::Settings;
use crate::dev_postgres::{DevPostgres, DevPostgresConfig, DevPostgresError};

/// The database that a private PostgreSQL holds.
const PRIVATE_DATABASE: &str = "ironcart";

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The private PostgreSQL did not start.
    #[error(transparent)]
    Private(#[from] DevPostgresError),
    /// The address is of no form that is understood.
    #[error(transparent)]
    Address(#[from] InvalidDatabaseUrl),
    /// The schema could not be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

/// A database that is there, and this process's share in its server.
#[derive(Debug)]
pub struct Database {
    /// How to connect.
    pub config: PoolConfig,
    private: Option<DevPostgres>,
}

impl Database {
    /// Finds the configured database, or starts a private PostgreSQL under `data`, whose schema is always brought
    /// up to date.
    pub async fn open(settings: &Settings, data: &Path) -> Result<Self, DatabaseError> {
        let (url, private) = if let Some(url) = &settings.database.url {
            (url.expose().to_owned(), None)
        } else {
            let server = DevPostgres::start(DevPostgresConfig::durable(data, settings.pg_bin.clone())).await?;
            server.create_database(PRIVATE_DATABASE).await?;
            (server.url(PRIVATE_DATABASE), Some(server))
        };
        let mut config = PoolConfig::new(url.parse()?);
        config.max_connections = settings.database.max_connections;
        let database = Self { config, private };
        if database.private.is_some() {
            database.migrate().await?;
        }
        Ok(database)
    }

    /// Brings the schema up to date; several instances may do so at once.
    pub async fn migrate(&self) -> Result<Vec<String>, MigrateError> {
        let applied = migrations::migrate(&self.config.url).await?;
        for version in &applied {
            tracing::info!(version, "applied a migration");
        }
        Ok(applied)
    }

    /// A pool of connections to it.
    #[must_use]
    pub fn pool(&self) -> PgPool {
        PgPool::new(self.config.clone())
    }

    /// Whether it is this process's own, under `.data/`.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Gives the private PostgreSQL back, if there is one; its last user stops it.
    pub async fn close(self) -> Result<(), DevPostgresError> {
        if let Some(server) = self.private {
            server.stop().await?;
        }
        Ok(())
    }
}
