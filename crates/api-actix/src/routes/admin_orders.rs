//! `/admin/orders`: admins find orders, ship them, clear their flags and give money back (contract 2 and 3).

#[cfg(test)]
mod tests;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use domain::id::OrderId;
use domain::order::{FulfilOrder, FulfilmentStep, OrderFilter, OrderPosition, OrderService, RefundOrderMoney};
use domain::page::PageLimit;
use domain::payment::PaymentStatus;
use domain::text::TrackingNumber;
use serde_json::{Value, json};

use crate::access::{Caller, Who};
use crate::body::Body;
use crate::fields::{self, Fields, NoFields, Reader, Request, Wire, boolean, id, one_of, text, timestamp};
use crate::openapi::{Operation, Tag};
use crate::path::PathId;
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::resource::{Routes, resource};
use crate::routes::orders::body::OrderBody;
use crate::routes::orders::{STATUSES, read_position, show_list};
use crate::wire::ListBody;
use crate::writes::Writes;

/// Mounts the routes.
pub fn configure(routes: &mut impl Routes) {
    routes
        .service(resource("/admin/orders").get(
            Who::Admin,
            list,
            Operation::new(Tag::Orders, "listAllOrders", "Find orders")
                .explained("`createdFrom` is inclusive, `createdTo` exclusive.")
                .answers_list::<OrderBody>("Orders, newest first."),
        ))
        .service(resource("/admin/orders/{id}").patch(
            Who::Admin,
            fulfil,
            Operation::new(Tag::Orders, "fulfilOrder", "Ship or deliver an order, or clear its flags")
                .explained("One step at a time. A flagged order is not shipped.")
                .answers::<OrderBody>(StatusCode::OK, "The order as it is now.")
                .refuses(&[Code::NotFound, Code::InvalidTransition, Code::OrderFlagged]),
        ))
        .service(resource("/admin/orders/{id}/refund").post(
            Who::Admin,
            refund,
            Operation::new(Tag::Orders, "refundOrder", "Give an order's money back")
                .explained(
                    "What is left of it, without restocking; refunds that failed are asked for again, those of extra \
                     receipts too. The order keeps its status and can no longer be shipped.",
                )
                .answers::<OrderBody>(StatusCode::ACCEPTED, "The order; the refund is under way.")
                .refuses(&[Code::NotFound, Code::OrderNotRefundable]),
        ));
}

async fn list(
    orders: Data<OrderService>,
    Query(query): Query<AdminOrderQuery>,
) -> Result<Json<ListBody<OrderBody>>, Problem> {
    show_list(&orders, &query.filter, query.after, query.limit).await
}

async fn fulfil(
    Caller(admin): Caller,
    PathId(order_id): PathId<OrderId>,
    orders: Data<OrderService>,
    writes: Data<Writes>,
    Body(wish): Body<FulfilOrderRequest>,
) -> Result<Json<OrderBody>, Problem> {
    let clock = orders.clock.clone();
    let command = FulfilOrder { order_id, admin_id: admin.user_id, step: wish.0, at: clock.now() };
    let order = writes.run(async move { orders.fulfil(&command).await }).await?;
    Ok(Json(OrderBody::of(&order, clock.now())?))
}

async fn refund(
    Caller(admin): Caller,
    PathId(order_id): PathId<OrderId>,
    orders: Data<OrderService>,
    writes: Data<Writes>,
    Body(NoFields): Body<NoFields>,
) -> Result<HttpResponse, Problem> {
    let clock = orders.clock.clone();
    let command = RefundOrderMoney { order_id, admin_id: admin.user_id, at: clock.now() };
    let order = writes.run(async move { orders.refund(&command).await }).await?;
    Ok(HttpResponse::Accepted().json(OrderBody::of(&order, clock.now())?))
}

/// `PATCH /admin/orders/{id}`: one step.
struct FulfilOrderRequest(FulfilmentStep);

/// The two states that an admin may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextStatus {
    Shipped,
    Delivered,
}

