//! Shipping, delivering, clearing flags (contract 3.9 and `PATCH /admin/orders/{id}`).

use crate::order::sample::{TOTAL_MINOR, admin_id, at, cancelled, every_state, hear, order_id, paid, refund, shipped};
use crate::order::{
    Flag, FulfilOrder, FulfilOrderError, FulfilmentStep, InvalidTransition, Order, OrderChange, OrderStatus, Party,
    ProviderNews,
};
use crate::payment::RefundStatus;
use crate::text::TrackingNumber;

fn decide(step: FulfilmentStep, order: Order) -> Result<OrderChange, FulfilOrderError> {
    FulfilOrder { order_id: order_id(), admin_id: admin_id(), step, at: at(20) }.decide(order)
}

fn transition(outcome: Result<OrderChange, FulfilOrderError>) -> (OrderStatus, OrderStatus) {
    match outcome {
        Err(FulfilOrderError::InvalidTransition(InvalidTransition { from, to })) => (from, to),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_paid_orders_ship_and_only_shipped_ones_are_delivered() {
    for (state, order) in every_state() {
        let from = order.status();
        let ship = decide(FulfilmentStep::Ship(None), order.clone());
        if from == OrderStatus::Paid {
            assert_eq!(ship.unwrap().order.status(), OrderStatus::Shipped);
        } else {
            assert_eq!(transition(ship), (from, OrderStatus::Shipped), "{state}");
        }
        let deliver = decide(FulfilmentStep::Deliver, order);
        if from == OrderStatus::Shipped {
            assert_eq!(deliver.unwrap().order.status(), OrderStatus::Delivered);
        } else {
            assert_eq!(transition(deliver), (from, OrderStatus::Delivered), "{state}");
        }
    }
}

#[test]
fn shipping_keeps_the_tracking_number_and_the_history_names_the_admin() {
    let number = TrackingNumber::new("JD0002").unwrap();
    let change = decide(FulfilmentStep::Ship(Some(number.clone())), paid()).unwrap();
    let shipment = change.order.state.shipment().unwrap();
    assert_eq!((shipment.paid_at, shipment.shipped_at), (at(10), at(20)));
    assert_eq!(shipment.tracking_number, Some(number));
    let entry = change.order.history.last().unwrap();
    assert_eq!((entry.from, entry.to), (Some(OrderStatus::Paid), OrderStatus::Shipped));
    assert_eq!((entry.by, entry.actor_id, entry.at), (Party::Admin, Some(admin_id()), at(20)));
    assert!(!change.restock && change.errands.is_empty());
}

#[test]
fn a_flagged_order_is_not_shipped_until_its_flags_are_cleared() {
    for (news, flag) in [(ProviderNews::Disputed, Flag::Disputed), (ProviderNews::FraudWarning, Flag::FraudWarning)] {
        let flagged = hear(paid(), &news);
        match decide(FulfilmentStep::Ship(None), flagged.clone()) {
            Err(FulfilOrderError::Flagged { flags }) => assert_eq!(flags.into_iter().collect::<Vec<_>>(), [flag]),
            other => panic!("{other:?}"),
        }
        let cleared = decide(FulfilmentStep::ClearFlags, flagged.clone()).unwrap().order;
        assert!(cleared.flags.is_empty());
        assert_eq!(cleared.history, flagged.history, "clearing flags is no move");
        assert!(decide(FulfilmentStep::Ship(None), cleared).is_ok());
    }
}

#[test]
fn a_shipped_order_that_is_flagged_late_can_still_be_delivered() {
    let flagged = hear(shipped(), &ProviderNews::Disputed);
    assert!(decide(FulfilmentStep::Deliver, flagged).is_ok());
}

#[test]
fn flags_can_be_cleared_wherever_an_order_stands() {
    for (state, order) in every_state() {
        let flagged = hear(order, &ProviderNews::FraudWarning);
        assert!(decide(FulfilmentStep::ClearFlags, flagged).unwrap().order.flags.is_empty(), "{state}");
    }
}

/// `POST /admin/orders/{id}/refund`: "it can no longer be shipped (409 `invalid_transition`)", flagged or not.
#[test]
fn an_order_whose_money_went_back_or_should_have_is_not_shipped() {
    let full = |status| ProviderNews::Refund(refund("re_1", "pi_1", TOTAL_MINOR, status));
    for status in [RefundStatus::Pending, RefundStatus::Succeeded, RefundStatus::Failed] {
        let order = hear(paid(), &full(status));
        let expected = (OrderStatus::Paid, OrderStatus::Shipped);
        assert_eq!(transition(decide(FulfilmentStep::Ship(None), order)), expected, "{status:?}");
    }
}

/// Contract 3.6: "below `amount` the payment stays `COMPLETED`".
#[test]
fn a_part_refunded_by_hand_does_not_keep_an_order_from_being_shipped() {
    let part = hear(paid(), &ProviderNews::Refund(refund("re_1", "pi_1", 1, RefundStatus::Succeeded)));
    assert!(decide(FulfilmentStep::Ship(None), part).is_ok());
}

#[test]
fn a_flagged_order_that_can_not_ship_anyway_says_so_first() {
    let flagged = hear(cancelled(), &ProviderNews::Disputed);
    assert_eq!(transition(decide(FulfilmentStep::Ship(None), flagged)).0, OrderStatus::Cancelled);
}
