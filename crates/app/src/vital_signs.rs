//! What is measured now and then instead of where it happens: the pool, and what is left to do.

use std::sync::Arc;
use std::time::Duration;

use adapters_postgres::{PgBacklog, PgPool};
use domain::clock::Clock;
use domain::order::{Backlog, BacklogRepository as _};
use metrics::{counter, gauge};
use tokio::task::JoinHandle;

use crate::metrics::Counted;

/// More often than anybody looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// What is left to do asks the database, so it is counted less often: each so many rounds.
const ROUNDS_PER_BACKLOG: u32 = 3;

/// The running measurement; it ends when this is dropped.
pub(crate) struct VitalSigns(JoinHandle<()>);

impl VitalSigns {
    /// Begins to measure, for the first time at once.
    #[must_use]
    pub(crate) fn watch(pool: PgPool, clock: Arc<dyn Clock>, counted: Counted) -> Self {
        Self(tokio::spawn(async move {
            let backlog = PgBacklog::new(pool.clone());
            let mut ticks = tokio::time::interval(INTERVAL);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for round in (0..ROUNDS_PER_BACKLOG).cycle() {
                ticks.tick().await;
                show_pool(&pool);
                if round == 0 {
                    read_backlog(&backlog, clock.as_ref()).await;
                }
                counted.tidy();
            }
        }))
    }
}

impl Drop for VitalSigns {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn show_pool(pool: &PgPool) {
    let (open, idle) = pool.usage();
    gauge!("ironcart_db_connections", "state" => "idle").set(idle);
    gauge!("ironcart_db_connections", "state" => "busy").set(open.saturating_sub(idle));
    gauge!("ironcart_db_connections_max").set(pool.max_connections());
}

/// What can't be read keeps its last value; that it is old shows in its timestamp.
async fn read_backlog(store: &PgBacklog, clock: &dyn Clock) {
    match store.backlog(clock.now()).await {
        Ok(backlog) => {
            show_backlog(&backlog);
            // By the system's clock, which whoever looks at it compares it with.
            let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
            gauge!("ironcart_backlog_read_timestamp_seconds").set(now);
        }
        Err(error) => {
            counter!("ironcart_backlog_failures_total").increment(1);
            tracing::warn!(%error, "what is left to do could not be counted");
        }
    }
}

fn show_backlog(backlog: &Backlog) {
    gauge!("ironcart_overdue_orders").set(backlog.overdue_orders);
    gauge!("ironcart_sweep_lag_seconds").set(backlog.sweep_lag);
    gauge!("ironcart_due_errands").set(backlog.due_errands);
    gauge!("ironcart_errand_lag_seconds").set(backlog.errand_lag);
    gauge!("ironcart_stuck_errands").set(backlog.stuck_errands);
    gauge!("ironcart_refunds_pending").set(backlog.pending_refunds);
    gauge!("ironcart_refunds_failed").set(backlog.failed_refunds);
    gauge!("ironcart_events_unsettled", "status" => "WAITING").set(backlog.waiting_events);
    gauge!("ironcart_events_unsettled", "status" => "FAILED").set(backlog.failed_events);
}
