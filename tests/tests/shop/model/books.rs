//! The model: what a shop must look like after what happened to it, written down from the contract and apart from the
//! shop's own rules, so that the two can disagree. Whatever can be derived is derived: stock from what admins moved and
//! from the orders that stand, a payment's status from the refunds of its receipt, a customer's standing from orders.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::clock::Timestamp;
use domain::id::{AttemptId, OrderId};

use super::ledger::{Order, Status};
use super::provider::{Event, Told};
use super::steps::{Total, Who};

/// What came of a command: `ok` and what it gave, or the refusal and its details.
pub type Answer = String;

pub fn ok() -> Answer {
    "ok".to_owned()
}

/// The limits of the model's shop: low, so that sequences reach them.
pub const MAX_PENDING: usize = 3;
pub const MAX_CANCELLATIONS: usize = 2;
pub const MAX_EXPIRIES: usize = 3;
pub const WINDOW: TimeDelta = TimeDelta::minutes(30);
pub const GRACE: TimeDelta = TimeDelta::minutes(10);
pub const ASYNC_WAIT: TimeDelta = TimeDelta::days(3);
pub const MIN_TOTAL: i64 = 50;
pub const MAX_TOTAL: i64 = 5_000;

/// A product. Its stock is what admins moved, less what is in orders that stand.
#[derive(Debug, Clone)]
pub struct Product {
    pub price: i64,
    pub is_archived: bool,
    pub moved: i64,
    pub moves: usize,
}

#[derive(Debug, Clone)]
pub struct Books {
    pub now: Timestamp,
    pub products: Vec<Product>,
    /// Each customer's cart: product and units, in the order in which they were first added.
    pub carts: Vec<Vec<(usize, i64)>>,
    pub orders: Vec<Order>,
    /// The events that arrived, in their order.
    pub heard: Vec<Event>,
}

impl Books {
    pub fn new(now: Timestamp, prices_and_stocks: &[(i64, i64)], customers: usize) -> Self {
        let product = |&(price, moved): &(i64, i64)| Product { price, is_archived: false, moved, moves: 1 };
        let products = prices_and_stocks.iter().map(product).collect();
        Self { now, products, carts: vec![vec![]; customers], orders: vec![], heard: vec![] }
    }

    pub fn stock(&self, what: usize) -> i64 {
        let standing = self.orders.iter().filter(|order| order.status != Status::Cancelled);
        self.products[what].moved - standing.map(|order| order.units_of(what)).sum::<i64>()
    }

    /// How many entries the ledger has: one per admin's move, one per sale, one per return.
    fn moves(&self, what: usize) -> usize {
        let holding = self.orders.iter().filter(|order| order.units_of(what) > 0);
        let of_orders: usize = holding.map(|order| 1 + usize::from(order.status == Status::Cancelled)).sum();
        self.products[what].moves + of_orders
    }

    fn standing(&self, who: usize, which: impl Fn(&Order) -> bool) -> usize {
        self.orders.iter().filter(|order| order.who == who && which(order)).count()
    }

    fn cancelled_today(&self, who: usize, by: &str) -> usize {
        let since = self.now - TimeDelta::hours(24);
        self.standing(who, |order| order.cancelled.is_some_and(|(whom, at)| whom == by && at > since))
    }

    // --- carts --------------------------------------------------------------------------------------------------

    fn forget_archived(&mut self, who: usize) {
        let products = &self.products;
        self.carts[who].retain(|(what, _)| !products[*what].is_archived);
    }

    pub fn look_into_cart(&mut self, who: usize) -> Answer {
        self.forget_archived(who);
        self.cart_answer(who)
    }

    fn cart_answer(&self, who: usize) -> Answer {
        let total: i64 = self.carts[who].iter().map(|(what, units)| self.products[*what].price * units).sum();
        format!("ok, {total} in {} lines", self.carts[who].len())
    }

