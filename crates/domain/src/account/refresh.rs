//! Refreshing a session: each refresh token works once, and one that comes again ends its family (contract 2,
//! `POST /auth/refresh`).

use crate::account::{AccountService, RefreshToken, RefreshTokenHash, SessionTokens, SignError, User};
use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::store::StoreError;

/// Why a refresh token gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Unknown, spent, or of a session that has ended.
    #[error("the refresh token is not valid")]
    InvalidToken,
    /// The tokens could not be made.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token is to be spent for its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotateToken {
    /// The token that was presented.
    pub presented: RefreshTokenHash,
    /// The one that takes its place.
    pub successor: RefreshTokenHash,
    /// When.
    pub at: Timestamp,
}

/// The presented token's session, loaded under lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationSnapshot {
    /// The session.
    pub session_id: SessionId,
    /// Whose it is.
    pub user: User,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Whether it was ended: by logout, block, role or password change, or reuse.
    pub ended: bool,
    /// Whether the presented token was spent before.
    pub spent: bool,
}

/// What becomes of a presented token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// It is spent, and its successor works.
    Rotated {
        /// The session, which goes on.
        session_id: SessionId,
        /// Whose it is.
        user: User,
        /// When it ends by itself.
        expires_at: Timestamp,
    },
    /// It had been spent before: one of its two holders is a thief, so the session ends.
    Reused {
        /// The session that ends.
        session_id: SessionId,
    },
    /// It is unknown, or its session has ended already. Nothing changes.
    Refused,
}

impl RotateToken {
    /// Decides on what is under lock.
    #[must_use]
    pub fn decide(&self, snapshot: RotationSnapshot) -> Rotation {
        let RotationSnapshot { session_id, user, expires_at, ended, spent } = snapshot;
        if ended || expires_at <= self.at || user.blocked {
            Rotation::Refused
        } else if spent {
            Rotation::Reused { session_id }
        } else {
            Rotation::Rotated { session_id, user, expires_at }
        }
    }
}

impl AccountService {
    /// Gives the next pair of tokens.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn refresh(&self, presented: &RefreshToken) -> Result<SessionTokens, RefreshError> {
        let successor = self.refresh_tokens.mint();
        let command = RotateToken {
            presented: self.refresh_tokens.hash(presented),
            successor: self.refresh_tokens.hash(&successor),
            at: self.clock.now(),
        };
        match self.sessions.rotate(&command).await? {
            Rotation::Rotated { session_id, user, expires_at } => {
                Ok(self.tokens(user, session_id, expires_at, successor, command.at)?)
            }
            Rotation::Reused { session_id } => {
                tracing::warn!(%session_id, "a spent refresh token came again; its session was ended");
                Err(RefreshError::InvalidToken)
            }
            Rotation::Refused => Err(RefreshError::InvalidToken),
        }
    }
}
