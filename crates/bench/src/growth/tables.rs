//! The rows of each table of a shop after years of trade, in the columns that the table's `COPY` names.

use std::fmt::Write as _;

use super::rows::Rows;
use super::years::{STOCKED, Sale, Standing, Years, price, scattered, timed_id};
use crate::stock::{self, Kind};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Kinds of ids that are made of a moment.
const ORDER: u16 = 4;
const ATTEMPT: u16 = 5;
const MOVEMENT: u16 = 6;
const EVENT: u16 = 7;
const REQUEST: u16 = 8;
const TASK: u16 = 9;

/// The words that products' names begin with.
const GOODS: [&str; 10] = [
    "Walnut bowl",
    "Copper kettle",
    "Linen towel",
    "Wool blanket",
    "Oak stool",
    "Glass vase",
    "Cork board",
    "Iron hook",
    "Clay pot",
    "Silk scarf",
];

/// A table and its columns, and what writes its rows.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static str,
    pub(super) write: fn(&Years, &mut Rows),
}

/// The tables that are filled over the one connection and over the other, about as much on both.
pub(super) const SHARES: [&[Table]; 2] = [
    &[ORDERS, HISTORY, RECEIPTS, REFUNDS, REFUND_REQUESTS, TASKS, USERS, SESSIONS, CARTS],
    &[MOVEMENTS, PRODUCTS, LINES, ATTEMPTS, EVENTS],
];

/// The id of an order.
pub(super) fn order_id(sale: &Sale) -> u128 {
    timed_id(ORDER, sale.number, sale.at)
}

/// The name of a product.
pub(super) fn product_name(product: u64) -> String {
    let place = usize::try_from(product % GOODS.len() as u64).unwrap_or_default();
    format!("{} {product:07}", GOODS[place])
}

const ORDERS: Table = Table {
    name: "orders",
    columns: "id, customer_id, status, payment_status, total_minor, currency, shipping_address, tracking_number, flags, \
              created_at, expires_at, paid_at, shipped_at, delivered_at, cancelled_at, cancelled_by",
    write: |years, rows| {
        let mut tracking = String::new();
        for sale in years.sales() {
            let Sale { at, standing, .. } = sale;
            let when = |is_so: bool, later: i64| is_so.then_some(at + later);
            tracking.clear();
            let _ = write!(tracking, "TRACK{:09}", sale.number);
            rows.row(16)
                .uuid(order_id(&sale))
                .uuid(stock::number_id(Kind::User, sale.customer))
                .text(standing.status())
                .text(standing.payment())
                .bigint(total(&sale))
                .text("USD")
                .text("1 Bench Street, 12345 Loadville")
                .text_or_null(standing.is_shipped().then_some(tracking.as_str()))
                .texts(sale.is_flagged.then_some("FRAUD_WARNING"))
                .moment(at)
                .moment(at + 30 * MINUTE)
                .moment_or_null(when(standing.is_paid(), MINUTE))
                .moment_or_null(when(standing.is_shipped(), HOUR))
                .moment_or_null(when(standing.status() == "DELIVERED", DAY))
                .moment_or_null(when(standing.is_cancelled(), 31 * MINUTE))
                .text_or_null(standing.is_cancelled().then_some(sale.cancelled_by));
        }
    },
};

fn total(sale: &Sale) -> i64 {
    sale.lines.iter().map(|(product, units)| price(*product) * i64::from(*units)).sum()
}

const LINES: Table = Table {
    name: "order_lines",
    columns: "order_id, position, product_id, name, unit_price_minor, quantity",
    write: |years, rows| {
        for sale in years.sales() {
            for (position, (product, units)) in (0..).zip(sale.lines) {
                rows.row(6)
                    .uuid(order_id(&sale))
                    .smallint(position)
                    .uuid(stock::number_id(Kind::Product, product))
                    .text(&product_name(product))
                    .bigint(price(product))
                    .integer(units);
            }
        }
    },
};

const HISTORY: Table = Table {
    name: "order_history",
    columns: "order_id, position, from_status, to_status, at, by",
    write: |years, rows| {
        for sale in years.sales() {
            let mut entry = |position: i16, from: Option<&str>, to: &str, later: i64, by: &str| {
                rows.row(6)
                    .uuid(order_id(&sale))
                    .smallint(position)
                    .text_or_null(from)
                    .text(to)
                    .moment(sale.at + later)
                    .text(by);
            };
            entry(0, None, "PENDING", 0, "CUSTOMER");
            if sale.standing == Standing::Cancelled {
                entry(1, Some("PENDING"), "CANCELLED", 31 * MINUTE, sale.cancelled_by);
                continue;
            }
            entry(1, Some("PENDING"), "PAID", MINUTE, "PROVIDER");
            match sale.standing.status() {
                "CANCELLED" => entry(2, Some("PAID"), "CANCELLED", 31 * MINUTE, "ADMIN"),
                "PAID" => {}
                status => {
                    entry(2, Some("PAID"), "SHIPPED", HOUR, "ADMIN");
                    if status == "DELIVERED" {
                        entry(3, Some("SHIPPED"), "DELIVERED", DAY, "ADMIN");
                    }
                }
            }
        }
    },
};

