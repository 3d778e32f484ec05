//! Stripe's API: who may call, under which key and version, and which endpoint answers.

mod balance;
mod charges;
mod events;
mod expand;
mod list;
mod payment_intents;
mod products;
mod refunds;
mod sessions;
mod webhook_endpoints;

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::Method;
use serde_json::Value;

use crate::account::Operation;
use crate::account::event::Cause;
use crate::error::ApiError;
use crate::faults::{FaultKind, FaultPhase};
use crate::form::Node;
use crate::http::{Incoming, Outcome, Reply};
use crate::idempotency::{Claim, StoredAnswer};
use crate::ids::token;
use crate::journal::RecordedRequest;
use crate::simulation::Simulation;
use crate::version::ApiVersion;

/// What an endpoint gets to see of a request.
pub(crate) struct Call<'a> {
    pub(crate) params: &'a Node,
    pub(crate) version: &'a ApiVersion,
}

type Answer = Result<Value, ApiError>;

/// A request that has been let in.
struct Admitted {
    request_id: String,
    method: Method,
    path: String,
    params: Node,
    version: ApiVersion,
    /// Only of POST requests; other methods have no use for it.
    idempotency_key: Option<String>,
}

/// An answer, and what has to be said about it.
struct Decision {
    status: u16,
    body: String,
    kept: bool,
    should_retry: Option<bool>,
    replay_of: Option<String>,
}

impl Decision {
    fn success(body: &Value) -> Self {
        Self { status: 200, body: body.to_string(), kept: true, should_retry: None, replay_of: None }
    }

    fn failure(error: &ApiError, request_id: &str) -> Self {
        Self {
            status: error.status,
            body: error.body(request_id).to_string(),
            kept: error.kept,
            should_retry: error.should_retry,
            replay_of: None,
        }
    }

    fn replay(stored: StoredAnswer) -> Self {
        Self {
            status: stored.status,
            body: stored.body,
            kept: false,
            // To repeat it yet again would change nothing.
            should_retry: (stored.status >= 400).then_some(false),
            replay_of: Some(stored.request_id),
        }
    }
}

/// Answers one call of the API.
pub(crate) async fn handle(simulation: &Simulation, request: Incoming) -> Outcome {
    let request_id = format!("req_{}", token(14));
    let recorded = RecordedRequest {
        at: simulation.clock.now(),
        method: request.method.to_string(),
        path: request.path.clone(),
        params: parse_params(&request).map_or(Value::Null, |params| params.to_json()),
        idempotency_key: request.header("idempotency-key").map(str::to_owned),
        api_version: request.header("stripe-version").map(str::to_owned),
        request_id: request_id.clone(),
        status: None,
        replayed: false,
    };
    let (decision, version, key) = match admit(simulation, &request, request_id.clone()) {
        Ok(admitted) => {
            let decision = decide(simulation, &admitted).await;
            (decision, admitted.version, admitted.idempotency_key)
        }
        Err(error) => (Some(Decision::failure(&error, &request_id)), simulation.settings.api_version.clone(), None),
    };
    let status = decision.as_ref().map(|decision| decision.status);
    let replayed = decision.as_ref().is_some_and(|decision| decision.replay_of.is_some());
    simulation.with_world(|world| {
        world.journal.record_request(RecordedRequest { status, replayed, ..recorded });
    });
    decision.map_or(Outcome::Cut, |decision| Outcome::Answer(reply(decision, &request_id, &version, key.as_deref())))
}

/// The answer to a body that is over the limit and therefore not read.
pub(crate) fn refuse_too_large() -> Reply {
    let request_id = format!("req_{}", token(14));
    let error = ApiError::too_large();
    Reply::json(error.status, &error.body(&request_id)).header("request-id", request_id)
}

fn reply(decision: Decision, request_id: &str, version: &ApiVersion, key: Option<&str>) -> Reply {
    let mut reply = Reply::json_text(decision.status, decision.body)
        .header("request-id", request_id)
        .header("stripe-version", version.as_str())
        .header("cache-control", "no-cache, no-store");
    if let Some(key) = key {
        let original = decision.replay_of.as_deref().unwrap_or(request_id);
        reply = reply.header("idempotency-key", key).header("original-request", original);
    }
    if decision.replay_of.is_some() {
        reply = reply.header("idempotent-replayed", "true");
    }
    if let Some(should_retry) = decision.should_retry {
        reply = reply.header("stripe-should-retry", should_retry.to_string());
    }
    reply
}

