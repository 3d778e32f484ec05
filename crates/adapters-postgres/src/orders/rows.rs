//! Rows of the order tables, and their way into the domain's types and back.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::result::Error;
use domain::id::{AttemptId, ProductId, RefundRequestId, UserId};
use domain::money::{Currency, Money};
use domain::order::{
    Cancellation, CancelledBy, Flag, HistoryEntry, Order, OrderLine, OrderState, OrderStatus, Party, Shipment,
};
use domain::payment::{
    Attempt, AttemptState, CheckoutSessionId, Ending, ExtraReason, OpenSession, PaymentIntentId, PaymentStatus,
    ProviderRefundId, Receipt, ReceiptKind, Refund, RefundOutcome, RefundRequest, RefundStatus,
};
use domain::quantity::Quantity;
use domain::text::{CancelReason, ShippingAddress, TrackingNumber};
use uuid::Uuid;

use super::request::StoredRequest;
use crate::error::damaged;
use crate::schema::{checkout_attempts, order_history, order_lines, orders, receipts, refund_requests, refunds};

/// A value that the column's check should have kept out.
fn unknown(column: &str, value: &str) -> Error {
    damaged(format!("{column} holds {value:?}"))
}

#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = orders)]
pub(super) struct OrderRow {
    pub id: Uuid,
    pub customer_id: Uuid,
    pub status: String,
    pub payment_status: String,
    pub total_minor: i64,
    pub currency: String,
    pub shipping_address: String,
    pub tracking_number: Option<String>,
    pub flags: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub due_at: Option<DateTime<Utc>>,
    pub paid_at: Option<DateTime<Utc>>,
    pub shipped_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub cancelled_at: Option<DateTime<Utc>>,
    pub cancelled_by: Option<String>,
    pub cancel_reason: Option<String>,
}

impl OrderRow {
    pub(super) fn of(order: &Order) -> Self {
        let shipment = order.state.shipment();
        let cancellation = order.state.cancellation();
        let delivered_at = match order.state {
            OrderState::Delivered { delivered_at, .. } => Some(delivered_at),
            OrderState::Pending | OrderState::Paid { .. } | OrderState::Shipped(_) | OrderState::Cancelled { .. } => {
                None
            }
        };
        Self {
            id: order.id.uuid(),
            customer_id: order.customer_id.uuid(),
            status: order.status().as_str().into(),
            payment_status: order.payment.as_str().into(),
            total_minor: order.total.amount_minor(),
            currency: order.total.currency().to_string(),
            shipping_address: order.shipping_address.as_str().into(),
            tracking_number: shipment.and_then(|s| s.tracking_number.as_ref()).map(ToString::to_string),
            flags: order.flags.iter().map(|flag| flag.as_str().into()).collect(),
            created_at: order.created_at,
            expires_at: order.expires_at,
            due_at: (order.status() == OrderStatus::Pending).then(|| order.due_at()),
            paid_at: order.state.paid_at(),
            shipped_at: shipment.map(|s| s.shipped_at),
            delivered_at,
            cancelled_at: cancellation.map(|c| c.at),
            cancelled_by: cancellation.map(|c| c.by.as_str().into()),
            cancel_reason: cancellation.and_then(|c| c.reason.as_ref()).map(ToString::to_string),
        }
    }

    /// The order without what other tables hold of it.
    pub(super) fn into_order(self) -> Result<Order, Error> {
        let flag = |word: &String| Flag::parse(word).ok_or_else(|| unknown("orders.flags", word));
        Ok(Order {
            id: self.id.into(),
            customer_id: self.customer_id.into(),
            lines: Vec::new(),
            total: money(self.total_minor, &self.currency)?,
            shipping_address: ShippingAddress::new(&self.shipping_address).map_err(damaged)?,
            flags: self.flags.iter().map(flag).collect::<Result<BTreeSet<_>, _>>()?,
            payment: PaymentStatus::parse(&self.payment_status)
                .ok_or_else(|| unknown("orders.payment_status", &self.payment_status))?,
            attempts: Vec::new(),
            receipts: Vec::new(),
            history: Vec::new(),
            created_at: self.created_at,
            expires_at: self.expires_at,
            state: self.state()?,
        })
    }

