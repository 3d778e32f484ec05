//! What the use cases ask of their ports, how often, and in which order.

use std::sync::{Arc, Mutex};

use mockall::Sequence;
use mockall::predicate::{always, eq};
use uuid::Uuid;

use crate::account::Role;
use crate::clock::{MockClock, Timestamp};
use crate::fraud::CustomerStanding;
use crate::id::{RefundRequestId, TaskId};
use crate::order::sample::{
    CountingIds, GRACE_SECONDS, TOTAL_MINOR, WINDOW_SECONDS, at, attempt_id, cancel, cancelled,
    cancelled_after_payment, customer_id, hear, intent, open, open_request, open_session, order_id, paid, paid_by,
    paid_with, place_order, policy, processing, refund, requested, session, session_id, stranger_id, unattempted, usd,
};
use crate::order::{
    CancelOrderError, Errand, EventOutcome, Expiry, MockErrandSignal, MockEventRepository, MockOrderRepository,
    MockTaskRepository, Order, OrderService, OrderStatus, PlaceOrderError, StartPayment, StartPaymentError, Sweep,
    Task,
};
use crate::payment::{
    AttemptState, CheckoutRequest, Ending, EventContent, EventStatus, FoundSession, GatewayUnavailable,
    MockPaymentGateway, OpenSessionError, PaymentStatus, ProviderEvent, ProviderEventId, RefundRefused, RefundStatus,
    SessionStanding,
};
use crate::store::StoreError;

/// The ports of the service under test; what is not expected is not called.
struct Ports {
    orders: MockOrderRepository,
    events: MockEventRepository,
    tasks: MockTaskRepository,
    gateway: MockPaymentGateway,
    errands: MockErrandSignal,
}

/// The one order of a test, shared with the mocks that change it.
type Shelf = Arc<Mutex<Order>>;

impl Ports {
    fn new() -> Self {
        Self {
            orders: MockOrderRepository::new(),
            events: MockEventRepository::new(),
            tasks: MockTaskRepository::new(),
            gateway: MockPaymentGateway::new(),
            errands: MockErrandSignal::new(),
        }
    }

    /// Ports whose repository keeps one order, which hears, and may be looked at.
    fn with(order: Order) -> (Self, Shelf) {
        let mut ports = Self::new();
        let shelf = Arc::new(Mutex::new(order));
        let ids = CountingIds::default();
        let kept = Arc::clone(&shelf);
        ports.orders.expect_hear().returning(move |id, news, hearing| {
            let mut order = kept.lock().unwrap();
            assert_eq!(id, order.id);
            assert_eq!(hearing.async_wait_seconds, policy().async_wait_seconds);
            *order = order.clone().hear(news, hearing, &ids).order;
            Ok(Some(order.clone()))
        });
        let kept = Arc::clone(&shelf);
        ports.orders.expect_find().returning(move |_| Ok(Some(kept.lock().unwrap().clone())));
        ports.errands.expect_wake().returning(|| ());
        (ports, shelf)
    }

    fn service_at(self, now: Timestamp) -> OrderService {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(now);
        OrderService {
            orders: Arc::new(self.orders),
            events: Arc::new(self.events),
            tasks: Arc::new(self.tasks),
            gateway: Arc::new(self.gateway),
            errands: Arc::new(self.errands),
            clock: Arc::new(clock),
            ids: Arc::new(CountingIds::default()),
            policy: policy(),
        }
    }
}

fn unavailable() -> GatewayUnavailable {
    GatewayUnavailable { reason: "connection refused".to_owned() }
}

fn found(number: u128, standing: SessionStanding) -> FoundSession {
    FoundSession { id: session_id(number), standing }
}

fn status_of(shelf: &Shelf) -> OrderStatus {
    shelf.lock().unwrap().status()
}

mod placing {
    use super::*;

