//! `checkout`: two additions of any products, and one order with its session.

use super::{People, add_item, order};
use crate::load::{Connection, Failure, Scenario, Unit};

/// See the module.
pub(crate) struct Checkouts<'a>(pub(crate) &'a People<'a>);

impl Scenario for Checkouts<'_> {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        let token = self.0.next();
        add_item(connection, token, &self.0.any_product()).await?;
        add_item(connection, token, &self.0.any_product()).await?;
        order(connection, self.0, token).await?;
        Ok(Unit::Done)
    }
}
