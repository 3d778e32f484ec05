//! Logging in (contract 2, `POST /auth/login`).

use crate::account::{
    AccountService, Attempt, AttemptKind, Client, Credentials, Email, GuardRefusal, HashError, PasswordAttempt,
    PasswordHash, RefreshTokenHash, SessionTokens, SignError, User,
};
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::store::StoreError;

/// Someone claims to own an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIn {
    /// Whose.
    pub email: Email,
    /// The password they give.
    pub password: PasswordAttempt,
}

/// Why they are not let in.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// No such account, a wrong password, or a blocked account: nobody learns which.
    #[error("the e-mail or the password is wrong")]
    InvalidCredentials,
    /// Too many have failed.
    #[error(transparent)]
    Refused(#[from] GuardRefusal),
    /// The attempt could not be verified.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The tokens could not be made.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A verified login becomes a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// The session's id to be.
    pub session_id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// The hash that the attempt was verified with.
    pub verified_hash: PasswordHash,
    /// The session's first refresh token.
    pub token: RefreshTokenHash,
    /// When.
    pub at: Timestamp,
    /// When the session ends by itself.
    pub expires_at: Timestamp,
}

impl OpenSession {
    /// Opens the session only if the user, now under lock, is still the one whose password was verified.
    pub fn decide(&self, credentials: &Credentials) -> Result<(), LogInError> {
        if credentials.user.blocked || credentials.password_hash != self.verified_hash {
            return Err(LogInError::InvalidCredentials);
        }
        Ok(())
    }
}

impl AccountService {
    /// Lets someone in. Takes the same way, and the same time, whether or not the account exists: an attempt is
    /// verified in either case, and a block shows only after it. One that the guard refuses is not verified at all.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn log_in(&self, client: Client, command: LogIn) -> Result<SessionTokens, LogInError> {
        let attempt = Attempt { kind: AttemptKind::Login, client, email: command.email.clone() };
        let fails = |error: &LogInError| matches!(error, LogInError::InvalidCredentials);
        self.guarded(attempt, fails, self.verify_and_open(command)).await
    }

    async fn verify_and_open(&self, command: LogIn) -> Result<SessionTokens, LogInError> {
        let found = self.users.find_by_email(&command.email).await?;
        let hash = found.as_ref().map(|credentials| credentials.password_hash.clone());
        let verified = self.hasher.verify(&command.password, hash).await?;
        match found {
            Some(Credentials { user, password_hash }) if verified && !user.blocked => {
                self.open_session(&user, password_hash).await
            }
            _ => Err(LogInError::InvalidCredentials),
        }
    }

    async fn open_session(&self, user: &User, verified_hash: PasswordHash) -> Result<SessionTokens, LogInError> {
        let refresh_token = self.refresh_tokens.mint();
        let at = self.clock.now();
        let command = OpenSession {
            session_id: SessionId::mint(&*self.ids),
            user_id: user.id,
            verified_hash,
            token: self.refresh_tokens.hash(&refresh_token),
            at,
            expires_at: self.session_end(at),
        };
        let user = self.sessions.open(&command).await?;
        Ok(self.tokens(user, command.session_id, command.expires_at, refresh_token, at)?)
    }
}
