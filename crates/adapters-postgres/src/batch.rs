//! Natural batching: commands that arrive while a transaction runs form the next one. No timer: who comes alone is
//! served at once, alone; the more come, the more share a commit.
//!
//! A [`Lane`] is a bounded queue and a task that works it off, one transaction after the other. What its transactions
//! do is a [`BatchedWork`]: set-based SQL for all commands, and one outcome for each. A command that is refused
//! refuses nobody else; a batch that fails as a whole is run again with each command in a transaction of its own; and
//! one that is slow, because it waits for somebody's lock, is overtaken by the next.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use diesel::QueryResult;
use diesel::result::Error;
use diesel_async::AsyncPgConnection;
use domain::store::StoreError;
use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinSet};
use tokio::time::sleep;
use tracing::{Instrument as _, Span};

use crate::error::store_error;
use crate::pool::PgPool;
use crate::transaction::Failure;

/// The most commands of one transaction. Beyond, each further one saves next to nothing, and all wait longer.
const MAX_BATCH: usize = 64;

/// The most commands that wait for their batch; a further one is refused as busy. At the slowest rate that was
/// measured they wait less than a second.
const MAX_WAITING: usize = 512;

/// How long a batch has the lane for itself. One that takes longer waits for a lock; the next begins beside it.
const PATIENCE: Duration = Duration::from_millis(100);

/// The most batches of a lane at once: slow ones must not take all connections.
const MAX_AT_ONCE: usize = 4;

/// How often a command is run again by itself when it is unknown whether its transaction was committed.
const MAX_REPEATS: u32 = 2;

/// What became of a command.
pub(crate) type Outcome<W> = Result<<W as BatchedWork>::Done, <W as BatchedWork>::Refusal>;

/// What the transactions of a lane do.
pub(crate) trait BatchedWork: Send + Sync + 'static {
    /// What is asked for.
    type Command: Send + Sync + 'static;
    /// What is given for it.
    type Done: Send + 'static;
    /// Why it is not done.
    type Refusal: From<StoreError> + Send + 'static;

    /// The lane's name in metrics and logs.
    const NAME: &'static str;

    /// Whether a command may be run again when it is unknown whether its transaction was committed: because [`run`]
    /// looks what is there, or because once more changes nothing.
    ///
    /// [`run`]: BatchedWork::run
    const REPEATABLE: bool;

    /// What a batch has one command about, and which command that is: others about the same wait for the next batch, in
    /// their order; repeats of the one may come along.
    fn subject(_command: &Self::Command) -> Option<(&str, &str)> {
        None
    }

    /// Runs all commands in the transaction that is open on `connection`, and gives their outcomes in their order.
    /// `again` says that an earlier transaction of these commands may have been committed. An error rolls all back.
    fn run(
        &self,
        connection: &AsyncPgConnection,
        commands: &[Self::Command],
        again: bool,
    ) -> impl Future<Output = QueryResult<Vec<Outcome<Self>>>> + Send
    where
        Self: Sized;

    /// The refusal that an error of a command's own transaction stands for, if it stands for one.
    fn refusal_of(&self, _error: &Error) -> Option<Self::Refusal> {
        None
    }
}

/// Where batches are run: a database, or a test's idea of one.
pub(crate) trait Transactions<W: BatchedWork>: Send + Sync + 'static {
    /// Runs commands in one transaction.
    fn batch(
        &self,
        work: &W,
        commands: &[W::Command],
        again: bool,
    ) -> impl Future<Output = Result<Vec<Outcome<W>>, Failure>> + Send;
}

/// Runs batches of one statement, each of which is a transaction already.
struct Statements(PgPool);

impl<W: BatchedWork> Transactions<W> for Statements {
    async fn batch(&self, work: &W, commands: &[W::Command], again: bool) -> Result<Vec<Outcome<W>>, Failure> {
        let connection = self.0.get().await.map_err(Failure::NotBegun)?;
        work.run(&connection, commands, again).await.map_err(Failure::RolledBack)
    }
}

