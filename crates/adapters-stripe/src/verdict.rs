//! What a reply means: done, refused for good, or worth another try. Pure, so that the table can be read and tested.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::transport::Reply;

/// What to make of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the answer.
    Done,
    /// Stripe said no; the same request gets the same word again.
    Refused(Refusal),
    /// No answer yet: the same request may get one, not before the pause that Stripe asks for.
    Again(Option<Duration>),
    /// No answer, and none to be had by repeating at once.
    Hopeless,
    /// The key is wrong or lacks a permission. Nothing was done, and nothing will be until a person mends it.
    KeyRefused,
}

/// Stripe's no, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: u16,
    kind: String,
    code: Option<String>,
    message: String,
    stored: bool,
    request_id: Option<String>,
}

impl Refusal {
    /// Whether the key's first request may have had its effect all the same: Stripe keeps and replays an answer
    /// even if it failed after the effect, and refuses a key that it has seen with other parameters. Only a look
    /// tells. A validation error is never kept, so a fresh one had no effect.
    pub(crate) fn may_hide_an_effect(&self) -> bool {
        self.stored || self.kind == "idempotency_error"
    }

    /// Whether the thing asked for does not exist, said by Stripe itself and not by a server on the way.
    pub(crate) fn is_missing(&self) -> bool {
        self.status == 404 && self.code.as_deref() == Some("resource_missing")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code.as_deref().unwrap_or(&self.kind), self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

/// Stripe's error object, read leniently.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorObject,
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    message: Option<String>,
}

impl Reply {
    /// Whether Stripe is in trouble, as far as this reply shows. A replayed failure tells of the past.
    pub(crate) fn is_failure(&self) -> bool {
        self.status >= 500 && !self.replayed
    }

    /// Whether an earlier request is in the way.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status == 409
    }

    /// What to make of it. `Stripe-Should-Retry` decides where Stripe sends it; without it 409, 429 and 5xx are
    /// worth another try.
    pub(crate) fn verdict(&self) -> Verdict {
        let again = || Verdict::Again(self.retry_after);
        match (self.status, self.should_retry) {
            (200..=299, _) => Verdict::Done,
            (401 | 403, _) => Verdict::KeyRefused,
            _ if self.replayed => self.refusal().map_or(Verdict::Hopeless, Verdict::Refused),
            (_, Some(true)) | (409 | 429 | 500.., None) => again(),
            (409 | 429 | 500.., Some(false)) => Verdict::Hopeless,
            // A no in anybody else's words, such as a proxy's page, says nothing about Stripe's.
            (400..=499, _) => self.refusal().map_or(Verdict::Hopeless, Verdict::Refused),
            _ => Verdict::Hopeless,
        }
    }

    /// Stripe's no, if the body holds one. A stored 5xx counts even without: its headers are Stripe's.
    fn refusal(&self) -> Option<Refusal> {
        let error = serde_json::from_slice::<ErrorBody>(&self.body).ok().map(|body| body.error);
        let error = match error {
            Some(error) => error,
            None if self.replayed => ErrorObject { kind: "unreadable".into(), code: None, message: None },
            None => return None,
        };
        Some(Refusal {
            status: self.status,
            kind: error.kind,
            code: error.code,
            message: error.message.unwrap_or_default(),
            stored: self.replayed,
            request_id: self.request_id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::*;

    fn reply(status: u16, should_retry: Option<bool>, replayed: bool) -> Reply {
        let body = r#"{"error":{"type":"invalid_request_error","code":"parameter_unknown","message":"no"}}"#;
        let body = if status < 300 { "{}" } else { body };
        Reply { status, replayed, should_retry, retry_after: None, request_id: Some("req_1".into()), body: body.into() }
    }

    #[test]
    fn each_reply_has_its_meaning() {
        let table = [
            (200, None, false, "done"),
            (200, None, true, "done"),
            (302, None, false, "hopeless"),
            (400, None, false, "refused"),
            (400, Some(false), false, "refused"),
            (400, Some(true), false, "again"),
            (400, None, true, "refused"),
            (401, None, false, "key"),
            (403, Some(true), false, "key"),
            (402, None, false, "refused"),
            (404, None, false, "refused"),
            (409, None, false, "again"),
            (409, Some(false), false, "hopeless"),
            (429, None, false, "again"),
            (429, Some(true), false, "again"),
            (500, None, false, "again"),
            (500, Some(true), false, "again"),
            (500, Some(false), false, "hopeless"),
            (500, Some(true), true, "refused"),
            (503, None, false, "again"),
        ];
        for (status, should_retry, replayed, expected) in table {
            let word = match reply(status, should_retry, replayed).verdict() {
                Verdict::Done => "done",
                Verdict::Refused(_) => "refused",
                Verdict::Again(_) => "again",
                Verdict::Hopeless => "hopeless",
                Verdict::KeyRefused => "key",
            };
            assert_eq!(word, expected, "{status} {should_retry:?} {replayed}");
        }
    }

    #[test]
    fn a_no_that_is_not_stripes_is_no_no() {
        let page = Reply { body: "<html>Not found</html>".into(), ..reply(404, None, false) };
        assert_eq!(page.verdict(), Verdict::Hopeless);
    }

    #[test]
    fn only_kept_answers_may_hide_an_effect() {
        let refusal = |reply: Reply| match reply.verdict() {
            Verdict::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        };
        assert!(!refusal(reply(400, None, false)).may_hide_an_effect());
        assert!(refusal(reply(400, None, true)).may_hide_an_effect());
        assert!(refusal(reply(500, None, true)).may_hide_an_effect());
        let reused = Reply { body: r#"{"error":{"type":"idempotency_error"}}"#.into(), ..reply(400, None, false) };
        assert!(refusal(reused).may_hide_an_effect());
    }

    #[test]
    fn a_refusal_names_code_message_and_request() {
        let Verdict::Refused(refusal) = reply(400, None, false).verdict() else { panic!("refused") };
        assert_eq!(refusal.to_string(), "400 parameter_unknown: no (request req_1)");
    }

    #[test]
    fn only_stripe_itself_says_that_something_does_not_exist() {
        let missing = r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#;
        let Verdict::Refused(refusal) = (Reply { body: missing.into(), ..reply(404, None, false) }).verdict() else {
            panic!("refused")
        };
        assert!(refusal.is_missing());
        let Verdict::Refused(refusal) = reply(404, None, false).verdict() else { panic!("refused") };
        assert!(!refusal.is_missing());
    }

    #[test]
    fn replayed_failures_say_nothing_about_now() {
        assert!(reply(500, None, false).is_failure());
        assert!(!reply(500, None, true).is_failure());
        assert!(!reply(429, None, false).is_failure());
    }
}
