//! What is measured at each size: reads by one caller after the other, checkouts, and a sweep.

use std::cell::Cell;
use std::time::{Duration, Instant};

use domain::account::Role;
use serde::Serialize;

use super::tables::{order_id, product_name};
use super::years::{Years, scattered};
use crate::error::{During as _, Step, StepFailed};
use crate::load::{Connection, Failure, Latencies, Scenario, Unit, closed, text_field};
use crate::postgres::Database;
use crate::scenarios::{PendingOrders, People, sweep, write_request};
use crate::shop::{Shop, ShopConfig};
use crate::stock::{self, Kind};

/// How long each thing is done; the beginning, while plans and pages are fetched, is not counted.
const LENGTH: Duration = Duration::from_secs(4);
const WARM_UP: Duration = Duration::from_secs(1);
/// Each page that is changed for the first time since a checkpoint is logged whole: that passes with time, and is not
/// what growth costs.
const WARM_UP_OF_WRITES: Duration = Duration::from_secs(15);
/// Most sales are of few products, wherever they lie in the catalogue.
const POPULAR: u64 = 1_000;
/// How many commits tell what the disk takes for one.
const COMMITS: u32 = 500;
/// So many orders expire at once.
pub(super) const SWEPT: usize = 1_000;
/// The page that is asked for by cursor, of 20 entries each.
const DEEP_PAGE: u64 = 1_000;

/// As many orders as the smallest shop has.
const RECENT: u64 = 10_000;

/// What one thing takes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measure {
    /// What was done.
    pub(crate) name: &'static str,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    /// How often.
    pub(crate) count: u64,
}

/// A path that is asked for, made anew each time.
type Path<'a> = Box<dyn Fn(u64) -> String + 'a>;

/// One read, by somebody.
struct Read<'a> {
    name: &'static str,
    token: Option<&'a dyn Fn(u64) -> &'a str>,
    path: Path<'a>,
}

struct Reads<'a> {
    read: Read<'a>,
    turn: Cell<u64>,
}

impl Scenario for Reads<'_> {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        let turn = self.turn.get();
        self.turn.set(turn + 1);
        let dice = scattered(turn);
        let line = format!("GET /api/v1{}", (self.read.path)(dice));
        write_request(&mut connection.output, &line, self.read.token.map(|token| token(dice)), None);
        connection.exchange_output().await?.expect(self.read.name, 200)?;
        Ok(Unit::Done)
    }
}

/// Additions of two products, and an order.
struct Checkout<'a> {
    people: &'a [String],
    products: u64,
    turn: &'a Cell<u64>,
}

impl Scenario for Checkout<'_> {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        let turn = self.turn.get();
        self.turn.set(turn + 1);
        let token = &self.people[usize::try_from(turn).unwrap_or_default() % self.people.len()];
        for line in 0..2 {
            let popular = scattered(turn * 2 + line) % POPULAR;
            let product = stock::id(Kind::Product, 1 + popular * (self.products / POPULAR));
            let body = format!(r#"{{"productId":"{product}","quantity":1}}"#);
            write_request(&mut connection.output, "POST /api/v1/cart/items", Some(token), Some(&body));
            connection.exchange_output().await?.expect("POST /cart/items", 200)?;
        }
        let address = r#"{"shippingAddress":"1 Bench Street, 12345 Loadville"}"#;
        write_request(&mut connection.output, "POST /api/v1/orders", Some(token), Some(address));
        connection.exchange_output().await?.expect("POST /orders", 201)?;
        Ok(Unit::Done)
    }
}

/// Measures everything on a filled database.
pub(super) async fn measure(config: &ShopConfig, database: &Database, years: &Years) -> Step<Vec<Measure>> {
    // Reconciliation asks the provider about every open session: not while something is measured.
    let later = "INSERT INTO turns (name, due_at) VALUES ('reconciliation', now() + interval '1 day')";
    database.run("putting reconciliation off", later).await?;
    let shop = config.start(&database.url, &[("APP__ORDERS__SWEEP_INTERVAL_SECONDS", "1")]).await?;
    let measured = all(&shop, database, years).await;
    shop.stop().await?;
    measured
}

