//! What an order makes of what the provider says (contract 3.3 to 3.6 and 3.9).

use crate::order::sample::{
    ASYNC_WAIT_SECONDS, CountingIds, TOTAL_MINOR, WINDOW_SECONDS, at, attempt_id, cancelled, cancelled_after_payment,
    change_after, delivered, euro, every_state, foreign_session, hear, hearing, intent, open, open_request,
    open_session, paid, paid_by, paid_with, processing, refund, requested, session, session_id, shipped, unattempted,
    usd,
};
use crate::order::{Errand, Flag, Order, OrderStatus, Party, Payability, ProviderNews};
use crate::payment::{
    AttemptState, Ending, ExtraReason, OpenSession, PaymentStatus, ReceiptKind, RefundOutcome, RefundStatus,
    SessionStanding,
};

/// Every kind of news, about what the sample orders know and about what they don't.
fn every_news() -> Vec<ProviderNews> {
    let request_id = crate::id::RefundRequestId::from(uuid::Uuid::from_u128(0x1_0000));
    let refunds = |status| vec![refund("re_1", "pi_1", TOTAL_MINOR, status)];
    let charge =
        |minor, refunds| ProviderNews::ChargeRefunded { intent: intent("pi_1"), refunded: usd(minor), refunds };
    let refused = |refunds| ProviderNews::RefundRefused { request_id, intent: intent("pi_1"), refunds };
    let mut all = vec![
        ProviderNews::SessionRefused(attempt_id(1)),
        ProviderNews::SessionRefused(attempt_id(9)),
        charge(1000, vec![]),
        charge(TOTAL_MINOR, refunds(RefundStatus::Succeeded)),
        refused(vec![]),
        refused(refunds(RefundStatus::Succeeded)),
        ProviderNews::Refund(refund("re_9", "pi_9", 1, RefundStatus::Succeeded)),
        ProviderNews::Disputed,
        ProviderNews::FraudWarning,
    ];
    for status in [RefundStatus::Pending, RefundStatus::Succeeded, RefundStatus::Failed, RefundStatus::Canceled] {
        all.push(ProviderNews::Refund(refund("re_1", "pi_1", TOTAL_MINOR, status)));
    }
    for standing in [
        open_session(1),
        SessionStanding::Expired,
        SessionStanding::Processing,
        SessionStanding::Failed,
        paid_by("pi_1"),
        paid_by("pi_2"),
        paid_with("pi_3", usd(1)),
        paid_with("pi_4", euro(TOTAL_MINOR)),
    ] {
        all.extend([session(1, standing.clone()), session(9, standing.clone()), foreign_session(8, standing)]);
    }
    all
}

#[test]
fn hearing_the_same_twice_changes_nothing_more() {
    for (state, order) in every_state() {
        for news in every_news() {
            let once = hear(order.clone(), &news);
            assert_eq!(hear(once.clone(), &news), once, "{state} hears twice {news:?}");
        }
    }
}

/// Nothing that the provider says cancels, ships, delivers or restocks; and nothing moves back.
#[test]
fn the_providers_word_moves_an_order_from_pending_to_paid_and_nowhere_else() {
    for (state, order) in every_state() {
        for news in every_news() {
            let change = change_after(order.clone(), &news);
            assert!(!change.restock, "{state} hears {news:?}");
            let moved = (order.status(), change.order.status());
            let settled = moved == (OrderStatus::Pending, OrderStatus::Paid);
            assert!(settled || moved.0 == moved.1, "{state} hears {news:?}: {moved:?}");
            assert_eq!(change.order.history.len(), order.history.len() + usize::from(settled));
        }
    }
}

mod sessions {
    use super::*;

    fn state_of(order: &Order, number: u128) -> AttemptState {
        order.attempt(attempt_id(number)).unwrap().state.clone()
    }

    fn ended(ending: Ending) -> AttemptState {
        AttemptState::Ended { session_id: Some(session_id(1)), ending }
    }

