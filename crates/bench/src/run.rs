//! A run: for each scenario and number of connections a fresh database and a fresh app, then rounds of a window of the
//! app and a window of each form of the limit, and in the end the checks that nothing was lost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::cpu;
use crate::error::{During as _, Step, StepFailed};
use crate::figures::{
    Baseline, Cell, Figures, Limit, Machine, Overload, Percentiles, Spread, mebibytes, ms_per_unit, ratio,
};
use crate::limit::{LimitRun, Load, Pgbench, SPARE_SECONDS};
use crate::load::{Connection, Errors, Latencies, Pool, Window, closed, float};
use crate::plan::{Kind, MOST_LIMIT_CLIENTS, Plan, events_for};
use crate::postgres::{Database, Server};
use crate::progress::progress;
use crate::scenarios::{
    Carts, Checkouts, Details, Flash, Lists, Logins, Mixed, Orders, Payments, PendingOrders, People, overload, sweep,
};
use crate::shop::{Shop, ShopConfig};
use crate::stock::{self, ACCOUNTS, empty_carts, fill_carts};
use crate::stripe::StripeStandIn;
use crate::targets::verdicts;

/// How often the rate of orders that the shop can take it is offered.
const OVERLOAD: f64 = 4.0;
/// The connections with which orders for other scenarios are placed.
const PREPARING: usize = 32;

/// Everything that outlives a cell.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) shop: ShopConfig,
    /// Another binary, if ours is compared with one.
    pub(crate) baseline: Option<PathBuf>,
    pub(crate) pgbench: Pgbench,
    pub(crate) tokens: Rc<Vec<String>>,
    pub(crate) stripe: StripeStandIn,
}

/// What the windows of one cell gave.
#[derive(Default)]
struct Rounds {
    app: Vec<f64>,
    latencies: Latencies,
    errors: Errors,
    app_cpu: Duration,
    postgres_cpu: Duration,
    generator_cpu: Duration,
    limit: Vec<LimitRun>,
    one_call: Vec<LimitRun>,
    /// Events that were answered 200.
    paid: u64,
}

impl Rounds {
    fn note(&mut self, window: &Window) {
        self.app.push(window.rate());
        self.latencies.extend(&window.latencies);
        add(&mut self.errors, &window.errors);
    }
}

fn add(errors: &mut Errors, more: &Errors) {
    for (words, count) in more {
        *errors.entry(words.clone()).or_default() += count;
    }
}

impl Bench {
    /// Measures all that is planned.
    pub(crate) async fn run(&mut self, plan: &Plan) -> Step<Figures> {
        let begun = Instant::now();
        let (mut cells, mut failures) = (Vec::<Cell>::new(), Vec::new());
        for (kind, connections) in plan.cells().collect::<Vec<_>>() {
            // What the others gave is worth more than the minutes until it is mended.
            let mut cell = match self.cell(plan, kind, connections).await {
                Ok(cell) => cell,
                Err(failed) => {
                    let failure = format!("{} at {connections}: {failed}", kind.name());
                    progress(&format!("error: {failure}"));
                    failures.push(failure);
                    continue;
                }
            };
            if cell.limit.is_none() {
                let most = cells.iter().rev().find(|other| other.scenario == kind && other.limit.is_some());
                cell.limit = most.and_then(|other| other.limit.clone());
            }
            cell.times_limit =
                cell.limit.as_ref().and_then(|limit| ratio(cell.units_per_second.median, limit.per_second.median));
            progress(&crate::report::line(&cell));
            cells.push(cell);
        }
        if plan.kinds.contains(&Kind::Sweep) {
            let cell = self.sweep(plan).await?;
            progress(&crate::report::line(&cell));
            cells.push(cell);
        }
        let overload =
            if plan.kinds.contains(&Kind::Overload) { Some(self.overload(plan, &cells).await?) } else { None };
        let baseline = match self.baseline.clone() {
            Some(program) => Some(self.compare(plan, program).await?),
            None => None,
        };
        let machine = Machine::describe(self.server.description().await?);
        let (plan, took_seconds) = (plan.clone(), begun.elapsed().as_secs_f64());
        let mut figures =
            Figures { machine, plan, cells, overload, baseline, targets: Vec::new(), failures, took_seconds };
        figures.targets = verdicts(&figures);
        Ok(figures)
    }

