//! Sample orders and what a provider says of them, for tests that need an order to look at. Every order here came
//! about through the decisions themselves, so none is in a state that can't occur.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, missing_docs)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::TimeDelta;
use uuid::Uuid;

use crate::account::Role;
use crate::clock::{Ids, Timestamp};
use crate::fraud::{CustomerStanding, FraudLimits};
use crate::id::{AttemptId, OrderId, ProductId, RefundRequestId, UserId};
use crate::money::{Currency, Money, Price};
use crate::order::{
    CancelOrder, CartProduct, FulfilOrder, FulfilmentStep, Hearing, Order, OrderChange, OrderPolicy, PlaceOrder,
    PlaceSnapshot, ProviderNews,
};
use crate::payment::{
    CheckoutSessionId, OpenSession, PaymentIntentId, ProviderRefund, ProviderRefundId, RefundStatus, SessionPayment,
    SessionStanding,
};
use crate::quantity::Quantity;
use crate::text::ShippingAddress;

/// What a sample order costs, in minor units: two mugs at 19.99 and a poster at 5.00.
pub const TOTAL_MINOR: i64 = 4498;
/// The payment window of [`policy`], in seconds.
pub const WINDOW_SECONDS: i64 = 1800;
/// How long [`policy`] waits for a delayed payment, in seconds.
pub const ASYNC_WAIT_SECONDS: i64 = 259_200;
/// How long expiry waits for a silent provider under [`policy`], in seconds.
pub const GRACE_SECONDS: i64 = 600;

/// A moment, counted in seconds from when the sample orders were placed.
#[must_use]
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_767_225_600, 0).unwrap() + TimeDelta::seconds(second)
}

#[must_use]
pub const fn usd(amount_minor: i64) -> Money {
    Money::from_minor(amount_minor, Currency::USD)
}

#[must_use]
pub fn euro(amount_minor: i64) -> Money {
    Money::from_minor(amount_minor, Currency::parse("EUR").unwrap())
}

#[must_use]
pub fn customer_id() -> UserId {
    Uuid::from_u128(0xC).into()
}

#[must_use]
pub fn stranger_id() -> UserId {
    Uuid::from_u128(0xD).into()
}

#[must_use]
pub fn admin_id() -> UserId {
    Uuid::from_u128(0xA).into()
}

#[must_use]
pub fn order_id() -> OrderId {
    Uuid::from_u128(0x0DE2).into()
}

#[must_use]
pub fn product_id(number: u128) -> ProductId {
    Uuid::from_u128(0xF0 + number).into()
}

#[must_use]
pub fn attempt_id(number: u128) -> AttemptId {
    Uuid::from_u128(0xA00 + number).into()
}

/// Ids that count up.
#[derive(Debug)]
pub struct CountingIds(AtomicU64);

impl Default for CountingIds {
    fn default() -> Self {
        Self(AtomicU64::new(0x1_0000))
    }
}

impl Ids for CountingIds {
    fn next(&self) -> Uuid {
        Uuid::from_u128(self.0.fetch_add(1, Ordering::Relaxed).into())
    }
}

/// The rules as the contract has them by default.
#[must_use]
pub fn policy() -> OrderPolicy {
    OrderPolicy {
        payment_window_seconds: u32::try_from(WINDOW_SECONDS).unwrap(),
        async_wait_seconds: u32::try_from(ASYNC_WAIT_SECONDS).unwrap(),
        provider_grace_seconds: u32::try_from(GRACE_SECONDS).unwrap(),
        min_total: usd(50),
        max_total: usd(99_999_999),
        fraud: FraudLimits::default(),
        public_url: "https://shop.example".to_owned(),
    }
}

/// A cart line of a product that is for sale.
#[must_use]
pub fn cart_product(number: u128, name: &str, price_minor: i64, units: i64, stock: u64) -> CartProduct {
    CartProduct {
        product_id: product_id(number),
        name: name.to_owned(),
        price: Price::new(usd(price_minor)).unwrap(),
        stock,
        archived: false,
        quantity: Quantity::new(units).unwrap(),
    }
}

/// Two mugs and a poster, for a customer without a past.
#[must_use]
pub fn snapshot() -> PlaceSnapshot {
    PlaceSnapshot {
        standing: CustomerStanding::default(),
        customer_email: "ada@example.com".to_owned(),
        customer_since: at(0),
        recent_units: BTreeMap::new(),
        cart: vec![cart_product(1, "Mug", 1999, 2, 10), cart_product(2, "Poster", 500, 1, 10)],
    }
}

#[must_use]
pub fn place_order() -> PlaceOrder {
    PlaceOrder {
        id: order_id(),
        customer_id: customer_id(),
        shipping_address: ShippingAddress::new("1 High Street, Leeds").unwrap(),
        pay_now: Some(attempt_id(1)),
        expected_total_minor: None,
        at: at(0),
        policy: policy(),
        claim: None,
    }
}

/// Placed; the provider has not answered for its first attempt.
#[must_use]
pub fn requested() -> Order {
    place_order().decide(&snapshot()).unwrap()
}

/// Placed without a wish to pay yet.
#[must_use]
pub fn unattempted() -> Order {
    PlaceOrder { pay_now: None, ..place_order() }.decide(&snapshot()).unwrap()
}

