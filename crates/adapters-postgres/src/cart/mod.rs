//! Carts: one customer's changes wait for each other on the customer's row.

mod lines;

use async_trait::async_trait;
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use domain::cart::{
    AddCartItem, AddCartItemError, Cart, CartRepository, ClearCart, RemoveCartItem, RemoveCartItemError, SetCartItem,
    SetCartItemError,
};
use domain::clock::Timestamp;
use domain::id::UserId;
use domain::money::Currency;
use domain::store::StoreError;

use crate::error::store_error;
use crate::pool::PgPool;
use crate::transaction::Rollback;

/// Carts on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgCarts {
    pool: PgPool,
    currency: Currency,
}

impl PgCarts {
    /// Prices are kept in minor units of the shop's one currency.
    #[must_use]
    pub const fn new(pool: PgPool, currency: Currency) -> Self {
        Self { pool, currency }
    }

    /// Begins a change: locks the customer, then lets the cart forget what was archived.
    async fn open(&self, connection: &mut AsyncPgConnection, customer_id: UserId) -> QueryResult<()> {
        lines::lock_customer(connection, customer_id).await?;
        lines::drop_archived(connection, customer_id).await?;
        Ok(())
    }

    /// Ends a change: notes when it was made, and reads the cart as it is now.
    async fn close(&self, connection: &mut AsyncPgConnection, customer_id: UserId, at: Timestamp) -> QueryResult<Cart> {
        lines::touch(connection, customer_id, at).await?;
        lines::read(connection, customer_id).await?.into_cart(self.currency)
    }
}

#[async_trait]
impl CartRepository for PgCarts {
    async fn get(&self, customer_id: UserId, at: Timestamp) -> Result<Cart, StoreError> {
        let read = {
            let mut connection = self.pool.get().await?;
            lines::read(&mut connection, customer_id).await.map_err(store_error)?
        };
        if !read.has_archived() {
            return read.into_cart(self.currency).map_err(store_error);
        }
        let forget = async |connection: &mut AsyncPgConnection| -> Result<Cart, Rollback<StoreError>> {
            self.open(connection, customer_id).await?;
            Ok(self.close(connection, customer_id, at).await?)
        };
        self.pool.transaction(forget).await
    }

    async fn add_item(&self, command: &AddCartItem) -> Result<Cart, AddCartItemError> {
        let AddCartItem { customer_id, product_id, at, .. } = *command;
        self.pool
            .transaction(async |connection| {
                self.open(connection, customer_id).await?;
                let snapshot = lines::snapshot(connection, customer_id, product_id).await?;
                let quantity = command.decide(&snapshot).map_err(Rollback::Refused)?;
                lines::put(connection, customer_id, product_id, quantity, at).await?;
                Ok(self.close(connection, customer_id, at).await?)
            })
            .await
    }

    async fn set_item(&self, command: &SetCartItem) -> Result<Cart, SetCartItemError> {
        let SetCartItem { customer_id, product_id, at, .. } = *command;
        self.pool
            .transaction(async |connection| {
                self.open(connection, customer_id).await?;
                let snapshot = lines::snapshot(connection, customer_id, product_id).await?;
                let quantity = command.decide(&snapshot).map_err(Rollback::Refused)?;
                lines::put(connection, customer_id, product_id, quantity, at).await?;
                Ok(self.close(connection, customer_id, at).await?)
            })
            .await
    }

    async fn remove_item(&self, command: &RemoveCartItem) -> Result<Cart, RemoveCartItemError> {
        let RemoveCartItem { customer_id, product_id, at } = *command;
        self.pool
            .transaction(async |connection| {
                self.open(connection, customer_id).await?;
                if lines::remove(connection, customer_id, product_id).await? == 0 {
                    return Err(Rollback::Refused(RemoveCartItemError::NotFound));
                }
                Ok(self.close(connection, customer_id, at).await?)
            })
            .await
    }

    async fn clear(&self, command: &ClearCart) -> Result<(), StoreError> {
        self.pool
            .transaction(async |connection| {
                lines::lock_customer(connection, command.customer_id).await?;
                lines::clear(connection, command.customer_id).await?;
                Ok(lines::touch(connection, command.customer_id, command.at).await?)
            })
            .await
    }
}