    #[test]
    fn an_answer_opens_the_attempt() {
        let change = change_after(requested(), &session(1, open_session(1)));
        assert!(matches!(state_of(&change.order, 1), AttemptState::Open(OpenSession { .. })));
        assert_eq!(change.errands, []);
    }

    /// Contract 3.3: "if it is no longer payable, the session is closed".
    #[test]
    fn an_answer_that_comes_too_late_is_closed() {
        let cancelled = crate::order::sample::cancel(crate::account::Role::Customer)
            .decide(requested(), &crate::fraud::CustomerStanding::default(), &CountingIds::default())
            .unwrap()
            .order;
        let change = change_after(cancelled, &session(1, open_session(1)));
        assert!(matches!(state_of(&change.order, 1), AttemptState::Open(_)), "its id is kept, to close it by");
        assert_eq!(change.errands, [Errand::CloseSession(attempt_id(1))]);

        let late = requested().hear(&session(1, open_session(1)), hearing(WINDOW_SECONDS), &CountingIds::default());
        assert_eq!(late.errands, [Errand::CloseSession(attempt_id(1))]);
    }

    /// "`checkout.session.expired` ends the session that it names, never the order."
    #[test]
    fn an_expired_session_ends_its_attempt_and_never_the_order() {
        for order in [requested(), open()] {
            let after = hear(order, &session(1, SessionStanding::Expired));
            assert_eq!(state_of(&after, 1), ended(Ending::Expired));
            assert_eq!((after.status(), after.payment), (OrderStatus::Pending, PaymentStatus::Pending));
            assert_eq!(after.payability(at(11)), Payability::Payable);
        }
    }

    #[test]
    fn the_end_of_an_unknown_session_is_nothing_to_an_attempt() {
        for news in [foreign_session(8, SessionStanding::Expired), session(9, SessionStanding::Expired)] {
            for order in [requested(), open(), unattempted()] {
                assert_eq!(hear(order.clone(), &news), order, "{news:?}");
            }
        }
    }

    #[test]
    fn an_attempt_that_was_refused_is_over_unless_a_session_turned_up() {
        let refused = ProviderNews::SessionRefused(attempt_id(1));
        let over = AttemptState::Ended { session_id: None, ending: Ending::Refused };
        assert_eq!(state_of(&hear(requested(), &refused), 1), over);
        assert_eq!(hear(open(), &refused), open());
        assert_eq!(hear(processing(), &refused), processing());
    }

    #[test]
    fn an_order_waits_for_a_delayed_payment_and_can_not_be_paid_meanwhile() {
        let order = processing();
        let until = at(10 + ASYNC_WAIT_SECONDS);
        assert_eq!(state_of(&order, 1), AttemptState::Processing { session_id: session_id(1), until });
        assert_eq!(order.payability(at(11)), Payability::NotPayable);
        let again =
            order.clone().hear(&session(1, SessionStanding::Processing), hearing(5000), &CountingIds::default());
        assert_eq!(again.order, order, "the wait is not prolonged by a repeat");
    }

    #[test]
    fn a_delayed_payment_that_arrives_pays() {
        let order = hear(processing(), &session(1, paid_by("pi_1")));
        assert_eq!((order.status(), order.payment), (OrderStatus::Paid, PaymentStatus::Completed));
        assert_eq!(order.waits_until(), None);
    }

    #[test]
    fn a_delayed_payment_that_fails_leaves_the_order_payable() {
        let order = hear(processing(), &session(1, SessionStanding::Failed));
        assert_eq!((order.status(), order.payment), (OrderStatus::Pending, PaymentStatus::Failed));
        assert_eq!(state_of(&order, 1), ended(Ending::Failed));
        assert_eq!(order.payability(at(11)), Payability::Payable);
    }

