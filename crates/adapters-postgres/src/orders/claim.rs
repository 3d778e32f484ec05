//! Leases: several instances sweep orders and run errands at once, and each thing is done by one of them. Leases
//! and due times of tasks go by the database's clock, which all instances share.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Double, Integer, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::Timestamp;
use domain::id::{OrderId, TaskId};
use domain::order::{Task, TaskRepository};
use domain::store::StoreError;
use uuid::Uuid;

use super::PgOrders;
use super::save::errand;
use crate::cached::cached;
use crate::error::store_error;
use crate::pool::PgPool;

/// How soon an order that waits for a silent provider may be swept again, in seconds.
const RETRY_SECONDS: f64 = 10.0;

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl PgOrders {
    pub(super) async fn claim_overdue_orders(
        &self,
        now: Timestamp,
        lease_seconds: u32,
        limit: u32,
    ) -> Result<Vec<OrderId>, StoreError> {
        let claim = sql_query(
            "UPDATE orders SET sweep_lease_until = now() + make_interval(secs => $2) WHERE id IN (\
               SELECT id FROM orders WHERE status = 'PENDING' AND due_at <= $1 \
               AND (sweep_lease_until IS NULL OR sweep_lease_until <= now()) \
               ORDER BY due_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED) RETURNING id",
        )
        .bind::<Timestamptz, _>(now)
        .bind::<Double, _>(f64::from(lease_seconds))
        .bind::<Integer, _>(limit.cast_signed());
        let mut connection = self.pool.get().await?;
        let rows: Vec<IdRow> = cached(claim).load(&mut connection).await.map_err(store_error)?;
        Ok(rows.into_iter().map(|row| row.id.into()).collect())
    }
}

/// Lets orders that could not be decided be swept again soon, after others had their turn.
pub(super) async fn shorten_leases(mut connection: &AsyncPgConnection, ids: &[Uuid]) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let shorten =
        sql_query("UPDATE orders SET sweep_lease_until = now() + make_interval(secs => $2) WHERE id = ANY($1)")
            .bind::<Array<SqlUuid>, _>(ids)
            .bind::<Double, _>(RETRY_SECONDS);
    cached(shorten).execute(&mut connection).await?;
    Ok(())
}

/// Errands at the provider, on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgTasks {
    pool: PgPool,
}

impl PgTasks {
    /// Keeps errands in this database.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[derive(QueryableByName)]
struct TaskRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    order_id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = SqlUuid)]
    subject_id: Uuid,
    #[diesel(sql_type = Integer)]
    tries: i32,
}

#[async_trait]
impl TaskRepository for PgTasks {
    async fn claim(&self, lease_seconds: u32, limit: u32) -> Result<Vec<Task>, StoreError> {
        let claim = sql_query(
            "UPDATE tasks SET lease_until = now() + make_interval(secs => $1), tries = tries + 1 WHERE id IN (\
               SELECT id FROM tasks WHERE finished_at IS NULL AND due_at <= now() \
               AND (lease_until IS NULL OR lease_until <= now()) \
               ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
             RETURNING id, order_id, kind, subject_id, tries - 1 AS tries",
        )
        .bind::<Double, _>(f64::from(lease_seconds))
        .bind::<Integer, _>(limit.cast_signed());
        let mut connection = self.pool.get().await?;
        let rows: Vec<TaskRow> = cached(claim).load(&mut connection).await.map_err(store_error)?;
        let task = |row: TaskRow| {
            Ok(Task {
                id: row.id.into(),
                order_id: row.order_id.into(),
                errand: errand(&row.kind, row.subject_id).map_err(store_error)?,
                tries: row.tries.max(0).cast_unsigned(),
            })
        };
        rows.into_iter().map(task).collect()
    }

    async fn finish(&self, id: TaskId) -> Result<(), StoreError> {
        let finish =
            sql_query("UPDATE tasks SET finished_at = now(), lease_until = NULL WHERE id = $1 AND finished_at IS NULL")
                .bind::<SqlUuid, _>(id.uuid());
        let mut connection = self.pool.get().await?;
        cached(finish).execute(&mut connection).await.map_err(store_error)?;
        Ok(())
    }

    async fn postpone(&self, id: TaskId, pause_seconds: u32, reason: &str) -> Result<(), StoreError> {
        let postpone = sql_query(
            "UPDATE tasks SET due_at = now() + make_interval(secs => $2), lease_until = NULL, last_failure = $3 \
             WHERE id = $1 AND finished_at IS NULL",
        )
        .bind::<SqlUuid, _>(id.uuid())
        .bind::<Double, _>(f64::from(pause_seconds))
        .bind::<Text, _>(reason);
        let mut connection = self.pool.get().await?;
        cached(postpone).execute(&mut connection).await.map_err(store_error)?;
        Ok(())
    }
}
