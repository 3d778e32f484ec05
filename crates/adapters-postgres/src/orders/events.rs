//! What the provider says, applied in the transaction that records it, one receipt at a time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{Array, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::{Ids, Timestamp};
use domain::id::{EventId, OrderId};
use domain::order::{Errand, EventOutcome, Hearing, Order, ProviderNews};
use domain::payment::{EventContent, EventReader, EventStatus, PaymentIntentId, ProviderEvent};
use domain::store::StoreError;
use tokio::try_join;
use uuid::Uuid;

use super::PgOrders;
use super::load::lock_orders;
use super::save::{Saved, save};
use crate::batch::BatchedWork;
use crate::cached::{cached, column};
use crate::error::{broken_constraint, damaged};
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

/// Records events and applies them, several in one transaction.
pub(super) struct Receiving {
    pub teller: Teller,
}

/// An event as it was delivered.
pub(super) struct Delivery {
    pub event: ProviderEvent,
    pub hearing: Hearing,
}

impl BatchedWork for Receiving {
    type Command = Delivery;
    type Done = EventOutcome;
    type Refusal = ReceiveError;

    const NAME: &'static str = "receive_event";
    /// What was recorded before is not applied again.
    const REPEATABLE: bool = true;

    /// What becomes of an event depends on what those before it made of its receipt, so a batch has one per receipt;
    /// repeated deliveries of that one may come along, and are found to be repeats.
    fn subject(delivery: &Delivery) -> Option<(&str, &str)> {
        let event = &delivery.event;
        let receipt = event.content.intent().map(PaymentIntentId::as_str);
        Some((receipt.unwrap_or(event.id.as_str()), event.id.as_str()))
    }

    async fn run(
        &self,
        connection: &AsyncPgConnection,
        deliveries: &[Delivery],
        _again: bool,
    ) -> QueryResult<Vec<Result<EventOutcome, ReceiveError>>> {
        let contents = column(deliveries, |delivery| &delivery.event.content);
        let ((), fates) = try_join!(
            biased;
            lock_receipts(connection, contents.iter().filter_map(|content| content.intent())),
            fates_of(connection, &contents)
        )?;
        let mut recorded = self.teller.insert_events(connection, deliveries, &fates).await?;
        let mut outcomes = Vec::with_capacity(deliveries.len());
        let mut news = Vec::with_capacity(deliveries.len());
        for (Delivery { event, hearing }, fate) in deliveries.iter().zip(&fates) {
            if !recorded.remove(event.id.as_str()) {
                outcomes.push(Ok(EventOutcome::Repeated));
                continue;
            }
            if let (EventStatus::Failed, Some(reason)) = (fate.status, &fate.reason) {
                log_failed(event, reason);
            }
            if let (Some(order_id), Some(told)) = (fate.order_id, ProviderNews::of(&event.content)) {
                news.push(News { order_id, told, hearing: *hearing });
            }
            outcomes.push(Ok(EventOutcome::Recorded(fate.status)));
        }
        self.teller.tell(connection, &news).await?;
        Ok(outcomes)
    }

    fn refusal_of(&self, error: &Error) -> Option<ReceiveError> {
        broken_constraint(error).map(|constraint| ReceiveError::Contradiction(breaks(constraint)))
    }
}

/// Tells orders what the provider answered, several in one transaction.
pub(super) struct Hearings {
    pub teller: Teller,
}

impl BatchedWork for Hearings {
    type Command = News;
    type Done = Option<Order>;
    type Refusal = StoreError;

    const NAME: &'static str = "hear";
    /// Hearing the same twice changes nothing more.
    const REPEATABLE: bool = true;

    async fn run(
        &self,
        connection: &AsyncPgConnection,
        news: &[News],
        _again: bool,
    ) -> QueryResult<Vec<Result<Option<Order>, StoreError>>> {
        let intents = news.iter().filter_map(|news| news.told.intent());
        let ((), told) = try_join!(biased; lock_receipts(connection, intents), self.teller.tell(connection, news))?;
        Ok(told.into_iter().map(Ok).collect())
    }
}

/// What an order is to be told.
#[derive(Debug, Clone)]
pub(super) struct News {
    pub order_id: OrderId,
    pub told: ProviderNews,
    pub hearing: Hearing,
}

/// Tells orders what the provider said.
#[derive(Clone)]
pub(super) struct Teller {
    pub ids: Arc<dyn Ids>,
    pub events: Arc<dyn EventReader>,
}

