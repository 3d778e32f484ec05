//! What the shop says while it runs: for eyes in development, for machines in production.

use std::fmt;
use std::io::{IsTerminal, stderr};

use opentelemetry::trace::get_active_span;
use opentelemetry_otlp::ExporterBuildError;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, layer::SubscriberExt};

use crate::config::{Stage, TelemetrySettings};
use crate::traces::Traces;

/// Why nothing would be told.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The process logs already.
    #[error(transparent)]
    Logs(#[from] TryInitError),
    /// Traces can't be sent.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Traces(#[from] ExporterBuildError),
}

/// Starts logging to standard error, since standard output belongs to the commands' answers; and sends traces, if that
/// is asked for. What is sent last waits for the end of the traces.
pub fn start(stage: Stage, settings: &TelemetrySettings) -> Result<Option<Traces>, LoggingError> {
    let traces = settings.otlp_endpoint.as_deref().map(Traces::to).transpose()?;
    subscriber(stage, &settings.log_filter, stderr, stderr().is_terminal(), traces.as_ref()).try_init()?;
    Ok(traces)
}

/// One line per event in development and tests, one JSON object per line in production; the spans of a request, and
/// with them its id, are in every line, and so is the trace's id where there is a trace.
fn subscriber<W>(
    stage: Stage,
    filter: &str,
    writer: W,
    is_terminal: bool,
    traces: Option<&Traces>,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    // The settings are checked; a filter that is wrong all the same must not silence the shop.
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let Some(traces) = traces else {
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
        return match stage {
            Stage::Production => Box::new(builder.event_format(json()).fmt_fields(JsonFields::new()).finish()),
            Stage::Development | Stage::Test => Box::new(builder.with_ansi(is_terminal).with_target(false).finish()),
        };
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match stage {
        Stage::Production => Box::new(lines.event_format(TracedJson(json())).fmt_fields(JsonFields::new())),
        Stage::Development | Stage::Test => {
            let text = Format::default().with_ansi(is_terminal).with_target(false);
            Box::new(lines.with_ansi(is_terminal).event_format(TracedText(text)))
        }
    };
    Box::new(tracing_subscriber::registry().with(lines.with_filter(filter)).with(traces.layer()))
}

fn json() -> Format<Json> {
    Format::default().json().flatten_event(true).with_current_span(false).with_span_list(true)
}

/// The id of the trace that the present span belongs to.
fn trace_id() -> Option<String> {
    get_active_span(|span| {
        let context = span.span_context();
        context.is_valid().then(|| context.trace_id().to_string())
    })
}

/// JSON lines that begin with their trace's id.
struct TracedJson(Format<Json>);

impl<S, N> FormatEvent<S, N> for TracedJson
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(trace_id) = trace_id() else { return self.0.format_event(context, to, event) };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(to, r#"{{"trace_id":"{trace_id}",{rest}"#),
            None => to.write_str(&line),
        }
    }
}

/// Readable lines that begin with their trace's id.
struct TracedText(Format);

impl<S, N> FormatEvent<S, N> for TracedText
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if let Some(trace_id) = trace_id() {
            write!(to, "trace_id={trace_id} ")?;
        }
        self.0.format_event(context, to, event)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::memory::Memory;

    /// What is logged of an order inside of a request.
    fn logged(stage: Stage, filter: &str) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber(stage, filter, move || writer.clone(), false, None);
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!("request", request_id = "r-1");
            let _entered = request.enter();
            tracing::info!(order = 7, "placed");
            tracing::debug!("a detail");
        });
        memory.text()
    }

    #[test]
    fn production_logs_one_json_object_per_line_with_the_request_in_it() {
        let text = logged(Stage::Production, "info");
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["message"], "placed");
        assert_eq!(line["order"], 7);
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["spans"][0]["request_id"], "r-1");
    }

    #[test]
    fn development_logs_a_readable_line_with_the_request_in_it() {
        let text = logged(Stage::Development, "info");
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in ["INFO", "request_id=\"r-1\"", "placed", "order=7"] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }

    #[test]
    fn the_filter_decides_what_is_logged() {
        assert_eq!(logged(Stage::Test, "off"), "");
        assert_eq!(logged(Stage::Test, "warn"), "");
        assert_eq!(logged(Stage::Test, "debug").lines().count(), 2);
    }
}
