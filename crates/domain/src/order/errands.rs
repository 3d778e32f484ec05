//! Errands at the provider: closing sessions and giving money back. Each was stored by the transaction that
//! decided it, and is repeated, by any instance and across restarts, until the provider's last word is known.

use async_trait::async_trait;

use crate::id::{AttemptId, OrderId, RefundRequestId, TaskId};
use crate::order::expire::LastWord;
use crate::order::{Errand, Order, OrderService, ProviderNews};
use crate::payment::{
    Attempt, OpenSessionError, ReceiptKind, RefundOrder, RefundOutcome, RefundRefused, SessionStanding,
};
use crate::store::StoreError;

/// An errand as it is stored, claimed by this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The order it is for.
    pub order_id: OrderId,
    /// What to do.
    pub errand: Errand,
    /// How often it was tried before.
    pub tries: u32,
}

/// Where errands are kept until they are done.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait TaskRepository: Send + Sync {
    /// Claims up to `limit` tasks that are due and not claimed by another instance, for `lease_seconds`. MUST
    /// commit before it answers. Due times and leases go by the store's own clock, which all instances share.
    async fn claim(&self, lease_seconds: u32, limit: u32) -> Result<Vec<Task>, StoreError>;

    /// The task is done and is never claimed again.
    async fn finish(&self, id: TaskId) -> Result<(), StoreError>;

    /// The task is due again after `pause_seconds`; keeps the reason for whoever looks.
    async fn postpone(&self, id: TaskId, pause_seconds: u32, reason: &str) -> Result<(), StoreError>;
}

/// Tells this instance's errand loop that there is something to do. Best effort: a lost signal costs one polling
/// interval.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
pub trait ErrandSignal: Send + Sync {
    /// Wakes the loop.
    fn wake(&self);
}

/// What came of one try.
enum Outcome {
    Done,
    Again(String),
}

impl OrderService {
    /// How many errands one round claims.
    pub const ERRAND_BATCH: u32 = 16;
    /// How long a claim keeps other instances away, in seconds: longer than an errand's calls can take.
    pub const ERRAND_LEASE_SECONDS: u32 = 60;
    /// The longest pause between two tries, in seconds.
    pub const ERRAND_MAX_PAUSE_SECONDS: u32 = 300;

    /// Runs one round of errands; says how many were claimed.
    pub async fn run_errands(&self) -> Result<usize, StoreError> {
        let tasks = self.tasks.claim(Self::ERRAND_LEASE_SECONDS, Self::ERRAND_BATCH).await?;
        let claimed = tasks.len();
        futures_util::future::join_all(tasks.into_iter().map(|task| self.run_errand(task))).await;
        Ok(claimed)
    }

