//! What always holds, whatever is heard and wished, in whatever order.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use uuid::Uuid;

use crate::account::Role;
use crate::clock::Ids;
use crate::fraud::CustomerStanding;
use crate::id::{AttemptId, RefundRequestId};
use crate::money::Money;
use crate::order::sample::{
    CountingIds, TOTAL_MINOR, admin_id, at, attempt_id, cancel, cancelled, customer_id, euro, foreign_session, hearing,
    intent, open, open_session, order_id, paid, paid_by, paid_with, policy, processing, refund, requested, session,
    session_id, unattempted, usd,
};
use crate::order::{
    Errand, ExpireOrder, FulfilOrder, FulfilmentStep, Order, OrderChange, ProviderNews, RefundOrderMoney, StartPayment,
};
use crate::payment::{
    ExtraReason, ProviderRefund, Receipt, ReceiptKind, RefundOutcome, RefundRequest, RefundStatus, SessionStanding,
};

/// Hears as the store lets an order hear: what names a receipt that is not there yet waits until it is, and is
/// then told in the order in which it came (contract 3.5).
struct Listener {
    order: Order,
    waiting: Vec<ProviderNews>,
    ids: CountingIds,
}

impl Listener {
    fn of(order: Order) -> Self {
        Self { order, waiting: vec![], ids: CountingIds::default() }
    }

    fn hear_all(&mut self, news: &[ProviderNews]) {
        for news in news {
            self.hear(news);
        }
    }

    fn knows(&self, news: &ProviderNews) -> bool {
        let links = matches!(news, ProviderNews::Session { .. });
        links || news.intent().is_none_or(|intent| self.order.receipts.iter().any(|r| r.intent == *intent))
    }

    fn hear(&mut self, news: &ProviderNews) {
        if !self.knows(news) {
            self.waiting.push(news.clone());
            return;
        }
        self.order = self.order.clone().hear(news, hearing(10), &self.ids).order;
        let (due, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|news| self.knows(news));
        self.waiting = waiting;
        for news in due {
            self.order = self.order.clone().hear(&news, hearing(10), &self.ids).order;
        }
    }
}

/// An order without what depends on when its news came: minted ids, and the order of what came in.
fn essence(order: &Order) -> String {
    let mut attempts: Vec<_> = order.attempts.iter().map(|attempt| format!("{:?}", attempt.state)).collect();
    attempts.sort();
    let mut receipts: Vec<_> = order
        .receipts
        .iter()
        .map(|receipt| {
            let mut refunds: Vec<_> = receipt.refunds.iter().map(|refund| format!("{refund:?}")).collect();
            refunds.sort();
            let requests: Vec<_> = receipt.requests.iter().map(|r| (r.amount_minor, r.outcome)).collect();
            let (amount, kind, word) = (receipt.amount, receipt.kind, receipt.refund_word());
            format!("{} {amount:?} {kind:?} {word:?} {refunds:?} {requests:?}", receipt.intent)
        })
        .collect();
    receipts.sort();
    let history: Vec<_> = order.history.iter().map(|entry| (entry.from, entry.to, entry.by)).collect();
    format!("{:?} {:?} {:?}\n{attempts:#?}\n{receipts:#?}\n{history:?}", order.state, order.payment, order.flags)
}

/// What one session may say in its life, in any of the ways that it can go.
fn life_of_a_session(number: u128, amount: Money) -> impl Strategy<Value = Vec<ProviderNews>> {
    let of = move |standing| session(number, standing);
    let paid = paid_with(&format!("pi_{number}"), amount);
    prop_oneof![
        Just(vec![of(open_session(number)), of(SessionStanding::Expired)]),
        Just(vec![of(open_session(number)), of(paid.clone())]),
        Just(vec![of(open_session(number)), of(SessionStanding::Processing), of(paid)]),
        Just(vec![of(open_session(number)), of(SessionStanding::Processing), of(SessionStanding::Failed)]),
    ]
}

