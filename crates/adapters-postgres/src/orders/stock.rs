//! Takes stock for orders and gives it back, each move with its entry in the ledger.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::{Ids, Timestamp};
use domain::id::{MovementId, OrderId, UserId};
use domain::order::{CancelledBy, Order};
use tokio::try_join;
use uuid::Uuid;

use crate::cached::{cached, column};
use crate::error::damaged;

/// What products hold, under lock; moves are counted in as they are made.
pub(super) type LockedStock = HashMap<Uuid, i64>;

#[derive(QueryableByName)]
struct StockRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    stock: i64,
}

/// Locks the products of orders, by id, before the orders themselves are locked. The lines of an order never change,
/// so they are read without a lock.
pub(super) async fn lock_products_of(
    mut connection: &AsyncPgConnection,
    orders: &[OrderId],
) -> QueryResult<LockedStock> {
    let orders: Vec<Uuid> = orders.iter().map(|order| order.uuid()).collect();
    // As an array the ids are looked up one by one; joined, a small catalogue would be read as a whole.
    let lock = sql_query(
        "SELECT id, stock FROM products \
         WHERE id = ANY (ARRAY(SELECT product_id FROM order_lines WHERE order_id = ANY ($1))) \
         ORDER BY id FOR NO KEY UPDATE",
    );
    let locked: Vec<StockRow> = cached(lock.bind::<Array<SqlUuid>, _>(orders)).load(&mut connection).await?;
    Ok(locked.into_iter().map(|row| (row.id, row.stock)).collect())
}

/// One entry of the ledger.
pub(super) struct Move {
    pub id: Uuid,
    pub product_id: Uuid,
    pub delta: i64,
    pub stock_after: i64,
    pub reason: &'static str,
    pub order_id: OrderId,
    pub actor_id: Option<UserId>,
    pub at: Timestamp,
}

/// Moves of several orders, in their order.
pub(super) struct Moves<'a> {
    stock: LockedStock,
    made: Vec<Move>,
    ids: &'a dyn Ids,
}

impl<'a> Moves<'a> {
    /// None yet. `stock` is what the locked products hold.
    pub(super) const fn on(stock: LockedStock, ids: &'a dyn Ids) -> Self {
        Self { stock, made: Vec::new(), ids }
    }

    /// Takes the units of a new order.
    pub(super) fn take(&mut self, order: &Order) -> QueryResult<()> {
        self.add(order, -1, "order placed", Some(order.customer_id), order.created_at)
    }

    /// Gives the units of a cancelled order back.
    pub(super) fn give_back(&mut self, order: &Order) -> QueryResult<()> {
        let Some(cancellation) = order.state.cancellation() else {
            return Err(damaged("stock goes back for cancelled orders only"));
        };
        let reason = if cancellation.by == CancelledBy::System { "order expired" } else { "order cancelled" };
        let actor_id = order.history.last().and_then(|entry| entry.actor_id);
        self.add(order, 1, reason, actor_id, cancellation.at)
    }

    fn add(
        &mut self,
        order: &Order,
        sign: i64,
        reason: &'static str,
        actor_id: Option<UserId>,
        at: Timestamp,
    ) -> QueryResult<()> {
        for line in &order.lines {
            let product_id = line.product_id.uuid();
            let stock =
                self.stock.get_mut(&product_id).ok_or_else(|| damaged("a product of an order is not locked"))?;
            let delta = sign * i64::from(line.quantity.get());
            *stock += delta;
            let id = MovementId::mint(self.ids).uuid();
            self.made.push(Move {
                id,
                product_id,
                delta,
                stock_after: *stock,
                reason,
                order_id: order.id,
                actor_id,
                at,
            });
        }
        Ok(())
    }

    /// What the moves do to each product, once for all that move it.
    pub(super) fn deltas(&self) -> BTreeMap<Uuid, i64> {
        let mut deltas = BTreeMap::new();
        for made in &self.made {
            *deltas.entry(made.product_id).or_default() += made.delta;
        }
        deltas
    }

    /// The entries of the ledger, in the order of the moves.
    pub(super) fn made(&self) -> &[Move] {
        &self.made
    }

    /// Writes them: each product once, however many orders move it, and an entry of the ledger for each move.
    pub(super) async fn write(&self, connection: &AsyncPgConnection) -> QueryResult<()> {
        if self.made.is_empty() {
            return Ok(());
        }
        try_join!(self.update_products(connection), self.append_to_ledger(connection))?;
        Ok(())
    }

    async fn update_products(&self, mut connection: &AsyncPgConnection) -> QueryResult<()> {
        let deltas = self.deltas();
        let update = sql_query(
            "UPDATE products SET stock = products.stock + moved.delta \
             FROM unnest($1, $2) AS moved (product_id, delta) WHERE products.id = moved.product_id",
        )
        .bind::<Array<SqlUuid>, _>(deltas.keys().copied().collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(deltas.values().copied().collect::<Vec<_>>());
        let updated = cached(update).execute(&mut connection).await?;
        if updated == deltas.len() { Ok(()) } else { Err(damaged("a product of an order is gone")) }
    }

    /// The ledger numbers its entries as they come, so they come in the order of the moves.
    async fn append_to_ledger(&self, mut connection: &AsyncPgConnection) -> QueryResult<()> {
        let moves = &self.made;
        let insert = sql_query(
            "INSERT INTO stock_movements (id, product_id, delta, stock_after, reason, order_id, actor_id, created_at) \
             SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind::<Array<SqlUuid>, _>(column(moves, |made| made.id))
        .bind::<Array<SqlUuid>, _>(column(moves, |made| made.product_id))
        .bind::<Array<BigInt>, _>(column(moves, |made| made.delta))
        .bind::<Array<BigInt>, _>(column(moves, |made| made.stock_after))
        .bind::<Array<Text>, _>(column(moves, |made| made.reason))
        .bind::<Array<SqlUuid>, _>(column(moves, |made| made.order_id.uuid()))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(moves, |made| made.actor_id.map(UserId::uuid)))
        .bind::<Array<Timestamptz>, _>(column(moves, |made| made.at));
        cached(insert).execute(&mut connection).await?;
        Ok(())
    }
}
