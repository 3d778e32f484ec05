//! Looking at one product.

use crate::catalog::{CatalogService, Product};
use crate::id::ProductId;
use crate::store::StoreError;

impl CatalogService {
    /// One product. Archived ones are there for admins only.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find(&self, id: ProductId, sees_archived: bool) -> Result<Option<Product>, StoreError> {
        let product = self.products.find(id).await?;
        Ok(product.filter(|product| product.is_live() || sees_archived))
    }
}
