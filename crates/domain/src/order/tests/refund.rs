//! Giving money back at an admin's wish (contract 2, `POST /admin/orders/{id}/refund`, and 3.6).

use crate::order::sample::{
    CountingIds, TOTAL_MINOR, admin_id, at, cancelled, cancelled_after_payment, delivered, every_state, hear, open,
    open_request, order_id, paid, paid_by, paid_with, processing, refund, requested, session, shipped, unattempted,
    usd,
};
use crate::order::{Errand, Flag, Order, OrderChange, ProviderNews, RefundOrderMoney, RefundOrderMoneyError};
use crate::payment::{PaymentStatus, RefundStatus};

fn decide(order: Order) -> Result<OrderChange, RefundOrderMoneyError> {
    RefundOrderMoney { order_id: order_id(), admin_id: admin_id(), at: at(40) }.decide(order, &CountingIds::default())
}

fn refunded(order: Order, name: &str, of: &str, amount_minor: i64, status: RefundStatus) -> Order {
    hear(order, &ProviderNews::Refund(refund(name, of, amount_minor, status)))
}

/// The provider's refund of what the shop asked for.
fn answered(order: &Order, of: &str, status: RefundStatus) -> Order {
    let (request_id, amount_minor) = open_request(order, of).expect("a request is open");
    let news = crate::payment::ProviderRefund {
        request_id: Some(request_id),
        ..refund(&format!("re_{of}_{request_id}"), of, amount_minor, status)
    };
    hear(order.clone(), &ProviderNews::Refund(news))
}

#[test]
fn the_payment_of_every_paid_order_can_go_back_while_the_order_stays() {
    for order in [paid(), shipped(), delivered()] {
        let change = decide(order.clone()).unwrap();
        let (request, amount_minor) = open_request(&change.order, "pi_1").unwrap();
        assert_eq!((change.errands.as_slice(), amount_minor), ([Errand::Refund(request)].as_slice(), TOTAL_MINOR));
        assert_eq!(change.order.payment, PaymentStatus::RefundPending);
        assert_eq!((change.order.state, change.restock), (order.state, false));
        assert_eq!(change.order.history, order.history);
    }
}

#[test]
fn what_never_came_in_or_is_on_its_way_can_not_be_refunded() {
    let asked = decide(paid()).unwrap().order;
    for order in
        [unattempted(), requested(), open(), processing(), cancelled(), cancelled_after_payment(), asked.clone()]
    {
        assert!(matches!(decide(order.clone()), Err(RefundOrderMoneyError::NotRefundable)), "{order:?}");
    }
    for status in [RefundStatus::Pending, RefundStatus::RequiresAction, RefundStatus::Succeeded] {
        let back = answered(&asked, "pi_1", status);
        assert!(matches!(decide(back), Err(RefundOrderMoneyError::NotRefundable)), "{status:?}");
    }
}

#[test]
fn after_a_part_by_hand_a_full_refund_asks_for_the_rest() {
    for status in [RefundStatus::Pending, RefundStatus::Succeeded] {
        let part = refunded(paid(), "re_hand", "pi_1", 1000, status);
        assert_eq!(part.payment, PaymentStatus::Completed, "below the amount the payment stays completed");
        let asked = decide(part).unwrap().order;
        assert_eq!(open_request(&asked, "pi_1").unwrap().1, TOTAL_MINOR - 1000);
        assert_eq!(asked.payment, PaymentStatus::RefundPending);
        let done = refunded(
            answered(&asked, "pi_1", RefundStatus::Succeeded),
            "re_hand",
            "pi_1",
            1000,
            RefundStatus::Succeeded,
        );
        assert_eq!(done.payment, PaymentStatus::Refunded);
        assert_eq!(done.payment_receipt().unwrap().refunded_minor(), TOTAL_MINOR);
    }
}

/// `REFUND_FAILED → REFUND_PENDING` by `POST …/refund`, also when the refund had succeeded before.
#[test]
fn a_refund_that_failed_flags_the_order_and_is_asked_for_anew() {
    let asked = decide(paid()).unwrap().order;
    let (first, _) = open_request(&asked, "pi_1").unwrap();
    let succeeded = answered(&asked, "pi_1", RefundStatus::Succeeded);
    assert_eq!((succeeded.payment, succeeded.flags.len()), (PaymentStatus::Refunded, 0));

    let failed = refunded(succeeded, &format!("re_pi_1_{first}"), "pi_1", TOTAL_MINOR, RefundStatus::Failed);
    assert_eq!(failed.payment, PaymentStatus::RefundFailed);
    assert!(failed.flags.contains(&Flag::RefundFailed));
    assert_eq!(failed.payment_receipt().unwrap().refunded_minor(), 0);

    let ids = CountingIds::default();
    let _ = crate::clock::Ids::next(&ids);
    let command = RefundOrderMoney { order_id: order_id(), admin_id: admin_id(), at: at(40) };
    let again = command.decide(failed, &ids).unwrap().order;
    assert_eq!(again.payment, PaymentStatus::RefundPending);
    assert!(again.flags.contains(&Flag::RefundFailed), "an admin clears it, not the next try");
    let (second, amount_minor) = open_request(&again, "pi_1").unwrap();
    assert_eq!(amount_minor, TOTAL_MINOR);
    assert_ne!(first, second, "a definite failure is followed by a new key");
    assert_eq!(answered(&again, "pi_1", RefundStatus::Succeeded).payment, PaymentStatus::Refunded);
}

/// "…asks again for refunds that failed (those of extra receipts too, on cancelled orders too)".
#[test]
fn refunds_of_extra_receipts_that_failed_are_asked_for_anew() {
    let late = hear(cancelled(), &session(1, paid_by("pi_late")));
    assert!(matches!(decide(late.clone()), Err(RefundOrderMoneyError::NotRefundable)), "it is under way");
    let failed = answered(&late, "pi_late", RefundStatus::Failed);
    assert!(failed.flags.contains(&Flag::RefundFailed));
    let again = decide(failed).unwrap();
    assert_eq!(open_request(&again.order, "pi_late").unwrap().1, TOTAL_MINOR);
    assert_eq!(again.errands.len(), 1);
    assert_eq!(again.order.payment, PaymentStatus::Pending, "an extra receipt is nothing of the payment's");
}

#[test]
fn payment_and_failed_extras_go_back_with_one_wish() {
    let mismatch = hear(open(), &session(1, paid_with("pi_odd", usd(77))));
    let paid = hear(answered(&mismatch, "pi_odd", RefundStatus::Failed), &session(2, paid_by("pi_1")));
    let change = decide(paid).unwrap();
    assert_eq!(open_request(&change.order, "pi_odd").unwrap().1, 77);
    assert_eq!(open_request(&change.order, "pi_1").unwrap().1, TOTAL_MINOR);
    assert_eq!(change.errands.len(), 2);
}

#[test]
fn no_state_is_moved_by_a_refund() {
    for (state, order) in every_state() {
        if let Ok(change) = decide(order.clone()) {
            assert_eq!((change.order.state, change.restock), (order.state, false), "{state}");
        }
    }
}
