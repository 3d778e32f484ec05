//! The PostgreSQL of a run: its own server with `fsync` on, and a fresh database for each measurement.

use std::path::{Path, PathBuf};

use app::dev_postgres::{DevPostgres, DevPostgresConfig};
use tokio_postgres::{Client, NoTls};

use crate::error::{During as _, Step, StepFailed};

/// What differs from PostgreSQL's defaults, beside the number of connections (300).
pub(crate) const SHARED_BUFFERS: &str = "512MB";

/// The database that all others are copied from.
const TEMPLATE: &str = "filled";

/// A running server of this run's own.
pub(crate) struct Server {
    running: DevPostgres,
    /// Where its programs are, pgbench among them.
    programs: PathBuf,
    admin: Client,
    made: u32,
    /// Databases that are no longer needed.
    retired: Vec<String>,
}

impl Server {
    /// Makes a cluster under `folder` and starts it.
    pub(crate) async fn start(folder: &Path, pg_bin: Option<PathBuf>) -> Step<Self> {
        Self::start_with(folder, pg_bin, &[]).await
    }

    /// The same, with further settings.
    pub(crate) async fn start_with(folder: &Path, pg_bin: Option<PathBuf>, settings: &[(&str, &str)]) -> Step<Self> {
        let config = DevPostgresConfig::durable(folder, pg_bin);
        let first = DevPostgres::start(config.clone()).await.during("starting PostgreSQL")?;
        let client = connect(first.port(), "postgres").await?;
        for (name, value) in settings.iter().copied().chain([("shared_buffers", SHARED_BUFFERS)]) {
            let set = format!("ALTER SYSTEM SET {name} = '{value}'");
            client.batch_execute(&set).await.during(format!("setting {name}"))?;
        }
        drop(client);
        // Memory is taken at the start.
        first.stop().await.during("stopping PostgreSQL")?;
        let running = DevPostgres::start(config).await.during("starting PostgreSQL again")?;
        let programs = programs_of(running.pid())?;
        let admin = connect(running.port(), "postgres").await?;
        running.create_database(TEMPLATE).await.during("making the template")?;
        Ok(Self { running, programs, admin, made: 0, retired: Vec::new() })
    }

    /// The process that all others of the server are children of.
    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    pub(crate) fn port(&self) -> u16 {
        self.running.port()
    }

    /// The server's version and the settings that decide what a commit costs, in its own words.
    pub(crate) async fn description(&self) -> Step<String> {
        let ask = "SELECT 'PostgreSQL ' || current_setting('server_version') || ': ' || string_agg(name || ' = ' || \
                   current_setting(name), ', ' ORDER BY name) FROM unnest(ARRAY['fsync', 'full_page_writes', \
                   'max_connections', 'shared_buffers', 'synchronous_commit', 'wal_sync_method']) AS name";
        let row = self.admin.query_one(ask, &[]).await.during("asking PostgreSQL for its settings")?;
        Ok(row.get(0))
    }

    /// The program that measures the limits.
    pub(crate) fn pgbench(&self) -> Step<PathBuf> {
        let beside = self.programs.join("pgbench");
        if beside.is_file() {
            return Ok(beside);
        }
        Err(StepFailed::new(
            "finding pgbench",
            format!(
                "it is not in {}. To do: install it (Debian and Ubuntu: postgresql, Fedora: postgresql-contrib, Alpine: \
                 postgresql-contrib, Homebrew: postgresql@17), or set PG_BIN to a folder that has it",
                self.programs.display()
            ),
        ))
    }

    /// The address of the database that the others are copied from; to be filled once.
    pub(crate) fn template_url(&self) -> String {
        self.running.url(TEMPLATE)
    }

    /// A session in the template. Nobody may be in it when it is copied.
    pub(crate) async fn template_client(&self) -> Step<Client> {
        connect(self.port(), TEMPLATE).await
    }

    /// A fresh copy of the filled database. Those that were retired are dropped, which is a checkpoint as well: the
    /// copy's pages are written now, not in the first window.
    pub(crate) async fn fresh(&mut self) -> Step<Database> {
        self.made += 1;
        let name = format!("shop_{}", self.made);
        let make = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
        self.admin.batch_execute(&make).await.during("copying the database")?;
        if self.retired.is_empty() {
            self.admin.batch_execute("CHECKPOINT").await.during("a checkpoint")?;
        }
        for retired in std::mem::take(&mut self.retired) {
            let drop = format!("DROP DATABASE {retired} WITH (FORCE)");
            self.admin.batch_execute(&drop).await.during("dropping a database")?;
        }
        let client = connect(self.port(), &name).await?;
        Ok(Database { url: self.running.url(&name), name, client })
    }

    /// A database of this name without any table.
    pub(crate) async fn empty(&self, name: &str) -> Step<Database> {
        self.running.create_database(name).await.during("making a database")?;
        let client = connect(self.port(), name).await?;
        Ok(Database { url: self.running.url(name), name: name.to_owned(), client })
    }

    /// Drops a database at once, for its space.
    pub(crate) async fn drop(&self, database: Database) -> Step<()> {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", database.name);
        self.admin.batch_execute(&drop).await.during("dropping a database")
    }

    /// One more session in a database.
    pub(crate) async fn client_of(&self, database: &Database) -> Step<Client> {
        connect(self.port(), &database.name).await
    }

    /// Takes back a database that is no longer needed.
    pub(crate) fn retire(&mut self, database: Database) {
        self.retired.push(database.name);
    }

    /// Stops the server.
    pub(crate) async fn stop(self) -> Step<()> {
        drop(self.admin);
        self.running.stop().await.map(drop).during("stopping PostgreSQL")
    }
}

/// One database of the server.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) url: String,
    /// A session in it, for filling and for checking.
    pub(crate) client: Client,
}

impl Database {
    /// Runs statements without parameters.
    pub(crate) async fn run(&self, what: &str, sql: &str) -> Step<()> {
        self.client.batch_execute(sql).await.during(what)
    }

    /// The one number that a query gives.
    pub(crate) async fn number(&self, what: &str, sql: &str) -> Step<i64> {
        let row = self.client.query_one(sql, &[]).await.during(what)?;
        row.try_get(0).during(what)
    }
}

async fn connect(port: u16, database: &str) -> Step<Client> {
    let address = format!("host=127.0.0.1 port={port} user=ironcart dbname={database} application_name=bench");
    let (client, connection) = tokio_postgres::connect(&address, NoTls).await.during("connecting to PostgreSQL")?;
    // Ends with the client; its errors are the client's too.
    tokio::spawn(connection);
    Ok(client)
}

/// The folder that a server was started from.
fn programs_of(pid: u32) -> Step<PathBuf> {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).during("finding PostgreSQL's programs")?;
    Ok(program.parent().unwrap_or(Path::new("/")).to_owned())
}
