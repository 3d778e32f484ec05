//! Sessions that were found alive a moment ago, so that not every request asks the database whether its caller is still
//! logged in.
//!
//! A session that ends on this instance is forgotten at once. One that ends on another is taken for alive until what is
//! known of it is [`MAX_AGE`] old: the contract leaves 5 s (contract 1, "sessions"), which also has to hold the request
//! that is under way. That a session is dead is never kept.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use domain::clock::Timestamp;
use domain::id::{SessionId, UserId};

/// How long a look into the database counts. Real time, not the shop's: nobody moves it.
const MAX_AGE: Duration = Duration::from_secs(2);

/// The most sessions of one generation; of two, that is about 3 MB. Who calls while more than these do is looked up more
/// often.
const MAX_SESSIONS: usize = 8192;

/// The sessions known to be alive; clones share them. What ends sessions and what asks for them must be given the same.
#[derive(Debug, Clone, Default)]
pub struct LiveSessions(Arc<RwLock<Generations>>);

/// Two generations: the old one is dropped whole when the young one is full or has its age, which bounds both the memory
/// and the work of forgetting.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<SessionId, Login>,
    old: HashMap<SessionId, Login>,
    turned_at: Option<Instant>,
    /// How often sessions were ended: a look that began before the last time may have seen them alive.
    endings: u64,
}

#[derive(Debug, Clone, Copy)]
struct Login {
    user_id: UserId,
    expires_at: Timestamp,
    looked_at: Instant,
}

/// A look into the database that is about to begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    at: Instant,
    endings: u64,
}

impl LiveSessions {
    /// Whether this user's session is known to be alive at `now`. If not, the database must be asked.
    pub(super) fn know(&self, session: SessionId, user: UserId, now: Timestamp) -> bool {
        let known = self.read();
        let login = known.young.get(&session).or_else(|| known.old.get(&session));
        login
            .is_some_and(|login| login.user_id == user && login.expires_at > now && login.looked_at.elapsed() < MAX_AGE)
    }

    /// Call it before the database is asked.
    pub(super) fn look(&self) -> Look {
        Look { at: Instant::now(), endings: self.read().endings }
    }

    /// Keeps what a look has found, unless sessions have ended since it began: this might be one of them.
    pub(super) fn keep(&self, look: Look, session: SessionId, user_id: UserId, expires_at: Timestamp) {
        let mut known = self.write();
        if known.endings != look.endings {
            return;
        }
        let is_aged = known.turned_at.is_none_or(|turned_at| look.at.saturating_duration_since(turned_at) > MAX_AGE);
        if is_aged || known.young.len() >= MAX_SESSIONS {
            known.old = std::mem::take(&mut known.young);
            known.turned_at = Some(look.at);
        }
        known.young.insert(session, Login { user_id, expires_at, looked_at: look.at });
    }

    /// Forgets a session that has ended. Call it, like the others, after the commit and before the answer.
    pub(super) fn forget(&self, session: SessionId) {
        self.forget_those(|id, _| id == session);
    }

    /// Forgets all sessions of a user.
    pub(super) fn forget_user(&self, user: UserId) {
        self.forget_those(|_, login| login.user_id == user);
    }

    /// Forgets everything, where it is not known whose sessions have ended.
    pub(super) fn forget_all(&self) {
        self.forget_those(|_, _| true);
    }

    fn forget_those(&self, has_ended: impl Fn(SessionId, &Login) -> bool) {
        let mut known = self.write();
        known.endings += 1;
        known.young.retain(|id, login| !has_ended(*id, login));
        known.old.retain(|id, login| !has_ended(*id, login));
    }

    // A panic under the lock leaves the maps whole.
    fn read(&self) -> RwLockReadGuard<'_, Generations> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Generations> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use domain::clock::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn session(number: u128) -> SessionId {
        Uuid::from_u128(number).into()
    }

    fn user(number: u128) -> UserId {
        Uuid::from_u128(number).into()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_session_is_known_for_its_user_until_it_expires_or_is_forgotten() {
        let live = LiveSessions::default();
        let keep = || live.keep(live.look(), session(1), user(1), at(100));
        keep();
        assert!(live.know(session(1), user(1), at(99)));
        assert!(!live.know(session(1), user(1), at(100)), "expired");
        assert!(!live.know(session(1), user(2), at(99)), "somebody else's");
        assert!(!live.know(session(2), user(1), at(99)), "never looked up");
        for forget in [&(|| live.forget(session(1))) as &dyn Fn(), &|| live.forget_user(user(1)), &|| live.forget_all()]
        {
            keep();
            assert!(live.know(session(1), user(1), at(99)));
            forget();
            assert!(!live.know(session(1), user(1), at(99)));
        }
    }

    #[test]
    fn a_look_that_began_before_an_ending_is_not_kept() {
        let live = LiveSessions::default();
        let look = live.look();
        live.forget(session(1));
        live.keep(look, session(1), user(1), at(100));
        assert!(!live.know(session(1), user(1), at(0)));
        live.keep(live.look(), session(1), user(1), at(100));
        assert!(live.know(session(1), user(1), at(0)));
    }

    #[test]
    fn what_is_known_counts_from_the_beginning_of_its_look_and_not_for_long() {
        let live = LiveSessions::default();
        let old = |age| Look { at: Instant::now().checked_sub(age).unwrap(), ..live.look() };
        live.keep(old(MAX_AGE), session(1), user(1), at(100));
        live.keep(old(MAX_AGE / 2), session(2), user(1), at(100));
        assert!(!live.know(session(1), user(1), at(0)));
        assert!(live.know(session(2), user(1), at(0)));
    }

    #[test]
    fn a_flood_of_sessions_takes_no_more_room_than_two_generations() {
        let live = LiveSessions::default();
        for number in 0..100_000 {
            live.keep(live.look(), session(number), user(number), at(100));
            let known = live.read();
            assert!(known.young.len() + known.old.len() <= 2 * MAX_SESSIONS);
        }
        assert!(live.know(session(99_999), user(99_999), at(0)));
        assert!(!live.know(session(0), user(0), at(0)));
    }
}
