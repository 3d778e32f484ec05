//! `POST /webhooks/stripe`: the provider's word, verified over its raw bytes before anything else looks at them
//! (contract 3.4, 3.5 and 3.10).
//!
//! It has a body limit of its own, no rate limit, and nothing for browsers, so it is mounted outside the scope that has
//! all three; by its exact path, so that nothing else escapes them.

#[cfg(test)]
mod tests;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use domain::order::OrderService;
use domain::payment::{EventReader, WebhookRejected};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Who;
use crate::body::{RawBody, WEBHOOK_BODY_LIMIT_BYTES};
use crate::openapi::{Operation, Tag};
use crate::problem::{Code, Problem};
use crate::resource::{Routes, resource};
use crate::writes::Writes;

const SIGNATURE: &str = "stripe-signature";

/// Mounts the route.
pub fn configure(routes: &mut impl Routes) {
    routes.service(
        resource("/api/v1/webhooks/stripe").body_limit(WEBHOOK_BODY_LIMIT_BYTES).post(
            Who::Anyone,
            receive,
            Operation::new(Tag::Events, "receiveEvent", "Take in an event of Stripe's")
                .explained(
                    "Each event is applied once, however often and in whatever order events come. Unknown types, and \
                     orders of another shop, are recorded and answered 200. Up to 512 KiB.",
                )
                .heeds("Stripe-Signature")
                .answers::<ReceivedBody>(StatusCode::OK, "The event is kept.")
                .refuses(&[Code::WebhookSignatureInvalid]),
        ),
    );
}

async fn receive(
    request: HttpRequest,
    RawBody(body): RawBody,
    events: Data<dyn EventReader>,
    orders: Data<OrderService>,
    writes: Data<Writes>,
) -> Result<Json<ReceivedBody>, Problem> {
    let signature = request.headers().get(SIGNATURE).and_then(|signature| signature.to_str().ok());
    let event = events.read(&body, signature, orders.clock.now())?;
    let (id, kind) = (event.id.clone(), event.kind.clone());
    let outcome = writes.run(async move { orders.receive(&event).await }).await?;
    tracing::info!(event.id = %id, event.kind = kind, status = outcome.as_str(), "an event of the provider's was received");
    Ok(Json(ReceivedBody { received: true }))
}

/// What the provider wants to see.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventReceived)]
struct ReceivedBody {
    received: bool,
}

impl From<WebhookRejected> for Problem {
    fn from(rejected: WebhookRejected) -> Self {
        match rejected {
            WebhookRejected::Signature(why) => {
                Self::new(Code::WebhookSignatureInvalid).detail(format!("The Stripe-Signature is refused: {why}."))
            }
            WebhookRejected::Malformed(why) => {
                Self::new(Code::MalformedRequest).detail(format!("The body is no event: {why}."))
            }
        }
    }
}
