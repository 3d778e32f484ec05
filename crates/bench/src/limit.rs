//! The limit: what PostgreSQL itself can do of the same SQL work, measured by pgbench on the same server in the same
//! run. Statement by statement, prepared, with one transaction for each commit that the shop makes; and beside it the
//! form in which each transaction is one call of a function.
//!
//! What the scripts hold is the work that the contract asks for, in its leanest form. The look-up of the session that
//! comes with each access token is left out: how often it must be asked is the shop's choice.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::cpu;
use crate::error::{During as _, Step, StepFailed};
use crate::postgres::{Database, Server};
use crate::stock::ACCOUNTS;

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
    /// Units per second, without the time of connecting.
    pub(crate) rate: f64,
    pub(crate) units: u64,
    /// What PostgreSQL cost, per unit.
    pub(crate) postgres_cpu: Duration,
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
    pub(crate) seconds: u64,
}

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
        command.args(["--no-vacuum", "--protocol", "prepared", "--host", "127.0.0.1", "--username", "ironcart"]);
        command.args(["--port", &server.port().to_string(), "--client", &load.clients.to_string()]);
        command.args(["--jobs", &load.clients.min(2).to_string(), "--time", &load.seconds.to_string()]);
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
        let before = cpu::of_family(server.pid())?;
        let limit = Duration::from_secs(load.seconds + 60);
        let output =
            tokio::time::timeout(limit, command.output()).await.during("pgbench")?.during("running pgbench")?;
        let postgres_cpu = cpu::of_family(server.pid())?.saturating_sub(before);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let told = Told::parse(&said).filter(|told| output.status.success() && told.failed == 0);
        let Told { rate, units, .. } = told.ok_or_else(|| StepFailed::new("pgbench", said.clone()))?;
        let share = u32::try_from(units.max(1)).unwrap_or(u32::MAX);
        Ok(LimitRun { rate, units, postgres_cpu: postgres_cpu / share })
    }
}

/// So many units at most can a run of this length do that uses up what was prepared.
pub(crate) const fn accounts_suffice(units: u64) -> bool {
    units < ACCOUNTS
}

/// What pgbench tells in the end.
#[derive(Debug, PartialEq)]
struct Told {
    rate: f64,
    units: u64,
    failed: u64,
}

impl Told {
    fn parse(text: &str) -> Option<Self> {
        let after = |label: &str| text.lines().find_map(|line| line.strip_prefix(label));
        let first = |rest: &str| rest.split([' ', '/', '(']).find(|word| !word.is_empty()).map(str::to_owned);
        // Clients that were cut off are only told of on standard error.
        if text.contains("aborted") {
            return None;
        }
        Some(Self {
            rate: first(after("tps =")?)?.parse().ok()?,
            units: first(after("number of transactions actually processed:")?)?.parse().ok()?,
            // Before version 15 every failed statement ends its client.
            failed: after("number of failed transactions:")
                .and_then(first)
                .map_or(Some(0), |count| count.parse().ok())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "pgbench (15.13)\ntransaction type: script-0.sql\nscaling factor: 1\nquery mode: prepared\n\
        number of clients: 16\nnumber of threads: 2\nmaximum number of tries: 1\nduration: 3 s\n\
        number of transactions actually processed: 4567\nnumber of failed transactions: 0 (0.000%)\n\
        latency average = 10.5 ms\ninitial connection time = 20.1 ms\n\
        tps = 1523.456789 (without initial connection time)\n";

    #[test]
    fn pgbench_tells_its_rate_and_its_transactions() {
        assert_eq!(Told::parse(SAID), Some(Told { rate: 1_523.456_789, units: 4_567, failed: 0 }));
    }

    #[test]
    fn older_versions_do_not_count_failures() {
        let older = SAID.replace("number of failed transactions: 0 (0.000%)\n", "");
        assert_eq!(Told::parse(&older).map(|told| told.units), Some(4_567));
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
