//! Idempotency keys on PostgreSQL. Ages go by the database's clock, which all instances share.

mod claim;
mod effect;

pub use claim::PgIdempotency;
pub(crate) use effect::{Effect, lock_claims, mark_effect};
