//! A purchase from the first visit to the doorstep, and what the customer is shown on the way.

use ironcart_tests::actors::ADDRESS;
use ironcart_tests::shop::TestShop;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_registers_orders_pays_and_gets_the_parcel() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Enamel mug", "12.50", 10).await;

    let account = json!({ "email": "Ada@Example.com", "password": "Correct-horse-7", "name": "Ada" });
    let _ = shop.anonymous.post("/auth/register", account.clone()).await.expect(201);
    let login = json!({ "email": "ada@example.com", "password": "Correct-horse-7" });
    let tokens = shop.anonymous.post("/auth/login", login).await.expect(200).json();
    let ada = shop.anonymous.bearing(tokens["accessToken"].as_str().unwrap());
    let me = ada.get("/users/me").await.expect(200).json();

    let cart = ada.post("/cart/items", json!({ "productId": mug.id, "quantity": 3 })).await.expect(200).json();
    assert_eq!((&cart["total"], &cart["items"][0]["available"]), (&json!("37.50"), &json!(10)));
    let placed = ada.post("/orders", json!({ "shippingAddress": ADDRESS, "expectedTotal": "37.50" })).await;
    let order = placed.order();
    assert_eq!(placed.header("location"), Some(format!("/api/v1/orders/{}", order.id).as_str()));
    assert_eq!(order.standing(), "PENDING PENDING");
    assert_eq!((order.total.as_str(), order.currency.as_str()), ("37.50", "USD"));
    assert_eq!(Some(order.user_id.as_str()), me["id"].as_str());
    assert_eq!(order.items.len(), 1);
    assert_eq!(order.items[0].line_total, "37.50");
    assert_eq!(ada.get("/cart").await.json()["items"], json!([]));
    assert_eq!(admin.counts(&mug).await, 7);

    let page = order.payment.checkout_url.clone().expect("a page to pay on");
    assert!(ada.open_page(&page).await.expect(200).text.contains("Enamel mug"));
    let back = ada.press(&format!("{page}/pay")).await.expect(303);
    let success = format!("http://shop.test/checkout/success?orderId={}", order.id);
    assert_eq!(back.header("location"), Some(success.as_str()));

    let paid = shop.reaches(&order, "PAID COMPLETED").await;
    assert!(paid.paid_at.is_some());
    assert_eq!(paid.payment.checkout_url, None);
    let shipped = admin.moves(&order, json!({ "status": "SHIPPED", "trackingNumber": "1Z 999" })).await.order();
    assert_eq!(shipped.tracking_number.as_deref(), Some("1Z 999"));
    let delivered = admin.delivers(&order).await.order();
    assert_eq!(
        delivered.story(),
        [">PENDING CUSTOMER", "PENDING>PAID PROVIDER", "PAID>SHIPPED ADMIN", "SHIPPED>DELIVERED ADMIN"]
    );
    assert_eq!(delivered.history[2].actor_id.as_deref(), Some(admin.id.as_str()));
    shop.close().await;
}