/// An order that is being told, and what follows from it so far.
struct Listener {
    order: Order,
    errands: Vec<Errand>,
}

/// Events that waited for a receipt, as news, by its intent.
type Waiting = HashMap<String, Vec<(Uuid, ProviderNews)>>;

impl Teller {
    /// Tells orders, which it locks, what the provider said, one thing after the other, and with it what waited for
    /// a receipt that they now have. Gives each order as it is after its news; `None` where there is no such order.
    /// The receipts of the news are locked.
    pub(super) async fn tell(&self, connection: &AsyncPgConnection, news: &[News]) -> QueryResult<Vec<Option<Order>>> {
        if news.is_empty() {
            return Ok(Vec::new());
        }
        let ids: BTreeSet<Uuid> = news.iter().map(|news| news.order_id.uuid()).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let (before, mut waiting) =
            try_join!(biased; lock_orders(connection, &ids), self.waiting_for(connection, news))?;
        let mut listeners: HashMap<OrderId, Listener> = HashMap::new();
        let mut applied = Vec::new();
        let mut heard = Vec::with_capacity(news.len());
        for news in news {
            let Some(order) = before.get(&news.order_id) else {
                heard.push(None);
                continue;
            };
            let listener = listeners.entry(news.order_id);
            let listener = listener.or_insert_with(|| Listener { order: order.clone(), errands: Vec::new() });
            self.tell_one(listener, news, &mut waiting, &mut applied);
            heard.push(Some(listener.order.clone()));
        }
        let saved = listeners.iter().filter_map(|(id, listener)| {
            Some(Saved { before: before.get(id)?, after: &listener.order, errands: &listener.errands })
        });
        let saved: Vec<_> = saved.collect();
        try_join!(biased; save(connection, &saved, self.ids.as_ref()), mark_applied(connection, &applied))?;
        Ok(heard)
    }

    fn tell_one(&self, listener: &mut Listener, news: &News, waiting: &mut Waiting, applied: &mut Vec<Applied>) {
        let known = listener.order.receipts.len();
        self.hear(listener, &news.told, news.hearing);
        let linked = listener.order.receipts.iter().skip(known).map(|receipt| receipt.intent.to_string());
        for intent in linked.collect::<Vec<_>>() {
            for (id, told) in waiting.remove(&intent).unwrap_or_default() {
                self.hear(listener, &told, news.hearing);
                applied.push(Applied { id, order_id: news.order_id, at: news.hearing.at });
            }
        }
    }

    fn hear(&self, listener: &mut Listener, told: &ProviderNews, hearing: Hearing) {
        let change = listener.order.clone().hear(told, hearing, self.ids.as_ref());
        listener.order = change.order;
        listener.errands.extend(change.errands);
    }

    /// The events that wait for the receipts of these news.
    async fn waiting_for(&self, mut connection: &AsyncPgConnection, news: &[News]) -> QueryResult<Waiting> {
        let intents: Vec<&str> = news.iter().filter_map(|news| Some(news.told.intent()?.as_str())).collect();
        if intents.is_empty() {
            return Ok(Waiting::new());
        }
        let rows: Vec<(Uuid, Option<String>, String)> = provider_events::table
            .filter(provider_events::intent.eq_any(intents))
            // Spelt out: by a bind, a plan for any status could not use the index of those that wait.
            .filter(sql::<Bool>("provider_events.status = 'WAITING'"))
            .order((provider_events::received_at, provider_events::id))
            .select((provider_events::id, provider_events::intent, provider_events::payload.assume_not_null()))
            .for_no_key_update()
            .load(&mut connection)
            .await?;
        let mut waiting = Waiting::new();
        for (id, intent, payload) in rows {
            let news = self.events.translate(&payload).ok().and_then(|event| ProviderNews::of(&event.content));
            if let (Some(intent), Some(news)) = (intent, news) {
                waiting.entry(intent).or_default().push((id, news));
            }
        }
        Ok(waiting)
    }

