//! Sessions and their refresh tokens on PostgreSQL.

use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::account::{
    LogInError, OpenSession, RefreshTokenHash, RotateToken, Rotation, RotationSnapshot, SessionRepository, User,
};
use domain::clock::Timestamp;
use domain::id::{SessionId, UserId};
use domain::store::StoreError;
use uuid::Uuid;

use super::rows::UserRow;
use super::users::lock_user;
use crate::error::store_error;
use crate::schema::{refresh_tokens, sessions, users};
use crate::{PgPool, Rollback};

/// [`SessionRepository`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgSessions {
    pool: PgPool,
}

impl PgSessions {
    /// Keeps sessions in the pool's database.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl SessionRepository for PgSessions {
    async fn open(&self, command: &OpenSession) -> Result<User, LogInError> {
        self.pool
            .transaction(async |connection| {
                let Some(row) = lock_user(connection, command.user_id).await? else {
                    return Err(Rollback::Refused(LogInError::InvalidCredentials));
                };
                let credentials = row.into_credentials()?;
                command.decide(&credentials).map_err(Rollback::Refused)?;
                diesel::insert_into(sessions::table)
                    .values((
                        sessions::id.eq(command.session_id.uuid()),
                        sessions::user_id.eq(command.user_id.uuid()),
                        sessions::created_at.eq(command.at),
                        sessions::expires_at.eq(command.expires_at),
                    ))
                    .execute(connection)
                    .await?;
                add_token(connection, command.token, command.session_id, command.at).await?;
                Ok(credentials.user)
            })
            .await
    }

    async fn rotate(&self, command: &RotateToken) -> Result<Rotation, StoreError> {
        self.pool
            .transaction(async |connection| {
                let Some(snapshot) = lock_session_of(connection, command.presented).await? else {
                    return Ok(Rotation::Refused);
                };
                let rotation = command.decide(snapshot);
                match &rotation {
                    Rotation::Rotated { session_id, .. } => {
                        diesel::update(refresh_tokens::table.find(command.presented.0.as_slice()))
                            .set(refresh_tokens::spent_at.eq(command.at))
                            .execute(connection)
                            .await?;
                        add_token(connection, command.successor, *session_id, command.at).await?;
                    }
                    Rotation::Reused { session_id } => {
                        diesel::update(sessions::table.find(session_id.uuid()))
                            .set(sessions::ended_at.eq(command.at))
                            .execute(connection)
                            .await?;
                    }
                    Rotation::Refused => {}
                }
                Ok(rotation)
            })
            .await
    }

    async fn end(&self, token: RefreshTokenHash, at: Timestamp) -> Result<(), StoreError> {
        let family = refresh_tokens::table.find(token.0.as_slice()).select(refresh_tokens::session_id);
        let mut connection = self.pool.get().await?;
        diesel::update(sessions::table.filter(sessions::id.eq_any(family).and(sessions::ended_at.is_null())))
            .set(sessions::ended_at.eq(at))
            .execute(&mut connection)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn is_live(&self, session_id: SessionId, user_id: UserId, now: Timestamp) -> Result<bool, StoreError> {
        let live = sessions::table.filter(
            sessions::id
                .eq(session_id.uuid())
                .and(sessions::user_id.eq(user_id.uuid()))
                .and(sessions::ended_at.is_null())
                .and(sessions::expires_at.gt(now)),
        );
        let mut connection = self.pool.get().await?;
        diesel::select(exists(live)).get_result(&mut connection).await.map_err(store_error)
    }
}

async fn add_token(
    connection: &mut AsyncPgConnection,
    token: RefreshTokenHash,
    session_id: SessionId,
    at: Timestamp,
) -> QueryResult<usize> {
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::token_hash.eq(token.0.as_slice()),
            refresh_tokens::session_id.eq(session_id.uuid()),
            refresh_tokens::created_at.eq(at),
        ))
        .execute(connection)
        .await
}

/// Locks the session that a token belongs to, then looks whether the token is spent. In two statements: the second
/// sees what those who held the lock before have written, which the first, having waited, would not.
async fn lock_session_of(
    connection: &mut AsyncPgConnection,
    token: RefreshTokenHash,
) -> QueryResult<Option<RotationSnapshot>> {
    let family = refresh_tokens::table.find(token.0.as_slice()).select(refresh_tokens::session_id);
    let session: Option<(Uuid, Timestamp, Option<Timestamp>)> = sessions::table
        .filter(sessions::id.eq_any(family))
        .select((sessions::id, sessions::expires_at, sessions::ended_at))
        .for_no_key_update()
        .first(connection)
        .await
        .optional()?;
    let Some((session_id, expires_at, ended_at)) = session else {
        return Ok(None);
    };
    let (spent_at, user): (Option<Timestamp>, UserRow) = refresh_tokens::table
        .find(token.0.as_slice())
        .inner_join(sessions::table.inner_join(users::table))
        .select((refresh_tokens::spent_at, UserRow::as_select()))
        .first(connection)
        .await?;
    Ok(Some(RotationSnapshot {
        session_id: SessionId::from(session_id),
        user: user.into_user()?,
        expires_at,
        ended: ended_at.is_some(),
        spent: spent_at.is_some(),
    }))
}
