//! The `app` binary.

use std::process::ExitCode;

use app::cli::Cli;
use app::run::run;
use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    run(Cli::parse().command()).await
}
