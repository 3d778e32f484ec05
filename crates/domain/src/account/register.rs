//! Registering a customer (contract 2, `POST /auth/register`).

use crate::account::{
    AccountService, Attempt, AttemptKind, Client, Credentials, Email, GuardRefusal, HashError, Password, Role, User,
};
use crate::id::UserId;
use crate::store::StoreError;
use crate::text::PersonName;

/// Someone wants an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// By which they will log in.
    pub email: Email,
    /// Their password.
    pub password: Password,
    /// What they want to be called.
    pub name: Option<PersonName>,
}

/// Why they get none.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The address has an account, maybe written in another case.
    #[error("the e-mail is taken")]
    EmailTaken,
    /// Too many have failed, or the address has registered too many accounts.
    #[error(transparent)]
    Refused(#[from] GuardRefusal),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccountService {
    /// Adds a customer.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn register(&self, client: Client, command: Register) -> Result<User, RegisterError> {
        let attempt = Attempt { kind: AttemptKind::Registration, client, email: command.email.clone() };
        let fails = |error: &RegisterError| matches!(error, RegisterError::EmailTaken);
        self.guarded(attempt, fails, self.add_customer(command)).await
    }

    async fn add_customer(&self, command: Register) -> Result<User, RegisterError> {
        let password_hash = self.hasher.hash(&command.password).await?;
        let user = User {
            id: UserId::mint(&*self.ids),
            email: command.email,
            name: command.name,
            role: Role::Customer,
            blocked: false,
            created_at: self.clock.now(),
        };
        self.users.add(&Credentials { user: user.clone(), password_hash }).await?;
        Ok(user)
    }
}
