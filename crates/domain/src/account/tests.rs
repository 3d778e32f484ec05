//! What accounts decide, and whom the use cases ask.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta};
use mockall::predicate::{always, eq};
use uuid::Uuid;

use super::*;
use crate::clock::{Ids, MockClock, Timestamp};
use crate::id::{SessionId, UserId};
use crate::store::StoreError;
use crate::text::PersonName;

fn now() -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn user(role: Role) -> User {
    User {
        id: UserId::from(Uuid::from_u128(7)),
        email: Email::parse("ada@example.com").unwrap(),
        name: PersonName::new("Ada").ok(),
        role,
        blocked: false,
        created_at: now(),
    }
}

fn blocked(role: Role) -> User {
    User { blocked: true, ..user(role) }
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::new(text.to_owned())
}

fn credentials() -> Credentials {
    Credentials { user: user(Role::Customer), password_hash: hash("ada's") }
}

fn session() -> SessionId {
    SessionId::from(Uuid::from_u128(9))
}

struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn next(&self) -> Uuid {
        Uuid::from_u128(self.0.fetch_add(1, Ordering::Relaxed).into())
    }
}

/// The ports, each refusing every call that a test does not expect.
#[derive(Default)]
struct Ports {
    users: MockUserRepository,
    sessions: MockSessionRepository,
    guard: Option<MockAuthGuard>,
    hasher: MockPasswordHasher,
    access_tokens: MockAccessTokens,
    refresh_tokens: MockRefreshTokens,
}

impl Ports {
    fn service(self) -> AccountService {
        let mut clock = MockClock::new();
        clock.expect_now().returning(now);
        AccountService {
            users: Arc::new(self.users),
            sessions: Arc::new(self.sessions),
            guard: self.guard.map_or_else(|| Arc::new(Unguarded) as Arc<dyn AuthGuard>, |guard| Arc::new(guard)),
            hasher: Arc::new(self.hasher),
            access_tokens: Arc::new(self.access_tokens),
            refresh_tokens: Arc::new(self.refresh_tokens),
            clock: Arc::new(clock),
            ids: Arc::new(CountingIds(AtomicU64::new(100))),
            policy: AccountPolicy { access_ttl_seconds: 900, refresh_ttl_seconds: 3600 },
        }
    }

    /// A minted token `next`, hashes that are the token's length, and signatures that say the claims.
    fn makes_tokens(&mut self) {
        self.refresh_tokens.expect_mint().returning(|| RefreshToken::minted("next".to_owned()));
        self.refresh_tokens.expect_hash().returning(|token| token_hash(token.expose()));
        self.access_tokens.expect_issue().returning(|claims| Ok(AccessToken(format!("{claims:?}"))));
    }

    fn verifies(&mut self, hash: Option<PasswordHash>, answer: bool) {
        self.hasher.expect_verify().with(always(), eq(hash)).times(1).returning(move |_, _| Ok(answer));
    }
}

fn token_hash(token: &str) -> RefreshTokenHash {
    let mut hash = [0; 32];
    hash[..token.len()].copy_from_slice(token.as_bytes());
    RefreshTokenHash(hash)
}

fn token(text: &str) -> RefreshToken {
    RefreshToken::new(text).unwrap()
}

fn log_in() -> LogIn {
    LogIn { email: Email::parse("ada@example.com").unwrap(), password: PasswordAttempt::new("Passw0rd!").unwrap() }
}

mod the_last_admin {
    use super::*;

    fn change(role: Option<Role>, blocked: Option<bool>) -> UpdateUser {
        UpdateUser { id: user(Role::Admin).id, change: UserChange { role, blocked }, at: now() }
    }

    #[test]
    fn can_be_neither_demoted_nor_blocked() {
        for (change, from, to) in [
            (change(Some(Role::Customer), None), "ADMIN", "CUSTOMER"),
            (change(None, Some(true)), "ACTIVE", "BLOCKED"),
            (change(Some(Role::Admin), Some(true)), "ACTIVE", "BLOCKED"),
            (change(Some(Role::Customer), Some(true)), "ADMIN", "CUSTOMER"),
        ] {
            let alone = UserSnapshot { user: user(Role::Admin), another_active_admin: false };
            match change.decide(alone) {
                Err(UpdateUserError::LastAdmin { from: is, to: becomes }) => assert_eq!((is, becomes), (from, to)),
                other => panic!("{change:?} gave {other:?}"),
            }
            let with_another = UserSnapshot { user: user(Role::Admin), another_active_admin: true };
            assert!(change.decide(with_another).is_ok(), "{change:?}");
        }
    }

