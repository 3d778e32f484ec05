//! The global limit: how often one client address may call at all (contract 4).
//!
//! In two layers, with CORS between them. The outer one counts, preflights too; the inner one refuses, so that a browser
//! may read the refusal, and a preflight over the limit is still answered.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest};
use domain::account::Client;

use crate::problem::Problem;

use super::Limits;
use super::buckets::Empty;
use super::refusal::refuse;
use super::standing::Standings;

/// Tells whose request it is, for all that counts by address, and counts it.
pub(crate) async fn count<B: MessageBody + 'static>(
    limits: Arc<Limits>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let client = limits.client(request.peer_addr(), request.headers());
    request.extensions_mut().insert(FromClient(client));
    if let Some(taken) = limits.take_global(client) {
        match taken {
            Ok(standing) => Standings::deposit(&request, standing),
            Err(empty) => {
                Standings::deposit(&request, empty.standing);
                request.extensions_mut().insert(empty);
            }
        }
    }
    next.call(request).await
}

/// Refuses what [`count`] found to be too much.
pub(crate) async fn refuse_excess<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let excess = request.extensions().get::<Empty>().copied();
    match excess {
        None => Ok(next.call(request).await?.map_into_left_body()),
        Some(empty) => {
            let refused = refuse("global", "Too many requests came from this address.", empty.retry_in);
            Ok(request.error_response(refused).map_into_right_body())
        }
    }
}

/// Whose request it is, as [`count`] found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromClient(pub(crate) Client);

impl FromRequest for FromClient {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let client = request.extensions().get::<Self>().copied();
        ready(client.ok_or_else(|| Problem::internal("the route is mounted where clients are not told apart")))
    }
}
