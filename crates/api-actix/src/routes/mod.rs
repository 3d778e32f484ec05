//! The routes, one file per group of the contract's table. Each file's `configure` mounts its resources; what
//! they call is app data, which the application adds.

pub mod health;