    #[tokio::test]
    async fn the_store_commits_first_and_then_the_provider_is_asked_once_with_what_was_stored() {
        let (mut ports, _) = Ports::with(requested());
        let mut order = Sequence::new();
        ports.orders.expect_place().times(1).in_sequence(&mut order).returning(|_| Ok(requested()));
        let stored = requested().attempts[0].request.clone().unwrap();
        ports
            .gateway
            .expect_open_session()
            .withf(move |request| *request == stored)
            .times(1)
            .in_sequence(&mut order)
            .returning(|_| Ok(found(1, open_session(1))));
        let placed = ports.service_at(at(1)).place(&place_order()).await.unwrap();
        assert_eq!(placed.payable_session(at(1)).unwrap().url, "https://checkout.example/cs_1");
    }

    #[tokio::test]
    async fn the_provider_is_not_asked_for_an_order_that_was_refused() {
        let mut ports = Ports::new();
        ports.orders.expect_place().times(1).returning(|_| Err(PlaceOrderError::CartEmpty));
        let refused = ports.service_at(at(1)).place(&place_order()).await;
        assert!(matches!(refused, Err(PlaceOrderError::CartEmpty)));
    }

    #[tokio::test]
    async fn the_provider_is_not_asked_for_an_order_that_is_not_to_be_paid_now() {
        let mut ports = Ports::new();
        ports.orders.expect_place().times(1).returning(|_| Ok(unattempted()));
        assert_eq!(ports.service_at(at(1)).place(&place_order()).await.unwrap(), unattempted());
    }

    /// Contract 3.1: "Provider down or slow: still 201".
    #[tokio::test]
    async fn an_order_stands_without_a_session_while_the_provider_is_down() {
        let mut ports = Ports::new();
        ports.orders.expect_place().returning(|_| Ok(requested()));
        ports.gateway.expect_open_session().times(1).returning(|_| Err(unavailable().into()));
        let placed = ports.service_at(at(1)).place(&place_order()).await.unwrap();
        assert_eq!(placed, requested());
        assert_eq!(placed.payable_session(at(1)), None);
    }

    #[tokio::test]
    async fn an_order_stands_without_a_session_when_the_provider_refuses_one() {
        let (mut ports, _) = Ports::with(requested());
        ports.orders.expect_place().returning(|_| Ok(requested()));
        let refusal = || OpenSessionError::Refused { reason: "amount_too_small".to_owned() };
        ports.gateway.expect_open_session().times(1).returning(move |_| Err(refusal()));
        let placed = ports.service_at(at(1)).place(&place_order()).await.unwrap();
        assert_eq!(placed.status(), OrderStatus::Pending);
        assert_eq!(placed.live_attempt(), None, "a further attempt may begin");
    }

    #[tokio::test]
    async fn an_order_stands_when_its_session_could_not_be_kept() {
        let mut ports = Ports::new();
        ports.orders.expect_place().returning(|_| Ok(requested()));
        ports.orders.expect_hear().times(1).returning(|_, _, _| Err(StoreError::unavailable("gone")));
        ports.gateway.expect_open_session().returning(|_| Ok(found(1, open_session(1))));
        assert_eq!(ports.service_at(at(1)).place(&place_order()).await.unwrap(), requested());
    }

    /// Contract 3.3: "`POST /orders`: 201 with `checkoutUrl` null".
    #[tokio::test]
    async fn a_session_that_comes_for_a_cancelled_order_is_not_handed_out() {
        let gone = cancel(Role::Customer)
            .decide(requested(), &CustomerStanding::default(), &CountingIds::default())
            .unwrap()
            .order;
        let (mut ports, _) = Ports::with(gone);
        ports.orders.expect_place().returning(|_| Ok(requested()));
        ports.gateway.expect_open_session().returning(|_| Ok(found(1, open_session(1))));
        let placed = ports.service_at(at(1)).place(&place_order()).await.unwrap();
        assert_eq!((placed.status(), placed.payable_session(at(1))), (OrderStatus::Cancelled, None));
    }
}

mod starting_to_pay {
    use super::*;

    fn command() -> StartPayment {
        StartPayment {
            order_id: order_id(),
            customer_id: customer_id(),
            attempt_id: attempt_id(2),
            at: at(60),
            policy: policy(),
            claim: None,
        }
    }

