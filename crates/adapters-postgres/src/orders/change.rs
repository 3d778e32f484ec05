//! Decisions about an order that is there: lock in the fixed order, load, let the command decide, save, commit.

use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use domain::account::Role;
use domain::fraud::CustomerStanding;
use domain::order::{
    CancelOrder, CancelOrderError, ExpireOrder, Expiry, FulfilOrder, FulfilOrderError, Order, OrderChange,
    RefundOrderMoney, RefundOrderMoneyError, StartPayment, StartPaymentError,
};
use domain::store::StoreError;

use super::customer::{email_of, lock_customer, standing};
use super::load::lock_order;
use super::save::save;
use super::stock::{LockedStock, give_back, lock_products_of};
use super::{PgOrders, claim};
use crate::error::damaged;
use crate::idempotency::mark_effect;
use crate::transaction::Rollback;

impl PgOrders {
    pub(super) async fn cancel_order(&self, command: &CancelOrder) -> Result<Order, CancelOrderError> {
        self.pool
            .transaction(async |connection| {
                let standing = lock_canceller(connection, command).await?;
                let stock = lock_products_of(connection, command.order_id).await?;
                let order = lock_order(connection, command.order_id).await?;
                let order = order.ok_or(Rollback::Refused(CancelOrderError::NotFound))?;
                let change = command.decide(order.clone(), &standing, self.ids.as_ref()).map_err(Rollback::Refused)?;
                self.save_with_stock(connection, &order, &change, &stock).await?;
                mark_effect(connection, command.claim.as_ref(), command.order_id).await?;
                Ok(change.order)
            })
            .await
    }

    pub(super) async fn expire_order(&self, command: &ExpireOrder) -> Result<Expiry, StoreError> {
        self.pool
            .transaction(async |connection| {
                let stock = lock_products_of(connection, command.order_id).await?;
                let Some(order) = lock_order(connection, command.order_id).await? else { return Ok(Expiry::NotDue) };
                let (expiry, change) = command.decide(order.clone()).map_err(damaged)?;
                self.save_with_stock(connection, &order, &change, &stock).await?;
                if expiry == Expiry::Waits {
                    claim::shorten_lease(connection, command.order_id).await?;
                }
                Ok(expiry)
            })
            .await
    }

    pub(super) async fn fulfil_order(&self, command: &FulfilOrder) -> Result<Order, FulfilOrderError> {
        self.pool
            .transaction(async |connection| {
                let order = lock_order(connection, command.order_id).await?;
                let order = order.ok_or(Rollback::Refused(FulfilOrderError::NotFound))?;
                let change = command.decide(order.clone()).map_err(Rollback::Refused)?;
                save(connection, &order, &change, self.ids.as_ref()).await?;
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
                save(connection, &order, &change, self.ids.as_ref()).await?;
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
                save(connection, &order, &change, self.ids.as_ref()).await?;
                mark_effect(connection, command.claim.as_ref(), command.order_id).await?;
                Ok(change.order)
            })
            .await
    }

    async fn save_with_stock(
        &self,
        connection: &mut AsyncPgConnection,
        before: &Order,
        change: &OrderChange,
        stock: &[LockedStock],
    ) -> QueryResult<()> {
        save(connection, before, change, self.ids.as_ref()).await?;
        if change.restock {
            give_back(connection, &change.order, stock, self.ids.as_ref()).await?;
        }
        Ok(())
    }
}

/// A customer's cancellations are counted under their lock; an admin's are not counted.
async fn lock_canceller(connection: &AsyncPgConnection, command: &CancelOrder) -> QueryResult<CustomerStanding> {
    match command.role {
        Role::Admin => Ok(CustomerStanding::default()),
        Role::Customer => {
            lock_customer(connection, command.actor_id).await?;
            standing(connection, command.actor_id, command.at).await
        }
    }
}
