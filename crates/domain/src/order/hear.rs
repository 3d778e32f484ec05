//! What the provider says of an order, and what follows from it. Events and answers to the shop's own questions
//! go through the same rules, so the end is the same in whatever order they come (contract 3.4 to 3.6, 3.9).

use chrono::TimeDelta;

use crate::clock::{Ids, Timestamp};
use crate::id::{AttemptId, RefundRequestId};
use crate::money::Money;
use crate::order::change::Mover;
use crate::order::{Errand, Flag, Order, OrderChange, OrderStatus, Payability};
use crate::payment::{
    Attempt, AttemptState, CheckoutSessionId, Ending, EventContent, ExtraReason, OpenSession, PaymentIntentId,
    PaymentStatus, ProviderRefund, Receipt, ReceiptKind, RefundNews, RefundOutcome, RefundStanding, SessionPayment,
    SessionStanding,
};

/// One thing that the provider said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderNews {
    /// A session stands so.
    Session {
        /// The session.
        session_id: CheckoutSessionId,
        /// The attempt that it belongs to, where it names one.
        attempt_id: Option<AttemptId>,
        /// How it stands.
        standing: SessionStanding,
    },
    /// There is no session under this attempt, and there will be none.
    SessionRefused(AttemptId),
    /// A refund stands so.
    Refund(ProviderRefund),
    /// A refund request was refused for good; these refunds of its receipt there are.
    RefundRefused {
        /// The request.
        request_id: RefundRequestId,
        /// The receipt.
        intent: PaymentIntentId,
        /// What a look showed after the refusal.
        refunds: Vec<ProviderRefund>,
    },
    /// So much of a receipt is refunded in all.
    ChargeRefunded {
        /// The receipt.
        intent: PaymentIntentId,
        /// The total.
        refunded: Money,
        /// Refunds listed with it.
        refunds: Vec<ProviderRefund>,
    },
    /// The payer's bank disputes the payment.
    Disputed,
    /// The provider warns of fraud.
    FraudWarning,
}

impl ProviderNews {
    /// What an event tells an order; `None` if it tells nothing.
    #[must_use]
    pub fn of(content: &EventContent) -> Option<Self> {
        match content.clone() {
            EventContent::Session(news) => Some(Self::Session {
                session_id: news.session_id,
                attempt_id: news.attempt_id,
                standing: news.standing,
            }),
            EventContent::Refund(refund) => Some(Self::Refund(refund)),
            EventContent::ChargeRefunded { intent, refunded, refunds } => {
                Some(Self::ChargeRefunded { intent, refunded, refunds })
            }
            EventContent::Disputed(_) => Some(Self::Disputed),
            EventContent::FraudWarning(_) => Some(Self::FraudWarning),
            EventContent::Ignored { .. } | EventContent::Unreadable { .. } => None,
        }
    }

    /// The receipt that is linked to the order by this, or that it concerns.
    #[must_use]
    pub fn intent(&self) -> Option<&PaymentIntentId> {
        match self {
            Self::Session { standing: SessionStanding::Paid(payment), .. } => Some(&payment.intent),
            Self::Refund(refund) => Some(&refund.intent),
            Self::RefundRefused { intent, .. } | Self::ChargeRefunded { intent, .. } => Some(intent),
            Self::Session { .. } | Self::SessionRefused(_) | Self::Disputed | Self::FraudWarning => None,
        }
    }
}

/// How an order listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hearing {
    /// When the news arrived.
    pub at: Timestamp,
    /// How long an order waits for a delayed payment, in seconds (contract 3.9).
    pub async_wait_seconds: u32,
}

impl Order {
    /// Decides what follows from the provider's news. Hearing the same twice changes nothing more.
    #[must_use]
    pub fn hear(self, news: &ProviderNews, hearing: Hearing, ids: &dyn Ids) -> OrderChange {
        let mut change = OrderChange::of(self);
        match news {
            ProviderNews::Session { session_id, attempt_id, standing } => {
                change.hear_session(session_id, *attempt_id, standing, hearing, ids);
            }
            ProviderNews::SessionRefused(attempt_id) => change.hear_refusal(*attempt_id),
            ProviderNews::Refund(refund) => change.hear_refunds(&refund.intent, std::slice::from_ref(refund)),
            ProviderNews::RefundRefused { request_id, intent, refunds } => {
                change.hear_refunds(intent, refunds);
                change.hear_refund_refused(*request_id, ids);
            }
            ProviderNews::ChargeRefunded { intent, refunded, refunds } => {
                change.hear_charge_refunded(intent, *refunded);
                change.hear_refunds(intent, refunds);
            }
            ProviderNews::Disputed => change.flag(Flag::Disputed),
            ProviderNews::FraudWarning => change.flag(Flag::FraudWarning),
        }
        change
    }
}