    /// Records events, and gives the provider's ids of those that were not recorded before. Parallel deliveries of
    /// the same event wait here until the first is committed.
    async fn insert_events(
        &self,
        mut connection: &AsyncPgConnection,
        deliveries: &[Delivery],
        fates: &[Fate],
    ) -> QueryResult<HashSet<String>> {
        let applied_at =
            |(delivery, fate): (&Delivery, &Fate)| (fate.status == EventStatus::Applied).then_some(delivery.hearing.at);
        let insert = sql_query(
            "INSERT INTO provider_events (id, provider_event_id, type, status, reason, order_id, intent, payload, \
             received_at, applied_at) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (provider_event_id) DO NOTHING RETURNING provider_event_id",
        )
        .bind::<Array<SqlUuid>, _>(column(deliveries, |_| EventId::mint(self.ids.as_ref()).uuid()))
        .bind::<Array<Text>, _>(column(deliveries, |delivery| delivery.event.id.as_str()))
        .bind::<Array<Text>, _>(column(deliveries, |delivery| delivery.event.kind.as_str()))
        .bind::<Array<Text>, _>(column(fates, |fate| fate.status.as_str()))
        .bind::<Array<Nullable<Text>>, _>(column(fates, |fate| fate.reason.as_deref()))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(fates, |fate| fate.order_id.map(OrderId::uuid)))
        .bind::<Array<Nullable<Text>>, _>(column(deliveries, |delivery| {
            delivery.event.content.intent().map(PaymentIntentId::as_str)
        }))
        .bind::<Array<Text>, _>(column(deliveries, |delivery| delivery.event.payload.as_str()))
        .bind::<Array<Timestamptz>, _>(column(deliveries, |delivery| delivery.hearing.at))
        .bind::<Array<Nullable<Timestamptz>>, _>(deliveries.iter().zip(fates).map(applied_at).collect::<Vec<_>>());
        let recorded: Vec<RecordedRow> = cached(insert).load(&mut connection).await?;
        Ok(recorded.into_iter().map(|row| row.provider_event_id).collect())
    }
}

#[derive(QueryableByName)]
struct RecordedRow {
    #[diesel(sql_type = Text)]
    provider_event_id: String,
}

impl PgOrders {
    pub(super) async fn receive_event(
        &self,
        event: &ProviderEvent,
        hearing: Hearing,
    ) -> Result<EventOutcome, StoreError> {
        match self.receiving.run(Delivery { event: event.clone(), hearing }).await {
            Ok(outcome) => Ok(outcome),
            Err(ReceiveError::Store(error)) => Err(error),
            Err(ReceiveError::Contradiction(reason)) => self.record_failed(event, hearing, reason).await,
        }
    }

    /// Keeps an event that contradicts what the shop holds (contract 3.10).
    async fn record_failed(
        &self,
        event: &ProviderEvent,
        hearing: Hearing,
        reason: String,
    ) -> Result<EventOutcome, StoreError> {
        log_failed(event, &reason);
        let fate = &[Fate::failed(reason)];
        let delivery = &[Delivery { event: event.clone(), hearing }];
        self.pool
            .transaction(async |connection| {
                let recorded = self.teller.insert_events(connection, delivery, fate).await?;
                let failed = EventOutcome::Recorded(EventStatus::Failed);
                Ok::<_, Rollback<StoreError>>(if recorded.is_empty() { EventOutcome::Repeated } else { failed })
            })
            .await
    }
}

/// Lets transactions that concern one receipt run one after the other, before the receipt has a row to lock: else
/// an event could miss the receipt that is being linked, and the link could miss the event. Of several receipts the
/// locks are taken in the order of their keys.
pub(super) async fn lock_receipts(
    mut connection: &AsyncPgConnection,
    intents: impl Iterator<Item = &PaymentIntentId> + Send,
) -> QueryResult<()> {
    let intents: Vec<&str> = intents.map(PaymentIntentId::as_str).collect();
    if intents.is_empty() {
        return Ok(());
    }
    let lock = sql_query(
        "SELECT pg_advisory_xact_lock(receipt.key) FROM (\
           SELECT DISTINCT hashtextextended('receipt:' || intent, 0) AS key FROM unnest($1) AS named (intent) \
           ORDER BY key) AS receipt",
    );
    cached(lock.bind::<Array<Text>, _>(intents)).execute(&mut connection).await?;
    Ok(())
}

fn log_failed(event: &ProviderEvent, reason: &str) {
    tracing::error!(event.id = %event.id, event.kind, reason, "an event can't be applied and is kept as FAILED");
}

/// What the shop holds of what events name.
struct Holdings {
    /// Whose a receipt is, by its intent.
    owners: HashMap<String, Uuid>,
    /// Which order has a session among its attempts.
    keepers: HashMap<String, Uuid>,
    /// Orders that there are.
    orders: HashSet<Uuid>,
}