struct Job<W: BatchedWork> {
    command: W::Command,
    reply: oneshot::Sender<Outcome<W>>,
    /// Who asked, for traces.
    span: Span,
}

/// A queue of commands that share transactions. Clones share it; it ends with the last one.
pub(crate) struct Lane<W: BatchedWork>(mpsc::Sender<Job<W>>);

impl<W: BatchedWork> Clone for Lane<W> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<W: BatchedWork> Lane<W> {
    /// Opens a lane on the runtime of the pool.
    pub(crate) fn open(pool: PgPool, work: W) -> Self {
        Self::spawn(&pool.runtime().clone(), pool, work)
    }

    /// The same for work that only reads, by one statement, and so needs no transaction.
    pub(crate) fn open_for_reads(pool: PgPool, work: W) -> Self {
        Self::spawn(&pool.runtime().clone(), Statements(pool), work)
    }

    fn spawn(runtime: &Handle, transactions: impl Transactions<W>, work: W) -> Self {
        let (lane, worked_off) = Self::on(transactions, work);
        runtime.spawn(worked_off);
        lane
    }

    /// A lane, and what works it off until the last clone of the lane is gone.
    fn on(transactions: impl Transactions<W>, work: W) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        (Self(sender), work_off(Arc::new(Worker { transactions, work }), receiver))
    }

    /// Runs a command in the next transaction, and answers when that is committed. The command is run to its end also
    /// if nobody waits for the answer any more.
    pub(crate) async fn run(&self, command: W::Command) -> Outcome<W> {
        let (reply, outcome) = oneshot::channel();
        self.0.try_send(Job { command, reply, span: Span::current() }).map_err(|error| match error {
            TrySendError::Full(_) => {
                metrics::counter!("ironcart_batch_refusals_total", "lane" => W::NAME).increment(1);
                StoreError::Busy
            }
            TrySendError::Closed(_) => StoreError::unavailable(format!("{}: nobody works it off", W::NAME)),
        })?;
        outcome.await.unwrap_or_else(|_| Err(StoreError::unexpected(format!("{}: a batch panicked", W::NAME)).into()))
    }
}

async fn work_off<W: BatchedWork, T: Transactions<W>>(worker: Arc<Worker<W, T>>, mut queue: mpsc::Receiver<Job<W>>) {
    let mut waiting = VecDeque::new();
    let mut under_way = JoinSet::new();
    while gather(&mut queue, &mut waiting).await {
        let batch = next_batch(&mut waiting);
        let span = span_of(&batch);
        let newest = under_way.spawn(Arc::clone(&worker).run_batch(batch).instrument(span)).id();
        wait_for(newest, &mut under_way).await;
    }
    // The last to ask are answered, too.
    while under_way.join_next().await.is_some() {}
}

/// Gives the newest batch the lane for itself until it has ended or lost patience. The end of an older one begins no
/// other: several at once wait for the same rows, so that all of them would stay slow for ever.
async fn wait_for(newest: Id, under_way: &mut JoinSet<()>) {
    let patience = sleep(PATIENCE);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            ended = under_way.join_next_with_id() => match ended {
                Some(Ok((id, ()))) if id != newest => {}
                _ => return,
            },
            () = &mut patience, if under_way.len() < MAX_AT_ONCE => return,
        }
    }
}

/// Waits for a command if none waits already, and takes what has come beside it; `false` when nobody can come any
/// more.
async fn gather<W: BatchedWork>(queue: &mut mpsc::Receiver<Job<W>>, waiting: &mut VecDeque<Job<W>>) -> bool {
    if waiting.is_empty() {
        let Some(first) = queue.recv().await else { return false };
        waiting.push_back(first);
    }
    while waiting.len() < MAX_BATCH
        && let Ok(next) = queue.try_recv()
    {
        waiting.push_back(next);
    }
    true
}

