//! The pool of connections: small, with a bounded wait in front, and self-healing when connections die.
//!
//! A checkout costs no round trip: whether a connection is alive is known from its driver task. One that dies in
//! between makes its next statement fail (503) and is dropped when it comes back. A connection given back in the
//! middle of a transaction, because the future that used it was dropped, is closed too, which rolls back.

use std::time::{Duration, Instant};

use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::PoolableConnection as _;
use domain::store::StoreError;
use tokio::runtime::Handle;

use crate::connection::{ConnectError, DatabaseUrl, SessionLimits, establish};

/// How many connections to keep, and how long to wait for what.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// The database.
    pub url: DatabaseUrl,
    /// The most connections open at once. More than about 8 busy ones on 2 cores only cost.
    pub max_connections: u32,
    /// The longest wait for a free connection; then the store is unavailable.
    pub acquire_timeout: Duration,
    /// The longest time a statement may run.
    pub statement_timeout: Duration,
    /// The longest wait for a row lock; shorter than the statement's time.
    pub lock_timeout: Duration,
    /// The longest time a transaction may idle before the server ends it.
    pub idle_in_transaction_timeout: Duration,
}

impl PoolConfig {
    /// 16 connections, and limits that suit a web server's requests.
    #[must_use]
    pub const fn new(url: DatabaseUrl) -> Self {
        Self {
            url,
            max_connections: 16,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
            lock_timeout: Duration::from_secs(10),
            idle_in_transaction_timeout: Duration::from_secs(15),
        }
    }
}

/// A handle to the pool; clones share it.
#[derive(Debug, Clone)]
pub struct PgPool {
    connections: bb8::Pool<Connections>,
    runtime: Handle,
    max_connections: u32,
}

/// A connection out of the pool; goes back when dropped.
pub type PooledConnection<'a> = bb8::PooledConnection<'a, Connections>;

impl PgPool {
    /// Makes a pool without connecting yet. Connections are driven by the runtime that calls this, so they outlive
    /// the single-threaded runtimes that web workers use them from.
    #[must_use]
    pub fn new(config: PoolConfig) -> Self {
        let limits = SessionLimits {
            statement: config.statement_timeout,
            lock: config.lock_timeout,
            idle_in_transaction: config.idle_in_transaction_timeout,
        };
        let runtime = Handle::current();
        let connections = bb8::Pool::builder()
            .max_size(config.max_connections)
            .connection_timeout(config.acquire_timeout)
            .test_on_check_out(true)
            // The server process that worked last still has its plans and rows in the processor's cache.
            .queue_strategy(bb8::QueueStrategy::Lifo)
            .error_sink(Box::new(LogFailedConnections))
            .build_unchecked(Connections { url: config.url, limits, runtime: runtime.clone() });
        Self { connections, runtime, max_connections: config.max_connections }
    }

    /// Waits for a connection, at most as long as [`PoolConfig::acquire_timeout`].
    pub async fn get(&self) -> Result<PooledConnection<'_>, StoreError> {
        let begun = Instant::now();
        let connection = self.connections.get().await;
        metrics::histogram!("ironcart_db_wait_seconds").record(begun.elapsed());
        connection.map_err(|error| match error {
            bb8::RunError::User(error) => StoreError::unavailable(error),
            bb8::RunError::TimedOut => {
                metrics::counter!("ironcart_db_wait_timeouts_total").increment(1);
                StoreError::unavailable("no database connection became free in time")
            }
        })
    }

    /// The runtime that drives the connections.
    pub(crate) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// How many connections may be open.
    #[must_use]
    pub const fn max_connections(&self) -> u32 {
        self.max_connections
    }

    /// How many connections are open, and how many of those are idle.
    #[must_use]
    pub fn usage(&self) -> (u32, u32) {
        let state = self.connections.state();
        (state.connections, state.idle_connections)
    }
}

/// Opens and judges the pool's connections.
#[derive(Debug)]
pub struct Connections {
    url: DatabaseUrl,
    limits: SessionLimits,
    runtime: Handle,
}

impl bb8::ManageConnection for Connections {
    type Connection = AsyncPgConnection;
    type Error = ConnectError;

    async fn connect(&self) -> Result<AsyncPgConnection, ConnectError> {
        let (url, limits) = (self.url.clone(), self.limits.clone());
        self.runtime.spawn(async move { establish(&url, &limits).await }).await?
    }

    /// Asks nothing of the server: the driver task knows of a closed connection.
    async fn is_valid(&self, connection: &mut AsyncPgConnection) -> Result<(), ConnectError> {
        if connection.is_broken() { Err(ConnectError::Closed) } else { Ok(()) }
    }

    fn has_broken(&self, connection: &mut AsyncPgConnection) -> bool {
        std::thread::panicking() || connection.is_broken()
    }
}

/// Waiters only learn that the pool timed out; the reason is in the log.
#[derive(Debug, Clone, Copy)]
struct LogFailedConnections;

impl bb8::ErrorSink<ConnectError> for LogFailedConnections {
    fn sink(&self, error: ConnectError) {
        tracing::warn!(error = %error, "a database connection failed");
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<ConnectError>> {
        Box::new(*self)
    }
}