    /// Adds to a line (`adds`), or sets one that is there.
    pub fn fill(&mut self, who: usize, what: usize, units: i64, adds: bool) -> Answer {
        let there = self.carts[who].iter().position(|(product, _)| *product == what);
        let held = there.map_or(0, |line| self.carts[who][line].1);
        if self.products[what].is_archived || (!adds && there.is_none()) {
            return "not_found".to_owned();
        }
        let wanted = if adds { held + units } else { units };
        let stock = self.stock(what);
        if wanted > stock {
            return format!("insufficient_stock {what}: {wanted} of {stock}");
        }
        self.forget_archived(who);
        match self.carts[who].iter_mut().find(|(product, _)| *product == what) {
            Some(line) => line.1 = wanted,
            None => self.carts[who].push((what, wanted)),
        }
        self.cart_answer(who)
    }

    pub fn remove(&mut self, who: usize, what: usize) -> Answer {
        let is_there = self.carts[who].iter().any(|(product, _)| *product == what);
        if !is_there || self.products[what].is_archived {
            return "not_found".to_owned();
        }
        self.forget_archived(who);
        self.carts[who].retain(|(product, _)| *product != what);
        self.cart_answer(who)
    }

    pub fn clear(&mut self, who: usize) -> Answer {
        self.carts[who].clear();
        ok()
    }

    // --- shelves ------------------------------------------------------------------------------------------------

    fn admin_moves(&mut self, what: usize, delta: i64) {
        self.products[what].moved += delta;
        self.products[what].moves += usize::from(delta != 0);
    }

    pub fn adjust(&mut self, what: usize, delta: i64) -> Answer {
        if self.products[what].is_archived {
            return "not_found".to_owned();
        }
        let stock = self.stock(what);
        if stock + delta < 0 {
            return format!("insufficient_stock {what}: {} of {stock}", -delta);
        }
        self.admin_moves(what, delta);
        format!("ok, {} left", stock + delta)
    }

    pub fn edit(&mut self, what: usize, price: Option<i64>, stock: Option<i64>) -> Answer {
        if self.products[what].is_archived {
            return "not_found".to_owned();
        }
        self.products[what].price = price.unwrap_or(self.products[what].price);
        let now = self.stock(what);
        self.admin_moves(what, stock.map_or(0, |stock| stock - now));
        ok()
    }

    pub fn archive(&mut self, what: usize) -> Answer {
        if std::mem::replace(&mut self.products[what].is_archived, true) { "not_found".to_owned() } else { ok() }
    }

    // --- orders -------------------------------------------------------------------------------------------------

    fn cart_total(&self, who: usize) -> i64 {
        self.carts[who].iter().map(|(what, units)| self.products[*what].price * units).sum()
    }

    pub fn expected(&self, who: usize, total: Total) -> Option<i64> {
        match total {
            Total::Unsaid => None,
            Total::Right => Some(self.cart_total(who)),
            Total::Wrong => Some(self.cart_total(who) + 1),
        }
    }

    pub fn place(&mut self, id: OrderId, attempt: Option<AttemptId>, who: usize, expected: Option<i64>) -> Answer {
        let cart = self.carts[who].clone();
        let total = self.cart_total(who);
        let short = cart.iter().find(|(what, units)| *units > self.stock(*what));
        if cart.is_empty() {
            "cart_empty".to_owned()
        } else if self.standing(who, |order| order.status == Status::Pending) >= MAX_PENDING {
            format!("pending_order_limit {MAX_PENDING}")
        } else if self.cancelled_today(who, "SYSTEM") >= MAX_EXPIRIES {
            format!("pending_order_limit for expiries {MAX_EXPIRIES}")
        } else if let Some((gone, _)) = cart.iter().find(|(what, _)| self.products[*what].is_archived) {
            format!("product_unavailable {gone}")
        } else if expected.is_some_and(|expected| expected != total) {
            format!("total_changed {total}")
        } else if !(MIN_TOTAL..=MAX_TOTAL).contains(&total) {
            format!("order_total_not_payable {total}")
        } else if let Some((what, units)) = short {
            format!("insufficient_stock {what}: {units} of {}", self.stock(*what))
        } else {
            let lines = cart.iter().map(|&(what, units)| (what, units, self.products[what].price)).collect();
            let mut order = Order::new(id, who, lines, self.now);
            order.begin_attempt(attempt);
            self.orders.push(order);
            self.carts[who].clear();
            ok()
        }
    }

