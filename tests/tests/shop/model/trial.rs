//! One sequence, told to the shop and to the model side by side: after each step both must have answered alike and look
//! alike. A step whose process died may have happened up to any of its transactions; the model looks which, and goes on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use chrono::TimeDelta;
use domain::id::{AttemptId, OrderId, RefundRequestId};
use domain::order::FulfilmentStep;
use domain::payment::{PaymentIntentId, RefundStatus};
use futures_util::FutureExt as _;
use ironcart_tests::database::{Database, new_uuid};

use super::bench::{Bench, beginning};
use super::books::{ASYNC_WAIT, Answer, Books, GRACE, WINDOW, ok};
use super::ledger::Status;
use super::provider::{Asked, Call, Event, Said, SessionState, Told};
use super::steps::{Payer, RefundEnd, Sequence, Span, Step, Who, Wire};

const CUSTOMERS: usize = 2;

/// Price and stock of each product: scarce ones, and one whose single unit is too cheap to be paid for.
const PRODUCTS: [(i64, i64); 3] = [(1000, 4), (250, 9), (30, 6)];

/// More rounds than anything needs to come to rest.
const ROUNDS: usize = 60;

type Verdict = Result<(), String>;

/// Runs a sequence to its end, and beyond: until nothing is under way any more.
pub async fn run(database: &Database, sequence: &Sequence) -> Verdict {
    let bench = Bench::open(database, CUSTOMERS, &PRODUCTS).await;
    let mut trial = Trial { books: Books::new(beginning(), &PRODUCTS, CUSTOMERS), bench };
    for (number, step) in sequence.0.iter().enumerate() {
        trial.step(step).await.map_err(|found| format!("at step {}, {step:?}: {found}", number + 1))?;
    }
    trial.ends().await.map_err(|found| format!("after the last step: {found}"))
}

struct Trial<'a> {
    books: Books,
    bench: Bench<'a>,
}

/// What a step means now: the order that its number stands for, new ids, the event that arrives.
struct Meaning {
    order: usize,
    order_id: OrderId,
    owner: usize,
    new_order: OrderId,
    new_attempt: AttemptId,
    event: Option<Event>,
}

/// How the model's books go on during one step: a state for every transaction that the shop commits.
struct Story(Vec<Books>);

impl Story {
    fn now(&self) -> &Books {
        self.0.last().expect("a state")
    }

    fn then<T>(&mut self, change: impl FnOnce(&mut Books) -> T) -> T {
        let mut next = self.now().clone();
        let outcome = change(&mut next);
        self.0.push(next);
        outcome
    }

    /// What is learned without a commit of the shop's.
    fn learn<T>(&mut self, change: impl FnOnce(&mut Books) -> T) -> T {
        change(self.0.last_mut().expect("a state"))
    }
}

