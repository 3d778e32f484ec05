//! The binary: configuration, wiring, commands, background loops, the development PostgreSQL.

pub mod config;
pub mod dev_postgres;
pub mod environment;
