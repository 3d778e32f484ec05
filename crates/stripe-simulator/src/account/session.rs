//! Checkout sessions: from open to complete or expired, and how they look on the wire.

use serde_json::{Map, Value, json};

use super::catalogue::{Price, Product};
use super::payment::MethodKind;
use super::shelf::Shelved;
use crate::params::Metadata;
use crate::version::ApiVersion;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionStatus {
    Open,
    Complete,
    Expired,
}

impl SessionStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct LineItem {
    pub(crate) id: String,
    pub(crate) quantity: i64,
    pub(crate) price: Price,
    pub(crate) product: Product,
}

impl LineItem {
    /// Quantity times unit amount, in minor units; saturates far above what can be charged.
    pub(crate) fn total_minor(&self) -> i64 {
        self.price.unit_amount.saturating_mul(self.quantity)
    }

    /// The product stays an id, as it does in Stripe's answers unless it is expanded.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "item",
            "adjustable_quantity": null,
            "amount_discount": 0,
            "amount_subtotal": self.total_minor(),
            "amount_tax": 0,
            "amount_total": self.total_minor(),
            "currency": self.price.currency,
            "description": self.product.name,
            "metadata": {},
            "price": self.price.to_json(),
            "quantity": self.quantity,
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) expires_at: i64,
    pub(crate) status: SessionStatus,
    pub(crate) is_paid: bool,
    pub(crate) currency: String,
    pub(crate) amount_total: i64,
    pub(crate) line_items: Vec<LineItem>,
    pub(crate) client_reference_id: Option<String>,
    pub(crate) customer_email: Option<String>,
    /// The e-mail that the customer gave on the page.
    pub(crate) paid_by_email: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) intent_metadata: Metadata,
    pub(crate) intent_description: Option<String>,
    pub(crate) success_url: String,
    pub(crate) cancel_url: Option<String>,
    /// The page's address; shown only while the session is open.
    pub(crate) page_url: String,
    /// Made at the first attempt to pay, shown once the session is complete.
    pub(crate) payment_intent: Option<String>,
    pub(crate) method: MethodKind,
    pub(crate) method_types: Vec<String>,
    pub(crate) locale: Option<String>,
    pub(crate) submit_type: Option<String>,
    pub(crate) billing_address_collection: Option<String>,
}

impl Shelved for Session {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

impl Session {
    pub(crate) fn shown_intent(&self) -> Option<&str> {
        match self.status {
            SessionStatus::Complete => self.payment_intent.as_deref(),
            SessionStatus::Open | SessionStatus::Expired => None,
        }
    }

    /// `success_url` with the session's id in its place, escaped as a header needs it.
    pub(crate) fn return_url(&self) -> String {
        let address = self.success_url.replace("{CHECKOUT_SESSION_ID}", &self.id);
        url::Url::parse(&address).map_or(address, String::from)
    }

    pub(crate) fn email(&self) -> Option<&str> {
        self.paid_by_email.as_deref().or(self.customer_email.as_deref())
    }

    /// The object without `line_items`, which only an expansion adds.
    pub(crate) fn to_json(&self, version: &ApiVersion) -> Value {
        let mut object = self.facts(version);
        object.extend(unused_features());
        Value::Object(object)
    }

    fn facts(&self, version: &ApiVersion) -> Map<String, Value> {
        let is_open = self.status == SessionStatus::Open;
        let hosted = if version.is_endive_or_newer() { "hosted_page" } else { "hosted" };
        as_map(json!({
            "id": self.id,
            "object": "checkout.session",
            "amount_subtotal": self.amount_total,
            "amount_total": self.amount_total,
            "billing_address_collection": self.billing_address_collection,
            "cancel_url": self.cancel_url,
            "client_reference_id": self.client_reference_id,
            "created": self.created,
            "currency": self.currency,
            "customer_details": self.customer_details(),
            "customer_email": self.customer_email,
            "expires_at": self.expires_at,
            "livemode": false,
            "locale": self.locale,
            "metadata": self.metadata,
            "mode": "payment",
            "payment_intent": self.shown_intent(),
            "payment_method_types": self.method_types,
            "payment_status": if self.is_paid { "paid" } else { "unpaid" },
            "status": self.status.as_str(),
            "submit_type": self.submit_type,
            "success_url": self.success_url,
            "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
            "ui_mode": hosted,
            "url": is_open.then_some(&self.page_url),
        }))
    }

    fn customer_details(&self) -> Value {
        if self.status != SessionStatus::Complete && self.customer_email.is_none() {
            return Value::Null;
        }
        json!({
            "address": (self.status == SessionStatus::Complete).then(empty_address),
            "business_name": null,
            "email": self.email(),
            "individual_name": null,
            "name": null,
            "phone": null,
            "tax_exempt": "none",
            "tax_ids": (self.status == SessionStatus::Complete).then(|| json!([])),
        })
    }
}

pub(crate) fn empty_address() -> Value {
    json!({ "city": null, "country": "US", "line1": null, "line2": null, "postal_code": null, "state": null })
}

pub(crate) fn as_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// What a session carries for features that the simulator does not play.
fn unused_features() -> Map<String, Value> {
    as_map(json!({
        "adaptive_pricing": { "enabled": false },
        "after_expiration": null,
        "allow_promotion_codes": null,
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
        "branding_settings": null,
        "client_secret": null,
        "collected_information": null,
        "consent": null,
        "consent_collection": null,
        "currency_conversion": null,
        "custom_fields": [],
        "custom_text": {
            "after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null,
        },
        "customer": null,
        "customer_account": null,
        "customer_creation": "if_required",
        "discounts": [],
        "integration_identifier": null,
        "invoice": null,
        "invoice_creation": {
            "enabled": false,
            "invoice_data": {
                "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null, "issuer": null,
                "metadata": {}, "rendering_options": null,
            },
        },
        "managed_payments": null,
        "origin_context": null,
        "payment_link": null,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": null,
        "payment_method_options": {},
        "permissions": null,
        "phone_number_collection": { "enabled": false },
        "recovered_from": null,
        "saved_payment_method_options": null,
        "setup_intent": null,
        "shipping_address_collection": null,
        "shipping_cost": null,
        "shipping_options": [],
        "subscription": null,
        "wallet_options": null,
    }))
}
