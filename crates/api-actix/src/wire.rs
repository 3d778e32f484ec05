//! How domain values look in JSON answers (contract 1: money, time, lists).

use chrono::SecondsFormat;
use domain::clock::Timestamp;
use domain::page::Page;
use serde::{Serialize, Serializer};

use crate::cursor;

/// A moment: RFC 3339 in UTC with microseconds, ending in `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// Anything that is shown as its text: an id, or money as a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<T>(pub T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// One page of a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListBody<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> ListBody<T> {
    /// Shows a page, its entries by `show`, its next position as the tuple that `position` makes of it.
    pub fn new<D, C, W: Serialize>(page: Page<D, C>, show: impl FnMut(D) -> T, position: impl FnOnce(C) -> W) -> Self {
        let next_cursor = page.next.map(|next| cursor::encode(&position(next)));
        Self { items: page.items.into_iter().map(show).collect(), next_cursor }
    }
}
