//! A mixed load that writes down what it was told: customers fill carts, order, pay, start payments and cancel, an
//! admin ships, refunds and cancels, all at once, while a test breaks things. Whoever gets no answer asks again with
//! the same key until there is one. In the end the shop must stand by every word of it: see [`Told::is_kept`].

#![allow(clippy::panic, clippy::expect_used, clippy::missing_panics_doc, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use stripe_simulator::Control;
use tokio::task::JoinSet;

use crate::actors::{ADDRESS, Admin, Customer};
use crate::database::Database;
use crate::dice::Dice;
use crate::http::{Http, Reply};
use crate::invariants;
use crate::settling::settle;
use crate::shop::Plan;
use crate::wire::{Order, Product};

/// So long may one question with a key go unanswered, asked again and again. Far more than any fault lasts.
const STUBBORNNESS: Duration = Duration::from_secs(90);

/// The pause before the same question is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// Who makes the load, and how patient they are.
#[derive(Debug)]
pub struct LoadPlan {
    /// What the dice begin with.
    pub seed: u64,
    /// How long anybody waits for one answer; then they hang up. A hang-up is told by [`Answers::hung`].
    pub answer_within: Duration,
    /// Problems other than 503 that the fault may bring, e.g. `unauthenticated` while clocks disagree.
    pub tolerates: &'static [&'static str],
}

impl Default for LoadPlan {
    fn default() -> Self {
        Self { seed: 1, answer_within: Duration::from_secs(30), tolerates: &[] }
    }
}

/// A running load.
pub struct Load {
    crowd: Crowd,
    running: JoinSet<()>,
}

/// All that the crowd was told.
#[derive(Debug, Default)]
pub struct Told {
    /// Who the customers are: of them, no other orders may be there.
    pub customers: HashSet<String>,
    /// Each order that was answered 201, by its key.
    pub orders: BTreeMap<String, ToldOrder>,
    /// Orders whose cancellation was answered 200.
    pub cancelled: HashSet<String>,
    /// Orders whose payment the provider took.
    pub paid: HashSet<String>,
    /// Orders whose shipping was answered 200.
    pub shipped: HashSet<String>,
    /// Orders whose refund was answered 202.
    pub refunded: HashSet<String>,
    /// How the shop answered.
    pub answers: Answers,
}

/// An order as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldOrder {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub customer: String,
    /// What it costs.
    pub total: String,
}

/// How the shop answered.
#[derive(Debug, Default, Clone)]
pub struct Answers {
    /// How often each answer came: `ok`, or status and code.
    pub count: BTreeMap<String, usize>,
    /// Connections that ended without an answer.
    pub lost: usize,
    /// Questions that nobody had answered when patience was over.
    pub hung: usize,
    /// The longest time until an answer.
    pub slowest: Duration,
    /// The longest time until a 503.
    pub slowest_unavailable: Duration,
    /// Answers that the contract does not allow.
    pub wrong: Vec<String>,
}

impl Answers {
    /// How often the shop was unavailable.
    #[must_use]
    pub fn unavailable(&self) -> usize {
        self.count.get("503 unavailable").copied().unwrap_or_default()
    }

    /// How often all went well.
    #[must_use]
    pub fn good(&self) -> usize {
        self.count.get("ok").copied().unwrap_or_default()
    }
}

/// What all of them share.
#[derive(Clone)]
struct Crowd {
    plan: Arc<LoadPlan>,
    products: Arc<[Product]>,
    is_over: Arc<AtomicBool>,
    told: Arc<Mutex<Told>>,
}

impl Load {
    /// Lets customers and an admin loose on these products.
    #[must_use]
    pub fn start(plan: LoadPlan, customers: &[Customer], admin: &Admin, products: Vec<Product>) -> Self {
        eprintln!("seed of the load: {}", plan.seed);
        let mut dice = Dice::new(plan.seed);
        let crowd =
            Crowd { plan: Arc::new(plan), products: products.into(), is_over: Arc::default(), told: Arc::default() };
        crowd.told().customers = customers.iter().map(|customer| customer.id.clone()).collect();
        let mut running = JoinSet::new();
        for customer in customers {
            let one = Buyer {
                crowd: crowd.clone(),
                who: customer.clone(),
                dice: dice.fork(),
                asked: 0,
                unpaid: VecDeque::new(),
            };
            running.spawn(one.lives());
        }
        running.spawn(crowd.clone().administers(admin.clone(), dice.fork()));
        Self { crowd, running }
    }

