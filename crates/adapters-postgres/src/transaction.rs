//! Runs a write as one transaction: all of it or nothing, again on a deadlock, and never half-open.

use std::time::Duration;

use diesel::QueryResult;
use diesel::connection::TransactionDepthChange;
use diesel::result::Error;
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, SimpleAsyncConnection as _, TransactionManager as _};
use domain::store::StoreError;
use tokio::try_join;

use crate::batch::{BatchedWork, Outcome, Transactions};
use crate::error::{is_retryable, store_error};
use crate::pool::PgPool;

/// How often a transaction that met a deadlock or a serialization failure is run again.
const MAX_RETRIES: u32 = 3;

/// The longest pause before the first retry; each further one may take as much longer.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Why a transaction is rolled back.
#[derive(Debug)]
pub enum Rollback<E> {
    /// A rule refused the command.
    Refused(E),
    /// A statement failed. `?` on a statement's result gives this.
    Failed(Error),
}

impl<E> From<Error> for Rollback<E> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The bound that an `async |connection| …` closure meets when its future can move between threads; there is no
/// other way yet to say so of an `AsyncFn`.
pub trait Work<C, R>: AsyncFn(C) -> R + Fn(C) -> <Self as Work<C, R>>::Running {
    /// The closure's future.
    type Running: Future<Output = R>;
}

impl<F, C, R, Running> Work<C, R> for F
where
    F: AsyncFn(C) -> R + Fn(C) -> Running,
    Running: Future<Output = R>,
{
    type Running = Running;
}

impl PgPool {
    /// Runs `work` in a READ COMMITTED transaction, commits if it gives `Ok`, and rolls back otherwise.
    ///
    /// `work` runs again, at most 3 times and after a short random pause, if the database chose it to break a
    /// deadlock (40P01) or could not serialize it (40001), also where a pipelined statement hid that (25P02); so it
    /// borrows its command, and everything it does goes through the connection. An error of a statement must end it:
    /// after one, the server turns the commit into a rollback without saying so.
    ///
    /// If the connection is lost during the commit the outcome is unknown, and the answer is `Unavailable`. If the
    /// future is dropped half-way, the connection is closed, and the server rolls back.
    pub async fn transaction<T, E, F>(&self, work: F) -> Result<T, E>
    where
        for<'c> F: AsyncFn(&'c mut AsyncPgConnection) -> Result<T, Rollback<E>>
            + Work<&'c mut AsyncPgConnection, Result<T, Rollback<E>>, Running: Send>
            + Send
            + Sync,
        T: Send,
        E: From<StoreError> + Send,
    {
        let mut retries = 0;
        loop {
            let mut connection = self.get().await?;
            match attempt(&mut connection, &work).await {
                Ok(done) => return Ok(done),
                Err(Rollback::Refused(refusal)) => return Err(refusal),
                Err(Rollback::Failed(error)) if retries < MAX_RETRIES && is_retryable(&error) => {
                    drop(connection);
                    retries += 1;
                    tracing::debug!(%error, retries, "running a transaction again");
                    tokio::time::sleep(pause(retries)).await;
                }
                Err(Rollback::Failed(error)) => return Err(store_error(error).into()),
            }
        }
    }
}

async fn attempt<T, E, F>(connection: &mut AsyncPgConnection, work: &F) -> Result<T, Rollback<E>>
where
    for<'c> F: AsyncFn(&'c mut AsyncPgConnection) -> Result<T, Rollback<E>>
        + Work<&'c mut AsyncPgConnection, Result<T, Rollback<E>>, Running: Send>
        + Send
        + Sync,
    T: Send,
    E: Send,
{
    AnsiTransactionManager::begin_transaction(connection).await?;
    match work(&mut *connection).await {
        Ok(done) => {
            AnsiTransactionManager::commit_transaction(connection).await?;
            Ok(done)
        }
        Err(reason) => {
            if let Err(error) = AnsiTransactionManager::rollback_transaction(connection).await {
                // The connection is marked broken, and the pool closes it: that rolls back as well.
                tracing::debug!(%error, "a rollback failed");
            }
            Err(reason)
        }
    }
}

