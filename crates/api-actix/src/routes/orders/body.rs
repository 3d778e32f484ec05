//! How an order looks to clients (contract 2, "Shapes").

use domain::clock::Timestamp;
use domain::id::{OrderId, ProductId, UserId};
use domain::money::{Money, MoneyError};
use domain::order::{Flag, HistoryEntry, Order, OrderLine, OrderStatus};
use domain::payment::{OpenSession, Receipt, ReceiptKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::schemas;
use crate::problem::Problem;
use crate::wire::{Moment, Text};

/// An order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Order)]
pub(crate) struct OrderBody {
    #[schema(value_type = schemas::Id)]
    id: Text<OrderId>,
    #[schema(value_type = schemas::Id)]
    user_id: Text<UserId>,
    #[schema(value_type = schemas::OrderStatusWord)]
    status: &'static str,
    items: Vec<LineBody>,
    #[schema(value_type = schemas::Money)]
    total: Text<Money>,
    #[schema(value_type = schemas::Currency)]
    currency: String,
    shipping_address: String,
    payment: PaymentBody,
    extra_receipts: Vec<ExtraReceiptBody>,
    tracking_number: Option<String>,
    #[schema(value_type = Vec<schemas::OrderFlag>)]
    flags: Vec<&'static str>,
    #[schema(value_type = schemas::Timestamp)]
    created_at: Moment,
    #[schema(value_type = schemas::Timestamp)]
    expires_at: Moment,
    #[schema(value_type = Option<schemas::Timestamp>)]
    paid_at: Option<Moment>,
    #[schema(value_type = Option<schemas::Timestamp>)]
    cancelled_at: Option<Moment>,
    #[schema(value_type = Option<schemas::OrderCanceller>)]
    cancelled_by: Option<&'static str>,
    cancel_reason: Option<String>,
    history: Vec<HistoryBody>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OrderLine)]
struct LineBody {
    #[schema(value_type = schemas::Id)]
    product_id: Text<ProductId>,
    name: String,
    quantity: u32,
    #[schema(value_type = schemas::Money)]
    unit_price: Text<Money>,
    #[schema(value_type = schemas::Money)]
    line_total: Text<Money>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OrderPayment)]
struct PaymentBody {
    #[schema(value_type = schemas::PaymentStatusWord)]
    status: &'static str,
    /// Where it can be paid; null once it can't be.
    checkout_url: Option<String>,
    #[schema(value_type = schemas::Money)]
    amount: Text<Money>,
    #[schema(value_type = schemas::Money)]
    refunded_amount: Text<Money>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExtraReceipt)]
struct ExtraReceiptBody {
    #[schema(value_type = schemas::Money)]
    amount: Text<Money>,
    #[schema(value_type = schemas::Currency)]
    currency: String,
    #[schema(value_type = schemas::ExtraReceiptReason)]
    reason: &'static str,
    #[schema(value_type = schemas::RefundStatusWord)]
    refund_status: &'static str,
    #[schema(value_type = schemas::Timestamp)]
    at: Moment,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OrderHistoryEntry)]
struct HistoryBody {
    /// Null on the first entry.
    #[schema(value_type = Option<schemas::OrderStatusWord>)]
    from: Option<&'static str>,
    #[schema(value_type = schemas::OrderStatusWord)]
    to: &'static str,
    #[schema(value_type = schemas::Timestamp)]
    at: Moment,
    #[schema(value_type = schemas::OrderParty)]
    by: &'static str,
    #[schema(value_type = Option<schemas::Id>)]
    actor_id: Option<Text<UserId>>,
    reason: Option<String>,
}

impl OrderBody {
    /// The order as it looks at `now`: its checkout address is shown while it can be paid.
    pub(crate) fn of(order: &Order, now: Timestamp) -> Result<Self, Problem> {
        let items: Result<Vec<_>, MoneyError> = order.lines.iter().map(LineBody::of).collect();
        let cancellation = order.state.cancellation();
        let shipment = order.state.shipment();
        Ok(Self {
            id: Text(order.id),
            user_id: Text(order.customer_id),
            status: order.status().as_str(),
            items: items.map_err(Problem::internal)?,
            total: Text(order.total),
            currency: order.total.currency().to_string(),
            shipping_address: order.shipping_address.to_string(),
            payment: PaymentBody::of(order, now),
            extra_receipts: order.receipts.iter().filter_map(ExtraReceiptBody::of).collect(),
            tracking_number: shipment.and_then(|shipment| shipment.tracking_number.as_ref()).map(ToString::to_string),
            flags: order.flags.iter().copied().map(Flag::as_str).collect(),
            created_at: Moment(order.created_at),
            expires_at: Moment(order.expires_at),
            paid_at: order.state.paid_at().map(Moment),
            cancelled_at: cancellation.map(|cancellation| Moment(cancellation.at)),
            cancelled_by: cancellation.map(|cancellation| cancellation.by.as_str()),
            cancel_reason: cancellation.and_then(|c| c.reason.as_ref()).map(ToString::to_string),
            history: order.history.iter().map(HistoryBody::of).collect(),
        })
    }
}

impl LineBody {
    fn of(line: &OrderLine) -> Result<Self, MoneyError> {
        Ok(Self {
            product_id: Text(line.product_id),
            name: line.name.clone(),
            quantity: line.quantity.get(),
            unit_price: Text(line.unit_price),
            line_total: Text(line.total()?),
        })
    }
}

impl PaymentBody {
    fn of(order: &Order, now: Timestamp) -> Self {
        let refunded_minor = order.payment_receipt().map_or(0, Receipt::refunded_minor);
        Self {
            status: order.payment.as_str(),
            checkout_url: order.payable_session(now).map(|session| session.url.clone()),
            amount: Text(order.total),
            refunded_amount: Text(Money::from_minor(refunded_minor, order.total.currency())),
        }
    }
}

impl ExtraReceiptBody {
    fn of(receipt: &Receipt) -> Option<Self> {
        let ReceiptKind::Extra(reason) = receipt.kind else { return None };
        Some(Self {
            amount: Text(receipt.amount),
            currency: receipt.amount.currency().to_string(),
            reason: reason.as_str(),
            refund_status: receipt.refund_word().as_str(),
            at: Moment(receipt.received_at),
        })
    }
}

impl HistoryBody {
    fn of(entry: &HistoryEntry) -> Self {
        Self {
            from: entry.from.map(OrderStatus::as_str),
            to: entry.to.as_str(),
            at: Moment(entry.at),
            by: entry.by.as_str(),
            actor_id: entry.actor_id.map(Text),
            reason: entry.reason.clone(),
        }
    }
}

/// Where an order can be paid (contract 2, `POST /orders/{id}/payment`).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PaymentStart)]
pub(crate) struct PaymentStartBody {
    checkout_url: String,
    #[schema(value_type = schemas::Timestamp)]
    expires_at: Moment,
}

impl From<OpenSession> for PaymentStartBody {
    fn from(session: OpenSession) -> Self {
        Self { checkout_url: session.url, expires_at: Moment(session.expires_at) }
    }
}
