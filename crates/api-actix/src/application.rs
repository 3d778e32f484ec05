//! Puts the routes together with what they share, and serves them.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, Error, HttpRequest, HttpServer};
use domain::account::AuthGuard;
use domain::clock::Ids;
use domain::money::Currency;

use crate::access::Authenticator;
use crate::body::{API_BODY_LIMIT_BYTES, read_body};
use crate::cors::cors;
use crate::edge::edge;
use crate::limits::{Limits, count, guard_attempts, refuse_excess};
use crate::problem::{Code, Problem};
use crate::routes;
use crate::routes::health::Readiness;
use crate::writes::Writes;

/// What the routes need to know of the shop.
#[derive(Debug, Clone)]
pub struct Shop {
    /// The one currency that prices are in.
    pub currency: Currency,
}

impl Shop {
    /// The shop that the application was built with.
    pub(crate) fn of(request: &HttpRequest) -> Result<&Self, Problem> {
        request.app_data::<Self>().ok_or_else(|| Problem::internal("the application is built without a shop"))
    }
}

/// What all routes share.
#[derive(Clone)]
pub struct Shell {
    /// See [`Shop`].
    pub shop: Shop,
    /// Mints request ids.
    pub ids: Arc<dyn Ids>,
    /// Tells whose an access token is.
    pub authenticator: Arc<dyn Authenticator>,
    /// Tells whether the instance can do its work.
    pub readiness: Arc<dyn Readiness>,
    /// Runs what must not end with its request.
    pub writes: Arc<Writes>,
    /// How often clients may ask.
    pub limits: Arc<Limits>,
    /// Counts failed logins and the like.
    pub auth_guard: Arc<dyn AuthGuard>,
    /// Origins whose pages may call from browsers, such as `https://shop.example`.
    pub cors_origins: Vec<String>,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// How many threads serve HTTP.
    pub workers: usize,
}

/// How long clients may take, lest slow ones hold connections for nothing.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the head of a connection's first request.
    pub head: Duration,
    /// For a body.
    pub body: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { head: Duration::from_secs(10), body: Duration::from_secs(15) }
    }
}

/// Everything that is served. `api` mounts the routes under `/api/v1` (with [`resource`](crate::resource::resource));
/// `open` mounts those outside, and those under `/api/v1` that bring limits of their own, such as the webhook's.
/// Both are called once per worker.
pub fn app(
    shell: Shell,
    open: impl FnOnce(&mut ServiceConfig),
    api: impl FnOnce(&mut ServiceConfig),
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let ids = Data::from(shell.ids);
    let (limits, auth_guard) = (shell.limits, shell.auth_guard);
    let cors = cors(&shell.cors_origins);
    App::new()
        .app_data(shell.shop)
        .app_data(shell.timeouts)
        .app_data(Data::from(limits.checkout()))
        .app_data(Data::from(shell.authenticator))
        .app_data(Data::from(shell.readiness))
        .app_data(Data::from(shell.writes))
        .configure(routes::outside)
        .configure(open)
        .service(
            // The last is the outermost.
            web::scope("/api/v1")
                .wrap(from_fn(|request, next| read_body(API_BODY_LIMIT_BYTES, request, next)))
                .wrap(from_fn(move |request, next| guard_attempts(Arc::clone(&auth_guard), request, next)))
                .wrap(from_fn(refuse_excess))
                .wrap(cors)
                .wrap(from_fn(move |request, next| count(Arc::clone(&limits), request, next)))
                .configure(api),
        )
        .default_service(web::to(not_found))
        .wrap(from_fn(move |request, next| edge(request, ids.clone(), next)))
}

async fn not_found() -> Result<String, Problem> {
    Err(Problem::new(Code::NotFound).detail("There is nothing at this address."))
}

/// How long an idle connection is kept for its next request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a connection may take to close.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections of one worker; further ones wait in the backlog.
const MAX_CONNECTIONS_PER_WORKER: usize = 8192;
/// How long requests in flight may take to end at shutdown, in seconds (contract 5: exit within 30 s).
const SHUTDOWN_TIMEOUT_SECONDS: u64 = 20;

/// Serves on a listener until the returned server is stopped or `shutdown` ends; requests in flight may finish.
/// Signals are the caller's business.
pub fn serve(
    listener: TcpListener,
    shell: Shell,
    open: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    api: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Server> {
    let (head_timeout, workers) = (shell.timeouts.head, shell.workers);
    let server = HttpServer::new(move || app(shell.clone(), open.clone(), api.clone()))
        .workers(workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(head_timeout)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .max_connections(MAX_CONNECTIONS_PER_WORKER)
        .shutdown_timeout(SHUTDOWN_TIMEOUT_SECONDS)
        .shutdown_signal(shutdown)
        .listen(listener)?;
    Ok(server.run())
}

#[cfg(test)]
mod tests;
