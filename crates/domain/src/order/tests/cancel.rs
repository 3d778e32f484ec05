//! Calling an order off (contract 3, "Order").

use crate::account::Role;
use crate::fraud::{CustomerStanding, FraudRefusal};
use crate::order::sample::{
    CountingIds, TOTAL_MINOR, admin_id, at, attempt_id, cancel, cancelled, customer_id, every_state, hear, open,
    open_request, order_id, paid, paid_with, refund, requested, session, stranger_id, unattempted, usd,
};
use crate::order::{
    CancelOrder, CancelOrderError, CancelledBy, Errand, InvalidTransition, Order, OrderChange, OrderStatus, Party,
    ProviderNews, RefundOrderMoney,
};
use crate::payment::{PaymentStatus, RefundStatus};
use crate::text::CancelReason;

fn decide(command: &CancelOrder, order: Order) -> Result<OrderChange, CancelOrderError> {
    command.decide(order, &CustomerStanding::default(), &CountingIds::default())
}

fn name(outcome: &Result<OrderChange, CancelOrderError>) -> &'static str {
    match outcome {
        Ok(_) => "cancelled",
        Err(CancelOrderError::NotFound) => "not_found",
        Err(CancelOrderError::AlreadyPaid) => "order_already_paid",
        Err(CancelOrderError::InvalidTransition(_)) => "invalid_transition",
        Err(CancelOrderError::Refused(_)) => "refused",
        Err(CancelOrderError::ClaimLost(_)) => "claim_lost",
        Err(CancelOrderError::Store(_)) => "store",
    }
}

#[test]
fn who_may_cancel_what() {
    for (state, order) in every_state() {
        let (by_customer, by_admin) = match order.status() {
            OrderStatus::Pending => ("cancelled", "cancelled"),
            OrderStatus::Paid => ("order_already_paid", "cancelled"),
            OrderStatus::Shipped | OrderStatus::Delivered => ("order_already_paid", "invalid_transition"),
            OrderStatus::Cancelled => ("invalid_transition", "invalid_transition"),
        };
        assert_eq!(name(&decide(&cancel(Role::Customer), order.clone())), by_customer, "{state}, by its customer");
        assert_eq!(name(&decide(&cancel(Role::Admin), order.clone())), by_admin, "{state}, by an admin");
        let stranger = CancelOrder { actor_id: stranger_id(), ..cancel(Role::Customer) };
        assert_eq!(name(&decide(&stranger, order)), "not_found", "{state}, by a stranger");
    }
}

#[test]
fn a_refused_move_says_from_where_to_where() {
    let again = decide(&cancel(Role::Customer), cancelled()).unwrap_err();
    let CancelOrderError::InvalidTransition(InvalidTransition { from, to }) = again else { panic!("{again:?}") };
    assert_eq!((from, to), (OrderStatus::Cancelled, OrderStatus::Cancelled));
}

#[test]
fn stock_goes_back_and_the_history_says_by_whom_and_why() {
    let reason = CancelReason::new("changed my mind").unwrap();
    for (role, actor, by, party) in [
        (Role::Customer, customer_id(), CancelledBy::Customer, Party::Customer),
        (Role::Admin, admin_id(), CancelledBy::Admin, Party::Admin),
    ] {
        let change = decide(&CancelOrder { reason: Some(reason.clone()), ..cancel(role) }, unattempted()).unwrap();
        assert!(change.restock);
        assert_eq!(change.errands, []);
        let cancellation = change.order.state.cancellation().unwrap();
        assert_eq!((cancellation.at, cancellation.by, &cancellation.reason), (at(30), by, &Some(reason.clone())));
        let entry = change.order.history.last().unwrap();
        assert_eq!((entry.from, entry.to), (Some(OrderStatus::Pending), OrderStatus::Cancelled));
        assert_eq!((entry.by, entry.actor_id, entry.at), (party, Some(actor), at(30)));
        assert_eq!(entry.reason.as_deref(), Some("changed my mind"));
    }
}