    /// Ports whose repository decides on the one order, up to `rounds` times.
    fn with(order: Order, rounds: usize) -> (Ports, Shelf) {
        let (mut ports, shelf) = Ports::with(order);
        let kept = Arc::clone(&shelf);
        ports.orders.expect_start_payment().times(rounds).returning(move |command| {
            let mut order = kept.lock().unwrap();
            *order = command.decide(order.clone(), "ada@example.com")?.order;
            Ok(order.clone())
        });
        (ports, shelf)
    }

    /// The provider opens whatever session it is asked for, each attempt its own.
    #[allow(clippy::unnecessary_wraps, reason = "what the mock wants")]
    fn opens(request: &CheckoutRequest) -> Result<FoundSession, OpenSessionError> {
        let number = request.attempt_id.uuid().as_u128();
        let SessionStanding::Open(session) = open_session(number) else { unreachable!() };
        let session = crate::payment::OpenSession { expires_at: request.expires_at, ..session };
        Ok(FoundSession { id: session_id(number), standing: SessionStanding::Open(session) })
    }

    #[tokio::test]
    async fn an_open_session_is_looked_up_and_given_again() {
        let (mut ports, _) = with(open(), 1);
        ports.gateway.expect_session().with(eq(session_id(1))).times(1).returning(|_| Ok(open_session(1)));
        let session = ports.service_at(at(60)).start_payment(&command()).await.unwrap();
        assert_eq!((session.id, session.expires_at), (session_id(1), at(1860)));
    }

    #[tokio::test]
    async fn an_attempt_whose_answer_was_lost_is_asked_for_again_exactly_as_it_was_stored() {
        let (mut ports, _) = with(requested(), 1);
        let stored = requested().attempts[0].request.clone().unwrap();
        ports.gateway.expect_open_session().withf(move |r| *r == stored).times(1).returning(opens);
        assert!(ports.service_at(at(60)).start_payment(&command()).await.is_ok());
    }

    #[tokio::test]
    async fn an_order_without_an_attempt_gets_its_first_one() {
        let (mut ports, shelf) = with(unattempted(), 1);
        ports.gateway.expect_open_session().times(1).returning(opens);
        assert!(ports.service_at(at(60)).start_payment(&command()).await.is_ok());
        assert_eq!(shelf.lock().unwrap().attempts.len(), 1);
    }

    #[tokio::test]
    async fn a_session_found_expired_is_followed_by_a_further_attempt() {
        let (mut ports, shelf) = with(open(), 2);
        ports.gateway.expect_session().times(1).returning(|_| Ok(SessionStanding::Expired));
        ports.gateway.expect_open_session().times(1).returning(opens);
        let session = ports.service_at(at(60)).start_payment(&command()).await.unwrap();
        assert_ne!(session.id, session_id(1));
        assert_eq!(shelf.lock().unwrap().attempts.len(), 2);
    }

    /// Contract 3.3: "one found paid settles the order (409 `order_already_paid`)".
    #[tokio::test]
    async fn a_session_found_paid_settles_the_order() {
        let (mut ports, shelf) = with(open(), 1);
        ports.gateway.expect_session().times(1).returning(|_| Ok(paid_by("pi_1")));
        let refused = ports.service_at(at(60)).start_payment(&command()).await;
        assert!(matches!(refused, Err(StartPaymentError::AlreadyPaid)), "{refused:?}");
        assert_eq!(status_of(&shelf), OrderStatus::Paid);
    }

    #[tokio::test]
    async fn a_session_found_with_a_delayed_payment_makes_the_order_wait() {
        let (mut ports, shelf) = with(open(), 1);
        ports.gateway.expect_session().times(1).returning(|_| Ok(SessionStanding::Processing));
        let refused = ports.service_at(at(60)).start_payment(&command()).await;
        assert!(matches!(refused, Err(StartPaymentError::NotPayable)), "{refused:?}");
        assert!(shelf.lock().unwrap().waits_until().is_some());
    }

