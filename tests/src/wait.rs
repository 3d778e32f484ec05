//! Waiting for what happens by itself: asked again and again until a deadline, never a fixed sleep.

#![allow(clippy::panic, reason = "what fails here fails the test")]

use std::time::{Duration, Instant};

/// How long anything may take that is said to happen soon. Far more than it takes: only failures wait so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(10);

/// Asks until there is an answer.
///
/// # Panics
///
/// When [`PATIENCE`] is over.
pub async fn until_some<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks until it is so.
///
/// # Panics
///
/// When [`PATIENCE`] is over.
pub async fn until(what: &str, ask: impl AsyncFn() -> bool) {
    until_some(what, async || ask().await.then_some(())).await;
}
