//! Users who are logged in without the price of Argon2: written to the database as a login would, with access tokens
//! from the shop's own signer. Races need hundreds of them; logging in itself is tested elsewhere.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "what fails here fails the test")]

use std::fmt::Write as _;

use adapters_crypto::{Hs256Tokens, JwtSecret};
use chrono::TimeDelta;
use domain::account::{AccessTokens, Claims, Role};
use domain::clock::Timestamp;
use domain::id::{SessionId, UserId};
use uuid::Uuid;

use crate::database::{Database, new_uuid};

/// How long their logins last: longer than any test moves the clock.
pub const LOGIN_DAYS: i64 = 30;

/// A user and the token that proves it.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The user.
    pub id: Uuid,
    /// Their access token.
    pub token: String,
}

/// Adds so many users of one role, each with a login that begins now.
pub async fn log_in_new(
    database: &Database,
    secret: &JwtSecret,
    role: Role,
    count: usize,
    now: Timestamp,
) -> Vec<LoggedIn> {
    let tokens = Hs256Tokens::new(secret, &[]);
    let people: Vec<(Uuid, Uuid)> = (0..count).map(|_| (new_uuid(), new_uuid())).collect();
    let (at, end) = (now.to_rfc3339(), (now + TimeDelta::days(LOGIN_DAYS)).to_rfc3339());
    let (mut users, mut sessions) = (String::new(), String::new());
    for (user, session) in &people {
        let role = role.as_str();
        let _ = write!(users, ",('{user}', '{user}@example.com', '$argon2id$none', '{role}', '{at}')");
        let _ = write!(sessions, ",('{session}', '{user}', '{at}', '{end}')");
    }
    let insert = format!("INSERT INTO users (id, email, password_hash, role, created_at) VALUES {}", &users[1..]);
    database.run_sql(&insert).await.expect("users");
    let insert = format!("INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES {}", &sessions[1..]);
    database.run_sql(&insert).await.expect("sessions");
    let person = |(user, session): (Uuid, Uuid)| {
        let claims = Claims {
            token_id: new_uuid(),
            user_id: UserId::from(user),
            role,
            session_id: SessionId::from(session),
            issued_at: now,
            expires_at: now + TimeDelta::days(LOGIN_DAYS),
        };
        LoggedIn { id: user, token: tokens.issue(&claims).expect("a token").0 }
    };
    people.into_iter().map(person).collect()
}
