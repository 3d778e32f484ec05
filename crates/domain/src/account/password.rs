//! Passwords, which never show in a log, and the port that hashes them.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;

use crate::text::{self, InvalidText, Lines};

/// A password that is good enough to be set: 8 to 128 characters with an upper-case letter, a lower-case letter, a
/// digit and a special character (contract 2, `POST /auth/register`).
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a password can't be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Too short, too long, or with control characters.
    #[error(transparent)]
    Text(#[from] InvalidText),
    /// A kind of character is missing.
    #[error("must contain an upper-case letter, a lower-case letter, a digit and a special character")]
    TooSimple,
}

impl Password {
    /// The least number of characters.
    pub const MIN_LENGTH: usize = 8;
    /// The greatest number of characters.
    pub const MAX_LENGTH: usize = 128;

    /// Trims and checks a password.
    pub fn new(text: &str) -> Result<Self, InvalidPassword> {
        let password = text::checked(text, Self::MIN_LENGTH, Self::MAX_LENGTH, Lines::Single)?;
        let has = |kind: fn(char) -> bool| password.chars().any(kind);
        let special = |c: char| !c.is_alphanumeric() && !c.is_whitespace();
        if has(char::is_uppercase) && has(char::is_lowercase) && has(char::is_numeric) && has(special) {
            Ok(Self(password))
        } else {
            Err(InvalidPassword::TooSimple)
        }
    }

    /// The secret itself, for hashing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What someone gives as their password; it may be anything of sane length.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordAttempt(String);

impl PasswordAttempt {
    /// The greatest number of characters that are looked at.
    pub const MAX_LENGTH: usize = 1024;

    /// Trims an attempt, as [`Password::new`] does, and checks its length.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::checked(text, 1, Self::MAX_LENGTH, Lines::Single).map(Self)
    }

    /// The secret itself, for verification.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq<Password> for PasswordAttempt {
    fn eq(&self, password: &Password) -> bool {
        self.0 == password.0
    }
}

/// A password's hash, salt and costs in one text (PHC).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes over what a [`PasswordHasher`] made.
    #[must_use]
    pub const fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The text to be stored.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

macro_rules! redacted {
    ($($secret:ident),+) => {$(
        impl fmt::Debug for $secret {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($secret), "(redacted)"))
            }
        }
    )+};
}
redacted!(Password, PasswordAttempt, PasswordHash);

/// A hash could not be made or checked.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many wait for their turn already; a later try may succeed.
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    /// A bug, or a damaged hash.
    #[error("a password could not be hashed or verified")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// Hashes passwords, slowly on purpose.
///
/// An implementation MUST work off the async threads, on no more passwords at once than there are cores, and MUST
/// bound how many may wait.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// A salted hash.
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError>;

    /// Whether the attempt is the password behind `hash`. Without a hash (there is no such account) the answer is
    /// no, and MUST take as long as if there were one.
    async fn verify(&self, attempt: &PasswordAttempt, hash: Option<PasswordHash>) -> Result<bool, HashError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_8_to_128_characters_of_four_kinds() {
        let longest = format!("Aa1!{}", "é".repeat(124));
        for good in ["Passw0rd!", "aA1!aA1!", "Ünïcödé 1 €", "  Passw0rd!  ", longest.as_str()] {
            assert!(Password::new(good).is_ok(), "{good}");
        }
        let too_long = format!("{longest}x");
        for (bad, why) in [
            ("Pw0rd!a", InvalidText::Length { min: 8, max: 128 }.into()),
            ("  Pw0rd!a  ", InvalidText::Length { min: 8, max: 128 }.into()),
            (too_long.as_str(), InvalidText::Length { min: 8, max: 128 }.into()),
            ("Passw0rd!\0x", InvalidText::ControlCharacter.into()),
            ("passw0rd!", InvalidPassword::TooSimple),
            ("PASSW0RD!", InvalidPassword::TooSimple),
            ("Password!", InvalidPassword::TooSimple),
            ("Passw0rds", InvalidPassword::TooSimple),
            ("Passw0rd s", InvalidPassword::TooSimple),
        ] {
            assert_eq!(Password::new(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let shown = format!(
            "{:?} {:?} {:?}",
            Password::new("Passw0rd!"),
            PasswordAttempt::new("Passw0rd!"),
            PasswordHash::new("$argon2id$Passw0rd!".to_owned())
        );
        assert!(!shown.contains("Passw0rd!"), "{shown}");
    }
}
