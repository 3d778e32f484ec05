//! Keeps the prepared statements of writes and of raw SQL, which diesel-async parses anew at each use.
//!
//! Only `SELECT`s of the query builder are cached by default. Wrapped in [`cached`], any statement is: planned
//! once per connection, then sent by name. The cache never shrinks, so wrap only statements whose SQL has few
//! shapes: a list goes in as one array bind (`= ANY($1)`, `unnest($1, $2)`), never as a varying number of binds.
//!
//! Statements that do not need each other's results share a round trip (pipelining) through shared references. The
//! server runs them one after the other in the order in which they are sent, each with a snapshot of its own, so what
//! takes a lock comes first:
//!
//! ```ignore
//! let (mut a, mut b) = (connection, connection);
//! let (product, lines) = try_join!(biased; lock_product.get_result(&mut a), count_lines.get_result(&mut b))?;
//! ```
//!
//! `biased` polls them in the order in which they stand, and the driver sends nothing past a statement that it still
//! prepares, so they are sent in that order, too (held by a test). Plain SQL (`batch_execute`) is not prepared, and
//! would overtake: it comes first or is waited for.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};

/// A statement that says whether its prepared form is kept per connection; see the [module](self).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prepared<Q> {
    query: Q,
    kept: bool,
}

/// Lets a connection keep the prepared form of `query`.
pub(crate) const fn cached<Q>(query: Q) -> Prepared<Q> {
    Prepared { query, kept: true }
}

/// Has `query` planned anew at each use, for what its binds are: a kept plan suits all values alike, which is
/// wrong where one value finds three rows and another thousands.
pub(crate) const fn planned_for_its_values<Q>(query: Q) -> Prepared<Q> {
    Prepared { query, kept: false }
}

/// One value of each row: a column, as `unnest` takes it.
pub(crate) fn column<'r, R, T>(rows: &'r [R], value: impl FnMut(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Prepared<Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.query.walk_ast(pass)
    }

    /// Keeping is safe, because the cache's key is the SQL text (there is no static id) with the types of the binds.
    fn is_safe_to_cache_prepared(&self, _backend: &Pg) -> QueryResult<bool> {
        Ok(self.kept)
    }
}

impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}