const ATTEMPTS: Table = Table {
    name: "checkout_attempts",
    columns: "id, order_id, position, request, state, session_id, session_url, session_expires_at, ending, created_at",
    write: |years, rows| {
        let (mut request, mut session, mut url) = (String::new(), String::new(), String::new());
        for sale in years.sales() {
            for text in [&mut request, &mut session, &mut url] {
                text.clear();
            }
            write_request(&mut request, &sale);
            let _ = write!(session, "cs_live_{:058}", sale.number);
            let _ = write!(url, "https://checkout.stripe.com/c/pay/{session}");
            rows.row(10)
                .uuid(timed_id(ATTEMPT, sale.number, sale.at))
                .uuid(order_id(&sale))
                .smallint(0)
                .json(&request)
                .text("ENDED")
                .text(&session)
                .text(&url)
                .moment(sale.at + 31 * MINUTE)
                .text(if sale.standing.is_paid() { "PAID" } else { "EXPIRED" })
                .moment(sale.at);
        }
    },
};

/// What the provider was asked for, as the shop keeps it.
fn write_request(request: &mut String, sale: &Sale) {
    let customer = sale.customer;
    let _ = write!(request, r#"{{"customer_email":"customer{customer}@shop.example","lines":["#);
    for (index, (product, units)) in sale.lines.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let (name, price) = (product_name(product), price(product));
        let _ = write!(
            request,
            r#"{comma}{{"name":"{name}","unit_price_minor":{price},"currency":"USD","quantity":{units}}}"#
        );
    }
    let (end, order) = ((sale.at + 31 * MINUTE) / 1_000_000, uuid::Uuid::from_u128(order_id(sale)));
    let _ = write!(
        request,
        r#"],"expires_at_seconds":{end},"success_url":"http://localhost:8080/checkout/success?orderId={order}","cancel_url":"http://localhost:8080/checkout/cancel?orderId={order}"}}"#
    );
}

fn intent(number: u64) -> String {
    format!("pi_{number:024}")
}

const RECEIPTS: Table = Table {
    name: "receipts",
    columns: "intent, order_id, position, amount_minor, currency, kind, received_at",
    write: |years, rows| {
        for sale in years.sales().filter(|sale| sale.standing.is_paid()) {
            rows.row(7)
                .text(&intent(sale.number))
                .uuid(order_id(&sale))
                .smallint(0)
                .bigint(total(&sale))
                .text("USD")
                .text("PAYMENT")
                .moment(sale.at + MINUTE);
        }
    },
};

const REFUNDS: Table = Table {
    name: "refunds",
    columns: "id, intent, position, amount_minor, status",
    write: |years, rows| {
        for sale in years.sales().filter(|sale| sale.standing.is_refunded()) {
            rows.row(5)
                .text(&format!("re_{:024}", sale.number))
                .text(&intent(sale.number))
                .smallint(0)
                .bigint(total(&sale))
                .text("succeeded");
        }
    },
};

const REFUND_REQUESTS: Table = Table {
    name: "refund_requests",
    columns: "id, intent, position, amount_minor, outcome",
    write: |years, rows| {
        for sale in years.sales().filter(|sale| sale.standing.is_refunded()) {
            rows.row(5)
                .uuid(timed_id(REQUEST, sale.number, sale.at))
                .text(&intent(sale.number))
                .smallint(0)
                .bigint(total(&sale))
                .text("ANSWERED");
        }
    },
};

const TASKS: Table = Table {
    name: "tasks",
    columns: "id, order_id, kind, subject_id, created_at, due_at, tries, finished_at",
    write: |years, rows| {
        for sale in years.sales().filter(|sale| sale.has_events && sale.standing == Standing::Cancelled) {
            let at = sale.at + 31 * MINUTE;
            rows.row(8)
                .uuid(timed_id(TASK, sale.number, at))
                .uuid(order_id(&sale))
                .text("CLOSE_SESSION")
                .uuid(timed_id(ATTEMPT, sale.number, sale.at))
                .moment(at)
                .moment(at)
                .integer(1)
                .moment(at);
        }
    },
};

