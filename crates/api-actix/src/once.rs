//! `Idempotency-Key`: a request that comes again gets the first answer again (contract 3, "`Idempotency-Key`").
//!
//! The middleware claims the key, lets the handler run, and keeps its answer. It runs detached from the connection
//! that asked, so that the answer to a client that hung up is there when they ask again.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse};
use domain::id::UserId;
use domain::idempotency::{
    Claim, ClaimLost, ClaimRequest, Claiming, IdempotencyKey, IdempotencyRepository, InvalidIdempotencyKey, KeptAnswer,
    RequestFingerprint,
};
use sha2::{Digest, Sha256};
use tracing::Instrument;

use crate::access::Caller;
use crate::body::RawBody;
use crate::edge::RequestId;
use crate::limits::CheckoutGuard;
use crate::problem::{Code, PROBLEM_JSON, Problem};

/// The header that names a request.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that tells a replay from a first answer.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The claim under which a handler runs; `None` if the client sent no key.
#[derive(Debug, Clone)]
pub(crate) struct Claimed(pub(crate) Option<Claim>);

impl FromRequest for Claimed {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let claimed = request.extensions().get::<Self>().cloned();
        ready(claimed.ok_or_else(|| Problem::internal("the route is mounted without idempotency keys")))
    }
}

/// Whether a route's requests count against the checkout guard (contract 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// They begin to order or to pay: they do, refused ones too, but no replay and no `idempotency_in_progress`.
    Checkout,
    /// They don't.
    No,
}

/// The middleware of a route whose requests can be repeated safely; it runs behind the access check.
pub(crate) async fn once<B: MessageBody + 'static>(
    guarded: Guarded,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // A task of its own: a client that hangs up ends neither the handler nor what follows it.
    actix_web::rt::spawn(run(guarded, request, next).in_current_span()).await.map_err(Problem::internal)?
}

async fn run<B: MessageBody + 'static>(
    guarded: Guarded,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let keyed = match admit(guarded, &request).await {
        Ok(Admission::Replay(answer)) => return Ok(replay(request, answer)),
        Ok(Admission::Run(keyed)) => keyed,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let claim = keyed.as_ref().map(|keyed| keyed.claim.clone());
    request.extensions_mut().insert(Claimed(claim));
    match keyed {
        None => Ok(next.call(request).await?.map_into_boxed_body()),
        Some(keyed) => keyed.run(request, next).await,
    }
}

/// How a request goes on.
enum Admission {
    /// It runs, under a claim if it has a key.
    Run(Option<Keyed>),
    /// It ran before.
    Replay(KeptAnswer),
}

/// A request that holds the claim of its key.
struct Keyed {
    keys: Arc<dyn IdempotencyRepository>,
    claim: Claim,
}

/// Asks the keys first, so that what came before is not counted, and then the guard.
async fn admit(guarded: Guarded, request: &ServiceRequest) -> Result<Admission, Problem> {
    let admitted = Keyed::of(request).await;
    let is_uncounted = match &admitted {
        Ok(Admission::Replay(_)) => true,
        Ok(Admission::Run(_)) => false,
        Err(problem) => problem.code() == Code::IdempotencyInProgress,
    };
    if is_uncounted || guarded == Guarded::No {
        return admitted;
    }
    if let Err(refused) = count(request) {
        if let Ok(Admission::Run(Some(keyed))) = admitted {
            keyed.release().await;
        }
        return Err(refused);
    }
    admitted
}

fn count(request: &ServiceRequest) -> Result<(), Problem> {
    let guard = request
        .app_data::<Data<CheckoutGuard>>()
        .ok_or_else(|| Problem::internal("the application is built without a checkout guard"))?;
    guard.count(request, caller(request)?)
}

impl Keyed {
    async fn of(request: &ServiceRequest) -> Result<Admission, Problem> {
        let Some(wish) = claim_request(request)? else { return Ok(Admission::Run(None)) };
        let keys = request
            .app_data::<Data<dyn IdempotencyRepository>>()
            .ok_or_else(|| Problem::internal("the application is built without idempotency keys"))?;
        let keys = Arc::clone(keys);
        match keys.claim(&wish).await? {
            Claiming::Granted(claim) => Ok(Admission::Run(Some(Self { keys, claim }))),
            Claiming::Answered(answer) => Ok(Admission::Replay(answer)),
            Claiming::InProgress { retry_seconds } => Err(in_progress(retry_seconds)),
            Claiming::Reused => Err(Problem::new(Code::IdempotencyKeyReused)
                .detail("This Idempotency-Key came with another request before. Send a new key, or the same request.")),
        }
    }

