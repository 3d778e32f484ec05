//! A private PostgreSQL for development and tests, so that a fresh machine needs one command and no set-up.
//!
//! [`DevPostgres::start`] finds the server programs (or fetches them), makes a cluster, starts it on a free port of
//! the loopback interface and stops it in the end. Several processes may use one cluster: the first starts it, the
//! others adopt it, the last one stops it. A process that is killed leaves the server running; the next start adopts
//! it, so nothing is lost and nothing has to be cleaned by hand.
//!
//! Whoever can reach the loopback interface gets in without a password: this is for development only.

mod cluster;
mod error;
mod lease;
mod postmaster;
mod programs;
mod run_as;
mod step;
pub mod test_cluster;

use std::path::{Path, PathBuf};

use self::cluster::Cluster;
pub use self::error::DevPostgresError;
use self::lease::{Lease, Turn};
use self::postmaster::{PostmasterFile, Session, local};
pub use self::programs::ProgramSearch;

/// What to start, and from what.
#[derive(Debug, Clone)]
pub struct DevPostgresConfig {
    /// The folder of the cluster, its log and its locks; made if it is not there.
    pub directory: PathBuf,
    /// What the data is worth.
    pub durability: Durability,
    /// Where the server programs come from.
    pub programs: ProgramSearch,
}

impl DevPostgresConfig {
    /// A cluster in `data/postgres` that keeps what it acknowledges. `pg_bin` is the value of `PG_BIN`.
    #[must_use]
    pub fn durable(data: &Path, pg_bin: Option<PathBuf>) -> Self {
        Self {
            directory: data.join("postgres"),
            durability: Durability::Durable,
            programs: ProgramSearch { pg_bin, on_this_machine: true, downloads: Some(data.to_owned()) },
        }
    }
}

/// What the data of a cluster is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// PostgreSQL's own settings: what is committed survives a crash of the machine.
    Durable,
    /// `fsync` is off, and a cluster that does not start any more is made anew: for databases made per test.
    Disposable,
}

/// A running private PostgreSQL, and this process's share in it.
///
/// Call [`stop`](Self::stop) in the end. Dropping it does the same, but blocks the thread meanwhile (about 0.2 s), and
/// can only log an error.
pub struct DevPostgres {
    cluster: Cluster,
    server: PostmasterFile,
    adopted: bool,
    /// Taken when it is given back.
    lease: Option<Lease>,
}

impl std::fmt::Debug for DevPostgres {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DevPostgres")
            .field("directory", &self.cluster.directory)
            .field("server", &self.server)
            .field("adopted", &self.adopted)
            .finish_non_exhaustive()
    }
}

/// What became of the server when a process was done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// This process was the last user: the server is down.
    ServerStopped,
    /// Other processes still use it.
    LeftToOthers,
}

impl DevPostgres {
    /// Starts the cluster of `config`, or adopts its running server.
    ///
    /// A first start takes about 2 s, a later one 0.3 s, a download of the programs some seconds more. Every step has
    /// a limit in time.
    pub async fn start(config: DevPostgresConfig) -> Result<Self, DevPostgresError> {
        let directory = make_directory(&config.directory)?;
        let turn = Turn::take(&directory).await?;
        let lease = Lease::take(&turn, &directory)?;
        let cluster = Cluster::locate(directory, &config).await?;
        let running = postmaster::running_on(&cluster.data()).await?;
        let adopted = running.is_some();
        let server = match running {
            Some(server) => server,
            None => cluster.start().await?,
        };
        tracing::debug!(
            port = server.port,
            pid = server.pid,
            adopted,
            directory = %cluster.directory.display(),
            "private PostgreSQL is up"
        );
        Ok(Self { cluster, server, adopted, lease: Some(lease) })
    }

    /// The address of one of its databases, as `DATABASE_URL` takes it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let superuser = postmaster::SUPERUSER;
        let port = self.server.port;
        format!("postgres://{superuser}@127.0.0.1:{port}/{database}")
    }

    /// The port it listens on, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The process id of the server.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid
    }

    /// Whether the server was running before this process came.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// Makes `database` unless it is there; tells whether it was made.
    pub async fn create_database(&self, database: &str) -> Result<bool, DevPostgresError> {
        let session = Session::open(&local(self.server.port, "postgres")).await.map_err(|last| {
            DevPostgresError::NotAnswering {
                pid: self.server.pid,
                port: self.server.port,
                directory: self.cluster.data(),
                waited: std::time::Duration::ZERO,
                last,
            }
        })?;
        session.create_database(database).await.map_err(|cause| DevPostgresError::Statement {
            what: "making the database",
            directory: self.cluster.data(),
            cause,
        })
    }

    /// Gives the server back; the last user of it stops it (fast shutdown: open transactions are rolled back).
    pub async fn stop(mut self) -> Result<Stopped, DevPostgresError> {
        match self.lease.take() {
            Some(lease) => give_back(self.cluster.clone(), lease).await,
            None => Ok(Stopped::LeftToOthers),
        }
    }
}

impl Drop for DevPostgres {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        let cluster = self.cluster.clone();
        let outcome = on_own_thread(move || give_back(cluster, lease));
        if let Some(Err(error)) = outcome {
            tracing::warn!(%error, "the private PostgreSQL was not stopped");
        }
    }
}

async fn give_back(cluster: Cluster, lease: Lease) -> Result<Stopped, DevPostgresError> {
    let turn = Turn::take(&cluster.directory).await?;
    if !lease.give_back(&turn, &cluster.directory)? {
        return Ok(Stopped::LeftToOthers);
    }
    cluster.stop().await?;
    Ok(Stopped::ServerStopped)
}

fn make_directory(directory: &Path) -> Result<PathBuf, DevPostgresError> {
    std::fs::create_dir_all(directory).map_err(DevPostgresError::files("making", directory))?;
    // PostgreSQL tells its data directory with links resolved, and it is compared with that.
    directory.canonicalize().map_err(DevPostgresError::files("resolving", directory))
}

/// Runs asynchronous work to its end from where nothing can be awaited, e.g. from `drop` inside a runtime.
///
/// The thread has a multi-threaded runtime of its own. `None` if neither could be had, or the work panicked.
fn on_own_thread<W, F>(work: W) -> Option<F::Output>
where
    W: FnOnce() -> F + Send,
    F: Future,
    F::Output: Send,
{
    let run = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().ok()?;
        Some(runtime.block_on(work()))
    };
    std::thread::scope(|scope| scope.spawn(run).join().ok().flatten())
}

#[cfg(test)]
mod tests;
