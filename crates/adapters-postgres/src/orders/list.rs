//! Reading orders: one, or a page of them, newest first.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::Timestamp;
use domain::id::{OrderId, UserId};
use domain::order::{Order, OrderFilter, OrderPosition, OrderStatus};
use domain::page::{Page, PageLimit};
use domain::payment::PaymentStatus;
use domain::store::StoreError;
use futures_util::future::try_join_all;
use uuid::Uuid;

use super::PgOrders;
use super::load::load;
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
        let one_more = usize::from(limit.get()) + 1;
        let stretches = stretches(filter).into_iter().map(|stretch| newest(&connection, stretch, after, one_more));
        let mut found = try_join_all(stretches).await.map_err(store_error)?.concat();
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.truncate(one_more);
        let ids: Vec<Uuid> = found.into_iter().map(|(_, id)| id).collect();
        let loaded = load(&connection, &ids).await.map_err(store_error)?;
        let mut by_id: HashMap<Uuid, Order> = loaded.into_iter().map(|order| (order.id.uuid(), order)).collect();
        let in_order = ids.iter().filter_map(|id| by_id.remove(id)).collect();
        let position = |order: &Order| OrderPosition { created_at: order.created_at, id: order.id };
        Ok(Page::from_overfetched(in_order, limit, position))
    }
}

/// The filters that together let through what this one does, each of which the index `orders_by_standing` serves from
/// its first column to its last: for one state of the order and one of its payment. An index by age alone would be
/// taken for common states, and then read through all that is too young to be in them. The orders of one customer, and
/// those that are flagged, are few, and have indexes of their own.
fn stretches(filter: &OrderFilter) -> Vec<OrderFilter> {
    if filter.customer_id.is_some() || filter.flagged == Some(true) {
        return vec![filter.clone()];
    }
    let statuses = filter.status.map_or_else(|| OrderStatus::ALL.to_vec(), |status| vec![status]);
    let payments = filter.payment.map_or_else(|| PaymentStatus::ALL.to_vec(), |payment| vec![payment]);
    let pairs = statuses.into_iter().flat_map(|status| payments.iter().map(move |payment| (status, *payment)));
    pairs
        .map(|(status, payment)| OrderFilter { status: Some(status), payment: Some(payment), ..filter.clone() })
        .collect()
}

/// The newest orders that a filter lets through. Several such statements share a round trip.
async fn newest(
    mut connection: &AsyncPgConnection,
    filter: OrderFilter,
    after: Option<OrderPosition>,
    count: usize,
) -> QueryResult<Vec<(Timestamp, Uuid)>> {
    filtered(&filter, after)
        .order((orders::created_at.desc(), orders::id.desc()))
        .limit(i64::try_from(count).unwrap_or(i64::MAX))
        .select((orders::created_at, orders::id))
        .load(&mut connection)
        .await
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
