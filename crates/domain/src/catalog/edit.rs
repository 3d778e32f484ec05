//! Changing what a product is, what it costs, and what is on hand of it.

use crate::catalog::{CatalogService, IfMatch, MovementReason, Product, Stock, StockMovement};
use crate::clock::Timestamp;
use crate::id::{MovementId, ProductId, UserId};
use crate::money::Price;
use crate::store::StoreError;
use crate::text::{Description, ProductName};

/// What an admin wants changed; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProductChanges {
    /// A new name.
    pub name: Option<ProductName>,
    /// A new description; an empty one takes it away.
    pub description: Option<Description>,
    /// A new price.
    pub price: Option<Price>,
    /// What is on hand now.
    pub stock: Option<Stock>,
}

impl ProductChanges {
    const fn is_empty(&self) -> bool {
        self.name.is_none() && self.description.is_none() && self.price.is_none() && self.stock.is_none()
    }
}

/// The wish to change a product.
#[derive(Debug, Clone)]
pub struct EditProduct {
    /// Which.
    pub id: ProductId,
    /// What to change.
    pub changes: ProductChanges,
    /// What the admin had seen of it, if they said.
    pub if_match: Option<IfMatch>,
    /// The id of the ledger's entry, if the stock changes.
    pub movement_id: MovementId,
    /// The admin.
    pub actor_id: UserId,
    /// When.
    pub at: Timestamp,
}

/// What was decided on an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProductEdited {
    /// Nothing was asked for: the product stays as it is, its version too.
    Unchanged(Product),
    /// The product as it is from now on, and the ledger's entry if its stock changed.
    Changed(Product, Option<StockMovement>),
}

/// Why a product stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditProductError {
    /// There is no such product, or it is archived.
    #[error("there is no such product")]
    NotFound,
    /// It is no longer what the admin saw.
    #[error("the product was changed since it was read; read it again")]
    PreconditionFailed,
    /// Another product on sale has that name, in some case.
    #[error("another product has this name")]
    NameTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EditProduct {
    /// Decides on the product as it is under lock.
    pub fn decide(&self, product: Product) -> Result<ProductEdited, EditProductError> {
        if !product.is_live() {
            return Err(EditProductError::NotFound);
        }
        let sets_stock = self.changes.stock.is_some();
        if self.if_match.as_ref().is_some_and(|expected| !expected.holds(&product, sets_stock)) {
            return Err(EditProductError::PreconditionFailed);
        }
        if self.changes.is_empty() {
            return Ok(ProductEdited::Unchanged(product));
        }
        let stock = self.changes.stock.unwrap_or(product.stock);
        let movement =
            StockMovement::by_admin(self.movement_id, &product, stock, MovementReason::Edited, self.actor_id, self.at);
        Ok(ProductEdited::Changed(self.applied_to(product, stock), movement))
    }

    fn applied_to(&self, product: Product, stock: Stock) -> Product {
        let ProductChanges { name, description, price, stock: _ } = self.changes.clone();
        Product {
            name: name.unwrap_or(product.name),
            description: description.or(product.description).filter(|text| !text.as_str().is_empty()),
            price: price.unwrap_or(product.price),
            stock,
            edit_version: product.edit_version.next(),
            updated_at: self.at.max(product.updated_at),
            ..product
        }
    }
}

