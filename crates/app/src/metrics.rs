//! What the shop counts: recorded through the `metrics` facade wherever it happens, kept here, shown at `/metrics`.

use std::net::TcpListener;
use std::sync::{Arc, OnceLock};

use api_actix::routes::metrics::MetricsPage;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Every counter, with what it means.
const COUNTERS: &[(&str, &str)] = &[
    ("ironcart_forgotten_total", "Records that were forgotten for age, by kind."),
    ("ironcart_http_requests_total", "Answered requests, by method, route and status."),
    ("ironcart_checkouts_total", "What came of the wish to order a cart: placed, or why not."),
    ("ironcart_fraud_refusals_total", "Orders and cancellations that a fraud rule refused, by rule."),
    (
        "ironcart_product_reads_total",
        "Reads of products and lists by outcome: from memory (hit), by a question to the database (miss) or somebody \
         else's (shared); and answers that a change overtook, which were not kept (discarded).",
    ),
    ("ironcart_rate_limited_total", "Requests that a rate limit refused, by limit."),
    ("ironcart_db_wait_timeouts_total", "Times when no database connection became free in time."),
    ("ironcart_batches_total", "Transactions that commands shared, by lane."),
    ("ironcart_batched_commands_total", "Commands that shared transactions, by lane."),
    ("ironcart_batch_refusals_total", "Commands that were turned away because too many waited already, by lane."),
    ("ironcart_sweeps_total", "Rounds of looking for unpaid orders to expire, by outcome."),
    ("ironcart_orders_expired_total", "Unpaid orders that were cancelled for age."),
    ("ironcart_events_total", "The provider's events, by what became of them."),
    ("ironcart_events_rejected_total", "Deliveries that were no signed event, by reason."),
    ("ironcart_reconciliations_total", "Rounds of asking the provider what was missed, by outcome."),
    ("ironcart_reconcile_drift_total", "What the provider knew otherwise and was settled, by kind."),
    ("ironcart_provider_requests_total", "Requests to the provider, by outcome."),
    ("ironcart_password_refusals_total", "Passwords that found no place in the queue for a core."),
    ("ironcart_backlog_failures_total", "Times when what is left to do could not be counted."),
];

/// Every gauge, with what it means.
const GAUGES: &[(&str, &str)] = &[
    ("ironcart_build_info", "Always 1; the version and the commit that the binary was built from."),
    ("ironcart_db_connections", "Open database connections, by state."),
    ("ironcart_db_connections_max", "The most database connections that may be open."),
    ("ironcart_overdue_orders", "Unpaid orders whose window has passed and that nobody has swept yet."),
    ("ironcart_sweep_lag_seconds", "How long the oldest unpaid order has been overdue."),
    ("ironcart_due_errands", "Errands at the provider that are due."),
    ("ironcart_errand_lag_seconds", "How long the oldest errand has been due."),
    ("ironcart_stuck_errands", "Unfinished errands after many tries."),
    ("ironcart_refunds_pending", "Refunds asked for or under way."),
    ("ironcart_refunds_failed", "Orders whose refund failed."),
    ("ironcart_events_unsettled", "Kept events that are not applied, by status."),
    ("ironcart_backlog_read_timestamp_seconds", "When what is left to do was last counted."),
    ("ironcart_provider_circuit_open", "1 while the provider counts as unreachable."),
    ("ironcart_password_queue", "Passwords that wait for a core."),
];

/// Every histogram of seconds, with its buckets and what it means.
const HISTOGRAMS: &[(&str, &[f64], &str)] = &[
    ("ironcart_http_request_duration_seconds", REQUESTS, "How long answers took, by method and route."),
    ("ironcart_db_wait_seconds", REQUESTS, "How long a database connection was waited for."),
    ("ironcart_event_lag_seconds", AGES, "How old the provider's events were when they came."),
    ("ironcart_provider_request_duration_seconds", REQUESTS, "How long the provider took for a request."),
    ("ironcart_password_wait_seconds", REQUESTS, "How long a password waited for a core."),
];

const REQUESTS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const AGES: &[f64] = &[1.0, 5.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0, 259_200.0];

