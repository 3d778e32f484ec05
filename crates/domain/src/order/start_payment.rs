//! Starting to pay: the order's open checkout session, or a further attempt when the last one is known to have
//! ended unpaid (contract 3.3).

use crate::clock::Timestamp;
use crate::id::{AttemptId, OrderId, UserId};
use crate::idempotency::{Claim, ClaimLost};
use crate::order::{Order, OrderChange, OrderPolicy, OrderService, Payability, ProviderNews};
use crate::payment::{Attempt, AttemptState, GatewayUnavailable, OpenSession, OpenSessionError};
use crate::store::StoreError;

/// The wish to pay an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPayment {
    /// Which order.
    pub order_id: OrderId,
    /// Who pays.
    pub customer_id: UserId,
    /// The attempt's id to be, if a further one is needed.
    pub attempt_id: AttemptId,
    /// When.
    pub at: Timestamp,
    /// The shop's rules.
    pub policy: OrderPolicy,
    /// The claim of its idempotency key, if it has one.
    pub claim: Option<Claim>,
}

/// Why there is nothing to pay at.
#[derive(Debug, thiserror::Error)]
pub enum StartPaymentError {
    /// There is no such order, or it is another customer's.
    #[error("there is no such order")]
    NotFound,
    /// It is paid.
    #[error("the order is paid already")]
    AlreadyPaid,
    /// It is cancelled, its window has passed, or it waits for a delayed payment.
    #[error("the order can't be paid: it is cancelled, its payment window has passed, or a payment is under way")]
    NotPayable,
    /// The provider did not answer, or refused.
    #[error("the payment provider did not open a checkout session; try again in a moment")]
    Provider,
    /// Another request with the same key runs now.
    #[error(transparent)]
    ClaimLost(#[from] ClaimLost),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StartPayment {
    /// How many attempts in a row one call goes through: the one that turns out ended, and its successor twice.
    const MAX_ROUNDS: u32 = 3;

    /// Decides, on the order under lock: the live attempt as it is, or a further one.
    pub fn decide(&self, order: Order, customer_email: &str) -> Result<OrderChange, StartPaymentError> {
        if order.customer_id != self.customer_id {
            return Err(StartPaymentError::NotFound);
        }
        payable(&order, self.at)?;
        let mut change = OrderChange::of(order);
        if change.order.live_attempt().is_none() {
            let attempt = change.order.new_attempt(self.attempt_id, customer_email, self.at, &self.policy);
            change.order.attempts.push(attempt);
            change.reopen_payment();
        }
        Ok(change)
    }
}

fn payable(order: &Order, now: Timestamp) -> Result<(), StartPaymentError> {
    match order.payability(now) {
        Payability::Payable => Ok(()),
        Payability::Paid => Err(StartPaymentError::AlreadyPaid),
        Payability::NotPayable => Err(StartPaymentError::NotPayable),
    }
}

impl OrderService {
    /// Gives the session where the order can be paid. The provider is always asked, so that a session that ended
    /// or was paid unnoticed is never handed out.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn start_payment(&self, command: &StartPayment) -> Result<OpenSession, StartPaymentError> {
        let mut command = command.clone();
        for _ in 0..StartPayment::MAX_ROUNDS {
            let order = self.orders.start_payment(&command).await?;
            let attempt = order.live_attempt().cloned().ok_or(StartPaymentError::NotPayable)?;
            let news = self.ask_about(&attempt).await?;
            let refused = matches!(news, ProviderNews::SessionRefused(_));
            let now = self.clock.now();
            let order = self.hear(order.id, &news).await?.ok_or(StartPaymentError::NotFound)?;
            if let Some(session) = order.payable_session(now) {
                return Ok(session.clone());
            }
            payable(&order, now)?;
            if refused && attempt.id == command.attempt_id {
                return Err(StartPaymentError::Provider);
            }
            // The attempt has ended unpaid: go on with a further one.
            command.attempt_id = AttemptId::mint(self.ids.as_ref());
            command.at = now;
        }
        Err(StartPaymentError::Provider)
    }

    /// Asks the provider what became of a live attempt.
    async fn ask_about(&self, attempt: &Attempt) -> Result<ProviderNews, StartPaymentError> {
        let unavailable = |error: &GatewayUnavailable| {
            tracing::warn!(attempt.id = %attempt.id, %error, "the provider can't be asked about a payment");
            StartPaymentError::Provider
        };
        let (session_id, standing) = match (&attempt.state, &attempt.request) {
            (AttemptState::Open(session), _) => {
                (session.id.clone(), self.gateway.session(&session.id).await.map_err(|e| unavailable(&e))?)
            }
            (_, Some(request)) => match self.gateway.open_session(request).await {
                Ok(found) => (found.id, found.standing),
                Err(OpenSessionError::Refused { reason }) => {
                    tracing::error!(attempt.id = %attempt.id, reason, "the provider refuses a checkout session");
                    return Ok(ProviderNews::SessionRefused(attempt.id));
                }
                Err(OpenSessionError::Unavailable(error)) => return Err(unavailable(&error)),
            },
            (_, None) => return Ok(ProviderNews::SessionRefused(attempt.id)),
        };
        Ok(ProviderNews::Session { session_id, attempt_id: Some(attempt.id), standing })
    }
}
