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
        signature::verify(body, signature, &self.secrets, now)
            .map_err(|cause| WebhookRejected::Signature(cause.to_string()))?;
        read_event(body)
    }

    fn translate(&self, payload: &str) -> Result<ProviderEvent, WebhookRejected> {
        read_event(payload.as_bytes())
    }
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
