//! The payment port on Stripe. Each method is one call: it ends within its deadline, with all that it asks.

use async_trait::async_trait;
use domain::clock::Timestamp;
use domain::payment::{
    CheckoutRequest, CheckoutSessionId, FoundSession, GatewayUnavailable, OpenSessionError, PaymentGateway,
    PaymentIntentId, ProviderEventId, ProviderRefund, RefundOrder, RefundRefused, SessionStanding, UndeliveredEvents,
};
use stripe_checkout::checkout_session::ExpireCheckoutSession;
use stripe_client_core::{IdempotencyKey, RequestStrategy, StripeRequest};
use stripe_shared::CheckoutSession;
use uuid::Uuid;

use crate::call::{Api, Call, CallError, unavailable};
use crate::config::{InvalidStripeConfig, StripeConfig};
use crate::verdict::Refusal;
use crate::{events, refund, session};

/// Stripe as the shop's payment provider.
///
/// Nothing of it runs on once it is dropped, but for connections that finish what they are sending.
pub struct StripeGateway {
    api: Api,
}

impl StripeGateway {
    /// So many pages of 100 are looked through before a look counts as without result.
    const MAX_PAGES: usize = 10;

    /// Connects lazily: a Stripe that is down does not keep the shop from starting. Must be called inside the
    /// Tokio runtime that shall drive the connections.
    pub fn new(config: &StripeConfig) -> Result<Self, InvalidStripeConfig> {
        Ok(Self { api: Api::new(config)? })
    }
}

/// Stripe makes one thing of all requests with the same key, and answers repeats as it did the first.
fn under(key: Uuid) -> RequestStrategy {
    RequestStrategy::Idempotent(IdempotencyKey::from(key))
}

