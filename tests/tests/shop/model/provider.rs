//! The payment provider of the model tests: keeps sessions, payments and refunds of its own in memory, answers as a
//! step says, and writes down what it told the shop. It also complains about what no shop may ask for.

use std::future::pending;
use std::mem::take;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::clock::Timestamp;
use domain::id::{AttemptId, OrderId, RefundRequestId};
use domain::money::{Currency, Money};
use domain::payment::{
    CheckoutRequest, CheckoutSessionId, FoundSession, GatewayUnavailable, OpenSession, OpenSessionError,
    PaymentGateway, PaymentIntentId, ProviderEventId, ProviderRefund, ProviderRefundId, RefundOrder, RefundRefused,
    RefundStatus, SessionPayment, SessionStanding, UndeliveredEvents,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::steps::{Payer, RefundEnd, Sum, Wire};

/// What the provider can tell a shop, in events as in answers.
#[derive(Debug, Clone)]
pub enum Told {
    Session { session: CheckoutSessionId, attempt: Option<AttemptId>, standing: SessionStanding },
    AttemptRefused(AttemptId),
    Refund(ProviderRefund),
    RefundRefused { request: RefundRequestId, intent: PaymentIntentId, refunds: Vec<ProviderRefund> },
    ChargeRefunded { intent: PaymentIntentId, minor: i64 },
    Disputed(PaymentIntentId),
    Warned(PaymentIntentId),
}

/// An event that the provider wants to deliver.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    pub payload: String,
    /// The order that a session's event names.
    pub order: Option<OrderId>,
    pub told: Told,
    pub is_delivered: bool,
}

/// One question of the shop's.
#[derive(Debug, Clone)]
pub struct Call {
    pub order: OrderId,
    pub asked: Asked,
    /// `None` if no answer arrived.
    pub said: Option<Said>,
}

/// What was asked.
#[derive(Debug, Clone)]
pub enum Asked {
    Open(AttemptId),
    Session,
    Refund { request: RefundRequestId, intent: PaymentIntentId, minor: i64 },
    Refunds(PaymentIntentId),
}

/// What was answered.
#[derive(Debug, Clone)]
pub enum Said {
    Told(Told),
    RefundRefused,
    Refunds(Vec<ProviderRefund>),
}

/// The provider.
pub struct Provider {
    desk: Mutex<Desk>,
    /// Rings when a call will never be answered, because the process dies during it.
    pub death: Notify,
}

/// The provider's books.
pub struct Desk {
    pub now: Timestamp,
    pub wire: Wire,
    pub sessions: Vec<Session>,
    pub refunds: Vec<Refund>,
    pub events: Vec<Event>,
    /// What the shop must not have asked for.
    pub complaints: Vec<String>,
    calls: Vec<Call>,
    tag: String,
}

pub struct Session {
    pub id: CheckoutSessionId,
    pub order: OrderId,
    /// `None` if the shop did not open it.
    pub request: Option<CheckoutRequest>,
    pub amount: Money,
    pub state: SessionState,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionState {
    Open,
    Expired,
    Processing,
    Failed,
    Paid(PaymentIntentId),
}

#[derive(Debug, Clone)]
pub struct Refund {
    pub news: ProviderRefund,
    /// How it stood when it was answered; a repeat of the request gets the same.
    first_status: RefundStatus,
}

impl Refund {
    pub fn stands(&self) -> bool {
        !self.news.status.is_undone()
    }
}

impl Provider {
    /// `tag` keeps its ids apart from those of other sequences.
    pub fn new(tag: &str, now: Timestamp) -> Self {
        let desk = Desk {
            now,
            wire: Wire::Fine,
            sessions: vec![],
            refunds: vec![],
            events: vec![],
            complaints: vec![],
            calls: vec![],
            tag: tag.to_owned(),
        };
        Self { desk: Mutex::new(desk), death: Notify::new() }
    }

    pub fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap()
    }