    /// "A session's asynchronous result is final, whichever event comes first."
    #[test]
    fn the_result_of_a_delayed_payment_stands_when_its_beginning_is_heard_after_it() {
        for (result, payment) in
            [(SessionStanding::Failed, PaymentStatus::Failed), (paid_by("pi_1"), PaymentStatus::Completed)]
        {
            let order = hear(open(), &session(1, result));
            let after = hear(order.clone(), &session(1, SessionStanding::Processing));
            assert_eq!(after, order);
            assert_eq!((after.payment, after.waits_until()), (payment, None));
        }
    }

    #[test]
    fn a_delayed_payment_through_one_session_closes_the_other() {
        let change = change_after(open(), &foreign_session(8, SessionStanding::Processing));
        assert_eq!(change.errands, [Errand::CloseSession(attempt_id(1))]);
        assert_eq!(change.order.payability(at(11)), Payability::NotPayable);
    }

    /// The answer to the call was lost, so the shop does not know the session; the attempt it names does.
    #[test]
    fn a_session_finds_its_attempt_by_the_name_it_bears() {
        let order = hear(requested(), &session(1, paid_by("pi_1")));
        assert_eq!(state_of(&order, 1), ended(Ending::Paid));
        assert_eq!(order.attempts.len(), 1);
    }

    /// A session that someone else made for the order says nothing of the one that the shop asked for.
    #[test]
    fn a_session_that_names_no_attempt_takes_none_over() {
        for standing in
            [SessionStanding::Expired, SessionStanding::Failed, SessionStanding::Processing, paid_by("pi_8")]
        {
            let order = hear(requested(), &foreign_session(8, standing.clone()));
            assert_eq!(state_of(&order, 1), AttemptState::Requested, "{standing:?}");
        }
    }

