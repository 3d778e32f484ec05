//! How a limit says no: 429 `rate_limited`, which limit it was, and when to come back (contract 4).

use std::time::Duration;

use super::standing::whole_seconds;
use crate::problem::{Code, Problem};

/// A refusal by the limit of this name, counted in the metric `ironcart_rate_limited_total`.
pub(super) fn refuse(limit: &'static str, detail: &str, retry_in: Duration) -> Problem {
    let seconds = whole_seconds(retry_in).max(1);
    metrics::counter!("ironcart_rate_limited_total", "limit" => limit).increment(1);
    tracing::info!(limit, retry_after_seconds = seconds, "a limit refused a request");
    let unit = if seconds == 1 { "second" } else { "seconds" };
    Problem::new(Code::RateLimited).detail(format!("{detail} Try again in {seconds} {unit}.")).retry_after(seconds)
}
