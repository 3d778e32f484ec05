//! What was asked and what was sent, for tests to look at. The oldest entries make room for new ones.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

/// Most entries kept of each kind.
pub(crate) const JOURNAL_CAPACITY: usize = 10_000;

/// A call of the API, as it was answered.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedRequest {
    /// Unix seconds by the simulator's clock.
    pub at: i64,
    /// `GET`, `POST`, …
    pub method: String,
    /// The path without the query, e.g. `/v1/refunds`.
    pub path: String,
    /// Query and body parameters, as sent; a list is an object whose names are its indices.
    pub params: Value,
    /// The idempotency key that was sent.
    pub idempotency_key: Option<String>,
    /// The version that the request was pinned to.
    pub api_version: Option<String>,
    /// The `Request-Id` of the answer.
    pub request_id: String,
    /// `None` if the connection was cut instead of an answer.
    pub status: Option<u16>,
    /// Whether the answer was the stored one of an earlier request.
    pub replayed: bool,
}

/// One try to deliver an event to an endpoint.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryAttempt {
    /// The event's id.
    pub event_id: String,
    /// E.g. `checkout.session.completed`.
    pub event_type: String,
    /// Where it was sent.
    pub endpoint_url: String,
    /// 1 for the first try; 0 for one that a test asked for.
    pub attempt: u32,
    /// The shop's status, if it answered.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// The first 4 KiB of the shop's answer.
    pub answer: Option<String>,
    /// Unix seconds, as signed.
    pub sent_at: i64,
    /// Milliseconds until the answer or the failure.
    pub took_ms: u64,
}

impl DeliveryAttempt {
    /// Only 2xx is success: redirects, errors and time-outs are not.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Journal {
    requests: VecDeque<RecordedRequest>,
    deliveries: VecDeque<DeliveryAttempt>,
}

impl Journal {
    pub(crate) fn record_request(&mut self, request: RecordedRequest) {
        push_bounded(&mut self.requests, request);
    }

    pub(crate) fn record_delivery(&mut self, attempt: DeliveryAttempt) {
        push_bounded(&mut self.deliveries, attempt);
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.iter().cloned().collect()
    }

    pub(crate) fn deliveries(&self) -> Vec<DeliveryAttempt> {
        self.deliveries.iter().cloned().collect()
    }
}

fn push_bounded<T>(entries: &mut VecDeque<T>, entry: T) {
    if entries.len() >= JOURNAL_CAPACITY {
        entries.pop_front();
    }
    entries.push_back(entry);
}
