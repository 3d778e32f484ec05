//! What a decision about an order changes: the order as it is after, and what must follow from it.

use crate::clock::{Ids, Timestamp};
use crate::id::{AttemptId, RefundRequestId, UserId};
use crate::order::{Cancellation, CancelledBy, Flag, HistoryEntry, InvalidTransition, Order, OrderState, Party};
use crate::payment::{Receipt, ReceiptKind};

/// Something that must yet happen at the provider. It is stored in the transaction that decides it, and repeated
/// until the provider's last word is known (contract 3.3 and 3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Errand {
    /// Close the session of an attempt, whatever came of opening it.
    CloseSession(AttemptId),
    /// Ask for a refund.
    Refund(RefundRequestId),
}

/// A decision about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderChange {
    /// The order as it is after.
    pub order: Order,
    /// What must yet happen at the provider.
    pub errands: Vec<Errand>,
    /// Whether the units of its lines go back into stock.
    pub restock: bool,
}

/// Who moves an order, for its history.
#[derive(Debug, Clone)]
pub(crate) struct Mover {
    pub by: Party,
    pub actor_id: Option<UserId>,
    pub reason: Option<String>,
}

impl Mover {
    pub(crate) const fn provider() -> Self {
        Self { by: Party::Provider, actor_id: None, reason: None }
    }

    pub(crate) const fn admin(id: UserId) -> Self {
        Self { by: Party::Admin, actor_id: Some(id), reason: None }
    }
}

impl OrderChange {
    /// Nothing changes, to begin with.
    pub(crate) const fn of(order: Order) -> Self {
        Self { order, errands: Vec::new(), restock: false }
    }

    /// Moves the order and writes its history.
    pub(crate) fn step(
        &mut self,
        at: Timestamp,
        mover: Mover,
        step: impl FnOnce(OrderState) -> Result<OrderState, InvalidTransition>,
    ) -> Result<(), InvalidTransition> {
        let from = self.order.state.status();
        self.order.state = step(self.order.state.clone())?;
        let Mover { by, actor_id, reason } = mover;
        let to = self.order.state.status();
        self.order.history.push(HistoryEntry { from: Some(from), to, at, by, actor_id, reason });
        Ok(())
    }

    /// Calls the order off: its stock goes back, its session is closed.
    pub(crate) fn cancel(
        &mut self,
        cancellation: Cancellation,
        actor: Option<UserId>,
    ) -> Result<(), InvalidTransition> {
        let by = match cancellation.by {
            CancelledBy::Customer => Party::Customer,
            CancelledBy::Admin => Party::Admin,
            CancelledBy::System => Party::System,
        };
        let reason = cancellation.reason.as_ref().map(ToString::to_string);
        let at = cancellation.at;
        self.step(at, Mover { by, actor_id: actor, reason }, |state| state.cancel(cancellation))?;
        self.restock = true;
        self.close_live_attempts();
        Ok(())
    }

    /// Sees to it that nobody can pay any more.
    pub(crate) fn close_live_attempts(&mut self) {
        let live = self.order.attempts.iter().filter(|attempt| attempt.is_live());
        self.errands.extend(live.map(|attempt| Errand::CloseSession(attempt.id)));
    }

    /// Asks for what is left of a receipt; says whether there was something to ask for.
    pub(crate) fn request_refund(&mut self, receipt: usize, ids: &dyn Ids) -> bool {
        let Some(receipt) = self.order.receipts.get_mut(receipt) else { return false };
        let Some(request) = receipt.request_refund(RefundRequestId::mint(ids)) else { return false };
        self.errands.push(Errand::Refund(request));
        self.follow_refunds();
        true
    }

    /// Raises a flag.
    pub(crate) fn flag(&mut self, flag: Flag) {
        self.order.flags.insert(flag);
    }

    /// Brings the payment's status in line with the refunds of its receipt.
    pub(crate) fn follow_refunds(&mut self) {
        let Some(standing) = self.order.payment_receipt().map(Receipt::standing) else { return };
        // Only a payment that was completed has a receipt of kind `Payment`, so following is always a move.
        self.order.payment = self.order.payment.follow(standing).unwrap_or(self.order.payment);
    }

    /// Asks for what is left of the payment: nothing, if it went back already or is on its way.
    pub(crate) fn refund_payment(&mut self, ids: &dyn Ids) {
        let payment = self.order.receipts.iter().position(|receipt| receipt.kind == ReceiptKind::Payment);
        if let Some(receipt) = payment {
            self.request_refund(receipt, ids);
        }
    }

    /// A further attempt begins: the payment is open again.
    pub(crate) fn reopen_payment(&mut self) {
        self.order.payment = self.order.payment.retry().unwrap_or(self.order.payment);
    }
}
