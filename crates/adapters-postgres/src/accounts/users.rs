//! Users on PostgreSQL.

use async_trait::async_trait;
use diesel::dsl::AsSelect;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::account::{
    AppointAdmin, ChangePasswordError, CreateAdminError, Credentials, Email, RegisterError, ReplacePassword, Role,
    SetPassword, SetPasswordError, UpdateUser, UpdateUserError, User, UserFilter, UserPosition, UserRepository,
    UserSnapshot,
};
use domain::clock::Timestamp;
use domain::id::{SessionId, UserId};
use domain::page::{Page, PageLimit};
use domain::store::StoreError;
use uuid::Uuid;

use super::LiveSessions;
use super::rows::UserRow;
use crate::cached::planned_for_its_values;
use crate::error::{refuse_on, store_error};
use crate::pattern::containing;
use crate::schema::{sessions, users};
use crate::{PgPool, Rollback};

/// [`UserRepository`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgUsers {
    pool: PgPool,
    live: Option<LiveSessions>,
}

impl PgUsers {
    /// Keeps users in the pool's database.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool, live: None }
    }

    /// The same, and sessions that it ends are forgotten in what [`PgSessions`](super::PgSessions) shares.
    #[must_use]
    pub fn remembering(self, live: LiveSessions) -> Self {
        Self { live: Some(live), ..self }
    }

    /// Forgets the sessions of a user whose sessions were to be ended, or all if it is not known whose; however that
    /// went, since when an answer of the database is lost it may have been committed.
    fn forget_sessions(&self, user: Option<UserId>) {
        match (&self.live, user) {
            (Some(live), Some(user)) => live.forget_user(user),
            (Some(live), None) => live.forget_all(),
            (None, _) => {}
        }
    }
}

#[async_trait]
impl UserRepository for PgUsers {
    #[tracing::instrument(name = "UserRepository.add", level = "debug", skip_all)]
    async fn add(&self, newcomer: &Credentials) -> Result<(), RegisterError> {
        self.pool
            .transaction(async |connection| {
                diesel::insert_into(users::table)
                    .values(UserRow::new(newcomer))
                    .execute(connection)
                    .await
                    .map_err(refuse_on("users_email_key", || RegisterError::EmailTaken))?;
                Ok(())
            })
            .await
    }

    #[tracing::instrument(name = "UserRepository.find", level = "debug", skip_all)]
    async fn find(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        let mut connection = self.pool.get().await?;
        let row = all_users().filter(users::id.eq(id.uuid())).first(&mut connection).await.optional();
        credentials(row).map_err(store_error)
    }

