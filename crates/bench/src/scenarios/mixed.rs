//! `mixed`: 80 % reads (half lists, half products), 15 % carts, 5 % checkouts.

use super::{Carts, Checkouts, Details, Lists, People};
use crate::load::{Connection, Failure, Scenario, Unit};

/// See the module.
pub(crate) struct Mixed<'a>(pub(crate) &'a People<'a>);

impl Scenario for Mixed<'_> {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        match self.0.below(100) {
            0..40 => Lists.unit(connection).await,
            40..80 => Details(self.0).unit(connection).await,
            80..95 => Carts(self.0).unit(connection).await,
            _ => Checkouts(self.0).unit(connection).await,
        }
    }
}
