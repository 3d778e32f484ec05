//! The rules of orders, tried out: a file per decision, one for what an order hears, one for what always holds,
//! one for what the use cases ask of their ports.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cancel;
mod expire;
mod fulfil;
mod hear;
mod invariants;
mod place;
mod place_batch;
mod refund;
mod service;
mod start_payment;
