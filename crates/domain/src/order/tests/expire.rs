//! Unpaid orders end (contract 3.7 and 3.8).

use crate::order::sample::{
    ASYNC_WAIT_SECONDS, GRACE_SECONDS, WINDOW_SECONDS, at, attempt_id, every_state, hear, open, order_id, processing,
    requested, session, unattempted,
};
use crate::order::{CancelledBy, Errand, ExpireOrder, Expiry, Order, OrderChange, OrderStatus, Party};
use crate::payment::SessionStanding;

fn decide(order: Order, second: i64, provider_answered: bool) -> (Expiry, OrderChange) {
    let provider_grace_seconds = u32::try_from(GRACE_SECONDS).unwrap();
    let command = ExpireOrder { order_id: order_id(), at: at(second), provider_answered, provider_grace_seconds };
    command.decide(order).unwrap()
}

/// The provider was asked and said that the session ended unpaid.
fn closed(order: Order) -> Order {
    hear(order, &session(1, SessionStanding::Expired))
}

const DELAYED_DUE: i64 = 10 + ASYNC_WAIT_SECONDS;

#[test]
fn when_an_unpaid_order_is_cancelled_for_age() {
    const ANSWERED: bool = true;
    const SILENT: bool = false;
    let (due, delayed) = (WINDOW_SECONDS, DELAYED_DUE);
    let table = [
        ("no attempt, a second early", unattempted(), due - 1, ANSWERED, Expiry::NotDue),
        ("no attempt, due", unattempted(), due, ANSWERED, Expiry::Cancelled),
        ("closed, a second early", closed(open()), due - 1, ANSWERED, Expiry::NotDue),
        ("closed, due", closed(open()), due, ANSWERED, Expiry::Cancelled),
        ("not closed though the provider answered", open(), due, ANSWERED, Expiry::Waits),
        ("no answer", open(), due, SILENT, Expiry::Waits),
        ("no answer to an attempt of unknown fate", requested(), due, SILENT, Expiry::Waits),
        ("no answer, a second before the grace ends", open(), due + GRACE_SECONDS - 1, SILENT, Expiry::Waits),
        ("no answer, the grace is over", open(), due + GRACE_SECONDS, SILENT, Expiry::Cancelled),
        ("unknown fate, the grace is over", requested(), due + GRACE_SECONDS, SILENT, Expiry::Cancelled),
        ("delayed payment, window over", processing(), due + GRACE_SECONDS, ANSWERED, Expiry::NotDue),
        ("delayed payment, wait over, still unpaid", processing(), delayed, ANSWERED, Expiry::Cancelled),
        ("delayed payment, wait over, no answer", processing(), delayed, SILENT, Expiry::Waits),
        ("delayed payment, grace over", processing(), delayed + GRACE_SECONDS, SILENT, Expiry::Cancelled),
    ];
    for (case, order, second, answered, expected) in table {
        let (expiry, change) = decide(order.clone(), second, answered);
        assert_eq!(expiry, expected, "{case}");
        assert_eq!(change.restock, expected == Expiry::Cancelled, "{case}");
        if expected != Expiry::Cancelled {
            assert_eq!(change.order, order, "{case}");
        }
    }
}

#[test]
fn nothing_but_a_pending_order_expires() {
    for (state, order) in every_state() {
        if order.status() != OrderStatus::Pending {
            let (expiry, change) = decide(order.clone(), DELAYED_DUE + GRACE_SECONDS, true);
            assert_eq!((expiry, change.restock), (Expiry::NotDue, false), "{state}");
            assert_eq!((change.order, change.errands), (order, vec![]), "{state}");
        }
    }
}

#[test]
fn expiry_is_the_shops_own_doing_and_says_why() {
    let order = decide(unattempted(), WINDOW_SECONDS, true).1.order;
    let cancellation = order.state.cancellation().unwrap();
    assert_eq!((cancellation.by, cancellation.at), (CancelledBy::System, at(WINDOW_SECONDS)));
    let entry = order.history.last().unwrap();
    assert_eq!((entry.from, entry.to, entry.by), (Some(OrderStatus::Pending), OrderStatus::Cancelled, Party::System));
    assert_eq!((entry.actor_id, entry.reason.as_deref()), (None, Some("not paid in time")));
}

#[test]
fn a_session_that_could_not_be_asked_about_is_closed_after_the_cancelling() {
    for order in [open(), requested()] {
        let (_, change) = decide(order, WINDOW_SECONDS + GRACE_SECONDS, false);
        assert_eq!(change.errands, [Errand::CloseSession(attempt_id(1))]);
    }
}

#[test]
fn a_failed_delayed_payment_leaves_the_order_its_window() {
    let failed = hear(processing(), &session(1, SessionStanding::Failed));
    assert_eq!(failed.due_at(), at(WINDOW_SECONDS));
    assert_eq!(decide(failed.clone(), WINDOW_SECONDS - 1, true).0, Expiry::NotDue);
    assert_eq!(decide(failed, WINDOW_SECONDS, true).0, Expiry::Cancelled);
}
