//! How a simulator is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::version::ApiVersion;

/// Where events are sent, and the secret that signs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookTarget {
    /// A plain `http://` address.
    pub url: String,
    /// The whole `whsec_…` string.
    pub secret: String,
}

/// How failed deliveries are repeated.
///
/// Stripe's own first pauses are minutes; a development tool's are seconds. Pauses double from try to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookRetry {
    /// The pause after the first try.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// After this time no further try begins.
    pub give_up_after: Duration,
    /// An endpoint that has not answered within this time has failed.
    pub answer_within: Duration,
}

impl WebhookRetry {
    /// The pause after so many tries.
    pub(crate) fn pause_after(&self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(16);
        self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause)
    }
}

impl Default for WebhookRetry {
    /// 0.5 s, 1 s, 2 s, … up to a minute, for three days; 10 s for each answer.
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_mins(1),
            give_up_after: Duration::from_hours(72),
            answer_within: Duration::from_secs(10),
        }
    }
}

/// The set-up of one simulator. [`Default`] is a free loopback port, any API key and no webhook endpoint.
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The base of the hosted pages' addresses, where it differs from the address listened on.
    pub public_url: Option<String>,
    /// The one key that is accepted; `None` accepts any that is not empty.
    pub api_key: Option<String>,
    /// The version of requests and events that name none.
    pub api_version: ApiVersion,
    /// Who is told of events from the start.
    pub webhook_endpoints: Vec<WebhookTarget>,
    /// How failed deliveries are repeated.
    pub webhook_retry: WebhookRetry,
    /// Whether signatures go by the simulator's clock instead of real time: for a shop whose clock is moved along with
    /// it, and which would find them stale otherwise.
    pub signs_by_own_clock: bool,
    /// Most calls of the API per second; more are answered 429 `rate_limit`. `None` is no limit; Stripe's own are about
    /// 100 live and 25 in a sandbox.
    pub rate_limit: Option<u32>,
    /// The shop's name on the payment page.
    pub shop_name: String,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public_url: None,
            api_key: None,
            api_version: ApiVersion::default(),
            webhook_endpoints: Vec::new(),
            webhook_retry: WebhookRetry::default(),
            signs_by_own_clock: false,
            rate_limit: None,
            shop_name: "Ironcart".to_owned(),
        }
    }
}
