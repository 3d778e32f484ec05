//! Questions that overlap with news and with each other, held open by gates.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::Cell;
use std::future::ready;
use std::pin::pin;
use std::time::Duration;

use domain::catalog::{ProductFilter, ProductOrder};
use domain::page::PageLimit;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::sync::Notify;
use uuid::Uuid;

use super::*;

fn product(number: u128) -> ProductId {
    Uuid::from_u128(number).into()
}

fn page(body: &str, shows: &[u128]) -> Written {
    Written::new(body.into(), None, shows.iter().map(|number| product(*number)).collect())
}

fn query() -> ProductQuery {
    ProductQuery { filter: ProductFilter::default(), order: ProductOrder::default(), limit: PageLimit::default() }
}

fn body(found: Result<Option<Arc<Written>>, StoreError>) -> String {
    String::from_utf8(found.unwrap().unwrap().body.to_vec()).unwrap()
}

/// Asks for a product, and finds this.
async fn sees(cache: &ProductCache, number: u128, found: &str) -> String {
    body(cache.product(product(number), || ready(Ok(Some(page(found, &[number]))))).await)
}

/// Asks for the list, and finds this, with products 1 and 2 on it.
async fn lists(cache: &ProductCache, found: &str) -> String {
    body(cache.list(&query(), || ready(Ok(Some(page(found, &[2, 1]))))).await)
}

#[actix_web::test]
async fn what_was_found_is_shown_again_until_news_come_about_it() {
    let cache = ProductCache::default();
    assert_eq!((sees(&cache, 1, "old").await, lists(&cache, "old").await), ("old".into(), "old".into()));
    cache.stock_moved(&[product(3)]);
    assert_eq!((sees(&cache, 1, "new").await, lists(&cache, "new").await), ("old".into(), "old".into()));
    cache.stock_moved(&[product(3), product(1)]);
    assert_eq!((sees(&cache, 1, "new").await, lists(&cache, "new").await), ("new".into(), "new".into()));
    cache.changed(product(3));
    assert_eq!((sees(&cache, 1, "newer").await, lists(&cache, "newer").await), ("new".into(), "newer".into()));
    cache.missed_some();
    assert_eq!((sees(&cache, 1, "last").await, lists(&cache, "last").await), ("last".into(), "last".into()));
}

#[actix_web::test]
async fn nothing_is_shown_for_longer_than_a_second() {
    let cache = ProductCache::default();
    assert_eq!((sees(&cache, 1, "old").await, lists(&cache, "old").await), ("old".into(), "old".into()));
    tokio::time::sleep(MAX_AGE + Duration::from_millis(5)).await;
    assert_eq!((sees(&cache, 1, "new").await, lists(&cache, "new").await), ("new".into(), "new".into()));
}

#[actix_web::test]
async fn an_answer_that_news_overtook_is_given_to_who_asked_and_never_kept() {
    let news: [&dyn Fn(&ProductCache); 3] =
        [&|cache| cache.stock_moved(&[product(1)]), &|cache| cache.changed(product(1)), &ProductCache::missed_some];
    for news in news {
        let (cache, gate) = (ProductCache::default(), Notify::new());
        let late = async || {
            gate.notified().await;
            Ok(Some(page("old", &[1])))
        };
        let query = query();
        let mut of_product = pin!(cache.product(product(1), late));
        let mut of_list = pin!(cache.list(&query, late));
        assert!(of_product.as_mut().now_or_never().is_none() && of_list.as_mut().now_or_never().is_none());
        news(&cache);
        gate.notify_waiters();
        assert_eq!((body(of_product.await), body(of_list.await)), ("old".into(), "old".into()));
        assert_eq!((sees(&cache, 1, "new").await, lists(&cache, "new").await), ("new".into(), "new".into()));
    }
}

#[actix_web::test]
async fn a_sale_of_another_product_spoils_no_answer() {
    let (cache, gate, query) = (ProductCache::default(), Notify::new(), query());
    let late = async || {
        gate.notified().await;
        Ok(Some(page("found", &[1, 2])))
    };
    let mut asking = pin!(cache.list(&query, late));
    assert!(asking.as_mut().now_or_never().is_none());
    cache.stock_moved(&[product(3)]);
    gate.notify_waiters();
    assert_eq!(body(asking.await), "found");
    assert_eq!(lists(&cache, "asked again").await, "found");
}

