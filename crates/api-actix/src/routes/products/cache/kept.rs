//! Answers by key, bounded in number, bytes and age; the oldest go first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use super::{MAX_AGE, Written};

/// What an entry takes beside its body and its ids: its key, twice, its tag, and the map's own.
const ENTRY_BYTES: usize = 512;

/// How much may be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// What is kept.
pub(super) struct Kept<K> {
    bounds: Bounds,
    entries: HashMap<K, Entry>,
    /// Keys and when they were asked for, as they came in. What was dropped meanwhile stays here until its turn.
    oldest_first: VecDeque<(K, Instant)>,
    bytes: usize,
}

struct Entry {
    asked_at: Instant,
    written: Arc<Written>,
}

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.written.bytes()
    }

    fn is_fresh(&self) -> bool {
        self.asked_at.elapsed() < MAX_AGE
    }
}

impl<K: Clone + Eq + Hash> Kept<K> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: HashMap::new(), oldest_first: VecDeque::new(), bytes: 0 }
    }

    /// What is kept under the key, if it is young enough.
    pub(super) fn get(&self, key: &K) -> Option<Arc<Written>> {
        self.entries.get(key).filter(|entry| entry.is_fresh()).map(|entry| Arc::clone(&entry.written))
    }

    /// Keeps what was asked for at that time, and drops what there is no room for.
    pub(super) fn keep(&mut self, key: &K, asked_at: Instant, written: Arc<Written>) {
        self.drop_key(key);
        let entry = Entry { asked_at, written };
        self.bytes += entry.bytes();
        self.entries.insert(key.clone(), entry);
        self.oldest_first.push_back((key.clone(), asked_at));
        self.make_room();
    }

    fn make_room(&mut self) {
        while let Some((key, asked_at)) = self.oldest_first.front() {
            let is_full = self.entries.len() > self.bounds.entries || self.bytes > self.bounds.bytes;
            // As many records again may be of entries that are gone: a key that is dropped and filled all the time
            // leaves one each time.
            let is_long = self.oldest_first.len() > 2 * self.bounds.entries;
            if !is_full && !is_long && asked_at.elapsed() < MAX_AGE {
                return;
            }
            if self.entries.get(key).is_some_and(|entry| entry.asked_at == *asked_at)
                && let Some(entry) = self.entries.remove(key)
            {
                self.bytes -= entry.bytes();
            }
            self.oldest_first.pop_front();
        }
    }

    pub(super) fn drop_key(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes();
        }
    }

    pub(super) fn drop_those(&mut self, has_to_go: impl Fn(&Written) -> bool) {
        let bytes = &mut self.bytes;
        self.entries.retain(|_, entry| {
            let goes = has_to_go(&entry.written);
            if goes {
                *bytes -= entry.bytes();
            }
            !goes
        });
    }

    pub(super) fn drop_all(&mut self) {
        self.entries.clear();
        self.oldest_first.clear();
        self.bytes = 0;
    }

    /// How many entries and records there are, and how many bytes they take.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, usize) {
        (self.entries.len(), self.oldest_first.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn of_bytes(bytes: usize) -> Arc<Written> {
        Arc::new(Written::new(vec![b'x'; bytes], None, Vec::new()))
    }

    #[test]
    fn the_oldest_make_room_for_the_newest() {
        let mut kept = Kept::new(Bounds { entries: 3, bytes: 1 << 20 });
        for key in 1..=5 {
            kept.keep(&key, Instant::now(), of_bytes(10));
        }
        let found: Vec<bool> = (1..=5).map(|key| kept.get(&key).is_some()).collect();
        assert_eq!(found, [false, false, true, true, true]);
    }

    #[test]
    fn long_bodies_are_bounded_by_their_bytes_and_one_too_long_is_not_kept() {
        let mut kept = Kept::new(Bounds { entries: 1000, bytes: 100_000 });
        for key in 0..1000 {
            kept.keep(&key, Instant::now(), of_bytes(9_000));
            assert!(kept.size().2 <= 100_000);
        }
        assert_eq!(kept.size().0, 10);
        kept.keep(&1000, Instant::now(), of_bytes(100_001));
        assert!(kept.get(&1000).is_none());
        assert_eq!(kept.size(), (0, 0, 0));
    }

    #[test]
    fn a_key_that_is_dropped_and_filled_all_the_time_leaves_no_heap_of_records() {
        let mut kept = Kept::new(Bounds { entries: 8, bytes: 1 << 20 });
        for _ in 0..1000 {
            kept.keep(&1, Instant::now(), of_bytes(1));
            kept.drop_key(&1);
        }
        assert!(kept.size().1 <= 16);
        kept.keep(&1, Instant::now(), of_bytes(1));
        kept.drop_those(|_| true);
        assert_eq!((kept.size().0, kept.size().2), (0, 0));
    }

    #[test]
    fn nothing_is_shown_that_was_asked_for_a_second_ago_and_it_goes_with_the_next_that_comes() {
        let mut kept = Kept::new(Bounds { entries: 8, bytes: 1 << 20 });
        let ago = |age| Instant::now().checked_sub(age).unwrap();
        kept.keep(&1, ago(MAX_AGE / 2), of_bytes(1));
        kept.keep(&2, ago(MAX_AGE), of_bytes(1));
        assert!(kept.get(&1).is_some() && kept.get(&2).is_none());
        let mut kept = Kept::new(Bounds { entries: 8, bytes: 1 << 20 });
        kept.keep(&2, ago(MAX_AGE), of_bytes(1));
        kept.keep(&3, Instant::now(), of_bytes(1));
        assert_eq!(kept.size().0, 1);
    }
}