    #[tracing::instrument(name = "errand", level = "debug", skip_all, fields(task.id = %task.id, order.id = %task.order_id))]
    async fn run_errand(&self, task: Task) {
        let outcome = match self.carry_out(&task).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Again(format!("{error}")),
        };
        let kept = match outcome {
            Outcome::Done => self.tasks.finish(task.id).await,
            Outcome::Again(reason) => {
                tracing::warn!(task.id = %task.id, order.id = %task.order_id, tries = task.tries, reason, "an errand at the provider must be repeated");
                self.tasks.postpone(task.id, pause_seconds(task.tries), &reason).await
            }
        };
        if let Err(error) = kept {
            // Its lease runs out, and it is repeated: every errand may be.
            tracing::warn!(task.id = %task.id, %error, "an errand's outcome could not be kept");
        }
    }

    async fn carry_out(&self, task: &Task) -> Result<Outcome, StoreError> {
        let Some(order) = self.orders.find(task.order_id).await? else { return Ok(Outcome::Done) };
        match task.errand {
            Errand::CloseSession(attempt_id) => self.close_session(&order, attempt_id).await,
            Errand::Refund(request_id) => self.give_back(&order, request_id).await,
        }
    }

    async fn close_session(&self, order: &Order, attempt_id: AttemptId) -> Result<Outcome, StoreError> {
        let Some(attempt) = order.attempt(attempt_id).filter(|attempt| attempt.is_live()) else {
            return Ok(Outcome::Done);
        };
        match self.last_word(attempt).await {
            LastWord::Nothing => Ok(Outcome::Done),
            LastWord::Silence => Ok(Outcome::Again("the provider does not answer".into())),
            LastWord::Said(news) => {
                let heard = self.hear(order.id, &news).await?;
                let still_live =
                    heard.as_ref().and_then(|order| order.attempt(attempt_id)).is_some_and(Attempt::is_live);
                Ok(if still_live { Outcome::Again("the session is still open".into()) } else { Outcome::Done })
            }
        }
    }

    /// Closes the session of an attempt whose answer was lost: repeating the call tells which session it is.
    pub(crate) async fn close_unknown(&self, attempt: &Attempt) -> LastWord {
        let Some(request) = &attempt.request else { return LastWord::Nothing };
        let found = match self.gateway.open_session(request).await {
            Ok(found) => found,
            Err(OpenSessionError::Refused { .. }) => return LastWord::Said(ProviderNews::SessionRefused(attempt.id)),
            Err(OpenSessionError::Unavailable(error)) => {
                tracing::warn!(attempt.id = %attempt.id, %error, "the provider can't be asked about an attempt");
                return LastWord::Silence;
            }
        };
        let standing = match found.standing {
            SessionStanding::Open(_) => match self.gateway.close_session(&found.id).await {
                Ok(standing) => standing,
                // The session's id is worth keeping: the next try closes it by that.
                Err(_) => found.standing,
            },
            ended => ended,
        };
        LastWord::Said(ProviderNews::Session { session_id: found.id, attempt_id: Some(attempt.id), standing })
    }

    async fn give_back(&self, order: &Order, request_id: RefundRequestId) -> Result<Outcome, StoreError> {
        let Some(wish) = open_refund(order, request_id) else { return Ok(Outcome::Done) };
        let news = match self.gateway.refund(&wish).await {
            Ok(mut refund) => {
                refund.request_id = Some(request_id);
                ProviderNews::Refund(refund)
            }
            Err(RefundRefused::Unavailable(error)) => return Ok(Outcome::Again(error.to_string())),
            Err(RefundRefused::Refused { reason }) => {
                tracing::warn!(order.id = %order.id, intent = %wish.intent, reason, "the provider refuses a refund");
                match self.gateway.refunds(&wish.intent).await {
                    Ok(refunds) => ProviderNews::RefundRefused { request_id, intent: wish.intent, refunds },
                    Err(error) => return Ok(Outcome::Again(error.to_string())),
                }
            }
        };
        self.hear(order.id, &news).await?;
        Ok(Outcome::Done)
    }
}

/// What to ask the provider for, if the request still waits for its answer.
fn open_refund(order: &Order, request_id: RefundRequestId) -> Option<RefundOrder> {
    order.receipts.iter().find_map(|receipt| {
        let is_open = |r: &&crate::payment::RefundRequest| r.id == request_id && r.outcome == RefundOutcome::Open;
        let request = receipt.requests.iter().find(is_open)?;
        let extra = matches!(receipt.kind, ReceiptKind::Extra(_));
        tracing::info!(order.id = %order.id, intent = %receipt.intent, extra, "money goes back");
        Some(RefundOrder {
            request_id,
            order_id: order.id,
            intent: receipt.intent.clone(),
            amount: crate::money::Money::from_minor(request.amount_minor, receipt.amount.currency()),
        })
    })
}

/// Growing pauses: 1 s, 2 s, 4 s … up to [`OrderService::ERRAND_MAX_PAUSE_SECONDS`].
const fn pause_seconds(tries: u32) -> u32 {
    let doubled = if tries < 10 { 1 << tries } else { OrderService::ERRAND_MAX_PAUSE_SECONDS };
    if doubled < OrderService::ERRAND_MAX_PAUSE_SECONDS { doubled } else { OrderService::ERRAND_MAX_PAUSE_SECONDS }
}