const NEXT_STATUSES: [(&str, NextStatus); 2] = [("SHIPPED", NextStatus::Shipped), ("DELIVERED", NextStatus::Delivered)];

impl Request for FulfilOrderRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let given = (fields.has("status"), fields.has("clearFlags"), fields.has("trackingNumber"));
        let status = fields.optional("status", one_of(&NEXT_STATUSES));
        let tracking_number = fields.optional("trackingNumber", text(TrackingNumber::new));
        let cleared = fields.optional("clearFlags", only_true());
        match given {
            (true, true, _) => fields.refuse("clearFlags", "can't be given together with status"),
            (false, false, _) => fields.refuse("status", "is required, unless clearFlags is given"),
            (true, false, _) | (false, true, _) => {}
        }
        if given.2 && status != Some(NextStatus::Shipped) {
            fields.refuse("trackingNumber", "can only be given with the status SHIPPED");
        }
        match status {
            Some(NextStatus::Shipped) => Some(Self(FulfilmentStep::Ship(tracking_number))),
            Some(NextStatus::Delivered) => Some(Self(FulfilmentStep::Deliver)),
            None => cleared.map(|()| Self(FulfilmentStep::ClearFlags)),
        }
    }

    /// Three bodies in one: each step has its own fields, and the others' are absent.
    fn refine(schema: Value) -> Value {
        let tracking_number = &schema["properties"]["trackingNumber"];
        let none = json!({ "type": "null", "const": null });
        let step = |title: &str, required: &str, properties: Value| {
            json!({
                "title": title, "type": "object", "properties": properties, "required": [required],
                "additionalProperties": false,
            })
        };
        let ship = json!({
            "status": { "type": "string", "const": "SHIPPED" }, "trackingNumber": tracking_number, "clearFlags": none,
        });
        let deliver =
            json!({ "status": { "type": "string", "const": "DELIVERED" }, "trackingNumber": none, "clearFlags": none });
        let clear =
            json!({ "clearFlags": { "type": "boolean", "const": true }, "status": none, "trackingNumber": none });
        json!({
            "anyOf": [
                step("Ship", "status", ship),
                step("Deliver", "status", deliver),
                step("Clear flags", "clearFlags", clear),
            ],
            "examples": [{ "status": "SHIPPED", "trackingNumber": "JD0001" }],
        })
    }
}

fn only_true() -> Reader<impl Fn() -> Value, impl FnOnce(Wire<'_>) -> Result<(), String>> {
    let read = |wire: Wire<'_>| if boolean().read(wire)? { Ok(()) } else { Err("must be true".to_owned()) };
    Reader::new(|| json!({ "const": true }), read)
}

/// `GET /admin/orders`. `createdFrom` is inclusive, `createdTo` exclusive, so that periods join without a gap.
struct AdminOrderQuery {
    filter: OrderFilter,
    after: Option<OrderPosition>,
    limit: PageLimit,
}

impl Request for AdminOrderQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let filter = OrderFilter {
            customer_id: fields.optional("userId", id()),
            status: fields.optional("status", one_of(&STATUSES)),
            payment: fields.optional("paymentStatus", one_of(&PAYMENT_STATUSES)),
            flagged: fields.optional("flagged", boolean()),
            created_from: fields.optional("createdFrom", timestamp()),
            created_to: fields.optional("createdTo", timestamp()),
        };
        Some(Self { filter, after: read_position(fields), limit: fields::limit(fields) })
    }
}

const PAYMENT_STATUSES: [(&str, PaymentStatus); 6] = [
    (PaymentStatus::Pending.as_str(), PaymentStatus::Pending),
    (PaymentStatus::Failed.as_str(), PaymentStatus::Failed),
    (PaymentStatus::Completed.as_str(), PaymentStatus::Completed),
    (PaymentStatus::RefundPending.as_str(), PaymentStatus::RefundPending),
    (PaymentStatus::Refunded.as_str(), PaymentStatus::Refunded),
    (PaymentStatus::RefundFailed.as_str(), PaymentStatus::RefundFailed),
];
