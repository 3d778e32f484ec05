//! What names a request, and what tells it from another one under the same name.

use std::fmt;

/// A client's name for one request of theirs: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// Not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} visible ASCII characters, such as a UUID", IdempotencyKey::MAX_LENGTH)]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The longest key, in characters.
    pub const MAX_LENGTH: usize = 255;

    /// Checks a key. It is taken as it is, not trimmed: two spellings are two keys.
    pub fn new(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let is_key = (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_key { Ok(Self(text.to_owned())) } else { Err(InvalidIdempotencyKey) }
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 of a request's method, path and body: what must be the same under the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFingerprint(pub [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        for good in ["k", "!", "~", "0190c3a4-7c1e-7000-8000-000000000000", &"x".repeat(255)] {
            assert_eq!(IdempotencyKey::new(good).map(|key| key.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", " ", "a b", " a", "a\t", "é", "a\0", "\u{7f}", &"x".repeat(256)] {
            assert_eq!(IdempotencyKey::new(bad), Err(InvalidIdempotencyKey), "{bad:?}");
        }
    }
}
