//! The model of one order and its money.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use domain::clock::Timestamp;
use domain::id::{AttemptId, OrderId, RefundRequestId};
use domain::money::Money;
use domain::payment::{CheckoutSessionId, PaymentIntentId, ProviderRefund, RefundStatus, SessionStanding};

use super::books::{ASYNC_WAIT, Answer, GRACE, WINDOW, ok};
use super::provider::Told;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Pending,
    Paid,
    Shipped,
    Delivered,
    Cancelled,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_uppercase())
    }
}

impl Status {
    pub fn is_paid(self) -> bool {
        matches!(self, Self::Paid | Self::Shipped | Self::Delivered)
    }
}

#[derive(Debug, Clone)]
pub struct Order {
    pub id: OrderId,
    pub who: usize,
    /// Product, units, price.
    lines: Vec<(usize, i64, i64)>,
    pub total: i64,
    pub status: Status,
    placed_at: Timestamp,
    pub cancelled: Option<(&'static str, Timestamp)>,
    history: Vec<(Status, &'static str)>,
    flags: BTreeSet<&'static str>,
    has_failed_payment: bool,
    attempts: Vec<Attempt>,
    pub receipts: Vec<Receipt>,
}

#[derive(Debug, Clone, PartialEq)]
struct Attempt {
    /// `None` while only the shop knows it.
    id: Option<AttemptId>,
    session: Option<CheckoutSessionId>,
    state: Way,
}

/// How far an attempt to be paid came.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Asked,
    Open { until: Timestamp },
    Processing { until: Timestamp },
    Over,
}

impl Attempt {
    fn is_live(&self) -> bool {
        matches!(self.state, Way::Asked | Way::Open { .. })
    }
}

#[derive(Debug, Clone)]
pub struct Receipt {
    pub intent: PaymentIntentId,
    pub amount: Money,
    pub kind: &'static str,
    refunds: BTreeMap<String, (i64, RefundStatus)>,
    /// What the charge says was refunded of it in all.
    charged_back: i64,
    /// The request that waits for its answer, and the key under which the provider saw it.
    open: Option<(i64, Option<RefundRequestId>)>,
    was_refused: bool,
}

/// How much of a receipt went back.
#[derive(PartialEq)]
enum Back {
    Nothing,
    Part,
    OnItsWay,
    All,
    Failed,
}

impl Receipt {
    /// What went back or is on its way.
    pub fn back(&self) -> i64 {
        let named: i64 = self.refunds.values().map(|(minor, _)| minor).sum();
        let stands: i64 = self.refunds.values().filter(|(_, s)| !s.is_undone()).map(|(minor, _)| minor).sum();
        stands + (self.charged_back - named).max(0)
    }

    fn left(&self) -> i64 {
        (self.amount.amount_minor() - self.back()).max(0)
    }

    fn standing(&self) -> Back {
        let mut statuses = self.refunds.values().map(|(_, status)| *status);
        let on_its_way = |status| matches!(status, RefundStatus::Pending | RefundStatus::RequiresAction);
        if self.open.is_some() || (self.left() == 0 && statuses.clone().any(on_its_way)) {
            Back::OnItsWay
        } else if self.left() == 0 {
            Back::All
        } else if self.was_refused || statuses.any(RefundStatus::is_undone) {
            Back::Failed
        } else if self.back() > 0 {
            Back::Part
        } else {
            Back::Nothing
        }
    }

    fn word(&self) -> &'static str {
        let has = |wanted| self.refunds.values().any(|(_, status)| *status == wanted);
        match self.standing() {
            Back::Nothing | Back::Part => "pending",
            Back::OnItsWay if self.open.is_some() || has(RefundStatus::Pending) => "pending",
            Back::OnItsWay => "requires_action",
            Back::All => "succeeded",
            Back::Failed if has(RefundStatus::Canceled) && !has(RefundStatus::Failed) => "canceled",
            Back::Failed => "failed",
        }
    }

    fn request(&mut self) -> bool {
        let asks = self.open.is_none() && self.left() > 0;
        if asks {
            self.open = Some((self.left(), None));
            self.was_refused = false;
        }
        asks
    }

    /// A refund stands so; says whether it failed just now.
    fn keep(&mut self, news: &ProviderRefund) -> bool {
        if news.request_id.is_some() && self.open.is_some_and(|(_, key)| key == news.request_id) {
            self.open = None;
        }
        let known = self.refunds.get(news.id.as_str()).map(|(_, status)| rank(*status));
        let moves = known.is_none_or(|known| rank(news.status) > known);
        if moves {
            self.refunds.insert(news.id.to_string(), (news.amount.amount_minor(), news.status));
        }
        moves && news.status.is_undone()
    }
}

