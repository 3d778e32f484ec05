//! The disk under PostgreSQL is full: a small tmpfs, mounted in a mount namespace of its own, which goes with the
//! process. Where mounting is not allowed the test says so and does nothing.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use app::environment::Environment;
use ironcart_tests::load::LoadPlan;
use ironcart_tests::trials;
use tokio::process::Command;

use super::{load_on, ready_since, site, stands_by};

const NAME: &str = "faults::disk::a_full_disk_under_postgresql_is_a_503_and_costs_nothing_acknowledged";

/// Set for the same test in its own mount namespace: the folder to mount on.
const MOUNT_POINT: &str = "IRONCART_TEST_MOUNT_POINT";

/// A new cluster takes about 60 MiB.
const SIZE: &str = "size=160m,mode=0777";

/// Ways into a mount namespace of one's own: as root, and as somebody who may make user namespaces.
const WAYS: [&[&str]; 2] =
    [&["--mount", "--propagation", "private"], &["--user", "--map-root-user", "--mount", "--propagation", "private"]];

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_postgresql_is_a_503_and_costs_nothing_acknowledged() {
    if let Some(folder) = Environment::of_process().get(MOUNT_POINT) {
        return with_a_small_disk(Path::new(folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(way) = way_to_mount(folder.path()).await else {
        eprintln!("SKIPPED: no file system may be mounted here, so no disk can be filled");
        return;
    };
    let mut inside = Command::new("unshare");
    inside.args(way).arg(std::env::current_exe().unwrap()).args([NAME, "--exact", "--nocapture"]);
    inside.env(MOUNT_POINT, folder.path()).kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(150), inside.status()).await;
    assert!(ended.expect("an end in time").unwrap().success());
}

async fn way_to_mount(folder: &Path) -> Option<&'static [&'static str]> {
    for way in WAYS {
        let mut rehearsal = Command::new("unshare");
        rehearsal.args(way).args(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder);
        if rehearsal.output().await.is_ok_and(|output| output.status.success()) {
            return Some(way);
        }
    }
    None
}

/// Writes until nothing more fits.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).unwrap();
    let zeros = vec![0; 4096];
    while file.write_all(&zeros).is_ok() {}
}

async fn with_a_small_disk(folder: &Path) {
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder).status().await;
    assert!(mounted.unwrap().success());
    let (mut site, apps) = site(|plan| plan.data = Some(PathBuf::from(folder))).await;
    let ballast = folder.join("ballast");
    let load = load_on(&site, LoadPlan { seed: trials::printed_seed(), ..LoadPlan::default() }).await;
    load.goes_on_for(20).await;
    let before = load.told().answers.unavailable();
    let begun = Instant::now();
    fill(&ballast);
    while load.told().answers.unavailable() < before + 20 {
        // What PostgreSQL gives back by itself, such as old log, is taken again.
        fill_rest(&ballast);
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody was told: {:?}", load.told().answers);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let went_down = !site.postgres_answers().await;
    assert_eq!(site.http.try_health("/health/live").await.unwrap().status, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::fs::remove_file(&ballast).unwrap();
    // A server that could not write its log has ended itself; it may be on its way back, or need its operator.
    let freed = Instant::now();
    while !site.postgres_answers().await && freed.elapsed() < Duration::from_secs(3) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let needed_start = !site.postgres_answers().await;
    let back = if needed_start { site.postgres_starts().await } else { Instant::now() };
    let ready = ready_since(&site, back).await;
    load.goes_on_for(1).await;
    eprintln!(
        "PostgreSQL went down: {went_down}, had to be started: {needed_start}; ready {ready:.2?} after there was \
         room, the next order {:.2?} after it",
        back.elapsed()
    );
    load.goes_on_for(10).await;
    let told = load.ends().await;
    assert_eq!(told.answers.hung, 0, "{}", told.summary());
    stands_by(site, apps, &told).await;
}

/// Adds to the ballast until nothing more fits.
fn fill_rest(ballast: &Path) {
    let mut file = File::options().append(true).open(ballast).unwrap();
    let zeros = vec![0; 4096];
    while file.write_all(&zeros).is_ok() {}
}