/// Whose events are, and so what becomes of them. Their receipts are locked.
async fn fates_of(mut connection: &AsyncPgConnection, contents: &[&EventContent]) -> QueryResult<Vec<Fate>> {
    let (mut c2, mut c3) = (connection, connection);
    let intents: Vec<&str> = contents.iter().filter_map(|content| Some(content.intent()?.as_str())).collect();
    let sessions = contents.iter().filter_map(|content| match content {
        EventContent::Session(session) => Some((session.session_id.as_str(), session.order_id)),
        _ => None,
    });
    let (sessions, named): (Vec<&str>, Vec<Option<OrderId>>) = sessions.unzip();
    let named: Vec<Uuid> = named.into_iter().flatten().map(OrderId::uuid).collect();
    let owners =
        receipts::table.filter(receipts::intent.eq_any(intents)).select((receipts::intent, receipts::order_id));
    let keepers = checkout_attempts::table
        .filter(checkout_attempts::session_id.eq_any(sessions))
        .select((checkout_attempts::session_id.assume_not_null(), checkout_attempts::order_id));
    let known = orders::table.filter(orders::id.eq_any(named)).select(orders::id);
    let (owners, keepers, known) =
        try_join!(owners.load(&mut connection), keepers.load(&mut c2), known.load::<Uuid>(&mut c3))?;
    let holdings = Holdings {
        owners: owners.into_iter().collect(),
        keepers: keepers.into_iter().collect(),
        orders: known.into_iter().collect(),
    };
    Ok(contents.iter().map(|content| holdings.fate_of(content)).collect())
}

/// What becomes of one event.
pub(super) async fn fate_of(connection: &AsyncPgConnection, content: &EventContent) -> QueryResult<Fate> {
    let fate = fates_of(connection, &[content]).await?.pop();
    fate.ok_or_else(|| damaged("an event has no fate"))
}

impl Holdings {
    fn fate_of(&self, content: &EventContent) -> Fate {
        let owner = content.intent().and_then(|intent| self.owners.get(intent.as_str())).copied().map(OrderId::from);
        match content {
            EventContent::Session(session) => {
                let Some(named) = session.order_id else {
                    return Fate::ignored("names no order".into());
                };
                if let Some(owner) = owner.filter(|owner| *owner != named) {
                    return Fate::failed(format!(
                        "names order {named}, but its payment intent belongs to order {owner}"
                    ));
                }
                let keeper = self.keepers.get(session.session_id.as_str()).copied().map(OrderId::from);
                if let Some(keeper) = keeper.filter(|keeper| *keeper != named) {
                    return Fate::failed(format!("names order {named}, but its session belongs to order {keeper}"));
                }
                if self.orders.contains(&named.uuid()) {
                    Fate::applied_to(named)
                } else {
                    Fate::ignored("names an order that this shop does not have".into())
                }
            }
            EventContent::Refund(_)
            | EventContent::ChargeRefunded { .. }
            | EventContent::Disputed(_)
            | EventContent::FraudWarning(_) => match (owner, content.intent()) {
                (Some(owner), _) => Fate::applied_to(owner),
                (None, Some(_)) => Fate::waiting(),
                (None, None) => Fate::ignored("names no payment intent".into()),
            },
            EventContent::Ignored { reason } => Fate::ignored(reason.clone()),
            EventContent::Unreadable { reason } => Fate::failed(reason.clone()),
        }
    }
}

/// An event that had waited, and its order.
struct Applied {
    id: Uuid,
    order_id: OrderId,
    at: Timestamp,
}

async fn mark_applied(mut connection: &AsyncPgConnection, applied: &[Applied]) -> QueryResult<()> {
    if applied.is_empty() {
        return Ok(());
    }
    let mark = sql_query(
        "UPDATE provider_events SET status = 'APPLIED', order_id = done.order_id, applied_at = done.at \
         FROM unnest($1, $2, $3) AS done (id, order_id, at) WHERE provider_events.id = done.id",
    )
    .bind::<Array<SqlUuid>, _>(column(applied, |event| event.id))
    .bind::<Array<SqlUuid>, _>(column(applied, |event| event.order_id.uuid()))
    .bind::<Array<Timestamptz>, _>(column(applied, |event| event.at));
    cached(mark).execute(&mut connection).await?;
    Ok(())
}

fn breaks(constraint: &str) -> String {
    format!("breaks {constraint}")
}

/// A broken constraint means that the event contradicts what the shop holds, such as a session of another order.
pub(super) fn contradiction(error: Error) -> Rollback<ReceiveError> {
    match broken_constraint(&error) {
        Some(constraint) => Rollback::Refused(ReceiveError::Contradiction(breaks(constraint))),
        None => Rollback::Failed(error),
    }
}
