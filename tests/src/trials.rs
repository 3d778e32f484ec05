//! How much is tried where inputs are random: short and always the same in `make test`, long and new each time in
//! `make test-long`.

use app::environment::Environment;
use app::system::SystemIds;
use domain::clock::Ids;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// `long` for the long run; anything else, or nothing, is the short one.
const TRIALS: &str = "TRIALS";

/// A seed to repeat a long run with; it is printed when one begins.
const TRIALS_SEED: &str = "TRIALS_SEED";

/// The short run's seed: its verdict is the same every time.
const FIXED_SEED: u64 = 20_260_101;

/// The longest time spent on making a failing input smaller, in milliseconds.
const MAX_SHRINK_MS: u32 = 60_000;

/// So many inputs to try: `short` in `make test`, `long` in `make test-long`.
#[must_use]
pub fn cases(short: u32, long: u32) -> u32 {
    if is_long(&Environment::of_process()) { long } else { short }
}

/// The seed of this run, for tests that throw their own dice; printed, so that a failed run can be repeated.
#[must_use]
#[expect(clippy::print_stderr, reason = "whoever repeats a run needs its seed")]
pub fn printed_seed() -> u64 {
    let seed = seed(&Environment::of_process());
    eprintln!("to repeat this run: {TRIALS_SEED}={seed}");
    seed
}

/// A runner of so many trials. What it finds is printed, small, and with its seed; nothing is written to files.
#[must_use]
pub fn runner(short: u32, long: u32) -> TestRunner {
    runner_of_share(0, short, long)
}

/// The same for one of several tests that share the work: each has a seed of its own.
#[must_use]
#[expect(clippy::print_stderr, reason = "whoever repeats a long run needs its seed")]
pub fn runner_of_share(share: u32, short: u32, long: u32) -> TestRunner {
    let environment = Environment::of_process();
    let seed = seed(&environment);
    if is_long(&environment) {
        eprintln!("to repeat this run: {TRIALS_SEED}={seed}");
    }
    TestRunner::new(Config {
        cases: cases(short, long),
        failure_persistence: None,
        max_shrink_time: MAX_SHRINK_MS,
        rng_seed: RngSeed::Fixed(seed.wrapping_add(share.into())),
        ..Config::default()
    })
}

fn is_long(environment: &Environment) -> bool {
    environment.get(TRIALS) == Some("long")
}

fn seed(environment: &Environment) -> u64 {
    let given = environment.get(TRIALS_SEED).and_then(|seed| seed.parse().ok());
    let fresh = || SystemIds.next().as_u64_pair().1;
    given.unwrap_or_else(|| if is_long(environment) { fresh() } else { FIXED_SEED })
}