    #[tracing::instrument(name = "UserRepository.find_by_email", level = "debug", skip_all)]
    async fn find_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        let mut connection = self.pool.get().await?;
        let row = all_users().filter(users::email.eq(email.as_str())).first(&mut connection).await.optional();
        credentials(row).map_err(store_error)
    }

    #[tracing::instrument(name = "UserRepository.list", level = "debug", skip_all)]
    async fn list(
        &self,
        filter: &UserFilter,
        after: Option<UserPosition>,
        limit: PageLimit,
    ) -> Result<Page<User, UserPosition>, StoreError> {
        let mut query = all_users().into_boxed();
        if let Some(part) = &filter.email_contains {
            query = query.filter(users::email.like(containing(part.as_str())));
        }
        if let Some(role) = filter.role {
            query = query.filter(users::role.eq(role.as_str()));
        }
        if let Some(blocked) = filter.blocked {
            query = query.filter(users::blocked.eq(blocked));
        }
        if let Some(UserPosition { created_at, id }) = after {
            let older = users::created_at.lt(created_at).or(users::id.lt(id.uuid()));
            query = query.filter(users::created_at.le(created_at).and(older));
        }
        let mut connection = self.pool.get().await?;
        let query = query.order((users::created_at.desc(), users::id.desc())).limit(i64::from(limit.get()) + 1);
        // A filter that lets few through has an index of its own, which a plan for any value could not use.
        let rows: Vec<UserRow> = planned_for_its_values(query).load(&mut connection).await.map_err(store_error)?;
        let found: Vec<User> =
            rows.into_iter().map(UserRow::into_user).collect::<Result<_, _>>().map_err(store_error)?;
        Ok(Page::from_overfetched(found, limit, |user| UserPosition::from(user)))
    }

    #[tracing::instrument(name = "UserRepository.update", level = "debug", skip_all)]
    async fn update(&self, command: &UpdateUser) -> Result<User, UpdateUserError> {
        let updated = self
            .pool
            .transaction(async |connection| {
                let active_admins = lock_active_admins(connection).await?;
                let Some(row) = lock_user(connection, command.id).await? else {
                    return Err(Rollback::Refused(UpdateUserError::NotFound));
                };
                let snapshot = UserSnapshot {
                    user: row.into_user()?,
                    another_active_admin: active_admins.iter().any(|id| *id != command.id.uuid()),
                };
                let user = command.decide(snapshot).map_err(Rollback::Refused)?;
                diesel::update(users::table.find(user.id.uuid()))
                    .set((users::role.eq(user.role.as_str()), users::blocked.eq(user.blocked)))
                    .execute(connection)
                    .await?;
                end_sessions(connection, user.id, None, command.at).await?;
                Ok(user)
            })
            .await;
        self.forget_sessions(Some(command.id));
        updated
    }

    #[tracing::instrument(name = "UserRepository.replace_password", level = "debug", skip_all)]
    async fn replace_password(&self, command: &ReplacePassword) -> Result<(), ChangePasswordError> {
        let replaced = self
            .pool
            .transaction(async |connection| {
                let Some(row) = lock_user(connection, command.user_id).await? else {
                    return Err(Rollback::Refused(ChangePasswordError::WrongPassword));
                };
                let current = row.into_credentials()?.password_hash;
                command.decide(&current).map_err(Rollback::Refused)?;
                write_password(connection, command.user_id, command.new_hash.expose()).await?;
                end_sessions(connection, command.user_id, Some(command.keep), command.at).await?;
                Ok(())
            })
            .await;
        self.forget_sessions(Some(command.user_id));
        replaced
    }

    #[tracing::instrument(name = "UserRepository.set_password", level = "debug", skip_all)]
    async fn set_password(&self, command: &SetPassword) -> Result<User, SetPasswordError> {
        let set = self
            .pool
            .transaction(async |connection| {
                let Some(row) = lock_user_by_email(connection, &command.email).await? else {
                    return Err(Rollback::Refused(SetPasswordError::NotFound));
                };
                let user = row.into_user()?;
                write_password(connection, user.id, command.new_hash.expose()).await?;
                end_sessions(connection, user.id, None, command.at).await?;
                Ok(user)
            })
            .await;
        self.forget_sessions(set.as_ref().ok().map(|user| user.id));
        set
    }

    #[tracing::instrument(name = "UserRepository.appoint_admin", level = "debug", skip_all)]
    async fn appoint_admin(&self, command: &AppointAdmin) -> Result<User, CreateAdminError> {
        let Credentials { user: newcomer, password_hash } = &command.newcomer;
        let appointed = self
            .pool
            .transaction(async |connection| {
                let Some(row) = lock_user_by_email(connection, &newcomer.email).await? else {
                    diesel::insert_into(users::table)
                        .values(UserRow::new(&command.newcomer))
                        .execute(connection)
                        .await
                        .map_err(refuse_on("users_email_key", || CreateAdminError::EmailTaken))?;
                    return Ok(newcomer.clone());
                };
                let user = command.decide(row.into_user()?).map_err(Rollback::Refused)?;
                diesel::update(users::table.find(user.id.uuid()))
                    .set((users::role.eq(user.role.as_str()), users::password_hash.eq(password_hash.expose())))
                    .execute(connection)
                    .await?;
                end_sessions(connection, user.id, None, newcomer.created_at).await?;
                Ok(user)
            })
            .await;
        self.forget_sessions(appointed.as_ref().ok().map(|user| user.id));
        appointed
    }
}

#[diesel::dsl::auto_type]
fn all_users() -> _ {
    let row: AsSelect<UserRow, Pg> = UserRow::as_select();
    users::table.select(row)
}

fn credentials(row: QueryResult<Option<UserRow>>) -> QueryResult<Option<Credentials>> {
    row?.map(UserRow::into_credentials).transpose()
}

/// Who can run the shop; held until the end of the transaction, so that nobody else takes the last one away. By
/// id, so that two who do so at once never wait for each other in a ring.
async fn lock_active_admins(connection: &mut AsyncPgConnection) -> QueryResult<Vec<Uuid>> {
    users::table
        .filter(users::role.eq(Role::Admin.as_str()).and(diesel::dsl::not(users::blocked)))
        .order(users::id)
        .select(users::id)
        .for_no_key_update()
        .load(connection)
        .await
}

/// Locks a user as writers of orders and carts do: against each other, not against foreign-key checks.
pub(super) async fn lock_user(connection: &mut AsyncPgConnection, id: UserId) -> QueryResult<Option<UserRow>> {
    all_users().filter(users::id.eq(id.uuid())).for_no_key_update().first(connection).await.optional()
}

async fn lock_user_by_email(connection: &mut AsyncPgConnection, email: &Email) -> QueryResult<Option<UserRow>> {
    all_users().filter(users::email.eq(email.as_str())).for_no_key_update().first(connection).await.optional()
}

async fn write_password(connection: &mut AsyncPgConnection, id: UserId, hash: &str) -> QueryResult<usize> {
    diesel::update(users::table.find(id.uuid())).set(users::password_hash.eq(hash)).execute(connection).await
}

/// Ends the user's live sessions, all but `keep`.
async fn end_sessions(
    connection: &mut AsyncPgConnection,
    user_id: UserId,
    keep: Option<SessionId>,
    at: Timestamp,
) -> QueryResult<usize> {
    let ended = sessions::user_id.eq(user_id.uuid()).and(sessions::ended_at.is_null());
    let kept = keep.map_or(Uuid::nil(), SessionId::uuid);
    diesel::update(sessions::table.filter(ended.and(sessions::id.ne(kept))))
        .set(sessions::ended_at.eq(at))
        .execute(connection)
        .await
}