/// Takes the jobs that can share a transaction, oldest first; the others keep their order.
fn next_batch<W: BatchedWork>(waiting: &mut VecDeque<Job<W>>) -> Vec<Job<W>> {
    let mut subjects: HashMap<String, String> = HashMap::new();
    let mut batch = Vec::with_capacity(waiting.len().min(MAX_BATCH));
    let mut later = VecDeque::new();
    for job in waiting.drain(..) {
        let fits = W::subject(&job.command).is_none_or(|(subject, command)| {
            subjects.entry(subject.to_owned()).or_insert_with(|| command.to_owned()) == command
        });
        if fits && batch.len() < MAX_BATCH { batch.push(job) } else { later.push_back(job) }
    }
    *waiting = later;
    batch
}

/// A batch is a part of the request that came first, and the others' traces point to it.
fn span_of<W: BatchedWork>(batch: &[Job<W>]) -> Span {
    let Some((first, others)) = batch.split_first() else { return Span::none() };
    let span = tracing::debug_span!(parent: &first.span, "batch", lane = W::NAME, commands = batch.len());
    for job in others {
        span.follows_from(&job.span);
    }
    span
}

/// A batch failed as a whole, and its commands are to be run one by one.
#[derive(Clone, Copy)]
struct Again {
    /// Whether it may have been committed all the same.
    in_doubt: bool,
}

struct Worker<W, T> {
    transactions: T,
    work: W,
}

impl<W: BatchedWork, T: Transactions<W>> Worker<W, T> {
    /// Runs a batch to its end. A panic in it is a bug in the way of one command, and not the end of the others.
    async fn run_batch(self: Arc<Self>, jobs: Vec<Job<W>>) {
        let (commands, replies): (Vec<_>, Vec<_>) = jobs.into_iter().map(|job| (job.command, job.reply)).unzip();
        let again = match AssertUnwindSafe(self.try_batch(&commands)).catch_unwind().await {
            Ok(Ok(outcomes)) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // Whoever asked may have gone.
                    let _gone = reply.send(outcome);
                }
                return;
            }
            Ok(Err(again)) => again,
            Err(_panic) => {
                tracing::error!(lane = W::NAME, commands = commands.len(), "a batch panicked");
                Again { in_doubt: false }
            }
        };
        for (command, reply) in commands.into_iter().zip(replies) {
            let worker = Arc::clone(&self);
            tokio::spawn(async move {
                let _gone = reply.send(worker.run_alone(&[command], again).await);
            });
        }
    }

    /// Runs commands in one transaction.
    async fn try_batch(&self, commands: &[W::Command]) -> Result<Vec<Outcome<W>>, Again> {
        metrics::counter!("ironcart_batches_total", "lane" => W::NAME).increment(1);
        metrics::counter!("ironcart_batched_commands_total", "lane" => W::NAME).increment(commands.len() as u64);
        let failure = match self.transactions.batch(&self.work, commands, false).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(failure) => failure,
        };
        match failure {
            Failure::InDoubt(_) if W::REPEATABLE => Err(Again { in_doubt: true }),
            Failure::RolledBack(ref error) if commands.len() > 1 => {
                tracing::debug!(lane = W::NAME, commands = commands.len(), %error, "a batch failed as a whole");
                Err(Again { in_doubt: false })
            }
            Failure::RolledBack(error) => Ok(vec![Err(self.refusal(error))]),
            Failure::NotBegun(_) | Failure::InDoubt(_) => {
                let reason = failure.to_string();
                Ok(commands.iter().map(|_| Err(StoreError::unavailable(reason.clone()).into())).collect())
            }
        }
    }

    /// Runs one command in a transaction of its own.
    async fn run_alone(&self, command: &[W::Command], again: Again) -> Outcome<W> {
        let mut in_doubt = again.in_doubt;
        let mut repeats = 0;
        loop {
            let failure = match self.transactions.batch(&self.work, command, in_doubt).await {
                Ok(outcomes) => return outcomes.into_iter().next().unwrap_or_else(|| Err(no_outcome::<W>().into())),
                Err(failure) => failure,
            };
            match failure {
                Failure::NotBegun(error) => return Err(error.into()),
                Failure::RolledBack(error) => return Err(self.refusal(error)),
                Failure::InDoubt(_) if W::REPEATABLE && repeats < MAX_REPEATS => {
                    in_doubt = true;
                    repeats += 1;
                }
                Failure::InDoubt(error) => return Err(StoreError::unavailable(error).into()),
            }
        }
    }

    fn refusal(&self, error: Error) -> W::Refusal {
        self.work.refusal_of(&error).unwrap_or_else(|| store_error(error).into())
    }
}

