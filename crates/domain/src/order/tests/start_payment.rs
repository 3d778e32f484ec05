//! Starting to pay (contract 3.3).

use crate::order::sample::{
    ASYNC_WAIT_SECONDS, WINDOW_SECONDS, at, attempt_id, customer_id, every_state, hear, open, order_id, paid_with,
    policy, processing, requested, session, stranger_id, unattempted, usd,
};
use crate::order::{Order, OrderChange, OrderStatus, ProviderNews, StartPayment, StartPaymentError};
use crate::payment::{AttemptState, PaymentStatus, SessionStanding};

fn command(second: i64) -> StartPayment {
    StartPayment {
        order_id: order_id(),
        customer_id: customer_id(),
        attempt_id: attempt_id(2),
        at: at(second),
        policy: policy(),
        claim: None,
    }
}

fn decide(order: Order, second: i64) -> Result<OrderChange, StartPaymentError> {
    command(second).decide(order, "ada@example.com")
}

fn name(outcome: &Result<OrderChange, StartPaymentError>) -> &'static str {
    match outcome {
        Ok(_) => "payable",
        Err(StartPaymentError::NotFound) => "not_found",
        Err(StartPaymentError::AlreadyPaid) => "order_already_paid",
        Err(StartPaymentError::NotPayable) => "order_not_payable",
        Err(StartPaymentError::Provider) => "provider",
        Err(StartPaymentError::ClaimLost(_)) => "claim_lost",
        Err(StartPaymentError::Store(_)) => "store",
    }
}

#[test]
fn what_can_be_paid_when() {
    for (state, order) in every_state() {
        let expected = match (state, order.status()) {
            ("processing", _) | (_, OrderStatus::Cancelled) => "order_not_payable",
            (_, OrderStatus::Pending) => "payable",
            (_, OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Delivered) => "order_already_paid",
        };
        assert_eq!(name(&decide(order.clone(), 60)), expected, "{state}");
        let late = if expected == "payable" { "order_not_payable" } else { expected };
        assert_eq!(name(&decide(order.clone(), WINDOW_SECONDS)), late, "{state}, late");
        let stranger = StartPayment { customer_id: stranger_id(), ..command(60) };
        assert_eq!(name(&stranger.decide(order, "eve@example.com")), "not_found", "{state}, by a stranger");
    }
}

#[test]
fn a_live_attempt_is_gone_on_with_and_no_second_one_begins() {
    for order in [requested(), open()] {
        let change = decide(order.clone(), 60).unwrap();
        assert_eq!(change.order, order);
        assert_eq!(change.errands, []);
    }
}

#[test]
fn a_further_attempt_begins_only_when_the_last_one_has_ended_unpaid() {
    let endings = [
        hear(open(), &session(1, SessionStanding::Expired)),
        hear(processing(), &session(1, SessionStanding::Failed)),
        hear(requested(), &ProviderNews::SessionRefused(attempt_id(1))),
        hear(open(), &session(1, paid_with("pi_9", usd(1)))),
        unattempted(),
    ];
    for order in endings {
        let ended = order.attempts.clone();
        let change = decide(order, 60).unwrap();
        assert_eq!(change.order.attempts[..ended.len()], ended);
        let [further] = &change.order.attempts[ended.len()..] else { panic!("{:?}", change.order.attempts) };
        assert_eq!((further.id, &further.state), (attempt_id(2), &AttemptState::Requested));
        let request = further.request.as_ref().unwrap();
        assert_eq!((request.attempt_id, request.expires_at), (attempt_id(2), at(60 + 31 * 60)));
        assert_eq!(change.order.payment, PaymentStatus::Pending);
    }
}

/// Contract 3.9: after a failed delayed payment "the payment is `FAILED`, and the order can be paid again".
#[test]
fn a_failed_payment_is_pending_again_with_the_next_attempt() {
    let failed = hear(processing(), &session(1, SessionStanding::Failed));
    assert_eq!(failed.payment, PaymentStatus::Failed);
    let again = decide(failed, 60).unwrap().order;
    assert_eq!(again.payment, PaymentStatus::Pending);
    let repeated = hear(again.clone(), &session(1, SessionStanding::Failed));
    assert_eq!(repeated, again, "the old failure, heard once more, does not touch the new attempt");
}

#[test]
fn an_order_that_waits_for_a_delayed_payment_is_not_due_before_its_wait_ends() {
    let order = processing();
    assert_eq!(order.waits_until(), Some(at(10 + ASYNC_WAIT_SECONDS)));
    assert_eq!(order.due_at(), at(10 + ASYNC_WAIT_SECONDS));
    assert_eq!(order.payable_session(at(11)), None);
}

/// A window that is longer than the wait stays.
#[test]
fn a_wait_never_shortens_the_window() {
    let mut order = processing();
    order.expires_at = at(20 + ASYNC_WAIT_SECONDS);
    assert_eq!(order.due_at(), at(20 + ASYNC_WAIT_SECONDS));
}

#[test]
fn a_session_is_payable_while_it_and_its_order_are() {
    let order = open();
    assert_eq!(order.payable_session(at(0)).map(|s| s.url.as_str()), Some("https://checkout.example/cs_1"));
    assert!(order.payable_session(at(WINDOW_SECONDS - 1)).is_some());
    assert_eq!(order.payable_session(at(WINDOW_SECONDS)), None);
    let mut prolonged = open();
    prolonged.expires_at = at(86_400);
    assert!(prolonged.payable_session(at(1859)).is_some());
    assert_eq!(prolonged.payable_session(at(1860)), None, "the session itself has ended");
}