    #[tokio::test]
    async fn a_session_found_paid_with_a_wrong_sum_is_followed_by_a_further_attempt() {
        let (mut ports, shelf) = with(open(), 2);
        ports.gateway.expect_session().times(1).returning(|_| Ok(paid_with("pi_odd", usd(1))));
        ports.gateway.expect_open_session().times(1).returning(opens);
        assert!(ports.service_at(at(60)).start_payment(&command()).await.is_ok());
        assert_eq!(shelf.lock().unwrap().receipts.len(), 1);
    }

    #[tokio::test]
    async fn no_further_attempt_begins_while_the_provider_is_silent() {
        for (order, is_open) in [(open(), true), (requested(), false)] {
            let (mut ports, shelf) = with(order.clone(), 1);
            ports.gateway.expect_session().times(usize::from(is_open)).returning(|_| Err(unavailable()));
            ports.gateway.expect_open_session().times(usize::from(!is_open)).returning(|_| Err(unavailable().into()));
            let refused = ports.service_at(at(60)).start_payment(&command()).await;
            assert!(matches!(refused, Err(StartPaymentError::Provider)), "{refused:?}");
            assert_eq!(*shelf.lock().unwrap(), order);
        }
    }

    #[tokio::test]
    async fn an_old_attempt_that_is_refused_is_followed_by_one_more_and_a_new_one_that_is_refused_is_not() {
        let refusal = |_: &CheckoutRequest| Err(OpenSessionError::Refused { reason: "expires_at".to_owned() });
        let (mut ports, shelf) = with(requested(), 2);
        ports.gateway.expect_open_session().times(2).returning(refusal);
        let refused = ports.service_at(at(60)).start_payment(&command()).await;
        assert!(matches!(refused, Err(StartPaymentError::Provider)), "{refused:?}");
        assert_eq!(shelf.lock().unwrap().attempts.len(), 2);
    }

    #[tokio::test]
    async fn it_ends_even_if_every_session_is_found_expired() {
        let (mut ports, _) = with(open(), 3);
        ports.gateway.expect_session().times(1).returning(|_| Ok(SessionStanding::Expired));
        ports.gateway.expect_open_session().times(2).returning(|request| {
            Ok(FoundSession { id: session_id(request.attempt_id.uuid().as_u128()), standing: SessionStanding::Expired })
        });
        let refused = ports.service_at(at(60)).start_payment(&command()).await;
        assert!(matches!(refused, Err(StartPaymentError::Provider)), "{refused:?}");
    }

    #[tokio::test]
    async fn the_provider_is_not_asked_about_an_order_that_can_not_be_paid() {
        for order in [paid(), cancelled(), processing()] {
            let (ports, _) = with(order, 1);
            assert!(ports.service_at(at(60)).start_payment(&command()).await.is_err());
        }
    }

    /// The window ends while the provider is being asked.
    #[tokio::test]
    async fn a_session_that_comes_after_the_window_is_not_handed_out() {
        let (mut ports, shelf) = with(requested(), 1);
        ports.gateway.expect_open_session().times(1).returning(opens);
        let refused = ports.service_at(at(WINDOW_SECONDS)).start_payment(&command()).await;
        assert!(matches!(refused, Err(StartPaymentError::NotPayable)), "{refused:?}");
        assert!(shelf.lock().unwrap().live_attempt().is_some(), "it is kept, to be closed");
    }
}

mod sweeping {
    use super::*;

    /// Ports whose repository claims the one order, and expires it as the rules say.
    fn with(order: Order) -> (Ports, Shelf) {
        let (mut ports, shelf) = Ports::with(order);
        ports
            .orders
            .expect_claim_overdue()
            .with(always(), eq(OrderService::SWEEP_LEASE_SECONDS), eq(OrderService::SWEEP_BATCH))
            .times(1)
            .returning(|_, _, _| Ok(vec![order_id()]));
        let kept = Arc::clone(&shelf);
        ports.orders.expect_expire().times(..=1).returning(move |command| {
            let mut order = kept.lock().unwrap();
            let (expiry, change) = command.decide(order.clone()).unwrap();
            *order = change.order;
            Ok(expiry)
        });
        (ports, shelf)
    }

    async fn sweep(ports: Ports, second: i64) -> Sweep {
        ports.service_at(at(second)).sweep().await.unwrap()
    }

