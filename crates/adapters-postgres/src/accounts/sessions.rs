//! Sessions and their refresh tokens on PostgreSQL.

use std::collections::HashMap;

use async_trait::async_trait;
use diesel::QueryResult;
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
use crate::batch::{BatchedWork, Lane};
use crate::cached::column;
use crate::error::store_error;
use crate::schema::{refresh_tokens, sessions, users};
use crate::{PgPool, Rollback};

/// [`SessionRepository`] on PostgreSQL.
#[derive(Clone)]
pub struct PgSessions {
    pool: PgPool,
    looks: Lane<Looking>,
    live: Option<LiveSessions>,
}

impl PgSessions {
    /// Keeps sessions in the pool's database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { looks: Lane::open_for_reads(pool.clone(), Looking), pool, live: None }
    }

    /// The same, and what was found alive is kept for a moment in what [`PgUsers`](super::PgUsers) shares.
    #[must_use]
    pub fn remembering(self, live: LiveSessions) -> Self {
        Self { live: Some(live), ..self }
    }
}

/// Looks sessions up. Customers who come at once share the statement, so that each does not take a connection from
/// those who have come to order.
struct Looking;

/// A session that has not ended.
#[derive(Debug, Clone, Copy)]
struct Login {
    user_id: UserId,
    expires_at: Timestamp,
}

impl BatchedWork for Looking {
    type Command = SessionId;
    type Done = Option<Login>;
    type Refusal = StoreError;

    const NAME: &'static str = "look_up_session";
    const REPEATABLE: bool = true;

    async fn run(
        &self,
        mut connection: &AsyncPgConnection,
        asked: &[SessionId],
        _again: bool,
    ) -> QueryResult<Vec<Result<Option<Login>, StoreError>>> {
        let found: Vec<(Uuid, Uuid, Timestamp)> = sessions::table
            .filter(sessions::id.eq_any(column(asked, |id| id.uuid())))
            .filter(sessions::ended_at.is_null())
            .select((sessions::id, sessions::user_id, sessions::expires_at))
            .load(&mut connection)
            .await?;
        let login = |(id, user_id, expires_at): (Uuid, Uuid, Timestamp)| {
            (SessionId::from(id), Login { user_id: user_id.into(), expires_at })
        };
        let found: HashMap<SessionId, Login> = found.into_iter().map(login).collect();
        Ok(asked.iter().map(|id| Ok(found.get(id).copied())).collect())
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
        let found = self.looks.run(session_id).await?;
        let Some(login) = found.filter(|login| login.user_id == user_id && login.expires_at > now) else {
            return Ok(false);
        };
        if let Some((live, look)) = look {
            live.keep(look, session_id, user_id, login.expires_at);
        }
        Ok(true)
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
