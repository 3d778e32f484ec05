//! `webhook`: Stripe tells that a session was paid; each event is signed, and of another order. The orders are placed
//! before, through the API.

use std::cell::RefCell;
use std::io::Write as _;

use app::system::SystemClock;
use domain::clock::Clock as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{People, order};
use crate::error::{During as _, Step};
use crate::load::{Connection, Failure, Scenario, Unit};
use crate::shop::WEBHOOK_SECRET;

/// A pending order, as its customer was told of it.
#[derive(Debug)]
struct Pending {
    order: String,
    session: String,
    amount_minor: String,
}

/// Places the orders that are to be paid.
pub(crate) struct PendingOrders<'a> {
    people: &'a People<'a>,
    wanted: usize,
    placed: RefCell<Vec<Pending>>,
}

impl<'a> PendingOrders<'a> {
    /// So many orders, of customers whose carts are full.
    pub(crate) const fn new(people: &'a People<'a>, wanted: usize) -> Self {
        Self { people, wanted, placed: RefCell::new(Vec::new()) }
    }

    /// The signed events that pay them, made now.
    pub(crate) fn events(self) -> Step<Payments> {
        let time = SystemClock.now().timestamp();
        let placed = self.placed.into_inner();
        let requests: Step<Vec<_>> = placed.iter().map(|pending| pending.paid(time)).collect();
        Ok(Payments { requests: RefCell::new(requests?), sent: RefCell::new(0) })
    }
}

impl Scenario for PendingOrders<'_> {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        if self.placed.borrow().len() >= self.wanted {
            return Ok(Unit::NothingLeft);
        }
        let Some(token) = self.people.next_once() else { return Ok(Unit::NothingLeft) };
        let answer = order(connection, self.people, token).await?;
        let pending = Pending::read(answer.body).ok_or_else(|| Failure::unexpected("an order that can't be read"))?;
        self.placed.borrow_mut().push(pending);
        Ok(Unit::Done)
    }
}

impl Pending {
    fn read(body: &[u8]) -> Option<Self> {
        let order: serde_json::Value = serde_json::from_slice(body).ok()?;
        let page = order["payment"]["checkoutUrl"].as_str()?;
        Some(Self {
            order: order["id"].as_str()?.to_owned(),
            session: page.rsplit('/').next()?.to_owned(),
            amount_minor: order["total"].as_str()?.replace('.', "").trim_start_matches('0').to_owned(),
        })
    }

    /// The request with which Stripe tells that it was paid.
    fn paid(&self, time: i64) -> Step<Vec<u8>> {
        let Self { order, session, amount_minor } = self;
        let event = format!(
            r#"{{"id":"evt_{order}","object":"event","api_version":"2026-09-30.endive","created":{time},"data":{{"object":{{"id":"{session}","object":"checkout.session","amount_subtotal":{amount_minor},"amount_total":{amount_minor},"client_reference_id":"{order}","created":{time},"currency":"usd","customer_email":"customer@shop.example","livemode":false,"metadata":{{"orderId":"{order}"}},"mode":"payment","payment_intent":"pi_{order}","payment_method_types":["card"],"payment_status":"paid","status":"complete","url":null}}}},"livemode":false,"pending_webhooks":1,"request":{{"id":null,"idempotency_key":null}},"type":"checkout.session.completed"}}"#
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).during("signing an event")?;
        mac.update(format!("{time}.{event}").as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let mut request = Vec::with_capacity(event.len() + 300);
        // A `Vec` takes whatever is written.
        let _ = write!(
            request,
            "POST /api/v1/webhooks/stripe HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n\
             Stripe-Signature: t={time},v1={signature}\r\nContent-Length: {}\r\n\r\n{event}",
            event.len()
        );
        Ok(request)
    }
}

/// Events to be sent, each once.
pub(crate) struct Payments {
    requests: RefCell<Vec<Vec<u8>>>,
    sent: RefCell<u64>,
}

impl Payments {
    /// How many were taken by the shop.
    pub(crate) fn sent(&self) -> u64 {
        *self.sent.borrow()
    }
}

impl Scenario for Payments {
    async fn unit(&self, connection: &mut Connection) -> Result<Unit, Failure> {
        let next = self.requests.borrow_mut().pop();
        let Some(request) = next else { return Ok(Unit::NothingLeft) };
        connection.exchange(&request).await?.expect("POST /webhooks/stripe", 200)?;
        *self.sent.borrow_mut() += 1;
        Ok(Unit::Done)
    }
}
