//! Calling an order off, by its customer or an admin (contract 3, "Order").

use crate::account::Role;
use crate::clock::{Ids, Timestamp};
use crate::fraud::{CustomerStanding, FraudLimits, FraudRefusal};
use crate::id::{OrderId, UserId};
use crate::idempotency::{Claim, ClaimLost};
use crate::order::{Cancellation, CancelledBy, InvalidTransition, Order, OrderChange, OrderService, OrderStatus};
use crate::store::StoreError;
use crate::text::CancelReason;

/// The wish to call an order off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelOrder {
    /// Which order.
    pub order_id: OrderId,
    /// Who wishes it.
    pub actor_id: UserId,
    /// As what.
    pub role: Role,
    /// Why, if they said.
    pub reason: Option<CancelReason>,
    /// When.
    pub at: Timestamp,
    /// The limits of the fraud rules.
    pub fraud: FraudLimits,
    /// The claim of its idempotency key, if it has one.
    pub claim: Option<Claim>,
}

/// Why the order stands as it was.
#[derive(Debug, thiserror::Error)]
pub enum CancelOrderError {
    /// There is no such order, or it is another customer's.
    #[error("there is no such order")]
    NotFound,
    /// A customer can't call off what is paid.
    #[error("the order is paid; ask the shop to cancel it")]
    AlreadyPaid,
    /// The order can't be called off any more.
    #[error(transparent)]
    InvalidTransition(#[from] InvalidTransition),
    /// A fraud rule refuses.
    #[error(transparent)]
    Refused(#[from] FraudRefusal),
    /// Another request with the same key runs now.
    #[error(transparent)]
    ClaimLost(#[from] ClaimLost),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CancelOrder {
    /// Decides, on what was loaded under the locks of customer, products and order.
    pub fn decide(
        &self,
        order: Order,
        standing: &CustomerStanding,
        ids: &dyn Ids,
    ) -> Result<OrderChange, CancelOrderError> {
        let by = match self.role {
            Role::Admin => CancelledBy::Admin,
            Role::Customer => self.customer_may_cancel(&order, standing)?,
        };
        let mut change = OrderChange::of(order);
        change.cancel(Cancellation { at: self.at, by, reason: self.reason.clone() }, Some(self.actor_id))?;
        change.refund_payment(ids);
        Ok(change)
    }

    fn customer_may_cancel(&self, order: &Order, standing: &CustomerStanding) -> Result<CancelledBy, CancelOrderError> {
        if order.customer_id != self.actor_id {
            return Err(CancelOrderError::NotFound);
        }
        match order.status() {
            OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Delivered => Err(CancelOrderError::AlreadyPaid),
            OrderStatus::Cancelled => {
                Err(InvalidTransition { from: OrderStatus::Cancelled, to: OrderStatus::Cancelled }.into())
            }
            OrderStatus::Pending => {
                self.fraud.may_cancel(standing)?;
                Ok(CancelledBy::Customer)
            }
        }
    }
}

impl OrderService {
    /// Calls an order off; what must follow at the provider begins at once. If an earlier request with the same
    /// idempotency key has done it, the order as it stands is the answer.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn cancel(&self, command: &CancelOrder) -> Result<Order, CancelOrderError> {
        if let Some(order_id) = command.claim.as_ref().and_then(|claim| claim.committed) {
            return self.orders.find(order_id).await?.ok_or(CancelOrderError::NotFound);
        }
        let cancelled = self.orders.cancel(command).await;
        if let Err(CancelOrderError::Refused(refusal)) = &cancelled {
            refusal.report(command.actor_id);
        }
        let order = cancelled?;
        self.errands.wake();
        Ok(order)
    }
}
