//! The public list: every filter and order is served by an index, and a page begins behind a position in it.

use diesel::dsl::{AsSelect, SqlTypeOf, array, sql};
use diesel::expression::SqlLiteral;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::catalog::{ProductFilter, ProductOrder};
use domain::page::PageLimit;

use super::rows::ProductRow;
use crate::cached::planned_for_its_values;
use crate::pattern::containing;
use crate::schema::products;

type Listed<'a, T> = products::BoxedQuery<'a, Pg, T>;

/// So many products are looked at in the order of the list before a search goes through the trigrams.
const GLANCE: i64 = 500;

/// One row more than the page holds, which tells whether there is a next page.
pub(super) async fn page(
    connection: &mut AsyncPgConnection,
    filter: &ProductFilter,
    order: &ProductOrder,
    limit: PageLimit,
) -> QueryResult<Vec<ProductRow>> {
    let wanted = i64::from(limit.get()) + 1;
    if filter.search.as_ref().is_some_and(|search| has_trigram(search.as_str())) {
        return search(connection, filter, order, wanted).await;
    }
    let query = in_order(filtered(live(), filter), order).limit(wanted);
    if *filter == ProductFilter::default() {
        query.load(connection).await
    } else {
        // How many products a filter lets through decides between its index and that of the order.
        planned_for_its_values(query).load(connection).await
    }
}

/// A common word is found among the first products of the list; whatever is not so common, through the trigrams. The
/// planner can't tell the two apart: its statistics know no word of fewer products than one in a hundred.
async fn search(
    connection: &mut AsyncPgConnection,
    filter: &ProductFilter,
    order: &ProductOrder,
    wanted: i64,
) -> QueryResult<Vec<ProductRow>> {
    let others = ProductFilter { search: None, ..filter.clone() };
    let first = products::table.select(products::id).filter(products::archived_at.is_null()).into_boxed();
    let first = in_order(filtered(first, &others), order).limit(GLANCE);
    let glance = in_order(filtered(live(), filter), order).filter(products::id.eq_any(array(first))).limit(wanted);
    let found: Vec<ProductRow> = planned_for_its_values(glance).load(connection).await?;
    if i64::try_from(found.len()) == Ok(wanted) {
        return Ok(found);
    }
    let all = behind(filtered(live(), filter), order).order(sorted(order)).limit(wanted);
    planned_for_its_values(all).load(connection).await
}

/// Trigrams are made of letters and digits; three of them in a row have one.
fn has_trigram(search: &str) -> bool {
    search.split(|c: char| !c.is_alphanumeric()).any(|word| word.chars().count() >= 3)
}

fn live<'a>() -> Listed<'a, SqlTypeOf<AsSelect<ProductRow, Pg>>> {
    products::table.select(ProductRow::as_select()).filter(products::archived_at.is_null()).into_boxed()
}

fn filtered<'a, T>(mut query: Listed<'a, T>, filter: &ProductFilter) -> Listed<'a, T> {
    if let Some(search) = &filter.search {
        query = query.filter(products::search_text.like(containing(search.as_str())));
    }
    if let Some(least) = filter.min_price_minor {
        query = query.filter(products::price_minor.ge(least));
    }
    if let Some(most) = filter.max_price_minor {
        query = query.filter(products::price_minor.le(most));
    }
    if filter.in_stock {
        query = query.filter(products::stock.gt(0));
    }
    query
}

/// In the order of a list, behind a position in it, by an index.
fn in_order<'a, T>(query: Listed<'a, T>, order: &'a ProductOrder) -> Listed<'a, T> {
    use crate::schema::products::dsl::{created_at, id, name_key, price_minor};

    let query = behind(query, order);
    match order {
        ProductOrder::Newest(_) => query.order((created_at.desc(), id.desc())),
        ProductOrder::Oldest(_) => query.order((created_at.asc(), id.asc())),
        ProductOrder::Cheapest(_) => query.order((price_minor.asc(), id.asc())),
        ProductOrder::Dearest(_) => query.order((price_minor.desc(), id.desc())),
        ProductOrder::ByName(_) => query.order((name_key.asc(), id.asc())),
    }
}

/// The same order, spelt so that no index has it: what is found is sorted, and not looked for in the order of the list.
fn sorted(order: &ProductOrder) -> SqlLiteral<Text> {
    sql(match order {
        ProductOrder::Newest(_) => "created_at + interval '0' DESC, id DESC",
        ProductOrder::Oldest(_) => "created_at + interval '0', id",
        ProductOrder::Cheapest(_) => "price_minor + 0, id",
        ProductOrder::Dearest(_) => "price_minor + 0 DESC, id DESC",
        ProductOrder::ByName(_) => "name_key || '', id",
    })
}

/// The condition on the first column is what an index is entered with; the second one decides between equals.
fn behind<'a, T>(query: Listed<'a, T>, order: &'a ProductOrder) -> Listed<'a, T> {
    use crate::schema::products::dsl::{created_at, id, name_key, price_minor};

    match order {
        ProductOrder::Newest(Some((at, last))) => {
            query.filter(created_at.le(at)).filter(created_at.lt(at).or(id.lt(last.uuid())))
        }
        ProductOrder::Oldest(Some((at, last))) => {
            query.filter(created_at.ge(at)).filter(created_at.gt(at).or(id.gt(last.uuid())))
        }
        ProductOrder::Cheapest(Some((price, last))) => {
            query.filter(price_minor.ge(price)).filter(price_minor.gt(price).or(id.gt(last.uuid())))
        }
        ProductOrder::Dearest(Some((price, last))) => {
            query.filter(price_minor.le(price)).filter(price_minor.lt(price).or(id.lt(last.uuid())))
        }
        ProductOrder::ByName(Some((name, last))) => {
            query.filter(name_key.ge(name)).filter(name_key.gt(name).or(id.gt(last.uuid())))
        }
        ProductOrder::Newest(None)
        | ProductOrder::Oldest(None)
        | ProductOrder::Cheapest(None)
        | ProductOrder::Dearest(None)
        | ProductOrder::ByName(None) => query,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_letters_in_a_row_have_a_trigram() {
        for (search, has) in [("mug", true), ("a mug", true), ("münze", true), ("mu", false), ("a-b c", false)] {
            assert_eq!(has_trigram(search), has, "{search}");
        }
    }
}
