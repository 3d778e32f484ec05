//! What a run measures, for how long, and how long all of it will take.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::limit::{self, SPARE_SECONDS, Script};
use crate::load::float;
use crate::stock::{ACCOUNTS, CUSTOMERS};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The first page of 20 products.
    List,
    /// One product.
    Detail,
    /// One addition to a cart, and the cart read once.
    Cart,
    /// Two additions of random products and one order: three requests and the provider's session.
    Checkout,
    /// One order with its session, from a cart that was filled before.
    Order,
    /// One addition and one order of the same one product.
    Flash,
    /// 80 % reads, 15 % carts, 5 % checkouts.
    Mixed,
    /// One signed event that an order was paid.
    Webhook,
    /// One unpaid order cancelled by the shop's own loop.
    Sweep,
    /// One login with a right password.
    Login,
    /// Orders at four times the rate that the shop can take.
    Overload,
}

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::List,
        Self::Detail,
        Self::Cart,
        Self::Checkout,
        Self::Order,
        Self::Flash,
        Self::Mixed,
        Self::Webhook,
        Self::Sweep,
        Self::Login,
        Self::Overload,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Detail => "detail",
            Self::Cart => "cart",
            Self::Checkout => "checkout",
            Self::Order => "order",
            Self::Flash => "flash",
            Self::Mixed => "mixed",
            Self::Webhook => "webhook",
            Self::Sweep => "sweep",
            Self::Login => "login",
            Self::Overload => "overload",
        }
    }

    /// The same SQL work for pgbench.
    pub(crate) const fn limit(self) -> Option<&'static [Script]> {
        match self {
            Self::List => Some(limit::LIST_UNIT),
            Self::Detail => Some(limit::DETAIL_UNIT),
            Self::Cart => Some(limit::CART_UNIT),
            Self::Checkout => Some(limit::CHECKOUT_UNIT),
            Self::Order => Some(limit::ORDER_UNIT),
            Self::Flash => Some(limit::FLASH_UNIT),
            Self::Mixed => Some(limit::MIXED_UNIT),
            Self::Webhook => Some(limit::WEBHOOK_UNIT),
            Self::Sweep | Self::Login | Self::Overload => None,
        }
    }

    /// The same SQL work with one call for each commit.
    pub(crate) const fn one_call(self) -> Option<&'static [Script]> {
        match self {
            Self::Order => Some(limit::ORDER_ONE_CALL),
            Self::Flash => Some(limit::FLASH_ONE_CALL),
            _ => None,
        }
    }

    /// Whether carts are filled before each window, and each of them is ordered once.
    pub(crate) const fn needs_full_carts(self) -> bool {
        matches!(self, Self::Order | Self::Webhook | Self::Sweep | Self::Overload)
    }

    /// How many customers take turns.
    pub(crate) const fn customers(self) -> u64 {
        if self.needs_full_carts() { ACCOUNTS } else { CUSTOMERS }
    }

    /// Whether it is measured at so many connections.
    pub(crate) const fn runs_at(self, connections: usize) -> bool {
        match self {
            // Argon2 keeps two cores busy with two logins.
            Self::Login => connections <= 16,
            // These have no connections of customers, or a rate instead.
            Self::Sweep | Self::Overload => false,
            _ => true,
        }
    }
}

/// The most connections that pgbench opens: beyond, PostgreSQL would be measured at what it is not made for.
pub(crate) const MOST_LIMIT_CLIENTS: usize = 64;

/// A run's plan.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plan {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) connections: Vec<usize>,
    /// Rounds of a window of the app and one of each form of the limit.
    pub(crate) rounds: u64,
    /// Whole seconds, as pgbench wants them.
    pub(crate) window_seconds: u64,
    /// That of `list` and `detail`, which do much in little time.
    pub(crate) read_seconds: u64,
    /// That of `webhook`, whose orders must be placed before.
    pub(crate) webhook_seconds: u64,
    pub(crate) warm_up: Duration,
    /// Orders that each round of `sweep` lets be due.
    pub(crate) swept_orders: u64,
    pub(crate) overload_seconds: u64,
    /// The most seconds that pgbench's clients get to warm up.
    pub(crate) most_warm_up_seconds: u64,
    /// Whether the one-call form is measured.
    pub(crate) has_one_call: bool,
    /// Rounds of a comparison with another binary.
    pub(crate) baseline_rounds: u64,
}

