//! Texts with bounds: trimmed, then measured in characters; control characters are refused (contract 1,
//! "order of checks").

use std::fmt;

/// Why a text was refused; the words go behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Too short or too long after trimming, in characters.
    #[error("must be {min} to {max} characters long")]
    Length {
        /// The least number of characters.
        min: usize,
        /// The greatest number of characters.
        max: usize,
    },
    /// Holds a control character (a line break, too, unless the text may have several lines).
    #[error("must not contain control characters")]
    ControlCharacter,
}

/// Whether line breaks and tabs are welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// One line: no control character at all.
    Single,
    /// Several lines: `\n` and `\r` are allowed.
    Multiple,
}

/// Trims `text` and checks its length in characters and its characters.
pub fn checked(text: &str, min: usize, max: usize, lines: Lines) -> Result<String, InvalidText> {
    let text = text.trim();
    let length = text.chars().count();
    if !(min..=max).contains(&length) {
        return Err(InvalidText::Length { min, max });
    }
    let allowed = |c: char| lines == Lines::Multiple && matches!(c, '\n' | '\r');
    if text.chars().any(|c| c.is_control() && !allowed(c)) {
        return Err(InvalidText::ControlCharacter);
    }
    Ok(text.to_owned())
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $min:literal..=$max:literal, $lines:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The least number of characters.
            pub const MIN_LENGTH: usize = $min;
            /// The greatest number of characters.
            pub const MAX_LENGTH: usize = $max;
            /// Whether it may have several lines.
            pub const LINES: Lines = Lines::$lines;

            /// Trims and checks a text.
            pub fn new(text: &str) -> Result<Self, InvalidText> {
                checked(text, Self::MIN_LENGTH, Self::MAX_LENGTH, Self::LINES).map(Self)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

texts! {
    /// A person's name: 2 to 50 characters.
    PersonName: 2..=50, Single;
    /// A product's name: 2 to 200 characters.
    ProductName: 2..=200, Single;
    /// A product's description: up to 5,000 characters, several lines.
    Description: 0..=5000, Multiple;
    /// Why an admin adjusted a stock: 1 to 200 characters.
    AdjustmentReason: 1..=200, Single;
    /// Where an order goes: 5 to 500 characters, several lines.
    ShippingAddress: 5..=500, Multiple;
    /// Why an order was cancelled: up to 200 characters.
    CancelReason: 0..=200, Single;
    /// A carrier's tracking number: 1 to 100 characters.
    TrackingNumber: 1..=100, Single;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_trimmed_then_measured_in_characters() {
        assert_eq!(PersonName::new("  Zoë ").map(PersonName::into_string), Ok("Zoë".into()));
        assert_eq!(PersonName::new(" a "), Err(InvalidText::Length { min: 2, max: 50 }));
        assert!(PersonName::new(&"é".repeat(50)).is_ok());
        assert!(PersonName::new(&"é".repeat(51)).is_err());
    }

    #[test]
    fn control_characters_are_refused_but_line_breaks_in_long_texts() {
        assert_eq!(ProductName::new("a\0b"), Err(InvalidText::ControlCharacter));
        assert_eq!(ProductName::new("a\nb"), Err(InvalidText::ControlCharacter));
        assert!(ShippingAddress::new("1 High Street\r\nLeeds").is_ok());
        assert_eq!(ShippingAddress::new("1 High\0 Street"), Err(InvalidText::ControlCharacter));
        assert_eq!(ShippingAddress::new("1 High\tStreet"), Err(InvalidText::ControlCharacter));
    }
}