    const CANCELLED: Sweep = Sweep { claimed: 1, cancelled: 1 };
    const KEPT: Sweep = Sweep { claimed: 1, cancelled: 0 };

    #[tokio::test]
    async fn an_open_session_is_closed_before_its_order_is_cancelled() {
        let (mut ports, shelf) = with(open());
        ports
            .gateway
            .expect_close_session()
            .with(eq(session_id(1)))
            .times(1)
            .returning(|_| Ok(SessionStanding::Expired));
        assert_eq!(sweep(ports, WINDOW_SECONDS).await, CANCELLED);
        let order = shelf.lock().unwrap().clone();
        assert_eq!(order.status(), OrderStatus::Cancelled);
        assert_eq!(order.live_attempt(), None);
    }

    /// Contract 3.7: "a session found paid there marks the order paid".
    #[tokio::test]
    async fn a_lost_webhook_does_not_cancel_a_paid_order() {
        let (mut ports, shelf) = with(open());
        ports.gateway.expect_close_session().times(1).returning(|_| Ok(paid_by("pi_1")));
        assert_eq!(sweep(ports, WINDOW_SECONDS).await, KEPT);
        assert_eq!(status_of(&shelf), OrderStatus::Paid);
    }

    #[tokio::test]
    async fn a_silent_provider_is_waited_for_and_then_not() {
        for (second, expected) in [(WINDOW_SECONDS, KEPT), (WINDOW_SECONDS + GRACE_SECONDS, CANCELLED)] {
            let (mut ports, _) = with(open());
            ports.gateway.expect_close_session().times(1).returning(|_| Err(unavailable()));
            assert_eq!(sweep(ports, second).await, expected);
        }
    }

    #[tokio::test]
    async fn an_attempt_of_unknown_fate_is_found_out_and_closed() {
        let (mut ports, _) = with(requested());
        ports.gateway.expect_open_session().times(1).returning(|_| Ok(found(1, open_session(1))));
        ports
            .gateway
            .expect_close_session()
            .with(eq(session_id(1)))
            .times(1)
            .returning(|_| Ok(SessionStanding::Expired));
        assert_eq!(sweep(ports, WINDOW_SECONDS).await, CANCELLED);
    }

    #[tokio::test]
    async fn an_attempt_that_the_provider_refuses_to_open_is_over() {
        let (mut ports, _) = with(requested());
        let refusal = || OpenSessionError::Refused { reason: "expires_at".to_owned() };
        ports.gateway.expect_open_session().times(1).returning(move |_| Err(refusal()));
        assert_eq!(sweep(ports, WINDOW_SECONDS).await, CANCELLED);
    }

    #[tokio::test]
    async fn an_order_without_an_attempt_is_cancelled_without_asking_anyone() {
        let (ports, _) = with(unattempted());
        assert_eq!(sweep(ports, WINDOW_SECONDS).await, CANCELLED);
    }

    /// Contract 3.9: "then the provider is asked, and an order still unpaid is cancelled by `SYSTEM`".
    #[tokio::test]
    async fn a_delayed_payment_is_asked_about_when_its_wait_ends() {
        let due = 10 + crate::order::sample::ASYNC_WAIT_SECONDS;
        for (standing, expected) in
            [(SessionStanding::Processing, CANCELLED), (SessionStanding::Failed, CANCELLED), (paid_by("pi_1"), KEPT)]
        {
            let (mut ports, _) = with(processing());
            ports.gateway.expect_session().with(eq(session_id(1))).times(1).return_once(move |_| Ok(standing));
            assert_eq!(sweep(ports, due).await, expected);
        }
    }

    #[tokio::test]
    async fn the_provider_is_not_asked_about_an_order_that_was_settled_meanwhile() {
        for order in [paid(), cancelled()] {
            let (ports, shelf) = with(order.clone());
            assert_eq!(sweep(ports, WINDOW_SECONDS).await, KEPT);
            assert_eq!(*shelf.lock().unwrap(), order);
        }
    }