    fn state(&self) -> Result<OrderState, Error> {
        let status = OrderStatus::parse(&self.status).ok_or_else(|| unknown("orders.status", &self.status))?;
        Ok(match status {
            OrderStatus::Pending => OrderState::Pending,
            OrderStatus::Paid => OrderState::Paid { paid_at: set("orders.paid_at", self.paid_at)? },
            OrderStatus::Shipped => OrderState::Shipped(self.shipment()?),
            OrderStatus::Delivered => OrderState::Delivered {
                shipment: self.shipment()?,
                delivered_at: set("orders.delivered_at", self.delivered_at)?,
            },
            OrderStatus::Cancelled => {
                OrderState::Cancelled { paid_at: self.paid_at, cancellation: self.cancellation()? }
            }
        })
    }

    fn shipment(&self) -> Result<Shipment, Error> {
        let tracking_number = self.tracking_number.as_deref().map(TrackingNumber::new);
        Ok(Shipment {
            paid_at: set("orders.paid_at", self.paid_at)?,
            shipped_at: set("orders.shipped_at", self.shipped_at)?,
            tracking_number: tracking_number.transpose().map_err(damaged)?,
        })
    }

    fn cancellation(&self) -> Result<Cancellation, Error> {
        let by = set("orders.cancelled_by", self.cancelled_by.as_deref())?;
        let reason = self.cancel_reason.as_deref().map(CancelReason::new);
        Ok(Cancellation {
            at: set("orders.cancelled_at", self.cancelled_at)?,
            by: CancelledBy::parse(by).ok_or_else(|| unknown("orders.cancelled_by", by))?,
            reason: reason.transpose().map_err(damaged)?,
        })
    }
}

fn set<T>(column: &str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| damaged(format!("{column} is null")))
}

pub(super) fn money(amount_minor: i64, currency: &str) -> Result<Money, Error> {
    Ok(Money::from_minor(amount_minor, Currency::parse(currency).map_err(damaged)?))
}

/// A place in a list, as its column holds it. No order comes near the column's bound.
pub(super) fn position(index: usize) -> i16 {
    i16::try_from(index).unwrap_or(i16::MAX)
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = order_lines)]
pub(super) struct LineRow {
    pub order_id: Uuid,
    product_id: Uuid,
    name: String,
    unit_price_minor: i64,
    quantity: i32,
}

impl LineRow {
    pub(super) fn into_line(self, order: &Order) -> Result<OrderLine, Error> {
        Ok(OrderLine {
            product_id: ProductId::from(self.product_id),
            name: self.name,
            unit_price: Money::from_minor(self.unit_price_minor, order.total.currency()),
            quantity: Quantity::new(self.quantity.into()).map_err(damaged)?,
        })
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = order_history)]
pub(super) struct HistoryRow {
    pub order_id: Uuid,
    pub position: i16,
    pub from_status: Option<String>,
    pub to_status: String,
    pub at: DateTime<Utc>,
    pub by: String,
    pub actor_id: Option<Uuid>,
    pub reason: Option<String>,
}

impl HistoryRow {
    pub(super) fn of(order: &Order, index: usize, entry: &HistoryEntry) -> Self {
        Self {
            order_id: order.id.uuid(),
            position: position(index),
            from_status: entry.from.map(|status| status.as_str().into()),
            to_status: entry.to.as_str().into(),
            at: entry.at,
            by: entry.by.as_str().into(),
            actor_id: entry.actor_id.map(UserId::uuid),
            reason: entry.reason.clone(),
        }
    }

