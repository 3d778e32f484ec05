//! Unpaid orders end: what is older than its payment window is cancelled and its stock goes back, once the
//! provider has said that nothing was paid, or could not be asked for too long (contract 3.7 and 3.8).

use chrono::TimeDelta;
use futures_util::future::join_all;

use crate::clock::Timestamp;
use crate::id::OrderId;
use crate::order::{
    Cancellation, CancelledBy, InvalidTransition, Order, OrderChange, OrderService, OrderStatus, ProviderNews,
};
use crate::payment::{Attempt, AttemptState};
use crate::store::StoreError;
use crate::text::CancelReason;

/// The wish to cancel an order for age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpireOrder {
    /// Which order.
    pub order_id: OrderId,
    /// When.
    pub at: Timestamp,
    /// Whether the provider was asked just now about every session that could have been paid, and answered.
    pub provider_answered: bool,
    /// How long an order waits for a provider that does not answer, in seconds.
    pub provider_grace_seconds: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// The order is cancelled now.
    Cancelled,
    /// It was paid, cancelled or prolonged meanwhile.
    NotDue,
    /// The provider must answer first.
    Waits,
}

impl ExpireOrder {
    /// Decides, on the order under the locks of its products and itself.
    pub fn decide(&self, order: Order) -> Result<(Expiry, OrderChange), InvalidTransition> {
        let due_at = order.due_at();
        let mut change = OrderChange::of(order);
        if change.order.status() != OrderStatus::Pending || self.at < due_at {
            return Ok((Expiry::NotDue, change));
        }
        let in_doubt = change.order.live_attempt().is_some() || !self.provider_answered;
        if in_doubt && self.at < due_at + TimeDelta::seconds(i64::from(self.provider_grace_seconds)) {
            return Ok((Expiry::Waits, change));
        }
        let reason = CancelReason::new("not paid in time").ok();
        change.cancel(Cancellation { at: self.at, by: CancelledBy::System, reason }, None)?;
        Ok((Expiry::Cancelled, change))
    }
}

/// What one sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sweep {
    /// Orders that were looked at.
    pub claimed: usize,
    /// Orders that were cancelled.
    pub cancelled: usize,
}

impl OrderService {
    /// How many orders one sweep claims.
    pub const SWEEP_BATCH: u32 = 50;
    /// How long a claim keeps other instances away, in seconds: longer than asking the provider about an order
    /// can take.
    pub const SWEEP_LEASE_SECONDS: u32 = 120;

    /// How many orders of a sweep are asked about at once: as many as the provider is asked at once about anything.
    /// With fewer, the rounds of a batch could outlast its lease when the provider is slow.
    pub const SWEEP_CONCURRENCY: usize = 32;

    /// Claims a batch of overdue orders, asks the provider about each with no transaction open, and cancels those
    /// that nobody paid. Several instances may sweep at once.
    pub async fn sweep(&self) -> Result<Sweep, StoreError> {
        let swept = self.sweep_once().await;
        let outcome = if swept.is_ok() { "done" } else { "failed" };
        metrics::counter!("ironcart_sweeps_total", "outcome" => outcome).increment(1);
        let cancelled = swept.as_ref().map_or(0, |sweep| sweep.cancelled);
        metrics::counter!("ironcart_orders_expired_total").increment(cancelled as u64);
        swept
    }

    async fn sweep_once(&self) -> Result<Sweep, StoreError> {
        let claimed = self.orders.claim_overdue(self.clock.now(), Self::SWEEP_LEASE_SECONDS, Self::SWEEP_BATCH).await?;
        let mut sweep = Sweep { claimed: claimed.len(), cancelled: 0 };
        for orders in claimed.chunks(Self::SWEEP_CONCURRENCY) {
            let expiries = join_all(orders.iter().map(|order_id| self.expire_or_log(*order_id))).await;
            sweep.cancelled += expiries.into_iter().filter(|expiry| *expiry == Some(Expiry::Cancelled)).count();
        }
        if sweep.cancelled > 0 {
            self.errands.wake();
        }
        Ok(sweep)
    }

    #[tracing::instrument(name = "expire order", level = "debug", skip_all, fields(order.id = %order_id))]
    async fn expire_or_log(&self, order_id: OrderId) -> Option<Expiry> {
        self.expire(order_id)
            .await
            .inspect_err(|error| tracing::error!(order.id = %order_id, %error, "an overdue order could not be swept"))
            .ok()
    }

    async fn expire(&self, order_id: OrderId) -> Result<Expiry, StoreError> {
        let Some(order) = self.orders.find(order_id).await? else { return Ok(Expiry::NotDue) };
        if order.status() != OrderStatus::Pending {
            return Ok(Expiry::NotDue);
        }
        let mut provider_answered = true;
        for attempt in &order.attempts {
            match self.last_word(attempt).await {
                LastWord::Nothing => {}
                LastWord::Said(news) => {
                    self.hear(order_id, &news).await?;
                }
                LastWord::Silence => provider_answered = false,
            }
        }
        let provider_grace_seconds = self.policy.provider_grace_seconds;
        let command = ExpireOrder { order_id, at: self.clock.now(), provider_answered, provider_grace_seconds };
        self.orders.expire(&command).await
    }

    /// Closes an attempt's session, if it may still be paid, and gives the provider's last word on it.
    pub(crate) async fn last_word(&self, attempt: &Attempt) -> LastWord {
        let asked = match &attempt.state {
            AttemptState::Ended { .. } => return LastWord::Nothing,
            AttemptState::Requested => return self.close_unknown(attempt).await,
            AttemptState::Open(session) => (session.id.clone(), self.gateway.close_session(&session.id).await),
            AttemptState::Processing { session_id, .. } => (session_id.clone(), self.gateway.session(session_id).await),
        };
        match asked {
            (session_id, Ok(standing)) => {
                LastWord::Said(ProviderNews::Session { session_id, attempt_id: Some(attempt.id), standing })
            }
            (session_id, Err(error)) => {
                tracing::warn!(session.id = %session_id, %error, "the provider can't be asked about a session");
                LastWord::Silence
            }
        }
    }
}

/// What could be learned of an attempt.
#[derive(Debug)]
pub(crate) enum LastWord {
    /// It had ended before.
    Nothing,
    /// The provider spoke.
    Said(ProviderNews),
    /// The provider did not.
    Silence,
}
