//! Putting a product into the catalogue.

use crate::catalog::{CatalogService, EditVersion, MovementReason, Product, Stock, StockMovement};
use crate::clock::Timestamp;
use crate::id::{MovementId, ProductId, UserId};
use crate::money::Price;
use crate::store::StoreError;
use crate::text::{Description, ProductName};

/// What an admin says of a new product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProduct {
    /// Its name.
    pub name: ProductName,
    /// What it is, if there is anything to say.
    pub description: Option<Description>,
    /// What one unit costs.
    pub price: Price,
    /// What is on hand.
    pub stock: Stock,
}

/// The wish to put a product into the catalogue, with its ids minted and its time taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateProduct {
    /// The product's id to be.
    pub id: ProductId,
    /// The id of the ledger's first entry, if there is anything on hand.
    pub movement_id: MovementId,
    /// What was said of it.
    pub product: NewProduct,
    /// The admin.
    pub actor_id: UserId,
    /// When.
    pub at: Timestamp,
}

/// Why there is no new product.
#[derive(Debug, thiserror::Error)]
pub enum CreateProductError {
    /// Another product on sale has that name, in some case.
    #[error("another product has this name")]
    NameTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CreateProduct {
    /// The product, and the ledger's first entry unless nothing is on hand.
    #[must_use]
    pub fn decide(&self) -> (Product, Option<StockMovement>) {
        let NewProduct { name, description, price, stock } = self.product.clone();
        let empty = Product {
            id: self.id,
            name,
            description: description.filter(|text| !text.as_str().is_empty()),
            price,
            stock: Stock::NONE,
            edit_version: EditVersion::FIRST,
            archived_at: None,
            created_at: self.at,
            updated_at: self.at,
        };
        let movement =
            StockMovement::by_admin(self.movement_id, &empty, stock, MovementReason::Created, self.actor_id, self.at);
        (Product { stock, ..empty }, movement)
    }
}

impl CatalogService {
    /// Puts a product into the catalogue.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn create(&self, product: NewProduct, actor_id: UserId) -> Result<Product, CreateProductError> {
        let command = CreateProduct {
            id: ProductId::mint(&*self.ids),
            movement_id: MovementId::mint(&*self.ids),
            product,
            actor_id,
            at: self.clock.now(),
        };
        self.products.create(&command).await
    }
}
