//! Refresh tokens: random, opaque, stored only as hashes.

use std::fmt;

use crate::text::{self, InvalidText, Lines};

/// A refresh token as its owner holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// The greatest number of characters that are looked at.
    pub const MAX_LENGTH: usize = 512;

    /// Takes what a client sends; whether it is a token of ours, its hash will tell.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        text::checked(text, 1, Self::MAX_LENGTH, Lines::Single).map(Self)
    }

    /// Takes over what a [`RefreshTokens`] made.
    #[must_use]
    pub const fn minted(token: String) -> Self {
        Self(token)
    }

    /// The secret itself, for its owner and for hashing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(redacted)")
    }
}

/// What is stored of a refresh token: a SHA-256, which alone opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefreshTokenHash(pub [u8; 32]);

/// Makes and recognises refresh tokens.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
pub trait RefreshTokens: Send + Sync {
    /// A new token of at least 256 random bits.
    fn mint(&self) -> RefreshToken;

    /// The token's hash, always the same.
    fn hash(&self, token: &RefreshToken) -> RefreshTokenHash;
}
