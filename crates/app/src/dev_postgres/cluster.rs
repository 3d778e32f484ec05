//! One PostgreSQL cluster on disk: made, started and stopped with the server's own programs.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::DevPostgresError;
use super::postmaster::{self, PostmasterFile, SUPERUSER};
use super::programs::Programs;
use super::run_as::RunAs;
use super::step::Step;
use super::{DevPostgresConfig, Durability};

const INITDB_LIMIT: Duration = Duration::from_mins(2);
/// What `pg_ctl` is told to wait for; its own limit comes a little later, so that its words are heard.
const START_SECONDS: u32 = 60;
const STOP_SECONDS: u32 = 30;
const SLACK: Duration = Duration::from_secs(10);

const DATA: &str = "cluster";
const LOG: &str = "server.log";

/// Enough for a port that was taken between the look and the start, and for the remains of a killed server to end.
const START_ATTEMPTS: u32 = 5;

/// Character classes of Unicode, order by code point: the same on every machine that has the first or second.
const LOCALES: [&[&str]; 4] = [
    &["--locale=C.UTF-8"],
    &["--locale=C", "--lc-ctype=UTF-8"],
    &["--locale=C", "--lc-ctype=en_US.UTF-8"],
    &["--locale=C"],
];

/// Where a cluster is, and what it is run with.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    /// The folder of the data, the locks and the last port.
    pub(super) directory: PathBuf,
    durability: Durability,
    programs: Programs,
    run_as: RunAs,
}

impl Cluster {
    pub(super) async fn locate(directory: PathBuf, config: &DevPostgresConfig) -> Result<Self, DevPostgresError> {
        Ok(Self {
            directory,
            durability: config.durability,
            programs: config.programs.find().await?,
            run_as: RunAs::detect().await?,
        })
    }

    /// PostgreSQL's data directory.
    pub(super) fn data(&self) -> PathBuf {
        self.directory.join(DATA)
    }

    /// Inside the data directory, so that it belongs to whom the server runs as.
    fn log(&self) -> PathBuf {
        self.data().join(LOG)
    }

    /// Starts the server, after making the cluster if need be.
    pub(super) async fn start(&self) -> Result<PostmasterFile, DevPostgresError> {
        let first = self.start_as_it_is().await;
        match (first, self.durability) {
            (Err(error), Durability::Disposable) if self.data().exists() => {
                tracing::warn!(%error, "the test cluster does not start and is made anew");
                remove(&self.data())?;
                self.start_as_it_is().await
            }
            (result, _) => result,
        }
    }

