//! A cart as its customer sees it: lines at current prices, and what is on hand of each.

use crate::catalog::Stock;
use crate::clock::Timestamp;
use crate::id::ProductId;
use crate::money::{Currency, Money, MoneyError, Price};
use crate::quantity::Quantity;
use crate::text::ProductName;

/// The most lines of one cart: what the payment provider takes (contract 1, `cart_full`).
pub const MAX_CART_LINES: usize = 100;

/// One product of a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartLine {
    /// Which product.
    pub product_id: ProductId,
    /// Its name now.
    pub name: ProductName,
    /// How many units.
    pub quantity: Quantity,
    /// What one unit costs now.
    pub unit_price: Price,
    /// What is on hand now; may be less than the quantity.
    pub available: Stock,
}

impl CartLine {
    /// What the line costs.
    pub fn total(&self) -> Result<Money, MoneyError> {
        self.unit_price.money().checked_mul(self.quantity.get())
    }
}

/// A customer's cart. Nothing in it is reserved, and its prices are those of the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    lines: Vec<(CartLine, Money)>,
    total: Money,
    updated_at: Timestamp,
}

impl Cart {
    /// Adds up the lines.
    pub fn new(lines: Vec<CartLine>, currency: Currency, updated_at: Timestamp) -> Result<Self, MoneyError> {
        let lines =
            lines.into_iter().map(|line| line.total().map(|total| (line, total))).collect::<Result<Vec<_>, _>>()?;
        let total = lines.iter().try_fold(Money::zero(currency), |sum, (_, total)| sum.checked_add(*total))?;
        Ok(Self { lines, total, updated_at })
    }

    /// The lines with what each costs, in the order in which they were first added.
    #[must_use]
    pub fn lines(&self) -> &[(CartLine, Money)] {
        &self.lines
    }

    /// What all costs.
    #[must_use]
    pub const fn total(&self) -> Money {
        self.total
    }

    /// When the customer last changed it, or it lost an archived product; for a cart never used, when its customer
    /// registered.
    #[must_use]
    pub const fn updated_at(&self) -> Timestamp {
        self.updated_at
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn line(id: u128, price_minor: i64, quantity: i64) -> CartLine {
        CartLine {
            product_id: Uuid::from_u128(id).into(),
            name: ProductName::new("Anvil").unwrap(),
            quantity: Quantity::new(quantity).unwrap(),
            unit_price: Price::new(Money::from_minor(price_minor, Currency::USD)).unwrap(),
            available: Stock::NONE,
        }
    }

    #[test]
    fn the_fullest_and_dearest_cart_still_adds_up() {
        let lines = (0..100).map(|id| line(id, Price::MAX_MINOR, 1000)).collect();
        let cart = Cart::new(lines, Currency::USD, DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(cart.total().to_string(), "9999999999000.00");
    }

    #[test]
    fn a_line_of_another_currency_is_not_added_up() {
        let euros = CartLine {
            unit_price: Price::new(Money::from_minor(1, Currency::parse("EUR").unwrap())).unwrap(),
            ..line(1, 1, 1)
        };
        assert_eq!(Cart::new(vec![euros], Currency::USD, DateTime::UNIX_EPOCH), Err(MoneyError::CurrencyMismatch));
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_price_times_quantity(
            lines in prop::collection::vec((1..=Price::MAX_MINOR, 1..=1000_i64), 0..=100)
        ) {
            let expected: i64 = lines.iter().map(|(price, quantity)| price * quantity).sum();
            let lines = lines.iter().zip(1..).map(|((price, quantity), id)| line(id, *price, *quantity)).collect();
            let cart = Cart::new(lines, Currency::USD, DateTime::UNIX_EPOCH).unwrap();
            prop_assert_eq!(cart.total().amount_minor(), expected);
        }
    }
}
