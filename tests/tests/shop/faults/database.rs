//! PostgreSQL stopped and killed under load: the shop says so in time, loses nothing, and is back by itself within
//! 5 s of PostgreSQL's return.

use std::time::Duration;

use ironcart_tests::load::{Load, LoadPlan};
use ironcart_tests::process::App;
use ironcart_tests::site::Site;
use ironcart_tests::trials;
use ironcart_tests::wait::until;

use super::{load_on, ready_since, site, stands_by};

/// Contract: recovery within 5 s of PostgreSQL's return.
const RECOVERY: Duration = Duration::from_secs(5);
/// No answer may take longer: a wait for a connection, one for giving the key's claim back, and some slack.
const LONGEST: Duration = Duration::from_secs(15);

enum Blow {
    Stop,
    Kill,
}

/// Takes PostgreSQL away under load, looks at the shop meanwhile, gives it back, and measures.
async fn strikes(site: &mut Site, load: &Load, blow: Blow, away: Duration) {
    load.goes_on_for(10).await;
    match blow {
        Blow::Stop => site.postgres_stops().await,
        Blow::Kill => site.postgres_is_killed().await,
    }
    until("PostgreSQL is gone", async || !site.postgres_answers().await).await;
    until("the app is not ready", async || {
        site.http.try_health("/health/ready").await.is_ok_and(|answer| {
            answer.status == 503 && answer.header("retry-after").is_some() && answer.verdict() == "unavailable"
        })
    })
    .await;
    assert_eq!(site.http.try_health("/health/live").await.unwrap().status, 200);
    tokio::time::sleep(away).await;
    let before = load.told().answers.unavailable();
    assert!(before > 0, "nobody was told: {:?}", load.told().answers);
    let back = site.postgres_starts().await;
    let ready = ready_since(site, back).await;
    load.goes_on_for(1).await;
    let sold = back.elapsed();
    eprintln!("ready {ready:.2?} after PostgreSQL's return, the next order {sold:.2?} after it");
    assert!(ready < RECOVERY && sold < RECOVERY, "ready {ready:?}, the next order {sold:?}");
}

async fn survives(blow: fn() -> Blow, times: u32) {
    let (mut site, apps): (Site, Vec<App>) = site(|_| ()).await;
    let load = load_on(&site, LoadPlan { seed: trials::printed_seed(), ..LoadPlan::default() }).await;
    for round in 0..times {
        // Short enough for those who wait for a connection, and too long for them.
        let away = if round % 2 == 0 { Duration::from_secs(1) } else { Duration::from_secs(8) };
        strikes(&mut site, &load, blow(), away).await;
    }
    load.goes_on_for(10).await;
    let told = load.ends().await;
    assert_eq!(told.answers.hung, 0, "{}", told.summary());
    assert!(told.answers.slowest < LONGEST, "{}", told.summary());
    stands_by(site, apps, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_stopped_and_started_again_is_a_503_and_then_nothing() {
    survives(|| Blow::Stop, trials::cases(2, 10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_killed_under_load_keeps_what_was_acknowledged() {
    survives(|| Blow::Kill, trials::cases(2, 10)).await;
}
