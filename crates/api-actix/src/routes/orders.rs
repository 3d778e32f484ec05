//! `/orders`: customers place, read, pay and cancel their orders (contract 2 and 3).

pub(crate) mod body;
mod described;
mod problems;
#[cfg(test)]
mod tests;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Json};
use domain::account::{Actor, Role};
use domain::clock::Timestamp;
use domain::id::{AttemptId, OrderId, UserId};
use domain::idempotency::Claim;
use domain::order::{CancelOrder, OrderFilter, OrderPosition, OrderService, OrderStatus, PlaceOrder, StartPayment};
use domain::page::{Page, PageLimit};
use domain::text::{CancelReason, ShippingAddress};
use serde_json::Value;

use crate::access::{Caller, Who};
use crate::body::Body;
use crate::cursor;
use crate::fields::{self, Fields, NoFields, Request, boolean, one_of, price, text};
use crate::once::{Claimed, Guarded};
use crate::path::PathId;
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::resource::{Routes, resource};
use crate::routes::orders::body::{OrderBody, PaymentStartBody};
use crate::wire::ListBody;
use crate::writes::Writes;

/// Mounts the routes.
pub fn configure(routes: &mut impl Routes) {
    routes
        .service(resource("/orders").get(Who::Customer, list, described::list()).post_once(
            Who::Customer,
            Guarded::Checkout,
            place,
            described::place(),
        ))
        .service(resource("/orders/{id}").get(Who::Either, find, described::find()))
        .service(resource("/orders/{id}/payment").post_once(
            Who::Customer,
            Guarded::Checkout,
            start_payment,
            described::start_payment(),
        ))
        .service(resource("/orders/{id}/cancel").post_once(Who::Either, Guarded::No, cancel, described::cancel()));
}

async fn place(
    Caller(customer): Caller,
    orders: Data<OrderService>,
    writes: Data<Writes>,
    Claimed(claim): Claimed,
    Body(wish): Body<PlaceOrderRequest>,
) -> Result<HttpResponse, Problem> {
    let command = wish.command(customer.user_id, claim, &orders);
    let clock = orders.clock.clone();
    let order = writes.run(async move { orders.place(&command).await }).await?;
    let location = format!("/api/v1/orders/{}", order.id);
    let body = OrderBody::of(&order, clock.now())?;
    Ok(HttpResponse::Created().insert_header((header::LOCATION, location)).json(body))
}

async fn list(
    Caller(customer): Caller,
    orders: Data<OrderService>,
    Query(query): Query<OrderQuery>,
) -> Result<Json<ListBody<OrderBody>>, Problem> {
    let filter = OrderFilter { customer_id: Some(customer.user_id), status: query.status, ..OrderFilter::default() };
    show_list(&orders, &filter, query.after, query.limit).await
}

/// A page of orders; the admins' list shows them alike.
pub(crate) async fn show_list(
    orders: &OrderService,
    filter: &OrderFilter,
    after: Option<OrderPosition>,
    limit: PageLimit,
) -> Result<Json<ListBody<OrderBody>>, Problem> {
    let page = orders.list(filter, after, limit).await?;
    let now = orders.clock.now();
    let items: Result<Vec<_>, Problem> = page.items.iter().map(|order| OrderBody::of(order, now)).collect();
    Ok(Json(ListBody::new(Page { items: items?, next: page.next }, |order| order, write_position)))
}

async fn find(
    Caller(actor): Caller,
    PathId(id): PathId<OrderId>,
    orders: Data<OrderService>,
) -> Result<Json<OrderBody>, Problem> {
    let order = orders.find(id, viewer(actor)).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Json(OrderBody::of(&order, orders.clock.now())?))
}

/// Whose orders an actor sees: `None` is everybody's.
const fn viewer(actor: Actor) -> Option<UserId> {
    match actor.role {
        Role::Customer => Some(actor.user_id),
        Role::Admin => None,
    }
}

