//! Making an admin, by whoever runs the shop (contract 5, `app create-admin`).

use crate::account::{AccountService, Credentials, Email, HashError, Password, Role, User};
use crate::id::UserId;
use crate::store::StoreError;

/// The shop needs an admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateAdmin {
    /// By which they log in.
    pub email: Email,
    /// Their password.
    pub password: Password,
    /// Whether an account that has the address becomes the admin's, with this password.
    pub promote: bool,
}

/// Why it gets none.
#[derive(Debug, thiserror::Error)]
pub enum CreateAdminError {
    /// The address has an account, which was not to be promoted.
    #[error("the e-mail is taken; promoting its account has to be asked for")]
    EmailTaken,
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An admin to be added, or to be made of the account that has the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppointAdmin {
    /// The admin, if the address is free.
    pub newcomer: Credentials,
    /// Whether an account that has the address gets role and password, and loses its sessions.
    pub promote: bool,
}

impl AppointAdmin {
    /// Decides on the account that has the address, under lock: gives it as it is to become.
    pub fn decide(&self, existing: User) -> Result<User, CreateAdminError> {
        if self.promote { Ok(User { role: Role::Admin, ..existing }) } else { Err(CreateAdminError::EmailTaken) }
    }
}

impl AccountService {
    /// Adds an admin, or promotes an account.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn create_admin(&self, command: CreateAdmin) -> Result<User, CreateAdminError> {
        let password_hash = self.hasher.hash(&command.password).await?;
        let user = User {
            id: UserId::mint(&*self.ids),
            email: command.email,
            name: None,
            role: Role::Admin,
            blocked: false,
            created_at: self.clock.now(),
        };
        let newcomer = Credentials { user, password_hash };
        self.users.appoint_admin(&AppointAdmin { newcomer, promote: command.promote }).await
    }
}
