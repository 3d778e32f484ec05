//! The stock ledger: entries are added under the product's lock and never changed.

use diesel::prelude::*;
use diesel::sql_types;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::catalog::{MovementPosition, StockMovement};
use domain::id::ProductId;
use domain::page::{Page, PageLimit};
use uuid::Uuid;

use super::rows::{MovementRow, MovementValues};
use crate::cached::cached;
use crate::schema::{products, stock_movements};

/// Adds an entry. The caller holds the product's lock, which makes the drawn `seq` follow the entries' order.
pub(super) async fn record(connection: &mut AsyncPgConnection, movement: &StockMovement) -> QueryResult<()> {
    cached(diesel::insert_into(stock_movements::table).values(MovementValues::from(movement)))
        .execute(connection)
        .await?;
    Ok(())
}

/// A page of a product's entries, newest first; `None` if there is no such product.
pub(super) async fn page(
    connection: &mut AsyncPgConnection,
    product_id: ProductId,
    after: Option<MovementPosition>,
    limit: PageLimit,
) -> QueryResult<Option<Page<StockMovement, MovementPosition>>> {
    let before = after.map_or(i64::MAX, |MovementPosition(seq)| seq);
    let rows: Vec<MovementRow> = stock_movements::table
        .filter(stock_movements::product_id.eq(product_id.uuid()))
        .filter(stock_movements::seq.lt(before))
        .order(stock_movements::seq.desc())
        .limit(i64::from(limit.get()) + 1)
        .select(MovementRow::as_select())
        .load(connection)
        .await?;
    if rows.is_empty() && !exists(connection, product_id).await? {
        return Ok(None);
    }
    let Page { items, next } = Page::from_overfetched(rows, limit, |last| MovementPosition(last.seq));
    let items = items.into_iter().map(MovementRow::into_movement).collect::<QueryResult<_>>()?;
    Ok(Some(Page { items, next }))
}

async fn exists(connection: &mut AsyncPgConnection, product_id: ProductId) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(products::table.find(product_id.uuid()))).get_result(connection).await
}

#[derive(QueryableByName)]
struct DriftedRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
}

/// The products whose stock is not both the sum of their deltas and what the last entry says. One statement sees
/// one snapshot, so sales may go on meanwhile; it may take its time, so it has no limit.
pub(super) async fn drifted(connection: &mut AsyncPgConnection) -> QueryResult<Vec<ProductId>> {
    diesel::sql_query("SET LOCAL statement_timeout = 0").execute(connection).await?;
    let rows: Vec<DriftedRow> = diesel::sql_query(
        "SELECT product.id
         FROM products AS product
         LEFT JOIN (
             SELECT product_id, sum(delta) AS moved, (array_agg(stock_after ORDER BY seq DESC))[1] AS stock_after
             FROM stock_movements GROUP BY product_id
         ) AS ledger ON ledger.product_id = product.id
         WHERE product.stock <> coalesce(ledger.moved, 0)
            OR product.stock <> coalesce(ledger.stock_after, 0)
         ORDER BY product.id",
    )
    .load(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.id.into()).collect())
}
