//! What the provider says, applied in the transaction that records it, one receipt at a time.

use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::Text;
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::id::{EventId, OrderId};
use domain::order::{EventOutcome, Hearing, Order, ProviderNews};
use domain::payment::{CheckoutSessionId, EventContent, EventStatus, PaymentIntentId, ProviderEvent};
use domain::store::StoreError;
use uuid::Uuid;

use super::PgOrders;
use super::load::lock_order;
use super::save::save;
use crate::cached::cached;
use crate::error::broken_constraint;
use crate::schema::{checkout_attempts, orders, provider_events, receipts};
use crate::transaction::Rollback;

/// Why an event's transaction was rolled back.
pub(super) enum ReceiveError {
    Store(StoreError),
    /// It contradicts what the shop holds; a repeat won't mend that.
    Contradiction(String),
}

impl From<StoreError> for ReceiveError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What becomes of an event.
#[derive(Debug)]
pub(super) struct Fate {
    pub status: EventStatus,
    /// The order that it is told to.
    pub order_id: Option<OrderId>,
    pub reason: Option<String>,
}

impl Fate {
    const fn applied_to(order_id: OrderId) -> Self {
        Self { status: EventStatus::Applied, order_id: Some(order_id), reason: None }
    }

    /// Nobody's, for this reason.
    const fn ignored(reason: String) -> Self {
        Self { status: EventStatus::Ignored, order_id: None, reason: Some(reason) }
    }

    /// For the order that will have its receipt.
    const fn waiting() -> Self {
        Self { status: EventStatus::Waiting, order_id: None, reason: None }
    }

    /// It can't be applied, and a repeat won't mend that (contract 3.10).
    pub(super) const fn failed(reason: String) -> Self {
        Self { status: EventStatus::Failed, order_id: None, reason: Some(reason) }
    }
}

impl PgOrders {
    pub(super) async fn receive_event(
        &self,
        event: &ProviderEvent,
        hearing: Hearing,
    ) -> Result<EventOutcome, StoreError> {
        let received = self.pool.transaction(async |connection| self.record(connection, event, hearing).await).await;
        match received {
            Ok(outcome) => Ok(outcome),
            Err(ReceiveError::Store(error)) => Err(error),
            Err(ReceiveError::Contradiction(reason)) => self.record_failed(event, hearing, reason).await,
        }
    }

    async fn record(
        &self,
        connection: &mut AsyncPgConnection,
        event: &ProviderEvent,
        hearing: Hearing,
    ) -> Result<EventOutcome, Rollback<ReceiveError>> {
        lock_receipt(connection, event.content.intent()).await?;
        let fate = fate_of(connection, &event.content).await?;
        if !self.insert_event(connection, event, &fate, hearing).await? {
            return Ok(EventOutcome::Repeated);
        }
        if let (Some(order_id), Some(news)) = (fate.order_id, ProviderNews::of(&event.content)) {
            self.tell(connection, order_id, &news, hearing).await.map_err(contradiction)?;
        }
        if let (EventStatus::Failed, Some(reason)) = (fate.status, &fate.reason) {
            log_failed(event, reason);
        }
        Ok(EventOutcome::Recorded(fate.status))
    }

    /// Tells a locked order what the provider said, and with it what waited for a receipt that it now has.
    pub(super) async fn tell(
        &self,
        connection: &mut AsyncPgConnection,
        order_id: OrderId,
        news: &ProviderNews,
        hearing: Hearing,
    ) -> QueryResult<Option<Order>> {
        let Some(before) = lock_order(connection, order_id).await? else { return Ok(None) };
        let mut change = before.clone().hear(news, hearing, self.ids.as_ref());
        let known = before.receipts.len();
        let linked: Vec<String> = change.order.receipts.iter().skip(known).map(|r| r.intent.to_string()).collect();
        for intent in linked {
            for (id, news) in self.waiting_for(connection, &intent).await? {
                let heard = change.order.hear(&news, hearing, self.ids.as_ref());
                change.order = heard.order;
                change.errands.extend(heard.errands);
                mark_applied(connection, id, order_id, hearing).await?;
            }
        }
        save(connection, &before, &change, self.ids.as_ref()).await?;
        Ok(Some(change.order))
    }

    /// The events that wait for a receipt, as news.
    async fn waiting_for(
        &self,
        connection: &mut AsyncPgConnection,
        intent: &str,
    ) -> QueryResult<Vec<(Uuid, ProviderNews)>> {
        let waiting: Vec<(Uuid, String)> = provider_events::table
            .filter(provider_events::intent.eq(intent))
            .filter(provider_events::status.eq("WAITING"))
            .order((provider_events::received_at, provider_events::id))
            .select((provider_events::id, provider_events::payload))
            .for_no_key_update()
            .load(connection)
            .await?;
        let news = |(id, payload): (Uuid, String)| {
            let event = self.events.translate(&payload).ok()?;
            Some((id, ProviderNews::of(&event.content)?))
        };
        Ok(waiting.into_iter().filter_map(news).collect())
    }

