//! The account routes on mocked ports: shapes, codes, headers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use actix_web::web::{Data, ServiceConfig};
use chrono::{DateTime, TimeDelta};
use domain::account::{
    AccessToken, AccountPolicy, AccountService, Credentials, Email, HashError, MockAccessTokens, MockPasswordHasher,
    MockRefreshTokens, MockSessionRepository, MockUserRepository, PasswordHash, RefreshToken, RefreshTokenHash,
    RegisterError, Role, Rotation, Unguarded, UpdateUserError, User, UserPosition,
};
use domain::clock::{MockClock, Timestamp};
use domain::id::{SessionId, UserId};
use domain::page::Page;
use domain::store::StoreError;
use domain::text::PersonName;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::routes::{admin_users, auth, users};
use crate::testing::{Answer, CountingIds, bearer, customer, send};

const ADA_ID: u128 = 0x0192_f0c1_2345_7abc_8def_0123_4567_89ab;
const ADA: &str = "/api/v1/admin/users/0192f0c1-2345-7abc-8def-0123456789ab";

fn now() -> Timestamp {
    DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap()
}

fn ada() -> User {
    User {
        id: UserId::from(Uuid::from_u128(ADA_ID)),
        email: Email::parse("ada@example.com").unwrap(),
        name: PersonName::new("Ada").ok(),
        role: Role::Customer,
        blocked: false,
        created_at: now(),
    }
}

fn adas_credentials() -> Credentials {
    Credentials { user: ada(), password_hash: PasswordHash::new("$argon2id$ada".to_owned()) }
}

/// The ports, each refusing every call that a test does not expect.
#[derive(Default)]
struct Ports {
    users: MockUserRepository,
    sessions: MockSessionRepository,
    hasher: MockPasswordHasher,
}

impl Ports {
    async fn send(self, request: TestRequest) -> Answer {
        let mut clock = MockClock::new();
        clock.expect_now().returning(now);
        let mut access_tokens = MockAccessTokens::new();
        access_tokens.expect_issue().returning(|_| Ok(AccessToken("header.claims.signature".to_owned())));
        let mut refresh_tokens = MockRefreshTokens::new();
        refresh_tokens.expect_mint().returning(|| RefreshToken::minted("next".to_owned()));
        refresh_tokens.expect_hash().returning(|_| RefreshTokenHash([0; 32]));
        let accounts = AccountService {
            users: Arc::new(self.users),
            sessions: Arc::new(self.sessions),
            guard: Arc::new(Unguarded),
            hasher: Arc::new(self.hasher),
            access_tokens: Arc::new(access_tokens),
            refresh_tokens: Arc::new(refresh_tokens),
            clock: Arc::new(clock),
            ids: Arc::new(CountingIds::default()),
            policy: AccountPolicy { access_ttl_seconds: 900, refresh_ttl_seconds: 3600 },
        };
        let routes = move |config: &mut ServiceConfig| {
            config
                .app_data(Data::new(accounts))
                .configure(auth::configure)
                .configure(users::configure)
                .configure(admin_users::configure);
        };
        send(routes, request).await
    }
}

fn post(path: &str, body: &Value) -> TestRequest {
    TestRequest::post().uri(&format!("/api/v1/auth/{path}")).set_json(body)
}

fn patch(body: &Value) -> TestRequest {
    TestRequest::patch().uri(ADA).insert_header(bearer("admin")).set_json(body)
}

fn registration() -> Value {
    json!({ "email": "Ada@Example.com", "password": "Passw0rd!", "name": "Ada" })
}

#[actix_web::test]
async fn registering_gives_the_user_without_a_secret() {
    let mut ports = Ports::default();
    ports.hasher.expect_hash().returning(|_| Ok(PasswordHash::new("$argon2id$ada".to_owned())));
    ports.users.expect_add().times(1).returning(|_| Ok(()));
    let answer = ports.send(post("register", &registration())).await;
    assert_eq!(answer.status, 201);
    insta::assert_json_snapshot!(answer.body);
}

