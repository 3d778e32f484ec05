//! One call of the port: its requests, each with its bounded tries, all of them before one deadline.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::payment::GatewayUnavailable;
use hyper::body::Bytes;
use stripe_checkout::checkout_session::ListCheckoutSession;
use stripe_client_core::{
    CustomizedStripeRequest, IdempotencyKey, RequestBuilder, StripeClient, StripeClientErr, StripeRequest,
};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::circuit::{Circuit, Probe};
use crate::config::{ApiBase, CallLimits, InvalidStripeConfig, StripeConfig};
use crate::throttle::Throttle;
use crate::transport::{ExchangeFailed, Reply, Transport};
use crate::verdict::{Refusal, Verdict};

/// Why a request got no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// Stripe said no.
    Refused(Refusal),
    /// Nothing is known.
    Unavailable(GatewayUnavailable),
}

impl CallError {
    /// For requests that Stripe has no reason to refuse.
    pub(crate) fn into_unavailable(self) -> GatewayUnavailable {
        match self {
            Self::Refused(refusal) => unavailable(refusal),
            Self::Unavailable(unavailable) => unavailable,
        }
    }
}

pub(crate) fn unavailable(reason: impl Display) -> GatewayUnavailable {
    GatewayUnavailable { reason: reason.to_string() }
}

impl StripeClientErr for CallError {
    fn deserialize_err(message: impl Display) -> Self {
        tracing::error!(%message, "an answer of Stripe could not be read");
        Self::Unavailable(unavailable(format_args!("an answer of Stripe could not be read: {message}")))
    }
}

/// What all calls share: connections, limits, the circuit.
pub(crate) struct Api {
    transport: Arc<Transport>,
    throttle: Throttle,
    circuit: Circuit,
    limits: CallLimits,
}

impl Api {
    /// Must be called inside the runtime that shall drive the connections.
    pub(crate) fn new(config: &StripeConfig) -> Result<Self, InvalidStripeConfig> {
        let limits = config.limits.clone();
        limits.check()?;
        let runtime = Handle::try_current().map_err(|_| InvalidStripeConfig::NoRuntime)?;
        let base = ApiBase::parse(config.api_base.as_deref())?;
        let transport = Arc::new(Transport::new(&base, &config.api_key, runtime.clone())?);
        let probe = probe(Arc::clone(&transport), limits.try_timeout);
        let circuit = Circuit::new(limits.failures_to_open, limits.cool_down, runtime, probe);
        let throttle = Throttle::new(limits.max_concurrent, config.requests_per_second(&base));
        Ok(Self { transport, throttle, circuit, limits })
    }

    /// Begins a call: from now on its time runs.
    pub(crate) fn call(&self) -> Call<'_> {
        Call { api: self, deadline: Instant::now() + self.limits.call_timeout, was_replayed: AtomicBool::new(false) }
    }
}

/// A cheap read. Any answer below 500 shows that Stripe is there, be it a no.
fn probe(transport: Arc<Transport>, timeout: Duration) -> Arc<Probe> {
    Arc::new(move || {
        let transport = Arc::clone(&transport);
        Box::pin(async move {
            let request = ListCheckoutSession::new().limit(1).build();
            transport.exchange(&request, None, timeout).await.is_ok_and(|reply| !reply.is_failure())
        })
    })
}

/// The client that `async-stripe` sends one call's requests through.
///
/// The trait hands back the body alone. What the headers said is decided on in here, but for one thing that the
/// caller must know: whether the answer is the stored one of an earlier request. So it is kept on the call.
pub(crate) struct Call<'api> {
    api: &'api Api,
    deadline: Instant,
    was_replayed: AtomicBool,
}

impl StripeClient for Call<'_> {
    type Err = CallError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, CallError> {
        let (request, overrides) = request.into_pieces();
        let key = overrides.request_strategy.and_then(|strategy| strategy.get_key());
        self.send(&request, key.as_ref().map(IdempotencyKey::as_str)).await
    }
}

