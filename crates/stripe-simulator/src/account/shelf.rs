//! Objects by id in the order of their making, with a bound: the oldest is forgotten when there are too many.

use std::collections::{BTreeMap, HashMap};

/// Most objects kept of one kind.
pub(crate) const SHELF_CAPACITY: usize = 50_000;

#[derive(Debug)]
pub(crate) struct Shelf<T> {
    by_age: BTreeMap<u64, T>,
    ages: HashMap<String, u64>,
    next_age: u64,
    capacity: usize,
}

/// What can be kept on a shelf.
pub(crate) trait Shelved {
    fn id(&self) -> &str;
    /// Seconds since the Unix epoch by the simulator's clock.
    fn created(&self) -> i64;
}

impl<T: Shelved> Shelf<T> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { by_age: BTreeMap::new(), ages: HashMap::new(), next_age: 0, capacity }
    }

    pub(crate) fn add(&mut self, object: T) {
        self.ages.insert(object.id().to_owned(), self.next_age);
        self.by_age.insert(self.next_age, object);
        self.next_age += 1;
        if self.by_age.len() > self.capacity
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.ages.remove(oldest.id());
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.by_age.get(self.ages.get(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.by_age.get_mut(self.ages.get(id)?)
    }

    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &T> {
        self.by_age.values().rev()
    }

    pub(crate) fn oldest_first(&self) -> impl Iterator<Item = &T> {
        self.by_age.values()
    }
}

impl<T: Shelved> Default for Shelf<T> {
    fn default() -> Self {
        Self::with_capacity(SHELF_CAPACITY)
    }
}