fn rank(status: RefundStatus) -> u8 {
    match status {
        RefundStatus::Pending => 1,
        RefundStatus::RequiresAction => 2,
        RefundStatus::Succeeded => 3,
        RefundStatus::Failed | RefundStatus::Canceled => 4,
    }
}

impl Order {
    pub fn new(id: OrderId, who: usize, lines: Vec<(usize, i64, i64)>, now: Timestamp) -> Self {
        Self {
            id,
            who,
            total: lines.iter().map(|(_, units, price)| units * price).sum(),
            lines,
            status: Status::Pending,
            placed_at: now,
            cancelled: None,
            history: vec![(Status::Pending, "CUSTOMER")],
            flags: BTreeSet::new(),
            has_failed_payment: false,
            attempts: vec![],
            receipts: vec![],
        }
    }

    pub fn units_of(&self, what: usize) -> i64 {
        self.lines.iter().filter(|(product, ..)| *product == what).map(|(_, units, _)| units).sum()
    }

    // --- paying -------------------------------------------------------------------------------------------------

    fn waits_until(&self) -> Option<Timestamp> {
        let waits = self.attempts.iter();
        waits.filter_map(|attempt| if let Way::Processing { until } = attempt.state { Some(until) } else { None }).max()
    }

    /// When it is cancelled for age.
    pub fn due_at(&self) -> Timestamp {
        let window = self.placed_at + WINDOW;
        self.waits_until().map_or(window, |until| until.max(window))
    }

