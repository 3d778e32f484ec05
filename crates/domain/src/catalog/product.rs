//! A product, and how many units of it are on hand for sale.

use std::fmt;

use crate::clock::Timestamp;
use crate::id::ProductId;
use crate::money::Price;
use crate::text::{Description, ProductName};

/// A product as admins keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Which.
    pub id: ProductId,
    /// Its name, which no other product on sale has in any case.
    pub name: ProductName,
    /// What it is; never empty.
    pub description: Option<Description>,
    /// What one unit costs now.
    pub price: Price,
    /// What is on hand for sale.
    pub stock: Stock,
    /// How often it was edited.
    pub edit_version: EditVersion,
    /// When it was taken off sale. Orders keep it; nothing about it changes any more but its stock.
    pub archived_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When an admin last changed it; sales don't count.
    pub updated_at: Timestamp,
}

impl Product {
    /// Whether it can be bought and changed.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.archived_at.is_none()
    }
}

/// A text without its case, by Unicode's rules and not by those of a database's locale: two names are the same
/// if they are the same folded, and `q` is looked for in folded texts.
#[must_use]
pub fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// Units on hand for sale. An admin sets 0 to 1,000,000,000; what comes back from cancelled orders may go beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stock(u64);

/// A number of units that can't be a stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 0 to 1000000000")]
pub struct InvalidStock;

impl Stock {
    /// The most units that an admin sets.
    pub const MAX: u64 = 1_000_000_000;

    /// Nothing on hand.
    pub const NONE: Self = Self(0);

    /// Accepts 0 to [`Self::MAX`].
    pub fn new(units: i64) -> Result<Self, InvalidStock> {
        u64::try_from(units).ok().filter(|units| *units <= Self::MAX).map(Self).ok_or(InvalidStock)
    }

    /// What a store holds: units given back are never refused, so only less than nothing is.
    pub fn on_hand(units: i64) -> Result<Self, InvalidStock> {
        u64::try_from(units).map(Self).map_err(|_| InvalidStock)
    }

    /// The number of units.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The units that must come in (or, if negative, go out) to get here from `before`.
    #[must_use]
    pub const fn since(self, before: Self) -> i64 {
        self.0.cast_signed() - before.0.cast_signed()
    }

    /// The stock after `delta` units came in, or went out if negative.
    pub fn moved_by(self, delta: i64) -> Result<Self, InvalidStock> {
        let units = self.0.cast_signed().checked_add(delta).ok_or(InvalidStock)?;
        if delta > 0 { Self::new(units) } else { Self::on_hand(units) }
    }
}

/// More units were asked for than are on hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{requested} units were asked for, and {available} are on hand")]
pub struct InsufficientStock {
    /// Of which product.
    pub product_id: ProductId,
    /// How many there are.
    pub available: u64,
    /// How many were asked for.
    pub requested: u64,
}

/// Counts a product's edits, so that an editor notices another's. Sales and stock adjustments leave it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EditVersion(u64);

impl EditVersion {
    /// The version of a product never edited.
    pub const FIRST: Self = Self(1);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version after one more edit.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl From<u64> for EditVersion {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for EditVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stock_is_0_to_a_thousand_million() {
        assert_eq!(Stock::new(-1), Err(InvalidStock));
        assert_eq!(Stock::new(0), Ok(Stock::NONE));
        assert_eq!(Stock::new(1_000_000_000).map(Stock::get), Ok(Stock::MAX));
        assert_eq!(Stock::new(1_000_000_001), Err(InvalidStock));
        assert_eq!(Stock::on_hand(-1), Err(InvalidStock));
    }

    #[test]
    fn what_came_back_beyond_the_bound_is_held_and_can_be_taken_out() {
        let held = Stock::on_hand(1_000_000_005).unwrap();
        assert_eq!(held.moved_by(-2).map(Stock::get), Ok(1_000_000_003));
        assert_eq!(held.moved_by(1), Err(InvalidStock));
    }

    #[test]
    fn names_are_the_same_in_any_case_of_any_alphabet() {
        assert_eq!(folded("ÉCLAIR Ω"), folded("éclair ω"));
        assert_ne!(folded("eclair"), folded("éclair"));
    }

    proptest! {
        #[test]
        fn what_is_moved_is_the_difference(stock in 0..=1_000_000_000_i64, delta in any::<i64>()) {
            let before = Stock::new(stock).unwrap();
            match before.moved_by(delta) {
                Ok(after) => prop_assert_eq!(after.since(before), delta),
                Err(InvalidStock) => {
                    prop_assert!(delta < -stock || delta > 1_000_000_000 - stock);
                }
            }
        }
    }
}
