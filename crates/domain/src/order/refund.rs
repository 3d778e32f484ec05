//! An admin gives money back: what is left of the payment, and what failed to go back before (contract 2,
//! `POST /admin/orders/{id}/refund`).

use crate::clock::{Ids, Timestamp};
use crate::id::{OrderId, UserId};
use crate::order::{Order, OrderChange, OrderService};
use crate::store::StoreError;

/// The wish to give money back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundOrderMoney {
    /// Of which order.
    pub order_id: OrderId,
    /// Which admin.
    pub admin_id: UserId,
    /// When.
    pub at: Timestamp,
}

/// Why nothing was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RefundOrderMoneyError {
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// Nothing of it is left to refund, or a refund is under way.
    #[error("nothing of this order is left to refund, or a refund is under way")]
    NotRefundable,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RefundOrderMoney {
    /// Decides, on the order under lock. Stock and the order's own status stay.
    pub fn decide(&self, order: Order, ids: &dyn Ids) -> Result<OrderChange, RefundOrderMoneyError> {
        let mut change = OrderChange::of(order);
        let receipts = 0..change.order.receipts.len();
        let asked = receipts.filter(|receipt| change.request_refund(*receipt, ids)).count();
        if asked == 0 { Err(RefundOrderMoneyError::NotRefundable) } else { Ok(change) }
    }
}

impl OrderService {
    /// Asks for refunds; they begin at once and are repeated until the provider's last word.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn refund(&self, command: &RefundOrderMoney) -> Result<Order, RefundOrderMoneyError> {
        let order = self.orders.refund(command).await?;
        tracing::info!(order.id = %command.order_id, admin.id = %command.admin_id, "an admin refunds an order");
        self.errands.wake();
        Ok(order)
    }
}
