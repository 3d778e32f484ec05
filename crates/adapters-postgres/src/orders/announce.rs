//! Tells the watcher of this instance that orders have moved stock, after the commit that did. Other instances are not
//! told: see [`crate::catalog`].

use domain::id::ProductId;
use domain::order::Order;

use super::PgOrders;

impl PgOrders {
    /// If there is no order, nobody was told of one either: where its commit is in doubt, age bounds what is shown.
    pub(super) fn tell_of_stock(&self, order: Option<&Order>) {
        if let Some(order) = order {
            let products: Vec<ProductId> = order.lines.iter().map(|line| line.product_id).collect();
            self.watcher.stock_moved(&products);
        }
    }
}
