//! Exact money: whole minor units of one currency, checked arithmetic, no floats, no rounding.

use std::fmt;
use std::str::FromStr;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, ToPrimitive};

/// An ISO 4217 currency code with two decimals, in upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// A text that is no three-letter currency code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a three-letter currency code")]
pub struct InvalidCurrency;

impl Currency {
    /// US dollar, the default of a new shop.
    pub const USD: Self = Self(*b"USD");

    /// Reads three letters, in either case. Whether the currency has two decimals is for the configuration to
    /// say: payments may arrive in any.
    pub fn parse(text: &str) -> Result<Self, InvalidCurrency> {
        let bytes: [u8; 3] = text.as_bytes().try_into().map_err(|_| InvalidCurrency)?;
        if bytes.iter().all(u8::is_ascii_alphabetic) {
            Ok(Self(bytes.map(|b| b.to_ascii_uppercase())))
        } else {
            Err(InvalidCurrency)
        }
    }

    /// The code in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII letters are let in, so this never falls back.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount of money. Arithmetic is by methods that check, never by operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    amount_minor: i64,
    currency: Currency,
}

/// A sum that does not fit, or two currencies in one sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The result is larger than any amount the shop can hold.
    #[error("the amount is too large")]
    Overflow,
    /// The two amounts are of different currencies.
    #[error("the amounts are of different currencies")]
    CurrencyMismatch,
}

impl Money {
    /// An amount in minor units (cents).
    #[must_use]
    pub const fn from_minor(amount_minor: i64, currency: Currency) -> Self {
        Self { amount_minor, currency }
    }

    /// Nothing of a currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self::from_minor(0, currency)
    }

    /// The amount in minor units.
    #[must_use]
    pub const fn amount_minor(self) -> i64 {
        self.amount_minor
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The sum of two amounts of one currency.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let amount_minor = self.amount_minor.checked_add(other.amount_minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount_minor, ..self })
    }

    /// `count` times the amount.
    pub fn checked_mul(self, count: u32) -> Result<Self, MoneyError> {
        let amount_minor = self.amount_minor.checked_mul(i64::from(count)).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount_minor, ..self })
    }

    /// The amount as a decimal with exactly two fraction digits.
    #[must_use]
    pub fn to_decimal(self) -> BigDecimal {
        BigDecimal::new(BigInt::from(self.amount_minor), 2)
    }
}

impl fmt::Display for Money {
    /// `19.99`: the decimal form of the contract, without the currency.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_decimal().to_plain_string().fmt(f)
    }
}

/// Why a text is no amount (contract 1, "money").
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a decimal amount from 0 to 99999999.99 with at most 2 fraction digits, such as 19.99")]
pub struct InvalidAmount;

/// Reads an amount as it was written, digit by digit: up to 8 digits before the point and 2 behind it, without
/// sign, exponent or leading zeros. Zero is let in; [`Price::new`] refuses it where it must not be.
pub fn parse_amount_minor(text: &str) -> Result<i64, InvalidAmount> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(w, f)| (w, Some(f)));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let whole_is_plain = digits(whole) && (1..=8).contains(&whole.len()) && (whole == "0" || !whole.starts_with('0'));
    let fraction_is_plain = fraction.is_none_or(|f| digits(f) && (1..=2).contains(&f.len()));
    if !whole_is_plain || !fraction_is_plain {
        return Err(InvalidAmount);
    }
    let decimal = BigDecimal::from_str(text).map_err(|_| InvalidAmount)?;
    (decimal * BigDecimal::from(100)).to_i64().ok_or(InvalidAmount)
}

/// What one unit of a product costs: 0.01 to 99,999,999.99.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price(Money);

impl Price {
    /// The greatest price, in minor units.
    pub const MAX_MINOR: i64 = 9_999_999_999;

    /// Accepts 1 to [`Self::MAX_MINOR`] minor units.
    pub fn new(amount: Money) -> Result<Self, InvalidPrice> {
        if (1..=Self::MAX_MINOR).contains(&amount.amount_minor) { Ok(Self(amount)) } else { Err(InvalidPrice) }
    }

    /// The price as an amount.
    #[must_use]
    pub const fn money(self) -> Money {
        self.0
    }
}

/// An amount that can't be a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be greater than 0 and at most 99999999.99")]
pub struct InvalidPrice;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_written() {
        for (text, minor) in
            [("0", 0), ("0.5", 50), ("19.99", 1999), ("19.9", 1990), ("1", 100), ("99999999.99", 9_999_999_999)]
        {
            assert_eq!(parse_amount_minor(text), Ok(minor), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "-1",
            "+1",
            "1e2",
            "NaN",
            "inf",
            "19.999",
            "1.",
            ".5",
            "01",
            "00",
            "100000000",
            "1,5",
            " 1",
            "1 ",
            "٣",
            "0x1",
            "1_000",
            "\u{0}",
        ] {
            assert_eq!(parse_amount_minor(text), Err(InvalidAmount), "{text:?}");
        }
    }

    #[test]
    fn sums_of_two_currencies_are_refused() {
        let dollar = Money::from_minor(1, Currency::USD);
        let euro = Money::from_minor(1, Currency(*b"EUR"));
        assert_eq!(dollar.checked_add(euro), Err(MoneyError::CurrencyMismatch));
        assert_eq!(Money::from_minor(i64::MAX, Currency::USD).checked_add(dollar), Err(MoneyError::Overflow));
        assert_eq!(Money::from_minor(i64::MAX, Currency::USD).checked_mul(2), Err(MoneyError::Overflow));
    }

    #[test]
    fn a_price_is_never_zero() {
        assert_eq!(Price::new(Money::zero(Currency::USD)), Err(InvalidPrice));
        assert!(Price::new(Money::from_minor(Price::MAX_MINOR, Currency::USD)).is_ok());
        assert!(Price::new(Money::from_minor(Price::MAX_MINOR + 1, Currency::USD)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_is_what_is_read(minor in 0..=Price::MAX_MINOR) {
            let shown = Money::from_minor(minor, Currency::USD).to_string();
            prop_assert_eq!(parse_amount_minor(&shown), Ok(minor));
            prop_assert_eq!(shown.split_once('.').map(|(_, f)| f.len()), Some(2));
        }

        #[test]
        fn reading_never_panics(text in ".{0,40}") {
            let _ = parse_amount_minor(&text);
        }
    }
}