/// What may be told of the refunds, made by hand, of a receipt: up to three of them, each up to some status, and
/// their charge's growing total.
fn refunds_by_hand(of: &'static str, amount_minor: i64) -> impl Strategy<Value = Vec<ProviderNews>> {
    let ends = prop_oneof![
        Just(vec![RefundStatus::Pending, RefundStatus::Succeeded]),
        Just(vec![RefundStatus::Succeeded]),
        Just(vec![RefundStatus::Pending, RefundStatus::RequiresAction, RefundStatus::Succeeded, RefundStatus::Failed]),
        Just(vec![RefundStatus::Pending, RefundStatus::Canceled]),
    ];
    (1..=3_i64, prop::collection::vec(ends, 0..=3)).prop_map(move |(parts, refunds)| {
        let part = amount_minor / parts;
        let mut news = vec![];
        for (n, steps) in refunds.into_iter().take(usize::try_from(parts).unwrap()).enumerate() {
            let name = format!("re_{of}_{n}");
            news.extend(steps.into_iter().map(|status| ProviderNews::Refund(refund(&name, of, part, status))));
            let refunded = usd(part * i64::try_from(n + 1).unwrap());
            news.push(ProviderNews::ChargeRefunded { intent: intent(of), refunded, refunds: vec![] });
        }
        news
    })
}

/// A plausible set of events for one order: one session that is the shop's, one that is not and brings a wrong
/// sum, refunds of both receipts, a dispute and a warning. Each comes once to three times.
fn plausible_events() -> impl Strategy<Value = Vec<ProviderNews>> {
    let foreign = prop_oneof![
        Just(vec![]),
        Just(vec![foreign_session(8, SessionStanding::Processing), foreign_session(8, paid_with("pi_8", usd(77)))]),
        Just(vec![foreign_session(8, SessionStanding::Processing), foreign_session(8, SessionStanding::Failed)]),
        Just(vec![foreign_session(8, paid_with("pi_8", euro(TOTAL_MINOR)))]),
        Just(vec![foreign_session(8, SessionStanding::Expired)]),
    ];
    let flags = prop::sample::subsequence(vec![ProviderNews::Disputed, ProviderNews::FraudWarning], 0..=2);
    let parts =
        (life_of_a_session(1, usd(TOTAL_MINOR)), foreign, refunds_by_hand("pi_1", TOTAL_MINOR), flags, 1..=3_usize);
    parts.prop_map(|(ours, foreign, refunds, flags, times)| {
        [ours, foreign, refunds, flags].concat().into_iter().flat_map(|news| vec![news; times]).collect()
    })
}

fn any_start() -> impl Strategy<Value = Order> {
    prop::sample::select(vec![requested(), open(), cancelled()])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Contract 3.5: "the end is the same in whatever order they come".
    #[test]
    fn the_end_is_the_same_in_whatever_order_events_come(
        (start, events, shuffled) in (any_start(), plausible_events())
            .prop_flat_map(|(start, events)| (Just(start), Just(events.clone()), Just(events).prop_shuffle()))
    ) {
        let end = |events: &[ProviderNews]| {
            let mut listener = Listener::of(start.clone());
            listener.hear_all(events);
            essence(&listener.order)
        };
        prop_assert_eq!(end(&events), end(&shuffled));
    }

    #[test]
    fn of_two_full_payments_one_pays_and_the_other_goes_back(
        events in Just(vec![
            session(1, open_session(1)), session(1, paid_by("pi_1")), session(1, paid_by("pi_1")),
            session(2, paid_by("pi_2")), session(2, paid_by("pi_2")), foreign_session(8, paid_by("pi_8")),
        ]).prop_shuffle()
    ) {
        let mut listener = Listener::of(open());
        listener.hear_all(&events);
        let kinds = |kind| listener.order.receipts.iter().filter(|receipt| receipt.kind == kind).count();
        prop_assert_eq!(kinds(ReceiptKind::Payment), 1);
        prop_assert_eq!(kinds(ReceiptKind::Extra(ExtraReason::Second)), 2);
        check(&listener.order)?;
    }
}

