//! The limit: what PostgreSQL itself can do of the same SQL work, measured by pgbench on the same server in the same
//! run. Statement by statement, prepared, with one transaction for each commit that the shop makes; and beside it the
//! form in which each transaction is one call of a function.
//!
//! What the scripts hold is the work that the contract asks for, in its leanest form. The look-up of the session that
//! comes with each access token is left out: how often it must be asked is the shop's choice.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::cpu;
use crate::error::{During as _, Step, StepFailed};
use crate::figures::ratio;
use crate::load::float;
use crate::postgres::{Database, Server};

/// Made in the database that all others are copied from.
pub(crate) const FUNCTIONS: &str = include_str!("../sql/limit/functions.sql");

const UNIT: &str = include_str!("../sql/limit/unit.sql");
const RANDOM_PRODUCT: &str = include_str!("../sql/limit/random_product.sql");
const HOT_PRODUCT: &str = include_str!("../sql/limit/hot_product.sql");
const LIST: &str = include_str!("../sql/limit/list.sql");
const DETAIL: &str = include_str!("../sql/limit/detail.sql");
const ADD_ITEM: &str = include_str!("../sql/limit/add_item.sql");
const READ_CART: &str = include_str!("../sql/limit/read_cart.sql");
const PLACE: &str = include_str!("../sql/limit/place.sql");
const KEEP_SESSION: &str = include_str!("../sql/limit/keep_session.sql");
const HEAR_PAYMENT: &str = include_str!("../sql/limit/hear_payment.sql");
const PENDING_ORDERS: &str = include_str!("../sql/limit/pending_orders.sql");
const ONE_CALL_ORDER: &str = include_str!("../sql/limit/one_call_order.sql");
const ONE_CALL_ADD_ITEM: &str = include_str!("../sql/limit/one_call_add_item.sql");

/// The SQL work of one unit, as parts of a script, and how often it comes among others.
pub(crate) type Script = (u32, &'static [&'static str]);

pub(crate) const LIST_UNIT: &[Script] = &[(1, &[LIST])];
pub(crate) const DETAIL_UNIT: &[Script] = &[(1, &[RANDOM_PRODUCT, DETAIL])];
pub(crate) const CART_UNIT: &[Script] = &[(1, &[UNIT, RANDOM_PRODUCT, ADD_ITEM, READ_CART])];
pub(crate) const CHECKOUT_UNIT: &[Script] =
    &[(1, &[UNIT, RANDOM_PRODUCT, ADD_ITEM, RANDOM_PRODUCT, ADD_ITEM, PLACE, KEEP_SESSION])];
pub(crate) const ORDER_UNIT: &[Script] = &[(1, &[UNIT, PLACE, KEEP_SESSION])];
pub(crate) const FLASH_UNIT: &[Script] = &[(1, &[UNIT, HOT_PRODUCT, ADD_ITEM, PLACE, KEEP_SESSION])];
pub(crate) const WEBHOOK_UNIT: &[Script] = &[(1, &[UNIT, HEAR_PAYMENT])];
pub(crate) const MIXED_UNIT: &[Script] = &[
    (40, &[LIST]),
    (40, &[RANDOM_PRODUCT, DETAIL]),
    (15, &[UNIT, RANDOM_PRODUCT, ADD_ITEM, READ_CART]),
    (5, &[UNIT, RANDOM_PRODUCT, ADD_ITEM, RANDOM_PRODUCT, ADD_ITEM, PLACE, KEEP_SESSION]),
];
pub(crate) const ORDER_ONE_CALL: &[Script] = &[(1, &[UNIT, ONE_CALL_ORDER])];
pub(crate) const FLASH_ONE_CALL: &[Script] = &[(1, &[UNIT, HOT_PRODUCT, ONE_CALL_ADD_ITEM, ONE_CALL_ORDER])];