impl OrderChange {
    fn hear_session(
        &mut self,
        session_id: &CheckoutSessionId,
        attempt_id: Option<AttemptId>,
        standing: &SessionStanding,
        hearing: Hearing,
        ids: &dyn Ids,
    ) {
        let attempt = match (self.attempt_of(session_id, attempt_id), standing) {
            (Some(attempt), _) => attempt,
            // Nobody paid through it, so it concerns none of the order's attempts.
            (None, SessionStanding::Open(_) | SessionStanding::Expired) => return,
            (None, SessionStanding::Processing | SessionStanding::Failed | SessionStanding::Paid(_)) => {
                self.adopt(session_id, hearing.at, ids)
            }
        };
        match standing {
            SessionStanding::Open(session) => self.session_opened(attempt, session, hearing.at),
            SessionStanding::Expired => self.session_ended(attempt, session_id, Ending::Expired),
            SessionStanding::Processing => self.session_processing(attempt, session_id, hearing),
            SessionStanding::Failed => self.session_failed(attempt, session_id),
            SessionStanding::Paid(payment) => {
                self.session_ended(attempt, session_id, Ending::Paid);
                self.take(payment, hearing.at, ids);
            }
        }
    }

    /// The attempt of a session: the one that holds it, else the one that it names, since the provider may speak of
    /// a session before it answers for it. A session that names none is not of the shop's asking.
    fn attempt_of(&self, session_id: &CheckoutSessionId, attempt_id: Option<AttemptId>) -> Option<usize> {
        let attempts = &self.order.attempts;
        let holds = |attempt: &Attempt| attempt.session_id() == Some(session_id);
        let is_named = |attempt: &Attempt| attempt.session_id().is_none() && attempt_id == Some(attempt.id);
        attempts.iter().position(holds).or_else(|| attempts.iter().position(is_named))
    }

    fn session_opened(&mut self, attempt: usize, session: &OpenSession, now: Timestamp) {
        let payable = self.order.payability(now) == Payability::Payable;
        let attempt = &mut self.order.attempts[attempt];
        if !attempt.is_live() {
            return;
        }
        attempt.state = AttemptState::Open(session.clone());
        if !payable {
            self.errands.push(Errand::CloseSession(attempt.id));
        }
    }

    /// Ends an attempt. Money is the last word; any other ending stays as it was first told.
    fn session_ended(&mut self, attempt: usize, session_id: &CheckoutSessionId, ending: Ending) {
        let attempt = &mut self.order.attempts[attempt];
        if ending == Ending::Paid || !matches!(attempt.state, AttemptState::Ended { .. }) {
            attempt.state = AttemptState::Ended { session_id: Some(session_id.clone()), ending };
        }
    }

    /// A delayed payment is under way: the order waits, and can't be paid another way meanwhile.
    fn session_processing(&mut self, attempt: usize, session_id: &CheckoutSessionId, hearing: Hearing) {
        let attempt = &mut self.order.attempts[attempt];
        if !attempt.is_live() {
            // Its result came first, and is final; or it is known to be under way.
            return;
        }
        let until = hearing.at + TimeDelta::seconds(i64::from(hearing.async_wait_seconds));
        attempt.state = AttemptState::Processing { session_id: session_id.clone(), until };
        self.close_live_attempts();
    }

    /// A delayed payment failed: the order can be paid again until its window ends.
    fn session_failed(&mut self, attempt: usize, session_id: &CheckoutSessionId) {
        if matches!(self.order.attempts[attempt].state, AttemptState::Ended { .. }) {
            return;
        }
        self.session_ended(attempt, session_id, Ending::Failed);
        self.order.payment = self.order.payment.fail().unwrap_or(self.order.payment);
    }

