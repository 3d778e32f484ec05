//! Checkout sessions on the wire: what is asked for, and what an answer says.

use std::collections::HashMap;
use std::convert::Infallible;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta};
use domain::clock::Timestamp;
use domain::id::AttemptId;
use domain::money::{Currency, Money};
use domain::payment::{
    CheckoutLine, CheckoutRequest, CheckoutSessionId, OpenSession, PaymentIntentId, SessionPayment, SessionStanding,
};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
    CreateCheckoutSessionPaymentIntentData, ListCheckoutSession, ProductData, RetrieveCheckoutSession,
};
use stripe_shared::{
    CheckoutSession, CheckoutSessionMode, CheckoutSessionPaymentStatus, CheckoutSessionStatus, PaymentIntentStatus,
};
use stripe_types::{Expandable, RangeBoundsTs, RangeQueryTs};

/// The metadata key of the order's id, on sessions, payment intents and refunds.
pub(crate) const ORDER_ID: &str = "orderId";
/// The metadata key of the attempt's id, on sessions and payment intents.
pub(crate) const ATTEMPT_ID: &str = "attemptId";

/// The longest product name that Stripe shows, in characters.
const MAX_NAME_CHARS: usize = 250;

/// The session of an attempt. The same request gives the same parameters, always: Stripe compares them.
pub(crate) fn create(request: &CheckoutRequest) -> CreateCheckoutSession {
    let metadata = HashMap::from([
        (ORDER_ID.to_owned(), request.order_id.to_string()),
        (ATTEMPT_ID.to_owned(), request.attempt_id.to_string()),
    ]);
    // A session's metadata are not copied to its payment intent.
    let intent = CreateCheckoutSessionPaymentIntentData { metadata: Some(metadata.clone()), ..Default::default() };
    CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Payment)
        .line_items(request.lines.iter().map(line).collect::<Vec<_>>())
        .client_reference_id(request.order_id.to_string())
        .metadata(metadata)
        .payment_intent_data(intent)
        .customer_email(request.customer_email.as_str())
        .expires_at(request.expires_at.timestamp())
        .success_url(request.success_url.as_str())
        .cancel_url(request.cancel_url.as_str())
}

fn line(line: &CheckoutLine) -> CreateCheckoutSessionLineItems {
    let currency = line.unit_price.currency().as_str().to_ascii_lowercase();
    let Ok(currency) = stripe_types::Currency::from_str(&currency).map_err(|never: Infallible| match never {});
    let name: String = line.name.chars().take(MAX_NAME_CHARS).collect();
    CreateCheckoutSessionLineItems {
        price_data: Some(CreateCheckoutSessionLineItemsPriceData {
            product_data: Some(ProductData::new(name)),
            unit_amount: Some(line.unit_price.amount_minor()),
            ..CreateCheckoutSessionLineItemsPriceData::new(currency)
        }),
        quantity: Some(line.quantity.get().into()),
        ..Default::default()
    }
}

/// A session with its payment intent, without which a delayed payment that failed looks like one under way.
pub(crate) fn retrieve(id: &CheckoutSessionId) -> RetrieveCheckoutSession {
    RetrieveCheckoutSession::new(id.as_str()).expand(["payment_intent".to_owned()])
}

/// The sessions among which that of an attempt is, if there is one; newest first, 100 a page. It can't have been
/// created before its attempt, nor later than 30 minutes before its end.
pub(crate) fn list_around(request: &CheckoutRequest) -> ListCheckoutSession {
    /// Stripe's clock and the shop's may differ by this much.
    const MARGIN: TimeDelta = TimeDelta::minutes(5);
    const SHORTEST_LIFE: TimeDelta = TimeDelta::minutes(30);

    let bounds = RangeBoundsTs {
        gte: begun_at(request.attempt_id).map(|begun| (begun - MARGIN).timestamp()),
        lte: Some((request.expires_at - SHORTEST_LIFE + MARGIN).timestamp()),
        ..Default::default()
    };
    ListCheckoutSession::new().created(RangeQueryTs::Bounds(bounds)).limit(100)
}

/// When the attempt's id was minted: UUIDv7 begin with the time.
fn begun_at(attempt: AttemptId) -> Option<Timestamp> {
    let (seconds, _) = attempt.uuid().get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)
}

/// Whether the session is that of the attempt.
pub(crate) fn is_of(session: &CheckoutSession, attempt: AttemptId) -> bool {
    let named = session.metadata.as_ref().and_then(|metadata| metadata.get(ATTEMPT_ID));
    named.is_some_and(|named| *named == attempt.to_string())
}

/// A session that says too little to act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("session {session} is unclear: {what}")]
pub(crate) struct Unclear {
    session: String,
    what: String,
}

/// The domain's name for a session.
pub(crate) fn id_of(session: &CheckoutSession) -> Result<CheckoutSessionId, Unclear> {
    CheckoutSessionId::new(session.id.as_str())
        .map_err(|cause| Unclear { session: session.id.to_string(), what: cause.to_string() })
}

/// Where a session stands.
pub(crate) fn standing(session: &CheckoutSession) -> Result<SessionStanding, Unclear> {
    let unclear = |what: String| Unclear { session: session.id.to_string(), what };
    // Money first: nothing that a status says may hide it.
    if session.payment_status == CheckoutSessionPaymentStatus::Paid {
        return payment(session).map(SessionStanding::Paid).map_err(|what| unclear(what.into()));
    }
    match &session.status {
        Some(CheckoutSessionStatus::Open) => {
            let url = session.url.clone().ok_or_else(|| unclear("it is open, without a url".into()))?;
            let expires_at = DateTime::from_timestamp(session.expires_at, 0)
                .ok_or_else(|| unclear("its expires_at is no time".into()))?;
            Ok(SessionStanding::Open(OpenSession { id: id_of(session)?, url, expires_at }))
        }
        Some(CheckoutSessionStatus::Expired) => Ok(SessionStanding::Expired),
        Some(CheckoutSessionStatus::Complete) => Ok(completed_unpaid(session)),
        other => Err(unclear(format!("its status is {other:?}"))),
    }
}

fn payment(session: &CheckoutSession) -> Result<SessionPayment, &'static str> {
    let intent = session.payment_intent.as_ref().ok_or("it is paid, without a payment intent")?;
    let intent = PaymentIntentId::new(intent.id().as_str()).map_err(|_| "its payment intent has no usable id")?;
    let amount_minor = session.amount_total.ok_or("it is paid, without an amount")?;
    let currency = session.currency.as_ref().ok_or("it is paid, without a currency")?;
    let currency = Currency::parse(&currency.to_string()).map_err(|_| "its currency is no currency code")?;
    Ok(SessionPayment { intent, amount: Money::from_minor(amount_minor, currency) })
}

/// The payer is done and no money is here: it may be on its way, or have failed to come. Where the intent does
/// not tell, the order waits, which ends by itself (contract 3.9).
fn completed_unpaid(session: &CheckoutSession) -> SessionStanding {
    if session.payment_status == CheckoutSessionPaymentStatus::NoPaymentRequired {
        return SessionStanding::Expired;
    }
    let intent = session.payment_intent.as_ref().and_then(Expandable::as_object);
    match intent.map(|intent| &intent.status) {
        Some(PaymentIntentStatus::RequiresPaymentMethod | PaymentIntentStatus::Canceled) => SessionStanding::Failed,
        _ => SessionStanding::Processing,
    }
}
