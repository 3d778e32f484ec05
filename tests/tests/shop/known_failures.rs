//! How comparable shops were seen to fail, and the test here that would catch each. [`every_known_failure_has_its_test`]
//! keeps the list honest: a test that is renamed or dropped is missed.

use std::path::Path;
use std::time::{Duration, Instant};

use adapters_crypto::{Hs256Tokens, JwtSecret};
use chrono::TimeDelta;
use domain::account::{AccessTokens, Claims, Role};
use ironcart_tests::http::Http;
use ironcart_tests::shop::{JWT_SECRET, TestShop};
use serde_json::{Value, json};

/// What was seen elsewhere, and where it would be caught: `file` (in `tests/tests/shop`, or a path in the workspace) and
/// the name of a test in it.
const CAUGHT: &[(&str, &str, &str)] = &[
    // Orders and stock
    (
        "one cart ordered 20 times at once is several orders",
        "races.rs",
        "one_cart_ordered_twenty_times_at_once_is_one_order",
    ),
    (
        "one order cancelled 20 times at once restocks several times",
        "races.rs",
        "one_order_cancelled_twenty_times_at_once_gives_its_stock_back_once",
    ),
    ("two sweeping instances restock twice", "races.rs", "three_instances_that_sweep_give_the_stock_back_once"),
    ("expiry against cancel restocks twice", "races.rs", "expiry_against_cancellation_gives_the_stock_back_once"),
    (
        "carts in opposite order deadlock",
        "races.rs",
        "two_hundred_buyers_of_two_products_in_crossed_order_meet_no_deadlock",
    ),
    ("more pending orders than the cap", "races.rs", "of_twenty_orders_at_once_the_cap_lets_five_through"),
    ("more cancellations than the cap", "races.rs", "of_five_cancellations_at_once_the_cap_lets_three_through"),
    (
        "expiries and admins' cancellations count as the customer's",
        "cancelling.rs",
        "the_fourth_cancellation_of_a_day_is_refused_and_only_own_ones_count",
    ),
    ("paid orders count as pending", "placing.rs", "a_sixth_unpaid_order_is_refused_and_paid_ones_do_not_count"),
    ("shipping and cancelling at once both succeed", "races.rs", "of_shipping_and_cancelling_at_once_one_happens"),
    (
        "an admin's cancellation restocks nothing",
        "cancelling.rs",
        "an_admin_calls_off_a_paid_order_and_its_money_and_stock_go_back",
    ),
    ("unpaid orders delivered, cancelled ones shipped", "cancelling.rs", "only_the_moves_of_the_contract_exist"),
    (
        "two lines on one stock are checked each alone",
        "placing.rs",
        "units_of_one_product_added_twice_are_one_line_that_the_stock_is_checked_against",
    ),
    ("stock and ledger drift apart", "tests/src/invariants.rs", "hold_at_any_moment"),
    ("shoppers blocked by their own hold", "placing.rs", "a_customer_is_not_blocked_by_what_they_hold_themselves"),
    // Money
    ("parallel payment starts open several sessions", "races.rs", "ten_payments_started_at_once_share_one_session"),
    (
        "second and third payments are kept",
        "races.rs",
        "payments_of_one_order_told_at_once_pay_it_once_and_the_others_go_back",
    ),
    ("a cancelled order can be paid", "cancelling.rs", "a_customer_calls_off_an_unpaid_order"),
    ("money for a cancelled order is kept", "paying.rs", "money_for_a_cancelled_order_goes_back"),
    ("money for an expired order is kept", "expiring.rs", "money_that_came_while_the_provider_was_silent_goes_back"),
    (
        "cancelled and the money kept",
        "races.rs",
        "a_cancellation_against_a_payment_never_keeps_the_money_of_a_cancelled_order",
    ),
    (
        "a paid order with a lost webhook expires",
        "expiring.rs",
        "an_order_paid_by_a_lost_webhook_is_settled_instead_of_cancelled",
    ),
    (
        "after a failed attempt the order never expires",
        "expiring.rs",
        "an_order_that_was_never_to_be_paid_by_now_expires_as_well",
    ),
    (
        "a wrong sum or currency pays the order",
        "paying.rs",
        "money_of_another_sum_or_currency_pays_nothing_and_goes_back",
    ),
    (
        "a session completed unpaid pays the order",
        "paying.rs",
        "an_order_waits_for_a_delayed_payment_and_is_paid_when_it_arrives",
    ),
    ("19.999 is stored as 20", "known_failures.rs", "a_price_with_three_fraction_digits_is_refused_and_not_rounded"),
    ("sums in floats", "known_failures.rs", "sums_are_exact_to_the_cent"),
    (
        "a row lock is held across the payment call",
        "placing.rs",
        "no_connection_and_no_lock_is_held_while_the_provider_is_asked",
    ),
    (
        "500 while the provider is down, and the order made all the same",
        "placing.rs",
        "an_order_stands_although_the_provider_is_down_and_is_paid_later",
    ),
    (
        "an admin cancels a paid order, no refund",
        "cancelling.rs",
        "an_admin_calls_off_a_paid_order_and_its_money_and_stock_go_back",
    ),
    ("a refund is asked for twice", "races.rs", "ten_refunds_of_one_order_at_once_are_one"),
    // Webhooks
    ("a bad signature answers 500", "webhooks.rs", "only_what_the_provider_signed_lately_is_believed"),
    (
        "the body is parsed before its signature is checked",
        "webhooks.rs",
        "a_body_is_looked_at_only_after_its_signature",
    ),
    ("200 before the verification", "webhooks.rs", "only_what_the_provider_signed_lately_is_believed"),
    ("the rate limiter throttles the provider", "rate_limits.rs", "the_provider_is_heard_however_often_it_calls"),
    ("an unknown order answers 404", "webhooks.rs", "what_does_not_concern_the_shop_is_recorded_and_answered_well"),
    ("a body that is no JSON answers 500", "webhooks.rs", "a_body_is_looked_at_only_after_its_signature"),
    (
        "settled several times by parallel deliveries",
        "races.rs",
        "a_completed_session_told_fifty_times_at_once_pays_once",
    ),
    (
        "a failed settlement is logged and answered 200",
        "webhooks.rs",
        "a_failure_of_ours_answers_5xx_leaves_nothing_half_done_and_the_event_comes_again",
    ),
    ("disputes are ignored", "webhooks.rs", "a_dispute_that_overtakes_its_payment_waits_for_it"),
    // Accounts
    ("refresh works after logout", "known_failures.rs", "no_token_outlives_a_logout_or_a_change_of_password"),
    (
        "refresh works after a password change",
        "known_failures.rs",
        "no_token_outlives_a_logout_or_a_change_of_password",
    ),
    ("`X-Forwarded-For` evades the login guard", "auth_guard.rs", "a_header_that_anyone_can_send_evades_nothing"),
    ("password hashes in admins' lists", "known_failures.rs", "no_answer_holds_a_password_hash"),
    ("an expired or forged token answers 500", "known_failures.rs", "a_bad_token_of_any_kind_is_a_401"),
    (
        "an unknown e-mail is told by time or message",
        "known_failures.rs",
        "a_login_does_not_tell_whether_the_e_mail_exists",
    ),
    ("one e-mail registers twice in another case", "known_failures.rs", "an_e_mail_registers_once_in_whatever_case"),
    ("a NUL byte answers 500", "known_failures.rs", "a_nul_byte_is_the_clients_mistake"),
    ("the ORM's text in errors", "known_failures.rs", "a_failure_of_ours_shows_nothing_of_the_inside"),
];

