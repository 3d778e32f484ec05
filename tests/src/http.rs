//! A small client: every answer comes as status and body, and says all of it when it is not what was expected.

#![allow(clippy::panic, clippy::expect_used, clippy::missing_panics_doc, reason = "what fails here fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api_actix::openapi::broken_promise;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::wire::Order;

/// Speaks with a shop's instances in turn, as one caller.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    instances: Arc<[String]>,
    next: Arc<AtomicUsize>,
    token: Option<String>,
    key: Option<String>,
    forwarded_for: Option<String>,
}

impl Http {
    /// Speaks with the instances at these addresses, such as `http://127.0.0.1:8080`, as nobody.
    #[must_use]
    pub fn with(instances: Vec<String>) -> Self {
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        Self {
            client: client.expect("a client"),
            instances: instances.into(),
            next: Arc::default(),
            token: None,
            key: None,
            forwarded_for: None,
        }
    }

    /// The same, as somebody.
    #[must_use]
    pub fn bearing(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same, with an `Idempotency-Key` on every request.
    #[must_use]
    pub fn keyed(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The token that it bears.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The same, with an `X-Forwarded-For` on every request, as a proxy would send it.
    #[must_use]
    pub fn forwarded_for(&self, address: &str) -> Self {
        Self { forwarded_for: Some(address.to_owned()), ..self.clone() }
    }

    /// The same, with one instance only.
    ///
    /// # Panics
    ///
    /// If there is no instance of this number.
    #[must_use]
    pub fn only(&self, instance: usize) -> Self {
        Self { instances: vec![self.instances[instance].clone()].into(), ..self.clone() }
    }

    /// The address of the next instance in turn.
    #[must_use]
    pub fn base(&self) -> &str {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        &self.instances[turn % self.instances.len()]
    }

    /// `GET`; the path is below `/api/v1`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    /// `POST` without a body.
    pub async fn post_empty(&self, path: &str) -> Reply {
        self.send(Method::POST, path, None).await
    }

    /// `POST`
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `PUT`
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// `PATCH`
    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.try_send(method, path, body).await.expect("an answer of the shop")
    }

    /// As the others, but without a panic when there is no answer.
    pub async fn try_send(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Reply> {
        let asked = (method.clone(), format!("/api/v1{path}"));
        let mut request = self.client.request(method, format!("{}{}", self.base(), asked.1));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(address) = &self.forwarded_for {
            request = request.header("X-Forwarded-For", address);
        }
        if let Some(key) = &self.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = Reply::read(request.send().await?).await?;
        reply.is_promised(&asked.0, &asked.1);
        Ok(reply)
    }

    /// Sends raw bytes to the webhook, with a signature if there is one.
    pub async fn post_webhook(&self, body: Vec<u8>, signature: Option<&str>) -> Reply {
        let mut request = self.client.post(format!("{}/api/v1/webhooks/stripe", self.base()));
        request = request.header("Content-Type", "application/json; charset=utf-8").body(body);
        if let Some(signature) = signature {
            request = request.header("Stripe-Signature", signature);
        }
        let answer = request.send().await.expect("an answer of the webhook");
        Reply::read(answer).await.expect("a whole answer")
    }

    /// Any page, as a browser opens it.
    pub async fn open_page(&self, url: &str) -> Reply {
        Reply::read(self.client.get(url).send().await.expect("a page")).await.expect("a whole page")
    }

    /// As [`Http::press`], but without a panic when there is no answer.
    pub async fn try_press(&self, url: &str) -> reqwest::Result<Reply> {
        Reply::read(self.client.post(url).send().await?).await
    }

    /// Outside `/api/v1`, such as `/health/ready`; without a panic when there is no answer.
    pub async fn try_health(&self, path: &str) -> reqwest::Result<Reply> {
        Reply::read(self.client.get(format!("{}{path}", self.base())).send().await?).await
    }

    /// A button of a page, as a browser sends it.
    pub async fn press(&self, url: &str) -> Reply {
        Reply::read(self.client.post(url).send().await.expect("a page")).await.expect("a whole page")
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as it came.
    pub text: String,
}

impl Reply {
    async fn read(answer: reqwest::Response) -> reqwest::Result<Self> {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Self { status, headers, text: answer.text().await? })
    }

    /// Checks that the API's description knows such an answer.
    #[track_caller]
    fn is_promised(&self, method: &Method, path: &str) {
        let body = if self.status < 400 { Value::Null } else { self.json() };
        let broken = broken_promise(method.as_str(), path, self.status, body["code"].as_str());
        assert_eq!(broken, None, "{}", self.text);
    }

    /// A header, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; `null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The answer itself, if it has this status.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The body in a shape.
    #[track_caller]
    pub fn read_as<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }

    /// The order that a good answer holds.
    #[track_caller]
    #[must_use]
    pub fn order(&self) -> Order {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self.read_as()
    }

    /// `ok`, or the problem's code.
    #[must_use]
    pub fn verdict(&self) -> String {
        if (200..300).contains(&self.status) {
            return "ok".to_owned();
        }
        self.json()["code"].as_str().unwrap_or("no code").to_owned()
    }

    /// Checks that it is this problem, in the contract's shape; gives its body.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(body["type"], format!("/problems/{}", code.replace('_', "-")));
        assert_eq!(body["status"], status);
        for field in ["title", "detail", "instance", "requestId"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field} is missing: {}", self.text);
        }
        body
    }
}
