//! Requests that come twice: who sends an `Idempotency-Key` gets the first answer again (contract 3,
//! "`Idempotency-Key`").
//!
//! A key is *claimed* by the request that is to run. The claim has a number, and the transaction of the effect
//! checks it under lock: who lost the claim meanwhile rolls back. So of all requests with one key, one has the
//! effect, however slow, lost or repeated they are.

mod answer;
mod key;
mod repository;

pub use answer::KeptAnswer;
pub use key::{IdempotencyKey, InvalidIdempotencyKey, RequestFingerprint};
#[cfg(any(test, feature = "mocks"))]
pub use repository::MockIdempotencyRepository;
pub use repository::{Claim, ClaimLost, ClaimRequest, Claiming, IdempotencyRepository};