    #[tokio::test]
    async fn one_order_that_fails_does_not_keep_the_others_from_being_swept() {
        let mut ports = Ports::new();
        let ids = [order_id(), Uuid::from_u128(0xDE3).into()];
        ports.orders.expect_claim_overdue().returning(move |_, _, _| Ok(ids.to_vec()));
        ports.orders.expect_find().returning(move |id| {
            if id == ids[0] { Err(StoreError::unavailable("gone")) } else { Ok(Some(Order { id, ..unattempted() })) }
        });
        ports.orders.expect_expire().times(1).returning(|_| Ok(Expiry::Cancelled));
        ports.errands.expect_wake().times(1).returning(|| ());
        assert_eq!(sweep(ports, WINDOW_SECONDS).await, Sweep { claimed: 2, cancelled: 1 });
    }
}

mod errands {
    use super::*;

    fn task(errand: Errand, tries: u32) -> Task {
        Task { id: Uuid::from_u128(0x7A).into(), order_id: order_id(), errand, tries }
    }

    fn task_id() -> TaskId {
        task(Errand::CloseSession(attempt_id(1)), 0).id
    }

    /// Ports with one claimed task for the one order.
    fn with(order: Order, errand: Errand, tries: u32) -> (Ports, Shelf) {
        let (mut ports, shelf) = Ports::with(order);
        ports
            .tasks
            .expect_claim()
            .with(eq(OrderService::ERRAND_LEASE_SECONDS), eq(OrderService::ERRAND_BATCH))
            .times(1)
            .returning(move |_, _| Ok(vec![task(errand, tries)]));
        (ports, shelf)
    }

    async fn ends_finished(mut ports: Ports) {
        ports.tasks.expect_finish().with(eq(task_id())).times(1).returning(|_| Ok(()));
        assert_eq!(ports.service_at(at(60)).run_errands().await.unwrap(), 1);
    }

    async fn ends_postponed(mut ports: Ports, pause_seconds: u32) {
        let reasoned = |reason: &str| !reason.is_empty();
        ports
            .tasks
            .expect_postpone()
            .withf(move |id, pause, reason| *id == task_id() && *pause == pause_seconds && reasoned(reason))
            .times(1)
            .returning(|_, _, _| Ok(()));
        assert_eq!(ports.service_at(at(60)).run_errands().await.unwrap(), 1);
    }

    const CLOSE: fn() -> Errand = || Errand::CloseSession(attempt_id(1));

    #[tokio::test]
    async fn a_session_is_closed_until_the_providers_last_word_is_known() {
        let (mut ports, shelf) = with(cancelled(), CLOSE(), 0);
        ports
            .gateway
            .expect_close_session()
            .with(eq(session_id(1)))
            .times(1)
            .returning(|_| Ok(SessionStanding::Expired));
        ends_finished(ports).await;
        assert_eq!(shelf.lock().unwrap().live_attempt(), None);
    }

    /// Contract 3.3: "complete and paid starts rule 6".
    #[tokio::test]
    async fn a_session_found_paid_when_it_is_closed_is_money_that_goes_back() {
        let (mut ports, shelf) = with(cancelled(), CLOSE(), 0);
        ports.gateway.expect_close_session().times(1).returning(|_| Ok(paid_by("pi_late")));
        ends_finished(ports).await;
        assert!(open_request(&shelf.lock().unwrap(), "pi_late").is_some());
    }

    #[tokio::test]
    async fn a_silent_provider_postpones_with_growing_pauses_up_to_five_minutes() {
        for (tries, pause) in [(0, 1), (1, 2), (5, 32), (8, 256), (9, 300), (40, 300), (u32::MAX, 300)] {
            let (mut ports, _) = with(cancelled(), CLOSE(), tries);
            ports.gateway.expect_close_session().times(1).returning(|_| Err(unavailable()));
            ends_postponed(ports, pause).await;
        }
    }

    #[tokio::test]
    async fn an_attempt_that_has_ended_asks_for_nothing() {
        let ended = hear(cancelled(), &session(1, SessionStanding::Expired));
        let (ports, _) = with(ended, CLOSE(), 0);
        ends_finished(ports).await;
    }

