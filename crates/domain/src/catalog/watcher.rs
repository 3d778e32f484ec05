//! Who keeps products in memory must hear when they are no longer as they were.

use crate::id::ProductId;

/// Hears of what has been committed, and forgets what it keeps of it. Called often and from anywhere, so an
/// implementation MUST NOT wait.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
pub trait CatalogWatcher: Send + Sync {
    /// A product was created, edited, adjusted or archived: any list may now show others, in another order.
    fn changed(&self, product: ProductId);

    /// Orders took stock of these products, or gave it back. All else about them is as it was.
    fn stock_moved(&self, products: &[ProductId]);

    /// There may have been changes that nobody told of: nothing that is kept is to be relied upon.
    fn missed_some(&self);
}

/// For where no products are kept in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl CatalogWatcher for Unwatched {
    fn changed(&self, _: ProductId) {}

    fn stock_moved(&self, _: &[ProductId]) {}

    fn missed_some(&self) {}
}
