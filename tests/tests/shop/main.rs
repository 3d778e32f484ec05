//! The shop on real parts: contract suites per port, races, faults and whole flows. One program, so that it links once;
//! each test still runs in a process of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod auth_guard;
mod bad_input;
mod batching;
mod cancelling;
mod cart;
mod catalog;
mod crash;
mod events;
mod expiring;
mod faults;
mod forgetting;
mod fraud;
mod gateway;
mod idempotency;
mod idempotency_model;
mod known_failures;
mod listing;
mod metrics;
mod migrations;
mod model;
mod parsing;
mod paying;
mod placing;
mod pool;
mod purchase;
mod query_plans;
mod races;
mod rate_limits;
mod reading;
mod reconciling;
mod refunds;
mod rotation;
mod security;
mod signing_in;
mod sweeping;
mod traces;
mod webhooks;
