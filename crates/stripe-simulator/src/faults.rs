//! Faults that tests order: the next calls answer wrongly, late or not at all, before or after their effect.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FaultKind {
    /// Answers 500 `api_error`.
    ServerError,
    /// Answers 429 `lock_timeout`, always before the effect, never kept under the idempotency key.
    LockTimeout,
    /// Waits, then goes on as usual.
    Hang {
        /// Milliseconds.
        ms: u64,
    },
    /// Cuts the connection without an answer.
    Cut,
}

/// On which side of the effect a fault lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultPhase {
    /// Nothing has happened yet. The idempotency key is not used up: a repeat is carried out.
    #[default]
    BeforeEffect,
    /// All has happened, and only the answer suffers. A 500 is what the idempotency key keeps; after a hang or a cut it
    /// keeps the true answer.
    AfterEffect,
}

/// A fault for the next calls that match it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// When it goes wrong.
    #[serde(default)]
    pub phase: FaultPhase,
    /// How many calls it hits.
    #[serde(default = "once")]
    pub times: usize,
    /// Only calls with this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only calls with this path; `*` stands for any part of it, e.g. `/v1/checkout/sessions/*/expire`.
    #[serde(default)]
    pub path: Option<String>,
}

fn once() -> usize {
    1
}

impl Fault {
    /// A fault for the very next call of any kind.
    #[must_use]
    pub fn next(kind: FaultKind, phase: FaultPhase) -> Self {
        Self { kind, phase, times: 1, method: None, path: None }
    }

    /// The same fault for so many calls.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// The same fault for calls of this method and path only; `*` stands for any part of the path.
    #[must_use]
    pub fn on(mut self, method: &str, path: &str) -> Self {
        self.method = Some(method.to_owned());
        self.path = Some(path.to_owned());
        self
    }

    fn hits(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(|pattern| matches_wildcards(pattern, path))
    }
}

fn matches_wildcards(pattern: &str, path: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == path };
    let Some(rest) = path.strip_prefix(head) else { return false };
    (0..=rest.len()).any(|start| rest.get(start..).is_some_and(|rest| matches_wildcards(tail, rest)))
}

/// Faults not yet used up, in the order in which they were ordered.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pending: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.pending.push(fault);
    }

    pub(crate) fn pending(&self) -> &[Fault] {
        &self.pending
    }

    pub(crate) fn clear(&mut self) {
        self.pending.clear();
    }

    /// The fault that hits this call, if any; it is then used up by one.
    pub(crate) fn take(&mut self, method: &str, path: &str) -> Option<(FaultKind, FaultPhase)> {
        let fault = self.pending.iter_mut().find(|fault| fault.times > 0 && fault.hits(method, path))?;
        fault.times -= 1;
        let taken = (fault.kind, fault.phase);
        self.pending.retain(|fault| fault.times > 0);
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::matches_wildcards;

    #[test]
    fn a_star_stands_for_any_part_of_a_path() {
        assert!(matches_wildcards("/v1/checkout/sessions/*/expire", "/v1/checkout/sessions/cs_1/expire"));
        assert!(matches_wildcards("/v1/*", "/v1/refunds"));
        assert!(!matches_wildcards("/v1/refunds", "/v1/refunds/re_1"));
        assert!(!matches_wildcards("/v1/checkout/sessions/*/expire", "/v1/checkout/sessions/cs_1"));
    }
}
