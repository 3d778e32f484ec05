//! Accounts on a real PostgreSQL: the contracts of their ports, the races, and the life of a login.

use std::sync::Arc;

use adapters_crypto::{Argon2Passwords, Hs256Tokens, JwtSecret, OpaqueTokens, SystemRandomness};
use adapters_postgres::{PgSessions, PgUsers};
use app::system::SystemIds;
use chrono::TimeDelta;
use domain::account::{
    AccountPolicy, AccountService, AppointAdmin, AuthenticateError, ChangePassword, ChangePasswordError, Client,
    CreateAdmin, CreateAdminError, Credentials, Email, LogIn, LogInError, OpenSession, Password, PasswordAttempt,
    PasswordHash, RefreshError, RefreshTokenHash, Register, RegisterError, ReplacePassword, Role, RotateToken,
    Rotation, SessionRepository, SetPassword, SetPasswordError, Unguarded, UpdateUser, UpdateUserError, User,
    UserChange, UserFilter, UserPosition, UserRepository,
};
use domain::clock::Timestamp;
use domain::id::{SessionId, UserId};
use domain::page::PageLimit;
use domain::text::PersonName;
use futures_util::future::join_all;
use ironcart_tests::clock::TestClock;
use ironcart_tests::database::{Database, new_uuid};
use tokio::sync::Barrier;

const ROUNDS: usize = 40;

/// The stores of one test, on a database of its own.
struct Stores {
    users: PgUsers,
    sessions: PgSessions,
    database: Database,
}

impl Stores {
    async fn open() -> Self {
        let database = Database::migrated().await;
        let (users, sessions) = (PgUsers::new(database.pool.clone()), PgSessions::new(database.pool.clone()));
        Self { users, sessions, database }
    }

    async fn adds(&self, role: Role) -> User {
        let credentials = newcomer(&format!("{}@example.com", new_uuid()), role);
        self.users.add(&credentials).await.unwrap();
        credentials.user
    }

    /// A session of the user, and its first refresh token.
    async fn logs_in(&self, user: &User) -> (SessionId, RefreshTokenHash) {
        let command = opening(user);
        self.sessions.open(&command).await.unwrap();
        (command.session_id, command.token)
    }

    async fn lives(&self, session_id: SessionId, user: &User) -> bool {
        self.sessions.is_live(session_id, user.id, now()).await.unwrap()
    }

    async fn live_sessions(&self) -> i64 {
        self.database.number("SELECT count(*) AS n FROM sessions WHERE ended_at IS NULL").await
    }

    async fn active_admins(&self) -> i64 {
        self.database.number("SELECT count(*) AS n FROM users WHERE role = 'ADMIN' AND NOT blocked").await
    }
}

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn old_hash() -> PasswordHash {
    PasswordHash::new("$argon2id$old".to_owned())
}

fn new_hash() -> PasswordHash {
    PasswordHash::new("$argon2id$new".to_owned())
}

fn newcomer(email: &str, role: Role) -> Credentials {
    let user = User {
        id: UserId::from(new_uuid()),
        email: Email::parse(email).unwrap(),
        name: PersonName::new("Ada Lovelace").ok(),
        role,
        blocked: false,
        created_at: now(),
    };
    Credentials { user, password_hash: old_hash() }
}

fn fresh_token() -> RefreshTokenHash {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(new_uuid().as_bytes());
    RefreshTokenHash(hash)
}

fn opening(user: &User) -> OpenSession {
    OpenSession {
        session_id: SessionId::from(new_uuid()),
        user_id: user.id,
        verified_hash: old_hash(),
        token: fresh_token(),
        at: now(),
        expires_at: now() + TimeDelta::days(30),
    }
}

fn rotation(presented: RefreshTokenHash) -> RotateToken {
    RotateToken { presented, successor: fresh_token(), at: now() }
}

fn change(user: &User, role: Option<Role>, blocked: Option<bool>) -> UpdateUser {
    UpdateUser { id: user.id, change: UserChange { role, blocked }, at: now() }
}

