//! `detail`: one product, any of them.

use super::{People, write_request};
use crate::load::{Connection, Failure, Scenario, Unit};

/// See the module.
pub(crate) struct Details<'a>(pub(crate) &'a People<'a>);

impl Scenario for Details<'_> {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        let line = format!("GET /api/v1/products/{}", self.0.any_product());
        write_request(&mut connection.output, &line, None, None);
        connection.exchange_output().await?.expect("GET /products/{id}", 200)?;
        Ok(Unit::Done)
    }
}
