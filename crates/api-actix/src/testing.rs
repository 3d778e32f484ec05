//! A shell for HTTP tests: routes on mocked ports, with callers whose tokens are words.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::body::to_bytes;
use actix_web::http::header;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use domain::account::{Actor, AuthenticateError, Role, Unguarded};
use domain::clock::{Ids, MockClock};
use domain::id::{SessionId, UserId};
use domain::money::Currency;
use domain::order::{
    MockErrandSignal, MockEventRepository, MockOrderRepository, MockTaskRepository, OrderService, sample,
};
use domain::payment::MockPaymentGateway;
use domain::store::StoreError;
use serde_json::Value;
use uuid::Uuid;

use crate::access::Authenticator;
use crate::application::{Shell, Shop, Timeouts, app};
use crate::limits::{LimitRules, Limits};
use crate::openapi::broken_promise;
use crate::routes::health::{NotReady, Readiness};
use crate::writes::Writes;

/// The customer behind the token `customer`.
pub(crate) fn customer() -> Actor {
    actor(0xC, Role::Customer)
}

/// The admin behind the token `admin`.
pub(crate) fn admin() -> Actor {
    actor(0xA, Role::Admin)
}

fn actor(number: u128, role: Role) -> Actor {
    let id = Uuid::from_u128(number);
    Actor { user_id: UserId::from(id), role, session_id: SessionId::from(id) }
}

struct WordTokens;

#[async_trait]
impl Authenticator for WordTokens {
    async fn authenticate(&self, access_token: &str) -> Result<Actor, AuthenticateError> {
        match access_token {
            "customer" => Ok(customer()),
            "admin" => Ok(admin()),
            "database down" => Err(StoreError::unavailable("connection refused").into()),
            _ => Err(AuthenticateError::Unauthenticated),
        }
    }
}

/// Ids that count up from 1.
#[derive(Debug, Default)]
pub(crate) struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

struct AlwaysReady;

#[async_trait]
impl Readiness for AlwaysReady {
    async fn check(&self) -> Result<(), NotReady> {
        Ok(())
    }
}

/// What the routes under test share.
pub(crate) fn shell() -> Shell {
    Shell {
        shop: Shop { currency: Currency::USD },
        ids: Arc::new(CountingIds::default()),
        authenticator: Arc::new(WordTokens),
        readiness: Arc::new(AlwaysReady),
        writes: Arc::new(Writes::on(tokio::runtime::Handle::current())),
        limits: Arc::new(Limits::new(LimitRules::default())),
        auth_guard: Arc::new(Unguarded),
        cors_origins: Vec::new(),
        timeouts: Timeouts::default(),
        workers: 1,
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: header::HeaderMap,
    pub(crate) body: Value,
    /// The body as it came, for answers that are not JSON.
    pub(crate) text: String,
}

impl Answer {
    /// The problem's code; empty for an answer that is no problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The names of the fields that were refused.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["field"].as_str()).collect()
    }

    /// A header's text.
    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Sends one request to the routes that `api` mounts under `/api/v1`.
pub(crate) async fn send(api: impl FnOnce(&mut ServiceConfig) + 'static, request: TestRequest) -> Answer {
    send_to(|_| {}, api, request).await
}

/// Sends one request to the routes that `open` mounts outside `/api/v1`, or with limits of their own.
pub(crate) async fn send_open(open: impl FnOnce(&mut ServiceConfig) + 'static, request: TestRequest) -> Answer {
    send_to(open, |_| {}, request).await
}

async fn send_to(
    open: impl FnOnce(&mut ServiceConfig) + 'static,
    api: impl FnOnce(&mut ServiceConfig) + 'static,
    request: TestRequest,
) -> Answer {
    send_on(shell(), open, api, request).await
}

/// Sends one request to the routes that `open` and `api` mount, which share a shell to one's liking.
pub(crate) async fn send_on(
    shell: Shell,
    open: impl FnOnce(&mut ServiceConfig) + 'static,
    api: impl FnOnce(&mut ServiceConfig) + 'static,
    request: TestRequest,
) -> Answer {
    let service = init_service(app(shell, open, api)).await;
    let request = request.to_request();
    let (method, path) = (request.method().to_string(), request.path().to_owned());
    // What the server does with an error that no route caught, too.
    let response = match try_call_service(&service, request).await {
        Ok(response) => response.into_parts().1.map_into_boxed_body(),
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = to_bytes(response.into_body()).await.unwrap_or_default();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    // Every answer that a test of a route sees, the document must know.
    let code = body["code"].as_str().filter(|_| status >= 400);
    assert_eq!(broken_promise(&method, &path, status, code), None);
    Answer { status, headers, body, text: String::from_utf8_lossy(&bytes).into_owned() }
}

/// The use cases of orders on mocked ports, a minute after the sample orders were placed.
pub(crate) fn order_service(orders: MockOrderRepository, gateway: MockPaymentGateway) -> OrderService {
    let mut clock = MockClock::new();
    clock.expect_now().return_const(sample::at(60));
    let mut errands = MockErrandSignal::new();
    errands.expect_wake().returning(|| ());
    OrderService {
        orders: Arc::new(orders),
        events: Arc::new(MockEventRepository::new()),
        tasks: Arc::new(MockTaskRepository::new()),
        gateway: Arc::new(gateway),
        errands: Arc::new(errands),
        clock: Arc::new(clock),
        ids: Arc::new(CountingIds::default()),
        policy: sample::policy(),
    }
}

/// `Authorization: Bearer <token>`.
pub(crate) fn bearer(token: &str) -> (header::HeaderName, String) {
    (header::AUTHORIZATION, format!("Bearer {token}"))
}
