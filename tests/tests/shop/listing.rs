//! Lists of orders (contract 1, "lists", and 2): whose, which, in what order, and page by page without a gap.

use std::collections::BTreeSet;

use ironcart_tests::http::Http;
use ironcart_tests::shop::{Plan, TestShop};
use ironcart_tests::wire::Order;
use serde_json::Value;
use stripe_simulator::PayTerms;

/// The orders of a list, in its order.
async fn listed(http: &Http, path: &str) -> Vec<Order> {
    let page = http.get(path).await.expect(200).json();
    serde_json::from_value(page["items"].clone()).unwrap()
}

async fn ids(http: &Http, path: &str) -> Vec<String> {
    listed(http, path).await.into_iter().map(|order| order.id).collect()
}

fn ids_of(orders: &[&Order]) -> Vec<String> {
    orders.iter().map(|order| order.id.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_neither_repeat_nor_skip_an_order_while_others_are_placed() {
    let shop = TestShop::with(|plan| plan.orders.fraud.max_pending_orders = 100).await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    let ada = shop.customer().await;
    let mut placed = Vec::new();
    for _ in 0..7 {
        placed.push(ada.orders_to_pay_later(&mug, 1).await.id);
    }
    placed.reverse();
    let (mut seen, mut path) = (Vec::new(), "/orders?limit=3".to_owned());
    loop {
        let page = ada.http.get(&path).await.expect(200).json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(items.iter().map(|order| order["id"].as_str().unwrap().to_owned()));
        // A newcomer belongs to a page that was read already.
        let _ = ada.orders_to_pay_later(&mug, 1).await;
        let Value::String(cursor) = &page["nextCursor"] else { break };
        path = format!("/orders?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, placed);
    for bad in ["cursor=nonsense", "limit=0", "limit=101", "limit=x", "status=LOST"] {
        ada.http.get(&format!("/orders?{bad}")).await.is_problem(422, "validation_failed");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_list_their_own_orders_and_admins_filter_all() {
    let shop = TestShop::with(Plan::never_sweeps).await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 100).await;
    let (ada, bob) = (shop.customer().await, shop.customer().await);
    let pending = ada.orders_to_pay_later(&mug, 1).await;
    let paid = ada.orders(&[(&mug, 1)]).await;
    ada.pays(&paid).await;
    shop.reaches(&paid, "PAID COMPLETED").await;
    shop.passes(60);
    let between = shop.now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    shop.passes(60);
    let cancelled = bob.orders_to_pay_later(&mug, 1).await;
    let _ = bob.cancels(&cancelled).await.expect(200);
    let flagged = bob.orders(&[(&mug, 1)]).await;
    let wrong = PayTerms { amount: Some(77), ..PayTerms::default() };
    shop.provider().pay(&shop.session_of(&flagged), wrong).unwrap();
    shop.settles().await;

    assert_eq!(ids(&ada.http, "/orders").await, ids_of(&[&paid, &pending]));
    assert_eq!(ids(&bob.http, "/orders").await, ids_of(&[&flagged, &cancelled]));
    assert_eq!(ids(&ada.http, "/orders?status=PAID").await, ids_of(&[&paid]));
    let all = listed(&admin.http, "/admin/orders").await;
    assert_eq!(all.iter().map(|order| &order.id).collect::<BTreeSet<_>>().len(), 4);
    for (filter, expected) in [
        ("status=CANCELLED".to_owned(), vec![&cancelled]),
        ("paymentStatus=COMPLETED".to_owned(), vec![&paid]),
        ("paymentStatus=PENDING&status=PENDING".to_owned(), vec![&flagged, &pending]),
        (format!("userId={}", bob.id), vec![&flagged, &cancelled]),
        ("flagged=true".to_owned(), vec![&flagged]),
        (format!("createdFrom={between}"), vec![&flagged, &cancelled]),
        (format!("createdTo={between}"), vec![&paid, &pending]),
        (format!("createdFrom={between}&createdTo={between}"), vec![]),
        ("unheardOf=1&status=PAID".to_owned(), vec![&paid]),
    ] {
        assert_eq!(ids(&admin.http, &format!("/admin/orders?{filter}")).await, ids_of(&expected), "{filter}");
    }
    // A list shows an order as its own page does.
    assert_eq!(all[1], admin.sees(&cancelled).await);
    for bad in ["status=paid", "paymentStatus=X", "userId=1", "flagged=maybe", "createdFrom=yesterday"] {
        admin.http.get(&format!("/admin/orders?{bad}")).await.is_problem(422, "validation_failed");
    }
    shop.close().await;
}
