//! Telling who calls, per request.

use crate::account::{AccountService, Actor, AuthenticateError, Claims, InvalidAccessToken, User};
use crate::id::UserId;
use crate::store::StoreError;

impl AccountService {
    /// The caller behind an access token. The token dies with its session, so the session is looked up each time
    /// (contract 1, "sessions").
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn authenticate(&self, access_token: &str) -> Result<Actor, AuthenticateError> {
        let now = self.clock.now();
        let Claims { user_id, role, session_id, .. } = self
            .access_tokens
            .verify(access_token, now)
            .map_err(|InvalidAccessToken| AuthenticateError::Unauthenticated)?;
        if self.sessions.is_live(session_id, user_id, now).await? {
            Ok(Actor { user_id, role, session_id })
        } else {
            Err(AuthenticateError::Unauthenticated)
        }
    }

    /// One user (contract 2, `GET /users/me`).
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.users.find(id).await?.map(|credentials| credentials.user))
    }
}
