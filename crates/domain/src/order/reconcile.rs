//! Reconciliation: asking the provider about all that the shop may have missed, and settling what differs by the same
//! rules as events (contract 5, `app reconcile`). It repairs what lost webhooks leave behind, and nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::id::{AttemptId, OrderId};
use crate::order::expire::LastWord;
use crate::order::{EventOutcome, Order, OrderService, Payability, ProviderNews};
use crate::payment::{
    Attempt, AttemptState, CheckoutSessionId, EventStatus, FoundSession, OpenSessionError, ProviderEvent,
    ProviderEventId, ProviderRefund, ProviderRefundId, Receipt, RefundOutcome, RefundStatus, SessionStanding,
};
use crate::store::StoreError;

/// Where it is known what the provider must be asked about, and whose turn it is to ask.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait UnsettledRepository: Send + Sync {
    /// Up to `limit` orders, in the order of their ids and after this one, whatever their state: those with an attempt
    /// that was stored before this moment and is not known to have ended, or with a refund that is asked for or under
    /// way.
    async fn unsettled(
        &self,
        stored_before: Timestamp,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<OrderId>, StoreError>;

    /// Those of these events that never came, in the same order, with what would become of each. MUST change nothing.
    async fn unheard(&self, events: Vec<ProviderEvent>) -> Result<Vec<UnheardEvent>, StoreError>;

    /// Takes the turn if it is due: then it is due again after so many seconds, by the store's own clock, for all
    /// instances.
    async fn take_turn(&self, seconds: u32) -> Result<bool, StoreError>;

    /// Puts the next turn off until so many seconds from now, while this one still goes on.
    async fn prolong_turn(&self, seconds: u32) -> Result<(), StoreError>;
}

/// An event of the provider's that never reached the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnheardEvent {
    /// The event.
    pub event: ProviderEvent,
    /// What would become of it now.
    pub status: EventStatus,
    /// The order that it would be applied to.
    pub order_id: Option<OrderId>,
}

/// Whether what differs is settled, or only told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconcileMode {
    /// What differs is settled.
    Settle,
    /// Nothing is changed, neither here nor at the provider.
    DryRun,
}

/// One thing that the provider knows otherwise than the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// An event never came.
    Event {
        /// The provider's id.
        id: ProviderEventId,
        /// Its type.
        kind: String,
        /// What became of it, or would become.
        status: EventStatus,
    },
    /// A session stands otherwise.
    Session {
        /// The session.
        id: CheckoutSessionId,
        /// How it stands at the provider, in a word.
        standing: &'static str,
        /// Whether the order waits for a delayed payment by it.
        is_delayed: bool,
    },
    /// A session was asked for, and the answer never came.
    Unanswered(AttemptId),
    /// A session was asked for, and the provider refuses it.
    Refused(AttemptId),
    /// A refund stands otherwise.
    Refund {
        /// The refund.
        id: ProviderRefundId,
        /// How it stands at the provider.
        status: RefundStatus,
    },
}

impl Drift {
    /// The word for the metric.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Event { .. } => "event",
            Self::Session { is_delayed: true, .. } => "delayed_payment",
            Self::Session { .. } | Self::Unanswered(_) | Self::Refused(_) => "session",
            Self::Refund { .. } => "refund",
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { id, kind, status } => {
                write!(f, "event {id} ({kind}) never came: {}", status.as_str())
            }
            Self::Session { id, standing, .. } => write!(f, "session {id} is {standing}"),
            Self::Unanswered(id) => write!(f, "the session of attempt {id} was asked for without an answer"),
            Self::Refused(id) => write!(f, "the session of attempt {id} is refused"),
            Self::Refund { id, status } => write!(f, "refund {id} is {}", status.as_str()),
        }
    }
}

/// Something that the provider could not be asked about, or that could not be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unasked {
    /// Of which order, where it concerns one.
    pub order_id: Option<OrderId>,
    /// What was to be asked, and why there is no answer.
    pub reason: String,
}

/// What one reconciliation found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconciliation {
    /// How many orders the provider was asked about.
    pub asked: usize,
    /// What differed, by order.
    pub orders: BTreeMap<OrderId, Vec<Drift>>,
    /// Events that never came and concern no order, or none yet.
    pub orderless: Vec<Drift>,
    /// What is left unknown.
    pub unasked: Vec<Unasked>,
    /// It was told to stop before its end.
    pub was_cut: bool,
}

impl Reconciliation {
    fn keep(&mut self, order_id: Option<OrderId>, drift: Drift, mode: ReconcileMode) {
        if mode == ReconcileMode::Settle {
            let order = order_id.map(|id| id.to_string());
            tracing::warn!(order.id = order, %drift, "the provider knew otherwise, and it is settled");
            metrics::counter!("ironcart_reconcile_drift_total", "kind" => drift.kind()).increment(1);
        }
        match order_id {
            Some(id) => self.orders.entry(id).or_default().push(drift),
            None => self.orderless.push(drift),
        }
    }

