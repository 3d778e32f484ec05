//! What customers, and Stripe, do to the shop: each scenario does one kind of unit and checks every answer.

mod cart;
mod checkout;
mod detail;
mod flash;
mod list;
mod login;
mod mixed;
mod order;
pub(crate) mod overload;
pub(crate) mod sweep;
mod webhook;

use std::cell::Cell;
use std::io::Write as _;

pub(crate) use cart::Carts;
pub(crate) use checkout::Checkouts;
pub(crate) use detail::Details;
pub(crate) use flash::Flash;
pub(crate) use list::Lists;
pub(crate) use login::Logins;
pub(crate) use mixed::Mixed;
pub(crate) use order::Orders;
pub(crate) use webhook::{Payments, PendingOrders};

use crate::load::{Answer, Connection, Failure};
use crate::stock::{Kind, PRODUCTS, id};

/// Customers who take turns, and their tokens; and whatever else the scenarios of one shop share.
pub(crate) struct People<'a> {
    tokens: &'a [String],
    /// How many of them take part.
    count: usize,
    turn: Cell<usize>,
    dice: Cell<u64>,
    /// Orders that were answered 201, over all windows.
    ordered: Cell<u64>,
}

impl<'a> People<'a> {
    /// The first `count` of those who have these tokens.
    pub(crate) const fn new(tokens: &'a [String], count: usize) -> Self {
        Self { tokens, count, turn: Cell::new(0), dice: Cell::new(0x9e37_79b9_7f4a_7c15), ordered: Cell::new(0) }
    }

    /// The token of whoever's turn it is. One connection's unit is over long before the turn comes round again.
    fn next(&self) -> &'a str {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.count);
        &self.tokens[turn]
    }

    /// The same, but each only once since the last [`begin_anew`](Self::begin_anew).
    fn next_once(&self) -> Option<&'a str> {
        let turn = self.turn.get();
        let token = self.tokens[..self.count].get(turn)?;
        self.turn.set(turn + 1);
        Some(token)
    }

    /// Everybody may come once more.
    pub(crate) fn begin_anew(&self) {
        self.turn.set(0);
    }

    /// A number below `bound`; the same ones in each run (xorshift64).
    fn below(&self, bound: u64) -> u64 {
        let mut dice = self.dice.get();
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        self.dice.set(dice);
        dice % bound
    }

    fn any_product(&self) -> String {
        id(Kind::Product, 1 + self.below(PRODUCTS))
    }

    /// Orders that the shop has acknowledged.
    pub(crate) fn ordered(&self) -> u64 {
        self.ordered.get()
    }
}

/// Puts a request together. A `Vec` takes whatever is written.
pub(crate) fn write_request(output: &mut Vec<u8>, first_line: &str, token: Option<&str>, body: Option<&str>) {
    output.clear();
    let _ = write!(output, "{first_line} HTTP/1.1\r\nHost: shop\r\n");
    if let Some(token) = token {
        let _ = write!(output, "Authorization: Bearer {token}\r\n");
    }
    match body {
        Some(body) => {
            let _ = write!(output, "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
        None => output.extend_from_slice(b"\r\n"),
    }
}

/// `POST /cart/items`: one unit of a product.
async fn add_item(connection: &mut Connection, token: &str, product: &str) -> Result<(), Failure> {
    let body = format!(r#"{{"productId":"{product}","quantity":1}}"#);
    write_request(&mut connection.output, "POST /api/v1/cart/items", Some(token), Some(&body));
    connection.exchange_output().await?.expect("POST /cart/items", 200)
}

/// `GET /cart`.
async fn read_cart(connection: &mut Connection, token: &str) -> Result<(), Failure> {
    write_request(&mut connection.output, "GET /api/v1/cart", Some(token), None);
    connection.exchange_output().await?.expect("GET /cart", 200)
}

const ADDRESS: &str = r#"{"shippingAddress":"1 Bench Street, 12345 Loadville"}"#;

/// `POST /orders`, with the session that it must come with.
async fn order<'c>(connection: &'c mut Connection, people: &People<'_>, token: &str) -> Result<Answer<'c>, Failure> {
    write_request(&mut connection.output, "POST /api/v1/orders", Some(token), Some(ADDRESS));
    let answer = connection.exchange_output().await?;
    answer.expect("POST /orders", 201)?;
    people.ordered.set(people.ordered.get() + 1);
    if answer.body.windows(NO_PAGE.len()).any(|window| window == NO_PAGE) {
        return Err(Failure::unexpected("POST /orders: 201 without a checkoutUrl"));
    }
    Ok(answer)
}

const NO_PAGE: &[u8] = br#""checkoutUrl":null"#;
