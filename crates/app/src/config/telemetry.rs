//! What the shop tells of itself.

use tracing_subscriber::EnvFilter;

use super::reader::{Noted, Reader};
use super::server::web_url;

/// `[log]` and `[telemetry]`
#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// What is logged, as `RUST_LOG` spells it; known to be readable.
    pub log_filter: String,
    /// Where traces are sent; `None` is off.
    pub otlp_endpoint: Option<String>,
}

impl TelemetrySettings {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let log_filter =
            reader.parsed("log.filter", "a level (error, warn, info, debug, trace, off) or target=level,…", |text| {
                let is_filter = !text.trim().is_empty() && EnvFilter::try_new(text).is_ok();
                is_filter.then(|| text.to_owned())
            });
        let otlp_endpoint = reader.optional("telemetry.otlp_endpoint", "http(s)://host[:port], or off", |text| {
            web_url(text).map(|_| text.to_owned())
        });
        Ok(Self { log_filter: log_filter?, otlp_endpoint: otlp_endpoint? })
    }
}
