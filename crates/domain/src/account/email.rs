//! E-mail addresses: one spelling per address, so that it registers once.

use std::fmt;

use garde::rules::email::parse_email;

/// An address in lower case: at most 254 characters, ASCII, with a local part and a domain of at least two labels.
///
/// ASCII only, so that lower case means the same to the shop and to the database. Addresses of other scripts are
/// written in their ASCII form (`xn--…`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// A text that is no address the shop takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address of at most 254 characters, such as name@example.com")]
pub struct InvalidEmail;

impl Email {
    /// The most characters of an address (contract 2, `POST /auth/register`).
    pub const MAX_LENGTH: usize = 254;
    /// Trims, lower-cases and checks an address.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let address = text.trim().to_ascii_lowercase();
        let is_address = parse_email(&address).is_ok() && has_joining_dots(&address);
        if address.len() <= Self::MAX_LENGTH && is_address { Ok(Self(address)) } else { Err(InvalidEmail) }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the e-mail rule lets pass and no mail server takes: dots that join nothing (RFC 5321, 4.1.2), and domains
/// of one label or in brackets.
fn has_joining_dots(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let joins = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    joins && domain.contains('.') && !domain.starts_with('[')
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_spelling() {
        for text in ["ada@example.com", " Ada@Example.COM ", "ADA@EXAMPLE.COM\n"] {
            assert_eq!(Email::parse(text).map(|email| email.0), Ok("ada@example.com".to_owned()), "{text:?}");
        }
        for text in ["a@b.co", "o'hara+shop@mail.example.co.uk", "a.b_c-d@x-y.io", "1@2.3"] {
            assert!(Email::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "ada@example.",
            "ada@.com",
            "ada@exa mple.com",
            "ada@@example.com",
            "a da@example.com",
            ".ada@example.com",
            "ada.@example.com",
            "a..da@example.com",
            "ada@-example.com",
            "ada@example-.com",
            "ada@ex_ample.com",
            "ada\0@example.com",
            "ada@example.com\0",
            "ada\r\n@example.com",
            "ädä@example.com",
            "ada@exämple.com",
            "<ada@example.com>",
        ] {
            assert_eq!(Email::parse(text), Err(InvalidEmail), "{text:?}");
        }
    }

    #[test]
    fn an_address_has_at_most_254_characters() {
        let label = "d".repeat(61);
        let domain = format!("{label}.{label}.{label}.com");
        let longest = format!("{}@{domain}", "a".repeat(254 - 1 - domain.len()));
        assert_eq!(longest.len(), 254);
        assert!(Email::parse(&longest).is_ok());
        assert_eq!(Email::parse(&format!("a{longest}")), Err(InvalidEmail));
        assert_eq!(Email::parse(&format!("{}@example.com", "a".repeat(65))), Err(InvalidEmail));
    }
}
