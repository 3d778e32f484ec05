//! Stripe behind the domain's payment port: the gateway, and signed webhooks as domain events.
//!
//! [`StripeGateway`] asks Stripe; [`StripeWebhooks`] reads what Stripe says unasked. Requests and answers are the
//! typed ones of `async-stripe`; how they travel (pooled connections, time-outs, repeats, the circuit) is ours,
//! because its own client opens a connection per request and can't repeat one under a key of the shop's.

mod call;
mod circuit;
mod config;
mod events;
mod gateway;
mod refund;
mod session;
mod throttle;
mod transport;
mod verdict;
mod webhook;

pub use config::{CallLimits, InvalidStripeConfig, Secret, StripeConfig};
pub use gateway::StripeGateway;
pub use webhook::StripeWebhooks;
