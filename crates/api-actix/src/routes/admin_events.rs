//! `/admin/events`: admins look at what the provider said, and apply again what failed (contract 2 and 3.10).

#[cfg(test)]
mod tests;

use actix_web::web::{Data, Json, ServiceConfig};
use domain::clock::Timestamp;
use domain::id::{EventId, OrderId};
use domain::order::{OrderService, ReplayEventError};
use domain::page::PageLimit;
use domain::payment::{EventFilter, EventPosition, EventStatus, EventWithPayload, ProviderEventId, StoredEvent};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::access::Who;
use crate::body::Body;
use crate::cursor;
use crate::fields::{self, Fields, NoFields, Request, id, one_of, text};
use crate::path::PathId;
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::resource::resource;
use crate::wire::{ListBody, Moment, Text};
use crate::writes::Writes;

/// Mounts the routes.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/admin/events").get(Who::Admin, list))
        .service(resource("/admin/events/{id}").get(Who::Admin, find))
        .service(resource("/admin/events/{id}/replay").post(Who::Admin, replay));
}

async fn list(
    orders: Data<OrderService>,
    Query(query): Query<EventQuery>,
) -> Result<Json<ListBody<EventBody>>, Problem> {
    let page = orders.list_events(&query.filter, query.after, query.limit).await?;
    let position = |position: EventPosition| (position.received_at.timestamp_micros(), position.id.uuid().as_u128());
    Ok(Json(ListBody::new(page, |event| EventBody::of(event, None), position)))
}

async fn find(PathId(id): PathId<EventId>, orders: Data<OrderService>) -> Result<Json<EventBody>, Problem> {
    let found = orders.find_event(id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Json(EventBody::whole(found)?))
}

async fn replay(
    PathId(id): PathId<EventId>,
    orders: Data<OrderService>,
    writes: Data<Writes>,
    Body(NoFields): Body<NoFields>,
) -> Result<Json<EventBody>, Problem> {
    let replayed = writes.run(async move { orders.replay_event(id).await }).await?;
    Ok(Json(EventBody::whole(replayed)?))
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
            kind: fields.optional("type", text(event_type)),
            order_id: fields.optional("orderId", id),
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

/// `event`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EventBody {
    id: Text<EventId>,
    provider_event_id: Text<ProviderEventId>,
    #[serde(rename = "type")]
    kind: String,
    status: &'static str,
    reason: Option<String>,
    order_id: Option<Text<OrderId>>,
    received_at: Moment,
    applied_at: Option<Moment>,
    /// As it came, or null if it is forgotten; lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
}

impl EventBody {
    fn of(event: StoredEvent, payload: Option<Box<RawValue>>) -> Self {
        Self {
            id: Text(event.id),
            provider_event_id: Text(event.provider_id),
            kind: event.kind,
            status: event.status.as_str(),
            reason: event.reason,
            order_id: event.order_id.map(Text),
            received_at: Moment(event.received_at),
            applied_at: event.applied_at.map(Moment),
            payload,
        }
    }

    /// With its payload, which was JSON when it came; null once it is forgotten.
    fn whole(found: EventWithPayload) -> Result<Self, Problem> {
        let payload = found.payload.unwrap_or_else(|| "null".to_owned());
        let payload = RawValue::from_string(payload).map_err(Problem::internal)?;
        Ok(Self::of(found.event, Some(payload)))
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
