//! Products and the stock ledger.

mod ledger;
mod list;
mod rows;
mod write;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::catalog::{
    AdjustStock, AdjustStockError, ArchiveProduct, ArchiveProductError, CreateProduct, CreateProductError, EditProduct,
    EditProductError, MovementPosition, Product, ProductFilter, ProductOrder, ProductRepository, StockMovement,
};
use domain::id::ProductId;
use domain::money::Currency;
use domain::page::{Page, PageLimit};
use domain::store::StoreError;

pub(crate) use self::rows::ProductRow;
use crate::error::store_error;
use crate::pool::PgPool;
use crate::schema::products;

/// Products and the stock ledger on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgProducts {
    pool: PgPool,
    currency: Currency,
}

impl PgProducts {
    /// Prices are kept in minor units of the shop's one currency.
    #[must_use]
    pub const fn new(pool: PgPool, currency: Currency) -> Self {
        Self { pool, currency }
    }
}

#[async_trait]
impl ProductRepository for PgProducts {
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

    async fn create(&self, command: &CreateProduct) -> Result<Product, CreateProductError> {
        self.pool.transaction(async |connection| write::create(connection, command).await).await
    }

    async fn edit(&self, command: &EditProduct) -> Result<Product, EditProductError> {
        self.pool.transaction(async |connection| write::edit(connection, command, self.currency).await).await
    }

    async fn archive(&self, command: &ArchiveProduct) -> Result<(), ArchiveProductError> {
        let mut connection = self.pool.get().await?;
        match write::archive(&mut connection, command).await.map_err(store_error)? {
            0 => Err(ArchiveProductError::NotFound),
            _ => Ok(()),
        }
    }

    async fn adjust_stock(&self, command: &AdjustStock) -> Result<StockMovement, AdjustStockError> {
        self.pool.transaction(async |connection| write::adjust_stock(connection, command, self.currency).await).await
    }

    async fn movements(
        &self,
        product_id: ProductId,
        after: Option<MovementPosition>,
        limit: PageLimit,
    ) -> Result<Option<Page<StockMovement, MovementPosition>>, StoreError> {
        let mut connection = self.pool.get().await?;
        ledger::page(&mut connection, product_id, after, limit).await.map_err(store_error)
    }

    async fn drifted(&self) -> Result<Vec<ProductId>, StoreError> {
        self.pool.transaction(async |connection| Ok(ledger::drifted(connection).await?)).await
    }
}
