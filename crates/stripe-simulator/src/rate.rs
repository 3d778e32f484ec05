//! The API's rate limit, for tests of callers that must keep below it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(1);

/// At most so many calls in any second of real time.
#[derive(Debug, Default)]
pub(crate) struct RateLimit {
    per_second: Option<u32>,
    recent: VecDeque<Instant>,
}

impl RateLimit {
    pub(crate) fn new(per_second: Option<u32>) -> Self {
        Self { per_second, recent: VecDeque::new() }
    }

    /// Counts a call; `false` if it is one too many, which is not counted.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        let Some(limit) = self.per_second else { return true };
        while self.recent.front().is_some_and(|earlier| now.saturating_duration_since(*earlier) >= WINDOW) {
            self.recent.pop_front();
        }
        let has_room = self.recent.len() < usize::try_from(limit).unwrap_or(usize::MAX);
        if has_room {
            self.recent.push_back(now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_holds_more_calls_than_the_limit() {
        let mut rate = RateLimit::new(Some(2));
        let start = Instant::now();
        let admitted: Vec<bool> =
            [0, 100, 200, 999, 1_000, 1_050, 1_100].map(|ms| rate.admits(start + Duration::from_millis(ms))).to_vec();
        assert_eq!(admitted, [true, true, false, false, true, false, true]);
    }

    #[test]
    fn without_a_limit_every_call_is_admitted() {
        let mut rate = RateLimit::default();
        assert!((0..1_000).all(|_| rate.admits(Instant::now())));
    }
}