/// A step of the wild: anything that anyone may say or wish, at any time.
#[derive(Debug, Clone)]
enum Step {
    Hear(ProviderNews),
    /// The provider's answer to the n-th of the shop's refund requests.
    AnswerRequest(usize, RefundStatus),
    RefuseRequest(usize, Vec<ProviderRefund>),
    Cancel(Role),
    Expire {
        seconds: i64,
        answered: bool,
    },
    StartPayment(i64),
    Fulfil(FulfilmentStep),
    Refund,
}

fn any_status() -> impl Strategy<Value = RefundStatus> {
    use RefundStatus::{Canceled, Failed, Pending, RequiresAction, Succeeded};
    prop::sample::select(vec![Pending, RequiresAction, Succeeded, Failed, Canceled])
}

fn any_refund() -> impl Strategy<Value = ProviderRefund> {
    let amounts = prop::sample::select(vec![1_i64, 1000, TOTAL_MINOR - 1, TOTAL_MINOR, TOTAL_MINOR * 9, i64::MAX]);
    (0..4_u8, 0..4_u8, amounts, any_status())
        .prop_map(|(name, of, minor, status)| refund(&format!("re_{name}"), &format!("pi_{of}"), minor, status))
}

fn any_standing() -> impl Strategy<Value = SessionStanding> {
    let amounts = prop::sample::select(vec![usd(TOTAL_MINOR), usd(1), euro(TOTAL_MINOR), usd(0), usd(i64::MAX)]);
    prop_oneof![
        (1..4_u128).prop_map(open_session),
        Just(SessionStanding::Expired),
        Just(SessionStanding::Processing),
        Just(SessionStanding::Failed),
        (0..4_u8, amounts).prop_map(|(of, amount)| paid_with(&format!("pi_{of}"), amount)),
    ]
}

