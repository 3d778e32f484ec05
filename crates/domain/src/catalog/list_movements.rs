//! Reading a product's ledger.

use crate::catalog::{CatalogService, MovementPosition, StockMovement};
use crate::id::ProductId;
use crate::page::{Page, PageLimit};
use crate::store::StoreError;

impl CatalogService {
    /// A page of a product's ledger, newest first; `None` if there is no such product. Archived ones have theirs.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn movements(
        &self,
        product_id: ProductId,
        after: Option<MovementPosition>,
        limit: PageLimit,
    ) -> Result<Option<Page<StockMovement, MovementPosition>>, StoreError> {
        self.products.movements(product_id, after, limit).await
    }
}