    async fn cell(&mut self, plan: &Plan, kind: Kind, connections: usize) -> Step<Cell> {
        progress(&format!("{} at {connections} ...", kind.name()));
        let database = self.server.fresh().await?;
        let shop = self.shop.start(&database.url, &[]).await?;
        let tokens = Rc::clone(&self.tokens);
        let people = People::new(&tokens, usize::try_from(kind.customers()).unwrap_or(tokens.len()));
        let mut pool = Pool::new(shop.address);
        let mut rounds = Rounds::default();
        let length = Duration::from_secs(plan.seconds_of(kind));
        self.warm_up(plan, kind, &database, &people, (&mut pool, connections)).await?;
        for _ in 0..plan.rounds {
            let payments = self.prepare(kind, connections, length, &database, &people, &mut pool).await?;
            self.app_window(kind, &shop, &people, payments.as_ref(), (&mut pool, connections, length), &mut rounds)
                .await?;
            rounds.paid += payments.map_or(0, |payments| payments.sent());
            self.limit_windows(plan, kind, connections, &database, &mut rounds).await?;
        }
        let errors = self.check(kind, &database, &people, &rounds).await?;
        add(&mut rounds.errors, &errors);
        let cell = summary(kind, Some(connections), rounds, &shop)?;
        if !cell.errors.is_empty() {
            shop.complaints().iter().for_each(|line| progress(&format!("  the app said: {line}")));
        }
        drop(pool);
        shop.stop().await?;
        self.server.retire(database);
        Ok(cell)
    }

    /// Connections are opened, statements prepared and pages read before anything counts.
    async fn warm_up(
        &self,
        plan: &Plan,
        kind: Kind,
        database: &Database,
        people: &People<'_>,
        (pool, connections): (&mut Pool, usize),
    ) -> Step<()> {
        let kind = if kind == Kind::Webhook { Kind::Order } else { kind };
        if kind.needs_full_carts() {
            fill_carts(database).await?;
        }
        let connections = pool.of(connections).await.during("connecting to the app")?;
        window(kind, people, None, connections, plan.warm_up).await.map(drop)
    }

    /// Brings carts and orders into the state that a window of the app begins with.
    async fn prepare(
        &self,
        kind: Kind,
        connections: usize,
        length: Duration,
        database: &Database,
        people: &People<'_>,
        pool: &mut Pool,
    ) -> Step<Option<Payments>> {
        bring_carts(kind, database).await?;
        people.begin_anew();
        if kind != Kind::Webhook {
            return Ok(None);
        }
        let wanted = events_for(connections, length.as_secs());
        let pending = PendingOrders::new(people, usize::try_from(wanted).unwrap_or(usize::MAX));
        let placing = pool.of(PREPARING).await.during("connecting to the app")?;
        let window = closed(&pending, placing, Duration::from_mins(1)).await;
        if let Some((words, count)) = window.errors.first_key_value() {
            return Err(StepFailed::new("placing orders to be paid", format!("{count} times {words}")));
        }
        pending.events().map(Some)
    }

    async fn app_window(
        &self,
        kind: Kind,
        shop: &Shop,
        people: &People<'_>,
        payments: Option<&Payments>,
        (pool, connections, length): (&mut Pool, usize, Duration),
        rounds: &mut Rounds,
    ) -> Step<()> {
        let connections = pool.of(connections).await.during("connecting to the app")?;
        let (app, postgres, generator) = (shop.cpu()?, cpu::of_family(self.server.pid())?, cpu::of_this_thread()?);
        let window = window(kind, people, payments, connections, length).await?;
        rounds.generator_cpu += cpu::of_this_thread()?.saturating_sub(generator);
        rounds.app_cpu += shop.cpu()?.saturating_sub(app);
        rounds.postgres_cpu += cpu::of_family(self.server.pid())?.saturating_sub(postgres);
        rounds.note(&window);
        Ok(())
    }

