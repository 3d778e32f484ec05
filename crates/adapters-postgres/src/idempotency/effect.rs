//! The part of a key that belongs to the transaction of its effect.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::id::OrderId;
use domain::idempotency::{Claim, ClaimLost};

use crate::cached::{cached, column};
use crate::error::damaged;
use crate::transaction::Rollback;

/// What a claim's request has done.
pub(crate) struct Effect<'a> {
    pub(crate) claim: &'a Claim,
    pub(crate) order_id: OrderId,
}

/// The claims of a transaction that are still the last ones of their keys, under lock.
pub(crate) struct StandingClaims(HashSet<u64>);

impl StandingClaims {
    /// Whether a request may have its effect; one without a key always may.
    pub(crate) fn stands(&self, claim: Option<&Claim>) -> bool {
        claim.is_none_or(|claim| self.0.contains(&claim.number))
    }
}

#[derive(QueryableByName)]
struct ClaimRow {
    #[diesel(sql_type = BigInt)]
    claim: i64,
}

/// Locks the keys of these claims, as far as they stand: whoever takes one over meanwhile waits for the commit, and
/// then sees the order. Comes after all other locks, so that keys are locked only while their effects are written.
pub(crate) async fn lock_claims(
    mut connection: &AsyncPgConnection,
    claims: impl Iterator<Item = &Claim> + Send,
) -> QueryResult<StandingClaims> {
    let claims: Vec<&Claim> = claims.collect();
    if claims.is_empty() {
        return Ok(StandingClaims(HashSet::new()));
    }
    let lock = sql_query(
        "SELECT held.claim FROM idempotency_keys AS held JOIN unnest($1, $2, $3) AS mine (user_id, key, claim) \
         ON held.user_id = mine.user_id AND held.key = mine.key AND held.claim = mine.claim \
         ORDER BY held.user_id, held.key FOR NO KEY UPDATE OF held",
    )
    .bind::<Array<SqlUuid>, _>(column(&claims, |claim| claim.user_id.uuid()))
    .bind::<Array<Text>, _>(column(&claims, |claim| claim.key.as_str()))
    .bind::<Array<BigInt>, _>(column(&claims, |claim| claim.number.cast_signed()));
    let standing: Vec<ClaimRow> = cached(lock).load(&mut connection).await?;
    Ok(StandingClaims(standing.into_iter().map(|row| row.claim.cast_unsigned()).collect()))
}

/// Writes the effects' orders to their keys, which are locked.
async fn mark_effects(mut connection: &AsyncPgConnection, effects: Vec<Effect<'_>>) -> QueryResult<()> {
    if effects.is_empty() {
        return Ok(());
    }
    let mark = sql_query(
        "UPDATE idempotency_keys AS held SET order_id = done.order_id, alive_at = clock_timestamp() \
         FROM unnest($1, $2, $3, $4) AS done (user_id, key, claim, order_id) \
         WHERE held.user_id = done.user_id AND held.key = done.key AND held.claim = done.claim",
    )
    .bind::<Array<SqlUuid>, _>(column(&effects, |effect| effect.claim.user_id.uuid()))
    .bind::<Array<Text>, _>(column(&effects, |effect| effect.claim.key.as_str()))
    .bind::<Array<BigInt>, _>(column(&effects, |effect| effect.claim.number.cast_signed()))
    .bind::<Array<SqlUuid>, _>(column(&effects, |effect| effect.order_id.uuid()));
    let marked = cached(mark).execute(&mut connection).await?;
    if marked == effects.len() { Ok(()) } else { Err(damaged("a claim was lost under its lock")) }
}

/// Writes the effect's order to the key of one request, if its claim is still the last one; without a key there is
/// nothing to do. Comes last in its transaction.
pub(crate) async fn mark_effect<E: From<ClaimLost>>(
    connection: &AsyncPgConnection,
    claim: Option<&Claim>,
    order_id: OrderId,
) -> Result<(), Rollback<E>> {
    let Some(claim) = claim else { return Ok(()) };
    if !lock_claims(connection, std::iter::once(claim)).await?.stands(Some(claim)) {
        return Err(Rollback::Refused(ClaimLost.into()));
    }
    Ok(mark_effects(connection, vec![Effect { claim, order_id }]).await?)
}