    /// Answers, or lets the process die, as the step says. `work` does what is asked; `said` tells what of it was said.
    async fn answer<T>(
        &self,
        order: OrderId,
        asked: Asked,
        work: impl FnOnce(&mut Desk) -> T,
        said: impl FnOnce(&T) -> Said,
    ) -> Result<T, GatewayUnavailable> {
        let (wire, outcome) = {
            let mut desk = self.desk();
            let wire = desk.wire;
            let outcome = (!matches!(wire, Wire::Down | Wire::DiesBefore)).then(|| work(&mut desk));
            let is_heard = !matches!(wire, Wire::Lost | Wire::DiesAfter);
            let said = outcome.as_ref().filter(|_| is_heard).map(said);
            desk.calls.push(Call { order, asked, said });
            (wire, outcome.filter(|_| is_heard))
        };
        if matches!(wire, Wire::DiesBefore | Wire::DiesAfter) {
            self.death.notify_one();
            return pending().await;
        }
        outcome.ok_or_else(|| GatewayUnavailable { reason: format!("the wire is {wire:?}") })
    }
}

#[async_trait]
impl PaymentGateway for Provider {
    async fn open_session(&self, request: &CheckoutRequest) -> Result<FoundSession, OpenSessionError> {
        let attempt = request.attempt_id;
        let said = |found: &Result<FoundSession, ()>| match found {
            Ok(found) => Said::Told(Told::Session {
                session: found.id.clone(),
                attempt: Some(attempt),
                standing: found.standing.clone(),
            }),
            Err(()) => Said::Told(Told::AttemptRefused(attempt)),
        };
        let opened = self.answer(request.order_id, Asked::Open(attempt), |desk| desk.open(request), said).await?;
        opened.map_err(|()| OpenSessionError::Refused { reason: "refused".to_owned() })
    }

    async fn session(&self, id: &CheckoutSessionId) -> Result<SessionStanding, GatewayUnavailable> {
        let (order, attempt) = self.desk().who_is(id);
        let standing = |standing: SessionStanding| Told::Session { session: id.clone(), attempt, standing };
        let said = |found: &SessionStanding| Said::Told(standing(found.clone()));
        self.answer(order, Asked::Session, |desk| desk.standing(id), said).await
    }

    async fn close_session(&self, id: &CheckoutSessionId) -> Result<SessionStanding, GatewayUnavailable> {
        let (order, attempt) = self.desk().who_is(id);
        let standing = |standing: SessionStanding| Told::Session { session: id.clone(), attempt, standing };
        let said = |found: &SessionStanding| Said::Told(standing(found.clone()));
        let close = |desk: &mut Desk| {
            desk.expire(|session| session.id == *id);
            desk.standing(id)
        };
        self.answer(order, Asked::Session, close, said).await
    }

    async fn refund(&self, order: &RefundOrder) -> Result<ProviderRefund, RefundRefused> {
        let asked = Asked::Refund {
            request: order.request_id,
            intent: order.intent.clone(),
            minor: order.amount.amount_minor(),
        };
        let said = |made: &Result<ProviderRefund, ()>| match made {
            Ok(refund) => Said::Told(Told::Refund(refund.clone())),
            Err(()) => Said::RefundRefused,
        };
        let made = self.answer(order.order_id, asked, |desk| desk.refund(order), said).await?;
        made.map_err(|()| RefundRefused::Refused { reason: "refused".to_owned() })
    }

    async fn refunds(&self, intent: &PaymentIntentId) -> Result<Vec<ProviderRefund>, GatewayUnavailable> {
        let order = self.desk().payment(intent).0;
        let said = |refunds: &Vec<ProviderRefund>| Said::Refunds(refunds.clone());
        let look = |desk: &mut Desk| desk.refunds_of(intent).map(|refund| refund.news.clone()).collect();
        self.answer(order, Asked::Refunds(intent.clone()), look, said).await
    }

    /// The steps deliver every event by themselves, late or not, and none of them reconciles.
    async fn undelivered_events(
        &self,
        _until: Timestamp,
        _after: Option<ProviderEventId>,
    ) -> Result<UndeliveredEvents, GatewayUnavailable> {
        Ok(UndeliveredEvents { events: Vec::new(), next: None })
    }
}

impl Desk {
    /// What was asked since the last time.
    pub fn take_calls(&mut self) -> Vec<Call> {
        take(&mut self.calls)
    }

