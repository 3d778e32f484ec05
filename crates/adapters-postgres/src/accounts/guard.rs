//! The auth guard on PostgreSQL, by the database's clock, for all instances (contract 4).
//!
//! An attempt is admitted and written down in one short transaction, under advisory locks on its address and then on its
//! account: there is no row to lock before the first attempt. Nothing is held while an attempt waits or runs.

use std::time::Duration;

use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Double, Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::account::{
    Admission, Attempt, AttemptKind, AttemptOutcome, AttemptSlot, AuthGuard, Client, Email, GuardError, GuardLimit,
    GuardPolicy, GuardRefusal, GuardSnapshot, GuardView, Tally,
};
use domain::store::StoreError;
use tokio::time::Instant;

use crate::PgPool;
use crate::cached::cached;
use crate::error::store_error;

/// How long an attempt waits for a slot (contract 4).
const SLOT_PATIENCE: Duration = Duration::from_secs(2);
/// How long between two looks for a slot, in seconds.
const SLOT_PAUSE_SECONDS: std::ops::RangeInclusive<f64> = 0.1..=0.3;
/// How long an attempt may be under way before it is taken for dead, in seconds; no request lives so long.
const LONGEST_ATTEMPT_SECONDS: f64 = 60.0;

/// [`AuthGuard`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgAuthGuard {
    pool: PgPool,
    policy: GuardPolicy,
}

/// Why an attempt does not begin, and whether it is worth to wait a moment.
struct NotNow {
    waits: bool,
    refusal: GuardRefusal,
}

impl PgAuthGuard {
    /// Counts in the pool's database.
    #[must_use]
    pub const fn new(pool: PgPool, policy: GuardPolicy) -> Self {
        Self { pool, policy }
    }

    /// Admits and writes down, in one step.
    async fn admit(&self, attempt: &Attempt) -> Result<Result<AttemptSlot, NotNow>, StoreError> {
        let Attempt { kind, client, email } = attempt;
        self.pool
            .transaction(async |connection| {
                // An exempt address is not counted, so its attempts need not wait for each other.
                if !client.is_exempt {
                    lock(connection, &format!("auth address {}", client.network)).await?;
                }
                lock(connection, &format!("auth account {email}")).await?;
                let snapshot = self.snapshot(connection, *kind, *client, Some(email)).await?;
                match self.policy.admit(*client, &snapshot) {
                    Admission::Now => Ok(Ok(AttemptSlot { id: write_down(connection, attempt).await?, kind: *kind })),
                    Admission::WhenASlotIsFree(refusal) => Ok(Err(NotNow { waits: true, refusal })),
                    Admission::Refused(refusal) => Ok(Err(NotNow { waits: false, refusal })),
                }
            })
            .await
    }

    async fn snapshot(
        &self,
        connection: &mut AsyncPgConnection,
        kind: AttemptKind,
        client: Client,
        email: Option<&Email>,
    ) -> QueryResult<GuardSnapshot> {
        let GuardPolicy { address_failures, account_failures, registrations } = self.policy;
        let network = client.network.to_string();
        let mut snapshot = GuardSnapshot {
            address: tally(connection, ADDRESS_FAILURES, &network, address_failures).await?,
            ..GuardSnapshot::default()
        };
        if let Some(email) = email {
            snapshot.account = Some(tally(connection, ACCOUNT_FAILURES, email.as_str(), account_failures).await?);
            snapshot.is_known_address = is_known(connection, email, &network).await?;
        }
        if kind == AttemptKind::Registration {
            snapshot.registrations = Some(tally(connection, REGISTRATIONS, &network, registrations).await?);
        }
        Ok(snapshot)
    }
}

#[async_trait]
impl AuthGuard for PgAuthGuard {
    #[tracing::instrument(name = "AuthGuard.begin", level = "debug", skip_all)]
    async fn begin(&self, attempt: &Attempt) -> Result<AttemptSlot, GuardError> {
        let deadline = Instant::now() + SLOT_PATIENCE;
        loop {
            match self.admit(attempt).await? {
                Ok(slot) => return Ok(slot),
                Err(NotNow { waits: true, .. }) if Instant::now() < deadline => {
                    let pause = Duration::from_secs_f64(rand::random_range(SLOT_PAUSE_SECONDS));
                    tokio::time::sleep(pause).await;
                }
                Err(NotNow { refusal, .. }) => return Err(refusal.into()),
            }
        }
    }

    #[tracing::instrument(name = "AuthGuard.end", level = "debug", skip_all)]
    async fn end(&self, slot: AttemptSlot, outcome: AttemptOutcome) -> Result<(), StoreError> {
        let statement = match (outcome, slot.kind) {
            (AttemptOutcome::Failed, _) => {
                "UPDATE auth_attempts SET state = 'FAILED', since = statement_timestamp() WHERE id = $1"
            }
            (AttemptOutcome::Succeeded, AttemptKind::Registration) => {
                "UPDATE auth_attempts SET state = 'REGISTERED', since = statement_timestamp() WHERE id = $1"
            }
            (AttemptOutcome::Succeeded, AttemptKind::Login) => {
                "WITH ended AS (DELETE FROM auth_attempts WHERE id = $1 RETURNING account_hash, network) \
                 INSERT INTO auth_known_addresses (account_hash, network, last_login_at) \
                 SELECT account_hash, network, statement_timestamp() FROM ended \
                 ON CONFLICT (account_hash, network) DO UPDATE SET last_login_at = excluded.last_login_at"
            }
            (AttemptOutcome::Succeeded, AttemptKind::PasswordChange) | (AttemptOutcome::Undecided, _) => {
                "DELETE FROM auth_attempts WHERE id = $1"
            }
        };
        let mut connection = self.pool.get().await?;
        let end = sql_query(statement).bind::<BigInt, _>(slot.id);
        cached(end).execute(&mut connection).await.map_err(store_error)?;
        Ok(())
    }

