//! kill -9 of the app at random moments of a mixed load, and its start again on the same port.

use std::time::Duration;

use ironcart_tests::dice::Dice;
use ironcart_tests::load::LoadPlan;
use ironcart_tests::trials;

use super::{forget_the_dead, load_on, site, stands_by};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_killed_at_random_moments_of_a_mixed_load_loses_and_doubles_nothing() {
    let (site, mut apps) = site(|_| ()).await;
    let seed = trials::printed_seed();
    let mut dice = Dice::new(seed);
    // Calls that take some time are what a kill can fall into.
    site.provider().set_latency(Duration::from_millis(15));
    site.provider().repeat_webhooks(2);
    let load = load_on(&site, LoadPlan { seed, ..LoadPlan::default() }).await;
    for round in 0..trials::cases(5, 20) {
        load.goes_on_for(3 + usize::try_from(dice.below(10)).unwrap()).await;
        let moment = Duration::from_millis(dice.below(120));
        tokio::time::sleep(moment).await;
        apps.pop().unwrap().is_killed().await;
        eprintln!("round {round}: killed after {} orders", load.told().orders.len());
        forget_the_dead(&site).await;
        apps.push(site.instances[0].serve().await);
    }
    load.goes_on_for(10).await;
    let told = load.ends().await;
    assert!(told.answers.lost > 0, "no kill met a request");
    stands_by(site, apps, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_instances_killed_again_and_again_costs_the_other_nothing() {
    let (site, mut apps) = site(|plan| plan.instances = 2).await;
    let seed = trials::printed_seed();
    let mut dice = Dice::new(seed ^ 2);
    site.provider().set_latency(Duration::from_millis(15));
    let load = load_on(&site, LoadPlan { seed: seed ^ 2, ..LoadPlan::default() }).await;
    for _ in 0..trials::cases(2, 10) {
        load.goes_on_for(5).await;
        tokio::time::sleep(Duration::from_millis(dice.below(120))).await;
        apps.pop().unwrap().is_killed().await;
        // The other one serves whoever asks it; every other request finds nobody.
        load.goes_on_for(10).await;
        apps.push(site.instances[1].serve().await);
    }
    // What the dead one had claimed is taken over when its time is over: that is real time here, nothing is hurried.
    let told = load.ends().await;
    assert!(told.answers.lost > 0, "no kill met a request");
    stands_by(site, apps, &told).await;
}
