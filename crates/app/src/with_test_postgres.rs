//! Runs a command, such as the whole test suite, with one PostgreSQL for tests beside it from start to end.
//!
//! Without it every test process starts or adopts the server by itself, which is right as well, only slower.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::dev_postgres::test_cluster::{TEST_DATABASE_URL, TestCluster, TestClusterError};

/// Why the command did not run.
#[derive(Debug, thiserror::Error)]
pub enum WithTestPostgresError {
    /// There is no server.
    #[error(transparent)]
    Cluster(#[from] TestClusterError),
    /// The program could not be started or waited for.
    #[error("running {program:?} failed: {cause}")]
    Command {
        /// The program.
        program: OsString,
        /// What the system answered.
        cause: std::io::Error,
    },
    /// The program was ended from outside, and has no exit code.
    #[error("{program:?} was ended by signal {signal}")]
    Ended {
        /// The program.
        program: OsString,
        /// The number of the signal.
        signal: i32,
    },
}

/// Runs `program` with `IRONCART_TEST_DATABASE_URL` set, and gives back how it ended.
///
/// Interrupts reach the program from the terminal itself; a SIGTERM is handed on. Either way it is waited for, so that
/// the server goes last.
pub async fn run(program: &OsStr, arguments: &[OsString]) -> Result<ExitStatus, WithTestPostgresError> {
    let failed = |cause| WithTestPostgresError::Command { program: program.to_owned(), cause };
    // Handlers first: no signal may end this process before the server is stopped.
    let signals = Signals::listen().map_err(failed)?;
    let cluster = TestCluster::acquire().await?;
    let child = Command::new(program).args(arguments).env(TEST_DATABASE_URL, cluster.url()).spawn();
    let status = match child {
        Ok(child) => signals.wait_for(child).await,
        Err(error) => Err(error),
    };
    cluster.stop().await?;
    let status = status.map_err(failed)?;
    match status.signal() {
        Some(signal) => Err(WithTestPostgresError::Ended { program: program.to_owned(), signal }),
        None => Ok(status),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait_for(mut self, mut child: Child) -> std::io::Result<ExitStatus> {
        loop {
            tokio::select! {
                status = child.wait() => return status,
                _ = self.terminate.recv() => hand_on_sigterm(&child).await?,
                _ = self.interrupt.recv() => {}
            }
        }
    }
}

async fn hand_on_sigterm(child: &Child) -> std::io::Result<()> {
    // The program may have ended just now.
    if let Some(pid) = child.id() {
        Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
    }
    Ok(())
}