/// One run of pgbench.
#[derive(Debug, Clone)]
pub(crate) struct LimitRun {
    /// Units per second, once its clients had warmed up.
    pub(crate) rate: f64,
    /// All units, those of the warm-up too.
    pub(crate) units: u64,
    /// What PostgreSQL cost, per unit.
    pub(crate) postgres_cpu_ms: f64,
}

/// Runs pgbench.
pub(crate) struct Pgbench {
    program: PathBuf,
    /// Where its scripts are written.
    folder: PathBuf,
    /// Each run has a number, from which its ids are made.
    runs: u32,
}

/// How one run is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) scripts: &'static [Script],
    pub(crate) clients: usize,
    /// How many customers take turns.
    pub(crate) customers: u64,
    /// These come first, and don't count.
    pub(crate) warm_up_seconds: u64,
    pub(crate) seconds: u64,
}

/// Beyond what is asked for, since pgbench does not always tell of its last second.
pub(crate) const SPARE_SECONDS: u64 = 1;

impl Pgbench {
    /// Finds the program.
    pub(crate) fn new(server: &Server, folder: &Path) -> Step<Self> {
        Ok(Self { program: server.pgbench()?, folder: folder.to_owned(), runs: 0 })
    }

    /// Makes pending orders for the next run, which is to pay them: so many for each client.
    pub(crate) async fn prepare_payments(&self, database: &Database, clients: usize, each: u64) -> Step<()> {
        let sql = PENDING_ORDERS
            .replace(":run", &(self.runs + 1).to_string())
            .replace(":clients", &clients.to_string())
            .replace(":each", &each.to_string());
        database.run("making pending orders", &sql).await
    }

    /// Measures one form of the limit.
    pub(crate) async fn run(&mut self, server: &Server, database: &Database, load: Load) -> Step<LimitRun> {
        self.runs += 1;
        let mut command = Command::new(&self.program);
        command.env_clear().current_dir(&self.folder).kill_on_drop(true);
        // The plan that statements by key end with after five uses; so clients warm up sooner.
        command.env("PGOPTIONS", "-c plan_cache_mode=force_generic_plan");
        command.args(["--no-vacuum", "--protocol", "prepared", "--host", "127.0.0.1", "--username", "ironcart"]);
        command.args(["--port", &server.port().to_string(), "--client", &load.clients.to_string()]);
        let counted = load.seconds + SPARE_SECONDS;
        let seconds = (load.warm_up_seconds + counted).to_string();
        command.args(["--jobs", &load.clients.min(2).to_string(), "--time", &seconds, "--progress", "1"]);
        let numbers = [
            ("n", 0),
            ("first", 0),
            ("run", self.runs.into()),
            ("clients", load.clients as u64),
            ("customers", load.customers),
        ];
        for (name, value) in numbers {
            command.arg(format!("--define={name}={value}"));
        }
        for (index, (weight, parts)) in load.scripts.iter().enumerate() {
            let file = self.folder.join(format!("script-{index}.sql"));
            std::fs::write(&file, parts.join("\n")).during("writing a script")?;
            command.arg(format!("--file={}@{weight}", file.display()));
        }
        command.arg(&database.name);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = command.spawn().during("starting pgbench")?;
        tokio::time::sleep(Duration::from_secs(load.warm_up_seconds)).await;
        let before = cpu::of_family(server.pid())?;
        let limit = Duration::from_secs(load.seconds + 60);
        let ended = tokio::time::timeout(limit, running.wait_with_output()).await;
        let output = ended.during("waiting for pgbench")?.during("running pgbench")?;
        let spent = cpu::of_family(server.pid())?.saturating_sub(before).as_secs_f64();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let told = Told::parse(&said).filter(|told| output.status.success() && told.failed == 0);
        let settled = usize::try_from(load.warm_up_seconds).unwrap_or_default();
        let told = told.and_then(|told| Some((told.rate_from(settled)?, told.units)));
        let (rate, units) = told.ok_or_else(|| StepFailed::new("pgbench", said))?;
        let postgres_cpu_ms = ratio(spent * 1_000.0, rate * float(counted)).unwrap_or_default();
        Ok(LimitRun { rate, units, postgres_cpu_ms })
    }
}