#[actix_web::test]
async fn a_registration_names_every_rule_it_breaks() {
    let body = json!({ "email": "ada", "password": "password", "name": "A", "role": "ADMIN" });
    let answer = Ports::default().send(post("register", &body)).await;
    assert_eq!((answer.status, answer.fields()), (422, vec!["email", "password", "name", "role"]));
    let answer = Ports::default().send(post("register", &json!({}))).await;
    assert_eq!((answer.status, answer.fields()), (422, vec!["email", "password"]));
}

#[actix_web::test]
async fn nul_bytes_and_control_characters_are_422_in_every_field() {
    for body in [
        json!({ "email": "a\u{0}da@example.com", "password": "Passw0rd!" }),
        json!({ "email": "ada@example.com", "password": "Passw0rd!\u{0}x" }),
        json!({ "email": "ada@example.com", "password": "Passw0rd!", "name": "A\u{1b}da" }),
    ] {
        assert_eq!(Ports::default().send(post("register", &body)).await.status, 422, "{body}");
    }
    let body = json!({ "email": "ada@example.com", "password": "\u{0}x\u{0}" });
    assert_eq!(Ports::default().send(post("login", &body)).await.fields(), ["password"]);
    for path in ["refresh", "logout"] {
        let body = json!({ "refreshToken": "x\u{0}y" });
        assert_eq!(Ports::default().send(post(path, &body)).await.fields(), ["refreshToken"]);
    }
}

#[actix_web::test]
async fn a_taken_email_is_a_conflict() {
    let mut ports = Ports::default();
    ports.hasher.expect_hash().returning(|_| Ok(PasswordHash::new("$argon2id$ada".to_owned())));
    ports.users.expect_add().returning(|_| Err(RegisterError::EmailTaken));
    let answer = ports.send(post("register", &registration())).await;
    assert_eq!((answer.status, answer.code()), (409, "email_taken"));
}

#[actix_web::test]
async fn logging_in_gives_tokens_that_are_never_stored_by_caches() {
    let mut ports = Ports::default();
    ports.users.expect_find_by_email().returning(|_| Ok(Some(adas_credentials())));
    ports.hasher.expect_verify().returning(|_, _| Ok(true));
    ports.sessions.expect_open().times(1).returning(|_| Ok(ada()));
    let body = json!({ "email": "ADA@example.com", "password": "Passw0rd!" });
    let answer = ports.send(post("login", &body)).await;
    assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (200, "no-store"));
    insta::assert_json_snapshot!(answer.body);
}

