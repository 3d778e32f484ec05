//! Who acts in the tests, in words that read like sentences. Each answer is given as it came: the tests judge it.

#![allow(clippy::missing_panics_doc, reason = "what fails here fails the test")]

use serde_json::{Value, json};

use crate::http::{Http, Reply};
use crate::wire::{Event, Order, Product};

/// Where test customers live.
pub const ADDRESS: &str = "1 Main Street\n12345 Springfield";

/// A customer who is logged in.
#[derive(Debug, Clone)]
pub struct Customer {
    /// Their id.
    pub id: String,
    /// Speaks as them.
    pub http: Http,
}

impl Customer {
    /// The same customer, whose every request bears this `Idempotency-Key`.
    #[must_use]
    pub fn keyed(&self, key: &str) -> Self {
        Self { http: self.http.keyed(key), ..self.clone() }
    }

    /// Adds to the cart.
    pub async fn adds(&self, product: &Product, quantity: u32) -> Reply {
        self.http.post("/cart/items", json!({ "productId": product.id, "quantity": quantity })).await
    }

    /// Orders what is in the cart.
    pub async fn checks_out(&self) -> Reply {
        self.checks_out_with(json!({})).await
    }

    /// Orders what is in the cart, with further fields in the request.
    pub async fn checks_out_with(&self, more: Value) -> Reply {
        let mut body = json!({ "shippingAddress": ADDRESS });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        self.http.post("/orders", body).await
    }

    /// Fills the cart and orders; all must go well.
    #[track_caller]
    pub fn orders<'a>(&'a self, wanted: &'a [(&'a Product, u32)]) -> impl Future<Output = Order> + Send + 'a {
        self.orders_with(wanted, json!({}))
    }

    /// Fills the cart and orders with further fields in the request; all must go well.
    pub async fn orders_with(&self, wanted: &[(&Product, u32)], more: Value) -> Order {
        for (product, quantity) in wanted {
            let _ = self.adds(product, *quantity).await.expect(200);
        }
        self.checks_out_with(more).await.expect(201).order()
    }

    /// Orders without a checkout session yet; all must go well.
    pub async fn orders_to_pay_later(&self, product: &Product, quantity: u32) -> Order {
        self.orders_with(&[(product, quantity)], json!({ "payNow": false })).await
    }

    /// Asks for the page to pay on.
    pub async fn starts_payment(&self, order: &Order) -> Reply {
        self.http.post_empty(&format!("/orders/{}/payment", order.id)).await
    }

    /// Pays with a card on the provider's page; gives where the page leads to.
    pub async fn pays(&self, order: &Order) -> String {
        self.presses("pay", order).await
    }

    /// Presses a button of the provider's page (`pay`, `decline`, `pay-later`); gives where the page leads to.
    pub async fn presses(&self, button: &str, order: &Order) -> String {
        let page = order.payment.checkout_url.as_deref();
        let page = page.unwrap_or_else(|| unreachable!("order {} has no page to pay on", order.id));
        let answer = self.http.press(&format!("{page}/{button}")).await.expect(303);
        answer.header("location").unwrap_or_default().to_owned()
    }

    /// Calls an order off.
    pub async fn cancels(&self, order: &Order) -> Reply {
        self.http.post_empty(&format!("/orders/{}/cancel", order.id)).await
    }

    /// Looks at an order of their own.
    pub async fn sees(&self, order: &Order) -> Order {
        self.http.get(&format!("/orders/{}", order.id)).await.expect(200).order()
    }

    /// Looks into the cart.
    pub async fn looks_into_cart(&self) -> Value {
        self.http.get("/cart").await.expect(200).json()
    }
}

/// An admin who is logged in.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Their id.
    pub id: String,
    /// Speaks as them.
    pub http: Http,
}

impl Admin {
    /// Puts a product on sale.
    pub async fn sells(&self, name: &str, price: &str, stock: i64) -> Product {
        let body = json!({ "name": name, "price": price, "stock": stock });
        self.http.post("/products", body).await.expect(201).read_as()
    }

    /// Looks at a product.
    pub async fn looks_at(&self, product: &Product) -> Product {
        self.http.get(&format!("/products/{}", product.id)).await.expect(200).read_as()
    }

    /// Counts the units of a product.
    pub async fn counts(&self, product: &Product) -> i64 {
        self.looks_at(product).await.stock
    }

    /// Changes a product.
    pub async fn changes(&self, product: &Product, change: Value) -> Reply {
        self.http.patch(&format!("/products/{}", product.id), change).await
    }

    /// Takes a product off sale.
    pub async fn archives(&self, product: &Product) -> Reply {
        self.http.delete(&format!("/products/{}", product.id)).await
    }

    /// Ships an order.
    pub async fn ships(&self, order: &Order) -> Reply {
        self.moves(order, json!({ "status": "SHIPPED" })).await
    }

    /// Notes that an order arrived.
    pub async fn delivers(&self, order: &Order) -> Reply {
        self.moves(order, json!({ "status": "DELIVERED" })).await
    }

    /// Clears an order's flags.
    pub async fn clears_flags(&self, order: &Order) -> Reply {
        self.moves(order, json!({ "clearFlags": true })).await
    }

    /// Any change of an order.
    pub async fn moves(&self, order: &Order, change: Value) -> Reply {
        self.http.patch(&format!("/admin/orders/{}", order.id), change).await
    }

    /// Calls an order off.
    pub async fn cancels(&self, order: &Order) -> Reply {
        self.http.post_empty(&format!("/orders/{}/cancel", order.id)).await
    }

    /// Gives an order's money back.
    pub async fn refunds(&self, order: &Order) -> Reply {
        self.http.post_empty(&format!("/admin/orders/{}/refund", order.id)).await
    }

    /// Looks at an order.
    pub async fn sees(&self, order: &Order) -> Order {
        self.http.get(&format!("/orders/{}", order.id)).await.expect(200).order()
    }

    /// Lists the provider's events, as `status=FAILED` asks for.
    pub async fn lists_events(&self, filter: &str) -> Vec<Event> {
        let page = self.http.get(&format!("/admin/events?limit=100&{filter}")).await.expect(200).json();
        serde_json::from_value(page["items"].clone()).unwrap_or_else(|error| unreachable!("{error}: {page}"))
    }

    /// Looks at one of the provider's events.
    pub async fn sees_event(&self, event: &Event) -> Event {
        self.http.get(&format!("/admin/events/{}", event.id)).await.expect(200).read_as()
    }

    /// Applies an event again.
    pub async fn replays(&self, event: &Event) -> Reply {
        self.http.post_empty(&format!("/admin/events/{}/replay", event.id)).await
    }
}