impl Plan {
    /// The whole form, below a quarter of an hour; or the quick one, below two minutes.
    pub(crate) const fn new(kinds: Vec<Kind>, connections: Vec<usize>, is_quick: bool) -> Self {
        if is_quick {
            Self {
                kinds,
                connections,
                rounds: 1,
                window_seconds: 1,
                read_seconds: 1,
                webhook_seconds: 1,
                warm_up: Duration::from_millis(200),
                swept_orders: 250,
                overload_seconds: 2,
                most_warm_up_seconds: 1,
                has_one_call: false,
                baseline_rounds: 3,
            }
        } else {
            Self {
                kinds,
                connections,
                rounds: 3,
                window_seconds: 3,
                read_seconds: 2,
                webhook_seconds: 2,
                warm_up: Duration::from_millis(500),
                swept_orders: 1_000,
                overload_seconds: 6,
                most_warm_up_seconds: 2,
                has_one_call: true,
                baseline_rounds: 10,
            }
        }
    }

    pub(crate) const fn seconds_of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::List | Kind::Detail => self.read_seconds,
            Kind::Webhook => self.webhook_seconds,
            _ => self.window_seconds,
        }
    }

    /// pgbench's clients connect anew in each run, and have to learn the catalogue and plan each statement several
    /// times; the shop's connections have done that long ago. So many seconds don't count.
    pub(crate) fn warm_up_seconds(&self, clients: usize) -> u64 {
        if clients <= 16 { 1 } else { self.most_warm_up_seconds }
    }

    /// The forms in which pgbench does the work: statement by statement, and with one call for each commit.
    pub(crate) fn forms(&self, kind: Kind, connections: usize) -> [Option<&'static [Script]>; 2] {
        if connections > MOST_LIMIT_CLIENTS {
            return [None; 2];
        }
        [kind.limit(), kind.one_call().filter(|_| self.has_one_call)]
    }

    /// All cells of the table, as kind and connections.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (Kind, usize)> {
        let kinds = self.kinds.iter();
        kinds
            .flat_map(|kind| self.connections.iter().filter(|count| kind.runs_at(**count)).map(|count| (*kind, *count)))
    }

    /// What it should take on a machine that does nothing else.
    pub(crate) fn estimate(&self) -> Duration {
        /// A server is made and filled.
        const SET_UP: f64 = 6.0;
        /// A database, a start of the app, the checks in the end.
        const CELL: f64 = 1.5;
        /// Orders that are placed, or cancelled by the sweep, in a second.
        const ORDERS: f64 = 1_000.0;

        let cell = |(kind, connections): (Kind, usize)| {
            let window = float(self.seconds_of(kind));
            let warm_up = float(self.warm_up_seconds(connections));
            let spare = float(SPARE_SECONDS);
            let forms = float(self.forms(kind, connections).iter().flatten().count() as u64);
            let preparation = match kind {
                Kind::Webhook => float(events_for(connections, self.seconds_of(kind))) / ORDERS,
                Kind::Order => 0.5,
                _ => 0.1,
            };
            CELL + self.warm_up.as_secs_f64()
                + float(self.rounds) * (preparation + window + forms * (window + warm_up + spare))
        };
        let mut seconds = SET_UP + self.cells().map(cell).sum::<f64>();
        if self.kinds.contains(&Kind::Sweep) {
            seconds += CELL + float(self.rounds) * (2.0 * float(self.swept_orders) / ORDERS + 1.0);
        }
        if self.kinds.contains(&Kind::Overload) {
            seconds += CELL + 2.0 * float(self.overload_seconds);
        }
        Duration::from_secs_f64(seconds)
    }
}

/// The events of a window; one that takes them all in sooner ends sooner.
pub(crate) const fn events_for(connections: usize, seconds: u64) -> u64 {
    seconds * if connections == 1 { 700 } else { 2_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];

    #[test]
    fn the_whole_form_takes_less_than_a_quarter_of_an_hour_and_the_quick_one_less_than_two_minutes() {
        let whole = Plan::new(Kind::ALL.to_vec(), CONNECTIONS.to_vec(), false);
        assert!(whole.estimate() < Duration::from_mins(15), "{:?}", whole.estimate());
        let quick = Plan::new(Kind::ALL.to_vec(), vec![16, 64], true);
        assert!(quick.estimate() < Duration::from_mins(2), "{:?}", quick.estimate());
    }

    #[test]
    fn logins_are_not_measured_at_many_connections() {
        let plan = Plan::new(vec![Kind::Login, Kind::Sweep, Kind::List], CONNECTIONS.to_vec(), false);
        let cells: Vec<_> = plan.cells().collect();
        assert_eq!(cells.len(), 2 + 4);
        assert!(!cells.contains(&(Kind::Login, 64)));
    }
}
