//! Tells what runs on a data directory: a server to adopt, one that is coming or going, or nothing at all.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::error::{DevPostgresError, chain};

/// The superuser of every private cluster.
pub(super) const SUPERUSER: &str = "ironcart";

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A crash recovery of a development database ends within seconds.
const ADOPT_LIMIT: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// What `postmaster.pid` says about the server that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PostmasterFile {
    pub(super) pid: u32,
    pub(super) port: u16,
}

impl PostmasterFile {
    /// `None` if there is no such file, or only the beginning of one.
    pub(super) fn read(data: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        // Data directory and start time stand between the two.
        let port = lines.nth(2)?.trim().parse().ok()?;
        Some(Self { pid, port })
    }
}

/// The server that runs on `data`, once it answers; `None` if none does and one may be started.
///
/// Waits for a server that is starting up, recovering or shutting down. A file left by a dead server is left to
/// PostgreSQL, which knows how to take it over, unless its number now belongs to another program: that one PostgreSQL
/// takes for a server, and the file is removed.
pub(super) async fn running_on(data: &Path) -> Result<Option<PostmasterFile>, DevPostgresError> {
    let began = Instant::now();
    loop {
        let Some(file) = PostmasterFile::read(data) else {
            return Ok(None);
        };
        let last = match ask_for_its_data(file.port).await {
            Ok(directory) if Path::new(&directory) == data => return Ok(Some(file)),
            Ok(directory) => format!("its port now belongs to the PostgreSQL of {directory}"),
            Err(reason) => reason,
        };
        match Holder::of(file.pid, data) {
            Holder::Nobody => return Ok(None),
            Holder::AnotherProgram => {
                let path = data.join("postmaster.pid");
                std::fs::remove_file(&path).map_err(DevPostgresError::files("removing", path))?;
                return Ok(None);
            }
            Holder::Server if began.elapsed() < ADOPT_LIMIT => sleep(POLL_EVERY).await,
            Holder::Server => {
                return Err(DevPostgresError::NotAnswering {
                    pid: file.pid,
                    port: file.port,
                    directory: data.to_owned(),
                    waited: ADOPT_LIMIT,
                    last,
                });
            }
        }
    }
}

/// Which process has the number that the file names.
#[derive(Debug, PartialEq, Eq)]
enum Holder {
    Nobody,
    AnotherProgram,
    Server,
}

impl Holder {
    fn of(pid: u32, data: &Path) -> Self {
        let process = Path::new("/proc").join(pid.to_string());
        if Path::new("/proc/self").exists() {
            if !process.exists() {
                return Self::Nobody;
            }
            // A postmaster works in its data directory; where that may not be read, its name must do.
            let is_server = match std::fs::read_link(process.join("cwd")) {
                Ok(directory) => directory == data,
                Err(_) => {
                    std::fs::read_to_string(process.join("status")).is_ok_and(|status| is_living_postgres(&status))
                }
            };
            return if is_server { Self::Server } else { Self::AnotherProgram };
        }
        // Without /proc (macOS) `ps` tells the command line, which names the data directory.
        let ps = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
        match ps {
            Ok(output) if output.status.success() => {
                let line = String::from_utf8_lossy(&output.stdout).into_owned();
                if line.contains(&*data.to_string_lossy()) { Self::Server } else { Self::AnotherProgram }
            }
            _ => Self::Nobody,
        }
    }
}

/// What `/proc/<pid>/status` says. A dead server whose parent does not collect it (a container without an init) keeps
/// its number as a zombie, which PostgreSQL would take for a server.
fn is_living_postgres(status: &str) -> bool {
    let field = |name| {
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_default().trim()
    };
    field("Name:") == "postgres" && !field("State:").starts_with('Z')
}

/// The data directory of the server on `port`, or why it does not tell.
async fn ask_for_its_data(port: u16) -> Result<String, String> {
    let session = Session::open(&local(port, "postgres")).await?;
    let row = session.client.query_one("SHOW data_directory", &[]).await;
    row.map(|row| row.get(0)).map_err(|error| chain(&error))
}

/// The way to a database of the private server on `port`.
pub(super) fn local(port: u16, database: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config
        .host(Ipv4Addr::LOCALHOST.to_string())
        .port(port)
        .user(SUPERUSER)
        .dbname(database)
        .application_name("dev-postgres");
    config
}

/// One connection; closed when dropped.
pub(super) struct Session {
    pub(super) client: Client,
    driver: JoinHandle<()>,
}

impl Session {
    pub(super) async fn open(config: &tokio_postgres::Config) -> Result<Self, String> {
        match timeout(CONNECT_LIMIT, config.connect(NoTls)).await {
            Err(_elapsed) => Err(format!("no answer within {} s", CONNECT_LIMIT.as_secs())),
            Ok(Err(error)) => Err(chain(&error)),
            Ok(Ok((client, connection))) => {
                let driver = tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection to the private PostgreSQL broke");
                    }
                });
                Ok(Self { client, driver })
            }
        }
    }

    /// Makes `database`; false if it is there already.
    pub(super) async fn create_database(&self, database: &str) -> Result<bool, tokio_postgres::Error> {
        let statement = format!("CREATE DATABASE {}", identifier(database));
        match self.client.batch_execute(&statement).await {
            Ok(()) => Ok(true),
            Err(error) if error.code() == Some(&SqlState::DUPLICATE_DATABASE) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// `name` as SQL takes it, whatever characters it holds.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn with_file(text: &str) -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("postmaster.pid"), text).unwrap();
        data
    }

    #[test]
    fn the_file_tells_process_and_port() {
        let data = with_file("4711\n/some/data\n1763800000\n40123\n\n127.0.0.1\n");
        let expected = PostmasterFile { pid: 4711, port: 40123 };
        assert_eq!(PostmasterFile::read(data.path()), Some(expected));
    }

    #[test]
    fn a_missing_or_unfinished_file_tells_nothing() {
        for text in ["", "4711\n", "4711\n/some/data\n17638000", "x\ny\nz\n1\n"] {
            assert_eq!(PostmasterFile::read(with_file(text).path()), None, "{text:?}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(PostmasterFile::read(empty.path()), None);
    }

    #[tokio::test]
    async fn a_file_whose_number_now_belongs_to_another_program_is_removed() {
        let me = std::process::id();
        let data = with_file(&format!("{me}\n/some/data\n1763800000\n1\n\n127.0.0.1\n"));
        assert_eq!(running_on(data.path()).await.unwrap(), None);
        assert!(!data.path().join("postmaster.pid").exists());
    }

    #[tokio::test]
    async fn a_file_of_a_dead_process_is_left_to_postgresql() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let data = with_file(&format!("{pid}\n/some/data\n1763800000\n1\n\n127.0.0.1\n"));
        assert_eq!(running_on(data.path()).await.unwrap(), None);
        assert!(data.path().join("postmaster.pid").exists());
    }

    #[test]
    fn a_zombie_is_no_server() {
        assert!(is_living_postgres("Name:\tpostgres\nState:\tS (sleeping)\n"));
        assert!(!is_living_postgres("Name:\tpostgres\nState:\tZ (zombie)\n"));
        assert!(!is_living_postgres("Name:\tbash\nState:\tS (sleeping)\n"));
    }

    #[test]
    fn names_are_quoted_for_sql() {
        assert_eq!(identifier("plain"), "\"plain\"");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
    }
}
