//! The customer's lock, and what the fraud rules look at under it.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::Timestamp;
use domain::fraud::CustomerStanding;
use domain::id::{ProductId, UserId};

use uuid::Uuid;

use crate::cached::cached;
use crate::schema::users;

/// Locks a customer, so that what is counted of them stays true until the transaction ends; gives their e-mail, and
/// when they registered.
pub(super) async fn lock_customer(
    mut connection: &AsyncPgConnection,
    id: UserId,
) -> QueryResult<Option<(String, Timestamp)>> {
    users::table
        .filter(users::id.eq(id.uuid()))
        .select((users::email, users::created_at))
        .for_no_key_update()
        .first(&mut connection)
        .await
        .optional()
}

/// A customer's e-mail, without a lock.
pub(super) async fn email_of(mut connection: &AsyncPgConnection, id: UserId) -> QueryResult<Option<String>> {
    users::table.filter(users::id.eq(id.uuid())).select(users::email).first(&mut connection).await.optional()
}

#[derive(QueryableByName)]
struct StandingRow {
    #[diesel(sql_type = BigInt)]
    pending_orders: i64,
    #[diesel(sql_type = BigInt)]
    daily_cancellations: i64,
    #[diesel(sql_type = BigInt)]
    daily_expiries: i64,
}

/// Counts what the fraud rules look at. Only true while the customer is locked.
pub(super) async fn standing(
    mut connection: &AsyncPgConnection,
    id: UserId,
    now: Timestamp,
) -> QueryResult<CustomerStanding> {
    let count = sql_query(
        "SELECT \
         (SELECT count(*) FROM orders WHERE customer_id = $1 AND status = 'PENDING') AS pending_orders, \
         (SELECT count(*) FROM orders WHERE customer_id = $1 AND status = 'CANCELLED' AND cancelled_at > $2 \
           AND cancelled_by = 'CUSTOMER') AS daily_cancellations, \
         (SELECT count(*) FROM orders WHERE customer_id = $1 AND status = 'CANCELLED' AND cancelled_at > $2 \
           AND cancelled_by = 'SYSTEM') AS daily_expiries",
    )
    .bind::<SqlUuid, _>(id.uuid())
    .bind::<Timestamptz, _>(now - TimeDelta::hours(24));
    let row: StandingRow = cached(count).get_result(&mut connection).await?;
    let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(CustomerStanding {
        pending_orders: count(row.pending_orders),
        daily_cancellations: count(row.daily_cancellations),
        daily_expiries: count(row.daily_expiries),
    })
}

#[derive(QueryableByName)]
struct UnitsRow {
    #[diesel(sql_type = SqlUuid)]
    product_id: Uuid,
    #[diesel(sql_type = BigInt)]
    units: i64,
}

/// Counts the units of these products in the customer's orders of the last 24 hours that stand. Only true while the
/// customer is locked.
pub(super) async fn recent_units(
    mut connection: &AsyncPgConnection,
    id: UserId,
    products: &[Uuid],
    now: Timestamp,
) -> QueryResult<BTreeMap<ProductId, u64>> {
    let count = sql_query(
        "SELECT product_id, sum(quantity) AS units FROM orders JOIN order_lines ON order_lines.order_id = orders.id \
         WHERE customer_id = $1 AND created_at > $2 AND status <> 'CANCELLED' AND product_id = ANY($3) \
         GROUP BY product_id",
    )
    .bind::<SqlUuid, _>(id.uuid())
    .bind::<Timestamptz, _>(now - TimeDelta::hours(24))
    .bind::<Array<SqlUuid>, _>(products);
    let rows: Vec<UnitsRow> = cached(count).load(&mut connection).await?;
    Ok(rows.into_iter().map(|row| (row.product_id.into(), row.units.max(0).cast_unsigned())).collect())
}
