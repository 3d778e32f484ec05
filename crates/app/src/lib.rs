//! The binary: configuration, wiring, commands, background loops, the development PostgreSQL.

pub mod background;
pub mod cli;
pub mod config;
pub mod database;
pub mod dev_postgres;
pub mod environment;
pub mod logging;
#[cfg(test)]
mod memory;
pub mod metrics;
pub mod password_prompt;
mod progress;
mod reconciliation;
pub mod run;
pub mod seed_demo;
pub mod serve;
pub mod shop;
pub mod system;
pub mod traces;
mod vital_signs;
mod welcome;
pub mod with_test_postgres;
