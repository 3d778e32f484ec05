//! Sends what is due, a bounded number at a time, and tries again what failed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::account::shelf::Shelved;
use crate::journal::DeliveryAttempt;
use crate::simulation::Simulation;
use crate::webhooks::outbox::Job;
use crate::webhooks::signature::sign_payload;

/// Deliveries under way at once.
const MAX_IN_FLIGHT: usize = 16;
/// How often due sessions are looked for when nothing else happens.
const TICK: Duration = Duration::from_millis(250);
/// As much of a shop's answer as is kept.
const ANSWER_KEPT_BYTES: usize = 4_096;

/// The client for deliveries: redirects are failures, and no proxy is between us and a shop on this machine.
pub(crate) fn delivery_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()
}

/// Expires sessions and sends events until the task is dropped.
pub(crate) async fn run(simulation: Arc<Simulation>) {
    loop {
        simulation.expire_due();
        let (due, next) = simulation.with_world(|world| {
            let room = MAX_IN_FLIGHT.saturating_sub(world.outbox.in_flight());
            let due = world.outbox.take_due(Instant::now(), room);
            let next = if due.len() == room { None } else { world.outbox.next_due() };
            (due, next)
        });
        for job in due {
            tokio::spawn(carry_out(Arc::clone(&simulation), job));
        }
        let pause = next.map_or(TICK, |due| due.saturating_duration_since(Instant::now()).min(TICK));
        tokio::select! {
            () = simulation.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn carry_out(simulation: Arc<Simulation>, mut job: Job) {
    job.tries += 1;
    let attempt = attempt(&simulation, &job.event, &job.endpoint, job.tries).await;
    let retry = simulation.settings.webhook_retry;
    simulation.with_world(|world| {
        world.outbox.finish();
        let is_lost = attempt.as_ref().is_none_or(DeliveryAttempt::is_success) || job.is_copy;
        if !is_lost && job.queued_at.elapsed() < retry.give_up_after {
            let due = Instant::now() + retry.pause_after(job.tries);
            world.outbox.schedule(job, due);
        }
    });
    simulation.wake.notify_one();
}

/// Sends held jobs one after the other, so that they arrive in just this order. A failed one is tried again later.
pub(crate) async fn send_in_order(simulation: Arc<Simulation>, jobs: Vec<Job>) {
    for job in jobs {
        simulation.with_world(|world| world.outbox.begin());
        carry_out(Arc::clone(&simulation), job).await;
    }
}

/// One try; `None` if the event or the endpoint is no longer known.
pub(crate) async fn attempt(
    simulation: &Simulation,
    event_id: &str,
    endpoint_id: &str,
    number: u32,
) -> Option<DeliveryAttempt> {
    let (kind, url, secret, body) = simulation.with_world(|world| {
        let event = world.account.events.get(event_id)?;
        let endpoint = world.account.endpoints.iter().find(|endpoint| endpoint.id == endpoint_id)?;
        let version = endpoint.api_version.as_deref().unwrap_or(simulation.settings.api_version.as_str());
        let body = serde_json::to_string(&event.envelope(version)).ok()?;
        Some((event.kind, endpoint.url.clone(), endpoint.secret.clone(), body))
    })?;
    let started = Instant::now();
    let sent_at = simulation.signing_time();
    let signature = sign_payload(&secret, sent_at, body.as_bytes());
    let outcome = post(simulation, &url, signature, body).await;
    let mut attempt = DeliveryAttempt {
        event_id: event_id.to_owned(),
        event_type: kind.to_owned(),
        endpoint_url: url,
        attempt: number,
        status: None,
        error: None,
        answer: None,
        sent_at,
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    match outcome {
        Ok((status, answer)) => {
            attempt.status = Some(status);
            attempt.answer = Some(answer);
        }
        Err(error) => attempt.error = Some(error.to_string()),
    }
    simulation.with_world(|world| {
        if attempt.is_success()
            && let Some(event) = world.account.events.get_mut(event_id)
        {
            event.undelivered.remove(endpoint_id);
            tracing::debug!(event = event.id(), kind, "delivered");
        }
        world.journal.record_delivery(attempt.clone());
    });
    Some(attempt)
}

async fn post(
    simulation: &Simulation,
    url: &str,
    signature: String,
    body: String,
) -> Result<(u16, String), reqwest::Error> {
    let response = simulation
        .http
        .post(url)
        .timeout(simulation.settings.webhook_retry.answer_within)
        .header("Content-Type", "application/json; charset=utf-8")
        .header("Cache-Control", "no-cache")
        .header("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("Stripe-Signature", signature)
        .body(body)
        .send()
        .await?;
    let status = response.status().as_u16();
    let answer = response.bytes().await?;
    let kept = answer.get(..answer.len().min(ANSWER_KEPT_BYTES)).unwrap_or_default();
    Ok((status, String::from_utf8_lossy(kept).into_owned()))
}
