//! Cursors: opaque to clients, typed positions to us (contract 1, "lists").
//!
//! A list's position is written as a tuple, such as `(micros, uuid)`; a list with several orders puts the name of
//! the order first and refuses a cursor of another one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike, Utc};
use domain::clock::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest cursor that is looked at, in characters; a product's name in it takes up to 3,000.
const MAX_LENGTH: usize = 4096;

/// Writes a position.
#[must_use]
pub fn encode<W: Serialize>(position: &W) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).unwrap_or_default())
}

/// Reads a position; `None` if the text is no cursor of this kind.
#[must_use]
pub fn decode<W: DeserializeOwned>(cursor: &str) -> Option<W> {
    if cursor.len() > MAX_LENGTH {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

/// A moment from the microseconds that a cursor carries, if it is one that a database can compare.
#[must_use]
pub fn moment(micros: i64) -> Option<Timestamp> {
    DateTime::from_timestamp_micros(micros).filter(|moment| (0..=9999).contains(&moment.year()))
}

/// Reads RFC 3339, cut to whole microseconds.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let parsed = DateTime::parse_from_rfc3339(text).ok()?;
    moment(parsed.with_timezone(&Utc).timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_gives_back_its_position_and_nothing_else_does() {
        let written = encode(&("name", 7_i64));
        assert_eq!(decode(&written), Some(("name".to_owned(), 7_i64)));
        assert_eq!(decode::<(i64, i64)>(&written), None);
        for broken in ["", "!", "e30", "bnVsbA", "\u{0}", "W1tbW1tb", &written[1..], &"A".repeat(5000)] {
            assert_eq!(decode::<(String, i64)>(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn moments_beyond_what_a_database_holds_are_refused() {
        assert!(moment(0).is_some());
        for micros in [i64::MIN, i64::MAX, -100_000_000_000_000_000] {
            assert_eq!(moment(micros), None, "{micros}");
        }
    }
}
