//! Logging out (contract 2, `POST /auth/logout`).

use crate::account::{AccountService, RefreshToken};
use crate::store::StoreError;

impl AccountService {
    /// Ends the session that the token belongs to; an unknown token is no error.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn log_out(&self, token: &RefreshToken) -> Result<(), StoreError> {
        self.sessions.end(self.refresh_tokens.hash(token), self.clock.now()).await
    }
}
