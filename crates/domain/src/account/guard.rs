//! The auth guard: how many logins, registrations and password changes may fail, and how many accounts one address may
//! register (contract 4).
//!
//! It is strict: an attempt under way holds a slot, as if it had failed already, so no period ever holds more failures
//! than its limit, however many attempts run at once.

use std::time::Duration;

use async_trait::async_trait;

use crate::account::{AccountService, Client, Email};
use crate::store::StoreError;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptKind {
    /// Fails with a wrong e-mail or password.
    Login,
    /// Fails if the e-mail is taken.
    Registration,
    /// Fails with a wrong old password.
    PasswordChange,
}

/// Someone tries to prove who they are, or to become someone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What is tried.
    pub kind: AttemptKind,
    /// From where.
    pub client: Client,
    /// For which account, whether or not there is one.
    pub email: Email,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// As it should.
    Succeeded,
    /// It counts as a failure.
    Failed,
    /// It never came to a verdict, so it counts as nothing.
    Undecided,
}

/// The place of an attempt under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptSlot {
    /// Names it in the guard's store.
    pub id: i64,
    /// What is tried in it.
    pub kind: AttemptKind,
}

/// So many in any period of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardLimit {
    /// At least 1.
    pub count: u32,
    /// At least a second.
    pub period: Duration,
}

/// The guard's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardPolicy {
    /// Failures of one address.
    pub address_failures: GuardLimit,
    /// Failures at one account, from all addresses.
    pub account_failures: GuardLimit,
    /// Accounts that one address has registered.
    pub registrations: GuardLimit,
}

impl GuardPolicy {
    /// The contract's limit of failures at one account; no setting changes it.
    pub const ACCOUNT_FAILURES: GuardLimit = GuardLimit { count: 20, period: Duration::from_mins(15) };

    /// How long an address counts as one that the account logs in from, in days (contract 4).
    pub const KNOWN_ADDRESS_DAYS: u32 = 30;
}

/// What the guard's store knows of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many of the period count.
    pub spent: u32,
    /// How many attempts are under way.
    pub under_way: u32,
    /// How long ago the newest was that counts.
    pub newest_age: Duration,
    /// Where the limit is reached: how long ago the one was whose leaving makes room.
    pub blocking_age: Duration,
}

/// What the guard's store knows of those who try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuardSnapshot {
    /// Failures of the address.
    pub address: Tally,
    /// Failures at the account, if it is known which.
    pub account: Option<Tally>,
    /// Whether the account has logged in from the address lately.
    pub is_known_address: bool,
    /// Accounts that the address has registered; looked for only when another is to be.
    pub registrations: Option<Tally>,
}

/// Which limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardLimitName {
    /// [`GuardPolicy::address_failures`]
    AddressFailures,
    /// [`GuardPolicy::account_failures`]
    AccountFailures,
    /// [`GuardPolicy::registrations`]
    Registrations,
}

/// An attempt is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit {limit:?} is reached")]
pub struct GuardRefusal {
    /// By which limit.
    pub limit: GuardLimitName,
    /// When the next one may be.
    pub retry_in: Duration,
}

/// Whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Now.
    Now,
    /// When one of those under way has ended well; refused so if that takes too long.
    WhenASlotIsFree(GuardRefusal),
    /// Not before time has passed.
    Refused(GuardRefusal),
}

/// How someone stands with one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardStanding {
    /// The limit's size.
    pub limit: u32,
    /// What is left of it.
    pub remaining: u32,
    /// How long until all of it is free again.
    pub resets_in: Duration,
}

/// What can be said of those who try.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuardView {
    /// How they stand with each limit that applies to them.
    pub standings: Vec<GuardStanding>,
    /// Why every attempt of theirs is refused now.
    pub refusal: Option<GuardRefusal>,
}

/// When to ask again while all slots are held by attempts under way, each of which takes a moment.
const SLOT_RETRY: Duration = Duration::from_secs(1);

impl GuardPolicy {
    /// Whether an attempt may begin.
    #[must_use]
    pub fn admit(&self, client: Client, snapshot: &GuardSnapshot) -> Admission {
        let mut admission = Admission::Now;
        for (limit, allowed, tally) in self.applying(client, snapshot) {
            if let Some(retry_in) = allowed.blocked_for(&tally) {
                let retry_in = match admission {
                    Admission::Refused(earlier) if earlier.retry_in >= retry_in => continue,
                    _ => retry_in,
                };
                admission = Admission::Refused(GuardRefusal { limit, retry_in });
            } else if allowed.remaining(&tally) == 0 && admission == Admission::Now {
                admission = Admission::WhenASlotIsFree(GuardRefusal { limit, retry_in: SLOT_RETRY });
            }
        }
        admission
    }

