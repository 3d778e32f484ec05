//! Stripe's error object, and which errors an idempotency key remembers.

use serde_json::{Map, Value, json};

/// The `type` of an error object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    Api,
    Card,
    Idempotency,
    InvalidRequest,
}

impl ErrorKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api_error",
            Self::Card => "card_error",
            Self::Idempotency => "idempotency_error",
            Self::InvalidRequest => "invalid_request_error",
        }
    }
}

/// An answer that is not 2xx.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    kind: ErrorKind,
    code: Option<&'static str>,
    message: String,
    param: Option<String>,
    extra: Map<String, Value>,
    /// Whether the idempotency key keeps this answer: only what the endpoint itself decided from its state is kept.
    pub(crate) kept: bool,
    /// What `Stripe-Should-Retry` says; `None` sends no such header.
    pub(crate) should_retry: Option<bool>,
}

impl ApiError {
    fn new(status: u16, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            code: None,
            message: message.into(),
            param: None,
            extra: Map::new(),
            kept: false,
            should_retry: None,
        }
    }

    /// A request that is wrong in itself: 400, never kept under an idempotency key.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, ErrorKind::InvalidRequest, message)
    }

    /// A request that the state of things refuses: 400, kept under its idempotency key.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        let mut error = Self::new(400, ErrorKind::InvalidRequest, message);
        error.kept = true;
        error.should_retry = Some(false);
        error
    }

    pub(crate) fn missing_resource(kind: &str, id: &str, param: &str) -> Self {
        let mut error = Self::refused(format!("No such {kind}: '{id}'")).code("resource_missing").param(param);
        error.status = 404;
        error
    }

    pub(crate) fn unknown_url(method: &str, path: &str) -> Self {
        let mut error = Self::invalid(format!(
            "Unrecognized request URL ({method}: {path}). The simulator plays checkout sessions, payment intents, \
             charges, refunds, events, products, prices, webhook endpoints and the balance."
        ));
        error.status = 404;
        error
    }

    pub(crate) fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(401, ErrorKind::InvalidRequest, message)
    }

    pub(crate) fn too_large() -> Self {
        Self::new(413, ErrorKind::InvalidRequest, "The request body is over 1 MiB.")
    }

    pub(crate) fn card_declined(intent: Value, charge: &str, decline_code: &str) -> Self {
        let mut error = Self::new(402, ErrorKind::Card, "Your card was declined.").code("card_declined");
        error.kept = true;
        error.extra.insert("decline_code".into(), json!(decline_code));
        error.extra.insert("charge".into(), json!(charge));
        error.extra.insert("payment_intent".into(), intent);
        error
    }

    pub(crate) fn key_reused(message: impl Into<String>) -> Self {
        Self::new(400, ErrorKind::Idempotency, message)
    }

    pub(crate) fn key_in_use() -> Self {
        let mut error = Self::new(
            409,
            ErrorKind::Idempotency,
            "There is currently another in-progress request using this Idempotent Key. Please try again later.",
        )
        .code("idempotency_key_in_use");
        error.should_retry = Some(true);
        error
    }

    pub(crate) fn lock_timeout() -> Self {
        let mut error = Self::new(
            429,
            ErrorKind::InvalidRequest,
            "This object cannot be accessed right now because another API request is currently accessing it.",
        )
        .code("lock_timeout");
        error.should_retry = Some(true);
        error
    }

    pub(crate) fn rate_limited() -> Self {
        Self::new(
            429,
            ErrorKind::InvalidRequest,
            "Request rate limit exceeded. Repeat the request later, with growing pauses.",
        )
        .code("rate_limit")
    }

    pub(crate) fn internal() -> Self {
        Self::new(500, ErrorKind::Api, "An unknown error occurred. (The simulator was told to answer so.)")
    }

    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub(crate) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The body: `{"error": {…}}`.
    pub(crate) fn body(&self, request_id: &str) -> Value {
        let mut error = self.extra.clone();
        if let Some(code) = self.code {
            error.insert("code".into(), json!(code));
            error.insert(
                "doc_url".into(),
                json!(format!("https://docs.stripe.com/error-codes/{}", code.replace('_', "-"))),
            );
        }
        error.insert("message".into(), json!(self.message));
        if let Some(param) = &self.param {
            error.insert("param".into(), json!(param));
        }
        error.insert("request_log_url".into(), json!(format!("https://dashboard.stripe.com/test/logs/{request_id}")));
        error.insert("type".into(), json!(self.kind.as_str()));
        json!({ "error": error })
    }
}
