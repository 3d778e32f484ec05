//! A Stripe client made of plain HTTP, and a shop that receives events.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use stripe_simulator::{Control, SimulatorConfig, StripeSimulator, WebhookRetry, WebhookTarget};

pub(crate) const SECRET: &str = "whsec_0123456789abcdef0123456789abcdef";

/// A simulator with short retries, and a client of it.
pub(crate) struct Stripe {
    pub(crate) simulator: StripeSimulator,
    pub(crate) http: reqwest::Client,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {}", self.body)).to_owned()
    }

    /// Asserts an error of this status and code (`""`: none).
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.body["error"]["code"].as_str().unwrap_or_default(), code, "{}", self.body);
    }
}

impl Stripe {
    pub(crate) async fn start() -> Self {
        Self::start_with(SimulatorConfig::default()).await
    }

    pub(crate) async fn start_with(config: SimulatorConfig) -> Self {
        let config = SimulatorConfig {
            webhook_retry: WebhookRetry {
                first_pause: Duration::from_millis(20),
                longest_pause: Duration::from_millis(100),
                ..WebhookRetry::default()
            },
            ..config
        };
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        Self { simulator: StripeSimulator::start(config).await.unwrap(), http }
    }

    pub(crate) fn control(&self) -> &Control {
        self.simulator.control()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.simulator.base_url())
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, self.url(path)).bearer_auth("sk_test_1")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        read(self.request("GET", path)).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        read(self.form(path, form)).await.unwrap()
    }

    pub(crate) async fn post_keyed(&self, key: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        read(self.form(path, form).header("Idempotency-Key", key)).await.unwrap()
    }

    pub(crate) fn form(&self, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.request("POST", path).header("Content-Type", "application/x-www-form-urlencoded").body(encode(form))
    }

    /// Opens a session over `amount` cents for order `o1`, and gives its id.
    pub(crate) async fn open_session(&self) -> String {
        let answer = self.post("/v1/checkout/sessions", &order()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.id()
    }

    pub(crate) async fn session(&self, id: &str) -> Value {
        self.get(&format!("/v1/checkout/sessions/{id}")).await.body
    }

    /// The types of all events so far, oldest first.
    pub(crate) fn event_types(&self) -> Vec<String> {
        self.control().events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) async fn read(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, headers, body })
}

pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// Two mugs for 39.98 USD.
pub(crate) fn order() -> Vec<(&'static str, &'static str)> {
    vec![
        ("mode", "payment"),
        ("success_url", "https://shop.example/done?session={CHECKOUT_SESSION_ID}"),
        ("cancel_url", "https://shop.example/cart"),
        ("client_reference_id", "o1"),
        ("metadata[order_id]", "o1"),
        ("payment_intent_data[metadata][order_id]", "o1"),
        ("line_items[0][quantity]", "2"),
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][unit_amount]", "1999"),
        ("line_items[0][price_data][product_data][name]", "Mug"),
    ]
}

/// The order with one parameter set or replaced.
pub(crate) fn order_with<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut form: Vec<(&str, &str)> = order().into_iter().filter(|(key, _)| *key != name).collect();
    form.push((name, value));
    form
}

/// An event as a shop received it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) body: String,
    pub(crate) signature: String,
    pub(crate) event: Value,
}

impl Received {
    pub(crate) fn id(&self) -> &str {
        self.event["id"].as_str().unwrap()
    }

    pub(crate) fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap()
    }
}

/// A shop that keeps what it receives and answers with one status, 200 at first.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) url: String,
    status: Arc<AtomicU16>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shop = Self {
            url: format!("http://{}/webhooks", listener.local_addr().unwrap()),
            status: Arc::new(AtomicU16::new(200)),
            received: Arc::default(),
        };
        let serving = shop.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shop = serving.clone();
                let service = service_fn(move |request| shop.clone().receive(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        shop
    }

    pub(crate) fn target(&self) -> WebhookTarget {
        WebhookTarget { url: self.url.clone(), secret: SECRET.to_owned() }
    }

    pub(crate) fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.received().iter().map(|received| received.kind().to_owned()).collect()
    }

    async fn receive(self, request: Request<hyper::body::Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let signature = request.headers()["stripe-signature"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        let event = serde_json::from_str(&body).unwrap();
        self.received.lock().unwrap().push(Received { body, signature, event });
        let response = Response::builder()
            .status(self.status.load(Ordering::SeqCst))
            .header("location", "https://elsewhere.example/")
            .body(Full::new(Bytes::from_static(b"seen")))
            .unwrap();
        Ok(response)
    }
}

/// Waits up to 5 s for something to become true.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("in 5 s it did not come true: {what}");
}
