//! Who may call a route: the contract's column "who", declared where the route is.

use std::future::{Ready, ready};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest};
use async_trait::async_trait;
use domain::account::{AccountService, Actor, AuthenticateError, Role};

use crate::problem::{Code, Problem};

/// The longest access token that is looked at, in bytes.
const MAX_TOKEN_LENGTH: usize = 4096;

/// Tells whose an access token is, and whether its session still lives.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// The caller behind a token.
    async fn authenticate(&self, access_token: &str) -> Result<Actor, AuthenticateError>;
}

#[async_trait]
impl Authenticator for AccountService {
    async fn authenticate(&self, access_token: &str) -> Result<Actor, AuthenticateError> {
        self.authenticate(access_token).await
    }
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Anyone; a token, if sent, is not looked at.
    Anyone,
    /// Anyone, but who shows a good token is recognised: the handler may take an [`Option<Caller>`].
    AnyoneRecognised,
    /// Customers.
    Customer,
    /// Admins.
    Admin,
    /// Customers and admins.
    Either,
}

impl Who {
    const fn admits(self, role: Role) -> bool {
        match self {
            Self::Anyone | Self::AnyoneRecognised | Self::Either => true,
            Self::Customer => matches!(role, Role::Customer),
            Self::Admin => matches!(role, Role::Admin),
        }
    }

    const fn needs_token(self) -> bool {
        matches!(self, Self::Customer | Self::Admin | Self::Either)
    }
}

/// The authenticated caller of a route that is not declared for [`Who::Anyone`].
#[derive(Debug, Clone, Copy)]
pub struct Caller(pub Actor);

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().copied();
        ready(caller.ok_or_else(|| Problem::new(Code::Unauthenticated)))
    }
}

/// The middleware of one route: token, then role.
pub(crate) async fn check_access<B: MessageBody + 'static>(
    who: Who,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let checked = match who {
        Who::Anyone => Ok(None),
        // Most visitors of the catalogue have no token: no refusal is written for them to be thrown away.
        Who::AnyoneRecognised if !request.headers().contains_key(header::AUTHORIZATION) => Ok(None),
        Who::AnyoneRecognised => Ok(identify(&request).await.ok()),
        Who::Customer | Who::Admin | Who::Either => {
            identify(&request).await.and_then(|actor| admit(who, actor)).map(Some)
        }
    };
    let mut response = match checked {
        Ok(actor) => {
            if let Some(actor) = actor {
                request.extensions_mut().insert(Caller(actor));
            }
            next.call(request).await?.map_into_left_body()
        }
        Err(problem) => request.error_response(problem).map_into_right_body(),
    };
    if who.needs_token() {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

async fn identify(request: &ServiceRequest) -> Result<Actor, Problem> {
    let authenticator = request
        .app_data::<Data<dyn Authenticator>>()
        .ok_or_else(|| Problem::internal("the application is built without an authenticator"))?;
    let token = bearer_token(request.headers()).ok_or_else(|| {
        Problem::new(Code::Unauthenticated).detail("Send an access token as `Authorization: Bearer …`.")
    })?;
    Ok(authenticator.authenticate(token).await?)
}

fn admit(who: Who, actor: Actor) -> Result<Actor, Problem> {
    if who.admits(actor.role) { Ok(actor) } else { Err(Problem::new(Code::Forbidden)) }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && token.len() <= MAX_TOKEN_LENGTH).then_some(token.trim())
}

impl From<AuthenticateError> for Problem {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Unauthenticated => Self::new(Code::Unauthenticated)
                .detail("The access token is not valid, has expired, or its session has ended. Log in or refresh."),
            AuthenticateError::Store(error) => error.into(),
        }
    }
}
