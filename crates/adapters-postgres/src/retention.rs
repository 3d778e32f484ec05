//! Forgetting what is old, a batch at a time. Whatever somebody else holds is left for the next round, so that
//! instances that forget at once share the work and nobody waits.

use async_trait::async_trait;
use chrono::TimeDelta;
use diesel::pg::Pg;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_query;
use diesel::sql_types::{Integer, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::account::GuardPolicy;
use domain::clock::Timestamp;
use domain::idempotency::Claim;
use domain::retention::{Perishable, RetentionRepository};
use domain::store::StoreError;

use crate::cached::planned_for_its_values;
use crate::error::store_error;
use crate::pool::PgPool;

/// Forgets in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgRetention {
    pool: PgPool,
}

impl PgRetention {
    /// Forgets in this database.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

// `$1` is the moment or the age, `$2` how many. The rows are picked once, under lock, by the array's subquery (a join
// might pick again for each row), and found again by their place, which can't change while they are locked.

const EVENT_PAYLOADS: &str = "UPDATE provider_events SET payload = NULL WHERE ctid = ANY (ARRAY (\
     SELECT ctid FROM provider_events \
     WHERE payload IS NOT NULL AND status IN ('APPLIED', 'IGNORED') AND received_at <= $1 \
     ORDER BY received_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED))";

const EVENTS: &str = "DELETE FROM provider_events WHERE ctid = ANY (ARRAY (\
     SELECT ctid FROM provider_events WHERE status IN ('APPLIED', 'IGNORED') AND received_at <= $1 \
     ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

/// A family may be thousands of tokens large, so they are counted by themselves. Each family is looked up by its session:
/// the `LIMIT` in there keeps the planner from reading all tokens for a thousand sessions.
const REFRESH_TOKENS: &str = "DELETE FROM refresh_tokens WHERE ctid = ANY (ARRAY (\
     SELECT token.ctid FROM (SELECT id FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) AS expired \
     CROSS JOIN LATERAL (SELECT refresh_tokens.ctid FROM refresh_tokens WHERE session_id = expired.id \
       LIMIT $2 FOR UPDATE SKIP LOCKED) AS token LIMIT $2))";

const SESSIONS: &str = "DELETE FROM sessions WHERE ctid = ANY (ARRAY (\
     SELECT expired.ctid FROM (SELECT id, ctid FROM sessions WHERE expires_at <= $1 \
       ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) AS expired \
     WHERE (SELECT token_hash FROM refresh_tokens WHERE session_id = expired.id LIMIT 1) IS NULL))";

const AUTH_ATTEMPTS: &str = "DELETE FROM auth_attempts WHERE ctid = ANY (ARRAY (\
     SELECT ctid FROM auth_attempts WHERE since <= statement_timestamp() - make_interval(hours => $1) \
     ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED))";

const KNOWN_ADDRESSES: &str = "DELETE FROM auth_known_addresses WHERE ctid = ANY (ARRAY (\
     SELECT ctid FROM auth_known_addresses WHERE last_login_at <= statement_timestamp() - make_interval(days => $1) \
     ORDER BY last_login_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

const IDEMPOTENCY_KEYS: &str = "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY (\
     SELECT ctid FROM idempotency_keys WHERE created_at <= now() - make_interval(hours => $1) \
     ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

const FINISHED_TASKS: &str = "DELETE FROM tasks WHERE ctid = ANY (ARRAY (\
     SELECT ctid FROM tasks WHERE finished_at <= now() - make_interval(days => $1) \
     ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

#[async_trait]
impl RetentionRepository for PgRetention {
    async fn forget(&self, what: Perishable, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let days_ago = |days: u32| now - TimeDelta::days(days.into());
        let statements = match what {
            Perishable::EventPayloads => vec![until(EVENT_PAYLOADS, days_ago(Perishable::EVENT_PAYLOAD_DAYS))],
            Perishable::Events => vec![until(EVENTS, days_ago(Perishable::EVENT_DAYS))],
            Perishable::Sessions => vec![until(REFRESH_TOKENS, now), until(SESSIONS, now)],
            Perishable::AuthAttempts => vec![older_than(AUTH_ATTEMPTS, Perishable::AUTH_ATTEMPT_HOURS)],
            Perishable::KnownAddresses => vec![older_than(KNOWN_ADDRESSES, GuardPolicy::KNOWN_ADDRESS_DAYS)],
            Perishable::IdempotencyKeys => vec![older_than(IDEMPOTENCY_KEYS, Claim::KEPT_HOURS)],
            Perishable::FinishedTasks => vec![older_than(FINISHED_TASKS, Perishable::FINISHED_TASK_DAYS)],
        };
        let mut connection = self.pool.get().await?;
        let mut forgotten = 0;
        for statement in statements {
            forgotten += run(&mut connection, statement, limit).await?;
        }
        Ok(forgotten)
    }
}

type Statement = BoxedSqlQuery<'static, Pg, SqlQuery>;

fn until(sql: &'static str, moment: Timestamp) -> Statement {
    sql_query(sql).into_boxed().bind::<Timestamptz, _>(moment)
}

fn older_than(sql: &'static str, age: u32) -> Statement {
    sql_query(sql).into_boxed().bind::<Integer, _>(age.cast_signed())
}

/// Planned for its values: how many rows are old, and how many are wanted, decides on the way to find them.
async fn run(connection: &mut AsyncPgConnection, statement: Statement, limit: u32) -> Result<u64, StoreError> {
    let statement = planned_for_its_values(statement.bind::<Integer, _>(limit.cast_signed()));
    let forgotten = statement.execute(connection).await.map_err(store_error)?;
    Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
}
