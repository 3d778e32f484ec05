//! Refunds, whose status may still fall after it stood at succeeded.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::payment::MethodKind;
use super::shelf::Shelved;
use crate::params::Metadata;

/// A refund's status, in Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// On its way; the money counts as refunded.
    Pending,
    /// Waits for the customer; the money counts as refunded.
    RequiresAction,
    /// Done, as far as anybody knows.
    Succeeded,
    /// The bank sent the money back to us.
    Failed,
    /// Called off before it was carried out.
    Canceled,
}

impl RefundStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the amount counts as refunded on the charge.
    pub(crate) fn holds_money(self) -> bool {
        match self {
            Self::Pending | Self::RequiresAction | Self::Succeeded => true,
            Self::Failed | Self::Canceled => false,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) created: i64,
    /// Minor units.
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) status: RefundStatus,
    pub(crate) charge: String,
    pub(crate) payment_intent: String,
    pub(crate) method: MethodKind,
    pub(crate) reason: Option<String>,
    pub(crate) failure_reason: Option<String>,
    pub(crate) balance_transaction: String,
    /// Made when the refund fails.
    pub(crate) failure_balance_transaction: Option<String>,
    /// The bank's reference, known a while after the refund.
    pub(crate) reference: Option<String>,
    pub(crate) metadata: Metadata,
}

impl Shelved for Refund {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

impl Refund {
    pub(crate) fn to_json(&self) -> Value {
        let mut object = json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "customer_account": null,
            "destination_details": self.destination_details(),
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "payment_method": null,
            "reason": self.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": self.status.as_str(),
            "transfer_reversal": null,
        });
        if self.status == RefundStatus::Pending {
            object["pending_reason"] = json!("processing");
        }
        if let Some(reason) = &self.failure_reason {
            object["failure_reason"] = json!(reason);
            object["failure_balance_transaction"] = json!(self.failure_balance_transaction);
        }
        if self.status == RefundStatus::RequiresAction {
            object["next_action"] = json!({ "type": "display_details", "display_details": {
                "email_sent": { "email_sent_at": self.created, "email_sent_to": "customer@example.com" },
                "expires_at": self.created + 7 * 86_400,
            }});
        }
        object
    }

    pub(crate) fn destination_details(&self) -> Value {
        match self.method {
            MethodKind::Card => json!({
                "type": "card",
                "card": {
                    "reference": self.reference,
                    "reference_status": if self.reference.is_some() { "available" } else { "pending" },
                    "reference_type": "acquirer_reference_number",
                    "type": "refund",
                },
            }),
            MethodKind::UsBankAccount => json!({
                "type": "us_bank_transfer",
                "us_bank_transfer": { "reference": self.reference, "reference_status": null },
            }),
            MethodKind::SepaDebit => json!({
                "type": "eu_bank_transfer",
                "eu_bank_transfer": { "reference": self.reference, "reference_status": null },
            }),
        }
    }
}
