//! Answers of one kind: kept, or asked for by one request per key while the others wait, and never kept when news
//! overtook them.
//!
//! All is decided under one lock, which nobody holds while waiting. A question notes the number of the last news before
//! it begins; its answer is kept only if no news since then are about it. By the same number those who came while it was
//! under way know whether it is good for them, too.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use domain::id::ProductId;
use domain::store::StoreError;
use tokio::sync::OnceCell;

use super::kept::{Bounds, Kept};
use super::news::{Chronicle, News};
use super::{MAX_AGE, Written};

/// How often one waits for somebody else's answer that turns out to be overtaken, before one asks alone.
const MAX_ROUNDS: usize = 3;

/// How a read was answered, or what became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    /// From memory.
    Hit,
    /// By somebody else's question.
    Shared,
    /// By a question of its own.
    Miss,
    /// An answer was overtaken by news, and not kept.
    Discarded,
}

/// The answers of one kind, and the questions under way.
pub(super) struct Shelf<K: Clone + Eq + Hash>(RwLock<Inner<K>>);

pub(super) struct Inner<K> {
    pub(super) kept: Kept<K>,
    questions: HashMap<K, Arc<Question>>,
    news: Chronicle,
}

/// What was asked, and by and by its answer.
struct Question {
    posed_at: Instant,
    answer: OnceCell<Answer>,
    /// How many wait for it; changed under the shelf's lock only.
    waiting: AtomicUsize,
}

/// An answer, for all who waited for it.
#[derive(Clone)]
struct Answer {
    /// The last news before it was asked for.
    news: u64,
    found: Result<Option<Arc<Written>>, Arc<StoreError>>,
}

impl Answer {
    fn shown(&self) -> Option<&[ProductId]> {
        self.found.as_ref().ok()?.as_ref().map(|written| &*written.shows)
    }
}

/// Where a request finds its answer.
enum Place<'a, K: Clone + Eq + Hash> {
    Kept(Arc<Written>),
    Awaited(Waiting<'a, K>),
}

/// A request that waits for an answer; the last that goes away takes an unanswered question with it.
struct Waiting<'a, K: Clone + Eq + Hash> {
    shelf: &'a Shelf<K>,
    key: &'a K,
    question: Arc<Question>,
    /// The last news before it came.
    since: u64,
}

impl<K: Clone + Eq + Hash> Shelf<K> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let (questions, news) = (HashMap::new(), Chronicle::default());
        Self(RwLock::new(Inner { kept: Kept::new(bounds), questions, news }))
    }

    /// What is kept under the key, else what `ask` finds. `None` is an answer, too, but not kept.
    pub(super) async fn get<F>(
        &self,
        key: &K,
        ask: impl Fn() -> F,
        count: impl Fn(Outcome),
    ) -> Result<Option<Arc<Written>>, StoreError>
    where
        F: Future<Output = Result<Option<Written>, StoreError>>,
    {
        if let Some(written) = self.read().kept.get(key) {
            count(Outcome::Hit);
            return Ok(Some(written));
        }
        for _ in 0..MAX_ROUNDS {
            let waiting = match self.place(key) {
                Place::Kept(written) => {
                    count(Outcome::Hit);
                    return Ok(Some(written));
                }
                Place::Awaited(waiting) => waiting,
            };
            let mut asks = false;
            let answer = waiting.question.answer.get_or_init(|| {
                asks = true;
                self.answer(key, &waiting.question, &ask, &count)
            });
            let answer = answer.await.clone();
            if asks || self.read().news.spared(answer.news, waiting.since, answer.shown()) {
                count(if asks { Outcome::Miss } else { Outcome::Shared });
                return answer.found.map_err(shared);
            }
        }
        count(Outcome::Miss);
        Ok(ask().await?.map(Arc::new))
    }

    /// News about one product; `drop` drops what shows it.
    pub(super) fn forget(&self, product: ProductId, drop: impl FnOnce(&mut Kept<K>)) {
        let mut inner = self.write();
        inner.news.add(News::About(product));
        drop(&mut inner.kept);
    }

    /// News about everything.
    pub(super) fn forget_all(&self) {
        let mut inner = self.write();
        inner.news.add(News::AboutAll);
        inner.kept.drop_all();
    }

    /// The question of this key that is under way joined, or else posed. One that has been under way for too long is
    /// left to those who wait for it.
    fn place<'a>(&'a self, key: &'a K) -> Place<'a, K> {
        let mut inner = self.write();
        if let Some(written) = inner.kept.get(key) {
            return Place::Kept(written);
        }
        let young = inner.questions.get(key).filter(|question| question.posed_at.elapsed() < MAX_AGE).cloned();
        let question = young.unwrap_or_else(|| {
            let question =
                Arc::new(Question { posed_at: Instant::now(), answer: OnceCell::new(), waiting: AtomicUsize::new(0) });
            inner.questions.insert(key.clone(), Arc::clone(&question));
            question
        });
        question.waiting.fetch_add(1, Ordering::Relaxed);
        Place::Awaited(Waiting { shelf: self, key, question, since: inner.news.last() })
    }

    /// Asks, and keeps the answer if it is still true when it comes.
    async fn answer<F>(&self, key: &K, question: &Arc<Question>, ask: impl Fn() -> F, count: impl Fn(Outcome)) -> Answer
    where
        F: Future<Output = Result<Option<Written>, StoreError>>,
    {
        let (asked_at, news) = (Instant::now(), self.read().news.last());
        let found = ask().await.map(|written| written.map(Arc::new)).map_err(Arc::new);
        let answer = Answer { news, found };
        let mut inner = self.write();
        // Whoever comes from now on finds it kept, or asks anew.
        if inner.questions.get(key).is_some_and(|posed| Arc::ptr_eq(posed, question)) {
            inner.questions.remove(key);
        }
        if let Ok(Some(written)) = &answer.found {
            if inner.news.spared(news, inner.news.last(), answer.shown()) {
                inner.kept.keep(key, asked_at, Arc::clone(written));
            } else {
                count(Outcome::Discarded);
            }
        }
        answer
    }

    // A panic under the lock would be a bug, and leave nothing that age does not mend.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Inner<K>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<K>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Inner<K> {
    /// How many questions are under way.
    #[cfg(test)]
    pub(super) fn questions(&self) -> usize {
        self.questions.len()
    }
}

impl<K: Clone + Eq + Hash> Drop for Waiting<'_, K> {
    fn drop(&mut self) {
        let mut inner = self.shelf.write();
        if self.question.waiting.fetch_sub(1, Ordering::Relaxed) == 1
            && inner.questions.get(self.key).is_some_and(|posed| Arc::ptr_eq(posed, &self.question))
        {
            inner.questions.remove(self.key);
        }
    }
}

/// A failure of the store, as one of several who waited for the same answer meets it.
fn shared(error: Arc<StoreError>) -> StoreError {
    match *error {
        StoreError::Busy => StoreError::Busy,
        StoreError::Unavailable(_) => StoreError::unavailable(Shared(error)),
        StoreError::Unexpected(_) => StoreError::unexpected(Shared(error)),
    }
}

#[derive(Debug)]
struct Shared(Arc<StoreError>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(cause) => fmt::Display::fmt(cause, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()?.source()
    }
}
