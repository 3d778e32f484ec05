//! The simulator as its callers meet it: over real HTTP, each test with its own instance.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod access;
mod control_api;
mod faults;
mod idempotency;
mod lifecycle;
mod lists;
mod page;
mod payments;
mod refunds;
mod sessions;
mod support;
mod typed_client;
mod webhooks;