    #[test]
    fn may_stay_what_they_are_and_others_may_change() {
        let alone = |user| UserSnapshot { user, another_active_admin: false };
        let same = change(Some(Role::Admin), Some(false)).decide(alone(user(Role::Admin)));
        assert_eq!(same.unwrap(), user(Role::Admin));
        let demoted = change(Some(Role::Customer), None).decide(alone(blocked(Role::Admin)));
        assert_eq!(demoted.unwrap(), blocked(Role::Customer), "a blocked admin runs no shop");
        let promoted = change(Some(Role::Admin), None).decide(alone(user(Role::Customer)));
        assert_eq!(promoted.unwrap(), user(Role::Admin));
        let unblocked = change(None, Some(false)).decide(alone(blocked(Role::Customer)));
        assert_eq!(unblocked.unwrap(), user(Role::Customer));
    }

    #[tokio::test]
    async fn a_change_of_nothing_asks_for_no_transaction() {
        let mut ports = Ports::default();
        ports.users.expect_find().times(1).returning(|_| Ok(Some(credentials())));
        let unchanged = ports.service().update_user(user(Role::Customer).id, UserChange::default()).await;
        assert_eq!(unchanged.unwrap(), user(Role::Customer));
    }
}

mod logging_in {
    use super::*;

    #[tokio::test]
    async fn opens_a_session_with_the_hash_that_was_verified() {
        let mut ports = Ports::default();
        ports.makes_tokens();
        ports.users.expect_find_by_email().times(1).returning(|_| Ok(Some(credentials())));
        ports.verifies(Some(hash("ada's")), true);
        let opened = |command: &OpenSession| {
            command.verified_hash == hash("ada's")
                && command.token == token_hash("next")
                && command.expires_at == now() + TimeDelta::seconds(3600)
        };
        ports.sessions.expect_open().withf(opened).times(1).returning(|_| Ok(user(Role::Customer)));
        let tokens = ports.service().log_in(Client::ourselves(), log_in()).await.unwrap();
        assert_eq!((tokens.refresh_token, tokens.expires_in_seconds), (token("next"), 900));
    }

    #[tokio::test]
    async fn verifies_an_attempt_on_nobody_too() {
        let mut ports = Ports::default();
        ports.users.expect_find_by_email().returning(|_| Ok(None));
        ports.verifies(None, false);
        assert!(matches!(
            ports.service().log_in(Client::ourselves(), log_in()).await,
            Err(LogInError::InvalidCredentials)
        ));
    }

    #[tokio::test]
    async fn refuses_a_wrong_password_and_a_blocked_user_alike_and_only_after_verifying() {
        for (verified, user) in [(false, user(Role::Customer)), (true, blocked(Role::Customer))] {
            let mut ports = Ports::default();
            let found = Credentials { user, ..credentials() };
            ports.users.expect_find_by_email().return_once(move |_| Ok(Some(found)));
            ports.verifies(Some(hash("ada's")), verified);
            assert!(matches!(
                ports.service().log_in(Client::ourselves(), log_in()).await,
                Err(LogInError::InvalidCredentials)
            ));
        }
    }

    #[test]
    fn is_decided_again_under_lock() {
        let command = OpenSession {
            session_id: session(),
            user_id: user(Role::Customer).id,
            verified_hash: hash("ada's"),
            token: token_hash("next"),
            at: now(),
            expires_at: now() + TimeDelta::seconds(1),
        };
        assert!(command.decide(&credentials()).is_ok());
        let replaced = Credentials { password_hash: hash("new"), ..credentials() };
        assert!(matches!(command.decide(&replaced), Err(LogInError::InvalidCredentials)));
        let blocked = Credentials { user: blocked(Role::Customer), ..credentials() };
        assert!(matches!(command.decide(&blocked), Err(LogInError::InvalidCredentials)));
    }
}

mod refreshing {
    use super::*;

    fn snapshot() -> RotationSnapshot {
        RotationSnapshot {
            session_id: session(),
            user: user(Role::Customer),
            expires_at: now() + TimeDelta::seconds(10),
            ended: false,
            spent: false,
        }
    }

    fn decide(snapshot: RotationSnapshot) -> Rotation {
        RotateToken { presented: token_hash("old"), successor: token_hash("next"), at: now() }.decide(snapshot)
    }

    #[test]
    fn works_once_and_a_spent_token_ends_the_session() {
        assert!(matches!(decide(snapshot()), Rotation::Rotated { session_id, .. } if session_id == session()));
        let spent = RotationSnapshot { spent: true, ..snapshot() };
        assert_eq!(decide(spent), Rotation::Reused { session_id: session() });
    }

    #[test]
    fn of_a_session_that_is_over_is_refused() {
        for over in [
            RotationSnapshot { ended: true, ..snapshot() },
            RotationSnapshot { ended: true, spent: true, ..snapshot() },
            RotationSnapshot { expires_at: now(), ..snapshot() },
            RotationSnapshot { user: blocked(Role::Customer), ..snapshot() },
        ] {
            assert_eq!(decide(over), Rotation::Refused);
        }
    }