fn admit(simulation: &Simulation, request: &Incoming, request_id: String) -> Result<Admitted, ApiError> {
    authenticate(simulation, request)?;
    if !simulation.with_world(|world| world.rate.admits(Instant::now())) {
        return Err(ApiError::rate_limited());
    }
    let version = match request.header("stripe-version") {
        None => simulation.settings.api_version.clone(),
        Some(text) => {
            ApiVersion::parse(text).ok_or_else(|| ApiError::invalid(format!("Invalid Stripe API version: {text}")))?
        }
    };
    refuse_other_encodings(request)?;
    let params = parse_params(request)?;
    let is_post = request.method == Method::POST;
    Ok(Admitted {
        request_id,
        method: request.method.clone(),
        path: request.path.clone(),
        params,
        version,
        idempotency_key: request.header("idempotency-key").filter(|_| is_post).map(str::to_owned),
    })
}

fn authenticate(simulation: &Simulation, request: &Incoming) -> Result<(), ApiError> {
    let key = request.header("authorization").and_then(secret_key).unwrap_or_default();
    if key.is_empty() {
        return Err(ApiError::unauthenticated(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using \
             Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        ));
    }
    match &simulation.settings.api_key {
        Some(expected) if *expected != key => {
            let shown: String = key.chars().take(8).collect();
            Err(ApiError::unauthenticated(format!("Invalid API Key provided: {shown}****")))
        }
        _ => Ok(()),
    }
}

fn secret_key(authorization: &str) -> Option<String> {
    if let Some(key) = authorization.strip_prefix("Bearer ") {
        return Some(key.trim().to_owned());
    }
    // Basic authentication carries the key as the user's name, with an empty password.
    let decoded = BASE64.decode(authorization.strip_prefix("Basic ")?.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split(':').next().map(str::to_owned)
}

fn refuse_other_encodings(request: &Incoming) -> Result<(), ApiError> {
    let content_type = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let is_form = content_type.is_empty() || content_type.starts_with("application/x-www-form-urlencoded");
    if is_form || request.body.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid("Invalid request (check that your POST content type is application/x-www-form-urlencoded)."))
}

fn parse_params(request: &Incoming) -> Result<Node, ApiError> {
    if request.method == Method::POST {
        return Node::parse(&request.body);
    }
    Node::parse(request.query.as_bytes())
}

/// Carries a request out under its idempotency key, with the faults that tests ordered. `None` cuts the connection.
async fn decide(simulation: &Simulation, admitted: &Admitted) -> Option<Decision> {
    let method_and_path = format!("{} {}", admitted.method, admitted.path);
    if let Some(key) = &admitted.idempotency_key {
        let parameters = admitted.params.fingerprint();
        let now = simulation.clock.now();
        let claim = simulation.with_world(|world| world.keys.claim(key, &method_and_path, &parameters, now));
        match claim {
            Ok(Claim::First) => {}
            Ok(Claim::Replay(stored)) => return Some(Decision::replay(stored)),
            Err(error) => return Some(Decision::failure(&error, &admitted.request_id)),
        }
    }
    let (fault, latency) =
        simulation.with_world(|world| (world.faults.take(admitted.method.as_str(), &admitted.path), world.latency));
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let early = match fault {
        Some((kind, FaultPhase::BeforeEffect)) => before_effect(kind, admitted).await,
        _ => None,
    };
    let (decision, is_cut) = if let Some(early) = early {
        early
    } else {
        let decision = execute(simulation, admitted);
        match fault {
            Some((kind, FaultPhase::AfterEffect)) => after_effect(kind, decision, admitted).await,
            _ => (decision, false),
        }
    };
    settle_key(simulation, admitted, &decision);
    (!is_cut).then_some(decision)
}

/// The answer of a fault that comes first, and whether the connection is cut instead.
async fn before_effect(kind: FaultKind, admitted: &Admitted) -> Option<(Decision, bool)> {
    let failure = |error: &ApiError| Decision::failure(error, &admitted.request_id);
    match kind {
        FaultKind::ServerError => Some((failure(&ApiError::internal()), false)),
        FaultKind::LockTimeout => Some((failure(&ApiError::lock_timeout()), false)),
        FaultKind::Cut => Some((failure(&ApiError::internal()), true)),
        FaultKind::Hang { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            None
        }
    }
}

