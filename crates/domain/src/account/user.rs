//! Users as the shop knows them.

use crate::account::{Email, PasswordHash, Role};
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::text::PersonName;

/// A customer or an admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Which user.
    pub id: UserId,
    /// By which they log in.
    pub email: Email,
    /// What they want to be called, if they said.
    pub name: Option<PersonName>,
    /// What they may do.
    pub role: Role,
    /// Whether they are kept out.
    pub blocked: bool,
    /// When they registered.
    pub created_at: Timestamp,
}

impl User {
    /// Whether they can run the shop now.
    #[must_use]
    pub fn is_active_admin(&self) -> bool {
        self.role == Role::Admin && !self.blocked
    }
}

/// A user and the hash of their password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// The hash to verify attempts with.
    pub password_hash: PasswordHash,
}

/// Which users a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserFilter {
    /// Only those whose address contains this, in lower case.
    pub email_contains: Option<String>,
    /// Only those with this role.
    pub role: Option<Role>,
    /// Only blocked ones (`true`), or only the others (`false`).
    pub blocked: Option<bool>,
}

/// A position in the list of users, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserPosition {
    /// When the user registered.
    pub created_at: Timestamp,
    /// Their id, which decides between users of one moment.
    pub id: UserId,
}

impl From<&User> for UserPosition {
    fn from(user: &User) -> Self {
        Self { created_at: user.created_at, id: user.id }
    }
}
