//! Products and the stock ledger.

mod ledger;
mod list;
mod listen;
mod rows;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::catalog::{
    AdjustStock, AdjustStockError, ArchiveProduct, ArchiveProductError, CatalogWatcher, CreateProduct,
    CreateProductError, EditProduct, EditProductError, MovementPosition, Product, ProductFilter, ProductOrder,
    ProductRepository, StockCheck, StockMovement, Unwatched,
};
use domain::id::ProductId;
use domain::money::Currency;
use domain::page::{Page, PageLimit};
use domain::store::StoreError;

pub use self::listen::CatalogListener;
pub(crate) use self::rows::ProductRow;
use crate::error::store_error;
use crate::pool::PgPool;
use crate::schema::products;

/// Products and the stock ledger on PostgreSQL.
#[derive(Clone)]
pub struct PgProducts {
    pool: PgPool,
    currency: Currency,
    watcher: Arc<dyn CatalogWatcher>,
}

impl PgProducts {
    /// Prices are kept in minor units of the shop's one currency.
    #[must_use]
    pub fn new(pool: PgPool, currency: Currency) -> Self {
        Self { pool, currency, watcher: Arc::new(Unwatched) }
    }

    /// The same, and `watcher` hears of every change before the one who asked for it does.
    #[must_use]
    pub fn watched_by(self, watcher: Arc<dyn CatalogWatcher>) -> Self {
        Self { watcher, ..self }
    }

    /// Tells of a change, however it ended: when an answer of the database is lost, it may have been committed.
    fn told<T>(&self, product: ProductId, outcome: T) -> T {
        self.watcher.changed(product);
        outcome
    }
}

#[async_trait]
impl ProductRepository for PgProducts {
    #[tracing::instrument(name = "ProductRepository.list", level = "debug", skip_all)]
    async fn list(
        &self,
        filter: &ProductFilter,
        order: &ProductOrder,
        limit: PageLimit,
    ) -> Result<Page<Product, ProductOrder>, StoreError> {
        let mut connection = self.pool.get().await?;
        let rows = list::page(&mut connection, filter, order, limit).await.map_err(store_error)?;
        let products = rows
            .into_iter()
            .map(|row| row.into_product(self.currency))
            .collect::<QueryResult<Vec<_>>>()
            .map_err(store_error)?;
        Ok(Page::from_overfetched(products, limit, |last| order.after(last)))
    }

    #[tracing::instrument(name = "ProductRepository.find", level = "debug", skip_all)]
    async fn find(&self, id: ProductId) -> Result<Option<Product>, StoreError> {
        let mut connection = self.pool.get().await?;
        let row = products::table
            .find(id.uuid())
            .select(ProductRow::as_select())
            .get_result(&mut connection)
            .await
            .optional()
            .map_err(store_error)?;
        row.map(|row| row.into_product(self.currency)).transpose().map_err(store_error)
    }

    #[tracing::instrument(name = "ProductRepository.create", level = "debug", skip_all)]
    async fn create(&self, command: &CreateProduct) -> Result<Product, CreateProductError> {
        let created = self.pool.transaction(async |connection| write::create(connection, command).await).await;
        self.told(command.id, created)
    }

    #[tracing::instrument(name = "ProductRepository.edit", level = "debug", skip_all)]
    async fn edit(&self, command: &EditProduct) -> Result<Product, EditProductError> {
        let edit = self.pool.transaction(async |connection| write::edit(connection, command, self.currency).await);
        self.told(command.id, edit.await)
    }

    #[tracing::instrument(name = "ProductRepository.archive", level = "debug", skip_all)]
    async fn archive(&self, command: &ArchiveProduct) -> Result<(), ArchiveProductError> {
        let archived = self.pool.transaction(async |connection| write::archive(connection, command).await).await;
        self.told(command.id, archived)
    }

    #[tracing::instrument(name = "ProductRepository.adjust_stock", level = "debug", skip_all)]
    async fn adjust_stock(&self, command: &AdjustStock) -> Result<StockMovement, AdjustStockError> {
        let adjust =
            self.pool.transaction(async |connection| write::adjust_stock(connection, command, self.currency).await);
        self.told(command.product_id, adjust.await)
    }

    #[tracing::instrument(name = "ProductRepository.movements", level = "debug", skip_all)]
    async fn movements(
        &self,
        product_id: ProductId,
        after: Option<MovementPosition>,
        limit: PageLimit,
    ) -> Result<Option<Page<StockMovement, MovementPosition>>, StoreError> {
        let mut connection = self.pool.get().await?;
        ledger::page(&mut connection, product_id, after, limit).await.map_err(store_error)
    }

    #[tracing::instrument(name = "ProductRepository.check_stock", level = "debug", skip_all)]
    async fn check_stock(&self, after: Option<ProductId>, limit: u32) -> Result<StockCheck, StoreError> {
        self.pool.transaction(async |connection| Ok(ledger::check(connection, after, limit).await?)).await
    }

    #[tracing::instrument(name = "ProductRepository.count", level = "debug", skip_all)]
    async fn count(&self) -> Result<u64, StoreError> {
        let mut connection = self.pool.get().await?;
        ledger::count_products(&mut connection).await.map_err(store_error)
    }
}
