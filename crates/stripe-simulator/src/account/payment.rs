//! Payment intents and their charges.

use serde_json::{Value, json};

use super::session::empty_address;
use super::shelf::Shelved;
use crate::params::Metadata;

/// What the customer pays with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MethodKind {
    Card,
    /// A bank debit, whose result is known days later.
    UsBankAccount,
    SepaDebit,
}

impl MethodKind {
    /// The delayed method that fits a currency.
    pub(crate) fn delayed(currency: &str) -> Self {
        if currency == "usd" { Self::UsBankAccount } else { Self::SepaDebit }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::UsBankAccount => "us_bank_account",
            Self::SepaDebit => "sepa_debit",
        }
    }

    fn details(self, is_declined: bool) -> Value {
        match self {
            Self::Card => json!({ "type": "card", "card": card(is_declined) }),
            Self::UsBankAccount => json!({
                "type": "us_bank_account",
                "us_bank_account": {
                    "account_holder_type": "individual", "account_type": "checking", "bank_name": "STRIPE TEST BANK",
                    "expected_debit_date": null, "fingerprint": "fp_simulated_bank", "last4": "6789", "mandate": null,
                    "payment_reference": null, "routing_number": "110000000",
                },
            }),
            Self::SepaDebit => json!({
                "type": "sepa_debit",
                "sepa_debit": {
                    "bank_code": "37040044", "branch_code": "", "country": "DE", "expected_debit_date": null,
                    "fingerprint": "fp_simulated_iban", "last4": "3000", "mandate": null,
                },
            }),
        }
    }
}

fn card(is_declined: bool) -> Value {
    json!({
        "amount_authorized": null,
        "authorization_code": null,
        "brand": "visa",
        "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "extended_authorization": { "status": "disabled" },
        "fingerprint": "fp_simulated_card",
        "funding": "credit",
        "incremental_authorization": { "status": "unavailable" },
        "installments": null,
        "last4": if is_declined { "0002" } else { "4242" },
        "mandate": null,
        "multicapture": { "status": "unavailable" },
        "network": "visa",
        "network_token": { "used": false },
        "network_transaction_id": null,
        "overcapture": { "maximum_amount_capturable": 0, "status": "unavailable" },
        "regulated_status": "unregulated",
        "three_d_secure": null,
        "transaction_link_id": null,
        "wallet": null,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    Processing,
    Succeeded,
    Canceled,
}

impl IntentStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) client_secret: String,
    pub(crate) created: i64,
    /// Minor units.
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) status: IntentStatus,
    pub(crate) method: MethodKind,
    pub(crate) payment_method: Option<String>,
    pub(crate) latest_charge: Option<String>,
    pub(crate) decline_code: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) receipt_email: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) cancellation_reason: Option<String>,
}

