//! Rows of users, and what they are in the domain.

use diesel::prelude::*;
use diesel::result::Error;
use domain::account::{Credentials, Email, PasswordHash, Role, User};
use domain::clock::Timestamp;
use domain::id::UserId;
use domain::text::PersonName;
use uuid::Uuid;

use crate::error::damaged;
use crate::schema::users;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub(super) struct UserRow {
    id: Uuid,
    email: String,
    name: Option<String>,
    password_hash: String,
    role: String,
    blocked: bool,
    created_at: Timestamp,
}

impl UserRow {
    pub(super) fn new(credentials: &Credentials) -> Self {
        let Credentials { user, password_hash } = credentials;
        Self {
            id: user.id.uuid(),
            email: user.email.to_string(),
            name: user.name.as_ref().map(PersonName::to_string),
            password_hash: password_hash.expose().to_owned(),
            role: user.role.to_string(),
            blocked: user.blocked,
            created_at: user.created_at,
        }
    }

    pub(super) fn into_credentials(self) -> Result<Credentials, Error> {
        let user = User {
            id: UserId::from(self.id),
            email: Email::parse(&self.email).map_err(damaged)?,
            name: self.name.as_deref().map(PersonName::new).transpose().map_err(damaged)?,
            role: Role::parse(&self.role).ok_or_else(|| damaged(format!("a role {:?}", self.role)))?,
            blocked: self.blocked,
            created_at: self.created_at,
        };
        Ok(Credentials { user, password_hash: PasswordHash::new(self.password_hash) })
    }

    pub(super) fn into_user(self) -> Result<User, Error> {
        self.into_credentials().map(|credentials| credentials.user)
    }
}
