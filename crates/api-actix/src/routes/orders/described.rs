//! The operations of orders, in the words of the API's description.

use actix_web::http::StatusCode;

use super::body::{OrderBody, PaymentStartBody};
use crate::openapi::{Operation, Tag};
use crate::problem::Code;

pub(super) fn list() -> Operation {
    Operation::new(Tag::Orders, "listOrders", "List one's orders").answers_list::<OrderBody>("Orders, newest first.")
}

pub(super) fn place() -> Operation {
    Operation::new(Tag::Orders, "placeOrder", "Order what is in the cart")
        .explained(
            "Takes the stock and fixes prices in one transaction, empties the cart, and then asks for a checkout session \
             (unless `payNow` is false). If the payment provider does not answer, the order stands all the same, with \
             `payment.checkoutUrl` null.\n\nSend `expectedTotal` to be told (409 `total_changed`) instead of charged when \
             a price has moved.",
        )
        .answers::<OrderBody>(StatusCode::CREATED, "The order.")
        .tells("Location")
        .refuses(&[
            Code::CartEmpty,
            Code::ProductUnavailable,
            Code::TotalChanged,
            Code::OrderTotalNotPayable,
            Code::InsufficientStock,
            Code::PendingOrderLimit,
            Code::DailyCancellationLimit,
            Code::UnitsLimit,
            Code::AccountTooNew,
        ])
}

pub(super) fn find() -> Operation {
    Operation::new(Tag::Orders, "getOrder", "Read an order")
        .explained("Customers see only their own.")
        .answers::<OrderBody>(StatusCode::OK, "The order.")
        .refuses(&[Code::NotFound])
}

pub(super) fn start_payment() -> Operation {
    Operation::new(Tag::Orders, "startPayment", "Get the page where an order can be paid")
        .explained("The order's open checkout session, or a new one if there is none.")
        .answers::<PaymentStartBody>(StatusCode::OK, "Where to pay, and until when.")
        .refuses(&[Code::NotFound, Code::OrderAlreadyPaid, Code::OrderNotPayable, Code::PaymentProviderError])
}

pub(super) fn cancel() -> Operation {
    Operation::new(Tag::Orders, "cancelOrder", "Cancel an order")
        .explained(
            "Customers cancel their own while it is `PENDING`; admins cancel any until it ships, and thereby refund it. \
             The stock goes back.",
        )
        .answers::<OrderBody>(StatusCode::OK, "The order, cancelled.")
        .refuses(&[
            Code::NotFound,
            Code::OrderAlreadyPaid,
            Code::InvalidTransition,
            Code::DailyCancellationLimit,
        ])
}
