//! What a bank does against a charge: disputes and early fraud warnings.

use serde_json::json;

use super::Operation;
use super::dispute::{Dispute, FraudWarning};
use super::payment::{Charge, ChargeStatus};
use crate::error::ApiError;
use crate::ids::new_id;

impl Operation<'_> {
    /// Disputes a charge; from then on it can no longer be refunded.
    pub(crate) fn dispute_charge(&mut self, id: &str, reason: &str) -> Result<String, ApiError> {
        let charge = self.paid_charge(id)?;
        let dispute = Dispute {
            id: new_id("dp"),
            created: self.now,
            amount: charge.unrefunded(),
            currency: charge.currency,
            charge: charge.id.clone(),
            payment_intent: charge.payment_intent,
            reason: reason.to_owned(),
        };
        if let Some(charge) = self.account.charges.get_mut(&charge.id) {
            charge.disputed = true;
        }
        let dispute_id = dispute.id.clone();
        let object = dispute.to_json();
        self.account.disputes.add(dispute);
        self.emit("charge.dispute.created", &object, None);
        self.emit_charge("charge.updated", &charge.id, Some(json!({ "disputed": false })));
        Ok(dispute_id)
    }

    pub(crate) fn warn_of_fraud(&mut self, id: &str, fraud_type: &str) -> Result<String, ApiError> {
        let charge = self.paid_charge(id)?;
        let warning = FraudWarning {
            id: new_id("issfr"),
            created: self.now,
            charge: charge.id,
            payment_intent: charge.payment_intent,
            fraud_type: fraud_type.to_owned(),
        };
        let warning_id = warning.id.clone();
        let object = warning.to_json();
        self.account.warnings.add(warning);
        self.emit("radar.early_fraud_warning.created", &object, None);
        Ok(warning_id)
    }

    fn paid_charge(&self, id: &str) -> Result<Charge, ApiError> {
        let charge = self.account.charge(id, "charge")?;
        if charge.status == ChargeStatus::Succeeded {
            return Ok(charge.clone());
        }
        Err(ApiError::refused(format!(
            "Charge {id} is {}; only a succeeded one can be disputed.",
            charge.status.as_str()
        )))
    }
}
