//! Contract suites per port, races, and end-to-end tests on real parts.

pub mod database;
