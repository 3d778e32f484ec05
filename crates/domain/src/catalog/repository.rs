//! Where products and the stock ledger are kept.

use async_trait::async_trait;

use crate::catalog::{
    AdjustStock, AdjustStockError, ArchiveProduct, ArchiveProductError, CreateProduct, CreateProductError, EditProduct,
    EditProductError, MovementPosition, Product, ProductFilter, ProductOrder, StockMovement,
};
use crate::id::ProductId;
use crate::page::{Page, PageLimit};
use crate::store::StoreError;

/// Where products are kept, together with the ledger of their stock.
///
/// An implementation MUST decide on a product while it holds the product's lock, MUST write a stock and its
/// movement in one transaction, so that the sum of a product's deltas is its stock at every moment, and MUST
/// refuse a name that another live product has when folded.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait ProductRepository: Send + Sync {
    /// A page of the live products. MUST neither repeat nor skip a product while others are inserted.
    async fn list(
        &self,
        filter: &ProductFilter,
        order: &ProductOrder,
        limit: PageLimit,
    ) -> Result<Page<Product, ProductOrder>, StoreError>;

    /// One product, archived or not.
    async fn find(&self, id: ProductId) -> Result<Option<Product>, StoreError>;

    /// Stores a new product and the first entry of its ledger.
    async fn create(&self, command: &CreateProduct) -> Result<Product, CreateProductError>;

    /// Changes a product. Of several edits that expect the same version, MUST accept exactly one.
    async fn edit(&self, command: &EditProduct) -> Result<Product, EditProductError>;

    /// Archives a live product; its name is free from then on.
    async fn archive(&self, command: &ArchiveProduct) -> Result<(), ArchiveProductError>;

    /// Moves a stock.
    async fn adjust_stock(&self, command: &AdjustStock) -> Result<StockMovement, AdjustStockError>;

    /// A page of a product's ledger, newest first; `None` if there is no such product.
    async fn movements(
        &self,
        product_id: ProductId,
        after: Option<MovementPosition>,
        limit: PageLimit,
    ) -> Result<Option<Page<StockMovement, MovementPosition>>, StoreError>;

    /// Compares the stock of up to `limit` products, in the order of their ids and after this one, with the ledger: the
    /// sum of each product's movements and what the last of them says. MUST see each product at one moment; sales may go
    /// on meanwhile.
    async fn check_stock(&self, after: Option<ProductId>, limit: u32) -> Result<StockCheck, StoreError>;

    /// How many products there are, archived ones included.
    async fn count(&self) -> Result<u64, StoreError>;
}

/// What a look at some products' stock found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StockCheck {
    /// How many were looked at.
    pub checked: u64,
    /// The last of them; `None` if there was none.
    pub last: Option<ProductId>,
    /// Those whose stock is not what the ledger says.
    pub drifted: Vec<ProductId>,
}
