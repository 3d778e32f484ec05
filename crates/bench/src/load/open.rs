//! Open loop: requests come at a fixed rate, whether or not those before them were answered, as they do from customers
//! who know nothing of each other.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::sleep_until;

use super::{Connection, Errors, Failure, Latencies};

/// What became of one request of an open loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It was taken and answered.
    Accepted,
    /// It was refused as it should be: 503 with `Retry-After`.
    Refused,
}

/// What came of a window of open load.
#[derive(Debug, Default)]
pub(crate) struct OpenWindow {
    /// From the first arrival to the last.
    pub(crate) elapsed: Duration,
    /// From the first arrival to the last answer.
    pub(crate) drained: Duration,
    /// From the moment a request was due to its answer, of those that were taken.
    pub(crate) accepted: Latencies,
    /// Those of them that were answered while requests still arrived.
    pub(crate) accepted_in_time: u64,
    pub(crate) refused: Latencies,
    /// Due while all connections that the generator may open were waiting for answers.
    pub(crate) not_sent: u64,
    pub(crate) errors: Errors,
}

/// Sends requests at `rate` per second for `length`, over at most `most` connections; `arrive` sends one.
pub(crate) async fn open<F, A>(
    address: SocketAddr,
    (rate, length, most): (f64, Duration, usize),
    arrive: A,
) -> OpenWindow
where
    A: Fn(Connection) -> F,
    F: Future<Output = (Connection, Result<Arrival, Failure>)>,
{
    let begun = Instant::now();
    let end = begun + length;
    let free: RefCell<Vec<Connection>> = RefCell::default();
    let window: RefCell<OpenWindow> = RefCell::default();
    let one = async |due: Instant| {
        let kept = free.borrow_mut().pop();
        let connection = match kept {
            Some(connection) => Ok(connection),
            None => Connection::open(address).await,
        };
        let (connection, arrival) = match connection {
            Ok(connection) => {
                let (connection, arrival) = arrive(connection).await;
                (Some(connection), arrival)
            }
            Err(failure) => (None, Err(failure)),
        };
        let now = Instant::now();
        let is_broken = matches!(&arrival, Err(failure) if failure.is_broken());
        window.borrow_mut().note(arrival, now - due, now <= end);
        free.borrow_mut().extend(connection.filter(|_| !is_broken));
    };
    let mut running = FuturesUnordered::new();
    let interval = Duration::from_secs_f64(1.0 / rate.max(1.0));
    let mut due = begun;
    while due < end {
        // What is due is sent at once, however late this loop comes to it.
        while due <= Instant::now() && due < end {
            if running.len() < most {
                running.push(one(due));
            } else {
                window.borrow_mut().not_sent += 1;
            }
            due += interval;
        }
        tokio::select! {
            Some(()) = running.next(), if !running.is_empty() => {}
            () = sleep_until(due.into()) => {}
        }
    }
    let elapsed = begun.elapsed();
    while running.next().await.is_some() {}
    drop(running);
    let mut window = window.into_inner();
    (window.elapsed, window.drained) = (elapsed, begun.elapsed());
    window
}

impl OpenWindow {
    fn note(&mut self, arrival: Result<Arrival, Failure>, took: Duration, in_time: bool) {
        match arrival {
            Ok(Arrival::Accepted) => {
                self.accepted.add(took);
                self.accepted_in_time += u64::from(in_time);
            }
            Ok(Arrival::Refused) => self.refused.add(took),
            Err(failure) => *self.errors.entry(failure.words().to_owned()).or_default() += 1,
        }
    }
}
