//! A token bucket per key, in bounded memory: what the global limit and the checkout guard count with.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use super::standing::Standing;

/// So many in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At least 1; 0 is taken as 1.
    pub count: u32,
    /// From a second to a day.
    pub period: Duration,
}

/// The most keys of one generation. Two generations of clients take about 10 MB.
const MAX_KEYS: usize = 1 << 16;

/// A bucket of `count` tokens per key, which refills evenly in `period` (GCRA).
pub(super) struct Buckets<K: Hash + Eq + Copy, C: Clock = SinceStart> {
    limit: NonZeroU32,
    limiter: RateLimiter<Visit<K>, Generations<K>, C, StateInformationMiddleware>,
}

/// Nothing is left in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Empty {
    /// Until there is a token again.
    pub(super) retry_in: Duration,
    pub(super) standing: Standing,
}

impl<K: Hash + Eq + Copy> Buckets<K> {
    pub(super) fn new(rate: Rate) -> Self {
        Self::with(rate, MAX_KEYS, SinceStart(Instant::now()))
    }
}

impl<K: Hash + Eq + Copy, C: Clock<Instant = Nanos>> Buckets<K, C> {
    fn with(rate: Rate, max_keys: usize, clock: C) -> Self {
        let limit = NonZeroU32::new(rate.count).unwrap_or(NonZeroU32::MIN);
        let interval = (rate.period / limit.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(interval).unwrap_or(Quota::per_second(limit)).allow_burst(limit);
        Self { limit, limiter: RateLimiter::new(quota, Generations::new(max_keys), clock) }
    }

    /// Takes a token out of the key's bucket.
    pub(super) fn take(&self, key: K) -> Result<Standing, Empty> {
        let visit = Visit { key, full_at: Cell::default() };
        let taken = self.limiter.check_key(&visit);
        let now = self.limiter.clock().now();
        let resets_in = Duration::from(visit.full_at.get().saturating_sub(now));
        let standing = |remaining| Standing { limit: self.limit.get(), remaining, resets_in };
        match taken {
            Ok(state) => Ok(standing(state.remaining_burst_capacity())),
            Err(refused) => Err(Empty { retry_in: refused.wait_time_from(now), standing: standing(0) }),
        }
    }
}

/// The time since the limiter was made. It is monotonic: nobody gains by a wall clock that jumps.
#[derive(Debug, Clone, Copy)]
pub(super) struct SinceStart(Instant);

impl Clock for SinceStart {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

/// A key, and when its bucket is full again, which the limiter itself does not tell.
#[derive(Clone)]
struct Visit<K> {
    key: K,
    full_at: Cell<Nanos>,
}

// What the limiter asks of keys; the store looks at the key alone.
impl<K: Hash> Hash for Visit<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<K: PartialEq> PartialEq for Visit<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Eq> Eq for Visit<K> {}

/// What was seen of each key lately, in two generations of at most `max_keys` each. When the young one is full the
/// old one is forgotten: those who have stayed away while `max_keys` others came. So a flood of addresses costs no
/// more memory than this, and whoever keeps coming is never forgotten.
struct Generations<K> {
    max_keys: usize,
    seen: Mutex<[HashMap<K, Nanos>; 2]>,
}

impl<K: Hash + Eq + Copy> Generations<K> {
    fn new(max_keys: usize) -> Self {
        Self { max_keys, seen: Mutex::new([HashMap::new(), HashMap::new()]) }
    }
}

impl<K: Hash + Eq + Copy> StateStore for Generations<K> {
    type Key = Visit<K>;

    fn measure_and_replace<T, F, E>(&self, visit: &Visit<K>, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // A panic in between can leave no map half-changed.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *seen;
        let before = young.get(&visit.key).or_else(|| old.get(&visit.key)).copied();
        let decided = decide(before);
        let after = decided.as_ref().ok().map(|(_, after)| *after).or(before).unwrap_or_default();
        visit.full_at.set(after);
        if young.len() >= self.max_keys && !young.contains_key(&visit.key) {
            *old = std::mem::take(young);
        }
        young.insert(visit.key, after);
        decided.map(|(taken, _)| taken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{IpAddr, Ipv6Addr};

    use domain::account::ClientNetwork;
    use governor::clock::FakeRelativeClock;

    use super::*;

    const A_TENTH: Rate = Rate { count: 10, period: Duration::from_secs(100) };

    fn buckets(max_keys: usize) -> (Buckets<u32, FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Buckets::with(A_TENTH, max_keys, clock.clone()), clock)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_bucket_lets_its_count_through_and_says_how_it_stands() {
        let (buckets, _) = buckets(8);
        for taken in 1..=10 {
            let standing = buckets.take(1).unwrap();
            assert_eq!(standing, Standing { limit: 10, remaining: 10 - taken, resets_in: seconds(10) * taken });
        }
        let empty = buckets.take(1).unwrap_err();
        let standing = Standing { limit: 10, remaining: 0, resets_in: seconds(100) };
        assert_eq!(empty, Empty { retry_in: seconds(10), standing });
        assert_eq!(buckets.take(2).unwrap().remaining, 9, "another's bucket is untouched");
    }

    #[test]
    fn who_waits_as_long_as_told_is_let_through_and_who_comes_earlier_is_not() {
        let (buckets, clock) = buckets(8);
        while buckets.take(1).is_ok() {}
        clock.advance(seconds(4));
        assert_eq!(buckets.take(1).unwrap_err().retry_in, seconds(6));
        clock.advance(seconds(5));
        assert_eq!(buckets.take(1).unwrap_err().retry_in, seconds(1), "a refused try costs nothing");
        clock.advance(seconds(1));
        assert_eq!(buckets.take(1).unwrap().remaining, 0);
        clock.advance(seconds(100));
        assert_eq!(buckets.take(1).unwrap().remaining, 9, "after the whole period the whole limit is there");
    }

    #[test]
    fn who_keeps_coming_is_remembered_through_any_number_of_others() {
        let (buckets, _) = buckets(100);
        while buckets.take(0).is_ok() {}
        for other in 1..10_000 {
            let _ = buckets.take(other);
            if other % 50 == 0 {
                assert!(buckets.take(0).is_err(), "forgotten after {other} others");
            }
        }
    }

    /// Resident memory of this process in bytes: each test runs in a process of its own.
    fn resident_bytes() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    #[test]
    fn a_million_addresses_take_no_more_memory_than_the_bound() {
        let buckets = Buckets::<ClientNetwork>::new(A_TENTH);
        let visit = |number: u32| {
            let [a, b, c, d] = number.to_be_bytes();
            let high = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
            let address = Ipv6Addr::new(0x2001, 0xdb8, high[0], high[1], 0, 0, 0, 1);
            let _ = buckets.take(ClientNetwork::of(IpAddr::V6(address)));
        };
        let empty = resident_bytes();
        (0..300_000).for_each(visit);
        let full = resident_bytes();
        (300_000..1_300_000).for_each(visit);
        let after = resident_bytes();
        let grown = |from: usize, to: usize| to.saturating_sub(from) / 1024;
        println!(
            "memory: {} KiB after 300,000 addresses, {} KiB more after a further million",
            grown(empty, full),
            grown(full, after)
        );
        assert!(grown(empty, full) < 24 * 1024 && grown(full, after) < 4 * 1024);
        let kept: usize = buckets.limiter.into_state_store().seen.into_inner().unwrap().iter().map(HashMap::len).sum();
        assert!(kept <= 2 * MAX_KEYS, "{kept}");
    }
}