fn any_news() -> impl Strategy<Value = ProviderNews> {
    let attempts = prop::option::of((1..4_u128).prop_map(attempt_id));
    prop_oneof![
        6 => (1..4_u128, attempts, any_standing()).prop_map(|(number, attempt_id, standing)| {
            ProviderNews::Session { session_id: session_id(number), attempt_id, standing }
        }),
        1 => (1..4_u128).prop_map(|number| ProviderNews::SessionRefused(attempt_id(number))),
        4 => any_refund().prop_map(ProviderNews::Refund),
        2 => (0..4_u8, any_refund(), prop::collection::vec(any_refund(), 0..3)).prop_map(|(of, total, refunds)| {
            ProviderNews::ChargeRefunded { intent: intent(&format!("pi_{of}")), refunded: total.amount, refunds }
        }),
        1 => Just(ProviderNews::Disputed),
        1 => Just(ProviderNews::FraudWarning),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let roles = prop::sample::select(vec![Role::Customer, Role::Admin]);
    let steps =
        prop::sample::select(vec![FulfilmentStep::Ship(None), FulfilmentStep::Deliver, FulfilmentStep::ClearFlags]);
    prop_oneof![
        8 => any_news().prop_map(Step::Hear),
        3 => (0..4_usize, any_status()).prop_map(|(n, status)| Step::AnswerRequest(n, status)),
        2 => (0..4_usize, prop::collection::vec(any_refund(), 0..3)).prop_map(|(n, found)| Step::RefuseRequest(n, found)),
        1 => roles.prop_map(Step::Cancel),
        1 => (0..400_000_i64, any::<bool>()).prop_map(|(seconds, answered)| Step::Expire { seconds, answered }),
        3 => (0..2000_i64).prop_map(Step::StartPayment),
        1 => steps.prop_map(Step::Fulfil),
        2 => Just(Step::Refund),
    ]
}

/// An order in the wild, with the ids that the shop minted for it.
struct Wild {
    order: Order,
    ids: CountingIds,
    further_attempts: AtomicU64,
}

impl Wild {
    fn nth_request(&self, n: usize) -> Option<(RefundRequestId, ProviderRefund)> {
        let requests = |receipt| requests_of(receipt).map(|request| (&receipt.intent, request));
        let (of, request) = self.order.receipts.iter().flat_map(requests).nth(n)?;
        let made = refund(&format!("re_of_{}", request.id), of.as_str(), request.amount_minor, RefundStatus::Pending);
        Some((request.id, made))
    }

    fn take(&self, step: &Step) -> Option<OrderChange> {
        let order = self.order.clone();
        let (order_id, ids) = (order_id(), &self.ids);
        match step {
            Step::Hear(news) => Some(order.hear(news, hearing(10), ids)),
            Step::AnswerRequest(n, status) => {
                let (id, made) = self.nth_request(*n)?;
                let news = ProviderRefund { request_id: Some(id), status: *status, ..made };
                Some(order.hear(&ProviderNews::Refund(news), hearing(10), ids))
            }
            Step::RefuseRequest(n, found) => {
                let (request_id, made) = self.nth_request(*n)?;
                let refunds =
                    found.iter().map(|r| ProviderRefund { intent: made.intent.clone(), ..r.clone() }).collect();
                let news = ProviderNews::RefundRefused { request_id, intent: made.intent, refunds };
                Some(order.hear(&news, hearing(10), ids))
            }
            Step::Cancel(role) => cancel(*role).decide(order, &CustomerStanding::default(), ids).ok(),
            Step::Expire { seconds, answered } => {
                let command = ExpireOrder {
                    order_id,
                    at: at(*seconds),
                    provider_answered: *answered,
                    provider_grace_seconds: policy().provider_grace_seconds,
                };
                Some(command.decide(order).expect("only what is due and pending is moved").1)
            }
            Step::StartPayment(second) => {
                let further = 100 + self.further_attempts.fetch_add(1, Ordering::Relaxed);
                let command = StartPayment {
                    order_id,
                    customer_id: customer_id(),
                    attempt_id: attempt_id(further.into()),
                    at: at(*second),
                    policy: policy(),
                    claim: None,
                };
                command.decide(order, "ada@example.com").ok()
            }
            Step::Fulfil(step) => {
                FulfilOrder { order_id, admin_id: admin_id(), step: step.clone(), at: at(20) }.decide(order).ok()
            }
            Step::Refund => RefundOrderMoney { order_id, admin_id: admin_id(), at: at(40) }.decide(order, ids).ok(),
        }
    }
}

fn requests_of(receipt: &Receipt) -> impl Iterator<Item = &RefundRequest> {
    receipt.requests.iter()
}

/// What holds of an order at any time.
fn check(order: &Order) -> Result<(), TestCaseError> {
    let payments: Vec<_> = order.receipts.iter().filter(|receipt| receipt.kind == ReceiptKind::Payment).collect();
    prop_assert!(payments.len() <= 1, "at most one receipt is the payment");
    prop_assert!(payments.iter().all(|payment| payment.amount == order.total));
    prop_assert_eq!(payments.len() == 1, order.state.paid_at().is_some(), "paid is what has a payment");

    let mut intents: Vec<_> = order.receipts.iter().map(|receipt| &receipt.intent).collect();
    intents.sort();
    intents.dedup();
    prop_assert_eq!(intents.len(), order.receipts.len(), "one receipt per intent");

    for receipt in &order.receipts {
        let open = receipt.requests.iter().filter(|request| request.outcome == RefundOutcome::Open).count();
        prop_assert!(open <= 1, "at most one request per receipt is open");
        prop_assert!(receipt.left_minor() >= 0 && receipt.left_minor() <= receipt.amount.amount_minor());
        let extra = matches!(receipt.kind, ReceiptKind::Extra(_));
        let asked_back = !receipt.requests.is_empty() || receipt.amount.amount_minor() == 0;
        prop_assert!(!extra || asked_back, "an extra receipt is asked back");
    }
    let live = order.attempts.iter().filter(|attempt| attempt.is_live()).count();
    prop_assert!(live <= 1, "at most one attempt is live: {:?}", order.attempts);
    prop_assert_eq!(order.history.last().map(|entry| entry.to), Some(order.status()));
    Ok(())
}

/// What holds of one step: what is asked for was left, what can still be paid is closed once nobody should.
fn check_step(before: &Order, change: &OrderChange) -> Result<(), TestCaseError> {
    let known: Vec<RefundRequestId> = before.receipts.iter().flat_map(|r| r.requests.iter().map(|q| q.id)).collect();
    for receipt in &change.order.receipts {
        for request in receipt.requests.iter().filter(|request| !known.contains(&request.id)) {
            prop_assert_eq!(request.amount_minor, receipt.left_minor(), "a request asks for what is left");
            prop_assert!(request.amount_minor > 0);
            prop_assert!(change.errands.contains(&Errand::Refund(request.id)), "a request is carried out");
        }
    }
    let closing = |id: AttemptId| change.errands.contains(&Errand::CloseSession(id));
    if change.order.state != before.state {
        let left_open = change.order.attempts.iter().find(|attempt| attempt.is_live() && !closing(attempt.id));
        let fulfilled = change.order.state.shipment().is_some();
        prop_assert!(fulfilled || left_open.is_none(), "a session stays payable: {left_open:?}");
    }
    prop_assert_eq!(
        change.restock,
        change.order.state.cancellation().is_some() && before.state.cancellation().is_none(),
        "stock goes back exactly with the cancelling"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_sequence_of_steps_breaks_an_order(
        start in prop::sample::select(vec![unattempted(), requested(), open(), processing(), paid(), cancelled()]),
        steps in prop::collection::vec(any_step(), 1..40),
    ) {
        let mut wild = Wild { order: start, ids: CountingIds::default(), further_attempts: AtomicU64::new(0) };
        // Its first minted ids are taken by the sample itself.
        for _ in 0..0x1000 {
            let _: Uuid = wild.ids.next();
        }
        for step in &steps {
            if let Some(change) = wild.take(step) {
                check_step(&wild.order, &change)?;
                wild.order = change.order;
                check(&wild.order)?;
            }
        }
    }

    /// Money in is the payment and the extras; once every request is answered in full, all extras went back.
    #[test]
    fn all_extra_money_goes_back(
        start in prop::sample::select(vec![open(), paid(), cancelled()]),
        events in prop::collection::vec((1..9_u128, any_standing()), 1..12),
    ) {
        let mut order = start;
        let ids = CountingIds::default();
        for (number, standing) in events {
            order = order.hear(&session(number, standing), hearing(10), &ids).order;
        }
        for (request, of, amount) in open_requests(&order) {
            let name = format!("re_{request}");
            let made = ProviderRefund { amount, request_id: Some(request), ..refund(&name, &of, 0, RefundStatus::Succeeded) };
            order = order.hear(&ProviderNews::Refund(made), hearing(10), &ids).order;
        }
        for receipt in &order.receipts {
            let back = receipt.refunded_minor();
            let expected = if receipt.kind == ReceiptKind::Payment { 0 } else { receipt.amount.amount_minor() };
            if order.state.cancellation().is_none() || receipt.kind != ReceiptKind::Payment {
                prop_assert_eq!(back, expected);
            }
        }
    }
}

fn open_requests(order: &Order) -> Vec<(RefundRequestId, String, Money)> {
    let requests = |receipt: &Receipt| {
        let money = |request: &RefundRequest| Money::from_minor(request.amount_minor, receipt.amount.currency());
        let open = requests_of(receipt).filter(|request| request.outcome == RefundOutcome::Open);
        open.map(|request| (request.id, receipt.intent.to_string(), money(request))).collect::<Vec<_>>()
    };
    order.receipts.iter().flat_map(requests).collect()
}