/// The words of each label that are known beforehand. Their counters begin at 0, so that the first increase shows: to
/// Prometheus, a counter that appears with 1 has not increased.
const KNOWN_LABELS: &[(&str, &str, &[&str])] = &[
    (
        "ironcart_checkouts_total",
        "outcome",
        &["placed", "cart_empty", "product_unavailable", "total_changed", "insufficient_stock", "store_failed"],
    ),
    ("ironcart_fraud_refusals_total", "rule", &["pending_orders", "daily_expiries", "daily_cancellations"]),
    ("ironcart_rate_limited_total", "limit", &["global", "checkout", "auth_address", "auth_account", "registrations"]),
    ("ironcart_sweeps_total", "outcome", &["done", "failed"]),
    ("ironcart_events_total", "status", &["APPLIED", "IGNORED", "WAITING", "FAILED", "REPEATED"]),
    ("ironcart_events_rejected_total", "reason", &["signature", "malformed"]),
    ("ironcart_reconciliations_total", "outcome", &["done", "incomplete", "failed"]),
    ("ironcart_reconcile_drift_total", "kind", &["event", "session", "delayed_payment", "refund"]),
    ("ironcart_provider_requests_total", "outcome", &["answered", "refused", "failed", "no_answer"]),
];
/// The same, for those without a label.
const UNLABELLED: &[&str] = &[
    "ironcart_db_wait_timeouts_total",
    "ironcart_orders_expired_total",
    "ironcart_password_refusals_total",
    "ironcart_backlog_failures_total",
];

/// Where `/metrics` is found (contract 5, `APP__SERVER__METRICS_ADDR`).
#[derive(Debug, Default)]
pub enum MetricsPlace {
    /// Beside everything else.
    #[default]
    Beside,
    /// At an address of its own.
    Alone(TcpListener),
    /// Nowhere.
    Nowhere,
}

/// What this process counts; the first call begins to count.
#[must_use]
pub fn counted() -> Counted {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    let handle = RECORDER.get_or_init(|| {
        let recorder = recorder().unwrap_or_else(|error| {
            tracing::error!(%error, "histograms have no buckets");
            PrometheusBuilder::new().build_recorder()
        });
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("somebody else counts in this process; /metrics stays empty");
        }
        begin();
        handle
    });
    Counted(handle.clone())
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets, _) in HISTOGRAMS {
        builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)?;
    }
    Ok(builder.build_recorder())
}

/// Says what everything means, and begins at 0 what is known beforehand.
fn begin() {
    for (name, meaning) in COUNTERS {
        metrics::describe_counter!(*name, *meaning);
    }
    for (name, meaning) in GAUGES {
        metrics::describe_gauge!(*name, *meaning);
    }
    for (name, _, meaning) in HISTOGRAMS {
        metrics::describe_histogram!(*name, metrics::Unit::Seconds, *meaning);
    }
    for (name, label, words) in KNOWN_LABELS {
        for word in *words {
            counter!(*name, *label => *word).absolute(0);
        }
    }
    for name in UNLABELLED {
        counter!(*name).absolute(0);
    }
    let _registered = (histogram!("ironcart_event_lag_seconds"), histogram!("ironcart_password_wait_seconds"));
    gauge!("ironcart_password_queue").set(0);
    gauge!("ironcart_build_info", "version" => env!("CARGO_PKG_VERSION"), "commit" => COMMIT).set(1);
}

/// Whoever builds a release says from what; the `Dockerfile` does.
const COMMIT: &str = match option_env!("IRONCART_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// What this process counts.
#[derive(Clone)]
pub struct Counted(PrometheusHandle);

impl Counted {
    /// The page that shows it.
    #[must_use]
    pub fn page(&self) -> Arc<dyn MetricsPage> {
        Arc::new(Page(self.0.clone()))
    }

    /// Puts what histograms have gathered into their buckets; without it, memory grows for as long as nobody looks
    /// at the page.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}

struct Page(PrometheusHandle);

impl MetricsPage for Page {
    fn render(&self) -> String {
        self.0.render()
    }
}
