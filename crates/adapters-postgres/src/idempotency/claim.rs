//! Claims: one request of each key runs, and the others learn what became of it.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Double, Integer, Nullable, SmallInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::id::OrderId;
use domain::idempotency::{Claim, ClaimRequest, Claiming, IdempotencyRepository, KeptAnswer};
use domain::store::StoreError;
use uuid::Uuid;

use crate::cached::cached;
use crate::error::{damaged, store_error};
use crate::pool::PgPool;

/// How often a key that vanishes between two looks is asked for again.
const MAX_LOOKS: u32 = 3;

/// Idempotency keys, kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgIdempotency {
    pool: PgPool,
}

impl PgIdempotency {
    /// Keeps keys in this database.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[derive(QueryableByName)]
struct GrantRow {
    #[diesel(sql_type = BigInt)]
    claim: i64,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    order_id: Option<Uuid>,
}

#[derive(QueryableByName)]
struct HolderRow {
    #[diesel(sql_type = Binary)]
    fingerprint: Vec<u8>,
    /// Seconds since the last sign of life.
    #[diesel(sql_type = Double)]
    silent_seconds: f64,
    #[diesel(sql_type = Nullable<SmallInt>)]
    status: Option<i16>,
    #[diesel(sql_type = Nullable<Text>)]
    content_type: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    location: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    body: Option<Vec<u8>>,
}

/// A key that is a day old is as good as none; a claim that gave no sign of life is taken over. The conflicting row
/// is looked at under its lock, so an effect that is being committed is waited for, and seen.
const CLAIM: &str = "INSERT INTO idempotency_keys AS kept (user_id, key, fingerprint, claim, alive_at, created_at) \
     VALUES ($1, $2, $3, nextval('idempotency_claims'), clock_timestamp(), clock_timestamp()) \
     ON CONFLICT (user_id, key) DO UPDATE SET \
       claim = excluded.claim, \
       alive_at = excluded.alive_at, \
       fingerprint = excluded.fingerprint, \
       created_at = CASE WHEN kept.created_at <= now() - make_interval(hours => $5) \
         THEN excluded.created_at ELSE kept.created_at END, \
       order_id = CASE WHEN kept.created_at <= now() - make_interval(hours => $5) THEN NULL ELSE kept.order_id END, \
       status = NULL, content_type = NULL, location = NULL, body = NULL \
     WHERE kept.created_at <= now() - make_interval(hours => $5) \
       OR (kept.status IS NULL AND kept.fingerprint = excluded.fingerprint \
         AND kept.alive_at <= now() - make_interval(secs => $4)) \
     RETURNING claim, order_id";

const HOLDER: &str = "SELECT fingerprint, extract(epoch FROM clock_timestamp() - greatest(alive_at, created_at))::float8 \
     AS silent_seconds, status, content_type, location, body FROM idempotency_keys WHERE user_id = $1 AND key = $2";

#[async_trait]
impl IdempotencyRepository for PgIdempotency {
    #[tracing::instrument(name = "IdempotencyRepository.claim", level = "debug", skip_all)]
    async fn claim(&self, request: &ClaimRequest) -> Result<Claiming, StoreError> {
        let mut connection = self.pool.get().await?;
        for _ in 0..MAX_LOOKS {
            if let Some(granted) = grant(&mut connection, request).await.map_err(store_error)? {
                return Ok(Claiming::Granted(granted));
            }
            if let Some(holder) = holder(&mut connection, request).await.map_err(store_error)? {
                return holder.tell(request).map_err(store_error);
            }
        }
        Ok(Claiming::InProgress { retry_seconds: 1 })
    }

    #[tracing::instrument(name = "IdempotencyRepository.renew", level = "debug", skip_all)]
    async fn renew(&self, claim: &Claim) -> Result<bool, StoreError> {
        let renew = sql_query(
            "UPDATE idempotency_keys SET alive_at = clock_timestamp() WHERE user_id = $1 AND key = $2 AND claim = $3",
        );
        self.change(claim, renew).await.map(|changed| changed == 1)
    }

