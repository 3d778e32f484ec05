//! The private PostgreSQL as the binary itself uses it, with signals and kills.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A process that is killed when the test is done with it.
struct App {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl App {
    /// Starts the binary in `folder`, with none of the settings of the test's own environment.
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        // The tests' server is looked for beside the next `Cargo.lock` upwards.
        std::fs::write(folder.join("Cargo.lock"), "").unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_app"))
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", env_path())
            .env("APP__SERVER__PORT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The first line of its output that begins with `prefix`, without it.
    fn told(&mut self, prefix: &str) -> String {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        let rest = lines.find_map(|line| line.strip_prefix(prefix).map(str::to_owned));
        rest.unwrap_or_else(|| panic!("it never said {prefix:?}"))
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// How it ends by itself, within 30 s.
    fn end(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _may_have_ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "programs are found as the test itself finds them")]
fn env_path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Says where the server is, and stays.
const STAY: [&str; 4] =
    ["with-test-postgres", "sh", "-c", "echo url=$IRONCART_TEST_DATABASE_URL; exec sleep 20 > /dev/null 2>&1"];

fn port(url: &str) -> u16 {
    let (_, rest) = url.rsplit_once(':').unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn postmaster_file(folder: &Path, cluster: &str) -> std::path::PathBuf {
    folder.join(".data").join(cluster).join("cluster/postmaster.pid")
}

#[test]
fn a_command_beside_the_test_server_gets_its_address_and_gives_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo url=$IRONCART_TEST_DATABASE_URL; exit 7";
    let mut app = App::start(folder.path(), &["with-test-postgres", "sh", "-c", script]);
    let url = app.told("url=");
    assert!(url.starts_with("postgres://ironcart@127.0.0.1:"), "{url}");
    assert_eq!(app.end().code(), Some(7));
    assert!(!answers(port(&url)));
}

#[test]
fn a_sigterm_ends_the_command_and_then_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = App::start(folder.path(), &STAY);
    let port = port(&app.told("url="));
    assert!(answers(port));
    app.signal("-TERM");
    assert_eq!(app.end().code(), Some(1));
    assert!(!answers(port));
}

#[test]
fn a_killed_process_leaves_the_server_to_the_next_one_which_stops_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut killed = App::start(folder.path(), &STAY);
    let port_of_killed = port(&killed.told("url="));
    killed.signal("-KILL");
    killed.end();
    assert!(answers(port_of_killed));

    let mut next = App::start(folder.path(), &STAY);
    assert_eq!(port(&next.told("url=")), port_of_killed);
    next.signal("-TERM");
    assert_eq!(next.end().code(), Some(1));
    assert!(!answers(port_of_killed));
}

#[test]
fn the_shop_survives_a_kill_and_a_second_instance_and_the_last_one_stops_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = postmaster_file(folder.path(), "postgres");
    let open = || {
        let mut app = App::start(folder.path(), &["serve"]);
        let address = app.told("Ironcart is open at http://");
        (app, address)
    };
    let (mut killed, _) = open();
    killed.signal("-KILL");
    killed.end();
    let left = std::fs::read_to_string(&pid_file).unwrap();

    let (mut second, address) = open();
    assert_eq!(std::fs::read_to_string(&pid_file).unwrap(), left);
    let (mut third, other_address) = open();
    assert_ne!(address, other_address);

    second.signal("-TERM");
    assert_eq!(second.end().code(), Some(0));
    assert!(pid_file.exists());
    third.signal("-INT");
    assert_eq!(third.end().code(), Some(0));
    assert!(!pid_file.exists());
}