    /// Records an event; `false` if it was recorded before. A parallel delivery of the same event waits here until
    /// the first is committed.
    async fn insert_event(
        &self,
        connection: &mut AsyncPgConnection,
        event: &ProviderEvent,
        fate: &Fate,
        hearing: Hearing,
    ) -> QueryResult<bool> {
        let insert = diesel::insert_into(provider_events::table)
            .values((
                provider_events::id.eq(EventId::mint(self.ids.as_ref()).uuid()),
                provider_events::provider_event_id.eq(event.id.as_str()),
                provider_events::kind.eq(&event.kind),
                provider_events::status.eq(fate.status.as_str()),
                provider_events::reason.eq(fate.reason.as_deref()),
                provider_events::order_id.eq(fate.order_id.map(OrderId::uuid)),
                provider_events::intent.eq(event.content.intent().map(PaymentIntentId::as_str)),
                provider_events::payload.eq(&event.payload),
                provider_events::received_at.eq(hearing.at),
                provider_events::applied_at.eq((fate.status == EventStatus::Applied).then_some(hearing.at)),
            ))
            .on_conflict(provider_events::provider_event_id)
            .do_nothing();
        Ok(cached(insert).execute(connection).await? == 1)
    }

    /// Keeps an event that contradicts what the shop holds (contract 3.10).
    async fn record_failed(
        &self,
        event: &ProviderEvent,
        hearing: Hearing,
        reason: String,
    ) -> Result<EventOutcome, StoreError> {
        log_failed(event, &reason);
        let fate = &Fate::failed(reason);
        self.pool
            .transaction(async |connection| {
                let first = self.insert_event(connection, event, fate, hearing).await?;
                let failed = EventOutcome::Recorded(EventStatus::Failed);
                Ok::<_, Rollback<StoreError>>(if first { failed } else { EventOutcome::Repeated })
            })
            .await
    }
}

/// Lets transactions that concern one receipt run one after the other, before the receipt has a row to lock: else
/// an event could miss the receipt that is being linked, and the link could miss the event.
pub(super) async fn lock_receipt(
    connection: &mut AsyncPgConnection,
    intent: Option<&PaymentIntentId>,
) -> QueryResult<()> {
    let Some(intent) = intent else { return Ok(()) };
    let lock = sql_query("SELECT pg_advisory_xact_lock(hashtextextended('receipt:' || $1, 0))");
    cached(lock.bind::<Text, _>(intent.as_str())).execute(connection).await?;
    Ok(())
}

fn log_failed(event: &ProviderEvent, reason: &str) {
    tracing::error!(event.id = %event.id, event.kind, reason, "an event can't be applied and is kept as FAILED");
}

/// Whose an event is, and so what becomes of it. Its receipt is locked.
pub(super) async fn fate_of(connection: &mut AsyncPgConnection, content: &EventContent) -> QueryResult<Fate> {
    let owner = match content.intent() {
        Some(intent) => owner_of(connection, intent).await?,
        None => None,
    };
    match content {
        EventContent::Session(session) => {
            let Some(named) = session.order_id else {
                return Ok(Fate::ignored("names no order".into()));
            };
            if let Some(owner) = owner.filter(|owner| *owner != named) {
                let reason = format!("names order {named}, but its payment intent belongs to order {owner}");
                return Ok(Fate::failed(reason));
            }
            if let Some(keeper) = keeper_of(connection, &session.session_id).await?.filter(|keeper| *keeper != named) {
                let reason = format!("names order {named}, but its session belongs to order {keeper}");
                return Ok(Fate::failed(reason));
            }
            let known = orders::table.find(named.uuid()).select(orders::id);
            let known: Option<Uuid> = known.first(connection).await.optional()?;
            Ok(known.map_or_else(
                || Fate::ignored("names an order that this shop does not have".into()),
                |_| Fate::applied_to(named),
            ))
        }
        EventContent::Refund(_)
        | EventContent::ChargeRefunded { .. }
        | EventContent::Disputed(_)
        | EventContent::FraudWarning(_) => Ok(match (owner, content.intent()) {
            (Some(owner), _) => Fate::applied_to(owner),
            (None, Some(_)) => Fate::waiting(),
            (None, None) => Fate::ignored("names no payment intent".into()),
        }),
        EventContent::Ignored { reason } => Ok(Fate::ignored(reason.clone())),
        EventContent::Unreadable { reason } => Ok(Fate::failed(reason.clone())),
    }
}

async fn owner_of(connection: &mut AsyncPgConnection, intent: &PaymentIntentId) -> QueryResult<Option<OrderId>> {
    let owner = receipts::table.find(intent.as_str()).select(receipts::order_id);
    let owner: Option<Uuid> = owner.first(connection).await.optional()?;
    Ok(owner.map(OrderId::from))
}

/// The order that has a session among its attempts.
async fn keeper_of(connection: &mut AsyncPgConnection, session: &CheckoutSessionId) -> QueryResult<Option<OrderId>> {
    let keeper = checkout_attempts::table.filter(checkout_attempts::session_id.eq(session.as_str()));
    let keeper = keeper.select(checkout_attempts::order_id);
    let keeper: Option<Uuid> = keeper.first(connection).await.optional()?;
    Ok(keeper.map(OrderId::from))
}

async fn mark_applied(
    connection: &mut AsyncPgConnection,
    id: Uuid,
    order_id: OrderId,
    hearing: Hearing,
) -> QueryResult<()> {
    diesel::update(provider_events::table.find(id))
        .set((
            provider_events::status.eq(EventStatus::Applied.as_str()),
            provider_events::order_id.eq(order_id.uuid()),
            provider_events::applied_at.eq(hearing.at),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// A broken constraint means that the event contradicts what the shop holds, such as a session of another order.
pub(super) fn contradiction(error: Error) -> Rollback<ReceiveError> {
    match broken_constraint(&error) {
        Some(constraint) => Rollback::Refused(ReceiveError::Contradiction(format!("breaks {constraint}"))),
        None => Rollback::Failed(error),
    }
}