    #[tokio::test]
    async fn gives_the_successor_and_an_access_token_that_does_not_outlive_the_session() {
        let mut ports = Ports::default();
        ports.makes_tokens();
        let rotates =
            |command: &RotateToken| command.presented == token_hash("old") && command.successor == token_hash("next");
        ports.sessions.expect_rotate().withf(rotates).times(1).returning(|command| Ok(command.decide(snapshot())));
        let tokens = ports.service().refresh(&token("old")).await.unwrap();
        assert_eq!((tokens.refresh_token, tokens.expires_in_seconds), (token("next"), 10));
    }

    #[tokio::test]
    async fn with_a_spent_or_unknown_token_gives_nothing() {
        for rotation in [Rotation::Reused { session_id: session() }, Rotation::Refused] {
            let mut ports = Ports::default();
            ports.makes_tokens();
            ports.sessions.expect_rotate().return_once(move |_| Ok(rotation));
            assert!(matches!(ports.service().refresh(&token("old")).await, Err(RefreshError::InvalidToken)));
        }
    }
}

mod changing_ones_password {
    use super::*;

    fn actor() -> Actor {
        Actor { user_id: user(Role::Customer).id, role: Role::Customer, session_id: session() }
    }

    fn change(old: &str, new: &str) -> ChangePassword {
        ChangePassword { old: PasswordAttempt::new(old).unwrap(), new: Password::new(new).unwrap() }
    }

    #[tokio::test]
    async fn keeps_the_callers_session_alone() {
        let mut ports = Ports::default();
        ports.users.expect_find().returning(|_| Ok(Some(credentials())));
        ports.verifies(Some(hash("ada's")), true);
        ports.hasher.expect_hash().times(1).returning(|_| Ok(hash("new")));
        let replaces = |command: &ReplacePassword| {
            (&command.verified_hash, &command.new_hash, command.keep) == (&hash("ada's"), &hash("new"), session())
        };
        ports.users.expect_replace_password().withf(replaces).times(1).returning(|_| Ok(()));
        ports
            .service()
            .change_password(Client::ourselves(), actor(), change("Passw0rd!", "N3w passw0rd!"))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn with_a_wrong_old_one_writes_nothing() {
        let mut ports = Ports::default();
        ports.users.expect_find().returning(|_| Ok(Some(credentials())));
        ports.verifies(Some(hash("ada's")), false);
        let refused =
            ports.service().change_password(Client::ourselves(), actor(), change("wrong", "N3w passw0rd!")).await;
        assert!(matches!(refused, Err(ChangePasswordError::WrongPassword)));
    }

    #[tokio::test]
    async fn to_the_same_one_is_refused_before_anything_is_asked() {
        let refused = Ports::default()
            .service()
            .change_password(Client::ourselves(), actor(), change(" Passw0rd! ", "Passw0rd!"))
            .await;
        assert!(matches!(refused, Err(ChangePasswordError::Unchanged)));
    }

    #[test]
    fn is_decided_again_under_lock() {
        let command = ReplacePassword {
            user_id: user(Role::Customer).id,
            verified_hash: hash("ada's"),
            new_hash: hash("new"),
            keep: session(),
            at: now(),
        };
        assert!(command.decide(&hash("ada's")).is_ok());
        assert!(matches!(command.decide(&hash("another")), Err(ChangePasswordError::WrongPassword)));
    }
}

mod telling_who_calls {
    use super::*;

    fn claims() -> Claims {
        Claims {
            token_id: Uuid::from_u128(1),
            user_id: user(Role::Admin).id,
            role: Role::Admin,
            session_id: session(),
            issued_at: now(),
            expires_at: now() + TimeDelta::seconds(900),
        }
    }

    #[tokio::test]
    async fn asks_whether_the_tokens_session_lives() {
        for (live, known) in [(Ok(true), true), (Ok(false), false)] {
            let mut ports = Ports::default();
            ports.access_tokens.expect_verify().with(eq("token"), eq(now())).returning(|_, _| Ok(claims()));
            let asked = (eq(session()), eq(user(Role::Admin).id), eq(now()));
            ports.sessions.expect_is_live().with(asked.0, asked.1, asked.2).times(1).return_once(move |_, _, _| live);
            match ports.service().authenticate("token").await {
                Ok(actor) => assert!(known && actor.role == Role::Admin && actor.session_id == session()),
                Err(error) => assert!(!known && matches!(error, AuthenticateError::Unauthenticated)),
            }
        }
    }

