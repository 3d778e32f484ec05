//! What tests do to the simulator: play the customer, the bank and the network.

pub(crate) mod http;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::event::Cause;
use crate::account::refund::RefundStatus;
use crate::account::{Operation, PaymentTerms, PlannedRefund, RefundRequest};
use crate::config::WebhookTarget;
use crate::error::ApiError;
use crate::faults::Fault;
use crate::journal::{DeliveryAttempt, RecordedRequest};
use crate::rate::RateLimit;
use crate::simulation::Simulation;
use crate::webhooks::dispatch;
use crate::webhooks::outbox::Job;

/// Why the simulator did not do as told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// There is no such object.
    #[error("{0}")]
    NotFound(String),
    /// Its state forbids it.
    #[error("{0}")]
    Refused(String),
}

impl From<ApiError> for ControlError {
    fn from(error: ApiError) -> Self {
        if error.status == 404 {
            Self::NotFound(error.message().to_owned())
        } else {
            Self::Refused(error.message().to_owned())
        }
    }
}

/// How a customer pays, where it differs from what the session asks for: so are receipts over a wrong sum made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PayTerms {
    /// Minor units; the session's total by default.
    pub amount: Option<i64>,
    /// Lower-case code; the session's currency by default.
    pub currency: Option<String>,
    /// The e-mail given on the page; the session's by default.
    pub email: Option<String>,
}

impl From<PayTerms> for PaymentTerms {
    fn from(terms: PayTerms) -> Self {
        Self {
            amount: terms.amount,
            currency: terms.currency.map(|currency| currency.to_ascii_lowercase()),
            email: terms.email,
        }
    }
}

/// What an attempt to pay left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// `cs_test_…`
    pub session: String,
    /// `pi_…`
    pub payment_intent: String,
    /// `ch_…`
    pub charge: String,
}

/// A refund made by hand in the dashboard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DashboardRefund {
    /// Minor units; all that is left by default.
    pub amount: Option<i64>,
    /// `duplicate`, `fraudulent` or `requested_by_customer`.
    pub reason: Option<String>,
}

/// How the next refund turns out, whoever asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextRefund {
    /// The status it gets at once.
    pub status: RefundStatus,
    /// Why, if it fails.
    #[serde(default = "default_failure_reason")]
    pub failure_reason: String,
}

pub(crate) fn default_failure_reason() -> String {
    "expired_or_canceled_card".to_owned()
}

/// In which order held events go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseOrder {
    /// As they happened.
    AsHappened,
    /// The latest first.
    Reversed,
    /// Just these events, in this order; the others stay held.
    Events(Vec<String>),
}

/// The control of a running simulator; clones control the same one.
#[derive(Debug, Clone)]
pub struct Control {
    simulation: Arc<Simulation>,
}

impl Control {
    pub(crate) fn new(simulation: Arc<Simulation>) -> Self {
        Self { simulation }
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.simulation.settings.base_url
    }

