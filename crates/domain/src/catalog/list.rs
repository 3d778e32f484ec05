//! Browsing the products on sale: filters, orders, and where a page begins.

use crate::catalog::{CatalogService, Product, folded};
use crate::clock::Timestamp;
use crate::id::ProductId;
use crate::page::{Page, PageLimit};
use crate::store::StoreError;
use crate::text::{InvalidText, Lines, checked};

/// What a visitor looks for: 1 to 200 characters, folded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SearchText(String);

/// A text that can't be looked for.
pub type InvalidSearch = InvalidText;

impl SearchText {
    /// The greatest number of characters.
    pub const MAX_LENGTH: usize = 200;

    /// Trims, checks and folds a text.
    pub fn new(text: &str) -> Result<Self, InvalidSearch> {
        checked(text, 1, Self::MAX_LENGTH, Lines::Single).map(|text| Self(folded(&text)))
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which products a list shows, all conditions together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ProductFilter {
    /// Name or description contains this, in any case.
    pub search: Option<SearchText>,
    /// Costs at least this.
    pub min_price_minor: Option<i64>,
    /// Costs at most this.
    pub max_price_minor: Option<i64>,
    /// Only what is on hand.
    pub in_stock: bool,
}

/// An order of the list, and after which product in it the page begins (`None`: at the front). The id decides
/// between products that are otherwise equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProductOrder {
    /// Newest first.
    Newest(Option<(Timestamp, ProductId)>),
    /// Oldest first.
    Oldest(Option<(Timestamp, ProductId)>),
    /// Lowest price first, in minor units.
    Cheapest(Option<(i64, ProductId)>),
    /// Highest price first, in minor units.
    Dearest(Option<(i64, ProductId)>),
    /// By folded name.
    ByName(Option<(String, ProductId)>),
}

impl Default for ProductOrder {
    fn default() -> Self {
        Self::Newest(None)
    }
}

impl ProductOrder {
    /// The same order from behind `last`.
    #[must_use]
    pub fn after(&self, last: &Product) -> Self {
        let by_time = Some((last.created_at, last.id));
        let by_price = Some((last.price.money().amount_minor(), last.id));
        match self {
            Self::Newest(_) => Self::Newest(by_time),
            Self::Oldest(_) => Self::Oldest(by_time),
            Self::Cheapest(_) => Self::Cheapest(by_price),
            Self::Dearest(_) => Self::Dearest(by_price),
            Self::ByName(_) => Self::ByName(Some((folded(last.name.as_str()), last.id))),
        }
    }
}

impl CatalogService {
    /// A page of the products on sale; `next` begins the page behind it.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list(
        &self,
        filter: &ProductFilter,
        order: &ProductOrder,
        limit: PageLimit,
    ) -> Result<Page<Product, ProductOrder>, StoreError> {
        self.products.list(filter, order, limit).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::catalog::tests::product;

    #[test]
    fn a_page_goes_on_in_its_own_order() {
        let product = product();
        for order in [
            ProductOrder::Newest(None),
            ProductOrder::Oldest(None),
            ProductOrder::Cheapest(None),
            ProductOrder::Dearest(None),
            ProductOrder::ByName(None),
        ] {
            let next = order.after(&product);
            assert_eq!(std::mem::discriminant(&next), std::mem::discriminant(&order));
            assert_eq!(next.after(&product), next);
        }
        let by_name = ProductOrder::ByName(None).after(&product);
        assert_eq!(by_name, ProductOrder::ByName(Some(("anvil".into(), product.id))));
    }

    #[test]
    fn a_search_is_trimmed_and_folded() {
        assert_eq!(SearchText::new(" Ünder % ").unwrap().as_str(), "ünder %");
        assert!(SearchText::new("  ").is_err());
        assert!(SearchText::new("a\0").is_err());
        assert!(SearchText::new(&"a".repeat(201)).is_err());
    }
}
