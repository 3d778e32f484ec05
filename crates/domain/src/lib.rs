//! The shop's rules: types, decisions, use cases, and the ports they need.
//!
//! Packaged by feature; one file per use case. Nothing here knows HTTP, SQL or Stripe: adapters implement the
//! port traits, and the `app` binary puts them together. Decisions are pure and synchronous, so no call to
//! the outside can ever happen while rows are locked.

pub mod account;
pub mod cart;
pub mod catalog;
pub mod clock;
pub mod fraud;
pub mod id;
pub mod idempotency;
pub mod money;
pub mod order;
pub mod page;
pub mod payment;
pub mod quantity;
pub mod retention;
pub mod store;
pub mod text;
