//! Where orders are kept.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::id::{OrderId, UserId};
use crate::order::{
    CancelOrder, CancelOrderError, ExpireOrder, Expiry, FulfilOrder, FulfilOrderError, Hearing, Order, OrderStatus,
    PlaceOrder, PlaceOrderError, ProviderNews, RefundOrderMoney, RefundOrderMoneyError, StartPayment,
    StartPaymentError,
};
use crate::page::{Page, PageLimit};
use crate::payment::{EventStatus, PaymentStatus, ProviderEvent};
use crate::store::StoreError;

/// Which orders a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderFilter {
    /// Only this customer's.
    pub customer_id: Option<UserId>,
    /// Only in this state.
    pub status: Option<OrderStatus>,
    /// Only with a payment in this state.
    pub payment: Option<PaymentStatus>,
    /// Only flagged ones (`true`), or only unflagged ones (`false`).
    pub flagged: Option<bool>,
    /// Only those placed at or after this moment.
    pub created_from: Option<Timestamp>,
    /// Only those placed before this moment.
    pub created_to: Option<Timestamp>,
}

/// A position in a list of orders, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderPosition {
    /// When the order was placed.
    pub created_at: Timestamp,
    /// Its id, which decides between orders of one moment.
    pub id: OrderId,
}

/// What became of a delivered event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventOutcome {
    /// It came for the first time, and this is its status.
    Recorded(EventStatus),
    /// It had come before; nothing was changed.
    Repeated,
}

impl EventOutcome {
    /// The word for logs and metrics: the event's status, or `REPEATED`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Recorded(status) => status.as_str(),
            Self::Repeated => "REPEATED",
        }
    }
}

/// Where orders are kept. Every command is one transaction: lock and load in the fixed order (customer, cart
/// lines, products by id, order, payment), let the command's `decide` decide, write what it decided, commit.
///
/// An implementation MUST NOT call anything outside while it holds a lock, MAY run `decide` again when the store
/// asks for it (a serialization failure or deadlock), and MUST write errands, history and stock movements in the
/// transaction that decides them.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait OrderRepository: Send + Sync {
    /// Places an order: MUST empty the cart, take the stock and write its movements with it.
    async fn place(&self, command: &PlaceOrder) -> Result<Order, PlaceOrderError>;

    /// Gives the order with its live attempt, after adding one if it has none.
    async fn start_payment(&self, command: &StartPayment) -> Result<Order, StartPaymentError>;

    /// Calls an order off; its stock goes back, once.
    async fn cancel(&self, command: &CancelOrder) -> Result<Order, CancelOrderError>;

    /// Takes a step of fulfilment.
    async fn fulfil(&self, command: &FulfilOrder) -> Result<Order, FulfilOrderError>;

    /// Asks for refunds.
    async fn refund(&self, command: &RefundOrderMoney) -> Result<Order, RefundOrderMoneyError>;

    /// Cancels an order for age; its stock goes back, once.
    async fn expire(&self, command: &ExpireOrder) -> Result<Expiry, StoreError>;

    /// Tells an order what the provider said. A receipt that is linked by it MUST have the events that waited for
    /// it applied in the same transaction. `None` if there is no such order.
    async fn hear(&self, order_id: OrderId, news: &ProviderNews, hearing: Hearing)
    -> Result<Option<Order>, StoreError>;

    /// Records a verified event and applies it, in one transaction; once, however often and however parallel it
    /// comes.
    async fn receive(&self, event: &ProviderEvent, hearing: Hearing) -> Result<EventOutcome, StoreError>;

    /// One order.
    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError>;

    /// Orders, newest first.
    async fn list(
        &self,
        filter: &OrderFilter,
        after: Option<OrderPosition>,
        limit: PageLimit,
    ) -> Result<Page<Order, OrderPosition>, StoreError>;

    /// Claims up to `limit` pending orders that are due at `now`, oldest first, for `lease_seconds` by the store's
    /// own clock. MUST commit before it answers.
    async fn claim_overdue(&self, now: Timestamp, lease_seconds: u32, limit: u32) -> Result<Vec<OrderId>, StoreError>;
}
