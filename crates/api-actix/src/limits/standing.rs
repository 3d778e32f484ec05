//! How a client stands with the limits that its request meets, and the headers that say so (contract 4).

use std::cell::Cell;
use std::cmp::Reverse;
use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// The limit's size.
pub const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
/// How many more requests it lets through now.
pub const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// In how many seconds it is whole again, if nothing more is asked.
pub const RATELIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// How a client stands with one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The limit's size.
    pub limit: u32,
    /// What is left of it.
    pub remaining: u32,
    /// How long until all of it is free again.
    pub resets_in: Duration,
}

impl Standing {
    /// The less is left, and of two alike the longer it lasts, the closer.
    const fn distance(self) -> (u32, Reverse<Duration>) {
        (self.remaining, Reverse(self.resets_in))
    }
}

/// The standing of the limit that is closest, among those that a request has met so far. Limits deposit theirs; the
/// [`edge`](crate::edge) writes the headers.
#[derive(Debug, Clone, Default)]
pub struct Standings(Rc<Cell<Option<Standing>>>);

impl Standings {
    /// Deposits a standing for the answer to `request`.
    pub fn deposit(request: &impl HttpMessage, standing: Standing) {
        let extensions = request.extensions();
        if let Some(Self(closest)) = extensions.get::<Self>()
            && closest.get().is_none_or(|other| standing.distance() < other.distance())
        {
            closest.set(Some(standing));
        }
    }

    /// Writes the headers, if any limit applied.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if let Some(Standing { limit, remaining, resets_in }) = self.0.get() {
            headers.insert(RATELIMIT_LIMIT, HeaderValue::from(limit));
            headers.insert(RATELIMIT_REMAINING, HeaderValue::from(remaining));
            headers.insert(RATELIMIT_RESET, HeaderValue::from(whole_seconds(resets_in)));
        }
    }
}

/// Rounded up: whoever waits so long does not come too early.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn standing(limit: u32, remaining: u32, seconds: u64) -> Standing {
        Standing { limit, remaining, resets_in: Duration::from_secs(seconds) }
    }

    #[test]
    fn the_closest_limit_is_told_whichever_was_met_first() {
        let (wide, close, later) = (standing(100, 60, 400), standing(5, 2, 30), standing(20, 2, 90));
        for met in [[wide, close, later], [later, close, wide], [close, wide, later]] {
            let standings = Standings::default();
            let request = TestRequest::default().to_http_request();
            request.extensions_mut().insert(standings.clone());
            for standing in met {
                Standings::deposit(&request, standing);
            }
            assert_eq!(standings.0.get(), Some(later), "least remaining, and of two alike the one that lasts");
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (millis, seconds) in [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