    async fn limit_windows(
        &mut self,
        plan: &Plan,
        kind: Kind,
        clients: usize,
        database: &Database,
        rounds: &mut Rounds,
    ) -> Step<()> {
        let (seconds, warm_up_seconds) = (plan.seconds_of(kind), plan.warm_up_seconds(clients));
        for (scripts, runs) in plan.forms(kind, clients).into_iter().zip([&mut rounds.limit, &mut rounds.one_call]) {
            let Some(scripts) = scripts else { continue };
            if kind == Kind::Webhook {
                // Clients are not equally fast.
                let each = events_for(clients, seconds + warm_up_seconds + SPARE_SECONDS) * 2 / clients as u64;
                self.pgbench.prepare_payments(database, clients, each).await?;
            } else {
                bring_carts(kind, database).await?;
            }
            let load = Load { scripts, clients, customers: kind.customers(), warm_up_seconds, seconds };
            runs.push(self.pgbench.run(&self.server, database, load).await?);
            // What one window leaves behind, such as a hundred thousand dead versions of a row, is not the next one's.
            database.run("vacuuming", "VACUUM").await?;
        }
        Ok(())
    }

    /// What the database says must be what was answered; differences come out as errors.
    async fn check(&self, kind: Kind, database: &Database, people: &People<'_>, rounds: &Rounds) -> Step<Errors> {
        const OURS: &str = "SELECT count(*) FROM orders WHERE id > '00000001-0000-7000-8000-000000000000'";
        const PGBENCHS: &str = "SELECT count(*) FROM orders WHERE id < '00000001-0000-7000-8000-000000000000'";
        const PAID: &str =
            "SELECT count(*) FROM orders WHERE id > '00000001-0000-7000-8000-000000000000' AND status = 'PAID'";
        const PGBENCHS_PAID: &str =
            "SELECT count(*) FROM orders WHERE id < '00000001-0000-7000-8000-000000000000' AND status = 'PAID'";
        const NEGATIVE: &str = "SELECT count(*) FROM products WHERE stock < 0";

        let limit_units = rounds.limit.iter().chain(&rounds.one_call).map(|run| run.units).sum();
        let mut expected = vec![
            ("orders of the app", OURS, people.ordered()),
            ("products with a negative stock", NEGATIVE, 0),
            ("orders that the app was told are paid", PAID, rounds.paid),
        ];
        match kind {
            Kind::Order | Kind::Checkout | Kind::Flash => expected.push(("orders of pgbench", PGBENCHS, limit_units)),
            Kind::Webhook => expected.push(("paid orders of pgbench", PGBENCHS_PAID, limit_units)),
            _ => {}
        }
        let mut errors = BTreeMap::new();
        for (what, sql, expected) in expected {
            let found = database.number("checking the database", sql).await?;
            if u64::try_from(found) != Ok(expected) {
                errors.insert(format!("{what}: {found} instead of {expected}"), 1);
            }
        }
        if let Err(failed) = self.shop.run(&database.url, "check-stock").await {
            errors.insert(failed.to_string(), 1);
        }
        Ok(errors)
    }

    /// The sweep has no connections: orders are placed, and then it is watched how the shop cancels them.
    async fn sweep(&mut self, plan: &Plan) -> Step<Cell> {
        progress("sweep ...");
        let database = self.server.fresh().await?;
        let shop = self.shop.start(&database.url, &[("APP__ORDERS__SWEEP_INTERVAL_SECONDS", "1")]).await?;
        let people = People::new(&self.tokens, self.tokens.len());
        let mut pool = Pool::new(shop.address);
        let mut rounds = Rounds::default();
        for _ in 0..plan.rounds {
            people.begin_anew();
            fill_carts(&database).await?;
            let wanted = usize::try_from(plan.swept_orders).unwrap_or(usize::MAX);
            let pending = PendingOrders::new(&people, wanted);
            let placing = pool.of(PREPARING).await.during("connecting to the app")?;
            let placed = closed(&pending, placing, Duration::from_mins(1)).await;
            add(&mut rounds.errors, &placed.errors);
            let (app, postgres) = (shop.cpu()?, cpu::of_family(self.server.pid())?);
            let swept = sweep::watch(&database).await?;
            rounds.app_cpu += shop.cpu()?.saturating_sub(app);
            rounds.postgres_cpu += cpu::of_family(self.server.pid())?.saturating_sub(postgres);
            rounds.note(&swept);
        }
        let errors = self.check(Kind::Sweep, &database, &people, &rounds).await?;
        add(&mut rounds.errors, &errors);
        let mut cell = summary(Kind::Sweep, None, rounds, &shop)?;
        // Single orders are not seen from outside.
        cell.latency_ms = None;
        drop(pool);
        shop.stop().await?;
        self.server.retire(database);
        Ok(cell)
    }

