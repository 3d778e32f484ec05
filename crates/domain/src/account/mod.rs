//! Accounts: who may call, how they prove it, and for how long (contract 1 "sessions"; contract 2, auth and users).

mod actor;
mod authenticate;
mod change_password;
mod client;
mod create_admin;
mod email;
mod guard;
mod list_users;
mod log_in;
mod log_out;
mod password;
mod refresh;
mod register;
mod repository;
mod role;
mod secret;
mod service;
mod set_password;
#[cfg(test)]
mod tests;
mod token;
mod update_user;
mod user;

pub use actor::{Actor, AuthenticateError};
pub use change_password::{ChangePassword, ChangePasswordError, ReplacePassword};
pub use client::{Client, ClientNetwork};
pub use create_admin::{AppointAdmin, CreateAdmin, CreateAdminError};
pub use email::{Email, InvalidEmail};
pub use guard::{
    Admission, Attempt, AttemptKind, AttemptOutcome, AttemptSlot, AuthGuard, GuardError, GuardLimit, GuardLimitName,
    GuardPolicy, GuardRefusal, GuardSnapshot, GuardStanding, GuardView, Tally, Unguarded,
};
pub use log_in::{LogIn, LogInError, OpenSession};
pub use password::{HashError, InvalidPassword, Password, PasswordAttempt, PasswordHash, PasswordHasher};
pub use refresh::{RefreshError, RotateToken, Rotation, RotationSnapshot};
pub use register::{Register, RegisterError};
pub use repository::{SessionRepository, UserRepository};
pub use role::Role;
pub use secret::{RefreshToken, RefreshTokenHash, RefreshTokens};
pub use service::{AccountPolicy, AccountService};
pub use set_password::{SetPassword, SetPasswordError};
pub use token::{AccessToken, AccessTokens, Claims, InvalidAccessToken, SessionTokens, SignError};
pub use update_user::{UpdateUser, UpdateUserError, UserChange, UserSnapshot};
pub use user::{Credentials, User, UserFilter, UserPosition};

#[cfg(any(test, feature = "mocks"))]
pub use {
    guard::MockAuthGuard,
    password::MockPasswordHasher,
    repository::{MockSessionRepository, MockUserRepository},
    secret::MockRefreshTokens,
    token::MockAccessTokens,
};