    /// Time passes: sessions end by themselves.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = now;
        self.expire(|session| session.expires_at <= now);
    }

    fn who_is(&self, id: &CheckoutSessionId) -> (OrderId, Option<AttemptId>) {
        let session = self.sessions.iter().find(|session| session.id == *id).expect("a session of the provider's");
        (session.order, session.attempt())
    }

    fn standing(&self, id: &CheckoutSessionId) -> SessionStanding {
        self.sessions.iter().find(|session| session.id == *id).map_or(SessionStanding::Expired, Session::standing)
    }

    /// The order and the sum that a payment intent is about.
    pub fn payment(&self, intent: &PaymentIntentId) -> (OrderId, Money) {
        let paid = SessionState::Paid(intent.clone());
        let session = self.sessions.iter().find(|session| session.state == paid).expect("a payment of the provider's");
        (session.order, session.amount)
    }

    /// The payments for an order.
    pub fn intents_of(&self, order: OrderId) -> Vec<PaymentIntentId> {
        let of_order = self.sessions.iter().filter(|session| session.order == order);
        of_order
            .filter_map(
                |session| if let SessionState::Paid(intent) = &session.state { Some(intent.clone()) } else { None },
            )
            .collect()
    }

    fn refunds_of(&self, intent: &PaymentIntentId) -> impl Iterator<Item = &Refund> {
        self.refunds.iter().filter(move |refund| refund.news.intent == *intent)
    }

    /// What of a payment went back, or is on its way.
    pub fn back_of(&self, intent: &PaymentIntentId) -> i64 {
        self.refunds_of(intent).filter(|refund| refund.stands()).map(|refund| refund.news.amount.amount_minor()).sum()
    }

    // --- what the shop asks for ---------------------------------------------------------------------------------

    fn open(&mut self, request: &CheckoutRequest) -> Result<FoundSession, ()> {
        let known = self.sessions.iter().find(|session| session.attempt() == Some(request.attempt_id));
        if let Some(known) = known {
            if known.request.as_ref() != Some(request) {
                self.complaints.push(format!("attempt {} was repeated with other parameters", request.attempt_id));
            }
            return Ok(FoundSession { id: known.id.clone(), standing: known.standing() });
        }
        let life = request.expires_at - self.now;
        let is_acceptable = life >= TimeDelta::minutes(30) && life <= TimeDelta::hours(24);
        if self.wire == Wire::Refuses || !is_acceptable {
            return Err(());
        }
        if self.sessions.iter().any(|session| session.is_payable_for(request.order_id)) {
            self.complaints.push(format!("order {} would have a second open session", request.order_id));
        }
        let lines = request.lines.iter();
        let minor = lines.map(|line| line.unit_price.amount_minor() * i64::from(line.quantity.get())).sum();
        let id = self.name("cs", self.sessions.len());
        let session = Session {
            id: CheckoutSessionId::new(id).unwrap(),
            order: request.order_id,
            request: Some(request.clone()),
            amount: Money::from_minor(minor, Currency::USD),
            state: SessionState::Open,
            expires_at: request.expires_at,
        };
        let found = FoundSession { id: session.id.clone(), standing: session.standing() };
        self.sessions.push(session);
        Ok(found)
    }

    fn refund(&mut self, order: &RefundOrder) -> Result<ProviderRefund, ()> {
        let known = self.refunds.iter().find(|refund| refund.news.request_id == Some(order.request_id));
        if let Some(known) = known {
            if (&known.news.intent, known.news.amount) != (&order.intent, order.amount) {
                self.complaints.push(format!("refund request {} was repeated otherwise", order.request_id));
            }
            return Ok(ProviderRefund { status: known.first_status, ..known.news.clone() });
        }
        let (of, paid) = self.payment(&order.intent);
        if of != order.order_id {
            self.complaints.push(format!("order {} refunds the payment of {of}", order.order_id));
        }
        let left = paid.amount_minor() - self.back_of(&order.intent);
        if self.wire == Wire::Refuses || order.amount.amount_minor() > left {
            return Err(());
        }
        let status = if self.wire == Wire::Slow { RefundStatus::Pending } else { RefundStatus::Succeeded };
        Ok(self.give_back(&order.intent, order.amount, status, Some(order.request_id)))
    }

    fn give_back(
        &mut self,
        intent: &PaymentIntentId,
        amount: Money,
        status: RefundStatus,
        request_id: Option<RefundRequestId>,
    ) -> ProviderRefund {
        let id = ProviderRefundId::new(self.name("re", self.refunds.len())).unwrap();
        let news = ProviderRefund { id, intent: intent.clone(), amount, status, request_id };
        self.refunds.push(Refund { news: news.clone(), first_status: status });
        self.event("refund.created", None, refund_json(&news), Told::Refund(news.clone()));
        let minor = self.back_of(intent);
        let charge = json!({
            "id": "ch_1", "object": "charge", "payment_intent": intent.as_str(), "amount_refunded": minor,
            "currency": currency_word(amount),
        });
        self.event("charge.refunded", None, charge, Told::ChargeRefunded { intent: intent.clone(), minor });
        news
    }

    // --- what happens at the provider ---------------------------------------------------------------------------

    fn expire(&mut self, which: impl Fn(&Session) -> bool) {
        let ending: Vec<usize> = (0..self.sessions.len())
            .filter(|at| self.sessions[*at].state == SessionState::Open && which(&self.sessions[*at]))
            .collect();
        for at in ending {
            self.session_moves(at, SessionState::Expired, "checkout.session.expired");
        }
    }

    /// The payer does something about an order; nothing, if the order's sessions don't let them.
    pub fn payer(&mut self, order: OrderId, does: Payer) {
        let from = match does {
            Payer::Pays | Payer::PaysLater | Payer::PaysWrong => SessionState::Open,
            Payer::MoneyComes | Payer::MoneyFails => SessionState::Processing,
        };
        let Some(at) = self.sessions.iter().position(|session| session.order == order && session.state == from) else {
            return;
        };
        if does == Payer::PaysWrong {
            self.sessions[at].amount = Money::from_minor(self.sessions[at].amount.amount_minor() + 5, Currency::USD);
        }
        let (to, kind) = match does {
            Payer::Pays | Payer::PaysWrong => (self.money(at), "checkout.session.completed"),
            Payer::PaysLater => (SessionState::Processing, "checkout.session.completed"),
            Payer::MoneyComes => (self.money(at), "checkout.session.async_payment_succeeded"),
            Payer::MoneyFails => (SessionState::Failed, "checkout.session.async_payment_failed"),
        };
        self.session_moves(at, to, kind);
    }

    fn money(&self, session: usize) -> SessionState {
        SessionState::Paid(PaymentIntentId::new(self.name("pi", session)).unwrap())
    }

    /// Money comes in, or will, through a session that the shop did not open.
    pub fn foreign(&mut self, order: OrderId, total_minor: i64, sum: Sum, delayed: bool) {
        let amount = match sum {
            Sum::Right => Money::from_minor(total_minor, Currency::USD),
            Sum::Wrong => Money::from_minor(total_minor + 7, Currency::USD),
            Sum::Euros => Money::from_minor(total_minor, Currency::parse("EUR").unwrap()),
        };
        let at = self.sessions.len();
        let id = CheckoutSessionId::new(self.name("cs", at)).unwrap();
        let (state, expires_at) = (SessionState::Open, self.now + TimeDelta::days(1));
        self.sessions.push(Session { id, order, request: None, amount, state, expires_at });
        let to = if delayed { SessionState::Processing } else { self.money(at) };
        self.session_moves(at, to, "checkout.session.completed");
    }

    fn session_moves(&mut self, at: usize, to: SessionState, kind: &str) {
        let session = &mut self.sessions[at];
        session.state = to;
        let (order, object) = (session.order, session.json());
        let told =
            Told::Session { session: session.id.clone(), attempt: session.attempt(), standing: session.standing() };
        self.event(kind, Some(order), object, told);
    }

    /// Somebody gives money back by hand: all that is left of a payment, or half of it.
    pub fn by_hand(&mut self, intent: &PaymentIntentId, half: bool) {
        let paid = self.payment(intent).1;
        let left = paid.amount_minor() - self.back_of(intent);
        let minor = if half { left / 2 } else { left };
        if minor > 0 {
            let amount = Money::from_minor(minor, paid.currency());
            self.give_back(intent, amount, RefundStatus::Succeeded, None);
        }
    }

    /// A refund moves on, if it can.
    pub fn refund_moves(&mut self, at: usize, end: RefundEnd) {
        let news = &mut self.refunds[at].news;
        let (to, kind) = match end {
            RefundEnd::NeedsAction => (RefundStatus::RequiresAction, "refund.updated"),
            RefundEnd::Succeeds => (RefundStatus::Succeeded, "refund.updated"),
            RefundEnd::Fails => (RefundStatus::Failed, "refund.failed"),
            RefundEnd::IsCanceled => (RefundStatus::Canceled, "refund.updated"),
        };
        let can = match news.status {
            RefundStatus::Pending => true,
            RefundStatus::RequiresAction => to != RefundStatus::RequiresAction,
            RefundStatus::Succeeded => to == RefundStatus::Failed,
            RefundStatus::Failed | RefundStatus::Canceled => false,
        };
        if can {
            news.status = to;
            let news = news.clone();
            self.event(kind, None, refund_json(&news), Told::Refund(news));
        }
    }

    pub fn dispute(&mut self, intent: &PaymentIntentId) {
        let object = json!({ "id": "du_1", "object": "dispute", "payment_intent": intent.as_str() });
        self.event("charge.dispute.created", None, object, Told::Disputed(intent.clone()));
    }

    pub fn warn(&mut self, intent: &PaymentIntentId) {
        let object =
            json!({ "id": "issfr_1", "object": "radar.early_fraud_warning", "payment_intent": intent.as_str() });
        self.event("radar.early_fraud_warning.created", None, object, Told::Warned(intent.clone()));
    }

    fn event(&mut self, kind: &str, order: Option<OrderId>, object: Value, told: Told) {
        let id = self.name("evt", self.events.len());
        let payload = json!({ "id": id, "object": "event", "type": kind, "data": { "object": object } }).to_string();
        self.events.push(Event { id, payload, order, told, is_delivered: false });
    }

    fn name(&self, prefix: &str, number: usize) -> String {
        format!("{prefix}_{}_{number}", self.tag)
    }
}

