//! `cart`: one addition of any product, and the cart read once.

use super::{People, add_item, read_cart};
use crate::load::{Connection, Failure, Scenario, Unit};

/// See the module.
pub(crate) struct Carts<'a>(pub(crate) &'a People<'a>);

impl Scenario for Carts<'_> {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        let token = self.0.next();
        add_item(connection, token, &self.0.any_product()).await?;
        read_cart(connection, token).await?;
        Ok(Unit::Done)
    }
}
