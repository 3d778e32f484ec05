//! Orders on PostgreSQL. Every command locks in one order: customer, cart lines, products by id, order (with its
//! payment, whose rows are only written under the order's lock). Events lock their receipt before all that.

mod announce;
mod change;
mod claim;
mod customer;
mod event_log;
mod events;
mod list;
mod load;
mod place;
mod request;
mod rows;
mod save;
mod stock;
mod unsettled;
mod write_orders;

use std::sync::Arc;

use async_trait::async_trait;
pub use claim::PgTasks;
use domain::catalog::{CatalogWatcher, Unwatched};
use domain::clock::{Ids, Timestamp};
use domain::id::OrderId;
use domain::order::{
    CancelOrder, CancelOrderError, EventOutcome, ExpireOrder, Expiry, FulfilOrder, FulfilOrderError, Hearing, Order,
    OrderFilter, OrderPosition, OrderRepository, PlaceOrder, PlaceOrderError, ProviderNews, RefundOrderMoney,
    RefundOrderMoneyError, StartPayment, StartPaymentError,
};
use domain::page::{Page, PageLimit};
use domain::payment::{EventReader, ProviderEvent};
use domain::store::StoreError;

use self::change::Expiring;
use self::events::{Hearings, News, Receiving, Teller};
use self::place::Placing;
use crate::batch::Lane;
use crate::pool::PgPool;

/// Keeps orders in PostgreSQL.
///
/// What comes often and at once shares transactions (see [`crate::batch`]); the rest has one each.
#[derive(Clone)]
pub struct PgOrders {
    pool: PgPool,
    ids: Arc<dyn Ids>,
    teller: Teller,
    placing: Lane<Placing>,
    expiring: Lane<Expiring>,
    hearings: Lane<Hearings>,
    receiving: Lane<Receiving>,
    watcher: Arc<dyn CatalogWatcher>,
}

impl PgOrders {
    /// Keeps orders in this database. `ids` mints what only the store sees; `events` translates stored events that
    /// waited for their receipt.
    #[must_use]
    pub fn new(pool: PgPool, ids: Arc<dyn Ids>, events: Arc<dyn EventReader>) -> Self {
        let teller = Teller { ids: Arc::clone(&ids), events };
        Self {
            placing: Lane::open(pool.clone(), Placing { ids: Arc::clone(&ids) }),
            expiring: Lane::open(pool.clone(), Expiring { ids: Arc::clone(&ids) }),
            hearings: Lane::open(pool.clone(), Hearings { teller: teller.clone() }),
            receiving: Lane::open(pool.clone(), Receiving { teller: teller.clone() }),
            pool,
            ids,
            teller,
            watcher: Arc::new(Unwatched),
        }
    }

    /// The same, and `watcher` hears of every move of stock before the one who asked for it does.
    #[must_use]
    pub fn watched_by(self, watcher: Arc<dyn CatalogWatcher>) -> Self {
        Self { watcher, ..self }
    }
}

#[async_trait]
impl OrderRepository for PgOrders {
    #[tracing::instrument(name = "OrderRepository.place", level = "debug", skip_all)]
    async fn place(&self, command: &PlaceOrder) -> Result<Order, PlaceOrderError> {
        let placed = self.placing.run(command.clone()).await;
        self.tell_of_stock(placed.as_ref().ok());
        placed
    }

    #[tracing::instrument(name = "OrderRepository.start_payment", level = "debug", skip_all)]
    async fn start_payment(&self, command: &StartPayment) -> Result<Order, StartPaymentError> {
        self.start_order_payment(command).await
    }

    #[tracing::instrument(name = "OrderRepository.cancel", level = "debug", skip_all)]
    async fn cancel(&self, command: &CancelOrder) -> Result<Order, CancelOrderError> {
        let cancelled = self.cancel_order(command).await;
        self.tell_of_stock(cancelled.as_ref().ok());
        cancelled
    }

    #[tracing::instrument(name = "OrderRepository.fulfil", level = "debug", skip_all)]
    async fn fulfil(&self, command: &FulfilOrder) -> Result<Order, FulfilOrderError> {
        self.fulfil_order(command).await
    }

    #[tracing::instrument(name = "OrderRepository.refund", level = "debug", skip_all)]
    async fn refund(&self, command: &RefundOrderMoney) -> Result<Order, RefundOrderMoneyError> {
        self.refund_order(command).await
    }

    #[tracing::instrument(name = "OrderRepository.expire", level = "debug", skip_all)]
    async fn expire(&self, command: &ExpireOrder) -> Result<Expiry, StoreError> {
        let expired = self.expiring.run(command.clone()).await?;
        self.tell_of_stock(expired.restocked.as_ref());
        Ok(expired.expiry)
    }

    #[tracing::instrument(name = "OrderRepository.hear", level = "debug", skip_all)]
    async fn hear(
        &self,
        order_id: OrderId,
        news: &ProviderNews,
        hearing: Hearing,
    ) -> Result<Option<Order>, StoreError> {
        self.hearings.run(News { order_id, told: news.clone(), hearing }).await
    }

    #[tracing::instrument(name = "OrderRepository.receive", level = "debug", skip_all)]
    async fn receive(&self, event: &ProviderEvent, hearing: Hearing) -> Result<EventOutcome, StoreError> {
        self.receive_event(event, hearing).await
    }

    #[tracing::instrument(name = "OrderRepository.find", level = "debug", skip_all)]
    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        self.find_order(id).await
    }

    #[tracing::instrument(name = "OrderRepository.list", level = "debug", skip_all)]
    async fn list(
        &self,
        filter: &OrderFilter,
        after: Option<OrderPosition>,
        limit: PageLimit,
    ) -> Result<Page<Order, OrderPosition>, StoreError> {
        self.list_orders(filter, after, limit).await
    }

    #[tracing::instrument(name = "OrderRepository.claim_overdue", level = "debug", skip_all)]
    async fn claim_overdue(&self, now: Timestamp, lease_seconds: u32, limit: u32) -> Result<Vec<OrderId>, StoreError> {
        self.claim_overdue_orders(now, lease_seconds, limit).await
    }
}