impl Session {
    fn attempt(&self) -> Option<AttemptId> {
        self.request.as_ref().map(|request| request.attempt_id)
    }

    /// Whether somebody can pay an order by it.
    pub fn is_payable_for(&self, order: OrderId) -> bool {
        self.order == order && self.state == SessionState::Open
    }

    fn standing(&self) -> SessionStanding {
        match &self.state {
            SessionState::Open => SessionStanding::Open(OpenSession {
                id: self.id.clone(),
                url: format!("https://pay.example/{}", self.id),
                expires_at: self.expires_at,
            }),
            SessionState::Expired => SessionStanding::Expired,
            SessionState::Processing => SessionStanding::Processing,
            SessionState::Failed => SessionStanding::Failed,
            SessionState::Paid(intent) => {
                SessionStanding::Paid(SessionPayment { intent: intent.clone(), amount: self.amount })
            }
        }
    }

    fn json(&self) -> Value {
        let (status, payment_status, intent) = match &self.state {
            SessionState::Open => ("open", "unpaid", None),
            SessionState::Expired => ("expired", "unpaid", None),
            SessionState::Processing | SessionState::Failed => ("complete", "unpaid", None),
            SessionState::Paid(intent) => ("complete", "paid", Some(intent.as_str())),
        };
        let attempt = self.attempt().map(|attempt| attempt.to_string());
        json!({
            "id": self.id.as_str(), "object": "checkout.session", "client_reference_id": self.order.to_string(),
            "metadata": { "orderId": self.order.to_string(), "attemptId": attempt },
            "status": status, "payment_status": payment_status, "payment_intent": intent,
            "amount_total": self.amount.amount_minor(), "currency": currency_word(self.amount),
        })
    }
}

fn refund_json(refund: &ProviderRefund) -> Value {
    let request = refund.request_id.map(|request| request.to_string());
    json!({
        "id": refund.id.as_str(), "object": "refund", "payment_intent": refund.intent.as_str(),
        "amount": refund.amount.amount_minor(), "currency": currency_word(refund.amount),
        "status": refund.status.as_str(), "metadata": { "refundRequestId": request },
    })
}

fn currency_word(amount: Money) -> String {
    amount.currency().as_str().to_lowercase()
}