#[test]
fn every_known_failure_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (failure, file, test) in CAUGHT {
        let path = if file.contains('/') { root.join(file) } else { root.join("tests/tests/shop").join(file) };
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(source.contains(&format!("fn {test}(")), "{failure}: there is no {test} in {file}");
    }
}

const PASSWORD: &str = "Correct-horse-7";

async fn register(shop: &TestShop, email: &str) -> Value {
    let account = json!({ "email": email, "password": PASSWORD });
    shop.anonymous.post("/auth/register", account).await.expect(201).json()
}

async fn log_in(shop: &TestShop, email: &str, password: &str) -> (Http, String) {
    let login = json!({ "email": email, "password": password });
    let tokens = shop.anonymous.post("/auth/login", login).await.expect(200).json();
    let access = shop.anonymous.bearing(tokens["accessToken"].as_str().unwrap());
    (access, tokens["refreshToken"].as_str().unwrap().to_owned())
}

// --- money ------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_price_with_three_fraction_digits_is_refused_and_not_rounded() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    for price in [json!("19.999"), json!(19.999), json!("1e2"), json!(1e300), json!("-1"), json!(0), json!("NaN")] {
        let body = json!({ "name": "Mug", "price": price, "stock": 1 });
        admin.http.post("/products", body).await.is_problem(422, "validation_failed");
    }
    let product = admin.http.post("/products", json!({ "name": "Mug", "price": 19.99, "stock": 1 })).await.expect(201);
    assert_eq!(product.json()["price"], "19.99");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_are_exact_to_the_cent() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let ada = shop.customer().await;
    // Each of these sums is off by a cent, or by a fraction of one, in binary floats.
    let dime = admin.sells("Dime", "0.10", 1000).await;
    let odd = admin.sells("Odd", "1.15", 1000).await;
    let large = admin.sells("Large", "9999.99", 1000).await;
    let order = ada.orders(&[(&dime, 3), (&odd, 7), (&large, 99)]).await;
    let lines: Vec<&str> = order.items.iter().map(|item| item.line_total.as_str()).collect();
    assert_eq!((lines, order.total.as_str()), (vec!["0.30", "8.05", "989999.01"], "990007.36"));
    assert_eq!(shop.sessions_of(&order)[0]["amount_total"], 99_000_736);
    shop.close().await;
}

