//! The `bench` binary: measures the shop from outside, through HTTP, `/proc` and SQL, against what PostgreSQL itself can
//! do of the same work in the same run. See `docs/PERFORMANCE.md`.

mod cpu;
mod error;
mod figures;
mod growth;
mod limit;
mod load;
mod plan;
mod postgres;
mod progress;
mod report;
mod run;
mod scenarios;
mod shop;
mod stock;
mod stripe;
mod targets;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use app::environment::Environment;
use clap::Parser;

use crate::error::{During as _, Step, StepFailed};
use crate::figures::Figures;
use crate::plan::{Kind, Plan};
use crate::progress::progress;

/// Measures the shop against what `PostgreSQL` itself can do. Needs a release build of the app beside it.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    command: Option<Measured>,
    /// A short form, below two minutes: one round, at 16 and 64 connections.
    #[arg(long)]
    quick: bool,
    /// Scenarios, separated by commas; all without it.
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Kind>,
    /// Numbers of connections, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: Vec<u16>,
    /// Where bench.md and bench.json are written.
    #[arg(long, default_value = ".data/bench")]
    out: PathBuf,
    /// Another build of the app, with which a single idle order is compared.
    #[arg(long)]
    baseline: Option<PathBuf>,
}

/// What is measured otherwise than by rounds beside the limit.
#[derive(Debug, clap::Subcommand)]
enum Measured {
    /// The same things in shops of 10 thousand, 1 million and 10 million orders.
    Growth(growth::GrowthArgs),
}

// One thread for the load generator and all else: what it costs is told apart by thread.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = tokio::select! {
        ended = async {
            match &cli.command {
                None => measure(&cli).await,
                Some(Measured::Growth(args)) => growth::run(args, app_beside()?, pg_bin()).await,
            }
        } => ended,
        // What was started is stopped when it is dropped.
        _ = tokio::signal::ctrl_c() => Err(StepFailed::new("measuring", "interrupted")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            progress(&format!("error: {failed}"));
            ExitCode::FAILURE
        }
    }
}

async fn measure(cli: &Cli) -> Step<()> {
    let plan = plan_of(cli);
    let cells = plan.cells().count();
    progress(&format!("{cells} cells, some {} s", plan.estimate().as_secs()));
    std::fs::create_dir_all(&cli.out).during(format!("making {}", cli.out.display()))?;
    let out = cli.out.canonicalize().during("resolving the folder for the results")?;
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&out).during("making a folder")?;
    let baseline = match &cli.baseline {
        Some(path) => Some(path.canonicalize().during(format!("finding {}", path.display()))?),
        None => None,
    };
    let mut bench = run::set_up(folder.path(), app_beside()?, (baseline, pg_bin())).await?;
    let figures = bench.run(&plan).await?;
    progress(&format!("the stand-in for Stripe answered {} requests", bench.stripe.answered()));
    bench.server.stop().await?;
    write(&out, &figures)?;
    match figures.failures.first() {
        None => Ok(()),
        Some(failure) => Err(StepFailed::new("measuring all cells", failure.clone())),
    }
}

fn plan_of(cli: &Cli) -> Plan {
    let kinds = if cli.only.is_empty() { Kind::ALL.to_vec() } else { cli.only.clone() };
    let mut connections: Vec<usize> = cli.connections.iter().copied().map(usize::from).collect();
    if connections.is_empty() {
        connections = if cli.quick { vec![16, 64] } else { vec![1, 16, 64, 256] };
    }
    // The limit at 64 is also that of more connections.
    connections.sort_unstable();
    Plan::new(kinds, connections, cli.quick)
}

/// Where PostgreSQL's programs are, if that is told.
fn pg_bin() -> Option<PathBuf> {
    Environment::of_process().get("PG_BIN").map(PathBuf::from)
}

/// The app that was built with this binary.
fn app_beside() -> Step<PathBuf> {
    let me = std::env::current_exe().during("finding the app")?;
    let app = me.with_file_name("app");
    if app.is_file() {
        return Ok(app);
    }
    let told = format!("{} is not there. To do: cargo build --release --package app", app.display());
    Err(StepFailed::new("finding the app", told))
}

#[expect(clippy::print_stdout, reason = "the report is this program's answer")]
fn write(out: &Path, figures: &Figures) -> Step<()> {
    let report = report::markdown(figures);
    let json = serde_json::to_string_pretty(figures).during("writing the figures")?;
    for (name, text) in [("bench.md", &report), ("bench.json", &json)] {
        let path = out.join(name);
        std::fs::write(&path, text).during(format!("writing {}", path.display()))?;
    }
    println!("{report}");
    Ok(())
}
