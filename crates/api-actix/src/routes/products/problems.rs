//! Which problem each refusal of the catalogue is (contract 1, "code").

use domain::catalog::{AdjustStockError, ArchiveProductError, CreateProductError, EditProductError, InsufficientStock};

use crate::problem::{Code, Problem};

pub(super) fn no_such_product() -> Problem {
    Problem::new(Code::NotFound).detail("There is no such product.")
}

fn name_taken() -> Problem {
    Problem::new(Code::ProductNameTaken)
        .detail("Another product has this name, perhaps in another case. Choose another name, or archive that product.")
}

impl From<InsufficientStock> for Problem {
    fn from(shortage: InsufficientStock) -> Self {
        let InsufficientStock { product_id, available, requested } = shortage;
        Self::new(Code::InsufficientStock)
            .detail(format!("{requested} units were asked for, and {available} are on hand."))
            .with("productId", product_id.to_string())
            .with("available", available)
            .with("requested", requested)
    }
}

impl From<CreateProductError> for Problem {
    fn from(error: CreateProductError) -> Self {
        match error {
            CreateProductError::NameTaken => name_taken(),
            CreateProductError::Store(error) => error.into(),
        }
    }
}

impl From<EditProductError> for Problem {
    fn from(error: EditProductError) -> Self {
        match error {
            EditProductError::NotFound => no_such_product(),
            EditProductError::PreconditionFailed => Self::new(Code::PreconditionFailed)
                .detail("The product is no longer as `If-Match` expects it. Read it again, then repeat the change."),
            EditProductError::NameTaken => name_taken(),
            EditProductError::Store(error) => error.into(),
        }
    }
}

impl From<ArchiveProductError> for Problem {
    fn from(error: ArchiveProductError) -> Self {
        match error {
            ArchiveProductError::NotFound => no_such_product(),
            ArchiveProductError::Store(error) => error.into(),
        }
    }
}

impl From<AdjustStockError> for Problem {
    fn from(error: AdjustStockError) -> Self {
        match error {
            AdjustStockError::NotFound => no_such_product(),
            AdjustStockError::Insufficient(shortage) => shortage.into(),
            AdjustStockError::TooMuch => Self::invalid_field("delta", error),
            AdjustStockError::Store(error) => error.into(),
        }
    }
}
