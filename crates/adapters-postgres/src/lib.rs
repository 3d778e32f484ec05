//! The repositories of the domain on PostgreSQL, and the embedded migrations.
//!
//! How a repository is written: take the [`PgPool`]; read through [`PgPool::get`]; write through
//! [`PgPool::transaction`], which locks, loads, lets the command decide, and stores what it decided. Row locks
//! are taken in one order everywhere; statements that run often go through `cached::cached`.

mod accounts;
mod backlog;
mod batch;
mod cached;
mod cart;
mod catalog;
mod connection;
mod customers;
mod error;
mod idempotency;
pub mod migrations;
mod orders;
mod pattern;
mod pool;
mod retention;
mod schema;
mod sql_spans;
mod transaction;

pub use accounts::{LiveSessions, PgAuthGuard, PgSessions, PgUsers};
pub use backlog::PgBacklog;
pub use cart::PgCarts;
pub use catalog::{CatalogListener, PgProducts};
pub use connection::{ConnectError, DatabaseUrl, InvalidDatabaseUrl};
pub use idempotency::PgIdempotency;
pub use orders::{PgOrders, PgTasks};
pub use pool::{PgPool, PoolConfig, PooledConnection};
pub use retention::PgRetention;
pub use transaction::Rollback;
