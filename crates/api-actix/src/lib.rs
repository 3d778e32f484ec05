//! The HTTP contract: routes, request and response types, problems, authentication.
//!
//! [`application::app`] mounts routes inside what they all share, from the outside in: the [`edge`] (request id,
//! log line, headers, problems as JSON), the [`limits`] per client address, the [`body`] read up to its limit, and the
//! [`access`] rule each route is declared with. A handler's arguments are checked in the order in which they are written, and none of them
//! waits: write them as path id, query, body, which is the contract's order of checks.

pub mod access;
pub mod application;
pub mod body;
mod cors;
pub mod cursor;
pub mod edge;
pub mod fields;
pub mod limits;
pub mod once;
pub mod openapi;
pub mod path;
pub mod problem;
pub mod query;
pub mod resource;
pub mod routes;
mod tracing_context;
mod traffic;
pub mod wire;
pub mod writes;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
