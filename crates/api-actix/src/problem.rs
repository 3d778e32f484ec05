//! Errors as clients see them: RFC 9457 problems with a stable code (contract 1, "errors").

use std::error::Error;
use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use domain::store::StoreError;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Seconds after which a client may try again when nothing better is known.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The media type of problems.
pub(crate) const PROBLEM_JSON: header::HeaderValue = header::HeaderValue::from_static("application/problem+json");

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $title:literal;)+) => {
        /// Every code of the contract's table, each with its status and title.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* #[doc = concat!("`", $code, "`: ", $title, ".")] $name,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable code.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The status that the code is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// A short summary, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

codes! {
    MalformedRequest = "malformed_request", BAD_REQUEST, "The request is malformed";
    WebhookSignatureInvalid = "webhook_signature_invalid", BAD_REQUEST, "The webhook's signature is invalid";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid access token is required";
    InvalidCredentials = "invalid_credentials", UNAUTHORIZED, "The e-mail or the password is wrong";
    Forbidden = "forbidden", FORBIDDEN, "This role may not do that";
    NotFound = "not_found", NOT_FOUND, "Not found";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The request did not arrive in time";
    EmailTaken = "email_taken", CONFLICT, "The e-mail is taken";
    ProductNameTaken = "product_name_taken", CONFLICT, "The product name is taken";
    CartEmpty = "cart_empty", CONFLICT, "The cart is empty";
    CartFull = "cart_full", CONFLICT, "The cart is full";
    TotalChanged = "total_changed", CONFLICT, "The total has changed";
    OrderTotalNotPayable = "order_total_not_payable", CONFLICT, "The order's total can't be paid";
    InsufficientStock = "insufficient_stock", CONFLICT, "There is not enough stock";
    ProductUnavailable = "product_unavailable", CONFLICT, "A product is no longer for sale";
    InvalidTransition = "invalid_transition", CONFLICT, "The state does not allow that";
    OrderAlreadyPaid = "order_already_paid", CONFLICT, "The order is already paid";
    OrderNotPayable = "order_not_payable", CONFLICT, "The order can't be paid";
    OrderNotRefundable = "order_not_refundable", CONFLICT, "The order can't be refunded";
    OrderFlagged = "order_flagged", CONFLICT, "The order is flagged";
    IdempotencyInProgress = "idempotency_in_progress", CONFLICT, "The first request with this key still runs";
    PreconditionFailed = "precondition_failed", PRECONDITION_FAILED, "The resource has changed";
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body must be JSON";
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "The request breaks a rule";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The key belongs to another request";
    PendingOrderLimit = "pending_order_limit", TOO_MANY_REQUESTS, "Too many unpaid orders";
    DailyCancellationLimit = "daily_cancellation_limit", TOO_MANY_REQUESTS, "Too many cancellations";
    UnitsLimit = "units_limit", TOO_MANY_REQUESTS, "Too many units of one product";
    AccountTooNew = "account_too_new", TOO_MANY_REQUESTS, "The account is too new";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    /// Not in the contract's table: a bug of ours, of which nothing is shown.
    Internal = "internal_error", INTERNAL_SERVER_ERROR, "Something went wrong on our side";
    PaymentProviderError = "payment_provider_error", BAD_GATEWAY, "The payment provider failed";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The service is unavailable for the moment";
}

/// A rule that a field breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's name as the client wrote it, or should have written it.
    pub field: String,
    /// What is wrong with it, to be read behind its name: `must be 1 to 1000`.
    pub message: String,
}

