//! What can happen to a shop, as small values: a failing sequence is printed as a list that reads like a story.

use std::fmt;

use proptest::prelude::*;

/// One thing that happens. Customers, products, orders and the like are named by small numbers, taken modulo what there
/// is at that time; where there is none, the step does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A customer puts units into the cart.
    Add { who: u8, what: u8, units: u8 },
    /// A customer sets a line.
    Set { who: u8, what: u8, units: u8 },
    /// A customer takes a line out.
    Remove { who: u8, what: u8 },
    /// A customer empties the cart.
    Clear { who: u8 },
    /// A customer looks into the cart, which then forgets what is archived.
    LookIntoCart { who: u8 },
    /// A customer orders.
    Place { who: u8, pay_now: bool, total: Total, wire: Wire },
    /// Somebody asks for the page to pay on.
    StartPayment { order: u8, by: Who, wire: Wire },
    /// Somebody calls an order off.
    Cancel { order: u8, by: Who },
    /// An admin ships an order.
    Ship { order: u8 },
    /// An admin notes that an order arrived.
    Deliver { order: u8 },
    /// An admin clears an order's flags.
    ClearFlags { order: u8 },
    /// An admin gives an order's money back.
    Refund { order: u8 },
    /// An admin counts units in or out.
    Adjust { what: u8, delta: i8 },
    /// An admin sets the stock.
    SetStock { what: u8, units: u8 },
    /// An admin sets the price.
    SetPrice { what: u8, minor: u16 },
    /// An admin takes a product off sale.
    Archive { what: u8 },
    /// Overdue orders are swept.
    Sweep { wire: Wire },
    /// One round of errands is run.
    Errands { wire: Wire },
    /// Time passes.
    Passes(Span),
    /// The payer does something on the provider's page.
    Payer { order: u8, does: Payer },
    /// Money comes in for an order through a session that the shop did not open.
    Foreign { order: u8, sum: Sum, delayed: bool },
    /// Somebody refunds by hand at the provider: all that is left, or half of it.
    ByHand { order: u8, receipt: u8, half: bool },
    /// A refund moves on at the provider.
    RefundMoves { refund: u8, to: RefundEnd },
    /// The payer's bank disputes a payment.
    Dispute { order: u8, receipt: u8 },
    /// The provider warns of fraud.
    Warning { order: u8, receipt: u8 },
    /// An event that was not delivered yet arrives: 0 is the oldest.
    Event(u8),
    /// An event arrives again.
    EventAgain(u8),
    /// The process dies so many polls into a step.
    Dies { after: u8, during: Box<Step> },
    /// Two things happen at the same time.
    Together(Box<Step>, Box<Step>),
}

/// What total a customer says to have seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    Unsaid,
    Right,
    Wrong,
}

/// Who wishes something about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Owner,
    Stranger,
    Admin,
}

/// How the provider answers during a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Well.
    Fine,
    /// Well, but its refunds take their time.
    Slow,
    /// Not at all: nothing arrives there.
    Down,
    /// It does what it is asked, but its answers are lost.
    Lost,
    /// It refuses new sessions and refunds.
    Refuses,
    /// The process dies while the provider is asked, before anything happened there.
    DiesBefore,
    /// The process dies while the provider is asked, after it did what it was asked.
    DiesAfter,
}

/// How much time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Minutes(u8),
    /// To the end of the payment window.
    Window,
    /// Until the shop no longer waits for a silent provider.
    Grace,
    /// Until the shop no longer waits for a delayed payment.
    AsyncWait,
    Day,
}

/// What a payer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    Pays,
    /// By a way whose money comes later.
    PaysLater,
    /// Another sum than was asked for.
    PaysWrong,
    /// The delayed money comes.
    MoneyComes,
    /// The delayed money does not come.
    MoneyFails,
}

/// How much a foreign session brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    Right,
    Wrong,
    Euros,
}

/// Where a refund moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundEnd {
    NeedsAction,
    Succeeds,
    Fails,
    IsCanceled,
}

/// A sequence of steps.
#[derive(Clone, PartialEq, Eq)]
pub struct Sequence(pub Vec<Step>);

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(number, step)| write!(f, "\n  {:2}. {step:?}", number + 1))
    }
}

/// Sequences of 20 to 40 steps.
pub fn sequences() -> impl Strategy<Value = Sequence> {
    let place_unpaid =
        (0..2_u8).prop_map(|who| Step::Place { who, pay_now: false, total: Total::Unsaid, wire: Wire::Fine });
    let parallel = prop_oneof![6 => wish(), 5 => event_step(), 2 => shelf_step(), 2 => place_unpaid, 1 => cart_step()];
    let step = prop_oneof![
        10 => cart_step(),
        9 => place(),
        22 => order_step(),
        6 => shelf_step(),
        24 => provider_step(),
        22 => event_step(),
        8 => time_step(),
        7 => any_wire().prop_map(|wire| Step::Errands { wire }),
        5 => (0..40_u8, prop_oneof![place(), order_step(), event_step(), cart_step()])
            .prop_map(|(after, during)| Step::Dies { after, during: Box::new(during) }),
        5 => (parallel.clone(), parallel).prop_map(|(one, other)| Step::Together(Box::new(one), Box::new(other))),
    ];
    // Nearly everything needs an order, so most sequences begin with a customer who buys.
    let start = prop_oneof![
        4 => buys(),
        1 => Just(vec![]),
    ];
    (start, prop::collection::vec(step, 18..=37)).prop_map(|(mut steps, more)| {
        steps.extend(more);
        Sequence(steps)
    })
}

