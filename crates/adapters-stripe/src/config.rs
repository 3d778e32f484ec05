//! What the adapter must be told, and what it refuses to start with.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use hyper::Uri;

/// A text that never appears in a log: its `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// How the shop talks with Stripe.
#[derive(Debug, Clone)]
pub struct StripeConfig {
    /// `sk_…` or `rk_…`.
    pub api_key: Secret,
    /// Where the API is, without `/v1`; `None` is Stripe itself. Plain `http` is accepted on loopback only.
    pub api_base: Option<String>,
    /// `whsec_…`, one or, while they are being rotated, several; any of them may have signed an event.
    pub webhook_secrets: Vec<Secret>,
    /// Bounds of the calls.
    pub limits: CallLimits,
}

impl StripeConfig {
    /// Stripe itself, with the default bounds.
    #[must_use]
    pub fn new(api_key: Secret, webhook_secrets: Vec<Secret>) -> Self {
        Self { api_key, api_base: None, webhook_secrets, limits: CallLimits::default() }
    }
}

/// How long, how often and how many at once.
///
/// The defaults fit together: three tries that time out fill one call, and open the circuit. So a Stripe that
/// accepts connections and never answers costs the first call 9.5 s, and the following ones nothing. The further
/// tries are for answers that come at once, such as "the same key is in use".
#[derive(Debug, Clone)]
pub struct CallLimits {
    /// A call of the port ends by then, with all its requests, tries and pauses. At most 10 s: the port's rule.
    pub call_timeout: Duration,
    /// One try ends by then.
    pub try_timeout: Duration,
    /// So often is one request sent at most.
    pub max_tries: u32,
    /// The pause before the second try; it doubles before each further one, and a random half of it is taken off.
    pub first_pause: Duration,
    /// So many requests are under way at once, at most.
    pub max_concurrent: usize,
    /// So many requests leave in a second, at most. `None` goes by the key: Stripe takes 25 in a sandbox and 100
    /// in live mode, of which a fifth is left to other users of the account; on loopback there is no limit.
    pub requests_per_second: Option<u32>,
    /// So many failed tries in a row open the circuit.
    pub failures_to_open: u32,
    /// So long after the circuit opened, and after each probe that failed, Stripe is probed; longer, up to a
    /// minute, when it opens again before anybody got an answer.
    pub cool_down: Duration,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_millis(9_500),
            try_timeout: Duration::from_secs(3),
            max_tries: 5,
            first_pause: Duration::from_millis(300),
            max_concurrent: 32,
            requests_per_second: None,
            failures_to_open: 3,
            cool_down: Duration::from_secs(3),
        }
    }
}

/// Why the adapter can't work as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStripeConfig {
    /// The key can't stand in a header.
    #[error("the Stripe API key is empty or holds characters other than visible ASCII")]
    ApiKey,
    /// The base is no address that a key may be sent to.
    #[error(
        "the Stripe API base {0:?} is not usable: expected https://host[:port], or http:// with a loopback host, \
         without a query"
    )]
    ApiBase(String),
    /// No webhook could ever be verified.
    #[error("no webhook secret, or an empty one: expected one or more of the form whsec_…")]
    WebhookSecrets,
    /// The bounds contradict each other.
    #[error("the bounds of calls to Stripe are not usable: {0}")]
    Limits(&'static str),
    /// Connections live on the runtime that made the gateway.
    #[error("the Stripe gateway must be made inside a Tokio runtime")]
    NoRuntime,
}

impl CallLimits {
    const MAX_CALL: Duration = Duration::from_secs(10);

    pub(crate) fn check(&self) -> Result<(), InvalidStripeConfig> {
        let wrong = InvalidStripeConfig::Limits;
        if self.call_timeout > Self::MAX_CALL {
            return Err(wrong("call_timeout must be at most 10 s"));
        }
        if self.try_timeout.is_zero() || self.try_timeout > self.call_timeout {
            return Err(wrong("try_timeout must be greater than 0 and at most call_timeout"));
        }
        if self.max_tries == 0 || self.max_concurrent == 0 || self.failures_to_open == 0 {
            return Err(wrong("max_tries, max_concurrent and failures_to_open must be at least 1"));
        }
        if self.requests_per_second == Some(0) {
            return Err(wrong("requests_per_second must be at least 1"));
        }
        Ok(())
    }
}

/// Where the API is: checked, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiBase {
    pub(crate) url: String,
    pub(crate) is_loopback: bool,
}

impl ApiBase {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, InvalidStripeConfig> {
        let text = text.unwrap_or("https://api.stripe.com");
        let wrong = || InvalidStripeConfig::ApiBase(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let host = uri.host().ok_or_else(wrong)?;
        let is_loopback = is_loopback(host);
        let is_private = uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && is_loopback);
        if !is_private || uri.query().is_some() {
            return Err(wrong());
        }
        Ok(Self { url: text.trim_end_matches('/').to_owned(), is_loopback })
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl StripeConfig {
    const SANDBOX_PER_SECOND: u32 = 20;
    const LIVE_PER_SECOND: u32 = 80;

    /// How many requests may leave in a second; `None` is without limit.
    pub(crate) fn requests_per_second(&self, base: &ApiBase) -> Option<u32> {
        let is_live = ["sk_live_", "rk_live_"].iter().any(|prefix| self.api_key.expose().starts_with(prefix));
        match (self.limits.requests_per_second, base.is_loopback) {
            (Some(limit), _) => Some(limit),
            (None, true) => None,
            (None, false) if is_live => Some(Self::LIVE_PER_SECOND),
            (None, false) => Some(Self::SANDBOX_PER_SECOND),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_key_never_travels_in_the_clear_but_on_loopback() {
        for good in [
            "https://api.stripe.com",
            "http://127.0.0.1:4242",
            "http://localhost:1/",
            "http://[::1]:9",
            "https://proxy.example/stripe",
        ] {
            assert!(ApiBase::parse(Some(good)).is_ok(), "{good}");
        }
        for bad in
            ["", "api.stripe.com", "http://api.stripe.com", "http://10.0.0.1", "ftp://localhost", "/v1", "https://a/?b"]
        {
            assert!(ApiBase::parse(Some(bad)).is_err(), "{bad}");
        }
        assert_eq!(ApiBase::parse(Some("http://localhost:1/")).unwrap().url, "http://localhost:1");
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = StripeConfig::new(Secret::new("sk_test_hidden"), vec![Secret::new("whsec_hidden")]);
        assert!(!format!("{config:?}").contains("hidden"));
    }

    #[test]
    fn the_rate_goes_by_the_key_and_the_place() {
        let stripe = ApiBase::parse(None).unwrap();
        let simulator = ApiBase::parse(Some("http://127.0.0.1:1")).unwrap();
        let config = |key: &str| StripeConfig::new(Secret::new(key), vec![]);
        assert_eq!(config("sk_test_1").requests_per_second(&stripe), Some(20));
        assert_eq!(config("rk_live_1").requests_per_second(&stripe), Some(80));
        assert_eq!(config("sk_test_1").requests_per_second(&simulator), None);
        let mut set = config("sk_live_1");
        set.limits.requests_per_second = Some(3);
        assert_eq!(set.requests_per_second(&simulator), Some(3));
    }

    #[test]
    fn limits_that_break_the_ports_rule_are_refused() {
        assert_eq!(CallLimits::default().check(), Ok(()));
        let too_long = CallLimits { call_timeout: Duration::from_secs(11), ..CallLimits::default() };
        assert!(too_long.check().is_err());
        let never = CallLimits { max_tries: 0, ..CallLimits::default() };
        assert!(never.check().is_err());
    }
}