/// What went wrong, for the client; and why, for the log.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    headers: Vec<(header::HeaderName, String)>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem whose title says it all.
    #[must_use]
    pub fn new(code: Code) -> Self {
        let detail = format!("{}.", code.title());
        Self { code, detail, errors: Vec::new(), members: Map::new(), headers: Vec::new(), cause: None }
    }

    /// Explains this occurrence in a sentence: what is wrong, and what to do.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// Adds a member of its own, such as `available` (contract 1, codes with "with …").
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// Adds a header to the answer, such as `Allow`.
    #[must_use]
    pub fn header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Says when to try again, instead of the general one second.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, seconds.to_string())
    }

    /// Keeps the cause for the log; clients never see it.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Fields that break rules: 422.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let names: Vec<_> = errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect();
        Self { errors, ..Self::new(Code::ValidationFailed).detail(format!("{}.", names.join("; "))) }
    }

    /// One field that breaks a rule which only the use case could see: 422.
    #[must_use]
    pub fn invalid_field(field: &str, message: impl fmt::Display) -> Self {
        Self::invalid(vec![FieldError { field: field.to_owned(), message: message.to_string() }])
    }

    /// More is asked for at once than can be done: 503.
    #[must_use]
    pub fn load() -> Self {
        Self::new(Code::Unavailable).detail("More is asked for at once than can be done. Try again in a moment.")
    }

    /// Whether it stands for too much at once, and not for something that failed.
    pub(crate) fn is_load(&self) -> bool {
        self.code == Code::Unavailable && self.cause.is_none()
    }

    /// A bug of ours: 500, its cause logged and not shown.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Code::Internal).detail("The failure was logged under this request id.").caused_by(cause)
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The body: RFC 9457's members, then ours.
    pub(crate) fn body(&self, request_id: &str, instance: &str) -> Value {
        let mut body = json!({
            "type": format!("/problems/{}", self.code.as_str().replace('_', "-")),
            "title": self.code.title(),
            "status": self.code.status().as_u16(),
            "detail": self.detail,
            "instance": instance,
            "code": self.code.as_str(),
            "requestId": request_id,
        });
        if let Some(object) = body.as_object_mut() {
            if !self.errors.is_empty() {
                object.insert("errors".to_owned(), json!(self.errors));
            }
            object.extend(self.members.clone());
        }
        body
    }

    /// The chain of causes, outermost first.
    pub(crate) fn cause_chain(&self) -> String {
        let mut chain = Vec::new();
        let mut next: Option<&dyn Error> = self.cause.as_deref().map(|cause| cause as &dyn Error);
        while let Some(error) = next {
            chain.push(error.to_string());
            next = error.source();
        }
        chain.join(": ")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// Status and headers; the body is written at the [`edge`](crate::edge), which knows the request.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        match self.code.status() {
            StatusCode::UNAUTHORIZED => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS));
            }
            _ => {}
        }
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.as_str()));
        }
        response.finish()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::load(),
            StoreError::Unavailable(_) => Self::new(Code::Unavailable).caused_by(error),
            StoreError::Unexpected(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_used_once_and_is_an_error() {
        let codes: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{}", code.as_str());
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", code.as_str());
        }
    }

    #[test]
    fn a_problem_shows_its_members_and_hides_its_cause() {
        let problem = Problem::new(Code::InsufficientStock)
            .detail("Only 2 are left.")
            .with("available", 2)
            .caused_by("relation \"products\" does not exist");
        let body = problem.body("r-1", "/api/v1/orders");
        assert_eq!(
            body,
            json!({
                "type": "/problems/insufficient-stock",
                "title": "There is not enough stock",
                "status": 409,
                "detail": "Only 2 are left.",
                "instance": "/api/v1/orders",
                "code": "insufficient_stock",
                "requestId": "r-1",
                "available": 2,
            })
        );
        assert_eq!(problem.cause_chain(), "relation \"products\" does not exist");
    }

    #[test]
    fn a_401_asks_for_a_bearer_token_and_a_503_says_when_to_come_back() {
        let header = |problem: Problem, name| problem.error_response().headers().get(name).cloned().unwrap();
        for code in [Code::Unauthenticated, Code::InvalidCredentials] {
            assert_eq!(header(Problem::new(code), header::WWW_AUTHENTICATE), "Bearer");
        }
        assert_eq!(header(Problem::from(StoreError::unavailable("down")), header::RETRY_AFTER), "1");
        assert_eq!(header(Problem::new(Code::RateLimited).retry_after(9), header::RETRY_AFTER), "9");
    }
}