impl Trial<'_> {
    async fn step(&mut self, step: &Step) -> Verdict {
        self.passes(TimeDelta::seconds(1));
        match step {
            Step::Dies { after, during } => Box::pin(self.in_the_shop(during, (*after).into())).await?,
            Step::Together(one, other) => Box::pin(self.together(one, other)).await?,
            Step::Passes(span) => self.passes(length(*span)),
            Step::Payer { .. }
            | Step::Foreign { .. }
            | Step::ByHand { .. }
            | Step::RefundMoves { .. }
            | Step::Dispute { .. }
            | Step::Warning { .. } => self.at_the_provider(step),
            Step::Add { .. }
            | Step::Set { .. }
            | Step::Remove { .. }
            | Step::Clear { .. }
            | Step::LookIntoCart { .. }
            | Step::Place { .. }
            | Step::StartPayment { .. }
            | Step::Cancel { .. }
            | Step::Ship { .. }
            | Step::Deliver { .. }
            | Step::ClearFlags { .. }
            | Step::Refund { .. }
            | Step::Adjust { .. }
            | Step::SetStock { .. }
            | Step::SetPrice { .. }
            | Step::Archive { .. }
            | Step::Sweep { .. }
            | Step::Errands { .. }
            | Step::Event(_)
            | Step::EventAgain(_) => Box::pin(self.in_the_shop(step, usize::MAX)).await?,
        }
        let seen = self.look(&self.books).await;
        same(&self.books.view(), &seen)?;
        let complaints = self.bench.provider.desk().complaints.join("; ");
        if complaints.is_empty() { Ok(()) } else { Err(format!("the provider complains: {complaints}")) }
    }

    fn passes(&mut self, span: TimeDelta) {
        self.books.now += span;
        self.bench.clock.set(self.books.now);
        self.bench.provider.desk().tick(self.books.now);
    }

    async fn look(&self, books: &Books) -> BTreeMap<String, String> {
        let orders: Vec<OrderId> = books.orders.iter().map(|order| order.id).collect();
        self.bench.view(&orders, &books.heard).await
    }

    fn order(&self, number: u8) -> Option<usize> {
        usize::from(number).checked_rem(self.books.orders.len())
    }

    /// What a step stands for now; `None` if there is nothing for it to be about.
    fn meaning(&self, step: &Step) -> Option<Meaning> {
        let order = match step {
            Step::StartPayment { order, .. }
            | Step::Cancel { order, .. }
            | Step::Ship { order }
            | Step::Deliver { order }
            | Step::ClearFlags { order }
            | Step::Refund { order } => Some(self.order(*order)?),
            _ => None,
        };
        let desk = self.bench.provider.desk();
        let events = |delivered: bool| desk.events.iter().filter(move |event| event.is_delivered == delivered);
        let pick = |number: &u8, events: Vec<&Event>| {
            usize::from(*number).checked_rem(events.len()).map(|at| events[at].clone())
        };
        let event = match step {
            Step::Event(number) => Some(pick(number, events(false).collect())?),
            Step::EventAgain(number) => Some(pick(number, events(true).collect())?),
            _ => None,
        };
        Some(Meaning {
            order: order.unwrap_or_default(),
            order_id: order.map_or_else(|| new_uuid().into(), |order| self.books.orders[order].id),
            owner: order.map_or(0, |order| self.books.orders[order].who),
            new_order: new_uuid().into(),
            new_attempt: new_uuid().into(),
            event,
        })
    }

    // --- in the shop --------------------------------------------------------------------------------------------

    /// Does a step in the shop and in the model; the process dies when it was polled so many times.
    async fn in_the_shop(&mut self, step: &Step, polls: usize) -> Verdict {
        let Some(meaning) = self.meaning(step) else { return Ok(()) };
        if matches!(step, Step::Sweep { .. } | Step::Errands { .. }) {
            self.bench.lets_leases_run_out().await;
        }
        let provider = &self.bench.provider;
        provider.desk().wire = wire_of(step);
        let _ = provider.death.notified().now_or_never();
        let answer = tokio::select! {
            biased;
            answer = polled(Box::pin(self.act(step, &meaning)), polls) => answer,
            () = provider.death.notified() => None,
        };
        provider.desk().wire = Wire::Fine;
        let calls = provider.desk().take_calls();
        let (mut story, expected) = self.expect(&self.books, step, &meaning, &calls)?;
        match answer {
            Some(answer) if answer == expected => self.books = story.0.pop().expect("a state"),
            Some(answer) => return Err(format!("the shop answers {answer:?}, the model {expected:?}")),
            None => {
                self.bench.what_was_begun_is_over().await;
                let seen = self.look(story.now()).await;
                self.books = recognised(story, &seen)?;
                return Ok(());
            }
        }
        if let Some(event) = &meaning.event {
            self.is_delivered(event);
        }
        Ok(())
    }

    fn is_delivered(&self, event: &Event) {
        let mut desk = self.bench.provider.desk();
        desk.events.iter_mut().filter(|known| known.id == event.id).for_each(|known| known.is_delivered = true);
    }

    /// Two steps at the same time: the end must be that of one after the other, in either order.
    async fn together(&mut self, one: &Step, other: &Step) -> Verdict {
        let (Some(first), Some(second)) = (self.meaning(one), self.meaning(other)) else {
            self.in_the_shop(one, usize::MAX).await?;
            return self.in_the_shop(other, usize::MAX).await;
        };
        let (answer, other_answer) = tokio::join!(Box::pin(self.act(one, &first)), Box::pin(self.act(other, &second)));
        let (one, other) = ((one, &first, answer), (other, &second, other_answer));
        let mut found = String::from("neither order explains it:");
        for [before, after] in [[&one, &other], [&other, &one]] {
            let (story, expected) = self.expect(&self.books, before.0, before.1, &[])?;
            let (story, then_expected) = self.expect(story.now(), after.0, after.1, &[])?;
            let seen = self.look(story.now()).await;
            let is_so = same(&story.now().view(), &seen);
            if (&expected, &then_expected) == (&before.2, &after.2) && is_so.is_ok() {
                self.books = story.now().clone();
                [&first.event, &second.event].into_iter().flatten().for_each(|event| self.is_delivered(event));
                return Ok(());
            }
            let _ = write!(
                found,
                "\n{:?} ({:?}, expected {expected:?}), then {:?} ({:?}, expected {then_expected:?}): {is_so:?}",
                before.0, before.2, after.0, after.2
            );
        }
        Err(found)
    }

    async fn act(&self, step: &Step, meaning: &Meaning) -> Answer {
        let bench = &self.bench;
        let (order, owner) = (meaning.order_id, meaning.owner);
        match *step {
            Step::Add { who, what, units } => bench.adds(who.into(), what.into(), units.into()).await,
            Step::Set { who, what, units } => bench.sets(who.into(), what.into(), units.into()).await,
            Step::Remove { who, what } => bench.removes(who.into(), what.into()).await,
            Step::Clear { who } => bench.clears(who.into()).await,
            Step::LookIntoCart { who } => bench.look_into_cart(who.into()).await,
            Step::Place { who, pay_now, total, .. } => {
                let attempt = pay_now.then_some(meaning.new_attempt);
                let expected = self.books.expected(who.into(), total);
                bench.places(meaning.new_order, attempt, who.into(), expected).await
            }
            Step::StartPayment { by, .. } => {
                bench.starts_payment(order, (owner + usize::from(by == Who::Stranger)) % CUSTOMERS).await
            }
            Step::Cancel { by, .. } => bench.cancels(order, owner, by).await,
            Step::Ship { .. } => bench.fulfils(order, FulfilmentStep::Ship(None)).await,
            Step::Deliver { .. } => bench.fulfils(order, FulfilmentStep::Deliver).await,
            Step::ClearFlags { .. } => bench.fulfils(order, FulfilmentStep::ClearFlags).await,
            Step::Refund { .. } => bench.refunds(order).await,
            Step::Adjust { what, delta } => bench.adjusts(what.into(), nonzero(delta)).await,
            Step::SetStock { what, units } => bench.edits(what.into(), None, Some(units.into())).await,
            Step::SetPrice { what, minor } => bench.edits(what.into(), Some(minor.into()), None).await,
            Step::Archive { what } => bench.archives(what.into()).await,
            Step::Sweep { .. } => bench.sweeps().await,
            Step::Errands { .. } => bench.runs_errands().await,
            Step::Event(_) | Step::EventAgain(_) => match &meaning.event {
                Some(event) => bench.receives(event).await,
                None => unreachable!("the meaning of an event is an event"),
            },
            _ => unreachable!("{step:?} does not happen in the shop"),
        }
    }

    // --- in the model -------------------------------------------------------------------------------------------

    /// What the model says of a step, given what the provider was asked and said meanwhile.
    fn expect(&self, books: &Books, step: &Step, meaning: &Meaning, calls: &[Call]) -> Result<(Story, Answer), String> {
        let mut story = Story(vec![books.clone()]);
        let order = meaning.order;
        let answer = match *step {
            Step::Add { who, what, units } => story.then(|b| b.fill(who.into(), what.into(), units.into(), true)),
            Step::Set { who, what, units } => story.then(|b| b.fill(who.into(), what.into(), units.into(), false)),
            Step::Remove { who, what } => story.then(|b| b.remove(who.into(), what.into())),
            Step::Clear { who } => story.then(|b| b.clear(who.into())),
            Step::LookIntoCart { who } => story.then(|b| b.look_into_cart(who.into())),
            Step::Place { who, pay_now, total, .. } => {
                let attempt = pay_now.then_some(meaning.new_attempt);
                let expected = self.books.expected(who.into(), total);
                let answer = story.then(|b| b.place(meaning.new_order, attempt, who.into(), expected));
                hear_calls(&mut story, calls)?;
                answer
            }
            Step::StartPayment { by, .. } => expect_payment(&mut story, meaning, by, calls)?,
            Step::Cancel { by, .. } => story.then(|b| b.cancel(order, by)),
            Step::Ship { .. } => story.then(|b| b.orders[order].ship()),
            Step::Deliver { .. } => story.then(|b| b.orders[order].deliver()),
            Step::ClearFlags { .. } => story.then(|b| b.orders[order].clear_flags()),
            Step::Refund { .. } => story.then(|b| b.orders[order].refund_all()),
            Step::Adjust { what, delta } => story.then(|b| b.adjust(what.into(), nonzero(delta))),
            Step::SetStock { what, units } => story.then(|b| b.edit(what.into(), None, Some(units.into()))),
            Step::SetPrice { what, minor } => story.then(|b| b.edit(what.into(), Some(minor.into()), None)),
            Step::Archive { what } => story.then(|b| b.archive(what.into())),
            Step::Sweep { .. } => expect_sweep(&mut story, calls)?,
            Step::Errands { .. } => {
                hear_calls(&mut story, calls)?;
                ok()
            }
            Step::Event(_) | Step::EventAgain(_) => match &meaning.event {
                Some(event) => story.then(|b| b.hear(event)),
                None => unreachable!("the meaning of an event is an event"),
            },
            _ => unreachable!("{step:?} does not happen in the shop"),
        };
        Ok((story, answer))
    }

    // --- at the provider ----------------------------------------------------------------------------------------

    fn at_the_provider(&self, step: &Step) {
        let mut desk = self.bench.provider.desk();
        let order = |number| self.order(number).map(|order| &self.books.orders[order]);
        match *step {
            Step::Payer { order: number, does } => {
                let Some(order) = order(number) else { return };
                desk.payer(order.id, does);
            }
            Step::Foreign { order: number, sum, delayed } => {
                let Some(order) = order(number) else { return };
                desk.foreign(order.id, order.total, sum, delayed);
            }
            Step::RefundMoves { refund, to } => {
                if let Some(at) = usize::from(refund).checked_rem(desk.refunds.len()) {
                    desk.refund_moves(at, to);
                }
            }
            Step::ByHand { order: number, receipt, .. }
            | Step::Dispute { order: number, receipt }
            | Step::Warning { order: number, receipt } => {
                let Some(order) = order(number) else { return };
                let intents = desk.intents_of(order.id);
                let Some(at) = usize::from(receipt).checked_rem(intents.len()) else { return };
                match *step {
                    Step::ByHand { half, .. } => desk.by_hand(&intents[at], half),
                    Step::Dispute { .. } => desk.dispute(&intents[at]),
                    _ => desk.warn(&intents[at]),
                }
            }
            _ => unreachable!("{step:?} does not happen at the provider"),
        }
    }

    // --- the end ------------------------------------------------------------------------------------------------

    /// Lets everything come to its end, and looks at what can only be judged then.
    async fn ends(&mut self) -> Verdict {
        self.settles().await?;
        self.nobody_can_pay_in_vain()?;
        self.refunds_come_through().await?;
        self.passes(WINDOW + GRACE + ASYNC_WAIT);
        self.step(&Step::Sweep { wire: Wire::Fine }).await?;
        self.settles().await?;
        // Money that was on its way all the time comes too late.
        let orders: Vec<OrderId> = self.books.orders.iter().map(|order| order.id).collect();
        for _ in 0..ROUNDS {
            orders.iter().for_each(|order| self.bench.provider.desk().payer(*order, Payer::MoneyComes));
        }
        self.settles().await?;
        self.refunds_come_through().await?;
        self.nobody_can_pay_in_vain()?;
        self.money_is_where_it_belongs()
    }

    /// All events are delivered and all errands are run.
    async fn settles(&mut self) -> Verdict {
        for _ in 0..ROUNDS {
            let is_waiting = self.bench.provider.desk().events.iter().any(|event| !event.is_delivered);
            if is_waiting {
                self.step(&Step::Event(0)).await?;
            } else if self.bench.open_tasks().await.is_empty() {
                return Ok(());
            } else {
                self.step(&Step::Errands { wire: Wire::Fine }).await?;
            }
        }
        Err(format!("it does not come to rest: {:?}", self.bench.open_tasks().await))
    }

    /// Refunds that are on their way arrive, and an admin asks again for those that failed.
    async fn refunds_come_through(&mut self) -> Verdict {
        let refunds = self.bench.provider.desk().refunds.len();
        for refund in 0..refunds {
            let mut desk = self.bench.provider.desk();
            let is_on_its_way =
                matches!(desk.refunds[refund].news.status, RefundStatus::Pending | RefundStatus::RequiresAction);
            if is_on_its_way {
                desk.refund_moves(refund, RefundEnd::Succeeds);
            }
        }
        self.settles().await?;
        for order in 0..self.books.orders.len() {
            if self.books.orders[order].has_failed_refund() {
                self.step(&Step::Refund { order: u8::try_from(order).unwrap() }).await?;
            }
        }
        self.settles().await
    }

    fn nobody_can_pay_in_vain(&self) -> Verdict {
        let desk = self.bench.provider.desk();
        for order in &self.books.orders {
            let open = desk.sessions.iter().filter(|session| session.is_payable_for(order.id)).count();
            if open > 1 || (open == 1 && order.status != Status::Pending) {
                return Err(format!("{open} sessions are open for a {} order", order.status));
            }
        }
        Ok(())
    }

    /// Every payment at the provider is the payment of an order that stands, or went back: once, and all of it.
    fn money_is_where_it_belongs(&self) -> Verdict {
        let desk = self.bench.provider.desk();
        for session in &desk.sessions {
            let SessionState::Paid(intent) = &session.state else { continue };
            let order = self.books.orders.iter().find(|order| order.id == session.order).expect("an order");
            let Some(receipt) = order.receipts.iter().find(|receipt| receipt.intent == *intent) else {
                return Err(format!("{intent} brought {:?}, and no order knows", session.amount));
            };
            let back = desk.back_of(intent);
            let is_owed = order.owed().any(|owed| owed.intent == *intent);
            if receipt.amount != session.amount || receipt.back() != back {
                return Err(format!("{intent}: the provider gave {back} back, the shop says {receipt:?}"));
            }
            if is_owed && back != session.amount.amount_minor() {
                return Err(format!("{intent}: {:?} is owed, and {back} went back", session.amount));
            }
        }
        match self.books.orders.iter().find(|order| order.status == Status::Pending) {
            Some(order) => Err(format!("an order is pending for ever: {}", order.view(self.books.now))),
            None => Ok(()),
        }
    }
}

