//! What can go wrong in a store, seen from a use case that can do nothing about it.

use std::error::Error;

/// A repository could not do its work. Rules never look inside; the boundary logs the source once.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// So much waits for the store already that this was turned away at once. Nothing was begun; a later try may
    /// succeed.
    #[error("too much waits for the store already")]
    Busy,
    /// The store cannot be reached now; a later try may succeed. Nothing was decided, or the outcome of a commit is
    /// unknown.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// A bug or damaged data: a repeat will not help.
    #[error("the store failed unexpectedly")]
    Unexpected(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// Wraps the cause of a passing failure.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// Wraps the cause of a failure that a repeat won't mend.
    pub fn unexpected(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unexpected(source.into())
    }
}
