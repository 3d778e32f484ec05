//! Products and lists as they were sent a moment ago, so that most reads ask no database. Only what everybody may see
//! is kept; admins' reads and all writes, orders above all, go to the database.
//!
//! How it stays right: whatever changes a product tells [`CatalogWatcher`], which forgets what showed it. What nobody
//! tells of (sales on other instances, memberships of `inStock` lists that a sale elsewhere changed, a lost
//! announcement) is bounded by age: nothing is shown for longer than [`MAX_AGE`] after its question began. The rest is
//! in [`shelf`].

mod kept;
mod news;
mod shelf;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use actix_web::web::Bytes;
use domain::catalog::{CatalogWatcher, ProductTag};
use domain::id::ProductId;
use domain::store::StoreError;
use metrics::Counter;

use self::kept::Bounds;
use self::shelf::{Outcome, Shelf};
use super::requests::ProductQuery;

/// How old an answer may be, from the beginning of its question.
pub(super) const MAX_AGE: Duration = Duration::from_secs(1);

/// Single products. A body of a usual product has about 500 bytes, so the bytes bound it where descriptions are long.
const PRODUCTS: Bounds = Bounds { entries: 10_000, bytes: 8 * 1024 * 1024 };

/// Lists: some dozens are asked for by everybody, the others by one visitor each. A list of 20 has about 10 KB.
const LISTS: Bounds = Bounds { entries: 1024, bytes: 8 * 1024 * 1024 };

/// A body as it is sent.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) body: Bytes,
    /// Only single products have one.
    pub(super) tag: Option<WrittenTag>,
    /// The products that are in it, by id.
    shows: Box<[ProductId]>,
}

/// A tag, and how it is written.
#[derive(Debug, Clone)]
pub(super) struct WrittenTag {
    pub(super) tag: ProductTag,
    pub(super) header: HeaderValue,
}

impl Written {
    pub(super) fn new(body: Vec<u8>, tag: Option<WrittenTag>, mut shows: Vec<ProductId>) -> Self {
        shows.sort_unstable();
        Self { body: body.into(), tag, shows: shows.into() }
    }

    fn shows(&self, product: ProductId) -> bool {
        self.shows.binary_search(&product).is_ok()
    }

    fn bytes(&self) -> usize {
        self.body.len() + size_of_val(&*self.shows)
    }
}

/// What one instance keeps of the catalogue, for all its workers.
pub struct ProductCache {
    products: Shelf<ProductId>,
    lists: Shelf<ProductQuery>,
    counters: OnceLock<Counters>,
}

impl Default for ProductCache {
    /// One that keeps nothing yet.
    fn default() -> Self {
        Self { products: Shelf::new(PRODUCTS), lists: Shelf::new(LISTS), counters: OnceLock::new() }
    }
}

impl ProductCache {
    /// One product, from memory or by `ask`.
    pub(super) async fn product<F>(
        &self,
        id: ProductId,
        ask: impl Fn() -> F,
    ) -> Result<Option<Arc<Written>>, StoreError>
    where
        F: Future<Output = Result<Option<Written>, StoreError>>,
    {
        self.products.get(&id, ask, |outcome| self.count(outcome)).await
    }

    /// One page of a list, from memory or by `ask`.
    pub(super) async fn list<F>(
        &self,
        query: &ProductQuery,
        ask: impl Fn() -> F,
    ) -> Result<Option<Arc<Written>>, StoreError>
    where
        F: Future<Output = Result<Option<Written>, StoreError>>,
    {
        self.lists.get(query, ask, |outcome| self.count(outcome)).await
    }

    /// The counters are taken up with the first read, when whoever counts in this process has long begun.
    fn count(&self, outcome: Outcome) {
        let counters = self.counters.get_or_init(Counters::new);
        let counter = match outcome {
            Outcome::Hit => &counters.hits,
            Outcome::Shared => &counters.shared,
            Outcome::Miss => &counters.misses,
            Outcome::Discarded => &counters.discarded,
        };
        counter.increment(1);
    }
}

impl CatalogWatcher for ProductCache {
    fn changed(&self, product: ProductId) {
        self.products.forget(product, |kept| kept.drop_key(&product));
        self.lists.forget_all();
    }

    /// Lists that show the product go. Those that should show it from now on, because it is back in stock, come by age.
    fn stock_moved(&self, products: &[ProductId]) {
        for &product in products {
            self.products.forget(product, |kept| kept.drop_key(&product));
            self.lists.forget(product, |kept| kept.drop_those(|written| written.shows(product)));
        }
    }

    fn missed_some(&self) {
        self.products.forget_all();
        self.lists.forget_all();
    }
}

struct Counters {
    hits: Counter,
    shared: Counter,
    misses: Counter,
    discarded: Counter,
}

impl Counters {
    fn new() -> Self {
        let of = |outcome: &'static str| metrics::counter!("ironcart_product_reads_total", "outcome" => outcome);
        Self { hits: of("hit"), shared: of("shared"), misses: of("miss"), discarded: of("discarded") }
    }
}
