//! What clients say of products: bodies, filters, sorts and cursors, read into domain types.

use domain::catalog::{
    MovementPosition, NewProduct, ProductChanges, ProductFilter, ProductOrder, SearchText, Stock, StockDelta,
};
use domain::clock::Timestamp;
use domain::id::ProductId;
use domain::page::PageLimit;
use domain::text::{AdjustmentReason, Description, Lines, ProductName, checked};
use serde::Serialize;
use uuid::Uuid;

use crate::cursor::moment;
use crate::fields::{Fields, Request, amount, boolean, cursor, integer, limit, one_of, price, text};

impl Request for NewProduct {
    fn read(fields: &mut Fields) -> Option<Self> {
        let currency = fields.currency();
        let name = fields.required("name", text(ProductName::new));
        let description = fields.optional("description", text(Description::new));
        let price = fields.required("price", price(currency));
        let stock = fields.required("stock", integer(Stock::new));
        Some(Self { name: name?, description, price: price?, stock: stock? })
    }
}

impl Request for ProductChanges {
    fn read(fields: &mut Fields) -> Option<Self> {
        let currency = fields.currency();
        Some(Self {
            name: fields.optional("name", text(ProductName::new)),
            description: fields.optional("description", text(Description::new)),
            price: fields.optional("price", price(currency)),
            stock: fields.optional("stock", integer(Stock::new)),
        })
    }
}

/// The body of `POST /products/{id}/stock-adjustments`.
#[derive(Debug)]
pub(super) struct Adjustment {
    pub(super) delta: StockDelta,
    pub(super) reason: AdjustmentReason,
}

impl Request for Adjustment {
    fn read(fields: &mut Fields) -> Option<Self> {
        let delta = fields.required("delta", integer(StockDelta::new));
        let reason = fields.required("reason", text(AdjustmentReason::new));
        Some(Self { delta: delta?, reason: reason? })
    }
}

/// The query of `GET /products/{id}/stock-movements`.
#[derive(Debug)]
pub(super) struct MovementQuery {
    pub(super) after: Option<MovementPosition>,
    pub(super) limit: PageLimit,
}

impl Request for MovementQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let after = cursor(fields, |seq: i64| Some(MovementPosition(seq)));
        Some(Self { after, limit: limit(fields) })
    }
}

/// The query of `GET /products`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ProductQuery {
    pub(super) filter: ProductFilter,
    pub(super) order: ProductOrder,
    pub(super) limit: PageLimit,
}

impl Request for ProductQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let currency = fields.currency();
        let most = fields.optional("maxPrice", price(currency));
        let filter = ProductFilter {
            search: fields.optional("q", text(SearchText::new)),
            min_price_minor: fields.optional("minPrice", amount()),
            max_price_minor: most.map(|price| price.money().amount_minor()),
            in_stock: fields.optional("inStock", boolean()).unwrap_or(false),
        };
        let sort = fields.optional("sort", one_of(&SORTS)).unwrap_or(Sort::Newest);
        Some(Self { filter, order: sort.read_order(fields), limit: limit(fields) })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Newest,
    Oldest,
    Cheapest,
    Dearest,
    ByName,
}

const SORTS: [(&str, Sort); 5] = [
    ("-createdAt", Sort::Newest),
    ("createdAt", Sort::Oldest),
    ("price", Sort::Cheapest),
    ("-price", Sort::Dearest),
    ("name", Sort::ByName),
];

impl Sort {
    fn word(self) -> &'static str {
        SORTS.iter().find(|(_, sort)| *sort == self).map_or("", |(word, _)| word)
    }

    /// The order, from behind the cursor if there is one. A cursor of another sort is none of this list.
    fn read_order(self, fields: &mut Fields) -> ProductOrder {
        match self {
            Self::Newest => ProductOrder::Newest(self.position(fields, moment)),
            Self::Oldest => ProductOrder::Oldest(self.position(fields, moment)),
            Self::Cheapest => ProductOrder::Cheapest(self.position(fields, Some)),
            Self::Dearest => ProductOrder::Dearest(self.position(fields, Some)),
            Self::ByName => ProductOrder::ByName(self.position(fields, |key: String| plain_name(&key))),
        }
    }

    fn position<W: serde::de::DeserializeOwned, K>(
        self,
        fields: &mut Fields,
        key: impl FnOnce(W) -> Option<K>,
    ) -> Option<(K, ProductId)> {
        cursor(fields, |(word, written, id): (String, W, u128)| {
            let key = key(written).filter(|_| word == self.word())?;
            Some((key, Uuid::from_u128(id).into()))
        })
    }
}

/// Only what a folded name can be: a cursor that somebody made up must not reach the database with control
/// characters.
fn plain_name(key: &str) -> Option<String> {
    checked(key, 1, 1000, Lines::Single).ok().filter(|plain| plain == key)
}

/// A position as its cursor carries it: the sort, what it sorts by, and the id; nothing at the front of a list.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum OrderCursor {
    Number(&'static str, i64, u128),
    Name(&'static str, String, u128),
    Front,
}

impl From<ProductOrder> for OrderCursor {
    fn from(order: ProductOrder) -> Self {
        let by_time = |sort: Sort, (at, id): (Timestamp, ProductId)| {
            Self::Number(sort.word(), at.timestamp_micros(), id.uuid().as_u128())
        };
        let by_price =
            |sort: Sort, (minor, id): (i64, ProductId)| Self::Number(sort.word(), minor, id.uuid().as_u128());
        let written = match order {
            ProductOrder::Newest(after) => after.map(|after| by_time(Sort::Newest, after)),
            ProductOrder::Oldest(after) => after.map(|after| by_time(Sort::Oldest, after)),
            ProductOrder::Cheapest(after) => after.map(|after| by_price(Sort::Cheapest, after)),
            ProductOrder::Dearest(after) => after.map(|after| by_price(Sort::Dearest, after)),
            ProductOrder::ByName(after) => {
                after.map(|(name, id)| Self::Name(Sort::ByName.word(), name, id.uuid().as_u128()))
            }
        };
        written.unwrap_or(Self::Front)
    }
}
