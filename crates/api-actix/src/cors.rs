//! Which other origins' pages may call the API from a browser (contract 5, `APP__SERVER__CORS_ORIGINS`): those that are
//! listed, and without one no answer has a CORS header.

use actix_cors::Cors;
use actix_web::http::{Method, header};
use actix_web::middleware::Condition;

use crate::edge::X_REQUEST_ID;
use crate::limits::{RATELIMIT_LIMIT, RATELIMIT_REMAINING, RATELIMIT_RESET};

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE_SECONDS: usize = 3600;

/// Lets pages of these origins call, with tokens in headers. Cookies are never used, so credentials stay off.
pub(crate) fn cors(origins: &[String]) -> Condition<Cors> {
    let listed = origins.iter().fold(Cors::default(), |cors, origin| cors.allowed_origin(origin));
    let cors = listed
        .allowed_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH])
        .allowed_headers([header::HeaderName::from_static("idempotency-key"), X_REQUEST_ID])
        .expose_headers([RATELIMIT_LIMIT, RATELIMIT_REMAINING, RATELIMIT_RESET, X_REQUEST_ID])
        .expose_headers([header::RETRY_AFTER, header::LOCATION, header::ETAG])
        .expose_headers([header::HeaderName::from_static("idempotency-replayed")])
        .max_age(MAX_AGE_SECONDS);
    Condition::new(!origins.is_empty(), cors)
}