    /// How those who try stand with the limits.
    #[must_use]
    pub fn view(&self, client: Client, snapshot: &GuardSnapshot) -> GuardView {
        let refusal = match self.admit(client, snapshot) {
            Admission::Refused(refusal) => Some(refusal),
            Admission::Now | Admission::WhenASlotIsFree(_) => None,
        };
        let standings = self.applying(client, snapshot).map(|(_, allowed, tally)| allowed.standing(&tally));
        GuardView { standings: standings.collect(), refusal }
    }

    /// The limits that apply: an exempt client is left alone by those per address, and an address that the account logs
    /// in from by the one per account, so that strangers lock nobody out of where they have been.
    fn applying(
        &self,
        client: Client,
        snapshot: &GuardSnapshot,
    ) -> impl Iterator<Item = (GuardLimitName, GuardLimit, Tally)> {
        let address = (!client.is_exempt).then_some(snapshot.address);
        let account = snapshot.account.filter(|_| !snapshot.is_known_address);
        let registrations = snapshot.registrations.filter(|_| !client.is_exempt);
        let limits = [
            address.map(|tally| (GuardLimitName::AddressFailures, self.address_failures, tally)),
            account.map(|tally| (GuardLimitName::AccountFailures, self.account_failures, tally)),
            registrations.map(|tally| (GuardLimitName::Registrations, self.registrations, tally)),
        ];
        limits.into_iter().flatten()
    }
}

impl GuardLimit {
    /// How long it lets nobody through, if the period holds all it may.
    fn blocked_for(self, tally: &Tally) -> Option<Duration> {
        (tally.spent >= self.count).then(|| self.period.saturating_sub(tally.blocking_age))
    }

    fn remaining(self, tally: &Tally) -> u32 {
        self.count.saturating_sub(tally.spent.saturating_add(tally.under_way))
    }

    fn standing(self, tally: &Tally) -> GuardStanding {
        // What is under way may still come to count, at the latest in a moment.
        let resets_in = match (tally.under_way, tally.spent) {
            (0, 0) => Duration::ZERO,
            (0, _) => self.period.saturating_sub(tally.newest_age),
            _ => self.period,
        };
        GuardStanding { limit: self.count, remaining: self.remaining(tally), resets_in }
    }
}