/// Lets a future run until it has been polled so often.
async fn polled<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// What the provider was asked and said, as the model hears it.
fn hear_calls(story: &mut Story, calls: &[Call]) -> Verdict {
    let mut refused: Vec<(RefundRequestId, PaymentIntentId)> = vec![];
    for call in calls {
        let order = call.order;
        match &call.asked {
            Asked::Open(attempt) => {
                if !story.learn(|b| b.order_of(order).recognise(*attempt)) {
                    return Err(format!("the provider was asked for attempt {attempt}, which should not be there"));
                }
            }
            Asked::Refund { request, intent, minor } => {
                story.learn(|b| b.order_of(order).recognise_refund(*request, intent, *minor))?;
            }
            Asked::Session | Asked::Refunds(_) => {}
        }
        match (&call.asked, &call.said) {
            (_, Some(Said::Told(told))) => story.then(|b| b.tell(order, told)),
            (Asked::Refund { request, intent, .. }, Some(Said::RefundRefused)) => {
                refused.push((*request, intent.clone()))
            }
            (Asked::Refunds(intent), Some(Said::Refunds(refunds))) => {
                let Some((request, _)) = refused.iter().find(|(_, of)| of == intent) else { continue };
                let told = Told::RefundRefused { request: *request, intent: intent.clone(), refunds: refunds.clone() };
                story.then(|b| b.tell(order, &told));
            }
            _ => {}
        }
    }
    Ok(())
}