/// Begins the transaction of a command alone, which waits for locks as long as any transaction.
const BEGIN_FOR_ONE: &str = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan";

/// Begins the transaction of several commands. They wait for a row lock for one second: so long one locked row may keep
/// the others waiting. After that each command is run by itself, and waits by itself.
const BEGIN_FOR_SEVERAL: &str = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL lock_timeout = '1s'";

/// Why a batch as a whole came to nothing, as far as is known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// There was no connection for it.
    #[error(transparent)]
    NotBegun(StoreError),
    /// Nothing of it is done.
    #[error(transparent)]
    RolledBack(Error),
    /// Its commit was sent and not confirmed: all of it is done, or nothing.
    #[error("it is unknown whether the transaction was committed: {0}")]
    InDoubt(Error),
}

impl<W: BatchedWork> Transactions<W> for PgPool {
    /// Runs again on a deadlock, as [`PgPool::transaction`] does, and tells a lost commit from a transaction that was
    /// rolled back.
    async fn batch(&self, work: &W, commands: &[W::Command], again: bool) -> Result<Vec<Outcome<W>>, Failure> {
        let mut retries = 0;
        loop {
            let mut connection = self.get().await.map_err(Failure::NotBegun)?;
            match attempt_batch(&mut connection, work, commands, again).await {
                Err(Failure::RolledBack(error)) if retries < MAX_RETRIES && is_retryable(&error) => {
                    drop(connection);
                    retries += 1;
                    tracing::debug!(%error, retries, lane = W::NAME, "running a batch again");
                    tokio::time::sleep(pause(retries)).await;
                }
                ended => return ended,
            }
        }
    }
}

async fn attempt_batch<W: BatchedWork>(
    connection: &mut AsyncPgConnection,
    work: &W,
    commands: &[W::Command],
    again: bool,
) -> Result<Vec<Outcome<W>>, Failure> {
    open(connection).map_err(Failure::RolledBack)?;
    let shared: &AsyncPgConnection = connection;
    let ran = try_join!(biased; begin(shared, commands.len()), work.run(shared, commands, again));
    match ran.map(|((), outcomes)| outcomes) {
        Ok(outcomes) => {
            AnsiTransactionManager::commit_transaction(connection).await.map_err(Failure::InDoubt)?;
            Ok(outcomes)
        }
        Err(error) => {
            if let Err(error) = AnsiTransactionManager::rollback_transaction(connection).await {
                // The connection is marked broken, and the pool closes it: that rolls back as well.
                tracing::debug!(%error, "a rollback failed");
            }
            Err(Failure::RolledBack(error))
        }
    }
}

/// Counts a transaction as open before its `BEGIN` is sent, which shares the round trip of the first lock. From here on
/// the pool closes the connection if it comes back before the commit or the rollback.
fn open(connection: &mut AsyncPgConnection) -> QueryResult<()> {
    let status = AnsiTransactionManager::transaction_manager_status_mut(connection).transaction_state()?;
    status.change_transaction_depth(TransactionDepthChange::IncreaseDepth)
}

/// Begins a batch's transaction.
///
/// Who waits alone may wait long; who makes others wait may not. And what a batch sends is planned once: its statements
/// find rows by key, and only how many differs, which the planner would weigh anew each time.
async fn begin(mut connection: &AsyncPgConnection, commands: usize) -> QueryResult<()> {
    let sql = if commands > 1 { BEGIN_FOR_SEVERAL } else { BEGIN_FOR_ONE };
    connection.batch_execute(sql).await
}

/// A random pause, so that the two sides of a deadlock do not meet again.
fn pause(retries: u32) -> Duration {
    RETRY_PAUSE.mul_f64(rand::random_range(0.2..=1.0) * f64::from(retries))
}
