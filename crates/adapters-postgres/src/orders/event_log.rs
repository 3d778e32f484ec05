//! The provider's events as they are kept: found, listed, and applied again.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::id::{EventId, OrderId};
use domain::order::{EventRepository, Hearing, ProviderNews, ReplayEventError};
use domain::page::{Page, PageLimit};
use domain::payment::{
    EventFilter, EventPosition, EventStatus, EventWithPayload, PaymentIntentId, ProviderEventId, StoredEvent,
};
use domain::store::StoreError;
use uuid::Uuid;

use super::PgOrders;
use super::events::{Fate, News, ReceiveError, contradiction, fate_of, lock_receipts};
use crate::cached::planned_for_its_values;
use crate::error::{damaged, store_error};
use crate::schema::provider_events;
use crate::transaction::Rollback;

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = provider_events)]
struct EventRow {
    id: Uuid,
    provider_event_id: String,
    kind: String,
    status: String,
    reason: Option<String>,
    order_id: Option<Uuid>,
    received_at: DateTime<Utc>,
    applied_at: Option<DateTime<Utc>>,
}

impl EventRow {
    fn into_event(self) -> QueryResult<StoredEvent> {
        let status = EventStatus::parse(&self.status);
        Ok(StoredEvent {
            id: self.id.into(),
            provider_id: ProviderEventId::new(self.provider_event_id).map_err(damaged)?,
            kind: self.kind,
            status: status.ok_or_else(|| damaged(format!("provider_events.status holds {:?}", self.status)))?,
            reason: self.reason,
            order_id: self.order_id.map(OrderId::from),
            received_at: self.received_at,
            applied_at: self.applied_at,
        })
    }
}

/// Why a replay was rolled back.
enum ReplayFailed {
    Refused(ReplayEventError),
    /// The event contradicts what the shop holds, as it did before.
    Contradiction(String),
}

impl From<StoreError> for ReplayFailed {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

#[async_trait]
impl EventRepository for PgOrders {
    #[tracing::instrument(name = "EventRepository.list", level = "debug", skip_all)]
    async fn list(
        &self,
        filter: &EventFilter,
        after: Option<EventPosition>,
        limit: PageLimit,
    ) -> Result<Page<StoredEvent, EventPosition>, StoreError> {
        let mut connection = self.pool.get().await?;
        let query = filtered(filter, after)
            .order((provider_events::received_at.desc(), provider_events::id.desc()))
            .limit(i64::from(limit.get()) + 1)
            .select(EventRow::as_select());
        // Of which status decides on the index: there are very many that are applied, and few of the others.
        let rows: Vec<EventRow> = planned_for_its_values(query).load(&mut connection).await.map_err(store_error)?;
        let events = rows.into_iter().map(EventRow::into_event).collect::<QueryResult<_>>().map_err(store_error)?;
        let position = |event: &StoredEvent| EventPosition { received_at: event.received_at, id: event.id };
        Ok(Page::from_overfetched(events, limit, position))
    }

    #[tracing::instrument(name = "EventRepository.find", level = "debug", skip_all)]
    async fn find(&self, id: EventId) -> Result<Option<EventWithPayload>, StoreError> {
        let mut connection = self.pool.get().await?;
        let event = provider_events::table.find(id.uuid()).select((EventRow::as_select(), provider_events::payload));
        let found: Option<(EventRow, Option<String>)> =
            event.first(&mut connection).await.optional().map_err(store_error)?;
        let read =
            |(row, payload): (EventRow, Option<String>)| Ok(EventWithPayload { event: row.into_event()?, payload });
        found.map(read).transpose().map_err(store_error)
    }

