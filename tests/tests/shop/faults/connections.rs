//! PostgreSQL has no connection left for the shop: others hold them all.

use std::time::{Duration, Instant};

use ironcart_tests::load::LoadPlan;
use ironcart_tests::trials;
use tokio_postgres::{Client, NoTls};

use super::{load_on, ready_since, site, stands_by};

/// More than the server has.
const MOST: usize = 1000;

/// Takes every connection that is free.
async fn take_all(url: &str, taken: &mut Vec<Client>) {
    while taken.len() < MOST {
        match tokio_postgres::connect(url, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                taken.push(client);
            }
            Err(_) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_without_free_connections_is_a_503_until_there_are_some() {
    let (site, apps) = site(|_| ()).await;
    let load = load_on(&site, LoadPlan { seed: trials::printed_seed(), ..LoadPlan::default() }).await;
    for _ in 0..trials::cases(1, 5) {
        load.goes_on_for(10).await;
        let before = load.told().answers.unavailable();
        let url = site.database.url_text().to_owned();
        let mut taken = Vec::new();
        take_all(&url, &mut taken).await;
        assert!((200..MOST).contains(&taken.len()), "{} were free", taken.len());
        // The shop's own are ended, and whoever is quicker has their places: not the shop.
        let begun = Instant::now();
        let mut was_unready = false;
        while load.told().answers.unavailable() < before + 20 || !was_unready {
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody was told: {:?}", load.told().answers);
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ironcart'";
            taken[0].simple_query(end).await.unwrap();
            take_all(&url, &mut taken).await;
            // The shop may win a place back now and then; without one it says so.
            was_unready |= site.http.try_health("/health/ready").await.unwrap().status == 503;
        }
        assert_eq!(site.http.try_health("/health/live").await.unwrap().status, 200);
        let back = Instant::now();
        drop(taken);
        let ready = ready_since(&site, back).await;
        load.goes_on_for(1).await;
        eprintln!("ready {ready:.2?} after there were connections, the next order {:.2?} after it", back.elapsed());
        assert!(back.elapsed() < Duration::from_secs(5));
    }
    let told = load.ends().await;
    assert_eq!(told.answers.hung, 0, "{}", told.summary());
    assert!(told.answers.slowest < Duration::from_secs(15), "{}", told.summary());
    stands_by(site, apps, &told).await;
}