    /// Why it can't be paid, if it can't.
    pub fn unpayable(&self, now: Timestamp) -> Option<&'static str> {
        match self.status {
            Status::Paid | Status::Shipped | Status::Delivered => Some("order_already_paid"),
            Status::Cancelled => Some("order_not_payable"),
            Status::Pending if now >= self.placed_at + WINDOW => Some("order_not_payable"),
            Status::Pending => self.waits_until().map(|_| "order_not_payable"),
        }
    }

    /// The session where it can be paid.
    pub fn payable_session(&self, now: Timestamp) -> Option<&CheckoutSessionId> {
        let is_open = |attempt: &&Attempt| matches!(attempt.state, Way::Open { until } if now < until);
        let open = self.attempts.iter().find(is_open)?;
        if self.unpayable(now).is_none() { open.session.as_ref() } else { None }
    }

    pub fn has_live_attempt(&self) -> bool {
        self.attempts.iter().any(Attempt::is_live)
    }

    /// The first attempt, if there is one.
    pub fn begin_attempt(&mut self, id: Option<AttemptId>) {
        self.attempts.extend(id.map(|id| Attempt { id: Some(id), session: None, state: Way::Asked }));
    }

    /// A further attempt: only when none is live. Its id shows when the provider is asked.
    pub fn retry(&mut self) {
        assert!(!self.has_live_attempt(), "a further attempt began before the last one was known to have ended");
        self.attempts.push(Attempt { id: None, session: None, state: Way::Asked });
        self.has_failed_payment = false;
    }

    /// The provider was asked for the session of this attempt; says whether the model has it.
    pub fn recognise(&mut self, id: AttemptId) -> bool {
        let unnamed = |attempt: &&mut Attempt| attempt.id.is_none() && attempt.state == Way::Asked;
        if self.attempts.iter().any(|attempt| attempt.id == Some(id)) {
            return true;
        }
        self.attempts.iter_mut().find(unnamed).map(|attempt| attempt.id = Some(id)).is_some()
    }

    // --- what the provider says -----------------------------------------------------------------------------------

    /// The receipt that a saying is about.
    pub fn intent_of(told: &Told) -> Option<&PaymentIntentId> {
        match told {
            Told::Session { .. } | Told::AttemptRefused(_) => None,
            Told::Refund(refund) => Some(&refund.intent),
            Told::RefundRefused { intent, .. } | Told::ChargeRefunded { intent, .. } => Some(intent),
            Told::Disputed(intent) | Told::Warned(intent) => Some(intent),
        }
    }

    pub fn is_about(&self, told: &Told) -> bool {
        self.receipts.iter().any(|receipt| Some(&receipt.intent) == Self::intent_of(told))
    }

    pub fn hear(&mut self, told: &Told, now: Timestamp) {
        match told {
            Told::Session { session, attempt, standing } => self.hear_session(session, *attempt, standing, now),
            Told::AttemptRefused(id) => {
                let asked = self.attempts.iter_mut().filter(|a| a.id == Some(*id) && a.state == Way::Asked);
                asked.for_each(|attempt| attempt.state = Way::Over);
            }
            Told::Refund(refund) => self.hear_refunds(std::slice::from_ref(refund)),
            Told::RefundRefused { request, intent, refunds } => {
                self.hear_refunds(refunds);
                self.hear_refusal(*request, intent);
            }
            Told::ChargeRefunded { intent, minor } => {
                let receipt = self.receipt(intent);
                receipt.charged_back = receipt.charged_back.max(*minor);
            }
            Told::Disputed(_) => drop(self.flags.insert("DISPUTED")),
            Told::Warned(_) => drop(self.flags.insert("FRAUD_WARNING")),
        }
    }

    fn receipt(&mut self, intent: &PaymentIntentId) -> &mut Receipt {
        self.receipts.iter_mut().find(|receipt| receipt.intent == *intent).expect("a receipt of the model")
    }

    fn hear_session(
        &mut self,
        session: &CheckoutSessionId,
        attempt: Option<AttemptId>,
        standing: &SessionStanding,
        now: Timestamp,
    ) {
        let known = self.attempts.iter().position(|a| a.session.as_ref() == Some(session));
        let named = || self.attempts.iter().position(|a| a.session.is_none() && attempt.is_some() && a.id == attempt);
        let at = known.or_else(named).unwrap_or_else(|| {
            self.attempts.push(Attempt { id: None, session: Some(session.clone()), state: Way::Asked });
            self.attempts.len() - 1
        });
        let attempt = &mut self.attempts[at];
        let was_over = attempt.state == Way::Over;
        // What ended stays ended: an asynchronous result is final, whichever event comes first.
        attempt.session = Some(session.clone()).filter(|_| !was_over || attempt.session.is_some());
        match standing {
            SessionStanding::Open(open) if attempt.is_live() => attempt.state = Way::Open { until: open.expires_at },
            SessionStanding::Processing if attempt.is_live() => {
                attempt.state = Way::Processing { until: now + ASYNC_WAIT };
            }
            SessionStanding::Open(_) | SessionStanding::Processing => {}
            SessionStanding::Expired => attempt.state = Way::Over,
            SessionStanding::Failed => {
                attempt.state = Way::Over;
                self.has_failed_payment |= !was_over;
            }
            SessionStanding::Paid(payment) => {
                attempt.session = Some(session.clone());
                attempt.state = Way::Over;
                self.take(&payment.intent, payment.amount);
            }
        }
    }

    /// Money came in. The first of the right sum that meets a pending order pays it, and all other goes back.
    fn take(&mut self, intent: &PaymentIntentId, amount: Money) {
        if self.receipts.iter().any(|receipt| receipt.intent == *intent) {
            return;
        }
        let is_right = (amount.amount_minor(), amount.currency().as_str()) == (self.total, "USD");
        let kind = match self.status {
            _ if !is_right => "MISMATCH",
            _ if self.receipts.iter().any(|receipt| receipt.kind == "PAYMENT") => "SECOND",
            Status::Pending => "PAYMENT",
            _ => "LATE",
        };
        self.receipts.push(Receipt {
            intent: intent.clone(),
            amount,
            kind,
            refunds: BTreeMap::new(),
            charged_back: 0,
            open: None,
            was_refused: false,
        });
        if kind == "PAYMENT" {
            self.moves(Status::Paid, "PROVIDER");
            return;
        }
        if kind == "MISMATCH" {
            self.flags.insert("AMOUNT_MISMATCH");
        }
        self.receipt(intent).request();
    }

    fn hear_refunds(&mut self, refunds: &[ProviderRefund]) {
        for refund in refunds {
            if self.receipt(&refund.intent).keep(refund) {
                self.flags.insert("REFUND_FAILED");
            }
        }
    }

    fn hear_refusal(&mut self, request: RefundRequestId, intent: &PaymentIntentId) {
        let receipt = self.receipt(intent);
        let Some((asked, _)) = receipt.open.take_if(|(_, key)| *key == Some(request)) else { return };
        receipt.was_refused = true;
        if receipt.left() < asked {
            // A part, or all, went back by hand meanwhile.
            receipt.request();
        } else {
            self.flags.insert("REFUND_FAILED");
        }
    }

    /// The provider was asked for a refund. In doubt, the old key is used again.
    pub fn recognise_refund(
        &mut self,
        request: RefundRequestId,
        intent: &PaymentIntentId,
        minor: i64,
    ) -> Result<(), String> {
        let open = &mut self.receipt(intent).open;
        match open {
            Some((asked, key)) if *asked == minor && key.is_none_or(|key| key == request) => {
                *key = Some(request);
                Ok(())
            }
            other => Err(format!("a refund of {minor} was asked for under {request}, the model expects {other:?}")),
        }
    }

    // --- what people wish -----------------------------------------------------------------------------------------

    fn moves(&mut self, to: Status, by: &'static str) {
        self.status = to;
        self.history.push((to, by));
    }

    pub fn cancel(&mut self, by: &'static str, now: Timestamp) {
        self.moves(Status::Cancelled, by);
        self.cancelled = Some((by, now));
    }

    pub fn refund_payment(&mut self) {
        if let Some(payment) = self.receipts.iter_mut().find(|receipt| receipt.kind == "PAYMENT") {
            payment.request();
        }
    }

    pub fn refund_all(&mut self) -> Answer {
        let asked = self.receipts.iter_mut().filter_map(|receipt| receipt.request().then_some(())).count();
        if asked == 0 { "order_not_refundable".to_owned() } else { ok() }
    }

    pub fn ship(&mut self) -> Answer {
        if self.status != Status::Paid || self.payment() != "COMPLETED" {
            return format!("invalid_transition {} to SHIPPED", self.status);
        }
        if !self.flags.is_empty() {
            return format!("order_flagged {:?}", self.flags);
        }
        self.moves(Status::Shipped, "ADMIN");
        ok()
    }

    pub fn deliver(&mut self) -> Answer {
        if self.status != Status::Shipped {
            return format!("invalid_transition {} to DELIVERED", self.status);
        }
        self.moves(Status::Delivered, "ADMIN");
        ok()
    }

    pub fn clear_flags(&mut self) -> Answer {
        self.flags.clear();
        ok()
    }

    /// Its time is over; says whether it was cancelled for it.
    pub fn expire(&mut self, now: Timestamp, provider_answered: bool) -> bool {
        let is_in_doubt = self.has_live_attempt() || !provider_answered;
        let is_due = self.status == Status::Pending && now >= self.due_at();
        let expires = is_due && (!is_in_doubt || now >= self.due_at() + GRACE);
        if expires {
            self.cancel("SYSTEM", now);
        }
        expires
    }

    // --- what can be seen -----------------------------------------------------------------------------------------

    pub fn payment(&self) -> &'static str {
        let Some(payment) = self.receipts.iter().find(|receipt| receipt.kind == "PAYMENT") else {
            return if self.has_failed_payment { "FAILED" } else { "PENDING" };
        };
        match payment.standing() {
            Back::Nothing | Back::Part => "COMPLETED",
            Back::OnItsWay => "REFUND_PENDING",
            Back::All => "REFUNDED",
            Back::Failed => "REFUND_FAILED",
        }
    }

    pub fn has_failed_refund(&self) -> bool {
        self.receipts.iter().any(|receipt| receipt.standing() == Back::Failed)
    }

    /// What of it must not stay with the shop.
    pub fn owed(&self) -> impl Iterator<Item = &Receipt> {
        self.receipts.iter().filter(|receipt| receipt.kind != "PAYMENT" || self.status == Status::Cancelled)
    }

    pub fn view(&self, now: Timestamp) -> String {
        let Self { status, total, flags, .. } = self;
        let by = self.cancelled.map_or("nobody", |(by, _)| by);
        let session = self.payable_session(now).map_or("nowhere", CheckoutSessionId::as_str);
        let unpayable = self.unpayable(now).unwrap_or("payable");
        let attempts: Vec<String> = self.attempts.iter().map(attempt_view).collect();
        let mut receipts: Vec<String> = self.receipts.iter().map(receipt_view).collect();
        receipts.sort();
        let history: Vec<String> = self.history.iter().map(|(to, by)| format!("{to} by {by}")).collect();
        format!(
            "{status}, cancelled by {by}, {total} is {}, {unpayable} at {session}, due {}, flags {flags:?}, \
             attempts {attempts:?}, receipts {receipts:?}, history {history:?}",
            self.payment(),
            self.due_at(),
        )
    }
}

fn attempt_view(attempt: &Attempt) -> String {
    let state = match attempt.state {
        Way::Asked => "asked",
        Way::Open { .. } => "open",
        Way::Processing { .. } => "processing",
        Way::Over => "over",
    };
    format!("{} {state}", attempt.session.as_ref().map_or("-", CheckoutSessionId::as_str))
}

fn receipt_view(receipt: &Receipt) -> String {
    let word = if receipt.kind == "PAYMENT" { "" } else { receipt.word() };
    format!("{} {:?} {} back {} {word}", receipt.intent, receipt.amount, receipt.kind, receipt.back())
}