impl Shelved for PaymentIntent {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

impl PaymentIntent {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": 0,
            "amount_details": { "tip": {} },
            "amount_received": if self.status == IntentStatus::Succeeded { self.amount } else { 0 },
            "application": null,
            "application_fee_amount": null,
            "automatic_payment_methods": null,
            "canceled_at": self.canceled_at,
            "cancellation_reason": self.cancellation_reason,
            "capture_method": "automatic_async",
            "client_secret": self.client_secret,
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "customer_account": null,
            "description": self.description,
            "excluded_payment_method_types": null,
            "last_payment_error": self.last_payment_error(),
            "latest_charge": self.latest_charge,
            "livemode": false,
            "managed_payments": null,
            "metadata": self.metadata,
            "next_action": null,
            "on_behalf_of": null,
            "payment_method": self.payment_method,
            "payment_method_configuration_details": null,
            "payment_method_options": {},
            "payment_method_types": [self.method.as_str()],
            "processing": null,
            "receipt_email": self.receipt_email,
            "review": null,
            "setup_future_usage": null,
            "shipping": null,
            "source": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": self.status.as_str(),
            "transfer_data": null,
            "transfer_group": null,
        })
    }

    fn last_payment_error(&self) -> Value {
        let (Some(decline_code), IntentStatus::RequiresPaymentMethod) = (&self.decline_code, self.status) else {
            return Value::Null;
        };
        json!({
            "charge": self.latest_charge,
            "code": "card_declined",
            "decline_code": decline_code,
            "doc_url": "https://docs.stripe.com/error-codes/card-declined",
            "message": "Your card was declined.",
            "type": "card_error",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChargeStatus {
    Pending,
    Succeeded,
    Failed,
}

impl ChargeStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) created: i64,
    /// Minor units.
    pub(crate) amount: i64,
    /// Minor units of all refunds that have not failed or been canceled.
    pub(crate) amount_refunded: i64,
    pub(crate) currency: String,
    pub(crate) status: ChargeStatus,
    pub(crate) disputed: bool,
    pub(crate) decline_code: Option<String>,
    pub(crate) payment_intent: String,
    pub(crate) method: MethodKind,
    pub(crate) payment_method: String,
    pub(crate) balance_transaction: String,
    pub(crate) email: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
}

impl Shelved for Charge {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

impl Charge {
    pub(crate) fn unrefunded(&self) -> i64 {
        self.amount - self.amount_refunded
    }

    pub(crate) fn is_fully_refunded(&self) -> bool {
        self.status == ChargeStatus::Succeeded && self.amount_refunded >= self.amount
    }

    pub(crate) fn to_json(&self) -> Value {
        let succeeded = self.status == ChargeStatus::Succeeded;
        let failed = self.status == ChargeStatus::Failed;
        json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": if succeeded { self.amount } else { 0 },
            "amount_refunded": self.amount_refunded,
            "application": null,
            "application_fee": null,
            "application_fee_amount": null,
            "balance_transaction": succeeded.then_some(&self.balance_transaction),
            "billing_details": {
                "address": empty_address(), "email": self.email, "name": null, "phone": null, "tax_id": null,
            },
            "calculated_statement_descriptor": "SIMULATED SHOP",
            "captured": succeeded,
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "description": self.description,
            "disputed": self.disputed,
            "failure_balance_transaction": null,
            "failure_code": failed.then_some("card_declined"),
            "failure_message": failed.then_some("Your card was declined."),
            "fraud_details": {},
            "livemode": false,
            "metadata": self.metadata,
            "on_behalf_of": null,
            "outcome": self.outcome(),
            "paid": succeeded,
            "payment_intent": self.payment_intent,
            "payment_method": self.payment_method,
            "payment_method_details": self.method.details(self.decline_code.is_some()),
            "radar_options": {},
            "receipt_email": self.email,
            "receipt_number": null,
            "receipt_url": null,
            "refunded": self.is_fully_refunded(),
            "review": null,
            "shipping": null,
            "source": null,
            "source_transfer": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": self.status.as_str(),
            "transfer_data": null,
            "transfer_group": null,
        })
    }

    fn outcome(&self) -> Value {
        let declined = self.status == ChargeStatus::Failed;
        json!({
            "advice_code": null,
            "network_advice_code": null,
            "network_decline_code": null,
            "network_status": if declined { "declined_by_network" } else { "approved_by_network" },
            "reason": self.decline_code,
            "risk_level": "normal",
            "risk_score": 12,
            "seller_message": if declined {
                "The bank did not return any further details with this decline."
            } else {
                "Payment complete."
            },
            "type": if declined { "issuer_declined" } else { "authorized" },
        })
    }
}

/// A payment method as an expansion shows it.
pub(crate) fn payment_method_json(id: &str, charge: &Charge) -> Value {
    let mut object = json!({
        "id": id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": empty_address(), "email": charge.email, "name": null, "phone": null, "tax_id": null,
        },
        "created": charge.created,
        "customer": null,
        "livemode": false,
        "metadata": {},
        "type": charge.method.as_str(),
    });
    if charge.method == MethodKind::Card {
        object["card"] = json!({
            "brand": "visa",
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
            "country": "US",
            "display_brand": "visa",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": "fp_simulated_card",
            "funding": "credit",
            "generated_from": null,
            "last4": if charge.decline_code.is_some() { "0002" } else { "4242" },
            "networks": { "available": ["visa"], "preferred": null },
            "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true },
            "wallet": null,
        });
    }
    object
}