    #[tokio::test]
    async fn asks_nobody_about_a_forged_token() {
        let mut ports = Ports::default();
        ports.access_tokens.expect_verify().returning(|_, _| Err(InvalidAccessToken));
        assert!(matches!(ports.service().authenticate("forged").await, Err(AuthenticateError::Unauthenticated)));
    }

    #[tokio::test]
    async fn never_takes_a_silent_store_for_a_no() {
        let mut ports = Ports::default();
        ports.access_tokens.expect_verify().returning(|_, _| Ok(claims()));
        ports.sessions.expect_is_live().returning(|_, _, _| Err(StoreError::unavailable("down")));
        let unknown = ports.service().authenticate("token").await;
        assert!(matches!(unknown, Err(AuthenticateError::Store(StoreError::Unavailable(_)))));
    }
}

#[tokio::test]
async fn who_registers_becomes_a_customer() {
    let mut ports = Ports::default();
    ports.hasher.expect_hash().times(1).returning(|_| Ok(hash("ada's")));
    let added =
        |newcomer: &Credentials| newcomer.user.role == Role::Customer && newcomer.password_hash == hash("ada's");
    ports.users.expect_add().withf(added).times(1).returning(|_| Ok(()));
    let command = Register {
        email: Email::parse("Ada@Example.com").unwrap(),
        password: Password::new("Passw0rd!").unwrap(),
        name: None,
    };
    let user = ports.service().register(Client::ourselves(), command).await.unwrap();
    assert_eq!((user.email.as_str(), user.role, user.created_at), ("ada@example.com", Role::Customer, now()));
}

#[test]
fn an_account_becomes_an_admins_only_if_asked() {
    let newcomer = Credentials { user: User { email: user(Role::Admin).email, ..user(Role::Admin) }, ..credentials() };
    let appoint = |promote| AppointAdmin { newcomer: newcomer.clone(), promote };
    assert!(matches!(appoint(false).decide(user(Role::Customer)), Err(CreateAdminError::EmailTaken)));
    assert_eq!(appoint(true).decide(user(Role::Customer)).unwrap(), user(Role::Admin));
}

mod the_guard {
    use super::*;

    fn refusal() -> GuardRefusal {
        GuardRefusal { limit: GuardLimitName::AddressFailures, retry_in: std::time::Duration::from_secs(9) }
    }

    fn slot() -> AttemptSlot {
        AttemptSlot { id: 3, kind: AttemptKind::Login }
    }

    /// Lets one attempt begin, and expects it to end so.
    fn expecting(outcome: AttemptOutcome) -> MockAuthGuard {
        let mut guard = MockAuthGuard::new();
        guard.expect_begin().times(1).returning(|_| Ok(slot()));
        guard.expect_end().with(eq(slot()), eq(outcome)).times(1).returning(|_, _| Ok(()));
        guard
    }

    #[tokio::test]
    async fn keeps_a_refused_attempt_from_the_store_and_from_the_hasher() {
        let mut guard = MockAuthGuard::new();
        guard.expect_begin().times(1).returning(|_| Err(refusal().into()));
        let refused = Ports { guard: Some(guard), ..Ports::default() }.service();
        let refused = refused.log_in(Client::ourselves(), log_in()).await;
        assert!(matches!(refused, Err(LogInError::Refused(told)) if told == refusal()));
    }

    #[tokio::test]
    async fn is_told_of_a_wrong_password_as_of_a_failure() {
        let mut ports = Ports { guard: Some(expecting(AttemptOutcome::Failed)), ..Ports::default() };
        ports.users.expect_find_by_email().returning(|_| Ok(None));
        ports.verifies(None, false);
        assert!(ports.service().log_in(Client::ourselves(), log_in()).await.is_err());
    }

    #[tokio::test]
    async fn is_told_of_a_store_that_failed_as_of_nothing() {
        let mut ports = Ports { guard: Some(expecting(AttemptOutcome::Undecided)), ..Ports::default() };
        ports.users.expect_find_by_email().returning(|_| Err(StoreError::unavailable("down")));
        assert!(ports.service().log_in(Client::ourselves(), log_in()).await.is_err());
    }

    #[tokio::test]
    async fn that_cannot_be_told_changes_no_answer() {
        let mut guard = MockAuthGuard::new();
        guard.expect_begin().times(1).returning(|_| Ok(slot()));
        guard.expect_end().times(1).returning(|_, _| Err(StoreError::unavailable("down")));
        let mut ports = Ports { guard: Some(guard), ..Ports::default() };
        ports.users.expect_find_by_email().returning(|_| Ok(None));
        ports.verifies(None, false);
        let refused = ports.service().log_in(Client::ourselves(), log_in()).await;
        assert!(matches!(refused, Err(LogInError::InvalidCredentials)));
    }
}