    pub fn order_of(&mut self, id: OrderId) -> &mut Order {
        self.orders.iter_mut().find(|order| order.id == id).expect("an order of the model")
    }

    pub fn cancel(&mut self, order: usize, by: Who) -> Answer {
        let (who, now) = (self.orders[order].who, self.now);
        let status = self.orders[order].status;
        let by = match by {
            Who::Stranger => return "not_found".to_owned(),
            Who::Owner if status.is_paid() => return "order_already_paid".to_owned(),
            Who::Owner if status == Status::Cancelled => return "invalid_transition CANCELLED to CANCELLED".to_owned(),
            Who::Owner if self.cancelled_today(who, "CUSTOMER") >= MAX_CANCELLATIONS => {
                return format!("daily_cancellation_limit {MAX_CANCELLATIONS}");
            }
            Who::Owner => "CUSTOMER",
            Who::Admin if matches!(status, Status::Pending | Status::Paid) => "ADMIN",
            Who::Admin => return format!("invalid_transition {status} to CANCELLED"),
        };
        self.orders[order].cancel(by, now);
        self.orders[order].refund_payment();
        ok()
    }

    /// The provider's event arrives.
    pub fn hear(&mut self, event: &Event) -> Answer {
        if self.heard.iter().any(|heard| heard.id == event.id) {
            return "repeated".to_owned();
        }
        self.heard.push(event.clone());
        let owner = match (&event.told, event.order) {
            (Told::Session { .. }, order) => order,
            (told, _) => self.owner_of(told),
        };
        match owner {
            Some(order) => {
                self.tell(order, &event.told);
                "APPLIED".to_owned()
            }
            None => "WAITING".to_owned(),
        }
    }

    fn owner_of(&self, told: &Told) -> Option<OrderId> {
        self.orders.iter().find(|order| order.is_about(told)).map(|order| order.id)
    }

    /// The provider says something to an order; what arrived before the receipt that it is about follows.
    pub fn tell(&mut self, order: OrderId, told: &Told) {
        let now = self.now;
        let heard: Vec<Told> = self.heard.iter().map(|event| event.told.clone()).collect();
        let order = self.order_of(order);
        let known = order.receipts.len();
        order.hear(told, now);
        if order.receipts.len() > known {
            let linked = order.receipts[known].intent.clone();
            let waited = heard.iter().filter(|told| Order::intent_of(told) == Some(&linked));
            waited.for_each(|told| order.hear(told, now));
        }
    }

    // --- what can be seen ---------------------------------------------------------------------------------------

    /// Everything that can be seen of the shop, by name.
    pub fn view(&self) -> BTreeMap<String, String> {
        let mut view = BTreeMap::new();
        for (number, order) in self.orders.iter().enumerate() {
            view.insert(format!("order {number}"), order.view(self.now));
        }
        for (what, product) in self.products.iter().enumerate() {
            let (stock, moves, Product { price, is_archived, .. }) = (self.stock(what), self.moves(what), product);
            let line = format!("{stock} in stock, {stock} by {moves} moves, at {price}, archived: {is_archived}");
            view.insert(format!("product {what}"), line);
        }
        for (who, cart) in self.carts.iter().enumerate() {
            let mut lines: Vec<_> = cart.iter().map(|(what, units)| format!("{units} of {what}")).collect();
            lines.sort();
            view.insert(format!("cart {who}"), lines.join(", "));
        }
        for event in &self.heard {
            let is_heard = event.order.is_some() || self.owner_of(&event.told).is_some();
            view.insert(format!("event {}", event.id), if is_heard { "APPLIED" } else { "WAITING" }.to_owned());
        }
        view
    }
}
