//! `sweep`: pending orders whose time is over, cancelled by the shop's own loop, which closes each one's session first.

use std::time::{Duration, Instant};

use crate::error::{Step, StepFailed};
use crate::load::{Latencies, Window};
use crate::postgres::Database;

/// How long a sweep may take in all.
const LIMIT: Duration = Duration::from_mins(1);
/// How often it is looked how many are left.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const MAKE_DUE: &str = "UPDATE orders SET expires_at = now() - interval '1 second', due_at = now() - interval '1 second' \
                        WHERE status = 'PENDING'";
const LEFT: &str = "SELECT count(*) FROM orders WHERE status = 'PENDING'";

/// Lets all pending orders be due, and watches until none is left. Counted is from the first that is seen cancelled:
/// when the loop looks is an interval's chance.
pub(crate) async fn watch(database: &Database) -> Step<Window> {
    let begun = Instant::now();
    database.run("letting orders be due", MAKE_DUE).await?;
    let all = database.number("counting orders", LEFT).await?;
    let mut first: Option<(Instant, i64)> = None;
    loop {
        let left = database.number("counting orders", LEFT).await?;
        let now = Instant::now();
        if first.is_none() && left < all {
            first = Some((now, left));
        }
        match first {
            Some((since, at_first)) if left == 0 => {
                let mut latencies = Latencies::default();
                let elapsed = now - since;
                // How long single orders took is not seen from outside; the count is what matters.
                let count = u32::try_from(at_first.max(1)).unwrap_or(u32::MAX);
                (0..count).for_each(|_| latencies.add(elapsed / count));
                return Ok(Window { elapsed, latencies, ..Window::default() });
            }
            _ if begun.elapsed() > LIMIT => {
                let told = format!("{left} of {all} orders are still pending after {LIMIT:?}");
                return Err(StepFailed::new("waiting for the sweep", told));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
