//! How many units of one product a cart or an order line holds.

/// 1 to 1,000 units (contract 2, `POST /cart/items`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u32);

/// A number of units out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 1000")]
pub struct InvalidQuantity;

impl Quantity {
    /// The most units that one line holds.
    pub const MAX: u32 = 1000;

    /// Accepts 1 to [`Self::MAX`].
    pub fn new(units: i64) -> Result<Self, InvalidQuantity> {
        u32::try_from(units).ok().filter(|units| (1..=Self::MAX).contains(units)).map(Self).ok_or(InvalidQuantity)
    }

    /// The number of units.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Both together, if a line can hold them.
    pub fn checked_add(self, more: Self) -> Result<Self, InvalidQuantity> {
        Self::new(i64::from(self.0) + i64::from(more.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_1_to_1000_units() {
        assert_eq!(Quantity::new(0), Err(InvalidQuantity));
        assert_eq!(Quantity::new(-1), Err(InvalidQuantity));
        assert_eq!(Quantity::new(1001), Err(InvalidQuantity));
        assert_eq!(Quantity::new(1000).map(Quantity::get), Ok(1000));
        assert_eq!(Quantity(999).checked_add(Quantity(1)), Ok(Quantity(1000)));
        assert_eq!(Quantity(1000).checked_add(Quantity(1)), Err(InvalidQuantity));
    }
}