#[actix_web::test]
async fn a_failed_login_says_the_same_whoever_fails() {
    let mut bodies = Vec::new();
    for (found, verified) in [
        (None, false),
        (Some(adas_credentials()), false),
        (Some(Credentials { user: User { blocked: true, ..ada() }, ..adas_credentials() }), true),
    ] {
        let mut ports = Ports::default();
        ports.users.expect_find_by_email().return_once(move |_| Ok(found));
        ports.hasher.expect_verify().times(1).returning(move |_, _| Ok(verified));
        let body = json!({ "email": "ada@example.com", "password": "Passw0rd!" });
        let answer = ports.send(post("login", &body)).await;
        assert_eq!((answer.status, answer.code()), (401, "invalid_credentials"));
        assert_eq!(answer.header(header::WWW_AUTHENTICATE), "Bearer");
        bodies.push(answer.body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
}

#[actix_web::test]
async fn a_login_that_waits_too_long_or_finds_no_store_is_told_to_come_back() {
    let mut overloaded = Ports::default();
    overloaded.users.expect_find_by_email().returning(|_| Ok(None));
    overloaded.hasher.expect_verify().returning(|_, _| Err(HashError::Overloaded));
    let mut down = Ports::default();
    down.users.expect_find_by_email().returning(|_| Err(StoreError::unavailable("connection refused")));
    for ports in [overloaded, down] {
        let answer = ports.send(post("login", &json!({ "email": "ada@example.com", "password": "x" }))).await;
        assert_eq!((answer.status, answer.code(), answer.header(header::RETRY_AFTER)), (503, "unavailable", "1"));
        assert!(!answer.body.to_string().contains("refused"));
    }
}

#[actix_web::test]
async fn refreshing_gives_new_tokens_or_401() {
    let rotated = Rotation::Rotated {
        session_id: SessionId::from(Uuid::from_u128(9)),
        user: ada(),
        expires_at: now() + TimeDelta::seconds(60),
    };
    let reused = Rotation::Reused { session_id: SessionId::from(Uuid::from_u128(9)) };
    for (rotation, status, code) in
        [(rotated, 200, ""), (reused, 401, "unauthenticated"), (Rotation::Refused, 401, "unauthenticated")]
    {
        let mut ports = Ports::default();
        ports.sessions.expect_rotate().return_once(move |_| Ok(rotation));
        let answer = ports.send(post("refresh", &json!({ "refreshToken": "old" }))).await;
        assert_eq!((answer.status, answer.code()), (status, code));
        if status == 200 {
            assert_eq!((&answer.body["refreshToken"], &answer.body["expiresIn"]), (&json!("next"), &json!(60)));
            assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
        }
    }
}

#[actix_web::test]
async fn logging_out_is_204_whatever_the_token() {
    let mut ports = Ports::default();
    ports.sessions.expect_end().times(1).returning(|_, _| Ok(()));
    let answer = ports.send(post("logout", &json!({ "refreshToken": "unknown" }))).await;
    assert_eq!((answer.status, answer.body), (204, Value::Null));
}

#[actix_web::test]
async fn changing_the_password_keeps_the_callers_session_or_says_what_is_wrong() {
    let change = |body: Value| post("change-password", &body).insert_header(bearer("customer"));
    let mut ports = Ports::default();
    ports.users.expect_find().returning(|_| Ok(Some(adas_credentials())));
    ports.hasher.expect_verify().returning(|_, _| Ok(true));
    ports.hasher.expect_hash().returning(|_| Ok(PasswordHash::new("$argon2id$new".to_owned())));
    let keeps = |command: &domain::account::ReplacePassword| command.keep == customer().session_id;
    ports.users.expect_replace_password().withf(keeps).times(1).returning(|_| Ok(()));
    let body = json!({ "oldPassword": "Passw0rd!", "newPassword": "N3w passw0rd!" });
    assert_eq!(ports.send(change(body.clone())).await.status, 204);

    let mut ports = Ports::default();
    ports.users.expect_find().returning(|_| Ok(Some(adas_credentials())));
    ports.hasher.expect_verify().returning(|_, _| Ok(false));
    let answer = ports.send(change(body)).await;
    assert_eq!((answer.status, answer.code()), (401, "invalid_credentials"));

    for (old, new) in [("Passw0rd!", "Passw0rd!"), (" Passw0rd!", "Passw0rd! "), ("Passw0rd!", "short")] {
        let answer = Ports::default().send(change(json!({ "oldPassword": old, "newPassword": new }))).await;
        assert_eq!((answer.status, answer.fields()), (422, vec!["newPassword"]), "{old} {new}");
    }
}

#[actix_web::test]
async fn me_is_the_caller() {
    let mut ports = Ports::default();
    ports.users.expect_find().withf(|id| *id == customer().user_id).returning(|_| Ok(Some(adas_credentials())));
    let answer = ports.send(TestRequest::get().uri("/api/v1/users/me").insert_header(bearer("customer"))).await;
    assert_eq!((answer.status, &answer.body["email"]), (200, &json!("ada@example.com")));
}

#[actix_web::test]
async fn users_are_listed_by_filters_and_a_cursor_that_leads_on() {
    let position = UserPosition { created_at: now(), id: ada().id };
    let mut ports = Ports::default();
    let first =
        |filter: &domain::account::UserFilter, after: &Option<UserPosition>, limit: &domain::page::PageLimit| {
            filter.email_contains.as_deref() == Some("ada+") // as sent: not a space
            && (filter.role, filter.blocked) == (Some(Role::Admin), Some(false))
            && (after.is_none(), limit.get()) == (true, 1)
        };
    ports
        .users
        .expect_list()
        .withf(first)
        .returning(move |_, _, _| Ok(Page { items: vec![ada()], next: Some(position) }));
    let get =
        |query: &str| TestRequest::get().uri(&format!("/api/v1/admin/users?{query}")).insert_header(bearer("admin"));
    let answer = ports.send(get("email=ADA%2B&role=ADMIN&blocked=false&limit=1")).await;
    assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (200, "no-store"), "{answer:?}");
    insta::assert_json_snapshot!(answer.body);

    let mut ports = Ports::default();
    let second = move |_: &domain::account::UserFilter, after: &Option<UserPosition>, _: &domain::page::PageLimit| {
        *after == Some(position)
    };
    ports.users.expect_list().withf(second).returning(|_, _, _| Ok(Page { items: vec![], next: None }));
    let cursor = answer.body["nextCursor"].as_str().unwrap();
    let answer = ports.send(get(&format!("cursor={cursor}"))).await;
    assert_eq!(answer.body, json!({ "items": [], "nextCursor": null }));

    for (query, field) in
        [("role=OWNER", "role"), ("blocked=1", "blocked"), ("email=%00", "email"), ("cursor=x", "cursor")]
    {
        let answer = Ports::default().send(get(query)).await;
        assert_eq!((answer.status, answer.fields()), (422, vec![field]), "{query}");
    }
}

#[actix_web::test]
async fn the_last_admin_is_a_conflict_that_says_from_and_to() {
    let mut ports = Ports::default();
    let last = || Err(UpdateUserError::LastAdmin { from: "ADMIN", to: "CUSTOMER" });
    ports.users.expect_update().returning(move |_| last());
    let answer = ports.send(patch(&json!({ "role": "CUSTOMER" }))).await;
    assert_eq!((answer.status, answer.code()), (409, "invalid_transition"));
    assert_eq!((&answer.body["from"], &answer.body["to"]), (&json!("ADMIN"), &json!("CUSTOMER")));
}

#[actix_web::test]
async fn a_user_is_changed_by_what_the_body_says() {
    let mut ports = Ports::default();
    ports.users.expect_update().times(1).returning(|command| {
        assert_eq!((command.change.role, command.change.blocked), (None, Some(true)));
        Ok(User { blocked: true, ..ada() })
    });
    let answer = ports.send(patch(&json!({ "blocked": true }))).await;
    assert_eq!((answer.status, &answer.body["blocked"]), (200, &json!(true)));

    let mut ports = Ports::default();
    ports.users.expect_find().returning(|_| Ok(None));
    let empty = TestRequest::patch().uri(ADA).insert_header(bearer("admin"));
    assert_eq!(ports.send(empty).await.code(), "not_found", "no body changes nothing, of nobody");

    for (body, field) in [
        (json!({ "role": "admin" }), "role"),
        (json!({ "role": 1 }), "role"),
        (json!({ "blocked": "true" }), "blocked"),
        (json!({ "email": "x@example.com" }), "email"),
    ] {
        assert_eq!(Ports::default().send(patch(&body)).await.fields(), [field], "{body}");
    }
}

#[actix_web::test]
async fn only_admins_see_and_change_users_and_only_callers_see_themselves() {
    for (method, path, customers) in [
        (Method::GET, "/api/v1/admin/users", 403),
        (Method::PATCH, ADA, 403),
        (Method::GET, "/api/v1/users/me", 200),
        (Method::POST, "/api/v1/auth/change-password", 400),
    ] {
        let request = |token: Option<&str>| {
            let request = TestRequest::with_uri(path).method(method.clone());
            token.into_iter().fold(request, |request, token| request.insert_header(bearer(token)))
        };
        assert_eq!(Ports::default().send(request(None)).await.code(), "unauthenticated", "{path}");
        let mut ports = Ports::default();
        ports.users.expect_find().returning(|_| Ok(Some(adas_credentials())));
        assert_eq!(ports.send(request(Some("customer"))).await.status, customers, "{path}");
    }
}
