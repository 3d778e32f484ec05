//! Stripe's webhooks: verified over the raw bytes first, and only then read.

mod content;
mod lenient;
mod signature;
#[cfg(test)]
mod tests;

pub(crate) use content::HANDLED_TYPES;
use domain::clock::Timestamp;
use domain::payment::{EventReader, ProviderEvent, ProviderEventId, WebhookRejected};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::{InvalidStripeConfig, Secret, StripeConfig};

/// Verifies and translates Stripe's events.
pub struct StripeWebhooks {
    secrets: Vec<Secret>,
}

impl StripeWebhooks {
    /// Takes the secrets of the configuration; there must be one, and none may be empty.
    pub fn new(config: &StripeConfig) -> Result<Self, InvalidStripeConfig> {
        let secrets = config.webhook_secrets.clone();
        if secrets.is_empty() || secrets.iter().any(|secret| secret.expose().trim().is_empty()) {
            return Err(InvalidStripeConfig::WebhookSecrets);
        }
        Ok(Self { secrets })
    }
}

impl EventReader for StripeWebhooks {
    fn read<'a>(
        &self,
        body: &'a [u8],
        signature: Option<&'a str>,
        now: Timestamp,
    ) -> Result<ProviderEvent, WebhookRejected> {
        let read = signature::verify(body, signature, &self.secrets, now)
            .map_err(|cause| WebhookRejected::Signature(cause.to_string()))
            .and_then(|()| read_event(body));
        match &read {
            Ok(_) => count_lag(body, now),
            Err(rejected) => count_rejected(rejected),
        }
        read
    }

    fn translate(&self, payload: &str) -> Result<ProviderEvent, WebhookRejected> {
        read_event(payload.as_bytes())
    }
}

/// How old events are when they come: late ones tell of a shop, or of a provider, that was away.
fn count_lag(body: &[u8], now: Timestamp) {
    #[derive(Deserialize)]
    struct Age {
        created: i64,
    }
    // Whether an event is applied does not hang on it, so one without a time is none here.
    if let Ok(Age { created }) = serde_json::from_slice(body) {
        let seconds = u32::try_from(now.timestamp().saturating_sub(created)).unwrap_or(0);
        metrics::histogram!("ironcart_event_lag_seconds").record(seconds);
    }
}

fn count_rejected(rejected: &WebhookRejected) {
    let reason = match rejected {
        WebhookRejected::Signature(_) => "signature",
        WebhookRejected::Malformed(_) => "malformed",
    };
    metrics::counter!("ironcart_events_rejected_total", "reason" => reason).increment(1);
}

/// What every event has. The rest stays text until its type is known, so nothing in it can spoil the reading.
#[derive(Deserialize)]
struct Envelope<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

pub(crate) fn read_event(body: &[u8]) -> Result<ProviderEvent, WebhookRejected> {
    let malformed = WebhookRejected::Malformed;
    let text = str::from_utf8(body).map_err(|_| malformed("it is not UTF-8".into()))?;
    let envelope: Envelope<'_> = lenient::from_object(text)
        .map_err(|cause| malformed(format!("expected a JSON object with an id and a type: {cause}")))?;
    let id = ProviderEventId::new(envelope.id).map_err(|cause| malformed(format!("its id {cause}")))?;
    let kind = envelope.kind;
    if kind.is_empty() || kind.len() > 255 || !kind.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("its type is not 1 to 255 visible ASCII characters".into()));
    }
    let content = content::read(&kind, envelope.data);
    Ok(ProviderEvent { id, kind, payload: text.to_owned(), content })
}
