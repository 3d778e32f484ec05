//! The part of a key that belongs to the transaction of its effect.

use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::id::OrderId;
use domain::idempotency::{Claim, ClaimLost};

use crate::cached::cached;
use crate::transaction::Rollback;

/// Writes the effect's order to the key, under the lock of the key's row, if the claim is still the last one. Without
/// a key there is nothing to do. Comes last in its transaction, so that the row is locked only through the commit:
/// whoever takes the claim over meanwhile waits for it, and then sees the order.
pub(crate) async fn mark_effect<E: From<ClaimLost>>(
    connection: &AsyncPgConnection,
    claim: Option<&Claim>,
    order_id: OrderId,
) -> Result<(), Rollback<E>> {
    let Some(claim) = claim else { return Ok(()) };
    if write(connection, claim, order_id).await? { Ok(()) } else { Err(Rollback::Refused(ClaimLost.into())) }
}

async fn write(mut connection: &AsyncPgConnection, claim: &Claim, order_id: OrderId) -> QueryResult<bool> {
    let mark = sql_query(
        "UPDATE idempotency_keys SET order_id = $4, alive_at = clock_timestamp() \
         WHERE user_id = $1 AND key = $2 AND claim = $3",
    )
    .bind::<SqlUuid, _>(claim.user_id.uuid())
    .bind::<Text, _>(claim.key.as_str())
    .bind::<BigInt, _>(claim.number.cast_signed())
    .bind::<SqlUuid, _>(order_id.uuid());
    Ok(cached(mark).execute(&mut connection).await? == 1)
}
