//! What has become untrue, numbered, so that an answer can be told from what was asked before it.

use std::collections::VecDeque;

use domain::id::ProductId;

/// How many news are remembered. Whoever looks further back is told that there was something.
const MAX_REMEMBERED: usize = 1024;

/// What news are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    About(ProductId),
    AboutAll,
}

/// The news so far.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    /// The number of the last news; 0 before the first.
    last: u64,
    recent: VecDeque<News>,
}

impl Chronicle {
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn add(&mut self, news: News) {
        if self.recent.len() == MAX_REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(news);
        self.last += 1;
    }

    /// Whether the news after number `after`, up to number `until`, leave alone what shows these products (sorted by
    /// id); `None` for what is not known to show any.
    pub(super) fn spared(&self, after: u64, until: u64, shown: Option<&[ProductId]>) -> bool {
        let (Some(passed), Some(shown)) = (until.checked_sub(after).filter(|passed| *passed > 0), shown) else {
            return until <= after;
        };
        let forgotten = self.last - self.recent.len() as u64;
        let Some(first) = after.checked_sub(forgotten) else { return false };
        let position = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        self.recent.iter().skip(position(first)).take(position(passed)).all(|news| match news {
            News::About(product) => shown.binary_search(product).is_err(),
            News::AboutAll => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn product(number: u128) -> ProductId {
        Uuid::from_u128(number).into()
    }

    #[test]
    fn only_news_of_the_time_in_between_about_what_is_shown_count() {
        let mut news = Chronicle::default();
        for number in 1..=3 {
            news.add(News::About(product(number)));
        }
        let shown = [product(2), product(9)];
        let spared = |after, until| news.spared(after, until, Some(&shown));
        assert!(spared(0, 1) && !spared(0, 2) && !spared(1, 2) && spared(2, 3) && spared(3, 3) && !spared(0, 3));
        assert!(spared(2, 1), "whoever asked later knows more");
        assert!(news.spared(3, 3, None) && !news.spared(2, 3, None));
        news.add(News::AboutAll);
        assert!(!news.spared(3, 4, Some(&shown)) && !news.spared(3, 4, Some(&[])));
    }

    #[test]
    fn what_is_forgotten_may_have_been_about_anything() {
        let mut news = Chronicle::default();
        for _ in 0..=MAX_REMEMBERED {
            news.add(News::About(product(1)));
        }
        assert_eq!(news.recent.len(), MAX_REMEMBERED);
        let shown = [product(2)];
        assert!(!news.spared(0, news.last(), Some(&shown)));
        assert!(news.spared(1, news.last(), Some(&shown)));
    }
}
