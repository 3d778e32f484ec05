//! Refunds on the wire: what is asked for, and what an answer says.

use std::collections::HashMap;

use domain::id::RefundRequestId;
use domain::money::{Currency, Money};
use domain::payment::{PaymentIntentId, ProviderRefund, ProviderRefundId, RefundOrder, RefundStatus};
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_shared::Refund;

use crate::session::ORDER_ID;

/// The metadata key of the request's id.
pub(crate) const REFUND_REQUEST_ID: &str = "refundRequestId";

/// The refund of a request. The amount is always said: a repeat must never mean "what is left by now".
pub(crate) fn create(order: &RefundOrder) -> CreateRefund {
    let metadata = HashMap::from([
        (ORDER_ID.to_owned(), order.order_id.to_string()),
        (REFUND_REQUEST_ID.to_owned(), order.request_id.to_string()),
    ]);
    CreateRefund::new().payment_intent(order.intent.as_str()).amount(order.amount.amount_minor()).metadata(metadata)
}

/// All refunds of a receipt; newest first, 100 a page.
pub(crate) fn list(intent: &PaymentIntentId) -> ListRefund {
    ListRefund::new().payment_intent(intent.as_str()).limit(100)
}

/// A refund that can't be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refund {0} has no usable id or currency")]
pub(crate) struct UnreadableRefund(String);

/// The refund in the domain's words; `intent` is the receipt that was asked about.
pub(crate) fn read(refund: &Refund, intent: &PaymentIntentId) -> Result<ProviderRefund, UnreadableRefund> {
    let unreadable = || UnreadableRefund(refund.id.to_string());
    let id = ProviderRefundId::new(refund.id.as_str()).map_err(|_| unreadable())?;
    let currency = Currency::parse(&refund.currency.to_string()).map_err(|_| unreadable())?;
    let request = refund.metadata.as_ref().and_then(|metadata| metadata.get(REFUND_REQUEST_ID));
    Ok(ProviderRefund {
        id,
        intent: intent.clone(),
        amount: Money::from_minor(refund.amount, currency),
        status: status(refund.status.as_deref()),
        request_id: request.and_then(|text| RefundRequestId::parse(text).ok()),
    })
}

/// A status that Stripe leaves out or that nobody knows yet is no end: the refund counts as on its way, and a
/// later word moves it on.
pub(crate) fn status(word: Option<&str>) -> RefundStatus {
    word.and_then(RefundStatus::parse).unwrap_or(RefundStatus::Pending)
}
