//! Carts: one customer's changes wait for each other on the customer's row.

mod open_carts;
mod stored;

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

use self::open_carts::OpenCarts;
use crate::batch::{BatchedWork, Lane};
use crate::error::store_error;
use crate::pool::PgPool;
use crate::transaction::Rollback;

/// Carts on PostgreSQL. Additions, which come often and at once, share transactions (see [`crate::batch`]).
#[derive(Clone)]
pub struct PgCarts {
    pool: PgPool,
    currency: Currency,
    additions: Lane<Additions>,
}

/// Puts units into carts.
struct Additions {
    currency: Currency,
}

impl BatchedWork for Additions {
    type Command = AddCartItem;
    type Done = Cart;
    type Refusal = AddCartItemError;

    const NAME: &'static str = "add_cart_item";
    /// Once more would add once more.
    const REPEATABLE: bool = false;

    async fn run(
        &self,
        connection: &AsyncPgConnection,
        commands: &[AddCartItem],
        _again: bool,
    ) -> QueryResult<Vec<Result<Cart, AddCartItemError>>> {
        let customers = commands.iter().map(|command| command.customer_id.uuid()).collect();
        let wanted = commands.iter().map(|command| command.product_id.uuid()).collect();
        let mut carts = OpenCarts::lock(connection, &customers, &wanted).await?;
        let mut outcomes = Vec::with_capacity(commands.len());
        for command in commands {
            let AddCartItem { customer_id, product_id, at, .. } = *command;
            let Some(snapshot) = carts.snapshot(customer_id, product_id)? else {
                outcomes.push(Err(StoreError::unexpected("a cart's customer is gone").into()));
                continue;
            };
            match command.decide(&snapshot) {
                Ok(quantity) => {
                    carts.put(customer_id, product_id, quantity, at);
                    outcomes.push(Ok(carts.show(customer_id, self.currency, at)?));
                }
                Err(refusal) => outcomes.push(Err(refusal)),
            }
        }
        carts.write(connection).await?;
        Ok(outcomes)
    }
}

impl PgCarts {
    /// Prices are kept in minor units of the shop's one currency.
    #[must_use]
    pub fn new(pool: PgPool, currency: Currency) -> Self {
        Self { additions: Lane::open(pool.clone(), Additions { currency }), pool, currency }
    }

    /// Takes lines of archived products out.
    async fn forget_archived(&self, customer_id: UserId, at: Timestamp) -> Result<Cart, StoreError> {
        let customers = [customer_id.uuid()].into();
        self.pool
            .transaction(async |connection| {
                let mut carts = OpenCarts::lock(connection, &customers, &[].into()).await?;
                carts.forget_archived(customer_id, at);
                carts.write(connection).await?;
                Ok::<_, Rollback<StoreError>>(carts.show(customer_id, self.currency, at)?)
            })
            .await
    }
}

#[async_trait]
impl CartRepository for PgCarts {
    #[tracing::instrument(name = "CartRepository.get", level = "debug", skip_all)]
    async fn get(&self, customer_id: UserId, at: Timestamp) -> Result<Cart, StoreError> {
        let read = {
            let connection = self.pool.get().await?;
            stored::read(&connection, customer_id).await.map_err(store_error)?
        };
        if read.has_archived() {
            return self.forget_archived(customer_id, at).await;
        }
        read.into_cart(self.currency).map_err(store_error)
    }

    #[tracing::instrument(name = "CartRepository.add_item", level = "debug", skip_all)]
    async fn add_item(&self, command: &AddCartItem) -> Result<Cart, AddCartItemError> {
        self.additions.run(*command).await
    }

    #[tracing::instrument(name = "CartRepository.set_item", level = "debug", skip_all)]
    async fn set_item(&self, command: &SetCartItem) -> Result<Cart, SetCartItemError> {
        let SetCartItem { customer_id, product_id, at, .. } = *command;
        let (customers, wanted) = ([customer_id.uuid()].into(), [product_id.uuid()].into());
        self.pool
            .transaction(async |connection| {
                let mut carts = OpenCarts::lock(connection, &customers, &wanted).await?;
                let snapshot = carts.snapshot(customer_id, product_id)?.ok_or(diesel::NotFound)?;
                let quantity = command.decide(&snapshot).map_err(Rollback::Refused)?;
                carts.put(customer_id, product_id, quantity, at);
                carts.write(connection).await?;
                Ok(carts.show(customer_id, self.currency, at)?)
            })
            .await
    }

    #[tracing::instrument(name = "CartRepository.remove_item", level = "debug", skip_all)]
    async fn remove_item(&self, command: &RemoveCartItem) -> Result<Cart, RemoveCartItemError> {
        let RemoveCartItem { customer_id, product_id, at } = *command;
        let customers = [customer_id.uuid()].into();
        self.pool
            .transaction(async |connection| {
                let mut carts = OpenCarts::lock(connection, &customers, &[].into()).await?;
                if !carts.remove(customer_id, product_id, at) {
                    return Err(Rollback::Refused(RemoveCartItemError::NotFound));
                }
                carts.write(connection).await?;
                Ok(carts.show(customer_id, self.currency, at)?)
            })
            .await
    }

    #[tracing::instrument(name = "CartRepository.clear", level = "debug", skip_all)]
    async fn clear(&self, command: &ClearCart) -> Result<(), StoreError> {
        self.pool
            .transaction(async |connection| Ok(open_carts::clear(connection, command.customer_id, command.at).await?))
            .await
    }
}