    async fn start_as_it_is(&self) -> Result<PostmasterFile, DevPostgresError> {
        if !self.data().exists() {
            self.make().await?;
        }
        self.check_version()?;
        self.run_as.take_over(&self.data()).await?;
        let mut attempt = 1;
        loop {
            let port = if attempt == 1 { self.last_port() } else { None };
            let port = match port {
                Some(port) => port,
                None => free_port()?,
            };
            match self.launch(port).await {
                Ok(server) => return Ok(server),
                Err(error) if attempt >= START_ATTEMPTS => return Err(error),
                Err(error) if !worth_another_try(&error) => return Err(error),
                Err(_) => {}
            }
            // The process that began this start may have been killed, and its server be up by now.
            if let Some(server) = postmaster::running_on(&self.data()).await? {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            attempt += 1;
        }
    }

    /// `initdb` next to the final place: only a whole cluster ever has the final name.
    async fn make(&self) -> Result<(), DevPostgresError> {
        let unfinished = self.directory.join("cluster.part");
        let mut result = Ok(());
        for locale in LOCALES {
            remove(&unfinished)?;
            std::fs::DirBuilder::new()
                .mode(0o700)
                .create(&unfinished)
                .map_err(DevPostgresError::files("making", &unfinished))?;
            self.run_as.take_over(&unfinished).await?;
            result = self.initdb(&unfinished, locale).await;
            match &result {
                Err(DevPostgresError::Step { output, .. }) if output.contains("invalid locale") => {}
                _ => break,
            }
        }
        result?;
        std::fs::rename(&unfinished, self.data()).map_err(DevPostgresError::files("naming", self.data()))
    }

    async fn initdb(&self, data: &Path, locale: &[&str]) -> Result<(), DevPostgresError> {
        let mut command = self.run_as.command(&self.programs.path("initdb"));
        command.arg("--pgdata").arg(data);
        command.args(["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8"]);
        command.args(locale);
        if self.durability == Durability::Disposable {
            command.arg("--no-sync");
        }
        let step = Step { what: "making the PostgreSQL cluster", command, limit: INITDB_LIMIT, advice: "" };
        let result = step.run().await.map(drop);
        result.map_err(|error| self.explain(error))
    }

    fn check_version(&self) -> Result<(), DevPostgresError> {
        let path = self.data().join("PG_VERSION");
        let text = std::fs::read_to_string(&path).map_err(DevPostgresError::files("reading", path))?;
        // 0 for a broken file: it is no version that any program has.
        let cluster = text.trim().parse().unwrap_or(0);
        if cluster == self.programs.version {
            return Ok(());
        }
        Err(DevPostgresError::OtherVersion {
            directory: self.data(),
            cluster,
            programs: self.programs.folder.clone(),
            found: self.programs.version,
        })
    }

    async fn launch(&self, port: u16) -> Result<PostmasterFile, DevPostgresError> {
        let log = self.log();
        if log.exists() {
            let previous = self.data().join("server.log.previous");
            std::fs::rename(&log, previous).map_err(DevPostgresError::files("moving", &log))?;
        }
        let mut command = self.run_as.command(&self.programs.path("pg_ctl"));
        command.args(["start", "--wait", "--silent", "--timeout", &START_SECONDS.to_string()]);
        // Relative, since `pg_ctl` puts the paths into a shell's line without escaping them.
        command.current_dir(&self.directory);
        command.args(["--pgdata", DATA, "--log"]);
        command.arg(Path::new(DATA).join(LOG));
        command.arg("--options").arg(self.options(port));
        let step = Step {
            what: "starting PostgreSQL",
            command,
            limit: Duration::from_secs(START_SECONDS.into()) + SLACK,
            advice: "",
        };
        step.run().await.map_err(|error| self.explain(error))?;
        self.remember_port(port);
        postmaster::running_on(&self.data()).await?.ok_or_else(|| {
            self.explain(DevPostgresError::Step {
                what: "starting PostgreSQL",
                command: "pg_ctl start".to_owned(),
                reason: "it started, and was gone at once".to_owned(),
                output: String::new(),
                advice: String::new(),
            })
        })
    }

    /// `pg_ctl` hands these to a shell, so nothing in them may come from outside.
    fn options(&self, port: u16) -> String {
        // Many test processes share one server, each with pools of its own.
        let common = format!("-p {port} -c listen_addresses=127.0.0.1 -k '' -c max_connections=300");
        match self.durability {
            Durability::Durable => common,
            Durability::Disposable => common + " -c fsync=off -c synchronous_commit=off -c full_page_writes=off",
        }
    }

    /// Fast shutdown: sessions are ended, their transactions rolled back.
    pub(super) async fn stop(&self) -> Result<(), DevPostgresError> {
        if PostmasterFile::read(&self.data()).is_none() {
            return Ok(());
        }
        let mut command = self.run_as.command(&self.programs.path("pg_ctl"));
        command.args(["stop", "--wait", "--silent", "--mode", "fast"]);
        command.args(["--timeout", &STOP_SECONDS.to_string()]);
        command.arg("--pgdata").arg(self.data());
        let step = Step {
            what: "stopping PostgreSQL",
            command,
            limit: Duration::from_secs(STOP_SECONDS.into()) + SLACK,
            advice: "",
        };
        match step.run().await {
            Ok(_) => Ok(()),
            // A server that was killed meanwhile is as stopped as one can be.
            Err(error) => match postmaster::running_on(&self.data()).await {
                Ok(None) => Ok(()),
                _ => Err(self.explain(error)),
            },
        }
    }

    /// The port of the last start, if it is still free: whoever noted the address can go on using it.
    fn last_port(&self) -> Option<u16> {
        let text = std::fs::read_to_string(self.directory.join("port")).ok()?;
        let port = text.trim().parse().ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some(port)
    }

    fn remember_port(&self, port: u16) {
        if let Err(error) = std::fs::write(self.directory.join("port"), port.to_string()) {
            tracing::debug!(%error, "the port was not noted; the next start takes another");
        }
    }

    /// Adds to a failed step what the server's log says, and what to do.
    fn explain(&self, error: DevPostgresError) -> DevPostgresError {
        match error {
            DevPostgresError::Step { what, command, reason, output, .. } => DevPostgresError::Step {
                what,
                command,
                reason,
                output: join_nonempty(&output, &tail(&self.log())),
                advice: self.run_as.advice(&self.directory),
            },
            other => other,
        }
    }
}

fn remove(path: &Path) -> Result<(), DevPostgresError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(DevPostgresError::files("removing", path)(error))
        }
        _ => Ok(()),
    }
}

/// A port that was taken meanwhile, remains of a killed server, or a start that another process began.
fn worth_another_try(error: &DevPostgresError) -> bool {
    let DevPostgresError::Step { output, .. } = error else {
        return false;
    };
    [
        "could not bind",
        "Address already in use",
        "could not create any TCP/IP sockets",
        "pre-existing shared memory block",
        "lock file \"postmaster.pid\" already exists",
    ]
    .iter()
    .any(|sign| output.contains(sign))
}

fn free_port() -> Result<u16, DevPostgresError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(DevPostgresError::files("asking for a free port on", "127.0.0.1"))
}

/// The last lines of the server's log; empty if there is none yet.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let start = lines.len().saturating_sub(20);
    lines[start..].join("\n")
}

fn join_nonempty(one: &str, other: &str) -> String {
    let parts: Vec<_> = [one, other].into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}
