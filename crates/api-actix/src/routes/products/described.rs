//! The operations of the catalogue, in the words of the API's description.

use actix_web::http::StatusCode;

use super::bodies::{MovementBody, ProductBody};
use crate::openapi::{Operation, Tag};
use crate::problem::Code;

pub(super) fn list() -> Operation {
    Operation::new(Tag::Catalogue, "listProducts", "Browse products")
        .explained(
            "`q` is looked for in names and descriptions, in any case. A cursor belongs to the `sort` it came with.",
        )
        .answers_list::<ProductBody>("Products on sale.")
}

pub(super) fn create() -> Operation {
    Operation::new(Tag::Catalogue, "createProduct", "Put a product on sale")
        .answers::<ProductBody>(StatusCode::CREATED, "The product.")
        .tells("Location")
        .tells("ETag")
        .refuses(&[Code::ProductNameTaken])
}

pub(super) fn find() -> Operation {
    Operation::new(Tag::Catalogue, "getProduct", "Read a product")
        .explained("Archived products are shown to admins only.")
        .heeds("If-None-Match")
        .answers::<ProductBody>(StatusCode::OK, "The product.")
        .tells("ETag")
        .answers_nothing(StatusCode::NOT_MODIFIED, "It is still what `If-None-Match` names.")
        .tells("ETag")
        .refuses(&[Code::NotFound])
}

pub(super) fn edit() -> Operation {
    Operation::new(Tag::Catalogue, "editProduct", "Change a product")
        .explained(
            "Setting `stock` sets what is on hand for sale, and is written to the ledger. `If-Match` compares edits, \
             which sales are not; with `stock` it compares the whole product.",
        )
        .heeds("If-Match")
        .answers::<ProductBody>(StatusCode::OK, "The product as it is now.")
        .tells("ETag")
        .refuses(&[Code::NotFound, Code::ProductNameTaken, Code::PreconditionFailed])
}

pub(super) fn archive() -> Operation {
    Operation::new(Tag::Catalogue, "archiveProduct", "Take a product off sale")
        .explained("Orders keep it, carts drop it at their next read, and its name becomes free.")
        .answers_nothing(StatusCode::NO_CONTENT, "It is archived.")
        .refuses(&[Code::NotFound])
}

pub(super) fn adjust_stock() -> Operation {
    Operation::new(Tag::Catalogue, "adjustStock", "Correct a product's stock")
        .answers::<MovementBody>(StatusCode::CREATED, "The ledger's new entry.")
        .refuses(&[Code::NotFound, Code::InsufficientStock])
}

pub(super) fn movements() -> Operation {
    Operation::new(Tag::Catalogue, "listStockMovements", "Read a product's stock ledger")
        .explained("The sum of all `delta` is always the stock.")
        .answers_list::<MovementBody>("Movements, newest first.")
        .refuses(&[Code::NotFound])
}
