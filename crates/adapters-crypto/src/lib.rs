//! Password hashes, access tokens and refresh tokens behind the domain's account ports.

mod argon2_passwords;
mod hs256_tokens;
mod opaque_tokens;
mod randomness;

pub use argon2_passwords::{Argon2Passwords, HasherSetupError};
pub use hs256_tokens::{Hs256Tokens, JwtSecret, SecretTooShort};
pub use opaque_tokens::OpaqueTokens;
pub use randomness::{Randomness, SystemRandomness};
