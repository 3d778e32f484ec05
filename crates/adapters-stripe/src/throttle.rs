//! Keeps requests under Stripe's limits: so many at once, so many in a second. A sweep that closes a thousand
//! sessions is spread over time instead of being answered 429.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout_at};

/// No turn came before the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many calls to the provider are under way")]
pub(crate) struct TooBusy;

/// Gives turns, in the order in which they are asked for.
pub(crate) struct Throttle {
    places: Semaphore,
    spacing: Option<Spacing>,
}

/// Turns are evenly spaced, without bursts: then no second ever holds more than the limit.
struct Spacing {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Throttle {
    pub(crate) fn new(max_concurrent: usize, per_second: Option<u32>) -> Self {
        let spacing = per_second
            .map(|count| Spacing { interval: Duration::from_secs(1) / count.max(1), next: Mutex::new(Instant::now()) });
        Self { places: Semaphore::new(max_concurrent), spacing }
    }

    /// Waits for a turn; the place is free again when the permit is dropped.
    pub(crate) async fn turn(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, TooBusy> {
        let place = timeout_at(deadline, self.places.acquire()).await.map_err(|_| TooBusy)?.map_err(|_| TooBusy)?;
        if let Some(spacing) = &self.spacing {
            sleep_until(spacing.reserve(deadline)?).await;
        }
        Ok(place)
    }
}

impl Spacing {
    /// The next free moment, unless it comes too late to be of use.
    fn reserve(&self, deadline: Instant) -> Result<Instant, TooBusy> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(Instant::now());
        if turn >= deadline {
            return Err(TooBusy);
        }
        *next = turn + self.interval;
        Ok(turn)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn in_seconds(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_evenly_spaced() {
        let throttle = Throttle::new(1, Some(20));
        let start = Instant::now();
        for _ in 0..21 {
            drop(throttle.turn(in_seconds(10)).await.unwrap());
        }
        let taken = start.elapsed();
        assert!(taken >= Duration::from_secs(1) && taken < Duration::from_millis(1_100), "{taken:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_time_is_not_saved_up() {
        let throttle = Throttle::new(8, Some(10));
        drop(throttle.turn(in_seconds(10)).await.unwrap());
        tokio::time::sleep(Duration::from_mins(1)).await;
        let start = Instant::now();
        for _ in 0..11 {
            drop(throttle.turn(in_seconds(10)).await.unwrap());
        }
        assert!(start.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_be_too_late_is_told_at_once_and_takes_no_turn() {
        let throttle = Throttle::new(8, Some(1));
        drop(throttle.turn(in_seconds(10)).await.unwrap());
        let start = Instant::now();
        let tomorrow = start + Duration::from_millis(500);
        assert_eq!(throttle.turn(tomorrow).await.err(), Some(TooBusy));
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(throttle.turn(in_seconds(10)).await.unwrap());
        assert!(start.elapsed() <= Duration::from_millis(1_010), "the refused one left its turn to this one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_house_is_waited_for_until_the_deadline() {
        let throttle = Throttle::new(1, None);
        let place = throttle.turn(in_seconds(1)).await.unwrap();
        assert_eq!(throttle.turn(in_seconds(1)).await.err(), Some(TooBusy));
        drop(place);
        assert!(throttle.turn(in_seconds(1)).await.is_ok());
    }
}
