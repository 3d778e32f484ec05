//! A model of the shop (contract 3 and 4): random sequences of commands, events, expiries, crashes and repeats run
//! against the real adapters on PostgreSQL and against a small model in memory, which must agree on every answer and on
//! everything that can be seen after each step.
//!
//! [`steps`] says what can happen, [`books`] and [`ledger`] are the model, [`provider`] is the payment provider,
//! [`bench`] the real shop, [`trial`] runs them side by side.

mod bench;
mod books;
mod ledger;
mod provider;
mod steps;
mod trial;

use std::cell::Cell;
use std::time::Instant;

use ironcart_tests::database::Database;
use ironcart_tests::shop::Plan;
use ironcart_tests::{invariants, trials};
use proptest::test_runner::{TestCaseError, TestError};

use self::steps::{Sequence, sequences};

/// How many sequences are tried, by so many tests that run side by side, each with a seed and a database of its own.
const SHORT: u32 = 200;
const LONG: u32 = 2_000;
const SHARES: u32 = 4;

/// Strategies and futures of a debug build are large; the stack of a test's thread is not.
const STACK_BYTES: usize = 64 * 1024 * 1024;

#[test]
fn the_shop_and_its_model_agree_whatever_happens() {
    agree(0);
}

#[test]
fn the_shop_and_its_model_agree_whatever_else_happens() {
    agree(1);
}

#[test]
fn the_shop_and_its_model_agree_on_a_bad_day() {
    agree(2);
}

#[test]
fn the_shop_and_its_model_agree_on_a_worse_day() {
    agree(3);
}

fn agree(share: u32) {
    let trial = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || try_sequences(share)).unwrap();
    if let Err(panic) = trial.join() {
        std::panic::resume_unwind(panic);
    }
}

fn try_sequences(share: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(Database::migrated());
    let (begin, tried, steps) = (Instant::now(), Cell::new(0_u32), Cell::new(0_usize));
    let mut runner = trials::runner_of_share(share, SHORT / SHARES, LONG / SHARES);
    let outcome = runner.run(&sequences(), |sequence: Sequence| {
        tried.set(tried.get() + 1);
        steps.set(steps.get() + sequence.0.len());
        runtime.block_on(Box::pin(trial::run(&database, &sequence))).map_err(TestCaseError::fail)
    });
    eprintln!("{} sequences, {} steps, {:?}", tried.get(), steps.get(), begin.elapsed());
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, sequence)) => panic!("{reason}\nThe shortest sequence found:{sequence:?}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    let plan = Plan { orders: bench::policy(), ..Plan::default() };
    runtime.block_on(invariants::hold_at_any_moment(&database, &plan));
}