    #[tracing::instrument(name = "IdempotencyRepository.keep", level = "debug", skip_all)]
    async fn keep(&self, claim: &Claim, answer: &KeptAnswer) -> Result<(), StoreError> {
        let keep = sql_query(
            "UPDATE idempotency_keys SET status = $4, content_type = $5, location = $6, body = $7 \
             WHERE user_id = $1 AND key = $2 AND claim = $3",
        )
        .bind::<SqlUuid, _>(claim.user_id.uuid())
        .bind::<Text, _>(claim.key.as_str())
        .bind::<BigInt, _>(claim.number.cast_signed())
        .bind::<SmallInt, _>(answer.status.cast_signed())
        .bind::<Text, _>(&answer.content_type)
        .bind::<Nullable<Text>, _>(answer.location.as_deref())
        .bind::<Binary, _>(&answer.body);
        let mut connection = self.pool.get().await?;
        cached(keep).execute(&mut connection).await.map_err(store_error)?;
        Ok(())
    }

    #[tracing::instrument(name = "IdempotencyRepository.release", level = "debug", skip_all)]
    async fn release(&self, claim: &Claim) -> Result<(), StoreError> {
        let forget = sql_query(
            "DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND claim = $3 AND order_id IS NULL",
        );
        if self.change(claim, forget).await? == 0 {
            let lapse = sql_query(
                "UPDATE idempotency_keys SET alive_at = '-infinity' WHERE user_id = $1 AND key = $2 AND claim = $3",
            );
            self.change(claim, lapse).await?;
        }
        Ok(())
    }
}

impl PgIdempotency {
    /// Runs a statement on a claim's row; says how many rows it changed.
    async fn change(&self, claim: &Claim, statement: diesel::query_builder::SqlQuery) -> Result<usize, StoreError> {
        let statement = statement
            .bind::<SqlUuid, _>(claim.user_id.uuid())
            .bind::<Text, _>(claim.key.as_str())
            .bind::<BigInt, _>(claim.number.cast_signed());
        let mut connection = self.pool.get().await?;
        cached(statement).execute(&mut connection).await.map_err(store_error)
    }
}

async fn grant(connection: &mut AsyncPgConnection, request: &ClaimRequest) -> QueryResult<Option<Claim>> {
    let claim = sql_query(CLAIM)
        .bind::<SqlUuid, _>(request.user_id.uuid())
        .bind::<Text, _>(request.key.as_str())
        .bind::<Binary, _>(request.fingerprint.0.as_slice())
        .bind::<Double, _>(f64::from(Claim::CLAIM_SECONDS))
        .bind::<Integer, _>(Claim::KEPT_HOURS.cast_signed());
    let row: Option<GrantRow> = cached(claim).get_result(connection).await.optional()?;
    Ok(row.map(|row| Claim {
        user_id: request.user_id,
        key: request.key.clone(),
        number: row.claim.cast_unsigned(),
        committed: row.order_id.map(OrderId::from),
    }))
}

async fn holder(connection: &mut AsyncPgConnection, request: &ClaimRequest) -> QueryResult<Option<HolderRow>> {
    let holder = sql_query(HOLDER).bind::<SqlUuid, _>(request.user_id.uuid()).bind::<Text, _>(request.key.as_str());
    cached(holder).get_result(connection).await.optional()
}

impl HolderRow {
    fn tell(self, request: &ClaimRequest) -> QueryResult<Claiming> {
        if self.fingerprint != request.fingerprint.0 {
            return Ok(Claiming::Reused);
        }
        match (self.status, self.content_type, self.body) {
            (Some(status), Some(content_type), Some(body)) => Ok(Claiming::Answered(KeptAnswer {
                status: status.cast_unsigned(),
                content_type,
                location: self.location,
                body,
            })),
            (None, None, None) => Ok(Claiming::InProgress { retry_seconds: left_seconds(self.silent_seconds) }),
            _ => Err(damaged("a kept answer is not whole")),
        }
    }
}

/// Whole seconds until a claim that stays silent can be taken over, at least 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 15")]
fn left_seconds(silent_seconds: f64) -> u32 {
    let claim_seconds = f64::from(Claim::CLAIM_SECONDS);
    (claim_seconds - silent_seconds).ceil().clamp(1.0, claim_seconds) as u32
}
