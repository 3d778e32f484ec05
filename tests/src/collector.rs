//! A collector of traces: takes what OTLP over HTTP brings, decodes it, and keeps it to be looked at.

#![allow(clippy::panic, clippy::expect_used, clippy::missing_panics_doc, reason = "what fails here fails the test")]

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

type Kept = Mutex<Vec<ExportTraceServiceRequest>>;

/// A running collector; it stops when it is dropped.
pub struct Collector {
    endpoint: String,
    server: ServerHandle,
    kept: Arc<Kept>,
}

impl Collector {
    /// Starts on a free port.
    #[must_use]
    pub fn start() -> Self {
        let kept = Arc::new(Kept::default());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let data = Data::from(Arc::clone(&kept));
        let app = move || App::new().app_data(data.clone()).route("/v1/traces", web::post().to(keep));
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).expect("a server").run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { endpoint, server: handle, kept }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// All spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Seen> {
        let kept = self.kept.lock().expect("no panic");
        let resources = kept.iter().flat_map(|request| &request.resource_spans);
        let spans = resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
        spans.map(|span| Seen(span.clone())).collect()
    }

    /// All that came, as text to search in.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#?}", self.kept.lock().expect("no panic"))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn keep(body: Bytes, kept: Data<Kept>) -> HttpResponse {
    match ExportTraceServiceRequest::decode(body) {
        Ok(request) => {
            kept.lock().expect("no panic").push(request);
            HttpResponse::Ok().content_type("application/x-protobuf").finish()
        }
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Seen(Span);

impl Seen {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its trace's id, as it is written in logs.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex::encode(&self.0.trace_id)
    }

    /// Its own id.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&self.0.span_id)
    }

    /// The id of the span that it is a part of; empty if there is none.
    #[must_use]
    pub fn parent_id(&self) -> String {
        hex::encode(&self.0.parent_span_id)
    }

    /// What it says under this key.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<String> {
        let found = self.0.attributes.iter().find(|attribute| attribute.key == key)?;
        Some(format!("{:?}", found.value.as_ref()?.value.as_ref()?))
    }
}
