//! Where keys, their claims and the kept answers are.

use async_trait::async_trait;

use crate::id::{OrderId, UserId};
use crate::idempotency::{IdempotencyKey, KeptAnswer, RequestFingerprint};
use crate::store::StoreError;

/// A request asks to be the one that runs under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Whose key it is: keys of different users have nothing to do with each other.
    pub user_id: UserId,
    /// The key.
    pub key: IdempotencyKey,
    /// What is asked.
    pub fingerprint: RequestFingerprint,
}

/// The right to run the request of a key, until it is taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose key it is.
    pub user_id: UserId,
    /// The key.
    pub key: IdempotencyKey,
    /// No two claims ever have the same. The transaction of the effect checks that it is still the key's.
    pub number: u64,
    /// The order in which an earlier claim's effect is committed: nothing is to be decided anew.
    pub committed: Option<OrderId>,
}

/// What came of asking for a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claiming {
    /// The request is to run.
    Granted(Claim),
    /// It ran; this was its answer.
    Answered(KeptAnswer),
    /// Another request with this key runs.
    InProgress {
        /// When its claim can be taken over if it gives no further sign of life, in whole seconds from now, at least 1.
        retry_seconds: u32,
    },
    /// The key belongs to a different request.
    Reused,
}

/// The claim was taken over; the transaction that finds this rolls back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another request with this idempotency key has taken over")]
pub struct ClaimLost;

/// Where keys are kept. Ages go by the store's own clock, which all instances share.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait IdempotencyRepository: Send + Sync {
    /// Claims a key. MUST grant it to one of several requests at once. A claim whose last sign of life is
    /// [`CLAIM_SECONDS`](Claim::CLAIM_SECONDS) old MUST be taken over under a number never used before, and a key older than
    /// [`KEPT_HOURS`](Claim::KEPT_HOURS) counts as unknown.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claiming, StoreError>;

    /// A sign of life. `false` if the claim was taken over.
    async fn renew(&self, claim: &Claim) -> Result<bool, StoreError>;

    /// Keeps the answer, unless the claim was taken over.
    async fn keep(&self, claim: &Claim, answer: &KeptAnswer) -> Result<(), StoreError>;

    /// Gives a claim back whose answer is not kept: the next request with this key runs at once. An effect that is
    /// committed stays known.
    async fn release(&self, claim: &Claim) -> Result<(), StoreError>;
}

impl Claim {
    /// How long after its last sign of life a claim can be taken over (contract 3).
    pub const CLAIM_SECONDS: u32 = 15;
    /// How often a request that runs gives a sign of life: two may be lost.
    pub const RENEWAL_SECONDS: u32 = 5;
    /// How long a key and its answer are kept, from its first claim (contract 3).
    pub const KEPT_HOURS: u32 = 24;
}
