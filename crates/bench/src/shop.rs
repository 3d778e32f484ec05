//! The app under load: the release binary as its operators run it, in a process of its own.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::cpu;
use crate::error::{During as _, Step, StepFailed};
use crate::load::Connection;

/// Signs the access tokens that the bench mints.
pub(crate) const JWT_SECRET: &str = "a secret of the bench, which is known to everybody";
/// Signs the events that the bench sends.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_bench0000000000000000000000000000";

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long an orderly end may take.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How the app is run.
#[derive(Debug, Clone)]
pub(crate) struct ShopConfig {
    /// The binary.
    pub(crate) program: PathBuf,
    /// Its working directory and its log; no configuration of a developer lies there.
    pub(crate) folder: PathBuf,
    /// Where its payment provider answers.
    pub(crate) stripe: SocketAddr,
}

impl ShopConfig {
    fn command(&self, database_url: &str) -> Command {
        let mut app = Command::new(&self.program);
        app.env_clear()
            .env("HOME", &self.folder)
            // Production takes no plain http, not even on loopback, and is the same in all that costs time but the
            // form of a log line, which is JSON there.
            .env("APP_ENV", "test")
            .env("RUST_LOG", "info")
            .env("DATABASE_URL", database_url)
            .env("JWT_SECRET", JWT_SECRET)
            .env("STRIPE_API_KEY", "sk_test_bench")
            .env("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET)
            .env("APP__STRIPE__API_BASE", format!("http://{}", self.stripe))
            .env("APP__RATE_LIMIT__ENABLED", "false")
            .env("APP__FRAUD__MAX_PENDING_ORDERS", "10000")
            .env("APP__FRAUD__MAX_DAILY_EXPIRIES", "10000")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        app
    }

    /// Runs one of the binary's other commands to its end; fails with what it said unless it exits with 0.
    pub(crate) async fn run(&self, database_url: &str, command: &str) -> Step<()> {
        let step = format!("app {command}");
        let output = self.command(database_url).arg(command).output().await.during(&step)?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(StepFailed::new(step, format!("{}\n{}", output.status, String::from_utf8_lossy(&said))))
    }

    /// Starts the app and waits until it is ready.
    pub(crate) async fn start(&self, database_url: &str, settings: &[(&str, &str)]) -> Step<Shop> {
        let port = free_port()?;
        let log_path = self.folder.join(format!("app-{port}.log"));
        let log = File::create(&log_path).during("making a log")?;
        let mut command = self.command(database_url);
        command.arg("serve").env("APP__SERVER__PORT", port.to_string()).envs(settings.iter().copied());
        command.stdout(Stdio::null()).stderr(Stdio::from(log));
        let begun = Instant::now();
        let child = command.spawn().during(format!("starting {}", self.program.display()))?;
        let pid = child.id().ok_or_else(|| StepFailed::new("starting the app", "it has no process id"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut shop = Shop { child, pid, address, ready_after: Duration::ZERO, log: log_path };
        shop.becomes_ready(begun).await?;
        Ok(shop)
    }
}

/// A running app. Dropped, it is killed.
pub(crate) struct Shop {
    child: Child,
    pub(crate) pid: u32,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first 200 of `/health/ready`.
    pub(crate) ready_after: Duration,
    log: PathBuf,
}

impl Shop {
    async fn becomes_ready(&mut self, begun: Instant) -> Step<()> {
        while !is_ready(self.address).await {
            let ended = self.child.try_wait().during("watching the app")?;
            if ended.is_some() || begun.elapsed() > START_LIMIT {
                let reason = ended.map_or("it is not ready in time".to_owned(), |status| status.to_string());
                return Err(StepFailed::new("starting the app", format!("{reason}\n{}", tail(&self.log))));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.ready_after = begun.elapsed();
        Ok(())
    }

    /// Its CPU time so far.
    pub(crate) fn cpu(&self) -> Step<Duration> {
        cpu::of_process(self.pid)
    }

    /// The most memory it has held at once, in bytes.
    pub(crate) fn peak_memory(&self) -> Step<u64> {
        cpu::peak_memory(self.pid)
    }

    /// The last lines that it logged as warnings or errors.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let complaints = text.lines().filter(|line| line.contains(" ERROR ") || line.contains(" WARN "));
        let complaints: Vec<_> = complaints.map(str::to_owned).collect();
        complaints[complaints.len().saturating_sub(3)..].to_vec()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(mut self) -> Step<()> {
        let asked = Command::new("kill").args(["-TERM", &self.pid.to_string()]).status().await;
        asked.during("stopping the app")?;
        match tokio::time::timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(ended) => ended.map(drop).during("stopping the app")?,
            Err(_) => self.child.kill().await.during("killing the app")?,
        }
        std::fs::remove_file(&self.log).during("removing a log")
    }
}

async fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::open(address).await else { return false };
    let ready = connection.exchange(b"GET /health/ready HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    ready.is_ok_and(|answer| answer.status == 200)
}

fn free_port() -> Step<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).during("finding a free port")?;
    Ok(listener.local_addr().during("finding a free port")?.port())
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
