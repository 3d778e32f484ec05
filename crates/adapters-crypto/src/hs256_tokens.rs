//! Access tokens: JWTs under HMAC-SHA-256, and under nothing else. Each names the key that signed it (`kid`), so that
//! secrets can be rotated one instance after the other.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use domain::account::{AccessToken, AccessTokens, Claims, InvalidAccessToken, Role, SignError};
use domain::clock::Timestamp;
use domain::id::{SessionId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Who issues the tokens, and for whom: this shop's API alone.
const ISSUER: &str = "ironcart";
const AUDIENCE: &str = "ironcart-api";

/// A secret to sign with: at least 32 bytes (contract 5, `JWT_SECRET`).
#[derive(Clone)]
pub struct JwtSecret(Vec<u8>);

/// A secret that could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have at least {} bytes", JwtSecret::MIN_BYTES)]
pub struct SecretTooShort;

impl JwtSecret {
    /// The fewest bytes of a secret.
    pub const MIN_BYTES: usize = 32;

    /// Takes a secret that is long enough.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, SecretTooShort> {
        let secret = secret.into();
        if secret.len() < Self::MIN_BYTES { Err(SecretTooShort) } else { Ok(Self(secret)) }
    }

    /// The name of the key on tokens: all instances find the same one without being told, and whoever reads it learns
    /// no more of the secret than a signature shows.
    #[must_use]
    pub fn key_id(&self) -> String {
        let digest = Sha256::new().chain_update(b"ironcart access token key\0").chain_update(&self.0).finalize();
        URL_SAFE_NO_PAD.encode(&digest[..Self::KEY_ID_BYTES])
    }

    /// Enough to tell the few secrets of a rotation apart.
    const KEY_ID_BYTES: usize = 9;
}

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(redacted)")
    }
}

/// Signs with one secret, and accepts those before it, too, so that a rotation logs nobody out.
pub struct Hs256Tokens {
    header: Header,
    signing: EncodingKey,
    accepted: Vec<AcceptedKey>,
    validation: Validation,
}

struct AcceptedKey {
    id: String,
    key: DecodingKey,
}

impl Hs256Tokens {
    /// Signs with `current`; accepts `current` and `previous`.
    #[must_use]
    pub fn new(current: &JwtSecret, previous: &[JwtSecret]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // Against the caller's clock, below, and to the second.
        validation.validate_exp = false;
        let accepted = std::iter::once(current).chain(previous);
        let accepted =
            accepted.map(|secret| AcceptedKey { id: secret.key_id(), key: DecodingKey::from_secret(&secret.0) });
        Self {
            header: Header { kid: Some(current.key_id()), ..Header::new(Algorithm::HS256) },
            signing: EncodingKey::from_secret(&current.0),
            accepted: accepted.collect(),
            validation,
        }
    }

    /// What a token says if one of these keys signed it.
    fn read(&self, token: &str) -> Option<Claims> {
        let named = decode_header(token).ok()?.kid;
        let mut keys = self.accepted.iter();
        let read = |key: &AcceptedKey| decode::<WireClaims>(token, &key.key, &self.validation).ok()?.claims.read();
        match named {
            Some(id) => keys.find(|key| key.id == id).and_then(read),
            // Issued before tokens named their key: an upgrade logs nobody out.
            None => keys.find_map(read),
        }
    }
}

/// The claims on the wire.
#[derive(Serialize, Deserialize)]
struct WireClaims {
    iss: String,
    aud: String,
    sub: String,
    role: String,
    jti: String,
    sid: String,
    iat: i64,
    exp: i64,
}

impl From<&Claims> for WireClaims {
    fn from(claims: &Claims) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: claims.user_id.to_string(),
            role: claims.role.as_str().to_owned(),
            jti: claims.token_id.to_string(),
            sid: claims.session_id.to_string(),
            iat: claims.issued_at.timestamp(),
            exp: claims.expires_at.timestamp(),
        }
    }
}

