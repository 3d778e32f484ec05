//! One HTTP exchange with Stripe over pooled connections, and nothing else: no repeats, no judgement.

use std::future::Future;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioTimer;
use stripe_client_core::{RequestBuilder, StripeMethod, VERSION};
use tokio::runtime::Handle;

use crate::config::{ApiBase, InvalidStripeConfig, Secret};

/// What came back, with the headers that matter.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// `Idempotent-Replayed`: the stored answer of the key's first request.
    pub(crate) replayed: bool,
    /// `Stripe-Should-Retry`.
    pub(crate) should_retry: Option<bool>,
    /// `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    /// `Request-Id`, to find the request in Stripe's dashboard.
    pub(crate) request_id: Option<String>,
    pub(crate) body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeFailed {
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("{0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

/// The pooled HTTP client with what every request carries.
pub(crate) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base_url: String,
    authorization: HeaderValue,
}

impl Transport {
    /// The longest answer read, in bytes; a page of 100 sessions is below 1 MiB.
    const MAX_ANSWER_BYTES: usize = 8 << 20;
    /// Shorter than the minutes after which servers and firewalls drop idle connections.
    const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

    pub(crate) fn new(base: &ApiBase, api_key: &Secret, runtime: Handle) -> Result<Self, InvalidStripeConfig> {
        let key = api_key.expose();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidStripeConfig::ApiKey);
        }
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| InvalidStripeConfig::ApiKey)?;
        authorization.set_sensitive(true);

        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(OnRuntime(runtime))
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Self::IDLE_TIMEOUT)
            .build(connector);
        Ok(Self { client, base_url: base.url.clone(), authorization })
    }

    /// Sends a request once.
    #[tracing::instrument(
        name = "Stripe", level = "debug", skip_all,
        fields(otel.kind = "client", url.path = %request.path, http.response.status_code)
    )]
    pub(crate) async fn exchange(
        &self,
        request: &RequestBuilder,
        key: Option<&str>,
        timeout: Duration,
    ) -> Result<Reply, ExchangeFailed> {
        let broken = |cause: Box<dyn std::error::Error + Send + Sync>| ExchangeFailed::Broken(cause);
        let request = self.assemble(request, key).map_err(|cause| broken(cause.into()))?;
        let answer = async {
            let response = self.client.request(request).await.map_err(|cause| broken(chain(&cause).into()))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, Self::MAX_ANSWER_BYTES).collect().await.map_err(broken)?.to_bytes();
            Ok(Reply { body, ..read_head(head.status.as_u16(), &head.headers) })
        };
        let answer = tokio::time::timeout(timeout, answer).await.unwrap_or(Err(ExchangeFailed::TimedOut(timeout)));
        if let Ok(reply) = &answer {
            tracing::Span::current().record("http.response.status_code", reply.status);
        }
        answer
    }

    fn assemble(
        &self,
        request: &RequestBuilder,
        key: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
        const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");

        let query = request.query.as_deref().filter(|query| !query.is_empty());
        let url = match query {
            Some(query) => format!("{}/v1{}?{query}", self.base_url, request.path),
            None => format!("{}/v1{}", self.base_url, request.path),
        };
        let mut builder = Request::builder()
            .method(match request.method {
                StripeMethod::Get => Method::GET,
                StripeMethod::Post => Method::POST,
                StripeMethod::Delete => Method::DELETE,
            })
            .uri(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(USER_AGENT, concat!("ironcart/", env!("CARGO_PKG_VERSION")))
            .header(STRIPE_VERSION, VERSION.as_str());
        if let Some(key) = key {
            builder = builder.header(IDEMPOTENCY_KEY, key);
        }
        if request.body.is_some() {
            builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        builder.body(Full::new(Bytes::from(request.body.as_deref().map(in_fixed_order).unwrap_or_default())))
    }
}

/// The form with its pairs sorted. Metadata are hash maps, which come in another order each time; a repeat under
/// the same key shall be the same bytes. Array elements carry their index, so their order is safe.
fn in_fixed_order(form: &str) -> String {
    let mut pairs: Vec<&str> = form.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

fn read_head(status: u16, headers: &HeaderMap) -> Reply {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Reply {
        status,
        replayed: text("idempotent-replayed") == Some("true"),
        should_retry: text("stripe-should-retry").and_then(|word| word.parse().ok()),
        retry_after: headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs),
        request_id: text("request-id").map(str::to_owned),
        body: Bytes::new(),
    }
}

/// An error with its causes: hyper's own words are only "client error (Connect)".
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}

/// Runs connections on the runtime that made the gateway: a pooled connection must outlive the short-lived or
/// single-threaded runtime of whoever happened to call first.
#[derive(Clone)]
struct OnRuntime(Handle);

impl<F> hyper::rt::Executor<F> for OnRuntime
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_the_same_bytes_whatever_order_it_came_in() {
        let one = "mode=payment&metadata[orderId]=o&metadata[attemptId]=a&line_items[0][quantity]=1";
        let other = "line_items[0][quantity]=1&metadata[attemptId]=a&mode=payment&metadata[orderId]=o";
        assert_eq!(in_fixed_order(one), in_fixed_order(other));
        assert_eq!(in_fixed_order(""), "");
    }

    #[test]
    fn headers_that_make_no_sense_count_as_absent() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT"));
        headers.insert("stripe-should-retry", HeaderValue::from_static("perhaps"));
        let reply = read_head(503, &headers);
        assert_eq!((reply.retry_after, reply.should_retry, reply.replayed), (None, None, false));
    }
}
