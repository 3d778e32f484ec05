//! Events: what happened, kept as it was at that moment, and to whom it has still to be told.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::shelf::Shelved;

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) kind: &'static str,
    pub(crate) object: Value,
    pub(crate) previous_attributes: Option<Value>,
    pub(crate) cause: Cause,
    /// Ids of the webhook endpoints that have not yet answered 2xx.
    pub(crate) undelivered: BTreeSet<String>,
}

/// The request that led to an event; both empty for what happens by itself or on the payment page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause {
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

impl Event {
    pub(crate) fn to_json(&self, api_version: &str) -> Value {
        let mut data = json!({ "object": self.object });
        if let Some(previous) = &self.previous_attributes {
            data["previous_attributes"] = previous.clone();
        }
        json!({
            "id": self.id,
            "object": "event",
            "api_version": api_version,
            "created": self.created,
            "data": data,
            "livemode": false,
            "pending_webhooks": self.undelivered.len(),
            "request": { "id": self.cause.request_id, "idempotency_key": self.cause.idempotency_key },
            "type": self.kind,
        })
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
