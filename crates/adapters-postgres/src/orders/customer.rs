//! What the fraud rules look at, under the customers' locks.

use std::collections::{BTreeMap, HashMap};

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

/// A customer's e-mail, without a lock.
pub(super) async fn email_of(mut connection: &AsyncPgConnection, id: UserId) -> QueryResult<Option<String>> {
    users::table.filter(users::id.eq(id.uuid())).select(users::email).first(&mut connection).await.optional()
}

/// Whom the fraud rules look at, and the moment that ends their day.
pub(super) type Looks = BTreeMap<Uuid, Timestamp>;

#[derive(QueryableByName)]
struct StandingRow {
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = BigInt)]
    pending_orders: i64,
    #[diesel(sql_type = BigInt)]
    daily_cancellations: i64,
    #[diesel(sql_type = BigInt)]
    daily_expiries: i64,
}

/// Counts what the fraud rules look at. Only true while the customers are locked.
pub(super) async fn standings(
    mut connection: &AsyncPgConnection,
    looks: &Looks,
) -> QueryResult<HashMap<Uuid, CustomerStanding>> {
    let (ids, since) = columns(looks);
    let count = sql_query(
        "SELECT look.customer_id, \
         (SELECT count(*) FROM orders WHERE orders.customer_id = look.customer_id AND status = 'PENDING') \
           AS pending_orders, \
         (SELECT count(*) FROM orders WHERE orders.customer_id = look.customer_id AND status = 'CANCELLED' \
           AND cancelled_at > look.since AND cancelled_by = 'CUSTOMER') AS daily_cancellations, \
         (SELECT count(*) FROM orders WHERE orders.customer_id = look.customer_id AND status = 'CANCELLED' \
           AND cancelled_at > look.since AND cancelled_by = 'SYSTEM') AS daily_expiries \
         FROM unnest($1, $2) AS look (customer_id, since)",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Timestamptz>, _>(since);
    let rows: Vec<StandingRow> = cached(count).load(&mut connection).await?;
    let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
    let standing = |row: StandingRow| {
        let standing = CustomerStanding {
            pending_orders: count(row.pending_orders),
            daily_cancellations: count(row.daily_cancellations),
            daily_expiries: count(row.daily_expiries),
        };
        (row.customer_id, standing)
    };
    Ok(rows.into_iter().map(standing).collect())
}

/// The customers, and when the day of each began.
fn columns(looks: &Looks) -> (Vec<Uuid>, Vec<Timestamp>) {
    looks.iter().map(|(customer, now)| (*customer, *now - TimeDelta::hours(24))).unzip()
}

#[derive(QueryableByName)]
struct UnitsRow {
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    product_id: Uuid,
    #[diesel(sql_type = BigInt)]
    units: i64,
}

/// Counts the units of these products in the customers' orders of the last 24 hours that stand. Only true while the
/// customers are locked.
pub(super) async fn recent_units(
    mut connection: &AsyncPgConnection,
    looks: &Looks,
    products: &[Uuid],
) -> QueryResult<HashMap<Uuid, BTreeMap<ProductId, u64>>> {
    let (ids, since) = columns(looks);
    let count = sql_query(
        "SELECT orders.customer_id, product_id, sum(quantity) AS units \
         FROM unnest($1, $2) AS look (customer_id, since) \
         JOIN orders ON orders.customer_id = look.customer_id AND orders.created_at > look.since \
         JOIN order_lines ON order_lines.order_id = orders.id \
         WHERE status <> 'CANCELLED' AND product_id = ANY($3) GROUP BY orders.customer_id, product_id",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Timestamptz>, _>(since)
    .bind::<Array<SqlUuid>, _>(products);
    let rows: Vec<UnitsRow> = cached(count).load(&mut connection).await?;
    let mut units: HashMap<Uuid, BTreeMap<ProductId, u64>> = HashMap::new();
    for row in rows {
        let of_customer = units.entry(row.customer_id).or_default();
        of_customer.insert(row.product_id.into(), row.units.max(0).cast_unsigned());
    }
    Ok(units)
}