    /// What was told so far.
    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.crowd.told()
    }

    /// Waits until so many more orders were answered.
    pub async fn goes_on_for(&self, orders: usize) {
        let goal = self.told().orders.len() + orders;
        let deadline = Instant::now() + STUBBORNNESS;
        while self.told().orders.len() < goal {
            assert!(
                Instant::now() < deadline,
                "{} orders instead of {goal}: {:#?}",
                self.told().orders.len(),
                self.told().answers
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Nobody begins anything new; all wait for the answers to what they have begun.
    pub async fn ends(mut self) -> Told {
        self.crowd.is_over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.running.join_next().await {
            ended.expect("a customer or the admin met what may not be");
        }
        std::mem::take(&mut *self.crowd.told())
    }
}

impl Crowd {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Asks once; `None` is no answer.
    async fn asks(&self, http: &Http, method: Method, path: &str, body: Option<Value>) -> Option<Reply> {
        let begun = Instant::now();
        let what = format!("{method} {path}");
        let answer = tokio::time::timeout(self.plan.answer_within, http.try_send(method, path, body)).await;
        let mut told = self.told();
        let answers = &mut told.answers;
        match answer {
            Ok(Ok(reply)) => {
                answers.note(&what, &reply, begun.elapsed(), self.plan.tolerates);
                Some(reply)
            }
            Ok(Err(_)) => {
                answers.lost += 1;
                None
            }
            Err(_) => {
                answers.hung += 1;
                None
            }
        }
    }

    /// Asks until there is an answer that stays.
    async fn insists(&self, http: &Http, method: Method, path: &str, body: Option<Value>) -> Reply {
        let begun = Instant::now();
        loop {
            if let Some(reply) = self.asks(http, method.clone(), path, body.clone()).await
                && !is_passing(&reply)
            {
                return reply;
            }
            assert!(begun.elapsed() < STUBBORNNESS, "no answer: {method} {path} {:#?}", self.told().answers);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn suspects(&self, what: String) {
        self.told().answers.wrong.push(what);
    }

    /// Ships, refunds and cancels what is paid. Without keys: an answer that is lost is not asked for again.
    async fn administers(self, admin: Admin, mut dice: Dice) {
        while !self.is_over() {
            tokio::time::sleep(Duration::from_millis(60)).await;
            let Some(list) = self.asks(&admin.http, Method::GET, "/admin/orders?status=PAID&limit=50", None).await
            else {
                continue;
            };
            let Some(orders) = list.json()["items"].as_array().cloned().filter(|orders| !orders.is_empty()) else {
                continue;
            };
            let id = dice.pick(&orders)["id"].as_str().unwrap_or_default().to_owned();
            let (method, path, body) = match dice.below(3) {
                0 => (Method::PATCH, format!("/admin/orders/{id}"), Some(json!({ "status": "SHIPPED" }))),
                1 => (Method::POST, format!("/admin/orders/{id}/refund"), None),
                _ => (Method::POST, format!("/orders/{id}/cancel"), None),
            };
            let Some(reply) = self.asks(&admin.http, method.clone(), &path, body).await else { continue };
            let mut told = self.told();
            let _ = match (reply.status, method == Method::PATCH) {
                (200, true) => told.shipped.insert(id),
                (200, false) => told.cancelled.insert(id),
                (202, _) => told.refunded.insert(id),
                _ => false,
            };
        }
    }
}

/// What the contract does not keep under a key, and a later try may not meet. 408 is said to a connection that was
/// opened and not used in time; a client that begins to use it just then takes it for an answer.
fn is_passing(reply: &Reply) -> bool {
    reply.status >= 500 || reply.status == 408 || reply.status == 401 || reply.verdict() == "idempotency_in_progress"
}

impl Answers {
    fn note(&mut self, what: &str, reply: &Reply, took: Duration, tolerates: &[&str]) {
        let verdict = reply.verdict();
        let word = if verdict == "ok" { verdict.clone() } else { format!("{} {verdict}", reply.status) };
        *self.count.entry(word).or_default() += 1;
        self.slowest = self.slowest.max(took);
        let may_be = match (reply.status, verdict.as_str()) {
            (503, "unavailable") => {
                self.slowest_unavailable = self.slowest_unavailable.max(took);
                reply.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok()).is_some_and(|s| s > 0)
            }
            (200..300, _) | (404 | 408 | 409 | 429, _) | (502, "payment_provider_error") => true,
            (_, code) => tolerates.contains(&code),
        };
        if !may_be {
            self.wrong.push(format!("{what}: {} {}", reply.status, reply.text));
        }
    }
}

/// One customer.
struct Buyer {
    crowd: Crowd,
    who: Customer,
    dice: Dice,
    /// How many keys were used.
    asked: usize,
    /// Orders that may still be open, oldest first.
    unpaid: VecDeque<Order>,
}

impl Buyer {
    async fn lives(mut self) {
        while !self.crowd.is_over() {
            if !self.fills_cart().await {
                continue;
            }
            match self.orders().await {
                Some(order) => self.decides_about(order).await,
                // At the cap, or out of stock: something old must make room.
                None => {
                    if let Some(order) = self.unpaid.pop_front() {
                        self.pays(&order).await;
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(self.dice.below(40))).await;
        }
    }

    fn keyed(&mut self, verb: &str) -> (String, Http) {
        self.asked += 1;
        let key = format!("{verb}-{}-{}", self.who.id, self.asked);
        let http = self.who.http.keyed(&key);
        (key, http)
    }

    async fn fills_cart(&mut self) -> bool {
        let product = self.dice.pick(&self.crowd.products);
        let body = json!({ "productId": product.id, "quantity": 1 + self.dice.below(2) });
        let reply = self.crowd.asks(&self.who.http, Method::POST, "/cart/items", Some(body)).await;
        let is_in = reply.as_ref().is_some_and(|reply| reply.status == 200);
        if !is_in {
            tokio::time::sleep(PAUSE).await;
        }
        is_in
    }

    /// Orders the cart, which holds something. `None` if the shop refused.
    async fn orders(&mut self) -> Option<Order> {
        let (key, http) = self.keyed("order");
        let body = json!({ "shippingAddress": ADDRESS });
        let reply = self.crowd.insists(&http, Method::POST, "/orders", Some(body.clone())).await;
        if reply.status != 201 {
            match reply.verdict().as_str() {
                "insufficient_stock" => {
                    let _ = self.crowd.asks(&self.who.http, Method::DELETE, "/cart", None).await;
                }
                "pending_order_limit" => {}
                verdict => self.crowd.suspects(format!("{key}: a full cart was answered {verdict}: {}", reply.text)),
            }
            return None;
        }
        let order = reply.order();
        let told = ToldOrder { id: order.id.clone(), customer: self.who.id.clone(), total: order.total.clone() };
        self.crowd.told().orders.insert(key.clone(), told);
        // Somebody who is not sure asks once more.
        if self.dice.below(4) == 0 {
            let again = self.crowd.insists(&http, Method::POST, "/orders", Some(body)).await;
            if again.status != 201 || again.order().id != order.id {
                self.crowd.suspects(format!("{key}: first {}, then {}", order.id, again.text));
            }
        }
        Some(order)
    }

    async fn decides_about(&mut self, order: Order) {
        match self.dice.below(10) {
            0..5 => self.pays(&order).await,
            5 => {
                self.pays(&order).await;
                self.cancels(&order).await;
            }
            6 | 7 => self.cancels(&order).await,
            8 => {
                let _ = self.starts_payment(&order).await;
                self.unpaid.push_back(order);
            }
            _ => self.unpaid.push_back(order),
        }
    }

    async fn pays(&mut self, order: &Order) {
        let page = match &order.payment.checkout_url {
            Some(page) => Some(page.clone()),
            None => self.starts_payment(order).await,
        };
        let Some(page) = page else { return };
        let button = format!("{page}/pay");
        let pressing = self.who.http.try_press(&button);
        let pressed = tokio::time::timeout(self.crowd.plan.answer_within, pressing).await;
        if let Ok(Ok(reply)) = pressed
            && reply.status == 303
            && reply.header("location").is_some_and(|to| to.contains("/checkout/success"))
        {
            self.crowd.told().paid.insert(order.id.clone());
        }
    }

    async fn starts_payment(&mut self, order: &Order) -> Option<String> {
        let (_, http) = self.keyed("pay");
        let path = format!("/orders/{}/payment", order.id);
        let reply = self.crowd.insists(&http, Method::POST, &path, None).await;
        reply.json()["checkoutUrl"].as_str().map(str::to_owned)
    }

    async fn cancels(&mut self, order: &Order) {
        let (_, http) = self.keyed("cancel");
        let path = format!("/orders/{}/cancel", order.id);
        let reply = self.crowd.insists(&http, Method::POST, &path, None).await;
        if reply.status == 200 {
            self.crowd.told().cancelled.insert(order.id.clone());
        }
    }
}

impl Told {
    /// Waits until the shop is settled, and checks it against every answer, its books against the provider's, and
    /// every invariant.
    ///
    /// # Panics
    ///
    /// With everything that is not as it was told.
    pub async fn is_kept(&self, database: &Database, provider: &Control, plan: &Plan) {
        settle(database, provider).await;
        invariants::hold_at_any_moment(database, plan).await;
        invariants::hold_when_settled(database, provider).await;
        invariants::money_adds_up(database, provider).await;
        let broken = self.broken_words(database).await;
        let wrong = &self.answers.wrong;
        assert!(wrong.is_empty(), "{} answers may not be, such as:\n{}", wrong.len(), first(wrong));
        assert!(broken.is_empty(), "{} words were not kept, such as:\n{}", broken.len(), first(&broken));
        let waiting = "SELECT concat_ws(' ', type, provider_event_id, reason) AS t FROM provider_events
                       WHERE status = 'WAITING'";
        assert_eq!(database.texts(waiting).await, [""; 0], "events wait for what will not come");
    }

    async fn broken_words(&self, database: &Database) -> Vec<String> {
        let orders = standing_orders(database).await;
        let mut broken = Vec::new();
        for (key, told) in &self.orders {
            let minor: i64 = told.total.replace('.', "").parse().expect("an amount");
            match orders.get(&told.id) {
                None => broken.push(format!("{key}: order {} is lost", told.id)),
                Some(order) if order.customer != told.customer || order.total_minor != minor => {
                    broken.push(format!("{key}: told {told:?}, is {order:?}"));
                }
                Some(_) => {}
            }
        }
        let ids: HashSet<&str> = self.orders.values().map(|told| told.id.as_str()).collect();
        if ids.len() != self.orders.len() {
            broken.push(format!("{} keys got {} orders", self.orders.len(), ids.len()));
        }
        let is_untold = |id: &str, order: &StandingOrder| self.customers.contains(&order.customer) && !ids.contains(id);
        let untold = orders.iter().filter(|(id, order)| is_untold(id, order));
        broken.extend(untold.map(|(id, _)| format!("order {id} was made and nobody was told")));
        let mut demand = |what: &str, ids: &HashSet<String>, stands: fn(&StandingOrder) -> bool| {
            let bad = ids.iter().filter(|id| orders.get(*id).is_none_or(|order| !stands(order)));
            broken.extend(bad.map(|id| format!("order {id} was {what}, is {:?}", orders.get(id))));
        };
        demand("cancelled", &self.cancelled, |order| order.status == "CANCELLED");
        demand("shipped", &self.shipped, |order| order.status == "SHIPPED");
        demand("refunded", &self.refunded, |order| order.payment == "REFUNDED");
        // Money for a cancelled order has gone back: the invariants see to that.
        demand("paid", &self.paid, |order| order.status != "PENDING");
        broken.extend(self.keys_apart(database).await);
        broken
    }

    /// The keys of orders against what they name.
    async fn keys_apart(&self, database: &Database) -> Vec<String> {
        let rows = "SELECT concat_ws(' ', key, order_id) AS t FROM idempotency_keys
                    WHERE key LIKE 'order-%' AND order_id IS NOT NULL";
        let rows = database.texts(rows).await;
        let named: HashMap<&str, &str> = rows.iter().filter_map(|row| row.split_once(' ')).collect();
        let apart = self.orders.iter().filter(|(key, told)| named.get(key.as_str()) != Some(&told.id.as_str()));
        apart.map(|(key, told)| format!("{key} told {}, names {:?}", told.id, named.get(key.as_str()))).collect()
    }

    /// What came of it, in a line for the record.
    #[must_use]
    pub fn summary(&self) -> String {
        let Answers { count, lost, hung, slowest, slowest_unavailable, .. } = &self.answers;
        format!(
            "{} orders, {} paid, {} cancelled, {} shipped, {} refunded; answers {count:?}, {lost} lost, {hung} hung, \
             slowest {slowest:.1?}, slowest 503 {slowest_unavailable:.1?}",
            self.orders.len(),
            self.paid.len(),
            self.cancelled.len(),
            self.shipped.len(),
            self.refunded.len(),
        )
    }
}

/// An order as the database has it.
#[derive(Debug)]
struct StandingOrder {
    customer: String,
    total_minor: i64,
    status: String,
    payment: String,
}

async fn standing_orders(database: &Database) -> HashMap<String, StandingOrder> {
    let rows = "SELECT concat_ws(' ', id, customer_id, total_minor, status, payment_status) AS t FROM orders";
    let order = |row: String| {
        let words: Vec<&str> = row.split(' ').collect();
        let [id, customer, total, status, payment] = words[..] else {
            panic!("a row of five words: {row}");
        };
        let (customer, status, payment) = (customer.to_owned(), status.to_owned(), payment.to_owned());
        let total_minor = total.parse().expect("an amount");
        (id.to_owned(), StandingOrder { customer, total_minor, status, payment })
    };
    database.texts(rows).await.into_iter().map(order).collect()
}

fn first(lines: &[String]) -> String {
    lines.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n")
}
