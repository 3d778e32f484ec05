//! Lists: newest first, a page at a time, filtered by time of creation.

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::account::Account;
use crate::account::shelf::{Shelf, Shelved};
use crate::api::expand;
use crate::error::ApiError;
use crate::params::Field;
use crate::version::ApiVersion;

/// Parameters of every list.
pub(crate) const LIST_PARAMS: [&str; 5] = ["limit", "starting_after", "ending_before", "expand.#", "created"];
/// Parameters of lists that filter by time.
pub(crate) const CREATED_PARAMS: [&str; 4] = ["created.gt", "created.gte", "created.lt", "created.lte"];

const DEFAULT_LIMIT: i64 = 10;
const MAX_LIMIT: i64 = 100;

/// Which stretch of a list is asked for.
pub(crate) struct Page<'a> {
    limit: usize,
    starting_after: Option<&'a str>,
    ending_before: Option<&'a str>,
    after: Option<i64>,
    before: Option<i64>,
}

impl<'a> Page<'a> {
    pub(crate) fn parse(root: &Field<'a>) -> Result<Self, ApiError> {
        let limit = root.get("limit").integer()?.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ApiError::invalid(format!("Invalid limit: must be between 1 and {MAX_LIMIT}"))
                .code("parameter_invalid_integer")
                .param("limit"));
        }
        let created = root.get("created");
        let exactly = created.text().ok().flatten().map(|_| created.integer()).transpose()?.flatten();
        let at_least = [created.get("gte").integer()?, created.get("gt").integer()?.map(|at| at + 1), exactly];
        let at_most = [created.get("lte").integer()?, created.get("lt").integer()?.map(|at| at - 1), exactly];
        Ok(Self {
            limit: usize::try_from(limit).unwrap_or(1),
            starting_after: root.get("starting_after").text()?,
            ending_before: root.get("ending_before").text()?,
            after: at_least.into_iter().flatten().max(),
            before: at_most.into_iter().flatten().min(),
        })
    }

    fn holds(&self, created: i64) -> bool {
        self.after.is_none_or(|after| created >= after) && self.before.is_none_or(|before| created <= before)
    }

    /// The page's objects, and whether there are more beyond it.
    pub(crate) fn cut<'s, T: Shelved>(
        &self,
        objects: &'s Shelf<T>,
        kind: &str,
        keep: impl Fn(&T) -> bool,
    ) -> Result<(Vec<&'s T>, bool), ApiError> {
        for (cursor, param) in [(self.starting_after, "starting_after"), (self.ending_before, "ending_before")] {
            if let Some(id) = cursor
                && objects.get(id).is_none()
            {
                return Err(ApiError::missing_resource(kind, id, param));
            }
        }
        let fits = |object: &&T| self.holds(object.created()) && keep(object);
        let mut page: Vec<&T> = if let Some(cursor) = self.ending_before {
            objects
                .oldest_first()
                .skip_while(|object| object.id() != cursor)
                .skip(1)
                .filter(fits)
                .take(self.limit + 1)
                .collect()
        } else if let Some(cursor) = self.starting_after {
            objects
                .newest_first()
                .skip_while(|object| object.id() != cursor)
                .skip(1)
                .filter(fits)
                .take(self.limit + 1)
                .collect()
        } else {
            objects.newest_first().filter(fits).take(self.limit + 1).collect()
        };
        let has_more = page.len() > self.limit;
        page.truncate(self.limit);
        if self.ending_before.is_some() {
            page.reverse();
        }
        Ok((page, has_more))
    }
}

/// A list object.
pub(crate) fn list_json(url: &str, data: Vec<Value>, has_more: bool) -> Value {
    let mut list = json!({ "object": "list", "url": url, "has_more": has_more });
    list["data"] = Value::Array(data);
    list
}

/// A list object with its expansions carried out.
pub(crate) fn answer(account: &Account, call: &Call<'_>, url: &str, data: Vec<Value>, has_more: bool) -> Answer {
    let list = list_json(url, data, has_more);
    expanded(account, call.version, list, &Field::root(call.params))
}

/// An object with the expansions that a request asks for.
pub(crate) fn expanded(account: &Account, version: &ApiVersion, mut object: Value, root: &Field<'_>) -> Answer {
    for path in root.get("expand").texts()? {
        expand::expand(account, version, &mut object, path)?;
    }
    Ok(object)
}
