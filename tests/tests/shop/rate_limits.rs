//! The global limit and the checkout guard over real connections (contract 4). What is counted and what each header says
//! is tried beside the code, without a server; here is what needs one.

use std::time::Duration;

use api_actix::limits::Rate;
use ironcart_tests::http::Reply;
use ironcart_tests::shop::TestShop;
use serde_json::json;

fn rate(count: u32, seconds: u64) -> Option<Rate> {
    Some(Rate { count, period: Duration::from_secs(seconds) })
}

fn headers(reply: &Reply) -> [Option<&str>; 3] {
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(|name| reply.header(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_are_let_through_and_the_next_one_says_when_to_come_back() {
    let shop = TestShop::with(|plan| plan.limits.global = rate(100, 900)).await;
    for number in 1..=100 {
        let reply = shop.anonymous.get(if number % 2 == 0 { "/products" } else { "/nothing" }).await;
        assert_ne!(reply.status, 429, "request {number}");
        assert_eq!(reply.header("ratelimit-limit"), Some("100"));
    }
    let refused = shop.anonymous.get("/products").await;
    refused.is_problem(429, "rate_limited");
    assert_eq!(headers(&refused)[1], Some("0"));
    let retry_after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=9).contains(&retry_after), "a token comes every 9 s: {retry_after}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_as_long_as_told_is_let_through() {
    let shop = TestShop::with(|plan| plan.limits.global = rate(2, 2)).await;
    // The bucket refills while one asks, so it may take a third request to empty it.
    let seconds = ironcart_tests::wait::until_some("a refusal", async || {
        let reply = shop.anonymous.get("/products").await;
        (reply.status == 429).then(|| reply.header("retry-after").unwrap().parse::<u64>().unwrap())
    })
    .await;
    assert_eq!(seconds, 1);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let _ = shop.anonymous.get("/products").await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_heard_however_often_it_calls() {
    let shop = TestShop::with(|plan| plan.limits.global = rate(1, 3600)).await;
    let _ = shop.anonymous.get("/products").await.expect(200);
    shop.anonymous.get("/products").await.is_problem(429, "rate_limited");
    for number in 0..150 {
        let event = json!({
            "id": format!("evt_{number}"), "object": "event", "type": "unknown.kind",
            "created": shop.now().timestamp(), "data": { "object": {} }
        });
        let heard = shop.hears(&event).await.expect(200);
        assert_eq!(headers(&heard), [None; 3]);
    }
    shop.close().await;
}