// --- accounts ---------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn no_token_outlives_a_logout_or_a_change_of_password() {
    let shop = TestShop::open().await;
    register(&shop, "ada@example.com").await;
    let (gone, gone_refresh) = log_in(&shop, "ada@example.com", PASSWORD).await;
    let (other, other_refresh) = log_in(&shop, "ada@example.com", PASSWORD).await;
    let (own, own_refresh) = log_in(&shop, "ada@example.com", PASSWORD).await;

    let refreshing = async |token: &str| shop.anonymous.post("/auth/refresh", json!({ "refreshToken": token })).await;
    let _ = shop.anonymous.post("/auth/logout", json!({ "refreshToken": gone_refresh })).await.expect(204);
    gone.get("/users/me").await.is_problem(401, "unauthenticated");
    refreshing(&gone_refresh).await.is_problem(401, "unauthenticated");

    let change = json!({ "oldPassword": PASSWORD, "newPassword": "Another-horse-8" });
    let _ = own.post("/auth/change-password", change).await.expect(204);
    other.get("/users/me").await.is_problem(401, "unauthenticated");
    refreshing(&other_refresh).await.is_problem(401, "unauthenticated");
    let _ = own.get("/users/me").await.expect(200);
    let _ = refreshing(&own_refresh).await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_holds_a_password_hash() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let registered = register(&shop, "ada@example.com").await;
    let (ada, _) = log_in(&shop, "ada@example.com", PASSWORD).await;
    let _ = ada.post("/cart/items", json!({ "productId": mug.id, "quantity": 1 })).await.expect(200);
    let order = ada.post("/orders", json!({ "shippingAddress": "1 Main Street" })).await.expect(201);
    let id = registered["id"].as_str().unwrap();
    let answers = [
        registered.to_string(),
        order.text,
        ada.get("/users/me").await.expect(200).text,
        admin.http.get("/admin/users").await.expect(200).text,
        admin.http.get("/admin/orders").await.expect(200).text,
        admin.http.patch(&format!("/admin/users/{id}"), json!({ "blocked": true })).await.expect(200).text,
    ];
    for answer in answers {
        let lower = answer.to_lowercase();
        assert!(!lower.contains("argon2") && !lower.contains("password") && !lower.contains("hash"), "{answer}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_of_any_kind_is_a_401() {
    let shop = TestShop::open().await;
    let user = shop.customer().await;
    let claims = |issued_ago: i64, lifetime: i64| Claims {
        token_id: ironcart_tests::database::new_uuid(),
        user_id: user.id.parse().unwrap(),
        role: Role::Admin,
        session_id: ironcart_tests::database::new_uuid().into(),
        issued_at: shop.now() - TimeDelta::seconds(issued_ago),
        expires_at: shop.now() - TimeDelta::seconds(issued_ago) + TimeDelta::seconds(lifetime),
    };
    let signer = |secret: &str| Hs256Tokens::new(&JwtSecret::new(secret).unwrap(), &[]);
    let expired = signer(JWT_SECRET).issue(&claims(1000, 900)).unwrap().0;
    let no_session = signer(JWT_SECRET).issue(&claims(0, 900)).unwrap().0;
    let forged = signer("another secret of at least thirty-two bytes").issue(&claims(0, 900)).unwrap().0;
    for token in [expired.as_str(), &no_session, &forged, "", "a.b.c", "%00", &"x".repeat(5000)] {
        let refused = shop.anonymous.bearing(token).get("/users/me").await;
        refused.is_problem(401, "unauthenticated");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_does_not_tell_whether_the_e_mail_exists() {
    let shop = TestShop::open().await;
    register(&shop, "ada@example.com").await;
    let try_to = async |email: &str| {
        let begun = Instant::now();
        let login = json!({ "email": email, "password": "Wrong-horse-9" });
        let refused = shop.anonymous.post("/auth/login", login).await.is_problem(401, "invalid_credentials");
        ((refused["title"].clone(), refused["detail"].clone()), begun.elapsed())
    };
    // The best of several: a busy machine only ever adds to a time.
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    for _ in 0..6 {
        let (told_known, took) = try_to("ada@example.com").await;
        known = known.min(took);
        let (told_unknown, took) = try_to("nobody@example.com").await;
        unknown = unknown.min(took);
        assert_eq!(told_known, told_unknown);
    }
    // Hashing is what takes time: who skips it for an unknown address is ten times faster.
    assert!(unknown * 3 > known && known * 3 > unknown, "known {known:?}, unknown {unknown:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_e_mail_registers_once_in_whatever_case() {
    let shop = TestShop::open().await;
    register(&shop, "Ada@Example.com").await;
    for email in ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.com"] {
        let account = json!({ "email": email, "password": PASSWORD });
        shop.anonymous.post("/auth/register", account).await.is_problem(409, "email_taken");
    }
    let _ = log_in(&shop, "aDA@eXAMPLE.com", PASSWORD).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_byte_is_the_clients_mistake() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let mug = admin.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let _ = ada.adds(&mug, 1).await.expect(200);
    let bad = "a\u{0}bcdefgh";
    let account = json!({ "email": "a\u{0}@example.com", "password": PASSWORD });
    let answers = [
        shop.anonymous.post("/auth/register", account).await,
        shop.anonymous.post("/auth/register", json!({ "email": "a@b.de", "password": PASSWORD, "name": bad })).await,
        admin.http.post("/products", json!({ "name": bad, "price": "1.00", "stock": 1 })).await,
        ada.checks_out_with(json!({ "shippingAddress": bad })).await,
        ada.http.post("/orders/0192f0c1-2345-7abc-8def-0123456789ab/cancel", json!({ "reason": bad })).await,
    ];
    for answer in answers {
        answer.is_problem(422, "validation_failed");
    }
    // In a search it is a text like any other that nothing contains, or a mistake; it is no failure.
    let searched = ada.http.get("/products?q=a%00b").await;
    assert!(searched.status < 500, "{}", searched.text);
    shop.anonymous.get("/products/a%00b").await.is_problem(400, "malformed_request");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_ours_shows_nothing_of_the_inside() {
    let shop = TestShop::open().await;
    let mug = shop.sells("Mug", "10.00", 5).await;
    let ada = shop.customer().await;
    let _ = ada.adds(&mug, 1).await.expect(200);
    shop.database.run_sql("ALTER TABLE order_lines RENAME COLUMN name TO title").await.unwrap();
    let failed = ada.checks_out().await;
    assert_eq!(failed.status, 500, "{}", failed.text);
    for inside in ["order_lines", "column", "diesel", "postgres", "SELECT", "INSERT", "panic", ".rs"] {
        assert!(!failed.text.contains(inside), "{inside}: {}", failed.text);
    }
    shop.database.run_sql("ALTER TABLE order_lines RENAME COLUMN title TO name").await.unwrap();
    let _ = ada.checks_out().await.expect(201);
    shop.close().await;
}