    /// Lets the handler run, with signs of life meanwhile, and keeps its answer if the contract says so.
    async fn run<B: MessageBody + 'static>(
        self,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let answered = tokio::select! {
            answered = next.call(request) => answered,
            never = self.stay_alive() => match never {},
        };
        match answered {
            Ok(response) => self.settle(response.map_into_boxed_body()).await,
            Err(error) => {
                self.release().await;
                Err(error)
            }
        }
    }

    async fn stay_alive(&self) -> Infallible {
        loop {
            tokio::time::sleep(Duration::from_secs(Claim::RENEWAL_SECONDS.into())).await;
            match self.keys.renew(&self.claim).await {
                Ok(true) => {}
                // The transaction of the effect finds out, too, and rolls back.
                Ok(false) => tracing::warn!("a request lost its idempotency key to a later one"),
                Err(error) => tracing::warn!(%error, "a request could not renew the claim of its idempotency key"),
            }
        }
    }

    async fn settle(self, response: ServiceResponse<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
        if !is_kept(&response) {
            if response.status() == StatusCode::SERVICE_UNAVAILABLE {
                // The store that does not answer would be waited for a second time.
                actix_web::rt::spawn(async move { self.release().await }.in_current_span());
            } else {
                self.release().await;
            }
            return Ok(response);
        }
        let (request, answer) = read_answer(response).await?;
        if let Err(error) = self.keys.keep(&self.claim, &answer).await {
            // The effect is committed; who asks again takes the claim over and is told of it.
            tracing::warn!(%error, "the answer to a request with an idempotency key could not be kept");
        }
        Ok(ServiceResponse::new(request, show(answer)))
    }

    async fn release(&self) {
        if let Err(error) = self.keys.release(&self.claim).await {
            tracing::warn!(%error, "the claim of an idempotency key could not be given back and must run out");
        }
    }
}

/// What a request with a key asks for; `None` without one.
fn claim_request(request: &ServiceRequest) -> Result<Option<ClaimRequest>, Problem> {
    let mut values = request.headers().get_all(&IDEMPOTENCY_KEY);
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().map_err(|_| InvalidIdempotencyKey).and_then(IdempotencyKey::new);
    // Two keys are no key.
    let key = if values.next().is_some() { Err(InvalidIdempotencyKey) } else { key };
    let key = key.map_err(|error| Problem::invalid_field("Idempotency-Key", error))?;
    Ok(Some(ClaimRequest { user_id: caller(request)?, key, fingerprint: fingerprint(request)? }))
}

fn caller(request: &ServiceRequest) -> Result<UserId, Problem> {
    let caller = request.extensions().get::<Caller>().copied();
    caller.map(|Caller(actor)| actor.user_id).ok_or_else(|| Problem::new(Code::Unauthenticated))
}

/// Method, path and body bytes; a zero byte, which neither method nor path can hold, keeps them apart.
fn fingerprint(request: &ServiceRequest) -> Result<RequestFingerprint, Problem> {
    let body = request.extensions().get::<RawBody>().cloned();
    let RawBody(body) = body.ok_or_else(|| Problem::internal("the route is mounted without a body limit"))?;
    let mut hash = Sha256::new();
    for part in [request.method().as_str().as_bytes(), request.path().as_bytes(), &body] {
        hash.update(part);
        hash.update([0]);
    }
    Ok(RequestFingerprint(hash.finalize().into()))
}

/// Kept is what a repeat would not mend: neither failures of ours, nor what another request or a later time would
/// answer differently, nor what never came to be decided (contract 3).
fn is_kept(response: &ServiceResponse<BoxBody>) -> bool {
    let is_passing = match response.status() {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY
        | StatusCode::TOO_MANY_REQUESTS => true,
        status => status.is_server_error(),
    };
    !is_passing && problem_of(response).is_none_or(|problem| problem.code() != Code::IdempotencyInProgress)
}

fn problem_of(response: &ServiceResponse<BoxBody>) -> Option<&Problem> {
    response.response().error().and_then(|error| error.as_error())
}

/// The whole of an answer, a problem's body included, which names this request and not the one that will replay it.
async fn read_answer(response: ServiceResponse<BoxBody>) -> Result<(HttpRequest, KeptAnswer), Error> {
    let problem = problem_of(&response).map(|problem| {
        let extensions = response.request().extensions();
        let request_id = extensions.get::<RequestId>().map(RequestId::as_str).unwrap_or_default();
        problem.body(request_id, response.request().path()).to_string()
    });
    let (request, response) = response.into_parts();
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (status, location) = (response.status().as_u16(), text(header::LOCATION));
    let content_type = match &problem {
        Some(_) => PROBLEM_JSON.to_str().unwrap_or_default().to_owned(),
        None => text(header::CONTENT_TYPE).unwrap_or_default(),
    };
    let body = match problem {
        Some(problem) => problem.into_bytes(),
        None => read_body(response).await?,
    };
    Ok((request, KeptAnswer { status, content_type, location, body }))
}

async fn read_body(response: HttpResponse) -> Result<Vec<u8>, Problem> {
    let body = to_bytes(response.into_body()).await.map_err(|error| Problem::internal(error.to_string()))?;
    Ok(body.to_vec())
}

fn show(answer: KeptAnswer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, answer.content_type));
    if let Some(location) = answer.location {
        response.insert_header((header::LOCATION, location));
    }
    response.body(answer.body)
}

fn replay(request: ServiceRequest, answer: KeptAnswer) -> ServiceResponse<BoxBody> {
    let mut response = show(answer);
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, header::HeaderValue::from_static("true"));
    request.into_response(response)
}

fn in_progress(retry_seconds: u32) -> Problem {
    Problem::new(Code::IdempotencyInProgress)
        .detail("The first request with this Idempotency-Key still runs. Send it again in a moment.")
        .retry_after(retry_seconds.into())
}

impl From<ClaimLost> for Problem {
    fn from(_: ClaimLost) -> Self {
        in_progress(1)
    }
}
