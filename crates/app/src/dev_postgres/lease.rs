//! Who uses a cluster, kept in file locks: the kernel takes them back even from a killed process.
//!
//! Two files in the cluster's folder: `turn.lock` is held (exclusively) by the one process that is starting or
//! stopping the server; `in-use.lock` is held (shared) by every process that uses it. The last user is the one
//! that, during its turn, gets `in-use.lock` exclusively.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::DevPostgresError;

/// Starting takes a second or two; ten times the worst case seen, a first start that downloads the programs.
const TURN_LIMIT: Duration = Duration::from_mins(4);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// The right to start or stop the server; given back when dropped.
pub(super) struct Turn {
    _lock: File,
}

impl Turn {
    pub(super) async fn take(directory: &Path) -> Result<Self, DevPostgresError> {
        Self::take_within(directory, TURN_LIMIT).await
    }

    async fn take_within(directory: &Path, limit: Duration) -> Result<Self, DevPostgresError> {
        let lock = open(directory, "turn.lock")?;
        let began = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { _lock: lock }),
                Err(TryLockError::WouldBlock) if began.elapsed() < limit => {
                    sleep(POLL_EVERY).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(DevPostgresError::Busy { directory: directory.to_owned(), waited: limit });
                }
                Err(TryLockError::Error(source)) => {
                    return Err(DevPostgresError::files("locking", directory)(source));
                }
            }
        }
    }
}

/// The sign that a process uses the server; given back when dropped, or when the process ends in any way.
pub(super) struct Lease {
    _lock: File,
}

impl Lease {
    /// Only during a [`Turn`]: nobody can then be asking whether they are the last.
    pub(super) fn take(_turn: &Turn, directory: &Path) -> Result<Self, DevPostgresError> {
        let lock = open(directory, "in-use.lock")?;
        lock.try_lock_shared().map_err(|error| DevPostgresError::files("locking", directory)(error.into()))?;
        Ok(Self { _lock: lock })
    }

    /// Gives the lease back and tells whether it was the last one.
    pub(super) fn give_back(self, _turn: &Turn, directory: &Path) -> Result<bool, DevPostgresError> {
        drop(self);
        match open(directory, "in-use.lock")?.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(DevPostgresError::files("locking", directory)(source)),
        }
    }
}

fn open(directory: &Path, name: &str) -> Result<File, DevPostgresError> {
    let path = directory.join(name);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(DevPostgresError::files("opening", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[tokio::test]
    async fn only_one_process_at_a_time_has_its_turn() {
        let directory = tempfile::tempdir().unwrap();
        let turn = Turn::take(directory.path()).await.unwrap();
        let refused = Turn::take_within(directory.path(), Duration::from_millis(60)).await;
        assert!(matches!(refused, Err(DevPostgresError::Busy { .. })));
        drop(turn);
        Turn::take_within(directory.path(), Duration::from_millis(60)).await.unwrap();
    }

    #[tokio::test]
    async fn the_last_of_several_users_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let turn = Turn::take(directory.path()).await.unwrap();
        let first = Lease::take(&turn, directory.path()).unwrap();
        let second = Lease::take(&turn, directory.path()).unwrap();
        assert!(!first.give_back(&turn, directory.path()).unwrap());
        assert!(second.give_back(&turn, directory.path()).unwrap());
    }
}
