//! The shop on real parts: contract suites per port, races, faults and whole flows. One program, so that it links once;
//! each test still runs in a process of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod cancelling;
mod cart;
mod catalog;
mod crash;
mod expiring;
mod faults;
mod fraud;
mod gateway;
mod idempotency;
mod known_failures;
mod listing;
mod migrations;
mod paying;
mod placing;
mod pool;
mod purchase;
mod races;
mod refunds;
mod signing_in;
mod sweeping;
mod webhooks;
