//! What is left to do, counted in one statement over indexes that hold only what is left.

use std::time::Duration;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Double, Integer, Timestamptz};
use diesel_async::RunQueryDsl;
use domain::clock::Timestamp;
use domain::order::{Backlog, BacklogRepository};
use domain::store::StoreError;

use crate::cached::cached;
use crate::error::store_error;
use crate::pool::PgPool;

/// The backlog on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgBacklog {
    pool: PgPool,
}

impl PgBacklog {
    /// Counts in this database.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[derive(QueryableByName)]
struct BacklogRow {
    #[diesel(sql_type = BigInt)]
    overdue_orders: i64,
    #[diesel(sql_type = Double)]
    sweep_lag: f64,
    #[diesel(sql_type = BigInt)]
    due_errands: i64,
    #[diesel(sql_type = Double)]
    errand_lag: f64,
    #[diesel(sql_type = BigInt)]
    stuck_errands: i64,
    #[diesel(sql_type = BigInt)]
    pending_refunds: i64,
    #[diesel(sql_type = BigInt)]
    failed_refunds: i64,
    #[diesel(sql_type = BigInt)]
    waiting_events: i64,
    #[diesel(sql_type = BigInt)]
    failed_events: i64,
}

const BACKLOG: &str = "WITH \
    overdue AS (SELECT due_at FROM orders WHERE status = 'PENDING' AND due_at <= $1 ORDER BY due_at LIMIT $2), \
    errands AS (SELECT due_at, lease_until, tries FROM tasks WHERE finished_at IS NULL ORDER BY due_at LIMIT $2), \
    due AS (SELECT due_at FROM errands WHERE due_at <= now() AND (lease_until IS NULL OR lease_until <= now())) \
    SELECT \
    (SELECT count(*) FROM overdue) AS overdue_orders, \
    (SELECT coalesce(extract(epoch FROM $1 - min(due_at)), 0)::float8 FROM overdue) AS sweep_lag, \
    (SELECT count(*) FROM due) AS due_errands, \
    (SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 FROM due) AS errand_lag, \
    (SELECT count(*) FROM errands WHERE tries >= $3) AS stuck_errands, \
    (SELECT count(*) FROM (SELECT FROM refunds WHERE status IN ('pending', 'requires_action') LIMIT $2) AS r) \
      + (SELECT count(*) FROM (SELECT FROM refund_requests WHERE outcome = 'OPEN' LIMIT $2) AS r) AS pending_refunds, \
    (SELECT count(*) FROM (SELECT FROM orders WHERE payment_status = 'REFUND_FAILED' LIMIT $2) AS o) AS failed_refunds, \
    (SELECT count(*) FROM (SELECT FROM provider_events WHERE status = 'WAITING' LIMIT $2) AS e) AS waiting_events, \
    (SELECT count(*) FROM (SELECT FROM provider_events WHERE status = 'FAILED' LIMIT $2) AS e) AS failed_events";

#[async_trait]
impl BacklogRepository for PgBacklog {
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        let count = sql_query(BACKLOG)
            .bind::<Timestamptz, _>(now)
            .bind::<Integer, _>(Backlog::MAX_COUNT.cast_signed())
            .bind::<Integer, _>(Backlog::STUCK_AFTER_TRIES.cast_signed());
        let mut connection = self.pool.get().await?;
        let row: BacklogRow = cached(count).get_result(&mut connection).await.map_err(store_error)?;
        let number = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
        let lag = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Ok(Backlog {
            overdue_orders: number(row.overdue_orders),
            sweep_lag: lag(row.sweep_lag),
            due_errands: number(row.due_errands),
            errand_lag: lag(row.errand_lag),
            stuck_errands: number(row.stuck_errands),
            pending_refunds: number(row.pending_refunds),
            failed_refunds: number(row.failed_refunds),
            waiting_events: number(row.waiting_events),
            failed_events: number(row.failed_events),
        })
    }
}
