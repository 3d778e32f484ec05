//! What a failed statement means to a use case: the store is unavailable, a rule was broken, or there is a bug.
//!
//! The driver passes on the kind of an error only for constraint violations and serialization failures; the
//! SQLSTATE of all others stays hidden. Those are told apart by their message, which each session asks for in
//! English. A server that refuses to speak English to us answers 500 where 503 would be right, no worse.

use std::error::Error as StdError;

use diesel::result::{DatabaseErrorKind, Error};
use domain::store::StoreError;

use crate::transaction::Rollback;

/// Messages (beginnings) of errors that a later try may not meet, beside their SQLSTATE.
const PASSING: [&str; 11] = [
    "terminating connection",  // 57P01, 57P02, 25P03: the server or its operator ended the session
    "the database system is",  // 57P03: starting up, shutting down, in recovery
    "canceling statement",     // 57014: statement_timeout; 55P03: lock_timeout
    "could not obtain lock",   // 55P03: NOWAIT
    "deadlock detected",       // 40P01, after the last retry
    "sorry, too many clients", // 53300
    "remaining connection slots", // 53300
    "too many connections",    // 53300, for a role or a database
    "out of memory",           // 53200
    "out of shared memory",    // 53200
    // 25P02: another statement of the same pipeline failed and ended the transaction; which one is told first is
    // chance. Seen with a full disk. A bug behind it is a 500 whenever its own error comes first.
    "current transaction is aborted",
];

/// A full disk (53100) is named at the message's end.
const DISK_FULL: &str = "No space left on device";

/// Tells a passing failure from an unexpected one.
pub(crate) fn store_error(error: Error) -> StoreError {
    if is_passing(&error) { StoreError::unavailable(error) } else { StoreError::unexpected(error) }
}

fn is_passing(error: &Error) -> bool {
    match error {
        Error::BrokenTransactionManager => true,
        Error::RollbackErrorOnCommit { commit_error, .. } => is_passing(commit_error),
        Error::DatabaseError(kind, information) => match kind {
            DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure
            // Seen after a fail-over, until the connection to the former primary is replaced.
            | DatabaseErrorKind::ReadOnlyTransaction => true,
            DatabaseErrorKind::Unknown => {
                let message = information.message();
                PASSING.iter().any(|beginning| message.starts_with(beginning)) || message.ends_with(DISK_FULL)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether running the whole transaction again may succeed: 40001 and 40P01, nothing else.
pub(crate) fn is_retryable(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        Error::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            information.message().starts_with("deadlock detected")
        }
        Error::RollbackErrorOnCommit { commit_error, .. } => is_retryable(commit_error),
        _ => false,
    }
}

/// The constraint that the statement broke, if it broke a unique, check or foreign-key one.
#[must_use]
pub(crate) fn broken_constraint(error: &Error) -> Option<&str> {
    match error {
        Error::DatabaseError(
            DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::CheckViolation
            | DatabaseErrorKind::ForeignKeyViolation,
            information,
        ) => information.constraint_name(),
        _ => None,
    }
}

/// Turns the violation of one named constraint into a refusal, and passes every other error on:
/// `.map_err(refuse_on("products_name_live_key", || CreateProductError::NameTaken))?`
pub(crate) fn refuse_on<E>(constraint: &'static str, refusal: impl FnOnce() -> E) -> impl FnOnce(Error) -> Rollback<E> {
    move |error| match broken_constraint(&error) {
        Some(broken) if broken == constraint => Rollback::Refused(refusal()),
        _ => Rollback::Failed(error),
    }
}

/// A row that breaks the domain's rules, although the database's checks should have kept it out.
pub(crate) fn damaged(reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::DeserializationError(reason.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn database(kind: DatabaseErrorKind, message: &str) -> Error {
        Error::DatabaseError(kind, Box::new(message.to_owned()))
    }

    #[test]
    fn what_a_later_try_may_not_meet_is_unavailable() {
        for message in [
            "terminating connection due to administrator command",
            "the database system is shutting down",
            "canceling statement due to lock timeout",
            "canceling statement due to statement timeout",
            "sorry, too many clients already",
            "could not extend file \"base/1/2\": No space left on device",
            "current transaction is aborted, commands ignored until end of transaction block",
        ] {
            let error = store_error(database(DatabaseErrorKind::Unknown, message));
            assert!(matches!(error, StoreError::Unavailable(_)), "{message}");
        }
        let lost = store_error(database(DatabaseErrorKind::UnableToSendCommand, "connection closed"));
        assert!(matches!(lost, StoreError::Unavailable(_)));
    }

    #[test]
    fn everything_else_is_unexpected() {
        for error in [
            database(DatabaseErrorKind::Unknown, "column \"nme\" does not exist"),
            database(DatabaseErrorKind::CheckViolation, "canceling statement"),
            Error::NotFound,
            damaged("a price of 0"),
        ] {
            assert!(matches!(store_error(error), StoreError::Unexpected(_)));
        }
    }

    #[test]
    fn only_serialization_failures_and_deadlocks_are_tried_again() {
        assert!(is_retryable(&database(DatabaseErrorKind::SerializationFailure, "could not serialize access")));
        assert!(is_retryable(&database(DatabaseErrorKind::Unknown, "deadlock detected")));
        assert!(!is_retryable(&database(DatabaseErrorKind::Unknown, "canceling statement due to lock timeout")));
        assert!(!is_retryable(&database(DatabaseErrorKind::UnableToSendCommand, "connection closed")));
    }
}
