//! What the provider must be asked about: sessions and refunds whose end is unknown, and events that never came.

use std::collections::HashSet;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Double, Integer, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use domain::clock::Timestamp;
use domain::id::OrderId;
use domain::order::{UnheardEvent, UnsettledRepository};
use domain::payment::ProviderEvent;
use domain::store::StoreError;
use uuid::Uuid;

use super::PgOrders;
use super::events::fate_of;
use crate::cached::{cached, planned_for_its_values};
use crate::error::store_error;
use crate::schema::provider_events;

#[derive(QueryableByName)]
struct OrderIdRow {
    #[diesel(sql_type = SqlUuid)]
    order_id: Uuid,
}

#[async_trait]
impl UnsettledRepository for PgOrders {
    #[tracing::instrument(name = "UnsettledRepository.unsettled", level = "debug", skip_all)]
    async fn unsettled(
        &self,
        stored_before: Timestamp,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<OrderId>, StoreError> {
        let unsettled = sql_query(
            "SELECT order_id FROM (\
               SELECT order_id FROM checkout_attempts WHERE state <> 'ENDED' AND created_at <= $1 \
               UNION \
               SELECT order_id FROM refunds JOIN receipts USING (intent) \
                 WHERE refunds.status IN ('pending', 'requires_action') \
               UNION \
               SELECT order_id FROM refund_requests JOIN receipts USING (intent) \
                 WHERE refund_requests.outcome = 'OPEN') AS unsettled \
             WHERE $2 IS NULL OR order_id > $2 ORDER BY order_id LIMIT $3",
        )
        .bind::<Timestamptz, _>(stored_before)
        .bind::<Nullable<SqlUuid>, _>(after.map(OrderId::uuid))
        .bind::<Integer, _>(limit.cast_signed());
        let mut connection = self.pool.get().await?;
        let rows: Vec<OrderIdRow> =
            planned_for_its_values(unsettled).load(&mut connection).await.map_err(store_error)?;
        Ok(rows.into_iter().map(|row| row.order_id.into()).collect())
    }

    #[tracing::instrument(name = "UnsettledRepository.unheard", level = "debug", skip_all)]
    async fn unheard(&self, events: Vec<ProviderEvent>) -> Result<Vec<UnheardEvent>, StoreError> {
        let mut connection = self.pool.get().await?;
        let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        let known = provider_events::table
            .filter(provider_events::provider_event_id.eq_any(ids))
            .select(provider_events::provider_event_id);
        let known: Vec<String> = known.load(&mut connection).await.map_err(store_error)?;
        let known: HashSet<String> = known.into_iter().collect();
        let mut unheard = Vec::new();
        for event in events {
            if !known.contains(event.id.as_str()) {
                let fate = fate_of(&connection, &event.content).await.map_err(store_error)?;
                unheard.push(UnheardEvent { event, status: fate.status, order_id: fate.order_id });
            }
        }
        Ok(unheard)
    }

    #[tracing::instrument(name = "UnsettledRepository.take_turn", level = "debug", skip_all)]
    async fn take_turn(&self, seconds: u32) -> Result<bool, StoreError> {
        let take = sql_query(
            "INSERT INTO turns (name, due_at) VALUES ('reconciliation', now() + make_interval(secs => $1)) \
             ON CONFLICT (name) DO UPDATE SET due_at = EXCLUDED.due_at WHERE turns.due_at <= now()",
        )
        .bind::<Double, _>(f64::from(seconds));
        let mut connection = self.pool.get().await?;
        Ok(cached(take).execute(&mut connection).await.map_err(store_error)? == 1)
    }

    #[tracing::instrument(name = "UnsettledRepository.prolong_turn", level = "debug", skip_all)]
    async fn prolong_turn(&self, seconds: u32) -> Result<(), StoreError> {
        let prolong =
            sql_query("UPDATE turns SET due_at = now() + make_interval(secs => $1) WHERE name = 'reconciliation'")
                .bind::<Double, _>(f64::from(seconds));
        let mut connection = self.pool.get().await?;
        cached(prolong).execute(&mut connection).await.map_err(store_error)?;
        Ok(())
    }
}
