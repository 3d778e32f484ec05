//! The use cases of orders, on their ports. One file per use case adds its method.

use std::sync::Arc;

use crate::clock::{Clock, Ids};
use crate::fraud::FraudLimits;
use crate::id::{OrderId, UserId};
use crate::money::Money;
use crate::order::{
    ErrandSignal, EventOutcome, EventRepository, Hearing, Order, OrderFilter, OrderPosition, OrderRepository,
    ProviderNews, TaskRepository,
};
use crate::page::{Page, PageLimit};
use crate::payment::{PaymentGateway, ProviderEvent};
use crate::store::StoreError;

/// The shop's rules for orders, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPolicy {
    /// How long an order may be paid, in seconds.
    pub payment_window_seconds: u32,
    /// How long an order waits for a delayed payment, in seconds.
    pub async_wait_seconds: u32,
    /// How long expiry waits for a provider that does not answer, in seconds.
    pub provider_grace_seconds: u32,
    /// The least total of an order.
    pub min_total: Money,
    /// The greatest total of an order.
    pub max_total: Money,
    /// The limits of the fraud rules.
    pub fraud: FraudLimits,
    /// Base of the links by which a payer comes back, without a slash at its end.
    pub public_url: String,
}

/// The use cases of orders.
#[derive(Clone)]
pub struct OrderService {
    /// Where orders are kept.
    pub orders: Arc<dyn OrderRepository>,
    /// Where the provider's events are kept.
    pub events: Arc<dyn EventRepository>,
    /// Where errands are kept.
    pub tasks: Arc<dyn TaskRepository>,
    /// The payment provider.
    pub gateway: Arc<dyn PaymentGateway>,
    /// Wakes the loop that runs errands.
    pub errands: Arc<dyn ErrandSignal>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// The shop's rules.
    pub policy: OrderPolicy,
}

impl OrderService {
    /// One order; a customer (`viewer`) sees only their own, an admin (`None`) sees all.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find(&self, id: OrderId, viewer: Option<UserId>) -> Result<Option<Order>, StoreError> {
        let order = self.orders.find(id).await?;
        Ok(order.filter(|order| viewer.is_none_or(|viewer| order.customer_id == viewer)))
    }

    /// Orders, newest first.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list(
        &self,
        filter: &OrderFilter,
        after: Option<OrderPosition>,
        limit: PageLimit,
    ) -> Result<Page<Order, OrderPosition>, StoreError> {
        self.orders.list(filter, after, limit).await
    }

    /// Records a verified event and applies it; what must follow at the provider begins at once.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn receive(&self, event: &ProviderEvent) -> Result<EventOutcome, StoreError> {
        let outcome = self.orders.receive(event, self.hearing()).await?;
        count_event(outcome.as_str());
        self.errands.wake();
        Ok(outcome)
    }

    /// Tells an order what the provider said; what must follow begins at once.
    pub(crate) async fn hear(&self, id: OrderId, news: &ProviderNews) -> Result<Option<Order>, StoreError> {
        let order = self.orders.hear(id, news, self.hearing()).await?;
        self.errands.wake();
        Ok(order)
    }

    pub(crate) fn hearing(&self) -> Hearing {
        Hearing { at: self.clock.now(), async_wait_seconds: self.policy.async_wait_seconds }
    }
}

/// Counts what became of an event, at each delivery and each replay.
pub(crate) fn count_event(status: &'static str) {
    metrics::counter!("ironcart_events_total", "status" => status).increment(1);
}
