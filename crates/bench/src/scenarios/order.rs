//! `order`: one order with its session, from a cart that was filled before. Each customer orders once in a window.

use super::{People, order};
use crate::load::{Connection, Failure, Scenario, Unit};

/// See the module.
pub(crate) struct Orders<'a>(pub(crate) &'a People<'a>);

impl Scenario for Orders<'_> {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        let Some(token) = self.0.next_once() else { return Ok(Unit::NothingLeft) };
        order(connection, self.0, token).await?;
        Ok(Unit::Done)
    }
}
