//! Events that are lost, come fifty times, in reverse, or days late: the end is that of events in their order.

use ironcart_tests::actors::Customer;
use ironcart_tests::shop::TestShop;
use ironcart_tests::wait::until;
use ironcart_tests::wire::Order;
use stripe_simulator::{DashboardRefund, PayTerms, ReleaseOrder};

/// How events travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Travel {
    InOrder,
    FiftyTimes,
    Reversed,
    DaysLate,
    Lost,
}

const TWO_DAYS: i64 = 2 * 86_400;

/// What happens to the orders at the provider, in words. Those with a star can be found out by asking about their
/// session, as the sweep does, also when no event ever comes.
const STORIES: [&str; 11] = [
    "paid*",
    "paid and partly refunded by hand",
    "paid and refunded by hand",
    "paid too little*",
    "paid twice",
    "paid later, and it came*",
    "paid later, and it never came",
    "paid and disputed",
    "declined, then paid*",
    "paid and called off*",
    "never paid*",
];

async fn happens(shop: &TestShop, story: &str, customer: &Customer, order: &Order) {
    let provider = shop.provider();
    let session = shop.session_of(order);
    let pay = |terms| provider.pay(&session, terms).unwrap();
    match story.trim_end_matches('*') {
        "paid" => drop(pay(PayTerms::default())),
        "paid and partly refunded by hand" => {
            let receipt = pay(PayTerms::default());
            let part = DashboardRefund { amount: Some(300), ..DashboardRefund::default() };
            provider.refund_by_hand(&receipt.payment_intent, part).unwrap();
        }
        "paid and refunded by hand" => {
            let receipt = pay(PayTerms::default());
            provider.refund_by_hand(&receipt.payment_intent, DashboardRefund::default()).unwrap();
        }
        "paid too little" => drop(pay(PayTerms { amount: Some(500), ..PayTerms::default() })),
        "paid twice" => {
            pay(PayTerms::default());
            provider.pay_again(&session, PayTerms::default()).unwrap();
        }
        "paid later, and it came" => {
            provider.complete_unpaid(&session, PayTerms::default()).unwrap();
            provider.settle(&session).unwrap();
        }
        "paid later, and it never came" => {
            provider.complete_unpaid(&session, PayTerms::default()).unwrap();
            provider.fail(&session).unwrap();
        }
        "paid and disputed" => {
            let receipt = pay(PayTerms::default());
            provider.dispute(&receipt.charge, "fraudulent").unwrap();
        }
        "declined, then paid" => {
            provider.decline(&session).unwrap();
            pay(PayTerms::default());
        }
        "paid and called off" => {
            pay(PayTerms::default());
            // Where the news was quicker, the admin's word is needed, and gives the money back all the same.
            if customer.cancels(order).await.status != 200 {
                let _ = shop.admin().await.cancels(order).await.expect(200);
            }
        }
        "never paid" => {}
        other => panic!("no such story: {other}"),
    }
}

/// The orders' ends, by story.
async fn ends(travel: Travel) -> Vec<(&'static str, String)> {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 100).await;
    let mut orders = Vec::new();
    for customer in shop.customers(STORIES.len()).await {
        let order = customer.orders(&[(&mug, 1)]).await;
        orders.push((customer, order));
    }
    match travel {
        Travel::FiftyTimes => shop.provider().repeat_webhooks(50),
        Travel::Lost => shop.provider().drop_webhooks(usize::MAX, None),
        Travel::InOrder | Travel::Reversed | Travel::DaysLate => shop.provider().hold_webhooks(),
    }
    for ((customer, order), story) in orders.iter().zip(STORIES) {
        happens(&shop, story, customer, order).await;
    }
    match travel {
        Travel::InOrder => shop.provider().release_webhooks(ReleaseOrder::AsHappened).await,
        Travel::Reversed => shop.provider().release_webhooks(ReleaseOrder::Reversed).await,
        Travel::FiftyTimes => shop.settles().await,
        Travel::DaysLate | Travel::Lost => {}
    }
    shop.passes(TWO_DAYS);
    if travel == Travel::DaysLate {
        // The sweep has found out what it can before the news comes.
        let open = "SELECT count(*) AS n FROM orders WHERE status = 'PENDING' AND payment_status = 'PENDING'";
        until("the sweep has been everywhere", async || shop.database.number(open).await <= 1).await;
        shop.provider().release_webhooks(ReleaseOrder::Reversed).await;
    }
    if travel == Travel::Lost {
        // Nobody tells of the delayed payment that failed: it is waited for.
        shop.passes(3 * 86_400);
    }
    let open = "SELECT count(*) AS n FROM orders WHERE status = 'PENDING'";
    until("no order is open", async || shop.database.number(open).await == 0).await;
    shop.settles().await;
    let admin = shop.admin().await;
    let mut ends = Vec::new();
    for ((_, order), story) in orders.iter().zip(STORIES) {
        ends.push((story, end(&admin.sees(order).await)));
    }
    if travel == Travel::Lost {
        // A second payment and a dispute are known to nobody but the provider: the books can't agree.
        shop.close_unsettled().await;
    } else {
        shop.close().await;
    }
    ends
}

fn end(order: &Order) -> String {
    let mut flags = order.flags.clone();
    flags.sort_unstable();
    // Whether it was called off before or after the news of its payment, all the money is back.
    let mut extras = order.extras();
    extras.sort_unstable();
    format!("{} refunded {} {extras:?} {flags:?}", order.standing(), order.payment.refunded_amount)
}

/// The ends of the stories whose end is one: a cancellation before or after the news of the payment is not.
fn comparable(ends: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    ends.into_iter().filter(|(story, _)| *story != "paid and called off*").collect()
}

fn expected() -> Vec<(&'static str, String)> {
    [
        ("PAID COMPLETED", "0.00", "[]", "[]"),
        ("PAID COMPLETED", "3.00", "[]", "[]"),
        ("PAID REFUNDED", "10.00", "[]", "[]"),
        ("CANCELLED PENDING", "0.00", r#"["MISMATCH succeeded"]"#, r#"["AMOUNT_MISMATCH"]"#),
        ("PAID COMPLETED", "0.00", r#"["SECOND succeeded"]"#, "[]"),
        ("PAID COMPLETED", "0.00", "[]", "[]"),
        ("CANCELLED FAILED", "0.00", "[]", "[]"),
        ("PAID COMPLETED", "0.00", "[]", r#"["DISPUTED"]"#),
        ("PAID COMPLETED", "0.00", "[]", "[]"),
        ("CANCELLED PENDING", "0.00", r#"["LATE succeeded"]"#, "[]"),
        ("CANCELLED PENDING", "0.00", "[]", "[]"),
    ]
    .into_iter()
    .zip(STORIES)
    .map(|((standing, refunded, extras, flags), story)| {
        (story, format!("{standing} refunded {refunded} {extras} {flags}"))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_in_their_order_have_one_end() {
    assert_eq!(ends(Travel::InOrder).await, expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_fifty_times_have_the_same_end() {
    assert_eq!(comparable(ends(Travel::FiftyTimes).await), comparable(expected()));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_in_reverse_have_the_same_end() {
    assert_eq!(ends(Travel::Reversed).await, expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_days_late_have_the_same_end() {
    assert_eq!(ends(Travel::DaysLate).await, expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_tells_is_found_out_when_every_event_is_lost() {
    let knowable = |ends: Vec<(&'static str, String)>| -> Vec<_> {
        ends.into_iter().filter(|(story, _)| story.ends_with('*')).collect()
    };
    assert_eq!(knowable(ends(Travel::Lost).await), knowable(expected()));
}
