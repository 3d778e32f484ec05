//! The real `app` binary in a process of its own, for what can't be done to an instance in this one: kill -9.

#![allow(clippy::panic, clippy::expect_used, clippy::missing_panics_doc, reason = "what fails here fails the test")]

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::shop::{JWT_SECRET, WEBHOOK_SECRET};
use crate::wait::PATIENCE;

/// Where an app finds its database and its provider, and where it is found.
#[derive(Debug)]
pub struct AppSettings {
    /// `DATABASE_URL`
    pub database_url: String,
    /// `APP__STRIPE__API_BASE`
    pub stripe_base: String,
    /// Further variables of its environment, or other values.
    pub environment: Vec<(&'static str, String)>,
    port: u16,
    /// Its working directory and its log.
    directory: TempDir,
}

impl AppSettings {
    /// An app on a port that is free now.
    #[must_use]
    pub fn new(database_url: String, stripe_base: String) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let directory = tempfile::tempdir().expect("a directory");
        Self { database_url, stripe_base, environment: Vec::new(), port, directory }
    }

    /// Where the app is served.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts the app and waits until it is ready.
    pub async fn serve(&self) -> App {
        let log = File::options().create(true).append(true).open(self.log()).expect("a log");
        let error_log = log.try_clone().expect("a log");
        let mut app = self.command();
        app.arg("serve").stdout(Stdio::from(log)).stderr(Stdio::from(error_log));
        let mut app = App { child: app.spawn().expect("the app starts") };
        let ready = format!("{}/health/ready", self.base());
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let deadline = Instant::now() + PATIENCE;
        while !http.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
            let ended = app.child.try_wait().expect("the state of the app");
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                panic!("the app is not ready (ended: {ended:?}):\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        app
    }

    /// Runs another command of the binary to its end, such as `check-stock`.
    pub async fn run(&self, command: &str) -> Output {
        self.run_with(&[command]).await
    }

    /// Runs another command of the binary to its end, with its arguments.
    pub async fn run_with(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().await.expect("the app runs")
    }

    fn command(&self) -> Command {
        let mut app = Command::new(binary());
        app.env_clear()
            .env("PATH", inherited("PATH"))
            .env("HOME", self.directory.path())
            .env("APP_ENV", "test")
            .env("DATABASE_URL", &self.database_url)
            .env("JWT_SECRET", JWT_SECRET)
            .env("STRIPE_API_KEY", "sk_test_ironcart")
            .env("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET)
            .env("APP__STRIPE__API_BASE", &self.stripe_base)
            .env("APP__SERVER__PORT", self.port.to_string())
            .env("APP__DATABASE__MIGRATE_ON_START", "true")
            .env("APP__RATE_LIMIT__ENABLED", "false")
            .envs(self.environment.iter().cloned())
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        app
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("app.log")
    }

    /// What the app has said so far, all its starts together.
    #[must_use]
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }
}

/// A running app. Dropped, it is killed.
#[derive(Debug)]
pub struct App {
    child: Child,
}

impl App {
    /// Kills it as `kill -9` does: nothing of its own runs any more.
    pub async fn is_killed(mut self) {
        self.child.kill().await.expect("a process to kill");
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub async fn is_terminated(mut self) -> ExitStatus {
        self.signal("-TERM").await;
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        ended.expect("it ends within 30 s").expect("its status")
    }

    /// Stops its time (SIGSTOP): it keeps its connections and does nothing.
    pub async fn is_frozen(&self) {
        self.signal("-STOP").await;
    }

    /// Lets it go on (SIGCONT).
    pub async fn thaws(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        send_signal(signal, self.child.id().expect("a running process")).await;
    }
}

/// Sends a signal, such as `-KILL`, to one process.
pub async fn send_signal(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status().await.expect("kill");
    assert!(sent.success(), "{signal} could not be sent to {pid}");
}

/// The binary next to the test programs, as cargo lays them out: `<profile>/deps/<test>` and `<profile>/app`.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test");
    let profile = test.parent().and_then(Path::parent).expect("the folder of the profile");
    let binary = profile.join("app");
    let built = modified(&binary).unwrap_or_else(|| panic!("{} is not there. {TO_DO}", binary.display()));
    // Cargo's list of what the binary was made from: `<binary>: <source> <source> …`.
    let sources = std::fs::read_to_string(profile.join("app.d")).unwrap_or_default();
    let sources: Vec<String> = sources.replace("\\ ", "\0").split_whitespace().map(|s| s.replace('\0', " ")).collect();
    let is_newer = |source: &&String| modified(Path::new(source)).is_none_or(|at| at > built);
    let newer = sources.iter().skip(1).find(is_newer);
    if let Some(source) = newer {
        panic!("{} is older than {source}. {TO_DO}", binary.display());
    }
    binary
}

const TO_DO: &str = "To do: `cargo build -p app`, or run the tests with `make test`.";

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[expect(clippy::disallowed_methods, reason = "the app's process needs the search path of the tests")]
fn inherited(variable: &str) -> std::ffi::OsString {
    std::env::var_os(variable).unwrap_or_default()
}
