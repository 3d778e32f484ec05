//! Events: what happened, kept as it was at that moment, and to whom it has still to be told.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::shelf::Shelved;

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) kind: &'static str,
    /// The object as JSON text: a fraction of what the parsed value would take, and events are kept by the thousands.
    pub(crate) object: Box<RawValue>,
    pub(crate) previous_attributes: Option<Value>,
    pub(crate) cause: Cause,
    /// Ids of the webhook endpoints that have not yet answered 2xx.
    pub(crate) undelivered: BTreeSet<String>,
}

/// The request that led to an event; both empty for what happens by itself or on the payment page.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Cause {
    #[serde(rename = "id")]
    pub(crate) request_id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

impl Shelved for Event {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

/// An event on the wire.
#[derive(Debug, Serialize)]
pub(crate) struct Envelope<'a> {
    id: &'a str,
    object: &'static str,
    api_version: &'a str,
    created: i64,
    data: EnvelopeData<'a>,
    livemode: bool,
    pending_webhooks: usize,
    request: &'a Cause,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct EnvelopeData<'a> {
    object: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_attributes: Option<&'a Value>,
}

impl Event {
    pub(crate) fn envelope<'a>(&'a self, api_version: &'a str) -> Envelope<'a> {
        Envelope {
            id: &self.id,
            object: "event",
            api_version,
            created: self.created,
            data: EnvelopeData { object: &self.object, previous_attributes: self.previous_attributes.as_ref() },
            livemode: false,
            pending_webhooks: self.undelivered.len(),
            request: &self.cause,
            kind: self.kind,
        }
    }

    pub(crate) fn to_json(&self, api_version: &str) -> Value {
        json!(self.envelope(api_version))
    }
}

/// Who is told of events, and how the telling is signed.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) url: String,
    pub(crate) secret: String,
    pub(crate) api_version: Option<String>,
    pub(crate) enabled_events: Vec<String>,
    pub(crate) description: Option<String>,
}

impl Endpoint {
    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.enabled_events.iter().any(|wanted| wanted == "*" || wanted == kind)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "webhook_endpoint",
            "api_version": self.api_version,
            "application": null,
            "created": self.created,
            "description": self.description,
            "enabled_events": self.enabled_events,
            "livemode": false,
            "metadata": {},
            "status": "enabled",
            "url": self.url,
        })
    }
}
