//! Refresh tokens: 256 random bits in base64url, kept as SHA-256.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::{RefreshToken, RefreshTokenHash, RefreshTokens};
use sha2::{Digest, Sha256};

use crate::Randomness;

/// Bytes of one token.
const TOKEN_BYTES: usize = 32;

/// Makes refresh tokens. A token has too many random bits to be guessed from a plain hash, so none is salted.
pub struct OpaqueTokens {
    randomness: Arc<dyn Randomness>,
}

impl OpaqueTokens {
    /// Draws tokens from `randomness`.
    #[must_use]
    pub fn new(randomness: Arc<dyn Randomness>) -> Self {
        Self { randomness }
    }
}

impl RefreshTokens for OpaqueTokens {
    fn mint(&self) -> RefreshToken {
        let mut bytes = [0; TOKEN_BYTES];
        self.randomness.fill(&mut bytes);
        RefreshToken::minted(URL_SAFE_NO_PAD.encode(bytes))
    }

    fn hash(&self, token: &RefreshToken) -> RefreshTokenHash {
        RefreshTokenHash(Sha256::digest(token.expose().as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::SystemRandomness;

    use super::*;

    #[test]
    fn tokens_have_256_random_bits_and_never_repeat() {
        let tokens = OpaqueTokens::new(Arc::new(SystemRandomness));
        let (one, other) = (tokens.mint(), tokens.mint());
        assert_ne!(one, other);
        assert_eq!(URL_SAFE_NO_PAD.decode(one.expose()).unwrap().len(), 32);
    }

    #[test]
    fn a_token_is_recognised_by_its_hash_as_its_owner_sends_it() {
        let tokens = OpaqueTokens::new(Arc::new(SystemRandomness));
        let token = tokens.mint();
        let sent = RefreshToken::new(&format!(" {} ", token.expose())).unwrap();
        assert_eq!(tokens.hash(&sent), tokens.hash(&token));
        assert_ne!(tokens.hash(&tokens.mint()), tokens.hash(&token));
    }
}
