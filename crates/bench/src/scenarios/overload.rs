//! Overload: orders come at a fixed rate, more than the shop can take. What it takes it must answer in time, and refuse
//! the rest at once, with 503 and `Retry-After`.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use super::{ADDRESS, write_request};
use crate::load::{Arrival, Failure, OpenWindow, open};

/// Connections that the generator opens at most. A shop that lets requests pile up instead of refusing them uses them
/// all, and what is due then counts as not sent.
pub(crate) const MOST_CONNECTIONS: usize = 4_000;

/// Orders at `rate` per second; each customer is asked again only if refused.
pub(crate) async fn overload(address: SocketAddr, tokens: &[String], rate: f64, length: Duration) -> OpenWindow {
    let waiting: RefCell<Vec<&str>> = RefCell::new(tokens.iter().map(String::as_str).collect());
    open(address, (rate, length, MOST_CONNECTIONS), async |mut connection| {
        let next = waiting.borrow_mut().pop();
        let Some(token) = next else {
            return (connection, Err(Failure::unexpected("no filled cart was left: the window is too long")));
        };
        write_request(&mut connection.output, "POST /api/v1/orders", Some(token), Some(ADDRESS));
        let arrival = match connection.exchange_output().await {
            Ok(answer) if answer.status == 503 && answer.has_retry_after => {
                waiting.borrow_mut().push(token);
                Ok(Arrival::Refused)
            }
            Ok(answer) => answer.expect("POST /orders", 201).map(|()| Arrival::Accepted),
            Err(failure) => Err(failure),
        };
        (connection, arrival)
    })
    .await
}
