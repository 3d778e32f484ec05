//! What a developer is told when the shop is up: what to try, with commands that work as printed.

use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;

use crate::seed_demo::{ADMIN_EMAIL, CUSTOMER_EMAIL, PASSWORD};

/// The words of welcome.
pub(crate) struct Welcome {
    /// Where the shop is served.
    pub(crate) address: SocketAddr,
    /// Where the built-in simulator is, if it plays Stripe.
    pub(crate) simulator: Option<String>,
}

impl Welcome {
    /// Prints them where the person looks; a closed terminal is no reason to stop.
    pub(crate) fn print(&self) {
        let mut out = std::io::stdout().lock();
        let _closed_terminal = write!(out, "{self}").and_then(|()| out.flush());
    }
}

impl fmt::Display for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shop = format!("http://{}", self.address);
        writeln!(f, "\nIroncart is open at {shop}")?;
        if let Some(simulator) = &self.simulator {
            writeln!(f, "Stripe is played by the simulator at {simulator}")?;
        }
        writeln!(f, "Demo accounts, password {PASSWORD:?}: {CUSTOMER_EMAIL} (customer), {ADMIN_EMAIL} (admin)")?;
        write!(
            f,
            r#"
Try, in another terminal:
  curl -s '{shop}/api/v1/products?limit=3'
  TOKEN=$(curl -s {shop}/api/v1/auth/login -H 'Content-Type: application/json' \
    -d '{{"email":"{CUSTOMER_EMAIL}","password":"{PASSWORD}"}}' | sed 's/.*"accessToken":"\([^"]*\)".*/\1/')
  curl -s {shop}/api/v1/cart -H "Authorization: Bearer $TOKEN"
The README goes on from here to a paid and shipped order. Ctrl-C closes the shop.

"#
        )
    }
}
