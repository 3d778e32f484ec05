//! Ids that look like Stripe's: a prefix that names the kind, then letters and digits.

use rand::Rng;
use rand::distr::Alphanumeric;

/// A new id, e.g. `pi_3Qm…`. 24 random characters: no two are ever alike.
pub(crate) fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", token(24))
}

/// A checkout session's id in test mode, as long as Stripe's own.
pub(crate) fn new_session_id() -> String {
    format!("cs_test_a1{}", token(56))
}

/// Random letters and digits.
#[expect(clippy::disallowed_methods, reason = "the simulator is a world of its own: this is where its ids come from")]
pub(crate) fn token(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}