    fn cancelled_unanswered() -> Order {
        let ids = CountingIds::default();
        cancel(Role::Customer).decide(requested(), &CustomerStanding::default(), &ids).unwrap().order
    }

    #[tokio::test]
    async fn a_session_of_unknown_fate_is_found_by_repeating_the_call_and_closed() {
        let (mut ports, shelf) = with(cancelled_unanswered(), CLOSE(), 0);
        let stored = requested().attempts[0].request.clone().unwrap();
        ports
            .gateway
            .expect_open_session()
            .withf(move |request| *request == stored)
            .times(1)
            .returning(|_| Ok(found(1, open_session(1))));
        ports
            .gateway
            .expect_close_session()
            .with(eq(session_id(1)))
            .times(1)
            .returning(|_| Ok(SessionStanding::Expired));
        ends_finished(ports).await;
        let state = shelf.lock().unwrap().attempts[0].state.clone();
        assert_eq!(state, AttemptState::Ended { session_id: Some(session_id(1)), ending: Ending::Expired });
    }

    /// Its id is kept, but it is still open: the errand is not done.
    #[tokio::test]
    async fn a_session_that_was_found_but_not_closed_is_tried_again() {
        let (mut ports, shelf) = with(cancelled_unanswered(), CLOSE(), 0);
        ports.gateway.expect_open_session().times(1).returning(|_| Ok(found(1, open_session(1))));
        ports.gateway.expect_close_session().times(1).returning(|_| Err(unavailable()));
        ends_postponed(ports, 1).await;
        assert!(matches!(shelf.lock().unwrap().attempts[0].state, AttemptState::Open(_)));
    }

    #[tokio::test]
    async fn a_task_for_an_order_that_is_not_there_is_over() {
        let mut ports = Ports::new();
        ports.tasks.expect_claim().returning(|_, _| Ok(vec![task(CLOSE(), 0)]));
        ports.orders.expect_find().returning(|_| Ok(None));
        ends_finished(ports).await;
    }

    #[tokio::test]
    async fn a_store_that_fails_postpones() {
        let mut ports = Ports::new();
        ports.tasks.expect_claim().returning(|_, _| Ok(vec![task(CLOSE(), 0)]));
        ports.orders.expect_find().returning(|_| Err(StoreError::unavailable("gone")));
        ends_postponed(ports, 1).await;
    }

    fn refunding() -> (Order, RefundRequestId) {
        let order = cancelled_after_payment();
        let (request_id, _) = open_request(&order, "pi_1").unwrap();
        (order, request_id)
    }

    #[tokio::test]
    async fn a_refund_is_asked_for_once_under_its_requests_key() {
        let (order, request_id) = refunding();
        let (mut ports, shelf) = with(order, Errand::Refund(request_id), 0);
        ports
            .gateway
            .expect_refund()
            .withf(move |wish| {
                (wish.request_id, wish.order_id, wish.amount) == (request_id, order_id(), usd(TOTAL_MINOR))
                    && wish.intent == intent("pi_1")
            })
            .times(1)
            .returning(|_| Ok(refund("re_1", "pi_1", TOTAL_MINOR, RefundStatus::Succeeded)));
        ends_finished(ports).await;
        let order = shelf.lock().unwrap().clone();
        assert_eq!(order.payment, PaymentStatus::Refunded);
        assert_eq!(open_request(&order, "pi_1"), None, "answered, though the provider did not repeat our name");
    }

    #[tokio::test]
    async fn a_refund_in_doubt_is_asked_for_again_under_the_same_key() {
        let (order, request_id) = refunding();
        let (mut ports, shelf) = with(order.clone(), Errand::Refund(request_id), 3);
        ports.gateway.expect_refund().times(1).returning(|_| Err(unavailable().into()));
        ends_postponed(ports, 8).await;
        assert_eq!(*shelf.lock().unwrap(), order);
    }

