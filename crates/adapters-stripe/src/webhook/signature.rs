//! The `Stripe-Signature` header: `t=…,v1=…[,v1=…][,v0=…]`, HMAC-SHA256 over `t.` and the raw body.

use domain::clock::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::Secret;

/// How far the signature's time may be from ours, in seconds, either way.
const TOLERANCE_SECONDS: u64 = 300;
/// Stripe sends one `v1` per active secret of the endpoint; more than a few is nobody honest.
const MAX_CANDIDATES: usize = 16;
/// The longest header looked at, in bytes.
const MAX_HEADER_BYTES: usize = 4096;

/// Why a body is not Stripe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSignature {
    #[error("the Stripe-Signature header is missing")]
    Missing,
    #[error("the Stripe-Signature header is not of the form t=…,v1=…")]
    Unparsable,
    #[error("no signature matches the body and a secret of this endpoint")]
    Mismatch,
    #[error("it was made more than 300 s from now")]
    Stale,
}

/// Accepts a body that one of the secrets signed within the tolerance of `now`.
pub(crate) fn verify(
    body: &[u8],
    header: Option<&str>,
    secrets: &[Secret],
    now: Timestamp,
) -> Result<(), InvalidSignature> {
    let signature = Signature::parse(header.ok_or(InvalidSignature::Missing)?).ok_or(InvalidSignature::Unparsable)?;
    if !secrets.iter().any(|secret| signature.is_by(secret, body)) {
        return Err(InvalidSignature::Mismatch);
    }
    if signature.made_at.abs_diff(now.timestamp()) > TOLERANCE_SECONDS {
        return Err(InvalidSignature::Stale);
    }
    Ok(())
}

struct Signature<'a> {
    /// As it was sent: these characters are signed.
    time: &'a str,
    made_at: i64,
    candidates: Vec<[u8; 32]>,
}

