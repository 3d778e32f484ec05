//! What the API says of itself: an OpenAPI 3.1 document, made of the routes as they are mounted.
//!
//! Nothing is described beside the code that does it. A route can't be mounted without an [`Operation`]; what it takes
//! follows from its handler's arguments (see `argument`), a request's fields and their bounds from the readers that read
//! them ([`Fields::description`](crate::fields::Fields::description)), who may call it from [`Who`](crate::access::Who),
//! and its problems from their codes.

mod argument;
mod components;
mod document;
pub(crate) mod examples;
mod operation;
mod problems;
mod promises;
pub(crate) mod schemas;
#[cfg(test)]
mod tests;

pub(crate) use self::argument::Arguments;
pub use self::document::document;
pub use self::operation::Operation;
pub(crate) use self::operation::{OperationAt, Tag};
pub use self::promises::broken_promise;
pub use self::schemas::{Described, FieldDescription};