async fn all(shop: &Shop, database: &Database, years: &Years) -> Step<Vec<Measure>> {
    let admin = stock::access_token(years.size.customers + 1, Role::Admin)?;
    let people: Vec<String> =
        (1..=SWEPT as u64).map(|person| stock::access_token(person, Role::Customer)).collect::<Step<_>>()?;
    let mut connection = [Connection::open(shop.address).await.during("connecting to the app")?];
    let [products, orders] = [
        deep_cursor(&mut connection[0], "/products", None).await?,
        deep_cursor(&mut connection[0], "/admin/orders", Some(&admin)).await?,
    ];
    let customer = |dice: u64| people[usize::try_from(dice).unwrap_or_default() % people.len()].as_str();
    let is_admin = |_: u64| admin.as_str();
    let mut measures = Vec::new();
    for read in reads(years, &customer, &is_admin, [&products, &orders]) {
        measures.push(timed(read.name, &Reads { read, turn: Cell::new(0) }, &mut connection, WARM_UP).await?);
    }
    measures.push(swept(database, &people, years, &mut connection).await?);
    let turn = Cell::new(0);
    let checkout = Checkout { people: &people, products: years.size.products, turn: &turn };
    let name = "two additions and an order (4 commits)";
    measures.push(timed(name, &checkout, &mut connection, WARM_UP_OF_WRITES).await?);
    measures.push(commits(database).await?);
    Ok(measures)
}

fn reads<'a>(
    years: &'a Years,
    customer: &'a dyn Fn(u64) -> &'a str,
    admin: &'a dyn Fn(u64) -> &'a str,
    [products, orders]: [&'a str; 2],
) -> Vec<Read<'a>> {
    let size = years.size;
    let any_product = move |dice: u64| 1 + dice % size.products;
    let by = |name, token, path: Path<'a>| Read { name, token, path };
    let always = |path: &'static str| -> Path<'a> { Box::new(move |_| path.to_owned()) };
    let shown = move |number: u64| format!("/orders/{}", uuid::Uuid::from_u128(order_id(&years.sale(number))));
    vec![
        // As an admin, whose answers are never those of a moment ago: what counts is what the database does.
        by("products, first page", Some(admin), always("/products")),
        by("products, page 1,000 by cursor", Some(admin), Box::new(move |_| format!("/products?cursor={products}"))),
        by("products, a common word", Some(admin), always("/products?q=walnut")),
        by(
            "products, one by its name",
            Some(admin),
            Box::new(move |dice| format!("/products?q={}", product_name(any_product(dice)).replace(' ', "%20"))),
        ),
        by("products, a word that none has", Some(admin), always("/products?q=zanzibar")),
        by(
            "products, a range of prices",
            Some(admin),
            Box::new(|dice| {
                let from = 5 + dice % 190;
                format!("/products?minPrice={from}&maxPrice={}&sort=price", from + 2)
            }),
        ),
        by(
            "product",
            Some(admin),
            Box::new(move |dice| format!("/products/{}", stock::id(Kind::Product, any_product(dice)))),
        ),
        by("own orders", Some(customer), always("/orders")),
        // Who looks at an order looks at a new one; any order is one that no cache holds.
        by("order, one of the newest 10,000", Some(admin), Box::new(move |dice| shown(size.orders - dice % RECENT))),
        by("order, any", Some(admin), Box::new(move |dice| shown(1 + dice % size.orders))),
        by("admin's orders, first page", Some(admin), always("/admin/orders")),
        by(
            "admin's orders, page 1,000 by cursor",
            Some(admin),
            Box::new(move |_| format!("/admin/orders?cursor={orders}")),
        ),
        by("admin's orders, paid", Some(admin), always("/admin/orders?status=PAID")),
        by(
            "admin's orders, cancelled and refunded",
            Some(admin),
            always("/admin/orders?status=CANCELLED&paymentStatus=REFUNDED"),
        ),
        by(
            "admin's orders, delivered but unpaid (none)",
            Some(admin),
            always("/admin/orders?status=DELIVERED&paymentStatus=FAILED"),
        ),
        by("admin's orders, flagged", Some(admin), always("/admin/orders?flagged=true")),
        by(
            "admin's orders, one customer's",
            Some(admin),
            Box::new(move |dice| format!("/admin/orders?userId={}", stock::id(Kind::User, 1 + dice % size.customers))),
        ),
        by("admin's events, of one type", Some(admin), always("/admin/events?type=checkout.session.expired")),
        by(
            "movements of a product",
            Some(admin),
            Box::new(move |dice| format!("/products/{}/stock-movements", stock::id(Kind::Product, any_product(dice)))),
        ),
    ]
}