#[async_trait]
impl PaymentGateway for StripeGateway {
    #[tracing::instrument(name = "provider.open_session", level = "debug", skip_all)]
    async fn open_session(&self, request: &CheckoutRequest) -> Result<FoundSession, OpenSessionError> {
        let call = self.api.call();
        let creation = session::create(request).customize().request_strategy(under(request.attempt_id.uuid()));
        match creation.send(&call).await {
            Ok(session) if call.was_replayed() => Ok(stands_now(&call, &session).await?),
            Ok(session) => Ok(found(&session)?),
            Err(CallError::Refused(refusal)) if refusal.may_hide_an_effect() => {
                session_behind(&call, request, &refusal).await
            }
            Err(CallError::Refused(refusal)) => Err(OpenSessionError::Refused { reason: refusal.to_string() }),
            Err(CallError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    #[tracing::instrument(name = "provider.session", level = "debug", skip_all)]
    async fn session(&self, id: &CheckoutSessionId) -> Result<SessionStanding, GatewayUnavailable> {
        standing_of(&self.api.call(), id).await
    }

    #[tracing::instrument(name = "provider.close_session", level = "debug", skip_all)]
    async fn close_session(&self, id: &CheckoutSessionId) -> Result<SessionStanding, GatewayUnavailable> {
        let call = self.api.call();
        // Without a key: a kept error would stand in the way of every repeat, and closing twice closes once.
        let closing = ExpireCheckoutSession::new(id.as_str()).send(&call).await;
        if let Ok(closed) = &closing
            && let Ok(SessionStanding::Expired) = session::standing(closed)
        {
            return Ok(SessionStanding::Expired);
        }
        // Perhaps it ended before, perhaps the payer was faster: the session itself has the last word.
        match standing_of(&call, id).await? {
            SessionStanding::Open(_) => Err(match closing {
                Err(error) => error.into_unavailable(),
                Ok(_) => unavailable(format_args!("session {id} is still open after it was closed")),
            }),
            ended => Ok(ended),
        }
    }

    #[tracing::instrument(name = "provider.refund", level = "debug", skip_all)]
    async fn refund(&self, order: &RefundOrder) -> Result<ProviderRefund, RefundRefused> {
        let call = self.api.call();
        let creation = refund::create(order).customize().request_strategy(under(order.request_id.uuid()));
        match creation.send(&call).await {
            // A replayed status may be behind by now; refunds only move forward, so keeping it does no harm.
            Ok(made) => Ok(refund::read(&made, &order.intent).map_err(unavailable)?),
            Err(CallError::Refused(refusal)) => {
                if refusal.may_hide_an_effect() {
                    let made = refunds_of(&call, &order.intent).await?;
                    if let Some(made) = made.into_iter().find(|made| made.request_id == Some(order.request_id)) {
                        return Ok(made);
                    }
                }
                Err(RefundRefused::Refused { reason: refusal.to_string() })
            }
            Err(CallError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    #[tracing::instrument(name = "provider.refunds", level = "debug", skip_all)]
    async fn refunds(&self, intent: &PaymentIntentId) -> Result<Vec<ProviderRefund>, GatewayUnavailable> {
        refunds_of(&self.api.call(), intent).await
    }

    #[tracing::instrument(name = "provider.undelivered_events", level = "debug", skip_all)]
    async fn undelivered_events(
        &self,
        until: Timestamp,
        after: Option<ProviderEventId>,
    ) -> Result<UndeliveredEvents, GatewayUnavailable> {
        let page = self.api.call().send(&events::list(until, after), None).await;
        events::read(&page.map_err(CallError::into_unavailable)?).map_err(unavailable)
    }
}

fn found(session: &CheckoutSession) -> Result<FoundSession, GatewayUnavailable> {
    let id = session::id_of(session).map_err(unavailable)?;
    Ok(FoundSession { id, standing: session::standing(session).map_err(unavailable)? })
}

/// Of a session known from the past.
async fn stands_now(call: &Call<'_>, session: &CheckoutSession) -> Result<FoundSession, GatewayUnavailable> {
    let id = session::id_of(session).map_err(unavailable)?;
    let standing = standing_of(call, &id).await?;
    Ok(FoundSession { id, standing })
}

async fn standing_of(call: &Call<'_>, id: &CheckoutSessionId) -> Result<SessionStanding, GatewayUnavailable> {
    match session::retrieve(id).send(call).await {
        Ok(session) => session::standing(&session).map_err(unavailable),
        Err(CallError::Refused(refusal)) if refusal.is_missing() => Ok(SessionStanding::Expired),
        Err(error) => Err(error.into_unavailable()),
    }
}

/// Looks for the session that the first request of this attempt may have left behind an error.
async fn session_behind(
    call: &Call<'_>,
    request: &CheckoutRequest,
    refusal: &Refusal,
) -> Result<FoundSession, OpenSessionError> {
    let mut list = session::list_around(request);
    for _ in 0..StripeGateway::MAX_PAGES {
        let page = list.send(call).await.map_err(CallError::into_unavailable)?;
        if let Some(session) = page.data.iter().find(|session| session::is_of(session, request.attempt_id)) {
            return Ok(stands_now(call, session).await?);
        }
        match page.data.last() {
            Some(oldest) if page.has_more => list = list.starting_after(oldest.id.as_str()),
            _ => return Err(OpenSessionError::Refused { reason: refusal.to_string() }),
        }
    }
    Err(unavailable(format_args!("too many sessions to find that of attempt {}", request.attempt_id)).into())
}

async fn refunds_of(call: &Call<'_>, intent: &PaymentIntentId) -> Result<Vec<ProviderRefund>, GatewayUnavailable> {
    let mut list = refund::list(intent);
    let mut refunds = Vec::new();
    for _ in 0..StripeGateway::MAX_PAGES {
        let page = list.send(call).await.map_err(CallError::into_unavailable)?;
        for made in &page.data {
            refunds.push(refund::read(made, intent).map_err(unavailable)?);
        }
        match page.data.last() {
            Some(oldest) if page.has_more => list = list.starting_after(oldest.id.as_str()),
            _ => return Ok(refunds),
        }
    }
    Err(unavailable(format_args!("too many refunds of {intent}")))
}
