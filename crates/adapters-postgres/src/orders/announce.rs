//! Tells the watcher of this instance that orders have moved stock, after the commit that did. Other instances are not
//! told: see [`crate::catalog`].

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::id::{OrderId, ProductId};
use domain::order::Order;
use domain::store::StoreError;
use uuid::Uuid;

use super::PgOrders;
use crate::error::store_error;
use crate::schema::order_lines;

impl PgOrders {
    /// If there is no order, nobody was told of one either: where its commit is in doubt, age bounds what is shown.
    pub(super) fn tell_of_stock(&self, order: Option<&Order>) {
        if let Some(order) = order {
            let products: Vec<ProductId> = order.lines.iter().map(|line| line.product_id).collect();
            self.watcher.stock_moved(&products);
        }
    }

    /// The same for an order that is not at hand.
    pub(super) async fn tell_of_stock_of(&self, order: OrderId) {
        match self.products_of(order).await {
            Ok(products) => self.watcher.stock_moved(&products),
            Err(_) => self.watcher.missed_some(),
        }
    }

    async fn products_of(&self, order: OrderId) -> Result<Vec<ProductId>, StoreError> {
        let lines = order_lines::table.filter(order_lines::order_id.eq(order.uuid())).select(order_lines::product_id);
        let products: Vec<Uuid> = lines.load(&mut self.pool.get().await?).await.map_err(store_error)?;
        Ok(products.into_iter().map(ProductId::from).collect())
    }
}
