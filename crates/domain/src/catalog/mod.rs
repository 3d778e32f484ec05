//! The catalogue: products, their stock and its ledger, and what admins and visitors do with them (contract 2,
//! `/products`).

mod adjust_stock;
mod archive;
mod create;
mod edit;
mod find;
mod list;
mod list_movements;
mod movement;
mod product;
mod repository;
mod service;
mod tag;
mod watcher;

pub use adjust_stock::{AdjustStock, AdjustStockError, InvalidStockDelta, StockDelta};
pub use archive::{ArchiveProduct, ArchiveProductError};
pub use create::{CreateProduct, CreateProductError, NewProduct};
pub use edit::{EditProduct, EditProductError, ProductChanges, ProductEdited};
pub use list::{InvalidSearch, ProductFilter, ProductOrder, SearchText};
pub use movement::{MovementPosition, MovementReason, StockMovement};
pub use product::{EditVersion, InsufficientStock, InvalidStock, Product, Stock, folded};
#[cfg(any(test, feature = "mocks"))]
pub use repository::MockProductRepository;
pub use repository::{ProductRepository, StockCheck};
pub use service::CatalogService;
pub use tag::{IfMatch, ProductTag, Tags};
#[cfg(any(test, feature = "mocks"))]
pub use watcher::MockCatalogWatcher;
pub use watcher::{CatalogWatcher, Unwatched};

#[cfg(test)]
mod tests;