    fn keep_unasked(&mut self, order_id: Option<OrderId>, reason: String) {
        let order = order_id.map(|id| id.to_string());
        tracing::warn!(order.id = order, reason, "the provider could not be asked");
        self.unasked.push(Unasked { order_id, reason });
    }
}

/// One run: how, until when, and whether it holds the turn that instances share.
#[derive(Clone, Copy)]
struct Run<'a> {
    mode: ReconcileMode,
    is_stopped: &'a (dyn Fn() -> bool + Send + Sync),
    tell_asked: &'a (dyn Fn(usize) + Send + Sync),
    turn_seconds: Option<u32>,
    /// What came later may still be under way by itself.
    quiet_since: Timestamp,
}

/// What asking about one order brought.
#[derive(Default)]
struct Findings {
    drifts: Vec<Drift>,
    unasked: Vec<String>,
}

/// Asks the provider what the shop may have missed.
#[derive(Clone)]
pub struct Reconciler {
    /// The use cases of orders.
    pub orders: OrderService,
    /// What is to be asked about.
    pub unsettled: Arc<dyn UnsettledRepository>,
}

impl Reconciler {
    /// How many orders are asked about at once, so that customers' calls find their turn at the provider.
    pub const CONCURRENCY: usize = 4;
    /// How many orders are taken from the store at once.
    pub const BATCH: u32 = 50;
    /// How old something must be, in seconds, before it counts as missed instead of under way.
    pub const QUIET_SECONDS: i64 = 30;
    /// The most pages of undelivered events that one run reads: 100,000 events.
    pub const MAX_EVENT_PAGES: usize = 1000;