/// Placed, with its session `cs_1` open.
#[must_use]
pub fn open() -> Order {
    hear(requested(), &session(1, open_session(1)))
}

/// Waits for the delayed payment of `cs_1`, heard at second 10.
#[must_use]
pub fn processing() -> Order {
    hear(open(), &session(1, SessionStanding::Processing))
}

/// Paid through `cs_1` by `pi_1`, heard at second 10.
#[must_use]
pub fn paid() -> Order {
    hear(open(), &session(1, paid_by("pi_1")))
}

/// Paid, then shipped at second 20.
#[must_use]
pub fn shipped() -> Order {
    fulfil(paid(), FulfilmentStep::Ship(None))
}

/// Shipped, then delivered.
#[must_use]
pub fn delivered() -> Order {
    fulfil(shipped(), FulfilmentStep::Deliver)
}

/// Cancelled by its customer at second 30 while its session was open.
#[must_use]
pub fn cancelled() -> Order {
    cancel(Role::Customer).decide(open(), &CustomerStanding::default(), &CountingIds::default()).unwrap().order
}

/// Paid, then cancelled by an admin: its money is on its way back.
#[must_use]
pub fn cancelled_after_payment() -> Order {
    cancel(Role::Admin).decide(paid(), &CustomerStanding::default(), &CountingIds::default()).unwrap().order
}

/// Every state an order can be in, with a name for messages.
#[must_use]
pub fn every_state() -> Vec<(&'static str, Order)> {
    vec![
        ("unattempted", unattempted()),
        ("requested", requested()),
        ("open", open()),
        ("processing", processing()),
        ("paid", paid()),
        ("shipped", shipped()),
        ("delivered", delivered()),
        ("cancelled", cancelled()),
        ("cancelled after payment", cancelled_after_payment()),
    ]
}

/// The wish of its customer, or of an admin, to cancel it at second 30.
#[must_use]
pub fn cancel(role: Role) -> CancelOrder {
    let actor_id = match role {
        Role::Customer => customer_id(),
        Role::Admin => admin_id(),
    };
    CancelOrder {
        order_id: order_id(),
        actor_id,
        role,
        reason: None,
        at: at(30),
        fraud: FraudLimits::default(),
        claim: None,
    }
}

fn fulfil(order: Order, step: FulfilmentStep) -> Order {
    let command = FulfilOrder { order_id: order.id, admin_id: admin_id(), step, at: at(20) };
    command.decide(order).unwrap().order
}

/// News heard at a second.
#[must_use]
pub fn hearing(second: i64) -> Hearing {
    Hearing { at: at(second), async_wait_seconds: policy().async_wait_seconds }
}

/// The order after it heard something at second 10.
#[must_use]
pub fn hear(order: Order, news: &ProviderNews) -> Order {
    change_after(order, news).order
}

/// What an order decides when it hears something at second 10.
#[must_use]
pub fn change_after(order: Order, news: &ProviderNews) -> OrderChange {
    // A name of its own for every step, as real ids have.
    let ids = CountingIds(AtomicU64::new(0x1_0000 + 0x100 * u64::try_from(order.receipts.len()).unwrap()));
    order.hear(news, hearing(10), &ids)
}

#[must_use]
pub fn session_id(number: u128) -> CheckoutSessionId {
    CheckoutSessionId::new(format!("cs_{number}")).unwrap()
}

#[must_use]
pub fn intent(name: &str) -> PaymentIntentId {
    PaymentIntentId::new(name).unwrap()
}

/// News of the session of an attempt; both bear one number.
#[must_use]
pub fn session(number: u128, standing: SessionStanding) -> ProviderNews {
    ProviderNews::Session { session_id: session_id(number), attempt_id: Some(attempt_id(number)), standing }
}

/// News of a session that names the order but none of its attempts.
#[must_use]
pub fn foreign_session(number: u128, standing: SessionStanding) -> ProviderNews {
    ProviderNews::Session { session_id: session_id(number), attempt_id: None, standing }
}

/// An open session that ends at second 1860.
#[must_use]
pub fn open_session(number: u128) -> SessionStanding {
    SessionStanding::Open(OpenSession {
        id: session_id(number),
        url: format!("https://checkout.example/cs_{number}"),
        expires_at: at(1860),
    })
}

/// Paid in full by an intent.
#[must_use]
pub fn paid_by(name: &str) -> SessionStanding {
    paid_with(name, usd(TOTAL_MINOR))
}

/// Paid some amount by an intent.
#[must_use]
pub fn paid_with(name: &str, amount: Money) -> SessionStanding {
    SessionStanding::Paid(SessionPayment { intent: intent(name), amount })
}

/// A refund of an intent.
#[must_use]
pub fn refund(name: &str, of: &str, amount_minor: i64, status: RefundStatus) -> ProviderRefund {
    ProviderRefund {
        id: ProviderRefundId::new(name).unwrap(),
        intent: intent(of),
        amount: usd(amount_minor),
        status,
        request_id: None,
    }
}

/// The shop's open request to refund an intent.
#[must_use]
pub fn open_request(order: &Order, of: &str) -> Option<(RefundRequestId, i64)> {
    let receipt = order.receipts.iter().find(|receipt| receipt.intent.as_str() == of)?;
    let request = receipt.requests.iter().find(|r| r.outcome == crate::payment::RefundOutcome::Open)?;
    Some((request.id, request.amount_minor))
}
