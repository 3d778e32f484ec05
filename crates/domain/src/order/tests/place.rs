//! Placing an order (contract 3.1 and 3.2).

use crate::fraud::{CustomerStanding, FraudRefusal};
use crate::order::sample::{
    GRACE_SECONDS, TOTAL_MINOR, WINDOW_SECONDS, at, attempt_id, cart_product, customer_id, order_id, place_order,
    policy, product_id, requested, snapshot, unattempted, usd,
};
use crate::order::{
    Order, OrderPolicy, OrderState, OrderStatus, Party, Payability, PlaceOrder, PlaceOrderError, PlaceSnapshot,
};
use crate::payment::{AttemptState, PaymentStatus};

/// What an error is about, for tables; its numbers are looked at one by one below.
fn name(outcome: &Result<Order, PlaceOrderError>) -> &'static str {
    match outcome {
        Ok(_) => "placed",
        Err(PlaceOrderError::CartEmpty) => "cart_empty",
        Err(PlaceOrderError::Refused(FraudRefusal::PendingOrders { .. })) => "pending_order_limit",
        Err(PlaceOrderError::Refused(FraudRefusal::DailyExpiries { .. })) => "daily_expiries",
        Err(PlaceOrderError::Refused(FraudRefusal::DailyCancellations { .. })) => "daily_cancellations",
        Err(PlaceOrderError::Refused(FraudRefusal::Units { .. })) => "units_limit",
        Err(PlaceOrderError::Refused(FraudRefusal::AccountTooNew { .. })) => "account_too_new",
        Err(PlaceOrderError::ProductUnavailable { .. }) => "product_unavailable",
        Err(PlaceOrderError::TotalChanged { .. }) => "total_changed",
        Err(PlaceOrderError::TotalNotPayable { .. }) => "order_total_not_payable",
        Err(PlaceOrderError::InsufficientStock { .. }) => "insufficient_stock",
        Err(PlaceOrderError::ClaimLost(_)) => "claim_lost",
        Err(PlaceOrderError::Store(_)) => "store",
    }
}

/// A cart with everything wrong with it, mended fault by fault: each answer names the first that is left.
#[test]
fn the_first_fault_in_the_order_of_checks_is_the_answer() {
    let mut command = PlaceOrder { expected_total_minor: Some(1), ..place_order() };
    command.policy.max_total = usd(TOTAL_MINOR - 1);
    let mut snapshot = PlaceSnapshot {
        standing: CustomerStanding { pending_orders: 5, daily_expiries: 10, daily_cancellations: 99 },
        cart: vec![],
        ..snapshot()
    };
    assert_eq!(name(&command.decide(&snapshot)), "cart_empty");

    snapshot.cart = crate::order::sample::snapshot().cart;
    snapshot.cart[0].stock = 1;
    snapshot.cart[1].archived = true;
    assert_eq!(name(&command.decide(&snapshot)), "pending_order_limit");

    snapshot.standing.pending_orders = 4;
    assert_eq!(name(&command.decide(&snapshot)), "daily_expiries");

    snapshot.standing.daily_expiries = 9;
    assert_eq!(name(&command.decide(&snapshot)), "product_unavailable");

    snapshot.cart[1].archived = false;
    assert_eq!(name(&command.decide(&snapshot)), "total_changed");

    command.expected_total_minor = Some(TOTAL_MINOR);
    assert_eq!(name(&command.decide(&snapshot)), "order_total_not_payable");

    command.policy.max_total = usd(TOTAL_MINOR);
    assert_eq!(name(&command.decide(&snapshot)), "insufficient_stock");

    snapshot.cart[0].stock = 2;
    assert_eq!(name(&command.decide(&snapshot)), "placed", "own cancellations don't limit ordering");
}

#[test]
fn a_refusal_says_what_is_needed_to_mend_it() {
    let mut short = snapshot();
    short.cart[1].stock = 0;
    let Err(PlaceOrderError::InsufficientStock { product_id: of, available, requested }) = place_order().decide(&short)
    else {
        panic!("there was enough")
    };
    assert_eq!((of, available, requested), (product_id(2), 0, 1));

    let mut gone = snapshot();
    gone.cart[1].archived = true;
    let Err(PlaceOrderError::ProductUnavailable { product_id: of }) = place_order().decide(&gone) else {
        panic!("it was for sale")
    };
    assert_eq!(of, product_id(2));

    let outdated = PlaceOrder { expected_total_minor: Some(TOTAL_MINOR + 1), ..place_order() };
    let Err(PlaceOrderError::TotalChanged { total }) = outdated.decide(&snapshot()) else { panic!("it was expected") };
    assert_eq!(total, usd(TOTAL_MINOR));
}

