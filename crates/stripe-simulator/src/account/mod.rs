//! The Stripe account that is played: its objects, and every way in which they change.

pub(crate) mod catalogue;
mod checkout;
pub(crate) mod dispute;
pub(crate) mod event;
pub(crate) mod money;
pub(crate) mod payment;
pub(crate) mod refund;
mod refunding;
mod risk;
pub(crate) mod session;
pub(crate) mod shelf;

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

use self::catalogue::{Price, Product};
use self::dispute::{Dispute, FraudWarning};
use self::event::{Cause, Endpoint, Event};
use self::payment::{Charge, PaymentIntent};
use self::refund::Refund;
use self::session::Session;
use self::shelf::Shelf;
use crate::error::ApiError;
use crate::ids::new_id;
use crate::version::ApiVersion;
use crate::webhooks::outbox::Outbox;

pub(crate) use self::checkout::{PaymentTerms, new_intent};
pub(crate) use self::refunding::{PlannedRefund, RefundRequest};

/// Most events kept; older ones are forgotten, and no longer delivered.
const EVENT_CAPACITY: usize = 20_000;

/// Everything that the account holds.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) sessions: Shelf<Session>,
    pub(crate) intents: Shelf<PaymentIntent>,
    pub(crate) charges: Shelf<Charge>,
    pub(crate) refunds: Shelf<Refund>,
    pub(crate) disputes: Shelf<Dispute>,
    pub(crate) warnings: Shelf<FraudWarning>,
    pub(crate) products: Shelf<Product>,
    pub(crate) prices: Shelf<Price>,
    pub(crate) events: Shelf<Event>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Open sessions by the time of their expiry.
    open_until: BTreeSet<(i64, String)>,
    /// How the next refunds end, in order; then they succeed at once.
    planned_refunds: VecDeque<PlannedRefund>,
}

impl Account {
    pub(crate) fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            sessions: Shelf::default(),
            intents: Shelf::default(),
            charges: Shelf::default(),
            refunds: Shelf::default(),
            disputes: Shelf::default(),
            warnings: Shelf::default(),
            products: Shelf::default(),
            prices: Shelf::default(),
            events: Shelf::with_capacity(EVENT_CAPACITY),
            endpoints,
            open_until: BTreeSet::new(),
            planned_refunds: VecDeque::new(),
        }
    }

    pub(crate) fn session(&self, id: &str, param: &str) -> Result<&Session, ApiError> {
        self.sessions.get(id).ok_or_else(|| ApiError::missing_resource("checkout.session", id, param))
    }

    pub(crate) fn intent(&self, id: &str, param: &str) -> Result<&PaymentIntent, ApiError> {
        self.intents.get(id).ok_or_else(|| ApiError::missing_resource("payment_intent", id, param))
    }

    pub(crate) fn charge(&self, id: &str, param: &str) -> Result<&Charge, ApiError> {
        self.charges.get(id).ok_or_else(|| ApiError::missing_resource("charge", id, param))
    }

    pub(crate) fn refund(&self, id: &str, param: &str) -> Result<&Refund, ApiError> {
        self.refunds.get(id).ok_or_else(|| ApiError::missing_resource("refund", id, param))
    }
}

/// One change of the account under its lock: what it changes, when, and because of which request.
pub(crate) struct Operation<'a> {
    pub(crate) account: &'a mut Account,
    pub(crate) outbox: &'a mut Outbox,
    /// Seconds since the Unix epoch by the simulator's clock.
    pub(crate) now: i64,
    pub(crate) cause: Cause,
    pub(crate) api_version: &'a ApiVersion,
    /// Where the hosted pages are, without a slash at the end.
    pub(crate) base_url: &'a str,
}

impl Operation<'_> {
    /// Records an event and queues its delivery to every endpoint that wants it.
    fn emit(&mut self, kind: &'static str, object: &Value, previous_attributes: Option<Value>) {
        let object = match serde_json::value::to_raw_value(object) {
            Ok(object) => object,
            Err(error) => {
                tracing::error!(%error, kind, "an event's object is no JSON");
                return;
            }
        };
        let wanting: BTreeSet<String> = self
            .account
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.wants(kind))
            .map(|endpoint| endpoint.id.clone())
            .collect();
        let id = new_id("evt");
        self.outbox.enqueue(&id, kind, &wanting);
        self.account.events.add(Event {
            id,
            created: self.now,
            kind,
            object,
            previous_attributes,
            cause: self.cause.clone(),
            undelivered: wanting,
        });
    }

    fn emit_session(&mut self, kind: &'static str, id: &str) {
        if let Some(session) = self.account.sessions.get(id) {
            let object = session.to_json(self.api_version);
            self.emit(kind, &object, None);
        }
    }

    fn emit_intent(&mut self, kind: &'static str, id: &str) {
        if let Some(intent) = self.account.intents.get(id) {
            let object = intent.to_json();
            self.emit(kind, &object, None);
        }
    }

    fn emit_charge(&mut self, kind: &'static str, id: &str, previous: Option<Value>) {
        if let Some(charge) = self.account.charges.get(id) {
            let object = charge.to_json();
            self.emit(kind, &object, previous);
        }
    }

    fn emit_refund(&mut self, kind: &'static str, id: &str, previous: Option<Value>) {
        if let Some(refund) = self.account.refunds.get(id) {
            let object = refund.to_json();
            self.emit(kind, &object, previous);
        }
    }

    pub(crate) fn add_product(&mut self, product: Product) -> Value {
        let object = product.to_json();
        self.account.products.add(product);
        self.emit("product.created", &object, None);
        object
    }

    pub(crate) fn add_price(&mut self, price: Price) -> Value {
        let object = price.to_json();
        self.account.prices.add(price);
        self.emit("price.created", &object, None);
        object
    }
}