    fn operate<T>(&self, act: impl FnOnce(&mut Operation<'_>) -> T) -> T {
        self.simulation.operate(Cause::default(), act)
    }

    // --- the customer -------------------------------------------------------------------------------------------

    /// Pays an open session at once. Sends `charge.succeeded`, `payment_intent.succeeded` and
    /// `checkout.session.completed`.
    pub fn pay(&self, session: &str, terms: PayTerms) -> Result<Receipt, ControlError> {
        self.operate(|operation| {
            operation.pay_session(session, &terms.into())?;
            receipt(operation, session)
        })
    }

    /// Pays for the same thing a second time: through a copy of the session with an id of its own, same metadata and
    /// reference. The session itself may have ended.
    pub fn pay_again(&self, session: &str, terms: PayTerms) -> Result<Receipt, ControlError> {
        self.operate(|operation| {
            let copy = operation.duplicate_session(session)?;
            operation.pay_session(&copy, &terms.into())?;
            receipt(operation, &copy)
        })
    }

    /// Tries a card that is declined; the session stays open.
    pub fn decline(&self, session: &str) -> Result<Receipt, ControlError> {
        self.operate(|operation| {
            operation.decline_session(session, &PaymentTerms::default())?;
            receipt(operation, session)
        })
    }

    /// Completes an open session with a delayed method: `complete`, `unpaid`.
    pub fn complete_unpaid(&self, session: &str, terms: PayTerms) -> Result<Receipt, ControlError> {
        self.operate(|operation| {
            operation.complete_session_unpaid(session, &terms.into())?;
            receipt(operation, session)
        })
    }

    /// The delayed payment of a session arrives.
    pub fn settle(&self, session: &str) -> Result<Receipt, ControlError> {
        self.operate(|operation| {
            operation.settle_session(session)?;
            receipt(operation, session)
        })
    }

    /// The delayed payment of a session does not arrive.
    pub fn fail(&self, session: &str) -> Result<Receipt, ControlError> {
        self.operate(|operation| {
            operation.fail_session(session)?;
            receipt(operation, session)
        })
    }

    /// Expires an open session now, as its time would.
    pub fn expire(&self, session: &str) -> Result<(), ControlError> {
        Ok(self.operate(|operation| operation.expire_session(session))?)
    }

    // --- refunds and the bank -----------------------------------------------------------------------------------

    /// Refunds by hand, as an employee does in the dashboard: no request, no idempotency key. Gives the refund's id.
    pub fn refund_by_hand(&self, payment_intent: &str, refund: DashboardRefund) -> Result<String, ControlError> {
        let request = RefundRequest {
            payment_intent: Some(payment_intent.to_owned()),
            amount: refund.amount,
            reason: refund.reason,
            ..RefundRequest::default()
        };
        Ok(self.operate(|operation| operation.create_refund(request))?)
    }

    /// Lets the next refund turn out so; called several times, the next ones in this order.
    pub fn plan_next_refund(&self, next: NextRefund) {
        let plan = PlannedRefund { status: next.status, failure_reason: next.failure_reason };
        self.operate(|operation| operation.plan_refund(plan));
    }

    /// A pending refund, or one that waits for the customer, succeeds.
    pub fn settle_refund(&self, refund: &str) -> Result<(), ControlError> {
        Ok(self.operate(|operation| operation.settle_refund(refund))?)
    }

    /// A refund fails, even one that had succeeded: `refund.failed`, and the charge is less refunded.
    pub fn fail_refund(&self, refund: &str, reason: &str) -> Result<(), ControlError> {
        Ok(self.operate(|operation| operation.fail_refund(refund, reason))?)
    }

    /// Disputes a charge (`charge.dispute.created`). Gives the dispute's id.
    pub fn dispute(&self, charge: &str, reason: &str) -> Result<String, ControlError> {
        Ok(self.operate(|operation| operation.dispute_charge(charge, reason))?)
    }

    /// Warns of fraud (`radar.early_fraud_warning.created`). Gives the warning's id.
    pub fn warn_of_fraud(&self, charge: &str, fraud_type: &str) -> Result<String, ControlError> {
        Ok(self.operate(|operation| operation.warn_of_fraud(charge, fraud_type))?)
    }

    // --- what there is ------------------------------------------------------------------------------------------

    /// The session opened last.
    #[must_use]
    pub fn latest_session_id(&self) -> Option<String> {
        self.operate(|operation| operation.account.sessions.newest_first().next().map(|session| session.id.clone()))
    }

    /// A session as the API shows it.
    #[must_use]
    pub fn session(&self, id: &str) -> Option<Value> {
        self.operate(|operation| operation.account.sessions.get(id).map(|found| found.to_json(operation.api_version)))
    }

    /// All sessions, oldest first, as the API shows them.
    #[must_use]
    pub fn sessions(&self) -> Vec<Value> {
        self.operate(|operation| {
            let version = operation.api_version;
            operation.account.sessions.oldest_first().map(|session| session.to_json(version)).collect()
        })
    }

    /// All payment intents, oldest first.
    #[must_use]
    pub fn payment_intents(&self) -> Vec<Value> {
        self.operate(|operation| {
            operation.account.intents.oldest_first().map(super::account::payment::PaymentIntent::to_json).collect()
        })
    }

    /// All charges, oldest first.
    #[must_use]
    pub fn charges(&self) -> Vec<Value> {
        self.operate(|operation| {
            operation.account.charges.oldest_first().map(super::account::payment::Charge::to_json).collect()
        })
    }

    /// All refunds, oldest first.
    #[must_use]
    pub fn refunds(&self) -> Vec<Value> {
        self.operate(|operation| {
            operation.account.refunds.oldest_first().map(super::account::refund::Refund::to_json).collect()
        })
    }

    /// All events, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.operate(|operation| {
            let version = operation.api_version.as_str();
            operation.account.events.oldest_first().map(|event| event.to_json(version)).collect()
        })
    }

    /// Calls of the API, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.simulation.with_world(|world| world.journal.requests())
    }

    /// Tries to deliver events, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<DeliveryAttempt> {
        self.simulation.with_world(|world| world.journal.deliveries())
    }

    // --- webhooks -----------------------------------------------------------------------------------------------

    /// Replaces the webhook endpoints. Events from now on go to these.
    pub fn set_webhook_endpoints(&self, targets: Vec<WebhookTarget>) {
        self.simulation.set_endpoints(targets);
    }

    /// Holds events back until [`Control::release_webhooks`]. Tries already under way are not stopped.
    pub fn hold_webhooks(&self) {
        self.simulation.with_world(|world| world.outbox.hold());
    }

    /// The held events' ids, in the order in which they happened.
    #[must_use]
    pub fn held_webhooks(&self) -> Vec<String> {
        self.simulation.with_world(|world| world.outbox.held().map(|job| job.event.clone()).collect())
    }

    /// Sends held events one after the other, each after the shop has answered the one before. Returns when all have
    /// been tried once. New events are no longer held, unless only some are released.
    pub async fn release_webhooks(&self, order: ReleaseOrder) {
        let jobs = self.simulation.with_world(|world| {
            let held = world.outbox.take_held();
            match order {
                ReleaseOrder::AsHappened => {
                    world.outbox.stop_holding();
                    held
                }
                ReleaseOrder::Reversed => {
                    world.outbox.stop_holding();
                    held.into_iter().rev().collect()
                }
                ReleaseOrder::Events(ids) => {
                    let (chosen, rest) = choose(held, &ids);
                    world.outbox.hold_again(rest);
                    chosen
                }
            }
        });
        let sending = dispatch::send_in_order(Arc::clone(&self.simulation), jobs);
        // An error means that the simulator was stopped meanwhile: then there is nothing to wait for.
        let _ = self.simulation.runtime.spawn(sending).await;
    }

    /// Loses the next events (of one type, or of any): they are never sent, and stay undelivered in `/v1/events`.
    pub fn drop_webhooks(&self, times: usize, event_type: Option<&str>) {
        self.simulation.with_world(|world| world.outbox.drop_next(times, event_type.map(str::to_owned)));
    }

    /// Sends each further event so many times, at the same time.
    pub fn repeat_webhooks(&self, times: usize) {
        self.simulation.with_world(|world| world.outbox.set_repeat(times.max(1)));
    }

    /// Waits so long before the first try of each further event.
    pub fn delay_webhooks(&self, delay: Duration) {
        self.simulation.with_world(|world| world.outbox.set_delay(delay));
    }

    /// Delivers an event now to every endpoint, whatever happened to it before, and gives the answers.
    pub async fn deliver(&self, event: &str) -> Result<Vec<DeliveryAttempt>, ControlError> {
        let endpoints: Vec<String> = self
            .simulation
            .with_world(|world| {
                world.account.events.get(event)?;
                Some(world.account.endpoints.iter().map(|endpoint| endpoint.id.clone()).collect())
            })
            .ok_or_else(|| ControlError::NotFound(format!("No such event: '{event}'")))?;
        let mut answers = Vec::new();
        for endpoint in endpoints {
            let simulation = Arc::clone(&self.simulation);
            let event = event.to_owned();
            let attempt = async move { dispatch::attempt(&simulation, &event, &endpoint, 0).await };
            if let Ok(Some(answer)) = self.simulation.runtime.spawn(attempt).await {
                answers.push(answer);
            }
        }
        Ok(answers)
    }

    /// Waits until no event is on its way or waits for a try; held ones don't count. Gives `false` after `timeout`.
    pub async fn wait_for_deliveries(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            if self.simulation.with_world(|world| world.outbox.is_idle()) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    // --- faults and time ----------------------------------------------------------------------------------------

    /// Lets calls of the API go wrong. Faults are used up in the order in which they were ordered.
    pub fn inject(&self, fault: Fault) {
        self.simulation.with_world(|world| world.faults.add(fault));
    }

    /// The faults not yet used up, in the order in which they were ordered.
    #[must_use]
    pub fn pending_faults(&self) -> Vec<Fault> {
        self.simulation.with_world(|world| world.faults.pending().to_vec())
    }

    /// Forgets all faults not yet used up.
    pub fn clear_faults(&self) {
        self.simulation.with_world(|world| world.faults.clear());
    }

    /// Lets every further call take so much longer.
    pub fn set_latency(&self, latency: Duration) {
        self.simulation.with_world(|world| world.latency = latency);
    }

    /// Limits the calls of the API per second; more are answered 429 `rate_limit`.
    pub fn set_rate_limit(&self, per_second: Option<u32>) {
        self.simulation.with_world(|world| world.rate = RateLimit::new(per_second));
    }

    /// Moves the clock: sessions expire, idempotency keys age, and `created` follows. Signatures keep real time unless
    /// [`SimulatorConfig::signs_by_own_clock`](crate::SimulatorConfig::signs_by_own_clock) is set.
    pub fn advance_clock(&self, seconds: i64) {
        self.simulation.clock.advance(seconds);
        self.operate(|_| ());
    }

    /// Unix seconds by the simulator's clock.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.simulation.clock.now()
    }

    /// Forgets everything but the webhook endpoints, faults and limits too, and sets the clock back to real time.
    pub fn reset(&self) {
        self.simulation.reset();
    }
}

fn receipt(operation: &Operation<'_>, session: &str) -> Result<Receipt, ControlError> {
    let payment_intent = operation.account.session(session, "session")?.payment_intent.clone().unwrap_or_default();
    let charge = operation.account.intent(&payment_intent, "intent")?.latest_charge.clone().unwrap_or_default();
    Ok(Receipt { session: session.to_owned(), payment_intent, charge })
}

/// The jobs of the named events in the order of the names, and the rest.
fn choose(held: Vec<Job>, ids: &[String]) -> (Vec<Job>, Vec<Job>) {
    let (mut chosen, rest): (Vec<Job>, Vec<Job>) = held.into_iter().partition(|job| ids.contains(&job.event));
    chosen.sort_by_key(|job| ids.iter().position(|id| *id == job.event));
    (chosen, rest)
}
