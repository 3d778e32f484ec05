//! Access tokens: short-lived proofs of who calls.

use std::error::Error;
use std::fmt;

use uuid::Uuid;

use crate::account::{RefreshToken, Role, User};
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};

/// What an access token says (contract 1, "sessions").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// Names this token (`jti`).
    pub token_id: Uuid,
    /// Whose it is (`sub`).
    pub user_id: UserId,
    /// What its owner may do (`role`).
    pub role: Role,
    /// The login that it descends from and dies with (`sid`).
    pub session_id: SessionId,
    /// From when (`iat`), in whole seconds.
    pub issued_at: Timestamp,
    /// Until when (`exp`), in whole seconds; at that moment it is no longer valid.
    pub expires_at: Timestamp,
}

/// A signed access token.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(pub String);

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}

/// A token that is malformed, forged, for someone else, or expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the access token is not valid")]
pub struct InvalidAccessToken;

/// A token could not be signed: a bug.
#[derive(Debug, thiserror::Error)]
#[error("an access token could not be signed")]
pub struct SignError(#[source] pub Box<dyn Error + Send + Sync>);

/// Signs and verifies access tokens.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
pub trait AccessTokens: Send + Sync {
    /// Signs a token that says `claims`, their times cut to whole seconds.
    fn issue(&self, claims: &Claims) -> Result<AccessToken, SignError>;

    /// Reads a token. MUST accept none but those that [`AccessTokens::issue`] made, with the present or a previous
    /// secret, for this shop, and that have not expired at `now`.
    fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, InvalidAccessToken>;
}

/// What a login or a refresh gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTokens {
    /// Proves who calls.
    pub access_token: AccessToken,
    /// How long it does, in seconds.
    pub expires_in_seconds: u32,
    /// Gives the next pair, once.
    pub refresh_token: RefreshToken,
    /// Whose they are.
    pub user: User,
}
