//! Accounts: who may call, how they prove it, and for how long (contract 2, auth and users).

mod actor;
mod role;

pub use actor::{Actor, AuthenticateError};
pub use role::Role;
