//! Orders: placing, paying, cancelling, fulfilling, refunding, expiring. One file per use case; each command
//! decides by itself on what was loaded under lock, and the adapter executes.

mod backlog;
mod cancel;
mod change;
mod errands;
mod events;
mod expire;
mod fulfil;
mod hear;
#[expect(clippy::module_inception, reason = "the feature and its aggregate bear one name")]
mod order;
mod place;
mod place_batch;
mod reconcile;
mod refund;
mod replay_event;
mod repository;
#[cfg(any(test, feature = "mocks"))]
pub mod sample;
mod service;
mod start_payment;
mod state;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "mocks"))]
pub use backlog::MockBacklogRepository;
pub use backlog::{Backlog, BacklogRepository};
pub use cancel::{CancelOrder, CancelOrderError};
pub use change::{Errand, OrderChange};
pub use errands::{ErrandSignal, Task, TaskRepository};
#[cfg(any(test, feature = "mocks"))]
pub use errands::{MockErrandSignal, MockTaskRepository};
pub use events::EventRepository;
#[cfg(any(test, feature = "mocks"))]
pub use events::MockEventRepository;
pub use expire::{ExpireOrder, Expiry, Sweep};
pub use fulfil::{FulfilOrder, FulfilOrderError, FulfilmentStep};
pub use hear::{Hearing, ProviderNews};
pub use order::{Flag, HistoryEntry, Order, OrderLine, Party, Payability};
pub use place::{CartProduct, PlaceOrder, PlaceOrderError, PlaceSnapshot};
pub use place_batch::{Buyer, PlaceBatch, ProductInCart};
#[cfg(any(test, feature = "mocks"))]
pub use reconcile::MockUnsettledRepository;
pub use reconcile::{Drift, ReconcileMode, Reconciler, Reconciliation, Unasked, UnheardEvent, UnsettledRepository};
pub use refund::{RefundOrderMoney, RefundOrderMoneyError};
pub use replay_event::ReplayEventError;
#[cfg(any(test, feature = "mocks"))]
pub use repository::MockOrderRepository;
pub use repository::{EventOutcome, OrderFilter, OrderPosition, OrderRepository};
pub use service::{OrderPolicy, OrderService};
pub use start_payment::{StartPayment, StartPaymentError};
pub use state::{Cancellation, CancelledBy, InvalidTransition, OrderState, OrderStatus, Shipment};