#[test]
fn a_total_is_payable_from_the_least_to_the_greatest_inclusive() {
    let bounded = |min, max| {
        let policy = OrderPolicy { min_total: usd(min), max_total: usd(max), ..policy() };
        name(&PlaceOrder { policy, ..place_order() }.decide(&snapshot()))
    };
    assert_eq!(bounded(TOTAL_MINOR, TOTAL_MINOR), "placed");
    assert_eq!(bounded(TOTAL_MINOR + 1, 99_999_999), "order_total_not_payable");
    assert_eq!(bounded(50, TOTAL_MINOR - 1), "order_total_not_payable");
}

#[test]
fn the_largest_cart_is_refused_and_not_overflowed() {
    let cart = (0..100).map(|n| cart_product(n, "Gold", 9_999_999_999, 1000, 1000)).collect();
    let outcome = place_order().decide(&PlaceSnapshot { cart, ..snapshot() });
    let Err(PlaceOrderError::TotalNotPayable { total, min, max }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((total, min, max), (usd(999_999_999_900_000), usd(50), usd(99_999_999)));
}

#[test]
fn exactly_the_stock_can_be_ordered() {
    let mut all = snapshot();
    all.cart[0].stock = 2;
    all.cart[1].stock = 1;
    assert_eq!(name(&place_order().decide(&all)), "placed");
}

#[test]
fn an_order_keeps_names_and_prices_of_its_time() {
    let order = requested();
    let lines: Vec<_> = order.lines.iter().map(|l| (l.name.as_str(), l.unit_price, l.quantity.get())).collect();
    assert_eq!(lines, [("Mug", usd(1999), 2), ("Poster", usd(500), 1)]);
    assert_eq!(order.total, usd(TOTAL_MINOR));
    assert_eq!((order.state.clone(), order.payment), (OrderState::Pending, PaymentStatus::Pending));
    assert!(order.flags.is_empty() && order.receipts.is_empty());
}

#[test]
fn its_history_begins_with_the_customer_placing_it() {
    let order = requested();
    let [placed] = order.history.as_slice() else { panic!("{:?}", order.history) };
    assert_eq!((placed.from, placed.to, placed.by), (None, OrderStatus::Pending, Party::Customer));
    assert_eq!((placed.actor_id, placed.at, placed.reason.as_deref()), (Some(customer_id()), at(0), None));
}

#[test]
fn it_can_be_paid_until_its_window_ends_and_not_at_that_moment() {
    let order = requested();
    assert_eq!((order.created_at, order.expires_at), (at(0), at(WINDOW_SECONDS)));
    assert_eq!(order.payability(at(WINDOW_SECONDS - 1)), Payability::Payable);
    assert_eq!(order.payability(at(WINDOW_SECONDS)), Payability::NotPayable);
    assert_eq!(order.payability(at(WINDOW_SECONDS + GRACE_SECONDS)), Payability::NotPayable);
}

/// Contract 3.3: the attempt is stored with all the parameters of the call, before the call.
#[test]
fn its_first_attempt_carries_all_that_the_provider_will_be_sent() {
    let order = requested();
    let [attempt] = order.attempts.as_slice() else { panic!("{:?}", order.attempts) };
    assert_eq!((attempt.id, &attempt.state), (attempt_id(1), &AttemptState::Requested));
    let request = attempt.request.as_ref().unwrap();
    assert_eq!((request.attempt_id, request.order_id), (attempt_id(1), order_id()));
    assert_eq!(request.customer_email, "ada@example.com");
    assert_eq!(request.expires_at, at(31 * 60), "30 minutes are too few when the call is slow");
    assert_eq!(request.success_url, format!("https://shop.example/checkout/success?orderId={}", order_id()));
    assert_eq!(request.cancel_url, format!("https://shop.example/checkout/cancel?orderId={}", order_id()));
    let lines: Vec<_> = request.lines.iter().map(|l| (l.name.as_str(), l.unit_price, l.quantity.get())).collect();
    assert_eq!(lines, [("Mug", usd(1999), 2), ("Poster", usd(500), 1)]);
}

#[test]
fn an_order_that_is_not_to_be_paid_now_has_no_attempt() {
    assert_eq!(unattempted().attempts, []);
    assert_eq!(unattempted().payability(at(0)), Payability::Payable);
}
