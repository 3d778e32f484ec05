//! What can go wrong between a wish for a database and a running one, told so that a person can act.

use std::path::PathBuf;
use std::time::Duration;

/// Why there is no private PostgreSQL. `Display` says what was tried, what came out and what to do; causes are in it,
/// in their place, and not a second time behind `source()`.
#[derive(Debug, thiserror::Error)]
pub enum DevPostgresError {
    /// No server programs on this machine, and they could not be fetched.
    #[error(
        "PostgreSQL's server programs (initdb, pg_ctl, postgres; version {minimum} or newer) were not found.\n\
         Tried:\n{}\n\
         To do: install PostgreSQL ({hint}), or set PG_BIN to the folder of its programs, \
         or set DATABASE_URL to a database of your own.",
        bullets(.tried)
    )]
    NoPrograms {
        /// Each place that was looked at, with what was wrong there.
        tried: Vec<String>,
        /// The oldest major version that will do.
        minimum: u32,
        /// The usual way to install it on this kind of machine.
        hint: &'static str,
    },

    /// A program that was run to get there failed, or did not end in time.
    #[error(
        "{what} failed: {reason}.\nCommand: {command}\n{}To do: {advice}",
        quoted(.output)
    )]
    Step {
        /// What the step was for.
        what: &'static str,
        /// The command line, as it was run.
        command: String,
        /// How it ended.
        reason: String,
        /// What it said: its output, and the end of the server's log where there is one.
        output: String,
        /// What a person can do about it.
        advice: String,
    },

    /// A file or folder of the cluster could not be used.
    #[error(
        "{what} {path} failed: {cause}.\n\
         To do: make the folder readable and writable for this user, or remove it if its data is not needed."
    )]
    Files {
        /// The attempted action.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system answered.
        cause: std::io::Error,
    },

    /// Another process has been starting or stopping this cluster for longer than it should take.
    #[error(
        "waited {} s for another process that is starting or stopping the PostgreSQL of {directory}.\n\
         To do: end that process (it holds {directory}/turn.lock), then try again.",
        .waited.as_secs()
    )]
    Busy {
        /// The folder of the cluster.
        directory: PathBuf,
        /// How long this process waited.
        waited: Duration,
    },

    /// A server runs on the data, but it does not let anybody in.
    #[error(
        "a PostgreSQL (pid {pid}) runs on {directory}, but has not answered on port {port} for {} s: {last}.\n\
         To do: end it (kill -QUIT {pid}) and try again. Its log is {directory}/server.log.",
        .waited.as_secs()
    )]
    NotAnswering {
        /// The process that holds the data.
        pid: u32,
        /// The port it was started with.
        port: u16,
        /// The data directory.
        directory: PathBuf,
        /// How long it was asked.
        waited: Duration,
        /// What the last attempt ended with.
        last: String,
    },

    /// The data was made by another major version than the programs that were found.
    #[error(
        "{directory} was made by PostgreSQL {cluster}, but the programs in {programs} are version {found}.\n\
         To do: set PG_BIN to the programs of version {cluster}, or remove {directory} if its data is not needed."
    )]
    OtherVersion {
        /// The data directory.
        directory: PathBuf,
        /// The version that made it.
        cluster: u32,
        /// The folder of the programs.
        programs: PathBuf,
        /// Their version.
        found: u32,
    },

    /// PostgreSQL refuses to run as root or as an id without an account, and no way around was found.
    #[error(
        "PostgreSQL refuses to run as this user (root, or an id without an account), \
         and no way to run it as another one was found.\n\
         Tried:\n{}\n\
         To do: run as a normal user, or set DATABASE_URL to a database of your own.",
        bullets(.tried)
    )]
    NoUser {
        /// Each way that was tried, with what came out.
        tried: Vec<String>,
    },

    /// The server runs, but a statement failed.
    #[error("{what} failed: {}.\nTo do: see the server's log in {directory}/server.log.", chain(.cause))]
    Statement {
        /// What the statement was for.
        what: &'static str,
        /// The data directory.
        directory: PathBuf,
        /// What the server answered.
        cause: tokio_postgres::Error,
    },
}

impl DevPostgresError {
    /// A failed use of a file or folder, for `map_err`.
    pub(super) fn files(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Files { what, path, cause }
    }
}

fn bullets(lines: &[String]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| format!("  - {line}")).collect();
    lines.join("\n")
}

fn quoted(output: &str) -> String {
    output.lines().fold(String::new(), |mut text, line| {
        text.push_str("  | ");
        text.push_str(line);
        text.push('\n');
        text
    })
}

/// `tokio-postgres` keeps the server's own words in the source.
pub(super) fn chain(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
