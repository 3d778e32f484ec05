//! Who is calling.

use crate::account::Role;
use crate::id::{SessionId, UserId};
use crate::store::StoreError;

/// An authenticated caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub user_id: UserId,
    /// What the user may do. A role change ends all sessions, so it is always the present role.
    pub role: Role,
    /// The login that the access token descends from.
    pub session_id: SessionId,
}

/// Why a caller could not be told.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The token is forged, expired or malformed, or its session has ended.
    #[error("the access token is not valid")]
    Unauthenticated,
    /// The session could not be looked up.
    #[error(transparent)]
    Store(#[from] StoreError),
}
