//! What can happen to a refund, and what it does to its charge.

use serde_json::json;

use super::Operation;
use super::money;
use super::payment::{Charge, ChargeStatus};
use super::refund::{Refund, RefundStatus};
use crate::error::ApiError;
use crate::ids::{new_id, token};
use crate::params::Metadata;

/// Which charge to refund, by how much and why.
#[derive(Debug, Clone, Default)]
pub(crate) struct RefundRequest {
    pub(crate) charge: Option<String>,
    pub(crate) payment_intent: Option<String>,
    /// Minor units; `None` is all that is left.
    pub(crate) amount: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: Metadata,
}

/// How a refund will turn out.
#[derive(Debug, Clone)]
pub(crate) struct PlannedRefund {
    pub(crate) status: RefundStatus,
    pub(crate) failure_reason: String,
}

impl Operation<'_> {
    pub(crate) fn plan_refund(&mut self, plan: PlannedRefund) {
        self.account.planned_refunds.push_back(plan);
    }

    pub(crate) fn create_refund(&mut self, request: RefundRequest) -> Result<String, ApiError> {
        let charge = self.refundable_charge(&request)?;
        let amount = request.amount.unwrap_or(charge.unrefunded());
        if amount > charge.unrefunded() {
            return Err(ApiError::refused(format!(
                "Refund amount ({}) is greater than unrefunded amount on charge ({})",
                money::display(amount, &charge.currency),
                money::display(charge.unrefunded(), &charge.currency)
            ))
            .param("amount"));
        }
        let plan = self.account.planned_refunds.pop_front();
        let status = plan.as_ref().map_or(RefundStatus::Succeeded, |plan| plan.status);
        let failure_reason = plan.filter(|_| status == RefundStatus::Failed).map(|plan| plan.failure_reason);
        let refund = Refund {
            id: new_id("re"),
            created: self.now,
            amount,
            currency: charge.currency.clone(),
            status,
            charge: charge.id.clone(),
            payment_intent: charge.payment_intent.clone(),
            method: charge.method,
            reason: request.reason,
            failure_balance_transaction: failure_reason.is_some().then(|| new_id("txn")),
            failure_reason,
            balance_transaction: new_id("txn"),
            reference: None,
            metadata: request.metadata,
        };
        let id = refund.id.clone();
        self.account.refunds.add(refund);
        self.announce_new_refund(&id, &charge.id, amount, status);
        Ok(id)
    }

    fn refundable_charge(&self, request: &RefundRequest) -> Result<Charge, ApiError> {
        let charge = self.named_charge(request)?;
        if charge.status != ChargeStatus::Succeeded {
            return Err(ApiError::refused(format!(
                "Charge {} is {}; only a succeeded charge can be refunded.",
                charge.id,
                charge.status.as_str()
            )));
        }
        if charge.disputed {
            return Err(ApiError::refused(format!(
                "Charge {} has been charged back; cannot issue a refund.",
                charge.id
            ))
            .code("charge_disputed"));
        }
        if charge.is_fully_refunded() {
            return Err(ApiError::refused(format!("Charge {} has already been refunded.", charge.id))
                .code("charge_already_refunded"));
        }
        Ok(charge.clone())
    }

    fn named_charge(&self, request: &RefundRequest) -> Result<&Charge, ApiError> {
        if let Some(id) = &request.charge {
            return self.account.charge(id, "charge");
        }
        let id = request.payment_intent.as_deref().unwrap_or_default();
        let intent = self.account.intent(id, "payment_intent")?;
        intent
            .latest_charge
            .as_deref()
            .and_then(|charge| self.account.charges.get(charge))
            .filter(|charge| charge.status == ChargeStatus::Succeeded)
            .ok_or_else(|| {
                ApiError::refused(format!("This PaymentIntent ({id}) does not have a successful charge to refund."))
                    .param("payment_intent")
            })
    }

    fn announce_new_refund(&mut self, id: &str, charge: &str, amount: i64, status: RefundStatus) {
        self.emit_refund("refund.created", id, None);
        match status {
            RefundStatus::Succeeded => {
                self.take_from_charge(charge, amount);
                self.give_reference(id);
            }
            RefundStatus::Pending | RefundStatus::RequiresAction => self.take_from_charge(charge, amount),
            RefundStatus::Failed | RefundStatus::Canceled => {
                self.emit_refund("refund.updated", id, Some(json!({ "status": "pending" })));
                self.emit_refund("refund.failed", id, Some(json!({ "status": "pending" })));
            }
        }
    }

    /// The bank's reference becomes known: what makes Stripe send `refund.updated` after an ordinary refund.
    fn give_reference(&mut self, id: &str) {
        let Some(refund) = self.account.refunds.get_mut(id) else { return };
        let before = refund.destination_details();
        refund.reference = Some(token(12));
        self.emit_refund("refund.updated", id, Some(json!({ "destination_details": before })));
    }

    fn take_from_charge(&mut self, charge: &str, amount: i64) {
        let previous = self.move_refunded_amount(charge, amount);
        self.emit_charge("charge.refunded", charge, previous);
    }

    fn give_back_to_charge(&mut self, charge: &str, amount: i64) {
        let previous = self.move_refunded_amount(charge, -amount);
        self.emit_charge("charge.updated", charge, previous);
    }

    fn move_refunded_amount(&mut self, charge: &str, by: i64) -> Option<serde_json::Value> {
        let charge = self.account.charges.get_mut(charge)?;
        let before = json!({ "amount_refunded": charge.amount_refunded, "refunded": charge.is_fully_refunded() });
        charge.amount_refunded += by;
        Some(before)
    }

    /// A refund that was on its way arrives.
    pub(crate) fn settle_refund(&mut self, id: &str) -> Result<(), ApiError> {
        let before = self.account.refund(id, "refund")?.status;
        if !matches!(before, RefundStatus::Pending | RefundStatus::RequiresAction) {
            return Err(wrong_status(id, before, "can be settled"));
        }
        self.set_refund_status(id, RefundStatus::Succeeded, None);
        self.emit_refund("refund.updated", id, Some(json!({ "status": before.as_str() })));
        Ok(())
    }

    /// The bank sends a refund back, even one that had succeeded.
    pub(crate) fn fail_refund(&mut self, id: &str, reason: &str) -> Result<(), ApiError> {
        let refund = self.account.refund(id, "refund")?;
        let (before, charge, amount) = (refund.status, refund.charge.clone(), refund.amount);
        if !before.holds_money() {
            return Err(wrong_status(id, before, "can fail"));
        }
        self.set_refund_status(id, RefundStatus::Failed, Some(reason));
        self.give_back_to_charge(&charge, amount);
        let previous = json!({ "status": before.as_str() });
        self.emit_refund("refund.updated", id, Some(previous.clone()));
        self.emit_refund("refund.failed", id, Some(previous));
        Ok(())
    }

    /// Calls off a refund that waits for the customer.
    pub(crate) fn cancel_refund(&mut self, id: &str) -> Result<(), ApiError> {
        let refund = self.account.refund(id, "refund")?;
        let (before, charge, amount) = (refund.status, refund.charge.clone(), refund.amount);
        if before != RefundStatus::RequiresAction {
            return Err(wrong_status(id, before, "can be canceled"));
        }
        self.set_refund_status(id, RefundStatus::Canceled, Some("merchant_request"));
        self.give_back_to_charge(&charge, amount);
        self.emit_refund("refund.updated", id, Some(json!({ "status": before.as_str() })));
        Ok(())
    }

    fn set_refund_status(&mut self, id: &str, status: RefundStatus, failure_reason: Option<&str>) {
        if let Some(refund) = self.account.refunds.get_mut(id) {
            refund.status = status;
            if let Some(reason) = failure_reason {
                refund.failure_reason = Some(reason.to_owned());
                refund.failure_balance_transaction = Some(new_id("txn"));
            }
        }
    }
}

fn wrong_status(id: &str, status: RefundStatus, what: &str) -> ApiError {
    ApiError::refused(format!("Refund {id} has the status `{}`; no refund in that status {what}.", status.as_str()))
}
