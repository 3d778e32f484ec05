//! What the shop says while it runs: for eyes in development, for machines in production.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Stage, TelemetrySettings};

/// Starts logging to standard error; standard output belongs to the commands' answers.
///
/// Fails only if the process logs already.
pub fn start(stage: Stage, settings: &TelemetrySettings) -> Result<(), TryInitError> {
    subscriber(stage, &settings.log_filter, stderr, stderr().is_terminal()).try_init()
}

/// One line per event in development and tests, one JSON object per line in production; the spans of a request, and
/// with them its id, are in every line.
fn subscriber<W>(stage: Stage, filter: &str, writer: W, is_terminal: bool) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    // The settings are checked; a filter that is wrong all the same must not silence the shop.
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match stage {
        Stage::Production => {
            Box::new(builder.json().flatten_event(true).with_current_span(false).with_span_list(true).finish())
        }
        Stage::Development | Stage::Test => Box::new(builder.with_ansi(is_terminal).with_target(false).finish()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged of an order inside of a request.
    fn logged(stage: Stage, filter: &str) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber(stage, filter, move || writer.clone(), false);
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!("request", request_id = "r-1");
            let _entered = request.enter();
            tracing::info!(order = 7, "placed");
            tracing::debug!("a detail");
        });
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
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
