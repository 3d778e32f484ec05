//! Waiting until a shop and its provider have nothing more to say to each other.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "what fails here fails the test")]

use std::time::Duration;

use stripe_simulator::Control;

use crate::database::Database;
use crate::wait::{PATIENCE, until};

/// Waits until all events are delivered and nothing is left to do at the provider. Errands that were put off are made
/// due, since their pauses are real time.
pub async fn settle(database: &Database, provider: &Control) {
    until("the shop and its provider are settled", async || is_quiet(database, provider).await).await;
}

/// Lets leases and pauses run out, which go by the database's clock.
pub async fn let_leases_run_out(database: &Database) {
    let free = "UPDATE orders SET sweep_lease_until = NULL WHERE sweep_lease_until IS NOT NULL";
    database.run_sql(free).await.expect("leases of orders");
    database
        .run_sql("UPDATE tasks SET due_at = now(), lease_until = NULL WHERE finished_at IS NULL")
        .await
        .expect("leases of tasks");
}

/// Lets the claims of idempotency keys run out that have no answer yet, as if their owners had long been silent.
pub async fn let_claims_run_out(database: &Database) {
    let silence = "UPDATE idempotency_keys SET alive_at = '-infinity' WHERE status IS NULL";
    database.run_sql(silence).await.expect("claims of keys");
}

async fn is_quiet(database: &Database, provider: &Control) -> bool {
    let events = provider.events().len();
    if !provider.wait_for_deliveries(PATIENCE).await {
        return false;
    }
    if database.number("SELECT count(*) AS n FROM tasks WHERE finished_at IS NULL").await > 0 {
        let hurry = "UPDATE tasks SET due_at = now() WHERE finished_at IS NULL AND due_at > now()";
        database.run_sql(hurry).await.expect("due times of tasks");
        return false;
    }
    // What an errand does at the provider makes events, and what an event says may make errands.
    provider.wait_for_deliveries(Duration::ZERO).await && provider.events().len() == events
}
