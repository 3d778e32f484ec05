//! Traces by OpenTelemetry, sent as OTLP over HTTP (contract 5, `OTEL_EXPORTER_OTLP_ENDPOINT`). Off, nothing of this is
//! set up.

use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// How long an export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer of a collector that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// The crates whose spans are sent; the libraries' own say nothing about the shop.
const OURS: [&str; 6] = ["adapters_crypto", "adapters_postgres", "adapters_stripe", "api_actix", "app", "domain"];

/// The sending of traces, until [`Traces::end`].
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send to the collector at `endpoint`, such as `http://localhost:4318`. Must be called inside the runtime
    /// that shall do so. A collector that is not there costs spans, and nothing else.
    pub fn to(endpoint: &str) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(OnRuntime::here())
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(EXPORT_TIMEOUT)
            .build()?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("ironcart").with_attribute(version).build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Self(provider))
    }

    /// The layer that makes traces of the spans of this project.
    #[must_use]
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let is_ours = |metadata: &Metadata<'_>| {
            let krate = metadata.target().split("::").next().unwrap_or_default();
            let level = if metadata.is_span() { Level::DEBUG } else { Level::INFO };
            *metadata.level() <= level && OURS.contains(&krate)
        };
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("ironcart"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_ours))
    }

    /// Sends what is left, and ends.
    pub async fn end(self) {
        // It waits for its own thread, which waits for this runtime.
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}

/// Sends the exporter's requests on the runtime of the shop: the exporter has a thread of its own without one.
#[derive(Debug)]
struct OnRuntime {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

impl OnRuntime {
    fn here() -> Self {
        let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Self { client: Client::builder(TokioExecutor::new()).build(connector), runtime: Handle::current() }
    }
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.request(request.map(Full::new));
        let exchange = async move {
            let (head, body) = answer.await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        // Time, too, is the runtime's: the timer must not be made on the exporter's thread.
        let exchange = async move { tokio::time::timeout(EXPORT_TIMEOUT, exchange).await? };
        self.runtime.spawn(exchange).await?
    }
}
