//! `/admin/events`: admins look at what the provider said, and apply again what failed (contract 2 and 3.10).

#[cfg(test)]
mod tests;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use domain::clock::Timestamp;
use domain::id::{EventId, OrderId};
use domain::order::{OrderService, ReplayEventError};
use domain::page::PageLimit;
use domain::payment::{EventFilter, EventPosition, EventStatus, EventWithPayload, ProviderEventId, StoredEvent};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::Who;
use crate::body::Body;
use crate::cursor;
use crate::fields::{self, Fields, NoFields, Request, id, one_of, text_of};
use crate::openapi::{Operation, Tag, schemas};
use crate::path::PathId;
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::resource::{Routes, resource};
use crate::wire::{ListBody, Moment, Text};
use crate::writes::Writes;

/// Mounts the routes.
pub fn configure(routes: &mut impl Routes) {
    routes
        .service(
            resource("/admin/events").get(
                Who::Admin,
                list,
                Operation::new(Tag::Events, "listEvents", "Find the provider's events")
                    .answers_list::<EventBody>("Events, newest first, without payload."),
            ),
        )
        .service(
            resource("/admin/events/{id}").get(
                Who::Admin,
                find,
                Operation::new(Tag::Events, "getEvent", "Read an event with its payload")
                    .answers::<WholeEventBody>(StatusCode::OK, "The event.")
                    .refuses(&[Code::NotFound]),
            ),
        )
        .service(
            resource("/admin/events/{id}/replay").post(
                Who::Admin,
                replay,
                Operation::new(Tag::Events, "replayEvent", "Apply a `FAILED` event again")
                    .answers::<WholeEventBody>(StatusCode::OK, "The event after the try.")
                    .refuses(&[Code::NotFound, Code::InvalidTransition]),
            ),
        );
}

async fn list(
    orders: Data<OrderService>,
    Query(query): Query<EventQuery>,
) -> Result<Json<ListBody<EventBody>>, Problem> {
    let page = orders.list_events(&query.filter, query.after, query.limit).await?;
    let position = |position: EventPosition| (position.received_at.timestamp_micros(), position.id.uuid().as_u128());
    Ok(Json(ListBody::new(page, EventBody::from, position)))
}

async fn find(PathId(id): PathId<EventId>, orders: Data<OrderService>) -> Result<Json<WholeEventBody>, Problem> {
    let found = orders.find_event(id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Json(WholeEventBody::of(found)?))
}

async fn replay(
    PathId(id): PathId<EventId>,
    orders: Data<OrderService>,
    writes: Data<Writes>,
    Body(NoFields): Body<NoFields>,
) -> Result<Json<WholeEventBody>, Problem> {
    let replayed = writes.run(async move { orders.replay_event(id).await }).await?;
    Ok(Json(WholeEventBody::of(replayed)?))
}

/// `GET /admin/events`.
struct EventQuery {
    filter: EventFilter,
    after: Option<EventPosition>,
    limit: PageLimit,
}

impl Request for EventQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let filter = EventFilter {
            status: fields.optional("status", one_of(&STATUSES)),
            kind: fields.optional("type", text_of(|| schemas::provider_word("checkout.session.completed"), event_type)),
            order_id: fields.optional("orderId", id()),
        };
        let after = fields::cursor(fields, |(micros, id): (i64, u128)| {
            let received_at: Timestamp = cursor::moment(micros)?;
            Some(EventPosition { received_at, id: Uuid::from_u128(id).into() })
        });
        Some(Self { filter, after, limit: fields::limit(fields) })
    }
}

const STATUSES: [(&str, EventStatus); 4] = [
    (EventStatus::Applied.as_str(), EventStatus::Applied),
    (EventStatus::Ignored.as_str(), EventStatus::Ignored),
    (EventStatus::Waiting.as_str(), EventStatus::Waiting),
    (EventStatus::Failed.as_str(), EventStatus::Failed),
];

/// A type as events name theirs; any other text could not match one.
fn event_type(name: &str) -> Result<String, &'static str> {
    let is_name = (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_name { Ok(name.to_owned()) } else { Err("must be 1 to 255 visible ASCII characters") }
}

/// An event, as lists show it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
struct EventBody {
    #[schema(value_type = schemas::Id)]
    id: Text<EventId>,
    /// The provider's own name for it.
    #[schema(value_type = String)]
    provider_event_id: Text<ProviderEventId>,
    #[serde(rename = "type")]
    kind: String,
    #[schema(value_type = schemas::EventStatusWord)]
    status: &'static str,
    /// Why it was not applied.
    reason: Option<String>,
    #[schema(value_type = Option<schemas::Id>)]
    order_id: Option<Text<OrderId>>,
    #[schema(value_type = schemas::Timestamp)]
    received_at: Moment,
    #[schema(value_type = Option<schemas::Timestamp>)]
    applied_at: Option<Moment>,
}

impl From<StoredEvent> for EventBody {
    fn from(event: StoredEvent) -> Self {
        Self {
            id: Text(event.id),
            provider_event_id: Text(event.provider_id),
            kind: event.kind,
            status: event.status.as_str(),
            reason: event.reason,
            order_id: event.order_id.map(Text),
            received_at: Moment(event.received_at),
            applied_at: event.applied_at.map(Moment),
        }
    }
}

/// An event with its payload.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventWithPayload)]
struct WholeEventBody {
    #[serde(flatten)]
    event: EventBody,
    /// As it came, or null if it is forgotten.
    #[schema(value_type = Option<Object>)]
    payload: Option<Box<RawValue>>,
}

impl WholeEventBody {
    /// The payload was JSON when it came.
    fn of(found: EventWithPayload) -> Result<Self, Problem> {
        let payload = found.payload.map(RawValue::from_string).transpose().map_err(Problem::internal)?;
        Ok(Self { event: EventBody::from(found.event), payload })
    }
}

impl From<ReplayEventError> for Problem {
    fn from(error: ReplayEventError) -> Self {
        match error {
            ReplayEventError::NotFound => Self::new(Code::NotFound).detail("There is no such event."),
            ReplayEventError::NotFailed { from } => Self::new(Code::InvalidTransition)
                .detail("Only an event that is FAILED can be replayed.")
                .with("from", from.as_str())
                .with("to", EventStatus::Applied.as_str()),
            ReplayEventError::Store(error) => error.into(),
        }
    }
}
