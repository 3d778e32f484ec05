//! `/checkout/success` and `/checkout/cancel`: where the provider's payment page sends people back to.
//!
//! Plain pages for shops without a storefront yet. A redirect proves nothing (contract 3.4), so no page ever says
//! that an order is paid; and nothing of the address is shown but an id that is a UUID.

#[cfg(test)]
mod tests;

use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse};
use domain::id::OrderId;

use crate::access::Who;
use crate::openapi::{Operation, Tag};
use crate::resource::{Routes, resource};

const STYLE_PATH: &str = "/checkout/style.css";
const STYLE: &str = include_str!("checkout_pages/style.css");

const CONTENT_SECURITY_POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Mounts the pages.
pub fn configure(routes: &mut impl Routes) {
    routes
        .service(
            resource("/checkout/success").get(
                Who::Anyone,
                success,
                Operation::new(Tag::Pages, "showCheckoutSuccess", "Where the payment page returns to after a payment")
                    .answers_text("text/html", "A page. It proves nothing: ask for the order."),
            ),
        )
        .service(
            resource("/checkout/cancel").get(
                Who::Anyone,
                cancel,
                Operation::new(Tag::Pages, "showCheckoutCancel", "Where the payment page returns to without one")
                    .answers_text("text/html", "A page. Nothing is cancelled by it."),
            ),
        )
        .service(resource(STYLE_PATH).get(Who::Anyone, style, Operation::part_of_a_page()));
}

async fn success(request: HttpRequest) -> HttpResponse {
    page(&Page {
        title: "Thank you for your order",
        says: "We are waiting for the payment provider's word on your payment. As soon as it arrives, your order \
               moves on. That usually takes a few seconds; with some ways to pay, a few days.",
        then: "You can close this page. Your order's present state is always under your orders.",
        order_id: order_id(&request),
    })
}

async fn cancel(request: HttpRequest) -> HttpResponse {
    page(&Page {
        title: "You left the payment page",
        says: "Your order was not cancelled by that: we keep it for you until its payment window ends, and you can \
               pay it until then.",
        then: "To pay, open your order and start the payment again. If you don't want it any more, cancel it there.",
        order_id: order_id(&request),
    })
}

async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .body(STYLE)
}

/// The order that the address names, if it names one as the shop writes it.
fn order_id(request: &HttpRequest) -> Option<OrderId> {
    let parameters: Vec<(String, String)> = serde_urlencoded::from_str(request.query_string()).unwrap_or_default();
    let (_, id) = parameters.into_iter().find(|(name, _)| name == "orderId")?;
    OrderId::parse(&id).ok()
}

struct Page {
    title: &'static str,
    says: &'static str,
    then: &'static str,
    order_id: Option<OrderId>,
}

fn page(page: &Page) -> HttpResponse {
    let Page { title, says, then, order_id } = page;
    // A UUID needs no escaping, and the rest is ours.
    let order = order_id.map(|id| format!("<p class=\"order\">Your order <code>{id}</code></p>\n")).unwrap_or_default();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{order}\
         <p>{says}</p>\n<p class=\"then\">{then}</p>\n</main>\n</body>\n</html>\n"
    );
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(CONTENT_SECURITY_POLICY)
        .body(html)
}
