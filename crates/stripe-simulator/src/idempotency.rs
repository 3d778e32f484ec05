//! Idempotency keys: the first answer is the answer, for 24 hours.

use std::collections::{HashMap, VecDeque};

use crate::error::ApiError;

/// Keys are forgotten after this many seconds of the simulator's clock.
const LIFETIME_SECONDS: i64 = 24 * 60 * 60;
/// Most keys kept; the oldest make room.
const CAPACITY: usize = 50_000;
/// Longest key.
const MAX_KEY_CHARS: usize = 255;

/// An answer kept for repeats.
#[derive(Debug, Clone)]
pub(crate) struct StoredAnswer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) request_id: String,
}

#[derive(Debug)]
struct Entry {
    method_and_path: String,
    parameters: String,
    since: i64,
    /// `None` while the first request runs.
    answer: Option<StoredAnswer>,
}

/// What a request with a key may do.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is the first: carry it out, then [`IdempotencyKeys::store`] or [`IdempotencyKeys::forget`].
    First,
    /// Answer this again.
    Replay(StoredAnswer),
}

#[derive(Debug, Default)]
pub(crate) struct IdempotencyKeys {
    entries: HashMap<String, Entry>,
    by_age: VecDeque<(i64, String)>,
}

impl IdempotencyKeys {
    /// Claims a key for a request. Another request under the same key, or one that still runs, is an error.
    pub(crate) fn claim(
        &mut self,
        key: &str,
        method_and_path: &str,
        parameters: &str,
        now: i64,
    ) -> Result<Claim, ApiError> {
        if key.chars().count() > MAX_KEY_CHARS {
            return Err(ApiError::invalid(format!("Idempotency keys can have at most {MAX_KEY_CHARS} characters.")));
        }
        self.forget_old(now);
        if let Some(entry) = self.entries.get(key) {
            if entry.method_and_path != method_and_path {
                return Err(ApiError::key_reused(format!(
                    "Keys for idempotent requests can only be used for the same endpoint they were first used for \
                     ('{}' vs '{method_and_path}'). Try using a key other than '{key}' if you meant to execute a \
                     different request.",
                    entry.method_and_path
                )));
            }
            if entry.parameters != parameters {
                return Err(ApiError::key_reused(format!(
                    "Keys for idempotent requests can only be used with the same parameters they were first used \
                     with. Try using a key other than '{key}' if you meant to execute a different request."
                )));
            }
            return entry.answer.clone().map(Claim::Replay).ok_or_else(ApiError::key_in_use);
        }
        self.entries.insert(
            key.to_owned(),
            Entry {
                method_and_path: method_and_path.to_owned(),
                parameters: parameters.to_owned(),
                since: now,
                answer: None,
            },
        );
        self.by_age.push_back((now, key.to_owned()));
        Ok(Claim::First)
    }

    pub(crate) fn store(&mut self, key: &str, answer: StoredAnswer) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.answer = Some(answer);
        }
    }

    /// Gives the key back, as if it had never been sent.
    pub(crate) fn forget(&mut self, key: &str) {
        self.entries.remove(key);
    }

    fn forget_old(&mut self, now: i64) {
        while let Some((since, key)) = self.by_age.front() {
            let is_old = now - since >= LIFETIME_SECONDS;
            if !is_old && self.by_age.len() <= CAPACITY {
                return;
            }
            // A key may have been given back and claimed anew since: then this is not its entry.
            if self.entries.get(key).is_some_and(|entry| entry.since == *since) {
                self.entries.remove(key);
            }
            self.by_age.pop_front();
        }
    }
}
