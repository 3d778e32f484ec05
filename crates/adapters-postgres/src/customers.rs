//! The first lock of every transaction that changes what is a customer's: their cart, their count of orders.

use diesel::QueryResult;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::Timestamp;
use uuid::Uuid;

use crate::schema::users;

/// A customer under lock.
#[derive(Debug, Queryable)]
pub(crate) struct LockedCustomer {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) created_at: Timestamp,
}

/// Locks customers, by id, and makes their other changes wait: what is read or counted of them stays true until the
/// transaction ends.
pub(crate) async fn lock_customers(
    mut connection: &AsyncPgConnection,
    ids: impl IntoIterator<Item = &Uuid> + Send,
) -> QueryResult<Vec<LockedCustomer>> {
    let ids: Vec<Uuid> = ids.into_iter().copied().collect();
    users::table
        .filter(users::id.eq_any(ids))
        .order(users::id)
        .select((users::id, users::email, users::created_at))
        .for_no_key_update()
        .load(&mut connection)
        .await
}
