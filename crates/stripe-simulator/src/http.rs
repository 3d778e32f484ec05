//! Requests as read and answers as given: the small part of HTTP that the simulator needs.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::Value;

/// A request, read to its end.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Incoming {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The path's parts, without empty ones.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|part| !part.is_empty()).collect()
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Reply),
    /// The connection is closed without an answer.
    Cut,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::json_text(status, body.to_string())
    }

    pub(crate) fn json_text(status: u16, body: String) -> Self {
        Self { status, headers: vec![("content-type", "application/json".to_owned())], body: Bytes::from(body) }
    }

    pub(crate) fn html(status: u16, body: String) -> Self {
        Self { status, headers: vec![("content-type", "text/html; charset=utf-8".to_owned())], body: Bytes::from(body) }
    }

    pub(crate) fn stylesheet(css: &'static str) -> Self {
        Self {
            status: 200,
            headers: vec![
                ("content-type", "text/css; charset=utf-8".to_owned()),
                ("cache-control", "public, max-age=300".to_owned()),
            ],
            body: Bytes::from_static(css.as_bytes()),
        }
    }

    /// A 303: the browser gets what is there.
    pub(crate) fn see_other(location: &str) -> Self {
        Self { status: 303, headers: vec![("location", location.to_owned())], body: Bytes::new() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            // A value that cannot be a header, e.g. a return address with a line break, is left out.
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        response
    }
}