/// Why an attempt did not begin.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// By a limit.
    #[error(transparent)]
    Refused(#[from] GuardRefusal),
    /// The guard's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where attempts are counted, for all instances.
#[cfg_attr(any(test, feature = "mocks"), mockall::automock)]
#[async_trait]
pub trait AuthGuard: Send + Sync {
    /// Gives an attempt its slot. MUST decide and count in one step: of attempts at once, no more begin than
    /// [`GuardPolicy::admit`] lets through one after the other. Waits at most 2 seconds for a slot, holding nothing.
    ///
    /// An attempt whose end is never told (its process died) MUST count as a failure from its beginning.
    async fn begin(&self, attempt: &Attempt) -> Result<AttemptSlot, GuardError>;

    /// Tells how an attempt ended. After a login that succeeded, its address is known for its account.
    async fn end(&self, slot: AttemptSlot, outcome: AttemptOutcome) -> Result<(), StoreError>;

    /// How those stand who would try. Counts nothing.
    async fn look(&self, kind: AttemptKind, client: Client, email: Option<Email>) -> Result<GuardView, StoreError>;
}

/// Lets everybody through: for the shop's own commands, and where limits are switched off.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unguarded;

#[async_trait]
impl AuthGuard for Unguarded {
    async fn begin(&self, attempt: &Attempt) -> Result<AttemptSlot, GuardError> {
        Ok(AttemptSlot { id: 0, kind: attempt.kind })
    }

    async fn end(&self, _: AttemptSlot, _: AttemptOutcome) -> Result<(), StoreError> {
        Ok(())
    }

    async fn look(&self, _: AttemptKind, _: Client, _: Option<Email>) -> Result<GuardView, StoreError> {
        Ok(GuardView::default())
    }
}

impl AccountService {
    /// Lets `work` run in a slot of the guard, and tells the guard how it ended: as a failure where `fails` says so.
    pub(super) async fn guarded<T, E>(
        &self,
        attempt: Attempt,
        fails: impl Fn(&E) -> bool,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E>
    where
        E: From<GuardRefusal> + From<StoreError>,
    {
        let slot = self.guard.begin(&attempt).await.map_err(|error| match error {
            GuardError::Refused(refusal) => E::from(refusal),
            GuardError::Store(error) => E::from(error),
        })?;
        let ended = work.await;
        let outcome = match &ended {
            Ok(_) => AttemptOutcome::Succeeded,
            Err(error) if fails(error) => AttemptOutcome::Failed,
            Err(_) => AttemptOutcome::Undecided,
        };
        if let Err(error) = self.guard.end(slot, outcome).await {
            // It counts as a failure then, which errs on the safe side.
            tracing::warn!(%error, ?outcome, "the guard could not be told how an attempt ended");
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::account::ClientNetwork;

    const MINUTE: Duration = Duration::from_mins(1);

    fn policy() -> GuardPolicy {
        let limit = |count, minutes| GuardLimit { count, period: MINUTE * minutes };
        GuardPolicy { address_failures: limit(5, 15), account_failures: limit(20, 15), registrations: limit(20, 60) }
    }

    fn client(is_exempt: bool) -> Client {
        Client { network: ClientNetwork::of("192.0.2.1".parse().unwrap()), is_exempt }
    }

    fn tally(spent: u32, under_way: u32) -> Tally {
        Tally { spent, under_way, newest_age: MINUTE, blocking_age: MINUTE * 10 }
    }

    fn refused(limit: GuardLimitName, minutes: u32) -> Admission {
        Admission::Refused(GuardRefusal { limit, retry_in: MINUTE * minutes })
    }

    fn waits(limit: GuardLimitName) -> Admission {
        Admission::WhenASlotIsFree(GuardRefusal { limit, retry_in: SLOT_RETRY })
    }

    #[test]
    fn an_attempt_under_way_holds_a_slot_and_a_failure_holds_it_until_it_leaves_the_period() {
        for (spent, under_way, admission) in [
            (0, 0, Admission::Now),
            (4, 0, Admission::Now),
            (0, 4, Admission::Now),
            (0, 5, waits(GuardLimitName::AddressFailures)),
            (4, 1, waits(GuardLimitName::AddressFailures)),
            (5, 0, refused(GuardLimitName::AddressFailures, 5)),
            (5, 3, refused(GuardLimitName::AddressFailures, 5)),
        ] {
            let snapshot = GuardSnapshot { address: tally(spent, under_way), ..GuardSnapshot::default() };
            assert_eq!(policy().admit(client(false), &snapshot), admission, "{spent} {under_way}");
            assert_eq!(policy().admit(client(true), &snapshot), Admission::Now, "exempt: {spent} {under_way}");
        }
    }

    #[test]
    fn the_account_is_closed_to_all_but_the_addresses_it_logs_in_from() {
        let attacked = GuardSnapshot { account: Some(tally(20, 0)), ..GuardSnapshot::default() };
        assert_eq!(policy().admit(client(false), &attacked), refused(GuardLimitName::AccountFailures, 5));
        assert_eq!(policy().admit(client(true), &attacked), refused(GuardLimitName::AccountFailures, 5));
        let known = GuardSnapshot { is_known_address: true, ..attacked };
        assert_eq!(policy().admit(client(false), &known), Admission::Now);
        let known_and_wrong = GuardSnapshot { address: tally(5, 0), ..known };
        assert_eq!(policy().admit(client(false), &known_and_wrong), refused(GuardLimitName::AddressFailures, 5));
    }

    #[test]
    fn of_several_limits_the_one_that_lasts_longest_is_told() {
        let snapshot = GuardSnapshot {
            address: tally(5, 0),
            registrations: Some(Tally { blocking_age: MINUTE * 20, ..tally(20, 0) }),
            ..GuardSnapshot::default()
        };
        assert_eq!(policy().admit(client(false), &snapshot), refused(GuardLimitName::Registrations, 40));
        let busy = GuardSnapshot { address: tally(0, 5), ..snapshot };
        assert_eq!(policy().admit(client(false), &busy), refused(GuardLimitName::Registrations, 40));
    }

    #[test]
    fn a_standing_says_what_is_left_and_when_all_of_it_is_free() {
        let standing = |spent, under_way| {
            let snapshot = GuardSnapshot { address: tally(spent, under_way), ..GuardSnapshot::default() };
            let standing = policy().view(client(false), &snapshot).standings[0];
            (standing.limit, standing.remaining, standing.resets_in)
        };
        assert_eq!(standing(0, 0), (5, 5, Duration::ZERO));
        assert_eq!(standing(2, 0), (5, 3, MINUTE * 14));
        assert_eq!(standing(2, 1), (5, 2, MINUTE * 15));
        assert_eq!(standing(5, 1), (5, 0, MINUTE * 15));
        assert!(policy().view(client(true), &GuardSnapshot::default()).standings.is_empty());
    }
}
