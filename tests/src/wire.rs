//! The shapes of the contract as a client reads them; a field too many or of another type fails the test.

use serde::Deserialize;

/// `product`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what each is")]
pub struct Product {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub price: String,
    pub currency: String,
    pub stock: i64,
    pub archived_at: Option<String>,
    pub created_at: String,
    pub updated_at: String,
}

/// `order`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what each is")]
pub struct Order {
    pub id: String,
    pub user_id: String,
    pub status: String,
    pub items: Vec<OrderItem>,
    pub total: String,
    pub currency: String,
    pub shipping_address: String,
    pub payment: Payment,
    pub extra_receipts: Vec<ExtraReceipt>,
    pub tracking_number: Option<String>,
    pub flags: Vec<String>,
    pub created_at: String,
    pub expires_at: String,
    pub paid_at: Option<String>,
    pub cancelled_at: Option<String>,
    pub cancelled_by: Option<String>,
    pub cancel_reason: Option<String>,
    pub history: Vec<HistoryEntry>,
}

/// One of an order's `items`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what each is")]
pub struct OrderItem {
    pub product_id: String,
    pub name: String,
    pub quantity: i64,
    pub unit_price: String,
    pub line_total: String,
}

/// An order's `payment`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what each is")]
pub struct Payment {
    pub status: String,
    pub checkout_url: Option<String>,
    pub amount: String,
    pub refunded_amount: String,
}

/// One of an order's `extraReceipts`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what each is")]
pub struct ExtraReceipt {
    pub amount: String,
    pub currency: String,
    pub reason: String,
    pub refund_status: String,
    pub at: String,
}

/// One entry of an order's `history`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what each is")]
pub struct HistoryEntry {
    pub from: Option<String>,
    pub to: String,
    pub at: String,
    pub by: String,
    pub actor_id: Option<String>,
    pub reason: Option<String>,
}

/// `event`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what each is")]
pub struct Event {
    pub id: String,
    pub provider_event_id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: Option<String>,
    pub order_id: Option<String>,
    pub received_at: String,
    pub applied_at: Option<String>,
    pub payload: Option<serde_json::Value>,
}

impl Order {
    /// Its history as `FROM>TO by`, without times.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        let step = |entry: &HistoryEntry| format!("{}>{} {}", entry.from.as_deref().unwrap_or(""), entry.to, entry.by);
        self.history.iter().map(step).collect()
    }

    /// Order and payment in two words, e.g. `PAID COMPLETED`.
    #[must_use]
    pub fn standing(&self) -> String {
        format!("{} {}", self.status, self.payment.status)
    }

    /// The reasons of its extra receipts, each with how its refund stands, e.g. `LATE succeeded`.
    #[must_use]
    pub fn extras(&self) -> Vec<String> {
        let word = |extra: &ExtraReceipt| format!("{} {}", extra.reason, extra.refund_status);
        self.extra_receipts.iter().map(word).collect()
    }
}