#[test]
fn a_session_that_may_be_payable_is_closed_whether_or_not_the_provider_answered_for_it() {
    for order in [requested(), open()] {
        let change = decide(&cancel(Role::Customer), order).unwrap();
        assert_eq!(change.errands, [Errand::CloseSession(attempt_id(1))]);
    }
}

#[test]
fn the_payment_of_a_paid_order_goes_back() {
    let change = decide(&cancel(Role::Admin), paid()).unwrap();
    let (request, amount_minor) = open_request(&change.order, "pi_1").unwrap();
    assert_eq!(change.errands, [Errand::Refund(request)]);
    assert_eq!(amount_minor, TOTAL_MINOR);
    assert_eq!(change.order.payment, PaymentStatus::RefundPending);
    assert!(change.restock);
    assert_eq!(change.order.state.paid_at(), Some(at(10)));
}

/// Contract 3: "refunds unless a refund is under way or done".
#[test]
fn a_payment_that_went_back_or_is_on_its_way_is_not_refunded_again() {
    for status in [RefundStatus::Pending, RefundStatus::RequiresAction, RefundStatus::Succeeded] {
        let back = hear(paid(), &ProviderNews::Refund(refund("re_1", "pi_1", TOTAL_MINOR, status)));
        let change = decide(&cancel(Role::Admin), back).unwrap();
        assert_eq!(change.errands, [], "{status:?}");
        assert!(change.restock, "{status:?}");
    }
}

#[test]
fn a_refund_that_an_admin_asked_for_before_is_not_asked_for_again() {
    let wish = RefundOrderMoney { order_id: order_id(), admin_id: admin_id(), at: at(20) };
    let asked = wish.decide(paid(), &CountingIds::default()).unwrap().order;
    let change = decide(&cancel(Role::Admin), asked.clone()).unwrap();
    assert_eq!((change.errands, change.order.receipts), (vec![], asked.receipts));
}

#[test]
fn after_a_part_went_back_by_hand_only_what_is_left_is_asked_for() {
    let part = hear(paid(), &ProviderNews::Refund(refund("re_1", "pi_1", 1000, RefundStatus::Succeeded)));
    let change = decide(&cancel(Role::Admin), part).unwrap();
    assert_eq!(open_request(&change.order, "pi_1").unwrap().1, TOTAL_MINOR - 1000);
}

#[test]
fn a_refund_that_failed_before_is_asked_for_anew() {
    let failed = hear(paid(), &ProviderNews::Refund(refund("re_1", "pi_1", TOTAL_MINOR, RefundStatus::Failed)));
    assert_eq!(failed.payment, PaymentStatus::RefundFailed);
    let change = decide(&cancel(Role::Admin), failed).unwrap();
    assert_eq!(open_request(&change.order, "pi_1").unwrap().1, TOTAL_MINOR);
    assert_eq!(change.order.payment, PaymentStatus::RefundPending);
}

/// Extra receipts have their own refunds; cancelling touches none.
#[test]
fn an_extra_receipt_is_left_to_its_own_refund() {
    let mismatch = hear(open(), &session(1, paid_with("pi_9", usd(1))));
    let change = decide(&cancel(Role::Admin), mismatch.clone()).unwrap();
    assert_eq!(change.order.receipts, mismatch.receipts);
    assert_eq!(change.errands, []);
}

#[test]
fn only_a_customers_own_cancelling_is_limited() {
    let tired = CustomerStanding { daily_cancellations: 3, ..CustomerStanding::default() };
    let ids = CountingIds::default();
    let refused = cancel(Role::Customer).decide(open(), &tired, &ids).unwrap_err();
    assert!(matches!(refused, CancelOrderError::Refused(FraudRefusal::DailyCancellations { max: 3 })), "{refused:?}");
    assert_eq!(name(&cancel(Role::Admin).decide(open(), &tired, &ids)), "cancelled");
    let later = cancel(Role::Customer).decide(cancelled(), &tired, &ids);
    assert_eq!(name(&later), "invalid_transition", "what can't be cancelled anyway is no matter of limits");
}
