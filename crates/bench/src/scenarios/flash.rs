//! `flash`: everybody buys one unit of the same product: one addition, and one order with its session.

use super::{People, add_item, order};
use crate::load::{Connection, Failure, Scenario, Unit};
use crate::stock::{Kind, id};

/// See the module.
pub(crate) struct Flash<'a>(pub(crate) &'a People<'a>);

impl Scenario for Flash<'_> {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        let token = self.0.next();
        add_item(connection, token, &id(Kind::Product, 1)).await?;
        order(connection, self.0, token).await?;
        Ok(Unit::Done)
    }
}
