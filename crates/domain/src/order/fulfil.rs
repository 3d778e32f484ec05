//! Fulfilment: an admin ships a paid order, sees it delivered, and clears its flags.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::id::{OrderId, UserId};
use crate::order::change::Mover;
use crate::order::{Flag, InvalidTransition, Order, OrderChange, OrderService, OrderStatus};
use crate::payment::PaymentStatus;
use crate::store::StoreError;
use crate::text::TrackingNumber;

/// An admin's wish for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FulfilOrder {
    /// Which order.
    pub order_id: OrderId,
    /// Which admin.
    pub admin_id: UserId,
    /// What is wished.
    pub step: FulfilmentStep,
    /// When.
    pub at: Timestamp,
}

/// A step of fulfilment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FulfilmentStep {
    /// It goes on its way.
    Ship(Option<TrackingNumber>),
    /// It arrived.
    Deliver,
    /// An admin looked at what the flags are for.
    ClearFlags,
}

/// Why the order stands as it was.
#[derive(Debug, thiserror::Error)]
pub enum FulfilOrderError {
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// The step is not possible from where the order stands, or its money went back.
    #[error(transparent)]
    InvalidTransition(#[from] InvalidTransition),
    /// Someone must look at its flags first.
    #[error("the order is flagged; look into it and clear its flags before it is shipped")]
    Flagged {
        /// Which flags.
        flags: BTreeSet<Flag>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FulfilOrder {
    /// Decides, on the order under lock.
    pub fn decide(&self, order: Order) -> Result<OrderChange, FulfilOrderError> {
        let mover = Mover::admin(self.admin_id);
        let mut change = OrderChange::of(order);
        match &self.step {
            FulfilmentStep::Ship(tracking_number) => {
                may_ship(&change.order)?;
                change.step(self.at, mover, |state| state.ship(self.at, tracking_number.clone()))?;
            }
            FulfilmentStep::Deliver => change.step(self.at, mover, |state| state.deliver(self.at))?,
            FulfilmentStep::ClearFlags => change.order.flags.clear(),
        }
        Ok(change)
    }
}

/// Only what is paid and whose money stays is shipped, and nothing that is flagged (contract 3.9 and
/// `POST /admin/orders/{id}/refund`).
fn may_ship(order: &Order) -> Result<(), FulfilOrderError> {
    if order.status() != OrderStatus::Paid || order.payment != PaymentStatus::Completed {
        return Err(InvalidTransition { from: order.status(), to: OrderStatus::Shipped }.into());
    }
    if order.flags.is_empty() { Ok(()) } else { Err(FulfilOrderError::Flagged { flags: order.flags.clone() }) }
}

impl OrderService {
    /// Takes a step of fulfilment.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn fulfil(&self, command: &FulfilOrder) -> Result<Order, FulfilOrderError> {
        self.orders.fulfil(command).await
    }
}
