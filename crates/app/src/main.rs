//! The `app` binary.

use std::process::ExitCode;

use app::cli::Cli;
use app::run::{fail, run};
use app::system::background_threads;
use clap::Parser as _;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let command = Cli::parse().command();
    match Builder::new_multi_thread().worker_threads(background_threads()).enable_all().build() {
        Ok(runtime) => runtime.block_on(run(command)),
        Err(error) => fail(&error),
    }
}
