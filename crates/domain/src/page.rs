//! Keyset pages: a page never repeats or skips an entry while others are inserted (contract 1, "lists").

/// How many entries a page may hold: 1 to 100, 20 unless asked otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageLimit(u8);

impl PageLimit {
    /// The most entries of one page.
    pub const MAX: u8 = 100;

    /// Accepts 1 to [`Self::MAX`].
    #[must_use]
    pub fn new(limit: u64) -> Option<Self> {
        u8::try_from(limit).ok().filter(|limit| (1..=Self::MAX).contains(limit)).map(Self)
    }

    /// The number of entries.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(20)
    }
}

/// One page of a list, and where the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The entries, in the list's order.
    pub items: Vec<T>,
    /// The position after the last entry; `None` at the end of the list.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Makes a page of up to `limit` entries from a result that was fetched with one entry more, which tells
    /// whether there is a next page.
    pub fn from_overfetched(mut items: Vec<T>, limit: PageLimit, position: impl FnOnce(&T) -> C) -> Self {
        let limit = usize::from(limit.get());
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(position) } else { None };
        Self { items, next }
    }

    /// The same page with its entries converted.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U, C> {
        Page { items: self.items.into_iter().map(f).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_1_to_100_and_20_by_default() {
        assert_eq!(PageLimit::default().get(), 20);
        assert_eq!(PageLimit::new(0), None);
        assert_eq!(PageLimit::new(101), None);
        assert_eq!(PageLimit::new(100).map(PageLimit::get), Some(100));
    }

    #[test]
    fn the_entry_too_many_becomes_the_cursor_and_is_not_shown() {
        let page = Page::from_overfetched(vec![9, 8, 7], PageLimit(2), |n| *n);
        assert_eq!(page, Page { items: vec![9, 8], next: Some(8) });
        let last = Page::from_overfetched(vec![7], PageLimit(2), |n| *n);
        assert_eq!(last, Page { items: vec![7], next: None });
    }
}