impl WireClaims {
    fn read(self) -> Option<Claims> {
        Some(Claims {
            token_id: Uuid::try_parse(&self.jti).ok()?,
            user_id: UserId::parse(&self.sub).ok()?,
            role: Role::parse(&self.role)?,
            session_id: SessionId::parse(&self.sid).ok()?,
            issued_at: DateTime::from_timestamp(self.iat, 0)?,
            expires_at: DateTime::from_timestamp(self.exp, 0)?,
        })
    }
}

impl AccessTokens for Hs256Tokens {
    fn issue(&self, claims: &Claims) -> Result<AccessToken, SignError> {
        encode(&self.header, &WireClaims::from(claims), &self.signing)
            .map(AccessToken)
            .map_err(|error| SignError(error.into()))
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, InvalidAccessToken> {
        self.read(token).filter(|claims| now < claims.expires_at).ok_or(InvalidAccessToken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use chrono::TimeDelta;
    use serde_json::Value;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(NOW + seconds, 0).unwrap()
    }

    fn secret(byte: u8) -> JwtSecret {
        JwtSecret::new(vec![byte; 32]).unwrap()
    }

    fn tokens() -> Hs256Tokens {
        Hs256Tokens::new(&secret(1), &[])
    }

    fn claims() -> Claims {
        let id = |number| Uuid::from_u128(number);
        Claims {
            token_id: id(1),
            user_id: UserId::from(id(2)),
            role: Role::Admin,
            session_id: SessionId::from(id(3)),
            issued_at: at(0),
            expires_at: at(900),
        }
    }

    /// Signs any claims and header, as a forger who has the secret could.
    fn forge(change: impl FnOnce(&mut WireClaims), algorithm: Algorithm) -> String {
        let mut wire = WireClaims::from(&claims());
        change(&mut wire);
        encode(&Header::new(algorithm), &wire, &EncodingKey::from_secret(&[1; 32])).unwrap()
    }

    #[test]
    fn a_token_says_its_claims_until_it_expires() {
        let token = tokens().issue(&claims()).unwrap().0;
        assert_eq!(tokens().verify(&token, at(0)), Ok(claims()));
        assert_eq!(tokens().verify(&token, at(900) - TimeDelta::microseconds(1)), Ok(claims()));
        assert_eq!(tokens().verify(&token, at(900)), Err(InvalidAccessToken));
    }

    #[test]
    fn every_claim_is_on_the_wire() {
        let token = tokens().issue(&claims()).unwrap().0;
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        assert_eq!(
            String::from_utf8(payload).unwrap(),
            concat!(
                r#"{"iss":"ironcart","aud":"ironcart-api","sub":"00000000-0000-0000-0000-000000000002","#,
                r#""role":"ADMIN","jti":"00000000-0000-0000-0000-000000000001","#,
                r#""sid":"00000000-0000-0000-0000-000000000003","iat":1800000000,"exp":1800000900}"#
            )
        );
    }

    #[test]
    fn a_token_that_was_not_issued_here_for_here_is_refused() {
        let forged = [
            forge(|claims| claims.iss = "elsewhere".to_owned(), Algorithm::HS256),
            forge(|claims| claims.aud = "elsewhere".to_owned(), Algorithm::HS256),
            forge(|claims| claims.sub = "root".to_owned(), Algorithm::HS256),
            forge(|claims| claims.role = "OWNER".to_owned(), Algorithm::HS256),
            forge(|claims| claims.sid = String::new(), Algorithm::HS256),
            forge(|claims| claims.exp = i64::MAX, Algorithm::HS256),
            forge(|_| {}, Algorithm::HS384),
            forge(|_| {}, Algorithm::HS512),
        ];
        for token in forged {
            assert_eq!(tokens().verify(&token, at(0)), Err(InvalidAccessToken), "{token}");
        }
        assert_eq!(tokens().verify(&forge(|_| {}, Algorithm::HS256), at(0)), Ok(claims()), "the forger's tools work");
    }

    #[test]
    fn a_token_without_a_signature_or_with_another_is_refused() {
        let token = tokens().issue(&claims()).unwrap().0;
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let payload = signed.split_once('.').unwrap().1;
        let none = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
        let others = Hs256Tokens::new(&secret(2), &[]).issue(&claims()).unwrap().0;
        let damaged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
        for bad in [
            format!("{none}.{payload}."),
            format!("{none}.{payload}.{signature}"),
            format!("{signed}."),
            signed.to_owned(),
            damaged,
            others,
            String::new(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            "\0".to_owned(),
        ] {
            assert_eq!(tokens().verify(&bad, at(0)), Err(InvalidAccessToken), "{bad}");
        }
    }

    #[test]
    fn a_token_without_one_of_the_claims_is_refused() {
        let all = ["iss", "aud", "sub", "role", "jti", "sid", "iat", "exp"];
        let token = tokens().issue(&claims()).unwrap().0;
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        for missing in all {
            let mut claims: BTreeMap<String, Value> = serde_json::from_slice(&payload).unwrap();
            assert!(claims.remove(missing).is_some());
            let key = EncodingKey::from_secret(&[1; 32]);
            let token = encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
            assert_eq!(tokens().verify(&token, at(0)), Err(InvalidAccessToken), "{missing}");
        }
    }

    #[test]
    fn a_rotation_of_the_secret_logs_nobody_out() {
        let before = tokens().issue(&claims()).unwrap().0;
        let rotated = Hs256Tokens::new(&secret(2), &[secret(1)]);
        assert_eq!(rotated.verify(&before, at(0)), Ok(claims()));
        let after = rotated.issue(&claims()).unwrap().0;
        assert_eq!(tokens().verify(&after, at(0)), Err(InvalidAccessToken), "signed with the new secret");
        assert_eq!(Hs256Tokens::new(&secret(2), &[]).verify(&before, at(0)), Err(InvalidAccessToken));
    }

    #[test]
    fn a_token_names_the_key_that_signed_it_and_the_name_does_not_show_the_secret() {
        let token = Hs256Tokens::new(&secret(2), &[secret(1)]).issue(&claims()).unwrap().0;
        let header = decode_header(&token).unwrap();
        assert_eq!(header.kid, Some(secret(2).key_id()));
        assert_ne!(secret(1).key_id(), secret(2).key_id());
        assert_eq!(secret(1).key_id().len(), 12);
        assert!(!secret(1).key_id().contains("AQEB"), "{}", secret(1).key_id());
    }

    #[test]
    fn a_token_is_checked_with_the_key_that_it_names_and_no_other() {
        let both = Hs256Tokens::new(&secret(2), &[secret(1)]);
        let signed = |kid: Option<String>, by: u8| {
            let header = Header { kid, ..Header::new(Algorithm::HS256) };
            encode(&header, &WireClaims::from(&claims()), &EncodingKey::from_secret(&[by; 32])).unwrap()
        };
        assert_eq!(both.verify(&signed(Some(secret(1).key_id()), 1), at(0)), Ok(claims()));
        assert_eq!(both.verify(&signed(Some(secret(1).key_id()), 2), at(0)), Err(InvalidAccessToken), "another's");
        for unknown in [secret(3).key_id(), String::new(), "../keys".to_owned(), "A".repeat(2000)] {
            assert_eq!(both.verify(&signed(Some(unknown.clone()), 2), at(0)), Err(InvalidAccessToken), "{unknown}");
        }
    }

    #[test]
    fn a_token_from_before_keys_had_names_is_still_good() {
        let nameless = forge(|_| {}, Algorithm::HS256);
        assert_eq!(decode_header(&nameless).unwrap().kid, None);
        assert_eq!(Hs256Tokens::new(&secret(2), &[secret(1)]).verify(&nameless, at(0)), Ok(claims()));
        assert_eq!(Hs256Tokens::new(&secret(2), &[]).verify(&nameless, at(0)), Err(InvalidAccessToken));
    }

    #[test]
    fn short_secrets_are_refused() {
        assert_eq!(JwtSecret::new(vec![1; 31]).err(), Some(SecretTooShort));
    }
}