const EVENTS: Table = Table {
    name: "provider_events",
    columns: "id, provider_event_id, type, status, order_id, intent, payload, received_at, applied_at",
    write: |years, rows| {
        // As long as an event of a session usually is.
        let payload = format!(r#"{{"id":"evt","object":"event","data":"{}"}}"#, "x".repeat(3_000));
        for sale in years.sales().filter(|sale| sale.has_events) {
            let at = sale.at + MINUTE;
            let (kind, intent) = if sale.standing.is_paid() {
                ("checkout.session.completed", Some(intent(sale.number)))
            } else {
                ("checkout.session.expired", None)
            };
            rows.row(9)
                .uuid(timed_id(EVENT, sale.number, at))
                .text(&format!("evt_{:024}", sale.number))
                .text(kind)
                .text("APPLIED")
                .uuid(order_id(&sale))
                .text_or_null(intent.as_deref())
                .text_or_null(sale.has_payloads.then_some(payload.as_str()))
                .moment(at)
                .moment(at);
        }
    },
};

const MOVEMENTS: Table = Table {
    name: "stock_movements",
    columns: "id, seq, product_id, delta, stock_after, reason, order_id, created_at",
    write: |years, rows| {
        let opening = years.opening();
        let mut seq = 0;
        for product in 1..=years.size.products {
            seq += 1;
            rows.row(8)
                .uuid(timed_id(MOVEMENT, product, opening))
                .bigint(seq)
                .uuid(stock::number_id(Kind::Product, product))
                .bigint(STOCKED)
                .bigint(STOCKED)
                .text("filled")
                .null()
                .moment(opening);
        }
        let mut moves = years.moves();
        for sale in years.sales() {
            moves.of(&sale, |product, delta, stock_after| {
                seq += 1;
                let (reason, at) =
                    if delta < 0 { ("order placed", sale.at) } else { ("order cancelled", sale.at + 31 * MINUTE) };
                rows.row(8)
                    .uuid(timed_id(MOVEMENT, seq.cast_unsigned(), at))
                    .bigint(seq)
                    .uuid(stock::number_id(Kind::Product, product))
                    .bigint(delta)
                    .bigint(stock_after)
                    .text(reason)
                    .uuid(order_id(&sale))
                    .moment(at);
            });
        }
    },
};

const PRODUCTS: Table = Table {
    name: "products",
    columns: "id, name, name_key, description, search_text, price_minor, stock, created_at, updated_at",
    write: |years, rows| {
        let mut moves = years.moves();
        years.sales().for_each(|sale| moves.of(&sale, |_, _, _| ()));
        for product in 1..=years.size.products {
            let name = product_name(product);
            let description = format!(
                "A thing that is sold here, made in town number {}. {}It ends here.",
                scattered(product) % 9_973,
                "It has a description of usual length. ".repeat(4)
            );
            let at = years.moment(product, years.size.products);
            rows.row(9)
                .uuid(stock::number_id(Kind::Product, product))
                .text(&name)
                .text(&name.to_lowercase())
                .text(&description)
                .text(&format!("{name}\n{description}").to_lowercase())
                .bigint(price(product))
                .bigint(moves.by(product, 0))
                .moment(at)
                .moment(at);
        }
    },
};

const USERS: Table = Table {
    name: "users",
    columns: "id, email, name, password_hash, role, created_at",
    write: |years, rows| {
        for person in 1..=years.size.customers + 1 {
            let role = if person > years.size.customers { "ADMIN" } else { "CUSTOMER" };
            rows.row(6)
                .uuid(stock::number_id(Kind::User, person))
                .text(&format!("customer{person}@shop.example"))
                .text("Customer")
                .text("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g")
                .text(role)
                .moment(years.opening());
        }
    },
};

const SESSIONS: Table = Table {
    name: "sessions",
    columns: "id, user_id, created_at, expires_at",
    write: |years, rows| {
        for person in 1..=years.size.customers + 1 {
            rows.row(4)
                .uuid(stock::number_id(Kind::Session, person))
                .uuid(stock::number_id(Kind::User, person))
                .moment(years.now - HOUR)
                .moment(years.now + 30 * DAY);
        }
    },
};

const CARTS: Table = Table {
    name: "carts",
    columns: "user_id, updated_at",
    write: |years, rows| {
        for person in 1..=years.size.customers {
            rows.row(2).uuid(stock::number_id(Kind::User, person)).moment(years.now - HOUR);
        }
    },
};
