//! Contract suites per port, races, and end-to-end tests on real parts.
//!
//! [`shop::TestShop`] is a whole shop for one test; [`actors`] act in it; [`invariants`] are checked when it closes.

pub mod actors;
pub mod clock;
pub mod collector;
pub mod database;
pub mod dice;
pub mod events;
pub mod http;
pub mod invariants;
pub mod load;
pub mod people;
pub mod pg_proxy;
pub mod plan_tap;
pub mod process;
pub mod settling;
pub mod shop;
pub mod site;
pub mod trials;
pub mod wait;
pub mod wire;
