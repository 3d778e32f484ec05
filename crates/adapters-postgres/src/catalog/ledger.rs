//! The stock ledger: entries are added under the product's lock and never changed.

use diesel::prelude::*;
use diesel::sql_types;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::catalog::{MovementPosition, StockCheck, StockMovement};
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
struct CheckedRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = sql_types::Bool)]
    has_drifted: bool,
}

/// Looks at some products. One statement sees one snapshot, so sales may go on meanwhile; a long ledger takes its time,
/// so it has no limit.
pub(super) async fn check(
    connection: &mut AsyncPgConnection,
    after: Option<ProductId>,
    limit: u32,
) -> QueryResult<StockCheck> {
    diesel::sql_query("SET LOCAL statement_timeout = 0").execute(connection).await?;
    let rows: Vec<CheckedRow> = diesel::sql_query(
        "SELECT product.id,
                product.stock <> coalesce(ledger.moved, 0) OR product.stock <> coalesce(ledger.stock_after, 0)
                    AS has_drifted
         FROM (
             SELECT id, stock FROM products WHERE $1 IS NULL OR id > $1 ORDER BY id LIMIT $2
         ) AS product
         LEFT JOIN LATERAL (
             SELECT sum(delta) AS moved, (array_agg(stock_after ORDER BY seq DESC))[1] AS stock_after
             FROM stock_movements WHERE product_id = product.id
         ) AS ledger ON true
         ORDER BY product.id",
    )
    .bind::<sql_types::Nullable<sql_types::Uuid>, _>(after.map(ProductId::uuid))
    .bind::<sql_types::BigInt, _>(i64::from(limit))
    .load(connection)
    .await?;
    Ok(StockCheck {
        checked: rows.len() as u64,
        last: rows.last().map(|row| row.id.into()),
        drifted: rows.iter().filter(|row| row.has_drifted).map(|row| row.id.into()).collect(),
    })
}

pub(super) async fn count_products(connection: &mut AsyncPgConnection) -> QueryResult<u64> {
    let count: i64 = products::table.count().get_result(connection).await?;
    Ok(count.unsigned_abs())
}