fn expect_payment(story: &mut Story, meaning: &Meaning, by: Who, calls: &[Call]) -> Result<Answer, String> {
    let (at, now) = (meaning.order, story.now().now);
    let order = &story.now().orders[at];
    if by == Who::Stranger {
        return Ok("not_found".to_owned());
    }
    if let Some(why) = order.unpayable(now) {
        return Ok(why.to_owned());
    }
    if !order.has_live_attempt() {
        story.then(|b| b.orders[at].retry());
    }
    for call in calls {
        if let Asked::Open(attempt) = &call.asked
            && !story.learn(|b| b.orders[at].recognise(*attempt))
        {
            story.then(|b| b.orders[at].retry());
        }
        hear_calls(story, std::slice::from_ref(call))?;
    }
    let order = &story.now().orders[at];
    let is_silent = calls.last().is_none_or(|call| call.said.is_none());
    Ok(match (order.payable_session(now), order.unpayable(now)) {
        _ if is_silent => "payment_provider_error".to_owned(),
        (Some(session), _) => format!("ok, at {session}"),
        (None, Some(why)) => why.to_owned(),
        (None, None) => "payment_provider_error".to_owned(),
    })
}

fn expect_sweep(story: &mut Story, calls: &[Call]) -> Result<Answer, String> {
    let now = story.now().now;
    let is_due = |order: &&super::ledger::Order| order.status == Status::Pending && now >= order.due_at();
    let due: Vec<OrderId> = story.now().orders.iter().filter(is_due).map(|order| order.id).collect();
    hear_calls(story, calls)?;
    let mut cancelled = 0;
    for id in &due {
        let answered = calls.iter().all(|call| call.order != *id || call.said.is_some());
        cancelled += usize::from(story.then(|b| b.order_of(*id).expire(now, answered)));
    }
    Ok(format!("ok, {cancelled} of {}", due.len()))
}

