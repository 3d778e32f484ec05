//! The `app` binary.

use std::process::ExitCode;

use app::cli::Cli;
use app::run::{fail, run};
use app::system::half_the_processors;
use clap::Parser as _;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let command = Cli::parse().command();
    // The other half is for HTTP: twice as many threads as processors only take them from each other.
    match Builder::new_multi_thread().worker_threads(half_the_processors()).enable_all().build() {
        Ok(runtime) => runtime.block_on(run(command)),
        Err(error) => fail(&error),
    }
}