    #[tokio::test]
    async fn a_refused_refund_is_looked_at_before_anything_is_concluded() {
        let (order, request_id) = refunding();
        let (mut ports, shelf) = with(order, Errand::Refund(request_id), 0);
        let refusal = || RefundRefused::Refused { reason: "charge_already_refunded".to_owned() };
        ports.gateway.expect_refund().times(1).returning(move |_| Err(refusal()));
        ports
            .gateway
            .expect_refunds()
            .with(eq(intent("pi_1")))
            .times(1)
            .returning(|_| Ok(vec![refund("re_hand", "pi_1", TOTAL_MINOR, RefundStatus::Succeeded)]));
        ends_finished(ports).await;
        assert_eq!(shelf.lock().unwrap().payment, PaymentStatus::Refunded);
    }

    #[tokio::test]
    async fn a_refused_refund_that_can_not_be_looked_at_stays_open() {
        let (order, request_id) = refunding();
        let (mut ports, shelf) = with(order.clone(), Errand::Refund(request_id), 0);
        let refusal = || RefundRefused::Refused { reason: "charge_already_refunded".to_owned() };
        ports.gateway.expect_refund().times(1).returning(move |_| Err(refusal()));
        ports.gateway.expect_refunds().times(1).returning(|_| Err(unavailable()));
        ends_postponed(ports, 1).await;
        assert_eq!(*shelf.lock().unwrap(), order);
    }

    #[tokio::test]
    async fn a_request_that_was_answered_meanwhile_is_not_sent() {
        let (order, request_id) = refunding();
        let news = crate::payment::ProviderRefund {
            request_id: Some(request_id),
            ..refund("re_1", "pi_1", TOTAL_MINOR, RefundStatus::Pending)
        };
        let answered = hear(order, &crate::order::ProviderNews::Refund(news));
        let (ports, _) = with(answered, Errand::Refund(request_id), 0);
        ends_finished(ports).await;
    }
}

mod the_rest {
    use super::*;

    #[tokio::test]
    async fn errands_begin_at_once_after_a_cancelling_and_not_after_a_refusal() {
        let mut ports = Ports::new();
        ports.orders.expect_cancel().times(1).returning(|_| Ok(cancelled()));
        ports.errands.expect_wake().times(1).returning(|| ());
        assert!(ports.service_at(at(30)).cancel(&cancel(Role::Customer)).await.is_ok());

        let mut ports = Ports::new();
        ports.orders.expect_cancel().times(1).returning(|_| Err(CancelOrderError::AlreadyPaid));
        ports.errands.expect_wake().times(0);
        assert!(ports.service_at(at(30)).cancel(&cancel(Role::Customer)).await.is_err());
    }

    fn event() -> ProviderEvent {
        ProviderEvent {
            id: ProviderEventId::new("evt_1").unwrap(),
            kind: "charge.dispute.created".to_owned(),
            payload: "{}".to_owned(),
            content: EventContent::Disputed(intent("pi_1")),
        }
    }

    #[tokio::test]
    async fn an_event_is_kept_once_and_what_follows_begins_at_once() {
        let mut ports = Ports::new();
        let outcome = EventOutcome::Recorded(EventStatus::Applied);
        let kept = outcome.clone();
        ports
            .orders
            .expect_receive()
            .withf(|received, hearing| *received == event() && hearing.at == at(30))
            .times(1)
            .return_once(move |_, _| Ok(kept));
        ports.errands.expect_wake().times(1).returning(|| ());
        assert_eq!(ports.service_at(at(30)).receive(&event()).await.unwrap(), outcome);
    }

    /// The provider must send it again.
    #[tokio::test]
    async fn an_event_that_could_not_be_kept_is_a_failure() {
        let mut ports = Ports::new();
        ports.orders.expect_receive().times(1).returning(|_, _| Err(StoreError::unavailable("gone")));
        assert!(ports.service_at(at(30)).receive(&event()).await.is_err());
    }

    #[tokio::test]
    async fn a_customer_sees_their_own_orders_and_an_admin_sees_all() {
        for (viewer, seen) in [(Some(customer_id()), true), (Some(stranger_id()), false), (None, true)] {
            let (ports, _) = Ports::with(open());
            let found = ports.service_at(at(30)).find(order_id(), viewer).await.unwrap();
            assert_eq!(found.is_some(), seen);
        }
    }
}
