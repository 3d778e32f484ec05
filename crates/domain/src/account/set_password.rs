//! Setting anyone's password, by whoever runs the shop (contract 5, `app set-password`).

use crate::account::{AccountService, Email, HashError, Password, PasswordHash, User};
use crate::clock::Timestamp;
use crate::store::StoreError;

/// Why it stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum SetPasswordError {
    /// Nobody has the address.
    #[error("there is no account with this e-mail")]
    NotFound,
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A password is to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPassword {
    /// Whose.
    pub email: Email,
    /// Its hash.
    pub new_hash: PasswordHash,
    /// When.
    pub at: Timestamp,
}

impl AccountService {
    /// Sets a password and ends its owner's sessions.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn set_password(&self, email: Email, password: &Password) -> Result<User, SetPasswordError> {
        let new_hash = self.hasher.hash(password).await?;
        self.users.set_password(&SetPassword { email, new_hash, at: self.clock.now() }).await
    }
}
