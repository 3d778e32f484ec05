//! Where users and their sessions are kept.

use async_trait::async_trait;

use crate::account::{
    AppointAdmin, ChangePasswordError, CreateAdminError, Credentials, Email, LogInError, OpenSession, RefreshTokenHash,
    RegisterError, ReplacePassword, RotateToken, Rotation, SetPassword, SetPasswordError, UpdateUser, UpdateUserError,
    User, UserFilter, UserPosition,
};
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::page::{Page, PageLimit};
use crate::store::StoreError;

/// Where users are kept. Each command is one transaction: lock and load, let the command decide, write what it
/// decided, commit.
///
/// A method that ends sessions MUST do so in its transaction; of those sessions no token works from then on.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// Adds a user. An address registers once, however many try at once.
    async fn add(&self, newcomer: &Credentials) -> Result<(), RegisterError>;

    /// One user.
    async fn find(&self, id: UserId) -> Result<Option<Credentials>, StoreError>;

    /// The user who logs in by this address.
    async fn find_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError>;

    /// Users, newest first.
    async fn list(
        &self,
        filter: &UserFilter,
        after: Option<UserPosition>,
        limit: PageLimit,
    ) -> Result<Page<User, UserPosition>, StoreError>;

    /// Changes role or block, and ends the user's sessions. MUST hold the rows of all active admins while the
    /// command decides, so that two commands never take the last two away from each other.
    async fn update(&self, command: &UpdateUser) -> Result<User, UpdateUserError>;

    /// Replaces a password that its owner has just proven, and ends their other sessions.
    async fn replace_password(&self, command: &ReplacePassword) -> Result<(), ChangePasswordError>;

    /// Sets the password of the user with this address, and ends their sessions.
    async fn set_password(&self, command: &SetPassword) -> Result<User, SetPasswordError>;

    /// Adds an admin, or makes one of the user who has the address.
    async fn appoint_admin(&self, command: &AppointAdmin) -> Result<User, CreateAdminError>;
}

/// Where sessions and the hashes of their refresh tokens are kept.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait SessionRepository: Send + Sync {
    /// Opens a session with its first refresh token, unless the user was blocked or got another password since
    /// the attempt was verified; so it MUST hold the user's row while the command decides.
    async fn open(&self, command: &OpenSession) -> Result<User, LogInError>;

    /// Spends a refresh token for its successor. MUST hold the session's row while the command decides: of
    /// several rotations of one token at once, one wins, and the others find it spent and end the session.
    async fn rotate(&self, command: &RotateToken) -> Result<Rotation, StoreError>;

    /// Ends the session that the token belongs to, spent or not. An unknown token ends nothing.
    async fn end(&self, token: RefreshTokenHash, at: Timestamp) -> Result<(), StoreError>;

    /// Whether the session is this user's, has not been ended, and has not expired at `now`.
    async fn is_live(&self, session_id: SessionId, user_id: UserId, now: Timestamp) -> Result<bool, StoreError>;
}
