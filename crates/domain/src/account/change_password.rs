//! Changing one's own password (contract 2, `POST /auth/change-password`).

use crate::account::{
    AccountService, Actor, Attempt, AttemptKind, Client, Credentials, GuardRefusal, HashError, Password,
    PasswordAttempt, PasswordHash,
};
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::store::StoreError;

/// A user wants another password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePassword {
    /// The password they claim to have.
    pub old: PasswordAttempt,
    /// The one they want.
    pub new: Password,
}

/// Why it stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The new one is the old one.
    #[error("must differ from the old password")]
    Unchanged,
    /// The old one is wrong.
    #[error("the old password is wrong")]
    WrongPassword,
    /// Too many have failed.
    #[error(transparent)]
    Refused(#[from] GuardRefusal),
    /// A password could not be hashed or verified.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A proven password is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacePassword {
    /// Whose.
    pub user_id: UserId,
    /// The hash that the old password was verified with.
    pub verified_hash: PasswordHash,
    /// The hash of the new one.
    pub new_hash: PasswordHash,
    /// The caller's session, the only one that goes on.
    pub keep: SessionId,
    /// When.
    pub at: Timestamp,
}

impl ReplacePassword {
    /// Replaces the hash only if it is, now under lock, still the one that was verified.
    pub fn decide(&self, current: &PasswordHash) -> Result<(), ChangePasswordError> {
        if *current == self.verified_hash { Ok(()) } else { Err(ChangePasswordError::WrongPassword) }
    }
}

impl AccountService {
    /// Replaces the caller's password and ends their other sessions. An old one that is wrong counts like a login that
    /// fails, lest a stolen session find the password out.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn change_password(
        &self,
        client: Client,
        actor: Actor,
        command: ChangePassword,
    ) -> Result<(), ChangePasswordError> {
        if command.old == command.new {
            return Err(ChangePasswordError::Unchanged);
        }
        let Some(credentials) = self.users.find(actor.user_id).await? else {
            return Err(ChangePasswordError::WrongPassword);
        };
        let email = credentials.user.email.clone();
        let attempt = Attempt { kind: AttemptKind::PasswordChange, client, email };
        let fails = |error: &ChangePasswordError| matches!(error, ChangePasswordError::WrongPassword);
        self.guarded(attempt, fails, self.verify_and_replace(actor, command, credentials)).await
    }

    async fn verify_and_replace(
        &self,
        actor: Actor,
        command: ChangePassword,
        Credentials { password_hash, .. }: Credentials,
    ) -> Result<(), ChangePasswordError> {
        if !self.hasher.verify(&command.old, Some(password_hash.clone())).await? {
            return Err(ChangePasswordError::WrongPassword);
        }
        let new_hash = self.hasher.hash(&command.new).await?;
        let replacement = ReplacePassword {
            user_id: actor.user_id,
            verified_hash: password_hash,
            new_hash,
            keep: actor.session_id,
            at: self.clock.now(),
        };
        self.users.replace_password(&replacement).await
    }
}