    async fn overload(&mut self, plan: &Plan, cells: &[Cell]) -> Step<Overload> {
        let of_orders = cells.iter().filter(|cell| cell.scenario == Kind::Order);
        let measured = of_orders.map(|cell| cell.units_per_second.median).max_by(f64::total_cmp);
        let peak = match measured {
            Some(peak) => peak,
            None => self.cell(plan, Kind::Order, MOST_LIMIT_CLIENTS).await?.units_per_second.median,
        };
        let offered = peak * OVERLOAD;
        progress(&format!("overload: {offered:.0} orders per second ..."));
        let database = self.server.fresh().await?;
        let shop = self.shop.start(&database.url, &[]).await?;
        fill_carts(&database).await?;
        // No longer than there are customers who have not ordered yet.
        let enough = Duration::from_secs_f64(float(ACCOUNTS) * 0.7 / peak.max(1.0));
        let length = Duration::from_secs(plan.overload_seconds).min(enough);
        let seen = overload::overload(shop.address, &self.tokens, offered, length).await;
        let accepted_per_second = ratio(float(seen.accepted_in_time), seen.elapsed.as_secs_f64()).unwrap_or_default();
        let overload = Overload {
            peak_per_second: peak,
            offered_per_second: offered,
            accepted_per_second,
            accepted: seen.accepted.count(),
            accepted_ms: Percentiles::of(&seen.accepted),
            refused: seen.refused.count(),
            refused_ms: Percentiles::of(&seen.refused),
            not_sent: seen.not_sent,
            drained_after_ms: seen.drained.saturating_sub(seen.elapsed).as_secs_f64() * 1_000.0,
            peak_rss_mib: mebibytes(shop.peak_memory()?),
            errors: seen.errors,
        };
        shop.stop().await?;
        self.server.retire(database);
        Ok(overload)
    }

    /// Both binaries serve at once, each its own database; they are asked in turn, and the other one idles.
    async fn compare(&mut self, plan: &Plan, program: PathBuf) -> Step<Baseline> {
        progress("a single idle order, in turn with the baseline ...");
        let config = ShopConfig { program, ..self.shop.clone() };
        let (ours, theirs) = (self.server.fresh().await?, self.server.fresh().await?);
        let (our_shop, their_shop) = (self.shop.start(&ours.url, &[]).await?, config.start(&theirs.url, &[]).await?);
        fill_carts(&ours).await?;
        fill_carts(&theirs).await?;
        let sides = [
            (&our_shop, People::new(&self.tokens, self.tokens.len())),
            (&their_shop, People::new(&self.tokens, self.tokens.len())),
        ];
        let mut medians: [Vec<f64>; 2] = Default::default();
        let mut errors = Errors::new();
        for round in 0..=plan.baseline_rounds {
            for ((shop, people), medians) in sides.iter().zip(&mut medians) {
                let mut connection = [Connection::open(shop.address).await.during("connecting to the app")?];
                let window = closed(&Orders(people), &mut connection, Duration::from_secs(1)).await;
                add(&mut errors, &window.errors);
                // The first round warms up.
                medians.extend(window.latencies.sorted().percentile_ms(50).filter(|_| round > 0));
            }
        }
        let [ours_ms, theirs_ms] = medians.map(Spread::of);
        let nothing = || StepFailed::new("comparing with the baseline", "no order was answered");
        let baseline =
            Baseline { ours_ms: ours_ms.ok_or_else(nothing)?, theirs_ms: theirs_ms.ok_or_else(nothing)?, errors };
        our_shop.stop().await?;
        their_shop.stop().await?;
        self.server.retire(ours);
        self.server.retire(theirs);
        Ok(baseline)
    }
}

