//! Accounts over HTTP, on whole shops: the life of a login, its end, and what strangers learn.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ironcart_tests::http::Reply;
use ironcart_tests::shop::TestShop;
use serde_json::{Value, json};

const PASSWORD: &str = "Passw0rd!";

async fn registers(shop: &TestShop, email: &str) -> Reply {
    shop.anonymous.post("/auth/register", json!({ "email": email, "password": PASSWORD, "name": "Ada" })).await
}

async fn logs_in(shop: &TestShop, email: &str, password: &str) -> Reply {
    shop.anonymous.post("/auth/login", json!({ "email": email, "password": password })).await
}

async fn refreshes(shop: &TestShop, tokens: &Value) -> Reply {
    shop.anonymous.post("/auth/refresh", json!({ "refreshToken": tokens["refreshToken"] })).await
}

async fn reads_themselves(shop: &TestShop, tokens: &Value) -> Reply {
    shop.anonymous.bearing(tokens["accessToken"].as_str().unwrap()).get("/users/me").await
}

fn count(replies: &[Reply], verdict: &str) -> usize {
    replies.iter().filter(|reply| reply.verdict() == verdict).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_registers_logs_in_refreshes_and_logs_out() {
    let shop = TestShop::open().await;
    let user = registers(&shop, "Ada@Example.com").await.expect(201).json();
    assert_eq!(
        (&user["email"], &user["role"], &user["blocked"]),
        (&json!("ada@example.com"), &json!("CUSTOMER"), &json!(false))
    );
    assert_eq!(user.as_object().unwrap().len(), 6, "nothing but the contract's fields: {user}");

    let login = logs_in(&shop, "ADA@example.com", PASSWORD).await.expect(200);
    assert_eq!(login.header("cache-control"), Some("no-store"));
    let first = login.json();
    assert_eq!((&first["tokenType"], &first["expiresIn"], &first["user"]), (&json!("Bearer"), &json!(900), &user));
    assert_eq!(reads_themselves(&shop, &first).await.expect(200).json(), user);

    let second = refreshes(&shop, &first).await.expect(200).json();
    let _ = reads_themselves(&shop, &second).await.expect(200);
    for _ in 0..2 {
        let body = json!({ "refreshToken": second["refreshToken"] });
        let _ = shop.anonymous.post("/auth/logout", body).await.expect(204);
    }
    reads_themselves(&shop, &second).await.is_problem(401, "unauthenticated");
    refreshes(&shop, &second).await.is_problem(401, "unauthenticated");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_in_many_spellings_at_once_registers_once() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let spellings = ["ada@example.com", "ADA@example.com", "Ada@Example.Com", " ada@EXAMPLE.com "];
    let tries = (0..12).map(|index| registers(&shop, spellings[index % 4]));
    let replies = join_all(tries).await;
    assert_eq!((count(&replies, "ok"), count(&replies, "email_taken")), (1, 11));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refresh_token_spent_on_two_instances_at_once_ends_its_family() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let _ = registers(&shop, "ada@example.com").await.expect(201);
    for round in 0..10 {
        let tokens = logs_in(&shop, "ada@example.com", PASSWORD).await.expect(200).json();
        let replies = join_all([refreshes(&shop, &tokens), refreshes(&shop, &tokens)]).await;
        assert_eq!((count(&replies, "ok"), count(&replies, "unauthenticated")), (1, 1), "round {round}");
        let winner = replies.iter().find(|reply| reply.status == 200).unwrap().json();
        reads_themselves(&shop, &winner).await.is_problem(401, "unauthenticated");
        refreshes(&shop, &winner).await.is_problem(401, "unauthenticated");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_or_demoted_user_is_out_at_once_on_every_instance() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let admin = shop.admin().await;
    let user = registers(&shop, "ada@example.com").await.expect(201).json();
    let path = format!("/admin/users/{}", user["id"].as_str().unwrap());
    for change in [json!({ "role": "ADMIN" }), json!({ "role": "CUSTOMER" }), json!({ "blocked": true })] {
        let tokens = logs_in(&shop, "ada@example.com", PASSWORD).await.expect(200).json();
        let _ = admin.http.patch(&path, change).await.expect(200);
        for _ in 0..2 {
            reads_themselves(&shop, &tokens).await.is_problem(401, "unauthenticated");
            refreshes(&shop, &tokens).await.is_problem(401, "unauthenticated");
        }
    }
    let blocked = logs_in(&shop, "ada@example.com", PASSWORD).await.is_problem(401, "invalid_credentials");
    let wrong = logs_in(&shop, "ada@example.com", "wrong").await.is_problem(401, "invalid_credentials");
    assert_eq!(blocked["detail"], wrong["detail"]);
    let _ = admin.http.patch(&path, json!({ "blocked": false })).await.expect(200);
    let _ = logs_in(&shop, "ada@example.com", PASSWORD).await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_who_demote_each_other_at_once_leave_one() {
    let shop = TestShop::with(|plan| plan.instances = 2).await;
    let (one, other) = (shop.admin().await, shop.admin().await);
    let (path_of_one, path_of_other) = (format!("/admin/users/{}", one.id), format!("/admin/users/{}", other.id));
    let demote = || json!({ "role": "CUSTOMER" });
    let replies = join_all([one.http.patch(&path_of_other, demote()), other.http.patch(&path_of_one, demote())]).await;
    assert_eq!(count(&replies, "ok"), 1);
    let loser = replies.iter().find(|reply| reply.status != 200).unwrap();
    // Whoever comes second is refused for the last admin's sake, or is no longer let in at all.
    assert!(["invalid_transition", "unauthenticated"].contains(&loser.verdict().as_str()), "{}", loser.text);
    let admins = shop.database.number("SELECT count(*) AS n FROM users WHERE role = 'ADMIN'").await;
    assert_eq!(admins, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_the_other_logins() {
    let shop = TestShop::open().await;
    let _ = registers(&shop, "ada@example.com").await.expect(201);
    let mine = logs_in(&shop, "ada@example.com", PASSWORD).await.expect(200).json();
    let other = logs_in(&shop, "ada@example.com", PASSWORD).await.expect(200).json();
    let me = shop.anonymous.bearing(mine["accessToken"].as_str().unwrap());
    let change = |old: &str| json!({ "oldPassword": old, "newPassword": "N3w passw0rd!" });
    me.post("/auth/change-password", change("wrong")).await.is_problem(401, "invalid_credentials");
    let _ = me.post("/auth/change-password", change(PASSWORD)).await.expect(204);
    let _ = reads_themselves(&shop, &mine).await.expect(200);
    reads_themselves(&shop, &other).await.is_problem(401, "unauthenticated");
    refreshes(&shop, &other).await.is_problem(401, "unauthenticated");
    logs_in(&shop, "ada@example.com", PASSWORD).await.is_problem(401, "invalid_credentials");
    let _ = logs_in(&shop, "ada@example.com", "N3w passw0rd!").await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_learns_neither_from_words_nor_from_time_who_has_an_account() {
    let shop = TestShop::open().await;
    let _ = registers(&shop, "ada@example.com").await.expect(201);
    let mut spent = [Vec::new(), Vec::new()];
    let mut said = [Value::Null, Value::Null];
    for _ in 0..15 {
        for (index, email) in ["ada@example.com", "nobody@example.com"].into_iter().enumerate() {
            let begun = Instant::now();
            said[index] = logs_in(&shop, email, "wrong").await.is_problem(401, "invalid_credentials");
            spent[index].push(begun.elapsed());
        }
    }
    for member in ["type", "title", "status", "detail", "code"] {
        assert_eq!(said[0][member], said[1][member]);
    }
    let [known, unknown] = spent.map(|mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    assert!(unknown < known * 2 && known < unknown * 2, "known {known:?}, unknown {unknown:?}");
    shop.close().await;
}
