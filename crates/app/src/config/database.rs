//! Which database, and how much of it.

use super::reader::{Noted, Reader};
use super::secret::Secret;

/// `[database]`
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// Its address; `None`, in development and test only, asks for a private PostgreSQL.
    pub url: Option<Secret>,
    /// The most connections open at once.
    pub max_connections: u32,
    /// Whether the schema is brought up to date before serving.
    pub migrate_on_start: bool,
}

impl DatabaseSettings {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let url = reader.secret("database.url", "postgres://user:password@host:port/database", is_postgres_url);
        let max_connections = reader.integer("database.max_connections", 1..=1000);
        let migrate_on_start = reader.boolean("database.migrate_on_start");
        Ok(Self { url: url?, max_connections: max_connections?, migrate_on_start: migrate_on_start? })
    }
}

fn is_postgres_url(text: &str) -> bool {
    let has_scheme = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    let names_all = text
        .parse::<tokio_postgres::Config>()
        .is_ok_and(|config| !config.get_hosts().is_empty() && config.get_dbname().is_some_and(|name| !name.is_empty()));
    has_scheme && names_all
}
