//! What every answer has, whichever route gave it: a request id, a line in the log, `nosniff`, how the client stands
//! with the limits, and problems written as JSON. A failure of ours is logged here, once, with its chain.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use domain::clock::Ids;
use futures_util::FutureExt;
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::limits::Standings;
use crate::problem::{Code, PROBLEM_JSON, Problem};
use crate::tracing_context::{self, continue_callers_trace};
use crate::traffic::{self, Route};

/// The header that carries the request id both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names one request in answers and logs: the client's own, if it is sane, else a new UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The most characters that are taken over from a client (contract 1, "request id").
    pub const MAX_LENGTH: usize = 128;

    fn of(headers: &HeaderMap, ids: &dyn Ids) -> Self {
        let sane = |value: &&HeaderValue| {
            (1..=Self::MAX_LENGTH).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let made =
            || HeaderValue::from_str(&ids.next().to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Self(headers.get(X_REQUEST_ID).filter(sane).cloned().unwrap_or_else(made))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The outermost middleware.
pub(crate) async fn edge<B: MessageBody + 'static>(
    request: ServiceRequest,
    ids: Data<dyn Ids>,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let begun = Instant::now();
    let scene = Scene {
        id: RequestId::of(request.headers(), ids.as_ref()),
        method: request.method().clone(),
        path: request.path().to_owned(),
        standings: Standings::default(),
        route: Route::default(),
    };
    request.extensions_mut().insert(scene.id.clone());
    request.extensions_mut().insert(scene.standings.clone());
    request.extensions_mut().insert(scene.route.clone());
    let callers_trace = continue_callers_trace(request.headers());
    let span =
        info_span!("request", otel.kind = "server", request_id = %scene.id, method = %scene.method, path = %scene.path);
    drop(callers_trace);

    let answered = AssertUnwindSafe(next.call(request)).catch_unwind().instrument(span.clone()).await;

    let _entered = span.enter();
    let answer = match answered {
        Ok(Ok(response)) => Ok(scene.finish(response)),
        Ok(Err(error)) => Err(scene.refuse(as_problem(&error))),
        Err(panic) => Err(scene.refuse(Problem::internal(panic_message(panic.as_ref())))),
    };
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let took = begun.elapsed();
    tracing_context::answered(&scene.method, scene.route.as_str(), status);
    traffic::count(&scene.method, &scene.route, status.as_u16(), took);
    info!(status = status.as_u16(), elapsed_us = u64::try_from(took.as_micros()).ok(), "answered");
    answer
}

/// What the edge keeps of a request while the routes own it.
struct Scene {
    id: RequestId,
    method: Method,
    path: String,
    standings: Standings,
    route: Route,
}

impl Scene {
    /// Adds the headers, and writes the body if the answer is an error.
    fn finish<B: MessageBody + 'static>(&self, response: ServiceResponse<B>) -> ServiceResponse<BoxBody> {
        let written = response.response().error().map(|error| match error.as_error::<Problem>() {
            Some(problem) => self.write(problem),
            None => self.write(&as_problem(error)),
        });
        let mut response = match written {
            None => response.map_into_boxed_body(),
            Some((status, body)) => response.map_body(|head, _| {
                head.status = status;
                head.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
                BoxBody::new(body)
            }),
        };
        self.mark(response.headers_mut());
        response
    }

    /// An answer for a request that no route lived to answer.
    fn refuse(&self, problem: Problem) -> Error {
        let (_, body) = self.write(&problem);
        let mut response: HttpResponse = problem.error_response().set_body(BoxBody::new(body));
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        self.mark(response.headers_mut());
        InternalError::from_response(problem, response).into()
    }

    /// The status and body of a problem; failures of ours leave their one line in the log. Turning requests away is
    /// none, and a line for each would add to the load; they are counted.
    fn write(&self, problem: &Problem) -> (StatusCode, Bytes) {
        let status = problem.code().status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            error!(code = problem.code().as_str(), error = problem.cause_chain(), "failed");
        } else if problem.is_load() {
            debug!(code = problem.code().as_str(), "turned away");
        } else if status.is_server_error() {
            warn!(code = problem.code().as_str(), error = problem.cause_chain(), "failed");
        }
        (status, Bytes::from(problem.body(self.id.as_str(), &self.path).to_string()))
    }

    fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID, self.id.0.clone());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        self.standings.write(headers);
    }
}

/// Errors that the framework makes itself, in the contract's words.
fn as_problem(error: &Error) -> Problem {
    match error.as_response_error().status_code() {
        StatusCode::NOT_FOUND => Problem::new(Code::NotFound),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(Code::MethodNotAllowed),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::PayloadTooLarge),
        StatusCode::REQUEST_TIMEOUT => Problem::new(Code::RequestTimeout),
        status if status.is_client_error() => Problem::new(Code::MalformedRequest),
        _ => Problem::internal(error.to_string()),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", message.unwrap_or("without a message"))
}