    pub(super) fn into_entry(self) -> Result<HistoryEntry, Error> {
        let status = |word: &str| OrderStatus::parse(word).ok_or_else(|| unknown("order_history.status", word));
        Ok(HistoryEntry {
            from: self.from_status.as_deref().map(status).transpose()?,
            to: status(&self.to_status)?,
            at: self.at,
            by: Party::parse(&self.by).ok_or_else(|| unknown("order_history.by", &self.by))?,
            actor_id: self.actor_id.map(UserId::from),
            reason: self.reason,
        })
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = checkout_attempts)]
pub(super) struct AttemptRow {
    pub id: Uuid,
    pub order_id: Uuid,
    pub position: i16,
    pub request: Option<StoredRequest>,
    pub state: String,
    pub session_id: Option<String>,
    pub session_url: Option<String>,
    pub session_expires_at: Option<DateTime<Utc>>,
    pub waits_until: Option<DateTime<Utc>>,
    pub ending: Option<String>,
    pub created_at: DateTime<Utc>,
}

impl AttemptRow {
    pub(super) fn of(order: &Order, index: usize, attempt: &Attempt) -> Self {
        let mut row = Self {
            id: attempt.id.uuid(),
            order_id: order.id.uuid(),
            position: position(index),
            request: attempt.request.as_ref().map(StoredRequest::of),
            state: String::new(),
            session_id: attempt.session_id().map(ToString::to_string),
            session_url: None,
            session_expires_at: None,
            waits_until: None,
            ending: None,
            created_at: attempt.created_at,
        };
        row.state = match &attempt.state {
            AttemptState::Requested => "REQUESTED",
            AttemptState::Open(session) => {
                row.session_url = Some(session.url.clone());
                row.session_expires_at = Some(session.expires_at);
                "OPEN"
            }
            AttemptState::Processing { until, .. } => {
                row.waits_until = Some(*until);
                "PROCESSING"
            }
            AttemptState::Ended { ending, .. } => {
                row.ending = Some(ending_word(*ending).into());
                "ENDED"
            }
        }
        .into();
        row
    }

    pub(super) fn into_attempt(self) -> Result<Attempt, Error> {
        let session_id = self.session_id.map(CheckoutSessionId::new).transpose().map_err(damaged)?;
        let state = match self.state.as_str() {
            "REQUESTED" => AttemptState::Requested,
            "OPEN" => AttemptState::Open(OpenSession {
                id: set("checkout_attempts.session_id", session_id)?,
                url: set("checkout_attempts.session_url", self.session_url)?,
                expires_at: set("checkout_attempts.session_expires_at", self.session_expires_at)?,
            }),
            "PROCESSING" => AttemptState::Processing {
                session_id: set("checkout_attempts.session_id", session_id)?,
                until: set("checkout_attempts.waits_until", self.waits_until)?,
            },
            "ENDED" => {
                let word = set("checkout_attempts.ending", self.ending)?;
                let ending = ENDINGS.into_iter().find(|ending| ending_word(*ending) == word);
                let ending = ending.ok_or_else(|| unknown("checkout_attempts.ending", &word))?;
                AttemptState::Ended { session_id, ending }
            }
            other => return Err(unknown("checkout_attempts.state", other)),
        };
        let id = AttemptId::from(self.id);
        let request = self.request.map(|stored| stored.into_request(id, self.order_id)).transpose()?;
        Ok(Attempt { id, request, state, created_at: self.created_at })
    }
}

const ENDINGS: [Ending; 4] = [Ending::Refused, Ending::Expired, Ending::Paid, Ending::Failed];

const fn ending_word(ending: Ending) -> &'static str {
    match ending {
        Ending::Refused => "REFUSED",
        Ending::Expired => "EXPIRED",
        Ending::Paid => "PAID",
        Ending::Failed => "FAILED",
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = receipts)]
pub(super) struct ReceiptRow {
    pub intent: String,
    pub order_id: Uuid,
    pub position: i16,
    pub amount_minor: i64,
    pub currency: String,
    pub kind: String,
    pub received_at: DateTime<Utc>,
    pub charge_refunded_minor: i64,
}

