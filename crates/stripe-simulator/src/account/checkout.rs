//! What can happen to a checkout session and its payment.

use super::Operation;
use super::payment::{Charge, ChargeStatus, IntentStatus, MethodKind, PaymentIntent};
use super::session::{Session, SessionStatus};
use crate::error::ApiError;
use crate::ids::{new_id, new_session_id, token};

/// How a customer pays, where it differs from what the session asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct PaymentTerms {
    /// Minor units.
    pub(crate) amount: Option<i64>,
    pub(crate) currency: Option<String>,
    pub(crate) email: Option<String>,
}

impl Operation<'_> {
    pub(crate) fn open_session(&mut self, session: Session) {
        self.account.open_until.insert((session.expires_at, session.id.clone()));
        self.account.sessions.add(session);
    }

    /// Expires every open session whose time has come.
    pub(crate) fn expire_due(&mut self) {
        while let Some((expires_at, id)) = self.account.open_until.first().cloned() {
            if expires_at > self.now {
                return;
            }
            self.close_as_expired(&id);
        }
    }

    /// Expires an open session; one that is not open is refused with its status.
    pub(crate) fn expire_session(&mut self, id: &str) -> Result<(), ApiError> {
        self.require_open(id, "expired")?;
        self.close_as_expired(id);
        Ok(())
    }

    fn close_as_expired(&mut self, id: &str) {
        let Some(session) = self.account.sessions.get_mut(id) else {
            self.account.open_until.retain(|(_, open)| open != id);
            return;
        };
        session.status = SessionStatus::Expired;
        let key = (session.expires_at, id.to_owned());
        let attempted = session.payment_intent.clone();
        self.account.open_until.remove(&key);
        if let Some(intent) = attempted {
            self.cancel_intent(&intent, Some("automatic"));
        }
        self.emit_session("checkout.session.expired", id);
    }

    fn require_open(&self, id: &str, what: &str) -> Result<&Session, ApiError> {
        let session = self.account.session(id, "session")?;
        if session.status == SessionStatus::Open {
            return Ok(session);
        }
        Err(ApiError::refused(format!(
            "Only Checkout Sessions with a status in [\"open\"] can be {what}. This Checkout Session has a status of \
             `{}`.",
            session.status.as_str()
        )))
    }

    /// Pays an open session at once.
    pub(crate) fn pay_session(&mut self, id: &str, terms: &PaymentTerms) -> Result<(), ApiError> {
        let intent = self.submit(id, terms, MethodKind::Card)?;
        self.finish_intent(&intent);
        self.complete_session(id, true);
        self.emit_session("checkout.session.completed", id);
        Ok(())
    }

    /// Completes an open session with a method whose result comes later.
    pub(crate) fn complete_session_unpaid(&mut self, id: &str, terms: &PaymentTerms) -> Result<(), ApiError> {
        let currency = self.require_open(id, "paid")?.currency.clone();
        let intent = self.submit(id, terms, MethodKind::delayed(&currency))?;
        if let Some(intent) = self.account.intents.get_mut(&intent) {
            intent.status = IntentStatus::Processing;
        }
        let charge = self.charge_intent(&intent, ChargeStatus::Pending);
        self.emit_charge("charge.pending", &charge, None);
        self.emit_intent("payment_intent.processing", &intent);
        self.complete_session(id, false);
        self.emit_session("checkout.session.completed", id);
        Ok(())
    }

    /// Tries to pay with a card that is declined; the session stays open.
    pub(crate) fn decline_session(&mut self, id: &str, terms: &PaymentTerms) -> Result<(), ApiError> {
        let intent = self.submit(id, terms, MethodKind::Card)?;
        self.decline_intent(&intent, "generic_decline");
        Ok(())
    }

    /// The delayed payment arrived.
    pub(crate) fn settle_session(&mut self, id: &str) -> Result<(), ApiError> {
        let intent = self.require_awaiting(id)?;
        self.finish_intent(&intent);
        if let Some(session) = self.account.sessions.get_mut(id) {
            session.is_paid = true;
        }
        self.emit_session("checkout.session.async_payment_succeeded", id);
        Ok(())
    }

    /// The delayed payment did not arrive.
    pub(crate) fn fail_session(&mut self, id: &str) -> Result<(), ApiError> {
        let intent = self.require_awaiting(id)?;
        self.decline_intent(&intent, "insufficient_funds");
        self.emit_session("checkout.session.async_payment_failed", id);
        Ok(())
    }

    fn require_awaiting(&self, id: &str) -> Result<String, ApiError> {
        let session = self.account.session(id, "session")?;
        let awaited = session
            .shown_intent()
            .and_then(|intent| self.account.intents.get(intent))
            .filter(|intent| intent.status == IntentStatus::Processing);
        match awaited {
            Some(intent) => Ok(intent.id.clone()),
            None => Err(ApiError::refused(format!(
                "Checkout session {id} does not wait for a delayed payment: its status is `{}`, {}.",
                session.status.as_str(),
                if session.is_paid { "paid" } else { "unpaid" }
            ))),
        }
    }

    /// A copy of a session, open and with an id of its own: a second way to pay for the same thing.
    pub(crate) fn duplicate_session(&mut self, id: &str) -> Result<String, ApiError> {
        let mut copy = self.account.session(id, "session")?.clone();
        let lifetime = copy.expires_at - copy.created;
        copy.id = new_session_id();
        copy.created = self.now;
        copy.expires_at = self.now + lifetime;
        copy.status = SessionStatus::Open;
        copy.is_paid = false;
        copy.payment_intent = None;
        copy.paid_by_email = None;
        copy.page_url = format!("{}/pay/c/{}", self.base_url, copy.id);
        let copy_id = copy.id.clone();
        self.open_session(copy);
        Ok(copy_id)
    }

    /// The intent of an attempt to pay, made at the first one.
    fn submit(&mut self, id: &str, terms: &PaymentTerms, method: MethodKind) -> Result<String, ApiError> {
        self.require_open(id, "paid")?;
        let Some(session) = self.account.sessions.get_mut(id) else {
            return Err(ApiError::missing_resource("checkout.session", id, "session"));
        };
        if let Some(amount) = terms.amount {
            session.amount_total = amount;
        }
        if let Some(currency) = &terms.currency {
            session.currency.clone_from(currency);
        }
        if terms.email.is_some() {
            session.paid_by_email.clone_from(&terms.email);
        }
        session.method = method;
        if !session.method_types.iter().any(|kind| kind == method.as_str()) {
            session.method_types.push(method.as_str().to_owned());
        }
        let session = session.clone();
        if let Some(existing) = &session.payment_intent {
            if let Some(intent) = self.account.intents.get_mut(existing) {
                intent.amount = session.amount_total;
                intent.currency = session.currency;
                intent.method = method;
            }
            return Ok(existing.clone());
        }
        let intent = PaymentIntent {
            description: session.intent_description.clone(),
            metadata: session.intent_metadata.clone(),
            receipt_email: session.email().map(str::to_owned),
            ..new_intent(self.now, session.amount_total, session.currency, method)
        };
        let intent_id = self.add_intent(intent);
        if let Some(session) = self.account.sessions.get_mut(id) {
            session.payment_intent = Some(intent_id.clone());
        }
        Ok(intent_id)
    }

    fn complete_session(&mut self, id: &str, is_paid: bool) {
        if let Some(session) = self.account.sessions.get_mut(id) {
            session.status = SessionStatus::Complete;
            session.is_paid = is_paid;
            self.account.open_until.remove(&(session.expires_at, id.to_owned()));
        }
    }

    pub(crate) fn add_intent(&mut self, intent: PaymentIntent) -> String {
        let id = intent.id.clone();
        self.account.intents.add(intent);
        self.emit_intent("payment_intent.created", &id);
        id
    }

    /// Charges an intent with success, or settles its pending charge.
    pub(crate) fn finish_intent(&mut self, id: &str) {
        let charge = self.charge_intent(id, ChargeStatus::Succeeded);
        if let Some(intent) = self.account.intents.get_mut(id) {
            intent.status = IntentStatus::Succeeded;
            intent.decline_code = None;
        }
        self.emit_charge("charge.succeeded", &charge, None);
        self.emit_intent("payment_intent.succeeded", id);
    }

    pub(crate) fn decline_intent(&mut self, id: &str, decline_code: &str) {
        if let Some(intent) = self.account.intents.get_mut(id) {
            intent.decline_code = Some(decline_code.to_owned());
        }
        let charge = self.charge_intent(id, ChargeStatus::Failed);
        if let Some(intent) = self.account.intents.get_mut(id) {
            intent.status = IntentStatus::RequiresPaymentMethod;
            intent.payment_method = None;
        }
        self.emit_charge("charge.failed", &charge, None);
        self.emit_intent("payment_intent.payment_failed", id);
    }

    /// Cancels an intent that has not come to an end; nothing happens to one that has.
    pub(crate) fn cancel_intent(&mut self, id: &str, reason: Option<&str>) -> bool {
        let Some(intent) = self.account.intents.get_mut(id) else { return false };
        let is_cancelable =
            matches!(intent.status, IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresConfirmation);
        if is_cancelable {
            intent.status = IntentStatus::Canceled;
            intent.canceled_at = Some(self.now);
            intent.cancellation_reason = reason.map(str::to_owned);
            self.emit_intent("payment_intent.canceled", id);
        }
        is_cancelable
    }

    /// Brings the intent's pending charge to `status`, or makes a charge that has it.
    fn charge_intent(&mut self, intent_id: &str, status: ChargeStatus) -> String {
        let Some(intent) = self.account.intents.get_mut(intent_id) else { return String::new() };
        let decline_code = if status == ChargeStatus::Failed { intent.decline_code.clone() } else { None };
        if let Some(pending) = &intent.latest_charge
            && let Some(charge) = self.account.charges.get_mut(pending)
            && charge.status == ChargeStatus::Pending
        {
            charge.status = status;
            charge.decline_code = decline_code;
            return charge.id.clone();
        }
        let payment_method = intent.payment_method.get_or_insert_with(|| new_id("pm")).clone();
        let charge = Charge {
            id: new_id("ch"),
            created: self.now,
            amount: intent.amount,
            amount_refunded: 0,
            currency: intent.currency.clone(),
            status,
            disputed: false,
            decline_code,
            payment_intent: intent_id.to_owned(),
            method: intent.method,
            payment_method,
            balance_transaction: new_id("txn"),
            email: intent.receipt_email.clone(),
            description: intent.description.clone(),
            metadata: intent.metadata.clone(),
        };
        let id = charge.id.clone();
        intent.latest_charge = Some(id.clone());
        self.account.charges.add(charge);
        id
    }
}

/// An intent that nobody has tried to pay yet.
pub(crate) fn new_intent(now: i64, amount: i64, currency: String, method: MethodKind) -> PaymentIntent {
    let id = new_id("pi");
    PaymentIntent {
        client_secret: format!("{id}_secret_{}", token(25)),
        id,
        created: now,
        amount,
        currency,
        status: IntentStatus::RequiresPaymentMethod,
        method,
        payment_method: None,
        latest_charge: None,
        decline_code: None,
        description: None,
        receipt_email: None,
        metadata: crate::params::Metadata::new(),
        canceled_at: None,
        cancellation_reason: None,
    }
}
