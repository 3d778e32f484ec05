//! Telling shops what happened: a queue, signatures, tries and retries.

pub(crate) mod dispatch;
pub(crate) mod outbox;
pub(crate) mod signature;
