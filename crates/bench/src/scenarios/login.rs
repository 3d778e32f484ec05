//! `login`: a password that is right. It is slow on purpose.

use std::cell::Cell;

use super::write_request;
use crate::load::{Connection, Failure, Scenario, Unit};
use crate::stock::{CUSTOMERS, PASSWORD};

/// See the module.
#[derive(Default)]
pub(crate) struct Logins {
    turn: Cell<u64>,
}

impl Scenario for Logins {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % CUSTOMERS);
        let body = format!(r#"{{"email":"customer{}@shop.example","password":"{PASSWORD}"}}"#, turn + 1);
        write_request(&mut connection.output, "POST /api/v1/auth/login", None, Some(&body));
        connection.exchange_output().await?.expect("POST /auth/login", 200)?;
        Ok(Unit::Done)
    }
}