/// What a fault makes of an answer already decided.
async fn after_effect(kind: FaultKind, decision: Decision, admitted: &Admitted) -> (Decision, bool) {
    match kind {
        FaultKind::ServerError | FaultKind::LockTimeout => {
            let failure = Decision::failure(&ApiError::internal(), &admitted.request_id);
            (Decision { kept: true, ..failure }, false)
        }
        FaultKind::Cut => (decision, true),
        FaultKind::Hang { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            (decision, false)
        }
    }
}

fn settle_key(simulation: &Simulation, admitted: &Admitted, decision: &Decision) {
    let Some(key) = &admitted.idempotency_key else { return };
    simulation.with_world(|world| {
        if decision.kept {
            let answer = StoredAnswer {
                status: decision.status,
                body: decision.body.clone(),
                request_id: admitted.request_id.clone(),
            };
            world.keys.store(key, answer);
        } else {
            world.keys.forget(key);
        }
    });
}

fn execute(simulation: &Simulation, admitted: &Admitted) -> Decision {
    let cause =
        Cause { request_id: Some(admitted.request_id.clone()), idempotency_key: admitted.idempotency_key.clone() };
    let call = Call { params: &admitted.params, version: &admitted.version };
    let answer = simulation.operate(cause, |operation| dispatch(operation, admitted, &call));
    match answer {
        Ok(body) => Decision::success(&body),
        Err(error) => Decision::failure(&error, &admitted.request_id),
    }
}

fn dispatch(operation: &mut Operation<'_>, admitted: &Admitted, call: &Call<'_>) -> Answer {
    let segments: Vec<&str> = admitted.path.split('/').filter(|part| !part.is_empty()).skip(1).collect();
    match (admitted.method.as_str(), segments.as_slice()) {
        ("POST", ["checkout", "sessions"]) => sessions::create(operation, call),
        ("GET", ["checkout", "sessions"]) => sessions::list(operation, call),
        ("GET", ["checkout", "sessions", id]) => sessions::retrieve(operation, call, id),
        ("POST", ["checkout", "sessions", id]) => sessions::update(operation, call, id),
        ("GET", ["checkout", "sessions", id, "line_items"]) => sessions::line_items(operation, call, id),
        ("POST", ["checkout", "sessions", id, "expire"]) => sessions::expire(operation, call, id),
        ("POST", ["payment_intents"]) => payment_intents::create(operation, call),
        ("GET", ["payment_intents"]) => payment_intents::list(operation, call),
        ("GET", ["payment_intents", id]) => payment_intents::retrieve(operation, call, id),
        ("POST", ["payment_intents", id]) => payment_intents::update(operation, call, id),
        ("POST", ["payment_intents", id, "confirm"]) => payment_intents::confirm(operation, call, id),
        ("POST", ["payment_intents", id, "cancel"]) => payment_intents::cancel(operation, call, id),
        ("GET", ["charges"]) => charges::list(operation, call),
        ("GET", ["charges", id]) => charges::retrieve(operation, call, id),
        ("GET", ["charges", id, "refunds"]) => refunds::list_of_charge(operation, call, id),
        ("POST", ["refunds"]) => refunds::create(operation, call),
        ("GET", ["refunds"]) => refunds::list(operation, call),
        ("GET", ["refunds", id]) => refunds::retrieve(operation, call, id),
        ("POST", ["refunds", id]) => refunds::update(operation, call, id),
        ("POST", ["refunds", id, "cancel"]) => refunds::cancel(operation, call, id),
        ("GET", ["events"]) => events::list(operation, call),
        ("GET", ["events", id]) => events::retrieve(operation, call, id),
        ("GET", ["balance"]) => balance::retrieve(operation, call),
        ("POST", ["products"]) => products::create_product(operation, call),
        ("GET", ["products", id]) => products::retrieve_product(operation, call, id),
        ("POST", ["prices"]) => products::create_price(operation, call),
        ("GET", ["prices", id]) => products::retrieve_price(operation, call, id),
        ("POST", ["webhook_endpoints"]) => webhook_endpoints::create(operation, call),
        ("GET", ["webhook_endpoints"]) => webhook_endpoints::list(operation, call),
        ("GET", ["webhook_endpoints", id]) => webhook_endpoints::retrieve(operation, call, id),
        ("DELETE", ["webhook_endpoints", id]) => webhook_endpoints::delete(operation, id),
        (method, _) => Err(ApiError::unknown_url(method, &admitted.path)),
    }
}