const KINDS: [ReceiptKind; 4] = [
    ReceiptKind::Payment,
    ReceiptKind::Extra(ExtraReason::Late),
    ReceiptKind::Extra(ExtraReason::Second),
    ReceiptKind::Extra(ExtraReason::Mismatch),
];

const fn kind_word(kind: ReceiptKind) -> &'static str {
    match kind {
        ReceiptKind::Payment => "PAYMENT",
        ReceiptKind::Extra(ExtraReason::Late) => "LATE",
        ReceiptKind::Extra(ExtraReason::Second) => "SECOND",
        ReceiptKind::Extra(ExtraReason::Mismatch) => "MISMATCH",
    }
}

impl ReceiptRow {
    pub(super) fn of(order: &Order, index: usize, receipt: &Receipt) -> Self {
        Self {
            intent: receipt.intent.to_string(),
            order_id: order.id.uuid(),
            position: position(index),
            amount_minor: receipt.amount.amount_minor(),
            currency: receipt.amount.currency().to_string(),
            kind: kind_word(receipt.kind).into(),
            received_at: receipt.received_at,
            charge_refunded_minor: receipt.charge_refunded_minor,
        }
    }

    /// The receipt without its refunds and requests.
    pub(super) fn into_receipt(self) -> Result<Receipt, Error> {
        let kind = KINDS.into_iter().find(|kind| kind_word(*kind) == self.kind);
        let mut receipt = Receipt::new(
            PaymentIntentId::new(self.intent).map_err(damaged)?,
            money(self.amount_minor, &self.currency)?,
            kind.ok_or_else(|| unknown("receipts.kind", &self.kind))?,
            self.received_at,
        );
        receipt.charge_refunded_minor = self.charge_refunded_minor;
        Ok(receipt)
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = refunds)]
pub(super) struct RefundRow {
    pub id: String,
    pub intent: String,
    pub position: i16,
    pub amount_minor: i64,
    pub status: String,
}

impl RefundRow {
    pub(super) fn of(receipt: &Receipt, index: usize, refund: &Refund) -> Self {
        Self {
            id: refund.id.to_string(),
            intent: receipt.intent.to_string(),
            position: position(index),
            amount_minor: refund.amount_minor,
            status: refund.status.as_str().into(),
        }
    }

    pub(super) fn into_refund(self) -> Result<Refund, Error> {
        Ok(Refund {
            id: ProviderRefundId::new(self.id).map_err(damaged)?,
            amount_minor: self.amount_minor,
            status: RefundStatus::parse(&self.status).ok_or_else(|| unknown("refunds.status", &self.status))?,
        })
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = refund_requests)]
pub(super) struct RefundRequestRow {
    pub id: Uuid,
    pub intent: String,
    pub position: i16,
    pub amount_minor: i64,
    pub outcome: String,
}

const OUTCOMES: [RefundOutcome; 3] = [RefundOutcome::Open, RefundOutcome::Answered, RefundOutcome::Refused];

const fn outcome_word(outcome: RefundOutcome) -> &'static str {
    match outcome {
        RefundOutcome::Open => "OPEN",
        RefundOutcome::Answered => "ANSWERED",
        RefundOutcome::Refused => "REFUSED",
    }
}

impl RefundRequestRow {
    pub(super) fn of(receipt: &Receipt, index: usize, request: &RefundRequest) -> Self {
        Self {
            id: request.id.uuid(),
            intent: receipt.intent.to_string(),
            position: position(index),
            amount_minor: request.amount_minor,
            outcome: outcome_word(request.outcome).into(),
        }
    }

    pub(super) fn into_request(self) -> Result<RefundRequest, Error> {
        let outcome = OUTCOMES.into_iter().find(|outcome| outcome_word(*outcome) == self.outcome);
        Ok(RefundRequest {
            id: RefundRequestId::from(self.id),
            amount_minor: self.amount_minor,
            outcome: outcome.ok_or_else(|| unknown("refund_requests.outcome", &self.outcome))?,
        })
    }
}
