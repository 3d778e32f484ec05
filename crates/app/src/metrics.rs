//! What the shop counts: recorded through the `metrics` facade wherever it happens, kept here, shown at `/metrics`.

use std::net::TcpListener;
use std::sync::{Arc, OnceLock};

use api_actix::routes::metrics::MetricsPage;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Every counter, with what it means.
const COUNTERS: &[(&str, &str)] = &[
    ("ironcart_forgotten_total", "Records that were forgotten for age, by kind."),
    ("ironcart_fraud_refusals_total", "Orders and cancellations that a fraud rule refused, by rule."),
    (
        "ironcart_product_reads_total",
        "Reads of products and lists by outcome: from memory (hit), by a question to the database (miss) or somebody \
         else's (shared); and answers that a change overtook, which were not kept (discarded).",
    ),
    ("ironcart_rate_limited_total", "Requests that a rate limit refused, by limit."),
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

/// The page of this process; the first call begins to count.
#[must_use]
pub fn page() -> Arc<dyn MetricsPage> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    let handle = RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("somebody else counts in this process; /metrics stays empty");
        }
        for (name, meaning) in COUNTERS {
            metrics::describe_counter!(*name, *meaning);
        }
        handle
    });
    Arc::new(Page(handle.clone()))
}

struct Page(PrometheusHandle);

impl MetricsPage for Page {
    fn render(&self) -> String {
        self.0.render()
    }
}
