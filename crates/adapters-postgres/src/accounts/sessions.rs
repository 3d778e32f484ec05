//! Sessions and their refresh tokens on PostgreSQL.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::account::{
    LogInError, OpenSession, RefreshTokenHash, RotateToken, Rotation, RotationSnapshot, SessionRepository, User,
};
use domain::clock::Timestamp;
use domain::id::{SessionId, UserId};
use domain::store::StoreError;
use uuid::Uuid;

use super::LiveSessions;
use super::rows::UserRow;
use super::users::lock_user;
use crate::error::store_error;
use crate::schema::{refresh_tokens, sessions, users};
use crate::{PgPool, Rollback};

/// [`SessionRepository`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgSessions {
    pool: PgPool,
    live: Option<LiveSessions>,
}

impl PgSessions {
    /// Keeps sessions in the pool's database.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool, live: None }
    }

    /// The same, and what was found alive is kept for a moment in what [`PgUsers`](super::PgUsers) shares.
    #[must_use]
    pub fn remembering(self, live: LiveSessions) -> Self {
        Self { live: Some(live), ..self }
    }
}

#[async_trait]
impl SessionRepository for PgSessions {
    #[tracing::instrument(name = "SessionRepository.open", level = "debug", skip_all)]
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

    #[tracing::instrument(name = "SessionRepository.rotate", level = "debug", skip_all)]
    async fn rotate(&self, command: &RotateToken) -> Result<Rotation, StoreError> {
        let rotated = self
            .pool
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
            .await;
        if let Some(live) = &self.live {
            match &rotated {
                Ok(Rotation::Rotated { .. } | Rotation::Refused) => {}
                Ok(Rotation::Reused { session_id }) => live.forget(*session_id),
                // It may have been committed.
                Err(_) => live.forget_all(),
            }
        }
        rotated
    }

    #[tracing::instrument(name = "SessionRepository.end", level = "debug", skip_all)]
    async fn end(&self, token: RefreshTokenHash, at: Timestamp) -> Result<(), StoreError> {
        let family = refresh_tokens::table.find(token.0.as_slice()).select(refresh_tokens::session_id);
        let mut connection = self.pool.get().await?;
        let ended: QueryResult<Vec<Uuid>> =
            diesel::update(sessions::table.filter(sessions::id.eq_any(family).and(sessions::ended_at.is_null())))
                .set(sessions::ended_at.eq(at))
                .returning(sessions::id)
                .get_results(&mut connection)
                .await;
        if let Some(live) = &self.live {
            match &ended {
                Ok(ended) => ended.iter().for_each(|id| live.forget(SessionId::from(*id))),
                // It may have been committed.
                Err(_) => live.forget_all(),
            }
        }
        ended.map(drop).map_err(store_error)
    }

    #[tracing::instrument(name = "SessionRepository.is_live", level = "debug", skip_all)]
    async fn is_live(&self, session_id: SessionId, user_id: UserId, now: Timestamp) -> Result<bool, StoreError> {
        if self.live.as_ref().is_some_and(|live| live.know(session_id, user_id, now)) {
            return Ok(true);
        }
        let look = self.live.as_ref().map(|live| (live, live.look()));
        let mut connection = self.pool.get().await?;
        let expires_at: Option<Timestamp> = sessions::table
            .find(session_id.uuid())
            .filter(sessions::user_id.eq(user_id.uuid()))
            .filter(sessions::ended_at.is_null())
            .filter(sessions::expires_at.gt(now))
            .select(sessions::expires_at)
            .first(&mut connection)
            .await
            .optional()
            .map_err(store_error)?;
        if let (Some((live, look)), Some(expires_at)) = (look, expires_at) {
            live.keep(look, session_id, user_id, expires_at);
        }
        Ok(expires_at.is_some())
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