    #[tracing::instrument(name = "AuthGuard.look", level = "debug", skip_all)]
    async fn look(&self, kind: AttemptKind, client: Client, email: Option<Email>) -> Result<GuardView, StoreError> {
        let mut connection = self.pool.get().await?;
        let snapshot = self.snapshot(&mut connection, kind, client, email.as_ref()).await.map_err(store_error)?;
        Ok(self.policy.view(client, &snapshot))
    }
}

/// Which attempts a limit counts: rows with this key, in this state or still under way.
const ADDRESS_FAILURES: &str = "network = $1::cidr AND state IN ('FAILED', 'UNDER_WAY')";
const ACCOUNT_FAILURES: &str = "account_hash = sha256(convert_to($1, 'UTF8')) AND state IN ('FAILED', 'UNDER_WAY')";
const REGISTRATIONS: &str = "network = $1::cidr AND kind = 'REGISTRATION' AND state IN ('REGISTERED', 'UNDER_WAY')";

#[derive(QueryableByName)]
struct TallyRow {
    #[diesel(sql_type = BigInt)]
    spent: i64,
    #[diesel(sql_type = BigInt)]
    under_way: i64,
    #[diesel(sql_type = Double)]
    newest_age: f64,
    #[diesel(sql_type = Double)]
    blocking_age: f64,
}

/// Counts for one limit. An attempt under way for longer than any request lives died with its process, and counts from
/// its beginning.
async fn tally(
    connection: &mut AsyncPgConnection,
    counted: &'static str,
    key: &str,
    limit: GuardLimit,
) -> QueryResult<Tally> {
    let count = sql_query(format!(
        "SELECT count(*) FILTER (WHERE is_spent) AS spent, count(*) FILTER (WHERE NOT is_spent) AS under_way, \
                coalesce(min(age) FILTER (WHERE is_spent), 0) AS newest_age, \
                coalesce((array_agg(age ORDER BY age) FILTER (WHERE is_spent))[$3], 0) AS blocking_age \
         FROM (SELECT extract(epoch FROM statement_timestamp() - since)::float8 AS age, \
                      state <> 'UNDER_WAY' OR since <= statement_timestamp() - make_interval(secs => $4) AS is_spent \
               FROM auth_attempts \
               WHERE {counted} AND since > statement_timestamp() - make_interval(secs => greatest($2, $4))) AS attempts \
         WHERE NOT is_spent OR age < $2"
    ))
    .bind::<Text, _>(key)
    .bind::<Double, _>(limit.period.as_secs_f64())
    .bind::<Integer, _>(i32::try_from(limit.count).unwrap_or(i32::MAX))
    .bind::<Double, _>(LONGEST_ATTEMPT_SECONDS);
    let row: TallyRow = cached(count).get_result(connection).await?;
    let number = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    // A clock that was set back makes an age negative.
    let age = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Ok(Tally {
        spent: number(row.spent),
        under_way: number(row.under_way),
        newest_age: age(row.newest_age),
        blocking_age: age(row.blocking_age),
    })
}

#[derive(QueryableByName)]
struct KnownRow {
    #[diesel(sql_type = Bool)]
    known: bool,
}

async fn is_known(connection: &mut AsyncPgConnection, email: &Email, network: &str) -> QueryResult<bool> {
    let look = sql_query(
        "SELECT EXISTS (SELECT 1 FROM auth_known_addresses \
         WHERE account_hash = sha256(convert_to($1, 'UTF8')) AND network = $2::cidr \
         AND last_login_at > statement_timestamp() - make_interval(days => $3)) AS known",
    )
    .bind::<Text, _>(email.as_str())
    .bind::<Text, _>(network)
    .bind::<Integer, _>(GuardPolicy::KNOWN_ADDRESS_DAYS.cast_signed());
    Ok(cached(look).get_result::<KnownRow>(connection).await?.known)
}

async fn lock(connection: &mut AsyncPgConnection, what: &str) -> QueryResult<()> {
    let lock = sql_query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind::<Text, _>(what);
    cached(lock).execute(connection).await?;
    Ok(())
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

async fn write_down(connection: &mut AsyncPgConnection, attempt: &Attempt) -> QueryResult<i64> {
    let kind = match attempt.kind {
        AttemptKind::Login => "LOGIN",
        AttemptKind::Registration => "REGISTRATION",
        AttemptKind::PasswordChange => "PASSWORD_CHANGE",
    };
    let insert = sql_query(
        "INSERT INTO auth_attempts (kind, network, account_hash) \
         VALUES ($1, $2::cidr, sha256(convert_to($3, 'UTF8'))) RETURNING id",
    )
    .bind::<Text, _>(kind)
    .bind::<Text, _>(attempt.client.network.to_string())
    .bind::<Text, _>(attempt.email.as_str());
    Ok(cached(insert).get_result::<IdRow>(connection).await?.id)
}
