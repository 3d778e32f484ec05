//! One place that opens connections, so that every one of them has the same limits and settings.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::sql_spans;

/// Where the database is: `postgres://user:password@host:port/name`. Shows no password when printed.
#[derive(Clone)]
pub struct DatabaseUrl(tokio_postgres::Config);

/// A text that is no PostgreSQL URL. Says what is wrong with it without repeating it.
#[derive(Debug, thiserror::Error)]
#[error("is no PostgreSQL URL such as postgres://user:password@host:5432/name")]
pub struct InvalidDatabaseUrl(#[from] tokio_postgres::Error);

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(url: &str) -> Result<Self, InvalidDatabaseUrl> {
        let mut config = tokio_postgres::Config::from_str(url)?;
        if config.get_application_name().is_none() {
            config.application_name("ironcart");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        // A server that vanished without a word is noticed within this time instead of minutes.
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(15));
        }
        Ok(Self(config))
    }
}

impl DatabaseUrl {
    /// How the driver connects to it.
    pub(crate) const fn config(&self) -> &tokio_postgres::Config {
        &self.0
    }

    /// Whether its connections are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.get_ssl_mode() == SslMode::Require
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hosts, ports) = (self.0.get_hosts(), self.0.get_ports());
        write!(f, "DatabaseUrl({hosts:?}, {ports:?}, {:?})", self.0.get_dbname().unwrap_or_default())
    }
}

/// A connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server was not reached, or did not let us in.
    #[error("can't connect to the database: {}", with_cause(.0))]
    Refused(#[from] tokio_postgres::Error),
    /// TLS could not be set up on our side.
    #[error("can't set up TLS for the database connection: {0}")]
    Tls(#[from] rustls::Error),
    /// The server does not take the shop's settings.
    #[error("can't set up the database connection: {0}")]
    Settings(#[from] diesel::result::Error),
    /// The driver could not prepare the connection.
    #[error("can't set up the database connection: {0}")]
    Driver(#[from] diesel::ConnectionError),
    /// The connection was closed while it was idle.
    #[error("the database connection was closed")]
    Closed,
    /// The runtime that was to drive the connection is shutting down.
    #[error("the runtime that drives database connections has stopped")]
    RuntimeStopped(#[from] tokio::task::JoinError),
}

fn with_cause(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// How long a session's statements may take, told to the server before the first one. 0 is without limit.
#[derive(Debug, Clone)]
pub(crate) struct SessionLimits {
    pub(crate) statement: Duration,
    pub(crate) lock: Duration,
    pub(crate) idle_in_transaction: Duration,
}

impl SessionLimits {
    /// For migrations: a long index build is fine, and so is waiting for another instance's migrations.
    pub(crate) const UNLIMITED: Self =
        Self { statement: Duration::ZERO, lock: Duration::ZERO, idle_in_transaction: Duration::ZERO };

    /// A page anywhere costs hardly more than the next one, on disks that do not turn and in memory; by the default, which
    /// is that of disks that do, whole tables are read where an index leads to a few hundred rows.
    ///
    /// The last two are asked for, not insisted on: a server on a system that can't watch its clients refuses the
    /// one, and a role without the privilege the other. Errors are told apart by their English words where the
    /// driver hides their code (see [`crate::error`]).
    fn sql(&self) -> String {
        format!(
            "SET default_transaction_isolation = 'read committed';
             SET statement_timeout = {};
             SET lock_timeout = {};
             SET idle_in_transaction_session_timeout = {};
             SET random_page_cost = 1.1;
             DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '2s', false);
             EXCEPTION WHEN OTHERS THEN NULL; END $$;
             DO $$ BEGIN PERFORM set_config('lc_messages', 'C', false);
             EXCEPTION WHEN OTHERS THEN NULL; END $$",
            self.statement.as_millis(),
            self.lock.as_millis(),
            self.idle_in_transaction.as_millis(),
        )
    }
}

/// Opens a connection with these limits. Its driver task lives on the runtime that calls this.
///
/// With `sslmode=require` in the URL it is encrypted, and the server must show a certificate for its name that a
/// public authority signed. Otherwise it is plain, for servers on this machine or in a private network.
pub(crate) async fn establish(url: &DatabaseUrl, limits: &SessionLimits) -> Result<AsyncPgConnection, ConnectError> {
    let mut connection = if url.is_encrypted() {
        let (client, connection) = url.0.connect(tls()?).await?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await?
    } else {
        let (client, connection) = url.0.connect(NoTls).await?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await?
    };
    connection.batch_execute(&limits.sql()).await?;
    sql_spans::trace(&mut connection);
    Ok(connection)
}

/// How the server's certificate is checked.
pub(crate) fn tls() -> Result<MakeRustlsConnect, rustls::Error> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_url_never_shows_its_password() {
        let url: DatabaseUrl = "postgres://shop:hunter2@db.example:6432/shop".parse().unwrap();
        let shown = format!("{url:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("db.example") && shown.contains("6432"), "{shown}");

        let refused = "postgres://shop:hunter2@db.example:port/shop".parse::<DatabaseUrl>().unwrap_err();
        assert!(!format!("{refused:?} {refused}").contains("hunter2"));
    }
}
