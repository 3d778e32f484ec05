//! What an event says, by its type (contract 3.9), reading only the fields that the shop acts on.

use domain::id::{AttemptId, OrderId, RefundRequestId};
use domain::money::{Currency, Money};
use domain::payment::{
    CheckoutSessionId, EventContent, PaymentIntentId, ProviderRefund, ProviderRefundId, RefundStatus, SessionNews,
    SessionPayment, SessionStanding,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::lenient::{Lenient, Reference, from_object};
use crate::refund;

/// Why an event is not acted on.
enum Skipped {
    /// It can't concern the shop.
    Ignored(&'static str),
    /// It should concern the shop, but this field of its object can't be read.
    Unreadable(&'static str),
}

type Reading = Result<EventContent, Skipped>;

/// The types that [`read`] acts on; Stripe takes up to 20 in one question.
pub(crate) const HANDLED_TYPES: [&str; 11] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "charge.refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "radar.early_fraud_warning.created",
];

/// Translates an event's data.
pub(super) fn read(kind: &str, data: Option<&RawValue>) -> EventContent {
    let reading = match kind {
        "checkout.session.completed" => read_session(data, completed),
        "checkout.session.async_payment_succeeded" => read_session(data, paid),
        "checkout.session.async_payment_failed" => read_session(data, |_| Ok(SessionStanding::Failed)),
        "checkout.session.expired" => read_session(data, |_| Ok(SessionStanding::Expired)),
        "charge.refunded" => read_charge(data),
        // The second name of the update is that of older API versions.
        "refund.created" | "refund.updated" | "charge.refund.updated" => read_refund(data, None),
        "refund.failed" => read_refund(data, Some(RefundStatus::Failed)),
        "charge.dispute.created" => read_warning(data, EventContent::Disputed),
        "radar.early_fraud_warning.created" => read_warning(data, EventContent::FraudWarning),
        _ => Err(Skipped::Ignored("the shop does not act on events of this type")),
    };
    reading.unwrap_or_else(|skipped| match skipped {
        Skipped::Ignored(reason) => EventContent::Ignored { reason: reason.to_owned() },
        Skipped::Unreadable(field) => {
            EventContent::Unreadable { reason: format!("{field} is missing or not of the expected form") }
        }
    })
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
}

fn object<T: DeserializeOwned>(data: Option<&RawValue>) -> Result<T, Skipped> {
    let data = data.ok_or(Skipped::Unreadable("data"))?;
    let unreadable = |_| Skipped::Unreadable("data.object");
    let data: Data<'_> = from_object(data.get()).map_err(unreadable)?;
    from_object(data.object.get()).map_err(unreadable)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Session {
    id: Lenient<String>,
    client_reference_id: Lenient<String>,
    metadata: Lenient<Metadata>,
    payment_status: Lenient<String>,
    payment_intent: Lenient<Reference>,
    amount_total: Lenient<i64>,
    currency: Lenient<String>,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
struct Metadata {
    #[serde(rename = "orderId")]
    order: Lenient<String>,
    #[serde(rename = "attemptId")]
    attempt: Lenient<String>,
    #[serde(rename = "refundRequestId")]
    refund_request: Lenient<String>,
}

fn read_session(
    data: Option<&RawValue>,
    standing: impl FnOnce(&Session) -> Result<SessionStanding, Skipped>,
) -> Reading {
    let session: Session = object(data)?;
    let order_id = session
        .client_reference_id
        .get()
        .and_then(|text| OrderId::parse(text).ok())
        .or_else(|| session.metadata.get()?.order.get().and_then(|text| OrderId::parse(text).ok()))
        .ok_or(Skipped::Ignored("the session names no order of this shop"))?;
    let session_id = session
        .id
        .get()
        .and_then(|id| CheckoutSessionId::new(id.as_str()).ok())
        .ok_or(Skipped::Unreadable("data.object.id"))?;
    let attempt = session.metadata.get().and_then(|metadata| metadata.attempt.get());
    Ok(EventContent::Session(SessionNews {
        session_id,
        order_id: Some(order_id),
        attempt_id: attempt.and_then(|text| AttemptId::parse(text).ok()),
        standing: standing(&session)?,
    }))
}

fn completed(session: &Session) -> Result<SessionStanding, Skipped> {
    match session.payment_status.get().map(String::as_str) {
        Some("paid") => paid(session),
        Some("unpaid") => Ok(SessionStanding::Processing),
        // There was nothing to pay, so no money comes: the session ended unpaid.
        Some("no_payment_required") => Ok(SessionStanding::Expired),
        _ => Err(Skipped::Unreadable("data.object.payment_status")),
    }
}

fn paid(session: &Session) -> Result<SessionStanding, Skipped> {
    let intent = session.payment_intent.get().and_then(|intent| PaymentIntentId::new(intent.id()).ok());
    Ok(SessionStanding::Paid(SessionPayment {
        intent: intent.ok_or(Skipped::Unreadable("data.object.payment_intent"))?,
        amount: Money::from_minor(
            amount(&session.amount_total, "data.object.amount_total")?,
            currency(&session.currency)?,
        ),
    }))
}

fn amount(field: &Lenient<i64>, name: &'static str) -> Result<i64, Skipped> {
    field.get().copied().filter(|minor| *minor >= 0).ok_or(Skipped::Unreadable(name))
}

fn currency(field: &Lenient<String>) -> Result<Currency, Skipped> {
    field.get().and_then(|code| Currency::parse(code).ok()).ok_or(Skipped::Unreadable("data.object.currency"))
}

/// The receipt that an object names. The shop's money always has one; what has none is somebody else's.
fn receipt(field: &Lenient<Reference>) -> Result<PaymentIntentId, Skipped> {
    field
        .get()
        .and_then(|intent| PaymentIntentId::new(intent.id()).ok())
        .ok_or(Skipped::Ignored("it names no payment intent"))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refund {
    id: Lenient<String>,
    payment_intent: Lenient<Reference>,
    amount: Lenient<i64>,
    currency: Lenient<String>,
    status: Lenient<String>,
    metadata: Lenient<Metadata>,
}

impl Refund {
    fn read(&self, intent: PaymentIntentId) -> Result<ProviderRefund, Skipped> {
        let id = self.id.get().and_then(|id| ProviderRefundId::new(id.as_str()).ok());
        let request = self.metadata.get().and_then(|metadata| metadata.refund_request.get());
        Ok(ProviderRefund {
            id: id.ok_or(Skipped::Unreadable("data.object.id"))?,
            intent,
            amount: Money::from_minor(amount(&self.amount, "data.object.amount")?, currency(&self.currency)?),
            status: refund::status(self.status.get().map(String::as_str)),
            request_id: request.and_then(|text| RefundRequestId::parse(text).ok()),
        })
    }
}

/// `end` is what the event's type says of the refund, whatever its object says: a refund that failed may still
/// be shown as it was.
fn read_refund(data: Option<&RawValue>, end: Option<RefundStatus>) -> Reading {
    let refund: Refund = object(data)?;
    let read = refund.read(receipt(&refund.payment_intent)?)?;
    let status = if read.status.is_undone() { read.status } else { end.unwrap_or(read.status) };
    Ok(EventContent::Refund(ProviderRefund { status, ..read }))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Charge {
    payment_intent: Lenient<Reference>,
    amount_refunded: Lenient<i64>,
    currency: Lenient<String>,
    /// Listed by older API versions only, the most recent ones.
    refunds: Lenient<Refunds>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refunds {
    data: Vec<Lenient<Refund>>,
}

fn read_charge(data: Option<&RawValue>) -> Reading {
    let charge: Charge = object(data)?;
    let intent = receipt(&charge.payment_intent)?;
    let refunded =
        Money::from_minor(amount(&charge.amount_refunded, "data.object.amount_refunded")?, currency(&charge.currency)?);
    let listed = charge.refunds.get().map(|refunds| refunds.data.as_slice()).unwrap_or_default();
    // The total counts; a listed refund that can't be read comes as an event of its own.
    let refunds = listed.iter().filter_map(Lenient::get).filter_map(|refund| refund.read(intent.clone()).ok());
    Ok(EventContent::ChargeRefunded { refunds: refunds.collect(), intent, refunded })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Warning {
    payment_intent: Lenient<Reference>,
}

/// A dispute or a warning of fraud: all that matters is whose it is.
fn read_warning(data: Option<&RawValue>, content: impl FnOnce(PaymentIntentId) -> EventContent) -> Reading {
    let warning: Warning = object(data)?;
    receipt(&warning.payment_intent).map(content)
}