    #[tracing::instrument(name = "EventRepository.replay", level = "debug", skip_all)]
    async fn replay(&self, id: EventId, hearing: Hearing) -> Result<EventWithPayload, ReplayEventError> {
        let tried = self.pool.transaction(async |connection| self.apply_again(connection, id, hearing).await).await;
        let replayed = match tried {
            Err(ReplayFailed::Contradiction(reason)) => self.fail_again(id, &reason).await,
            tried => tried,
        };
        match replayed {
            Ok(event) => Ok(event),
            Err(ReplayFailed::Refused(error)) => Err(error),
            Err(ReplayFailed::Contradiction(reason)) => Err(StoreError::unexpected(reason).into()),
        }
    }
}

impl PgOrders {
    /// Locks as a first delivery does: the receipt, the event, then its order.
    async fn apply_again(
        &self,
        connection: &mut AsyncPgConnection,
        id: EventId,
        hearing: Hearing,
    ) -> Result<EventWithPayload, Rollback<ReplayFailed>> {
        // What was sent never changes, so it can be read before it is known which receipt to lock.
        let payload = provider_events::table.find(id.uuid()).select(provider_events::payload);
        let payload: Option<Option<String>> = payload.first(connection).await.optional()?;
        let payload = payload.ok_or(Rollback::Refused(ReplayFailed::Refused(ReplayEventError::NotFound)))?;
        let Some(payload) = payload else {
            // Only of a settled event is it forgotten, so this refuses.
            lock_failed(connection, id).await?;
            return Err(damaged("a failed event has no payload").into());
        };
        let content = self.teller.events.translate(&payload).map(|event| event.content);
        let intent = content.as_ref().ok().and_then(|content| content.intent());
        lock_receipts(connection, intent.into_iter()).await?;
        lock_failed(connection, id).await?;
        let fate = match &content {
            Ok(content) => fate_of(connection, content).await?,
            Err(rejected) => Fate::failed(rejected.to_string()),
        };
        let news = content.as_ref().ok().and_then(ProviderNews::of);
        if let (Some(order_id), Some(told)) = (fate.order_id, news) {
            let heard = self.teller.tell(connection, &[News { order_id, told, hearing }]).await;
            heard.map_err(contradiction).map_err(|rollback| match rollback {
                Rollback::Refused(ReceiveError::Contradiction(reason)) => {
                    Rollback::Refused(ReplayFailed::Contradiction(reason))
                }
                Rollback::Refused(ReceiveError::Store(error)) => Rollback::Refused(error.into()),
                Rollback::Failed(error) => Rollback::Failed(error),
            })?;
        }
        let event = update_fate(connection, id, intent, &fate, hearing).await?;
        Ok(EventWithPayload { event, payload: Some(payload) })
    }

    /// Keeps why a replay failed, after it was rolled back.
    async fn fail_again(&self, id: EventId, reason: &str) -> Result<EventWithPayload, ReplayFailed> {
        self.pool
            .transaction(async |connection| {
                lock_failed(connection, id).await?;
                let mine = provider_events::table.find(id.uuid());
                let (row, payload): (EventRow, Option<String>) = diesel::update(mine)
                    .set(provider_events::reason.eq(reason))
                    .returning((EventRow::as_select(), provider_events::payload))
                    .get_result(connection)
                    .await?;
                Ok(EventWithPayload { event: row.into_event()?, payload })
            })
            .await
    }
}

/// Locks an event that is to be tried again; another replay of it waits here, and then finds that it is done.
async fn lock_failed(connection: &mut AsyncPgConnection, id: EventId) -> Result<(), Rollback<ReplayFailed>> {
    let event = provider_events::table.find(id.uuid()).select(EventRow::as_select()).for_no_key_update();
    match event.first(connection).await?.into_event()?.status {
        EventStatus::Failed => Ok(()),
        from @ (EventStatus::Applied | EventStatus::Ignored | EventStatus::Waiting) => {
            Err(Rollback::Refused(ReplayFailed::Refused(ReplayEventError::NotFailed { from })))
        }
    }
}

async fn update_fate(
    connection: &mut AsyncPgConnection,
    id: EventId,
    intent: Option<&PaymentIntentId>,
    fate: &Fate,
    hearing: Hearing,
) -> QueryResult<StoredEvent> {
    let row: EventRow = diesel::update(provider_events::table.find(id.uuid()))
        .set((
            provider_events::status.eq(fate.status.as_str()),
            provider_events::reason.eq(fate.reason.as_deref()),
            provider_events::order_id.eq(fate.order_id.map(OrderId::uuid)),
            provider_events::intent.eq(intent.map(PaymentIntentId::as_str)),
            provider_events::applied_at.eq((fate.status == EventStatus::Applied).then_some(hearing.at)),
        ))
        .returning(EventRow::as_select())
        .get_result(connection)
        .await?;
    row.into_event()
}

fn filtered(filter: &EventFilter, after: Option<EventPosition>) -> provider_events::BoxedQuery<'_, diesel::pg::Pg> {
    let mut query = provider_events::table.into_boxed();
    if let Some(status) = filter.status {
        query = query.filter(provider_events::status.eq(status.as_str()));
    }
    if let Some(kind) = &filter.kind {
        query = query.filter(provider_events::kind.eq(kind));
    }
    if let Some(order_id) = filter.order_id {
        query = query.filter(provider_events::order_id.eq(order_id.uuid()));
    }
    if let Some(EventPosition { received_at, id }) = after {
        let later_id = provider_events::received_at.lt(received_at).or(provider_events::id.lt(id.uuid()));
        query = query.filter(provider_events::received_at.le(received_at)).filter(later_id);
    }
    query
}
