//! Reading orders: one, or a page of them, newest first.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::Timestamp;
use domain::id::{OrderId, UserId};
use domain::order::{Order, OrderFilter, OrderPosition, OrderStatus};
use domain::page::{Page, PageLimit};
use domain::payment::PaymentStatus;
use domain::store::StoreError;
use uuid::Uuid;

use super::PgOrders;
use super::load::load;
use crate::cached::cached;
use crate::error::store_error;
use crate::schema::orders;

impl PgOrders {
    pub(super) async fn find_order(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        let connection = self.pool.get().await?;
        Ok(load(&connection, &[id.uuid()]).await.map_err(store_error)?.pop())
    }

    pub(super) async fn list_orders(
        &self,
        filter: &OrderFilter,
        after: Option<OrderPosition>,
        limit: PageLimit,
    ) -> Result<Page<Order, OrderPosition>, StoreError> {
        let connection = self.pool.get().await?;
        let one_more = i64::from(limit.get()) + 1;
        let ids = if is_of_few(filter) {
            newest_of_few(&connection, filter, after, one_more).await
        } else {
            newest(&connection, filter, after, one_more).await
        };
        let ids = ids.map_err(store_error)?;
        let loaded = load(&connection, &ids).await.map_err(store_error)?;
        let mut by_id: HashMap<Uuid, Order> = loaded.into_iter().map(|order| (order.id.uuid(), order)).collect();
        let in_order = ids.iter().filter_map(|id| by_id.remove(id)).collect();
        let position = |order: &Order| OrderPosition { created_at: order.created_at, id: order.id };
        Ok(Page::from_overfetched(in_order, limit, position))
    }
}

/// The orders of one customer, and those that are flagged, are few, and have indexes of their own.
const fn is_of_few(filter: &OrderFilter) -> bool {
    filter.customer_id.is_some() || matches!(filter.flagged, Some(true))
}

async fn newest_of_few(
    mut connection: &AsyncPgConnection,
    filter: &OrderFilter,
    after: Option<OrderPosition>,
    count: i64,
) -> QueryResult<Vec<Uuid>> {
    let newest = filtered(filter, after).order((orders::created_at.desc(), orders::id.desc()));
    newest.limit(count).select(orders::id).load(&mut connection).await
}

/// The newest orders of each pair of an order's state and its payment's, of which the newest are the answer. Each pair is
/// a stretch of the index `orders_by_standing`, in the order of the list. An index by age alone would be taken for common
/// states, and then read through all that is too young to be in them.
const NEWEST: &str = "SELECT found.id FROM unnest($1, $2) AS standing (status, payment_status) \
     CROSS JOIN LATERAL (\
       SELECT created_at, id FROM orders \
       WHERE orders.status = standing.status AND orders.payment_status = standing.payment_status \
         AND created_at >= $3 AND created_at < $4 AND (created_at, id) < ($5, $6) AND (flags = '{}' OR NOT $7) \
       ORDER BY created_at DESC, id DESC LIMIT $8) AS found \
     ORDER BY found.created_at DESC, found.id DESC LIMIT $8";

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

async fn newest(
    mut connection: &AsyncPgConnection,
    filter: &OrderFilter,
    after: Option<OrderPosition>,
    count: i64,
) -> QueryResult<Vec<Uuid>> {
    let statuses = OrderStatus::ALL.into_iter().filter(|status| filter.status.is_none_or(|only| only == *status));
    let payments = PaymentStatus::ALL.into_iter().filter(|payment| filter.payment.is_none_or(|only| only == *payment));
    let standings =
        statuses.flat_map(|status| payments.clone().map(move |payment| (status.as_str(), payment.as_str())));
    let (statuses, payments): (Vec<_>, Vec<_>) = standings.unzip();
    let (at, id) = after.map_or((Timestamp::MAX_UTC, Uuid::max()), |after| (after.created_at, after.id.uuid()));
    let newest = sql_query(NEWEST)
        .bind::<Array<Text>, _>(statuses)
        .bind::<Array<Text>, _>(payments)
        .bind::<Timestamptz, _>(filter.created_from.unwrap_or(Timestamp::UNIX_EPOCH))
        .bind::<Timestamptz, _>(filter.created_to.unwrap_or(Timestamp::MAX_UTC))
        .bind::<Timestamptz, _>(at)
        .bind::<SqlUuid, _>(id)
        .bind::<Bool, _>(filter.flagged == Some(false))
        .bind::<BigInt, _>(count);
    let rows: Vec<IdRow> = cached(newest).load(&mut connection).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

fn filtered<'a>(filter: &OrderFilter, after: Option<OrderPosition>) -> orders::BoxedQuery<'a, diesel::pg::Pg> {
    let mut query = orders::table.into_boxed();
    if let Some(customer) = filter.customer_id.map(UserId::uuid) {
        query = query.filter(orders::customer_id.eq(customer));
    }
    if let Some(status) = filter.status.map(OrderStatus::as_str) {
        query = query.filter(orders::status.eq(status));
    }
    if let Some(payment) = filter.payment.map(PaymentStatus::as_str) {
        query = query.filter(orders::payment_status.eq(payment));
    }
    let no_flags = diesel::dsl::sql::<Array<Text>>("'{}'");
    match filter.flagged {
        Some(true) => query = query.filter(orders::flags.ne(no_flags)),
        Some(false) => query = query.filter(orders::flags.eq(no_flags)),
        None => {}
    }
    if let Some(from) = filter.created_from {
        query = query.filter(orders::created_at.ge(from));
    }
    if let Some(to) = filter.created_to {
        query = query.filter(orders::created_at.lt(to));
    }
    if let Some(OrderPosition { created_at, id }) = after {
        // Spelt out, since the builder has no row comparison; the first part lets the index begin there.
        let later_id = orders::created_at.lt(created_at).or(orders::id.lt(id.uuid()));
        query = query.filter(orders::created_at.le(created_at)).filter(later_id);
    }
    query
}
