//! The use cases of accounts, on their ports. One file per use case adds its method.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::account::{
    AccessTokens, AuthGuard, Claims, PasswordHasher, RefreshToken, RefreshTokens, SessionRepository, SessionTokens,
    SignError, User, UserRepository,
};
use crate::clock::{Clock, Ids, Timestamp};
use crate::id::SessionId;

/// How long logins last, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountPolicy {
    /// How long an access token is valid, in seconds.
    pub access_ttl_seconds: u32,
    /// How long a session lasts from its login, in seconds, however often it is refreshed.
    pub refresh_ttl_seconds: u32,
}

/// The use cases of accounts.
#[derive(Clone)]
pub struct AccountService {
    /// Where users are kept.
    pub users: Arc<dyn UserRepository>,
    /// Where sessions are kept.
    pub sessions: Arc<dyn SessionRepository>,
    /// Counts failed attempts.
    pub guard: Arc<dyn AuthGuard>,
    /// Hashes passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Signs access tokens.
    pub access_tokens: Arc<dyn AccessTokens>,
    /// Makes refresh tokens.
    pub refresh_tokens: Arc<dyn RefreshTokens>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// How long logins last.
    pub policy: AccountPolicy,
}

impl AccountService {
    /// When a session that begins at `at` ends by itself.
    pub(super) fn session_end(&self, at: Timestamp) -> Timestamp {
        at + TimeDelta::seconds(self.policy.refresh_ttl_seconds.into())
    }

    /// The tokens of a session; the access token never outlives it.
    pub(super) fn tokens(
        &self,
        user: User,
        session_id: SessionId,
        session_end: Timestamp,
        refresh_token: RefreshToken,
        now: Timestamp,
    ) -> Result<SessionTokens, SignError> {
        let left_seconds = u32::try_from((session_end - now).num_seconds()).unwrap_or(0);
        let expires_in_seconds = self.policy.access_ttl_seconds.min(left_seconds);
        let access_token = self.access_tokens.issue(&Claims {
            token_id: self.ids.next(),
            user_id: user.id,
            role: user.role,
            session_id,
            issued_at: now,
            expires_at: now + TimeDelta::seconds(expires_in_seconds.into()),
        })?;
        Ok(SessionTokens { access_token, expires_in_seconds, refresh_token, user })
    }
}