async fn start_payment(
    Caller(customer): Caller,
    PathId(order_id): PathId<OrderId>,
    orders: Data<OrderService>,
    writes: Data<Writes>,
    Claimed(claim): Claimed,
    Body(NoFields): Body<NoFields>,
) -> Result<Json<PaymentStartBody>, Problem> {
    let command = StartPayment {
        order_id,
        customer_id: customer.user_id,
        attempt_id: AttemptId::mint(orders.ids.as_ref()),
        at: orders.clock.now(),
        policy: orders.policy.clone(),
        claim,
    };
    let session = writes.run(async move { orders.start_payment(&command).await }).await?;
    Ok(Json(PaymentStartBody::from(session)))
}

async fn cancel(
    Caller(actor): Caller,
    PathId(order_id): PathId<OrderId>,
    orders: Data<OrderService>,
    writes: Data<Writes>,
    Claimed(claim): Claimed,
    Body(wish): Body<CancelOrderRequest>,
) -> Result<Json<OrderBody>, Problem> {
    let command = CancelOrder {
        order_id,
        actor_id: actor.user_id,
        role: actor.role,
        reason: wish.reason,
        at: orders.clock.now(),
        fraud: orders.policy.fraud,
        claim,
    };
    let clock = orders.clock.clone();
    let order = writes.run(async move { orders.cancel(&command).await }).await?;
    Ok(Json(OrderBody::of(&order, clock.now())?))
}

/// `POST /orders`.
struct PlaceOrderRequest {
    shipping_address: ShippingAddress,
    pay_now: bool,
    expected_total_minor: Option<i64>,
}

impl Request for PlaceOrderRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let currency = fields.currency();
        let shipping_address = fields.required("shippingAddress", text(ShippingAddress::new));
        let pay_now = fields.optional("payNow", boolean()).unwrap_or(true);
        let expected_total = fields.optional("expectedTotal", price(currency));
        let expected_total_minor = expected_total.map(|total| total.money().amount_minor());
        Some(Self { shipping_address: shipping_address?, pay_now, expected_total_minor })
    }

    /// The example can be sent as it stands, whatever the cart comes to.
    fn refine(mut schema: Value) -> Value {
        if let Some(example) = schema["examples"][0].as_object_mut() {
            example.remove("expectedTotal");
        }
        schema
    }
}

impl PlaceOrderRequest {
    fn command(self, customer_id: UserId, claim: Option<Claim>, orders: &OrderService) -> PlaceOrder {
        PlaceOrder {
            id: OrderId::mint(orders.ids.as_ref()),
            customer_id,
            shipping_address: self.shipping_address,
            pay_now: self.pay_now.then(|| AttemptId::mint(orders.ids.as_ref())),
            expected_total_minor: self.expected_total_minor,
            at: orders.clock.now(),
            policy: orders.policy.clone(),
            claim,
        }
    }
}

/// `POST /orders/{id}/cancel`. An empty reason is none.
struct CancelOrderRequest {
    reason: Option<CancelReason>,
}

impl Request for CancelOrderRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let reason = fields.optional("reason", text(CancelReason::new));
        Some(Self { reason: reason.filter(|reason| !reason.as_str().is_empty()) })
    }
}

/// `GET /orders`.
struct OrderQuery {
    status: Option<OrderStatus>,
    after: Option<OrderPosition>,
    limit: PageLimit,
}

impl Request for OrderQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let status = fields.optional("status", one_of(&STATUSES));
        Some(Self { status, after: read_position(fields), limit: fields::limit(fields) })
    }
}

/// The words for an order's status in filters.
pub(crate) const STATUSES: [(&str, OrderStatus); 5] = [
    (OrderStatus::Pending.as_str(), OrderStatus::Pending),
    (OrderStatus::Paid.as_str(), OrderStatus::Paid),
    (OrderStatus::Shipped.as_str(), OrderStatus::Shipped),
    (OrderStatus::Delivered.as_str(), OrderStatus::Delivered),
    (OrderStatus::Cancelled.as_str(), OrderStatus::Cancelled),
];

fn write_position(position: OrderPosition) -> (i64, u128) {
    (position.created_at.timestamp_micros(), position.id.uuid().as_u128())
}

/// Reads the `cursor` of a list of orders.
pub(crate) fn read_position(fields: &mut Fields) -> Option<OrderPosition> {
    let position = |(micros, id): (i64, u128)| {
        let created_at: Timestamp = cursor::moment(micros)?;
        Some(OrderPosition { created_at, id: uuid::Uuid::from_u128(id).into() })
    };
    fields::cursor(fields, position)
}
