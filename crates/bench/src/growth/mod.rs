//! `bench growth`: the same things done in shops of very different sizes. What an index serves takes as long in the
//! largest as in the smallest.

mod fill;
mod measures;
mod report;
mod rows;
mod space;
mod tables;
mod years;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use self::measures::Measure;
use self::space::{Estimate, Known};
pub(crate) use self::years::Size;
use self::years::Years;
use crate::error::{During as _, Step};
use crate::postgres::Server;
use crate::progress::progress;
use crate::shop::ShopConfig;
use crate::stripe::StripeStandIn;

/// How it is run.
#[derive(Debug, clap::Args)]
pub(crate) struct GrowthArgs {
    /// Numbers of orders, separated by commas, the smallest first; products and customers are a tenth of each.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 1_000_000, 10_000_000],
          value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    sizes: Vec<u64>,
    /// No size is begun that would not be done within so many minutes from the start.
    #[arg(long, default_value_t = 60)]
    max_minutes: u64,
    /// Where growth.md and growth.json are written, and where PostgreSQL keeps its data meanwhile.
    #[arg(long, default_value = ".data/bench")]
    out: PathBuf,
}

/// What makes a fill fast, beside what the other measurements have; what is measured after it runs by the same.
const SETTINGS: [(&str, &str); 5] = [
    // What is filled in the transaction that emptied its table is not logged.
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "15min"),
    ("autovacuum_naptime", "10min"),
];

/// One size, filled and measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Grown {
    pub(crate) size: Size,
    pub(crate) bytes: u64,
    pub(crate) rows_seconds: f64,
    pub(crate) indexes_seconds: f64,
    pub(crate) check_stock_seconds: f64,
    pub(crate) measures: Vec<Measure>,
}

/// All sizes that were measured, and why the others were not.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Growth {
    pub(crate) postgres: String,
    pub(crate) grown: Vec<Grown>,
    pub(crate) left_out: Vec<String>,
}

/// Measures one size after the other, as long as the next one fits.
pub(crate) async fn run(args: &GrowthArgs, app: PathBuf, pg_bin: Option<PathBuf>) -> Step<()> {
    let begun = Instant::now();
    let limit = Duration::from_secs(args.max_minutes * 60);
    let mut sizes: Vec<Size> = args.sizes.iter().copied().map(Size::of).collect();
    sizes.sort_unstable_by_key(|size| size.orders);
    std::fs::create_dir_all(&args.out).during(format!("making {}", args.out.display()))?;
    let out = args.out.canonicalize().during("resolving the folder for the results")?;
    let folder = tempfile::Builder::new().prefix("growth-").tempdir_in(&out).during("making a folder")?;
    let mut known = Known::before();
    for size in &sizes {
        progress(&format!("{}: {}", told(*size), known.estimate(*size)));
    }
    progress(&format!("free: {}", space::gibibytes(space::free(folder.path()).await?)));

    let server = Server::start_with(folder.path(), pg_bin, &SETTINGS).await?;
    let stripe = StripeStandIn::start().await?;
    let config = ShopConfig { program: app, folder: folder.path().to_owned(), stripe: stripe.address };
    let mut growth = Growth { postgres: server.description().await?, grown: Vec::new(), left_out: Vec::new() };
    for size in sizes {
        let estimate = known.estimate(size);
        if let Some(reason) = does_not_fit(estimate, folder.path(), limit.saturating_sub(begun.elapsed())).await? {
            let left_out = format!("{}: {reason}", told(size));
            progress(&left_out);
            growth.left_out.push(left_out);
            break;
        }
        let grown = grow(&server, &config, size).await?;
        known.learn(&grown);
        growth.grown.push(grown);
    }
    server.stop().await?;
    report::write(&out, &growth)
}

fn told(size: Size) -> String {
    let Size { orders, products, customers } = size;
    format!("{orders} orders, {products} products, {customers} customers")
}

async fn does_not_fit(estimate: Estimate, folder: &Path, left: Duration) -> Step<Option<String>> {
    let free = space::free(folder).await?;
    if estimate.peak_bytes > free {
        let (needed, free) = (space::gibibytes(estimate.peak_bytes), space::gibibytes(free));
        return Ok(Some(format!("it would need {needed} on disk, and {free} are free")));
    }
    if estimate.time > left {
        let minutes = |time: Duration| time.as_secs().div_ceil(60);
        let (needed, left) = (minutes(estimate.time), minutes(left));
        return Ok(Some(format!("it would need {needed} minutes, and {left} are left (--max-minutes)")));
    }
    Ok(None)
}

async fn grow(server: &Server, config: &ShopConfig, size: Size) -> Step<Grown> {
    progress(&format!("{} ...", told(size)));
    let database = server.empty(&format!("growth_{}", size.orders)).await?;
    config.run(&database.url, "migrate").await?;
    let years = Years::until_now(size);
    let took = {
        let clients = [server.client_of(&database).await?, server.client_of(&database).await?];
        fill::fill([&clients[0], &clients[1]], years).await?
    };
    database.run("a checkpoint", "CHECKPOINT").await?;
    let bytes = database.number("asking for the size", "SELECT pg_database_size(current_database())").await?;
    let begun = Instant::now();
    // The ledger must add up.
    config.run(&database.url, "check-stock").await?;
    let check_stock_seconds = begun.elapsed().as_secs_f64();
    progress(&format!(
        "  {} in {:.0} s (rows) and {:.0} s (indexes): {:.0} orders a second; measuring ...",
        space::gibibytes(bytes.unsigned_abs()),
        took.rows.as_secs_f64(),
        took.indexes.as_secs_f64(),
        crate::load::float(size.orders) / (took.rows + took.indexes).as_secs_f64()
    ));
    let measures = measures::measure(config, &database, &years).await?;
    server.drop(database).await?;
    Ok(Grown {
        size,
        bytes: bytes.unsigned_abs(),
        rows_seconds: took.rows.as_secs_f64(),
        indexes_seconds: took.indexes.as_secs_f64(),
        check_stock_seconds,
        measures,
    })
}