impl CatalogService {
    /// Changes a product, if it still is what the admin saw.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn edit(
        &self,
        id: ProductId,
        changes: ProductChanges,
        if_match: Option<IfMatch>,
        actor_id: UserId,
    ) -> Result<Product, EditProductError> {
        let movement_id = MovementId::mint(&*self.ids);
        let command = EditProduct { id, changes, if_match, movement_id, actor_id, at: self.clock.now() };
        self.products.edit(&command).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::catalog::tests::{at, product};
    use crate::catalog::{EditVersion, ProductTag, Tags};

    fn edit(changes: ProductChanges) -> EditProduct {
        EditProduct {
            id: product().id,
            changes,
            if_match: None,
            movement_id: uuid::Uuid::from_u128(9).into(),
            actor_id: uuid::Uuid::from_u128(8).into(),
            at: at(60),
        }
    }

    fn tag_of(product: &Product) -> ProductTag {
        ProductTag { edit_version: product.edit_version, body_hash: format!("{:x}", product.stock.get()) }
    }

    fn seen(product: &Product) -> IfMatch {
        IfMatch { tags: Tags::OneOf(vec![tag_of(product)]), tag_of }
    }

    #[test]
    fn an_edit_changes_what_is_named_and_counts_the_version() {
        let name = ProductName::new("Anvil, large").unwrap();
        let command = edit(ProductChanges { name: Some(name.clone()), ..ProductChanges::default() });
        let ProductEdited::Changed(edited, movement) = command.decide(product()).unwrap() else { panic!("unchanged") };
        let expected = Product { name, edit_version: EditVersion::from(2), updated_at: at(60), ..product() };
        assert_eq!((edited, movement), (expected, None));
    }

    #[test]
    fn setting_the_stock_writes_the_difference_to_the_ledger() {
        let command = edit(ProductChanges { stock: Some(Stock::new(3).unwrap()), ..ProductChanges::default() });
        let ProductEdited::Changed(edited, movement) = command.decide(product()).unwrap() else { panic!("unchanged") };
        let movement = movement.unwrap();
        assert_eq!((edited.stock.get(), movement.delta, movement.stock_after.get()), (3, -7, 3));
        assert_eq!(movement.reason, MovementReason::Edited);

        let same = edit(ProductChanges { stock: Some(product().stock), ..ProductChanges::default() });
        assert!(matches!(same.decide(product()).unwrap(), ProductEdited::Changed(_, None)));
    }

    #[test]
    fn an_empty_edit_changes_nothing_and_an_empty_description_takes_it_away() {
        assert_eq!(edit(ProductChanges::default()).decide(product()).unwrap(), ProductEdited::Unchanged(product()));
        let cleared =
            edit(ProductChanges { description: Some(Description::new("").unwrap()), ..ProductChanges::default() });
        let ProductEdited::Changed(edited, _) = cleared.decide(product()).unwrap() else { panic!("unchanged") };
        assert_eq!(edited.description, None);
    }

    #[test]
    fn sales_do_not_disturb_an_editor_unless_the_edit_sets_the_stock() {
        let sold = Product { stock: Stock::new(4).unwrap(), ..product() };
        let price = ProductChanges { price: Some(product().price), ..ProductChanges::default() };
        let stock = ProductChanges { stock: Some(Stock::NONE), ..ProductChanges::default() };
        let expecting =
            |changes: &ProductChanges| EditProduct { if_match: Some(seen(&product())), ..edit(changes.clone()) };
        assert!(expecting(&price).decide(sold.clone()).is_ok());
        assert!(matches!(expecting(&stock).decide(sold), Err(EditProductError::PreconditionFailed)));
        assert!(expecting(&stock).decide(product()).is_ok());
    }

    #[test]
    fn another_edit_makes_the_precondition_fail_and_a_star_never_does() {
        let edited = Product { edit_version: EditVersion::from(2), ..product() };
        let price = ProductChanges { price: Some(product().price), ..ProductChanges::default() };
        let stale = EditProduct { if_match: Some(seen(&product())), ..edit(price.clone()) };
        assert!(matches!(stale.decide(edited.clone()), Err(EditProductError::PreconditionFailed)));
        let none = IfMatch { tags: Tags::OneOf(Vec::new()), tag_of };
        let garbage = EditProduct { if_match: Some(none), ..edit(price.clone()) };
        assert!(matches!(garbage.decide(edited.clone()), Err(EditProductError::PreconditionFailed)));
        let star = EditProduct { if_match: Some(IfMatch { tags: Tags::Any, tag_of }), ..edit(price) };
        assert!(star.decide(edited).is_ok());
    }

    #[test]
    fn an_archived_product_is_not_there_whatever_was_seen() {
        let archived = Product { archived_at: Some(at(1)), ..product() };
        let command = EditProduct { if_match: Some(seen(&product())), ..edit(ProductChanges::default()) };
        assert!(matches!(command.decide(archived), Err(EditProductError::NotFound)));
    }
}