/// The state that a dead process left: one of the story's, or, where several orders were worked on at once, for each
/// order one of them.
fn recognised(story: Story, seen: &BTreeMap<String, String>) -> Result<Books, String> {
    let Story(states) = story;
    if let Some(state) = states.iter().rev().find(|state| state.view() == *seen) {
        return Ok(state.clone());
    }
    let mut merged = states.last().expect("a state").clone();
    for (number, order) in merged.orders.iter_mut().enumerate() {
        let looks = seen.get(&format!("order {number}"));
        let possible = states.iter().rev().filter_map(|state| state.orders.get(number));
        let is = possible.into_iter().find(|possible| Some(&possible.view(merged.now)) == looks);
        if let Some(is) = is {
            *order = is.clone();
        }
    }
    same(&merged.view(), seen).map_err(|found| format!("half a step happened: {found}"))?;
    Ok(merged)
}

/// What differs between the model and the shop.
fn same(model: &BTreeMap<String, String>, shop: &BTreeMap<String, String>) -> Verdict {
    let names: std::collections::BTreeSet<&String> = model.keys().chain(shop.keys()).collect();
    let mut found = String::new();
    for name in names.into_iter().filter(|name| model.get(*name) != shop.get(*name)) {
        let nothing = &"nothing".to_owned();
        let (model, shop) = (model.get(name).unwrap_or(nothing), shop.get(name).unwrap_or(nothing));
        let _ = write!(found, "\n  {name}\n    model: {model}\n    shop:  {shop}");
    }
    if found.is_empty() { Ok(()) } else { Err(format!("the model and the shop differ:{found}")) }
}

fn wire_of(step: &Step) -> Wire {
    match step {
        Step::Place { wire, .. } | Step::StartPayment { wire, .. } | Step::Sweep { wire } | Step::Errands { wire } => {
            *wire
        }
        _ => Wire::Fine,
    }
}

fn length(span: Span) -> TimeDelta {
    match span {
        Span::Minutes(minutes) => TimeDelta::minutes(minutes.into()),
        Span::Window => WINDOW,
        Span::Grace => GRACE,
        Span::AsyncWait => ASYNC_WAIT,
        Span::Day => TimeDelta::days(1),
    }
}

/// An adjustment by nothing is not one.
fn nonzero(delta: i8) -> i64 {
    if delta == 0 { 1 } else { delta.into() }
}