/// Brings the carts into the state that a window begins with, of the app's or of pgbench's.
async fn bring_carts(kind: Kind, database: &Database) -> Step<()> {
    match kind {
        Kind::Cart | Kind::Mixed | Kind::Checkout | Kind::Flash => empty_carts(database).await,
        _ if kind.needs_full_carts() => fill_carts(database).await,
        _ => Ok(()),
    }
}

async fn window(
    kind: Kind,
    people: &People<'_>,
    payments: Option<&Payments>,
    connections: &mut [Connection],
    length: Duration,
) -> Step<Window> {
    Ok(match (kind, payments) {
        (Kind::List, _) => closed(&Lists, connections, length).await,
        (Kind::Detail, _) => closed(&Details(people), connections, length).await,
        (Kind::Cart, _) => closed(&Carts(people), connections, length).await,
        (Kind::Checkout, _) => closed(&Checkouts(people), connections, length).await,
        (Kind::Order, _) => closed(&Orders(people), connections, length).await,
        (Kind::Flash, _) => closed(&Flash(people), connections, length).await,
        (Kind::Mixed, _) => closed(&Mixed(people), connections, length).await,
        (Kind::Webhook, Some(payments)) => closed(payments, connections, length).await,
        (Kind::Login, _) => closed(&Logins::default(), connections, length).await,
        (Kind::Webhook, None) | (Kind::Sweep | Kind::Overload, _) => {
            return Err(StepFailed::new("a window", format!("{} has none", kind.name())));
        }
    })
}

fn summary(kind: Kind, connections: Option<usize>, rounds: Rounds, shop: &Shop) -> Step<Cell> {
    let units = rounds.latencies.count();
    let of_limit = |runs: &[LimitRun]| Spread::of(runs.iter().map(|run| run.rate));
    let limit_cpu = rounds.limit.iter().map(|run| run.postgres_cpu_ms);
    let limit = of_limit(&rounds.limit).zip(Spread::of(limit_cpu)).map(|(per_second, cpu)| Limit {
        clients: connections.unwrap_or_default(),
        per_second,
        postgres_cpu_ms_per_unit: cpu.median,
    });
    Ok(Cell {
        scenario: kind,
        connections,
        units,
        units_per_second: Spread::of(rounds.app).ok_or_else(|| StepFailed::new("summing up", "there was no window"))?,
        latency_ms: Percentiles::of(&rounds.latencies),
        limit,
        times_limit: None,
        one_call_per_second: of_limit(&rounds.one_call),
        app_cpu_ms_per_unit: ms_per_unit(rounds.app_cpu, units),
        postgres_cpu_ms_per_unit: ms_per_unit(rounds.postgres_cpu, units),
        generator_cpu_ms_per_unit: ms_per_unit(rounds.generator_cpu, units),
        peak_rss_mib: mebibytes(shop.peak_memory()?),
        ready_after_ms: shop.ready_after.as_secs_f64() * 1_000.0,
        errors: rounds.errors,
    })
}

impl Machine {
    fn describe(postgres: String) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu_info = read("/proc/cpuinfo");
        let processor = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            processor: processor.map_or("unknown", |(_, name)| name).trim().to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            postgres,
        }
    }
}

/// Starts what a run needs, and fills the database.
pub(crate) async fn set_up(
    folder: &std::path::Path,
    program: PathBuf,
    (baseline, pg_bin): (Option<PathBuf>, Option<PathBuf>),
) -> Step<Bench> {
    progress("starting PostgreSQL ...");
    let server = Server::start(folder, pg_bin).await?;
    let pgbench = Pgbench::new(&server, folder)?;
    let stripe = StripeStandIn::start().await?;
    let shop = ShopConfig { program, folder: folder.to_owned(), stripe: stripe.address };
    progress("filling the database ...");
    stock::fill(&server, &shop).await?;
    let tokens = Rc::new(stock::access_tokens()?);
    Ok(Bench { server, shop, baseline, pgbench, tokens, stripe })
}