/// What pgbench tells.
#[derive(Debug, PartialEq)]
struct Told {
    /// Units per second in each second of the run.
    rates: Vec<f64>,
    /// Over the whole run.
    units: u64,
    failed: u64,
}

impl Told {
    fn parse(text: &str) -> Option<Self> {
        // Clients that were cut off are told of in passing.
        if text.contains("aborted") {
            return None;
        }
        let after = |label: &str| text.lines().find_map(|line| line.strip_prefix(label));
        let first = |rest: &str| rest.split([' ', '(']).find(|word| !word.is_empty()).map(str::to_owned);
        let progress = |line: &str| {
            let (_, rest) = line.strip_prefix("progress: ")?.split_once(" s, ")?;
            first(rest)?.parse().ok()
        };
        Some(Self {
            rates: text.lines().filter_map(progress).collect(),
            units: first(after("number of transactions actually processed:")?)?.parse().ok()?,
            // Before version 15 every failed statement ends its client.
            failed: after("number of failed transactions:")
                .and_then(first)
                .map_or(Some(0), |count| count.parse().ok())?,
        })
    }

    /// The rate from a second on.
    fn rate_from(&self, second: usize) -> Option<f64> {
        let rates = self.rates.get(second..).filter(|rates| !rates.is_empty())?;
        Some(rates.iter().sum::<f64>() / float(rates.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SAID: &str = "pgbench (15.13)\nprogress: 1.0 s, 500.5 tps, lat 10.1 ms stddev 2.2, 0 failed\n\
        progress: 2.0 s, 1500.0 tps, lat 10.1 ms stddev 2.2, 0 failed\n\
        progress: 3.0 s, 1700.0 tps, lat 10.1 ms stddev 2.2, 0 failed\ntransaction type: script-0.sql\n\
        number of transactions actually processed: 4567\nnumber of failed transactions: 0 (0.000%)\n\
        latency average = 10.5 ms\ninitial connection time = 20.1 ms\n\
        tps = 1523.456789 (without initial connection time)\n";

    #[test]
    fn pgbench_tells_its_rate_by_the_second_and_its_transactions() {
        let told = Told::parse(SAID).unwrap();
        assert_eq!(told, Told { rates: vec![500.5, 1_500.0, 1_700.0], units: 4_567, failed: 0 });
        assert_eq!((told.rate_from(1), told.rate_from(3)), (Some(1_600.0), None));
    }

    #[test]
    fn older_versions_do_not_count_failures() {
        let older = SAID.replace("number of failed transactions: 0 (0.000%)\n", "").replace(", 0 failed", "");
        let told = Told::parse(&older).unwrap();
        assert_eq!((told.units, told.rates.len()), (4_567, 3));
        let failed = SAID.replace("failed transactions: 0 (0.000%)", "failed transactions: 12 (0.3%)");
        assert_eq!(Told::parse(&failed).map(|told| told.failed), Some(12));
    }

    #[test]
    fn a_run_that_lost_a_client_is_no_limit() {
        let lost = format!("pgbench: error: client 3 script 0 aborted in command 5\n{SAID}");
        assert_eq!(Told::parse(&lost), None);
        assert_eq!(Told::parse("pgbench: error: connection refused\n"), None);
    }

    #[test]
    fn every_part_explains_itself() {
        let scripts = [
            LIST_UNIT,
            DETAIL_UNIT,
            CART_UNIT,
            CHECKOUT_UNIT,
            ORDER_UNIT,
            FLASH_UNIT,
            WEBHOOK_UNIT,
            MIXED_UNIT,
            ORDER_ONE_CALL,
            FLASH_ONE_CALL,
        ];
        for (_, parts) in scripts.iter().copied().flatten() {
            for part in *parts {
                assert!(part.starts_with("-- "), "{part}");
            }
        }
    }
}
