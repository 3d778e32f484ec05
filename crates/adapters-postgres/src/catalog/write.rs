//! The transactions that change products and their stock.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::catalog::{
    AdjustStock, AdjustStockError, ArchiveProduct, ArchiveProductError, CreateProduct, CreateProductError, EditProduct,
    EditProductError, Product, ProductEdited, StockMovement,
};
use domain::id::ProductId;
use domain::money::Currency;

use super::ledger;
use super::listen::announce;
use super::rows::{ProductRow, ProductValues};
use crate::cached::cached;
use crate::error::refuse_on;
use crate::schema::products;
use crate::transaction::Rollback;

/// The unique index on the folded names of live products.
const NAME_KEY: &str = "products_name_live_key";

/// Locks a product and reads it as it is then, archived or not. `FOR NO KEY UPDATE` excludes other writers but lets
/// foreign-key checks pass, with which `FOR UPDATE` deadlocks.
async fn lock(connection: &mut AsyncPgConnection, id: ProductId) -> QueryResult<Option<ProductRow>> {
    products::table
        .find(id.uuid())
        .select(ProductRow::as_select())
        .for_no_key_update()
        .get_result(connection)
        .await
        .optional()
}

pub(super) async fn create(
    connection: &mut AsyncPgConnection,
    command: &CreateProduct,
) -> Result<Product, Rollback<CreateProductError>> {
    let (product, movement) = command.decide();
    cached(diesel::insert_into(products::table).values(ProductValues::from(&product)))
        .execute(connection)
        .await
        .map_err(refuse_on(NAME_KEY, || CreateProductError::NameTaken))?;
    if let Some(movement) = movement {
        ledger::record(connection, &movement).await?;
    }
    announce(connection, product.id).await?;
    Ok(product)
}

pub(super) async fn edit(
    connection: &mut AsyncPgConnection,
    command: &EditProduct,
    currency: Currency,
) -> Result<Product, Rollback<EditProductError>> {
    let row = lock(connection, command.id).await?.ok_or(Rollback::Refused(EditProductError::NotFound))?;
    match command.decide(row.into_product(currency)?).map_err(Rollback::Refused)? {
        ProductEdited::Unchanged(product) => Ok(product),
        ProductEdited::Changed(product, movement) => {
            cached(diesel::update(products::table.find(command.id.uuid())).set(ProductValues::from(&product)))
                .execute(connection)
                .await
                .map_err(refuse_on(NAME_KEY, || EditProductError::NameTaken))?;
            if let Some(movement) = movement {
                ledger::record(connection, &movement).await?;
            }
            announce(connection, product.id).await?;
            Ok(product)
        }
    }
}

pub(super) async fn archive(
    connection: &mut AsyncPgConnection,
    command: &ArchiveProduct,
) -> Result<(), Rollback<ArchiveProductError>> {
    let live = products::table.find(command.id.uuid()).filter(products::archived_at.is_null());
    let archived = (products::archived_at.eq(command.at), products::updated_at.eq(command.at));
    match cached(diesel::update(live).set(archived)).execute(connection).await? {
        0 => Err(Rollback::Refused(ArchiveProductError::NotFound)),
        _ => Ok(announce(connection, command.id).await?),
    }
}

pub(super) async fn adjust_stock(
    connection: &mut AsyncPgConnection,
    command: &AdjustStock,
    currency: Currency,
) -> Result<StockMovement, Rollback<AdjustStockError>> {
    let row = lock(connection, command.product_id).await?.ok_or(Rollback::Refused(AdjustStockError::NotFound))?;
    let movement = command.decide(&row.into_product(currency)?).map_err(Rollback::Refused)?;
    let after = (products::stock.eq(movement.stock_after.get().cast_signed()), products::updated_at.eq(command.at));
    cached(diesel::update(products::table.find(command.product_id.uuid())).set(after)).execute(connection).await?;
    ledger::record(connection, &movement).await?;
    announce(connection, command.product_id).await?;
    Ok(movement)
}