    #[test]
    fn money_through_a_session_that_the_shop_did_not_open_counts_all_the_same() {
        for order in [unattempted(), requested(), open()] {
            let live = order.live_attempt().map(|attempt| Errand::CloseSession(attempt.id));
            let change = change_after(order, &foreign_session(8, paid_by("pi_8")));
            assert_eq!(change.order.status(), OrderStatus::Paid);
            assert_eq!(change.errands, live.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_unknown_session_ends_the_same_whether_its_result_or_its_beginning_is_heard_first() {
        for result in [SessionStanding::Failed, paid_with("pi_8", usd(1)), paid_by("pi_8")] {
            let news = [foreign_session(8, SessionStanding::Processing), foreign_session(8, result.clone())];
            let ids = || CountingIds::default();
            let heard = |order: Order, news: &ProviderNews| order.hear(news, hearing(10), &ids()).order;
            let forward = heard(heard(unattempted(), &news[0]), &news[1]);
            let backward = heard(heard(unattempted(), &news[1]), &news[0]);
            assert_eq!(forward.attempts, backward.attempts, "{result:?}");
            assert_eq!((forward.payment, forward.status()), (backward.payment, backward.status()), "{result:?}");
            assert_eq!(backward.waits_until(), None, "{result:?}");
        }
    }
}

mod money_in {
    use super::*;

    #[test]
    fn the_right_sum_pays_a_pending_order_however_it_stands() {
        for order in [unattempted(), requested(), open(), processing()] {
            let change = change_after(order, &session(1, paid_by("pi_1")));
            let order = change.order;
            assert_eq!((order.status(), order.payment), (OrderStatus::Paid, PaymentStatus::Completed));
            assert_eq!(order.state.paid_at(), Some(at(10)));
            let receipt = order.payment_receipt().unwrap();
            assert_eq!(
                (&receipt.intent, receipt.amount, receipt.received_at),
                (&intent("pi_1"), usd(TOTAL_MINOR), at(10))
            );
            let entry = order.history.last().unwrap();
            assert_eq!(
                (entry.from, entry.to, entry.by),
                (Some(OrderStatus::Pending), OrderStatus::Paid, Party::Provider)
            );
            assert_eq!((entry.actor_id, entry.reason.as_deref()), (None, None));
            assert!(change.errands.is_empty(), "{:?}", change.errands);
        }
    }

    /// "A payment completed before the order is cancelled counts, even after `expiresAt`."
    #[test]
    fn money_that_comes_after_the_window_but_before_the_sweep_pays() {
        let change = open().hear(&session(1, paid_by("pi_1")), hearing(WINDOW_SECONDS * 9), &CountingIds::default());
        assert_eq!(change.order.status(), OrderStatus::Paid);
    }

    #[test]
    fn a_failed_payment_can_still_be_completed() {
        let failed = hear(processing(), &session(1, SessionStanding::Failed));
        assert_eq!(hear(failed, &session(2, paid_by("pi_2"))).payment, PaymentStatus::Completed);
    }

    #[test]
    fn paying_closes_every_other_session() {
        let change = change_after(open(), &foreign_session(8, paid_by("pi_8")));
        assert_eq!(change.errands, [Errand::CloseSession(attempt_id(1))]);
    }

    /// Each row: the order, the money, why it is extra.
    #[test]
    fn money_that_is_not_the_payment_goes_back_by_itself() {
        let full = || paid_by("pi_x");
        let table = [
            (cancelled(), full(), ExtraReason::Late),
            (paid(), full(), ExtraReason::Second),
            (shipped(), full(), ExtraReason::Second),
            (delivered(), full(), ExtraReason::Second),
            (cancelled_after_payment(), full(), ExtraReason::Second),
            (open(), paid_with("pi_x", usd(TOTAL_MINOR - 1)), ExtraReason::Mismatch),
            (open(), paid_with("pi_x", usd(TOTAL_MINOR + 1)), ExtraReason::Mismatch),
            (open(), paid_with("pi_x", euro(TOTAL_MINOR)), ExtraReason::Mismatch),
            (paid(), paid_with("pi_x", usd(1)), ExtraReason::Mismatch),
            (cancelled(), paid_with("pi_x", usd(1)), ExtraReason::Mismatch),
        ];
        for (before, standing, reason) in table {
            let change = change_after(before.clone(), &session(9, standing.clone()));
            let case = format!("{:?} receives {standing:?}", before.status());
            let receipt = change.order.receipts.last().unwrap();
            assert_eq!(receipt.kind, ReceiptKind::Extra(reason), "{case}");
            let (request, amount_minor) = open_request(&change.order, "pi_x").expect(&case);
            assert_eq!(amount_minor, receipt.amount.amount_minor(), "{case}");
            assert_eq!(change.errands, [Errand::Refund(request)], "{case}");
            assert_eq!(change.order.flags.contains(&Flag::AmountMismatch), reason == ExtraReason::Mismatch, "{case}");
            assert_eq!((change.order.state, change.order.payment), (before.state, before.payment), "{case}");
            assert_eq!(change.order.history, before.history, "{case}");
        }
    }

    /// "…the order stays payable until its window ends."
    #[test]
    fn an_order_stays_payable_after_a_wrong_sum() {
        let order = hear(open(), &session(1, paid_with("pi_odd", usd(1))));
        assert_eq!(order.payability(at(11)), Payability::Payable);
        let paid = hear(order, &session(2, paid_by("pi_1")));
        assert_eq!(paid.status(), OrderStatus::Paid);
        assert!(paid.flags.contains(&Flag::AmountMismatch));
    }

    #[test]
    fn one_intent_is_one_receipt_through_whatever_session_it_is_told() {
        let order = paid();
        assert_eq!(hear(order.clone(), &session(9, paid_by("pi_1"))).receipts, order.receipts);
        assert_eq!(hear(order.clone(), &session(9, paid_with("pi_1", usd(1)))).receipts, order.receipts);
    }

    #[test]
    fn money_of_nothing_is_kept_and_asks_for_nothing_back() {
        let change = change_after(open(), &session(1, paid_with("pi_0", usd(0))));
        assert_eq!((change.order.status(), change.errands.len()), (OrderStatus::Pending, 0));
        assert_eq!(change.order.receipts.len(), 1);
    }
}

mod money_back {
    use super::*;

    fn told(order: Order, name: &str, amount_minor: i64, status: RefundStatus) -> Order {
        hear(order, &ProviderNews::Refund(refund(name, "pi_1", amount_minor, status)))
    }

    fn charge_refunded(order: Order, minor: i64) -> Order {
        let refunded = usd(minor);
        hear(order, &ProviderNews::ChargeRefunded { intent: intent("pi_1"), refunded, refunds: vec![] })
    }

    fn refunded_minor(order: &Order) -> i64 {
        order.payment_receipt().unwrap().refunded_minor()
    }

    /// Contract 3.6: "a status only moves forward".
    #[test]
    fn a_refund_moves_forward_only() {
        use RefundStatus::{Canceled, Failed, Pending, RequiresAction, Succeeded};
        let all = [Pending, RequiresAction, Succeeded, Failed, Canceled];
        for (rank, before) in all.into_iter().enumerate() {
            for (next_rank, news) in all.into_iter().enumerate() {
                let order = told(told(paid(), "re_1", TOTAL_MINOR, before), "re_1", TOTAL_MINOR, news);
                let forward = next_rank > rank && !(before == Failed && news == Canceled);
                let expected = if forward { news } else { before };
                assert_eq!(order.payment_receipt().unwrap().refunds[0].status, expected, "{before:?} → {news:?}");
            }
        }
    }

    #[test]
    fn the_payment_follows_its_refund() {
        for (status, payment, flagged, refunded) in [
            (RefundStatus::Pending, PaymentStatus::RefundPending, false, TOTAL_MINOR),
            (RefundStatus::RequiresAction, PaymentStatus::RefundPending, false, TOTAL_MINOR),
            (RefundStatus::Succeeded, PaymentStatus::Refunded, false, TOTAL_MINOR),
            (RefundStatus::Failed, PaymentStatus::RefundFailed, true, 0),
            (RefundStatus::Canceled, PaymentStatus::RefundFailed, true, 0),
        ] {
            let order = told(paid(), "re_1", TOTAL_MINOR, status);
            assert_eq!(order.payment, payment, "{status:?}");
            assert_eq!(order.flags.contains(&Flag::RefundFailed), flagged, "{status:?}");
            assert_eq!(refunded_minor(&order), refunded, "{status:?}");
        }
    }

    #[test]
    fn parts_add_up_and_the_payment_is_refunded_with_the_last_of_them() {
        let first = told(paid(), "re_1", 4000, RefundStatus::Succeeded);
        assert_eq!((first.payment, refunded_minor(&first)), (PaymentStatus::Completed, 4000));
        let second = told(first, "re_2", 498, RefundStatus::Pending);
        assert_eq!((second.payment, refunded_minor(&second)), (PaymentStatus::RefundPending, TOTAL_MINOR));
        let done = told(second, "re_2", 498, RefundStatus::Succeeded);
        assert_eq!(done.payment, PaymentStatus::Refunded);
    }

    /// `charge.refunded` of newer API versions lists no refunds: its total counts until they are told by name.
    #[test]
    fn a_charge_refunded_without_its_refunds_counts_by_its_total() {
        let order = charge_refunded(paid(), TOTAL_MINOR);
        assert_eq!((order.payment, refunded_minor(&order)), (PaymentStatus::Refunded, TOTAL_MINOR));
        let named = told(order, "re_1", TOTAL_MINOR, RefundStatus::Succeeded);
        assert_eq!(refunded_minor(&named), TOTAL_MINOR, "not counted twice");
    }

    #[test]
    fn a_part_refunded_without_a_name_leaves_the_payment_completed() {
        let order = charge_refunded(paid(), 1000);
        assert_eq!((order.payment, refunded_minor(&order)), (PaymentStatus::Completed, 1000));
        let less = charge_refunded(order, 500);
        assert_eq!(refunded_minor(&less), 1000, "an older total says nothing new");
    }

    #[test]
    fn a_refund_that_failed_after_its_charge_told_of_it_does_not_count() {
        let order = told(charge_refunded(paid(), TOTAL_MINOR), "re_1", TOTAL_MINOR, RefundStatus::Failed);
        assert_eq!((order.payment, refunded_minor(&order)), (PaymentStatus::RefundFailed, 0));
        assert!(order.flags.contains(&Flag::RefundFailed));
    }

    #[test]
    fn a_charge_in_another_currency_says_nothing_of_ours() {
        let news =
            ProviderNews::ChargeRefunded { intent: intent("pi_1"), refunded: euro(TOTAL_MINOR), refunds: vec![] };
        assert_eq!(hear(paid(), &news), paid());
    }

    #[test]
    fn news_of_another_receipt_touches_none_of_ours() {
        for name in ["pi_2", "pi_unknown"] {
            let order = paid();
            let strange = ProviderNews::Refund(refund("re_x", name, TOTAL_MINOR, RefundStatus::Failed));
            assert_eq!(hear(order.clone(), &strange), order);
        }
        let listed = ProviderNews::ChargeRefunded {
            intent: intent("pi_1"),
            refunded: usd(0),
            refunds: vec![refund("re_x", "pi_2", TOTAL_MINOR, RefundStatus::Failed)],
        };
        assert_eq!(hear(paid(), &listed), paid(), "listed, but another's");
    }

    #[test]
    fn an_extra_receipts_refund_does_not_move_the_payment() {
        let order = hear(paid(), &session(9, paid_by("pi_2")));
        for status in [RefundStatus::Pending, RefundStatus::Succeeded] {
            let after = hear(order.clone(), &ProviderNews::Refund(refund("re_2", "pi_2", TOTAL_MINOR, status)));
            assert_eq!((after.payment, after.flags.len()), (PaymentStatus::Completed, 0), "{status:?}");
        }
        let failed = hear(order, &ProviderNews::Refund(refund("re_2", "pi_2", TOTAL_MINOR, RefundStatus::Failed)));
        assert_eq!(failed.payment, PaymentStatus::Completed);
        assert!(failed.flags.contains(&Flag::RefundFailed), "but someone must look");
    }

    /// The first refund failed, the second gave the money back; their events may come in any order.
    #[test]
    fn the_word_on_an_extra_receipts_refund_does_not_depend_on_what_is_heard_last() {
        let tell = |order, name: &str, status| {
            hear(order, &ProviderNews::Refund(refund(name, "pi_late", TOTAL_MINOR, status)))
        };
        let late = hear(cancelled(), &session(1, paid_by("pi_late")));
        let request_id = open_request(&late, "pi_late").unwrap().0;
        let answer = crate::payment::ProviderRefund {
            request_id: Some(request_id),
            ..refund("re_1", "pi_late", TOTAL_MINOR, RefundStatus::Pending)
        };
        let answered = hear(late, &ProviderNews::Refund(answer));
        assert_eq!(answered.receipts[0].refund_word(), RefundStatus::Pending);

        let failed_last = tell(tell(answered.clone(), "re_2", RefundStatus::Succeeded), "re_1", RefundStatus::Failed);
        let failed_first = tell(tell(answered.clone(), "re_1", RefundStatus::Failed), "re_2", RefundStatus::Succeeded);
        assert_eq!(failed_first.receipts[0].refund_word(), RefundStatus::Succeeded);
        assert_eq!(failed_last.receipts[0].refund_word(), RefundStatus::Succeeded);

        for undone in [RefundStatus::Failed, RefundStatus::Canceled] {
            assert_eq!(tell(answered.clone(), "re_1", undone).receipts[0].refund_word(), undone);
        }
        let action = tell(answered, "re_1", RefundStatus::RequiresAction);
        assert_eq!(action.receipts[0].refund_word(), RefundStatus::RequiresAction);
    }

    /// Contract 3.6: "`charge_already_refunded` counts as done once a look confirms it".
    #[test]
    fn while_the_shops_own_request_is_open_its_payment_is_on_its_way_even_if_the_charge_says_refunded() {
        let order = charge_refunded(cancelled_after_payment(), TOTAL_MINOR);
        assert_eq!(order.payment, PaymentStatus::RefundPending);
        let (request_id, _) = open_request(&order, "pi_1").unwrap();
        let confirmed = ProviderNews::RefundRefused {
            request_id,
            intent: intent("pi_1"),
            refunds: vec![refund("re_hand", "pi_1", TOTAL_MINOR, RefundStatus::Succeeded)],
        };
        assert_eq!(hear(order, &confirmed).payment, PaymentStatus::Refunded);
    }
}

mod refused_requests {
    use super::*;

    fn refused(order: Order, of: &str, found: &[(&str, i64, RefundStatus)]) -> crate::order::OrderChange {
        let (request_id, _) = open_request(&order, of).expect("a request is open");
        let refunds = found.iter().map(|(name, minor, status)| refund(name, of, *minor, *status)).collect();
        let ids = CountingIds::default();
        for _ in 0..9 {
            let _ = crate::clock::Ids::next(&ids);
        }
        order.hear(&ProviderNews::RefundRefused { request_id, intent: intent(of), refunds }, hearing(50), &ids)
    }

    #[test]
    fn a_refusal_because_all_went_back_already_is_as_good_as_done() {
        let change = refused(cancelled_after_payment(), "pi_1", &[("re_hand", TOTAL_MINOR, RefundStatus::Succeeded)]);
        assert_eq!((change.order.payment, change.errands.len()), (PaymentStatus::Refunded, 0));
        assert!(change.order.flags.is_empty());
        let receipt = change.order.payment_receipt().unwrap();
        assert_eq!(receipt.requests[0].outcome, RefundOutcome::Refused);
        assert_eq!(receipt.left_minor(), 0);
    }

    /// "A refund asks for what is left", "a new idempotency key only after a definite refusal".
    #[test]
    fn a_refusal_because_a_part_went_back_by_hand_asks_for_the_rest_under_a_new_key() {
        let before = cancelled_after_payment();
        let (first, _) = open_request(&before, "pi_1").unwrap();
        let change = refused(before, "pi_1", &[("re_hand", 1000, RefundStatus::Succeeded)]);
        let (second, amount_minor) = open_request(&change.order, "pi_1").unwrap();
        assert_ne!(first, second);
        assert_eq!(amount_minor, TOTAL_MINOR - 1000);
        assert_eq!(change.errands, [Errand::Refund(second)]);
        assert_eq!((change.order.payment, change.order.flags.len()), (PaymentStatus::RefundPending, 0));
    }

    #[test]
    fn a_refusal_with_nothing_refunded_is_a_failure_that_someone_must_look_at() {
        let change = refused(cancelled_after_payment(), "pi_1", &[]);
        assert_eq!((change.order.payment, change.errands.len()), (PaymentStatus::RefundFailed, 0));
        assert!(change.order.flags.contains(&Flag::RefundFailed));

        let extra = refused(hear(cancelled(), &session(1, paid_by("pi_late"))), "pi_late", &[]);
        assert_eq!((extra.order.payment, extra.errands.len()), (PaymentStatus::Pending, 0));
        assert!(extra.order.flags.contains(&Flag::RefundFailed));
        assert_eq!(extra.order.receipts[0].refund_word(), RefundStatus::Failed);
    }

    #[test]
    fn a_refusal_of_a_request_that_was_answered_meanwhile_changes_nothing() {
        let before = cancelled_after_payment();
        let (request_id, amount_minor) = open_request(&before, "pi_1").unwrap();
        let news = crate::payment::ProviderRefund {
            request_id: Some(request_id),
            ..refund("re_1", "pi_1", amount_minor, RefundStatus::Pending)
        };
        let answered = hear(before, &ProviderNews::Refund(news));
        let refusal = ProviderNews::RefundRefused { request_id, intent: intent("pi_1"), refunds: vec![] };
        assert_eq!(hear(answered.clone(), &refusal), answered);
    }
}
