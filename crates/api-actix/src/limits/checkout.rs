//! The checkout guard: how often one customer may begin to order or to pay (contract 4).

use actix_web::HttpMessage;
use domain::id::UserId;

use super::buckets::{Buckets, Rate};
use super::refusal::refuse;
use super::standing::Standings;
use crate::problem::Problem;

/// Counts `POST /orders` and `POST /orders/{id}/payment` per customer.
///
/// Refused ones count, but neither idempotent replays nor `idempotency_in_progress`: only who keeps the keys knows
/// those, so [`CheckoutGuard::count`] is called there and is no middleware.
pub struct CheckoutGuard(Option<Buckets<UserId>>);

impl CheckoutGuard {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self(rate.map(Buckets::new))
    }

    /// Counts one attempt, or refuses it with `rate_limited`. Either way the answer to `request` shows how the customer
    /// stands.
    pub fn count(&self, request: &impl HttpMessage, customer: UserId) -> Result<(), Problem> {
        let Some(buckets) = &self.0 else { return Ok(()) };
        match buckets.take(customer) {
            Ok(standing) => {
                Standings::deposit(request, standing);
                Ok(())
            }
            Err(empty) => {
                Standings::deposit(request, empty.standing);
                Err(refuse("checkout", "This customer has begun too many orders and payments.", empty.retry_in))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use actix_web::ResponseError;
    use actix_web::http::header::{HeaderMap, RETRY_AFTER};
    use actix_web::test::TestRequest;
    use uuid::Uuid;

    use super::*;
    use crate::limits::{RATELIMIT_LIMIT, RATELIMIT_REMAINING, RATELIMIT_RESET};
    use crate::problem::Code;

    const TWO_AN_HOUR: Rate = Rate { count: 2, period: Duration::from_hours(1) };

    fn customer(number: u128) -> UserId {
        UserId::from(Uuid::from_u128(number))
    }

    /// Counts once and gives the headers that the answer would show.
    fn count(guard: &CheckoutGuard, customer: UserId) -> (Result<(), Problem>, HeaderMap) {
        let request = TestRequest::default().to_http_request();
        let standings = Standings::default();
        request.extensions_mut().insert(standings.clone());
        let counted = guard.count(&request, customer);
        let mut headers = HeaderMap::new();
        standings.write(&mut headers);
        (counted, headers)
    }

    #[test]
    fn each_customer_has_their_own_count() {
        let guard = CheckoutGuard::new(Some(TWO_AN_HOUR));
        for remaining in ["1", "0"] {
            let (counted, headers) = count(&guard, customer(1));
            counted.unwrap();
            assert_eq!(headers.get(RATELIMIT_LIMIT).unwrap(), "2");
            assert_eq!(headers.get(RATELIMIT_REMAINING).unwrap(), remaining);
        }
        let (counted, headers) = count(&guard, customer(1));
        let refused = counted.unwrap_err();
        assert_eq!(refused.code(), Code::RateLimited);
        assert_eq!(refused.error_response().headers().get(RETRY_AFTER).unwrap(), "1800");
        assert_eq!(headers.get(RATELIMIT_REMAINING).unwrap(), "0");
        assert_eq!(headers.get(RATELIMIT_RESET).unwrap(), "3600");
        count(&guard, customer(2)).0.unwrap();
    }

    #[test]
    fn a_guard_that_is_off_counts_nothing_and_shows_nothing() {
        let guard = CheckoutGuard::new(None);
        for _ in 0..1000 {
            let (counted, headers) = count(&guard, customer(1));
            counted.unwrap();
            assert!(headers.is_empty());
        }
    }
}
