//! The auth guard at the edge: who has failed too often is refused before anything else is looked at, and every answer
//! to an attempt says how its client stands after it (contract 4).
//!
//! The guard itself stands in the use cases: an attempt that slips through here at the same time as others is counted
//! there.

use std::cell::OnceCell;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest};
use domain::account::{AttemptKind, AuthGuard, Email, GuardLimitName, GuardRefusal, GuardStanding, GuardView};

use super::global::FromClient;
use super::refusal::refuse;
use super::standing::{Standing, Standings};
use crate::problem::Problem;

/// Which account an attempt is about: the handler tells, since only it has read the body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempted(Rc<OnceCell<Email>>);

impl Attempted {
    pub(crate) fn at(&self, email: &Email) {
        // One handler, one account.
        let _ = self.0.set(email.clone());
    }
}

impl FromRequest for Attempted {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let attempted = request.extensions().get::<Self>().cloned();
        ready(attempted.ok_or_else(|| Problem::internal("the route is mounted without the auth guard")))
    }
}

/// The middleware of all routes, which lets those alone that are no attempt.
pub(crate) async fn guard_attempts<B: MessageBody + 'static>(
    guard: Arc<dyn AuthGuard>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let client = request.extensions().get::<FromClient>().copied();
    let (Some(kind), Some(FromClient(client))) = (attempt_kind(&request), client) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let before = match guard.look(kind, client, None).await {
        Ok(view) => view,
        Err(error) => return Ok(request.error_response(Problem::from(error)).map_into_right_body()),
    };
    if let Some(refusal) = before.refusal {
        deposit(request.request(), &before);
        return Ok(request.error_response(Problem::from(refusal)).map_into_right_body());
    }
    let attempted = Attempted::default();
    request.extensions_mut().insert(attempted.clone());
    let response = next.call(request).await?;
    let after = guard.look(kind, client, attempted.0.get().cloned()).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "how a client stands after its attempt could not be told");
        before
    });
    deposit(response.request(), &after);
    Ok(response.map_into_left_body())
}

/// What the router would call, too: it matches the same, decoded, path.
fn attempt_kind(request: &ServiceRequest) -> Option<AttemptKind> {
    match (request.method(), request.match_info().as_str()) {
        (&Method::POST, "/api/v1/auth/login") => Some(AttemptKind::Login),
        (&Method::POST, "/api/v1/auth/register") => Some(AttemptKind::Registration),
        (&Method::POST, "/api/v1/auth/change-password") => Some(AttemptKind::PasswordChange),
        _ => None,
    }
}

fn deposit(request: &HttpRequest, view: &GuardView) {
    for &GuardStanding { limit, remaining, resets_in } in &view.standings {
        Standings::deposit(request, Standing { limit, remaining, resets_in });
    }
}

impl From<GuardRefusal> for Problem {
    fn from(refusal: GuardRefusal) -> Self {
        let (name, detail) = match refusal.limit {
            GuardLimitName::AddressFailures => {
                ("auth_address", "Too many logins, registrations or password changes from this address have failed.")
            }
            GuardLimitName::AccountFailures => {
                ("auth_account", "Too many logins, registrations or password changes with this e-mail have failed.")
            }
            GuardLimitName::Registrations => ("registrations", "This address has registered too many accounts."),
        };
        refuse(name, detail, refusal.retry_in)
    }
}
