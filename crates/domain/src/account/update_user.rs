//! Changing a user's role, and blocking (contract 2, `PATCH /admin/users/{id}`).

use crate::account::{AccountService, Role, User};
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::store::StoreError;

/// What an admin wants of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserChange {
    /// Another role.
    pub role: Option<Role>,
    /// To be kept out, or let in again.
    pub blocked: Option<bool>,
}

/// A user is to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateUser {
    /// Which user.
    pub id: UserId,
    /// How.
    pub change: UserChange,
    /// When.
    pub at: Timestamp,
}

/// What the decision looks at, loaded under lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSnapshot {
    /// The user as they are.
    pub user: User,
    /// Whether somebody else could still run the shop.
    pub another_active_admin: bool,
}

/// Why a user stays as they are.
#[derive(Debug, thiserror::Error)]
pub enum UpdateUserError {
    /// There is no such user.
    #[error("there is no such user")]
    NotFound,
    /// They are the last admin who can run the shop.
    #[error("the last admin can't go from {from} to {to}")]
    LastAdmin {
        /// What they are.
        from: &'static str,
        /// What they were to become.
        to: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UpdateUser {
    /// Gives the user as they are to become.
    pub fn decide(&self, snapshot: UserSnapshot) -> Result<User, UpdateUserError> {
        let UserSnapshot { user, another_active_admin } = snapshot;
        let becomes = User {
            role: self.change.role.unwrap_or(user.role),
            blocked: self.change.blocked.unwrap_or(user.blocked),
            ..user.clone()
        };
        if user.is_active_admin() && !becomes.is_active_admin() && !another_active_admin {
            let (from, to) = match becomes.role {
                Role::Customer => (Role::Admin.as_str(), Role::Customer.as_str()),
                Role::Admin => ("ACTIVE", "BLOCKED"),
            };
            return Err(UpdateUserError::LastAdmin { from, to });
        }
        Ok(becomes)
    }
}

impl AccountService {
    /// Changes a user and ends their sessions; a change of nothing changes nothing.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn update_user(&self, id: UserId, change: UserChange) -> Result<User, UpdateUserError> {
        if change == UserChange::default() {
            return self.find_user(id).await?.ok_or(UpdateUserError::NotFound);
        }
        self.users.update(&UpdateUser { id, change, at: self.clock.now() }).await
    }
}