async fn timed(
    name: &'static str,
    scenario: &impl Scenario,
    connection: &mut [Connection],
    warm_up: Duration,
) -> Step<Measure> {
    let warm = closed(scenario, connection, warm_up).await;
    let window = closed(scenario, connection, LENGTH).await;
    if let Some((words, count)) = warm.errors.first_key_value().or_else(|| window.errors.first_key_value()) {
        return Err(StepFailed::new(name, format!("{count} times {words}")));
    }
    of(name, &window.latencies)
}

/// What is left of a write when nothing but its commit is left: what the disk takes, which no schema changes.
async fn commits(database: &Database) -> Step<Measure> {
    let mut latencies = Latencies::default();
    for _ in 0..COMMITS {
        let begun = Instant::now();
        database.run("committing", "UPDATE turns SET due_at = due_at + interval '1 second'").await?;
        latencies.add(begun.elapsed());
    }
    of("one commit of one row, by SQL", &latencies)
}

fn of(name: &'static str, latencies: &Latencies) -> Step<Measure> {
    let sorted = latencies.sorted();
    let (Some(p50_ms), Some(p95_ms)) = (sorted.percentile_ms(50), sorted.percentile_ms(95)) else {
        return Err(StepFailed::new(name, "nothing was measured"));
    };
    Ok(Measure { name, p50_ms, p95_ms, count: latencies.count() })
}

/// The cursor of page 1,000, or of the last page that has another behind it; found by larger pages.
async fn deep_cursor(connection: &mut Connection, path: &str, token: Option<&str>) -> Step<String> {
    let mut cursor: Option<String> = None;
    for _ in 0..(DEEP_PAGE - 1) * 20 / 100 {
        let line = match &cursor {
            Some(cursor) => format!("GET /api/v1{path}?limit=100&cursor={cursor}"),
            None => format!("GET /api/v1{path}?limit=100"),
        };
        write_request(&mut connection.output, &line, token, None);
        let answer = connection.exchange_output().await.during("looking for page 1,000")?;
        answer.expect("a page", 200).during("looking for page 1,000")?;
        match text_field(answer.body, "nextCursor") {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    cursor.ok_or_else(|| StepFailed::new("looking for page 1,000", "there is only one page"))
}

/// Orders of 1,000 customers that are all due at once. Each one's share of the time until the last is cancelled.
async fn swept(database: &Database, people: &[String], years: &Years, connection: &mut [Connection]) -> Step<Measure> {
    let fill = format!(
        "INSERT INTO cart_items (user_id, product_id, quantity, added_at)
         SELECT ('0000000000027000' || 8000000000000000 + n)::uuid,
                ('0000000000017000' || 8000000000000000 + 1 + (n * 7919 + line * 31) % {})::uuid, 1, now()
         FROM generate_series(1, {SWEPT}) AS n, generate_series(1, 2) AS line ON CONFLICT DO NOTHING",
        years.size.products
    );
    database.run("filling carts", &fill).await?;
    let everybody = People::new(people, people.len());
    let pending = PendingOrders::new(&everybody, SWEPT);
    let placed = closed(&pending, connection, Duration::from_mins(5)).await;
    if let Some((words, count)) = placed.errors.first_key_value() {
        return Err(StepFailed::new("placing orders that expire", format!("{count} times {words}")));
    }
    let window = sweep::watch(database).await?;
    of("sweep of 1,000 expired orders, each", &window.latencies)
}
