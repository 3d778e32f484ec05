//! The hosted page as a browser without scripts sees it.

use stripe_simulator::PayTerms;

use crate::support::{Answer, Stripe, encode, order_with, read};

async fn open(stripe: &Stripe, path: &str) -> Answer {
    read(stripe.http.get(stripe.url(path))).await.unwrap()
}

/// Presses a button; gives the status and where it leads.
async fn press(stripe: &Stripe, id: &str, button: &str, form: &[(&str, &str)]) -> (u16, String) {
    let request = stripe
        .http
        .post(stripe.url(&format!("/pay/c/{id}/{button}")))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(encode(form));
    let answer = read(request).await.unwrap();
    (answer.status, answer.header("location").unwrap_or_default().to_owned())
}

const EMAIL: &[(&str, &str)] = &[("email", "ada@example.com")];

#[tokio::test]
async fn the_page_shows_what_is_bought_under_a_strict_policy() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let page = open(&stripe, &format!("/pay/c/{id}")).await;
    let html = page.body.as_str().unwrap();
    for shown in ["Mug", "Qty 2", "$19.99 each", "$39.98", "Test mode", "https://shop.example/cart", "name=\"email\""] {
        assert!(html.contains(shown), "{shown}");
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe-inline"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(!html.contains("<script") && !html.contains(" style="));
    let css = open(&stripe, "/assets/pay.css").await;
    assert_eq!((css.status, css.header("content-type")), (200, Some("text/css; charset=utf-8")));
}

#[tokio::test]
async fn markup_in_names_and_links_stays_text() {
    let stripe = Stripe::start().await;
    let name = "line_items[0][price_data][product_data][name]";
    let form = order_with(name, "<script>alert(1)</script>\" onload='x'");
    let id = stripe.post("/v1/checkout/sessions", &form).await.id();
    let page = open(&stripe, &format!("/pay/c/{id}")).await;
    let html = page.body.as_str().unwrap();
    assert!(html.contains("&lt;script&gt;alert(1)"));
    assert!(!html.contains("<script>") && !html.contains("' onload") && !html.contains("\" onload"));
    let unknown = open(&stripe, "/pay/c/%3Cscript%3E").await;
    assert!(!unknown.body.as_str().unwrap().contains("<script>"));
}

#[tokio::test]
async fn paying_returns_to_the_shop_with_the_sessions_id() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let (status, location) = press(&stripe, &id, "pay", EMAIL).await;
    assert_eq!((status, location), (303, format!("https://shop.example/done?session={id}")));
    let session = stripe.session(&id).await;
    assert_eq!((&session["status"], &session["payment_status"]), (&"complete".into(), &"paid".into()));
    assert_eq!(session["customer_details"]["email"], "ada@example.com");
    let page = open(&stripe, &format!("/pay/c/{id}")).await;
    assert!(page.body.as_str().unwrap().contains("Payment complete"));
    let (status, location) = press(&stripe, &id, "pay", EMAIL).await;
    assert_eq!((status, location), (303, format!("/pay/c/{id}")), "a second press pays nothing");
    assert_eq!(stripe.control().charges().len(), 1);
}

#[tokio::test]
async fn a_return_address_beyond_ascii_is_escaped() {
    let stripe = Stripe::start().await;
    let form = order_with("success_url", "https://shop.example/größe?session={CHECKOUT_SESSION_ID}");
    let id = stripe.post("/v1/checkout/sessions", &form).await.id();
    let (status, location) = press(&stripe, &id, "pay", EMAIL).await;
    assert_eq!((status, location), (303, format!("https://shop.example/gr%C3%B6%C3%9Fe?session={id}")));
}

#[tokio::test]
async fn a_declined_card_comes_back_to_the_page_with_a_notice() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    let (status, location) = press(&stripe, &id, "decline", EMAIL).await;
    assert_eq!((status, location.as_str()), (303, format!("/pay/c/{id}?notice=declined").as_str()));
    let page = open(&stripe, &location).await;
    assert!(page.body.as_str().unwrap().contains("Your card was declined"));
    assert_eq!(stripe.session(&id).await["status"], "open");
}

#[tokio::test]
async fn a_delayed_payment_is_settled_or_failed_on_its_page() {
    let stripe = Stripe::start().await;
    for (button, title, paid) in [("settle", "Payment complete", "paid"), ("fail", "Payment failed", "unpaid")] {
        let id = stripe.open_session().await;
        let (status, location) = press(&stripe, &id, "pay-later", EMAIL).await;
        assert_eq!((status, location), (303, format!("https://shop.example/done?session={id}")));
        let page = open(&stripe, &format!("/pay/c/{id}")).await;
        assert!(page.body.as_str().unwrap().contains("Payment on its way"));
        assert_eq!(press(&stripe, &id, button, &[]).await, (303, format!("/pay/c/{id}")));
        let page = open(&stripe, &format!("/pay/c/{id}")).await;
        assert!(page.body.as_str().unwrap().contains(title));
        assert_eq!(stripe.session(&id).await["payment_status"], paid);
    }
}

#[tokio::test]
async fn without_an_e_mail_nothing_is_paid_unless_the_shop_gave_one() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    for form in [&[][..], &[("email", "nobody")]] {
        assert_eq!(press(&stripe, &id, "pay", form).await, (303, format!("/pay/c/{id}?notice=email")));
    }
    assert_eq!(stripe.session(&id).await["status"], "open");
    let given = stripe.post("/v1/checkout/sessions", &order_with("customer_email", "shop@example.com")).await.id();
    assert!(open(&stripe, &format!("/pay/c/{given}")).await.body.as_str().unwrap().contains("shop@example.com"));
    assert_eq!(press(&stripe, &given, "pay", &[]).await.0, 303);
    assert_eq!(stripe.session(&given).await["customer_details"]["email"], "shop@example.com");
}

#[tokio::test]
async fn an_expired_or_unknown_session_has_a_page_that_says_so() {
    let stripe = Stripe::start().await;
    let id = stripe.open_session().await;
    stripe.control().expire(&id).unwrap();
    let expired = open(&stripe, &format!("/pay/c/{id}")).await;
    assert!(expired.body.as_str().unwrap().contains("This page has expired"));
    assert_eq!(press(&stripe, &id, "pay", EMAIL).await, (303, format!("/pay/c/{id}")));
    assert!(stripe.control().charges().is_empty());
    let unknown = open(&stripe, "/pay/c/cs_test_0").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.as_str().unwrap().contains("no such payment page"));
    assert_eq!(open(&stripe, "/elsewhere").await.status, 404);
}

#[tokio::test]
async fn the_overview_lists_the_latest_sessions() {
    let stripe = Stripe::start().await;
    assert!(open(&stripe, "/").await.body.as_str().unwrap().contains("No checkout session"));
    let id = stripe.open_session().await;
    stripe.control().pay(&id, PayTerms::default()).unwrap();
    let html = open(&stripe, "/").await;
    assert!(html.body.as_str().unwrap().contains(&format!("/pay/c/{id}")));
}
