//! What is counted of every request: how many, with which status, and how long they took; by the route's pattern,
//! never by the path, since anybody can think of paths.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use metrics::{Counter, Histogram};

/// What stands for a route where no route was found, or none was looked for yet.
const NO_ROUTE: &str = "none";

/// The pattern of the route that a request found, such as `/api/v1/orders/{id}`. The [`edge`](crate::edge) puts it
/// there, the resource fills it in: after a middleware's refusal nothing else of the request is left to ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route(Rc<OnceCell<Rc<str>>>);

impl Route {
    pub(crate) fn as_str(&self) -> &str {
        self.0.get().map_or(NO_ROUTE, |pattern| pattern)
    }
}

/// A resource's own pattern, looked up once per worker.
pub(crate) type Pattern = Rc<OnceCell<Rc<str>>>;

/// Fills in the route, around everything that a resource does.
pub(crate) async fn name_route<B: MessageBody + 'static>(
    pattern: Pattern,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if let Some(Route(route)) = request.extensions().get::<Route>() {
        let pattern = pattern.get_or_init(|| request.match_pattern().map_or_else(|| NO_ROUTE.into(), Into::into));
        let _named_before = route.set(Rc::clone(pattern));
    }
    next.call(request).await
}

/// The handles of one kind of request, so that counting one looks nothing up in the recorder.
struct Meters {
    requests: Counter,
    duration: Histogram,
}

impl Meters {
    fn of(kind: &Kind) -> Self {
        let (method, route) = (kind.method, kind.route.to_string());
        let requests = metrics::counter!(
            "ironcart_http_requests_total",
            "method" => method, "route" => route.clone(), "status" => kind.status.to_string()
        );
        let duration =
            metrics::histogram!("ironcart_http_request_duration_seconds", "method" => method, "route" => route);
        Self { requests, duration }
    }
}

/// The kinds are as many as there are routes, methods and statuses, none of which a client makes up.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    method: &'static str,
    status: u16,
    route: Rc<str>,
}

thread_local! {
    static METERS: RefCell<HashMap<Kind, Meters>> = RefCell::default();
}

/// Counts one answered request.
pub(crate) fn count(method: &Method, route: &Route, status: u16, took: Duration) {
    let route = route.0.get().cloned().unwrap_or_else(|| NO_ROUTE.into());
    let kind = Kind { method: known(method), status, route };
    METERS.with_borrow_mut(|meters| {
        let meters = meters.entry(kind).or_insert_with_key(Meters::of);
        meters.requests.increment(1);
        meters.duration.record(took);
    });
}

/// Anybody can think of methods, too.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}
