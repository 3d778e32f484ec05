//! The control API over HTTP: JSON under `/_control/`, for tests that are not written in Rust.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Control, ControlError, DashboardRefund, NextRefund, PayTerms, ReleaseOrder, default_failure_reason};
use crate::config::WebhookTarget;
use crate::faults::Fault;
use crate::http::{Incoming, Reply};
use crate::simulation::Simulation;

/// What a control call answers when it is not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Control(#[from] ControlError),
    #[error("the body is not what this call takes: {0}")]
    Body(#[from] serde_json::Error),
    #[error("no such control call: {0} {1}")]
    Unknown(Method, String),
}

impl Failure {
    fn status(&self) -> u16 {
        match self {
            Self::Control(ControlError::NotFound(_)) | Self::Unknown(..) => 404,
            Self::Control(ControlError::Refused(_)) => 409,
            Self::Body(_) => 400,
        }
    }
}

pub(crate) async fn handle(simulation: Arc<Simulation>, request: &Incoming) -> Reply {
    let control = Control::new(simulation);
    let segments = request.segments();
    let result = match (request.method.as_str(), segments.get(1..).unwrap_or_default()) {
        ("GET", [what]) => read(&control, request, what),
        ("POST", ["sessions", id, action]) => act_on_session(&control, request, id, action),
        ("POST", ["payment_intents", id, "refund"]) => {
            body::<DashboardRefund>(request).and_then(|refund| Ok(json!({ "id": control.refund_by_hand(id, refund)? })))
        }
        ("POST", ["refunds", id, action]) => act_on_refund(&control, request, id, action),
        ("POST", ["charges", id, action]) => act_on_charge(&control, request, id, action),
        ("POST", ["webhooks", "release"]) => release(&control, request).await,
        ("POST", ["events", id, "deliver"]) => deliver(&control, id).await,
        ("POST", rest) => change(&control, request, rest),
        _ => Err(unknown(request)),
    };
    match result {
        Ok(body) => Reply::json(200, &body),
        Err(failure) => Reply::json(failure.status(), &json!({ "error": failure.to_string() })),
    }
}

fn unknown(request: &Incoming) -> Failure {
    Failure::Unknown(request.method.clone(), request.path.clone())
}

/// The body, where none means `{}`.
fn body<T: DeserializeOwned>(request: &Incoming) -> Result<T, Failure> {
    let bytes: &[u8] = if request.body.is_empty() { b"{}" } else { &request.body };
    Ok(serde_json::from_slice(bytes)?)
}

fn read(control: &Control, request: &Incoming, what: &str) -> Result<Value, Failure> {
    Ok(match what {
        "sessions" => json!(control.sessions()),
        "payment_intents" => json!(control.payment_intents()),
        "charges" => json!(control.charges()),
        "refunds" => json!(control.refunds()),
        "events" => json!(control.events()),
        "requests" => json!(control.requests()),
        "deliveries" => json!(control.deliveries()),
        "held" => json!(control.held_webhooks()),
        "clock" => json!({ "now": control.now() }),
        _ => return Err(unknown(request)),
    })
}

fn act_on_session(control: &Control, request: &Incoming, id: &str, action: &str) -> Result<Value, Failure> {
    let receipt = match action {
        "pay" => control.pay(id, body(request)?)?,
        "pay_again" => control.pay_again(id, body(request)?)?,
        "decline" => control.decline(id)?,
        "complete_unpaid" => control.complete_unpaid(id, body::<PayTerms>(request)?)?,
        "settle" => control.settle(id)?,
        "fail" => control.fail(id)?,
        "expire" => {
            control.expire(id)?;
            return Ok(json!({}));
        }
        _ => return Err(unknown(request)),
    };
    Ok(json!(receipt))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: Option<String>,
}

fn act_on_refund(control: &Control, request: &Incoming, id: &str, action: &str) -> Result<Value, Failure> {
    match action {
        "settle" => control.settle_refund(id)?,
        "fail" => {
            let reason = body::<Reason>(request)?.reason.unwrap_or_else(default_failure_reason);
            control.fail_refund(id, &reason)?;
        }
        _ => return Err(unknown(request)),
    }
    Ok(json!({}))
}

fn act_on_charge(control: &Control, request: &Incoming, id: &str, action: &str) -> Result<Value, Failure> {
    let reason = body::<Reason>(request)?.reason;
    let made = match action {
        "dispute" => control.dispute(id, reason.as_deref().unwrap_or("fraudulent"))?,
        "fraud_warning" => control.warn_of_fraud(id, reason.as_deref().unwrap_or("made_with_stolen_card"))?,
        _ => return Err(unknown(request)),
    };
    Ok(json!({ "id": made }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    #[serde(default = "as_happened")]
    order: ReleaseOrder,
}

fn as_happened() -> ReleaseOrder {
    ReleaseOrder::AsHappened
}

async fn release(control: &Control, request: &Incoming) -> Result<Value, Failure> {
    control.release_webhooks(body::<Release>(request)?.order).await;
    Ok(json!({}))
}

async fn deliver(control: &Control, event: &str) -> Result<Value, Failure> {
    Ok(json!(control.deliver(event).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    url: String,
    secret: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lose {
    times: usize,
    event_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    times: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Milliseconds {
    ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimit {
    per_second: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seconds {
    seconds: i64,
}

fn change(control: &Control, request: &Incoming, segments: &[&str]) -> Result<Value, Failure> {
    match segments {
        ["refunds", "next"] => control.plan_next_refund(body::<NextRefund>(request)?),
        ["webhooks", "endpoints"] => {
            let targets = body::<Vec<Target>>(request)?;
            let targets = targets.into_iter().map(|target| WebhookTarget { url: target.url, secret: target.secret });
            control.set_webhook_endpoints(targets.collect());
        }
        ["webhooks", "hold"] => control.hold_webhooks(),
        ["webhooks", "drop"] => {
            let lose = body::<Lose>(request)?;
            control.drop_webhooks(lose.times, lose.event_type.as_deref());
        }
        ["webhooks", "repeat"] => control.repeat_webhooks(body::<Repeat>(request)?.times),
        ["webhooks", "delay"] => control.delay_webhooks(Duration::from_millis(body::<Milliseconds>(request)?.ms)),
        ["faults"] => control.inject(body::<Fault>(request)?),
        ["faults", "clear"] => control.clear_faults(),
        ["rate_limit"] => control.set_rate_limit(body::<RateLimit>(request)?.per_second),
        ["latency"] => control.set_latency(Duration::from_millis(body::<Milliseconds>(request)?.ms)),
        ["clock", "advance"] => control.advance_clock(body::<Seconds>(request)?.seconds),
        ["reset"] => control.reset(),
        _ => return Err(unknown(request)),
    }
    Ok(json!({}))
}