impl Call<'_> {
    /// A try that could not last so long tells nothing about Stripe.
    const SHORTEST_TRY: Duration = Duration::from_millis(500);

    /// Whether the last answer was that of an earlier request with the same key: it shows what was true then.
    pub(crate) fn was_replayed(&self) -> bool {
        self.was_replayed.load(Ordering::Relaxed)
    }

    pub(crate) async fn send(&self, request: &RequestBuilder, key: Option<&str>) -> Result<Bytes, CallError> {
        let limits = &self.api.limits;
        let mut last = String::from("there was no time left to ask");
        let mut was_cut_off = false;
        for tried in 1..=limits.max_tries {
            let Some(outcome) = self.try_once(request, key).await.map_err(CallError::Unavailable)? else { break };
            let asked_pause = match outcome {
                Ok(reply) => match reply.verdict() {
                    Verdict::Done => {
                        self.was_replayed.store(reply.replayed, Ordering::Relaxed);
                        return Ok(reply.body);
                    }
                    Verdict::Refused(refusal) => return Err(CallError::Refused(refusal)),
                    Verdict::KeyRefused => return Err(key_refused(&reply)),
                    Verdict::Hopeless => return Err(CallError::Unavailable(unavailable(words(&reply)))),
                    Verdict::Again(pause) => {
                        was_cut_off &= reply.is_conflict() || reply.is_failure();
                        last = words(&reply);
                        pause
                    }
                },
                Err(failure) => {
                    was_cut_off = true;
                    last = failure.to_string();
                    None
                }
            };
            tracing::debug!(path = request.path, tried, reason = last, "a request to Stripe got no answer");
            let pause = self.pause(tried).max(asked_pause.unwrap_or_default());
            if tried == limits.max_tries || pause + Self::SHORTEST_TRY > self.left() {
                break;
            }
            sleep(pause).await;
        }
        if was_cut_off {
            self.api.circuit.gave_up();
        }
        tracing::warn!(path = request.path, reason = last, "Stripe could not be asked");
        Err(CallError::Unavailable(unavailable(last)))
    }

    /// One try, if there is time for one.
    async fn try_once(
        &self,
        request: &RequestBuilder,
        key: Option<&str>,
    ) -> Result<Option<Result<Reply, ExchangeFailed>>, GatewayUnavailable> {
        let circuit = &self.api.circuit;
        circuit.check().map_err(unavailable)?;
        let _place = self.api.throttle.turn(self.deadline).await.map_err(unavailable)?;
        // It may have opened while this call waited for its turn.
        circuit.check().map_err(unavailable)?;
        let left = self.left();
        if left < Self::SHORTEST_TRY {
            return Ok(None);
        }
        let begun = Instant::now();
        let outcome = self.api.transport.exchange(request, key, self.api.limits.try_timeout.min(left)).await;
        count_request(&outcome, begun.elapsed());
        match &outcome {
            // It says only that an earlier request is still under way, perhaps one that hangs.
            Ok(reply) if reply.is_conflict() => {}
            Ok(reply) if !reply.is_failure() => circuit.succeeded(),
            _ => circuit.failed(),
        }
        Ok(Some(outcome))
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Doubles from try to try; a random half is taken off, so that instances that failed together don't come
    /// back together.
    fn pause(&self, tried: u32) -> Duration {
        let full = self.api.limits.first_pause.saturating_mul(1 << (tried - 1).min(10));
        full.mul_f64(rand::random_range(0.5..=1.0))
    }
}

fn count_request(outcome: &Result<Reply, ExchangeFailed>, took: Duration) {
    let word = match outcome {
        Err(_) => "no_answer",
        Ok(reply) if reply.is_failure() => "failed",
        Ok(reply) if reply.status >= 400 => "refused",
        Ok(_) => "answered",
    };
    metrics::counter!("ironcart_provider_requests_total", "outcome" => word).increment(1);
    metrics::histogram!("ironcart_provider_request_duration_seconds").record(took);
}

/// Not a refusal: nothing was done, and the same call succeeds once the key is mended.
fn key_refused(reply: &Reply) -> CallError {
    tracing::error!(
        status = reply.status,
        request_id = reply.request_id,
        "Stripe refuses the API key: check STRIPE_API_KEY and the key's permissions"
    );
    CallError::Unavailable(unavailable(format_args!("Stripe refuses the API key with status {}", reply.status)))
}

fn words(reply: &Reply) -> String {
    match &reply.request_id {
        Some(id) => format!("Stripe answered with status {} (request {id})", reply.status),
        None => format!("Stripe answered with status {}", reply.status),
    }
}
