//! How often clients may ask (contract 4).

use std::time::Duration;

use ipnet::IpNet;

use super::reader::{Noted, Reader};
use super::server::{CIDRS, cidr};

/// `[rate_limit]`
#[derive(Debug, Clone)]
pub struct RateLimitSettings {
    /// Whether any of them is held.
    pub enabled: bool,
    /// Requests per client address.
    pub global: RateLimit,
    /// Orders and payments per customer.
    pub checkout: RateLimit,
    /// Failed attempts per client address.
    pub auth_failures: RateLimit,
    /// New accounts per client address.
    pub registrations: RateLimit,
    /// Networks that the limits per address leave alone.
    pub exempt: Vec<IpNet>,
}

/// So many in so long, as in `100/15m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// At least 1.
    pub count: u32,
    /// From a second to a day.
    pub period: Duration,
}

const ALLOWED: &str = "count/period such as 100/15m: 1 to 1000000, in a period of 1s to 1d (units s, m, h, d)";

impl RateLimitSettings {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let enabled = reader.boolean("rate_limit.enabled");
        let [global, checkout, auth_failures, registrations] =
            ["rate_limit.global", "rate_limit.checkout", "rate_limit.auth_failures", "rate_limit.registrations"]
                .map(|path| reader.parsed(path, ALLOWED, RateLimit::parse));
        let exempt = reader.list("rate_limit.exempt", CIDRS, cidr);
        Ok(Self {
            enabled: enabled?,
            global: global?,
            checkout: checkout?,
            auth_failures: auth_failures?,
            registrations: registrations?,
            exempt: exempt?,
        })
    }
}

impl RateLimit {
    fn parse(text: &str) -> Option<Self> {
        let (count, period) = text.split_once('/')?;
        let count = digits(count)?;
        let (unit_at, unit) = period.char_indices().last()?;
        let unit_seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let seconds = u64::from(digits(&period[..unit_at])?) * unit_seconds;
        let is_in_range = (1..=1_000_000).contains(&count) && (1..=86_400).contains(&seconds);
        is_in_range.then_some(Self { count, period: Duration::from_secs(seconds) })
    }
}

fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_count_and_period() {
        for (text, count, seconds) in [
            ("100/15m", 100, 900),
            ("10/1h", 10, 3_600),
            ("1/1s", 1, 1),
            ("7/90s", 7, 90),
            ("1000000/1d", 1_000_000, 86_400),
        ] {
            let expected = RateLimit { count, period: Duration::from_secs(seconds) };
            assert_eq!(RateLimit::parse(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "/",
            "100",
            "100/",
            "/15m",
            "100/15",
            "100/m",
            "0/15m",
            "100/0s",
            "-1/15m",
            "+1/15m",
            "1.5/1m",
            "100/2d",
            "1000001/1m",
            "100/15M",
            "100/15 m",
            " 100/15m",
            "100/99999999999s",
            "100/15m/1",
            "100/1é",
            "١/1m",
        ] {
            assert_eq!(RateLimit::parse(text), None, "{text:?}");
        }
    }
}