fn no_outcome<W: BatchedWork>() -> StoreError {
    StoreError::unexpected(format!("{}: a command had no outcome", W::NAME))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::sync::Mutex;

    use diesel::result::DatabaseErrorKind;
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// Says what it was asked, with a subject before the colon if there is one.
    struct Echo<const REPEATABLE: bool>;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct No(String);

    impl From<StoreError> for No {
        fn from(error: StoreError) -> Self {
            Self(error.to_string())
        }
    }

    impl<const REPEATABLE: bool> BatchedWork for Echo<REPEATABLE> {
        type Command = String;
        type Done = String;
        type Refusal = No;

        const NAME: &'static str = "echo";
        const REPEATABLE: bool = REPEATABLE;

        fn subject(command: &String) -> Option<(&str, &str)> {
            command.split_once(':')
        }

        async fn run(&self, _: &AsyncPgConnection, _: &[String], _: bool) -> QueryResult<Vec<Outcome<Self>>> {
            panic!("these tests have no database")
        }
    }

    /// Its commands, and whether an earlier transaction of theirs may have been committed.
    type Ran = (Vec<String>, bool);

    fn lost() -> Failure {
        Failure::InDoubt(Error::DatabaseError(DatabaseErrorKind::UnableToSendCommand, Box::new("lost".to_owned())))
    }

    /// A database whose transactions wait for a permit each, and that remembers them.
    #[derive(Clone)]
    struct Gate {
        permits: Arc<Semaphore>,
        ran: Arc<Mutex<Vec<Ran>>>,
        losses: Arc<Semaphore>,
    }

    impl Gate {
        fn open() -> Self {
            let gate = Self::closed();
            gate.permits.add_permits(10_000);
            gate
        }

        fn closed() -> Self {
            Self { permits: Arc::new(Semaphore::new(0)), ran: Arc::default(), losses: Arc::new(Semaphore::new(0)) }
        }

        fn lane<const REPEATABLE: bool>(&self) -> Lane<Echo<REPEATABLE>> {
            let (lane, worked_off) = Lane::on(self.clone(), Echo);
            tokio::spawn(worked_off);
            lane
        }

        fn batches(&self) -> Vec<Vec<String>> {
            self.ran.lock().unwrap().iter().map(|(commands, _)| commands.clone()).collect()
        }
    }

    impl<const REPEATABLE: bool> Transactions<Echo<REPEATABLE>> for Gate {
        async fn batch(
            &self,
            _: &Echo<REPEATABLE>,
            commands: &[String],
            again: bool,
        ) -> Result<Vec<Result<String, No>>, Failure> {
            self.ran.lock().unwrap().push((commands.to_vec(), again));
            self.permits.acquire().await.unwrap().forget();
            assert!(!commands.contains(&"panic".to_owned()), "as asked for");
            if commands.contains(&"fail".to_owned()) {
                return Err(Failure::RolledBack(Error::NotFound));
            }
            if let Ok(loss) = self.losses.try_acquire() {
                loss.forget();
                return Err(lost());
            }
            let answer = |command: &String| match command.as_str() {
                "refuse" => Err(No("refused".to_owned())),
                command => Ok(command.to_owned()),
            };
            Ok(commands.iter().map(answer).collect())
        }
    }

    /// Asks for all at once; who is named first is first.
    async fn ask<const R: bool>(lane: &Lane<Echo<R>>, commands: &[&str]) -> Vec<Result<String, No>> {
        join_all(commands.iter().map(|command| lane.run((*command).to_owned()))).await
    }

    fn done(commands: &[&str]) -> Vec<Result<String, No>> {
        commands.iter().map(|command| Ok((*command).to_owned())).collect()
    }

    /// Lets the lane do what it can do now.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_alone_is_served_alone_and_at_once() {
        let gate = Gate::open();
        assert_eq!(ask(&gate.lane::<true>(), &["a"]).await, done(&["a"]));
        assert_eq!(gate.batches(), [["a"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_come_while_a_transaction_runs_share_the_next_one() {
        let gate = Gate::closed();
        let lane = gate.lane::<true>();
        let (first, behind) = (lane.clone(), lane.clone());
        let first = tokio::spawn(async move { ask(&first, &["a"]).await });
        settle().await;
        let behind = tokio::spawn(async move { ask(&behind, &["b", "c", "d"]).await });
        settle().await;
        assert_eq!(gate.batches(), [["a"]], "the others wait");
        gate.permits.add_permits(2);
        assert_eq!((first.await.unwrap(), behind.await.unwrap()), (done(&["a"]), done(&["b", "c", "d"])));
        assert_eq!(gate.batches(), [vec!["a"], vec!["b", "c", "d"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_command_refuses_nobody_else() {
        let outcomes = ask(&Gate::open().lane::<true>(), &["a", "refuse", "b"]).await;
        assert_eq!(outcomes, [Ok("a".to_owned()), Err(No("refused".to_owned())), Ok("b".to_owned())]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_fails_as_a_whole_is_run_one_by_one() {
        for fault in ["fail", "panic"] {
            let gate = Gate::open();
            let outcomes = ask(&gate.lane::<true>(), &["a", fault, "b"]).await;
            assert_eq!((&outcomes[0], &outcomes[2]), (&Ok("a".to_owned()), &Ok("b".to_owned())), "{fault}");
            assert_eq!(outcomes[1], Err(No("the store failed unexpectedly".to_owned())), "{fault}");
            assert_eq!(ask(&gate.lane::<true>(), &["c"]).await, done(&["c"]), "the lane goes on");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_have_been_committed_is_run_again_and_told_so() {
        let gate = Gate::open();
        gate.losses.add_permits(1);
        assert_eq!(ask(&gate.lane::<true>(), &["a", "b"]).await, done(&["a", "b"]));
        let mut alone = gate.ran.lock().unwrap()[1..].to_vec();
        alone.sort();
        assert_eq!(alone, [(vec!["a".to_owned()], true), (vec!["b".to_owned()], true)]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_lost_again_and_again_is_unavailable_in_the_end() {
        let gate = Gate::open();
        gate.losses.add_permits(100);
        assert_eq!(ask(&gate.lane::<true>(), &["a"]).await, [Err(No("the store is unavailable".to_owned()))]);
        assert_eq!(gate.batches().len(), 2 + MAX_REPEATS as usize, "once with others, then alone");
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_count_twice_is_not_run_again() {
        let gate = Gate::open();
        gate.losses.add_permits(1);
        let unavailable = || Err(No("the store is unavailable".to_owned()));
        assert_eq!(ask(&gate.lane::<false>(), &["a", "b"]).await, [unavailable(), unavailable()]);
        assert_eq!(gate.batches().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn two_about_one_subject_never_share_a_transaction_and_keep_their_order() {
        let gate = Gate::open();
        let outcomes = ask(&gate.lane::<true>(), &["x:1", "y:1", "x:2", "x:3", "z:1"]).await;
        assert_eq!(outcomes, done(&["x:1", "y:1", "x:2", "x:3", "z:1"]));
        assert_eq!(gate.batches(), [vec!["x:1", "y:1", "z:1"], vec!["x:2"], vec!["x:3"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_of_one_command_share_a_transaction() {
        let gate = Gate::open();
        assert_eq!(ask(&gate.lane::<true>(), &["x:1", "x:1", "x:2", "x:1"]).await, done(&["x:1", "x:1", "x:2", "x:1"]));
        assert_eq!(gate.batches(), [vec!["x:1", "x:1", "x:1"], vec!["x:2"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_has_a_bound_and_so_has_the_queue() {
        let gate = Gate::closed();
        let lane = gate.lane::<true>();
        let first = tokio::spawn({
            let lane = lane.clone();
            async move { ask(&lane, &["first"]).await }
        });
        settle().await;
        let many: Vec<_> = (0..MAX_WAITING + MAX_BATCH + 10).map(|n| tokio::spawn(asks(lane.clone(), n))).collect();
        settle().await;
        gate.permits.add_permits(10_000);
        let outcomes = join_all(many).await;
        let refused = outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_err()).count();
        assert!(refused > 0, "the queue is full");
        assert_eq!(outcomes.len() - refused, MAX_WAITING);
        assert!(gate.batches().iter().all(|batch| batch.len() <= MAX_BATCH));
        assert_eq!(first.await.unwrap(), done(&["first"]));
    }

    async fn asks(lane: Lane<Echo<true>>, number: usize) -> Result<String, No> {
        lane.run(number.to_string()).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_waits_for_a_lock_is_overtaken_but_not_by_all() {
        let gate = Gate::closed();
        let lane = gate.lane::<true>();
        let mut asked = Vec::new();
        for number in 0..MAX_AT_ONCE + 3 {
            asked.push(tokio::spawn(asks(lane.clone(), number)));
            sleep(PATIENCE * 2).await;
        }
        assert_eq!(gate.batches().len(), MAX_AT_ONCE);
        gate.permits.add_permits(10_000);
        assert!(join_all(asked).await.into_iter().all(|outcome| outcome.unwrap().is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_slow_for_a_moment_does_not_stay_many_batches() {
        let gate = Gate::closed();
        let lane = gate.lane::<true>();
        let mut asked = Vec::new();
        for number in 0..3 {
            asked.push(tokio::spawn(asks(lane.clone(), number)));
            sleep(PATIENCE * 2).await;
        }
        assert_eq!(gate.batches().len(), 3, "they overtake each other");
        asked.push(tokio::spawn(asks(lane.clone(), 3)));
        settle().await;
        assert_eq!(gate.batches().len(), 4);
        asked.push(tokio::spawn(asks(lane.clone(), 4)));
        // The three slow ones end; the fourth has the lane for itself, for as long as it may.
        gate.permits.add_permits(3);
        settle().await;
        assert_eq!(gate.batches().len(), 4, "the fifth waits");
        sleep(PATIENCE * 2).await;
        assert_eq!(gate.batches().len(), 5);
        gate.permits.add_permits(10);
        assert!(join_all(asked).await.into_iter().all(|outcome| outcome.unwrap().is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_goes_away_takes_nobody_along() {
        let gate = Gate::closed();
        let lane = gate.lane::<true>();
        let gone = tokio::spawn(asks(lane.clone(), 1));
        settle().await;
        gone.abort();
        let stays = tokio::spawn(asks(lane.clone(), 2));
        settle().await;
        gate.permits.add_permits(2);
        assert_eq!(stays.await.unwrap(), Ok("2".to_owned()));
        assert_eq!(gate.batches(), [["1"], ["2"]], "what was begun is done");
    }
}
