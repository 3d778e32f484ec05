//! The app's clock jumps an hour ahead and an hour back in the middle of a load. Leases and claims go by the
//! database's clock and do not notice; orders expire once; and when the clock is right again, nothing is stuck.

use std::time::Duration;

use ironcart_tests::load::LoadPlan;
use ironcart_tests::trials;
use ironcart_tests::wait::until;

use super::{load_in, shop};

const HOUR: i64 = 3600;

/// How long the clock stays wrong where nothing can be waited for.
const A_WHILE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_an_hour_ahead_and_back_expires_no_order_twice() {
    let shop = shop(|plan| plan.instances = 2).await;
    let seed = trials::printed_seed();
    let load = load_in(&shop, LoadPlan { seed, ..LoadPlan::default() }).await;
    for _ in 0..trials::cases(2, 10) {
        load.goes_on_for(15).await;
        let expired = "SELECT count(*) AS n FROM orders WHERE cancelled_by = 'SYSTEM'";
        let before = shop.database.number(expired).await;
        shop.clock.advance(HOUR);
        until("what is open has expired", async || shop.database.number(expired).await > before).await;
        load.goes_on_for(5).await;
        shop.clock.advance(-HOUR);
        load.goes_on_for(5).await;
    }
    let told = load.ends().await;
    eprintln!("{}", told.summary());
    assert_eq!(told.answers.hung, 0);
    told.is_kept(&shop.database, shop.provider(), shop.plan()).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_an_hour_back_and_on_again_leaves_nothing_stuck() {
    let shop = shop(|plan| plan.instances = 2).await;
    let seed = trials::printed_seed();
    let load = load_in(&shop, LoadPlan { seed: seed ^ 1, ..LoadPlan::default() }).await;
    for _ in 0..trials::cases(2, 10) {
        load.goes_on_for(15).await;
        shop.clock.advance(-HOUR);
        // Sessions can't be opened meanwhile: to the provider they would end in the past.
        tokio::time::sleep(A_WHILE).await;
        shop.clock.advance(HOUR);
        load.goes_on_for(5).await;
    }
    let told = load.ends().await;
    eprintln!("{}", told.summary());
    assert_eq!(told.answers.hung, 0);
    told.is_kept(&shop.database, shop.provider(), shop.plan()).await;
    shop.close().await;
}