    /// Asks about everything, and settles what differs. `is_stopped` ends it early, between two questions.
    pub async fn reconcile(
        &self,
        mode: ReconcileMode,
        is_stopped: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Reconciliation, StoreError> {
        self.reconcile_telling(mode, is_stopped, &|_| ()).await
    }

    /// The same, and says meanwhile how many orders were asked about so far.
    pub async fn reconcile_telling(
        &self,
        mode: ReconcileMode,
        is_stopped: &(dyn Fn() -> bool + Send + Sync),
        tell_asked: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<Reconciliation, StoreError> {
        self.run(mode, is_stopped, tell_asked, None).await
    }

    /// The same, settling, if it is due among all instances; then it is due again after so many seconds. `None` if it
    /// was not.
    pub async fn reconcile_in_turn(
        &self,
        turn_seconds: u32,
        is_stopped: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Option<Reconciliation>, StoreError> {
        if !self.unsettled.take_turn(turn_seconds).await? {
            return Ok(None);
        }
        self.run(ReconcileMode::Settle, is_stopped, &|_| (), Some(turn_seconds)).await.map(Some)
    }

    #[tracing::instrument(name = "reconcile", level = "debug", skip_all)]
    async fn run(
        &self,
        mode: ReconcileMode,
        is_stopped: &(dyn Fn() -> bool + Send + Sync),
        tell_asked: &(dyn Fn(usize) + Send + Sync),
        turn_seconds: Option<u32>,
    ) -> Result<Reconciliation, StoreError> {
        let quiet_since = self.orders.clock.now() - TimeDelta::seconds(Self::QUIET_SECONDS);
        let run = Run { mode, is_stopped, tell_asked, turn_seconds, quiet_since };
        let mut report = Reconciliation::default();
        let asked = self.ask(run, &mut report).await;
        let outcome = match &asked {
            Err(_) => "failed",
            Ok(()) if report.was_cut || !report.unasked.is_empty() => "incomplete",
            Ok(()) => "done",
        };
        metrics::counter!("ironcart_reconciliations_total", "outcome" => outcome).increment(1);
        asked.map(|()| report)
    }

    /// Events first: they say most, and leave less to ask about.
    async fn ask(&self, run: Run<'_>, report: &mut Reconciliation) -> Result<(), StoreError> {
        self.take_in_events(run, report).await?;
        self.ask_about_orders(run, report).await
    }

    async fn take_in_events(&self, run: Run<'_>, report: &mut Reconciliation) -> Result<(), StoreError> {
        let mut after = None;
        for _ in 0..Self::MAX_EVENT_PAGES {
            if (run.is_stopped)() {
                report.was_cut = true;
                return Ok(());
            }
            let mut page = match self.orders.gateway.undelivered_events(run.quiet_since, after).await {
                Ok(page) => page,
                Err(error) => {
                    report.keep_unasked(None, format!("undelivered events: {error}"));
                    return Ok(());
                }
            };
            // Each page comes newest first. Any order ends the same, but that in which they happened tells a better
            // story.
            page.events.reverse();
            for unheard in self.unsettled.unheard(page.events).await? {
                self.take_in_event(unheard, run, report).await;
            }
            self.keep_turn(run).await?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
        report.keep_unasked(None, "undelivered events: there are too many for one run; run it again".to_owned());
        Ok(())
    }

    async fn take_in_event(&self, unheard: UnheardEvent, run: Run<'_>, report: &mut Reconciliation) {
        let UnheardEvent { event, mut status, order_id } = unheard;
        if run.mode == ReconcileMode::Settle {
            match self.orders.receive(&event).await {
                Ok(EventOutcome::Recorded(recorded)) => status = recorded,
                // It came by itself meanwhile.
                Ok(EventOutcome::Repeated) => return,
                Err(error) => {
                    report.keep_unasked(order_id, format!("event {} could not be taken in: {error}", event.id));
                    return;
                }
            }
        }
        report.keep(order_id, Drift::Event { id: event.id, kind: event.kind, status }, run.mode);
    }

    async fn ask_about_orders(&self, run: Run<'_>, report: &mut Reconciliation) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let batch = self.unsettled.unsettled(run.quiet_since, after, Self::BATCH).await?;
            for orders in batch.chunks(Self::CONCURRENCY) {
                if (run.is_stopped)() {
                    report.was_cut = true;
                    return Ok(());
                }
                let asked = join_all(orders.iter().map(|order_id| self.ask_about(*order_id, run))).await;
                for (order_id, found) in orders.iter().zip(asked) {
                    report.asked += 1;
                    found.drifts.into_iter().for_each(|drift| report.keep(Some(*order_id), drift, run.mode));
                    found.unasked.into_iter().for_each(|reason| report.keep_unasked(Some(*order_id), reason));
                }
                (run.tell_asked)(report.asked);
            }
            self.keep_turn(run).await?;
            after = batch.last().copied();
            if batch.len() < Self::BATCH as usize {
                return Ok(());
            }
        }
    }

    async fn keep_turn(&self, run: Run<'_>) -> Result<(), StoreError> {
        match run.turn_seconds {
            Some(seconds) => self.unsettled.prolong_turn(seconds).await,
            None => Ok(()),
        }
    }

    /// One order that can't be settled keeps no other from it.
    async fn ask_about(&self, order_id: OrderId, run: Run<'_>) -> Findings {
        let mut found = Findings::default();
        if let Err(error) = self.ask_about_parts(order_id, run, &mut found).await {
            found.unasked.push(format!("the order could not be settled: {error}"));
        }
        found
    }

    async fn ask_about_parts(&self, id: OrderId, run: Run<'_>, found: &mut Findings) -> Result<(), StoreError> {
        let Some(order) = self.orders.orders.find(id).await? else { return Ok(()) };
        for attempt in order.attempts.iter().filter(|attempt| attempt.created_at <= run.quiet_since) {
            self.ask_about_attempt(&order, attempt, run, found).await?;
        }
        for receipt in order.receipts.iter().filter(|receipt| waits_for_refund(receipt, run.quiet_since)) {
            match self.orders.gateway.refunds(&receipt.intent).await {
                Ok(refunds) => self.compare_refunds(&order, refunds, run, found).await?,
                Err(error) => found.unasked.push(format!("refunds of {}: {error}", receipt.intent)),
            }
        }
        Ok(())
    }

    async fn compare_refunds(
        &self,
        order: &Order,
        refunds: Vec<ProviderRefund>,
        run: Run<'_>,
        found: &mut Findings,
    ) -> Result<(), StoreError> {
        for refund in refunds {
            let drift = Drift::Refund { id: refund.id.clone(), status: refund.status };
            if self.settle(order.id, &ProviderNews::Refund(refund), run.mode).await? {
                found.drifts.push(drift);
            }
        }
        Ok(())
    }

    async fn ask_about_attempt(
        &self,
        order: &Order,
        attempt: &Attempt,
        run: Run<'_>,
        found: &mut Findings,
    ) -> Result<(), StoreError> {
        let news = match &attempt.state {
            AttemptState::Ended { .. } => return Ok(()),
            // There is no asking without making it, if it was never made.
            AttemptState::Requested if run.mode == ReconcileMode::DryRun => {
                found.drifts.push(Drift::Unanswered(attempt.id));
                return Ok(());
            }
            AttemptState::Requested => self.ask_again(order, attempt).await,
            AttemptState::Open(session) => self.stands(&session.id, attempt).await,
            AttemptState::Processing { session_id, .. } => self.stands(session_id, attempt).await,
        };
        match news {
            Ok(None) => {}
            Ok(Some(news)) if is_known(attempt, &news) => {}
            Ok(Some(news)) => {
                if self.settle(order.id, &news, run.mode).await? {
                    found.drifts.extend(drift_of(attempt, &news));
                }
            }
            Err(reason) => found.unasked.push(reason),
        }
        Ok(())
    }

    async fn stands(&self, id: &CheckoutSessionId, attempt: &Attempt) -> Result<Option<ProviderNews>, String> {
        let standing = self.orders.gateway.session(id).await.map_err(|error| format!("session {id}: {error}"))?;
        Ok(Some(ProviderNews::Session { session_id: id.clone(), attempt_id: Some(attempt.id), standing }))
    }

    /// Repeats the request whose answer was lost: the same key and parameters give the same session, or make the one
    /// that the order should have. Of an order that can't be paid it is closed at once.
    async fn ask_again(&self, order: &Order, attempt: &Attempt) -> Result<Option<ProviderNews>, String> {
        let nothing = || format!("the session of attempt {}: the provider does not answer", attempt.id);
        let request = match &attempt.request {
            Some(request) if order.payability(self.orders.clock.now()) == Payability::Payable => request,
            Some(_) | None => {
                return match self.orders.last_word(attempt).await {
                    LastWord::Nothing => Ok(None),
                    LastWord::Said(news) => Ok(Some(news)),
                    LastWord::Silence => Err(nothing()),
                };
            }
        };
        match self.orders.gateway.open_session(request).await {
            Ok(FoundSession { id, standing }) => {
                Ok(Some(ProviderNews::Session { session_id: id, attempt_id: Some(attempt.id), standing }))
            }
            Err(OpenSessionError::Refused { .. }) => Ok(Some(ProviderNews::SessionRefused(attempt.id))),
            Err(OpenSessionError::Unavailable(error)) => Err(format!("{}: {error}", nothing())),
        }
    }

    /// Settles news that change something; says whether they do. Judged by the order as it is by now, since an event
    /// may have been faster than the answer.
    async fn settle(&self, id: OrderId, news: &ProviderNews, mode: ReconcileMode) -> Result<bool, StoreError> {
        let Some(order) = self.orders.orders.find(id).await? else { return Ok(false) };
        let after = order.clone().hear(news, self.orders.hearing(), self.orders.ids.as_ref()).order;
        if after == order {
            return Ok(false);
        }
        if mode == ReconcileMode::Settle {
            self.orders.hear(id, news).await?;
        }
        Ok(true)
    }
}

/// Whether money of it is on its way back, as far as the shop knows.
fn waits_for_refund(receipt: &Receipt, quiet_since: Timestamp) -> bool {
    let on_its_way = |status| matches!(status, RefundStatus::Pending | RefundStatus::RequiresAction);
    receipt.refunds.iter().any(|refund| on_its_way(refund.status))
        || receipt
            .requests
            .iter()
            .any(|request| request.outcome == RefundOutcome::Open && was_minted_by(request.id.uuid(), quiet_since))
}

/// Ids begin with the time at which they were minted; one that does not counts as old.
fn was_minted_by(id: Uuid, moment: Timestamp) -> bool {
    let minted = id.get_timestamp().and_then(|time| {
        let (seconds, nanoseconds) = time.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
    });
    minted.is_none_or(|minted| minted <= moment)
}

/// A session that is open and known to be: its address and end may be told in other words, which is no news.
fn is_known(attempt: &Attempt, news: &ProviderNews) -> bool {
    matches!(
        (&attempt.state, news),
        (AttemptState::Open(known), ProviderNews::Session { session_id, standing: SessionStanding::Open(_), .. })
            if known.id == *session_id
    )
}

fn drift_of(attempt: &Attempt, news: &ProviderNews) -> Option<Drift> {
    let is_delayed = matches!(attempt.state, AttemptState::Processing { .. });
    match news {
        ProviderNews::Session { session_id, standing, .. } => {
            Some(Drift::Session { id: session_id.clone(), standing: standing_word(standing), is_delayed })
        }
        ProviderNews::SessionRefused(attempt) => Some(Drift::Refused(*attempt)),
        ProviderNews::Refund(_)
        | ProviderNews::RefundRefused { .. }
        | ProviderNews::ChargeRefunded { .. }
        | ProviderNews::Disputed
        | ProviderNews::FraudWarning => None,
    }
}

const fn standing_word(standing: &SessionStanding) -> &'static str {
    match standing {
        SessionStanding::Open(_) => "open",
        SessionStanding::Expired => "expired",
        SessionStanding::Paid(_) => "paid",
        SessionStanding::Processing => "complete, and its payment under way",
        SessionStanding::Failed => "complete, and its payment failed",
    }
}
