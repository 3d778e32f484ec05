//! Bodies: read up to a limit before anything else is looked at, then parsed field by field.

use std::future::{Ready, ready};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;

use crate::application::{Shop, Timeouts};
use crate::fields::{Fields, Request};
use crate::problem::{Code, Problem};

/// The most bytes of a body under `/api/v1` (contract 1, status 413).
pub const API_BODY_LIMIT_BYTES: usize = 64 * 1024;

/// The most bytes of a webhook's body (contract 1, status 413).
pub const WEBHOOK_BODY_LIMIT_BYTES: usize = 512 * 1024;

/// The longest URI that is looked at, in bytes.
const MAX_URI_LENGTH: usize = 8 * 1024;

/// The body as it came. Empty if there is none.
#[derive(Debug, Clone)]
pub struct RawBody(pub Bytes);

/// A middleware that reads the body of at most `limit_bytes`, for [`RawBody`] and [`Body`] to take up; more is 413. How
/// many headers there may be, and of which size, the server sees to (96, and 128 KiB with the URI; more is 431).
pub(crate) async fn read_body<B: MessageBody + 'static>(
    limit_bytes: usize,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let declared: Option<usize> =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let read = if request.uri().to_string().len() > MAX_URI_LENGTH {
        Err(Problem::new(Code::MalformedRequest).detail(format!("A URI may have at most {MAX_URI_LENGTH} bytes.")))
    } else if declared.is_some_and(|length| length > limit_bytes) {
        Err(too_large(limit_bytes))
    } else {
        let payload = request.take_payload();
        let Timeouts { body: patience, .. } = request.app_data().copied().unwrap_or_default();
        tokio::time::timeout(patience, collect(payload, limit_bytes))
            .await
            .unwrap_or_else(|_| Err(Problem::new(Code::RequestTimeout)))
    };
    match read {
        Ok(bytes) => {
            request.extensions_mut().insert(RawBody(bytes));
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err(problem) => Ok(request.error_response(problem).map_into_right_body()),
    }
}

async fn collect(mut payload: Payload, limit_bytes: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::new(Code::MalformedRequest)
                .detail("The body broke off before its end.")
                .caused_by(error.to_string())
        })?;
        if body.len() + chunk.len() > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(limit_bytes: usize) -> Problem {
    Problem::new(Code::PayloadTooLarge).detail(format!("A body here may have at most {limit_bytes} bytes."))
}

impl FromRequest for RawBody {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = request.extensions().get::<Self>().cloned();
        ready(read.ok_or_else(|| Problem::internal("the route is mounted without a body limit")))
    }
}

/// A JSON body, read into domain types.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: Request> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let raw = match RawBody::from_request(request, payload).into_inner() {
            Ok(RawBody(bytes)) => bytes,
            Err(problem) => return ready(Err(problem)),
        };
        ready(Shop::of(request).and_then(|shop| parse(&raw, request, shop)).map(Self))
    }
}

fn parse<T: Request>(raw: &[u8], request: &HttpRequest, shop: &Shop) -> Result<T, Problem> {
    if raw.is_empty() {
        return T::read_all(Fields::of_no_body(shop.currency));
    }
    is_json(request)?;
    T::read_all(Fields::of_json(raw, shop.currency)?)
}

/// Accepts `application/json`, in UTF-8 if it says so, and not compressed.
fn is_json(request: &HttpRequest) -> Result<(), Problem> {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    let content_type = header(header::CONTENT_TYPE).unwrap_or_default();
    let (essence, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
    let charset = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
    let encoding = header(header::CONTENT_ENCODING);
    if essence.trim() != "application/json" {
        return Err(unsupported("Send the body as application/json."));
    }
    if charset.is_some_and(|charset| !matches!(charset.trim_matches('"'), "utf-8" | "utf8")) {
        return Err(unsupported("Send the body in UTF-8."));
    }
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(unsupported("Send the body without a Content-Encoding."));
    }
    Ok(())
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(Code::UnsupportedMediaType).detail(detail)
}