    /// Keeps a session that names this order but that the shop does not know.
    fn adopt(&mut self, session_id: &CheckoutSessionId, now: Timestamp, ids: &dyn Ids) -> usize {
        tracing::warn!(order.id = %self.order.id, session.id = %session_id, "the provider speaks of an unknown session");
        let attempt =
            Attempt { id: AttemptId::mint(ids), request: None, state: AttemptState::Requested, created_at: now };
        self.order.attempts.push(attempt);
        self.order.attempts.len() - 1
    }

    /// Money arrived. The first receipt of the right sum that meets a pending order pays it; any other goes back.
    fn take(&mut self, payment: &SessionPayment, at: Timestamp, ids: &dyn Ids) {
        if self.order.receipts.iter().any(|receipt| receipt.intent == payment.intent) {
            return;
        }
        let kind = self.kind_of(payment.amount);
        self.order.receipts.push(Receipt::new(payment.intent.clone(), payment.amount, kind, at));
        match kind {
            ReceiptKind::Payment => self.settle(at),
            ReceiptKind::Extra(reason) => {
                if reason == ExtraReason::Mismatch {
                    self.flag(Flag::AmountMismatch);
                }
                self.request_refund(self.order.receipts.len() - 1, ids);
            }
        }
    }

    fn kind_of(&self, amount: Money) -> ReceiptKind {
        if amount != self.order.total {
            return ReceiptKind::Extra(ExtraReason::Mismatch);
        }
        if self.order.payment_receipt().is_some() {
            return ReceiptKind::Extra(ExtraReason::Second);
        }
        if self.order.status() == OrderStatus::Pending {
            ReceiptKind::Payment
        } else {
            ReceiptKind::Extra(ExtraReason::Late)
        }
    }

    fn settle(&mut self, at: Timestamp) {
        let settled = self.step(at, Mover::provider(), |state| state.pay(at));
        // `kind_of` lets only a pending order without a payment come here, for which both moves exist.
        debug_assert!(settled.is_ok());
        self.order.payment = self.order.payment.complete().unwrap_or(PaymentStatus::Completed);
        self.close_live_attempts();
    }

    fn hear_refusal(&mut self, attempt_id: AttemptId) {
        let requested = |attempt: &&mut Attempt| attempt.id == attempt_id && attempt.state == AttemptState::Requested;
        if let Some(attempt) = self.order.attempts.iter_mut().find(requested) {
            attempt.state = AttemptState::Ended { session_id: None, ending: Ending::Refused };
        }
    }

    fn hear_refunds(&mut self, intent: &PaymentIntentId, refunds: &[ProviderRefund]) {
        let Some(receipt) = self.order.receipts.iter_mut().find(|receipt| receipt.intent == *intent) else { return };
        let mut undone = false;
        for refund in refunds.iter().filter(|refund| refund.intent == *intent) {
            undone |= receipt.keep(refund) == RefundNews::Undone;
        }
        if undone {
            self.flag(Flag::RefundFailed);
        }
        self.follow_refunds();
    }

    fn hear_charge_refunded(&mut self, intent: &PaymentIntentId, refunded: Money) {
        let Some(receipt) = self.order.receipts.iter_mut().find(|receipt| receipt.intent == *intent) else { return };
        if refunded.currency() == receipt.amount.currency() {
            receipt.charge_refunded_minor = receipt.charge_refunded_minor.max(refunded.amount_minor());
        }
    }

    /// A request was refused for good. If a part went back by hand meanwhile, what is left is asked for under a
    /// new key; if nothing is left, it is done; else it failed (contract 3.6).
    fn hear_refund_refused(&mut self, request_id: RefundRequestId, ids: &dyn Ids) {
        let is_meant = |receipt: &Receipt| receipt.requests.iter().any(|request| request.id == request_id);
        let Some(at) = self.order.receipts.iter().position(is_meant) else { return };
        let receipt = &mut self.order.receipts[at];
        let open = receipt.requests.iter_mut().find(|r| r.id == request_id && r.outcome == RefundOutcome::Open);
        let Some(request) = open else { return };
        request.outcome = RefundOutcome::Refused;
        let asked_minor = request.amount_minor;
        if receipt.left_minor() < asked_minor {
            self.request_refund(at, ids);
        } else if receipt.standing() == RefundStanding::Failed {
            self.flag(Flag::RefundFailed);
        }
        self.follow_refunds();
    }
}