#[actix_web::test]
async fn who_comes_after_the_news_is_not_given_an_answer_from_before() {
    let (cache, gate, query) = (ProductCache::default(), Notify::new(), query());
    let late = async || {
        gate.notified().await;
        Ok(Some(page("old", &[1])))
    };
    let mut early = pin!(cache.list(&query, late));
    assert!(early.as_mut().now_or_never().is_none());
    cache.stock_moved(&[product(1)]);
    let mut after = pin!(cache.list(&query, || ready(Ok(Some(page("new", &[1]))))));
    assert!(after.as_mut().now_or_never().is_none(), "the one question may still turn out not to be about the product");
    gate.notify_waiters();
    assert_eq!((body(early.await), body(after.await)), ("old".into(), "new".into()));
}

#[actix_web::test]
async fn of_many_who_miss_at_once_one_asks() {
    let (cache, asked) = (ProductCache::default(), Cell::new(0));
    let ask = async || {
        asked.set(asked.get() + 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(Some(page("found", &[1])))
    };
    let found = join_all((0..200).map(|_| cache.product(product(1), ask))).await;
    assert!(found.into_iter().map(body).all(|body| body == "found"));
    assert_eq!(asked.get(), 1);
}

#[actix_web::test]
async fn a_failure_is_told_to_all_who_waited_and_not_kept() {
    let (cache, asked) = (ProductCache::default(), Cell::new(0));
    let ask = async || {
        asked.set(asked.get() + 1);
        tokio::time::sleep(Duration::from_millis(5)).await;
        Err(StoreError::unavailable("connection refused"))
    };
    for found in join_all((0..20).map(|_| cache.product(product(1), ask))).await {
        let Err(StoreError::Unavailable(cause)) = found else { panic!("{found:?}") };
        assert_eq!(cause.to_string(), "connection refused");
    }
    assert_eq!(asked.get(), 1);
    assert_eq!(sees(&cache, 1, "found").await, "found");
}

#[actix_web::test]
async fn a_product_that_is_not_there_is_asked_for_each_time() {
    let cache = ProductCache::default();
    assert!(cache.product(product(1), || ready(Ok(None))).await.unwrap().is_none());
    assert_eq!(sees(&cache, 1, "created").await, "created");
}

#[actix_web::test]
async fn who_goes_away_in_the_middle_leaves_the_question_to_the_others_or_takes_it_along() {
    let cache = ProductCache::default();
    let never = || std::future::pending::<Result<Option<Written>, StoreError>>();
    {
        let mut leaver = Box::pin(cache.product(product(1), never));
        assert!(leaver.as_mut().now_or_never().is_none());
        let mut stayer = pin!(cache.product(product(1), || ready(Ok(Some(page("found", &[1]))))));
        assert!(stayer.as_mut().now_or_never().is_none());
        drop(leaver);
        assert_eq!(body(stayer.await), "found");
    }
    for number in 2..100 {
        let mut alone = Box::pin(cache.product(product(number), never));
        assert!(alone.as_mut().now_or_never().is_none());
    }
    assert_eq!(cache.products.read().questions(), 0);
}

#[actix_web::test]
async fn a_flood_of_different_lists_and_products_stays_within_its_bounds() {
    let cache = ProductCache::default();
    let long = "x".repeat(20_000);
    for number in 0..20_000_u32 {
        let id = product(number.into());
        let _ = cache.product(id, || ready(Ok(Some(page(&long[..2000], &[number.into()]))))).await;
        let filter = ProductFilter { min_price_minor: Some(number.into()), ..ProductFilter::default() };
        let _ = cache.list(&ProductQuery { filter, ..query() }, || ready(Ok(Some(page(&long, &[1]))))).await;
    }
    for ((entries, records, bytes), bounds) in
        [(cache.products.read().kept.size(), PRODUCTS), (cache.lists.read().kept.size(), LISTS)]
    {
        assert!(entries <= bounds.entries && records <= 2 * bounds.entries && bytes <= bounds.bytes);
        assert!(bytes > bounds.bytes / 2, "it was full: {bytes}");
    }
}
