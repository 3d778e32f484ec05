//! `list`: the first page of 20 products.

use crate::load::{Connection, Failure, Scenario, Unit};

/// See the module.
pub(crate) struct Lists;

impl Scenario for Lists {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        let answer = connection.exchange(b"GET /api/v1/products HTTP/1.1\r\nHost: shop\r\n\r\n").await?;
        answer.expect("GET /products", 200)?;
        Ok(Unit::Done)
    }
}
