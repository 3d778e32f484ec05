//! Taking a product off sale for good: orders keep it, carts drop it when next read, its name becomes free.

use crate::catalog::CatalogService;
use crate::clock::Timestamp;
use crate::id::ProductId;
use crate::store::StoreError;

/// The wish to take a product off sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveProduct {
    /// Which.
    pub id: ProductId,
    /// When.
    pub at: Timestamp,
}

/// Why a product was not archived.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveProductError {
    /// There is no such product, or it is archived already.
    #[error("there is no such product")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CatalogService {
    /// Takes a product off sale.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn archive(&self, id: ProductId) -> Result<(), ArchiveProductError> {
        self.products.archive(&ArchiveProduct { id, at: self.clock.now() }).await
    }
}