fn buys() -> impl Strategy<Value = Vec<Step>> {
    (0..2_u8, 0..3_u8, 1..3_u8, any::<bool>()).prop_map(|(who, what, units, pay_now)| {
        let place = Step::Place { who, pay_now, total: Total::Unsaid, wire: Wire::Fine };
        vec![Step::Add { who, what, units }, place]
    })
}

fn any_wire() -> impl Strategy<Value = Wire> {
    prop_oneof![
        8 => Just(Wire::Fine),
        2 => Just(Wire::Slow),
        2 => Just(Wire::Down),
        2 => Just(Wire::Lost),
        1 => Just(Wire::Refuses),
        1 => Just(Wire::DiesBefore),
        1 => Just(Wire::DiesAfter),
    ]
}

fn cart_step() -> impl Strategy<Value = Step> {
    let (who, what, units) = (0..2_u8, 0..3_u8, 1..5_u8);
    prop_oneof![
        8 => (who.clone(), what.clone(), units.clone()).prop_map(|(who, what, units)| Step::Add { who, what, units }),
        2 => (who.clone(), what.clone(), units).prop_map(|(who, what, units)| Step::Set { who, what, units }),
        1 => (who.clone(), what).prop_map(|(who, what)| Step::Remove { who, what }),
        1 => who.clone().prop_map(|who| Step::Clear { who }),
        1 => who.prop_map(|who| Step::LookIntoCart { who }),
    ]
}

fn place() -> impl Strategy<Value = Step> {
    let total = prop_oneof![6 => Just(Total::Unsaid), 2 => Just(Total::Right), 1 => Just(Total::Wrong)];
    (0..2_u8, prop::bool::weighted(0.8), total, any_wire()).prop_map(|(who, pay_now, total, wire)| Step::Place {
        who,
        pay_now,
        total,
        wire,
    })
}

fn order() -> impl Strategy<Value = u8> {
    // Few orders are there at first, and a story needs several steps about one of them.
    prop_oneof![4 => Just(0_u8), 3 => Just(1_u8), 2 => 2..4_u8, 1 => 4..8_u8]
}

fn by() -> impl Strategy<Value = Who> {
    prop_oneof![8 => Just(Who::Owner), 1 => Just(Who::Stranger), 2 => Just(Who::Admin)]
}

fn order_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (order(), by(), any_wire()).prop_map(|(order, by, wire)| Step::StartPayment { order, by, wire }),
        19 => wish(),
    ]
}

/// What is wished about an order and asks the provider nothing at once.
fn wish() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (order(), by()).prop_map(|(order, by)| Step::Cancel { order, by }),
        2 => order().prop_map(|order| Step::Cancel { order, by: Who::Admin }),
        3 => order().prop_map(|order| Step::Ship { order }),
        2 => order().prop_map(|order| Step::Deliver { order }),
        2 => order().prop_map(|order| Step::ClearFlags { order }),
        4 => order().prop_map(|order| Step::Refund { order }),
    ]
}

fn shelf_step() -> impl Strategy<Value = Step> {
    let what = 0..3_u8;
    prop_oneof![
        3 => (what.clone(), -4..=6_i8).prop_map(|(what, delta)| Step::Adjust { what, delta }),
        1 => (what.clone(), 0..8_u8).prop_map(|(what, units)| Step::SetStock { what, units }),
        2 => (what.clone(), prop::sample::select(vec![1_u16, 30, 250, 1000]))
            .prop_map(|(what, minor)| Step::SetPrice { what, minor }),
        1 => what.prop_map(|what| Step::Archive { what }),
    ]
}

fn provider_step() -> impl Strategy<Value = Step> {
    let does = prop_oneof![
        8 => Just(Payer::Pays),
        3 => Just(Payer::PaysLater),
        1 => Just(Payer::PaysWrong),
        2 => Just(Payer::MoneyComes),
        2 => Just(Payer::MoneyFails),
    ];
    let sum = prop_oneof![3 => Just(Sum::Right), 1 => Just(Sum::Wrong), 1 => Just(Sum::Euros)];
    let to = prop_oneof![
        1 => Just(RefundEnd::NeedsAction),
        4 => Just(RefundEnd::Succeeds),
        4 => Just(RefundEnd::Fails),
        1 => Just(RefundEnd::IsCanceled),
    ];
    let receipt = 0..3_u8;
    prop_oneof![
        12 => (order(), does).prop_map(|(order, does)| Step::Payer { order, does }),
        3 => (order(), sum, prop::bool::weighted(0.2))
            .prop_map(|(order, sum, delayed)| Step::Foreign { order, sum, delayed }),
        3 => (order(), receipt.clone(), any::<bool>())
            .prop_map(|(order, receipt, half)| Step::ByHand { order, receipt, half }),
        4 => (0..6_u8, to).prop_map(|(refund, to)| Step::RefundMoves { refund, to }),
        1 => (order(), receipt.clone()).prop_map(|(order, receipt)| Step::Dispute { order, receipt }),
        1 => (order(), receipt).prop_map(|(order, receipt)| Step::Warning { order, receipt }),
    ]
}

fn event_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Event(0)),
        3 => (0..12_u8).prop_map(Step::Event),
        2 => (0..12_u8).prop_map(Step::EventAgain),
    ]
}

fn time_step() -> impl Strategy<Value = Step> {
    let span = prop_oneof![
        4 => (1..20_u8).prop_map(Span::Minutes),
        4 => Just(Span::Window),
        2 => Just(Span::Grace),
        1 => Just(Span::AsyncWait),
        1 => Just(Span::Day),
    ];
    prop_oneof![
        3 => span.prop_map(Step::Passes),
        4 => any_wire().prop_map(|wire| Step::Sweep { wire }),
    ]
}
