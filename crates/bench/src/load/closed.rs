//! Closed loop: every connection does one unit after the other, and never waits in between.

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::{Connection, Failure, Window};

/// What became of a unit that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// It was done.
    Done,
    /// There is nothing left to do for this connection.
    NothingLeft,
}

/// Work that is done in units. All of it happens on one thread, so that state may be kept in cells.
pub(crate) trait Scenario {
    /// Does one unit over a connection, and checks every answer.
    fn unit(&self, connection: &mut Connection) -> impl Future<Output = Result<Unit, Failure>>;
}

/// Runs a scenario on all these connections for so long; units that have begun by then are waited for.
pub(crate) async fn closed<S: Scenario>(scenario: &S, connections: &mut [Connection], length: Duration) -> Window {
    let begun = Instant::now();
    let end = begun + length;
    let mut running: FuturesUnordered<_> =
        connections.iter_mut().map(|connection| visit(scenario, connection, end)).collect();
    let mut all = Window::default();
    while let Some(one) = running.next().await {
        all.latencies.extend(&one.latencies);
        for (words, count) in one.errors {
            *all.errors.entry(words).or_default() += count;
        }
    }
    all.elapsed = begun.elapsed();
    all
}

async fn visit<S: Scenario>(scenario: &S, connection: &mut Connection, end: Instant) -> Window {
    let mut window = Window::default();
    let mut now = Instant::now();
    while now < end {
        let done = scenario.unit(connection).await;
        let after = Instant::now();
        match done {
            Ok(Unit::Done) => window.latencies.add(after - now),
            Ok(Unit::NothingLeft) => break,
            Err(failure) => {
                *window.errors.entry(failure.words().to_owned()).or_default() += 1;
                if failure.is_broken() && connection.reopen().await.is_err() {
                    *window.errors.entry("the shop takes no connections".to_owned()).or_default() += 1;
                    break;
                }
            }
        }
        now = after;
    }
    window
}