fn replacement(user: &User, keep: SessionId) -> ReplacePassword {
    ReplacePassword { user_id: user.id, verified_hash: old_hash(), new_hash: new_hash(), keep, at: now() }
}

// --- races ------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_register_one_address_at_once_one_does() {
    let stores = Arc::new(Stores::open().await);
    for round in 0..ROUNDS {
        let barrier = Arc::new(Barrier::new(6));
        let spellings = ["Ada", "ada", "ADA", "aDa", "adA", "AdA"];
        let tries = spellings.map(|spelling| {
            let (stores, barrier) = (Arc::clone(&stores), Arc::clone(&barrier));
            let newcomer = newcomer(&format!("{spelling}{round}@Example.com"), Role::Customer);
            tokio::spawn(async move {
                barrier.wait().await;
                stores.users.add(&newcomer).await
            })
        });
        let outcomes: Vec<_> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "round {round}");
        let taken = outcomes.iter().filter(|outcome| matches!(outcome, Err(RegisterError::EmailTaken)));
        assert_eq!(taken.count(), 5, "round {round}: {outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_spend_one_refresh_token_at_once_one_wins_and_its_family_ends() {
    let stores = Arc::new(Stores::open().await);
    let user = stores.adds(Role::Customer).await;
    for round in 0..ROUNDS {
        let (session_id, token) = stores.logs_in(&user).await;
        let barrier = Arc::new(Barrier::new(4));
        let tries = (0..4).map(|_| {
            let (stores, barrier) = (Arc::clone(&stores), Arc::clone(&barrier));
            tokio::spawn(async move {
                let command = rotation(token);
                barrier.wait().await;
                (stores.sessions.rotate(&command).await.unwrap(), command.successor)
            })
        });
        let outcomes: Vec<_> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
        let winners: Vec<_> =
            outcomes.iter().filter(|(rotation, _)| matches!(rotation, Rotation::Rotated { .. })).collect();
        assert_eq!(winners.len(), 1, "round {round}: {outcomes:?}");
        let reused = outcomes.iter().filter(|(rotation, _)| *rotation == Rotation::Reused { session_id });
        assert_eq!(reused.count(), 1, "round {round}: {outcomes:?}");
        assert!(!stores.lives(session_id, &user).await, "round {round}");
        let successor = winners[0].1;
        assert_eq!(stores.sessions.rotate(&rotation(successor)).await.unwrap(), Rotation::Refused, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_last_admins_who_turn_on_each_other_leave_one() {
    let stores = Arc::new(Stores::open().await);
    for round in 0..ROUNDS {
        let pair = [stores.adds(Role::Admin).await, stores.adds(Role::Admin).await];
        let deeds = [(Some(Role::Customer), None), (None, Some(true))];
        let barrier = Arc::new(Barrier::new(2));
        let tries = (0..2).map(|index| {
            let (stores, barrier) = (Arc::clone(&stores), Arc::clone(&barrier));
            let (role, blocked) = deeds[(index + round) % 2];
            let command = change(&pair[index], role, blocked);
            tokio::spawn(async move {
                barrier.wait().await;
                stores.users.update(&command).await
            })
        });
        let outcomes: Vec<_> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "round {round}: {outcomes:?}");
        let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(UpdateUserError::LastAdmin { .. })));
        assert_eq!(refused.count(), 1, "round {round}: {outcomes:?}");
        assert_eq!(stores.active_admins().await, 1, "round {round}");
        stores.database.run_sql("UPDATE users SET role = 'CUSTOMER'").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_meets_a_block_or_a_new_password_leaves_no_session() {
    let stores = Arc::new(Stores::open().await);
    for round in 0..ROUNDS {
        let user = stores.adds(Role::Customer).await;
        let barrier = Arc::new(Barrier::new(2));
        let login = tokio::spawn({
            let (stores, barrier, command) = (Arc::clone(&stores), Arc::clone(&barrier), opening(&user));
            async move {
                barrier.wait().await;
                stores.sessions.open(&command).await
            }
        });
        barrier.wait().await;
        if round % 2 == 0 {
            stores.users.update(&change(&user, None, Some(true))).await.unwrap();
        } else {
            let elsewhere = SessionId::from(new_uuid());
            stores.users.replace_password(&replacement(&user, elsewhere)).await.unwrap();
        }
        let outcome = login.await.unwrap();
        assert!(matches!(outcome, Ok(_) | Err(LogInError::InvalidCredentials)), "round {round}: {outcome:?}");
        assert_eq!(stores.live_sessions().await, 0, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_meets_a_block_leaves_no_session() {
    let stores = Arc::new(Stores::open().await);
    for round in 0..ROUNDS {
        let user = stores.adds(Role::Customer).await;
        let (_, token) = stores.logs_in(&user).await;
        let barrier = Arc::new(Barrier::new(2));
        let refresh = tokio::spawn({
            let (stores, barrier) = (Arc::clone(&stores), Arc::clone(&barrier));
            async move {
                barrier.wait().await;
                stores.sessions.rotate(&rotation(token)).await.unwrap()
            }
        });
        barrier.wait().await;
        stores.users.update(&change(&user, None, Some(true))).await.unwrap();
        refresh.await.unwrap();
        assert_eq!(stores.live_sessions().await, 0, "round {round}");
    }
}

// --- contracts of the ports -------------------------------------------------------------------------------------

#[tokio::test]
async fn a_user_is_found_as_they_were_added() {
    let stores = Stores::open().await;
    let added = newcomer("Ada@Example.com", Role::Customer);
    stores.users.add(&added).await.unwrap();
    assert_eq!(stores.users.find(added.user.id).await.unwrap().as_ref(), Some(&added));
    let email = Email::parse("ADA@example.COM").unwrap();
    assert_eq!(stores.users.find_by_email(&email).await.unwrap(), Some(added));
    assert_eq!(stores.users.find(UserId::from(new_uuid())).await.unwrap(), None);
}

#[tokio::test]
async fn pages_of_users_neither_repeat_nor_skip_while_others_register() {
    let stores = Stores::open().await;
    let mut ids = Vec::new();
    for second in [0, 0, 0, 1, 2] {
        let mut credentials = newcomer(&format!("{}@example.com", new_uuid()), Role::Customer);
        credentials.user.created_at = now() + TimeDelta::seconds(second);
        stores.users.add(&credentials).await.unwrap();
        ids.push(credentials.user.id);
    }
    ids.reverse(); // newest first; within a moment by id, which is minted in order

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = stores.users.list(&UserFilter::default(), after, PageLimit::new(2).unwrap()).await.unwrap();
        seen.extend(page.items.iter().map(|user| user.id));
        let Some(next) = page.next else { break };
        after = Some(next);
        let mut newest = newcomer(&format!("{}@example.com", new_uuid()), Role::Customer);
        newest.user.created_at = now() + TimeDelta::seconds(3);
        stores.users.add(&newest).await.unwrap();
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn users_are_filtered_by_part_of_the_address_role_and_block() {
    let stores = Stores::open().await;
    let mut blocked = newcomer("b_b@example.com", Role::Customer);
    blocked.user.blocked = true;
    for credentials in [&newcomer("a%a@example.com", Role::Admin), &blocked, &newcomer("c@other.org", Role::Customer)] {
        stores.users.add(credentials).await.unwrap();
    }
    let part = |part: &str| UserFilter { email_contains: Some(part.to_owned()), ..UserFilter::default() };
    for (filter, expected) in [
        (part("example"), vec!["a%a@example.com", "b_b@example.com"]),
        (part("%"), vec!["a%a@example.com"]),
        (part("_"), vec!["b_b@example.com"]),
        (part("\\"), vec![]),
        (part("' OR 1=1 --"), vec![]),
        (UserFilter { role: Some(Role::Admin), ..UserFilter::default() }, vec!["a%a@example.com"]),
        (UserFilter { blocked: Some(true), ..UserFilter::default() }, vec!["b_b@example.com"]),
        (UserFilter { role: Some(Role::Customer), blocked: Some(false), ..part("o") }, vec!["c@other.org"]),
    ] {
        let page = stores.users.list(&filter, None::<UserPosition>, PageLimit::default()).await.unwrap();
        let found: Vec<_> = page.items.iter().map(|user| user.email.as_str().to_owned()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_change_of_role_or_block_ends_that_users_sessions_and_no_others() {
    let stores = Stores::open().await;
    let (user, other) = (stores.adds(Role::Customer).await, stores.adds(Role::Admin).await);
    let (others_session, _) = stores.logs_in(&other).await;
    for command in [change(&user, Some(Role::Admin), None), change(&user, None, Some(false))] {
        let (session_id, token) = stores.logs_in(&user).await;
        stores.users.update(&command).await.unwrap();
        assert!(!stores.lives(session_id, &user).await);
        assert_eq!(stores.sessions.rotate(&rotation(token)).await.unwrap(), Rotation::Refused);
    }
    assert!(stores.lives(others_session, &other).await);
    let changed = stores.users.find(user.id).await.unwrap().unwrap().user;
    assert_eq!(changed, User { role: Role::Admin, ..user });
    let nobody = User { id: UserId::from(new_uuid()), ..changed };
    assert!(matches!(stores.users.update(&change(&nobody, None, Some(true))).await, Err(UpdateUserError::NotFound)));
}

#[tokio::test]
async fn a_new_password_ends_every_session_but_the_callers() {
    let stores = Stores::open().await;
    let user = stores.adds(Role::Customer).await;
    let (mine, my_token) = stores.logs_in(&user).await;
    let (stolen, _) = stores.logs_in(&user).await;
    stores.users.replace_password(&replacement(&user, mine)).await.unwrap();
    assert!(stores.lives(mine, &user).await);
    assert!(!stores.lives(stolen, &user).await);
    assert!(matches!(stores.sessions.rotate(&rotation(my_token)).await.unwrap(), Rotation::Rotated { .. }));

    let again = stores.users.replace_password(&replacement(&user, mine)).await;
    assert!(matches!(again, Err(ChangePasswordError::WrongPassword)), "the hash that was verified is gone");
    let late = stores.sessions.open(&opening(&user)).await;
    assert!(matches!(late, Err(LogInError::InvalidCredentials)), "verified before, opened after");
}

#[tokio::test]
async fn whoever_runs_the_shop_sets_passwords_and_appoints_admins() {
    let stores = Stores::open().await;
    let user = stores.adds(Role::Customer).await;
    let (session_id, _) = stores.logs_in(&user).await;
    let set = SetPassword { email: user.email.clone(), new_hash: new_hash(), at: now() };
    assert_eq!(stores.users.set_password(&set).await.unwrap(), user);
    assert!(!stores.lives(session_id, &user).await);
    assert_eq!(stores.users.find(user.id).await.unwrap().unwrap().password_hash, new_hash());
    let nobodys = SetPassword { email: Email::parse("nobody@example.com").unwrap(), ..set };
    assert!(matches!(stores.users.set_password(&nobodys).await, Err(SetPasswordError::NotFound)));

    let newcomer = newcomer(user.email.as_str(), Role::Admin);
    let appoint = |promote| AppointAdmin { newcomer: newcomer.clone(), promote };
    assert!(matches!(stores.users.appoint_admin(&appoint(false)).await, Err(CreateAdminError::EmailTaken)));
    let appointed = stores.users.appoint_admin(&appoint(true)).await.unwrap();
    assert_eq!(appointed, User { role: Role::Admin, ..user.clone() });
    let kept = stores.users.find(user.id).await.unwrap().unwrap();
    assert_eq!((kept.user, kept.password_hash), (appointed, old_hash()));
}

#[tokio::test]
async fn a_session_lives_for_its_owner_until_it_ends_or_expires() {
    let stores = Stores::open().await;
    let (user, other) = (stores.adds(Role::Customer).await, stores.adds(Role::Customer).await);
    let (session_id, token) = stores.logs_in(&user).await;
    let lives = async |user: &User, at| stores.sessions.is_live(session_id, user.id, at).await.unwrap();
    assert!(lives(&user, now()).await);
    assert!(!lives(&other, now()).await);
    assert!(!lives(&user, now() + TimeDelta::days(30)).await);
    let late = RotateToken { at: now() + TimeDelta::days(30), ..rotation(token) };
    assert_eq!(stores.sessions.rotate(&late).await.unwrap(), Rotation::Refused);

    stores.sessions.end(fresh_token(), now()).await.unwrap();
    assert!(lives(&user, now()).await, "an unknown token ends nothing");
    assert!(matches!(stores.sessions.rotate(&rotation(token)).await.unwrap(), Rotation::Rotated { .. }));
    stores.sessions.end(token, now()).await.unwrap();
    assert!(!lives(&user, now()).await, "a spent token ends its family, too");
}

#[tokio::test]
async fn the_database_itself_holds_the_rules() {
    let stores = Stores::open().await;
    let user = stores.adds(Role::Customer).await;
    let (session_id, token) = stores.logs_in(&user).await;
    let update = |set: &str| format!("UPDATE users SET {set} WHERE id = '{}'", user.id);
    for (sql, constraint) in [
        (update("email = 'ADA@example.com'"), "users_email_lower_case"),
        (update("email = ''"), "users_email_length"),
        (update("role = 'OWNER'"), "users_role_known"),
        (update("name = 'x'"), "users_name_length"),
        (update("password_hash = 'Passw0rd!'"), "users_password_hash_is_phc"),
        ("UPDATE sessions SET expires_at = created_at".to_owned(), "sessions_expire_after_login"),
        (
            format!("INSERT INTO refresh_tokens VALUES (sha256('x'), '{session_id}', now())"),
            "refresh_tokens_unspent_key",
        ),
        ("UPDATE refresh_tokens SET token_hash = 'short'".to_owned(), "refresh_tokens_hash_length"),
    ] {
        let error = stores.database.run_sql(&sql).await.expect_err(&sql).to_string();
        assert!(error.contains(constraint), "{sql}: {error}");
    }
    assert!(matches!(stores.sessions.rotate(&rotation(token)).await.unwrap(), Rotation::Rotated { .. }));
}

// --- the life of a login ----------------------------------------------------------------------------------------

fn accounts(database: &Database, clock: Arc<TestClock>) -> AccountService {
    let randomness = Arc::new(SystemRandomness);
    AccountService {
        users: Arc::new(PgUsers::new(database.pool.clone())),
        sessions: Arc::new(PgSessions::new(database.pool.clone())),
        guard: Arc::new(Unguarded),
        hasher: Arc::new(Argon2Passwords::new(randomness.clone()).unwrap()),
        access_tokens: Arc::new(Hs256Tokens::new(&JwtSecret::new(vec![7; 32]).unwrap(), &[])),
        refresh_tokens: Arc::new(OpaqueTokens::new(randomness)),
        clock,
        ids: Arc::new(SystemIds),
        policy: AccountPolicy { access_ttl_seconds: 900, refresh_ttl_seconds: 2_592_000 },
    }
}

fn log_in(password: &str) -> LogIn {
    LogIn { email: Email::parse("Ada@example.com").unwrap(), password: PasswordAttempt::new(password).unwrap() }
}

fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

#[tokio::test]
async fn a_login_lives_from_registration_to_logout() {
    let database = Database::migrated().await;
    let clock = Arc::new(TestClock::default());
    let accounts = accounts(&database, Arc::clone(&clock));
    let email = Email::parse("ada@Example.com").unwrap();
    let registration = Register { email, password: password("Passw0rd!"), name: None };
    let ada = accounts.register(Client::ourselves(), registration.clone()).await.unwrap();
    assert!(matches!(accounts.register(Client::ourselves(), registration).await, Err(RegisterError::EmailTaken)));
    assert!(matches!(
        accounts.log_in(Client::ourselves(), log_in("passw0rd!")).await,
        Err(LogInError::InvalidCredentials)
    ));

    let first = accounts.log_in(Client::ourselves(), log_in("Passw0rd!")).await.unwrap();
    assert_eq!((first.user.id, first.expires_in_seconds), (ada.id, 900));
    assert_eq!(accounts.authenticate(&first.access_token.0).await.unwrap().user_id, ada.id);

    clock.advance(900);
    let expired = accounts.authenticate(&first.access_token.0).await;
    assert!(matches!(expired, Err(AuthenticateError::Unauthenticated)));
    let second = accounts.refresh(&first.refresh_token).await.unwrap();
    assert!(accounts.authenticate(&second.access_token.0).await.is_ok());

    accounts.log_out(&second.refresh_token).await.unwrap();
    let ended = accounts.authenticate(&second.access_token.0).await;
    assert!(matches!(ended, Err(AuthenticateError::Unauthenticated)), "an access token dies with its session");
    assert!(matches!(accounts.refresh(&second.refresh_token).await, Err(RefreshError::InvalidToken)));
}

#[tokio::test]
async fn a_spent_refresh_token_ends_the_thiefs_session_as_well() {
    let database = Database::migrated().await;
    let accounts = accounts(&database, Arc::default());
    let admin = CreateAdmin {
        email: Email::parse("ada@example.com").unwrap(),
        password: password("Passw0rd!"),
        promote: false,
    };
    accounts.create_admin(admin).await.unwrap();
    let stolen = accounts.log_in(Client::ourselves(), log_in("Passw0rd!")).await.unwrap();
    let thiefs = accounts.refresh(&stolen.refresh_token).await.unwrap();
    assert!(matches!(accounts.refresh(&stolen.refresh_token).await, Err(RefreshError::InvalidToken)));
    assert!(matches!(accounts.refresh(&thiefs.refresh_token).await, Err(RefreshError::InvalidToken)));
    assert!(accounts.authenticate(&thiefs.access_token.0).await.is_err());
}

#[tokio::test]
async fn a_changed_password_is_the_only_one_that_works() {
    let database = Database::migrated().await;
    let accounts = accounts(&database, Arc::default());
    let email = Email::parse("ada@example.com").unwrap();
    accounts
        .register(Client::ourselves(), Register { email: email.clone(), password: password("Passw0rd!"), name: None })
        .await
        .unwrap();
    let mine = accounts.log_in(Client::ourselves(), log_in("Passw0rd!")).await.unwrap();
    let other = accounts.log_in(Client::ourselves(), log_in("Passw0rd!")).await.unwrap();
    let actor = accounts.authenticate(&mine.access_token.0).await.unwrap();
    let change = |old: &str, new: &str| ChangePassword { old: PasswordAttempt::new(old).unwrap(), new: password(new) };

    let wrong = accounts.change_password(Client::ourselves(), actor, change("nonsense", "N3w passw0rd!")).await;
    assert!(matches!(wrong, Err(ChangePasswordError::WrongPassword)));
    accounts.change_password(Client::ourselves(), actor, change("Passw0rd!", "N3w passw0rd!")).await.unwrap();
    assert!(accounts.authenticate(&mine.access_token.0).await.is_ok());
    assert!(accounts.authenticate(&other.access_token.0).await.is_err());
    assert!(accounts.refresh(&other.refresh_token).await.is_err());
    assert!(accounts.log_in(Client::ourselves(), log_in("Passw0rd!")).await.is_err());
    assert!(accounts.log_in(Client::ourselves(), log_in("N3w passw0rd!")).await.is_ok());

    accounts.set_password(email, &password("Set by 1 admin!")).await.unwrap();
    assert!(accounts.authenticate(&mine.access_token.0).await.is_err());
    assert!(accounts.log_in(Client::ourselves(), log_in("Set by 1 admin!")).await.is_ok());
}
