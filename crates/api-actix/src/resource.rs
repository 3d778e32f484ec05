//! Resources whose every route says who may call it and how it is described, and which answer other methods with 405
//! and `Allow`.

use actix_web::dev::{AppService, Handler, HttpServiceFactory};
use actix_web::http::{Method, header};
use actix_web::middleware::from_fn;
use actix_web::web::ServiceConfig;
use actix_web::{FromRequest, Resource, Responder, guard, web};

use crate::access::{Who, check_access};
use crate::body::read_body;
use crate::once::{Guarded, once};
use crate::openapi::{Arguments, Operation, OperationAt};
use crate::problem::{Code, Problem};
use crate::traffic::{Pattern, name_route};
use crate::writes::bound_checkouts;

/// Where resources are mounted: in an application, or in its description. The routes are listed once for both.
pub trait Routes {
    /// Mounts a resource.
    fn service(&mut self, methods: Methods) -> &mut Self;
}

impl Routes for ServiceConfig {
    fn service(&mut self, methods: Methods) -> &mut Self {
        Self::service(self, methods)
    }
}

/// A path and its methods. Begin with [`resource`].
#[must_use]
pub struct Methods {
    path: String,
    operations: Vec<OperationAt>,
    resource: Resource,
    allowed: Vec<&'static str>,
    body_limit_bytes: Option<usize>,
}

/// The methods at `path`, which is relative to the scope it is mounted in.
pub fn resource(path: &str) -> Methods {
    Methods {
        path: path.to_owned(),
        operations: Vec::new(),
        resource: web::resource(path),
        allowed: Vec::new(),
        body_limit_bytes: None,
    }
}

impl Methods {
    /// Reads bodies up to a limit of its own, for a resource that is mounted outside a scope that does.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit_bytes = Some(bytes);
        self
    }

    /// Reads: `GET`, and `HEAD`, which answers the same without a body.
    pub fn get<H, A>(mut self, who: Who, handler: H, operation: Operation) -> Self
    where
        H: Handler<A>,
        A: FromRequest + Arguments + 'static,
        H::Output: Responder + 'static,
    {
        self.allowed.extend(["GET", "HEAD"]);
        self.describe::<A>("get", who, operation);
        let route = web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
        self.resource =
            self.resource.route(route.to(handler).wrap(from_fn(move |request, next| check_access(who, request, next))));
        self
    }

    /// A `POST`.
    pub fn post<H, A>(mut self, who: Who, handler: H, operation: Operation) -> Self
    where
        H: Handler<A>,
        A: FromRequest + Arguments + 'static,
        H::Output: Responder + 'static,
    {
        self.describe::<A>("post", who, operation);
        self.on(Method::POST, "POST", who, handler)
    }

    /// A `POST` that can be repeated safely under an `Idempotency-Key`: the handler takes
    /// [`Claimed`](crate::once::Claimed).
    pub fn post_once<H, A>(mut self, who: Who, guarded: Guarded, handler: H, operation: Operation) -> Self
    where
        H: Handler<A>,
        A: FromRequest + Arguments + 'static,
        H::Output: Responder + 'static,
    {
        self.allowed.push("POST");
        self.describe::<A>("post", who, operation);
        let route = web::post().to(handler).wrap(from_fn(move |request, next| once(guarded, request, next)));
        let route = route.wrap(from_fn(move |request, next| check_access(who, request, next)));
        self.resource = self.resource.route(match guarded {
            Guarded::Checkout => route.wrap(from_fn(bound_checkouts)),
            Guarded::No => route,
        });
        self
    }

    /// A `PUT`.
    pub fn put<H, A>(mut self, who: Who, handler: H, operation: Operation) -> Self
    where
        H: Handler<A>,
        A: FromRequest + Arguments + 'static,
        H::Output: Responder + 'static,
    {
        self.describe::<A>("put", who, operation);
        self.on(Method::PUT, "PUT", who, handler)
    }

    /// A `PATCH`.
    pub fn patch<H, A>(mut self, who: Who, handler: H, operation: Operation) -> Self
    where
        H: Handler<A>,
        A: FromRequest + Arguments + 'static,
        H::Output: Responder + 'static,
    {
        self.describe::<A>("patch", who, operation);
        self.on(Method::PATCH, "PATCH", who, handler)
    }

    /// A `DELETE`.
    pub fn delete<H, A>(mut self, who: Who, handler: H, operation: Operation) -> Self
    where
        H: Handler<A>,
        A: FromRequest + Arguments + 'static,
        H::Output: Responder + 'static,
    {
        self.describe::<A>("delete", who, operation);
        self.on(Method::DELETE, "DELETE", who, handler)
    }

    fn describe<A: Arguments>(&mut self, method: &'static str, who: Who, operation: Operation) {
        self.operations.push(OperationAt { method, who, describe_request: A::describe, operation });
    }

    /// The path, whether bodies are read up to a limit of its own, and what is said of each method.
    pub(crate) fn described(self) -> (String, bool, Vec<OperationAt>) {
        (self.path, self.body_limit_bytes.is_some(), self.operations)
    }

    fn on<H, A>(mut self, method: Method, name: &'static str, who: Who, handler: H) -> Self
    where
        H: Handler<A>,
        A: FromRequest + Arguments + 'static,
        H::Output: Responder + 'static,
    {
        self.allowed.push(name);
        let route = web::method(method).to(handler);
        self.resource = self.resource.route(route.wrap(from_fn(move |request, next| check_access(who, request, next))));
        self
    }
}

impl HttpServiceFactory for Methods {
    fn register(self, config: &mut AppService) {
        let allow = self.allowed.join(", ");
        let refuse = move || {
            let problem = Problem::new(Code::MethodNotAllowed)
                .detail(format!("Here only {allow} is allowed."))
                .header(header::ALLOW, allow.clone());
            async move { Err::<String, _>(problem) }
        };
        let resource = self.resource.default_service(web::to(refuse));
        if let Some(limit) = self.body_limit_bytes {
            let resource = resource.wrap(from_fn(move |request, next| read_body(limit, request, next)));
            let pattern = Pattern::default();
            let name = move |request, next| name_route(Pattern::clone(&pattern), request, next);
            resource.wrap(from_fn(name)).register(config);
        } else {
            let pattern = Pattern::default();
            let name = move |request, next| name_route(Pattern::clone(&pattern), request, next);
            resource.wrap(from_fn(name)).register(config);
        }
    }
}
