//! Decisions about an order that is there: lock in the fixed order, load, let the command decide, save, commit.

use std::sync::Arc;

use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use domain::account::Role;
use domain::clock::Ids;
use domain::fraud::CustomerStanding;
use domain::order::{
    CancelOrder, CancelOrderError, ExpireOrder, Expiry, FulfilOrder, FulfilOrderError, Order, OrderChange,
    RefundOrderMoney, RefundOrderMoneyError, StartPayment, StartPaymentError,
};
use domain::store::StoreError;
use tokio::try_join;

use super::customer::{Looks, email_of, standings};
use super::load::{lock_order, lock_orders};
use super::save::{Saved, save};
use super::stock::{Moves, lock_products_of};
use super::{PgOrders, claim};
use crate::batch::BatchedWork;
use crate::cached::column;
use crate::customers::lock_customers;
use crate::error::damaged;
use crate::idempotency::mark_effect;
use crate::transaction::Rollback;

impl PgOrders {
    pub(super) async fn cancel_order(&self, command: &CancelOrder) -> Result<Order, CancelOrderError> {
        self.pool
            .transaction(async |connection| {
                let standing = lock_canceller(connection, command).await?;
                let stock = lock_products_of(connection, &[command.order_id]).await?;
                let order = lock_order(connection, command.order_id).await?;
                let order = order.ok_or(Rollback::Refused(CancelOrderError::NotFound))?;
                let change = command.decide(order.clone(), &standing, self.ids.as_ref()).map_err(Rollback::Refused)?;
                save(connection, &[Saved::change(&order, &change)], self.ids.as_ref()).await?;
                let mut moves = Moves::on(stock, self.ids.as_ref());
                moves.give_back(&change.order)?;
                moves.write(connection).await?;
                mark_effect(connection, command.claim.as_ref(), command.order_id).await?;
                Ok(change.order)
            })
            .await
    }

    pub(super) async fn fulfil_order(&self, command: &FulfilOrder) -> Result<Order, FulfilOrderError> {
        self.pool
            .transaction(async |connection| {
                let order = lock_order(connection, command.order_id).await?;
                let order = order.ok_or(Rollback::Refused(FulfilOrderError::NotFound))?;
                let change = command.decide(order.clone()).map_err(Rollback::Refused)?;
                save(connection, &[Saved::change(&order, &change)], self.ids.as_ref()).await?;
                Ok(change.order)
            })
            .await
    }

    pub(super) async fn refund_order(&self, command: &RefundOrderMoney) -> Result<Order, RefundOrderMoneyError> {
        self.pool
            .transaction(async |connection| {
                let order = lock_order(connection, command.order_id).await?;
                let order = order.ok_or(Rollback::Refused(RefundOrderMoneyError::NotFound))?;
                let change = command.decide(order.clone(), self.ids.as_ref()).map_err(Rollback::Refused)?;
                save(connection, &[Saved::change(&order, &change)], self.ids.as_ref()).await?;
                Ok(change.order)
            })
            .await
    }

    pub(super) async fn start_order_payment(&self, command: &StartPayment) -> Result<Order, StartPaymentError> {
        self.pool
            .transaction(async |connection| {
                let email = email_of(connection, command.customer_id).await?.unwrap_or_default();
                let order = lock_order(connection, command.order_id).await?;
                let order = order.ok_or(Rollback::Refused(StartPaymentError::NotFound))?;
                let change = command.decide(order.clone(), &email).map_err(Rollback::Refused)?;
                save(connection, &[Saved::change(&order, &change)], self.ids.as_ref()).await?;
                mark_effect(connection, command.claim.as_ref(), command.order_id).await?;
                Ok(change.order)
            })
            .await
    }
}

/// What came of an order's age.
pub(super) struct Expired {
    pub expiry: Expiry,
    /// The order, if its stock went back.
    pub restocked: Option<Order>,
}

/// Cancels orders for age. Which order a sweep comes to is up to the leases, so one may come twice.
pub(super) struct Expiring {
    pub ids: Arc<dyn Ids>,
}

impl BatchedWork for Expiring {
    type Command = ExpireOrder;
    type Done = Expired;
    type Refusal = StoreError;

    const NAME: &'static str = "expire_order";
    /// An order that was cancelled before is not due any more.
    const REPEATABLE: bool = true;

    async fn run(
        &self,
        connection: &AsyncPgConnection,
        commands: &[ExpireOrder],
        _again: bool,
    ) -> QueryResult<Vec<Result<Expired, StoreError>>> {
        let ids = column(commands, |command| command.order_id);
        let orders = column(&ids, |id| id.uuid());
        let (stock, locked) = try_join!(biased; lock_products_of(connection, &ids), lock_orders(connection, &orders))?;
        let mut now = locked.clone();
        // Nothing where an order is not there, or was decided on already for another command of this batch.
        let decide =
            |command: &ExpireOrder| now.remove(&command.order_id).map(|order| command.decide(order)).transpose();
        let decided = commands.iter().map(decide).collect::<Result<Vec<_>, _>>().map_err(damaged)?;
        let changes = || decided.iter().flatten().map(|(_, change)| change);
        let saved: Vec<_> = changes().map(|change| Saved::change(&locked[&change.order.id], change)).collect();
        let mut moves = Moves::on(stock, self.ids.as_ref());
        changes().filter(|change| change.restock).try_for_each(|change| moves.give_back(&change.order))?;
        let waiting = decided.iter().flatten().filter(|(expiry, _)| *expiry == Expiry::Waits);
        let waiting: Vec<_> = waiting.map(|(_, change)| change.order.id.uuid()).collect();
        try_join!(
            biased;
            save(connection, &saved, self.ids.as_ref()),
            moves.write(connection),
            claim::shorten_leases(connection, &waiting)
        )?;
        Ok(decided.into_iter().map(|decided| Ok(Expired::of(decided))).collect())
    }
}

impl Expired {
    fn of(decided: Option<(Expiry, OrderChange)>) -> Self {
        decided.map_or(Self { expiry: Expiry::NotDue, restocked: None }, |(expiry, change)| Self {
            expiry,
            restocked: change.restock.then_some(change.order),
        })
    }
}

/// A customer's cancellations are counted under their lock; an admin's are not counted.
async fn lock_canceller(connection: &AsyncPgConnection, command: &CancelOrder) -> QueryResult<CustomerStanding> {
    match command.role {
        Role::Admin => Ok(CustomerStanding::default()),
        Role::Customer => {
            let customer = command.actor_id.uuid();
            lock_customers(connection, &[customer]).await?;
            let mut standings = standings(connection, &Looks::from([(customer, command.at)])).await?;
            Ok(standings.remove(&customer).unwrap_or_default())
        }
    }
}
