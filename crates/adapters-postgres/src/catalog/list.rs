//! The public list: every filter and order is served by an index, and a page begins behind a position in it.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::catalog::{ProductFilter, ProductOrder};
use domain::page::PageLimit;

use super::rows::ProductRow;
use crate::cached::planned_for_its_values;
use crate::schema::products;

type Listed<'a> = products::BoxedQuery<'a, Pg, diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<ProductRow, Pg>>>;

/// One row more than the page holds, which tells whether there is a next page.
pub(super) async fn page(
    connection: &mut AsyncPgConnection,
    filter: &ProductFilter,
    order: &ProductOrder,
    limit: PageLimit,
) -> QueryResult<Vec<ProductRow>> {
    let live = products::table.select(ProductRow::as_select()).filter(products::archived_at.is_null()).into_boxed();
    let query = in_order(filtered(live, filter), order).limit(i64::from(limit.get()) + 1);
    if *filter == ProductFilter::default() {
        query.load(connection).await
    } else {
        // How many products a filter lets through decides between its index and that of the order.
        planned_for_its_values(query).load(connection).await
    }
}

fn filtered<'a>(mut query: Listed<'a>, filter: &ProductFilter) -> Listed<'a> {
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

/// The condition on the first column is what an index is entered with; the second one decides between equals.
fn in_order<'a>(query: Listed<'a>, order: &'a ProductOrder) -> Listed<'a> {
    use crate::schema::products::dsl::{created_at, id, name_key, price_minor};

    match order {
        ProductOrder::Newest(after) => match after {
            Some((at, last)) => query.filter(created_at.le(at)).filter(created_at.lt(at).or(id.lt(last.uuid()))),
            None => query,
        }
        .order((created_at.desc(), id.desc())),
        ProductOrder::Oldest(after) => match after {
            Some((at, last)) => query.filter(created_at.ge(at)).filter(created_at.gt(at).or(id.gt(last.uuid()))),
            None => query,
        }
        .order((created_at.asc(), id.asc())),
        ProductOrder::Cheapest(after) => match after {
            Some((price, last)) => {
                query.filter(price_minor.ge(price)).filter(price_minor.gt(price).or(id.gt(last.uuid())))
            }
            None => query,
        }
        .order((price_minor.asc(), id.asc())),
        ProductOrder::Dearest(after) => match after {
            Some((price, last)) => {
                query.filter(price_minor.le(price)).filter(price_minor.lt(price).or(id.lt(last.uuid())))
            }
            None => query,
        }
        .order((price_minor.desc(), id.desc())),
        ProductOrder::ByName(after) => match after {
            Some((name, last)) => query.filter(name_key.ge(name)).filter(name_key.gt(name).or(id.gt(last.uuid()))),
            None => query,
        }
        .order((name_key.asc(), id.asc())),
    }
}

/// The `LIKE` pattern of texts that contain `text`, taken literally.
fn containing(text: &str) -> String {
    let literal = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{literal}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_search_are_letters_like_any_other() {
        assert_eq!(containing(r"50% of_a\b"), r"%50\% of\_a\\b%");
    }
}
