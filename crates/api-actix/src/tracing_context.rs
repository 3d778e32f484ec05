//! What a trace knows of a request: whose trace it continues, and what came of it. Without anybody who records traces
//! this does nothing.

use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{Status, get_active_span};
use opentelemetry::{Context, ContextGuard, KeyValue, global};

/// Until the guard is dropped, a new span continues the trace that the caller names (W3C `traceparent`).
pub(crate) fn continue_callers_trace(headers: &HeaderMap) -> Option<ContextGuard> {
    headers.contains_key("traceparent").then(|| {
        global::get_text_map_propagator(|propagator| {
            propagator.extract_with_context(&Context::new(), &Headers(headers))
        })
        .attach()
    })
}

/// Tells the present span what became of its request.
pub(crate) fn answered(method: &Method, route: &str, status: StatusCode) {
    get_active_span(|span| {
        if span.span_context().is_valid() {
            span.update_name(format!("{method} {route}"));
            span.set_attribute(KeyValue::new("http.request.method", method.to_string()));
            span.set_attribute(KeyValue::new("http.route", route.to_owned()));
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
            if status.is_server_error() {
                span.set_status(Status::error(""));
            }
        }
    });
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(actix_web::http::header::HeaderName::as_str).collect()
    }
}