impl<'a> Signature<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        if header.len() > MAX_HEADER_BYTES {
            return None;
        }
        let mut time = None;
        let mut candidates = Vec::new();
        for part in header.split(',') {
            match part.trim().split_once('=')? {
                // Two times would leave open which one was signed.
                ("t", _) if time.is_some() => return None,
                ("t", value) => time = Some(value),
                ("v1", value) => candidates.push(value),
                // `v0` is for tests of Stripe's own; what comes after v1 is not known yet.
                _ => {}
            }
        }
        let time = time.filter(|time| !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit()))?;
        if candidates.is_empty() || candidates.len() > MAX_CANDIDATES {
            return None;
        }
        let candidates = candidates.into_iter().filter_map(|hex| {
            let mut bytes = [0; 32];
            hex::decode_to_slice(hex, &mut bytes).ok().map(|()| bytes)
        });
        Some(Self { time, made_at: time.parse().ok()?, candidates: candidates.collect() })
    }

    fn is_by(&self, secret: &Secret, body: &[u8]) -> bool {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return false };
        mac.update(self.time.as_bytes());
        mac.update(b".");
        mac.update(body);
        // `verify_slice` compares in constant time.
        self.candidates.iter().any(|candidate| mac.clone().verify_slice(candidate).is_ok())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    fn sign(secret: &str, time: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    fn check(header: &str, secrets: &[&str]) -> Result<(), InvalidSignature> {
        let secrets: Vec<Secret> = secrets.iter().copied().map(Secret::new).collect();
        verify(BODY, Some(header), &secrets, DateTime::from_timestamp(NOW, 0).unwrap())
    }

    #[test]
    fn the_scheme_is_the_documented_one() {
        // The value is the HMAC-SHA256 of `1.{}` under `whsec_secret`, computed by another implementation.
        let secrets = [Secret::new("whsec_secret")];
        let header = format!("t=1,v1={}", "071179a7568b26663a58dba6a6cc6add51e2bcfda2b517a410d06ef10d541ef5");
        let then = DateTime::from_timestamp(1, 0).unwrap();
        assert_eq!(verify(b"{}", Some(&header), &secrets, then), Ok(()));
    }

    #[test]
    fn each_header_gets_its_answer() {
        use InvalidSignature::{Mismatch, Stale, Unparsable};
        let now = NOW.to_string();
        let good = sign("whsec_new", &now, BODY);
        let old = sign("whsec_old", &now, BODY);
        let other = sign("whsec_other", &now, BODY);
        let at = |time: i64| format!("t={time},v1={}", sign("whsec_new", &time.to_string(), BODY));
        let table: Vec<(&str, String, Result<(), InvalidSignature>)> = vec![
            ("one signature", format!("t={now},v1={good}"), Ok(())),
            ("in the other order", format!("v1={good},t={now}"), Ok(())),
            ("with spaces", format!("t={now}, v1={good}"), Ok(())),
            ("upper-case hex", format!("t={now},v1={}", good.to_uppercase()), Ok(())),
            ("the old secret while rotating", format!("t={now},v1={old}"), Ok(())),
            ("one of several", format!("t={now},v1={other},v1={good}"), Ok(())),
            ("garbage beside a good one", format!("t={now},v1=zz,v1={good},v0=1,v9=2"), Ok(())),
            ("another's secret", format!("t={now},v1={other}"), Err(Mismatch)),
            ("v0 only counts as none", format!("t={now},v0={good}"), Err(Unparsable)),
            ("another time than was signed", format!("t={},v1={good}", NOW + 1), Err(Mismatch)),
            ("a cut signature", format!("t={now},v1={}", &good[..62]), Err(Mismatch)),
            ("a longer signature", format!("t={now},v1={good}00"), Err(Mismatch)),
            ("an empty signature", format!("t={now},v1="), Err(Mismatch)),
            ("300 s old", at(NOW - 300), Ok(())),
            ("301 s old", at(NOW - 301), Err(Stale)),
            ("300 s ahead", at(NOW + 300), Ok(())),
            ("301 s ahead", at(NOW + 301), Err(Stale)),
            ("the greatest number", at(i64::MAX), Err(Stale)),
            ("two times", format!("t={now},t={now},v1={good}"), Err(Unparsable)),
            ("no time", format!("v1={good}"), Err(Unparsable)),
            ("an empty time", format!("t=,v1={good}"), Err(Unparsable)),
            ("a time with a sign", format!("t=+{now},v1={good}"), Err(Unparsable)),
            ("a time beyond all numbers", format!("t=9{now}000000000000,v1={good}"), Err(Unparsable)),
            ("no signature", format!("t={now}"), Err(Unparsable)),
            ("nothing", String::new(), Err(Unparsable)),
            ("no pairs", "hello".into(), Err(Unparsable)),
            ("too many candidates", format!("t={now}{},v1={good}", format!(",v1={other}").repeat(16)), Err(Unparsable)),
            ("an endless header", format!("t={now},v1={good},x={}", "y".repeat(5000)), Err(Unparsable)),
        ];
        for (what, header, expected) in table {
            assert_eq!(check(&header, &["whsec_new", "whsec_old"]), expected, "{what}");
        }
    }

    #[test]
    fn a_missing_header_is_refused() {
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        assert_eq!(verify(BODY, None, &[Secret::new("whsec_1")], now), Err(InvalidSignature::Missing));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_never_lets_garbage_in(header in ".{0,200}") {
            prop_assert!(check(&header, &["whsec_1"]).is_err());
        }

        #[test]
        fn header_like_garbage_neither(
            time in "-?[0-9]{0,25}", one in "[0-9a-fA-F]{0,70}", key in "(t|v1|v0|)", more in "[,=tv10 ]{0,20}",
        ) {
            let header = format!("t={time},v1={one},{key}={more}");
            prop_assert!(check(&header, &["whsec_1"]).is_err());
        }

        #[test]
        fn a_changed_body_is_never_accepted(mut body in proptest::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>()) {
            let header = format!("t={NOW},v1={}", sign("whsec_1", &NOW.to_string(), &body));
            let now = DateTime::from_timestamp(NOW, 0).unwrap();
            prop_assert_eq!(verify(&body, Some(&header), &[Secret::new("whsec_1")], now), Ok(()));
            let at = at.index(body.len());
            body[at] ^= 1;
            prop_assert!(verify(&body, Some(&header), &[Secret::new("whsec_1")], now).is_err());
        }
    }
}
