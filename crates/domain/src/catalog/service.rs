//! The use cases of the catalogue, on their ports. One file per use case adds its method.

use std::sync::Arc;

use crate::catalog::ProductRepository;
use crate::clock::{Clock, Ids};

/// The use cases of the catalogue.
#[derive(Clone)]
pub struct CatalogService {
    /// Where products are kept.
    pub products: Arc<dyn ProductRepository>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}
