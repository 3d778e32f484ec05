//! The `Stripe-Signature` header.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Signs a raw body: `t=<seconds>,v1=<hex HMAC-SHA256 of "<seconds>.<body>">`, keyed with the whole `whsec_…` string.
///
/// `seconds` is the Unix time of the signature; shops refuse one that is more than 300 s away from their own clock.
#[must_use]
pub fn sign_payload(secret: &str, seconds: i64, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        // HMAC takes keys of every length; this arm is never reached.
        return String::new();
    };
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::sign_payload;

    #[test]
    fn a_known_body_gets_its_known_signature() {
        // Computed with `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test`.
        assert_eq!(
            sign_payload("whsec_test", 1_700_000_000, br#"{"a":1}"#),
            "t=1700000000,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789"
        );
    }
}
