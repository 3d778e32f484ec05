//! How often clients may ask (contract 4): the global limit per address, the checkout guard per customer, and what the
//! headers `RateLimit-*` say of the limit that is closest.
//!
//! These two count in memory, per instance, in token buckets that refill evenly. The auth guard is the domain's
//! ([`AuthGuard`](domain::account::AuthGuard)); here are its refusals before the body is read, and its headers.

mod auth;
mod buckets;
mod checkout;
mod client_address;
mod global;
mod refusal;
mod standing;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use domain::account::{Client, ClientNetwork};
use ipnet::IpNet;

pub(crate) use self::auth::{Attempted, guard_attempts};
pub use self::buckets::Rate;
use self::buckets::{Buckets, Empty};
pub use self::checkout::CheckoutGuard;
use self::client_address::{client_address, contains};
pub(crate) use self::global::{FromClient, count, refuse_excess};
pub use self::standing::{RATELIMIT_LIMIT, RATELIMIT_REMAINING, RATELIMIT_RESET, Standing, Standings};

/// How often clients may ask, and how they are told apart.
#[derive(Debug, Clone, Default)]
pub struct LimitRules {
    /// Requests per client address; `None` lets any number through.
    pub global: Option<Rate>,
    /// Orders and payments per customer; `None` lets any number through.
    pub checkout: Option<Rate>,
    /// Networks that the limits per address leave alone.
    pub exempt: Vec<IpNet>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// The limits of one instance, shared by its workers.
pub struct Limits {
    global: Option<Buckets<ClientNetwork>>,
    checkout: Arc<CheckoutGuard>,
    exempt: Vec<IpNet>,
    trusted_proxies: Vec<IpNet>,
}

impl Limits {
    /// Limits that nobody has used yet.
    #[must_use]
    pub fn new(rules: LimitRules) -> Self {
        let LimitRules { global, checkout, exempt, trusted_proxies } = rules;
        Self {
            global: global.map(Buckets::new),
            checkout: Arc::new(CheckoutGuard::new(checkout)),
            exempt,
            trusted_proxies,
        }
    }

    /// The checkout guard; handlers and middlewares find it as `Data<CheckoutGuard>`.
    pub(crate) fn checkout(&self) -> Arc<CheckoutGuard> {
        Arc::clone(&self.checkout)
    }

    fn client(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Client {
        let address = client_address(peer, headers, &self.trusted_proxies);
        Client { network: ClientNetwork::of(address), is_exempt: contains(&self.exempt, address) }
    }

    /// Counts a request; `None` if the global limit does not apply to this client.
    fn take_global(&self, client: Client) -> Option<Result<Standing, Empty>> {
        self.global.as_ref().filter(|_| !client.is_exempt).map(|buckets| buckets.take(client.network))
    }
}
